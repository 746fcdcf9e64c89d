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

const WITH_SECRETS: &str = r#"
public: { url: https://surveys.example.com }
admin: { token: { file: no/such/token } }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { env: NOT_SET_AUTH_TOKEN } }
sources:
  ivr: { preset: plivo, account: main, survey: quick }
  shop:
    preset: standard-webhooks
    account: main
    survey: quick
    signature: { standard: { secret: [{ env: NOT_SET_NEW }, { file: no/such/secret }] } }
  web: { preset: typeform, account: main, survey: quick, signature: { hmac: { secret: { env: NOT_SET_WEB } } } }
surveys:
  quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score } }
"#;

const MISSING: &str =
    "this secret is not set: a placeholder is used, which matches no real signature";

#[test]
fn secrets_that_are_not_set_are_placeholders_for_check_if_asked() {
    let folder = folder(&[("postcall.yaml", WITH_SECRETS)]);
    let without = refused(&run(folder.path(), &["check"]), 78);
    assert!(
        without.contains("the environment variable NOT_SET_AUTH_TOKEN is not set"),
        "{without}"
    );
    let printed = stdout(&run(folder.path(), &["check", "--without-secrets"]));
    for (line, path) in [
        (3, "admin.token.file"),
        (5, "accounts.main.auth_token.env"),
        (12, "sources.shop.signature.standard.secret[0].env"),
        (12, "sources.shop.signature.standard.secret[1].file"),
        (13, "sources.web.signature.hmac.secret.env"),
    ] {
        let warning =
            format!("WARNING: postcall.yaml:{line}: {path}: {MISSING}; serve refuses it\n");
        assert!(printed.contains(&warning), "{printed}\nhas not {warning}");
    }
    let printed = stdout(&run(folder.path(), &["check", "--without-secrets", "--output", "json"]));
    let checked: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(checked["missing_secrets"].as_array().unwrap().len(), 5);
    assert_eq!(
        checked["missing_secrets"][0],
        serde_json::json!({"path": "admin.token.file", "line": 3})
    );
}

#[test]
fn secrets_that_are_set_are_checked_without_secrets_too() {
    let folder = folder(&[("postcall.yaml", WITH_SECRETS)]);
    let check = |secret: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
        command.args(["check", "--without-secrets"]).current_dir(folder.path());
        command.env_remove("POSTCALL_CONFIG").env("NOT_SET_WEB", secret).output().unwrap()
    };
    assert!(refused(&check("short"), 78).contains("the secret is too short"));
    assert_eq!(stdout(&check("a-secret-of-a-sender")).matches(MISSING).count(), 4);
    assert_eq!(stdout(&check("")).matches(MISSING).count(), 5, "empty is what CI has for a secret");
}

#[test]
fn secrets_that_are_not_set_are_placeholders_for_test_and_explain_if_asked() {
    let own = format!("settings: |{}\n{CASES}", WITH_SECRETS.replace('\n', "\n  "));
    let webhook = "CallUUID=c-1&Digits=4";
    let files = [
        ("postcall.yaml", WITH_SECRETS),
        ("quick.test.yaml", CASES),
        ("own.yaml", &own),
        ("webhook", webhook),
    ];
    let folder = folder(&files);
    for arguments in [&["test"][..], &["test", "own.yaml"]] {
        assert_eq!(run(folder.path(), arguments).status.code(), Some(78));
        let ran = run(folder.path(), &[arguments, &["--without-secrets"]].concat());
        assert!(stdout(&ran).ends_with("1 passed, 0 failed\n"));
        assert_eq!(String::from_utf8_lossy(&ran.stderr).matches(MISSING).count(), 5);
    }
    let arguments = ["explain", "webhook", "--source", "ivr", "--without-secrets"];
    let explained = run(folder.path(), &arguments);
    assert_eq!(explained.status.code(), Some(1), "it is not signed");
    assert_eq!(String::from_utf8_lossy(&explained.stderr).matches(MISSING).count(), 5);
    let serve = run(folder.path(), &["serve", "--without-secrets"]);
    assert!(refused(&serve, 2).contains("unexpected argument '--without-secrets'"));
}

#[test]
fn failure_without_a_settings_file_is_json_if_that_is_asked_for() {
    let folder = folder(&[("request.http", "GET / HTTP/1.1"), ("a.test.yaml", CASES)]);
    let watch = ["explain", "--watch", "request.http"];
    for arguments in [&["check"][..], &["explain", "request.http"], &watch, &["test"]] {
        let ran = run(folder.path(), &[arguments, &["--output", "json"]].concat());
        assert_eq!((ran.status.code(), &ran.stderr[..]), (Some(78), &b""[..]), "{arguments:?}");
        let printed: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(printed["valid"], false);
        let diagnostic = &printed["diagnostics"][0];
        let message = diagnostic["message"].as_str().unwrap();
        assert!(message.starts_with("no settings file: neither ./postcall.yaml"), "{printed}");
        assert_eq!(diagnostic["line"], Value::Null);
    }
    let github = run(folder.path(), &["check", "--output", "github"]);
    assert_eq!(github.status.code(), Some(78));
    let printed = String::from_utf8(github.stdout).unwrap();
    assert!(printed.starts_with("::error::no settings file"), "{printed}");
    let missing = ["diff", "a.yaml", "b.yaml", "--output", "json"];
    let printed: Value = serde_json::from_slice(&run(folder.path(), &missing).stdout).unwrap();
    assert_eq!(printed["diagnostics"][0]["file"], "a.yaml");
}

#[test]
fn faults_of_cases_are_json_if_that_is_asked_for() {
    let cases = CASES.replace("source: ivr", "source: irv");
    let folder = folder(&[("postcall.yaml", SETTINGS), ("quick.test.yaml", &cases)]);
    let ran = run(folder.path(), &["test", "--output", "json"]);
    assert_eq!((ran.status.code(), &ran.stderr[..]), (Some(2), &b""[..]));
    let printed: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let diagnostic = &printed["diagnostics"][0];
    assert_eq!(diagnostic["file"], "quick.test.yaml");
    assert_eq!((&diagnostic["line"], &diagnostic["column"]), (&4.into(), &26.into()));
    assert_eq!(diagnostic["key"], "cases[0].webhooks[0].source");
    assert_eq!(diagnostic["suggestion"], "ivr");
}
