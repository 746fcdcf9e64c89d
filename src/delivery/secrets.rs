use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::destination::Destination;
use crate::domain::Name;

/// How often secrets in files are looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The secrets of all accounts, watched for a change: whoever waits for a better one need not wait
/// any longer.
pub struct Secrets {
    /// How often each had changed when it was looked at.
    changes: BTreeMap<Name, u64>,
    looked_at: Option<Timestamp>,
}

impl Secrets {
    /// As they are now.
    pub fn of(destinations: &BTreeMap<Name, Destination>) -> Self {
        let changes = destinations.iter().map(|(name, there)| (name.clone(), changes(there)));
        Self { changes: changes.collect(), looked_at: None }
    }

    /// The accounts whose secrets changed since the last look, whoever read them again; none where
    /// that was a moment ago.
    pub fn changed(
        &mut self,
        destinations: &BTreeMap<Name, Destination>,
        now: Timestamp,
    ) -> Vec<Name> {
        // A clock that was put back looks at once.
        let rests = |at| (at..at + LOOK_EVERY).contains(&now);
        if self.looked_at.is_some_and(rests) {
            return Vec::new();
        }
        self.looked_at = Some(now);
        for (account, destination) in destinations {
            if let Err(error) = destination.account().credentials.read_anew() {
                tracing::debug!(%account, error, "the secret could not be read again");
            }
        }
        let now: BTreeMap<Name, u64> =
            destinations.iter().map(|(name, there)| (name.clone(), changes(there))).collect();
        let before = std::mem::replace(&mut self.changes, now);
        let is_other = |(name, changes): &(&Name, &u64)| before.get(*name) != Some(*changes);
        self.changes.iter().filter(is_other).map(|(name, _)| name.clone()).collect()
    }
}

fn changes(destination: &Destination) -> u64 {
    destination.account().credentials.changes()
}
