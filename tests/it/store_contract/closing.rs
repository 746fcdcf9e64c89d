//! When a submission takes answers, and when no more.

use std::time::Duration;

use postcall::domain::Verdict;
use postcall::submission::{
    ChangedAnswerPolicy, DeadReason, Decision, IgnoredReason, Outcome, Replay, Settled, State,
    UnknownResult,
};

use super::backend::apart_from_late;
use super::spoken::{
    AFTER, BUSY, DELAY, TestMapper, accepted, answer, at, attempt, complete, ignoring, pairs,
    score, unmapping, webhook,
};
use super::{Backend, TestStore};

pub async fn an_attempt_in_flight_closes_a_submission(store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    let claim = store.claim_one(AFTER).await;
    let submission = store.submission("c-1").await;
    let late = store.receive_one(webhook(AFTER, "c-1", &[("score", "2"), ("problem", "1")])).await;
    assert_eq!((late.outcome, late.changed), (Outcome::Late, false));
    let after = apart_from_late(&store.submission("c-1").await);
    assert_eq!(after, submission, "it changes nothing");
    assert_eq!(store.backend.bodies().len(), 2, "and is kept");

    store.retry_one(&claim, attempt(Verdict::UnknownResult, None, AFTER)).await;
    let (_, answers) = store.claim_mapped(1000).await;
    assert_eq!(pairs(&answers), [("score".into(), answer("4"), 0)]);
}

pub async fn what_came_during_an_attempt_that_never_arrived_counts_after_all(
    store: TestStore<impl Backend>,
) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    let claim = store.claim_one(AFTER).await;
    let late = store.receive_one(webhook(AFTER, "c-1", &[("problem", "1")])).await;
    assert_eq!(late.outcome, Outcome::Late);

    store.retry_one(&claim, attempt(Verdict::Unreachable, None, AFTER)).await;
    let (_, answers) = store.claim_mapped(1000).await;
    let both = [("score".into(), answer("4"), 0), ("problem".into(), answer("1"), AFTER)];
    assert_eq!(pairs(&answers), both);
}

pub async fn what_came_earlier_and_was_kept_during_an_attempt_that_never_arrived_is_the_first(
    store: TestStore<impl Backend>,
) {
    store.receive_one(webhook(5, "c-1", &[("score", "4")])).await;
    store.receive_one(webhook(7, "c-1", &[("score", "2")])).await;
    let claim = store.claim_one(500).await;
    assert_eq!(
        store.receive_one(webhook(1, "c-1", &[("score", "2")])).await.outcome,
        Outcome::Duplicate
    );
    let before = store.submission("c-1").await;
    assert_eq!(
        store.receive_one(webhook(1, "c-1", &[("score", "2")])).await.outcome,
        Outcome::Duplicate
    );
    assert_eq!(store.submission("c-1").await, before);
    store.retry_one(&claim, attempt(Verdict::Unreachable, None, 500)).await;
    let (_, answers) = store.claim_mapped(1000).await;
    assert_eq!(score(&answers, ChangedAnswerPolicy::KeepFirst), Some(answer("2")));
    assert_eq!(answers.len(), 2);
}

pub async fn what_came_during_the_last_attempt_is_another_offer(store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    let claim = store.claim_one(AFTER).await;
    store.receive_one(webhook(AFTER, "c-1", &[("problem", "1")])).await;
    let attempt = attempt(Verdict::Unreachable, None, AFTER);
    let dead = Decision::Dead { reason: DeadReason::TooOld, pause: None };
    assert_eq!(store.settle_one(&claim, attempt, dead).await, Settled::NewerAnswers);
    let (next, answers) = store.claim_mapped(AFTER).await;
    assert_eq!((answers.len(), next.attempts, next.age), (2, 0, Duration::ZERO));
}

pub async fn what_came_after_one_that_may_have_arrived_stays_late(store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    let claim = store.claim_one(AFTER).await;
    store.retry_one(&claim, attempt(BUSY, Some(500), AFTER)).await;
    let claim = store.claim_one(1000).await;
    let late = store.receive_one(webhook(1000, "c-1", &[("problem", "1")])).await;
    assert_eq!(late.outcome, Outcome::Late);
    store.retry_one(&claim, attempt(Verdict::Unreachable, None, 1000)).await;
    let (_, answers) = store.claim_mapped(10_000).await;
    assert_eq!(pairs(&answers), [("score".into(), answer("4"), 0)]);
}

