//! What is done from time to time: statistics are read off the path of a scrape, retention removes
//! what is old, idempotency keys are forgotten.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use super::options::Context;
use super::punctuality::Punctuality;
use super::trusted_time::TrustedTime;
use crate::account::PauseCause;
use crate::domain::Name;
use crate::store::{PurgeCounts, StoreError};
use crate::telemetry::{DeliveryResult, logs};

/// How often statistics are read.
const STATISTICS_INTERVAL: Duration = Duration::from_secs(5);

/// How long idempotency keys that expire are kept: longer than any sender tries again, and than a
/// signed time is accepted (`ClockTolerance::LONGEST`).
const KEYS_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often more is forgotten and purged.
const PURGE_INTERVAL: Duration = Duration::from_secs(60);

/// Between two batches of a purge, so that webhooks hardly notice.
const PURGE_PAUSE: Duration = Duration::from_millis(50);

/// Work beside the dispatcher, on its thread.
pub struct Maintenance {
    context: Context,
    trusted_time: Rc<TrustedTime>,
    punctuality: Rc<Punctuality>,
}

impl Maintenance {
    pub(super) fn new(
        context: Context,
        trusted_time: Rc<TrustedTime>,
        punctuality: Rc<Punctuality>,
    ) -> Self {
        Self { context, trusted_time, punctuality }
    }

    /// Never ends.
    pub async fn run(self) {
        tokio::join!(self.keep_measuring(), self.keep_purging());
    }

    async fn keep_measuring(&self) {
        let mut recorded = None;
        loop {
            self.measure().await;
            self.record_surveys(&mut recorded).await;
            tokio::time::sleep(STATISTICS_INTERVAL).await;
        }
    }

    /// Records the rules of the surveys in force, unless they are those that were `recorded`.
    async fn record_surveys(&self, recorded: &mut Option<BTreeMap<Name, String>>) {
        let surveys = self.context.config.borrow().surveys.clone();
        if recorded.as_ref() == Some(&surveys) {
            return;
        }
        let (now, list) = (self.context.clock.now(), surveys.clone().into_iter().collect());
        match self.context.store.record_surveys(list, now).await {
            Ok(()) => *recorded = Some(surveys),
            Err(error) => {
                tracing::debug!(
                    error = logs::chain(&error),
                    "the surveys in force are not recorded yet"
                );
            }
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
                tracing::warn!(error = logs::chain(&error), "not all that is old is purged");
            }
        }
        if let Err(error) = self.fold_counts().await {
            tracing::warn!(
                error = logs::chain(&error),
                "the counts of replicas that are gone are not all taken over"
            );
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

    /// By itself, so that retention does not depend on it.
    async fn fold_counts(&self) -> Result<(), StoreError> {
        while self.context.store.fold_counts().await? {
            tokio::time::sleep(PURGE_PAUSE).await;
        }
        Ok(())
    }

    /// A few at a time, so that no webhook waits for long.
    async fn forget_keys(&self) -> Result<(), StoreError> {
        let before = self.trusted_time.now().await? - KEYS_KEPT;
        while self.context.store.forget_keys(before).await? > 0 {}
        Ok(())
    }

    /// Reads the statistics once, and counts what missed its deadline.
    pub async fn measure(&self) {
        match self.read_statistics().await {
            Ok(()) => {}
            // That was said already, and does not change.
            Err(error @ StoreError::Damaged { .. }) => {
                tracing::debug!(error = logs::chain(&error), "there are no statistics");
            }
            Err(error) => {
                tracing::warn!(error = logs::chain(&error), "the statistics could not be read");
            }
        }
    }

    async fn read_statistics(&self) -> Result<(), StoreError> {
        let Context { store, metrics, clock, config, .. } = &self.context;
        let now = clock.now();
        let statistics = store.statistics().await?;
        metrics.store_measured(&statistics);
        metrics.oldest_due_found(statistics.oldest_due, now);
        let config = config.borrow().clone();
        let pause_of = |account: &Name| {
            let found = statistics.pauses.iter().find(|(name, _)| name == account);
            found.map(|(_, pause)| pause.cause)
        };
        for account in config.destinations.keys() {
            metrics.hold_found(account, pause_of(account));
        }
        if let Some(span) = self.punctuality.passed(now) {
            let overdue = store.overdue(span.after, span.until).await?;
            self.punctuality.counted(span);
            // What an operator pauses is not late by a fault of the delivery.
            let is_counted = |account: &Name| pause_of(account) != Some(PauseCause::Operator);
            for (account, count) in overdue.iter().filter(|(account, _)| is_counted(account)) {
                metrics.delivery_due(account, DeliveryResult::Missed, *count);
            }
        }
        Ok(())
    }
}
