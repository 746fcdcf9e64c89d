//! `postcall diff`: what another settings file makes of the same answers.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::test_env::{SETTINGS, TestEnv};

/// Settings as they were, beside a service that may run with them.
struct Reviewer {
    test_env: TestEnv,
}

/// What the command printed; 0 is equal and 1 is different.
struct Printed {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Reviewer {
    fn new() -> Self {
        Self { test_env: TestEnv::of(SETTINGS) }
    }

    /// Compares the settings with themselves after `change`.
    fn diff(&self, change: impl FnOnce(String) -> String, arguments: &[&str]) -> Printed {
        let text = SETTINGS
            .replace("@folder@", self.test_env.folder().to_str().unwrap())
            .replace("@plivo@", "https://stats.plivo.com");
        let [old, new] = ["old.yaml", "new.yaml"].map(|file| self.test_env.folder().join(file));
        fs::write(&old, &text).unwrap();
        fs::write(&new, change(text)).unwrap();
        let [old, new] = [&old, &new].map(|path| path.to_str().unwrap());
        let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
        command.args(["diff", old, new]).args(arguments);
        let Output { status, stdout, stderr } = command.output().unwrap();
        let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        Printed { code: status.code(), stdout, stderr }
    }

    fn store(&self) -> String {
        format!("sqlite:{}", self.test_env.store.path().display())
    }
}

impl Printed {
    #[track_caller]
    fn different(self) -> String {
        assert_eq!((self.code, &*self.stderr), (Some(1), ""), "{}", self.stdout);
        self.stdout
    }
}

fn reversed(settings: String) -> String {
    let quick = "rating: { question: score }, complete: { timeout: 0s }";
    assert!(settings.contains(quick));
    let scale = "rating: { question: score, scale: { from: [5, 1] } }, complete: { timeout: 0s }";
    settings.replace(quick, scale)
}

fn without_the_survey(settings: String) -> String {
    let goes = |line: &&str| line.starts_with("  ivr:");
    let settings: Vec<&str> = settings.lines().filter(|line| !goes(line)).collect();
    let settings = settings.join("\n");
    let (before, rest) = settings.split_once("  quality:\n").unwrap();
    let (_, after) = rest.split_once("delivery:").unwrap();
    format!("{before}delivery:{after}")
}

fn with_another_issue(settings: String) -> String {
    settings.replace("{ answer: 1, issue: ECHO }", "{ answer: 1, issue: AUDIO_LAG }")
}

#[test]
fn a_diff_of_equal_settings_says_so_and_ends_with_0() {
    let printed = Reviewer::new().diff(|settings| settings.replace("delay: 0s", "delay: 9s"), &[]);
    assert_eq!((printed.code, &*printed.stderr), (Some(0), ""));
    assert_eq!(printed.stdout, "no outcome changes\n");
}

#[test]
fn a_diff_shows_a_reversed_scale_a_changed_issue_and_a_removed_survey() {
    let reviewer = Reviewer::new();
    insta::assert_snapshot!("reversed_scale", reviewer.diff(reversed, &[]).different());
    insta::assert_snapshot!("changed_issue", reviewer.diff(with_another_issue, &[]).different());
    insta::assert_snapshot!("removed_survey", reviewer.diff(without_the_survey, &[]).different());
}

#[test]
fn a_diff_shows_under_which_condition_a_question_is_asked_now() {
    let asked = |settings: String| {
        let problem = "{ name: problem, answers: 1-3";
        assert!(settings.contains(problem));
        settings.replace(problem, &format!("{problem}, ask_when: score < 5"))
    };
    let reviewer = Reviewer::new();
    let printed = reviewer.diff(asked, &[]).different();
    assert!(
        printed.ends_with("  question problem: always asked → asked if score < 5\n"),
        "{printed}"
    );
    let markdown = reviewer.diff(asked, &["--output", "markdown"]).different();
    assert!(
        markdown.contains("question problem: always asked → asked if score &lt; 5"),
        "{markdown}"
    );
    let json = reviewer.diff(asked, &["--output", "json"]).different();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        json["surveys"]["quality"]["changed_ask_when"],
        serde_json::json!([{ "question": "problem", "before": null, "after": "score < 5" }])
    );
}

