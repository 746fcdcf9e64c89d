//! A stored submission becomes a case of `postcall test`, and the case holds.

use std::process::Output;

use crate::test_env::{SETTINGS, TestEnv};

/// The environment, with a source that sends JSON beside Plivo.
fn test_env() -> TestEnv {
    let web =
        "  web: { preset: generic-json, account: main, survey: quick, signature: none }\nsurveys:";
    let mut test_env = TestEnv::of(&SETTINGS.replace("surveys:", web));
    test_env.start();
    test_env
}

fn run(test_env: &TestEnv, arguments: &[&str]) -> Output {
    test_env.postcall(arguments).output().unwrap()
}

#[track_caller]
fn id(test_env: &TestEnv, call: &str) -> String {
    let admin = format!("http://{}", test_env.private());
    let list = ["submissions", "list", "--call", call, "--output", "json", "--admin-url", &admin];
    let listed = run(test_env, &list);
    let found: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

#[track_caller]
fn as_test(test_env: &TestEnv, call: &str) -> String {
    let id = id(test_env, call);
    let admin = format!("http://{}", test_env.private());
    let shown = run(test_env, &["submissions", "show", &id, "--as-test", "--admin-url", &admin]);
    assert!(shown.status.success(), "{shown:?}");
    String::from_utf8(shown.stdout).unwrap()
}

/// Runs `postcall test` on the text, and returns what it prints and whether the case holds.
fn holds(test_env: &TestEnv, text: &str) -> (bool, String) {
    let file = test_env.folder().join("stored.test.yaml");
    std::fs::write(&file, text).unwrap();
    let tested = run(test_env, &["test", file.to_str().unwrap()]);
    let printed = [tested.stdout, tested.stderr].map(|it| String::from_utf8(it).unwrap()).concat();
    (tested.status.success(), printed)
}

#[test]
fn a_stored_submission_is_printed_as_a_test_that_holds() {
    let test_env = test_env();
    let to = format!("http://{}", test_env.public());
    test_env.caller("rated").at("ivr").asked("score").has_pressed("2");
    test_env.caller("rated").at("ivr").asked("problem").has_pressed("1");
    test_env.caller("outside").has_pressed("9");
    test_env.caller("typo").asked("scroe").has_pressed("4");
    let signed =
        run(&test_env, &["sign", "web", "--call", "web", "--digits", "4", "--to", &to, "--send"]);
    assert!(signed.status.success(), "{signed:?}");
    test_env.caller("open").at("ivr").asked("score").has_pressed("2");

    for (call, state, expected, wrong) in [
        (
            "rated",
            "delivered",
            "feedback: { rating: 2, issues: [ECHO], notes: 'IVR survey: 2 of 5' }",
            "feedback: { rating: 3, issues: [ECHO] }",
        ),
        ("outside", "ignored(invalid_answer)", "ignored: invalid_answer", "ignored: no_answer"),
        ("typo", "dead(unmapped)", "dead: unmapped", "ignored: no_answer"),
        (
            "web",
            "delivered",
            "feedback: { rating: 4, issues: [OTHERS], notes: '' }",
            "dead: unmapped",
        ),
        ("open", "collecting", "collecting: true", "ignored: incomplete"),
    ] {
        test_env.until_it_is(call, state);
        let text = as_test(&test_env, call);
        assert!(text.contains(expected), "{text}");
        let (is_met, printed) = holds(&test_env, &text);
        assert!(is_met, "{text}\n{printed}");
        let (is_met, printed) = holds(&test_env, &text.replace(expected, wrong));
        assert!(!is_met, "{call}: {printed}");
    }
    assert!(as_test(&test_env, "rated").contains("answers: { 'score': '2', 'problem': '1' }"));
}

#[test]
fn an_erased_submission_is_no_test() {
    let test_env = test_env();
    test_env.caller("rated").has_pressed("5");
    test_env.until_it_is("rated", "delivered");
    let id = id(&test_env, "rated");
    let admin = format!("http://{}", test_env.private());
    let erased = run(&test_env, &["submissions", "erase", "rated", "--admin-url", &admin]);
    assert!(erased.status.success(), "{erased:?}");
    let shown = run(&test_env, &["submissions", "show", &id, "--as-test", "--admin-url", &admin]);
    assert_eq!(shown.status.code(), Some(1));
    let said = String::from_utf8(shown.stderr).unwrap();
    assert!(said.contains("no webhook of it is stored any more"), "{said}");
}
