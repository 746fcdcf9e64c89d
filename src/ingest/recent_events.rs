use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use super::rejections::REJECTIONS_MAX;
use crate::domain::WebhookId;
use crate::telemetry::QuarantineEvent;

/// Webhooks that are remembered: more than the rejections that are listed, as two of them may be noted in
/// another order.
const MAX: usize = 2 * REJECTIONS_MAX;

/// The last event of each webhook that came to the quarantine last, for the list of rejections.
#[derive(Default)]
pub struct RecentEvents(Mutex<VecDeque<(WebhookId, QuarantineEvent)>>);

impl RecentEvents {
    /// Adds the first event of a webhook.
    pub fn add(&self, id: WebhookId, event: QuarantineEvent) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() == MAX {
            recent.pop_front();
        }
        recent.push_back((id, event));
    }

    /// Changes the event of a webhook, if it is remembered.
    pub fn change(&self, id: WebhookId, event: QuarantineEvent) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = recent.iter_mut().rev().find(|(known, _)| *known == id) {
            known.1 = event;
        }
    }

    /// The last event of a webhook; `None` if it did not come to the quarantine, or is not remembered.
    pub fn of(&self, id: WebhookId) -> Option<QuarantineEvent> {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().rev().find(|(known, _)| *known == id).map(|(_, event)| *event)
    }
}
