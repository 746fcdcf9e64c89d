//! The schema of the settings takes what the reader takes, and refuses what it refuses for its
//! shape.

use std::fs;
use std::path::Path;

use boon::{Compiler, SchemaIndex, Schemas};
use config::{Config, File, FileFormat};
use postcall::settings::{Environment, Settings, schema};
use serde_json::{Map, Value};

use crate::readme;
use crate::settings::{AS_WRITTEN, base_with_examples};
use crate::test_env;

#[test]
fn what_the_repository_shows_is_taken() {
    let schema = Schema::new();
    let mut shown = vec![
        AS_WRITTEN.to_owned(),
        base_with_examples(),
        include_str!("../../config/demo.yaml").to_owned(),
        test_env::SETTINGS.to_owned(),
    ];
    shown.extend(readme::settings());
    for (file, text) in yaml_below("tests/surveys") {
        let cases = tree(&text);
        shown.push(cases["settings"].as_str().unwrap_or_else(|| panic!("{file}")).to_owned());
    }
    for text in shown {
        if let Err(error) = schema.takes(&text) {
            panic!("{text}\n{error}");
        }
    }
}

#[test]
fn what_a_preset_says_a_source_may_say() {
    let mut sources = schema();
    let mut source = sources["properties"]["sources"]["additionalProperties"].take();
    source["$defs"] = sources["$defs"].take();
    let source = Schema::of(without_needs(source));
    let presets = yaml_below("config/presets");
    assert!(presets.len() >= 15);
    for (file, text) in presets {
        source.takes(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
    }
}

/// A preset leaves open what only an operator knows.
fn without_needs(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(entries) => {
            if entries.contains_key("properties") {
                entries.remove("required");
            }
            entries.values_mut().for_each(|value| *value = without_needs(value.take()));
        }
        Value::Array(items) => {
            items.iter_mut().for_each(|value| *value = without_needs(value.take()));
        }
        _ => {}
    }
    schema
}

fn yaml_below(folder: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push((path.display().to_string(), fs::read_to_string(&path).unwrap()));
            }
        }
    }
    found
}

/// Every key of a survey, and every form that it may have.
const EVERYTHING_ASKED: &str = r##"
    fields: [from, campaign]
    labels: [campaign]
    questions:
      - { name: score, answers: 1-5, opt_out: 9 }
      - { name: problem, answers: [1, 2-3, "#"], multiple: true, ask_when: score < 5 }
      - { name: nps, number: [0, 10], decimals: 1 }
      - { name: how, choices: [Very good, Good, Bad], optional: true }
      - { name: solved, yes_no: { yes: ["1", ja], no: "2" }, ask_when: true }
      - { name: again, yes_no: true }
      - { name: comment, text: 1000, optional: true, opt_out: [0, stop] }
    rating: { question: score, scale: { from: [1, 5], round: half }, monotone: false }
    issues:
      question: problem
      choices:
        - { answer: 1, issue: ECHO }
        - { question: comment, keywords: [echo, "hear myself"], issue: ECHO }
        - { question: comment, keywords: silence, issue: ONE_WAY_AUDIO }
      default: [OTHERS, AUDIO_LAG]
      at_max_rating: drop
    rules:
      - { when: campaign == 'test', ignore: test call }
      - { when: score <= 2 and solved == 'no', rating: 1.5, issues: [CALL_DROPPED], notes: "" }
    notes: "{{ score }} of 5"
    notes_length: 100
    mask_phone_numbers: false
    on_changed_answer: redeliver
    on_no_rating: { no_answer: ignore, invalid_answer: dead, no_score: dead, hang_up: ignore, opt_out: ignore }
    complete: { timeout: 120s, hangup_timeout: 5s, deadline: 24h, on_incomplete: dead }
"##;

#[test]
fn all_that_can_be_asked_is_taken() {
    let (before, after) = AS_WRITTEN.split_once("  quality:\n").unwrap();
    let (_, after) = after.split_once("delivery:").unwrap();
    let asked = |survey: &str| format!("{before}  quality:{survey}delivery:{after}");
    let tables = [
        "rating: { question: how, table: [{ answer: Very good, rating: 5 }, { answer: Bad, rating: 1.5 }] }",
        "rating: { question: solved, thumbs: { up: \"yes\", down: \"no\" } }",
    ]
    .map(|rating| EVERYTHING_ASKED.replace("rating: { question: score, scale: { from: [1, 5], round: half }, monotone: false }", rating));
    for survey in [EVERYTHING_ASKED.to_owned()].into_iter().chain(tables) {
        Schema::new().takes(&asked(&survey)).unwrap();
        let environment: Environment = [("PLIVO_AUTH_TOKEN", "a token")].into_iter().collect();
        if let Err(error) = Settings::from_yaml(&asked(&survey), environment) {
            let said = error.to_string();
            let shape = ["expected", "unknown key", "missing"];
            assert!(!shape.iter().any(|shape| said.contains(shape)), "{said}");
        }
    }
}

