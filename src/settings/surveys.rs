use std::time::Duration;

use serde_json::Value;

use super::questions::questions;
use super::written::{ANSWER, Place, Table};
use crate::domain::{Changes, Issue, Issues, Name};
use crate::survey::{
    AtFive, ChoiceDefinition, CompleteDefinition, Definition, Fate, Incomplete, IssuesDefinition,
    MetBy, NotesDefinition, Numbers, RatingDefinition, Rounding, RuleDefinition, ScaleDefinition,
    Survey, Unrated,
};

/// `delay` is what `delivery` says.
pub(super) fn survey(place: &Place<'_>, delay: Duration) -> Option<Survey> {
    let table = place.table(&[
        "fields",
        "questions",
        "rating",
        "issues",
        "rules",
        "notes",
        "notes_length",
        "notes_numbers",
        "changes",
        "unrated",
        "complete",
    ])?;
    let questions =
        table.need("questions", "a list of questions").and_then(|place| questions(&place));
    let fields = table.get("fields").and_then(|place| fields(&place)).unwrap_or_default();
    let rating = table.get("rating").map(|place| rating(&place));
    let issues = table.get("issues").map(|place| issues(&place)).unwrap_or_default();
    let rules = table.get("rules").map(|place| rules(&place)).unwrap_or_default();
    let notes = notes(&table);
    let changes = Changes::ALL.map(|changes| (changes.label(), changes));
    let changes = table.or("changes", Changes::First, |place| place.word(&changes));
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

pub(super) const QUESTION: &str = "the name of a question";

fn fields(place: &Place<'_>) -> Option<Vec<Name>> {
    const FIELD: &str = "the name of a field, such as from";
    let items = place.list("names of fields")?;
    Some(items.iter().filter_map(|place| place.name(FIELD)).collect())
}

/// `None` where the question is amiss.
fn rating(place: &Place<'_>) -> Option<RatingDefinition> {
    let table = place.table(&["of", "scale", "table", "thumbs", "monotone"])?;
    let of = table.need("of", QUESTION).and_then(|place| place.name(QUESTION));
    let kinds = ["scale", "table", "thumbs"].map(|kind| table.get(kind));
    let scale = match kinds {
        [None, None, None] => Some(ScaleDefinition::default()),
        [Some(scale), None, None] => self::scale(&scale),
        [None, Some(rows), None] => rows_of(&rows).map(ScaleDefinition::Table),
        [None, None, Some(place)] => thumbs(&place),
        _ => place.fault("expected at most one of scale, table, thumbs"),
    };
    let monotone = table.or("monotone", true, |place| place.flag());
    let mut rating = RatingDefinition::new(of?);
    rating.scale = scale.unwrap_or_default();
    rating.monotone = monotone.unwrap_or(true);
    Some(rating)
}

fn scale(place: &Place<'_>) -> Option<ScaleDefinition> {
    const ENDS: &str = "the worst and the best score, such as [1, 5]";
    let table = place.table(&["from", "round"])?;
    let from = table.or("from", (1, 5), |place| two_numbers(&place, ENDS));
    let rounds =
        [("hundredth", Rounding::Hundredth), ("half", Rounding::Half), ("whole", Rounding::Whole)];
    let round = table.or("round", Rounding::default(), |place| place.word(&rounds));
    Some(ScaleDefinition::Linear { from: from?, round: round? })
}

/// Whole ones. `what` completes "expected …".
pub(super) fn two_numbers(place: &Place<'_>, what: &str) -> Option<(i64, i64)> {
    match place.value().as_array().map(Vec::as_slice) {
        Some([one, other]) => match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => Some((one, other)),
            _ => place.fault(format!("expected {what}, both whole numbers")),
        },
        Some(_) => place.fault(format!("expected {what}")),
        None => place.expected(what),
    }
}

/// In their places, for faults are told by them.
fn rows_of(place: &Place<'_>) -> Option<Vec<(String, f64)>> {
    let items = place.list("{ answer: …, rating: … }")?;
    let row = |place: &Place<'_>| {
        let table = place.table(&["answer", "rating"])?;
        let answer = table.need("answer", ANSWER).and_then(|place| place.answer());
        let rating = table.need("rating", RATING).and_then(|place| number(&place));
        Some((answer.unwrap_or_default(), rating.unwrap_or(1.0)))
    };
    Some(items.iter().map(|place| row(place).unwrap_or((String::new(), 1.0))).collect())
}

const RATING: &str = "a rating from 1 to 5";

fn number(place: &Place<'_>) -> Option<f64> {
    match place.value() {
        Value::Number(number) => number.as_f64(),
        _ => place.expected(RATING),
    }
}

fn thumbs(place: &Place<'_>) -> Option<ScaleDefinition> {
    let table = place.table(&["up", "down"])?;
    let up = table.need("up", ANSWER).and_then(|place| place.answer());
    let down = table.need("down", ANSWER).and_then(|place| place.answer());
    Some(ScaleDefinition::Thumbs { up: up?, down: down? })
}

fn issues(place: &Place<'_>) -> IssuesDefinition {
    let mut issues = IssuesDefinition::default();
    let Some(table) = place.table(&["of", "choices", "otherwise", "at_five"]) else {
        return issues;
    };
    issues.of = table.get("of").and_then(|place| place.name(QUESTION));
    if let Some(place) = table.get("choices") {
        issues.choices = choices(&place);
    }
    if let Some(otherwise) = table.get("otherwise").and_then(|place| issue_list(&place)) {
        issues.otherwise = otherwise;
    }
    if let Some(at_five) = table
        .get("at_five")
        .and_then(|place| place.word(&[("send", AtFive::Send), ("drop", AtFive::Drop)]))
    {
        issues.at_five = at_five;
    }
    issues
}

