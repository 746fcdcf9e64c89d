use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::destination::{Destination, Timeouts};
use crate::domain::{Name, RetryPolicy};
use crate::store::Store;
use crate::survey::Survey;
use crate::telemetry::Metrics;

/// How to deliver.
#[derive(Debug, Clone)]
pub struct Options {
    pub timeouts: Timeouts,
    /// Exchanges of one account that run at once, at most.
    pub in_flight: usize,
    /// Exchanges of one account that begin in a second, at most.
    pub rate: u32,
    /// How often a held account is probed, at the latest.
    pub hold_probe: Duration,
    pub retry: RetryPolicy,
}

/// What the settings say of delivery. They change as a whole: a submission is mapped and sent by
/// one and the same.
pub struct Terms {
    pub surveys: BTreeMap<Name, Arc<Survey>>,
    /// By account.
    pub destinations: BTreeMap<Name, Destination>,
    pub options: Options,
}

/// What delivery works with.
#[derive(Clone)]
pub struct Parts {
    pub store: Arc<dyn Store>,
    /// Those in force. Whoever changes them does so before anything is taken in on the new ones.
    pub terms: watch::Receiver<Arc<Terms>>,
    pub metrics: Arc<Metrics>,
    /// By which exchanges are timed, and between ticks what is due is looked for.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}
