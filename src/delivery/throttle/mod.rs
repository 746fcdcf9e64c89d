//! Throttle of one account: a rate per second, a concurrency limit, and no request
//! while the destination's `Retry-After` runs.

mod limit;
mod rate;

use std::time::Duration;

use jiff::Timestamp;

use self::limit::{ConcurrencyLimiter, Signal};
use self::rate::TokenBucket;
use super::options::Options;
use crate::domain::{Attempt, Verdict};

/// The pace of one account.
pub struct Throttle {
    rate: TokenBucket,
    limit: ConcurrencyLimiter,
    paused_until: Option<Timestamp>,
    /// The longest `Retry-After` that is honoured.
    longest: Duration,
}

impl Throttle {
    pub fn new(options: &Options, now: Timestamp) -> Self {
        Self {
            rate: TokenBucket::new(options.rate, now),
            limit: ConcurrencyLimiter::new(options.max_concurrency),
            paused_until: None,
            longest: options.retry.max_backoff,
        }
    }

    /// The settings say otherwise; what was learnt stays.
    pub fn change(&mut self, options: &Options) {
        self.rate.change(options.rate);
        self.limit.change(options.max_concurrency);
        self.longest = options.retry.max_backoff;
    }

    /// How many exchanges may run at once.
    pub fn limit(&self) -> usize {
        self.limit.now()
    }

    /// How many exchanges may begin now, while so many are under way.
    pub fn room(&self, in_flight: usize, now: Timestamp) -> usize {
        if self.is_asked_to_wait(now) {
            0
        } else {
            self.limit.now().saturating_sub(in_flight).min(self.rate.room(now))
        }
    }

    /// Whether the destination's `Retry-After` runs.
    pub fn is_asked_to_wait(&self, now: Timestamp) -> bool {
        !self.pause(now).is_zero()
    }

    /// When there will be room by time alone; `None` where there is some now, or where it takes the
    /// end of an exchange.
    pub fn room_at(&self, in_flight: usize, now: Timestamp) -> Option<Timestamp> {
        let is_full = in_flight >= self.limit.now();
        let at = self.rate.room_at(now).max(now + self.pause(now));
        Some(at).filter(|at| !is_full && *at > now)
    }

    /// An exchange begins.
    pub fn began(&mut self, now: Timestamp) {
        self.rate.take(now);
        // A pause that is over does not come back with a clock that is put back.
        self.paused_until = None;
    }

    /// An exchange ended.
    pub fn record(&mut self, attempt: &Attempt, took: Duration) {
        self.limit.record(sign(attempt), took, attempt.finished_at);
        if let (Verdict::Throttled { retry_after: Some(asked) }, Some(429 | 503)) =
            (attempt.verdict, attempt.reply.status)
        {
            let left = self.pause(attempt.finished_at);
            self.paused_until = Some(attempt.finished_at + asked.min(self.longest).max(left));
        }
    }

    /// How long nothing may begin. Where that is longer than may be asked for, the clock was put back
    /// since, and the pause is over: it would not end before the clock shows that time again.
    fn pause(&self, now: Timestamp) -> Duration {
        let until = self.paused_until.unwrap_or(now);
        let left: Duration = until.duration_since(now).try_into().unwrap_or_default();
        if left > self.longest { Duration::ZERO } else { left }
    }
}

