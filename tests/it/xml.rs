//! `postcall xml`: the answer XML of a survey.

use std::process::{Command, Output};

use postcall::settings::Settings;
use tempfile::TempDir;

const SETTINGS: &str = r##"
public: { url: https://surveys.example.com }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { env: NOT_SET_AUTH_TOKEN } }
sources:
  ivr: { preset: plivo, account: main, survey: digits }
  nps: { preset: plivo, account: main, survey: nps }
  keys: { preset: plivo, account: main, survey: keys }
  thumbs: { preset: plivo, account: main, survey: thumbs }
  several: { preset: plivo, account: main, survey: several }
  asks:
    preset: plivo
    account: main
    survey: asks
    on_reject: reply
    replies: [{ when: not answered.problem, xml: "<Response><Speak>Why?</Speak></Response>" }, { xml: <Response/> }]
  form: { preset: generic-json, account: main, survey: form, signature: none }
  one: { preset: plivo, account: main, survey: twice }
  two: { preset: plivo, account: main, survey: twice }
surveys:
  digits:
    questions:
      - { name: score, answers: 1-5, prompt: "How was this call? Press 1 & <5>." }
    rating: { question: score }
  nps:
    questions:
      - name: score
        number: [0, 10]
        prompt: { en-US: "Press 0 to 10, then the pound key.", es-ES: "Pulse de 0 a 10 y la tecla numeral." }
    rating: { question: score, scale: { from: [0, 10] } }
  keys:
    questions: [{ name: score, answers: [1, 2, "*", "#"], opt_out: ["9"], prompt: "Press a key." }]
    rating: { question: score, table: [{ answer: 1, rating: 1 }, { answer: 2, rating: 3 }, { answer: "*", rating: 4 }, { answer: "#", rating: 5 }] }
  thumbs:
    questions: [{ name: solved, yes_no: { "yes": ["1"], "no": ["2"] }, prompt: "Press 1 for yes, 2 for no." }]
    rating: { question: solved, thumbs: { up: "yes", down: "no" } }
  several:
    questions:
      - { name: score, answers: 1-10, prompt: "1 to 10?" }
      - { name: problem, answers: 1-3, multiple: true, prompt: "Which of 1 to 3?" }
      - { name: why, answers: 1-3, ask_when: score < 5, prompt: "Why?" }
      - { name: comment, text: 100, optional: true }
    rating: { question: score, scale: { from: [1, 10] } }
    notes: "{{ problem }} {{ why }} {{ comment }}"
  asks:
    questions:
      - { name: score, answers: 1-5, prompt: "1 to 5?" }
      - { name: problem, answers: 1-3, prompt: "1 to 3?" }
    rating: { question: score }
    notes: "{{ problem }}"
  form:
    questions: [{ name: score, number: [1, 5], decimals: 1 }]
    rating: { question: score }
  twice:
    questions: [{ name: score, answers: 1-5 }]
    rating: { question: score }
"##;

fn folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("postcall-test-").tempdir().unwrap();
    std::fs::write(folder.path().join("postcall.yaml"), SETTINGS).unwrap();
    folder
}

fn xml(arguments: &[&str]) -> Output {
    let folder = folder();
    let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
    command.arg("xml").args(arguments).current_dir(folder.path()).env_remove("POSTCALL_CONFIG");
    command.output().expect("the command can be run")
}

/// What is printed, and then each note.
fn printed(arguments: &[&str]) -> String {
    let output = xml(arguments);
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{notes}");
    String::from_utf8(output.stdout).unwrap() + &notes
}

fn refused(arguments: &[&str]) -> String {
    let output = xml(arguments);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(1), &[][..]));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn answer_xml_asks_for_the_keys_of_each_domain() {
    let nps = ["nps", "--language", "en-US"];
    let surveys: [&[&str]; 6] =
        [&["digits"], &nps, &["keys"], &["thumbs"], &["several"], &["asks"]];
    let all: Vec<_> = surveys.iter().map(|arguments| printed(arguments)).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn answer_xml_speaks_the_language_that_is_named() {
    let spanish = printed(&["nps", "--language", "es-ES"]);
    assert!(spanish.contains(r#"<Speak language="es-ES">Pulse de 0 a 10"#), "{spanish}");
    let english = printed(&["digits", "--language", "en-GB"]);
    assert!(english.contains(r#"<Speak language="en-GB">How was this call?"#), "{english}");
    let error = "error: question score: it has prompts in en-US, es-ES: name one with --language\n";
    assert_eq!(refused(&["nps"]), error);
    let missing = refused(&["nps", "--language", "fr-FR"]);
    assert!(
        missing.contains("it has no prompt in fr-FR: there is one in en-US, es-ES"),
        "{missing}"
    );
}

#[test]
fn answer_xml_in_a_language_without_a_prompt_of_its_own_is_noted() {
    let output = xml(&["digits", "--language", "es-ES"]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stdout).unwrap().contains("language=\"es-ES\""));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "note: score has one prompt for all languages, which is spoken as es-ES: write prompt: \
         { es-ES: … } if it is in another\n"
    );
    for arguments in [&["digits"][..], &["nps", "--language", "es-ES"]] {
        assert_eq!(xml(arguments).stderr, b"", "{arguments:?}");
    }
}

#[test]
fn answer_xml_that_cannot_be_written_is_refused_with_what_would_be_right() {
    let errors: Vec<_> = [
        &["nobody"][..],
        &["form"],
        &["form", "--source", "form"],
        &["digits", "--source", "nps"],
        &["twice"],
        &["twice", "--source", "one"],
    ]
    .iter()
    .map(|arguments| refused(arguments))
    .collect();
    insta::assert_snapshot!(errors.concat());
}

/// The README's question is the one that the command prints.
#[test]
fn answer_xml_of_the_readme_is_what_the_command_prints() {
    let readme = include_str!("../../README.md");
    let element = |text: &str| {
        let (_, rest) = text.split_once("<GetDigits ").expect("there is a question");
        rest.split_once('>').unwrap().0.to_owned()
    };
    assert_eq!(element(readme), element(&printed(&["digits"])));
}

#[test]
fn prompt_that_cannot_be_spoken_is_refused_with_what_would_be_right() {
    let errors = |prompt: &str| {
        let settings = SETTINGS.replace("prompt: \"Press a key.\"", &format!("prompt: {prompt}"));
        let environment = [("NOT_SET_AUTH_TOKEN", "a-made-up-auth-token")].into_iter().collect();
        Settings::from_yaml(&settings, environment).unwrap_err().to_string()
    };
    let long = format!("\"{}\"", "a".repeat(1001));
    let wrong = [
        "\"\"",
        "12",
        "[a]",
        "{}",
        "{ english: Press a key. }",
        "{ en-us: Press a key., es-ES: 12 }",
        &long,
        "\"Press\\u0007\"",
    ];
    let all: Vec<_> = wrong.iter().map(|prompt| errors(prompt)).collect();
    insta::assert_snapshot!(all.join("\n"));
}
