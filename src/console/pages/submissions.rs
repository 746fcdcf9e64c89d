use jiff::Timestamp;
use maud::{Markup, html};

use super::super::filter::Filter;
use super::super::layout::{notice, said, state, time};
use super::outcome;
use crate::admin::{
    Role, StateName, SubmissionPage, SubmissionQuery, SubmissionView, reason_labels,
};

/// A page of what a search finds.
pub struct Submissions<'a> {
    pub filter: &'a Filter,
    pub page: &'a SubmissionPage,
    /// How far back the search has looked, if there is more.
    pub looked_back_to: Option<Timestamp>,
    /// The state that a replay of the search is of.
    pub replayed: StateName,
    /// Accounts and surveys of the settings.
    pub accounts: &'a [String],
    pub surveys: &'a [String],
    pub role: Role,
    pub notice: Option<&'a str>,
}

/// The list of submissions.
pub fn submissions(it: &Submissions<'_>) -> Markup {
    html! {
        h1 { "Submissions" }
        (notice(it.notice))
        (form(it))
        @if of_insights(it.filter).next().is_some() {
            p {
                "Only what insights count"
                @for (key, value) in of_insights(it.filter).filter(|(key, _)| *key != "insights") {
                    ", " (key) " " (said(value))
                }
                "."
            }
        }
        section #list data-live aria-label="Submissions found" {
            @if it.page.submissions.is_empty() {
                p { (nothing(it)) }
            } @else {
                (table(&it.page.submissions))
            }
            (further(it))
        }
        @if it.role == Role::Operator && !it.page.submissions.is_empty() {
            p { (replay(it)) }
        }
    }
}

/// Names the state that is replayed, unless the search does.
fn replay(it: &Submissions<'_>) -> Markup {
    let replayed = it.replayed.label();
    let (words, state) = match it.filter.get("state") {
        Some(_) => ("found", None),
        None => (replayed, Some(("state", replayed))),
    };
    html! {
        a.button href=(it.filter.link("/console/replay", state.as_slice())) { "Replay what is " (words) "…" }
    }
}

/// What only insights ask for has no field in the form, and stays in force.
fn of_insights(filter: &Filter) -> impl Iterator<Item = (&str, &str)> {
    let is_one = |key: &&str| SubmissionQuery::OF_INSIGHTS.contains(key);
    filter
        .pairs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(move |it| is_one(&it.0))
}

fn nothing(it: &Submissions<'_>) -> &'static str {
    if it.looked_back_to.is_some() {
        "None found so far."
    } else if it.filter.is_empty() {
        "There are no submissions yet."
    } else {
        "No submission is like that."
    }
}

/// What a page does not show is said, and never counted.
fn further(it: &Submissions<'_>) -> Markup {
    html! {
        p.further {
            @match (&it.page.next_cursor, it.looked_back_to) {
                (Some(cursor), Some(at)) => {
                    (it.page.submissions.len()) " shown; looked back to " (time(at)) ". "
                    a rel="next" href=(it.filter.link("/console/submissions", &[("cursor", cursor)])) {
                        "Look further"
                    }
                },
                _ => { (it.page.submissions.len()) " shown; that is all." },
            }
        }
    }
}

fn form(it: &Submissions<'_>) -> Markup {
    let states = StateName::ALL.map(StateName::label);
    html! {
        form.filter action="/console/submissions" method="get" {
            (select("state", "State", states.into_iter(), it.filter))
            (select("reason", "Reason", reason_labels().into_iter(), it.filter))
            (select("account", "Account", it.accounts.iter().map(String::as_str), it.filter))
            (select("survey", "Survey", it.surveys.iter().map(String::as_str), it.filter))
            (input("source", "Source", "", it.filter))
            (input("call", "Call", "", it.filter))
            (input("since", "Since", "24h or 2026-11-20", it.filter))
            (input("until", "Until", "1h or 2026-11-21", it.filter))
            @for (key, value) in of_insights(it.filter) {
                input type="hidden" name=(key) value=(value);
            }
            div.actions {
                button { "Filter" }
                @if !it.filter.is_empty() { a href="/console/submissions" { "All" } }
            }
        }
    }
}

fn select<'a>(
    key: &str,
    name: &str,
    values: impl Iterator<Item = &'a str>,
    filter: &Filter,
) -> Markup {
    let chosen = filter.get(key).unwrap_or_default();
    let values: Vec<_> = values.collect();
    html! {
        div.field {
            label for=(key) { (name) }
            select id=(key) name=(key) {
                option value="" { "any" }
                @for value in &values {
                    option value=(value) selected[*value == chosen] { (value) }
                }
                // One that the settings have no more is still sought.
                @if !chosen.is_empty() && !values.contains(&chosen) {
                    option value=(chosen) selected { (chosen) }
                }
            }
        }
    }
}

fn input(key: &str, name: &str, example: &str, filter: &Filter) -> Markup {
    html! {
        div.field {
            label for=(key) { (name) }
            input id=(key) name=(key) value=(filter.get(key).unwrap_or_default())
                placeholder=[(!example.is_empty()).then_some(example)]
                autocomplete="off" spellcheck="false";
        }
    }
}

fn table(submissions: &[SubmissionView]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of submissions" {
            table {
                thead {
                    tr {
                        th scope="col" { "Accepted" }
                        th scope="col" { "Call" }
                        th scope="col" { "State" }
                        th scope="col" { "Outcome" }
                        th scope="col" { "Survey" }
                        th scope="col" { "Account" }
                        th scope="col" { "Attempts" }
                    }
                }
                tbody { @for it in submissions { (row(it)) } }
            }
        }
    }
}

fn row(it: &SubmissionView) -> Markup {
    html! {
        tr {
            td { a href={ "/console/submissions/" (it.id) } { (time(it.accepted_at)) } }
            td {
                @match &it.call {
                    Some(call) => { a href={ "/console/calls/" (call) } { (call) } },
                    None => { "purged" },
                }
                @if it.test { " " span.badge { "test" } }
            }
            td { (state(it.state, it.reason.as_deref())) }
            td {
                @if let Some(feedback) = &it.feedback { (outcome::feedback(feedback)) }
                @else if let Some(detail) = &it.detail { (said(&shortened(detail))) }
            }
            td { (it.survey) }
            td { (it.account) }
            td.number { (it.attempts) }
        }
    }
}

/// Longest detail in a list, in characters; the submission's page has it in full.
const DETAIL_MAX: usize = 80;

fn shortened(text: &str) -> String {
    match text.char_indices().nth(DETAIL_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
