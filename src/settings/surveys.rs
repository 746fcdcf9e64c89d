use std::time::Duration;

use serde_json::Value;

use super::questions::{self, questions};
use super::shape::{Kind, Shape, key};
use super::written::{ANSWER, Place, Table};
use crate::domain::{Changes, Issue, Issues, Name};
use crate::survey::{
    AtFive, ChoiceDefinition, CompleteDefinition, Definition, Fate, Incomplete, IssuesDefinition,
    MetBy, NotesDefinition, Numbers, RatingDefinition, Rounding, RuleDefinition, ScaleDefinition,
    Survey, Unrated,
};

pub(super) const SHAPE: Shape = Shape::of(&[
    key(
        "fields",
        Kind::List(&Kind::Name),
        "What sources read beside answers, by name; for conditions, notes and replies.",
    ),
    key("questions", questions::LIST, "What is asked.").needed(),
    key("rating", Kind::Table(&RATING_SHAPE), "How an answer becomes a rating from 1 to 5."),
    key("issues", Kind::Table(&ISSUES), "How answers name what was wrong with the call."),
    key(
        "rules",
        Kind::List(&Kind::Table(&RULE)),
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
        Kind::Word(|| Changes::ALL.map(Changes::label).to_vec()),
        "Which of several different answers counts; resend delivers a later one again.",
    )
    .or("first"),
    key("unrated", Kind::Table(&UNRATED), "What becomes of a call without a rating, by reason."),
    key("complete", Kind::Table(&COMPLETE), "How long answers of a call are waited for."),
]);

/// `delay` is what `delivery` says.
pub(super) fn survey(place: &Place<'_>, delay: Duration) -> Option<Survey> {
    let table = place.open()?;
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

const RATING_SHAPE: Shape = Shape::of(&[
    key("of", Kind::Name, "The question whose answer is the rating.").needed(),
    key("scale", Kind::Table(&SCALE), "For numbers and keys: how they lie between 1 and 5."),
    key("table", Kind::List(&Kind::Table(&ROW)), "For any answers: what each is worth."),
    key("thumbs", Kind::Table(&THUMBS), "For two answers: one is worth 5, the other 1."),
    key("monotone", Kind::Flag, "Whether a table's ratings may not go up and down.").or("true"),
])
.with_at_most_one_of(&["scale", "table", "thumbs"]);

const SCALE: Shape = Shape::of(&[
    key("from", Kind::TwoWhole, "The worst and the best score.").or("[1, 5]"),
    key(
        "round",
        Kind::Word(|| vec!["hundredth", "half", "whole"]),
        "To what the rating is rounded.",
    )
    .or("hundredth"),
]);

const ROW: Shape = Shape::of(&[
    key("answer", Kind::Answer, "An answer of the question.").needed(),
    key("rating", Kind::Number, "What it is worth, from 1 to 5.").needed(),
]);

const THUMBS: Shape = Shape::of(&[
    key("up", Kind::Answer, "The answer that is worth 5.").needed(),
    key("down", Kind::Answer, "The answer that is worth 1.").needed(),
]);

/// `None` where the question is amiss.
fn rating(place: &Place<'_>) -> Option<RatingDefinition> {
    let table = place.open()?;
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
    let table = place.open()?;
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
        let table = place.open()?;
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
    let table = place.open()?;
    let up = table.need("up", ANSWER).and_then(|place| place.answer());
    let down = table.need("down", ANSWER).and_then(|place| place.answer());
    Some(ScaleDefinition::Thumbs { up: up?, down: down? })
}

const ISSUES: Shape = Shape::of(&[
    key("of", Kind::Name, "The question that is meant where a choice names none."),
    key(
        "choices",
        Kind::List(&Kind::Table(&CHOICE)),
        "Which answer, or which words in one, name which issue.",
    ),
    key(
        "otherwise",
        ISSUE_LIST,
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

const ISSUE_LIST: Kind = Kind::List(&ISSUE_KIND);

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

fn issues(place: &Place<'_>) -> IssuesDefinition {
    let mut issues = IssuesDefinition::default();
    let Some(table) = place.open() else {
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
    let table = place.open()?;
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

const RULE: Shape = Shape::of(&[
    key("when", CONDITION_KIND, "When it speaks, such as \"score <= 2 and solved == 'no'\".")
        .needed(),
    key("ignore", Kind::Text, "Why such a call is not reported at all."),
    key("rating", Kind::Number, "The rating then, from 1 to 5."),
    key("issues", ISSUE_LIST, "The issues then."),
    key("notes", Kind::MaybeEmptyText, "The template of the notes then."),
]);

fn rule(place: &Place<'_>) -> Option<RuleDefinition> {
    let table = place.open()?;
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

/// YAML reads the shortest conditions as true or false.
pub(super) const CONDITION_KIND: Kind = Kind::OneOf(&[Kind::Text, Kind::Flag]);

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
    let length = table.get("notes_length").and_then(|place| place.whole_number());
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
    let Some(table) = place.open() else { return Unrated::default() };
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
    let Some(table) = place.open() else {
        return complete;
    };
    let duration = |key, default| table.or(key, default, |place| place.span()).unwrap_or(default);
    complete.after = duration("after", complete.after);
    complete.grace = duration("grace", complete.grace);
    complete.deadline = duration("deadline", complete.deadline);
    let fates =
        [("send", Incomplete::Send), ("ignore", Incomplete::Ignore), ("dead", Incomplete::Dead)];
    let incomplete = table.or("incomplete", Incomplete::Send, |place| place.word(&fates));
    complete.incomplete = incomplete.unwrap_or_default();
    complete
}
