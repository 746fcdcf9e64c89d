//! The charts of the insights: what tallies say, with how sure that is.

use std::ops::Range;

use maud::{Markup, html};

use super::chart::{
    Chart, MarkLink, WIDTH, chart, dot, grid, line, path, percent, rect, ring, text, with_interval,
};
use super::filter::link;
use super::layout::{time, visible};
use crate::admin::{Insights, Period, Share, SurveyChange, Tally, limits};
use crate::submission::{IgnoredReason, IssueOrigin, State};

/// Most days that have a mark each; more have one a week.
const DAILY_MAX: i64 = 31;

/// Insights, and what they were asked for.
#[derive(Clone, Copy)]
pub(super) struct Figures<'a> {
    pub insights: &'a Insights,
    pub survey: Option<&'a str>,
    pub account: Option<&'a str>,
    pub by: Option<&'a str>,
}

impl Figures<'_> {
    /// The list of the submissions that a mark counts.
    pub fn calls(&self, days: &Range<i64>, which: &[(&str, &str)]) -> String {
        let [since, until] = [days.start, days.end].map(|day| Insights::start(day).to_string());
        let names = [("survey", self.survey), ("account", self.account)];
        let names = names.into_iter().filter_map(|(key, name)| Some((key, name?)));
        let times = [("since", since.as_str()), ("until", until.as_str())];
        let counted = [("insights", "counted")].into_iter();
        link("/console/submissions", counted.chain(names).chain(times).chain(which.iter().copied()))
    }

    fn days(&self) -> &Range<i64> {
        &self.insights.days
    }

    /// Where the rules changed, as so many of these periods after the start of the first.
    fn changes(&self, periods: &[Range<i64>]) -> Vec<f64> {
        let place = |change: &SurveyChange| {
            let day = change.at.as_second() as f64 / 86_400.0;
            let at = periods.iter().position(|it| day < it.end as f64)?;
            let Range { start, end } = periods[at];
            // Periods that nothing is shown of may be left out before it.
            Some(at as f64 + ((day - start as f64) / (end - start) as f64).max(0.0))
        };
        self.insights.changes.iter().filter_map(place).collect()
    }
}

pub(super) const IS_LOW: (&str, &str) = ("rating", "1-2");
pub(super) const IS_RATED: (&str, &str) = ("rating", "1-5");

/// Days, or weeks from Monday where there are many.
fn buckets(days: &Range<i64>, weekly: bool) -> Vec<Range<i64>> {
    let (mut buckets, mut start) = (Vec::new(), days.start);
    while start < days.end {
        // 1970 began on a Thursday.
        let length = if weekly { 7 - (start + 3).rem_euclid(7) } else { 1 };
        let end = (start + length).min(days.end);
        buckets.push(start..end);
        start = end;
    }
    buckets
}

fn of_days<'a>(tallies: &'a [Tally], days: &Range<i64>) -> impl Iterator<Item = &'a Tally> {
    let days = days.clone();
    tallies.iter().filter(move |it| days.contains(&it.day))
}

fn day(day: i64) -> String {
    Insights::start(day).strftime("%-d %b").to_string()
}

fn linked(path: &str, words: impl std::fmt::Display) -> Markup {
    html! { a href=(path) { (words) } }
}

fn plain(words: impl std::fmt::Display) -> Markup {
    html! { (words) }
}

/// The least of a few round shares that is enough.
fn scale(most: f64) -> f64 {
    [0.1, 0.2, 0.4, 0.6].into_iter().find(|scale| most <= *scale).unwrap_or(1.0)
}

