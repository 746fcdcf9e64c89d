//! The quarantine: webhooks of a source whose signature is of another key, kept in case a secret was
//! rotated at the sender first. Nothing of them is believed, and their senders got their 401.
//!
//! They are kept in memory, so that a flood of forged webhooks costs no write; a copy of what stays is
//! written to the store now and then, little at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::ring::{ChangesMax, Insertion, Ring, UnsavedChanges};
use crate::domain::{CallUuid, Name, Webhook, WebhookId};
use crate::store::{self, QuarantinedWebhook, StoreError};
use crate::telemetry::{Metrics, QuarantineEvent};

/// What is written to the store at once while the service runs: real webhooks wait meanwhile.
const AT_ONCE: ChangesMax = ChangesMax { added: 64, bytes: 256 * 1024, removed: 256 };

/// No webhook waits any more when the service ends.
const ALL: ChangesMax = ChangesMax { added: usize::MAX, bytes: usize::MAX, removed: usize::MAX };

/// Webhooks that no known secret verifies.
pub struct Quarantine {
    ring: Mutex<Ring>,
    metrics: Arc<Metrics>,
    /// Locked while the store is written.
    saving: tokio::sync::Mutex<()>,
    /// Notified when webhooks are to be verified again.
    pub(super) wanted: Notify,
}

impl Quarantine {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        let (ring, saving, wanted) = Default::default();
        Self { ring, metrics, saving, wanted }
    }

    /// Changes how many are kept of each source; all are verified again.
    pub(super) fn limit(&self, limits: BTreeMap<Name, usize>) {
        let mut ring = self.ring();
        let removed = ring.limit(limits);
        self.count(&removed, QuarantineEvent::Dropped);
        for source in ring.sources() {
            self.report(&ring, source);
        }
        self.wanted.notify_one();
    }

    /// Keeps a webhook whose signature does not match.
    pub(super) fn keep(&self, source: &Name, webhook: Webhook) {
        self.insert(&mut self.ring(), source, webhook.into(), false);
    }

    fn insert(&self, ring: &mut Ring, source: &Name, webhook: Arc<Webhook>, is_copied: bool) {
        match ring.insert(source, webhook, is_copied) {
            Insertion::Kept { evicted } => {
                self.metrics.quarantine_event(source, QuarantineEvent::Added);
                self.count(&evicted, QuarantineEvent::Evicted);
                for source in evicted.iter().chain([source]) {
                    self.report(ring, source);
                }
            }
            Insertion::TooLarge => {
                self.metrics.quarantine_event(source, QuarantineEvent::TooLarge);
            }
            Insertion::Off => {}
        }
    }

    /// Takes in what the last process left in the store.
    ///
    /// # Errors
    /// The store cannot be read or written; nothing is taken in then.
    pub async fn load(&self, store: &dyn store::Quarantine) -> Result<(), StoreError> {
        let loaded = store.load_quarantine().await?;
        let mut ring = self.ring();
        for QuarantinedWebhook { source, webhook } in loaded {
            self.insert(&mut ring, &source, webhook, true);
        }
        Ok(())
    }

    /// Writes some of what has changed to the store.
    ///
    /// # Errors
    /// The store cannot be written; the same is tried next time.
    pub async fn save(&self, store: &dyn store::Quarantine) -> Result<(), StoreError> {
        self.save_at_most(AT_ONCE, store).await
    }

    /// Writes everything that has changed to the store, for the next process.
    ///
    /// # Errors
    /// The store cannot be written.
    pub async fn save_all(&self, store: &dyn store::Quarantine) -> Result<(), StoreError> {
        // What a save that was broken off has written is not known.
        self.ring().forget_copy();
        self.save_at_most(ALL, store).await
    }

    async fn save_at_most(
        &self,
        max: ChangesMax,
        store: &dyn store::Quarantine,
    ) -> Result<(), StoreError> {
        let _one = self.saving.lock().await;
        let UnsavedChanges { added, removed } = self.ring().take_changes(max);
        if added.is_empty() && removed.is_empty() {
            return Ok(());
        }
        let ids: BTreeSet<WebhookId> = added.iter().map(|kept| kept.webhook.id).collect();
        let saved = store.save_quarantine(added, removed.clone()).await;
        if saved.is_err() {
            self.ring().put_back(&ids, removed);
        }
        saved
    }

    /// Removes those that are too old.
    pub fn expire(&self, now: Timestamp) {
        let mut ring = self.ring();
        let expired = ring.expire(now);
        self.removed(&ring, &expired, QuarantineEvent::Expired);
    }

    /// Webhooks with their sources, the oldest of each source first.
    pub fn list(&self) -> Vec<QuarantinedWebhook> {
        self.ring().list()
    }

    /// Those that the secrets known now were not tried with, and the generation of these secrets.
    pub(super) fn untried(&self) -> (Vec<QuarantinedWebhook>, u64) {
        self.ring().untried()
    }

    /// The secrets of a generation do not verify these.
    pub(super) fn set_tried(&self, ids: &BTreeSet<WebhookId>, generation: u64) {
        self.ring().set_tried(ids, generation);
    }

    /// A secret has changed: all are to be verified again.
    pub(super) fn want(&self) {
        self.ring().start_generation();
    }

    pub(super) fn contains(&self, id: WebhookId) -> bool {
        self.ring().contains(id)
    }

    /// Removes one because of what became of it.
    pub(super) fn remove(&self, id: WebhookId, event: QuarantineEvent) {
        self.remove_where(|_, webhook| webhook.id == id, event);
    }

    /// Drops those that are meant; returns how many.
    pub fn drop_all(&self, is_meant: impl Fn(&Name, WebhookId) -> bool) -> usize {
        self.remove_where(|source, webhook| is_meant(source, webhook.id), QuarantineEvent::Dropped)
    }

    /// Removes those in whose body or query the call's id is found: what is not verified has no call.
    pub fn erase(&self, call: &CallUuid) -> usize {
        let call = call.as_str().as_bytes();
        let has_call = |text: &[u8]| text.windows(call.len()).any(|part| part == call);
        let is_meant = |_: &Name, webhook: &Webhook| {
            let query = webhook.query.as_deref().unwrap_or_default();
            has_call(&webhook.body) || has_call(query.as_bytes())
        };
        self.remove_where(is_meant, QuarantineEvent::Erased)
    }

    fn remove_where(
        &self,
        is_meant: impl Fn(&Name, &Webhook) -> bool,
        event: QuarantineEvent,
    ) -> usize {
        let mut ring = self.ring();
        let removed = ring.remove_where(is_meant);
        self.removed(&ring, &removed, event);
        removed.len()
    }

    fn removed(&self, ring: &Ring, sources: &[Name], event: QuarantineEvent) {
        self.count(sources, event);
        for source in sources.iter().collect::<BTreeSet<_>>() {
            self.report(ring, source);
        }
    }

    fn count(&self, sources: &[Name], event: QuarantineEvent) {
        for source in sources {
            self.metrics.quarantine_event(source, event);
        }
    }

    fn report(&self, ring: &Ring, source: &Name) {
        self.metrics.quarantine_holds(source, ring.count_of(source));
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
