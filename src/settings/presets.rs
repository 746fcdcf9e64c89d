//! What is known of senders: `config/presets/*.yaml`, embedded, and what a source says over it.

use super::located::{Located, Node, Table};
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
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// The table of a preset.
pub(super) fn named(name: &str) -> Option<Located> {
    let (_, text) = ALL.iter().find(|(known, _)| *known == name)?;
    Some(Located::embedded(text))
}

/// Checks XML that the sender of a preset runs. For senders other than Plivo it only has to be XML.
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
pub(super) fn under(own: &Located, preset: Located) -> Located {
    laid(own, preset, |table, own| {
        for (key, value) in own {
            let merged = match (key.as_str(), table.swap_remove(key)) {
                ("extract", Some(preset)) => laid(value, preset, read_over),
                ("signature", Some(preset)) => laid(value, preset, signature_over),
                _ => value.clone(),
            };
            table.insert(key.clone(), merged);
        }
    })
}

/// A table merged over that of the preset; any other value replaces it.
fn laid(own: &Located, preset: Located, over: impl Fn(&mut Table, &Table)) -> Located {
    let (Node::Table(table), Node::Table(mut merged)) = (&own.node, preset.node) else {
        return own.clone();
    };
    over(&mut merged, table);
    Located { origin: own.origin.clone(), node: Node::Table(merged) }
}

fn read_over(read: &mut Table, own: &Table) {
    // A source answers one question at a time or several: who says the one means not the other.
    let replaced: &[&str] = if own.contains_key("answer") {
        &["answers", "each_question"]
    } else if own.contains_key("answers") || own.contains_key("each_question") {
        &["answer", "question"]
    } else {
        &[]
    };
    read.retain(|key, _| !replaced.contains(&key.as_str()));
    for (key, value) in own {
        let merged = match (key.as_str(), read.swap_remove(key)) {
            ("fields", Some(preset)) => laid(value, preset, |fields, own| {
                fields.extend(own.clone());
                fields.retain(|_, readers| !readers.is_blank());
            }),
            _ => value.clone(),
        };
        if !merged.is_blank() {
            read.insert(key.clone(), merged);
        }
    }
}

/// Of the same scheme, key by key; another scheme replaces it.
fn signature_over(schemes: &mut Table, own: &Table) {
    let same = own.len() == 1 && own.keys().eq(schemes.keys());
    if !same {
        schemes.clone_from(own);
        return;
    }
    for (scheme, rules) in own {
        let preset = schemes.swap_remove(scheme).expect("it is the same");
        schemes.insert(scheme.clone(), laid(rules, preset, |rules, own| rules.extend(own.clone())));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn under(own: &Value, preset: Value) -> Value {
        let located = |value: &Value| Located::embedded(&value.to_string());
        super::under(&located(own), located(&preset)).json()
    }

    #[test]
    fn what_a_source_says_goes_over_its_preset_key_by_key() {
        let preset = json!({
            "content_types": ["json"],
            "signature": { "hmac": { "header": "X-Sign", "prefix": "sha256=" } },
            "extract": { "call": "json:$.a", "id": "json:$.b", "fields": { "from": "json:$.c" } },
        });
        let own = json!({
            "preset": "x",
            "signature": { "hmac": { "secret": { "env": "S" }, "prefix": "" } },
            "extract": { "call": "json:$.z", "id": null, "fields": { "to": "json:$.d" } },
        });
        assert_eq!(
            under(&own, preset),
            json!({
                "preset": "x",
                "content_types": ["json"],
                "signature": {
                    "hmac": { "header": "X-Sign", "prefix": "", "secret": { "env": "S" } }
                },
                "extract": {
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
            "extract": { "question": "query:question", "answer": "form:a", "call": "form:c" },
        });
        let own = json!({ "signature": "none", "extract": { "answers": [] } });
        let merged = json!({ "signature": "none", "extract": { "answers": [], "call": "form:c" } });
        assert_eq!(under(&own, preset.clone()), merged);
        let own = json!({ "signature": { "bearer": { "env": "T" } } });
        assert_eq!(under(&own, preset)["signature"], own["signature"]);
        let several =
            json!({ "extract": { "answers": [], "each_question": "x", "call": "form:c" } });
        let own = json!({ "extract": { "answer": "form:a" } });
        assert_eq!(
            under(&own, several)["extract"],
            json!({ "answer": "form:a", "call": "form:c" })
        );
    }

    #[test]
    fn every_preset_says_where_it_comes_from_and_only_what_a_source_may_say() {
        for (name, text) in ALL {
            let head: Vec<&str> = text.lines().take_while(|line| line.starts_with('#')).collect();
            assert!(head.iter().any(|line| line.contains("Shape:")), "{name}");
            assert!(head.iter().any(|line| line.contains("Signature:")), "{name}");
            assert!(head.iter().any(|line| line.contains("20")), "{name} has no date");
            let known = ["content_types", "signature", "extract", "reply", "on_reject"];
            let table = named(name).unwrap();
            for key in table.as_table().unwrap().keys() {
                assert!(known.contains(&key.as_str()), "{name} {key}");
            }
        }
    }
}
