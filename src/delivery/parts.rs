use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::destination::{Destination, Timeouts};
use crate::domain::{Name, RetryPolicy};
use crate::store::Store;
use crate::survey::Survey;
use crate::telemetry::Metrics;

/// How to deliver.
#[derive(Debug, Clone)]
pub struct Options {
    pub timeouts: Timeouts,
    /// Exchanges of one account that run at once.
    pub in_flight: usize,
    /// How often a held account is probed.
    pub hold_probe: Duration,
    pub retry: RetryPolicy,
}

/// What delivery works with.
#[derive(Clone)]
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub surveys: BTreeMap<Name, Arc<Survey>>,
    /// By account.
    pub destinations: BTreeMap<Name, Destination>,
    pub metrics: Arc<Metrics>,
    /// By which exchanges are timed, and between ticks what is due is looked for.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub options: Options,
}
