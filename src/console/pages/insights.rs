use maud::{Markup, html};

use super::super::chart::{percent, with_interval};
use super::super::figures::{
    Figures, IS_LOW, IS_RATED, funnel, issues, outcomes, ratings_by_week, rule_changes,
    share_of_low,
};
use super::super::filter::Filter;
use crate::admin::{Insights, Share, VALUES_MAX};

/// What callers say.
pub struct InsightsView<'a> {
    /// As the form has it.
    pub filter: &'a Filter,
    pub days: u16,
    pub insights: &'a Insights,
    /// Accounts and surveys of the settings.
    pub accounts: &'a [String],
    pub surveys: &'a [String],
}

/// Lengths that the form offers, in days.
const LENGTHS: [u16; 4] = [7, 30, 90, 365];

/// Charts of what settled submissions have in common.
pub fn insights(it: &InsightsView<'_>) -> Markup {
    let figures = Figures {
        insights: it.insights,
        survey: it.filter.get("survey"),
        account: it.filter.get("account"),
        by: it.filter.get("by"),
    };
    let settled: u64 = it.insights.tallies.iter().map(|it| it.n).sum();
    html! {
        h1 { "Insights" }
        (form(it))
        section #insights data-live aria-label="Figures" {
            p {
                (settled) " settled in " (it.days) " days; " (it.insights.waiting)
                " submissions of all surveys are not settled yet."
            }
            @if settled == 0 {
                p { "No submission that is like that was settled." }
            } @else {
                (tiles(figures, settled))
                (rule_changes(figures))
                div.charts { (charts(figures)) }
            }
            p.hint {
                "By the day on which the first webhook of a call arrived, in UTC. Tests are not counted, nor \
                 what was erased or purged: insights reach back as far as submissions are kept. "
                a href=(it.filter.link("/console/insights.csv", &[])) { "CSV" }
            }
        }
    }
}

fn charts(figures: Figures<'_>) -> Markup {
    let is_rated = Insights::low(&figures.insights.tallies).n > 0;
    html! {
        @if is_rated {
            (share_of_low(figures))
            (ratings_by_week(figures))
            (issues(figures))
        }
        @if let Some(field) = figures.by {
            @if figures.insights.by_value.all().n > 0 {
                (funnel(figures, field))
            } @else {
                p { "No rated submission has the field " (field) "." }
            }
        }
        (outcomes(figures))
    }
}

fn tiles(figures: Figures<'_>, settled: u64) -> Markup {
    let Insights { days, tallies, before, .. } = figures.insights;
    let (now, was) = (Insights::low(tallies), Insights::low(before));
    let answered = Share { k: now.n, n: settled };
    let mean = figures.insights.mean();
    html! {
        ul.tiles {
            li {
                a href=(figures.calls(days, &[IS_RATED])) {
                    span.count { (now.n) } " rated: " (with_interval(answered.value(), answered.interval()))
                    " of those settled"
                }
            }
            @if now.n > 0 {
                li {
                    a href=(figures.calls(days, &[IS_LOW])) {
                        span.count { (now.k) } " rated 1 to 2: "
                        @if now.is_small() { "of " (now.n) }
                        @else { (with_interval(now.value(), now.interval())) }
                    }
                }
                li { (change(now, was)) }
            }
            @if let Some((mean, half)) = mean {
                li { span.count { (format!("{mean:.2}")) } " mean rating ± " (format!("{half:.2}")) }
            }
        }
    }
}

/// How much the share of low ratings is above that of as many days before.
fn change(now: Share, was: Share) -> Markup {
    let (low, high) = now.difference(was);
    let is_clear = low > 0.0 || high < 0.0;
    let points = |share: f64| format!("{:+.0}", share * 100.0);
    html! {
        @if was.is_small() || now.is_small() {
            span.count { "–" } " too few ratings to compare: n " (now.n) ", before " (was.n)
        } @else {
            span.count { @if is_clear { (points(now.value() - was.value())) } @else { "no clear change" } }
            " rated 1 to 2, in points: [" (points(low)) " to " (points(high)) "] from "
            (percent(was.value())) " of " (was.n) " before"
        }
    }
}

fn form(it: &InsightsView<'_>) -> Markup {
    let days = it.days.to_string();
    let mut lengths = LENGTHS.map(|length| length.to_string()).to_vec();
    if !lengths.contains(&days) {
        lengths.push(days.clone());
    }
    html! {
        form.filter action="/console/insights" method="get" {
            (select("survey", "Survey", Some("all"), it.surveys, it.filter.get("survey")))
            (select("account", "Account", Some("all"), it.accounts, it.filter.get("account")))
            (select("by", "Compared by", Some("nothing"), &it.insights.fields, it.filter.get("by")))
            (select("days", "Days", None, &lengths, Some(&days)))
            div.actions { button { "Show" } }
        }
        @if it.insights.fields.is_empty() {
            p.hint { "To compare calls by a field, such as a campaign, name it under insights of its survey." }
        } @else {
            p.hint {
                "At most " (VALUES_MAX) " values are drawn, those with most ratings"
                @if it.insights.by_value.others > 0 {
                    "; " strong { (it.insights.by_value.others) " other values" }
                    " are one row of the table"
                }
                ". The CSV has all."
            }
        }
    }
}

