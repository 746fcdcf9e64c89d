use std::fmt;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// What tells settings apart, secrets included: equal where everything written is. Never shown,
/// because a short secret could be guessed from it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn of(tree: &Value) -> Self {
        Self(Sha256::digest(tree.to_string()).into())
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

/// Of the effective tree, its keys in order, the values of secrets masked.
pub(super) fn shown(tree: &Value) -> String {
    let mut tree = tree.clone();
    mask(&mut tree);
    digest(&tree)
}

/// What of a survey changes no rating.
const BESIDE_RULES: [&str; 5] =
    ["insights", "labels", "mask_phone_numbers", "notes", "notes_length"];

/// Of the rules of a survey, by the section that it is.
pub(super) fn of_rules(survey: &Value) -> String {
    let mut survey = survey.clone();
    if let Some(keys) = survey.as_object_mut() {
        keys.retain(|key, _| !BESIDE_RULES.contains(&key.as_str()));
    }
    digest(&survey)
}

fn digest(tree: &Value) -> String {
    let digest = Sha256::digest(tree.to_string());
    data_encoding::HEXLOWER.encode(&digest[..6])
}

fn mask(tree: &mut Value) {
    match tree {
        Value::Object(table) => {
            for (key, value) in table {
                match key.as_str() {
                    "value" => *value = Value::Null,
                    // A reply's own keys mean nothing to us.
                    "json" => {}
                    _ => mask(value),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        _ => {}
    }
}
