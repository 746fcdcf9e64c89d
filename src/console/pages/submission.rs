use std::cell::Cell;

use jiff::Timestamp;
use maud::{Markup, html};

use super::super::layout::{notice, said, span, state, time, visible};
use super::super::timeline::{Event, What, events};
use super::outcome;
use crate::admin::{
    AnswerStatus, AnswerView, AttemptView, AuditView, Inspection, Role, StateName,
    SubmissionDetailView, SubmissionView, WebhookView,
};

/// One submission as it is read.
pub struct Reading<'a> {
    pub inspection: &'a Inspection,
    pub role: Role,
    /// The numbers are shown.
    pub is_revealed: bool,
    pub now: Timestamp,
    /// What was just done.
    pub notice: Option<&'a str>,
}

/// The page of one submission.
pub fn submission(reading: &Reading<'_>) -> Markup {
    let submission = &reading.inspection.detail.submission;
    html! {
        h1 { "Submission " code { (submission.id) } }
        (notice(reading.notice))
        (section(reading, &room()))
    }
}

/// Whether it may become something else by itself.
pub fn is_open(submission: &SubmissionView) -> bool {
    matches!(submission.state, StateName::Collecting | StateName::Pending)
}

/// All of it, for a page that may have several.
///
/// `room` is what the page still has for raw texts.
pub(super) fn section(reading: &Reading<'_>, room: &Cell<usize>) -> Markup {
    let Inspection { detail, today } = reading.inspection;
    let submission = &detail.submission;
    let id = &submission.id;
    html! {
        section.submission id={ "s-" (id) } data-live aria-labelledby={ "t-" (id) } {
            h2 id={ "t-" (id) } {
                (submission.survey) " · " (submission.account) " "
                (state(submission.state, submission.reason.as_deref()))
                @if submission.test { " " span.badge { "test" } }
            }
            (facts(submission, reading.now))
            @if let Some(today) = today {
                p.today {
                    "Today’s settings would say: " (outcome::after(&today.after))
                    @if !is_open(submission) { " (" (outcome::change(today)) ")" }
                }
            }
            (actions(reading))
            @if reading.is_revealed {
                p.notice { "Numbers are shown. That is recorded below." }
            }
            h3 { "Timeline" }
            (timeline(detail, room))
            @if let Some(trace) = &submission.trace {
                details id={ "d-" (id) } {
                    summary { "How it was mapped" }
                    pre tabindex="0" { (visible(&format!("{trace:#}"))) }
                }
            }
            p.command {
                "On the command line: "
                code { "postcall submissions show " (id) }
                " " button.quiet type="button" hidden data-copy={ "postcall submissions show " (id) } {
                    "Copy"
                }
            }
        }
    }
}

fn facts(submission: &SubmissionView, now: Timestamp) -> Markup {
    html! {
        dl.facts {
            @if let Some(call) = &submission.call {
                div { dt { "Call" } dd { a href={ "/console/calls/" (call) } { (call) } } }
            }
            div { dt { "Submission" } dd { a href={ "/console/submissions/" (submission.id) } { (submission.id) } } }
            div { dt { "Accepted" } dd { (time(submission.accepted_at)) } }
            @if is_open(submission) {
                div {
                    dt { "Delivery at" }
                    dd {
                        (time(submission.due_at))
                        @let wait = submission.due_at.duration_since(now);
                        @if wait.is_positive() { " (in " (span(wait)) ")" } @else { " (now)" }
                    }
                }
            }
            @if let Some(feedback) = &submission.feedback {
                div { dt { "Plivo accepted" } dd { (outcome::feedback(feedback)) } }
            }
            @if let Some(api_id) = submission.last_attempt.as_ref().and_then(|it| it.api_id.as_ref()) {
                div { dt { "api_id" } dd { code { (said(api_id)) } } }
            }
            @if let Some(detail) = &submission.detail {
                div { dt { "Detail" } dd { (said(detail)) } }
            }
            @for (question, answer) in &submission.answered {
                div { dt { "Answer " (question) } dd { (said(answer)) } }
            }
            @for (field, value) in &submission.fields {
                div { dt { "Field " (field) } dd { (said(value)) } }
            }
            @if let Some(at) = submission.purged_at {
                div { dt { "Purged" } dd { (time(at)) } }
            }
        }
    }
}

fn actions(reading: &Reading<'_>) -> Markup {
    let submission = &reading.inspection.detail.submission;
    let base = format!("/console/submissions/{}", submission.id);
    let is_purged = submission.purged_at.is_some();
    let is_discarded = submission.state == StateName::Discarded;
    html! {
        @if reading.role == Role::Operator && !is_purged {
            div.actions {
                @if !is_discarded {
                    a.button href={ (base) "/replay" } { "Replay…" }
                }
                @if !is_discarded && submission.state != StateName::Delivered {
                    a.button href={ (base) "/discard" } { "Discard…" }
                }
                @if !reading.is_revealed {
                    form action={ (base) "/reveal" } method="post" {
                        button.quiet title="Shows numbers in full. That is recorded." { "Reveal numbers" }
                    }
                }
            }
        }
    }
}

