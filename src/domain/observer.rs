use std::time::Duration;

use super::Totals;

/// What a room below the figures reports of its own work, without knowing who counts it.
pub trait Observer: Send + Sync {
    /// The ledger was opened and holds this.
    fn opened(&self, _totals: Totals) {}

    /// The ledger kept `group` commands with one sync; `totals` are what it holds since.
    fn committed(&self, _took: Duration, _group: usize, _totals: Totals) {}

    /// The ledger could not be written.
    fn commit_failed(&self) {}

    /// The ledger can be written again.
    fn recovered(&self) {}

    /// A part of the ledger is damaged: a person has to look at it.
    fn damaged(&self) {}
}

/// Nobody looks.
impl Observer for () {}
