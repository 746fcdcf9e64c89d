//! The dashboard shows what the service counts, and asks for nothing that it does not count.

use std::collections::BTreeSet;

use postcall::telemetry::{LabelSets, Metrics};
use serde_json::Value;

const DASHBOARD: &str = include_str!("../../deploy/grafana/postcall.json");

/// Metrics that the dashboard does without, and why.
const EXCUSED: [(&str, &str); 2] = [
    ("process_threads", "the threads are those of the settings, and there is one pool of them"),
    ("process_virtual_memory_bytes", "a 64-bit process reserves what it likes; residence counts"),
];

#[test]
fn every_metric_is_on_the_dashboard_or_excused() {
    let asked = names_asked_for();
    let excused: BTreeSet<String> = EXCUSED.iter().map(|(name, _)| (*name).to_owned()).collect();
    for metric in metrics() {
        assert_ne!(
            metric.names().any(|name| asked.contains(&name)),
            excused.contains(&metric.name),
            "{} must be either on the dashboard or excused",
            metric.name
        );
    }
}

#[test]
fn every_query_asks_for_metrics_that_exist() {
    let known: BTreeSet<String> = metrics().iter().flat_map(Metric::names).collect();
    for name in names_asked_for() {
        assert!(known.contains(&name), "no metric is called {name}");
    }
}

#[test]
fn every_panel_and_query_follows_the_chosen_data_source() {
    let (panels, targets) = (panels(), targets());
    assert!(panels.len() > 20 && targets.len() >= panels.len());
    for part in panels.iter().chain(&targets) {
        assert_eq!(part["datasource"]["uid"], "${datasource}", "{part}");
    }
}

#[test]
fn every_query_follows_the_chosen_namespace_job_and_time() {
    for expression in expressions() {
        for selector in expression.match_indices('{').map(|(at, _)| &expression[at..]) {
            let ours = r#"{namespace=~"$namespace",job=~"$job""#;
            assert!(selector.starts_with(ours), "{expression}");
        }
        for range in expression.split('[').skip(1).filter(|range| !range.starts_with('.')) {
            assert!(range.starts_with("$__"), "{expression}");
        }
    }
}

#[test]
fn no_two_panels_share_an_id() {
    let ids: BTreeSet<i64> = panels().iter().map(|panel| panel["id"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), panels().len());
}

#[test]
fn figures_of_processes_are_those_of_postcall() {
    let of_processes: Vec<String> =
        expressions().into_iter().filter(|it| it.contains("process_")).collect();
    assert!(of_processes.len() > 3);
    for expression in of_processes {
        let ours = "and on (cluster, namespace, job, instance) postcall_build_info";
        assert!(expression.contains(ours), "{expression}");
    }
}

pub struct Metric {
    pub name: String,
    is_histogram: bool,
}

impl Metric {
    /// The names under which its series are found.
    pub fn names(&self) -> impl Iterator<Item = String> + '_ {
        let suffixes: &[&str] =
            if self.is_histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        suffixes.iter().map(|suffix| format!("{}{suffix}", self.name))
    }
}

/// Everything that a running service shows.
pub fn metrics() -> Vec<Metric> {
    let name = |text: &str| text.parse().unwrap();
    let labels = LabelSets {
        sources: vec![(name("ivr"), vec!["v3"])],
        surveys: vec![name("quality")],
        accounts: vec![name("main")],
        rejections: vec!["missing"],
        fields: [(name("quality"), vec![(name("queue"), "queue".to_owned())])].into(),
        answers: vec![(name("quality"), name("score"), vec!["5".to_owned()])],
    };
    Metrics::new(&labels, "hash")
        .render()
        .unwrap()
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| Metric { name: name.to_owned(), is_histogram: kind == "histogram" })
        .collect()
}

/// The words in the queries that begin as our metrics do.
fn names_asked_for() -> BTreeSet<String> {
    expressions()
        .iter()
        .flat_map(|expression| expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| word.starts_with("postcall_") || word.starts_with("process_"))
        .map(str::to_owned)
        .collect()
}

fn expressions() -> Vec<String> {
    targets().iter().map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

fn targets() -> Vec<Value> {
    panels().iter().flat_map(|panel| panel["targets"].as_array().unwrap().clone()).collect()
}

/// The panels of all rows, folded ones too, without the rows themselves.
fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let top = dashboard["panels"].as_array().unwrap();
    let folded = top.iter().filter_map(|panel| panel["panels"].as_array()).flatten();
    top.iter().chain(folded).filter(|panel| panel["type"] != "row").cloned().collect()
}
