//! Tallies: how many settled submissions are alike, so that what callers say is known without counting.
//! Each submission is in the cells that follow from it alone, and a transition moves it from one to
//! another.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use super::answers::Answers;
use super::deliver::{Mapped, Mapper};
use super::document::{Json, Submission};
use super::insight::{Insight, IssueOrigin};
use super::retry::UnknownResult;
use super::state::{IgnoredReason, State, SubmissionKey};
use crate::domain::{Issue, Name};

/// Seconds of a day, which begins at midnight in UTC as every time that Postcall shows.
const DAY: i64 = 86_400;

/// What the submissions of a cell have in common. Texts are those of the domain types, empty for none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    /// The field of the value; empty in the cells of all submissions, whatever their fields.
    pub field: String,
    /// The day of acceptance, in days since 1970.
    pub day: i64,
    pub survey: String,
    pub account: String,
    pub value: String,
    pub state: String,
    pub reason: String,
    /// In hundredths; zero for none.
    pub rating: i64,
    pub issues: String,
    pub origin: String,
}

/// How many submissions are in each cell, or by how many more.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tallies(BTreeMap<Cell, i64>);

/// Conditions on what the tallies count: every one that is given has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InsightFilter {
    /// The least and the greatest, in hundredths.
    pub rating: Option<(u16, u16)>,
    pub issue: Option<Issue>,
    pub origin: Option<IssueOrigin>,
    /// A field and its value.
    pub field: Option<(Name, String)>,
}

/// The values of fields that are distinguished, by survey and field.
#[derive(Debug, Default)]
pub struct FieldValues(BTreeMap<(String, String), BTreeSet<String>>);

/// A mapper whose insights have no more values of a field than are distinguished.
pub struct LimitedMapper<'a> {
    pub mapper: &'a dyn Mapper,
    pub values: Mutex<&'a mut FieldValues>,
}

impl Submission {
    /// What the tallies count of it; nothing while it waits, of a test, and once it was erased or purged.
    pub fn counted(&self) -> Option<&Insight> {
        let is_test = self.state == State::Ignored(IgnoredReason::Test);
        let counts = !self.state.is_waiting() && !is_test && !self.is_purged();
        counts.then_some(&self.document.insight)
    }

    /// The cells that it is in: one, and another for each field.
    pub fn cells(&self) -> Vec<Cell> {
        let Some(insight) = self.counted() else { return Vec::new() };
        let origin = insight.origin.filter(|_| !insight.issues.is_empty());
        let cell = |field: &str, value: &str| Cell {
            field: field.to_owned(),
            day: self.accepted_at.as_second().div_euclid(DAY),
            survey: self.survey.to_string(),
            account: self.account.to_string(),
            // No survey gives such a value, but a corrupt document may: a text in PostgreSQL cannot hold it.
            value: value.replace('\0', "\u{fffd}"),
            state: self.state.label().to_owned(),
            reason: self.state.reason().unwrap_or_default().to_owned(),
            rating: insight.rating.unwrap_or_default().into(),
            issues: insight.issues.clone(),
            origin: origin.map(IssueOrigin::label).unwrap_or_default().to_owned(),
        };
        let fields = insight.values.iter().map(|(field, value)| cell(field.as_str(), value));
        std::iter::once(cell("", "")).chain(fields).collect()
    }
}

impl InsightFilter {
    pub fn fits(&self, submission: &Submission) -> bool {
        let Some(insight) = submission.counted() else { return false };
        let Self { rating, issue, origin, field } = self;
        let has = |(field, value): &(Name, String)| insight.values.get(field) == Some(value);
        rating.is_none_or(|(least, most)| {
            insight.rating.is_some_and(|rating| (least..=most).contains(&rating))
        }) && issue.is_none_or(|issue| insight.has_issue(issue))
            && origin.is_none_or(|origin| insight.origin == Some(origin))
            && field.as_ref().is_none_or(has)
    }
}

impl Tallies {
    /// Moves a submission from its cells to others.
    pub fn moved(&mut self, from: Vec<Cell>, to: Vec<Cell>) {
        if from == to {
            return;
        }
        from.into_iter().for_each(|cell| self.add(cell, -1));
        to.into_iter().for_each(|cell| self.add(cell, 1));
    }