#[test]
fn what_is_blank_keeps_its_default_and_is_taken() {
    let blank = format!("{AS_WRITTEN}  timeout:\nshutdown:\nlogs: {{ filter: }}\n");
    Schema::new().takes(&blank).unwrap();
}

#[test]
fn what_the_reader_refuses_for_its_shape_is_refused() {
    let schema = Schema::new();
    for (right, wrong) in [
        ("public:", "publik: {}\npublic:"),
        ("listen: 0.0.0.0:8080", "listen: 8080"),
        ("listen: 0.0.0.0:8080", "listen: [8080]"),
        ("listen: 0.0.0.0:8080", "listen: ''"),
        ("listen: 0.0.0.0:8080", "listener: 0.0.0.0:8080"),
        ("url: sqlite:postcall.db", "write_queue: 0"),
        ("url: sqlite:postcall.db", "queue: many"),
        ("url: sqlite:postcall.db", "write_queue: 1.5"),
        ("  main:", "  Main:"),
        ("  main:", "  main: {}\n  other:"),
        ("auth_id: MAXXXXXXXXXXXXXXXXXX", "auth_id: 12345"),
        ("auth_id: MAXXXXXXXXXXXXXXXXXX", "auth_id:"),
        ("auth_id: MAXXXXXXXXXXXXXXXXXX", "id: MAX"),
        ("auth_id:", "insecure: maybe\n    auth_id:"),
        ("auth_id:", "issue_names: { CALLER: CALLERID_ISSUES }\n    auth_id:"),
        ("auth_token: { env: PLIVO_AUTH_TOKEN }", "# auth_token"),
        ("{ env: PLIVO_AUTH_TOKEN }", "made-up"),
        ("{ env: PLIVO_AUTH_TOKEN }", "[]"),
        ("{ env: PLIVO_AUTH_TOKEN }", "{}"),
        ("{ env: PLIVO_AUTH_TOKEN }", "{ env: PLIVO_AUTH_TOKEN, value: made-up }"),
        ("{ env: PLIVO_AUTH_TOKEN }", "{ var: PLIVO_AUTH_TOKEN }"),
        ("{ env: PLIVO_AUTH_TOKEN }", "{ value: 12345 }"),
        ("{ env: PLIVO_AUTH_TOKEN }", "[{ env: PLIVO_AUTH_TOKEN }, made-up]"),
        ("delay: 60s", "delay: 60"),
        ("delay: 60s", "delay: 60 s"),
        ("delay: 60s", "delay: 1.5h"),
        ("delay: 60s", "max_concurrency: 1001"),
        ("delay: 60s", "retry: 5"),
        ("delay: 60s", "retry: { frist: 1s }"),
        ("delay: 60s", "delay: 60s\nlogs: { format: xml }"),
        ("preset: plivo", "preset: plivoo"),
        ("preset: plivo", "# preset: plivo"),
        ("account: main", "acount: main"),
        ("survey: quality", "survey: the quality"),
        ("    reply: {", "    body: [xml]\n    reply: {"),
        (
            "reply: { xml: \"<Response><Speak>Thank you.</Speak></Response>\" }",
            "reply: <Response/>",
        ),
        ("reply: { xml:", "reply: { empty: true, xml:"),
        ("reply: { xml:", "reply: { text:"),
        ("    reply: {", "    on_reject: drop\n    reply: {"),
        ("    reply: {", "    signature: v3\n    reply: {"),
        ("    reply: {", "    signature: [v3, v4]\n    reply: {"),
        ("    reply: {", "    signature: { basic: { user: a } }\n    reply: {"),
        ("    reply: {", "    signature: { hmac: { secret: [] } }\n    reply: {"),
        (
            "    reply: {",
            "    signature: { twilio: { secret: { env: A } }, telnyx: { public_key: a } }\n    reply: {",
        ),
        ("    reply: {", "    extract: { calls: form:CallUUID }\n    reply: {"),
        ("    reply: {", "    extract: { call: [1] }\n    reply: {"),
        ("    reply: {", "    extract: { answers: [{ from: form:a }] }\n    reply: {"),
        ("    reply: {", "    extract: { hangup: { form: Event } }\n    reply: {"),
        ("    questions:", "    asked:"),
        ("    questions:", "    labels: [The queue]\n    questions:"),
        ("name: problem, answers: 1-3", "name: problem"),
        ("name: problem, answers: 1-3", "answers: 1-3"),
        ("name: problem, answers: 1-3", "name: problem, answers: 1-3, text: 5"),
        ("name: problem", "name: the problem"),
        ("answers: 1-3", "answers: 1.5"),
        ("answers: 1-3", "answers: -1"),
        ("answers: 1-3", "answers: { from: 1, to: 3 }"),
        ("answers: 1-3", "answers: [1, true]"),
        ("answers: 1-3", "number: [1]"),
        ("answers: 1-3", "number: [1, 2.5]"),
        ("answers: 1-3", "number: [1, 3], decimals: 5"),
        ("answers: 1-3", "yes_no: 1"),
        ("answers: 1-3", "yes_no: { maybe: [3] }"),
        ("answers: 1-3", "text: 0"),
        ("answers: 1-3", "answers: 1-3, optional: maybe"),
        (
            "rating: { question: score, scale: { from: [1, 5] } }",
            "rating: { scale: { from: [1, 5] } }",
        ),
        ("scale: { from: [1, 5] }", "scale: { from: [1, 5] }, thumbs: { up: 5, down: 1 }"),
        ("scale: { from: [1, 5] }", "table: [{ answer: 1 }]"),
        ("from: [1, 5]", "from: [1, 5], round: tenth"),
        ("{ answer: 1, issue: ECHO }", "{ answer: 1, issue: echo }"),
        ("{ answer: 1, issue: ECHO }", "{ answer: 1, keywords: echo, issue: ECHO }"),
        ("{ answer: 1, issue: ECHO }", "{ issue: ECHO }"),
        ("default: [OTHERS]", "otherwise: OTHERS"),
        ("default: [OTHERS]", "at_max_rating: keep"),
        ("timeout: 120s", "within: 120s"),
        ("timeout: 120s", "on_incomplete: keep"),
        ("    complete:", "    on_changed_answer: never\n    complete:"),
        ("    complete:", "    on_no_rating: { no_answer: send }\n    complete:"),
        ("    complete:", "    rules: [{ rating: 1 }]\n    complete:"),
        ("    complete:", "    notes_length: 0\n    complete:"),
    ] {
        assert!(AS_WRITTEN.contains(right), "{right}");
        let text = AS_WRITTEN.replacen(right, wrong, 1);
        let environment: Environment = [("PLIVO_AUTH_TOKEN", "a token")].into_iter().collect();
        assert!(Settings::from_yaml(&text, environment).is_err(), "the reader takes {wrong}");
        assert!(schema.takes(&text).is_err(), "the schema takes {wrong}");
    }
    assert!(schema.takes("").is_err(), "there is nothing to do");
}