fn sign(attempt: &Attempt) -> Signal {
    match (attempt.verdict, attempt.reply.status) {
        (Verdict::Accepted | Verdict::UnknownCall | Verdict::Rejected, _) => Signal::Answered,
        (Verdict::Throttled { .. }, Some(429 | 503)) | (Verdict::UnknownResult, _) => {
            Signal::PushedBack
        }
        (
            Verdict::Throttled { .. }
            | Verdict::AccountRejected
            | Verdict::Unreachable
            | Verdict::LocalError,
            _,
        ) => Signal::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Timeouts;
    use crate::domain::AttemptResponse;
    use crate::submission::{RetryPolicy, UnknownResult};

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;
    const SECOND: Duration = Duration::from_secs(1);

    fn throttle() -> Throttle {
        let timeouts = Timeouts { connect: SECOND, exchange: SECOND };
        let retry = RetryPolicy {
            initial_backoff: SECOND,
            max_backoff: 600 * SECOND,
            max_age: 3600 * SECOND,
            not_found_max_age: 3600 * SECOND,
            on_unknown_result: UnknownResult::Retry,
        };
        let options =
            Options { timeouts, max_concurrency: 8, rate: 50, probe_interval: 60 * SECOND, retry };
        Throttle::new(&options, NOW)
    }

    fn answer(status: u16, retry_after: Option<Duration>) -> Attempt {
        Attempt {
            verdict: Verdict::Throttled { retry_after },
            reply: AttemptResponse { status: Some(status), ..AttemptResponse::default() },
            finished_at: NOW,
        }
    }

    #[test]
    fn as_many_run_as_may_run_at_once_and_begin_in_a_second() {
        let mut throttle = throttle();
        assert_eq!(
            (throttle.room(0, NOW), throttle.room(5, NOW), throttle.room(8, NOW)),
            (8, 3, 0)
        );
        assert_eq!(throttle.room_at(8, NOW), None, "it takes the end of an exchange");
        (0..10).for_each(|_| throttle.began(NOW));
        assert_eq!(throttle.room(0, NOW), 0);
        assert_eq!(throttle.room_at(0, NOW), Some(NOW + Duration::from_millis(20)));
        assert_eq!(throttle.room(0, NOW + SECOND), 8);
    }

    #[test]
    fn the_account_is_left_alone_for_as_long_as_is_asked_within_bounds() {
        for (status, asked, waited) in
            [(429, 7, 7), (503, 30, 30), (429, 86_400, 600), (500, 7, 0), (408, 7, 0)]
        {
            let mut throttle = throttle();
            throttle.record(&answer(status, Some(asked * SECOND)), SECOND);
            let until = NOW + waited * SECOND;
            if waited > 0 {
                assert_eq!(throttle.room(0, until - Duration::from_nanos(1)), 0, "{status}");
                assert_eq!(throttle.room_at(0, NOW), Some(until), "{status}");
            }
            assert!(throttle.room(0, until) > 0, "{status}");
            assert_eq!(throttle.room_at(0, until), None, "{status}");
        }
    }

    #[test]
    fn a_clock_that_was_put_back_ends_a_pause() {
        let mut throttle = throttle();
        throttle.record(&answer(503, Some(30 * SECOND)), SECOND);
        assert_eq!(throttle.room(0, NOW), 0);
        assert!(throttle.room(0, NOW - 3600 * SECOND) > 0);
    }

    #[test]
    fn a_pause_that_is_over_does_not_come_back_with_a_clock_that_is_put_back() {
        let mut throttle = throttle();
        let early = NOW - 300 * SECOND;
        throttle.record(&answer(429, Some(5 * SECOND)), SECOND);
        throttle.began(NOW + 5 * SECOND);
        assert!(throttle.room(0, early) > 0);

        throttle.record(&answer(429, Some(60 * SECOND)), SECOND);
        let asked_again =
            Attempt { finished_at: NOW - 3600 * SECOND, ..answer(429, Some(7 * SECOND)) };
        throttle.record(&asked_again, SECOND);
        assert_eq!(throttle.room(0, asked_again.finished_at + 6 * SECOND), 0);
        assert!(throttle.room(0, asked_again.finished_at + 7 * SECOND) > 0);
    }

    #[test]
    fn the_longest_that_was_asked_for_counts() {
        let mut throttle = throttle();
        throttle.record(&answer(429, Some(30 * SECOND)), SECOND);
        throttle.record(&answer(429, Some(7 * SECOND)), SECOND);
        throttle.record(&answer(429, None), SECOND);
        assert_eq!(throttle.room_at(0, NOW), Some(NOW + 30 * SECOND));
    }
}
