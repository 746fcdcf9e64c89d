//! Keeps the figures that are read, not counted, off the path of a scrape, and drops what need not be
//! known for ever.

use std::time::Duration;

use super::parts::Parts;
use crate::store::{StoreError, Swept};
use crate::telemetry::logs;

/// How often the ledger is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long it is remembered what senders call their hooks: longer than any of them tries again.
const REMEMBERED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often more is forgotten and dropped.
const CLEAR_EVERY: Duration = Duration::from_secs(60);

/// Between two handfuls of what is dropped by age, so that hooks hardly notice.
const SWEEP_PAUSE: Duration = Duration::from_millis(50);

pub(super) async fn run(parts: Parts) {
    tokio::join!(keep_looking(&parts), keep_clear(&parts));
}

async fn keep_looking(parts: &Parts) {
    loop {
        look(parts).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn keep_clear(parts: &Parts) {
    loop {
        forget(parts).await;
        sweep(parts).await;
        tokio::time::sleep(CLEAR_EVERY).await;
    }
}

/// As the settings have it that are in force meanwhile.
async fn sweep(parts: &Parts) {
    loop {
        let retention = parts.terms.borrow().retention;
        match parts.store.sweep(retention.horizon((parts.clock)())).await {
            Ok(swept) if swept == Swept::default() => return,
            Ok(Swept { bodies, submissions, tombstones }) => {
                parts.metrics.swept(bodies, submissions, tombstones);
                tracing::debug!(bodies, submissions, tombstones, "dropped by age");
            }
            Err(error) => {
                return tracing::debug!(error = logs::chain(&error), "nothing is dropped by age");
            }
        }
        tokio::time::sleep(SWEEP_PAUSE).await;
    }
}

/// A few at a time, so that no hook waits for long.
async fn forget(parts: &Parts) {
    let before = (parts.clock)() - REMEMBERED_FOR;
    loop {
        match parts.store.forget(before).await {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) => {
                let error = logs::chain(&error);
                return tracing::debug!(error, "what senders call their hooks is not forgotten");
            }
        }
    }
}

async fn look(parts: &Parts) {
    match parts.store.figures().await {
        Ok(figures) => {
            parts.metrics.ledger_measured(figures.bytes, figures.free_bytes);
            parts.metrics.oldest_due_found(figures.oldest_due_at, (parts.clock)());
            let terms = parts.terms.borrow().clone();
            for account in terms.destinations.keys() {
                let hold = figures.holds.iter().find(|hold| hold.account == *account);
                parts.metrics.hold_found(account, hold.map(|hold| hold.cause));
            }
        }
        // That was said already, and does not change.
        Err(error @ StoreError::Damaged { .. }) => {
            tracing::debug!(error = logs::chain(&error), "there are no figures");
        }
        Err(error) => {
            tracing::warn!(error = logs::chain(&error), "the figures could not be read");
        }
    }
}
