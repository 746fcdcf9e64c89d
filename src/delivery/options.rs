use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::destination::{Client, Destination, Timeouts};
use crate::domain::Name;
use crate::random::Random;
use crate::store::{RetentionCutoffs, Spool, Store};
use crate::submission::{Answers, Json, Mapped, Mapper, RetryPolicy, SubmissionKey, UnknownResult};
use crate::survey::SettingsMapper;
use crate::telemetry::Metrics;

/// How to deliver.
#[derive(Debug, Clone)]
pub struct Options {
    pub timeouts: Timeouts,
    /// Most exchanges of one account that run at once.
    pub max_concurrency: usize,
    /// Most exchanges of one account that begin in a second.
    pub rate: u32,
    /// How often a paused account is probed, at the least.
    pub probe_interval: Duration,
    pub retry: RetryPolicy,
}

/// How long what is settled is kept, counted from when it was settled; each is at least as long as the
/// one before it. Dead submissions are kept until an operator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Queries and bodies of webhooks, and texts of responses.
    pub bodies: Duration,
    /// Everything of a submission but its id and its outcome.
    pub submissions: Duration,
    /// That too.
    pub outcomes: Duration,
}

impl Retention {
    pub fn cutoffs(&self, now: Timestamp) -> RetentionCutoffs {
        let before = |kept: Duration| now.checked_sub(kept).unwrap_or(Timestamp::MIN);
        RetentionCutoffs {
            bodies: before(self.bodies),
            submissions: before(self.submissions),
            outcomes: before(self.outcomes),
        }
    }
}

/// What the settings say of delivery. It changes as a whole: a submission is mapped and sent by one
/// and the same.
pub struct DeliveryConfig {
    pub mapper: Arc<SettingsMapper>,
    /// By account.
    pub destinations: BTreeMap<Name, Destination>,
    pub options: Options,
    pub retention: Retention,
    /// The surveys of the mapper, by a digest of their rules.
    pub surveys: BTreeMap<Name, String>,
}

/// Mapping by the configuration in force when it is asked, which may be newer than the claim's.
pub(super) struct MapperInForce(pub watch::Receiver<Arc<DeliveryConfig>>);

impl MapperInForce {
    fn mapper(&self) -> Arc<SettingsMapper> {
        self.0.borrow().mapper.clone()
    }
}

impl Mapper for MapperInForce {
    fn map(&self, key: &SubmissionKey, answers: &Answers, payload: Option<&Json>) -> Mapped {
        self.mapper().map(key, answers, payload)
    }

    fn on_unknown_result(&self) -> UnknownResult {
        self.mapper().on_unknown_result()
    }
}

/// What delivery works with.
#[derive(Clone)]
pub struct Context {
    pub store: Arc<dyn Store>,
    /// What it holds goes into the store before anything is claimed.
    pub spool: Option<Arc<Spool>>,
    /// The configuration in force. A reload changes it before webhooks are received by the new
    /// one.
    pub config: watch::Receiver<Arc<DeliveryConfig>>,
    pub metrics: Arc<Metrics>,
    /// By which exchanges are timed, and what is due is claimed.
    pub clock: Clock,
    /// For the jitter of waits.
    pub random: Random,
    /// Makes the client, again with each configuration.
    pub client: Arc<dyn Fn(Timeouts, usize) -> Client + Send + Sync>,
}