/// Is it getting worse?
pub(super) fn share_of_low(it: Figures<'_>) -> Markup {
    const TOP: f64 = 12.0;
    const BOTTOM: f64 = 162.0;
    const LEFT: f64 = 48.0;
    let is_weekly = it.days().end - it.days().start > DAILY_MAX;
    let days = buckets(it.days(), is_weekly);
    let changes = it.changes(&days);
    let periods = it.insights.control_chart(days);
    let shares: Vec<(&Range<i64>, Share)> = periods.iter().map(|it| (&it.days, it.low)).collect();
    let step = (WIDTH - LEFT - 8.0) / shares.len() as f64;
    let every = |width: f64| (width / step).ceil() as usize;
    let x = |at: usize| LEFT + (at as f64 + 0.5) * step;
    let y = |share: f64| BOTTOM - share * (BOTTOM - TOP);
    let most = shares.iter().map(|(_, share)| share.n).max().unwrap_or(0).max(1) as f64;
    // What is known well enough is drawn through; the rest are single dots.
    let numbered: Vec<_> = shares.iter().enumerate().collect();
    let runs = numbered.chunk_by(|(_, (_, a)), (_, (_, b))| a.is_small() == b.is_small());
    let runs: Vec<_> = runs.filter(|run| !run[0].1.1.is_small()).collect();
    let last = shares.len().saturating_sub(1);
    let marks = html! {
        (grid(LEFT, WIDTH - 8.0, 1.0, &y))
        @for run in &runs {
            @let upper = run.iter().map(|(at, (_, share))| (x(*at), y(share.interval().1)));
            @let lower = run.iter().rev().map(|(at, (_, share))| (x(*at), y(share.interval().0)));
            (path("band", &upper.chain(lower).collect::<Vec<_>>()))
            @for is_upper in [false, true] {
                (path("limit", &run.iter().flat_map(|(at, (_, share))| {
                    let (least, most) = periods[*at].limits;
                    let limit = (if is_upper { most } else { least }) as f64 / share.n as f64;
                    [-0.5, 0.5].map(|side| (x(*at) + side * step, y(limit)))
                }).collect::<Vec<_>>()))
            }
            (path("trend", &run.iter().map(|(at, (_, it))| (x(*at), y(it.value()))).collect::<Vec<_>>()))
        }
        @for (at, (days, share)) in shares.iter().enumerate() {
            @if share.n > 0 {
                (dot(share.is_small(), x(at), y(share.value())))
                @if periods[at].is_outside() { (ring(x(at), y(share.value()))) }
                @let height = (share.n as f64 / most * 28.0).max(1.0);
                @let class = if at == last { "bar open" } else { "bar" };
                (rect(class, [x(at) - step * 0.35, 206.0 - height, step * 0.7, height]))
            }
            @if at % every(26.0) == 0 { (text("middle", x(at), 219.0, &share.n.to_string())) }
            @if at % every(44.0) == 0 { (text("middle quiet", x(at), 234.0, &day(days.start))) }
        }
        (text("end quiet", LEFT - 6.0, 219.0, "n"))
        @for place in &changes {
            @let x = LEFT + place * step;
            (line("changed", (x, 4.0), (x, BOTTOM)))
        }
    };
    let which = |days: &Range<i64>| it.calls(days, &[IS_LOW]);
    let links = shares.iter().enumerate().filter(|(_, (_, share))| share.n > 0);
    let links = links.map(|(at, (days, share))| MarkLink {
        place: [x(at) - step / 2.0, TOP, step, 206.0 - TOP],
        path: which(days),
        says: format!("{}: {} of {} rated 1 to 2", day(days.start), share.k, share.n),
    });
    let rows = periods.iter().filter(|it| it.low.n > 0).map(|period| {
        let (days, share) = (&period.days, period.low);
        vec![
            plain(day(days.start)),
            linked(&which(days), share.k),
            linked(&it.calls(days, &[IS_RATED]), share.n),
            plain(with_interval(share.value(), share.interval())),
            plain(control(period)),
        ]
    });
    let outside = periods.iter().filter(|it| it.is_outside()).count();
    let all = Insights::low(&it.insights.tallies);
    let unit = if is_weekly { "week from" } else { "day" };
    chart(Chart {
        id: "low-ratings",
        title: "Share of low ratings",
        description: format!(
            "Ratings of 1 to 2 by {}, in UTC: {outside} outside the control limits. Edits of the \
             rules: {}. In all {} of {}: {}.",
            if is_weekly { "week" } else { "day" },
            changes.len(),
            all.k,
            all.n,
            with_interval(all.value(), all.interval())
        ),
        hint: "Band: Wilson’s interval of 95 %. Dashed steps: control limits of 99.8 % about the share between \
               two changes of the rules; a ring is outside of them, by more than chance. Upright line: the rules \
               of a survey changed. A hollow dot has fewer than 10 ratings. The bars are the ratings (n); the \
               last is not complete.",
        height: 242.0,
        marks,
        links: links.collect(),
        columns: &[unit, "rated 1–2", "n", "share [95 %]", "limits [99.8 %]"],
        rows: rows.collect(),
    })
}

/// Where a period is to its control limits.
fn control(period: &Period) -> String {
    if period.low.is_small() {
        return "few ratings".to_owned();
    }
    let share = |k: u64| (k as f64 / period.low.n as f64 * 100.0).round();
    let (least, most) = period.limits;
    let place = if period.is_outside() { "outside" } else { "within" };
    format!("{place} [{}–{}]", share(least), share(most))
}

