use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::Range;
use std::str::FromStr;

use jiff::Timestamp;
use utoipa::IntoParams;

use super::error::{AdminError, Result};
use super::export::harmless;
use super::service::AdminService;
use super::statistics::{Share, mean};
use crate::domain::Name;
use crate::store::{SurveyRevision, TallyFilter, TallyKey};

pub use crate::store::Tally;

const DAY: i64 = 86_400;

/// Days that are looked at unless the query says how many.
const DAYS: u16 = 30;

/// Most days that are looked at.
const DAYS_MAX: u16 = 400;

/// Most tallies that are read at once, and most lines of a table: with them a page takes some megabytes.
const TALLIES_MAX: usize = 100_000;

/// Most values of a field that are distinguished, those with most ratings.
pub const VALUES_MAX: usize = 60;

/// The greatest rating that is low, in hundredths.
const LOW: i64 = 200;

/// Which submissions insights are of.
#[derive(Debug, Clone, PartialEq, Eq, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct InsightsQuery {
    #[param(value_type = Option<String>, pattern = "^[a-z0-9]+([_-][a-z0-9]+)*$", max_length = 63)]
    pub survey: Option<Name>,
    #[param(value_type = Option<String>, pattern = "^[a-z0-9]+([_-][a-z0-9]+)*$", max_length = 63)]
    pub account: Option<Name>,
    /// Compared by the values of this field.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9]+([_-][a-z0-9]+)*$", max_length = 63)]
    pub by: Option<Name>,
    /// How many days of acceptance, today's included; 30 where nothing is said.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 400)]
    pub days: u16,
}

/// What settled submissions have in common, by the day of acceptance in UTC.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Insights {
    /// In days since 1970.
    pub days: Range<i64>,
    /// By day, whatever their issues.
    pub tallies: Vec<Tally>,
    /// By issues, of all days.
    pub issues: Vec<Tally>,
    /// Of as many days before, by issues.
    pub before: Vec<Tally>,
    /// If a field was asked for.
    pub by_value: ByValue,
    /// How many submissions of any survey are not settled yet.
    pub waiting: u64,
    /// Fields of the surveys that may be asked for.
    pub fields: Vec<String>,
    /// The first first.
    pub changes: Vec<SurveyChange>,
}

/// The rules of a survey changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SurveyChange {
    pub at: Timestamp,
    pub survey: Name,
}

/// How many ratings are low, by the value of a field.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ByValue {
    /// Those with most ratings, in the order of their names: an order by share would be a league table.
    pub values: Vec<(String, Share)>,
    /// How many more values there are.
    pub others: usize,
    pub of_others: Share,
}

/// How many submissions have an issue, by its name and where it comes from.
pub type IssueCounts = BTreeMap<(String, String), u64>;

/// Tallies by everything that tells them apart.
#[derive(Debug, Clone, PartialEq)]
pub struct InsightsTable {
    /// Whose values they are by.
    pub by: Option<Name>,
    pub tallies: Vec<Tally>,
}

impl InsightsQuery {
    /// Keys of a query string.
    pub const KEYS: [&'static str; 4] = ["survey", "account", "by", "days"];

    /// Reads the values of its keys.
    ///
    /// # Errors
    /// A value is not one of its key.
    pub fn read<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Result<Self> {
        fn parsed<T: FromStr<Err: Display>>(key: &str, text: Option<&str>) -> Result<Option<T>> {
            let parse = |text: &str| text.parse().map_err(|error| AdminError::invalid(key, error));
            text.map(parse).transpose()
        }
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let days = get("days").map(|text| text.parse().ok().filter(|_| digits(text)));
        let days = match days {
            None => DAYS,
            Some(Some(days @ 1..=DAYS_MAX)) => days,
            Some(_) => {
                return Err(AdminError::invalid("days", format!("expected 1 to {DAYS_MAX}")));
            }
        };
        Ok(Self {
            survey: parsed("survey", get("survey"))?,
            account: parsed("account", get("account"))?,
            by: parsed("by", get("by"))?,
            days,
        })
    }
}

impl AdminService {
    /// # Errors
    /// The store cannot be read, or has more tallies than are read at once.
    pub async fn insights(&self, query: &InsightsQuery) -> Result<Insights> {
        let days = self.days(query);
        let before = days.start - i64::from(query.days)..days.start;
        let of = |days: &Range<i64>, by| self.tallies(query, None, days.clone(), by);
        let by_value = match &query.by {
            Some(field) => self.tallies(query, Some(field), days.clone(), TallyKey::VALUE).await?,
            None => Vec::new(),
        };
        Ok(Insights {
            tallies: of(&days, TallyKey::DAY).await?,
            issues: of(&days, TallyKey::ISSUES).await?,
            before: of(&before, TallyKey::ISSUES).await?,
            by_value: ByValue::of(&by_value),
            waiting: self.store().statistics().await?.counts.waiting(),
            fields: self.fields(query.survey.as_ref()),
            changes: changes(&self.store().survey_revisions().await?, query, &days),
            days,
        })
    }

    /// The same without anything added up.
    ///
    /// # Errors
    /// As for [`insights`](Self::insights).
    pub async fn insights_table(&self, query: &InsightsQuery) -> Result<InsightsTable> {
        self.insights_table_of(query, self.days(query)).await
    }

    pub(super) async fn insights_table_of(
        &self,
        query: &InsightsQuery,
        days: Range<i64>,
    ) -> Result<InsightsTable> {
        let by = query.by.clone();
        let tallies = self.tallies(query, by.as_ref(), days, TallyKey::ALL).await?;
        Ok(InsightsTable { by, tallies })
    }

