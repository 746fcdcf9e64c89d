use std::time::Duration;

use super::durability_risk::DurabilityRisk;
use super::model::Drained;
use crate::domain::Name;
use crate::submission::StateCounts;

/// What the store reports of its own work, without knowing who counts it.
pub trait Observer: Send + Sync {
    /// The store was opened and holds this.
    fn opened(&self, _totals: StateCounts) {}

    /// The store kept `group` commands with one sync; `totals` are what it holds since.
    fn committed(&self, _took: Duration, _group: usize, _totals: StateCounts) {}

    /// The store holds this, as another process has changed it.
    fn counted(&self, _totals: StateCounts) {}

    /// The store could not be written.
    fn commit_failed(&self) {}

    /// A transaction met another process's and is run again.
    fn conflicted(&self) {}

    /// The store can be written again.
    fn recovered(&self) {}

    /// A submission of this survey is not what was written, and was set aside.
    fn set_aside(&self, _survey: &Name) {}

    /// Why what is committed may be lost all the same, whenever that changes.
    fn durability_checked(&self, _risks: &[DurabilityRisk]) {}

    /// So many webhooks are spooled, the first of them for so long.
    fn spool_holds(&self, _webhooks: u64, _age: Duration) {}

    /// A webhook left the spool.
    fn spool_drained(&self, _drained: Drained) {}

    /// A part of the store is damaged: an operator has to look at it.
    fn damaged(&self) {}
}

/// No one looks.
impl Observer for () {}
