//! Warnings of settings that are valid and probably a mistake.

use serde_json::Value;

use crate::process::{Home, run};
use postcall::settings::{Environment, Settings};

const PLACEHOLDERS: &str = r#"
public: { listen: 127.0.0.1:0, url: "https://surveys.example.com:8443" }
admin: { listen: 127.0.0.1:0 }
accounts:
  main:
    auth_id: MAXXXXXXXXXXXXXXXXXX
    auth_token: { value: token }
    api: https://plivo.example.net/api
  spare: { auth_id: MA3U5Q7R9T1V3X5Z7B9D, auth_token: { value: 0123456789abcdef } }
sources:
  ivr: { preset: plivo, account: main, survey: quality }
  web:
    preset: generic-json
    account: main
    survey: quality
    url: https://edge.test/survey
    signature: { bearer: { value: 0123456789abcdef } }
  open: { preset: plivo, account: main, survey: quality, signature: none }
surveys:
  quality:
    fields: [from]
    questions:
      - { name: score, answers: 1-5 }
      - { name: reason, answers: 1-3 }
    rating: { question: score }
  forgotten:
    questions: [{ name: score, answers: 1-5 }]
    rating: { question: score }
"#;

/// As they are for a real service.
const REAL: &str = r#"
public: { listen: 0.0.0.0:0, url: https://surveys.acme.io }
admin: { listen: 127.0.0.1:0 }
accounts:
  main: { auth_id: MA3U5Q7R9T1V3X5Z7B9D, auth_token: { value: 0123456789abcdef } }
sources:
  ivr: { preset: plivo, account: main, survey: quality }
surveys:
  quality:
    questions: [{ name: score, answers: 1-5 }]
    rating: { question: score }
"#;

fn settings(text: &str) -> Settings {
    Settings::from_yaml(text, Environment::default()).unwrap()
}

/// Each warning of `check`, with what stands before its line cut off.
fn checked(text: &str) -> (Vec<String>, Value) {
    let home = Home::new(text);
    let said = |arguments: &[&str]| {
        let output = run(arguments, &home.settings());
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = format!("{}/", home.settings().parent().unwrap().display());
    let lines = said(&["check"]).replace(&folder, "");
    let lines = lines.lines().filter_map(|line| line.strip_prefix("WARNING: ")).map(str::to_owned);
    let json = serde_json::from_str::<Value>(&said(&["check", "--output", "json"])).unwrap();
    (lines.collect(), json["warnings"].clone())
}

#[test]
fn warnings_of_check_name_placeholders_and_what_is_unused() {
    let (lines, json) = checked(PLACEHOLDERS);
    insta::assert_snapshot!(lines.join("\n"));
    let listed = json.as_array().unwrap();
    assert_eq!(listed.len(), lines.len());
    for (listed, line) in listed.iter().zip(&lines) {
        let [path, message] = ["path", "message"].map(|key| listed[key].as_str().unwrap());
        assert_eq!(*line, format!("postcall.yaml:{}: {path}: {message}", listed["line"]));
        assert_eq!(listed["serve_refuses"], false);
    }
    assert_eq!(checked(REAL), (Vec::new(), serde_json::json!([])));
}

#[test]
fn public_key_that_init_writes_for_telnyx_is_a_placeholder() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("postcall.yaml");
    let init = ["init", "--preset", "telnyx", "--yes", "--output", file.to_str().unwrap()];
    let init =
        std::process::Command::new(env!("CARGO_BIN_EXE_postcall")).args(init).output().unwrap();
    assert!(init.status.success(), "{}", String::from_utf8_lossy(&init.stderr));
    let written = std::fs::read_to_string(&file).unwrap();
    let line = written.lines().position(|line| line.contains("public_key:")).unwrap() + 1;
    let environment = || [("PLIVO_AUTH_TOKEN", "a-made-up-auth-token")].into_iter().collect();
    let warned = |text: &str| {
        let warnings = Settings::from_yaml(text, environment()).unwrap().warnings.placeholders;
        warnings.into_iter().find(|it| it.path == "sources.ivr.signature.telnyx.public_key")
    };
    let warning = warned(&written).unwrap();
    assert_eq!(warning.location.unwrap().line, line);
    assert!(warning.message.starts_with("this is a placeholder"), "{}", warning.message);
    let own = written.replace("NWdSdHbq", "NWdSdHbr");
    assert_ne!(own, written);
    assert_eq!(warned(&own), None);
}

#[test]
fn placeholders_are_refused_by_serve_unless_every_listener_is_on_loopback() {
    for listener in ["public", "admin"] {
        let reachable = PLACEHOLDERS.replace(
            &format!("{listener}: {{ listen: 127.0.0.1:0"),
            &format!("{listener}: {{ listen: 0.0.0.0:0"),
        );
        assert_ne!(reachable, PLACEHOLDERS);
        let home = Home::new(&reachable);
        let output = run(&["serve"], &home.settings());
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(78), "{said}");
        assert!(said.contains("postcall.yaml:6: accounts.main.auth_id: "), "{said}");
        assert!(!said.contains("no source uses"), "{said}");
        let (lines, json) = checked(&reachable);
        let refused = lines.iter().filter(|line| line.ends_with("; serve refuses it")).count();
        let listed = json.as_array().unwrap().iter();
        assert_eq!(listed.filter(|it| it["serve_refuses"] == true).count(), refused);
        assert_eq!(refused, settings(&reachable).warnings.placeholders.len());
        let github = run(&["check", "--output", "github"], &home.settings());
        let github = String::from_utf8(github.stdout).unwrap();
        let of_github = github.lines().filter(|line| line.ends_with("; serve refuses it")).count();
        assert_eq!(of_github, refused, "{github}");
    }
    assert!(settings(PLACEHOLDERS).for_service().is_ok());
    assert!(settings(REAL).for_service().is_ok());
}

