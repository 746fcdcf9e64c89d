//! Whether the wall clock can be believed by what destroys: retention, and forgetting keys.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::clock::Reading;
use crate::store::ClockRecord;
#[cfg(feature = "flaws")]
use crate::store::flaws;

/// A difference between wall and monotonic time that is a step, not what time servers do all day.
const STEP_MIN: SignedDuration = SignedDuration::from_secs(10);

/// How long the wall clock must pass without a step before it is believed. The alert about a step is
/// there within minutes; this is how long people have to set the clock right. The shortest time that
/// anything is kept for safety is a week (idempotency keys).
const CONFIRMED_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A process that was down for no longer believes its clock as the last one did: what is removed then was old
/// enough, or short of it by this at the most.
const DOWNTIME_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Watches the wall clock against monotonic time, and gives a time that is safe to destroy by.
///
/// A step back is believed at once: less is removed. After a step forward the **trusted time** continues
/// as if there had been none, and catches up as fast again as time passes; it is the wall clock's
/// again once that was watched for 24 h without a step, by one process or by several. A step back that was
/// wrong therefore delays what is removed by a day at the most.
#[derive(Debug, Clone)]
pub struct ClockWatch {
    last: Reading,
    /// Never later than the wall clock, also after it was put back: where it was before may have been wrong.
    trusted: Timestamp,
    /// How far the wall clock was stepped, forward if positive, and is not believed yet.
    skew: SignedDuration,
    /// How long the wall clock was watched since its last step; `None` once it is believed.
    unconfirmed_for: Option<Duration>,
}

impl ClockWatch {
    /// `recorded` is what the last process recorded, at most a few hours before it ended; a new store has
    /// nothing, and the wall clock is believed. A jump that continues across a restart stays under watch.
    pub fn start(now: Reading, recorded: Option<ClockRecord>) -> Self {
        let goes_on_from = |recorded: Timestamp| {
            let ahead = now.wall.duration_since(recorded);
            -STEP_MIN < ahead && ahead <= DOWNTIME_MAX
        };
        match recorded {
            Some(recorded) if !goes_on_from(recorded.trusted) => {
                let watched = recorded.unconfirmed_for.filter(|_| goes_on_from(recorded.wall));
                let skew = now.wall.duration_since(recorded.trusted);
                let trusted = recorded.trusted.min(now.wall);
                Self {
                    last: now,
                    trusted,
                    skew,
                    unconfirmed_for: Some(watched.unwrap_or_default()),
                }
            }
            _ => {
                let skew = SignedDuration::ZERO;
                Self { last: now, trusted: now.wall, skew, unconfirmed_for: None }
            }
        }
    }

    /// What the next process has to know.
    pub fn record(&self) -> ClockRecord {
        ClockRecord {
            trusted: self.trusted(),
            wall: self.last.wall,
            unconfirmed_for: self.unconfirmed_for,
        }
    }

    /// Notes what the clock shows. Returns the step of the wall clock since the last reading, if there
    /// was one.
    pub fn observe(&mut self, now: Reading) -> Option<SignedDuration> {
        let passed = now.monotonic.saturating_duration_since(self.last.monotonic);
        let passed_signed = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        let step = now.wall.duration_since(self.last.wall).saturating_sub(passed_signed);
        let is_step = step.abs() >= STEP_MIN;
        self.last = now;
        self.unconfirmed_for = match self.unconfirmed_for {
            _ if is_step => Some(Duration::ZERO),
            watched => watched.map(|time| time + passed).filter(|time| *time < CONFIRMED_AFTER),
        };
        if self.unconfirmed_for.is_none() {
            (self.trusted, self.skew) = (now.wall, SignedDuration::ZERO);
            return None;
        }
        let twice = if is_step { passed } else { 2 * passed };
        self.trusted = later(self.trusted, twice).min(now.wall);
        if !is_step {
            return None;
        }
        self.skew = self.skew.saturating_add(step);
        Some(step)
    }

