//! The last webhooks that were rejected, for an operator who wonders why.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;

use crate::domain::{Method, Name, WebhookId};

/// Rejections that are remembered.
pub const REJECTIONS_MAX: usize = 50;

/// The last rejections of the running service, the oldest first.
#[derive(Default)]
pub struct RejectionLog(Mutex<VecDeque<RejectionRecord>>);

/// A webhook of a source of the settings that was rejected: nothing of what was sent but its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectionRecord {
    /// The id under which the quarantine has it, if it came there.
    pub id: WebhookId,
    pub source: Name,
    /// As the metric counts it.
    pub reason: &'static str,
    /// When it arrived.
    pub at: Timestamp,
    pub method: Method,
    /// What its sender has to sign, without the query.
    pub url: String,
    /// The signature schemes of its source.
    pub schemes: Vec<&'static str>,
    /// The host that was called: another one than that of `url` is signed too.
    pub host: Option<String>,
}

impl RejectionLog {
    pub fn add(&self, rejection: RejectionRecord) {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() == REJECTIONS_MAX {
            log.pop_front();
        }
        log.push_back(rejection);
    }

    /// The latest first.
    pub fn list(&self) -> Vec<RejectionRecord> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.iter().rev().cloned().collect()
    }
}