/// In their places, for faults are told by them.
fn choices(place: &Place<'_>) -> Vec<ChoiceDefinition> {
    let items = place.list("{ answer: …, issue: … }").unwrap_or_default();
    let unread = || ChoiceDefinition::answer("", Issue::Others);
    items.iter().map(|place| choice(place).unwrap_or_else(unread)).collect()
}

fn choice(place: &Place<'_>) -> Option<ChoiceDefinition> {
    let table = place.table(&["of", "answer", "mentions", "issue"])?;
    let of = table.get("of").and_then(|place| place.name(QUESTION));
    let met_by = match (table.get("answer"), table.get("mentions")) {
        (Some(_), Some(_)) => place.fault("expected one of answer, mentions, not both"),
        (None, Some(place)) => mentions(&place).map(MetBy::Mentions),
        _ => {
            let answer = table.need("answer", ANSWER).and_then(|place| place.answer());
            answer.map(MetBy::Answer)
        }
    };
    let issue = table.need("issue", ISSUE).and_then(|place| issue(&place));
    Some(ChoiceDefinition {
        of,
        met_by: met_by.unwrap_or(MetBy::Answer(String::new())),
        issue: issue.unwrap_or(Issue::Others),
    })
}

fn mentions(place: &Place<'_>) -> Option<Vec<String>> {
    const PHRASE: &str = "words such as \"hear myself\"";
    let phrases: Option<Vec<_>> = match place.value() {
        Value::Array(_) => place.list(PHRASE)?.iter().map(|place| place.text(PHRASE)).collect(),
        _ => place.text(PHRASE).map(|phrase| vec![phrase]),
    };
    Some(phrases?.into_iter().map(str::to_owned).collect())
}

fn issue_list(place: &Place<'_>) -> Option<Issues> {
    let items = place.list("issues such as [OTHERS]")?;
    let issues: Vec<_> = items.iter().map(issue).collect();
    issues.into_iter().collect()
}

const ISSUE: &str = "an issue that Plivo knows, such as ECHO";

fn issue(place: &Place<'_>) -> Option<Issue> {
    let text = place.text(ISSUE)?;
    place.check(text.parse())
}

/// In their places, for faults are told by them.
fn rules(place: &Place<'_>) -> Vec<RuleDefinition> {
    let items = place.list("{ when: …, rating: … }").unwrap_or_default();
    items.iter().map(|place| rule(place).unwrap_or_default()).collect()
}

fn rule(place: &Place<'_>) -> Option<RuleDefinition> {
    let table = place.table(&["when", "ignore", "rating", "issues", "notes"])?;
    let when = table.need("when", CONDITION).and_then(|place| condition(&place));
    let given = |place: Place<'_>| place.text("a reason").map(str::to_owned);
    Some(RuleDefinition {
        when: when.unwrap_or_default(),
        ignore: table.get("ignore").and_then(given),
        rating: table.get("rating").and_then(|place| number(&place)),
        issues: table.get("issues").and_then(|place| issue_list(&place)),
        notes: table.get("notes").and_then(|place| template(&place)),
    })
}

const CONDITION: &str = "a condition such as \"score <= 2\"";

pub(super) fn condition(place: &Place<'_>) -> Option<String> {
    match place.value() {
        // YAML reads the shortest condition as something else.
        Value::Bool(flag) => Some(flag.to_string()),
        _ => place.text(CONDITION).map(str::to_owned),
    }
}

/// Empty is none.
fn template(place: &Place<'_>) -> Option<String> {
    match place.value() {
        Value::String(template) => Some(template.clone()),
        _ => place.text("a template such as \"{{ score }} of 5\"").map(str::to_owned),
    }
}

fn notes(table: &Table<'_>) -> NotesDefinition {
    let mut notes = NotesDefinition::default();
    let length = table.get("notes_length").and_then(|place| place.whole(1..=4096));
    notes.length = length.map_or(notes.length, |length| length as usize);
    let numbers = [("mask", Numbers::Mask), ("keep", Numbers::Keep)];
    let numbers = table.or("notes_numbers", Numbers::Mask, |place| place.word(&numbers));
    notes.numbers = numbers.unwrap_or_default();
    let template = table.get("notes").and_then(|place| template(&place));
    notes.template = template.filter(|template| !template.is_empty());
    notes
}

fn unrated(place: &Place<'_>) -> Unrated {
    let keys = ["no_answer", "invalid_answer", "no_score", "hang_up", "opt_out"];
    let Some(table) = place.table(&keys) else { return Unrated::default() };
    let fates = [("ignore", Fate::Ignore), ("dead", Fate::Dead)];
    let [no_answer, invalid_answer, no_score, hang_up, opt_out] = keys
        .map(|key| table.or(key, Fate::default(), |place| place.word(&fates)).unwrap_or_default());
    Unrated { no_answer, invalid_answer, no_score, hang_up, opt_out }
}

fn complete(place: &Place<'_>) -> CompleteDefinition {
    let mut complete = CompleteDefinition::default();
    let Some(table) = place.table(&["after", "grace", "deadline", "incomplete"]) else {
        return complete;
    };
    let duration = |key, default, shortest| {
        table.or(key, default, |place| place.duration(shortest)).unwrap_or(default)
    };
    complete.after = duration("after", complete.after, Duration::ZERO);
    complete.grace = duration("grace", complete.grace, Duration::ZERO);
    complete.deadline = duration("deadline", complete.deadline, Duration::from_secs(1));
    let fates =
        [("send", Incomplete::Send), ("ignore", Incomplete::Ignore), ("dead", Incomplete::Dead)];
    let incomplete = table.or("incomplete", Incomplete::Send, |place| place.word(&fates));
    complete.incomplete = incomplete.unwrap_or_default();
    complete
}
