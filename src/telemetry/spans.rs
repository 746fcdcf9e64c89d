//! Spans of webhooks and attempts, and the bounded queue in which they wait for their export.
//!
//! A span is made of what is known when it has ended, so that nothing is carried along and nothing is done if
//! none is exported. It has no call id, no number and no note.

use std::time::Duration;

use jiff::Timestamp;
use strum::{IntoStaticStr, VariantArray};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::WebhookOutcome;
use crate::domain::{Name, SpanContext, TraceParent, Verdict, WebhookId};
use crate::submission::SubmissionId;

/// Most spans that wait for their export; those beyond are lost, and counted.
pub const SPANS_WAITING_MAX: usize = 4096;

/// Where spans go.
#[derive(Debug)]
pub struct Spans {
    queue: mpsc::Sender<Span>,
    /// Of 2^56, how many values of the random part of an id are exported.
    threshold: u64,
}

/// A span that has ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Span {
    Webhook(WebhookSpan),
    Attempt(AttemptSpan),
}

/// A webhook, from its receipt to its response.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookSpan {
    pub id: WebhookId,
    /// What the sender named, of a webhook whose signature was verified.
    pub parent: Option<TraceParent>,
    pub source: Name,
    pub method: &'static str,
    pub outcome: WebhookOutcome,
    pub status: u16,
    pub submission: Option<SubmissionId>,
    pub received_at: Timestamp,
    pub took: Duration,
}

/// An attempt to deliver, from connecting to the last byte of the response.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptSpan {
    pub submission: SubmissionId,
    pub number: u32,
    pub account: Name,
    pub survey: Name,
    pub verdict: Verdict,
    pub status: Option<u16>,
    pub redelivery: bool,
    /// Of the webhooks with the answers.
    pub webhooks: Vec<SpanContext>,
    pub began_at: Timestamp,
    pub took: Duration,
}

/// What became of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum SpanResult {
    Exported,
    /// Too many waited.
    QueueFull,
    /// The collector did not take it.
    NotExported,
}

impl Spans {
    /// `ratio`, from 0 to 1, of the submissions are exported; the other end is what waits.
    pub fn new(ratio: f64) -> (Self, mpsc::Receiver<Span>) {
        let (queue, waiting) = mpsc::channel(SPANS_WAITING_MAX);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of 0 to 2^56")]
        let threshold = (ratio.clamp(0.0, 1.0) * (1_u64 << 56) as f64) as u64;
        (Self { queue, threshold }, waiting)
    }

    /// Whether the spans of a submission are exported: all of them are, or none, at every replica.
    pub fn samples(&self, submission: SubmissionId) -> bool {
        self.samples_id(submission.0)
    }

    fn samples_id(&self, id: Uuid) -> bool {
        id.as_u64_pair().1 & ((1 << 56) - 1) < self.threshold
    }

    /// Lets a span wait for its export, if it is sampled. Its sender decides about a webhook if it named a
    /// trace. Returns whether there was room.
    pub(super) fn add(&self, span: Span) -> bool {
        let is_sampled = match &span {
            Span::Webhook(WebhookSpan { parent: Some(parent), .. }) => parent.is_sampled,
            Span::Webhook(webhook) => match webhook.submission {
                Some(submission) => self.samples(submission),
                None => self.samples_id(webhook.id.0),
            },
            Span::Attempt(attempt) => self.samples(attempt.submission),
        };
        !is_sampled || self.queue.try_send(span).is_ok()
    }
}

impl SpanResult {
    pub const ALL: [SpanResult; SpanResult::VARIANTS.len()] =
        *SpanResult::VARIANTS.first_chunk().expect("the array has their length");

    pub fn label(self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn webhook(submission: Option<u128>, parent: Option<&str>) -> Span {
        Span::Webhook(WebhookSpan {
            id: WebhookId(Uuid::from_u128(7)),
            parent: parent.map(|parent| parent.parse().unwrap()),
            source: "ivr".parse().unwrap(),
            method: "POST",
            outcome: WebhookOutcome::Created,
            status: 200,
            submission: submission.map(|id| SubmissionId(Uuid::from_u128(id))),
            received_at: Timestamp::UNIX_EPOCH,
            took: Duration::ZERO,
        })
    }

    #[test]
    fn of_the_submissions_the_ratio_is_sampled_and_a_sender_decides_for_itself() {
        let (half, mut waiting) = Spans::new(0.5);
        let low = (1 << 55) - 1;
        for (submission, is_sampled) in [(low, true), (low + 1, false), ((1 << 56) + low, true)] {
            assert_eq!(half.samples(SubmissionId(Uuid::from_u128(submission))), is_sampled);
            assert!(half.add(webhook(Some(submission), None)));
            assert_eq!(waiting.try_recv().is_ok(), is_sampled, "{submission:x}");
        }
        let sender = |flag| format!("00-{:032x}-{:016x}-{flag}", 1, 2);
        half.add(webhook(Some(low), Some(&sender("00"))));
        assert!(waiting.try_recv().is_err());
        half.add(webhook(Some(low + 1), Some(&sender("01"))));
        assert!(waiting.try_recv().is_ok());
        let (none, all) = (Spans::new(0.0).0, Spans::new(1.0).0);
        for id in [0, u128::MAX] {
            assert!(!none.samples(SubmissionId(Uuid::from_u128(id))));
            assert!(all.samples(SubmissionId(Uuid::from_u128(id))));
        }
    }

    #[test]
    fn what_finds_no_room_is_not_waited_for() {
        let (spans, _waiting) = Spans::new(1.0);
        let added = std::iter::repeat_with(|| spans.add(webhook(None, None)));
        assert_eq!(added.take(SPANS_WAITING_MAX + 2).filter(|added| !added).count(), 2);
    }
}
