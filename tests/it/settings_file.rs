//! Which settings file a command uses, and what it says if there is none.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const SETTINGS: &str = r#"
public: { url: https://surveys.example.com }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { value: a-made-up-auth-token } }
sources:
  ivr: { preset: plivo, account: main, survey: quick }
surveys:
  quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score } }
"#;

const CASES: &str = r#"
cases:
  - name: a caller presses 4
    webhooks: [{ source: ivr, form: "CallUUID=c-1&Digits=4" }]
    expect: { feedback: { rating: 4, issues: [OTHERS] } }
"#;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::Builder::new().prefix("postcall-test-").tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

/// Runs a command in a folder, without variables that name settings.
fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
    command.args(arguments).current_dir(folder).env_remove("POSTCALL_CONFIG");
    command.output().expect("the command can be run")
}

fn stdout(output: &Output) -> String {
    let (printed, error) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}{error}", String::from_utf8_lossy(printed));
    String::from_utf8(printed.clone()).unwrap()
}

fn refused(output: &Output, code: i32) -> String {
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(code), &[][..]));
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn settings_file_of_the_folder_is_found_and_named() {
    let folder = folder(&[("postcall.yaml", SETTINGS), ("quick.test.yaml", CASES)]);
    let printed = stdout(&run(folder.path(), &["check"]));
    assert!(printed.starts_with("settings: postcall.yaml is valid (hash "), "{printed}");
    let printed = stdout(&run(folder.path(), &["check", "--output", "json"]));
    let checked: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(checked["file"], "postcall.yaml");
    let printed = stdout(&run(folder.path(), &["test"]));
    assert!(printed.ends_with("1 passed, 0 failed\n"), "{printed}");
}

#[test]
fn settings_file_can_be_an_argument_of_check_and_test() {
    let broken = "accounts: {}\n";
    let files = [("postcall.yaml", broken), ("own.yaml", SETTINGS), ("quick.test.yaml", CASES)];
    let folder = folder(&files);
    let printed = stdout(&run(folder.path(), &["check", "own.yaml"]));
    assert!(printed.starts_with("settings: own.yaml is valid (hash "), "{printed}");
    for arguments in [&["test", "own.yaml"][..], &["test", "quick.test.yaml", "own.yaml"]] {
        let printed = stdout(&run(folder.path(), arguments));
        assert!(printed.starts_with("quick.test.yaml\n  ok "), "{printed}");
    }
    let twice = run(folder.path(), &["check", "own.yaml", "--config", "postcall.yaml"]);
    assert!(refused(&twice, 2).contains("cannot be used with"));
    let twice = run(folder.path(), &["test", "own.yaml", "--config", "postcall.yaml"]);
    let error = "postcall.yaml and own.yaml are settings files: name one\n";
    assert_eq!(refused(&twice, 2), error);
}

#[test]
fn settings_file_that_is_nowhere_is_reported_with_both_places_and_init() {
    let folder = folder(&[]);
    for arguments in [&["check"][..], &["serve"], &["submissions"]] {
        assert_eq!(
            refused(&run(folder.path(), arguments), 78),
            "no settings file: neither ./postcall.yaml nor /etc/postcall/postcall.yaml exists, and \
             neither --config nor POSTCALL_CONFIG names one.\nWrite one with `postcall init`.\n"
        );
    }
}
