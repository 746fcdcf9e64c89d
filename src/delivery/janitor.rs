//! Keeps the figures that are read, not counted, off the path of a scrape.

use std::time::Duration;

use super::parts::Parts;
use crate::telemetry::logs;

/// How often the ledger is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

pub(super) async fn run(parts: Parts) {
    loop {
        look(&parts).await;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn look(parts: &Parts) {
    match parts.store.figures().await {
        Ok(figures) => {
            parts.metrics.oldest_due_found(figures.oldest_due_at, (parts.clock)());
            let terms = parts.terms.borrow().clone();
            for account in terms.destinations.keys() {
                if figures.holds.iter().any(|hold| hold.account == *account) {
                    parts.metrics.account_held(account);
                } else {
                    parts.metrics.account_released(account);
                }
            }
        }
        Err(error) => {
            tracing::warn!(error = logs::chain(&error), "the figures could not be read");
        }
    }
}
