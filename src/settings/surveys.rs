use std::time::Duration;

use super::issues::{self, issues};
use super::questions::{self, questions};
use super::ratings::{self, rating};
use super::rules::{self, rules, template};
use super::shape::{Kind, Shape, key};
use super::written::{Place, Table};
use crate::domain::Name;
use crate::submission::ChangedAnswerPolicy;
use crate::survey::{
    CompleteDefinition, Definition, Fate, Incomplete, NotesDefinition, Numbers, RatingDefinition,
    Survey, Unrated,
};

pub(super) const SHAPE: Shape = Shape::of(&[
    key(
        "fields",
        Kind::List(&Kind::Name),
        "What sources read beside answers, by name; for conditions, notes and replies.",
    ),
    key("questions", questions::LIST, "What is asked.").needed(),
    key("rating", Kind::Table(&ratings::SHAPE), "How an answer becomes a rating from 1 to 5."),
    key("issues", Kind::Table(&issues::SHAPE), "How answers name what was wrong with the call."),
    key(
        "rules",
        rules::LIST,
        "Exceptions: the first whose `when` holds speaks, the rest are not looked at.",
    ),
    key(
        "notes",
        Kind::MaybeEmptyText,
        "A template such as \"IVR survey: {{ score }} of 5\"; empty for none.",
    ),
    key("notes_length", Kind::Whole(1, 4096), "Where notes are cut, in characters.").or("280"),
    key(
        "notes_numbers",
        Kind::Word(|| vec!["mask", "keep"]),
        "What becomes of long numbers in notes: all but the last two digits are masked, or kept.",
    )
    .or("mask"),
    key(
        "changes",
        Kind::Word(|| ChangedAnswerPolicy::ALL.map(ChangedAnswerPolicy::label).to_vec()),
        "Which of several different answers counts; resend delivers a later one again.",
    )
    .or("first"),
    key("unrated", Kind::Table(&UNRATED), "What becomes of a call without a rating, by reason."),
    key("complete", Kind::Table(&COMPLETE), "How long answers of a call are waited for."),
]);

/// `delay` is what `delivery` says.
pub(super) fn survey(place: &Place<'_>, delay: Duration) -> Option<Survey> {
    let table = place.table()?;
    let questions =
        table.need("questions", "a list of questions").and_then(|place| questions(&place));
    let fields = table.get("fields").and_then(|place| fields(&place)).unwrap_or_default();
    let rating = table.get("rating").map(|place| rating(&place));
    let issues = table.get("issues").map(|place| issues(&place)).unwrap_or_default();
    let rules = table.get("rules").map(|place| rules(&place)).unwrap_or_default();
    let notes = notes(&table);
    let changes = ChangedAnswerPolicy::ALL.map(|changes| (changes.label(), changes));
    let changes = table.or("changes", ChangedAnswerPolicy::KeepFirst, |place| place.word(&changes));
    let unrated = table.get("unrated").map(|place| unrated(&place)).unwrap_or_default();
    let complete = table.get("complete").map(|place| complete(&place)).unwrap_or_default();

    // What could not be read has its fault already. It is stood in for, so that the rest can be
    // checked against each other and every fault is heard at once.
    let mut definition = Definition::new(questions?);
    definition.fields = fields;
    let rating_of_is_missing = matches!(rating, Some(None));
    definition.rating = match rating {
        Some(None) => Some(RatingDefinition::new(definition.questions.first()?.name.clone())),
        rating => rating.flatten(),
    };
    definition.issues = issues;
    definition.rules = rules;
    definition.notes = notes;
    definition.changes = changes.unwrap_or_default();
    definition.unrated = unrated;
    definition.complete = complete;
    definition.delay = delay;
    match Survey::compile(definition) {
        Ok(survey) => Some(survey),
        Err(faults) => {
            for fault in faults {
                let follows = rating_of_is_missing && fault.path.starts_with("rating");
                if !follows {
                    table.fault_unless_noted(&fault.path, fault.message);
                }
            }
            None
        }
    }
}

fn fields(place: &Place<'_>) -> Option<Vec<Name>> {
    const FIELD: &str = "the name of a field, such as from";
    let items = place.list("names of fields")?;
    Some(items.iter().filter_map(|place| place.name(FIELD)).collect())
}

fn notes(table: &Table<'_>) -> NotesDefinition {
    let mut notes = NotesDefinition::default();
    let length = table.get("notes_length").and_then(|place| place.whole());
    notes.length = length.map_or(notes.length, |length| length as usize);
    let numbers = [("mask", Numbers::Mask), ("keep", Numbers::Keep)];
    let numbers = table.or("notes_numbers", Numbers::Mask, |place| place.word(&numbers));
    notes.numbers = numbers.unwrap_or_default();
    let template = table.get("notes").and_then(|place| template(&place));
    notes.template = template.filter(|template| !template.is_empty());
    notes
}

const UNRATED: Shape = Shape::of(&[
    key("no_answer", FATE, "A caller who answered nothing.").or("ignore"),
    key("invalid_answer", FATE, "Answers, and none that its question knows.").or("ignore"),
    key("no_score", FATE, "Answers, and none to the question that rates.").or("ignore"),
    key("hang_up", FATE, "A caller who hung up before answering.").or("ignore"),
    key("opt_out", FATE, "A caller who does not want to be asked.").or("ignore"),
]);

const FATE: Kind = Kind::Word(|| vec!["ignore", "dead"]);

fn unrated(place: &Place<'_>) -> Unrated {
    let Some(table) = place.table() else { return Unrated::default() };
    let fates = [("ignore", Fate::Ignore), ("dead", Fate::Dead)];
    let [no_answer, invalid_answer, no_score, hang_up, opt_out] =
        ["no_answer", "invalid_answer", "no_score", "hang_up", "opt_out"].map(|key| {
            table.or(key, Fate::default(), |place| place.word(&fates)).unwrap_or_default()
        });
    Unrated { no_answer, invalid_answer, no_score, hang_up, opt_out }
}

const COMPLETE: Shape = Shape::of(&[
    key(
        "after",
        Kind::Duration(Duration::ZERO),
        "How long to wait after the last answer for those that are missing.",
    )
    .or("120s"),
    key(
        "grace",
        Kind::Duration(Duration::ZERO),
        "How long to wait for them once the caller has hung up.",
    )
    .or("5s"),
    key(
        "deadline",
        Kind::Duration(Duration::from_secs(1)),
        "How long after the first answer nothing is waited for any more.",
    )
    .or("24h"),
    key(
        "incomplete",
        Kind::Word(|| vec!["send", "ignore", "dead"]),
        "What becomes of a survey that is not complete then.",
    )
    .or("send"),
]);

fn complete(place: &Place<'_>) -> CompleteDefinition {
    let mut complete = CompleteDefinition::default();
    let Some(table) = place.table() else {
        return complete;
    };
    let duration =
        |key, default| table.or(key, default, |place| place.duration()).unwrap_or(default);
    complete.after = duration("after", complete.after);
    complete.grace = duration("grace", complete.grace);
    complete.deadline = duration("deadline", complete.deadline);
    let fates =
        [("send", Incomplete::Send), ("ignore", Incomplete::Ignore), ("dead", Incomplete::Dead)];
    let incomplete = table.or("incomplete", Incomplete::Send, |place| place.word(&fates));
    complete.incomplete = incomplete.unwrap_or_default();
    complete
}
