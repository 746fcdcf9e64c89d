//! When a submission takes answers, and when no more.

use std::time::Duration;

use postcall::domain::Verdict;
use postcall::store::{Begun, Decision, Outcome, Replay, Settled};
use postcall::submission::{ChangedAnswerPolicy, DeadReason, IgnoredReason, State};

use super::spoken::{
    AFTER, BUSY, DELAY, answer, at, attempt, complete, hook, ignored, pairs, score, unmapped,
};
use super::{Backend, Ledger};

pub async fn an_attempt_under_way_closes_a_submission(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    let lease = ledger.lease_one(AFTER).await;
    ledger.begin_one(&lease, AFTER).await;
    let row = ledger.row("c-1").await;
    let late = ledger.hear(hook(AFTER, "c-1", &[("score", "2"), ("problem", "1")])).await;
    assert_eq!((late.outcome, late.changed), (Outcome::Late, false));
    assert_eq!(ledger.row("c-1").await, row, "it changes nothing");
    assert_eq!(ledger.backend.bodies().len(), 2, "and is kept");

    ledger.retry_one(&lease, attempt(Verdict::UnknownResult, None, AFTER)).await;
    let next = ledger.lease_one(1000).await;
    assert_eq!(pairs(&next.answers), [("score".into(), answer("4"), 0)]);
}

pub async fn what_came_during_an_attempt_that_never_arrived_counts_after_all(
    ledger: Ledger<impl Backend>,
) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    let lease = ledger.lease_one(AFTER).await;
    ledger.begin_one(&lease, AFTER).await;
    let late = ledger.hear(hook(AFTER, "c-1", &[("problem", "1")])).await;
    assert_eq!(late.outcome, Outcome::Late);

    ledger.retry_one(&lease, attempt(Verdict::Unreachable, None, AFTER)).await;
    let next = ledger.lease_one(1000).await;
    let both = [("score".into(), answer("4"), 0), ("problem".into(), answer("1"), AFTER)];
    assert_eq!(pairs(&next.answers), both);
    assert!(next.ticket.version > lease.ticket.version);
}

pub async fn what_came_earlier_and_was_kept_during_an_attempt_that_never_arrived_is_the_first(
    ledger: Ledger<impl Backend>,
) {
    ledger.hear(hook(5, "c-1", &[("score", "4")])).await;
    ledger.hear(hook(7, "c-1", &[("score", "2")])).await;
    let lease = ledger.attempt_one(500).await;
    assert_eq!(ledger.hear(hook(1, "c-1", &[("score", "2")])).await.outcome, Outcome::Repeat);
    let before = ledger.row("c-1").await;
    assert_eq!(ledger.hear(hook(1, "c-1", &[("score", "2")])).await.outcome, Outcome::Repeat);
    assert_eq!(ledger.row("c-1").await, before);
    ledger.retry_one(&lease, attempt(Verdict::Unreachable, None, 500)).await;
    let next = ledger.lease_one(1000).await;
    assert_eq!(score(&next.answers, ChangedAnswerPolicy::KeepFirst), Some(answer("2")));
    assert_eq!(next.answers.len(), 2);
}

pub async fn what_came_during_the_last_attempt_is_another_offer(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    let lease = ledger.attempt_one(AFTER).await;
    ledger.hear(hook(AFTER, "c-1", &[("problem", "1")])).await;
    let attempt = attempt(Verdict::Unreachable, None, AFTER);
    let decision = Decision::Dead { attempt, reason: DeadReason::TooOld };
    assert_eq!(ledger.settle_one(&lease, decision, AFTER).await, Settled::NewerAnswers);
    let next = ledger.lease_one(AFTER).await;
    assert_eq!((next.answers.len(), next.attempts, next.age), (2, 0, Duration::ZERO));
}

pub async fn what_came_after_one_that_may_have_arrived_stays_late(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    let lease = ledger.lease_one(AFTER).await;
    ledger.begin_one(&lease, AFTER).await;
    ledger.retry_one(&lease, attempt(BUSY, Some(500), AFTER)).await;
    let lease = ledger.lease_one(1000).await;
    ledger.begin_one(&lease, 1000).await;
    let late = ledger.hear(hook(1000, "c-1", &[("problem", "1")])).await;
    assert_eq!(late.outcome, Outcome::Late);
    ledger.retry_one(&lease, attempt(Verdict::Unreachable, None, 1000)).await;
    let next = ledger.lease_one(10_000).await;
    assert_eq!(pairs(&next.answers), [("score".into(), answer("4"), 0)]);
}

