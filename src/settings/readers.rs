//! Where in a source's hooks lies what, as an operator writes it.

use serde_json::Value;

use super::shape::{Kind, Shape, key};
use super::written::{Place, Table};
use crate::domain::Name;
use crate::source::{Asked, Condition, Reader, Readers, When};

const READER: &str = "where it lies, such as form:Digits or json:$.score, or a list of these";
const CONDITION: &str = "a condition such as form:Event=Hangup, or a list of these";

/// What the survey of a source asks, and what it wants to know beside.
pub(super) struct Wanted<'a> {
    pub(super) questions: Vec<&'a Name>,
    pub(super) fields: Vec<&'a Name>,
}

pub(super) const SHAPE: Shape = Shape::of(&[
    key("call", PLACES, "Where the id of the call lies."),
    key("question", PLACES, "Which question is answered; without it, the survey's first."),
    key("answer", PLACES, "Where the answer to that question lies."),
    key(
        "answers",
        Kind::OneOf(&[Kind::List(&Kind::Table(&ANSWER)), Kind::Blank]),
        "Where several answers lie, instead of question and answer.",
    ),
    key(
        "each_question",
        PLACES,
        "Where the answer to any question lies, with {question} for its name.",
    ),
    key(
        "fields",
        Kind::OneOf(&[Kind::Named(&PLACES), Kind::Blank]),
        "Where the fields of the survey lie, by name.",
    ),
    key("hangup", MOMENT, "When it says that the call is over; true where all that comes does."),
    key("opt_out", MOMENT, "When it says that the caller does not want to be asked."),
    key("only_when", PLACES, "What else has to hold; anything else is answered and not kept."),
    key("id", PLACES, "Where the sender's own id of the hook lies: seen again it is a repeat."),
]);

/// The first that finds something.
const PLACES: Kind = Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text), Kind::Blank]);

const MOMENT: Kind = Kind::OneOf(&[Kind::Flag, Kind::Text, Kind::List(&Kind::Text), Kind::Blank]);

const ANSWER: Shape = Shape::of(&[
    key("question", Kind::Name, "The question that is answered.").needed(),
    key("from", PLACES, "Where the answer lies.").needed(),
]);

/// `own` is what the source itself says of `read`, where the rest is its preset's.
pub(super) fn readers(
    place: &Place<'_>,
    own: Option<&Value>,
    wanted: &Wanted<'_>,
) -> Option<Readers> {
    let table = place.table()?;
    let call = table.need("call", READER).and_then(|place| some(&place));
    let hangup = table.or("hangup", When::never(), |place| when(&place));
    let opt_out = table.or("opt_out", When::never(), |place| when(&place));
    let asked = asked(&table, hangup.as_ref(), wanted);
    let fields = table.or("fields", Vec::new(), |place| fields(&place, wanted, own));
    let only_when = table.or("only_when", Vec::new(), |place| conditions(&place));
    let id = table.or("id", Vec::new(), |place| some(&place));
    Some(Readers {
        call: call?,
        asked: asked?,
        fields: fields?,
        hangup: hangup?,
        opt_out: opt_out?,
        only_when: only_when?,
        id: id?,
    })
}

fn asked(table: &Table<'_>, hangup: Option<&When>, wanted: &Wanted<'_>) -> Option<Asked> {
    let answer = table.get("answer");
    let answers = table.get("answers");
    let each = table.get("each_question");
    match (answer, answers, each) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => table.fault_at(
            "answer",
            "a hook answers one question (answer) or several (answers, each_question)",
        ),
        (Some(answer), None, None) => {
            let question = table.or("question", Vec::new(), |place| some(&place));
            let answer = some(&answer);
            Some(Asked::One { question: question?, answer: answer? })
        }
        (None, None, None) if matches!(hangup, Some(When::Always)) => {
            Some(Asked::Several(Vec::new()))
        }
        (None, None, None) => table.fault_at("answer", format!("missing: expected {READER}")),
        (None, answers, each) => {
            if table.get("question").is_some() {
                return table
                    .fault_at("question", "answers and each_question name their questions");
            }
            let own = answers.map_or(Some(Vec::new()), |place| answers_at(&place, wanted));
            let each = each.map_or(Some(Vec::new()), |place| each_at(&place, wanted));
            let mut several = own?;
            for (question, readers) in each? {
                if several.iter().all(|(own, _)| *own != question) {
                    several.push((question, readers));
                }
            }
            Some(Asked::Several(several))
        }
    }
}

