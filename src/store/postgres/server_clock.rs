//! The database's clock between two readings of it.

use std::cell::Cell;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How long after the database is reached again, or its clock was set, only this replica's own leases expire:
/// those of others may have ended while they could not renew them.
const EXPIRES_OWN_FOR: SignedDuration = SignedDuration::from_secs(10);

/// How far an estimate of the clock may be off, beyond the time of the round trip.
const ESTIMATE_OFF_MAX: SignedDuration = SignedDuration::from_secs(1);

/// What the clock showed at some moment of a round trip.
#[derive(Debug, Clone, Copy)]
struct ClockReading {
    shown: Timestamp,
    asked_at: Duration,
    round_trip: Duration,
}

/// The database's clock as this replica has read it. Times of this machine are monotonic.
#[derive(Debug, Default)]
pub(super) struct ServerClock {
    read: Cell<Option<ClockReading>>,
    /// Since when the database is reached and its clock has not been set.
    steady_since: Cell<Option<Timestamp>>,
}

impl ServerClock {
    /// Other replicas may have lost theirs too.
    pub fn connection_was_lost(&self) {
        self.steady_since.set(None);
    }

    /// What it should show, unless it was not read yet: wrong if the clock was set since. It only decides what is
    /// asked for.
    pub fn estimate(&self, at: Duration) -> Option<Timestamp> {
        let last = self.read.get()?;
        last.shown.checked_add(at.saturating_sub(last.asked_at)).ok()
    }

    /// Notes what it showed; returns whether the estimate of when it was asked was right.
    pub fn note(&self, shown: Timestamp, asked_at: Duration, answered_at: Duration) -> bool {
        let off = self.estimate(asked_at).map(|estimate| shown.duration_since(estimate));
        let round_trip = answered_at.saturating_sub(asked_at);
        let last = self.read.replace(Some(ClockReading { shown, asked_at, round_trip }));
        // It was read late in a slow round trip: now, or the last time.
        let late = |by: Duration| {
            ESTIMATE_OFF_MAX.saturating_add(by.try_into().unwrap_or(SignedDuration::MAX))
        };
        let was_set = off
            .zip(last)
            .is_some_and(|(off, last)| off > late(round_trip) || off < -late(last.round_trip));
        if was_set || self.steady_since.get().is_none() {
            self.steady_since.set(Some(shown));
        }
        off.is_some_and(|off| off.abs() <= ESTIMATE_OFF_MAX)
    }

    /// Whether every replica that serves has had the time to renew its leases by this clock.
    pub fn others_could_renew(&self, now: Timestamp) -> bool {
        let since = self.steady_since.get();
        since.is_some_and(|since| has_passed(EXPIRES_OWN_FOR, Some(since), now))
    }
}

/// A clock that was put back is as one that has gone far.
pub(super) fn has_passed(time: SignedDuration, since: Option<Timestamp>, now: Timestamp) -> bool {
    since.is_none_or(|since| !(SignedDuration::ZERO..time).contains(&now.duration_since(since)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + seconds).unwrap()
    }

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Read once, and steady for a minute.
    fn steady() -> ServerClock {
        let clock = ServerClock::default();
        assert!(!clock.note(shown(0), after(0), after(0)), "there was nothing to estimate it by");
        assert!(clock.note(shown(60), after(60), after(60)));
        clock
    }

    #[test]
    fn others_could_renew_their_leases_ten_seconds_after_the_database_is_reached() {
        let clock = ServerClock::default();
        assert!(!clock.others_could_renew(shown(0)));
        clock.note(shown(0), after(0), after(0));
        assert!(!clock.others_could_renew(shown(9)));
        assert!(clock.others_could_renew(shown(10)));
        clock.connection_was_lost();
        clock.note(shown(60), after(60), after(60));
        assert!(!clock.others_could_renew(shown(69)));
        assert!(clock.others_could_renew(shown(70)));
    }

    #[test]
    fn a_clock_that_is_put_ahead_or_back_gives_others_ten_seconds() {
        for seconds in [-3600, -2, 3, 3600] {
            let clock = steady();
            assert!(clock.others_could_renew(shown(60)));
            assert!(!clock.note(shown(61 + seconds), after(61), after(61)), "{seconds}");
            assert!(!clock.others_could_renew(shown(70 + seconds)), "{seconds}");
            assert!(clock.others_could_renew(shown(71 + seconds)), "{seconds}");
        }
    }

    #[test]
    fn a_slow_round_trip_is_no_step_of_the_clock() {
        let clock = steady();
        assert!(
            !clock.note(shown(64), after(61), after(64)),
            "what was asked with it is asked again"
        );
        assert!(clock.others_could_renew(shown(64)));
        assert!(!clock.note(shown(65), after(65), after(65)), "the estimate was of that one");
        assert!(clock.others_could_renew(shown(65)));
        assert!(clock.note(shown(66), after(66), after(66)));
    }
}