/// When the rules changed, in words for those who do not see the lines.
pub(super) fn rule_changes(it: Figures<'_>) -> Markup {
    /// The latest.
    const SHOWN: usize = 10;
    let changes = &it.insights.changes;
    html! {
        @if !changes.is_empty() {
            p #changes {
                "The rules changed, so that ratings before and after are not alike: "
                @for (at, change) in changes.iter().rev().take(SHOWN).enumerate() {
                    @if at > 0 { ", " }
                    (time(change.at)) " survey " (change.survey)
                }
                @if changes.len() > SHOWN { ", and " (changes.len() - SHOWN) " times before" }
                "."
            }
        }
    }
}

/// Which ratings?
pub(super) fn ratings_by_week(it: Figures<'_>) -> Markup {
    const LEFT: f64 = 56.0;
    const RIGHT: f64 = 48.0;
    const ROW: f64 = 24.0;
    const RANGES: [&str; 5] = ["1-1.99", "2-2.99", "3-3.99", "4-4.99", "5"];
    let half = (WIDTH - LEFT - RIGHT) / 2.0;
    let weeks: Vec<(Range<i64>, [u64; 5])> = buckets(it.days(), true)
        .into_iter()
        .map(|days| {
            let mut counts = [0; 5];
            for tally in of_days(&it.insights.tallies, &days).filter(|it| it.rating > 0) {
                counts[(tally.rating / 100 - 1).clamp(0, 4) as usize] += tally.n;
            }
            (days, counts)
        })
        .filter(|(_, counts)| counts.iter().sum::<u64>() > 0)
        .collect();
    let days: Vec<Range<i64>> = weeks.iter().map(|(days, _)| days.clone()).collect();
    let changes = it.changes(&days);
    let segments: Vec<Segment> = weeks
        .iter()
        .enumerate()
        .flat_map(|(at, (_, counts))| {
            let top = 6.0 + at as f64 * ROW;
            let n: u64 = counts.iter().sum();
            let share = move |k: u64| k as f64 / n as f64;
            let mut x = LEFT + half * (1.0 - share(counts[0] + counts[1]) - share(counts[2]) / 2.0);
            counts.iter().enumerate().map(move |(rating, k)| {
                let middle = LEFT + half * (1.0 + (rating as f64 - 2.0) * 0.4);
                let (left, width) = match n < Share::MIN {
                    true => (middle - 34.0, 68.0),
                    false => (x, share(*k) * half),
                };
                x += share(*k) * half;
                Segment { week: at, rating, place: [left, top, width, ROW - 4.0], k: *k, n }
            })
        })
        .filter(|it| it.k > 0)
        .collect();
    let marks = html! {
        @for (at, (days, counts)) in weeks.iter().enumerate() {
            @let y = 20.0 + at as f64 * ROW;
            (text("end", LEFT - 8.0, y, &day(days.start)))
            (text("end", WIDTH - 4.0, y, &counts.iter().sum::<u64>().to_string()))
        }
        @for it in &segments { (it.mark()) }
        (line("axis", (LEFT + half, 2.0), (LEFT + half, 6.0 + weeks.len() as f64 * ROW)))
        @for place in &changes {
            @let y = 4.0 + place * ROW;
            (line("changed", (LEFT, y), (WIDTH - RIGHT, y)))
        }
    };
    let which =
        |week: usize, rating: usize| it.calls(&weeks[week].0, &[("rating", RANGES[rating])]);
    let links = segments.iter().map(|it| MarkLink {
        place: it.place,
        path: which(it.week, it.rating),
        says: format!(
            "{}: {} of {} rated {}",
            day(weeks[it.week].0.start),
            it.k,
            it.n,
            it.rating + 1
        ),
    });
    let rows = weeks.iter().enumerate().map(|(week, (days, counts))| {
        let rated = counts.iter().enumerate().map(|(rating, k)| match k {
            0 => plain(0),
            k => linked(&which(week, rating), k),
        });
        let n = linked(&it.calls(days, &[IS_RATED]), counts.iter().sum::<u64>());
        std::iter::once(plain(day(days.start))).chain(rated).chain([n]).collect()
    });
    let counts = [0, 1, 2, 3, 4].map(|at| weeks.iter().map(|(_, it)| it[at]).sum::<u64>());
    let [one, two, three, four, five] = counts;
    chart(Chart {
        id: "ratings",
        title: "Ratings by week",
        description: format!(
            "Weeks from Monday, in UTC, centered on a rating of 3. In all, from 1 to 5: {one}, {two}, \
             {three}, {four}, {five}."
        ),
        hint: "Each bar is a week, its number the ratings (n). A rating between two counts to the lower. A \
               week with fewer than 10 has a dot for each. Dashed: the rules of a survey changed.",
        height: 10.0 + weeks.len() as f64 * ROW,
        marks,
        links: links.collect(),
        columns: &["week from", "1", "2", "3", "4", "5", "n"],
        rows: rows.collect(),
    })
}

