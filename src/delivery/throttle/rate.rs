use std::time::Duration;

use jiff::Timestamp;

/// Of what may begin in a second, so much may begin at once: one in five.
const BURST: u32 = 5;

/// A bucket that fills by itself, and from which each request takes one.
pub struct TokenBucket {
    /// From one request to the next, in the long run.
    every: Duration,
    burst: u32,
    /// When the bucket will be full; it has room for `burst`.
    full_at: Timestamp,
}

impl TokenBucket {
    /// Full.
    pub fn new(per_second: u32, now: Timestamp) -> Self {
        let per_second = per_second.max(1);
        Self {
            every: Duration::from_nanos(1_000_000_000_u64.div_ceil(per_second.into())),
            burst: (per_second / BURST).max(1),
            full_at: now,
        }
    }

    /// What was taken stays taken.
    pub fn change(&mut self, per_second: u32) {
        *self = Self::new(per_second, self.full_at);
    }

    /// How many may begin now.
    pub fn room(&self, now: Timestamp) -> usize {
        let missing = self.missing(now).as_nanos().div_ceil(self.every.as_nanos());
        (self.burst as usize).saturating_sub(usize::try_from(missing).unwrap_or(usize::MAX))
    }

    /// When one may begin that may not now.
    pub fn room_at(&self, now: Timestamp) -> Timestamp {
        let one_missing = self.every.saturating_mul(self.burst - 1);
        now + self.missing(now).saturating_sub(one_missing)
    }

    /// One begins.
    pub fn take(&mut self, now: Timestamp) {
        self.full_at = now + (self.missing(now) + self.every).min(self.whole());
    }

    /// How long the bucket has still to fill. Where that is longer than for an empty one, the clock was
    /// put back since: it is full, or it would not fill before the clock shows that time again.
    fn missing(&self, now: Timestamp) -> Duration {
        let missing = self.full_at.duration_since(now).try_into().unwrap_or_default();
        if missing > self.whole() { Duration::ZERO } else { missing }
    }

    /// How long an empty bucket takes to fill.
    fn whole(&self) -> Duration {
        self.every.saturating_mul(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Timestamp = Timestamp::UNIX_EPOCH;

    fn take_all(rate: &mut TokenBucket, now: Timestamp) -> usize {
        let room = rate.room(now);
        (0..room).for_each(|_| rate.take(now));
        room
    }

    #[test]
    fn a_burst_may_begin_at_once_and_then_one_at_a_time() {
        let mut rate = TokenBucket::new(50, START);
        assert_eq!(take_all(&mut rate, START), 10);
        let next = rate.room_at(START);
        assert_eq!(next, START + Duration::from_millis(20));
        assert_eq!(rate.room(next - Duration::from_nanos(1)), 0);
        assert_eq!(take_all(&mut rate, next), 1);
        assert_eq!(take_all(&mut rate, next + Duration::from_secs(3600)), 10);
    }

    #[test]
    fn one_a_second_is_one_a_second() {
        let mut rate = TokenBucket::new(1, START);
        assert_eq!(take_all(&mut rate, START), 1);
        assert_eq!(rate.room_at(START), START + Duration::from_secs(1));
    }

    #[test]
    fn a_clock_that_was_put_back_stops_nobody() {
        let mut rate = TokenBucket::new(50, START + Duration::from_secs(3600));
        assert_eq!(take_all(&mut rate, START), 10);
        assert_eq!(rate.room_at(START), START + Duration::from_millis(20));
    }

    #[test]
    fn another_rate_begins_with_what_was_taken() {
        let mut rate = TokenBucket::new(50, START);
        take_all(&mut rate, START);
        rate.change(1000);
        assert_eq!(rate.room(START), 0);
        assert_eq!(rate.room(START + Duration::from_secs(1)), 200);
    }

    proptest! {
        #[test]
        fn no_second_sees_more_than_the_rate_and_a_burst(
            per_second in 1u32..500, steps in prop::collection::vec(0u64..200, 1..50),
        ) {
            let mut rate = TokenBucket::new(per_second, START);
            let (mut now, mut began) = (START, Vec::new());
            for step in steps {
                now += Duration::from_millis(step);
                let room = take_all(&mut rate, now);
                began.extend(std::iter::repeat_n(now, room));
                prop_assert!(rate.room(now) == 0 && rate.room(rate.room_at(now)) == 1);
            }
            let most = (per_second + (per_second / BURST).max(1)) as usize;
            for (first, beyond) in began.iter().zip(began.iter().skip(most)) {
                prop_assert!(*beyond >= *first + Duration::from_secs(1));
            }
        }
    }
}
