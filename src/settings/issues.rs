use super::cursor::{ANSWER, Cursor, QUESTION, all};
use super::section::{words, words_of};
use super::spec::{Kind, Spec, key};
use crate::domain::{Advice, Issue, Issues};
use crate::survey::{AtMaxRating, ChoiceDefinition, IssuesDefinition, MetBy};

pub(super) const SPEC: Spec = Spec::of(&[
    key("question", Kind::Name, "The question of choices that name none."),
    key(
        "choices",
        Kind::List(&Kind::Table(&CHOICE)),
        "Which answer, or which words in one, name which issue.",
    ),
    key("default", LIST, "The issues below 5 if no choice is met: Plivo requires one then.")
        .or("[OTHERS]"),
    key(
        "at_max_rating",
        words_of::<AtMaxRating>(),
        "Whether what a caller chose is sent with a rating of 5 too.",
    )
    .or("send"),
]);

const ISSUE_KIND: Kind = Kind::Word(|| Issue::ALL.map(Issue::name).to_vec());

pub(super) const LIST: Kind = Kind::List(&ISSUE_KIND);

const CHOICE: Spec = Spec::of(&[
    key("question", Kind::Name, "The question, if it is not that of the section."),
    key("answer", Kind::Answer, "An answer of the question."),
    key(
        "keywords",
        Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text)]),
        "Words in an answer, whole and in any case, such as [echo, \"hear myself\"].",
    ),
    key("issue", ISSUE_KIND, "What it says was wrong.").needed(),
])
.with_one_of(&["answer", "keywords"]);

pub(super) fn issues(cursor: &Cursor<'_>) -> IssuesDefinition {
    let mut issues = IssuesDefinition::default();
    let Some(table) = cursor.table() else {
        return issues;
    };
    issues.question = table.get("question").and_then(|cursor| cursor.parsed(QUESTION));
    if let Some(cursor) = table.get("choices") {
        issues.choices = choices(&cursor);
    }
    if let Some(otherwise) = table.get("default").and_then(|cursor| issue_list(&cursor)) {
        issues.default = otherwise;
    }
    issues.at_max_rating =
        table.get("at_max_rating").and_then(|it| it.one_of()).unwrap_or_default();
    issues
}

/// In their order, because faults name their index.
fn choices(cursor: &Cursor<'_>) -> Vec<ChoiceDefinition> {
    let items = cursor.list("{ answer: …, issue: … }").unwrap_or_default();
    let unread = || ChoiceDefinition::answer("", Issue::Others);
    items.iter().map(|cursor| choice(cursor).unwrap_or_else(unread)).collect()
}

fn choice(cursor: &Cursor<'_>) -> Option<ChoiceDefinition> {
    let table = cursor.table()?;
    let of = table.get("question").and_then(|cursor| cursor.parsed(QUESTION));
    let met_by = match (table.get("answer"), table.get("keywords")) {
        (Some(_), Some(_)) => cursor.fault("expected one of answer, keywords, not both"),
        (None, Some(cursor)) => mentions(&cursor).map(MetBy::Mentions),
        (None, None) if table.is_any_meant(&["keywords"]) => None,
        _ => {
            let answer = table.need("answer", ANSWER).and_then(|cursor| cursor.answer());
            answer.map(MetBy::Answer)
        }
    };
    let issue = table.need("issue", ISSUE).and_then(|cursor| issue(&cursor));
    Some(ChoiceDefinition {
        question: of,
        met_by: met_by.unwrap_or(MetBy::Answer(String::new())),
        issue: issue.unwrap_or(Issue::Others),
    })
}

fn mentions(cursor: &Cursor<'_>) -> Option<Vec<String>> {
    const PHRASE: &str = "words such as \"hear myself\"";
    all(cursor.one_or_list(PHRASE)?.iter().map(|cursor| cursor.text(PHRASE).map(str::to_owned)))
}

pub(super) fn issue_list(cursor: &Cursor<'_>) -> Option<Issues> {
    let items = cursor.list("issues such as [OTHERS]")?;
    Some(all(items.iter().map(issue))?.into_iter().collect())
}

const ISSUE: &str = "an issue that Plivo knows, such as ECHO";

fn issue(cursor: &Cursor<'_>) -> Option<Issue> {
    let text = cursor.text_if(ISSUE, |text| text.parse::<Issue>().is_ok())?;
    text.parse().ok().or_else(|| {
        let known = Issue::ALL.map(Issue::name);
        cursor.fault(Advice::unknown_name("not an issue that Plivo knows", text, &known))
    })
}

words! {
    AtMaxRating { "send" => Send, "drop" => Drop }
}