/// The submissions of a week that have one rating.
struct Segment {
    week: usize,
    /// From 0.
    rating: usize,
    place: [f64; 4],
    k: u64,
    /// All ratings of the week.
    n: u64,
}

impl Segment {
    fn mark(&self) -> Markup {
        let [left, top, width, _] = self.place;
        let class = format!("r{}", self.rating + 1);
        html! {
            @if self.n < Share::MIN {
                @for nth in 0..self.k { (dot(true, left + 6.0 + nth as f64 * 9.0, top + 10.0)) }
            } @else {
                (rect(&class, self.place))
                @if width >= 12.0 {
                    (text(&format!("middle on-{class}"), left + width / 2.0, top + 14.0,
                        &(self.rating + 1).to_string()))
                }
            }
        }
    }
}

/// What is wrong?
pub(super) fn issues(it: Figures<'_>) -> Markup {
    const LEFT: f64 = 196.0;
    const RIGHT: f64 = 44.0;
    const ROW: f64 = 26.0;
    let rated = Insights::low(&it.insights.issues).n;
    let rated_before = Insights::low(&it.insights.before).n;
    let before = Insights::issue_counts(&it.insights.before);
    let counted = it.insights.issue_shares();
    let highest = counted.iter().map(|(_, share)| share.interval().1).fold(0.0, f64::max);
    let most = if rated < Share::MIN { 1.0 } else { scale(highest) };
    let width = WIDTH - LEFT - RIGHT;
    let x = |share: f64| LEFT + (share / most).min(1.0) * width;
    let bottom = 8.0 + counted.len() as f64 * ROW;
    let name = |(issue, origin): &(String, String)| match origin.as_str() {
        "chosen" | "" => issue.clone(),
        origin => format!("{issue} ({origin})"),
    };
    let which = |(issue, origin): &(String, String)| {
        let mut which = vec![IS_RATED, ("issue", issue.as_str())];
        if !origin.is_empty() {
            which.push(("origin", origin.as_str()));
        }
        it.calls(it.days(), &which)
    };
    let marks = html! {
        @for part in [0.0, 0.5, 1.0] {
            (line("grid", (x(part * most), 4.0), (x(part * most), bottom)))
            (text("middle", x(part * most), bottom + 15.0, &percent(part * most)))
        }
        @for (at, (issue, share)) in counted.iter().enumerate() {
            @let y = 8.0 + (at as f64 + 0.5) * ROW;
            (text("end", LEFT - 10.0, y + 4.0, &name(issue)))
            @if rated >= Share::MIN {
                @let (low, high) = share.interval();
                (line("whisker", (x(low), y), (x(high), y)))
            }
            @if rated_before >= Share::MIN {
                @let before = Share { k: before.get(issue).copied().unwrap_or(0), n: rated_before };
                (line("ghost", (x(before.value()), y - 7.0), (x(before.value()), y + 7.0)))
            }
            @let is_default = issue.1 == IssueOrigin::Default.label();
            (dot(is_default || rated < Share::MIN, x(share.value()), y))
            (text("end", WIDTH - 4.0, y + 4.0, &share.k.to_string()))
        }
    };
    let links = counted.iter().enumerate().map(|(at, (issue, share))| MarkLink {
        place: [0.0, 8.0 + at as f64 * ROW, WIDTH, ROW],
        path: which(issue),
        says: format!("{}: {} of {rated}", name(issue), share.k),
    });
    let rows = counted.iter().map(|(issue, share)| {
        let was = before.get(issue).copied().unwrap_or(0);
        vec![
            plain(name(issue)),
            linked(&which(issue), share.k),
            plain(rated),
            plain(with_interval(share.value(), share.interval())),
            plain(format!("{was} of {rated_before}")),
        ]
    });
    let first = counted.first();
    let first = first.map(|(issue, share)| format!(" Most often {}: {}.", name(issue), share.k));
    chart(Chart {
        id: "issues",
        title: "Issues",
        description: format!(
            "Shares of {rated} rated submissions that have each issue.{}",
            first.unwrap_or_default()
        ),
        hint: "Whisker: Wilson’s interval of 95 %. Hollow: the default of the survey, which no caller \
               named. Upright line: the share in as many days before. Shares do not add up to 100 %: a \
               call may have several issues.",
        height: bottom + 22.0,
        marks,
        links: links.collect(),
        columns: &["issue", "submissions", "n", "share [95 %]", "before"],
        rows: rows.collect(),
    })
}

