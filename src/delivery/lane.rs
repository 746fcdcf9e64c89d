use std::time::Duration;

use jiff::Timestamp;

use super::breaker::Breaker;
use super::pace::Pace;
use super::parts::Options;
use super::refusals::{Cause, Refusals};
use crate::account::PauseCause;
use crate::domain::{Attempt, Verdict};
use crate::store::{Decision, Lease};
use crate::submission::{DeadReason, Next, REJECTIONS_MAX, Tried};

/// How soon a held account is probed first; each probe that does not get through doubles it, up to
/// what the settings say.
const PROBE_FIRST: Duration = Duration::from_secs(1);

/// What the courier has learnt of one account since it runs, and what follows from it.
pub(super) struct Lane {
    pub pace: Pace,
    breaker: Breaker,
    refusals: Refusals,
    /// The far side took the account's credentials, when it last said anything of them.
    is_let_in: bool,
    /// Probes in a row that did not get through.
    probes_failed: u32,
}

impl Lane {
    pub fn new(options: &Options, now: Timestamp) -> Self {
        Self {
            pace: Pace::new(options, now),
            breaker: Breaker::default(),
            refusals: Refusals::default(),
            is_let_in: false,
            probes_failed: 0,
        }
    }

    /// What becomes of a submission after an attempt. Where the account is at fault, or nobody can
    /// be reached, or too many others would die of the same cause, the submission spends nothing and
    /// its account waits.
    pub fn decide(
        &mut self,
        lease: &Lease,
        attempt: Attempt,
        took: Duration,
        options: &Options,
        jitter: f64,
    ) -> Decision {
        let (verdict, now) = (attempt.verdict, attempt.finished_at);
        self.pace.heard(&attempt, took);
        self.breaker.heard(verdict);
        let tried = Tried {
            attempts: lease.attempts + 1,
            age: lease.age + took,
            rejections: self.rejections(lease, verdict),
        };
        match options.retry.next(tried, verdict, now, jitter) {
            Next::Delivered => {
                self.refusals.accepted(lease.ticket.submission);
                Decision::Delivered { attempt }
            }
            Next::HoldUntil(at) => {
                self.hold(lease, attempt, PauseCause::Misconfigured, at, options)
            }
            Next::RetryAt(_) | Next::Dead(_)
                if verdict == Verdict::Unreachable && (lease.probe || self.breaker.is_open()) =>
            {
                self.hold(lease, attempt, PauseCause::Unreachable, now, options)
            }
            Next::RetryAt(at) => Decision::Retry { attempt, at },
            Next::Dead(reason) if !self.are_many(lease, reason, &attempt) => {
                Decision::Dead { attempt, reason }
            }
            // It may have been heard, and the settings do not want it to be heard twice.
            Next::Dead(reason @ DeadReason::UnknownResult) => {
                let probe_at = self.probe_at(lease, &attempt, options);
                Decision::DeadAndHold { attempt, reason, cause: PauseCause::Refusals, probe_at }
            }
            Next::Dead(_) => {
                // Once the account is heard again, it must not stand in the way of those that are
                // accepted.
                let handed_out = u32::try_from(lease.ticket.fence).unwrap_or(u32::MAX);
                let rest = options.retry.wait(handed_out, jitter).min(options.hold_probe);
                self.hold(lease, attempt, PauseCause::Refusals, now + rest, options)
            }
        }
    }

    /// Whether most of the last submissions would have died of this; where that is not known any
    /// more, an account that is held for it speaks for it.
    fn are_many(&mut self, lease: &Lease, reason: DeadReason, attempt: &Attempt) -> bool {
        let cause = Cause::of(reason, attempt);
        let are_many = self.refusals.are_many_of(lease.ticket.submission, cause);
        are_many
            || (lease.held_for == Some(PauseCause::Refusals) && self.refusals.are_too_few_to_tell())
    }

