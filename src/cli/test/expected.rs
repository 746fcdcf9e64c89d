use std::collections::BTreeSet;

use crate::cli::preview::PreviewRejection;
use crate::domain::{Issues, Rating};
use crate::settings::{Cursor, Table, all};
use crate::source::Rejection;
use crate::submission::{DeadReason, IgnoredReason};

/// What the webhooks of a case must come to. What is not expected must not be there.
pub(super) struct Expectation {
    /// One for each call.
    pub calls: Vec<ExpectedCall>,
    /// Why webhooks are rejected, each reason once.
    pub rejected: BTreeSet<&'static str>,
    /// Whether some webhook is none of its source's.
    pub skipped: bool,
    /// What the last webhook's sender hears.
    pub reply: Option<String>,
}

pub(super) struct ExpectedCall {
    pub ending: Ending,
    /// Needed where there is more than one.
    pub call: Option<String>,
    /// Where one call is rated by several.
    pub survey: Option<String>,
    /// The answers that count, as they were given; those that are named here.
    pub answers: Vec<(String, String)>,
}

pub(super) enum Ending {
    Feedback(ExpectedFeedback),
    Ignored(&'static str),
    Dead(&'static str),
    /// Not complete when the last webhook has arrived.
    Collecting,
}

pub(super) struct ExpectedFeedback {
    pub rating: Rating,
    pub issues: Issues,
    /// Any, where not given.
    pub notes: Option<String>,
}

const ENDINGS: &str = "one of feedback, ignored, dead, collecting, rejected, skipped";

impl Expectation {
    pub fn at(cursor: &Cursor<'_>) -> Option<Self> {
        if !cursor.is_list() {
            let mut expectation = Self::none();
            let table = cursor.table_of(&[
                "feedback",
                "ignored",
                "dead",
                "collecting",
                "rejected",
                "skipped",
                "reply",
                "call",
                "survey",
                "answers",
            ])?;
            expectation.rejected =
                table.get("rejected").map_or(Some(BTreeSet::new()), |it| rejected(&it))?;
            expectation.skipped =
                table.get("skipped").map_or(Some(false), |cursor| cursor.flag())?;
            expectation.reply = reply(&table);
            match ExpectedCall::at(&table) {
                Some(call) => expectation.calls.push(call?),
                None if expectation.rejected.is_empty() && !expectation.skipped => {
                    return cursor.fault(format!("expected {ENDINGS}"));
                }
                None => {}
            }
            return Some(expectation);
        }
        let items = cursor.list("")?;
        Some(Self { calls: all(items.iter().map(of_one_call))?, ..Self::none() })
    }

    fn none() -> Self {
        Self { calls: Vec::new(), rejected: BTreeSet::new(), skipped: false, reply: None }
    }
}

/// One of several.
fn of_one_call(cursor: &Cursor<'_>) -> Option<ExpectedCall> {
    let known = ["call", "survey", "feedback", "ignored", "dead", "collecting", "answers"];
    let table = cursor.table_of(&known)?;
    table.need("call", "whose answers these are")?;
    ExpectedCall::at(&table)
        .unwrap_or_else(|| cursor.fault("expected one of feedback, ignored, dead, collecting"))
}

impl ExpectedCall {
    /// `None` where nothing is said of an ending; inside, where what is said is wrong.
    #[expect(clippy::option_option, reason = "an ending may be missing, or be there and wrong")]
    fn at(table: &Table<'_>) -> Option<Option<Self>> {
        let given = ["feedback", "ignored", "dead", "collecting"].map(|key| (key, table.get(key)));
        let mut given = given.into_iter().filter_map(|(key, cursor)| Some((key, cursor?)));
        let (key, cursor) = given.next()?;
        if let Some((other, cursor)) = given.next() {
            return Some(cursor.fault(format!(
                "a call ends in one way: there is {key} already, leave out {other}"
            )));
        }
        let text = |key: &str| {
            let cursor = table.get(key)?;
            cursor.written("a name").map(str::to_owned)
        };
        let ending = match key {
            "feedback" => feedback(&cursor).map(Ending::Feedback),
            "ignored" => cursor
                .word(&IgnoredReason::ALL.map(|it| it.label()).map(itself))
                .map(Ending::Ignored),
            "dead" => {
                cursor.word(&DeadReason::ALL.map(|it| it.label()).map(itself)).map(Ending::Dead)
            }
            _ => match cursor.flag() {
                Some(false) => cursor.fault("expected true"),
                flag => flag.map(|_| Ending::Collecting),
            },
        };
        let answers = table.get("answers").map_or(Some(Vec::new()), |cursor| answers(&cursor));
        Some(ending.zip(answers).map(|(ending, answers)| Self {
            ending,
            call: text("call"),
            survey: text("survey"),
            answers,
        }))
    }
}

fn feedback(cursor: &Cursor<'_>) -> Option<ExpectedFeedback> {
    const RATING: &str = "a number from 1 to 5";
    let table = cursor.table_of(&["rating", "issues", "notes"])?;
    let rating = table.need("rating", RATING).and_then(|cursor| {
        let rating = cursor.written(RATING)?.parse().ok().and_then(|value| Rating::new(value).ok());
        rating.or_else(|| cursor.fault(format!("expected {RATING}")))
    });
    let issues = table.get("issues").map_or(Some(Issues::new()), |cursor| issues(&cursor));
    let notes = table.get("notes").map(|cursor| cursor.written("the notes").map(str::to_owned));
    Some(ExpectedFeedback { rating: rating?, issues: issues?, notes: notes.unwrap_or_default() })
}

fn issues(cursor: &Cursor<'_>) -> Option<Issues> {
    let items = cursor.list("issues such as [OTHERS]")?;
    let issue = |cursor: &Cursor<'_>| {
        let text = cursor.written("an issue such as OTHERS")?;
        cursor.check(text.parse())
    };
    Some(all(items.iter().map(issue))?.into_iter().collect())
}

fn answers(cursor: &Cursor<'_>) -> Option<Vec<(String, String)>> {
    let entries = cursor.entries("a table of questions and answers")?;
    let answer = |(name, cursor): &(&str, Cursor<'_>)| {
        Some(((*name).to_owned(), cursor.written("an answer as it was given")?.to_owned()))
    };
    entries.iter().map(answer).collect()
}

/// A word that means itself.
fn itself(word: &'static str) -> (&'static str, &'static str) {
    (word, word)
}

/// A reason, or a list of them.
fn rejected(cursor: &Cursor<'_>) -> Option<BTreeSet<&'static str>> {
    let labels: Vec<_> =
        Rejection::LABELS.into_iter().chain(PreviewRejection::OWN_LABELS).map(itself).collect();
    let reasons = cursor.one_or_list("")?;
    Some(all(reasons.iter().map(|cursor| cursor.word(&labels)))?.into_iter().collect())
}

fn reply(table: &Table<'_>) -> Option<String> {
    table.get("reply")?.written("what the last webhook's sender hears").map(str::to_owned)
}