/// Which campaign?
pub(super) fn funnel(it: Figures<'_>, field: &str) -> Markup {
    const TOP: f64 = 12.0;
    const BOTTOM: f64 = 232.0;
    const LEFT: f64 = 48.0;
    let by_value = &it.insights.by_value;
    let (shown, all) = (&by_value.values, by_value.all());
    let right = WIDTH - 16.0;
    let largest = shown.iter().map(|(_, share)| share.n).max().unwrap_or(0).max(1);
    let x = |n: u64| LEFT + n as f64 / largest as f64 * (right - LEFT);
    let highest = shown.iter().map(|(_, share)| share.value()).fold(all.value() * 2.0, f64::max);
    let most = scale(highest);
    let y = |share: f64| BOTTOM - (share / most).min(1.0) * (BOTTOM - TOP);
    const POINTS: u64 = 60;
    let mut sizes: Vec<u64> = (1..=POINTS).map(|at| (largest * at).div_ceil(POINTS)).collect();
    sizes.dedup();
    let curve = |tail: f64, is_upper: bool| -> Vec<(f64, f64)> {
        let at = |n: &u64| {
            let (low, high) = limits(all.value(), *n, tail);
            (x(*n), y((if is_upper { high } else { low }) as f64 / *n as f64))
        };
        sizes.iter().map(at).collect()
    };
    let is_outside = |share: &Share| share.is_outside(limits(all.value(), share.n, 0.025));
    let place = |share: &Share| match share.is_small() {
        true => "few ratings",
        false if is_outside(share) => "outside",
        false => "within",
    };
    let marks = html! {
        (grid(LEFT, right, most, &y))
        (line("mean", (LEFT, y(all.value())), (right, y(all.value()))))
        @for (class, tail) in [("limit", 0.025), ("limit far", 0.001)] {
            @for is_upper in [false, true] { (path(class, &curve(tail, is_upper))) }
        }
        @for part in [0, largest / 2, largest] {
            (text("middle", x(part), BOTTOM + 16.0, &part.to_string()))
        }
        (text("middle quiet", (LEFT + right) / 2.0, BOTTOM + 31.0, "n"))
        @for (value, share) in shown {
            (dot(share.is_small(), x(share.n), y(share.value())))
            @if is_outside(share) {
                @let is_left = x(share.n) < (LEFT + right) / 2.0;
                @let (class, at) = if is_left { ("", 8.0) } else { ("end", -8.0) };
                (text(class, x(share.n) + at, y(share.value()) + 4.0, &visible(value)))
            }
        }
    };
    let of = |value: &str| format!("{field}:{value}");
    let links = shown.iter().map(|(value, share)| MarkLink {
        place: [x(share.n) - 8.0, y(share.value()) - 8.0, 16.0, 16.0],
        path: it.calls(it.days(), &[("field", &of(value)), IS_LOW]),
        says: format!("{}: {} of {} rated 1 to 2", visible(value), share.k, share.n),
    });
    let rows = shown.iter().map(|(value, share)| {
        let field = of(value);
        vec![
            html! { bdi { (visible(value)) } },
            linked(&it.calls(it.days(), &[("field", &field), IS_LOW]), share.k),
            linked(&it.calls(it.days(), &[("field", &field), IS_RATED]), share.n),
            plain(with_interval(share.value(), share.interval())),
            plain(place(share)),
        ]
    });
    let others = (by_value.others > 0).then(|| {
        let share = by_value.of_others;
        vec![
            plain(format!("{} other values", by_value.others)),
            plain(share.k),
            plain(share.n),
            plain(with_interval(share.value(), share.interval())),
            plain("not drawn"),
        ]
    });
    let outside = shown.iter().filter(|(_, share)| is_outside(share)).count();
    let title = format!("Low ratings by {field}");
    chart(Chart {
        id: "funnel",
        title: &title,
        description: format!(
            "Share of ratings of 1 to 2 by {field}, against the number of ratings: {} values, {outside} \
             of them outside the limits of 95 %; {} other values are not drawn. In all {} of {}.",
            shown.len(),
            by_value.others,
            all.k,
            all.n
        ),
        hint: "Within the lines, chance alone may be the difference: exact binomial limits of 95 % and \
               99.8 %. Only what is outside has its name. A hollow dot has fewer than 10 ratings.",
        height: BOTTOM + 38.0,
        marks,
        links: links.collect(),
        columns: &[field, "rated 1–2", "n", "share [95 %]", "limits of 95 %"],
        rows: rows.chain(others).collect(),
    })
}

