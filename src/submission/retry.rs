use std::time::Duration;

use jiff::Timestamp;

use super::state::DeadReason;
use crate::domain::Verdict;

/// How long, and how patiently, a submission is offered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// The upper bound of the first backoff; it doubles with every attempt that counts.
    pub initial_backoff: Duration,
    /// The ceiling of any wait, and of what a `Retry-After` may ask for.
    pub max_backoff: Duration,
    /// How old an offer may become, counted from its first attempt.
    pub max_age: Duration,
    /// How long a call that the destination does not know is asked for, counted likewise.
    pub not_found_max_age: Duration,
    pub on_unknown_result: UnknownResult,
}

/// What an operator prefers where it is unknown whether the feedback arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownResult {
    #[default]
    /// It is sent again, and may arrive twice.
    Retry,
    /// It becomes dead for an operator to look at, and may have arrived.
    Dead,
}

/// What a submission has behind it, the attempt just made included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttemptHistory {
    /// Attempts that count: not those that found the account rejected.
    pub attempts: u32,
    /// Time since the first attempt, without that in which its account was paused.
    pub age: Duration,
    /// Responses that blame the account while it was not paused: others got through.
    pub rejections: u32,
}

/// How often a response may blame the account about one submission while it is not paused, that
/// is while others get through. After that the fault is the submission's own.
pub const REJECTIONS_MAX: u32 = 5;

/// What follows from a verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    Delivered,
    RetryAt(Timestamp),
    Dead(DeadReason),
    /// The account waits for better settings; the attempt does not count, and the submission is due again
    /// then.
    PauseUntil(Timestamp),
}

impl RetryPolicy {
    /// `jitter` is in `0.0..=1.0`: the whole wait is jittered, so that what failed together does
    /// not come back together.
    pub fn next(
        &self,
        tried: AttemptHistory,
        verdict: Verdict,
        now: Timestamp,
        jitter: f64,
    ) -> Next {
        let (limit, too_long, asked) = match verdict {
            Verdict::Accepted => return Next::Delivered,
            Verdict::AccountRejected if tried.rejections >= REJECTIONS_MAX => {
                return Next::Dead(DeadReason::Rejected);
            }
            Verdict::AccountRejected => {
                return Next::PauseUntil(now + self.rest(tried.rejections, jitter));
            }
            Verdict::Rejected => return Next::Dead(DeadReason::Rejected),
            Verdict::UnknownCall => {
                (self.not_found_max_age.min(self.max_age), DeadReason::UnknownCall, None)
            }
            Verdict::Throttled { retry_after } => (self.max_age, DeadReason::TooOld, retry_after),
            Verdict::UnknownResult if self.on_unknown_result == UnknownResult::Dead => {
                return Next::Dead(DeadReason::UnknownResult);
            }
            // Our own fault, of which nothing dies.
            Verdict::LocalError => return Next::RetryAt(now + self.wait(tried.attempts, jitter)),
            Verdict::Unreachable | Verdict::UnknownResult => {
                (self.max_age, DeadReason::TooOld, None)
            }
        };
        if tried.age >= limit {
            return Next::Dead(too_long);
        }
        let wait = self.wait(tried.attempts, jitter).max(asked.unwrap_or_default());
        Next::RetryAt(now + wait.min(self.max_backoff))
    }

    /// None after the first rejection, which is the account's fault as far as anybody knows. What is
    /// rejected again although others got through keeps out of their way.
    fn rest(&self, rejections: u32, jitter: f64) -> Duration {
        if rejections < 2 { Duration::ZERO } else { self.wait(rejections - 1, jitter) }
    }

