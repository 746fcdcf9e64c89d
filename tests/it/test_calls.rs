//! Tests through a sender's signature (`postcall sign --test`): kept, shown, and never delivered.

use std::process::Command;

use serde_json::{Value, json};

use crate::test_env::TestEnv;

/// The environment, with a person who runs commands beside the service.
struct Operator(TestEnv);

impl Operator {
    /// Runs a command to its successful end, and returns what it prints.
    #[track_caller]
    fn does(&self, arguments: &[&str]) -> String {
        printed(self.0.postcall(arguments))
    }

    /// As [`does`](Self::does), for what asks the service.
    #[track_caller]
    fn asks(&self, arguments: &[&str]) -> String {
        let mut command = self.0.postcall(arguments);
        command.arg("--admin-url").arg(format!("http://{}", self.0.private()));
        printed(command)
    }

    #[track_caller]
    fn submissions(&self, conditions: &[&str]) -> Vec<Value> {
        let list = ["submissions", "list", "--output", "json"];
        let printed = self.asks(&[&list, conditions].concat());
        printed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Sends a test through the source `quick`, and returns its submission's id.
    fn sends_a_test(&self, digits: &str) -> String {
        let to = format!("http://{}", self.0.public());
        self.does(&["sign", "quick", "--test", "--digits", digits, "--to", &to, "--send"]);
        let [test] = &self.submissions(&["--limit", "1"])[..] else { panic!("the test is listed") };
        test["id"].as_str().unwrap().to_owned()
    }

    fn until_it_is_ignored(&self, id: &str) -> Value {
        self.0.until("the test is ignored", || {
            self.submissions(&["--reason", "test"]).iter().any(|it| it["id"] == id)
        });
        let shown = self.asks(&["submissions", "show", id, "--output", "json"]);
        serde_json::from_str(&shown).unwrap()
    }
}

#[track_caller]
fn printed(mut command: Command) -> String {
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    assert!(output.status.success(), "{out}{err}");
    out
}

#[test]
fn a_signed_test_is_kept_and_shown_and_never_delivered() {
    let operator = Operator(TestEnv::new());
    let id = operator.sends_a_test("5");
    let shown = operator.until_it_is_ignored(&id);
    assert_eq!((&shown["state"], &shown["test"]), (&json!("ignored"), &json!(true)));
    let detail = shown["detail"].as_str().unwrap();
    assert!(detail.ends_with(r#"a caller's answers would be feedback {"rating":5}"#), "{detail}");
    assert_eq!(shown["answers"][0]["value"], "5");

    let listed = operator.asks(&["submissions"]);
    assert!(listed.contains("ignored (test)"), "{listed}");
    let text = operator.asks(&["submissions", "show", &id]);
    assert!(text.contains("yes: kept and shown, never delivered"), "{text}");

    let figures = operator.0.figures();
    assert_eq!(figures.of(r#"submissions_ignored_total{reason="test",survey="quick"}"#), 1.0);
    assert_eq!(figures.of(r#"rating_count{survey="quick"}"#), 0.0);
    assert_eq!(operator.0.plivo.requests(), 0);

    operator.0.caller("c-1").has_pressed("4");
    operator.0.until_it_is("c-1", "delivered");
    assert_eq!(operator.0.plivo.requests(), 1, "only the call is delivered");
}

#[test]
fn a_replay_of_a_test_delivers_nothing() {
    let operator = Operator(TestEnv::new());
    let id = operator.sends_a_test("4");
    operator.until_it_is_ignored(&id);
    let dry = operator.asks(&["submissions", "replay", &id, "--dry-run", "--output", "json"]);
    assert!(dry.contains(r#""ignored":"test""#), "{dry}");
    for more in [&[][..], &["--include-delivered"]] {
        operator.asks(&[&["submissions", "replay", &id][..], more].concat());
        operator.until_it_is_ignored(&id);
    }
    let counted = r#"submissions_ignored_total{reason="test",survey="quick"}"#;
    operator.0.until("each replay is settled", || operator.0.figures().of(counted) == 3.0);
    let mut same_payload = operator.0.postcall(&["submissions", "replay", &id, "--same-payload"]);
    same_payload.arg("--admin-url").arg(format!("http://{}", operator.0.private()));
    let refused = same_payload.output().unwrap();
    assert!(
        String::from_utf8_lossy(&refused.stdout).contains("it was never offered"),
        "{refused:?}"
    );
    assert_eq!(operator.0.plivo.requests(), 0);
}

#[test]
fn a_test_cannot_name_a_call_beside_it() {
    let operator = Operator(TestEnv::new());
    let sign = ["sign", "quick", "--test", "--digits", "4"];
    let query = [&sign[..], &["--query", "call_uuid=rated"]].concat();
    let refused = operator.0.postcall(&query).output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("--query names another call than the test's"), "{said}");
    let both = [&sign[..], &["--call", "rated"]].concat();
    assert_eq!(operator.0.postcall(&both).output().unwrap().status.code(), Some(2));
}

#[test]
fn explain_says_that_a_test_is_not_delivered() {
    let operator = Operator(TestEnv::new());
    let form = "CallUUID=postcall-test-1&Digits=4";
    let curl = operator.does(&["sign", "quick", "--form", form]);
    let file = operator.0.folder().join("test.http");
    std::fs::write(&file, curl).unwrap();
    let explained = operator.does(&["explain", file.to_str().unwrap()]);
    assert!(explained.contains("a test, never delivered"), "{explained}");
    assert!(!explained.contains("/Feedback/"), "no request is shown: {explained}");
}
