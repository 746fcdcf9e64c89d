//! The extractors of a source, as an operator writes them.

use std::str::FromStr;

use serde_json::Value;

use super::cursor::{Cursor, Table, all};
use super::located::Located;
use super::spec::{Kind, Spec, key};
use crate::domain::{Advice, Name};
use crate::source::{Asked, Condition, Extractor, Extractors, Predicate};

const READER: &str = "a path such as form:Digits or json:$.score, or a list of these";
const CONDITION: &str = "a condition such as form:Event=Hangup, or a list of these";

/// The questions and fields of a source's survey.
pub(super) struct Wanted<'a> {
    pub(super) questions: Vec<&'a Name>,
    pub(super) fields: Vec<&'a Name>,
}

pub(super) const SPEC: Spec = Spec::of(&[
    key("call", PLACES, "The path of the call's id."),
    key("question", PLACES, "The path of the question's name; without it, the survey's first."),
    key("answer", PLACES, "The path of the answer to that question."),
    key(
        "answers",
        Kind::OneOf(&[Kind::List(&Kind::Table(&ANSWER)), Kind::Blank]),
        "Where several answers lie, instead of question and answer.",
    ),
    key(
        "each_question",
        PLACES,
        "The path of the answer to any question, with {question} for its name.",
    ),
    key(
        "fields",
        Kind::OneOf(&[Kind::Named(&PLACES), Kind::Blank]),
        "Where the fields of the survey lie, by name.",
    ),
    key("hangup", MOMENT, "When it says that the call is over; true where all that comes does."),
    key("opt_out", MOMENT, "When it says that the caller does not want to be asked."),
    key(
        "filter",
        PLACES,
        "A condition that a webhook has to meet; any other is answered 200 and not stored.",
    ),
    key(
        "id",
        PLACES,
        "The path of the sender's own id of the webhook: one with a known id is a duplicate.",
    ),
]);

/// The first that finds something.
const PLACES: Kind = Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text), Kind::Blank]);

const MOMENT: Kind = Kind::OneOf(&[Kind::Flag, Kind::Text, Kind::List(&Kind::Text), Kind::Blank]);

const ANSWER: Spec = Spec::of(&[
    key("question", Kind::Name, "The question that is answered.").needed(),
    key("from", PLACES, "The path of the answer.").needed(),
]);

/// `own` is what the source itself says of `read`, where the rest is its preset's.
pub(super) fn readers(
    cursor: &Cursor<'_>,
    own: Option<&Located>,
    wanted: &Wanted<'_>,
) -> Option<Extractors> {
    let table = cursor.table()?;
    let call = table.need("call", READER).and_then(|cursor| some(&cursor));
    let hangup = table.or("hangup", Predicate::never(), |cursor| when(&cursor));
    let opt_out = table.or("opt_out", Predicate::never(), |cursor| when(&cursor));
    let asked = asked(&table, hangup.as_ref(), wanted);
    let fields = table.or("fields", Vec::new(), |cursor| fields(&cursor, wanted, own));
    let filter = table.or("filter", Vec::new(), |cursor| conditions(&cursor));
    let id = table.or("id", Vec::new(), |cursor| some(&cursor));
    Some(Extractors {
        call: call?,
        asked: asked?,
        fields: fields?,
        hangup: hangup?,
        opt_out: opt_out?,
        filter: filter?,
        id: id?,
    })
}