pub async fn a_late_repeat_is_a_repeat(mut ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    ledger.attempt_one(AFTER).await;
    let outcome = async |ledger: &Ledger<_>, question, text| {
        ledger.hear(hook(200, "c-1", &[(question, text)])).await.outcome
    };
    assert_eq!(outcome(&ledger, "score", "4").await, Outcome::Repeat, "heard in time");
    assert_eq!(outcome(&ledger, "problem", "").await, Outcome::Late);
    ledger.reopen();
    assert_eq!(outcome(&ledger, "problem", "").await, Outcome::Repeat, "heard late");
    assert_eq!(outcome(&ledger, "problem", "1").await, Outcome::Late);
    assert_eq!(ledger.backend.bodies().len(), 3);
}

pub async fn what_surely_did_not_arrive_leaves_a_submission_open(ledger: Ledger<impl Backend>) {
    let not_received = [
        (Verdict::Unreachable, None),
        (BUSY, Some(429)),
        (BUSY, Some(503)),
        (Verdict::Misconfigured, Some(401)),
        (Verdict::Misconfigured, Some(403)),
    ];
    for (verdict, status) in not_received {
        let heard = answer_after(&ledger, verdict, status).await;
        assert_eq!(heard, Outcome::Added, "{verdict:?} {status:?}");
    }
}

pub async fn what_may_have_arrived_keeps_a_submission_closed(ledger: Ledger<impl Backend>) {
    let maybe_received = [
        (Verdict::Accepted, Some(201)),
        (BUSY, Some(500)),
        (BUSY, Some(502)),
        (BUSY, Some(408)),
        (Verdict::UnknownResult, None),
        (Verdict::UnknownCall, Some(404)),
        (Verdict::Misconfigured, Some(405)),
        (Verdict::Refused, Some(422)),
    ];
    for (verdict, status) in maybe_received {
        let heard = answer_after(&ledger, verdict, status).await;
        assert_eq!(heard, Outcome::Late, "{verdict:?} {status:?}");
    }
}

pub async fn one_attempt_that_may_have_arrived_closes_for_good(mut ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    let lease = ledger.attempt_one(AFTER).await;
    ledger.retry_one(&lease, attempt(Verdict::UnknownResult, None, AFTER)).await;
    let lease = ledger.attempt_one(1000).await;
    ledger.retry_one(&lease, attempt(Verdict::Unreachable, None, 1000)).await;
    ledger.reopen();
    let heard = ledger.hear(hook(1001, "c-1", &[("problem", "1")])).await;
    assert_eq!(heard.outcome, Outcome::Late);
}

pub async fn whoever_takes_up_what_may_have_arrived_is_told(mut ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    assert!(!ledger.attempt_one(100).await.may_have_arrived);
    ledger.reopen();
    let lease = ledger.attempt_one(100).await;
    assert!(lease.may_have_arrived, "nobody settled it");
    ledger.retry_one(&lease, attempt(BUSY, Some(503), 101)).await;
    let lease = ledger.attempt_one(200).await;
    assert!(!lease.may_have_arrived, "it was told to come back since");
    let attempt = attempt(Verdict::UnknownResult, None, 201);
    let reason = DeadReason::UnknownResult;
    ledger.settle_one(&lease, Decision::Dead { attempt, reason }, 201).await;
    let how = Replay { as_was: false, accepted_too: false, at: at(300) };
    ledger.replay(vec![lease.ticket.submission], how).await.unwrap();
    assert!(!ledger.lease_one(300).await.may_have_arrived, "a person knows");
}

pub async fn an_attempt_on_older_answers_does_not_begin(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    let stale = ledger.lease_one(AFTER).await;
    let newer = hook(AFTER + 1, "c-1", &[("problem", "1")]);
    assert_eq!(ledger.hear(newer).await.outcome, Outcome::Added, "a lease alone closes nothing");
    assert_eq!(ledger.begin_one(&stale, AFTER + 1).await, Begun::NewerAnswers);
    assert_eq!(ledger.begin_one(&stale, AFTER + 1).await, Begun::LeaseLost, "it was given back");
    let row = ledger.row("c-1").await;
    assert_eq!((row.due_at, row.last_attempt), (at(AFTER + 1 + DELAY), None));
    assert_eq!(ledger.lease_one(1000).await.answers.len(), 2);
}

