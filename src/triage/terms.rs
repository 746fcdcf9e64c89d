use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::Name;
use crate::survey::Survey;

/// What the settings say of what is done by hand.
#[derive(Debug, Clone)]
pub struct Terms {
    /// By which what is offered again is mapped.
    pub surveys: BTreeMap<Name, Arc<Survey>>,
    pub accounts: BTreeSet<Name>,
    /// How many submissions of one account are delivered in a second.
    pub rate: u32,
}
