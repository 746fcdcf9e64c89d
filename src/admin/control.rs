//! Shares of low ratings over time, and which of them differ by more than chance.

use std::collections::BTreeMap;
use std::ops::Range;

use super::insights::Insights;
use super::statistics::{Share, limits};

/// Some days of a p-chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    pub days: Range<i64>,
    pub low: Share,
    /// The least and the greatest number of low ratings that chance alone explains.
    pub limits: (u64, u64),
}

/// Chance of a period beyond either of its limits, which are those of 99.8 %: about those of three standard
/// deviations.
const TAIL: f64 = 0.001;

impl Insights {
    /// Periods with their control limits, about the share of all periods between two changes of the rules. One in
    /// which the rules changed is counted with those after it.
    pub fn control_chart(&self, periods: Vec<Range<i64>>) -> Vec<Period> {
        let mut by_day: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        self.tallies.iter().for_each(|it| by_day.entry(it.day).or_default().push(it));
        let changed: Vec<i64> = self.changes.iter().map(|it| Self::today(it.at)).collect();
        let mut phases: Vec<Vec<(Range<i64>, Share)>> = Vec::new();
        for days in periods {
            let tallies =
                by_day.range(days.clone()).flat_map(|(_, tallies)| tallies.iter().copied());
            let low = Self::low(tallies);
            let begins = phases.is_empty() || changed.iter().any(|day| days.contains(day));
            match phases.last_mut().filter(|_| !begins) {
                Some(phase) => phase.push((days, low)),
                None => phases.push(vec![(days, low)]),
            }
        }
        let limited = |phase: Vec<(Range<i64>, Share)>| {
            let mut all = Share::default();
            phase.iter().for_each(|(_, low)| all += *low);
            phase.into_iter().map(move |(days, low)| {
                let limits = limits(all.value(), low.n, TAIL);
                Period { days, low, limits }
            })
        };
        phases.into_iter().flat_map(limited).collect()
    }
}

impl Period {
    /// Whether it differs by more than chance; of too few ratings nothing is said.
    pub fn is_outside(&self) -> bool {
        self.low.is_outside(self.limits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::{SurveyChange, Tally};
    use crate::submission::State;

    /// Days of 100 ratings each, of which so many are low.
    fn insights(low: &[u64], changed_on: Option<i64>) -> Insights {
        let tally = |day: usize, rating, n| Tally {
            day: i64::try_from(day).unwrap(),
            value: "".into(),
            state: State::Delivered,
            rating,
            issues: "".into(),
            origin: "".into(),
            n,
        };
        let days = low.iter().enumerate();
        let change = |day| SurveyChange {
            at: Insights::start(day) + jiff::SignedDuration::from_hours(9),
            survey: "quality".parse().unwrap(),
        };
        Insights {
            days: 0..i64::try_from(low.len()).unwrap(),
            tallies: days
                .flat_map(|(day, k)| [tally(day, 100, *k), tally(day, 500, 100 - k)])
                .collect(),
            changes: changed_on.map(change).into_iter().collect(),
            ..Insights::default()
        }
    }

    fn outside(insights: &Insights) -> Vec<usize> {
        let days = insights.days.clone().map(|day| day..day + 1).collect();
        let chart = insights.control_chart(days).into_iter().enumerate();
        chart.filter(|(_, it)| it.is_outside()).map(|(at, _)| at).collect()
    }

    #[test]
    fn control_limits_are_those_of_all_days_about_their_share() {
        let ten = insights(&[8, 12, 10, 9, 11], None);
        let limits: Vec<_> =
            ten.control_chart(vec![0..1, 1..5]).iter().map(|it| it.limits).collect();
        // Of 100 and of 400 at 10 %, summed exactly over the binomial distribution.
        assert_eq!(limits, [(2, 20), (23, 60)]);
        assert!(outside(&ten).is_empty());
        assert_eq!(outside(&insights(&[8, 12, 10, 30, 11], None)), [3]);
    }

    #[test]
    fn control_limits_begin_anew_where_the_rules_changed() {
        let jump = [8, 12, 10, 9, 41, 39, 40, 38];
        assert!(outside(&insights(&jump, None)).len() > 4, "nothing explains the jump");
        assert!(outside(&insights(&jump, Some(4))).is_empty());
        assert_eq!(
            outside(&insights(&jump, Some(6))),
            [0, 4, 5],
            "a change elsewhere does not either"
        );
    }

    #[test]
    fn nothing_is_said_of_days_with_few_ratings() {
        let mut few = insights(&[0, 0, 0, 0], None);
        few.tallies.push(Tally { day: 4, rating: 100, n: 9, ..few.tallies[0].clone() });
        few.days = 0..5;
        assert!(outside(&few).is_empty());
    }
}
