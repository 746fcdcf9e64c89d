//! Verifying the quarantine again: what a changed secret verifies is received, as of its arrival and by the
//! survey of that time.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Endpoint, Ingest, IngestError, Receipt, WaitReason};
use crate::domain::Name;
use crate::store::{self, QuarantinedWebhook};
use crate::telemetry::{QuarantineEvent, logs};

/// How often the quarantine is looked after: soon after a secret was read again, and seldom enough that
/// a flood of forged webhooks is written to the store once in a while.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Which webhooks an operator has verified again.
#[derive(Debug, Clone, Default)]
pub struct RetryOptions {
    /// Only those of this source.
    pub source: Option<Name>,
    /// Also receives those whose source had another account or survey when they arrived, under its current
    /// ones.
    pub current_survey: bool,
}

/// What became of webhooks that were verified again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetryCounts {
    /// A secret verifies them: they are received.
    pub accepted: usize,
    /// A secret verifies them, and they are rejected for another cause.
    pub rejected: usize,
    /// No secret verifies them, or the store could not take them.
    pub waiting: usize,
    /// A secret verifies them, and their source had another account or survey when they arrived.
    pub source_changed: usize,
}

/// What became of one of them.
enum Retried {
    Received(Receipt),
    /// The bytes of its sender's id for it are others.
    Rejected(IngestError),
    Waits(WaitReason),
    /// It was dropped meanwhile.
    Removed,
}

impl Ingest {
    /// Looks after the quarantine for as long as the service runs.
    pub async fn keep_quarantine(
        &self,
        store: &dyn store::Quarantine,
        now: impl Fn() -> Timestamp,
    ) {
        let mut is_loaded = false;
        let mut changes = self.secret_changes();
        loop {
            if !is_loaded {
                is_loaded = self.load_quarantine(store).await;
            }
            // First what is too old: no secret makes it count.
            self.quarantine.expire(now());
            let changes_before = std::mem::replace(&mut changes, self.secret_changes());
            if changes != changes_before {
                self.quarantine.want();
            }
            self.retry_untried().await;
            if let Err(error) = self.quarantine.save(store).await {
                tracing::debug!(error = logs::chain(&error), "the quarantine could not be written");
            }
            let wanted = self.quarantine.wanted.notified();
            // It ends early for a reload.
            let _ = tokio::time::timeout(LOOK_EVERY, wanted).await;
        }
    }

    /// Takes in what the last process left, and returns whether that could be read.
    async fn load_quarantine(&self, store: &dyn store::Quarantine) -> bool {
        let loaded = self.quarantine.load(store).await;
        if let Err(error) = &loaded {
            let error = logs::chain(error);
            tracing::warn!(error, "the quarantine of the last process could not be read yet");
        }
        loaded.is_ok()
    }

    /// Verifies those of a source, or of all sources, again.
    pub async fn retry_quarantine(&self, options: &RetryOptions) -> RetryCounts {
        // What is to be verified again here is not verified elsewhere, where it is not counted.
        let _one = self.retrying.lock().await;
        let (_, generation) = self.quarantine.untried();
        let mut webhooks: Vec<_> =
            self.quarantine.list().into_iter().map(|(webhook, _)| webhook).collect();
        webhooks.retain(|it| options.source.as_ref().is_none_or(|source| *source == it.source));
        self.retry_each(webhooks, generation, options.current_survey).await
    }

    async fn retry_untried(&self) -> RetryCounts {
        let _one = self.retrying.lock().await;
        let (webhooks, generation) = self.quarantine.untried();
        self.retry_each(webhooks, generation, false).await
    }

    /// With `retrying` locked, which keeps each from being received twice.
    async fn retry_each(
        &self,
        webhooks: Vec<QuarantinedWebhook>,
        generation: u64,
        current_survey: bool,
    ) -> RetryCounts {
        let mut counts = RetryCounts::default();
        let mut reasons = BTreeMap::new();
        for quarantined in webhooks {
            // There may be thousands, and other tasks wait on this thread.
            tokio::task::yield_now().await;
            let (source, id) = (quarantined.source.clone(), quarantined.webhook.id);
            let Some(endpoint) = self.endpoint(source.as_str()) else { continue };
            match self.retry(&endpoint, quarantined, current_survey).await {
                Retried::Received(receipt) => {
                    let submission = receipt.submission.map(tracing::field::display);
                    let outcome = receipt.outcome.label();
                    tracing::info!(%source, submission, outcome, "a quarantined webhook is verified");
                    self.quarantine.remove(id, QuarantineEvent::Accepted);
                    counts.accepted += 1;
                }
                Retried::Rejected(error) => {
                    tracing::warn!(%source, %error, "a quarantined webhook is verified and rejected");
                    self.quarantine.remove(id, QuarantineEvent::Rejected);
                    counts.rejected += 1;
                }
                Retried::Waits(reason) => {
                    reasons.insert(id, reason);
                    match reason {
                        WaitReason::SourceChanged => counts.source_changed += 1,
                        _ => counts.waiting += 1,
                    }
                }
                Retried::Removed => {}
            }
        }
        self.quarantine.set_reasons(&reasons, generation);
        counts
    }

    async fn retry(
        &self,
        endpoint: &Endpoint,
        quarantined: QuarantinedWebhook,
        current_survey: bool,
    ) -> Retried {
        let verified = match endpoint.source.verify_or_return((*quarantined.webhook).clone()) {
            Ok(verified) => verified,
            Err(unverified) => return Retried::Waits((&unverified.rejection).into()),
        };
        if !current_survey && endpoint.has_changed_since(&quarantined) {
            return Retried::Waits(WaitReason::SourceChanged);
        }
        if !self.quarantine.contains(quarantined.webhook.id) {
            return Retried::Removed;
        }
        // Its span was exported when it came, without the trace of its sender.
        match self.receive_verified(endpoint, verified, None).await {
            Ok(receipt) => Retried::Received(receipt),
            // Whatever rejects it, a later edit of the settings may verify and read it.
            Err(IngestError::Rejection(rejection)) => Retried::Waits((&rejection).into()),
            Err(IngestError::NotKept(_)) => Retried::Waits(WaitReason::NotStored),
            Err(error @ IngestError::IdReused) => Retried::Rejected(error),
        }
    }

    /// How often any secret has changed since the settings were read, by source.
    fn secret_changes(&self) -> BTreeMap<Name, u64> {
        let endpoints = self.endpoints().clone();
        endpoints.iter().map(|(name, it)| (name.clone(), it.source.secret_changes())).collect()
    }
}
