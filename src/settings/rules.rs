use serde_json::Value;

use super::cursor::Cursor;
use super::issues::{self, issue_list};
use super::ratings::RATING;
use super::spec::{Kind, Spec, key};
use crate::survey::RuleDefinition;

pub(super) const LIST: Kind = Kind::List(&Kind::Table(&SPEC));

const SPEC: Spec = Spec::of(&[
    key(
        "when",
        CONDITION_KIND,
        "The condition under which it applies, such as \"score <= 2 and solved == 'no'\".",
    )
    .needed(),
    key("ignore", Kind::Text, "Why such a call is not reported at all."),
    key("rating", Kind::Number, "The rating then, from 1 to 5."),
    key("issues", issues::LIST, "The issues then."),
    key("notes", Kind::MaybeEmptyText, "The template of the notes then."),
]);

/// In their order, because faults name their index.
pub(super) fn rules(cursor: &Cursor<'_>) -> Vec<RuleDefinition> {
    let items = cursor.list("{ when: …, rating: … }").unwrap_or_default();
    items.iter().map(|cursor| rule(cursor).unwrap_or_default()).collect()
}

fn rule(cursor: &Cursor<'_>) -> Option<RuleDefinition> {
    let table = cursor.table()?;
    let when = table.need("when", CONDITION).and_then(|cursor| condition(&cursor));
    let given = |cursor: Cursor<'_>| cursor.text("a reason").map(str::to_owned);
    Some(RuleDefinition {
        when: when.unwrap_or_default(),
        ignore: table.get("ignore").and_then(given),
        rating: table.get("rating").and_then(|cursor| cursor.number(RATING)),
        issues: table.get("issues").and_then(|cursor| issue_list(&cursor)),
        notes: table.get("notes").and_then(|cursor| template(&cursor)),
    })
}

const CONDITION: &str = "a condition such as \"score <= 2\"";

/// YAML reads the shortest conditions as true or false.
pub(super) const CONDITION_KIND: Kind = Kind::OneOf(&[Kind::Text, Kind::Flag]);

pub(super) fn condition(cursor: &Cursor<'_>) -> Option<String> {
    match cursor.value() {
        // YAML reads the shortest condition as something else.
        Some(Value::Bool(flag)) => Some(flag.to_string()),
        _ => cursor.text(CONDITION).map(str::to_owned),
    }
}

/// Empty is none.
pub(super) fn template(cursor: &Cursor<'_>) -> Option<String> {
    match cursor.value() {
        Some(Value::String(template)) => Some(template.clone()),
        _ => cursor.text("a template such as \"{{ score }} of 5\"").map(str::to_owned),
    }
}
