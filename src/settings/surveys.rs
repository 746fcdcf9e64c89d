use std::time::Duration;

use serde_json::Value;

use super::written::{ANSWER, Place, Table};
use crate::domain::{Issue, Issues, Name};
use crate::survey::{
    AtFive, Definition, IssuesDefinition, NotesDefinition, QuestionDefinition, Survey,
};

/// `delay` is what `delivery` says.
pub(super) fn survey(place: &Place<'_>, delay: Duration) -> Option<Survey> {
    let table =
        place.table(&["questions", "rating", "issues", "notes", "notes_length", "complete"])?;
    let questions =
        table.need("questions", "a list of questions").and_then(|place| questions(&place));
    let rating = table.need("rating", "{ of: QUESTION }").map(|place| rating(&place));
    let issues = table.get("issues").map(|place| issues(&place)).unwrap_or_default();
    let notes = notes(&table);
    let after = table.get("complete").and_then(|place| after(&place));

    // What could not be read has its fault already. It is stood in for, so that the rest can be
    // checked against each other and every fault is heard at once.
    let questions = questions?;
    let (of, from) = rating.unwrap_or_default();
    let of_is_missing = of.is_none();
    let of = of.or_else(|| Some(questions.first()?.name.clone()))?;
    let mut definition = Definition::new(questions, of);
    definition.rating.from = from.unwrap_or(definition.rating.from);
    definition.issues = issues;
    definition.notes = notes;
    definition.after = after.unwrap_or(definition.after);
    definition.delay = delay;
    match Survey::compile(definition) {
        Ok(survey) => Some(survey),
        Err(faults) => {
            for fault in faults {
                let follows = of_is_missing && fault.path.starts_with("rating");
                if !follows {
                    table.fault_unless_noted(&fault.path, fault.message);
                }
            }
            None
        }
    }
}

const QUESTION: &str = "the name of a question";

/// `None` where a name is amiss: everything else refers to names.
fn questions(place: &Place<'_>) -> Option<Vec<QuestionDefinition>> {
    let items = place.list("{ name: …, answers: … }")?;
    let questions: Vec<_> = items.iter().map(question).collect();
    questions.into_iter().collect()
}

fn question(place: &Place<'_>) -> Option<QuestionDefinition> {
    let table = place.table(&["name", "answers"])?;
    let name = table.need("name", QUESTION).and_then(|place| place.name(QUESTION));
    let answers = table.need("answers", "a key, a range such as 1-5, or a list of these");
    let answers = answers.and_then(|place| answers_at(&place)).unwrap_or_default();
    Some(QuestionDefinition { name: name?, answers })
}

fn answers_at(place: &Place<'_>) -> Option<Vec<String>> {
    let pieces: Vec<_> = match place.value() {
        Value::Array(_) => place.list(ANSWER)?.iter().map(Place::answer).collect(),
        _ => vec![place.answer()],
    };
    pieces.into_iter().collect()
}

/// The question, and what is worth a 1 and a 5 where that is written.
fn rating(place: &Place<'_>) -> (Option<Name>, Option<(i64, i64)>) {
    let Some(table) = place.table(&["of", "scale"]) else { return (None, None) };
    let of = table.need("of", QUESTION).and_then(|place| place.name(QUESTION));
    (of, table.get("scale").and_then(|place| scale(&place)))
}

fn scale(place: &Place<'_>) -> Option<(i64, i64)> {
    const ENDS: &str = "the worst and the best score, such as [1, 5]";
    let table = place.table(&["from"])?;
    let place = table.need("from", ENDS)?;
    match place.value().as_array().map(Vec::as_slice) {
        Some([worst, best]) => match (worst.as_i64(), best.as_i64()) {
            (Some(worst), Some(best)) => Some((worst, best)),
            _ => place.fault(format!("expected {ENDS}, both whole numbers")),
        },
        Some(_) => place.fault(format!("expected {ENDS}")),
        None => place.expected(ENDS),
    }
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
    if let Some(otherwise) = table.get("otherwise").and_then(|place| otherwise(&place)) {
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
fn choices(place: &Place<'_>) -> Vec<(String, Issue)> {
    let items = place.list("{ answer: …, issue: … }").unwrap_or_default();
    items.iter().map(|place| choice(place).unwrap_or((String::new(), Issue::Others))).collect()
}

fn choice(place: &Place<'_>) -> Option<(String, Issue)> {
    let table = place.table(&["answer", "issue"])?;
    let answer = table.need("answer", ANSWER).and_then(|place| place.answer());
    let issue = table.need("issue", ISSUE).and_then(|place| issue(&place));
    Some((answer.unwrap_or_default(), issue.unwrap_or(Issue::Others)))
}

fn otherwise(place: &Place<'_>) -> Option<Issues> {
    let items = place.list("issues such as [OTHERS]")?;
    let issues: Vec<_> = items.iter().map(issue).collect();
    issues.into_iter().collect()
}

const ISSUE: &str = "an issue that Plivo knows, such as ECHO";

fn issue(place: &Place<'_>) -> Option<Issue> {
    let text = place.text(ISSUE)?;
    place.check(text.parse())
}

fn notes(table: &Table<'_>) -> Option<NotesDefinition> {
    let length = table.get("notes_length").and_then(|place| place.whole(1..=4096));
    let place = table.get("notes")?;
    let template = match place.value() {
        Value::String(template) if template.is_empty() => return None,
        _ => place.text("a template such as \"{{ score }} of 5\"")?,
    };
    let mut notes = NotesDefinition::new(template);
    notes.length = length.map_or(notes.length, |length| length as usize);
    Some(notes)
}

fn after(place: &Place<'_>) -> Option<Duration> {
    let table = place.table(&["after"])?;
    table.need("after", "a duration").and_then(|place| place.duration(Duration::ZERO))
}