pub async fn a_late_duplicate_is_a_duplicate(mut store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    store.claim_one(AFTER).await;
    let outcome = async |store: &TestStore<_>, question, text| {
        store.receive_one(webhook(200, "c-1", &[(question, text)])).await.outcome
    };
    assert_eq!(outcome(&store, "score", "4").await, Outcome::Duplicate, "received in time");
    assert_eq!(outcome(&store, "problem", "").await, Outcome::Late);
    store.reopen();
    assert_eq!(outcome(&store, "problem", "").await, Outcome::Duplicate, "received late");
    assert_eq!(outcome(&store, "problem", "1").await, Outcome::Late);
    assert_eq!(store.backend.bodies().len(), 3);
}

pub async fn what_surely_did_not_arrive_leaves_a_submission_open(store: TestStore<impl Backend>) {
    let not_received = [
        (Verdict::Unreachable, None),
        (BUSY, Some(429)),
        (BUSY, Some(503)),
        (Verdict::AccountRejected, Some(401)),
        (Verdict::AccountRejected, Some(403)),
    ];
    for (verdict, status) in not_received {
        let received = answer_after(&store, verdict, status).await;
        assert_eq!(received, Outcome::Updated, "{verdict:?} {status:?}");
    }
}

pub async fn what_may_have_arrived_keeps_a_submission_closed(store: TestStore<impl Backend>) {
    let maybe_received = [
        (Verdict::Accepted, Some(201)),
        (BUSY, Some(500)),
        (BUSY, Some(502)),
        (BUSY, Some(408)),
        (Verdict::UnknownResult, None),
        (Verdict::UnknownCall, Some(404)),
        (Verdict::AccountRejected, Some(405)),
        (Verdict::Rejected, Some(422)),
    ];
    for (verdict, status) in maybe_received {
        let received = answer_after(&store, verdict, status).await;
        assert_eq!(received, Outcome::Late, "{verdict:?} {status:?}");
    }
}

pub async fn one_attempt_that_may_have_arrived_closes_for_good(mut store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    let claim = store.claim_one(AFTER).await;
    store.retry_one(&claim, attempt(Verdict::UnknownResult, None, AFTER)).await;
    let claim = store.claim_one(1000).await;
    store.retry_one(&claim, attempt(Verdict::Unreachable, None, 1000)).await;
    store.reopen();
    let received = store.receive_one(webhook(1001, "c-1", &[("problem", "1")])).await;
    assert_eq!(received.outcome, Outcome::Late);
}

pub async fn what_may_have_arrived_is_dead_where_the_settings_say_so(
    mut store: TestStore<impl Backend>,
) {
    let looked_at = |on_unknown_result| TestMapper::default().on_unknown_result(on_unknown_result);
    store.receive_one(complete(0, "c-1")).await;
    assert_eq!(store.claim_by(looked_at(UnknownResult::Dead), 100).await.claims.len(), 1);
    store.reopen();
    let claimed = store.claim_by(looked_at(UnknownResult::Retry), 100).await;
    assert_eq!(claimed.claims.len(), 1, "it may be delivered twice");
    store.reopen();
    let submission = store.settle_unsent(looked_at(UnknownResult::Dead), 100).await;
    assert_eq!(submission.state, State::Dead(DeadReason::UnknownResult));
    assert!(submission.document.detail.unwrap().contains("may have arrived"));
    store.check_counts().await;

    let how = Replay { same_payload: false, include_delivered: false, at: at(300) };
    store.replay(vec![submission.id], how).await.unwrap();
    let mut claimed = store.claim_by(looked_at(UnknownResult::Dead), 300).await;
    let claim = claimed.claims.pop().expect("an operator knows, and offers it again");
    store.retry_one(&claim, attempt(BUSY, Some(503), 301)).await;
    let claimed = store.claim_by(looked_at(UnknownResult::Dead), 400).await;
    assert_eq!(claimed.claims.len(), 1, "the destination asked to come back since");
}

