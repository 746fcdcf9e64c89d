use maud::{Markup, html};

use super::outcome;
use crate::admin::{Difference, ReplayPayload, ReplayRequest, Role, SubmissionView};

/// What a replay of one submission would do.
pub struct ReplayPreview<'a> {
    pub submission: &'a SubmissionView,
    pub request: ReplayRequest,
    /// That of the difference before its numbers were masked.
    pub digest: &'a str,
    pub role: Role,
    /// What it would change, or why it cannot be replayed.
    pub difference: Result<&'a Difference, String>,
    /// Why the last confirmation did nothing.
    pub warning: Option<&'a str>,
}

/// The difference, and the button that makes it.
pub fn replay(it: &ReplayPreview<'_>) -> Markup {
    let base = format!("/console/submissions/{}", it.submission.id);
    let is_last = it.request.payload == ReplayPayload::Last;
    html! {
        h1 { "Replay " code { (it.submission.id) } }
        @if let Some(call) = &it.submission.call { p { "Call " code { (call) } } }
        @if let Some(warning) = it.warning { p.warning role="alert" { (warning) } }
        @match &it.difference {
            Ok(difference) => { (table(difference)) },
            Err(reason) => { p.warning { "It cannot be replayed so: " (reason) "." } },
        }
        form action={ (base) "/replay" } method="get" {
            fieldset {
                legend { "What is sent" }
                (payloads(it.request.payload))
                label {
                    input type="checkbox" name="include_delivered" value="true" checked[it.request.include_delivered];
                    " also if Plivo has accepted it"
                }
            }
            button.quiet { "Show the difference" }
        }
        @if it.difference.is_ok() && it.role == Role::Operator {
            form.confirm action={ (base) "/replay" } method="post" {
                input type="hidden" name="payload" value=(if is_last { "last" } else { "remapped" });
                input type="hidden" name="shown" value=(it.digest);
                @if it.request.include_delivered {
                    input type="hidden" name="include_delivered" value="true";
                }
                button { "Replay" }
                " " a href=(base) { "Cancel" }
            }
        } @else {
            p { a href=(base) { "Back to the submission" } }
        }
    }
}

/// The choice of what a replay sends.
pub(super) fn payloads(chosen: ReplayPayload) -> Markup {
    let is_last = chosen == ReplayPayload::Last;
    html! {
        label {
            input type="radio" name="payload" value="remapped" checked[!is_last];
            " mapped by today’s settings"
        }
        label {
            input type="radio" name="payload" value="last" checked[is_last];
            " the last payload, word for word"
        }
    }
}

fn table(difference: &Difference) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Difference" {
            table {
                thead {
                    tr {
                        th scope="col" { "Before" }
                        th scope="col" { "After" }
                        th scope="col" { "Change" }
                    }
                }
                tbody {
                    tr {
                        td { (outcome::before(difference)) }
                        td { (outcome::after(&difference.after)) }
                        td { (outcome::change(difference)) }
                    }
                }
            }
        }
    }
}