    pub fn add(&mut self, cell: Cell, n: i64) {
        let count = self.0.entry(cell.clone()).or_default();
        *count += n;
        if *count == 0 {
            self.0.remove(&cell);
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// None is zero.
    pub fn iter(&self) -> impl Iterator<Item = (&Cell, i64)> {
        self.0.iter().map(|(cell, n)| (cell, *n))
    }

    /// In words, the first cell in which these tallies are not those of a recount.
    pub fn difference(&self, recount: &Self) -> Option<String> {
        let of = |tallies: &Self, cell| tallies.0.get(cell).copied().unwrap_or_default();
        let cells: BTreeSet<&Cell> = self.0.keys().chain(recount.0.keys()).collect();
        let mut wrong = cells.into_iter().filter(|it| of(self, it) != of(recount, it));
        let first = wrong.next()?;
        let Cell { day, survey, account, state, .. } = first;
        let (kept, counted, others) = (of(self, first), of(recount, first), wrong.count());
        Some(format!(
            "the tallies of {state} submissions of survey {survey} and account {account} on day {day} \
             are {kept}, and a recount gives {counted}; {others} others differ"
        ))
    }
}

impl FieldValues {
    /// Most values of a field that are distinguished.
    pub const MAX: usize = 200;

    /// Adds a value that is distinguished, if there is room.
    pub fn add(&mut self, survey: &str, field: &str, value: &str) {
        let known = self.0.entry((survey.to_owned(), field.to_owned())).or_default();
        if known.len() < Self::MAX {
            known.insert(value.to_owned());
        }
    }

    fn limit(&mut self, survey: &Name, values: &mut BTreeMap<Name, String>) {
        for (field, value) in values {
            let (survey, field) = (survey.as_str(), field.as_str());
            self.add(survey, field, value);
            let known = &self.0[&(survey.to_owned(), field.to_owned())];
            if !known.contains(value) {
                Insight::OTHER.clone_into(value);
            }
        }
    }
}

impl Mapper for LimitedMapper<'_> {
    fn map(&self, key: &SubmissionKey, answers: &Answers, payload: Option<&Json>) -> Mapped {
        let mut mapped = self.mapper.map(key, answers, payload);
        if let Some(insight) = &mut mapped.insight {
            let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
            values.limit(&key.survey, &mut insight.values);
        }
        mapped
    }

    fn on_unknown_result(&self) -> UnknownResult {
        self.mapper.on_unknown_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn values_of_a_field_beyond_those_that_are_distinguished_are_other() {
        let mut known = FieldValues::default();
        let mut limited = |survey: &str, value: &str| {
            let mut values = BTreeMap::from([(name("campaign"), value.to_owned())]);
            known.limit(&name(survey), &mut values);
            values.remove(&name("campaign")).unwrap()
        };
        for n in 0..FieldValues::MAX {
            assert_eq!(limited("quality", &n.to_string()), n.to_string());
        }
        assert_eq!(limited("quality", "one more"), "other");
        assert_eq!(limited("quality", "7"), "7");
        assert_eq!(limited("quick", "one more"), "one more");
    }

    #[test]
    fn a_difference_of_tallies_is_named_by_its_first_cell() {
        let cell = |day| Cell {
            field: String::new(),
            day,
            survey: "quality".to_owned(),
            account: "main".to_owned(),
            value: String::new(),
            state: "delivered".to_owned(),
            reason: String::new(),
            rating: 400,
            issues: String::new(),
            origin: String::new(),
        };
        let mut kept = Tallies::default();
        kept.moved(vec![], vec![cell(1), cell(2)]);
        let mut recount = kept.clone();
        assert_eq!(kept.difference(&recount), None);
        recount.moved(vec![cell(2)], vec![cell(3)]);
        insta::assert_snapshot!(
            kept.difference(&recount).unwrap(),
            @"the tallies of delivered submissions of survey quality and account main on day 2 are 1, and a recount gives 0; 1 others differ"
        );
        recount.moved(vec![cell(3)], vec![cell(2)]);
        assert_eq!(kept, recount, "what was moved there and back leaves nothing");
    }
}
