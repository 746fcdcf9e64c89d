//! What is done from time to time: statistics are read off the path of a scrape, retention removes
//! what is old, idempotency keys are forgotten.

use std::time::Duration;

use super::options::Context;
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

pub(super) async fn run(context: Context) {
    tokio::join!(keep_measuring(&context), keep_purging(&context));
}

async fn keep_measuring(context: &Context) {
    loop {
        measure(context).await;
        tokio::time::sleep(STATISTICS_INTERVAL).await;
    }
}

async fn keep_purging(context: &Context) {
    loop {
        forget_keys(context).await;
        purge(context).await;
        tokio::time::sleep(PURGE_INTERVAL).await;
    }
}

/// By the settings that are in force meanwhile.
async fn purge(context: &Context) {
    loop {
        let retention = context.config.borrow().retention;
        match context.store.purge(retention.cutoffs(context.clock.now())).await {
            Ok(purged) if purged == PurgeCounts::default() => return,
            Ok(PurgeCounts { bodies, submissions, outcomes }) => {
                context.metrics.swept(bodies, submissions, outcomes);
                tracing::debug!(bodies, submissions, outcomes, "purged by age");
            }
            Err(error) => {
                return tracing::debug!(error = logs::chain(&error), "nothing is purged");
            }
        }
        tokio::time::sleep(PURGE_PAUSE).await;
    }
}

/// A few at a time, so that no webhook waits for long.
async fn forget_keys(context: &Context) {
    let before = context.clock.now() - KEYS_KEPT;
    loop {
        match context.store.forget_keys(before).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                let error = logs::chain(&error);
                return tracing::debug!(error, "idempotency keys are not forgotten");
            }
        }
    }
}

async fn measure(context: &Context) {
    let metrics = &context.metrics;
    match context.store.statistics().await {
        Ok(statistics) => {
            metrics.ledger_measured(statistics.bytes, statistics.free_bytes);
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
