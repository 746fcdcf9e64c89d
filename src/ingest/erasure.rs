use std::collections::BTreeSet;

use tokio::sync::MutexGuard;

use super::Ingest;
use crate::domain::{CallUuid, WebhookId};

/// A call that is being erased: until this is dropped no quarantined webhook is received, copied to the
/// store or loaded from it, so that none of the call can come back.
pub struct Erasure<'a> {
    /// The webhooks that were removed from the quarantine. Their copies are still in the store.
    pub removed: BTreeSet<WebhookId>,
    _receiving: MutexGuard<'a, ()>,
    _saving: MutexGuard<'a, ()>,
}

impl Ingest {
    /// Removes from the quarantine the webhooks in whose body or query the call's id is found.
    pub async fn begin_erasure(&self, call: &CallUuid) -> Erasure<'_> {
        // What is being received or copied comes before the erasure, which then finds it in the store.
        let _receiving = self.retrying.lock().await;
        let _saving = self.quarantine.saving().await;
        Erasure { removed: self.quarantine.erase(call), _receiving, _saving }
    }
}
