use serde_json::Value;

use super::shape::{Kind, Shape, key};
use super::written::{ANSWER, Place, QUESTION};
use crate::domain::{Issue, Issues};
use crate::survey::{AtFive, ChoiceDefinition, IssuesDefinition, MetBy};

pub(super) const SHAPE: Shape = Shape::of(&[
    key("of", Kind::Name, "The question that is meant where a choice names none."),
    key(
        "choices",
        Kind::List(&Kind::Table(&CHOICE)),
        "Which answer, or which words in one, name which issue.",
    ),
    key(
        "otherwise",
        LIST,
        "What is reported below 5 where no choice names anything: Plivo wants an issue then.",
    )
    .or("[OTHERS]"),
    key(
        "at_five",
        Kind::Word(|| vec!["send", "drop"]),
        "Whether what a caller chose is sent with a rating of 5 too.",
    )
    .or("send"),
]);

const ISSUE_KIND: Kind = Kind::Word(|| Issue::ALL.map(Issue::name).to_vec());

pub(super) const LIST: Kind = Kind::List(&ISSUE_KIND);

const CHOICE: Shape = Shape::of(&[
    key("of", Kind::Name, "The question, where it is not that of the section."),
    key("answer", Kind::Answer, "An answer of the question."),
    key(
        "mentions",
        Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text)]),
        "Words in an answer, whole and in any case, such as [echo, \"hear myself\"].",
    ),
    key("issue", ISSUE_KIND, "What it says was wrong.").needed(),
])
.with_one_of(&["answer", "mentions"]);

pub(super) fn issues(place: &Place<'_>) -> IssuesDefinition {
    let mut issues = IssuesDefinition::default();
    let Some(table) = place.table() else {
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
    let table = place.table()?;
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

pub(super) fn issue_list(place: &Place<'_>) -> Option<Issues> {
    let items = place.list("issues such as [OTHERS]")?;
    let issues: Vec<_> = items.iter().map(issue).collect();
    issues.into_iter().collect()
}

const ISSUE: &str = "an issue that Plivo knows, such as ECHO";

fn issue(place: &Place<'_>) -> Option<Issue> {
    let text = place.text(ISSUE)?;
    place.check(text.parse())
}