fn select(
    key: &str,
    name: &str,
    none: Option<&str>,
    values: &[String],
    chosen: Option<&str>,
) -> Markup {
    let chosen = chosen.unwrap_or_default();
    html! {
        div.field {
            label for=(key) { (name) }
            select id=(key) name=(key) {
                @if let Some(none) = none { option value="" { (none) } }
                @for value in values { option value=(value) selected[value == chosen] { (value) } }
                // One that the settings have no more is still sought.
                @if !chosen.is_empty() && !values.iter().any(|it| it == chosen) {
                    option value=(chosen) selected { (chosen) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::admin::{ByValue, SurveyChange, Tally};
    use crate::submission::{IgnoredReason, State};

    /// The last day, a Sunday.
    const TODAY: i64 = 20_786;

    fn tally(day: i64, value: &str, rating: i64, issues: &str, origin: &str, n: u64) -> Tally {
        let (value, issues, origin) = (value.into(), issues.into(), origin.into());
        Tally { day, value, state: State::Delivered, rating, issues, origin, n }
    }

    fn ignored(day: i64, reason: IgnoredReason, n: u64) -> Tally {
        Tally { state: State::Ignored(reason), ..tally(day, "", 0, "", "", n) }
    }

    /// A page of 14 days, with these tallies, those before and those by value.
    fn rendered(tallies: Vec<Tally>, before: Vec<Tally>, by_value: Vec<Tally>) -> String {
        let insights = Insights {
            days: TODAY - 13..TODAY + 1,
            issues: tallies.clone(),
            tallies,
            before,
            by_value: ByValue::of(&by_value),
            waiting: 7,
            fields: vec!["campaign".to_owned()],
            changes: vec![SurveyChange {
                at: Insights::start(TODAY - 5) + SignedDuration::from_hours(12),
                survey: "quality".parse().unwrap(),
            }],
        };
        let pairs = [("survey", "quality"), ("by", "campaign"), ("days", "14")];
        let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec();
        let page = super::insights(&InsightsView {
            filter: &Filter { pairs },
            days: 14,
            insights: &insights,
            accounts: &["main".to_owned()],
            surveys: &["quality".to_owned()],
        });
        page.into_string().replace("><", ">\n<")
    }

    #[test]
    fn a_page_without_a_submission_says_so() {
        insta::assert_snapshot!(rendered(vec![], vec![], vec![]));
    }

    #[test]
    fn one_submission_is_a_hollow_dot() {
        let one = |value| vec![tally(TODAY, value, 200, "ECHO", "chosen", 1)];
        insta::assert_snapshot!(rendered(one(""), vec![], one("autumn")));
    }

    #[test]
    fn seven_submissions_have_dots_and_no_line() {
        let seven = |value: &str| {
            vec![
                tally(TODAY - 9, value, 100, "ECHO,ONE_WAY_AUDIO", "chosen", 1),
                tally(TODAY - 9, value, 250, "OTHERS", "default", 1),
                tally(TODAY - 1, value, 200, "OTHERS", "rule", 1),
                tally(TODAY, value, 500, "", "", 4),
            ]
        };
        insta::assert_snapshot!(rendered(seven(""), seven(""), seven("autumn")));
    }

    #[test]
    fn a_thousand_submissions_have_intervals_limits_and_a_funnel() {
        let mut tallies = Vec::new();
        for day in TODAY - 13..=TODAY {
            let n = (day % 7) as u64;
            tallies.push(tally(day, "", 100, "ECHO", "chosen", n));
            tallies.push(tally(day, "", 200, "OTHERS", "default", 5));
            tallies.push(tally(day, "", 350, "OTHERS", "default", 7));
            tallies.push(tally(day, "", 500, "", "", 50 - n));
            tallies.push(ignored(day, IgnoredReason::NoAnswer, 6));
            tallies.push(ignored(day, IgnoredReason::HungUp, 3));
        }
        let n: u64 = tallies.iter().map(|it| it.n).sum();
        tallies.push(ignored(TODAY, IgnoredReason::InvalidAnswer, 1000 - n));
        let before = vec![
            tally(TODAY - 20, "", 500, "", "", 800),
            tally(TODAY - 20, "", 100, "ECHO", "chosen", 20),
        ];
        let by_value = [("autumn", 60, 200), ("spring", 10, 240), ("winter", 4, 30), ("<b>", 1, 4)];
        let by_value = by_value.into_iter().flat_map(|(value, low, n)| {
            [
                tally(TODAY, value, 100, "ECHO", "chosen", low),
                tally(TODAY, value, 500, "", "", n - low),
            ]
        });
        insta::assert_snapshot!(rendered(tallies, before, by_value.collect()));
    }

    #[test]
    fn of_a_value_with_few_ratings_it_is_not_said_that_it_is_outside_the_limits() {
        let all = vec![tally(TODAY, "", 500, "", "", 1000), tally(TODAY, "", 100, "", "", 3)];
        let by_value =
            vec![tally(TODAY, "spring", 500, "", "", 1000), tally(TODAY, "autumn", 100, "", "", 3)];
        let page = rendered(all, vec![], by_value);
        let (_, autumn) = page.split_once("<bdi>autumn</bdi>").unwrap();
        let (autumn, _) = autumn.split_once("</tr>").unwrap();
        assert!(autumn.contains("few ratings") && !autumn.contains("outside"), "{autumn}");
    }

    #[test]
    fn a_field_of_many_values_keeps_the_page_light() {
        let all = vec![tally(TODAY, "", 500, "", "", 10_000)];
        let value = |n: u64| tally(TODAY, &format!("a campaign of autumn {n}"), 500, "", "", n);
        let page = rendered(all, vec![], (1..=300).map(value).collect());
        assert!(page.len() < 90_000, "{} bytes", page.len());
        assert!(page.contains("a campaign of autumn 300") && !page.contains("autumn 200<"));
        assert!(page.contains("240 other values"));
    }
}