/// Who answers?
pub(super) fn outcomes(it: Figures<'_>) -> Markup {
    const ROW: f64 = 20.0;
    let mut counts = Vec::new();
    for (state, name) in outcome_names() {
        let alike = it.insights.tallies.iter().filter(|it| it.state == state);
        let k: u64 = alike.map(|it| it.n).sum();
        if k > 0 {
            counts.push((state, name, k));
        }
    }
    let n: u64 = counts.iter().map(|(.., k)| k).sum();
    let share = |k: u64| Share { k, n };
    let which = |state: State| {
        let mut which = vec![("state", state.label())];
        which.extend(state.reason().map(|reason| ("reason", reason)));
        it.calls(it.days(), &which)
    };
    let mut x = 0.0;
    let widths: Vec<(f64, f64)> = counts
        .iter()
        .map(|(.., k)| {
            let width = share(*k).value() * WIDTH;
            x += width;
            (x - width, width)
        })
        .collect();
    let top = |at: usize| 48.0 + at as f64 * ROW;
    let marks = html! {
        @for (at, (_, name, k)) in counts.iter().enumerate() {
            @let (x, width) = widths[at];
            @let class = format!("r{}", 5 - at % 5);
            (rect(&class, [x, 6.0, width, 28.0]))
            @if width >= 16.0 {
                (text(&format!("middle on-{class}"), x + width / 2.0, 25.0, &(at + 1).to_string()))
            }
            (rect(&class, [0.0, top(at), 14.0, 14.0]))
            (text("", 22.0, top(at) + 11.0, &format!("{} {name}", at + 1)))
            (text("end", WIDTH - 150.0, top(at) + 11.0, &k.to_string()))
            (text("end", WIDTH - 4.0, top(at) + 11.0,
                &with_interval(share(*k).value(), share(*k).interval())))
        }
    };
    let links = counts.iter().enumerate().flat_map(|(at, (state, name, k))| {
        let (x, width) = widths[at];
        [[x, 6.0, width, 28.0], [0.0, top(at) - 3.0, WIDTH, ROW]].map(|place| MarkLink {
            place,
            path: which(*state),
            says: format!("{name}: {k} of {n}"),
        })
    });
    let rows = counts.iter().map(|(state, name, k)| {
        vec![
            plain(name),
            linked(&which(*state), k),
            plain(n),
            plain(with_interval(share(*k).value(), share(*k).interval())),
        ]
    });
    chart(Chart {
        id: "outcomes",
        title: "Who answers",
        description: format!("What became of {n} submissions that are settled."),
        hint: "Calls that sent no webhook are unknown, and not among them. Intervals of 95 %.",
        height: 48.0 + counts.len() as f64 * ROW,
        marks,
        links: links.collect(),
        columns: &["outcome", "submissions", "n", "share [95 %]"],
        rows: rows.collect(),
    })
}

/// How a submission may have ended, from an answer that arrived to none.
fn outcome_names() -> impl Iterator<Item = (State, String)> {
    let ignored = |reason: IgnoredReason| match reason {
        IgnoredReason::NoAnswer => "silent",
        IgnoredReason::InvalidAnswer => "answered with nothing valid",
        IgnoredReason::NoScore => "answered other questions only",
        IgnoredReason::HungUp => "hung up",
        IgnoredReason::OptedOut => "opted out",
        IgnoredReason::Incomplete => "not complete",
        IgnoredReason::Rule => "ignored by a rule",
        IgnoredReason::Test => "tests",
    };
    State::all().filter(|state| !state.is_waiting()).map(move |state| {
        let name = match state {
            State::Delivered => "accepted by Plivo".to_owned(),
            State::Ignored(reason) => ignored(reason).to_owned(),
            State::Dead(reason) => format!("dead: {}", reason.label()),
            other => other.label().to_owned(),
        };
        (state, name)
    })
}