fn asked(table: &Table<'_>, hangup: Option<&Predicate>, wanted: &Wanted<'_>) -> Option<Asked> {
    let answer = table.get("answer");
    let answers = table.get("answers");
    let each = table.get("each_question");
    match (answer, answers, each) {
        (Some(_), Some(_), _) | (Some(_), _, Some(_)) => table.fault_at(
            "answer",
            "a webhook answers one question (answer) or several (answers, each_question)",
        ),
        (Some(answer), None, None) => {
            let question = table.or("question", Vec::new(), |cursor| some(&cursor));
            let answer = some(&answer);
            Some(Asked::One { question: question?, answer: answer? })
        }
        (None, None, None) if matches!(hangup, Some(Predicate::Always)) => {
            Some(Asked::Several(Vec::new()))
        }
        (None, None, None) if table.is_any_meant(&["answers", "each_question", "hangup"]) => None,
        (None, None, None) => table.fault_at("answer", format!("missing: expected {READER}")),
        (None, answers, each) => {
            if table.get("question").is_some() {
                return table
                    .fault_at("question", "answers and each_question name their questions");
            }
            let own = answers.map_or(Some(Vec::new()), |cursor| answers_at(&cursor, wanted));
            let each = each.map_or(Some(Vec::new()), |cursor| each_at(&cursor, wanted));
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

fn answers_at(cursor: &Cursor<'_>, wanted: &Wanted<'_>) -> Option<Vec<(Name, Vec<Extractor>)>> {
    const ITEM: &str = "{ question: …, from: … }";
    let items = cursor.list(ITEM)?;
    if items.is_empty() {
        return cursor.fault(format!("an empty list: expected {ITEM}"));
    }
    let mut several: Vec<(Name, Vec<Extractor>)> = Vec::new();
    let mut all_well = true;
    for cursor in items {
        match answer_at(&cursor, wanted) {
            Some((question, _)) if several.iter().any(|(known, _)| *known == question) => {
                cursor.fault::<()>(format!("{question} has its place already"));
                all_well = false;
            }
            Some(answer) => several.push(answer),
            None => all_well = false,
        }
    }
    all_well.then_some(several)
}

fn answer_at(cursor: &Cursor<'_>, wanted: &Wanted<'_>) -> Option<(Name, Vec<Extractor>)> {
    let table = cursor.table()?;
    let question = table.need("question", "the name of a question").and_then(|cursor| {
        let name: Name = cursor.parsed("the name of a question")?;
        if wanted.questions.contains(&&name) {
            return Some(name);
        }
        cursor.fault(unknown("question", &name, &wanted.questions))
    });
    let from = table.need("from", READER).and_then(|cursor| some(&cursor));
    Some((question?, from?))
}

/// Each question of the survey, looked for where its name is put for `{question}`.
fn each_at(cursor: &Cursor<'_>, wanted: &Wanted<'_>) -> Option<Vec<(Name, Vec<Extractor>)>> {
    const QUESTION: &str = "{question}";
    let items = cursor.some(READER)?;
    let texts = all(items.iter().map(|cursor| Some((cursor, cursor.text(READER)?))))?;
    for (cursor, text) in &texts {
        if !text.contains(QUESTION) {
            return cursor.fault(format!("expected {QUESTION} in it, for which each name is put"));
        }
    }
    let each = |question: &&Name| {
        let named = |text: &str| text.replace(QUESTION, question.as_str()).parse::<Extractor>();
        let readers = all(texts.iter().map(|(cursor, text)| cursor.check(named(text))));
        Some(((*question).clone(), readers?))
    };
    wanted.questions.iter().map(each).collect()
}

/// Those that the survey has. Other fields of a preset are not looked for; what the source
/// itself names is meant.
fn fields(
    cursor: &Cursor<'_>,
    wanted: &Wanted<'_>,
    own: Option<&Located>,
) -> Option<Vec<(Name, Vec<Extractor>)>> {
    let is_own = |name: &Name| own.and_then(|own| own.get("fields")?.get(name.as_str())).is_some();
    let read = cursor.named().into_iter().map(|(name, cursor)| {
        if is_own(&name) && !wanted.fields.contains(&&name) {
            return cursor.fault_of_key(match &wanted.fields[..] {
                [] => "the survey has no fields: name it under its `fields`".into(),
                known => unknown("field", &name, known),
            });
        }
        Some((name, some(&cursor)?))
    });
    Some(all(read)?.into_iter().filter(|(name, _)| wanted.fields.contains(&name)).collect())
}

fn when(cursor: &Cursor<'_>) -> Option<Predicate> {
    match cursor.value() {
        Some(Value::Bool(true)) => Some(Predicate::Always),
        Some(Value::Bool(false)) => Some(Predicate::never()),
        _ => conditions(cursor).map(Predicate::Any),
    }
}

fn conditions(cursor: &Cursor<'_>) -> Option<Vec<Condition>> {
    parsed(cursor, CONDITION)
}

/// At least one reader.
fn some(cursor: &Cursor<'_>) -> Option<Vec<Extractor>> {
    parsed(cursor, READER)
}

fn parsed<T: FromStr<Err: ToString>>(cursor: &Cursor<'_>, what: &str) -> Option<Vec<T>> {
    all(cursor.some(what)?.iter().map(|cursor| cursor.parsed(what)))
}

fn unknown(what: &str, name: &Name, known: &[&Name]) -> Advice {
    let known: Vec<&str> = known.iter().map(|name| name.as_str()).collect();
    Advice::unknown_name(format!("the survey has no {what} {name}"), name.as_str(), &known)
}