#[test]
fn a_call_id_of_another_vendor_is_warned_of_with_what_to_add() {
    let secret = "{ secret: { value: 0123456789abcdef } }";
    let twilio = format!("{{ twilio: {secret} }}");
    let vonage = format!("{{ vonage: {secret} }}");
    let hmac = format!("{{ hmac: {secret} }}");
    let bearer = "{ bearer: { value: 0123456789abcdef } }";
    let mut shown = String::new();
    for (preset, signature, read) in [
        ("twilio", &*twilio, ""),
        ("twilio", &twilio, "call: form:CallSid"),
        ("twilio", &twilio, "call: query:call_uuid"),
        ("vonage", &vonage, ""),
        ("jambonz", &hmac, ""),
        ("genesys", bearer, ""),
        ("yeastar", &hmac, ""),
        ("amazon-connect", bearer, ""),
        ("generic-json", bearer, ""),
        ("plivo", "{ plivo: {} }", ""),
    ] {
        let own = format!(
            "preset: {preset}, account: main, survey: quality, signature: {signature}, extract: {{ {read} }}"
        );
        let own = match preset {
            "plivo" => "preset: plivo, account: main, survey: quality".to_owned(),
            "vonage" | "yeastar" => {
                own.replace("extract: {", "extract: { question: \"json:$.question\",")
            }
            _ => own,
        };
        let text = REAL.replace("preset: plivo, account: main, survey: quality", &own);
        let warnings = settings(&text).warnings.others;
        let messages: Vec<String> = warnings
            .iter()
            .filter(|it| it.path == "sources.ivr.extract.call")
            .map(|it| it.message.clone())
            .collect();
        shown.push_str(&format!("{preset} {read}\n    {}\n", messages.join("\n    ")));
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn a_number_with_a_leading_zero_is_warned_of_unless_it_is_in_quotes() {
    let branch = "questions: [{ name: branch, answers: [010, '020', 8, 0] }, ";
    let text = REAL.replace("questions: [", branch);
    let warnings = settings(&text).warnings.others;
    let of_zeros = warnings.iter().filter(|it| it.message.contains("begins with 0"));
    let paths: Vec<&str> = of_zeros.map(|it| it.path.as_str()).collect();
    assert_eq!(paths, ["surveys.quality.questions[0].answers[0]"]);
    let (lines, _) = checked(&text);
    assert!(lines.iter().any(|line| line.contains("write it in quotes")), "{lines:?}");
}

/// Messages of `check` at a path, of the real settings with one part replaced.
fn warned(from: &str, to: &str, path: &str) -> Vec<String> {
    assert!(REAL.contains(from), "{from}");
    let warnings = settings(&REAL.replace(from, to)).warnings.others;
    warnings.into_iter().filter(|it| it.path == path).map(|it| it.message).collect()
}

#[test]
fn a_scale_with_an_end_that_no_answer_comes_to_is_warned_of() {
    let warned = |answers: &str, rating: &str| {
        let from = "answers: 1-5 }]\n    rating: { question: score";
        let to = format!("answers: {answers} }}]\n    rating: {{ question: score{rating}");
        warned(from, &to, "surveys.quality.rating.scale.from")
    };
    assert_eq!(
        warned("1-5", ", scale: { from: [0, 10] }"),
        [
            "no answer comes to rating 5: the scale ends at 10, score at 5; no answer comes to rating 1: \
          the scale begins at 0, score at 1; if that is not meant, write from: [1, 5]"
        ]
    );
    assert_eq!(
        warned("1-5", ", scale: { from: [7, 1] }"),
        [
            "no answer comes to rating 1: the scale begins at 7, score at 5; if that is not meant, write \
          from: [5, 1]"
        ]
    );
    assert_eq!(
        warned("1-4", ""),
        [
            "no answer comes to rating 5: the scale ends at 5, score at 4; if that is not meant, write \
          from: [1, 4]"
        ]
    );
    for (answers, rating) in [
        ("1-5", ", scale: { from: [5, 1] }"),
        ("0-9", ", scale: { from: [0, 10], round: whole }"),
        ("1-2", ", table: [{ answer: 1, rating: 2 }, { answer: 2, rating: 4 }]"),
    ] {
        assert_eq!(warned(answers, rating), [""; 0], "{answers} {rating}");
    }
}

#[test]
fn an_auth_id_that_is_none_of_plivos_is_warned_of() {
    let warned = |auth_id: &str| warned("MA3U5Q7R9T1V3X5Z7B9D", auth_id, "accounts.main.auth_id");
    assert_eq!(
        warned("QX3U5Q7R9T1V3X5Z7B9D"),
        ["an Auth ID of Plivo's begins with MA or SA: write the one from Plivo's console"]
    );
    for right in ["SA3U5Q7R9T1V3X5Z7B9D", "QXXXXXXX", "QX1, api: 'https://plivo.acme.io'"] {
        assert_eq!(warned(right), [""; 0], "{right}");
    }
}

#[test]
fn an_admin_listener_that_others_reach_without_a_token_is_warned_of() {
    let warned = |admin: &str| warned("admin: { listen: 127.0.0.1:0 }", admin, "admin.listen");
    let messages = warned("admin: { listen: 0.0.0.0:9090 }");
    assert!(messages[0].contains("the API is off"), "{messages:?}");
    let with_token = "admin: { listen: 0.0.0.0:9090, token: { value: 0123456789abcdefgh } }";
    assert_eq!(warned(with_token), [""; 0]);
}
