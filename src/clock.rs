//! The clock: wall time and monotonic time, handed in at construction to everything that needs them.
//! Waiting stays with tokio, whose time a test can pause.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// From when on a clock of a test counts.
static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Monotonic, and it passes while the machine is suspended, if the system has such a clock.
#[cfg(target_os = "linux")]
const UNSUSPENDED: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const UNSUSPENDED: ClockId = ClockId::Monotonic;

/// What is in place of a [`Source::System`]'s start while it goes by no other clock.
const ITS_OWN: i64 = i64::MIN;

/// The one source of time. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    /// When the machine started by the clock that this one [follows](Clock::follow), in microseconds, or
    /// [`ITS_OWN`].
    System(Arc<AtomicI64>),
    Manual(Arc<Mutex<Reading>>),
    /// Since when tokio's time has passed.
    Tokio(Arc<Mutex<Reading>>),
}

/// Both times at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// What people call the time, in whole microseconds. An operator or a time server may step it.
    pub wall: Timestamp,
    /// Only ever moves forward, as fast as time passes.
    pub monotonic: Instant,
}

impl Clock {
    /// The clocks of the operating system.
    pub fn system() -> Self {
        Self(Source::System(Arc::new(AtomicI64::new(ITS_OWN))))
    }

    /// A clock that moves only when a test moves it.
    pub fn manual(wall: Timestamp) -> Self {
        LazyLock::force(&BEGAN);
        let monotonic = Instant::now();
        Self(Source::Manual(Arc::new(Mutex::new(Reading {
            wall: whole_microseconds(wall),
            monotonic,
        }))))
    }

    /// A clock that shows `wall` now and then goes by tokio's time, which a test can pause. Within a
    /// runtime.
    pub fn of_tokio(wall: Timestamp) -> Self {
        LazyLock::force(&BEGAN);
        let monotonic = tokio::time::Instant::now().into_std();
        Self(Source::Tokio(Arc::new(Mutex::new(Reading {
            wall: whole_microseconds(wall),
            monotonic,
        }))))
    }

    /// Wall time and monotonic time.
    pub fn read(&self) -> Reading {
        match &self.0 {
            Source::System(start) => {
                Reading { wall: system_wall(start), monotonic: Instant::now() }
            }
            Source::Manual(reading) => *reading.lock().unwrap_or_else(PoisonError::into_inner),
            Source::Tokio(began) => {
                let monotonic = tokio::time::Instant::now().into_std();
                let began = *began.lock().unwrap_or_else(PoisonError::into_inner);
                let passed = monotonic.saturating_duration_since(began.monotonic);
                let wall = began.wall.checked_add(passed).unwrap_or(Timestamp::MAX);
                Reading { wall: whole_microseconds(wall), monotonic }
            }
        }
    }

    /// Wall time, in whole microseconds as the store keeps it.
    pub fn now(&self) -> Timestamp {
        self.read().wall
    }

    /// Monotonic time, for what is measured and for what must not be moved by an operator.
    pub fn monotonic(&self) -> Instant {
        match &self.0 {
            Source::System(_) => Instant::now(),
            Source::Manual(_) | Source::Tokio(_) => self.read().monotonic,
        }
    }

    /// Monotonic time since some moment, with what passed while the machine was suspended: for what another
    /// process, on another machine, does not wait for.
    pub fn unsuspended(&self) -> Duration {
        match &self.0 {
            Source::System(_) => clock_gettime(UNSUSPENDED).try_into().unwrap_or_default(),
            Source::Manual(_) | Source::Tokio(_) => self.read().monotonic - *BEGAN,
        }
    }

    /// Follows another clock from here on, which showed this time at some moment between `asked_at`, of
    /// [`unsuspended`](Self::unsuspended) time, and now: wall time is moved by the least that agrees with it,
    /// and then passes with monotonic time. Clones follow it too; a clock of a test follows none.
    pub fn follow(&self, other: Timestamp, asked_at: Duration) {
        let Source::System(start) = &self.0 else { return };
        let at = |unsuspended: Duration| other.as_microsecond() - microseconds(unsuspended);
        let (earliest, latest) = (at(self.unsuspended()), at(asked_at));
        let known = match start.load(Ordering::Relaxed) {
            ITS_OWN => self.own_wall().as_microsecond() - microseconds(self.unsuspended()),
            known => known,
        };
        start.store(known.clamp(earliest, latest), Ordering::Relaxed);
    }

    /// Wall time by the operating system, whatever clock this one follows.
    pub fn own_wall(&self) -> Timestamp {
        match &self.0 {
            Source::System(_) => whole_microseconds(Timestamp::now()),
            Source::Manual(_) | Source::Tokio(_) => self.now(),
        }
    }

