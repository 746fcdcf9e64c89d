use std::collections::BTreeSet;
use std::time::Duration;

use super::cursor::{Cursor, Table};
use super::issues::{self, issues};
use super::questions::{self, questions};
use super::ratings::{self, rating};
use super::rules::{self, rules, template};
use super::section::{Section, duration, section, word, words};
use super::spec::{Kind, Spec, key};
use crate::domain::Name;
use crate::submission::ChangedAnswerPolicy;
use crate::survey::{
    CompleteDefinition, Definition, Incomplete, NoRatingPolicy, NotesDefinition, OnNoRating,
    RatingDefinition, Survey,
};

pub(super) const SPEC: Spec = Spec::of(&[
    key(
        "fields",
        Kind::List(&Kind::Name),
        "What sources read beside answers, by name; for conditions, notes and replies.",
    ),
    key(
        "labels",
        Kind::List(&Kind::Name),
        "Up to 3 fields that the metrics of ratings and issues are split by, such as [queue]; never one with personal data.",
    ),
    key(
        "insights",
        Kind::List(&Kind::Name),
        "Up to 3 fields by which the insights of the console compare calls, such as [campaign]; never one with personal data.",
    ),
    key("questions", questions::LIST, "What is asked.").needed(),
    key("rating", Kind::Table(&ratings::SPEC), "How an answer becomes a rating from 1 to 5."),
    key("issues", Kind::Table(&issues::SPEC), "How answers name what was wrong with the call."),
    key(
        "rules",
        rules::LIST,
        "Exceptions: the first whose `when` holds applies, the others are not evaluated.",
    ),
    key(
        "notes",
        Kind::MaybeEmptyText,
        "A template such as \"IVR survey: {{ score }} of 5\"; empty for none.",
    ),
    key("notes_length", Kind::Whole(1, 4096), "Where notes are cut, in characters.").or("280"),
    key(
        "mask_phone_numbers",
        Kind::Flag,
        "Whether long numbers in notes, such as those of telephones, are masked but for the last two digits.",
    )
    .or("true"),
    key(
        "on_changed_answer",
        Kind::Word(|| ChangedAnswerPolicy::ALL.map(ChangedAnswerPolicy::label).to_vec()),
        "Which of several different answers counts; redeliver sends a later one again.",
    )
    .or("keep_first"),
    key(
        "on_no_rating",
        Kind::Table(NoRatingPolicy::SPEC),
        "What becomes of a call without a rating, by reason.",
    ),
    key(
        "complete",
        Kind::Table(CompleteDefinition::SPEC),
        "How long answers of a call are waited for.",
    ),
]);