/// Most bytes of raw webhooks and responses on a page; the command line shows all of them.
const RAW_MAX: usize = 128 * 1024;

/// What a page has for raw texts.
pub(super) fn room() -> Cell<usize> {
    Cell::new(RAW_MAX)
}

fn timeline(detail: &SubmissionDetailView, room: &Cell<usize>) -> Markup {
    let truncated = detail.truncated;
    html! {
        ol.timeline {
            @for event in events(detail) {
                @if let Some(gap) = event.gap {
                    li.gap { span aria-hidden="true" { "┆ " } (span(gap)) " later" }
                }
                (row(&event, detail, room))
            }
        }
        @let hidden = [
            ("webhooks", truncated.webhooks),
            ("answers", truncated.answers),
            ("attempts", truncated.attempts),
        ];
        @for (what, number) in hidden {
            @if number > 0 { p.hint { (number) " more " (what) " are not shown." } }
        }
    }
}

fn row(event: &Event<'_>, detail: &SubmissionDetailView, room: &Cell<usize>) -> Markup {
    html! {
        @match &event.what {
            What::Webhook(it, answers) => { (webhook(event.at, it, answers, room)) },
            What::Attempt(it) => { (attempt(event.at, it, &detail.submission.id, room)) },
            What::Action(it) => { (action(event.at, it)) },
            What::Settled => {
                li.event data-kind="settled" {
                    (time(event.at)) " "
                    (state(detail.submission.state, detail.submission.reason.as_deref()))
                }
            },
        }
    }
}

fn webhook(
    at: Timestamp,
    webhook: &WebhookView,
    answers: &[&AnswerView],
    room: &Cell<usize>,
) -> Markup {
    let texts = [
        ("query", &webhook.query),
        ("body", &webhook.body),
        ("body, Base64", &webhook.body_base64),
    ];
    html! {
        li.event data-kind="webhook" {
            (time(at)) " webhook " strong { (webhook.source) } " " span.reason { (webhook.outcome) }
            @for answer in answers { " " (self::answer(answer)) }
            @if webhook.purged {
                p.hint { "Its query and body were purged." }
            } @else {
                details id={ "w-" (webhook.id) } {
                    summary { "Raw webhook" }
                    p { (webhook.method) }
                    @for (name, text) in texts {
                        @if let Some(text) = text {
                            p.hint { (name) }
                            (raw(text, room))
                        }
                    }
                }
            }
        }
    }
}

/// What a sender or Plivo said in full, while there is room for it on the page.
fn raw(text: &str, room: &Cell<usize>) -> Markup {
    let left = room.get().checked_sub(text.len());
    room.set(left.unwrap_or(room.get()));
    html! {
        @if left.is_some() { pre tabindex="0" { (visible(text)) } }
        @else { p.hint { (text.len()) " bytes are too many for this page: the command line shows them." } }
    }
}

fn answer(answer: &AnswerView) -> Markup {
    let note = match answer.status {
        _ if answer.late => Some("late"),
        Some(AnswerStatus::AnotherCounts) => Some("another answer counts"),
        Some(AnswerStatus::OutsideDomain) => Some("no answer of this question"),
        Some(AnswerStatus::Silence | AnswerStatus::Counts) | None => None,
    };
    html! {
        span.answer {
            @if answer.name.is_empty() { (answer.kind) } @else { (said(&answer.name)) "=" }
            @match &answer.value {
                Some(value) => { (said(value)) },
                None if answer.kind == "answer" => { em { "silence" } },
                None => {},
            }
            @if let Some(note) = note { " (" (note) ")" }
        }
    }
}

fn attempt(at: Timestamp, attempt: &AttemptView, submission: &str, room: &Cell<usize>) -> Markup {
    html! {
        li.event data-kind="attempt" {
            (time(at)) " attempt " (attempt.number) " "
            @match &attempt.verdict {
                Some(verdict) => { strong { (verdict) } },
                None => { em { "under way" } },
            }
            @if let Some(status) = attempt.status { " " (status) }
            @if let Some(end) = attempt.finished_at { " · " (span(end.duration_since(at))) }
            @if let Some(feedback) = &attempt.feedback { " · sent " (outcome::feedback(feedback)) }
            @if attempt.reply.is_some() || attempt.error.is_some() || attempt.api_id.is_some() {
                details id={ "a-" (submission) "-" (attempt.number) } {
                    summary { "Response" }
                    @if let Some(api_id) = &attempt.api_id { p { "api_id " code { (said(api_id)) } } }
                    @if let Some(error) = &attempt.error { p { (said(error)) } }
                    @if let Some(reply) = &attempt.reply { (raw(reply, room)) }
                }
            }
        }
    }
}

fn action(at: Timestamp, entry: &AuditView) -> Markup {
    html! {
        li.event data-kind="action" {
            (time(at)) " operator: " strong { (entry.action) }
            @if let Some(detail) = &entry.detail { " " (said(detail)) }
        }
    }
}
