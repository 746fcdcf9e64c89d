//! The schema of the settings takes what the reader takes, and refuses what it refuses for its
//! shape.

use boon::{Compiler, SchemaIndex, Schemas};
use config::{Config, File, FileFormat};
use postcall::settings::{Environment, Settings, schema};
use serde_json::{Map, Value};

use crate::readme;
use crate::settings::{AS_WRITTEN, base_with_examples};
use crate::world;

#[test]
fn what_the_repository_shows_is_taken() {
    let schema = Schema::new();
    let mut shown = vec![
        AS_WRITTEN.to_owned(),
        base_with_examples(),
        include_str!("../../config/demo.yaml").to_owned(),
        world::SETTINGS.to_owned(),
    ];
    shown.extend(readme::settings());
    for text in shown {
        if let Err(error) = schema.takes(&text) {
            panic!("{text}\n{error}");
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
        ("listen: 0.0.0.0:8080", "door: 0.0.0.0:8080"),
        ("url: sqlite:postcall.db", "queue: 0"),
        ("url: sqlite:postcall.db", "queue: many"),
        ("url: sqlite:postcall.db", "queue: 1.5"),
        ("  main:", "  Main:"),
        ("  main:", "  main: {}\n  other:"),
        ("auth_id: MAXXXXXXXXXXXXXXXXXX", "auth_id: 12345"),
        ("auth_id: MAXXXXXXXXXXXXXXXXXX", "auth_id:"),
        ("auth_id: MAXXXXXXXXXXXXXXXXXX", "id: MAX"),
        ("auth_id:", "insecure: maybe\n    auth_id:"),
        ("auth_id:", "spelling: { CALLER: CALLERID_ISSUES }\n    auth_id:"),
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
        ("delay: 60s", "in_flight: 1001"),
        ("delay: 60s", "retry: 5"),
        ("delay: 60s", "retry: { frist: 1s }"),
        ("delay: 60s", "delay: 60s\nlogs: { format: xml }"),
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
fn every_key_is_explained_and_stands_in_the_base_with_its_default() {
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
        let (mut compiler, mut schemas) = (Compiler::new(), Schemas::new());
        compiler.add_resource("settings.json", schema()).unwrap();
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
