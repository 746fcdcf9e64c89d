//! What is done from time to time: statistics are read off the path of a scrape, retention removes
//! what is old, idempotency keys are forgotten.

use std::rc::Rc;
use std::time::Duration;

use super::options::Context;
use super::trusted_time::TrustedTime;
use crate::store::{PurgeCounts, StoreError};
use crate::telemetry::logs;

/// How often statistics are read.
const STATISTICS_INTERVAL: Duration = Duration::from_secs(5);

/// How long idempotency keys that expire are kept: longer than any sender tries again, and than any
/// signed time is taken.
const KEYS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often more is forgotten and purged.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);

/// Between two batches of a purge, so that webhooks hardly notice.
const PURGE_PAUSE: Duration = Duration::from_millis(50);

/// Work beside the dispatcher, on its thread.
pub struct Maintenance {
    context: Context,
    trusted_time: Rc<TrustedTime>,
}

impl Maintenance {
    pub(super) fn new(context: Context, trusted_time: Rc<TrustedTime>) -> Self {
        Self { context, trusted_time }
    }

    /// Never ends.
    pub async fn run(self) {
        tokio::join!(self.keep_measuring(), self.keep_purging());
    }

    async fn keep_measuring(&self) {
        loop {
            measure(&self.context).await;
            tokio::time::sleep(STATISTICS_INTERVAL).await;
        }
    }

    async fn keep_purging(&self) {
        loop {
            self.purge_all().await;
            tokio::time::sleep(PURGE_INTERVAL).await;
        }
    }

    /// Forgets the keys and purges the submissions that are old by the trusted time.
    pub async fn purge_all(&self) {
        if let Err(error) = self.trusted_time.record().await {
            return tracing::debug!(error = logs::chain(&error), "nothing is purged");
        }
        for purged in [self.forget_keys().await, self.purge().await] {
            if let Err(error) = purged {
                tracing::debug!(error = logs::chain(&error), "not all that is old is purged");
            }
        }
    }

    /// By the settings that are in force meanwhile.
    async fn purge(&self) -> Result<(), StoreError> {
        loop {
            let retention = self.context.config.borrow().retention;
            let cutoffs = retention.cutoffs(self.trusted_time.now().await?);
            let purged = self.context.store.purge(cutoffs).await?;
            if purged == PurgeCounts::default() {
                return Ok(());
            }
            let PurgeCounts { bodies, submissions, outcomes } = purged;
            self.context.metrics.swept(bodies, submissions, outcomes);
            tracing::debug!(bodies, submissions, outcomes, "purged by age");
            tokio::time::sleep(PURGE_PAUSE).await;
        }
    }

    /// A few at a time, so that no webhook waits for long.
    async fn forget_keys(&self) -> Result<(), StoreError> {
        let before = self.trusted_time.now().await? - KEYS_KEPT;
        while self.context.store.forget_keys(before).await? > 0 {}
        Ok(())
    }
}

async fn measure(context: &Context) {
    let metrics = &context.metrics;
    match context.store.statistics().await {
        Ok(statistics) => {
            metrics.store_measured(statistics.bytes, statistics.free_bytes);
            metrics.oldest_due_found(statistics.oldest_due_at, context.clock.now());
            let config = context.config.borrow().clone();
            for account in config.destinations.keys() {
                let pause = statistics.pauses.iter().find(|(name, _)| name == account);
                metrics.hold_found(account, pause.map(|(_, pause)| pause.cause));
            }
        }
        // That was said already, and does not change.
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::debug!(error = logs::chain(&error), "there are no statistics");
        }
        Err(error) => {
            tracing::warn!(error = logs::chain(&error), "the statistics could not be read");
        }
    }
}
