//! The settings as JSON Schema (draft 2020-12), for editors: from the descriptions that the reader
//! goes by.

use serde_json::{Map, Value, json};

use super::KIND;
use super::layers;
use super::located::Located;
use super::secret;
use super::spec::{Key, Kind, Spec};
use crate::domain::Name;

/// Of a settings file. What depends on more than one place (a survey that a source names, a lease
/// longer than a timeout) is for `check` to say.
pub fn schema() -> Value {
    let base = layers::base().json();
    let mut schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Settings of Postcall",
        "$defs": {
            "name": name(),
            "duration": duration(),
            "secret": secret::schema(),
        },
    });
    let root = of(&KIND, Some(&base));
    schema.as_object_mut().expect("a table").extend(entries_of(root));
    schema
}

/// `base` is the default.
fn of(kind: &Kind, base: Option<&Value>) -> Value {
    match kind {
        Kind::Anything => json!({}),
        Kind::Blank => json!({ "type": "null" }),
        Kind::Text => json!({ "type": "string", "minLength": 1 }),
        Kind::MaybeEmptyText => json!({ "type": "string" }),
        Kind::Word(words) => json!({ "enum": words() }),
        // Text is what a variable gives.
        Kind::Whole(least, most) => json!({
            "type": ["integer", "string"], "minimum": least, "maximum": most, "pattern": "^[0-9]+$",
        }),
        Kind::Number => json!({ "type": "number" }),
        Kind::TwoWhole => json!({
            "type": "array", "items": { "type": "integer" }, "minItems": 2, "maxItems": 2,
        }),
        Kind::True => json!({ "const": true }),
        Kind::Flag => json!({ "enum": [true, false, "true", "false"] }),
        Kind::Duration(_) => json!({ "$ref": "#/$defs/duration" }),
        Kind::Answer => json!({ "type": ["string", "integer"], "minimum": 0 }),
        Kind::Name => json!({ "$ref": "#/$defs/name" }),
        Kind::Secret => json!({ "$ref": "#/$defs/secret" }),
        Kind::List(item) => json!({ "type": "array", "items": of(item, None) }),
        Kind::Table(spec) => table(spec, base),
        Kind::Alike(keys, like) => {
            let properties: Map<String, Value> =
                keys().into_iter().map(|key| (key.to_owned(), value(like, None))).collect();
            json!({ "type": "object", "properties": properties, "additionalProperties": false })
        }
        Kind::Named(kind) => json!({
            "type": "object",
            "propertyNames": { "$ref": "#/$defs/name" },
            "additionalProperties": of(kind, None),
        }),
        Kind::ByLanguage(kind) => json!({
            "type": "object",
            "propertyNames": { "pattern": "^[a-z]{2,3}(-[A-Z]{2,3}){0,2}$" },
            "additionalProperties": of(kind, None),
            "minProperties": 1,
        }),
        Kind::OneOf(kinds) => {
            json!({ "anyOf": kinds.iter().map(|kind| of(kind, None)).collect::<Vec<_>>() })
        }
    }
}

fn table(spec: &Spec, base: Option<&Value>) -> Value {
    let property = |key: &Key| {
        let base = base.and_then(|base| base.get(key.name));
        (key.name.to_owned(), value(key, base))
    };
    let properties: Map<String, Value> = spec.keys.iter().map(property).collect();
    let mut table =
        json!({ "type": "object", "properties": properties, "additionalProperties": false });
    let needed: Vec<&str> =
        spec.keys.iter().filter(|key| key.is_needed).map(|key| key.name).collect();
    if !needed.is_empty() {
        table["required"] = json!(needed);
    }
    let with = |key: &&str| json!({ "required": [key] });
    let without_any = |keys: &[&str]| {
        let any: Value = keys.iter().map(with).collect();
        json!({ "not": { "anyOf": any } })
    };
    if !spec.one_of.is_empty() {
        table["oneOf"] = spec.one_of.iter().map(with).collect();
    }
    if !spec.at_most_one_of.is_empty() {
        let mut choices = vec![without_any(spec.at_most_one_of)];
        choices.extend(spec.at_most_one_of.iter().map(with));
        table["oneOf"] = json!(choices);
    }
    table
}

fn value(key: &Key, base: Option<&Value>) -> Value {
    let mut value = of(&key.kind, base);
    if key.is_needed && matches!(key.kind, Kind::Named(_)) {
        value["minProperties"] = json!(1);
    }
    // A blank keeps the default, where the base has one.
    if base.is_some() && !key.is_needed {
        value = or_blank(value);
    }
    value["description"] = json!(key.about);
    let default = base.filter(|base| !base.is_null() && !base.is_object()).cloned();
    let default = default.or_else(|| key.default.map(|text| Located::embedded(text).json()));
    if let Some(default) = default {
        value["default"] = default;
    }
    value
}

fn or_blank(mut value: Value) -> Value {
    if let Some(words) = value.get_mut("enum").and_then(Value::as_array_mut) {
        words.push(Value::Null);
        return value;
    }
    match value.get_mut("type") {
        Some(Value::Array(types)) => types.push(json!("null")),
        Some(one) => *one = json!([one.take(), "null"]),
        None => return json!({ "anyOf": [value, { "type": "null" }] }),
    }
    value
}

fn entries_of(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(entries) => entries,
        _ => Map::new(),
    }
}

fn name() -> Value {
    json!({
        "type": "string",
        "description": "Lower-case letters and digits, joined by single `-` or `_`.",
        "pattern": "^[a-z0-9]+([-_][a-z0-9]+)*$",
        "maxLength": Name::LENGTH_MAX,
    })
}

fn duration() -> Value {
    json!({
        "type": "string",
        "description": "A whole number and a unit, such as 500ms, 30s, 10m, 72h or 7d.",
        "pattern": "^[0-9]+(ms|s|m|h|d)$",
    })
}
