//! Fair selection of what is claimed: a backlog and new calls do not wait for each other.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::Name;

/// Bounds between the ages of what is due: within the last minute, within the last hour, before.
const AGES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(3600)];

/// Whose turn it is of each account: what became due just now, less recently, or long ago. The turn
/// continues from one claim to the next, so that each age gets its share even where one submission is
/// wanted at a time.
#[derive(Default)]
pub(super) struct Turns(HashMap<Name, usize>);

impl Turns {
    /// Selects at most `wanted` rows. `due` gives rows that are due within a range, the longest due
    /// first. Within an age the oldest comes first; what one age cannot use the others get.
    pub fn select<E>(
        &mut self,
        account: &Name,
        now: Timestamp,
        wanted: usize,
        mut due: impl FnMut(Timestamp, Timestamp, usize) -> Result<Vec<i64>, E>,
    ) -> Result<Vec<i64>, E> {
        if wanted == 0 {
            return Ok(Vec::new());
        }
        // Most of the time there is enough for all ages.
        let oldest = due(Timestamp::MIN, now, wanted.saturating_add(1))?;
        if oldest.len() <= wanted {
            return Ok(oldest);
        }
        let [minute, hour] = AGES.map(|age| now.saturating_sub(age).unwrap_or(Timestamp::MIN));
        let mut ages = Vec::new();
        for (after, until) in [(minute, now), (hour, minute), (Timestamp::MIN, hour)] {
            ages.push(VecDeque::from(due(after, until, wanted)?));
        }
        let turn = self.0.entry(account.clone()).or_default();
        let mut selected = Vec::new();
        while selected.len() < wanted && ages.iter().any(|age| !age.is_empty()) {
            selected.extend(ages[*turn].pop_front());
            *turn = (*turn + 1) % ages.len();
        }
        Ok(selected)
    }
}