    /// The time by which may be destroyed what is old: never later than the wall clock.
    pub fn trusted(&self) -> Timestamp {
        #[cfg(feature = "flaws")]
        if flaws::has(flaws::Flaw::PurgeOnClockJump) {
            return self.last.wall;
        }
        self.trusted
    }

    /// How far the wall clock was stepped, forward if positive, and is not believed yet.
    pub fn skew(&self) -> SignedDuration {
        self.skew
    }
}

fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::clock::Clock;

    const MINUTE: Duration = Duration::from_secs(60);
    const HOUR: Duration = Duration::from_secs(3600);
    const DAY: SignedDuration = SignedDuration::from_hours(24);

    /// A clock with its watch.
    struct Watched {
        clock: Clock,
        watch: ClockWatch,
        began: Timestamp,
    }

    impl Watched {
        fn new() -> Self {
            let began = "2026-11-22T10:00:00Z".parse().unwrap();
            let clock = Clock::manual(began);
            Self { watch: ClockWatch::start(clock.read(), None), clock, began }
        }

        /// Time passes, looked at each minute.
        fn pass(&mut self, time: Duration) {
            for _ in 0..time.as_secs() / 60 {
                self.clock.advance(MINUTE);
                assert_eq!(self.watch.observe(self.clock.read()), None);
            }
        }

        fn step(&mut self, by: SignedDuration) {
            self.clock.step(by);
            assert_eq!(self.watch.observe(self.clock.read()), Some(by));
        }

        /// Since the beginning.
        fn trusted(&self) -> SignedDuration {
            self.watch.trusted().duration_since(self.began)
        }

        fn restart(&mut self) {
            self.watch = ClockWatch::start(self.clock.read(), Some(self.watch.record()));
        }
    }

    #[test]
    fn a_clock_that_is_not_stepped_is_trusted() {
        let mut it = Watched::new();
        it.pass(30 * HOUR);
        assert_eq!((it.watch.trusted(), it.watch.skew()), (it.clock.now(), SignedDuration::ZERO));
    }

    #[test]
    fn a_step_forward_is_trusted_after_a_day_and_until_then_time_runs_at_most_twice_as_fast() {
        let mut it = Watched::new();
        it.step(500 * DAY);
        assert_eq!((it.trusted(), it.watch.skew()), (SignedDuration::ZERO, 500 * DAY));
        it.pass(23 * HOUR);
        assert_eq!(it.trusted(), SignedDuration::from_hours(46));
        it.pass(HOUR);
        assert_eq!((it.watch.trusted(), it.watch.skew()), (it.clock.now(), SignedDuration::ZERO));
    }

    #[test]
    fn a_clock_that_was_set_right_again_is_trusted_again() {
        let mut it = Watched::new();
        it.step(500 * DAY);
        it.pass(2 * MINUTE);
        it.step(-500 * DAY);
        assert_eq!(it.watch.trusted(), it.clock.now());
        assert!(it.watch.skew().abs() <= SignedDuration::from_mins(2), "{:?}", it.watch.skew());
    }

    #[test]
    fn a_step_back_is_trusted_at_once_and_shown_for_a_day() {
        let mut it = Watched::new();
        it.step(SignedDuration::from_hours(-1));
        assert_eq!(it.watch.trusted(), it.clock.now());
        it.pass(23 * HOUR);
        assert_eq!(it.watch.skew(), SignedDuration::from_hours(-1));
        it.pass(HOUR);
        assert_eq!(it.watch.skew(), SignedDuration::ZERO);
    }

    #[test]
    fn a_future_that_the_clock_was_put_back_from_is_not_trusted_again() {
        for restarts in [false, true] {
            let mut it = Watched::new();
            it.clock.step(-3650 * DAY);
            if restarts {
                it.restart();
            } else {
                it.watch.observe(it.clock.read());
            }
            let right = it.watch.trusted();
            assert_eq!(right, it.clock.now());
            it.pass(MINUTE);
            it.step(500 * DAY);
            assert!(it.watch.trusted() <= right + 2 * MINUTE, "{:?}", it.trusted());
        }
    }

    #[test]
    fn a_restart_does_not_forget_a_step() {
        let mut it = Watched::new();
        it.step(500 * DAY);
        it.pass(HOUR);
        it.restart();
        assert_eq!(it.trusted(), SignedDuration::from_hours(2));
        it.pass(22 * HOUR);
        assert!(it.trusted() < SignedDuration::from_hours(50), "{:?}", it.trusted());
        it.pass(HOUR);
        assert_eq!(it.watch.trusted(), it.clock.now());
    }

    #[test]
    fn a_service_that_is_restarted_often_trusts_its_clock_after_a_day_of_running() {
        let mut it = Watched::new();
        it.step(2000 * DAY);
        for _ in 0..3 {
            it.pass(8 * HOUR - MINUTE);
            it.clock.advance(HOUR);
            it.restart();
            assert!(it.trusted() < 3 * DAY, "{:?}", it.trusted());
        }
        it.pass(3 * MINUTE);
        assert_eq!((it.watch.trusted(), it.watch.skew()), (it.clock.now(), SignedDuration::ZERO));
    }

    #[test]
    fn a_clock_that_is_set_while_no_process_runs_is_watched_for_a_day_anew() {
        let mut it = Watched::new();
        it.step(2000 * DAY);
        it.pass(23 * HOUR);
        it.clock.step(30 * DAY);
        it.restart();
        it.pass(23 * HOUR);
        assert!(it.trusted() < 5 * DAY, "{:?}", it.trusted());
        it.pass(HOUR);
        assert_eq!(it.watch.trusted(), it.clock.now());
    }

    #[test]
    fn a_clock_that_is_wrong_at_the_start_is_not_trusted_and_a_short_downtime_is() {
        let mut it = Watched::new();
        it.clock.step(DAY);
        it.restart();
        assert_eq!(it.watch.trusted(), it.clock.now());
        it.clock.step(3650 * DAY);
        it.restart();
        assert_eq!(it.trusted(), DAY);
        it.clock.step(-3700 * DAY);
        it.restart();
        assert_eq!(it.watch.trusted(), it.clock.now());
        assert!(it.watch.skew().is_negative());
    }

    proptest! {
        /// Whatever happens to the clock, as long as it is set right within a day.
        #[test]
        fn nothing_is_trusted_that_is_later_than_twice_the_time_that_passed(
            happens in prop::collection::vec((0u64..600, -1_000_000i64..1_000_000, prop::bool::ANY), 1..40),
        ) {
            let mut it = Watched::new();
            let (mut passed, mut off) = (Duration::ZERO, SignedDuration::ZERO);
            for (minutes, step, is_right) in happens {
                it.pass(MINUTE * u32::try_from(minutes).unwrap());
                passed += MINUTE * u32::try_from(minutes).unwrap();
                // Never a step that is too small to be one, and never 24 h without one: set right
                // again, and away.
                let step = match is_right {
                    true => -off,
                    false => SignedDuration::from_mins(if step == 0 { 1 } else { step }) - off,
                };
                if step.abs() >= STEP_MIN {
                    it.step(step);
                    off += step;
                }
                if off.is_zero() || minutes == 0 {
                    it.clock.step(DAY);
                    it.watch.observe(it.clock.read());
                    it.clock.step(-DAY);
                    it.watch.observe(it.clock.read());
                }
                prop_assert!(it.watch.trusted() <= it.clock.now());
                prop_assert!(it.trusted() <= SignedDuration::try_from(2 * passed).unwrap());
            }
            it.pass(CONFIRMED_AFTER);
            prop_assert_eq!(it.watch.trusted(), it.clock.now());
        }
    }
}
