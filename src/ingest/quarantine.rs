//! The quarantine: webhooks of a source whose signature is of another key, kept in case a secret was
//! rotated at the sender first. Nothing of them is believed, and their senders got their 401.
//!
//! They are kept in memory, so that a flood of forged webhooks costs no write; a copy of what stays is
//! written to the store now and then, little at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::ring::{Insertion, Ring, size};
use crate::domain::{CallUuid, Name, Webhook, WebhookId};
use crate::store::{self, QuarantinedWebhook, StoreError};
use crate::telemetry::{Metrics, QuarantineEvent};

/// Most webhooks, and about most bytes, that are written to the store at once: real webhooks wait
/// meanwhile.
const SAVED_MAX: usize = 64;
const SAVED_BYTES_MAX: usize = 256 * 1024;

/// Webhooks that no known secret verifies.
pub struct Quarantine {
    state: Mutex<State>,
    metrics: Arc<Metrics>,
    /// Held while the store is written.
    saving: tokio::sync::Mutex<()>,
    /// Notified when webhooks are to be verified again.
    pub(super) wanted: Notify,
}

#[derive(Default)]
struct State {
    ring: Ring,
    /// What the store has.
    saved: BTreeSet<WebhookId>,
}

impl Quarantine {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        let (saving, wanted) = Default::default();
        Self { state: Mutex::default(), metrics, saving, wanted }
    }

    /// Changes how many are kept of each source; all are verified again.
    pub(super) fn limit(&self, limits: BTreeMap<Name, usize>) {
        let mut state = self.state();
        for (source, _) in state.ring.limit(limits) {
            self.metrics.quarantine_event(&source, QuarantineEvent::Dropped);
        }
        state.ring.set_tried(|_, _| true, false);
        self.report(&state);
        self.wanted.notify_one();
    }

    /// Keeps a webhook whose signature does not match.
    pub(super) fn keep(&self, source: &Name, webhook: Webhook) {
        let mut state = self.state();
        self.insert(&mut state, source, webhook.into());
    }

    fn insert(&self, state: &mut State, source: &Name, webhook: Arc<Webhook>) {
        let evicted = match state.ring.insert(source, webhook) {
            Insertion::Kept { evicted } => {
                self.metrics.quarantine_event(source, QuarantineEvent::Kept);
                evicted
            }
            Insertion::TooLarge => {
                return self.metrics.quarantine_event(source, QuarantineEvent::TooLarge);
            }
            Insertion::Off => return,
        };
        for (source, _) in evicted {
            self.metrics.quarantine_event(&source, QuarantineEvent::Evicted);
        }
        self.report(state);
    }

    /// Takes in what the last process left in the store.
    ///
    /// # Errors
    /// The store cannot be read; the quarantine is empty then.
    pub async fn load(&self, store: &dyn store::Quarantine) -> Result<(), StoreError> {
        let loaded = store.load_quarantine().await?;
        let mut state = self.state();
        for QuarantinedWebhook { source, webhook } in loaded {
            state.saved.insert(webhook.id);
            self.insert(&mut state, &source, webhook);
        }
        Ok(())
    }

    /// Writes some of what has changed to the store; returns whether all is written.
    ///
    /// # Errors
    /// The store cannot be written; the same is tried next time.
    pub async fn save(&self, store: &dyn store::Quarantine) -> Result<bool, StoreError> {
        let _one = self.saving.lock().await;
        let (added, removed, is_all) = self.unsaved();
        if added.is_empty() && removed.is_empty() {
            return Ok(true);
        }
        let ids: Vec<WebhookId> = added.iter().map(|kept| kept.webhook.id).collect();
        store.save_quarantine(added, removed.clone()).await?;
        let mut state = self.state();
        state.saved.extend(ids);
        state.saved.retain(|id| !removed.contains(id));
        Ok(is_all)
    }

    fn unsaved(&self) -> (Vec<QuarantinedWebhook>, Vec<WebhookId>, bool) {
        let state = self.state();
        let kept: BTreeSet<WebhookId> = state.ring.iter().map(|(_, it)| it.webhook.id).collect();
        let removed = state.saved.difference(&kept).copied().collect();
        let mut bytes = 0;
        let all = kept.difference(&state.saved).count();
        let unsaved = state.ring.iter().filter(|(_, it)| !state.saved.contains(&it.webhook.id));
        let added: Vec<_> = unsaved
            .take(SAVED_MAX)
            .take_while(|(_, entry)| {
                let fits = bytes < SAVED_BYTES_MAX;
                bytes += size(&entry.webhook);
                fits
            })
            .map(|(source, entry)| QuarantinedWebhook {
                source: source.clone(),
                webhook: entry.webhook.clone(),
            })
            .collect();
        let is_all = added.len() == all;
        (added, removed, is_all)
    }

    /// Removes those that are too old.
    pub fn expire(&self, now: Timestamp) {
        let mut state = self.state();
        for (source, _) in state.ring.expire(now) {
            self.metrics.quarantine_event(&source, QuarantineEvent::Expired);
        }
        self.report(&state);
    }

    /// Webhooks with their sources, the oldest of each source first.
    pub fn list(&self) -> Vec<QuarantinedWebhook> {
        self.listed(|_| true)
    }

    /// Those that the secrets known now were not tried with.
    pub(super) fn untried(&self) -> Vec<QuarantinedWebhook> {
        self.listed(|is_tried| !is_tried)
    }

    fn listed(&self, is_listed: impl Fn(bool) -> bool) -> Vec<QuarantinedWebhook> {
        let state = self.state();
        let listed = state.ring.iter().filter(|(_, entry)| is_listed(entry.is_tried));
        listed
            .map(|(source, entry)| QuarantinedWebhook {
                source: source.clone(),
                webhook: entry.webhook.clone(),
            })
            .collect()
    }

    /// The secrets known now do not verify it.
    pub(super) fn set_tried(&self, id: WebhookId) {
        self.state().ring.set_tried(|_, it| it == id, true);
    }

    /// All of a source, or of every source, are to be verified again.
    pub(super) fn want(&self, source: Option<&Name>) {
        self.state().ring.set_tried(|it, _| source.is_none_or(|source| source == it), false);
    }

    /// Removes one because of what became of it.
    pub(super) fn remove(&self, id: WebhookId, event: QuarantineEvent) {
        let mut state = self.state();
        if let Some(source) = state.ring.remove(id) {
            self.metrics.quarantine_event(&source, event);
        }
        self.report(&state);
    }

    /// Drops those that are meant; returns how many.
    pub fn drop_all(&self, is_meant: impl Fn(&Name, WebhookId) -> bool) -> usize {
        let meant = |kept: &QuarantinedWebhook| is_meant(&kept.source, kept.webhook.id);
        self.remove_all(meant, QuarantineEvent::Dropped)
    }

    /// Removes those in whose body or query the call's id is found: what is not verified has no call.
    pub fn erase(&self, call: &CallUuid) -> usize {
        let call = call.as_str().as_bytes();
        let has_call = |text: &[u8]| text.windows(call.len()).any(|part| part == call);
        let is_meant = |kept: &QuarantinedWebhook| {
            let query = kept.webhook.query.as_deref().unwrap_or_default();
            has_call(&kept.webhook.body) || has_call(query.as_bytes())
        };
        self.remove_all(is_meant, QuarantineEvent::Erased)
    }

    fn remove_all(
        &self,
        is_meant: impl Fn(&QuarantinedWebhook) -> bool,
        event: QuarantineEvent,
    ) -> usize {
        let meant: Vec<_> = self.list().into_iter().filter(is_meant).collect();
        meant.iter().for_each(|kept| self.remove(kept.webhook.id, event));
        meant.len()
    }

    fn report(&self, state: &State) {
        for source in state.ring.sources() {
            self.metrics.quarantine_holds(source, state.ring.count_of(source));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