#[test]
fn every_key_is_explained_and_its_default_is_that_of_the_base() {
    let base = tree(&base_with_examples());
    let mut keys = 0;
    each_property(&schema(), "", &base, &mut |path, property, value| {
        keys += 1;
        let about = property["description"].as_str().unwrap_or_default();
        assert!(about.ends_with('.') && !about.contains('\n'), "{path}: {about}");
        if let (Some(default), Some(value)) = (property.get("default"), value) {
            assert_eq!(default, value, "{path}");
        }
    });
    assert!(keys > 30, "{keys}");
}

/// Walks the tables of the schema beside what the base says; every entry of a table of names is
/// like the first.
fn each_property(
    schema: &Value,
    path: &str,
    base: &Value,
    look: &mut impl FnMut(&str, &Value, Option<&Value>),
) {
    for (key, property) in schema["properties"].as_object().unwrap_or(&Map::new()) {
        let (path, value) = (format!("{path}.{key}"), base.get(key));
        look(&path, property, value);
        each_property(property, &path, value.unwrap_or(&Value::Null), look);
    }
    if schema["additionalProperties"].is_object() {
        let first = base.as_object().and_then(|entries| entries.values().next());
        let path = format!("{path}.*");
        each_property(&schema["additionalProperties"], &path, first.unwrap_or(&Value::Null), look);
    }
}

/// Ready to look at settings.
struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    /// The schema is one: it is held to the draft that it names.
    fn new() -> Self {
        Self::of(schema())
    }

    fn of(schema: Value) -> Self {
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.add_resource("settings.json", schema).unwrap();
        let index = compiler
            .compile("settings.json", &mut schemas)
            .unwrap_or_else(|error| panic!("{error:#}"));
        Self { schemas, index }
    }

    fn takes(&self, text: &str) -> Result<(), String> {
        self.schemas.validate(&tree(text), self.index).map_err(|error| format!("{error:#}"))
    }
}

fn tree(text: &str) -> Value {
    let file = File::from_str(text, FileFormat::Yaml);
    Config::builder().add_source(file).build().unwrap().try_deserialize().unwrap()
}
