use std::ops::Range;

use jiff::Timestamp;

use super::error::Result;
use super::export::{harmless, record};
use super::service::AdminService;
use crate::domain::Name;
use crate::store::TallyFilter;

pub use crate::store::Tally;

const DAY: i64 = 86_400;

/// Which submissions insights are of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InsightsQuery {
    pub survey: Option<Name>,
    pub account: Option<Name>,
    /// Compared by the values of this field.
    pub by: Option<Name>,
    /// How many days of acceptance, today's included.
    pub days: u16,
}

/// What settled submissions have in common, by the day of acceptance in UTC.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Insights {
    /// In days since 1970.
    pub days: Range<i64>,
    pub tallies: Vec<Tally>,
    /// Of as many days before.
    pub before: Vec<Tally>,
    /// By the values of the field, if one was asked for.
    pub by_value: Vec<Tally>,
    /// How many submissions of any survey are not settled yet.
    pub waiting: u64,
    /// Fields of the surveys that may be asked for.
    pub fields: Vec<String>,
}

impl AdminService {
    /// # Errors
    /// The store cannot be read.
    pub async fn insights(&self, query: &InsightsQuery, now: Timestamp) -> Result<Insights> {
        let end = Insights::today(now) + 1;
        let (length, survey) = (i64::from(query.days), query.survey.as_ref());
        let days = end - length..end;
        let of = |field: Option<&Name>, days: Range<i64>| {
            let (survey, account) = (query.survey.clone(), query.account.clone());
            self.store().tallies(TallyFilter { field: field.cloned(), survey, account, days })
        };
        let config = self.config();
        let surveys = config.mapper.surveys.iter();
        let asked = surveys.filter(|(name, _)| survey.is_none_or(|survey| survey == *name));
        let mut fields: Vec<String> =
            asked.flat_map(|(_, it)| it.insights()).map(ToString::to_string).collect();
        fields.sort_unstable();
        fields.dedup();
        Ok(Insights {
            tallies: of(None, days.clone()).await?,
            before: of(None, days.start - length..days.start).await?,
            by_value: match &query.by {
                Some(field) => of(Some(field), days.clone()).await?,
                None => Vec::new(),
            },
            waiting: self.store().statistics().await?.counts.waiting(),
            days,
            fields,
        })
    }
}

impl Insights {
    /// The day of a time, in days since 1970.
    pub fn today(now: Timestamp) -> i64 {
        now.as_second().div_euclid(DAY)
    }

    /// The start of a day.
    pub fn start(day: i64) -> Timestamp {
        Timestamp::from_second(day.saturating_mul(DAY)).unwrap_or_default()
    }

    /// As CSV, one line for each day and all that its submissions have in common; by value, if that was
    /// asked for.
    pub fn csv(&self, by: Option<&Name>) -> Vec<u8> {
        let value = by.map_or("value", Name::as_str);
        let mut csv =
            record(["day", value, "state", "reason", "rating", "issues", "origin", "n"].iter());
        for it in if by.is_some() { &self.by_value } else { &self.tallies } {
            let rating = (it.rating > 0).then(|| (it.rating as f64 / 100.0).to_string());
            let line = [
                Self::start(it.day).strftime("%Y-%m-%d").to_string(),
                harmless(it.value.clone()),
                it.state.label().to_owned(),
                it.state.reason().unwrap_or_default().to_owned(),
                rating.unwrap_or_default(),
                it.issues.replace(',', " "),
                it.origin.clone(),
                it.n.to_string(),
            ];
            csv.extend(record(line.iter()));
        }
        csv
    }
}
