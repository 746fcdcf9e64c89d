use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::submission::StateCounts;

/// How many submissions there are: `accepted` is the sum of the states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownTotals {
    pub accepted: u64,
    pub collecting: u64,
    pub pending: u64,
    pub delivered: u64,
    pub ignored: u64,
    pub dead: u64,
    pub discarded: u64,
}

impl From<StateCounts> for ShownTotals {
    fn from(totals: StateCounts) -> Self {
        let StateCounts { accepted, collecting, pending, delivered, ignored, dead, discarded } =
            totals;
        Self { accepted, collecting, pending, delivered, ignored, dead, discarded }
    }
}
