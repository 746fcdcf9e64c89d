use std::time::Duration;

use jiff::Timestamp;

/// What is left of the limit where the far side pushed back.
const PUSHED_BACK: f64 = 0.5;

/// What is left of it where the far side has become slow.
const SLOWED_DOWN: f64 = 0.9;

/// The far side is slow where its answers of late take so much longer than they do in the long run.
const SLOW: f64 = 2.0;

/// Below that no one is slow, whatever was usual: chance alone doubles a millisecond.
const SLOW_MIN: Duration = Duration::from_millis(50);

/// How much one answer weighs in what is of late.
const OF_LATE: f64 = 0.2;

/// How much it weighs in the long run: what stays slow for some hundreds of answers is usual then.
const IN_THE_LONG_RUN: f64 = 0.005;

/// How many exchanges may run at once: fewer at once when the far side pushes back or slows down,
/// and more again, one by one, while it does not.
pub struct ConcurrencyLimiter {
    most: usize,
    limit: f64,
    /// An exchange that began no later says nothing of what was changed then.
    changed_at: Option<Timestamp>,
    /// How long answers take, in seconds; there is none before the first.
    took: Option<Took>,
}

struct Took {
    of_late: f64,
    in_the_long_run: f64,
}

/// What an exchange says of how busy the far side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// It answered what it was asked.
    Answered,
    /// It asked for less, or gave no answer.
    PushedBack,
    /// It says nothing of that.
    None,
}

impl ConcurrencyLimiter {
    pub fn new(most: usize) -> Self {
        Self { most, limit: most as f64, changed_at: None, took: None }
    }

    /// What was learnt stays; where nothing stood in the way, nothing does.
    pub fn change(&mut self, most: usize) {
        let is_free = self.limit >= self.most as f64;
        self.limit = if is_free { most as f64 } else { self.limit.min(most as f64) };
        self.most = most;
    }

    /// At least one.
    pub fn now(&self) -> usize {
        (self.limit as usize).max(1)
    }

    /// An exchange ended.
    pub fn heard(&mut self, sign: Signal, took: Duration, now: Timestamp) {
        match sign {
            Signal::None => {}
            Signal::PushedBack => self.shrink(PUSHED_BACK, took, now),
            Signal::Answered if self.is_slow_with(took) => self.shrink(SLOWED_DOWN, took, now),
            Signal::Answered => self.limit = (self.limit + 1.0 / self.limit).min(self.most as f64),
        }
    }

    /// Once for all exchanges that ran at the same time: they met the same trouble. What was changed
    /// later than now was so by a clock that was put back since.
    fn shrink(&mut self, to: f64, took: Duration, now: Timestamp) {
        if self.changed_at.is_none_or(|at| now - took > at || at > now + took) {
            self.limit = (self.limit * to).max(1.0);
            self.changed_at = Some(now);
        }
    }

    fn is_slow_with(&mut self, took: Duration) -> bool {
        let took = took.as_secs_f64();
        let known = self.took.get_or_insert(Took { of_late: took, in_the_long_run: took });
        known.of_late += OF_LATE * (took - known.of_late);
        known.in_the_long_run += IN_THE_LONG_RUN * (took - known.in_the_long_run);
        known.of_late > SLOW * known.in_the_long_run && known.of_late > SLOW_MIN.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(100);

    /// Exchanges one after the other, each with its sign and how long it took.
    struct Told {
        limit: ConcurrencyLimiter,
        now: Timestamp,
    }

    impl Told {
        fn of(most: usize) -> Self {
            Self { limit: ConcurrencyLimiter::new(most), now: Timestamp::UNIX_EPOCH }
        }

        fn hears(&mut self, times: usize, sign: Signal, took: Duration) -> usize {
            for _ in 0..times {
                self.now += took + Duration::from_millis(1);
                self.limit.heard(sign, took, self.now);
            }
            self.limit.now()
        }
    }

    #[test]
    fn who_pushes_back_is_asked_less_until_one_at_a_time_and_more_again_when_it_answers() {
        let mut told = Told::of(8);
        assert_eq!(told.hears(1, Signal::PushedBack, MOMENT), 4);
        assert_eq!(told.hears(1, Signal::PushedBack, MOMENT), 2);
        assert_eq!(told.hears(9, Signal::PushedBack, MOMENT), 1);
        assert_eq!(told.hears(1, Signal::Answered, MOMENT), 2);
        assert_eq!(told.hears(7, Signal::Answered, MOMENT), 4);
        assert_eq!(told.hears(1000, Signal::Answered, MOMENT), 8);
    }

    #[test]
    fn exchanges_that_ran_at_the_same_time_are_one_push() {
        let mut told = Told::of(8);
        let now = told.now + MOMENT;
        for _ in 0..8 {
            told.limit.heard(Signal::PushedBack, MOMENT, now);
        }
        assert_eq!(told.limit.now(), 4);
    }

    #[test]
    fn a_clock_that_was_put_back_makes_nobody_deaf() {
        let mut told = Told::of(8);
        assert_eq!(told.hears(1, Signal::PushedBack, MOMENT), 4);
        told.now -= Duration::from_secs(3600);
        assert_eq!(told.hears(1, Signal::PushedBack, MOMENT), 2);
    }

    #[test]
    fn who_slows_down_is_asked_less_until_that_is_usual() {
        let mut told = Told::of(8);
        assert_eq!(told.hears(100, Signal::Answered, MOMENT), 8);
        assert!(told.hears(30, Signal::Answered, 10 * MOMENT) < 4);
        assert_eq!(told.hears(1000, Signal::Answered, 10 * MOMENT), 8);
    }

    #[test]
    fn a_slow_answer_among_many_is_chance_and_so_is_what_takes_no_time() {
        let mut told = Told::of(8);
        told.hears(100, Signal::Answered, MOMENT);
        for _ in 0..10 {
            told.hears(1, Signal::Answered, 4 * MOMENT);
            assert_eq!(told.hears(20, Signal::Answered, MOMENT), 8);
        }
        let mut quick = Told::of(8);
        quick.hears(100, Signal::Answered, Duration::from_millis(1));
        assert_eq!(quick.hears(20, Signal::Answered, Duration::from_millis(20)), 8);
    }

    #[test]
    fn a_failure_that_says_nothing_of_its_load_changes_nothing() {
        let mut told = Told::of(8);
        assert_eq!(told.hears(100, Signal::None, MOMENT), 8);
    }

    #[test]
    fn other_settings_change_the_bound_and_not_what_was_learnt() {
        let mut told = Told::of(8);
        told.limit.change(16);
        assert_eq!(told.limit.now(), 16);
        told.hears(1, Signal::PushedBack, MOMENT);
        told.limit.change(32);
        assert_eq!(told.limit.now(), 8);
        told.limit.change(4);
        assert_eq!(told.limit.now(), 4);
        assert_eq!(told.hears(1000, Signal::Answered, MOMENT), 4);
    }
}