    fn days(&self, query: &InsightsQuery) -> Range<i64> {
        let end = Insights::today(self.now()) + 1;
        end - i64::from(query.days)..end
    }

    async fn tallies(
        &self,
        query: &InsightsQuery,
        field: Option<&Name>,
        days: Range<i64>,
        by: TallyKey,
    ) -> Result<Vec<Tally>> {
        let (survey, account) = (query.survey.clone(), query.account.clone());
        let (field, limit) = (field.cloned(), TALLIES_MAX + 1);
        let filter = TallyFilter { field, survey, account, days, by, limit };
        let tallies = self.store().tallies(filter).await?;
        if tallies.len() > TALLIES_MAX {
            let fault = format!(
                "there are more than {TALLIES_MAX} different tallies: ask for fewer days, or for one \
                 survey or account"
            );
            return Err(AdminError::invalid("days", fault));
        }
        Ok(tallies)
    }

    /// Fields that may be asked for, of one survey or of all.
    pub(super) fn fields(&self, survey: Option<&Name>) -> Vec<String> {
        let config = self.config();
        let surveys = config.mapper.surveys.iter();
        let asked = surveys.filter(|(name, _)| survey.is_none_or(|survey| survey == *name));
        let mut fields: Vec<String> =
            asked.flat_map(|(_, it)| it.insights()).map(ToString::to_string).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
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

    /// The mean rating, and how far it may be off at 95 %.
    pub fn mean(&self) -> Option<(f64, f64)> {
        let ratings = self.tallies.iter().filter(|it| it.rating > 0);
        mean(ratings.map(|it| (it.rating as f64 / 100.0, it.n)))
    }

    /// How many rated submissions have each issue.
    pub fn issue_counts(tallies: &[Tally]) -> IssueCounts {
        let mut counts = IssueCounts::new();
        for tally in tallies.iter().filter(|it| it.rating > 0 && !it.issues.is_empty()) {
            for issue in tally.issues.split(',') {
                *counts.entry((issue.to_owned(), tally.origin.to_string())).or_default() += tally.n;
            }
        }
        counts
    }

    /// Shares of the issues in what is rated, the greatest first.
    pub fn issue_shares(&self) -> Vec<((String, String), Share)> {
        let n = Self::low(&self.issues).n;
        let counts = Self::issue_counts(&self.issues).into_iter();
        let mut shares: Vec<_> = counts.map(|(named, k)| (named, Share { k, n })).collect();
        shares.sort_by_key(|(_, share)| std::cmp::Reverse(share.k));
        shares
    }

    /// How many of those that have a rating have a low one.
    pub fn low<'a>(tallies: impl IntoIterator<Item = &'a Tally>) -> Share {
        let mut share = Share::default();
        for it in tallies.into_iter().filter(|it| it.rating > 0) {
            share.add(it.rating <= LOW, it.n);
        }
        share
    }
}

impl ByValue {
    /// Those of the values with most ratings; the others are added up.
    pub fn of(tallies: &[Tally]) -> Self {
        let mut by_value: BTreeMap<&str, Share> = BTreeMap::new();
        for tally in tallies.iter().filter(|it| it.rating > 0) {
            by_value.entry(&tally.value).or_default().add(tally.rating <= LOW, tally.n);
        }
        let mut values: Vec<(String, Share)> =
            by_value.into_iter().map(|(value, share)| (value.to_owned(), share)).collect();
        values.sort_by_key(|(_, share)| std::cmp::Reverse(share.n));
        let mut of_others = Share::default();
        let others = values.split_off(values.len().min(VALUES_MAX));
        others.iter().for_each(|(_, share)| of_others += *share);
        values.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        Self { values, others: others.len(), of_others }
    }

    /// Of all values.
    pub fn all(&self) -> Share {
        let mut all = self.of_others;
        self.values.iter().for_each(|(_, share)| all += *share);
        all
    }
}

impl InsightsTable {
    /// As CSV, one line for each day and all that its submissions have in common.
    pub fn csv(&self) -> Vec<u8> {
        let value = self.by.as_ref().map_or("value", Name::as_str);
        let mut csv = csv::Writer::from_writer(Vec::new());
        let mut write =
            |line: [&str; 8]| csv.write_record(line).expect("memory takes every record");
        write(["day", value, "state", "reason", "rating", "issues", "origin", "n"]);
        for it in &self.tallies {
            let rating = (it.rating > 0).then(|| (it.rating as f64 / 100.0).to_string());
            write([
                &date(it.day),
                &harmless(it.value.to_string()),
                it.state.label(),
                it.state.reason().unwrap_or_default(),
                &rating.unwrap_or_default(),
                &it.issues.replace(',', " "),
                &it.origin,
                &it.n.to_string(),
            ]);
        }
        csv.into_inner().expect("memory takes every record")
    }
}

/// Changes of the surveys that are asked for, on these days. What a survey began with is no change.
fn changes(
    revisions: &[SurveyRevision],
    query: &InsightsQuery,
    days: &Range<i64>,
) -> Vec<SurveyChange> {
    let is_asked = |survey: &Name| query.survey.as_ref().is_none_or(|asked| asked == survey);
    let mut changes = Vec::new();
    for (before, after) in revisions.iter().zip(revisions.iter().skip(1)) {
        let is_change = before.survey == after.survey && before.digest != after.digest;
        if is_change && is_asked(&after.survey) && days.contains(&Insights::today(after.since)) {
            changes.push(SurveyChange { at: after.since, survey: after.survey.clone() });
        }
    }
    changes.sort_by_key(|it| it.at);
    changes
}

/// A day as `2026-11-20`.
pub(super) fn date(day: i64) -> String {
    Insights::start(day).strftime("%Y-%m-%d").to_string()
}
