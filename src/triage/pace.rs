use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::DISCARDED_A_SECOND;
use super::error::TriageError;
use super::terms::Terms;
use crate::domain::Name;

/// When the next page of a bulk action may come.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// Until when what was replayed of an account is being delivered.
    replays: BTreeMap<Name, Instant>,
    discards: Option<Instant>,
}

impl Pace {
    /// Whether an account, or each of them, has room for more.
    ///
    /// # Errors
    /// It has not.
    pub fn replay(&mut self, account: Option<&Name>, now: Instant) -> Result<(), TriageError> {
        self.replays.retain(|_, until| *until > now);
        let until = match account {
            Some(account) => self.replays.get(account),
            None => self.replays.values().max(),
        };
        free(until.copied(), now)
    }

    /// So many of each account were replayed; answers how long the next page has to wait.
    pub fn replayed(
        &mut self,
        accounts: BTreeMap<Name, u32>,
        terms: &Terms,
        now: Instant,
    ) -> Duration {
        let mut longest = Duration::ZERO;
        for (account, times) in accounts {
            let wait = Duration::from_secs(times.into()) / terms.rate.max(1);
            self.replays.insert(account, now + wait);
            longest = longest.max(wait);
        }
        longest
    }

    /// As [`replay`](Self::replay), for what is given up.
    ///
    /// # Errors
    /// There is no room.
    pub fn discard(&mut self, now: Instant) -> Result<(), TriageError> {
        free(self.discards, now)
    }

    /// As [`replayed`](Self::replayed), for what was given up.
    pub fn discarded(&mut self, times: u32, now: Instant) -> Duration {
        let wait = Duration::from_secs(times.into()) / DISCARDED_A_SECOND;
        self.discards = Some(now + wait);
        wait
    }
}

fn free(until: Option<Instant>, now: Instant) -> Result<(), TriageError> {
    match until {
        Some(until) if until > now => Err(TriageError::TooSoon { wait: until - now }),
        _ => Ok(()),
    }
}