    /// How often the account was said to be at fault about this submission. It is never the last time
    /// while nobody else is let in either: whoever resumes an account too early kills nothing.
    fn rejections(&mut self, lease: &Lease, verdict: Verdict) -> u32 {
        let is_rejected = verdict == Verdict::Misconfigured;
        let rejections = lease.rejections + u32::from(is_rejected && !lease.probe);
        let most = if self.is_let_in { u32::MAX } else { REJECTIONS_MAX - 1 };
        match verdict {
            Verdict::Misconfigured => self.is_let_in = false,
            Verdict::Accepted | Verdict::UnknownCall | Verdict::Refused => self.is_let_in = true,
            Verdict::Busy { .. } | Verdict::Unreachable | Verdict::UnknownResult => {}
        }
        rejections.min(most)
    }

    fn hold(
        &mut self,
        lease: &Lease,
        attempt: Attempt,
        cause: PauseCause,
        at: Timestamp,
        options: &Options,
    ) -> Decision {
        let probe_at = self.probe_at(lease, &attempt, options);
        Decision::Hold { attempt, cause, probe_at, at }
    }

    /// When the account, which is held, may be probed.
    fn probe_at(&mut self, lease: &Lease, attempt: &Attempt, options: &Options) -> Timestamp {
        self.probes_failed = if lease.probe { self.probes_failed.saturating_add(1) } else { 0 };
        let wait = PROBE_FIRST.saturating_mul(1 << self.probes_failed.min(31));
        attempt.finished_at + wait.min(options.hold_probe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Timeouts;
    use crate::domain::Reply;
    use crate::store::Ticket;
    use crate::submission::{Answers, RetryPolicy, SubmissionKey, UnknownResult};

    const SECOND: Duration = Duration::from_secs(1);
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn options() -> Options {
        Options {
            timeouts: Timeouts { connect: SECOND, exchange: SECOND },
            in_flight: 8,
            rate: 50,
            hold_probe: 60 * SECOND,
            retry: RetryPolicy {
                first: SECOND,
                longest: 600 * SECOND,
                age_max: 72 * 3600 * SECOND,
                unknown_call: 24 * 3600 * SECOND,
                unknown_result: UnknownResult::Retry,
            },
        }
    }

    fn lease() -> Lease {
        lease_of("c-1")
    }

    fn lease_of(call: &str) -> Lease {
        let key = SubmissionKey {
            account: "main".parse().unwrap(),
            survey: "quick".parse().unwrap(),
            call: call.parse().unwrap(),
        };
        Lease {
            ticket: Ticket { submission: key.id(), fence: 1, version: 1 },
            key,
            answers: Answers::default(),
            attempts: 0,
            age: Duration::ZERO,
            last_answer_at: NOW,
            again: false,
            may_have_arrived: false,
            held_for: None,
            probe: false,
            rejections: 0,
            as_was: None,
        }
    }

    /// The courier of one account, told one answer after the other.
    struct Told(Lane);

    impl Told {
        fn new() -> Self {
            Self(Lane::new(&options(), NOW))
        }

        fn hears(&mut self, lease: &Lease, verdict: Verdict, status: Option<u16>) -> Decision {
            let reply = Reply { status, ..Reply::default() };
            let attempt = Attempt { verdict, reply, finished_at: NOW };
            self.0.decide(lease, attempt, Duration::ZERO, &options(), 1.0)
        }

        /// How many seconds until the account is probed, where it is held for that cause.
        #[track_caller]
        fn is_held(&mut self, lease: &Lease, verdict: Verdict, for_cause: PauseCause) -> i64 {
            match self.hears(lease, verdict, None) {
                Decision::Hold { cause, probe_at, .. } if cause == for_cause => {
                    probe_at.as_second()
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn who_reaches_nobody_again_and_again_waits_and_probes_ever_more_seldom() {
        let (mut told, probe) = (Told::new(), Lease { probe: true, ..lease() });
        for _ in 0..4 {
            let decision = told.hears(&lease(), Verdict::Unreachable, None);
            assert!(matches!(decision, Decision::Retry { .. }), "{decision:?}");
        }
        let mut held =
            |lease: &Lease| told.is_held(lease, Verdict::Unreachable, PauseCause::Unreachable);
        assert_eq!(held(&lease()), 1);
        assert_eq!([(); 8].map(|()| held(&probe)), [2, 4, 8, 16, 32, 60, 60, 60]);
        // What was under way when it began says that it goes on.
        assert_eq!(held(&lease()), 1);
    }

    #[test]
    fn a_probe_that_reaches_nobody_spends_nothing_whatever_was_forgotten() {
        let probe = Lease { probe: true, ..lease() };
        Told::new().is_held(&probe, Verdict::Unreachable, PauseCause::Unreachable);
    }

    #[test]
    fn an_outage_kills_nothing_that_is_old() {
        let old = Lease { age: 100 * 3600 * SECOND, ..lease() };
        let mut told = Told::new();
        for _ in 0..4 {
            let young = told.hears(&lease(), Verdict::Unreachable, None);
            assert!(matches!(young, Decision::Retry { .. }));
        }
        told.is_held(&old, Verdict::Unreachable, PauseCause::Unreachable);
    }

    #[test]
    fn a_rejection_counts_against_the_submission_only_while_others_get_through() {
        let mut told = Told::new();
        let last = Lease { rejections: REJECTIONS_MAX - 1, ..lease() };
        let probe = Lease { probe: true, ..last.clone() };
        assert_eq!(told.is_held(&lease(), Verdict::Misconfigured, PauseCause::Misconfigured), 1);
        assert_eq!(told.is_held(&probe, Verdict::Misconfigured, PauseCause::Misconfigured), 2);
        // An operator resumes it again and again, and nothing was mended.
        for _ in 0..10 {
            assert_eq!(told.is_held(&last, Verdict::Misconfigured, PauseCause::Misconfigured), 1);
        }
        told.hears(&lease(), Verdict::Accepted, Some(201));
        let decision = told.hears(&last, Verdict::Misconfigured, Some(403));
        assert!(
            matches!(decision, Decision::Dead { reason: DeadReason::Refused, .. }),
            "{decision:?}"
        );
    }

    #[test]
    fn where_most_would_die_of_one_cause_only_a_few_do() {
        let mut told = Told::new();
        let mut dead = 0;
        for n in 0..100 {
            match told.hears(&lease_of(&format!("c-{n}")), Verdict::Refused, Some(422)) {
                Decision::Dead { .. } => dead += 1,
                Decision::Hold { cause: PauseCause::Refusals, at, .. } => assert!(at > NOW),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(dead, 4);
        assert!(matches!(
            told.hears(&lease(), Verdict::Accepted, Some(201)),
            Decision::Delivered { .. }
        ));
        assert!(matches!(told.hears(&lease(), Verdict::Refused, Some(400)), Decision::Dead { .. }));
    }
    #[test]
    fn what_may_have_been_heard_is_dead_where_the_settings_want_that_and_the_account_waits() {
        let mut options = options();
        options.retry.unknown_result = UnknownResult::Dead;
        let mut told = Told::new();
        let mut hears = |n: usize, probe| {
            let lease = Lease { probe, ..lease_of(&format!("c-{n}")) };
            let verdict = Verdict::UnknownResult;
            let attempt = Attempt { verdict, reply: Reply::default(), finished_at: NOW };
            told.0.decide(&lease, attempt, Duration::ZERO, &options, 1.0)
        };
        for n in 0..4 {
            let decision = hears(n, false);
            assert!(matches!(decision, Decision::Dead { .. }), "{decision:?}");
        }
        for (n, probed_at) in [(4, 1), (5, 2), (6, 4)] {
            let decision = hears(n, n > 4);
            let Decision::DeadAndHold { reason, cause, probe_at, .. } = decision else {
                panic!("{decision:?}")
            };
            assert_eq!((reason, cause), (DeadReason::UnknownResult, PauseCause::Refusals));
            assert_eq!(probe_at.as_second(), probed_at);
        }
    }
}
