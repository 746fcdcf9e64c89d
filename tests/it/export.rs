//! An export has a column for each question and each field of the surveys.

use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::test_env::{SETTINGS, TestEnv};

/// Surveys with the fields that they know, and a source that reads one.
fn settings() -> String {
    let source = "ivr: { preset: plivo, account: main, survey: quality,";
    let field = format!(
        "{source} extract: {{ fields: {{ region: query:region, campaign: query:campaign }} }},"
    );
    let quality = "  quality:\n";
    let declared = format!("{quality}    fields: [region, campaign]\n");
    let settings = SETTINGS.replace(source, &field).replace(quality, &declared);
    settings.replace(
        "questions: [{ name: score, answers: 1-5 }, {",
        "questions: [{ name: zeal, text: 9, optional: true }, { name: score, answers: 1-5 }, {",
    )
}

#[track_caller]
fn export(test_env: &TestEnv, more: &[&str]) -> String {
    let mut command = test_env.postcall(&[&["submissions", "export"], more].concat());
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The columns that questions and fields have, in the head and in the line of a call.
fn columns(csv: &str, call: &str) -> Vec<(String, String)> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let head = reader.headers().unwrap().clone();
    let mut records = reader.records().map(Result::unwrap);
    let record = records.find(|record| record.iter().any(|value| value == call)).unwrap();
    let pairs = head.iter().zip(&record).map(|(name, value)| (name.to_owned(), value.to_owned()));
    pairs.filter(|(name, _)| name.starts_with("answer_") || name.starts_with("field_")).collect()
}

#[test]
fn an_export_overwrites_no_file_and_says_what_to_do() {
    let mut test_env = TestEnv::of(&settings());
    test_env.start();
    test_env.stop();
    let file = test_env.folder().join("export.jsonl");
    std::fs::write(&file, "of yesterday").unwrap();
    let arguments = ["submissions", "export", "--to", file.to_str().unwrap()];
    let output = test_env.postcall(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        format!(
            "error: {} exists, and is not overwritten: remove it, or name another file with --to\n",
            file.display()
        )
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "of yesterday");
}

#[test]
fn an_export_has_a_column_for_each_question_and_field() {
    let mut test_env = TestEnv::of(&settings());
    test_env.start();
    test_env.caller("rated").at("ivr").asked("score&campaign=spring").has_pressed("2");
    test_env.caller("rated").at("ivr").asked("problem").has_pressed("1");
    test_env.until_it_is("rated", "delivered");
    test_env.caller("outside").has_pressed("9");
    test_env.until_it_is("outside", "ignored(invalid_answer)");

    let admin = format!("http://{}", test_env.private());
    let csv = export(&test_env, &["--format", "csv", "--admin-url", &admin]);
    let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let rated = [
        ("answer_zeal", ""),
        ("answer_score", "2"),
        ("answer_problem", "1"),
        ("field_region", ""),
        ("field_campaign", "spring"),
    ];
    assert_eq!(columns(&csv, "rated"), rated.map(pair));
    let outside = rated.map(|(name, _)| pair((name, "")));
    assert_eq!(columns(&csv, "outside"), outside, "only answers in their domain count");

    let jsonl = export(&test_env, &["--call", "rated", "--admin-url", &admin]);
    let line: Value = serde_json::from_str(&jsonl).unwrap();
    assert_eq!(line["answered"], json!({ "score": "2", "problem": "1" }));
    assert_eq!(line["fields"], json!({ "campaign": "spring" }));

    test_env.stop();
    assert_eq!(export(&test_env, &["--format", "csv"]), csv, "the store says the same");
    let store = test_env.store.path().to_str().unwrap().to_owned();
    let named = export(&test_env, &["--format", "csv", "--store", &store]);
    assert_eq!(named, csv, "a store that is named says the same");
}

/// The program in a folder without settings, such as one of backups.
fn elsewhere(test_env: &TestEnv, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
    command.args(arguments).args(["--store", test_env.store.path().to_str().unwrap()]);
    command.env_remove("POSTCALL_CONFIG").current_dir(test_env.folder()).output().unwrap()
}

#[test]
fn a_store_that_is_named_without_settings_is_read_with_a_warning() {
    let mut test_env = TestEnv::of(&settings());
    test_env.start();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    test_env.stop();
    for verb in [["export", "--format=csv"], ["show", "c-1"]] {
        let output = elsewhere(&test_env, &[&["submissions"], &verb[..]].concat());
        assert!(output.status.success(), "{output:?}");
        let warning = String::from_utf8(output.stderr).unwrap();
        for part in ["WARNING: answers and fields are not known", "no settings file"] {
            assert!(warning.contains(part), "{verb:?}: {warning}");
        }
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains("c-1") && !text.contains("answer_"), "{text}");
    }
}

#[test]
fn a_store_that_is_named_is_read_with_settings_whose_secrets_are_not_set() {
    let mut test_env = TestEnv::of(&settings());
    test_env.start();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    test_env.stop();
    std::fs::remove_file(test_env.folder().join("token")).unwrap();
    let store = test_env.store.path().to_str().unwrap().to_owned();
    let csv = export(&test_env, &["--format", "csv", "--store", &store]);
    assert!(csv.contains("answer_score"), "{csv}");
}
