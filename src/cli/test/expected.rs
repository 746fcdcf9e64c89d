use std::collections::BTreeSet;

use super::written::{Place, Table};
use crate::cli::preview::Refusal;
use crate::domain::{Issues, Rating};
use crate::source::Refused;
use crate::submission::{DeadReason, IgnoredReason};

/// What the hooks of a case must come to. What is not expected must not be there.
pub(super) struct Expectation {
    /// One for each call.
    pub calls: Vec<ExpectedCall>,
    /// Why hooks are refused, each reason once.
    pub refused: BTreeSet<&'static str>,
    /// Whether some hook is none of its source's.
    pub skipped: bool,
    /// What the last hook's sender hears.
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
    /// Not complete when the last hook has arrived.
    Collecting,
}

pub(super) struct ExpectedFeedback {
    pub rating: Rating,
    pub issues: Issues,
    /// Any, where not given.
    pub notes: Option<String>,
}

const ENDINGS: &str = "one of feedback, ignored, dead, collecting, refused, skipped";

impl Expectation {
    pub fn at(place: &Place<'_>) -> Option<Self> {
        if !place.is_list() {
            let mut expectation = Self::none();
            let table = place.table(&[
                "feedback",
                "ignored",
                "dead",
                "collecting",
                "refused",
                "skipped",
                "reply",
                "call",
                "survey",
                "answers",
            ])?;
            expectation.refused =
                table.get("refused").map_or(Some(BTreeSet::new()), |it| refused(&it))?;
            expectation.skipped = table.get("skipped").map_or(Some(false), |place| place.flag())?;
            expectation.reply = reply(&table);
            match ExpectedCall::at(&table) {
                Some(call) => expectation.calls.push(call?),
                None if expectation.refused.is_empty() && !expectation.skipped => {
                    return place.fault(format_args!("expected {ENDINGS}"));
                }
                None => {}
            }
            return Some(expectation);
        }
        let items = place.list("")?;
        let expectations: Vec<_> = items.iter().map(of_one_call).collect();
        Some(Self { calls: expectations.into_iter().collect::<Option<_>>()?, ..Self::none() })
    }

    fn none() -> Self {
        Self { calls: Vec::new(), refused: BTreeSet::new(), skipped: false, reply: None }
    }
}

/// One of several.
fn of_one_call(place: &Place<'_>) -> Option<ExpectedCall> {
    let known = ["call", "survey", "feedback", "ignored", "dead", "collecting", "answers"];
    let table = place.table(&known)?;
    table.need("call", "whose answers these are")?;
    ExpectedCall::at(&table)
        .unwrap_or_else(|| place.fault("expected one of feedback, ignored, dead, collecting"))
}

impl ExpectedCall {
    /// `None` where nothing is said of an ending; inside, where what is said is wrong.
    #[expect(clippy::option_option, reason = "an ending may be missing, or be there and wrong")]
    fn at(table: &Table<'_>) -> Option<Option<Self>> {
        let given = ["feedback", "ignored", "dead", "collecting"].map(|key| (key, table.get(key)));
        let mut given = given.into_iter().filter_map(|(key, place)| Some((key, place?)));
        let (key, place) = given.next()?;
        if let Some((other, place)) = given.next() {
            return Some(place.fault(format_args!(
                "a call ends in one way: there is {key} already, leave out {other}"
            )));
        }
        let text = |key: &str| {
            let place = table.get(key)?;
            place.text("a name").map(str::to_owned)
        };
        let ending = match key {
            "feedback" => feedback(&place).map(Ending::Feedback),
            "ignored" => {
                place.word(&IgnoredReason::ALL.map(IgnoredReason::label)).map(Ending::Ignored)
            }
            "dead" => place.word(&DeadReason::ALL.map(DeadReason::label)).map(Ending::Dead),
            _ => place.word(&["true"]).map(|_| Ending::Collecting),
        };
        let answers = table.get("answers").map_or(Some(Vec::new()), |place| answers(&place));
        Some(ending.zip(answers).map(|(ending, answers)| Self {
            ending,
            call: text("call"),
            survey: text("survey"),
            answers,
        }))
    }
}

fn feedback(place: &Place<'_>) -> Option<ExpectedFeedback> {
    const RATING: &str = "a number from 1 to 5";
    let table = place.table(&["rating", "issues", "notes"])?;
    let rating = table.need("rating", RATING).and_then(|place| {
        let rating = place.text(RATING)?.parse().ok().and_then(|value| Rating::new(value).ok());
        rating.or_else(|| place.fault(format_args!("expected {RATING}")))
    });
    let issues = table.get("issues").map_or(Some(Issues::new()), |place| issues(&place));
    let notes = table.get("notes").map(|place| place.text("the notes").map(str::to_owned));
    Some(ExpectedFeedback { rating: rating?, issues: issues?, notes: notes.unwrap_or_default() })
}

fn issues(place: &Place<'_>) -> Option<Issues> {
    let items = place.list("a list of issues such as [OTHERS]")?;
    let issue = |place: &Place<'_>| {
        let text = place.text("an issue such as OTHERS")?;
        text.parse().map_or_else(|unknown| place.fault(unknown), Some)
    };
    let issues: Vec<_> = items.iter().map(issue).collect();
    issues.into_iter().collect()
}

fn answers(place: &Place<'_>) -> Option<Vec<(String, String)>> {
    let entries = place.entries("a table of questions and answers")?;
    let answer = |(name, place): &(&str, Place<'_>)| {
        Some(((*name).to_owned(), place.text("an answer as it was given")?.to_owned()))
    };
    entries.iter().map(answer).collect()
}

/// A reason, or a list of them.
fn refused(place: &Place<'_>) -> Option<BTreeSet<&'static str>> {
    let labels: Vec<&'static str> =
        Refused::LABELS.into_iter().chain(Refusal::OWN_LABELS).collect();
    if place.is_list() {
        let items = place.list("")?;
        let reasons: Vec<_> = items.iter().map(|place| place.word(&labels)).collect();
        return reasons.into_iter().collect();
    }
    place.word(&labels).map(|reason| BTreeSet::from([reason]))
}

fn reply(table: &Table<'_>) -> Option<String> {
    table.get("reply")?.text("what the last hook's sender hears").map(str::to_owned)
}
