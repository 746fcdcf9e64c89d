use std::sync::Arc;
use std::time::Duration;

use super::connection::Address;
use crate::clock::Clock;
use crate::store::observer::Observer;

/// How to open a store for writing.
pub struct Options {
    pub address: Address,
    /// Name of this process among those that serve the store; one that has its name later takes over
    /// what it had claimed.
    pub replica: String,
    /// Webhooks that may wait for the writer; more are refused.
    pub write_queue: usize,
    /// How long a claim holds before its attempt is given up.
    pub lease: Duration,
    pub lease_clock: LeaseClock,
    pub clock: Clock,
    pub observer: Arc<dyn Observer>,
}

/// The clock by which leases expire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseClock {
    /// The database's: those of the replicas may differ.
    Database,
    /// That of this process, the only one: a test moves it.
    Process,
}
