use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::clock_watch::ClockWatch;
use super::options::Context;
use crate::clock::Clock;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

/// How much later the trusted time may be than when it was last recorded.
const RECORD_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// The trusted time of a running service, which outlives its process in the store. The dispatcher and
/// maintenance share it.
pub(super) struct TrustedTime {
    clock: Clock,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// `None` until it is known what was recorded.
    watch: RefCell<Option<ClockWatch>>,
    recorded: Cell<Option<Timestamp>>,
}

impl TrustedTime {
    pub fn new(context: &Context) -> Self {
        Self {
            clock: context.clock.clone(),
            store: context.store.clone(),
            metrics: context.metrics.clone(),
            watch: RefCell::default(),
            recorded: Cell::default(),
        }
    }

    /// Looks at the clock, and returns the time by which may be destroyed what is old.
    ///
    /// # Errors
    /// What was recorded cannot be read.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        if self.watch.borrow().is_none() {
            let recorded = self.store.trusted_time().await?;
            self.recorded.set(recorded);
            let watch = ClockWatch::start(self.clock.read(), recorded);
            if !watch.skew().is_zero() {
                tracing::error!(
                    seconds = watch.skew().as_secs(),
                    "the clock is not where the last process left it: retention does not believe it for a day"
                );
            }
            *self.watch.borrow_mut() = Some(watch);
        }
        let mut watch = self.watch.borrow_mut();
        let watch = watch.as_mut().expect("it was just made");
        if let Some(step) = watch.observe(self.clock.read()) {
            tracing::error!(
                seconds = step.as_secs(),
                "the wall clock was set: set it right, or retention believes it in a day"
            );
        }
        self.metrics.clock_skew_found(watch.skew());
        Ok(watch.trusted())
    }

    /// How far the wall clock may show too late a time.
    pub fn ahead(&self) -> Duration {
        self.watch.borrow().as_ref().map(ClockWatch::ahead).unwrap_or_default()
    }

    /// Records the trusted time, if that was last done some time ago.
    ///
    /// # Errors
    /// What the store says.
    pub async fn record(&self) -> Result<(), StoreError> {
        let now = self.now().await?;
        let is_recent = self.recorded.get().is_some_and(|at| {
            (SignedDuration::ZERO..RECORD_EVERY).contains(&now.duration_since(at))
        });
        if !is_recent {
            self.store.record_trusted_time(now).await?;
            self.recorded.set(Some(now));
        }
        Ok(())
    }
}
