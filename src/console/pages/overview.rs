use maud::{Markup, html};

use super::super::layout::{said, time};
use crate::admin::{AccountView, RejectionView, StateName};
use crate::submission::StateCounts;

/// What the overview shows.
pub struct Overview<'a> {
    pub counts: &'a StateCounts,
    pub accounts: &'a [AccountView],
    /// Names of the settings.
    pub sources: &'a [String],
    pub quarantined: usize,
    /// The latest first.
    pub rejections: &'a [RejectionView],
}

/// Most rejections of the overview.
const REJECTIONS: usize = 5;

/// Whether anything needs an operator.
pub fn overview(it: &Overview<'_>) -> Markup {
    let paused: Vec<_> = it.accounts.iter().filter(|account| account.pause.is_some()).collect();
    html! {
        h1 { "Overview" }
        section #states data-live aria-labelledby="t-states" {
            h2 #t-states { "Submissions by state" }
            ul.tiles {
                @for (state, count) in counts(it.counts) {
                    li {
                        a href={ "/console/submissions?state=" (state) } {
                            span.count { (count) } " "
                            span.state data-state=(state) { (state) }
                        }
                    }
                }
            }
            p.hint { (it.counts.accepted) " accepted: the sum of the states." }
        }
        section #paused data-live aria-labelledby="t-paused" {
            h2 #t-paused { "Paused accounts" }
            @if paused.is_empty() { p { "None." } }
            @else {
                ul {
                    @for account in paused {
                        li {
                            a href="/console/accounts" { (account.account) }
                            @if let Some(pause) = &account.pause {
                                " since " (time(pause.since)) ": " (said(&pause.detail))
                            }
                        }
                    }
                }
            }
        }
        section aria-labelledby="t-sources" {
            h2 #t-sources { "Sources" }
            @if it.sources.is_empty() { p { "The settings have none." } }
            ul {
                @for source in it.sources {
                    li {
                        (source) ": "
                        a href={ "/console/setup/" (source) } { "set up and test " (source) } ", "
                        a href={ "/console/submissions?source=" (source) } { "submissions of " (source) }
                    }
                }
            }
        }
        section #rejected data-live aria-labelledby="t-rejected" {
            h2 #t-rejected { "Rejected webhooks" }
            p {
                a href="/console/quarantine" { (it.quarantined) " in quarantine" }
                @if it.rejections.is_empty() { "; none was rejected since the start." }
            }
            @if !it.rejections.is_empty() {
                ul {
                    @for rejection in it.rejections.iter().take(REJECTIONS) {
                        li { (time(rejection.at)) " " (rejection.source) " " span.reason { (rejection.reason) } }
                    }
                }
            }
        }
    }
}

fn counts(counts: &StateCounts) -> Vec<(&'static str, u64)> {
    let numbers = [
        counts.collecting,
        counts.pending,
        counts.delivered,
        counts.ignored,
        counts.dead,
        counts.discarded,
    ];
    StateName::ALL.iter().map(|state| state.label()).zip(numbers).collect()
}
