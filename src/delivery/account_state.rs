use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::breaker::CircuitBreaker;
use super::failure_window::Cause;
use super::failures::{Extent, Failures};
use super::options::Options;
use super::throttle::Throttle;
use crate::account::PauseCause;
use crate::domain::{Attempt, Verdict};
use crate::submission::{AttemptHistory, Claim, DeadReason, Decision, Next, REJECTIONS_MAX};

/// How soon a paused account is probed first; each probe that does not get through doubles it, up to
/// what the settings say.
const PROBE_FIRST: Duration = Duration::from_secs(1);

/// How long a replica whose attempt could not be made, or was taken for one of a wrong account, leaves the
/// account to others: longer than it leads the account, so that one of them leads it next. A network, a
/// limit or a secret may be at fault at this replica alone.
const LEFT_TO_OTHERS: SignedDuration = SignedDuration::from_secs(20);

/// What the dispatcher has learnt of one account since it runs, and what follows from it.
pub(super) struct AccountState {
    pub throttle: Throttle,
    breaker: CircuitBreaker,
    failures: Failures,
    /// The destination took the account's credentials when it last said anything of them.
    is_accepted: bool,
    /// Probes in a row that did not get through.
    probes_failed: u32,
    /// When the last attempt ended, if this replica may be at fault.
    failed_at: Option<Timestamp>,
}

impl AccountState {
    pub fn new(options: &Options, now: Timestamp) -> Self {
        Self {
            throttle: Throttle::new(options, now),
            breaker: CircuitBreaker::default(),
            failures: Failures::default(),
            is_accepted: false,
            probes_failed: 0,
            failed_at: None,
        }
    }

    /// Whether an account of a shared store is claimed of, with room for so many more: each claim renews the
    /// lead, also one of none.
    pub fn is_led(
        &self,
        room: usize,
        in_flight: usize,
        now: Timestamp,
        others_serve: bool,
    ) -> bool {
        // A clock that was put back ends it. An attempt may have ended since `now` was read.
        let failed_lately = self.failed_at.is_some_and(|at| {
            (-SignedDuration::from_secs(1)..LEFT_TO_OTHERS).contains(&now.duration_since(at))
        });
        let is_left = others_serve && failed_lately;
        // Another replica knows neither what is in flight here nor what the destination asked for.
        in_flight > 0 || self.throttle.is_asked_to_wait(now) || (room > 0 && !is_left)
    }

    /// Its settings or its secret changed: this replica may succeed now.
    pub fn may_succeed(&mut self) {
        self.failed_at = None;
    }

    /// Decides what becomes of a submission after an attempt. Where the account is at fault, or the
    /// destination cannot be reached, or too many others would die of the same cause, the submission
    /// spends nothing and its account is paused; where those are of its source alone, it is set aside.
    pub fn decide(
        &mut self,
        claim: &Claim,
        attempt: &Attempt,
        took: Duration,
        options: &Options,
        jitter: f64,
    ) -> Decision {
        let (verdict, now) = (attempt.verdict, attempt.finished_at);
        self.throttle.record(attempt, took);
        self.breaker.record(verdict);
        self.failed_at = matches!(
            verdict,
            Verdict::Unreachable | Verdict::LocalError | Verdict::AccountRejected
        )
        .then_some(now);
        let claims = u32::try_from(claim.token.fence).unwrap_or(u32::MAX);
        let tried = AttemptHistory {
            // What could not begin spends nothing, and waits the longer all the same.
            attempts: match verdict {
                Verdict::LocalError => claims,
                _ => claim.attempts + 1,
            },
            age: claim.age + took,
            rejections: self.rejections(claim, verdict),
        };
        match options.retry.next(tried, verdict, now, jitter) {
            Next::Delivered => {
                self.failures.accepted(claim.token.submission, &claim.sources, now);
                Decision::Delivered
            }
            Next::PauseUntil(at) => {
                self.pause(claim, now, PauseCause::AccountRejected, at, options)
            }
            Next::RetryAt(_) | Next::Dead(_)
                if verdict == Verdict::Unreachable
                    && (claim.is_probe() || self.breaker.is_open()) =>
            {
                self.pause(claim, now, PauseCause::Unreachable, now, options)
            }
            Next::RetryAt(at) => Decision::Retry { at },
            Next::Dead(reason) => {
                // It must not stand in the way of those that are accepted.
                let rest = options.retry.wait(claims, jitter);
                // It may have arrived, and the settings do not want it to be delivered twice.
                let is_final = reason == DeadReason::UnknownResult;
                match self.extent(claim, reason, attempt) {
                    Extent::Account if is_final => {
                        let probe_at = self.probe_at(claim, now, options);
                        Decision::Dead { reason, pause: Some((PauseCause::Rejections, probe_at)) }
                    }
                    Extent::Account => {
                        let at = now + rest.min(options.probe_interval);
                        self.pause(claim, now, PauseCause::Rejections, at, options)
                    }
                    // Not for ever: a sender who has a source's secret can invent calls.
                    Extent::Source if !is_final && tried.age < options.retry.max_age => {
                        Decision::SetAside { at: now + rest }
                    }
                    Extent::Source | Extent::Submission => Decision::Dead { reason, pause: None },
                }
            }
        }
    }