    /// Lets time pass: both times move. A manual clock only.
    pub fn advance(&self, by: Duration) {
        let Source::Manual(_) = &self.0 else { panic!("only a manual clock is advanced") };
        self.change(|reading| {
            reading.monotonic += by;
            step(&mut reading.wall, SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX));
        });
    }

    /// Steps the wall clock, as an operator or a time server may: no time passes. Not the system's.
    pub fn step(&self, by: SignedDuration) {
        self.change(|reading| step(&mut reading.wall, by));
    }

    fn change(&self, change: impl FnOnce(&mut Reading)) {
        let (Source::Manual(reading) | Source::Tokio(reading)) = &self.0 else {
            panic!("the system's clock is not moved")
        };
        change(&mut reading.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A time that starts with the wall clock and then passes with the monotonic one, which no operator
/// and no time server moves.
#[derive(Debug, Clone)]
pub struct SteadyClock {
    clock: Clock,
    began: Reading,
}

impl SteadyClock {
    pub fn starting_now(clock: Clock) -> Self {
        Self { began: clock.read(), clock }
    }

    pub fn now(&self) -> Timestamp {
        let Reading { wall, monotonic } = self.began;
        wall.checked_add(self.clock.monotonic() - monotonic).unwrap_or(Timestamp::MAX)
    }
}

/// Wall time by the operating system, or by the clock that is followed.
fn system_wall(start: &AtomicI64) -> Timestamp {
    match start.load(Ordering::Relaxed) {
        ITS_OWN => whole_microseconds(Timestamp::now()),
        start => {
            let unsuspended = clock_gettime(UNSUSPENDED).try_into().unwrap_or_default();
            Timestamp::from_microsecond(start.saturating_add(microseconds(unsuspended)))
                .unwrap_or(Timestamp::MAX)
        }
    }
}

fn microseconds(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

fn step(wall: &mut Timestamp, by: SignedDuration) {
    *wall = wall.saturating_add(by).expect("a signed duration can be added");
}

/// The time as the store keeps it.
pub(crate) fn whole_microseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_manual_clock_stands_still_until_it_is_moved() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let began = clock.read();
        assert_eq!(clock.read(), began);
        clock.clone().advance(MINUTE);
        assert_eq!(clock.now(), began.wall + MINUTE);
        assert_eq!(clock.monotonic(), began.monotonic + MINUTE);
    }

    #[test]
    fn a_steady_clock_does_not_follow_a_step_of_the_wall_clock() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        let steady = SteadyClock::starting_now(clock.clone());
        clock.step(SignedDuration::from_hours(-1));
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH - MINUTE * 60);
        assert_eq!(steady.now(), Timestamp::UNIX_EPOCH);
        clock.advance(MINUTE);
        assert_eq!(steady.now(), Timestamp::UNIX_EPOCH + MINUTE);
    }

    #[test]
    fn the_systems_clock_shows_whole_microseconds() {
        let clock = Clock::system();
        assert_eq!(clock.now().subsec_nanosecond() % 1000, 0);
        clock.follow(clock.now(), clock.unsuspended());
        assert_eq!(clock.now().subsec_nanosecond() % 1000, 0);
    }

    #[test]
    fn a_clock_follows_another_one_as_far_as_it_is_known() {
        let (clock, other) = (Clock::system(), Clock::system().now() + MINUTE * 180);
        let copy = clock.clone();
        clock.follow(other, clock.unsuspended());
        let shown = copy.now();
        assert!(other <= shown && shown < other + MINUTE, "{shown}");
        assert!(copy.own_wall() < other, "its own shows what it did");
        // What agrees with it moves it no further: the answer may have been on its way for a minute.
        let asked_at = clock.unsuspended().saturating_sub(MINUTE);
        let start = |clock: &Clock| match &clock.0 {
            Source::System(start) => start.load(Ordering::Relaxed),
            _ => unreachable!(),
        };
        let known = start(&clock);
        clock.follow(clock.now() - MINUTE / 2, asked_at);
        assert_eq!(start(&clock), known);
        // It is late by the least that it can be.
        clock.follow(clock.now() - MINUTE * 3, asked_at);
        let moved = Duration::from_micros(known.abs_diff(start(&clock)));
        assert!(MINUTE < moved && moved <= MINUTE * 2, "{moved:?}");
    }

    #[test]
    fn a_clock_of_a_test_follows_none() {
        let clock = Clock::manual(Timestamp::UNIX_EPOCH);
        clock.follow(Timestamp::UNIX_EPOCH + MINUTE, clock.unsuspended());
        assert_eq!(clock.now(), Timestamp::UNIX_EPOCH);
    }
}
