//! Insights as the API says them: the figures of the page, and the lines of its table.

use std::ops::Range;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{AdminError, Result};
use super::insights::{Insights, InsightsQuery, InsightsTable, Tally, date};
use super::service::AdminService;
use super::statistics::{Share, limits};
use super::views::StateName;
use crate::submission::IssueOrigin;

/// What callers say, of submissions that are settled.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Insights)]
pub struct InsightsReport {
    /// The first day of acceptance, in UTC.
    #[schema(format = Date)]
    pub from: String,
    /// The last one, which is today.
    #[schema(format = Date)]
    pub to: String,
    pub settled: u64,
    /// How many submissions of all surveys are not settled yet.
    pub waiting: u64,
    /// Those with a rating, of those settled.
    pub rated: ShareView,
    /// Ratings of 1 to 2, of those rated.
    pub low: ShareView,
    /// The same of as many days before.
    pub low_before: ShareView,
    /// By how much `low` is greater than `low_before`: Newcombe's interval of 95 %. None if either is of fewer
    /// than 10.
    pub change: Option<Interval>,
    /// None of fewer than 30 ratings.
    pub mean: Option<MeanView>,
    /// Every day, the first first.
    pub days: Vec<DayView>,
    /// Those that are most often first.
    pub issues: Vec<IssueView>,
    /// By the values of the field that was asked for: those with most ratings, by name.
    pub values: Vec<ValueView>,
    /// What is left out of `values`.
    pub other_values: OtherValues,
    /// When the rules of a survey changed: ratings before and after are not alike.
    pub changes: Vec<ChangeView>,
    /// Fields that may be compared by.
    pub fields: Vec<String>,
    /// The lines of the CSV: of a day, the submissions that are alike. By the field's values, if one was asked
    /// for.
    pub tallies: Vec<TallyView>,
}

/// So many of so many, with Wilson's interval of 95 %.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Share)]
pub struct ShareView {
    pub k: u64,
    pub n: u64,
    /// None of none.
    pub share: Option<f64>,
    pub interval: Interval,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// A mean rating with half of its interval of 95 %.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Mean)]
pub struct MeanView {
    pub mean: f64,
    pub plus_minus: f64,
}

/// The least and the greatest number that chance alone explains.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Limits {
    pub least: u64,
    pub most: u64,
    /// Whether the number is not within them; of fewer than 10 ratings nothing is.
    pub outside: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = InsightsDay)]
pub struct DayView {
    #[schema(format = Date)]
    pub day: String,
    pub low: ShareView,
    /// Of a p-chart: 99.8 % about the share of all days between two changes of the rules.
    pub limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = InsightsIssue)]
pub struct IssueView {
    pub issue: String,
    /// Where it comes from: `chosen`, `default` or `rule`; none if that is not known.
    pub origin: Option<String>,
    /// Of those rated.
    pub share: ShareView,
    /// The same of as many days before.
    pub before: ShareView,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = InsightsValue)]
pub struct ValueView {
    pub value: String,
    pub low: ShareView,
    /// 95 % about the share of all values.
    pub limits: Limits,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct OtherValues {
    /// How many there are.
    pub values: u64,
    pub low: ShareView,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = RulesChange)]
pub struct ChangeView {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub survey: String,
}

/// How many submissions of a day are alike.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Tally)]
pub struct TallyView {
    #[schema(format = Date)]
    pub day: String,
    /// Of the field that was asked for.
    pub value: Option<String>,
    pub state: StateName,
    /// Why it is ignored or dead.
    pub reason: Option<String>,
    pub rating: Option<f64>,
    pub issues: Vec<String>,
    /// Where the issues come from.
    pub origin: Option<String>,
    pub n: u64,
}

