//! When leases end by the clock of the store, which may have been set since they were granted.

use std::time::Duration;

use jiff::Timestamp;

/// The longest lease that the settings take: those of another replica may be longer than one's own by as much.
pub const LEASE_MAX: Duration = Duration::from_secs(600);

/// Which leases have ended, and which are renewed if their claims are still worked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LeaseEnds {
    /// Those that end by then have ended.
    pub ended: Timestamp,
    /// Those that end by then are renewed: at half their time, so that no other process finds them ended.
    pub renewed: Timestamp,
    /// Those that end later were granted by a clock that was put back since. They have ended, or would last for
    /// as long as it was put back.
    pub latest: Timestamp,
}

impl LeaseEnds {
    /// Every lease has ended.
    pub const ALL: Self =
        Self { ended: Timestamp::MAX, renewed: Timestamp::MAX, latest: Timestamp::MAX };

    pub fn at(clock: Timestamp, lease: Duration) -> Self {
        let after = |time: Duration| clock.saturating_add(time).unwrap_or(Timestamp::MAX);
        let latest = after(lease.saturating_add(LEASE_MAX));
        Self { ended: clock, renewed: after(lease / 2), latest }
    }

    pub fn has_ended(&self, end: Timestamp) -> bool {
        end <= self.ended || end > self.latest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_ends_at_its_time_and_at_once_if_it_is_later_than_any_is_granted_for() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let ends = LeaseEnds::at(at(1000), Duration::from_secs(60));
        for (end, has_ended) in
            [(999, true), (1000, true), (1001, false), (1660, false), (1661, true), (4600, true)]
        {
            assert_eq!(ends.has_ended(at(end)), has_ended, "{end}");
        }
        assert_eq!(ends.renewed, at(1030));
        assert!(LeaseEnds::ALL.has_ended(Timestamp::MAX));
        assert_eq!(LeaseEnds::at(Timestamp::MAX, Duration::MAX), LeaseEnds::ALL);
    }
}
