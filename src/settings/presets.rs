//! What is known of senders: `config/presets/*.yaml`, embedded, and what a source says over it.

use serde_json::{Map, Value};

use super::layers;
use crate::source::{SourceReply, check_plivo_xml};

/// Every preset by name, in the order in which they are offered.
const ALL: &[(&str, &str)] = &[
    ("plivo", include_str!("../../config/presets/plivo.yaml")),
    ("plivo-phlo", include_str!("../../config/presets/plivo-phlo.yaml")),
    ("twilio", include_str!("../../config/presets/twilio.yaml")),
    ("vonage", include_str!("../../config/presets/vonage.yaml")),
    ("telnyx", include_str!("../../config/presets/telnyx.yaml")),
    ("jambonz", include_str!("../../config/presets/jambonz.yaml")),
    ("genesys", include_str!("../../config/presets/genesys.yaml")),
    ("amazon-connect", include_str!("../../config/presets/amazon-connect.yaml")),
    ("yeastar", include_str!("../../config/presets/yeastar.yaml")),
    ("typeform", include_str!("../../config/presets/typeform.yaml")),
    ("delighted", include_str!("../../config/presets/delighted.yaml")),
    ("zendesk", include_str!("../../config/presets/zendesk.yaml")),
    ("standard-webhooks", include_str!("../../config/presets/standard-webhooks.yaml")),
    ("generic-json", include_str!("../../config/presets/generic-json.yaml")),
    ("generic-form", include_str!("../../config/presets/generic-form.yaml")),
];

/// The names that `preset` may have.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// The table of a preset.
pub(super) fn named(name: &str) -> Option<Value> {
    let (_, text) = ALL.iter().find(|(known, _)| *known == name)?;
    Some(layers::table(text).expect("the embedded presets are tested"))
}

/// XML that the sender of a preset runs. Of others than Plivo no more is asked than that it is XML.
///
/// # Errors
/// What is wrong, in words.
pub(super) fn xml(preset: &str, text: &str) -> Result<SourceReply, String> {
    let reply = SourceReply::xml(text).map_err(|bad| bad.to_string())?;
    if preset == "plivo" {
        check_plivo_xml(text)?;
    }
    Ok(reply)
}

/// A source as its preset and its own table together make it: key by key, and within `read` and one
/// scheme of `signature` again. What is left blank in `read` is not read.
pub(super) fn under(own: &Value, preset: Value) -> Value {
    let (Value::Object(own), Value::Object(mut table)) = (own, preset) else { return own.clone() };
    for (key, value) in own {
        let merged = match (key.as_str(), table.remove(key)) {
            ("read", Some(preset)) => read_under(value, preset),
            ("signature", Some(preset)) => signature_under(value, preset),
            _ => value.clone(),
        };
        table.insert(key.clone(), merged);
    }
    Value::Object(table)
}

fn read_under(own: &Value, preset: Value) -> Value {
    let (Value::Object(own), Value::Object(mut read)) = (own, preset) else { return own.clone() };
    // A source answers one question at a time or several: who says the one means not the other.
    if own.contains_key("answer") {
        read.remove("answers");
        read.remove("each_question");
    } else if own.contains_key("answers") || own.contains_key("each_question") {
        read.remove("answer");
        read.remove("question");
    }
    for (key, value) in own {
        match (key.as_str(), read.remove(key), value) {
            (_, _, Value::Null) => {}
            ("fields", Some(Value::Object(mut fields)), Value::Object(own)) => {
                fields.extend(own.clone());
                fields.retain(|_, readers| !readers.is_null());
                read.insert(key.clone(), Value::Object(fields));
            }
            _ => {
                read.insert(key.clone(), value.clone());
            }
        }
    }
    Value::Object(read)
}

/// Of the same scheme, key by key; another scheme stands for itself.
fn signature_under(own: &Value, preset: Value) -> Value {
    let (Some((scheme, own_rules)), Some((known, rules))) = (only(own), only(&preset)) else {
        return own.clone();
    };
    let (Value::Object(own_rules), Value::Object(rules)) = (own_rules, rules) else {
        return own.clone();
    };
    if scheme != known {
        return own.clone();
    }
    let mut rules = rules.clone();
    rules.extend(own_rules.clone());
    Value::Object(Map::from_iter([(scheme.clone(), Value::Object(rules))]))
}

fn only(value: &Value) -> Option<(&String, &Value)> {
    let mut entries = value.as_object()?.iter();
    entries.next().filter(|_| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_source_says_goes_over_its_preset_key_by_key() {
        let preset = json!({
            "body": ["json"],
            "signature": { "hmac": { "header": "X-Sign", "prefix": "sha256=" } },
            "read": { "call": "json:$.a", "id": "json:$.b", "fields": { "from": "json:$.c" } },
        });
        let own = json!({
            "preset": "x",
            "signature": { "hmac": { "secret": { "env": "S" }, "prefix": "" } },
            "read": { "call": "json:$.z", "id": null, "fields": { "to": "json:$.d" } },
        });
        assert_eq!(
            under(&own, preset),
            json!({
                "preset": "x",
                "body": ["json"],
                "signature": {
                    "hmac": { "header": "X-Sign", "prefix": "", "secret": { "env": "S" } }
                },
                "read": {
                    "call": "json:$.z",
                    "fields": { "from": "json:$.c", "to": "json:$.d" }
                },
            })
        );
    }

    #[test]
    fn another_scheme_and_another_way_to_answer_stand_for_themselves() {
        let preset = json!({
            "signature": { "hmac": { "header": "X-Sign" } },
            "read": { "question": "query:question", "answer": "form:a", "call": "form:c" },
        });
        let own = json!({ "signature": "none", "read": { "answers": [] } });
        let merged = json!({ "signature": "none", "read": { "answers": [], "call": "form:c" } });
        assert_eq!(under(&own, preset.clone()), merged);
        let own = json!({ "signature": { "bearer": { "env": "T" } } });
        assert_eq!(under(&own, preset)["signature"], own["signature"]);
        let several = json!({ "read": { "answers": [], "each_question": "x", "call": "form:c" } });
        let own = json!({ "read": { "answer": "form:a" } });
        assert_eq!(under(&own, several)["read"], json!({ "answer": "form:a", "call": "form:c" }));
    }

    #[test]
    fn every_preset_says_where_it_comes_from_and_only_what_a_source_may_say() {
        for (name, text) in ALL {
            let head: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
            assert!(head.iter().any(|line| line.contains("Shape:")), "{name}");
            assert!(head.iter().any(|line| line.contains("Signature:")), "{name}");
            assert!(head.iter().any(|line| line.contains("20")), "{name} has no date");
            let known = ["body", "signature", "read", "reply", "on_refusal"];
            let table = named(name).unwrap();
            for key in table.as_object().unwrap().keys() {
                assert!(known.contains(&key.as_str()), "{name} {key}");
            }
        }
    }
}
