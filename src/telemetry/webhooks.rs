use std::time::Duration;

use jiff::Timestamp;
use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};
use strum::{IntoStaticStr, VariantArray};

/// What became of a webhook for a source of the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum WebhookOutcome {
    /// It began a submission.
    Created,
    /// It added something to one.
    Updated,
    /// Every answer in it was stored before.
    Duplicate,
    /// Kept, but its submission was closed already.
    Late,
    /// In the spool, for the database is away.
    Spooled,
    /// All but the outcome of its submission was dropped; it is not kept.
    Purged,
    /// As much is kept of its submission as may be; it is not kept.
    Excess,
    /// Its source's settings say that it is none of ours.
    Skipped,
    /// Its `Content-Encoding` or type is not ours to read.
    Unsupported,
    /// Signed, or free to be unsigned, and not to be understood.
    Malformed,
    /// Its signature was missing or wrong.
    Rejected,
    TooLarge,
    /// Its body did not arrive in time.
    TooSlow,
    /// The store could not keep it.
    Unavailable,
}

/// The outcomes of webhooks by who has to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum WebhookClass {
    /// It was verified and answered 200.
    Accepted,
    /// Its sender is at fault.
    Rejected,
    /// The service is.
    Failed,
}

/// The metrics of one source. They are resolved once, so that a webhook costs no look-up by label.
pub struct SourceMetrics {
    /// In the order of [`WebhookOutcome::ALL`].
    answered: [IntCounter; WebhookOutcome::ALL.len()],
    /// In the order of [`WebhookClass::ALL`].
    took: [Histogram; WebhookClass::ALL.len()],
    last_accepted: IntGauge,
    source: String,
    rejections: IntCounterVec,
}

impl WebhookOutcome {
    pub const ALL: [WebhookOutcome; WebhookOutcome::VARIANTS.len()] =
        *WebhookOutcome::VARIANTS.first_chunk().expect("the array has their length");

    pub fn label(self) -> &'static str {
        self.into()
    }

    pub fn class(self) -> WebhookClass {
        match self {
            Self::Created
            | Self::Updated
            | Self::Duplicate
            | Self::Late
            | Self::Spooled
            | Self::Purged
            | Self::Excess
            | Self::Skipped => WebhookClass::Accepted,
            Self::Unsupported
            | Self::Malformed
            | Self::Rejected
            | Self::TooLarge
            | Self::TooSlow => WebhookClass::Rejected,
            Self::Unavailable => WebhookClass::Failed,
        }
    }
}

impl WebhookClass {
    pub const ALL: [WebhookClass; WebhookClass::VARIANTS.len()] =
        *WebhookClass::VARIANTS.first_chunk().expect("the array has their length");

    pub fn label(self) -> &'static str {
        self.into()
    }
}

impl SourceMetrics {
    pub(super) fn new(
        source: &str,
        webhooks: &IntCounterVec,
        rejections: &IntCounterVec,
        took: &HistogramVec,
        last_accepted: &IntGaugeVec,
    ) -> Self {
        Self {
            answered: WebhookOutcome::ALL
                .map(|outcome| webhooks.with_label_values(&[source, outcome.label()])),
            took: WebhookClass::ALL.map(|class| took.with_label_values(&[class.label()])),
            last_accepted: last_accepted.with_label_values(&[source]),
            source: source.to_owned(),
            rejections: rejections.clone(),
        }
    }

    /// `took` is from receipt to reply.
    pub fn webhook_answered(
        &self,
        outcome: WebhookOutcome,
        received_at: Timestamp,
        took: Duration,
    ) {
        self.answered[outcome as usize].inc();
        let class = outcome.class();
        self.took[class as usize].observe(took.as_secs_f64());
        if class == WebhookClass::Accepted {
            self.last_accepted.set(received_at.as_second());
        }
    }

    /// Counts the reason, beside the outcome `Rejected`, `Unsupported` or `Malformed`; `reason` is one of
    /// [`LabelSets::rejections`](super::LabelSets).
    pub fn webhook_refused(&self, reason: &'static str) {
        self.rejections.with_label_values(&[self.source.as_str(), reason]).inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_own_counter() {
        for (index, outcome) in WebhookOutcome::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, index, "{outcome:?}");
        }
        for (index, class) in WebhookClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index, "{class:?}");
        }
    }
}
