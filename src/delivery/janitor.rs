//! Keeps the figures that are read, not counted, off the path of a scrape, and forgets what need not
//! be known for ever.

use std::time::Duration;

use super::parts::Parts;
use crate::store::StoreError;
use crate::telemetry::logs;

/// How often the ledger is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long it is remembered what senders call their hooks: longer than any of them tries again.
const REMEMBERED_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// How often more is forgotten.
const FORGET_EVERY: u32 = 12;

pub(super) async fn run(parts: Parts) {
    for look_number in (0..FORGET_EVERY).cycle() {
        look(&parts).await;
        if look_number == 0 {
            forget(&parts).await;
        }
        tokio::time::sleep(LOOK_EVERY).await;
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
