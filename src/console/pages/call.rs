use jiff::Timestamp;
use maud::{Markup, html};

use super::submission::{Reading, room, section};
use crate::admin::{CallInspection, Role};

/// What became of a call.
pub fn call(call: &str, inspection: &CallInspection, role: Role, now: Timestamp) -> Markup {
    let reading = |inspection| Reading { inspection, role, is_revealed: false, now, notice: None };
    let room = room();
    html! {
        h1 { "Call " code { (call) } }
        @if inspection.submissions.is_empty() {
            p {
                "No submission is about this call: no verified webhook came for it, or it was erased or purged. "
                a href="/console/quarantine" { "Rejected webhooks" } " may tell why."
            }
        }
        @for it in &inspection.submissions { (section(&reading(it), &room)) }
        @if role == Role::Operator {
            p.actions {
                @if !inspection.submissions.is_empty() {
                    a.button href={ "/console/playground?call=" (call) } { "Try it in the playground" }
                }
                a.button href={ "/console/calls/" (call) "/erase" } { "Erase this call…" }
            }
        }
        @if inspection.truncated > 0 {
            p.hint { (inspection.truncated) " more submissions about it are not shown." }
        }
    }
}
