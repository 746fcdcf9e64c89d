//! The quarantine: webhooks of a source whose signature is of another key, kept in case a secret was
//! rotated at the sender first. Nothing of them is believed, and their senders got their 401.
//!
//! They are kept in memory, so that a flood of forged webhooks costs no write; a copy of what stays is
//! written to the store now and then, little at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::WaitReason;
use super::recent_events::RecentEvents;
use super::ring::{ChangesMax, Insertion, Removed, Ring, UnsavedChanges};
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
    recent: RecentEvents,
    metrics: Arc<Metrics>,
    /// Locked while the copy in the store is read or written.
    saving: tokio::sync::Mutex<()>,
    /// Notified when webhooks are to be verified again.
    pub(super) wanted: Notify,
}

impl Quarantine {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        let (ring, recent, saving, wanted) = Default::default();
        Self { ring, recent, metrics, saving, wanted }
    }

    /// Changes how many are kept of each source; all are verified again.
    pub(super) fn limit(&self, limits: BTreeMap<Name, usize>) {
        let mut ring = self.ring();
        let removed = ring.limit(limits);
        self.note(&removed, QuarantineEvent::Dropped);
        for source in ring.sources() {
            self.report(&ring, source);
        }
        self.wanted.notify_one();
    }

    /// Keeps a webhook that a change may verify.
    pub(super) fn keep(&self, webhook: QuarantinedWebhook, reason: WaitReason) {
        let mut ring = self.ring();
        let id = webhook.webhook.id;
        self.insert(&mut ring, webhook, false, reason, |event| self.recent.add(id, event));
    }

    fn insert(
        &self,
        ring: &mut Ring,
        webhook: QuarantinedWebhook,
        is_copied: bool,
        reason: WaitReason,
        note: impl FnOnce(QuarantineEvent),
    ) {
        let source = webhook.source.clone();
        match ring.insert(webhook, is_copied, reason) {
            Insertion::Kept { evicted } => {
                note(QuarantineEvent::Added);
                self.metrics.quarantine_event(&source, QuarantineEvent::Added);
                self.removed(ring, &evicted, QuarantineEvent::Evicted);
                self.report(ring, &source);
            }
            Insertion::TooLarge => {
                note(QuarantineEvent::TooLarge);
                self.metrics.quarantine_event(&source, QuarantineEvent::TooLarge);
            }
            Insertion::Off => {}
        }
    }

    /// Takes in what the last process left in the store.
    ///
    /// # Errors
    /// The store cannot be read or written; nothing is taken in then.
    pub async fn load(&self, store: &dyn store::Quarantine) -> Result<(), StoreError> {
        let _one = self.saving().await;
        let loaded = store.load_quarantine().await?;
        let mut ring = self.ring();
        for webhook in loaded {
            self.insert(&mut ring, webhook, true, WaitReason::mismatch(), |_| {});
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
        let _one = self.saving().await;
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

    /// Waits until no copy is being read or written, and keeps the next from it.
    pub(super) async fn saving(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.saving.lock().await
    }

    /// Removes those that are too old.
    pub fn expire(&self, now: Timestamp) {
        let mut ring = self.ring();
        let expired = ring.expire(now);
        self.removed(&ring, &expired, QuarantineEvent::Expired);
    }

    /// Webhooks by source, the oldest of each first, and why each is there.
    pub fn list(&self) -> Vec<(QuarantinedWebhook, WaitReason)> {
        self.ring().list()
    }

    /// Those that the secrets known now were not tried with, and the generation of these secrets.
    pub(super) fn untried(&self) -> (Vec<QuarantinedWebhook>, u64) {
        self.ring().untried()
    }

    /// Notes why these stay, with the settings and secrets of a generation.
    pub(super) fn set_reasons(&self, reasons: &BTreeMap<WebhookId, WaitReason>, generation: u64) {
        let changed = self.ring().set_reasons(reasons, generation);
        let source_changed: Vec<Removed> = changed
            .into_iter()
            .filter(|(_, id)| reasons.get(id) == Some(&WaitReason::SourceChanged))
            .collect();
        self.note(&source_changed, QuarantineEvent::SourceChanged);
        let mut by_source = BTreeMap::<&Name, usize>::new();
        for (source, _) in &source_changed {
            *by_source.entry(source).or_default() += 1;
        }
        for (source, webhooks) in by_source {
            tracing::warn!(
                %source,
                webhooks,
                "quarantined webhooks are verified and not received, because their source had another \
                 account or survey when they arrived: set it back, or run `postcall quarantine retry \
                 --current-survey`"
            );
        }
    }

    /// The last event of a webhook that came to the quarantine; `None` if it did not, or long ago.
    pub fn event_of(&self, id: WebhookId) -> Option<QuarantineEvent> {
        self.recent.of(id)
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
        let is_meant = |source: &Name, webhook: &Webhook| is_meant(source, webhook.id);
        self.remove_where(is_meant, QuarantineEvent::Dropped).len()
    }

    /// Removes those in whose body or query the call's id is found: what is not verified has no call.
    /// Returns their ids.
    pub(super) fn erase(&self, call: &CallUuid) -> BTreeSet<WebhookId> {
        let is_meant = |_: &Name, webhook: &Webhook| {
            let query = webhook.query.as_deref().unwrap_or_default();
            call.is_in(&webhook.body) || call.is_in(query.as_bytes())
        };
        let removed = self.remove_where(is_meant, QuarantineEvent::Erased);
        removed.into_iter().map(|(_, id)| id).collect()
    }

    fn remove_where(
        &self,
        is_meant: impl Fn(&Name, &Webhook) -> bool,
        event: QuarantineEvent,
    ) -> Vec<Removed> {
        let mut ring = self.ring();
        let removed = ring.remove_where(is_meant);
        self.removed(&ring, &removed, event);
        removed
    }

    fn removed(&self, ring: &Ring, removed: &[Removed], event: QuarantineEvent) {
        self.note(removed, event);
        for source in removed.iter().map(|(source, _)| source).collect::<BTreeSet<_>>() {
            self.report(ring, source);
        }
    }

    /// Counts an event, and remembers it of each webhook.
    fn note(&self, webhooks: &[Removed], event: QuarantineEvent) {
        for (source, id) in webhooks {
            self.metrics.quarantine_event(source, event);
            self.recent.change(*id, event);
        }
    }

    fn report(&self, ring: &Ring, source: &Name) {
        self.metrics.quarantine_holds(source, ring.count_of(source));
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