#[test]
fn a_diff_for_a_pull_request_is_markdown() {
    let both = |settings| with_another_issue(reversed(settings));
    let markdown = Reviewer::new().diff(both, &["--output", "markdown"]).different();
    insta::assert_snapshot!(markdown);
}

#[test]
fn a_diff_with_a_store_counts_the_submissions_that_come_to_something_else() {
    let mut reviewer = Reviewer::new();
    reviewer.test_env.start();
    for (call, digits) in [("c-1", "1"), ("c-2", "2"), ("c-3", "3"), ("c-4", "")] {
        reviewer.test_env.caller(call).has_pressed(digits);
    }
    reviewer.test_env.until("all are settled", || {
        let totals = reviewer.test_env.store.totals();
        totals.delivered == 3 && totals.ignored == 1
    });
    // The service still runs: the store is only read.
    let store = reviewer.store();
    let arguments = ["--store", &store, "--since", "1h", "--output", "json"];
    let report: Value =
        serde_json::from_str(&reviewer.diff(reversed, &arguments).different()).unwrap();
    assert_eq!(report["differs"], true);
    assert_eq!(report["store"]["compared"], 4);
    assert_eq!(report["store"]["changed"], 2);
    assert_eq!(report["store"]["by_survey"]["quick"], 2);
    let mut ratings: Vec<(&str, &str)> = report["store"]["examples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| {
            let rating = |side: &str| it[side]["feedback"]["rating"].as_str().unwrap();
            (rating("before"), rating("after"))
        })
        .collect();
    ratings.sort_unstable();
    assert_eq!(ratings, [("1", "5"), ("2", "4")]);
    assert_eq!(report["surveys"]["quick"]["status"], "changed");

    let later = reviewer.diff(reversed, &["--store", &store, "--since", "2999-01-01"]);
    assert!(later.different().contains("store: 0 of 0 submissions"));
    assert_eq!(reviewer.test_env.store.totals().delivered, 3);
}

#[test]
fn a_diff_never_shows_what_a_caller_said() {
    let mut reviewer = Reviewer::new();
    reviewer.test_env.start();
    reviewer.test_env.caller("c-1").at("ivr").has_pressed("4");
    let other_notes =
        |settings: String| settings.replace("IVR survey: {{ score }} of 5", "said: {{ score }}");
    let store = reviewer.store();
    for output in ["text", "json", "markdown"] {
        let printed = reviewer.diff(other_notes, &["--store", &store, "--output", output]);
        let printed = printed.different();
        let stored = match output {
            "json" => printed.split_once("\"store\"").unwrap().1,
            "text" => printed.split_once("store: ").unwrap().1,
            _ => printed.split_once("**Stored").unwrap().1,
        };
        assert!(!stored.contains("said: 4") && !stored.contains("4 of 5"), "{stored}");
    }
}

#[test]
fn a_diff_refuses_a_store_that_it_cannot_read_and_a_file_that_is_invalid() {
    let reviewer = Reviewer::new();
    let printed = reviewer.diff(|it| it, &["--store", "postgres://db/postcall"]);
    assert_eq!(printed.code, Some(1));
    assert_eq!(
        printed.stderr,
        "error: no store \"postgres://db/postcall\": expected sqlite:FILE, or the path of its file\n"
    );
    let invalid = reviewer.diff(|it| it.replace("answers: 1-5", "answers: 5-1"), &[]);
    assert_eq!(invalid.code, Some(78), "{}", invalid.stderr);
    let usage = reviewer.diff(|it| it, &["--since", "1h"]);
    assert_eq!(usage.code, Some(2), "--since is of a store");
}
