use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::error::{AdminError, Result};
use crate::domain::Name;

/// How many submissions are discarded in a second: as fast as an operator may want it, and slow enough
/// that webhooks do not wait for it.
const DISCARDED_A_SECOND: u32 = 2000;

/// When the next page of a bulk action is admitted.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    /// Until when replayed submissions of an account are being delivered.
    replays: BTreeMap<Name, Instant>,
    discards: Option<Instant>,
}

impl Throttle {
    /// Admits a replay of an account, or of all.
    ///
    /// # Errors
    /// Submissions of the last page are still being delivered.
    pub fn admit_replay(&mut self, account: Option<&Name>, now: Instant) -> Result<()> {
        self.replays.retain(|_, until| *until > now);
        let until = match account {
            Some(account) => self.replays.get(account),
            None => self.replays.values().max(),
        };
        admit(until.copied(), now)
    }

    /// Notes how many submissions of each account were replayed, which are delivered at `rate` a
    /// second, and returns how long the next page has to wait.
    pub fn replayed(&mut self, accounts: BTreeMap<Name, u32>, rate: u32, now: Instant) -> Duration {
        let mut longest = Duration::ZERO;
        for (account, times) in accounts {
            let wait = Duration::from_secs(times.into()) / rate.max(1);
            self.replays.insert(account, now + wait);
            longest = longest.max(wait);
        }
        longest
    }

    /// Admits a page of discards.
    ///
    /// # Errors
    /// The last page was too large to be followed already.
    pub fn admit_discard(&mut self, now: Instant) -> Result<()> {
        admit(self.discards, now)
    }

    /// Notes how many submissions were discarded, and returns how long the next page has to wait.
    pub fn discarded(&mut self, times: u32, now: Instant) -> Duration {
        let wait = Duration::from_secs(times.into()) / DISCARDED_A_SECOND;
        self.discards = Some(now + wait);
        wait
    }
}

fn admit(until: Option<Instant>, now: Instant) -> Result<()> {
    match until {
        Some(until) if until > now => Err(AdminError::TooSoon { wait: until - now }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn one(account: &str, times: u32) -> BTreeMap<Name, u32> {
        BTreeMap::from([(name(account), times)])
    }

    #[test]
    fn a_replay_is_admitted_once_the_last_page_is_delivered() {
        let (mut throttle, now) = (Throttle::default(), Clock::system().monotonic());
        let main = name("main");
        assert!(throttle.admit_replay(Some(&main), now).is_ok());
        assert_eq!(throttle.replayed(one("main", 200), 50, now), Duration::from_secs(4));
        let early = now + Duration::from_secs(3);
        let Err(AdminError::TooSoon { wait }) = throttle.admit_replay(Some(&main), early) else {
            panic!("it is too soon");
        };
        assert_eq!(wait, Duration::from_secs(1));
        assert!(throttle.admit_replay(Some(&main), now + Duration::from_secs(4)).is_ok());
    }

    #[test]
    fn a_replay_of_one_account_waits_for_no_other_and_a_replay_of_all_waits_for_each() {
        let (mut throttle, now) = (Throttle::default(), Clock::system().monotonic());
        throttle.replayed(one("main", 50), 50, now);
        assert!(throttle.admit_replay(Some(&name("other")), now).is_ok());
        assert!(throttle.admit_replay(None, now).is_err());
        assert!(throttle.admit_replay(None, now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn discards_are_throttled_apart_from_replays() {
        let (mut throttle, now) = (Throttle::default(), Clock::system().monotonic());
        let wait = throttle.discarded(DISCARDED_A_SECOND, now);
        assert_eq!(wait, Duration::from_secs(1));
        assert!(throttle.admit_replay(None, now).is_ok());
        assert!(throttle.admit_discard(now).is_err());
        assert!(throttle.admit_discard(now + wait).is_ok());
    }
}