fn answers_at(place: &Place<'_>, wanted: &Wanted<'_>) -> Option<Vec<(Name, Vec<Reader>)>> {
    const ITEM: &str = "{ question: …, from: … }";
    let items = place.list(ITEM)?;
    if items.is_empty() {
        return place.fault(format!("an empty list: expected {ITEM}"));
    }
    let mut several: Vec<(Name, Vec<Reader>)> = Vec::new();
    let mut all_well = true;
    for place in items {
        match answer_at(&place, wanted) {
            Some((question, _)) if several.iter().any(|(known, _)| *known == question) => {
                place.fault::<()>(format!("{question} has its place already"));
                all_well = false;
            }
            Some(answer) => several.push(answer),
            None => all_well = false,
        }
    }
    all_well.then_some(several)
}

fn answer_at(place: &Place<'_>, wanted: &Wanted<'_>) -> Option<(Name, Vec<Reader>)> {
    let table = place.table()?;
    let question = table.need("question", "the name of a question").and_then(|place| {
        let name = place.name("the name of a question")?;
        if wanted.questions.contains(&&name) {
            return Some(name);
        }
        place.fault(format!(
            "the survey has no such question: name one of {}",
            list(&wanted.questions)
        ))
    });
    let from = table.need("from", READER).and_then(|place| some(&place));
    Some((question?, from?))
}

/// Each question of the survey, looked for where its name is put for `{question}`.
fn each_at(place: &Place<'_>, wanted: &Wanted<'_>) -> Option<Vec<(Name, Vec<Reader>)>> {
    const QUESTION: &str = "{question}";
    let texts = texts(place, READER)?;
    let one = |(place, text): &(Place<'_>, &str), question: &Name| {
        place.check(text.replace(QUESTION, question.as_str()).parse::<Reader>())
    };
    for (place, text) in &texts {
        if !text.contains(QUESTION) {
            return place.fault(format!("expected {QUESTION} in it, for which each name is put"));
        }
    }
    let each = |question: &&Name| {
        let readers: Vec<_> = texts.iter().map(|text| one(text, question)).collect();
        Some(((*question).clone(), readers.into_iter().collect::<Option<_>>()?))
    };
    wanted.questions.iter().map(each).collect()
}

/// Those that the survey wants. What a preset could tell beside is not looked for; what the source
/// itself names is meant.
fn fields(
    place: &Place<'_>,
    wanted: &Wanted<'_>,
    own: Option<&Value>,
) -> Option<Vec<(Name, Vec<Reader>)>> {
    let is_own = |name: &Name| own.is_some_and(|own| own["fields"].get(name.as_str()).is_some());
    let read: Vec<_> = place
        .entries()
        .into_iter()
        .map(|(name, place)| {
            if is_own(&name) && !wanted.fields.contains(&&name) {
                return place.fault(match &wanted.fields[..] {
                    [] => "the survey has no fields: name it under its `fields`".to_owned(),
                    known => format!("the survey has no such field: it has {}", list(known)),
                });
            }
            Some((name, some(&place)?))
        })
        .collect();
    let read: Vec<_> = read.into_iter().collect::<Option<_>>()?;
    Some(read.into_iter().filter(|(name, _)| wanted.fields.contains(&name)).collect())
}

fn when(place: &Place<'_>) -> Option<When> {
    match place.value() {
        Value::Bool(true) => Some(When::Always),
        Value::Bool(false) => Some(When::never()),
        _ => conditions(place).map(When::Any),
    }
}

fn conditions(place: &Place<'_>) -> Option<Vec<Condition>> {
    let conditions: Vec<_> = texts(place, CONDITION)?
        .iter()
        .map(|(place, text)| place.check(text.parse::<Condition>()))
        .collect();
    conditions.into_iter().collect()
}

/// At least one reader.
fn some(place: &Place<'_>) -> Option<Vec<Reader>> {
    let readers: Vec<_> = texts(place, READER)?
        .iter()
        .map(|(place, text)| place.check(text.parse::<Reader>()))
        .collect();
    readers.into_iter().collect()
}

/// One text or a list of them, not empty.
fn texts<'a>(place: &Place<'a>, what: &str) -> Option<Vec<(Place<'a>, &'a str)>> {
    let items = match place.value() {
        Value::Array(items) if items.is_empty() => {
            return place.fault(format!("an empty list: expected {what}"));
        }
        Value::Array(_) => place.list(what)?,
        _ => vec![place.clone()],
    };
    let texts: Vec<_> = items
        .into_iter()
        .map(|place| {
            let text = place.text(what)?;
            Some((place, text))
        })
        .collect();
    texts.into_iter().collect()
}

fn list(names: &[&Name]) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}
