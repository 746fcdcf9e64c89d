use std::collections::BTreeMap;
use std::sync::Arc;

use super::cursor::Cursor;
use super::presets;
use super::rules::{CONDITION_KIND, condition};
use super::spec::{Kind, Spec, key};
use crate::domain::Name;
use crate::source::Source;
use crate::survey::{Replies, ReplyDefinition, Survey};

pub(super) const LIST: Kind = Kind::List(&Kind::Table(&SPEC));

const SPEC: Spec = Spec::of(&[
    key(
        "when",
        CONDITION_KIND,
        "When it is given, such as \"score < 5\"; the last is for all else.",
    ),
    key("xml", Kind::Text, "A template of XML; {{ url }} is what the source calls.").needed(),
]);

/// Of the sources that have some. `None` where any of it is at fault, or the source or survey
/// that it depends on is.
pub(super) fn replies(
    section: Option<Cursor<'_>>,
    sources: &BTreeMap<Name, Option<Arc<Source>>>,
    surveys: &BTreeMap<Name, Option<Arc<Survey>>>,
) -> Option<BTreeMap<Name, Arc<Replies>>> {
    let mut all = BTreeMap::new();
    let mut is_whole = true;
    for (name, cursor) in section?.named() {
        let Some(table) = cursor.table() else { continue };
        let Some(list) = table.get("replies") else { continue };
        if table.get("reply").is_some() {
            is_whole = false;
            table.fault_at::<()>("reply", "leave it out: the last of the replies is for all else");
        }
        let source = sources.get(&name).and_then(Option::as_ref);
        let survey = source.and_then(|source| surveys.get(&source.survey)).and_then(Option::as_ref);
        let preset = table.get("preset").and_then(|cursor| cursor.value()?.as_str());
        let is_xml = |text: &str| presets::xml(preset.unwrap_or_default(), text).map(drop);
        match survey.and_then(|survey| of_source(&list, &cursor, survey, &is_xml)) {
            Some(replies) => {
                all.insert(name, Arc::new(replies));
            }
            None => is_whole = false,
        }
    }
    is_whole.then_some(all)
}

fn of_source(
    list: &Cursor<'_>,
    source: &Cursor<'_>,
    survey: &Survey,
    is_xml: &dyn Fn(&str) -> Result<(), String>,
) -> Option<Replies> {
    let items = list.list("{ when: …, xml: … }")?;
    let definitions: Option<Vec<_>> = items.iter().map(definition).collect();
    let definitions = definitions?;
    if list.has_unknown_below() {
        return None;
    }
    match survey.replies(&definitions, is_xml) {
        Ok(replies) => Some(replies),
        Err(faults) => {
            for fault in faults {
                source.fault_below::<()>(&fault.path, fault.advice);
            }
            None
        }
    }
}

fn definition(cursor: &Cursor<'_>) -> Option<ReplyDefinition> {
    let table = cursor.table()?;
    let when = table.get("when").map(|cursor| condition(&cursor));
    let xml = table.need("xml", "a template of XML").and_then(|cursor| {
        cursor.text("a template such as \"<Response><Speak>Thank you.</Speak></Response>\"")
    });
    Some(ReplyDefinition {
        when: when.map_or(Some(None), |when| when.map(Some))?,
        xml: xml?.to_owned(),
    })
}
