use std::sync::Arc;

use jiff::Timestamp;

use super::gate::Gate;
use crate::triage::Triage;

/// What the API works with.
pub struct Api {
    pub triage: Arc<Triage>,
    pub gate: Arc<Gate>,
    pub clock: fn() -> Timestamp,
}
