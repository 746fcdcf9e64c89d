use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::destination::{Destination, Timeouts};
use crate::domain::Name;
use crate::store::{Horizon, Store};
use crate::submission::RetryPolicy;
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

/// How long what is settled is kept, counted from when it was settled; each is as long as the one
/// before it, or longer. What is dead is kept until a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Queries and bodies of hooks, and replies of the destination.
    pub bodies: Duration,
    /// All of a submission but its id and its outcome.
    pub submissions: Duration,
    /// That too.
    pub tombstones: Duration,
}

impl Retention {
    pub fn horizon(&self, now: Timestamp) -> Horizon {
        let before = |kept: Duration| now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        Horizon {
            bodies: before(self.bodies),
            submissions: before(self.submissions),
            tombstones: before(self.tombstones),
        }
    }
}

/// What the settings say of delivery. They change as a whole: a submission is mapped and sent by
/// one and the same.
pub struct Terms {
    pub surveys: BTreeMap<Name, Arc<Survey>>,
    /// By account.
    pub destinations: BTreeMap<Name, Destination>,
    pub options: Options,
    pub retention: Retention,
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