impl AdminService {
    /// Insights with everything that follows from them.
    ///
    /// # Errors
    /// As for [`insights`](Self::insights), and no survey has the field.
    pub async fn insights_report(&self, query: &InsightsQuery) -> Result<InsightsReport> {
        let insights = self.insights(query).await?;
        // The same days, also at midnight.
        let table = self.insights_table_of(query, insights.days.clone()).await?;
        let fields = self.fields(None);
        // One that was taken out of the settings still has what was counted of it.
        if let (Some(field), []) = (&query.by, &*insights.by_value.values)
            && !fields.iter().any(|it| it == field.as_str())
        {
            let known = if fields.is_empty() { "none".to_owned() } else { fields.join(", ") };
            let detail = format!("no survey has insights by {field}; there are: {known}");
            return Err(AdminError::NotFound(detail));
        }
        Ok(InsightsReport::of(insights, table))
    }
}

impl InsightsReport {
    fn of(insights: Insights, table: InsightsTable) -> Self {
        let settled = insights.tallies.iter().map(|it| it.n).sum();
        let (now, was) = (Insights::low(&insights.tallies), Insights::low(&insights.before));
        let is_compared = !now.is_small() && !was.is_small();
        let each_day: Vec<Range<i64>> = insights.days.clone().map(|day| day..day + 1).collect();
        let days = insights.control_chart(each_day).into_iter().map(|it| {
            let limits = Limits::of(it.low, it.limits);
            DayView { day: date(it.days.start), low: it.low.into(), limits }
        });
        let before = Insights::issue_counts(&insights.before);
        let issues = insights.issue_shares().into_iter().map(|(named, share)| {
            let k = before.get(&named).copied().unwrap_or_default();
            let (issue, origin) = named;
            let before = Share { k, n: was.n }.into();
            IssueView { issue, origin: known(origin), share: share.into(), before }
        });
        let all = insights.by_value.all().value();
        let values = insights.by_value.values.iter().map(|(value, share)| {
            let limits = Limits::of(*share, limits(all, share.n, 0.025));
            ValueView { value: value.clone(), low: (*share).into(), limits }
        });
        let changes = insights.changes.iter();
        let has_value = table.by.is_some();
        Self {
            from: date(insights.days.start),
            to: date(insights.days.end - 1),
            settled,
            waiting: insights.waiting,
            rated: Share { k: now.n, n: settled }.into(),
            low: now.into(),
            low_before: was.into(),
            change: is_compared.then(|| Interval::from(now.difference(was))),
            mean: insights.mean().map(|(mean, plus_minus)| MeanView { mean, plus_minus }),
            days: days.collect(),
            issues: issues.collect(),
            values: values.collect(),
            other_values: OtherValues {
                values: insights.by_value.others as u64,
                low: insights.by_value.of_others.into(),
            },
            changes: changes
                .map(|it| ChangeView { at: it.at, survey: it.survey.to_string() })
                .collect(),
            fields: insights.fields,
            tallies: table.tallies.into_iter().map(|it| TallyView::of(it, has_value)).collect(),
        }
    }
}

impl Limits {
    fn of(share: Share, limits: (u64, u64)) -> Self {
        let (least, most) = limits;
        Self { least, most, outside: share.is_outside(limits) }
    }
}

impl TallyView {
    fn of(tally: Tally, has_value: bool) -> Self {
        let issues = tally.issues.split(',').filter(|name| !name.is_empty());
        Self {
            day: date(tally.day),
            value: has_value.then(|| tally.value.to_string()),
            state: tally.state.into(),
            reason: tally.state.reason().map(str::to_owned),
            rating: (tally.rating > 0).then(|| tally.rating as f64 / 100.0),
            issues: issues.map(str::to_owned).collect(),
            origin: known(tally.origin.to_string()),
            n: tally.n,
        }
    }
}

fn known(origin: String) -> Option<String> {
    IssueOrigin::ALL.iter().any(|it| it.label() == origin).then_some(origin)
}

impl From<Share> for ShareView {
    fn from(share: Share) -> Self {
        let Share { k, n } = share;
        let known = (n > 0).then(|| share.value());
        Self { k, n, share: known, interval: share.interval().into() }
    }
}

impl From<(f64, f64)> for Interval {
    fn from((low, high): (f64, f64)) -> Self {
        Self { low, high }
    }
}
