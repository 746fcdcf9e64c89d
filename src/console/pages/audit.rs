use maud::{Markup, html};

use super::super::layout::{said, time};
use crate::admin::{ActionSubject, RecentAction};

/// The last operator actions.
pub fn audit(actions: &[RecentAction]) -> Markup {
    html! {
        h1 { "Operator actions" }
        p.hint {
            "The last 200 since this process started, of the console, the API and the command line that calls it. \
             What was done to a submission is kept in its own timeline."
        }
        section #actions data-live aria-label="Actions" {
            @if actions.is_empty() { p { "None since the start." } } @else { (table(actions)) }
        }
    }
}

fn table(actions: &[RecentAction]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Table of actions" {
            table {
                thead {
                    tr {
                        th scope="col" { "At" }
                        th scope="col" { "Action" }
                        th scope="col" { "Subject" }
                        th scope="col" { "Number" }
                        th scope="col" { "Reason" }
                    }
                }
                tbody {
                    @for it in actions {
                        tr {
                            td { (time(it.at)) }
                            td { (it.action.label()) }
                            td { (subject(&it.subject)) }
                            td.number { (it.times) }
                            td { @if let Some(detail) = &it.detail { (said(detail)) } }
                        }
                    }
                }
            }
        }
    }
}

fn subject(subject: &ActionSubject) -> Markup {
    html! {
        @match subject {
            ActionSubject::Submission(id) => { a href={ "/console/submissions/" (id) } { code { (id) } } },
            ActionSubject::Account(name) => { a href="/console/accounts" { (name) } },
            ActionSubject::Call => "a call",
            ActionSubject::Search => "a page of a search",
            ActionSubject::Quarantine(None) => { a href="/console/quarantine" { "quarantine" } },
            ActionSubject::Quarantine(Some(source)) => {
                a href="/console/quarantine" { "quarantine" } " of source " (source)
            },
        }
    }
}
