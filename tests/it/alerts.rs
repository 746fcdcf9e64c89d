//! The alerts ask for what the service counts, and each leads to a chapter of the runbook.

use std::collections::BTreeSet;

use config::{Config, File, FileFormat};
use serde_json::Value;

use crate::dashboard::metrics;

const RULES: &str = include_str!("../../deploy/prometheus/rules.yml");
const RUNBOOK: &str = include_str!("../../docs/runbook.md");

#[test]
fn every_alert_leads_to_a_chapter_of_the_runbook_and_every_chapter_to_an_alert() {
    let chapters: BTreeSet<String> = RUNBOOK
        .lines()
        .filter_map(|line| line.strip_prefix("## "))
        .map(|title| format!("docs/runbook.md#{}", anchor(title)))
        .collect();
    let named: BTreeSet<String> =
        alerts().iter().map(|alert| text(&alert["annotations"]["runbook"])).collect();
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
    let known: BTreeSet<String> = metrics().into_iter().map(|metric| metric.name).collect();
    for rule in rules() {
        let expression = text(&rule["expr"]);
        for word in expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':') {
            let is_ours = word.starts_with("postcall_");
            assert!(!is_ours || known.contains(word), "no metric is called {word}");
        }
    }
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
