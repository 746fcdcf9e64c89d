//! What happened to a submission, in the order of time.

use jiff::{SignedDuration, Timestamp};

use crate::admin::{AnswerView, AttemptView, AuditView, SubmissionDetailView, WebhookView};

/// One moment.
#[derive(Debug, Clone)]
pub(super) struct Event<'a> {
    pub at: Timestamp,
    /// The idle time before it, if it is longer than [`IDLE`]: the page compresses it.
    pub gap: Option<SignedDuration>,
    pub what: What<'a>,
}

#[derive(Debug, Clone)]
pub(super) enum What<'a> {
    Webhook(&'a WebhookView, Vec<&'a AnswerView>),
    Attempt(&'a AttemptView),
    Action(&'a AuditView),
    /// It was settled.
    Settled,
}

/// The longest time between two events that is not compressed.
const IDLE: SignedDuration = SignedDuration::from_secs(60);

/// Everything that happened, the first first.
pub(super) fn events(detail: &SubmissionDetailView) -> Vec<Event<'_>> {
    let event = |at, what| Event { at, gap: None, what };
    let webhooks = detail.webhooks.iter().map(|webhook| {
        let answers = detail.answers.iter().filter(|it| it.webhook == webhook.id).collect();
        event(webhook.received_at, What::Webhook(webhook, answers))
    });
    let attempts = detail.attempts_made.iter().map(|it| event(it.started_at, What::Attempt(it)));
    let actions = detail.interventions.iter().map(|it| event(it.at, What::Action(it)));
    let settled = detail.submission.settled_at.map(|at| event(at, What::Settled));
    let mut events: Vec<_> = webhooks.chain(attempts).chain(actions).chain(settled).collect();
    // What happened at one moment stays in the order of causes.
    events.sort_by_key(|event| event.at);
    let times: Vec<_> = events.iter().map(|event| event.at).collect();
    for (event, before) in events.iter_mut().skip(1).zip(times) {
        let passed = event.at.duration_since(before);
        event.gap = (passed > IDLE).then_some(passed);
    }
    events
}