/// What a claim maps is what counts when it is committed: a mapping of older answers cannot be kept.
pub async fn what_maps_to_nothing_is_mapped_again_with_a_new_answer(
    store: TestStore<impl Backend>,
) {
    let mappers = [ignoring(IgnoredReason::NoAnswer), unmapping("no such question")];
    for (n, mapper) in mappers.into_iter().enumerate() {
        let call = format!("c-{n}");
        store.receive_one(webhook(0, &call, &[("score", "")])).await;
        store.receive_one(webhook(AFTER - 1, &call, &[("score", "4")])).await;
        let claimed = store.claim_by(TestMapper::default(), AFTER).await;
        assert_eq!((claimed.claims.len(), claimed.settled.len()), (0, 0), "due by what is known");
        let submission = store.submission(&call).await;
        assert_eq!((submission.state, submission.due_at), (State::Collecting, at(2 * AFTER - 1)));
        store.settle_unsent(mapper, 1000).await;
        store.receive_one(webhook(1001, &call, &[("problem", "1")])).await;
        assert_eq!(store.submission(&call).await.due_at, at(1001 + DELAY));
        let (claim, answers) = store.claim_mapped(2000).await;
        assert_eq!(answers.len(), 3);
        store.settle_one(&claim, accepted(2000), Decision::Delivered).await;
        store.check_counts().await;
    }
}

pub async fn a_new_answer_reopens_what_was_ignored_or_unmapped(mut store: TestStore<impl Backend>) {
    let mappers = [ignoring(IgnoredReason::NoAnswer), unmapping("no such question")];
    for (n, mapper) in mappers.into_iter().enumerate() {
        let call = format!("c-{n}");
        store.receive_one(webhook(0, &call, &[("score", "")])).await;
        store.settle_unsent(mapper, AFTER).await;
        store.reopen();
        let received = store.receive_one(webhook(200, &call, &[("problem", "1")])).await;
        assert_eq!(received.outcome, Outcome::Updated);
        let submission = store.submission(&call).await;
        assert_eq!((submission.state, submission.document.detail), (State::Collecting, None));
        assert_eq!(submission.due_at, at(200 + AFTER));
        store.receive_one(webhook(210, &call, &[("score", "4")])).await;
        let submission = store.submission(&call).await;
        assert_eq!((submission.state, submission.due_at), (State::Pending, at(210 + DELAY)));
        store.check_counts().await;
    }
}

pub async fn a_new_answer_to_what_never_arrived_is_a_new_offer(store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    let claim = store.claim_one(AFTER).await;
    let too_old = Decision::Dead { reason: DeadReason::TooOld, pause: None };
    store.settle_one(&claim, attempt(Verdict::Unreachable, None, 500), too_old).await;
    let received = store.receive_one(webhook(600, "c-1", &[("problem", "1")])).await;
    assert_eq!(received.outcome, Outcome::Updated);
    let claim = store.claim_one(600 + DELAY).await;
    assert_eq!((claim.attempts, claim.age.as_secs()), (0, 0));
    store.check_counts().await;
}

pub async fn a_duplicate_reopens_nothing(store: TestStore<impl Backend>) {
    store.receive_one(webhook(10, "c-1", &[("score", "")])).await;
    store.settle_unsent(ignoring(IgnoredReason::NoAnswer), 10 + AFTER).await;
    let submission = store.submission("c-1").await;
    assert_eq!(
        store.receive_one(webhook(200, "c-1", &[("score", "")])).await.outcome,
        Outcome::Duplicate
    );
    let earlier = webhook(5, "c-1", &[("score", "")]);
    assert_eq!(
        store.receive_one(earlier).await.outcome,
        Outcome::Duplicate,
        "received first, kept last"
    );
    assert_eq!(store.submission("c-1").await, submission);
}

/// What a new answer is after an attempt that ended so.
async fn answer_after(
    store: &TestStore<impl Backend>,
    verdict: Verdict,
    status: Option<u16>,
) -> Outcome {
    let call = format!("c-{}-{}", verdict.label().replace('_', "-"), status.unwrap_or(0));
    store.receive_one(webhook(0, &call, &[("score", "4")])).await;
    let claim = store.claim_one(AFTER).await;
    let attempt = attempt(verdict, status, AFTER);
    let later = at(1_000_000);
    let decision = match verdict {
        Verdict::Accepted => Decision::Delivered,
        Verdict::Rejected => Decision::Dead { reason: DeadReason::Rejected, pause: None },
        _ => Decision::Retry { at: later },
    };
    assert_eq!(store.settle_one(&claim, attempt, decision).await, Settled::Done);
    let received = store.receive_one(webhook(AFTER + 1, &call, &[("score", "2")])).await.outcome;
    let waits = store.submission(&call).await.due_at;
    assert!(!store.submission(&call).await.state.is_waiting() || waits == later, "backoff stands");
    let repeat = webhook(AFTER + 2, &call, &[("score", "2")]);
    assert_eq!(store.receive_one(repeat).await.outcome, Outcome::Duplicate);
    received
}