    /// Where most of the last submissions would have died of this; where that is not known any more,
    /// an account that is paused for it speaks for it.
    fn extent(&mut self, claim: &Claim, reason: DeadReason, attempt: &Attempt) -> Extent {
        let cause = Cause::of(reason, attempt);
        let extent = self.failures.extent(
            claim.token.submission,
            &claim.sources,
            &cause,
            attempt.finished_at,
        );
        let is_paused_for_it = claim.paused_for == Some(PauseCause::Rejections);
        match extent {
            Extent::Submission if is_paused_for_it && self.failures.are_too_few_to_tell() => {
                Extent::Account
            }
            known => known,
        }
    }

    /// How often the account was said to be at fault about this submission. It is never the last time
    /// while no other is accepted either: an operator who resumes an account too early kills nothing.
    fn rejections(&mut self, claim: &Claim, verdict: Verdict) -> u32 {
        let is_rejected = verdict == Verdict::AccountRejected;
        let rejections = claim.rejections + u32::from(is_rejected && !claim.is_probe());
        let most = if self.is_accepted { u32::MAX } else { REJECTIONS_MAX - 1 };
        match verdict {
            Verdict::AccountRejected => self.is_accepted = false,
            Verdict::Accepted | Verdict::UnknownCall | Verdict::Rejected => self.is_accepted = true,
            Verdict::Throttled { .. }
            | Verdict::Unreachable
            | Verdict::LocalError
            | Verdict::UnknownResult => {}
        }
        rejections.min(most)
    }

    fn pause(
        &mut self,
        claim: &Claim,
        now: Timestamp,
        cause: PauseCause,
        at: Timestamp,
        options: &Options,
    ) -> Decision {
        Decision::Pause { cause, probe_at: self.probe_at(claim, now, options), at }
    }