    /// Full jitter below a ceiling that doubles: `first`, 2 × `first`, 4 × `first` … `longest`.
    pub fn wait(&self, attempts: u32, jitter: f64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let ceiling = self.initial_backoff.saturating_mul(1 << doublings).min(self.max_backoff);
        ceiling.mul_f64(jitter.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: RetryPolicy = RetryPolicy {
        initial_backoff: Duration::from_secs(1),
        max_backoff: Duration::from_secs(600),
        max_age: Duration::from_secs(72 * 3600),
        not_found_max_age: Duration::from_secs(24 * 3600),
        on_unknown_result: UnknownResult::Retry,
    };
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn tried(attempts: u32, age_hours: u64) -> AttemptHistory {
        AttemptHistory { attempts, age: Duration::from_secs(age_hours * 3600), rejections: 0 }
    }

    #[test]
    fn the_wait_doubles_up_to_its_ceiling() {
        let waited =
            |attempts| match POLICY.next(tried(attempts, 0), Verdict::Unreachable, NOW, 1.0) {
                Next::RetryAt(at) => at.as_second(),
                other => panic!("{other:?}"),
            };
        assert_eq!([1, 2, 3, 10, 11, 4_000_000].map(waited), [1, 2, 4, 512, 600, 600]);
    }

    #[test]
    fn what_the_far_side_asks_for_is_waited_within_bounds() {
        let at = |seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            POLICY.next(tried(1, 0), Verdict::Throttled { retry_after }, NOW, 0.0)
        };
        assert_eq!(at(7), Next::RetryAt(NOW + Duration::from_secs(7)));
        assert_eq!(at(86_400), Next::RetryAt(NOW + POLICY.max_backoff));
    }

    #[test]
    fn an_unknown_call_is_given_up_sooner_than_a_far_side_that_is_down() {
        let next = |verdict, hours| POLICY.next(tried(50, hours), verdict, NOW, 0.5);
        assert!(matches!(next(Verdict::UnknownCall, 23), Next::RetryAt(_)));
        assert_eq!(next(Verdict::UnknownCall, 24), Next::Dead(DeadReason::UnknownCall));
        assert!(matches!(next(Verdict::Unreachable, 71), Next::RetryAt(_)));
        assert_eq!(next(Verdict::Unreachable, 72), Next::Dead(DeadReason::TooOld));
        assert_eq!(next(Verdict::UnknownResult, 72), Next::Dead(DeadReason::TooOld));
        assert!(matches!(next(Verdict::LocalError, 1000), Next::RetryAt(_)));
    }

    #[test]
    fn a_refusal_is_final_and_a_misconfiguration_is_not_the_submissions_fault() {
        assert_eq!(
            POLICY.next(tried(1, 0), Verdict::Rejected, NOW, 0.5),
            Next::Dead(DeadReason::Rejected)
        );
        assert_eq!(
            POLICY.next(tried(9, 999), Verdict::AccountRejected, NOW, 0.5),
            Next::PauseUntil(NOW)
        );
    }

    #[test]
    fn what_alone_is_rejected_keeps_out_of_the_way_and_is_its_own_fault_in_the_end() {
        let next = |rejections| {
            let tried = AttemptHistory { rejections, ..tried(1, 0) };
            POLICY.next(tried, Verdict::AccountRejected, NOW, 1.0)
        };
        let waited = [1, 2, 3, 4].map(|rejections| match next(rejections) {
            Next::PauseUntil(at) => at.as_second(),
            other => panic!("{other:?}"),
        });
        assert_eq!(waited, [0, 1, 2, 4]);
        assert_eq!(next(REJECTIONS_MAX), Next::Dead(DeadReason::Rejected));
    }

    #[test]
    fn an_operator_may_prefer_silence_to_a_second_hearing() {
        let next = |on_unknown_result, verdict| {
            let policy = RetryPolicy { on_unknown_result, ..POLICY };
            policy.next(tried(1, 0), verdict, NOW, 1.0)
        };
        let (retry, dead) = (UnknownResult::Retry, UnknownResult::Dead);
        assert!(matches!(next(retry, Verdict::UnknownResult), Next::RetryAt(_)));
        assert_eq!(next(dead, Verdict::UnknownResult), Next::Dead(DeadReason::UnknownResult));
        assert!(matches!(next(dead, Verdict::Unreachable), Next::RetryAt(_)));
    }

    proptest! {
        #[test]
        fn no_wait_is_longer_than_the_longest(
            attempts in 1u32.., jitter in 0.0f64..=1.0, asked in proptest::option::of(0u64..10_000_000),
        ) {
            let verdict = Verdict::Throttled { retry_after: asked.map(Duration::from_secs) };
            let Next::RetryAt(at) = POLICY.next(tried(attempts, 0), verdict, NOW, jitter) else {
                panic!("a busy destination is retried");
            };
            prop_assert!(at >= NOW && at <= NOW + POLICY.max_backoff);
        }
    }
}
