use jiff::Timestamp;
use maud::{Markup, html};

use super::super::filter::{Filter, link};
use super::super::layout::{notice, time};
use super::outcome;
use super::replay::payloads;
use crate::admin::{BulkReplayRequest, Difference, ReplayResult, Role};

/// What a replay of a page of submissions would do.
pub struct BulkReplay<'a> {
    /// The search, without its cursor.
    pub filter: &'a Filter,
    pub request: &'a BulkReplayRequest,
    pub result: &'a ReplayResult,
    /// That of the result before its numbers were masked.
    pub digest: &'a str,
    pub role: Role,
    /// How far back this page has looked, if there is more.
    pub looked_back_to: Option<Timestamp>,
    pub notice: Option<&'a str>,
    /// Why the last confirmation did nothing.
    pub warning: Option<&'a str>,
}

/// The differences of a page, and the number to type that replays it.
pub fn bulk_replay(it: &BulkReplay<'_>) -> Markup {
    let result = it.result;
    html! {
        h1 { "Replay what is found" }
        (notice(it.notice))
        @if let Some(warning) = it.warning { p.warning role="alert" { (warning) } }
        p { "Search: " (searched(it)) }
        (options(it))
        p {
            strong { (result.replayed) } " would be replayed"
            @for (reason, count) in &result.skipped { " · " (count) " left out: " (reason) }
            "."
        }
        @if !result.differences.is_empty() { (table(&result.differences)) }
        p.further {
            @match (&result.next_cursor, it.looked_back_to) {
                (Some(cursor), Some(at)) => {
                    "Looked back to " (time(at)) ". "
                    a rel="next" href=(it.filter.link("/console/replay", &[("cursor", cursor)])) {
                        "Look further, without a replay of these"
                    }
                },
                _ => { "That is all." },
            }
        }
        @if result.replayed > 0 && it.role == Role::Operator { (confirm(it)) }
    }
}

fn searched(it: &BulkReplay<'_>) -> Markup {
    let state = it.request.search.replayed_state().label();
    html! {
        @if it.filter.get("state").is_none() { code { "state=" (state) } " " }
        @for (key, value) in conditions(it.filter) { code { (key) "=" (value) } " " }
    }
}

/// The conditions of a search, without how to replay.
fn conditions(filter: &Filter) -> impl Iterator<Item = (&str, &str)> {
    let pairs = filter.pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    pairs.filter(|(key, _)| !OPTIONS.contains(key))
}

/// Keys of a replay that are no part of its search.
pub const OPTIONS: [&str; 3] = ["payload", "include_delivered", "only_changed"];

fn options(it: &BulkReplay<'_>) -> Markup {
    html! {
        form action="/console/replay" method="get" {
            @for (key, value) in conditions(it.filter) { input type="hidden" name=(key) value=(value); }
            fieldset {
                legend { "What is sent" }
                (payloads(it.request.payload))
                label {
                    input type="checkbox" name="only_changed" value="true" checked[it.request.only_changed];
                    " only what would come to something else"
                }
                label {
                    input type="checkbox" name="include_delivered" value="true"
                        checked[it.request.include_delivered];
                    " also what Plivo has accepted"
                }
            }
            button.quiet { "Show the differences" }
        }
    }
}

/// What would change about each.
pub(super) fn table(differences: &[Difference]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Differences" {
            table {
                thead {
                    tr {
                        th scope="col" { "Call" }
                        th scope="col" { "Before" }
                        th scope="col" { "After" }
                        th scope="col" { "Change" }
                    }
                }
                tbody {
                    @for it in differences {
                        tr {
                            td { a href={ "/console/submissions/" (it.id) } { (it.call) } }
                            td { (outcome::before(it)) }
                            td { (outcome::after(&it.after)) }
                            td { (outcome::change(it)) }
                        }
                    }
                }
            }
        }
    }
}

fn confirm(it: &BulkReplay<'_>) -> Markup {
    let number = it.result.replayed;
    html! {
        form.confirm action="/console/replay" method="post" {
            @for (key, value) in &it.filter.pairs { input type="hidden" name=(key) value=(value); }
            input type="hidden" name="shown" value=(it.digest);
            @if let Some(cursor) = &it.request.cursor { input type="hidden" name="cursor" value=(cursor); }
            div.field {
                label for="number" { "Type " strong { (number) } " to replay them" }
                input #number name="number" required inputmode="numeric" pattern="[0-9]{1,4}" autocomplete="off";
            }
            button { "Replay" }
            " " a href=(link("/console/submissions", conditions(it.filter))) { "Cancel" }
        }
    }
}
