//! `postcall init`: what it writes is valid, whatever it is asked for.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

const PRESETS: [&str; 15] = [
    "plivo",
    "plivo-phlo",
    "twilio",
    "vonage",
    "telnyx",
    "jambonz",
    "genesys",
    "amazon-connect",
    "yeastar",
    "typeform",
    "delighted",
    "zendesk",
    "standard-webhooks",
    "generic-json",
    "generic-form",
];

const SCALES: [&str; 4] = ["1-5", "5-1", "0-10", "yes-no"];

fn folder() -> TempDir {
    tempfile::Builder::new().prefix("postcall-test-").tempdir().unwrap()
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env_remove("POSTCALL_CONFIG").output().expect("the command can be run")
}

fn stdout(output: &Output) -> String {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[test]
fn init_writes_settings_that_pass_check_and_test_for_every_preset_and_scale() {
    for preset in PRESETS {
        for scale in SCALES {
            let folder = folder();
            let run = |arguments: &[&str]| run(folder.path(), arguments);
            let printed = stdout(&run(&["init", "--preset", preset, "--scale", scale]));
            assert!(
                printed.starts_with("wrote postcall.yaml and postcall.test.yaml\n"),
                "{printed}"
            );
            let printed = stdout(&run(&["check", "--without-secrets"]));
            assert!(printed.contains(&format!("survey {}", "quality")), "{printed}");
            let ran = run(&["test", "--without-secrets"]);
            assert!(stdout(&ran).ends_with("3 passed, 0 failed\n"), "{preset} {scale}");
        }
    }
}

#[test]
fn init_writes_prompts_for_plivo_that_xml_can_ask() {
    for scale in SCALES {
        let folder = folder();
        stdout(&run(folder.path(), &["init", "--preset", "plivo", "--scale", scale]));
        let xml = stdout(&run(folder.path(), &["xml", "quality"]));
        assert!(xml.contains("<Speak>") && xml.contains("quality of this call"), "{xml}");
    }
}

#[test]
fn init_writes_a_comment_before_every_setting() {
    let folder = folder();
    stdout(&run(folder.path(), &["init", "--preset", "twilio", "--scale", "0-10"]));
    let settings = std::fs::read_to_string(folder.path().join("postcall.yaml")).unwrap();
    insta::assert_snapshot!(settings);
    let cases = std::fs::read_to_string(folder.path().join("postcall.test.yaml")).unwrap();
    insta::assert_snapshot!(cases);
}

#[test]
fn init_names_the_secrets_that_make_check_pass() {
    let folder = folder();
    let arguments = ["init", "--preset", "typeform", "--yes", "--output", "forms.yaml"];
    let printed = stdout(&run(folder.path(), &arguments));
    assert!(printed.contains("set PLIVO_AUTH_TOKEN and TYPEFORM_SECRET, and run:\n"), "{printed}");
    assert!(printed.ends_with("  postcall serve --config forms.yaml\n"), "{printed}");
    let check = |names: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
        command.args(["check", "forms.yaml"]).current_dir(folder.path());
        command.envs(names.iter().map(|name| (name, "a-secret-made-up-for-this-test")));
        command.output().unwrap()
    };
    assert_eq!(check(&["PLIVO_AUTH_TOKEN"]).status.code(), Some(78));
    stdout(&check(&["PLIVO_AUTH_TOKEN", "TYPEFORM_SECRET"]));
}

#[test]
fn init_overwrites_no_file_unless_it_is_forced_to() {
    let folder = folder();
    let path = |name: &str| folder.path().join(name);
    let init = |arguments: &[&str]| run(folder.path(), &[&["init", "--yes"], arguments].concat());
    for taken in ["postcall.yaml", "postcall.test.yaml"] {
        std::fs::write(path(taken), "mine").unwrap();
        let refused = init(&[]);
        assert_eq!(refused.status.code(), Some(1));
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        let expected =
            format!("error: {taken} exists: --force overwrites it, --output FILE writes another\n");
        assert_eq!(error, expected);
        assert_eq!(std::fs::read_to_string(path(taken)).unwrap(), "mine");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is written");
        std::fs::remove_file(path(taken)).unwrap();
    }
    std::fs::write(path("postcall.yaml"), "mine ".repeat(9000)).unwrap();
    stdout(&init(&["--force"]));
    stdout(&run(folder.path(), &["check", "--without-secrets"]));
}

#[test]
fn init_without_a_terminal_says_which_flags_answer_its_questions() {
    let folder = folder();
    let refused = run(folder.path(), &["init", "--preset", "plivo"]);
    assert_eq!(refused.status.code(), Some(2));
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        error.contains("name --preset and --scale, or accept plivo and 1-5 with --yes"),
        "{error}"
    );
    for wrong in [["--preset", "nobody"], ["--scale", "1-7"], ["--survey", "My Survey"]] {
        let refused = run(folder.path(), &["init", "--yes", wrong[0], wrong[1]]);
        assert_eq!(refused.status.code(), Some(2), "{wrong:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
