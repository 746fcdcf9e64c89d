use std::sync::{Mutex, MutexGuard, PoisonError};

use super::credentials::Credentials;
use super::faults::Plan;
use super::record::Record;

/// The largest body that either API reads, in bytes.
pub const BODY_MAX: usize = 64 * 1024;

/// What all requests share: who may post, what shall go wrong, and what was received.
pub struct StandIn {
    pub credentials: Credentials,
    pub plan: Mutex<Plan>,
    pub record: Mutex<Record>,
}

impl StandIn {
    pub fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
