use serde_json::Value;

use super::cursor::{ANSWER, Cursor, QUESTION, Table, all};
use super::rules::{CONDITION_KIND, condition};
use super::spec::{Kind, Spec, key};
use crate::survey::{DomainDefinition, QuestionDefinition};

/// What tells which answers a question knows.
const KINDS: [&str; 5] = ["answers", "number", "choices", "yes_no", "text"];

/// One answer, or a list of them.
const ANSWERS: Kind = Kind::OneOf(&[Kind::Answer, Kind::List(&Kind::Answer)]);

const SPEC: Spec = Spec::of(&[
    key("name", Kind::Name, "What everything else calls the question.").needed(),
    key("answers", ANSWERS, "What may be keyed: a key, a range such as 1-5, or a list of these."),
    key("number", Kind::TwoWhole, "A number from the least to the greatest, such as [0, 10]."),
    key(
        "choices",
        ANSWERS,
        "One of a list of texts; case, spaces around and a full stop at the end do not matter.",
    ),
    key(
        "yes_no",
        Kind::OneOf(&[Kind::True, Kind::Table(&YES_NO)]),
        "Yes or no: true where the words themselves are enough.",
    ),
    key("text", Kind::Whole(1, 4096), "Free text, at most so many characters long."),
    key("multiple", Kind::Flag, "Whether several answers may be given at once.").or("false"),
    key("decimals", Kind::Whole(0, 4), "How many decimals a number may have.").or("0"),
    key("optional", Kind::Flag, "Whether a call is complete without an answer.").or("false"),
    key("ask_when", CONDITION_KIND, "When it is asked at all, such as \"score < 5\"."),
    key("opt_out", ANSWERS, "Answers that mean: do not ask me."),
])
.with_one_of(&KINDS);

const YES_NO: Spec = Spec::of(&[
    key("yes", ANSWERS, "What means yes, beside yes, y and true."),
    key("no", ANSWERS, "What means no, beside no, n and false."),
]);

pub(super) const LIST: Kind = Kind::List(&Kind::Table(&SPEC));

/// `None` where a name is amiss: everything else refers to names.
pub(super) fn questions(cursor: &Cursor<'_>) -> Option<Vec<QuestionDefinition>> {
    let items = cursor.list("{ name: …, answers: … }")?;
    all(items.iter().map(question))
}

fn question(cursor: &Cursor<'_>) -> Option<QuestionDefinition> {
    let table = cursor.table()?;
    let name = table.need("name", QUESTION).and_then(|cursor| cursor.parsed(QUESTION));
    let domain = domain(cursor, &table);
    let optional = table.or("optional", false, |cursor| cursor.flag());
    let ask_when = table.get("ask_when").and_then(|cursor| condition(&cursor));
    let opt_out = table.get("opt_out").and_then(|cursor| answers(&cursor));
    Some(QuestionDefinition {
        name: name?,
        domain,
        optional: optional.unwrap_or_default(),
        ask_when,
        opt_out: opt_out.unwrap_or_default(),
    })
}

/// Where it cannot be read, one of its kind that is none, so that what is said of it then is said
/// where the fault is noted already.
fn domain(cursor: &Cursor<'_>, table: &Table<'_>) -> DomainDefinition {
    let given: Vec<_> = KINDS.into_iter().filter(|kind| table.get(kind).is_some()).collect();
    let [kind] = given[..] else {
        cursor.fault::<()>(format!("expected exactly one of {}", KINDS.join(", ")));
        return unreadable(KINDS[0]);
    };
    domain_of(kind, table).unwrap_or_else(|| unreadable(kind))
}

fn unreadable(kind: &str) -> DomainDefinition {
    match kind {
        "number" => DomainDefinition::Number { from: 1, to: 0, decimals: 0 },
        "choices" => DomainDefinition::Choices { choices: Vec::new(), multiple: false },
        "yes_no" => DomainDefinition::YesNo { yes: vec![String::new()], no: Vec::new() },
        "text" => DomainDefinition::Text { length: 0 },
        _ => DomainDefinition::Keys { answers: Vec::new(), multiple: false },
    }
}

fn domain_of(kind: &str, table: &Table<'_>) -> Option<DomainDefinition> {
    let multiple = table.or("multiple", false, |cursor| cursor.flag()).unwrap_or_default();
    if multiple && !matches!(kind, "answers" | "choices") {
        table.fault_at::<()>("multiple", "only answers and choices can be given together");
    }
    let decimals = table.or("decimals", 0, |cursor| cursor.whole()).unwrap_or_default();
    if kind != "number" && table.get("decimals").is_some() {
        table.fault_at::<()>("decimals", "only a number has decimals");
    }
    let cursor = table.get(kind)?;
    Some(match kind {
        "answers" => DomainDefinition::Keys { answers: answers(&cursor)?, multiple },
        "number" => {
            let (from, to) = cursor.two_whole("the least and the greatest, such as [0, 10]")?;
            DomainDefinition::Number { from, to, decimals: decimals as u32 }
        }
        "choices" => DomainDefinition::Choices { choices: answers(&cursor)?, multiple },
        "yes_no" => yes_no(&cursor)?,
        _ => DomainDefinition::Text { length: cursor.whole()? as usize },
    })
}

/// `true` where the words themselves are enough.
fn yes_no(cursor: &Cursor<'_>) -> Option<DomainDefinition> {
    if cursor.value() == Some(&Value::Bool(true)) {
        return Some(DomainDefinition::YesNo { yes: Vec::new(), no: Vec::new() });
    }
    let table = cursor.table()?;
    let words = |key| table.or(key, Vec::new(), |cursor| answers(&cursor));
    let (yes, no) = (words("yes"), words("no"));
    Some(DomainDefinition::YesNo { yes: yes?, no: no? })
}

/// One, or a list of them.
fn answers(cursor: &Cursor<'_>) -> Option<Vec<String>> {
    all(cursor.one_or_list(ANSWER)?.iter().map(Cursor::answer))
}