    /// When the account, which is paused, may be probed.
    fn probe_at(&mut self, claim: &Claim, now: Timestamp, options: &Options) -> Timestamp {
        self.probes_failed =
            if claim.is_probe() { self.probes_failed.saturating_add(1) } else { 0 };
        let wait = PROBE_FIRST.saturating_mul(1 << self.probes_failed.min(31));
        now + wait.min(options.probe_interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::Timeouts;
    use crate::domain::{AttemptResponse, Feedback, Issues, Rating};
    use crate::submission::{LeaseToken, RetryPolicy, SubmissionKey, UnknownResult};

    const SECOND: Duration = Duration::from_secs(1);
    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn options() -> Options {
        Options {
            timeouts: Timeouts { connect: SECOND, exchange: SECOND },
            max_concurrency: 8,
            rate: 50,
            probe_interval: 60 * SECOND,
            retry: RetryPolicy {
                initial_backoff: SECOND,
                max_backoff: 600 * SECOND,
                max_age: 72 * 3600 * SECOND,
                not_found_max_age: 24 * 3600 * SECOND,
                on_unknown_result: UnknownResult::Retry,
            },
        }
    }

    fn claim() -> Claim {
        claim_of("c-1")
    }

    fn claim_of(call: &str) -> Claim {
        let key = SubmissionKey {
            account: "main".parse().unwrap(),
            survey: "quick".parse().unwrap(),
            call: call.parse().unwrap(),
        };
        Claim {
            token: LeaseToken { submission: key.id(), fence: 1 },
            key,
            feedback: Feedback::new(Rating::BEST, Issues::new(), String::new()).unwrap(),
            number: 1,
            attempts: 0,
            age: Duration::ZERO,
            due_since: NOW,
            fields: std::collections::BTreeMap::new(),
            redelivery: false,
            paused_for: None,
            rejections: 0,
            sources: Vec::new(),
            webhooks: Vec::new(),
        }
    }

    fn probe() -> Claim {
        Claim { paused_for: Some(PauseCause::AccountRejected), ..claim() }
    }

    /// The state of one account, given one response after the other.
    struct Responses(AccountState);

    impl Responses {
        fn new() -> Self {
            Self(AccountState::new(&options(), NOW))
        }

        fn get(&mut self, claim: &Claim, verdict: Verdict, status: Option<u16>) -> Decision {
            let reply = AttemptResponse { status, ..AttemptResponse::default() };
            let attempt = Attempt { verdict, reply, finished_at: NOW };
            self.0.decide(claim, &attempt, Duration::ZERO, &options(), 1.0)
        }

        /// Seconds until the account is probed, if it is paused for that cause.
        #[track_caller]
        fn pauses(&mut self, claim: &Claim, verdict: Verdict, for_cause: PauseCause) -> i64 {
            match self.get(claim, verdict, None) {
                Decision::Pause { cause, probe_at, .. } if cause == for_cause => {
                    probe_at.as_second()
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn who_reaches_nobody_again_and_again_waits_and_probes_ever_more_seldom() {
        let (mut responses, probe) = (Responses::new(), probe());
        for _ in 0..4 {
            let decision = responses.get(&claim(), Verdict::Unreachable, None);
            assert!(matches!(decision, Decision::Retry { .. }), "{decision:?}");
        }
        let mut paused =
            |claim: &Claim| responses.pauses(claim, Verdict::Unreachable, PauseCause::Unreachable);
        assert_eq!(paused(&claim()), 1);
        assert_eq!([(); 8].map(|()| paused(&probe)), [2, 4, 8, 16, 32, 60, 60, 60]);
        // An attempt that was in flight when the pause began confirms it.
        assert_eq!(paused(&claim()), 1);
    }

    #[test]
    fn a_probe_that_reaches_nobody_spends_nothing_whatever_was_forgotten() {
        let probe = probe();
        Responses::new().pauses(&probe, Verdict::Unreachable, PauseCause::Unreachable);
    }

    #[test]
    fn a_replica_whose_attempt_could_not_be_made_leaves_the_account_to_others_until_its_lead_is_over()
     {
        let at = |seconds| NOW + seconds * SECOND;
        for verdict in [Verdict::Unreachable, Verdict::LocalError, Verdict::AccountRejected] {
            let mut responses = Responses::new();
            assert!(responses.0.is_led(1, 0, NOW, true));
            responses.get(&claim(), verdict, None);
            assert!(responses.0.is_led(1, 1, NOW, true), "something is in flight");
            assert!(!responses.0.is_led(1, 0, NOW, true));
            assert!(!responses.0.is_led(1, 0, at(19), true));
            assert!(responses.0.is_led(1, 0, at(20), true));
            assert!(responses.0.is_led(1, 0, at(1), false), "no other could deliver");
            assert!(responses.0.is_led(1, 0, NOW - 3600 * SECOND, true), "the clock was put back");
            responses.0.may_succeed();
            assert!(responses.0.is_led(1, 0, at(1), true));
            responses.get(&claim(), verdict, None);
            responses.get(&claim(), Verdict::Rejected, Some(422));
            assert!(responses.0.is_led(1, 0, at(1), true), "the destination was reached");
        }
    }

    #[test]
    fn a_replica_that_was_asked_to_wait_leads_the_account_until_then() {
        let mut responses = Responses::new();
        let asked = Verdict::Throttled { retry_after: Some(60 * SECOND) };
        responses.get(&claim(), asked, Some(429));
        for (seconds, is_led) in [(0, true), (59, true), (60, false)] {
            assert_eq!(responses.0.is_led(0, 0, NOW + seconds * SECOND, true), is_led, "{seconds}");
        }
    }

    #[test]
    fn a_local_error_pauses_nothing_and_that_of_a_probe_leaves_the_pause_as_it_is() {
        let mut responses = Responses::new();
        for _ in 0..100 {
            for claim in [claim(), probe()] {
                let decision = responses.get(&claim, Verdict::LocalError, None);
                assert!(matches!(decision, Decision::Retry { .. }), "{decision:?}");
            }
        }
    }

    #[test]
    fn a_submission_whose_attempts_cannot_begin_waits_ever_longer() {
        let claimed = |fence| Claim { token: LeaseToken { fence, ..claim().token }, ..claim() };
        let waited = [1, 2, 3, 99].map(|fence| {
            match Responses::new().get(&claimed(fence), Verdict::LocalError, None) {
                Decision::Retry { at } => at.as_second(),
                other => panic!("{other:?}"),
            }
        });
        assert_eq!(waited, [1, 2, 4, 600]);
    }

    #[test]
    fn an_outage_kills_nothing_that_is_old() {
        let old = Claim { age: 100 * 3600 * SECOND, ..claim() };
        let mut responses = Responses::new();
        for _ in 0..4 {
            let young = responses.get(&claim(), Verdict::Unreachable, None);
            assert!(matches!(young, Decision::Retry { .. }));
        }
        responses.pauses(&old, Verdict::Unreachable, PauseCause::Unreachable);
    }

    #[test]
    fn a_rejection_counts_against_the_submission_only_while_others_get_through() {
        let mut responses = Responses::new();
        let last = Claim { rejections: REJECTIONS_MAX - 1, ..claim() };
        let probe = Claim { rejections: last.rejections, ..probe() };
        assert_eq!(
            responses.pauses(&claim(), Verdict::AccountRejected, PauseCause::AccountRejected),
            1
        );
        assert_eq!(
            responses.pauses(&probe, Verdict::AccountRejected, PauseCause::AccountRejected),
            2
        );
        // An operator resumes it again and again, and nothing was repaired.
        for _ in 0..10 {
            assert_eq!(
                responses.pauses(&last, Verdict::AccountRejected, PauseCause::AccountRejected),
                1
            );
        }
        responses.get(&claim(), Verdict::Accepted, Some(201));
        let decision = responses.get(&last, Verdict::AccountRejected, Some(403));
        assert!(
            matches!(decision, Decision::Dead { reason: DeadReason::Rejected, .. }),
            "{decision:?}"
        );
    }

    #[test]
    fn where_most_would_die_of_one_cause_only_a_few_do() {
        let mut responses = Responses::new();
        let mut dead = 0;
        for n in 0..100 {
            match responses.get(&claim_of(&format!("c-{n}")), Verdict::Rejected, Some(422)) {
                Decision::Dead { .. } => dead += 1,
                Decision::Pause { cause: PauseCause::Rejections, at, .. } => assert!(at > NOW),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(dead, 4);
        assert!(matches!(
            responses.get(&claim(), Verdict::Accepted, Some(201)),
            Decision::Delivered
        ));
        assert!(matches!(
            responses.get(&claim(), Verdict::Rejected, Some(400)),
            Decision::Dead { .. }
        ));
    }

    #[test]
    fn what_is_set_aside_dies_once_it_is_as_old_as_any_offer_may_be() {
        let mut responses = Responses::new();
        let of = |call: &str, source: &str, hours: u32| Claim {
            sources: vec![source.parse().unwrap()],
            age: 3600 * SECOND * hours,
            ..claim_of(call)
        };
        responses.get(&of("good", "ivr", 0), Verdict::Accepted, Some(201));
        let mut set_aside = |n: usize, hours: u32| {
            let claim = of(&format!("c-{n}"), "form", hours);
            match responses.get(&claim, Verdict::Rejected, Some(422)) {
                Decision::SetAside { .. } => true,
                Decision::Dead { reason: DeadReason::Rejected, pause: None } => false,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!([0, 1, 2, 3].map(|n| set_aside(n, 0)), [false; 4]);
        assert_eq!([4, 5].map(|n| set_aside(n, 71)), [true; 2]);
        assert_eq!([4, 5].map(|n| set_aside(n, 72)), [false; 2]);
        assert!(set_aside(6, 0));
    }

    #[test]
    fn what_may_have_been_heard_is_dead_where_the_settings_want_that_and_the_account_waits() {
        let mut options = options();
        options.retry.on_unknown_result = UnknownResult::Dead;
        let mut responses = Responses::new();
        let mut get = |n: usize, is_probe: bool| {
            let paused_for = is_probe.then_some(PauseCause::Rejections);
            let claim = Claim { paused_for, ..claim_of(&format!("c-{n}")) };
            let verdict = Verdict::UnknownResult;
            let attempt = Attempt { verdict, reply: AttemptResponse::default(), finished_at: NOW };
            responses.0.decide(&claim, &attempt, Duration::ZERO, &options, 1.0)
        };
        for n in 0..4 {
            let decision = get(n, false);
            assert!(matches!(decision, Decision::Dead { .. }), "{decision:?}");
        }
        for (n, probed_at) in [(4, 1), (5, 2), (6, 4)] {
            let decision = get(n, n > 4);
            let Decision::Dead { reason, pause: Some((cause, probe_at)) } = decision else {
                panic!("{decision:?}")
            };
            assert_eq!((reason, cause), (DeadReason::UnknownResult, PauseCause::Rejections));
            assert_eq!(probe_at.as_second(), probed_at);
        }
    }
}
