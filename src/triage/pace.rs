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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn terms(rate: u32) -> Terms {
        Terms { surveys: BTreeMap::new(), accounts: BTreeSet::new(), rate }
    }

    fn replayed(pace: &mut Pace, account: &str, times: u32, rate: u32, now: Instant) -> Duration {
        pace.replayed(BTreeMap::from([(name(account), times)]), &terms(rate), now)
    }

    #[test]
    fn an_account_has_room_again_when_what_was_replayed_is_delivered() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let main = name("main");
        assert!(pace.replay(Some(&main), now).is_ok());
        assert_eq!(replayed(&mut pace, "main", 200, 50, now), Duration::from_secs(4));
        let early = now + Duration::from_secs(3);
        let Err(TriageError::TooSoon { wait }) = pace.replay(Some(&main), early) else {
            panic!("it is too soon");
        };
        assert_eq!(wait, Duration::from_secs(1));
        assert!(pace.replay(Some(&main), now + Duration::from_secs(4)).is_ok());
    }

    #[test]
    fn one_account_does_not_wait_for_another_but_all_do_for_each() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        replayed(&mut pace, "main", 50, 50, now);
        assert!(pace.replay(Some(&name("other")), now).is_ok());
        assert!(pace.replay(None, now).is_err());
        assert!(pace.replay(None, now + Duration::from_secs(1)).is_ok());
    }

    #[test]
    fn what_is_given_up_has_a_pace_of_its_own() {
        let (mut pace, now) = (Pace::default(), Instant::now());
        let wait = pace.discarded(DISCARDED_A_SECOND, now);
        assert_eq!(wait, Duration::from_secs(1));
        assert!(pace.replay(None, now).is_ok());
        assert!(pace.discard(now).is_err());
        assert!(pace.discard(now + wait).is_ok());
    }
}