/// `delay` is what `delivery` says.
pub(super) fn survey(cursor: &Cursor<'_>, delay: Duration) -> Option<Survey> {
    let table = cursor.table()?;
    let questions =
        table.need("questions", "a list of questions").and_then(|cursor| questions(&cursor));
    let fields = table.get("fields").and_then(|cursor| fields(&cursor)).unwrap_or_default();
    let labels = table.get("labels").and_then(|cursor| self::fields(&cursor)).unwrap_or_default();
    let insights =
        table.get("insights").and_then(|cursor| self::fields(&cursor)).unwrap_or_default();
    let rating = table.get("rating").map(|cursor| rating(&cursor));
    let issues = table.get("issues").map(|cursor| issues(&cursor)).unwrap_or_default();
    let rules = table.get("rules").map(|cursor| rules(&cursor)).unwrap_or_default();
    let notes = notes(&table);
    let changes = ChangedAnswerPolicy::ALL.map(|changes| (changes.label(), changes));
    let changes = table
        .or("on_changed_answer", ChangedAnswerPolicy::KeepFirst, |cursor| cursor.word(&changes));
    let unrated = table
        .get("on_no_rating")
        .and_then(|cursor| NoRatingPolicy::at(&cursor))
        .unwrap_or_default();
    let complete = table
        .get("complete")
        .and_then(|cursor| CompleteDefinition::at(&cursor))
        .unwrap_or_default();

    // What a misspelt key was meant to say is missing, and whatever follows from that is no news.
    if cursor.has_unknown_below() {
        return None;
    }
    // An unreadable part has its fault already. A default replaces it, so that the rest can be
    // checked against each other and every fault is reported at once.
    let mut definition = Definition::new(questions?);
    definition.fields = fields;
    definition.labels = labels;
    definition.insights = insights;
    let rating_of_is_missing = matches!(rating, Some(None));
    definition.rating = match rating {
        Some(None) => Some(RatingDefinition::new(definition.questions.first()?.name.clone())),
        rating => rating.flatten(),
    };
    definition.issues = issues;
    definition.rules = rules;
    definition.notes = notes;
    definition.on_changed_answer = changes.unwrap_or_default();
    definition.on_no_rating = unrated;
    definition.complete = complete;
    definition.delay = delay;
    match Survey::compile(definition) {
        Ok(survey) => Some(survey),
        Err(faults) => {
            // A name that is wrong where it is defined is unknown wherever it is used.
            let is_misnamed = faults.iter().any(|fault| is_path_of_a_name(&fault.path));
            let mut undefined = BTreeSet::new();
            for fault in faults {
                let follows = rating_of_is_missing && fault.path.starts_with("rating");
                let is_known = match &fault.advice.undefined {
                    Some(name) => is_misnamed || !undefined.insert(name.clone()),
                    None => false,
                };
                if !follows && !is_known {
                    cursor.fault_below_unless_noted(&fault.path, fault.advice);
                }
            }
            None
        }
    }
}

/// Whether it is that of a question, of its name, or of a field.
fn is_path_of_a_name(path: &str) -> bool {
    let path = path.strip_suffix(".name").unwrap_or(path);
    let is_item = |list| path.strip_prefix(list).is_some_and(|rest: &str| !rest.contains('.'));
    is_item("questions[") || is_item("fields[")
}

fn fields(cursor: &Cursor<'_>) -> Option<Vec<Name>> {
    const FIELD: &str = "the name of a field, such as from";
    let items = cursor.list("names of fields")?;
    Some(items.iter().filter_map(|cursor| cursor.parsed(FIELD)).collect())
}

fn notes(table: &Table<'_>) -> NotesDefinition {
    let mut notes = NotesDefinition::default();
    let length = table.get("notes_length").and_then(|cursor| cursor.whole());
    notes.length = length.map_or(notes.length, |length| length as usize);
    let masks = table.or("mask_phone_numbers", true, |cursor| cursor.flag());
    notes.masks_phone_numbers = masks.unwrap_or(true);
    let template = table.get("notes").and_then(|cursor| template(&cursor));
    notes.template = template.filter(|template| !template.is_empty());
    notes
}

section! {
    impl NoRatingPolicy {
        /// A caller who answered nothing.
        no_answer: OnNoRating = word().or("ignore"),
        /// Answers, and none that its question knows.
        invalid_answer: OnNoRating = word().or("ignore"),
        /// Answers, and none to the question that rates.
        no_score: OnNoRating = word().or("ignore"),
        /// A caller who hung up before answering.
        hang_up: OnNoRating = word().or("ignore"),
        /// A caller who does not want to be asked.
        opt_out: OnNoRating = word().or("ignore"),
    }
}

section! {
    impl CompleteDefinition {
        /// How long to wait after the last answer for those that are missing.
        timeout: Duration = duration(Duration::ZERO).or("120s"),
        /// How long to wait for them once the caller has hung up.
        hangup_timeout: Duration = duration(Duration::ZERO).or("5s"),
        /// How long after the first answer nothing is waited for any more.
        deadline: Duration = duration(Duration::from_secs(1)).or("24h"),
        /// What becomes of a survey that is not complete then.
        on_incomplete: Incomplete = word().or("send"),
    }
}

words! {
    OnNoRating { "ignore" => Ignore, "dead" => Dead }
    Incomplete { "send" => Send, "ignore" => Ignore, "dead" => Dead }
}