pub async fn a_decision_on_older_answers_is_not_written_down(ledger: Ledger<impl Backend>) {
    let decisions = [ignored(IgnoredReason::NoAnswer), unmapped("no such question")];
    for (n, decision) in decisions.into_iter().enumerate() {
        let call = format!("c-{n}");
        ledger.hear(hook(0, &call, &[("score", "")])).await;
        let stale = ledger.lease_one(AFTER).await;
        ledger.hear(hook(AFTER + 1, &call, &[("score", "4")])).await;
        let settled = ledger.settle_one(&stale, decision, AFTER + 2).await;
        assert_eq!(settled, Settled::NewerAnswers);
        let row = ledger.row(&call).await;
        assert_eq!((row.state, row.due_at), (State::Pending, at(2 * AFTER + 1)));
        let fresh = ledger.attempt_one(1000).await;
        assert_eq!(fresh.answers.len(), 2);
        ledger.check_books().await;
    }
}

pub async fn a_new_answer_reopens_what_was_ignored_or_unmapped(mut ledger: Ledger<impl Backend>) {
    let decisions = [ignored(IgnoredReason::NoAnswer), unmapped("no such question")];
    for (n, decision) in decisions.into_iter().enumerate() {
        let call = format!("c-{n}");
        ledger.hear(hook(0, &call, &[("score", "")])).await;
        let lease = ledger.lease_one(AFTER).await;
        assert_eq!(ledger.settle_one(&lease, decision, AFTER).await, Settled::Done);
        ledger.reopen();
        let heard = ledger.hear(hook(200, &call, &[("problem", "1")])).await;
        assert_eq!(heard.outcome, Outcome::Added);
        let row = ledger.row(&call).await;
        assert_eq!((row.state, row.detail), (State::Collecting, None));
        assert_eq!(row.due_at, at(200 + AFTER));
        ledger.hear(hook(210, &call, &[("score", "4")])).await;
        let row = ledger.row(&call).await;
        assert_eq!((row.state, row.due_at), (State::Pending, at(210 + DELAY)));
        ledger.check_books().await;
    }
}

pub async fn a_new_answer_to_what_never_arrived_starts_afresh(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    let lease = ledger.attempt_one(AFTER).await;
    let too_old = Decision::Dead {
        attempt: attempt(Verdict::Unreachable, None, 500),
        reason: DeadReason::TooOld,
    };
    ledger.settle_one(&lease, too_old, 500).await;
    let heard = ledger.hear(hook(600, "c-1", &[("problem", "1")])).await;
    assert_eq!(heard.outcome, Outcome::Added);
    let lease = ledger.lease_one(600 + DELAY).await;
    assert_eq!((lease.attempts, lease.age.as_secs()), (0, 0));
    ledger.check_books().await;
}

pub async fn a_repeat_reopens_nothing(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(10, "c-1", &[("score", "")])).await;
    let lease = ledger.lease_one(10 + AFTER).await;
    ledger.settle_one(&lease, ignored(IgnoredReason::NoAnswer), 10 + AFTER).await;
    let row = ledger.row("c-1").await;
    assert_eq!(ledger.hear(hook(200, "c-1", &[("score", "")])).await.outcome, Outcome::Repeat);
    let earlier = hook(5, "c-1", &[("score", "")]);
    assert_eq!(ledger.hear(earlier).await.outcome, Outcome::Repeat, "received first, kept last");
    assert_eq!(ledger.row("c-1").await, row);
}

/// What a new answer is after an attempt that ended so.
async fn answer_after(
    ledger: &Ledger<impl Backend>,
    verdict: Verdict,
    status: Option<u16>,
) -> Outcome {
    let call = format!("c-{}-{}", verdict.label().replace('_', "-"), status.unwrap_or(0));
    ledger.hear(hook(0, &call, &[("score", "4")])).await;
    let lease = ledger.attempt_one(AFTER).await;
    let attempt = attempt(verdict, status, AFTER);
    let later = at(1_000_000);
    let decision = match verdict {
        Verdict::Accepted => Decision::Delivered { attempt },
        Verdict::Refused => Decision::Dead { attempt, reason: DeadReason::Refused },
        _ => Decision::Retry { attempt, at: later },
    };
    assert_eq!(ledger.settle_one(&lease, decision, AFTER).await, Settled::Done);
    let heard = ledger.hear(hook(AFTER + 1, &call, &[("score", "2")])).await.outcome;
    let waits = ledger.row(&call).await.due_at;
    assert!(!ledger.row(&call).await.state.is_waiting() || waits == later, "backoff stands");
    let repeat = hook(AFTER + 2, &call, &[("score", "2")]);
    assert_eq!(ledger.hear(repeat).await.outcome, Outcome::Repeat);
    heard
}
