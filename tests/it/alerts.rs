//! The alerts ask for what the service counts, and each leads to a chapter of the runbook.

use std::collections::BTreeSet;

use config::{Config, File, FileFormat};
use serde_json::Value;

use crate::dashboard::{Metric, metrics};

const RULES: &str = include_str!("../../deploy/prometheus/rules.yml");
/// Where the runbook is published; each has to be absolute, because it is read in a pager.
const PUBLISHED: &str = "https://docs.example.com/postcall/runbook.html#";
const RUNBOOK: &str = include_str!("../../docs/runbook.md");

#[test]
fn every_alert_leads_to_a_chapter_of_the_runbook_and_every_chapter_to_an_alert() {
    let chapters: BTreeSet<String> = RUNBOOK
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| format!("{PUBLISHED}{}", anchor(title)))
        .collect();
    let named: BTreeSet<String> =
        alerts().iter().map(|alert| text(&alert["annotations"]["runbook_url"])).collect();
    assert_eq!(named, chapters);
}

#[test]
fn every_alert_says_how_urgent_it_is_and_what_to_do() {
    let alerts = alerts();
    assert!(alerts.len() > 10);
    for alert in alerts {
        let severity = text(&alert["labels"]["severity"]);
        assert!(["critical", "warning", "info"].contains(&&*severity), "{alert}");
        for annotation in ["summary", "description"] {
            assert!(text(&alert["annotations"][annotation]).len() > 10, "{alert}");
        }
    }
}

#[test]
fn every_alert_asks_for_figures_that_exist() {
    let known: BTreeSet<String> = metrics().iter().flat_map(Metric::names).collect();
    for rule in rules() {
        let expression = text(&rule["expr"]);
        for word in expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':') {
            let is_ours = word.starts_with("postcall_");
            assert!(!is_ours || known.contains(word), "no metric is called {word}");
        }
    }
}

#[test]
fn no_alert_depends_on_the_name_of_a_job_or_has_the_label_of_an_instance() {
    for alert in alerts() {
        let expression = text(&alert["expr"]);
        assert!(!expression.contains("job="), "{expression}");
        let is_aggregated = ["by (cluster, namespace, job", "absent_over_time", "job:"]
            .iter()
            .any(|part| expression.contains(part));
        assert!(is_aggregated && !expression.contains("without (instance"), "{expression}");
    }
}

#[test]
fn every_command_of_the_runbook_is_shown_for_kubernetes_too() {
    let mut commands = 0;
    for chapter in RUNBOOK.split("\n## ").skip(1) {
        for command in chapter.split("`postcall ").skip(1) {
            let verb: String = command
                .split(['`', '['])
                .next()
                .unwrap()
                .split_whitespace()
                .take_while(|word| word.chars().all(|c| c.is_ascii_lowercase()))
                .collect::<Vec<_>>()
                .join(" ");
            let title = chapter.lines().next().unwrap();
            let shown = format!("exec postcall-0 -- /postcall {verb}");
            assert!(chapter.contains(&shown), "{title}: no `kubectl` form of `postcall {verb}`");
            commands += 1;
        }
    }
    assert!(commands > 20, "{commands}");
}

fn alerts() -> Vec<Value> {
    rules().into_iter().filter(|rule| rule["alert"].is_string()).collect()
}

fn rules() -> Vec<Value> {
    let rules: Value = Config::builder()
        .add_source(File::from_str(RULES, FileFormat::Yaml))
        .build()
        .and_then(Config::try_deserialize)
        .unwrap();
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// As GitHub makes it of a heading.
fn anchor(title: &str) -> String {
    let kept = title.chars().filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-');
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}
