use std::cell::{Cell, RefCell};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::clock_watch::ClockWatch;
use super::options::Context;
use crate::clock::Clock;
use crate::store::{ClockRecord, Store, StoreError};
use crate::telemetry::Metrics;

/// How much later the trusted time may be than when it was last recorded, while the clock is believed.
const RECORD_EVERY: SignedDuration = SignedDuration::from_hours(1);

/// The trusted time of a running service, which outlives its process in the store. The dispatcher and
/// maintenance share it.
pub(super) struct TrustedTime {
    clock: Clock,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
    /// `None` until it is known what was recorded.
    watch: RefCell<Option<ClockWatch>>,
    recorded: Cell<Option<ClockRecord>>,
    /// The clock was set, and that is not recorded yet.
    was_set: Cell<bool>,
}

impl TrustedTime {
    pub fn new(context: &Context) -> Self {
        Self {
            clock: context.clock.clone(),
            store: context.store.clone(),
            metrics: context.metrics.clone(),
            watch: RefCell::default(),
            recorded: Cell::default(),
            was_set: Cell::default(),
        }
    }

    /// Looks at the clock, and returns the time by which may be destroyed what is old.
    ///
    /// # Errors
    /// What was recorded cannot be read.
    pub async fn now(&self) -> Result<Timestamp, StoreError> {
        if self.watch.borrow().is_none() {
            let recorded = self.store.clock().await?;
            let reference = self.or_oldest(recorded).await?;
            self.recorded.set(recorded);
            let watch = ClockWatch::start(self.clock.read(), reference);
            if !watch.skew().is_zero() {
                let seconds = watch.skew().as_secs();
                match recorded {
                    Some(_) => tracing::error!(
                        seconds,
                        "the clock is not where the last process left it: retention does not believe it for a day"
                    ),
                    None => tracing::error!(
                        seconds,
                        "there is no record of the clock, and the oldest submission is so old: retention does not \
                         believe the clock for a day"
                    ),
                }
            }
            *self.watch.borrow_mut() = Some(watch);
        }
        let mut watch = self.watch.borrow_mut();
        let watch = watch.as_mut().expect("it was just made");
        if let Some(step) = watch.observe(self.clock.read()) {
            self.was_set.set(true);
            tracing::error!(
                seconds = step.as_secs(),
                "the wall clock was set: set it right, or retention believes it in a day"
            );
        }
        self.metrics.clock_skew_found(watch.skew());
        Ok(watch.trusted())
    }

    /// Where nothing could be recorded yet, or what was cannot be read, the clock was right when the oldest
    /// submission came: one that was set far ahead since would remove everything.
    async fn or_oldest(
        &self,
        recorded: Option<ClockRecord>,
    ) -> Result<Option<ClockRecord>, StoreError> {
        if recorded.is_some() {
            return Ok(recorded);
        }
        let oldest = self.store.oldest_accepted_at().await?;
        Ok(oldest.map(|at| ClockRecord { trusted: at, wall: at, unconfirmed_for: None }))
    }

    /// Records what is known of the clock, if that was last done some time ago, or the clock is not
    /// believed.
    ///
    /// # Errors
    /// What the store says.
    pub async fn record(&self) -> Result<(), StoreError> {
        self.now().await?;
        let record =
            self.watch.borrow().as_ref().map(ClockWatch::record).expect("it was just made");
        let is_recent = self.recorded.get().is_some_and(|last| {
            let passed = record.trusted.duration_since(last.trusted);
            let is_believed = last.unconfirmed_for.is_none() && record.unconfirmed_for.is_none();
            is_believed && (SignedDuration::ZERO..RECORD_EVERY).contains(&passed)
        });
        if !is_recent {
            self.store.record_clock(record).await?;
            self.recorded.set(Some(record));
            self.was_set.set(false);
        }
        Ok(())
    }

    /// Looks at the clock, and records at once that it was set: the next process would go by where it was before.
    ///
    /// # Errors
    /// What the store says.
    pub async fn keep_watch(&self) -> Result<(), StoreError> {
        self.now().await?;
        if self.was_set.get() { self.record().await } else { Ok(()) }
    }
}
