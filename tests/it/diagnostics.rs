//! What an operator reads of a wrong setting: one diagnostic, with the line of the file, a caret below
//! what is wrong, and what would be right.

use std::fmt::Write as _;
use std::path::Path;

use postcall::cli::Failure;
use postcall::settings::{Diagnostic, Environment, Settings, SettingsError};

use serde_json::Value;

use crate::process::{self, Home};
use crate::settings::AS_WRITTEN;
use crate::survey_faults::SETTINGS as SURVEY;

/// A settings file or a variable that is wrong in one place.
struct Wrong {
    name: &'static str,
    text: String,
    variable: Option<(&'static str, &'static str)>,
}

#[test]
fn each_wrong_setting_has_one_diagnostic_with_line_caret_and_what_would_be_right() {
    let wrongs = wrongs();
    assert!(wrongs.len() >= 47, "{}", wrongs.len());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postcall.yaml");
    let mut all = String::new();
    for Wrong { name, text, variable } in &wrongs {
        std::fs::write(&path, text).unwrap();
        let error = load(&path, *variable).err().unwrap_or_else(|| panic!("{name} is accepted"));
        let SettingsError::Faults(faults) = &error else { panic!("{name}: {error}") };
        let [Diagnostic { location, source, .. }] = &faults[..] else { panic!("{name}:\n{error}") };
        let shown = Failure::Settings(SettingsError::Faults(faults.clone())).to_string();
        match (variable, location) {
            (Some((variable, _)), None) => assert!(shown.contains(variable), "{name}: {shown}"),
            (None, Some(location)) => {
                let source =
                    source.as_ref().unwrap_or_else(|| panic!("{name} shows no line: {shown}"));
                assert!(
                    shown.lines().any(|line| line.trim_end().ends_with('^')),
                    "{name}: {shown}"
                );
                let written = text.lines().nth(location.line - 1).unwrap();
                let written = written.trim_start_matches('\u{feff}');
                let is_shown = written.starts_with(&source.text) || source.text.contains('…');
                assert!(is_shown, "{name}: {shown}");
                assert!(location.column <= written.chars().count() + 1, "{name}: {shown}");
            }
            (_, location) => panic!("{name} is at {location:?}: {shown}"),
        }
        let shown = shown.replace(folder.path().to_str().unwrap(), "/etc");
        let shown = shown.strip_prefix("invalid configuration:\n").expect("a heading");
        writeln!(all, "# {name}\n{shown}\n").unwrap();
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_byte_order_mark_alone_is_no_fault() {
    let environment = [("PLIVO_AUTH_TOKEN", "made-up-auth-token")].into_iter().collect();
    Settings::from_yaml(&format!("\u{feff}{AS_WRITTEN}"), environment).unwrap();
}

/// What a container orchestrator sets for a service of this name is no setting.
#[test]
fn variables_of_others_with_one_underscore_are_not_settings() {
    let variables = [
        ("PLIVO_AUTH_TOKEN", "made-up-auth-token"),
        ("POSTCALL_PORT", "tcp://10.0.0.1:80"),
        ("POSTCALL_SERVICE_HOST", "10.0.0.1"),
        ("POSTCALL_CONFIG", "postcall.yaml"),
        ("POSTCALL_STORE", "x"),
        ("POSTCALL_ADMIN_TOKEN", "named by { env: POSTCALL_ADMIN_TOKEN }"),
    ];
    Settings::from_yaml(AS_WRITTEN, variables.into_iter().collect()).unwrap();
}

/// Of two typos each has its diagnostic.
#[test]
fn two_typos_have_two_diagnostics() {
    let text = replaced(AS_WRITTEN, "delay: 60s", "delays: 60s\n  lese: 1s");
    let text = replaced(&text, "preset: plivo", "preset: plvio");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postcall.yaml");
    std::fs::write(&path, text).unwrap();
    let error = load(&path, None).unwrap_err();
    let said = error.to_string().replace(folder.path().to_str().unwrap(), "/etc");
    insta::assert_snapshot!(said, @r"
    /etc/postcall.yaml:15: sources.ivr.preset: there is no such preset; did you mean `plivo`?
    /etc/postcall.yaml:36: delivery.delays: unknown key; did you mean `delay`?
    /etc/postcall.yaml:37: delivery.lese: unknown key; did you mean `lease`?
    ");
}

/// The last letter twice, of every key of two settings files in turn.
#[test]
fn a_typo_in_any_key_has_one_diagnostic_that_names_the_key() {
    const NAMES: [&str; 7] = ["main", "ivr", "quality", "a", "b", "c", "campaign"];
    /// Within a secret nothing is repeated.
    const FORMS: [&str; 2] = ["env", "value"];
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postcall.yaml");
    let (mut tried, mut failed) = (0, String::new());
    for text in [AS_WRITTEN, SURVEY, SENDERS] {
        for (colon, _) in text.match_indices(':') {
            let is_in_a_word = |c: char| c.is_ascii_lowercase() || c == '_';
            let key = text[..colon].rsplit(|c| !is_in_a_word(c)).next().unwrap();
            let is_key = text[colon + 1..].starts_with([' ', '\n']);
            let line = text[..colon].rsplit('\n').next().unwrap();
            // Of `ok` in a reply's JSON and of a field's name nothing is known.
            let is_free = line.ends_with("{ ok") || line.contains("fields: { from");
            if key.is_empty() || !is_key || is_free || line.contains(['#', '"']) {
                continue;
            }
            let twice = &key[key.len() - 1..];
            let wrong = format!("{}{twice}{}", &text[..colon], &text[colon..]);
            std::fs::write(&path, &wrong).unwrap();
            let faults = match load(&path, None) {
                Ok(_) => Vec::new(),
                Err(SettingsError::Faults(faults)) => faults,
                Err(other) => panic!("{other}"),
            };
            tried += 1;
            let is_right = match &faults[..] {
                [] => NAMES.contains(&key),
                [_] if NAMES.contains(&key) || FORMS.contains(&key) => true,
                [fault] => fault.suggestion.as_deref() == Some(key),
                _ => false,
            };
            if !is_right {
                let faults = SettingsError::Faults(faults);
                writeln!(failed, "{line}: {key}\n{faults}").unwrap();
            }
        }
    }
    assert!(tried > 80, "{tried}");
    assert!(failed.is_empty(), "{failed}");
}

fn wrongs() -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    let mut file = |name, text: String| wrongs.push(Wrong { name, text, variable: None });
    file("a byte order mark, and a fault behind it", format!("\u{feff}shutdwon: {{}}{AS_WRITTEN}"));
    file("a list instead of a table", "- public: { listen: 0.0.0.0:8080 }\n".to_owned());
    for (name, right, wrong) in [
        ("a tab as indentation", "  listen: 0.0.0.0:8080", "\tlisten: 0.0.0.0:8080"),
        ("a key that is set twice", "delivery:", "store: {}\ndelivery:"),
        ("a bracket that is not closed", "answers: 1-5 }", "answers: 1-5"),
        ("a quote that is not closed", "{{ score }} of 5\"", "{{ score }} of 5"),
        ("a template that was not filled in", "public:", "{{ .Values.public }}:\npublic:"),
        ("two documents", "delivery:", "---\ndelivery:"),
        ("a typo in a section", "delivery:", "delivry:"),
        ("a typo in a section that is needed", "accounts:", "acounts:"),
        ("a typo in a key", "delay: 60s", "delays: 60s"),
        ("a typo in a key that is needed", "auth_id:", "auth-di:"),
        ("a typo in the key of a secret", "auth_token:", "auth_tokn:"),
        ("a typo in the key of a preset", "preset: plivo", "presett: plivo"),
        ("a typo in the key of an address", "url: https", "ulr: https"),
        (
            "a typo in the key of an extractor",
            "reply: {",
            "extract: { cal: form:CallUUID }\n    reply: {",
        ),
        ("a typo in the key of a question", "score, answers:", "score, anwsers:"),
        ("a typo in the key of the rating", "rating: {", "ratting: {"),
        ("a key that is unlike any", "delay: 60s", "colour: red"),
        ("a typo in an issue", "issue: ECHO", "issue: ECO"),
        ("an issue in lower case", "issue: ECHO", "issue: echo"),
        ("an issue that Plivo does not know", "issue: ECHO", "issue: HOLD_MUSIC"),
        ("a typo in a preset", "preset: plivo", "preset: plvio"),
        ("a typo in the name of an account", "account: main", "account: mian"),
        ("a typo in the name of a survey", "survey: quality", "survey: qualty"),
        (
            "a typo in the question that rates",
            "rating: { question: score",
            "rating: { question: scoer",
        ),
        ("a typo in the question of issues", "question: problem\n", "question: problme\n"),
        ("a typo in the name of a question", "{ name: problem,", "{ name: problme,"),
        ("a name that two questions have", "{ name: problem,", "{ name: score,"),
        ("a typo in a template", "{{ score }}", "{{ scor }}"),
        ("a typo in a word", "complete: {", "on_changed_answer: keep_lst\n    complete: {"),
        ("a name in capitals", "  main:", "  Main:"),
        ("a whole number in quotes", "delay: 60s", "max_concurrency: \"8\""),
        ("a scale in quotes", "from: [1, 5]", "from: [\"1\", 5]"),
        ("a number out of its range", "delay: 60s", "rate: 0"),
        ("a duration without its unit", "delay: 60s", "delay: 60"),
        ("a duration that contradicts another", "delay: 60s", "timeout: 58s"),
        ("a range that runs backwards", "answers: 1-5", "answers: 5-1"),
        ("a fraction as an answer", "answers: 1-3", "answers: 1.5"),
        ("an answer that the question does not have", "answer: 3,", "answer: 9,"),
        ("a key that is missing", "    account: main ", "    # account: main "),
        ("a variable that is not set", "env: PLIVO_AUTH_TOKEN", "env: NOBODY_SET_THIS"),
        ("a variable as a shell writes it", "{ env: PLIVO_AUTH_TOKEN }", "${PLIVO_AUTH_TOKEN}"),
        ("a secret in the place of its form", "{ env: PLIVO_AUTH_TOKEN }", "s3cr3t-canary"),
        ("a secret in the place of a variable", "env: PLIVO_AUTH_TOKEN", "env: s3cr3t-canary"),
        (
            "a secret that is too short",
            "reply: {",
            "signature: { bearer: { value: short } }\n    reply: {",
        ),
        ("a rating that is missing", "    rating:", "    # rating:"),
        ("an address without https", "auth_id:", "api: http://stats.plivo.com\n    auth_id:"),
        ("listeners with one address", "127.0.0.1:9090", "0.0.0.0:8080"),
        ("XML that is not closed", "<Response><Speak>", "<Speak>"),
    ] {
        file(name, replaced(AS_WRITTEN, right, wrong));
    }
    for (name, right, wrong) in [
        ("a typo in a condition", "\"score == 'Bad' and", "\"scroe == 'Bad' and"),
        ("a number in quotes in a condition", "nps >= 9", "nps >= '9'"),
        ("an operator of another language", "'Bad' and solved", "'Bad' && solved"),
        ("a rating in quotes", "Bad, rating: 1", "Bad, rating: \"1\""),
        ("a typo in the question of keywords", "question: comment", "question: coment"),
        ("a typo in the fields of a source", "fields: { campaign:", "fields: { campain:"),
        ("a typo in the key of the fields", "    fields: [campaign]", "    feilds: [campaign]"),
    ] {
        file(name, replaced(SURVEY, right, wrong));
    }
    const RULE: &str = "\"score == 'Bad' and solved == 'no'\"";
    const NOTES: &str = "\"{{ score }}{% if problem %}, problem {{ problem }}{% endif %}\"";
    for (name, right, wrong) in [
        ("a number in quotes in a template", NOTES, "\"{% if nps > '8' %}a promoter{% endif %}\""),
        ("a typo in a plain condition", RULE, "score == 'Bad' and slved == 'no'"),
        (
            "a wrong answer in a condition in single quotes",
            RULE,
            "'score == ''Bad'' and solved == ''never'''",
        ),
        (
            "a wrong answer in a condition with escapes",
            RULE,
            "\"score == \\\"Bad\\\" and solved == \\\"n\\u00f3\\\"\"",
        ),
        (
            "a typo in a condition of several lines",
            "{ when: \"score == 'Bad' and solved == 'no'\", rating: 1, issues: [CALL_DROPPED] }",
            "when: >-\n          score == 'Bad'\n          and slved == 'no'\n        rating: 1\n        \
             issues: [CALL_DROPPED]",
        ),
        (
            "a typo in a template in a block",
            NOTES,
            "|\n      {{ score }}  # the rating\n\n      {% if problem %}{{ problm }}{% endif %}",
        ),
        ("a condition that fails on an answer", RULE, "\"score == 'Bad' and (10 / nps > 3)\""),
        (
            "a template that fails on an answer",
            NOTES,
            "\"{{ score }} {% if nps > 8 %}{{ 1 / (nps - 10) }}{% endif %}\"",
        ),
        ("an end of a condition that is missing", RULE, "\"score == 'Bad' and\""),
        ("an end of a template that is missing", NOTES, "\"{{ score }\""),
    ] {
        file(name, replaced(SURVEY, right, wrong));
    }
    for (name, variable) in [
        ("a variable with single underscores", ("POSTCALL_DELIVERY_DELAY", "5s")),
        ("a variable with single underscores of an entry", ("POSTCALL_ACCOUNTS_MAIN_API", "x")),
        ("a variable with a typo in its section", ("POSTCALL__STOER__URL", "sqlite:a.db")),
        ("a variable with a typo in its key", ("POSTCALL__STORE__ULR", "sqlite:a.db")),
        ("a variable of a list", ("POSTCALL__SURVEYS__QUALITY__QUESTIONS", "[]")),
        ("a variable with a wrong value", ("POSTCALL__STORE__WRITE_QUEUE", "many")),
    ] {
        wrongs.push(Wrong { name, text: AS_WRITTEN.to_owned(), variable: Some(variable) });
    }
    wrongs
}

fn load(path: &Path, variable: Option<(&str, &str)>) -> Result<Settings, SettingsError> {
    let token = ("PLIVO_AUTH_TOKEN", "made-up-auth-token");
    let environment: Environment = [token].into_iter().chain(variable).collect();
    Settings::load(Some(path), environment)
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

#[test]
fn check_prints_faults_as_json_and_as_annotations() {
    let home = Home::new("publik: {}\ndelivery: { rate: \"50\" }\n");
    let said = |output: &str| {
        let ran = process::run(&["check", "--output", output], &home.settings());
        assert_eq!(ran.status.code(), Some(78), "{output}");
        assert_eq!(String::from_utf8_lossy(&ran.stderr), "", "{output}");
        let stdout = String::from_utf8(ran.stdout).unwrap();
        stdout.replace(home.settings().parent().unwrap().to_str().unwrap(), "/etc")
    };
    insta::assert_snapshot!(said("github"));
    insta::assert_snapshot!(said("json"));
}

#[test]
fn check_prints_warnings_of_valid_settings_as_annotations() {
    let home =
        Home::new(&with_token(AS_WRITTEN).replace("store:\n  url: sqlite:postcall.db\n", ""));
    let ran = process::run(&["check", "--output", "github"], &home.settings());
    let stdout = String::from_utf8(ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(0), "{stdout}");
    let file = home.settings().display().to_string();
    let expected =
        format!("::warning file={file},line=4,col=8::public.url: surveys.example.com is");
    assert!(stdout.contains(&expected), "{stdout}");
    assert!(stdout.lines().all(|line| line.starts_with("::warning file=")), "{stdout}");
    let json = process::run(&["check", "--output", "json"], &home.settings()).stdout;
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["valid"], true);
    assert_eq!(json["warnings"][0]["column"], 8);
}

#[test]
fn explain_and_test_print_faults_of_the_settings_as_json() {
    let home = Home::new("publik: {}\n");
    let cases = home.settings().with_file_name("a.test.yaml");
    let case = "cases: [{ name: a, webhooks: [{ form: 'CallUUID=c&Digits=1' }], expect: { ignored: no_answer } }]";
    std::fs::write(&cases, case).unwrap();
    let cases = cases.to_str().unwrap();
    for arguments in
        [&["explain", "--output", "json", "-"][..], &["test", "--output", "json", cases]]
    {
        let ran = process::run(arguments, &home.settings());
        assert_eq!(ran.status.code(), Some(78), "{arguments:?}");
        let said: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert_eq!(said["valid"], false);
        let publik =
            said["diagnostics"].as_array().unwrap().iter().find(|it| it["key"] == "publik");
        assert_eq!(publik.unwrap()["suggestion"], "public", "{said}");
    }
}

#[test]
fn a_settings_file_that_cannot_be_read_is_a_diagnostic_too() {
    let ran = process::run(&["check", "--output", "json"], Path::new("/no/such/file.yaml"));
    assert_eq!(ran.status.code(), Some(78));
    let said: Value = serde_json::from_slice(&ran.stdout).unwrap();
    let diagnostic = &said["diagnostics"][0];
    assert_eq!(diagnostic["file"], "/no/such/file.yaml");
    assert!(diagnostic["message"].as_str().unwrap().contains("cannot read the settings file"));
}

/// A terminal shows colour, a pipe does not: what a test reads is a pipe.
#[test]
fn diagnostics_have_no_colour_where_no_terminal_is() {
    let home = Home::new("publik: {}\n");
    let ran = process::run(&["check"], &home.settings());
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(said.starts_with("invalid configuration:\n") && said.contains('^'), "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
}

/// As GitLab, Jenkins and GitHub actions read it.
#[test]
fn results_of_cases_are_printed_as_junit() {
    let home =
        Home::new(&with_token(AS_WRITTEN).replace("store:\n  url: sqlite:postcall.db\n", ""));
    let cases = r#"cases:
  - name: "a 4 with <no> problem & \"quotes\""
    webhooks: [{ form: "CallUUID=c-1&Digits=4" }]
    expect: { feedback: { rating: 4, issues: [OTHERS], notes: "IVR survey: 4 of 5" } }
  - name: a 2
    webhooks: [{ form: "CallUUID=c-1&Digits=2" }]
    expect: { feedback: { rating: 3, issues: [ECHO], notes: "IVR survey: 2 of 5" } }
"#;
    let file = home.settings().with_file_name("a.test.yaml");
    std::fs::write(&file, cases).unwrap();
    let file = file.to_str().unwrap();
    let ran = process::run(&["test", "--output", "junit", file], &home.settings());
    assert_eq!(ran.status.code(), Some(1), "{}", String::from_utf8_lossy(&ran.stderr));
    let xml = String::from_utf8(ran.stdout).unwrap();
    let document = roxmltree::Document::parse(&xml).unwrap();
    let suites = document.root_element();
    assert_eq!((suites.attribute("tests"), suites.attribute("failures")), (Some("2"), Some("1")));
    let cases: Vec<_> = document.descendants().filter(|it| it.has_tag_name("testcase")).collect();
    assert_eq!(cases[0].attribute("name"), Some("a 4 with <no> problem & \"quotes\""));
    assert_eq!(cases[1].attribute("line"), Some("5"));
    let failure = cases[1].first_element_child().unwrap().text().unwrap();
    assert!(failure.contains("-   rating: 3") && failure.contains("+   rating: 2"), "{failure}");
    let folder = home.settings().parent().unwrap().to_str().unwrap().to_owned();
    insta::assert_snapshot!(xml.replace(&folder, "/etc"));
}

/// Every kind of signature, reply and extractor.
const SENDERS: &str = "
public: { url: https://surveys.example.com, listen: 127.0.0.1:0, connections: 9, body_timeout: 1s }
admin: { listen: 127.0.0.1:1, token: { value: 0123456789abcdef } }
accounts:
  main: { auth_id: MAX, auth_token: { value: 0123456789abcdef }, api: https://a.example, issue_names: {} }
sources:
  a:
    preset: generic-json
    account: main
    survey: quality
    url: https://b.example
    content_types: [json]
    signature:
      hmac:
        header: X-Sign
        key: v1
        secret: { value: 0123456789abcdef }
        algorithm: sha256
        encoding: hex
        prefix: ''
        timestamp: { key: t, format: unix, max_age: 5m, max_skew: 1m }
        signed_payload: '{timestamp}.{body}'
    extract:
      call: 'json:$.call'
      answers: [{ question: score, from: 'json:$.score' }]
      fields: { from: 'json:$.from' }
      hangup: 'json:$.over'
      opt_out: 'json:$.out'
      filter: 'json:$.kind=survey'
      id: 'json:$.id'
    reply: { json: { ok: true } }
    on_reject: status
  b:
    preset: plivo
    account: main
    survey: quality
    signature: { basic: { user: a, password: { value: 0123456789abcdef } } }
    extract: { question: query:question, answer: form:Digits, fields: { from: form:From } }
    replies: [{ when: score < 5, xml: <Response/> }, { xml: <Response/> }]
  c:
    preset: generic-form
    account: main
    survey: quality
    signature: { bearer: { value: 0123456789abcdef } }
    extract: { call: form:call, each_question: 'form:{question}', fields: { from: form:From } }
    reply: { empty: true }
surveys:
  quality:
    fields: [from]
    questions:
      - name: score
        answers: [1, 2]
        multiple: false
        ask_when: from != 'x'
        opt_out: [9]
      - { name: hint, text: 100, optional: true }
    rating: { question: score, thumbs: { up: 2, down: 1 } }
    issues: { question: hint, choices: [{ keywords: echo, issue: ECHO }], default: [OTHERS], at_max_rating: drop }
    rules: [{ when: from == 'x', ignore: a test }]
    notes_length: 90
    mask_phone_numbers: true
    on_no_rating: { no_answer: dead, invalid_answer: dead, no_score: dead, hang_up: dead, opt_out: dead }
delivery: { retry: { initial_backoff: 1s, max_backoff: 1m, max_age: 1h, not_found_max_age: 1h }, probe_interval: 9s }
shutdown: { drain_delay: 1s, deadline: 9s }
logs: { format: json, filter: info }
";

fn with_token(text: &str) -> String {
    let token = "{ value: made-up-auth-token }";
    replaced(text, "{ env: PLIVO_AUTH_TOKEN }", token)
}
