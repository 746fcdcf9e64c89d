//! Callers and senders that change an answer.

use std::time::Duration;

use postcall::account::PauseCause;
use postcall::domain::Verdict;
use postcall::store::ReceiveRequest;
use postcall::submission::{
    ChangedAnswerPolicy, Claim, DeadReason, Decision, IgnoredReason, Json, Outcome, Settled, State,
};

use super::backend::apart_from_late;
use super::spoken::{
    AFTER, BUSY, DELAY, FEEDBACK, accepted, answer, at, attempt, complete, hang_up, ignoring,
    opt_out, pairs, score, webhook, with_field, with_policy,
};
use super::{Backend, TestStore};

/// The score, to a survey in which the last one counts.
fn last(second: i64, text: &str) -> ReceiveRequest {
    with_policy(ChangedAnswerPolicy::KeepLast, webhook(second, "c-1", &[("score", text)]))
}

/// The score, to a survey in which the last one counts even after the delivery.
fn resend(second: i64, text: &str) -> ReceiveRequest {
    with_policy(ChangedAnswerPolicy::Redeliver, webhook(second, "c-1", &[("score", text)]))
}

/// A complete submission with the score 4, delivered at 101.
async fn delivered(store: &TestStore<impl Backend>, changes: ChangedAnswerPolicy) -> Claim {
    store.receive_one(with_policy(changes, complete(0, "c-1"))).await;
    let claim = store.claim_one(100).await;
    assert_eq!(store.settle_one(&claim, accepted(101), Decision::Delivered).await, Settled::Done);
    claim
}

pub async fn where_the_first_answer_counts_a_duplicate_leaves_no_trace(
    store: TestStore<impl Backend>,
) {
    for (second, text) in [(0, "4"), (1, "2"), (2, "4")] {
        store.receive_one(webhook(second, "c-1", &[("score", text)])).await;
    }
    let answers = store.claim_mapped(1000).await.1;
    assert!(answers.recorded().all(|it| it.last_at == it.received_at), "{answers:?}");
    assert_eq!(score(&answers, ChangedAnswerPolicy::KeepFirst), Some(answer("4")));
}

pub async fn where_the_last_answer_counts_going_back_to_the_first_is_a_new_answer(
    mut store: TestStore<impl Backend>,
) {
    let first = store.receive_one(last(0, "4")).await;
    assert_eq!((first.outcome, first.changed), (Outcome::Created, false));
    let second = store.receive_one(last(1, "2")).await;
    assert_eq!((second.outcome, second.changed), (Outcome::Updated, true));
    store.reopen();
    let back = store.receive_one(last(2, "4")).await;
    assert_eq!((back.outcome, back.changed), (Outcome::Updated, false));
    assert_eq!(score(&back.answers, ChangedAnswerPolicy::KeepLast), Some(answer("4")));
    let (_, answers) = store.claim_mapped(500).await;
    assert_eq!(score(&answers, ChangedAnswerPolicy::KeepLast), Some(answer("4")));
    assert_eq!(store.submission("c-1").await.due_at, at(1 + AFTER), "nothing new is waited after");
    assert_eq!(store.backend.bodies().len(), 3);
}

pub async fn an_answer_given_again_that_counts_already_is_a_duplicate(
    store: TestStore<impl Backend>,
) {
    for request in [last(0, "2"), last(1, "4")] {
        store.receive_one(request).await;
    }
    let before = store.submission("c-1").await;
    for request in [last(5, "4"), last(1, "4"), last(1, "2")] {
        assert_eq!(store.receive_one(request).await.outcome, Outcome::Duplicate);
    }
    assert_eq!(store.backend.bodies().len(), 2);
    // It was last given at 5, so what came before that does not count.
    assert_eq!(store.receive_one(last(4, "2")).await.outcome, Outcome::Duplicate);
    let after = store.submission("c-1").await;
    assert_eq!((after.state, after.due_at), (before.state, before.due_at));
    let (_, answers) = store.claim_mapped(500).await;
    assert_eq!(answers.len(), 2);
    assert_eq!(score(&answers, ChangedAnswerPolicy::KeepLast), Some(answer("4")));
}

pub async fn an_answer_that_counts_again_reopens_what_was_ignored(store: TestStore<impl Backend>) {
    for request in [last(0, "4"), last(1, "2")] {
        store.receive_one(request).await;
    }
    store.settle_unsent(ignoring(IgnoredReason::Rule), 500).await;
    assert_eq!(store.receive_one(last(501, "2")).await.outcome, Outcome::Duplicate);
    assert_eq!(store.submission("c-1").await.state, State::Ignored(IgnoredReason::Rule));
    assert_eq!(store.receive_one(last(502, "4")).await.outcome, Outcome::Updated);
    let (_, answers) = store.claim_mapped(502).await;
    assert_eq!(score(&answers, ChangedAnswerPolicy::KeepLast), Some(answer("4")));
    store.check_counts().await;
}

pub async fn the_last_answer_counts_until_the_submission_is_closed(store: TestStore<impl Backend>) {
    delivered(&store, ChangedAnswerPolicy::KeepLast).await;
    let submission = store.submission("c-1").await;
    for (second, text, outcome) in
        [(200, "2", Outcome::Late), (201, "2", Outcome::Duplicate), (202, "4", Outcome::Late)]
    {
        let received = store.receive_one(last(second, text)).await;
        assert_eq!((received.outcome, received.changed), (outcome, false), "{text}");
    }
    assert_eq!(apart_from_late(&store.submission("c-1").await), submission);
}

pub async fn what_came_again_during_an_attempt_that_never_arrived_counts(
    store: TestStore<impl Backend>,
) {
    for request in [last(0, "4"), last(1, "2")] {
        store.receive_one(request).await;
    }
    let claim = store.claim_one(500).await;
    assert_eq!(store.receive_one(last(501, "4")).await.outcome, Outcome::Late);
    store.retry_one(&claim, attempt(Verdict::Unreachable, None, 502)).await;
    let (next, answers) = store.claim_mapped(1000).await;
    assert_eq!(score(&answers, ChangedAnswerPolicy::KeepLast), Some(answer("4")));
    assert_eq!(answers.len(), 2);
    store.retry_one(&next, attempt(Verdict::UnknownResult, None, 1000)).await;
    assert_eq!(store.receive_one(last(1001, "2")).await.outcome, Outcome::Late);
    let (_, answers) = store.claim_mapped(2000).await;
    assert_eq!(score(&answers, ChangedAnswerPolicy::KeepLast), Some(answer("4")), "it was closed");
}

pub async fn another_answer_after_the_delivery_is_delivered_too(
    mut store: TestStore<impl Backend>,
) {
    let first = delivered(&store, ChangedAnswerPolicy::Redeliver).await;
    assert!(!first.redelivery);
    let changed = store.receive_one(resend(200, "2")).await;
    assert_eq!((changed.outcome, changed.changed), (Outcome::Updated, true));
    let submission = store.submission("c-1").await;
    assert_eq!((submission.state, submission.due_at), (State::Pending, at(200 + DELAY)));
    assert_eq!(
        submission.document.delivered.as_ref().map(Json::as_str),
        Some(FEEDBACK),
        "what was delivered stays known"
    );
    store.check_counts().await;
    store.reopen();
    let (claim, answers) = store.claim_mapped(200 + DELAY).await;
    assert!(claim.redelivery);
    assert_eq!((claim.attempts, claim.age), (0, Duration::ZERO), "it is another offer");
    assert_eq!(score(&answers, ChangedAnswerPolicy::Redeliver), Some(answer("2")));
    store.settle_one(&claim, accepted(300), Decision::Delivered).await;
    assert_eq!(store.submission("c-1").await.state, State::Delivered);
    assert_eq!(
        store.receive_one(resend(400, "4")).await.outcome,
        Outcome::Updated,
        "back to the first"
    );
    assert_eq!(store.claim_one(1000).await.due_since, at(400));
    store.check_counts().await;
}

pub async fn what_is_missing_is_delivered_too_when_it_comes_after_the_delivery(
    store: TestStore<impl Backend>,
) {
    store.receive_one(resend(0, "2")).await;
    let claim = store.claim_one(AFTER).await;
    store.settle_one(&claim, accepted(AFTER), Decision::Delivered).await;
    let missing =
        with_policy(ChangedAnswerPolicy::Redeliver, webhook(500, "c-1", &[("problem", "1")]));
    let received = store.receive_one(missing).await;
    assert_eq!((received.outcome, received.changed), (Outcome::Updated, false));
    assert_eq!(store.claim_mapped(500 + DELAY).await.1.len(), 2);
}

pub async fn what_counts_for_nothing_is_not_delivered_again(store: TestStore<impl Backend>) {
    delivered(&store, ChangedAnswerPolicy::Redeliver).await;
    let submission = store.submission("c-1").await;
    for (request, outcome) in [
        (resend(200, "4"), Outcome::Duplicate),
        (resend(201, ""), Outcome::Late),
        (resend(202, "7"), Outcome::Late),
        (with_policy(ChangedAnswerPolicy::Redeliver, hang_up(203, "c-1")), Outcome::Late),
        (
            with_policy(
                ChangedAnswerPolicy::Redeliver,
                with_field("campaign", "x", hang_up(204, "c-1")),
            ),
            Outcome::Late,
        ),
        (with_policy(ChangedAnswerPolicy::Redeliver, opt_out(205, "c-1")), Outcome::Late),
        // It came before what was delivered and was kept after it.
        (resend(-5, "1"), Outcome::Late),
    ] {
        assert_eq!(store.receive_one(request).await.outcome, outcome);
        assert_eq!(apart_from_late(&store.submission("c-1").await), submission);
    }
}

pub async fn what_changed_during_an_attempt_is_delivered_whatever_becomes_of_it(
    store: TestStore<impl Backend>,
) {
    let now = 200;
    let ended = |verdict, status| attempt(verdict, status, now);
    let pause =
        Decision::Pause { cause: PauseCause::AccountRejected, probe_at: at(now + 5), at: at(now) };
    let dead = Decision::Dead { reason: DeadReason::Rejected, pause: None };
    let retry = |second| Decision::Retry { at: at(second) };
    for (n, (attempt, decision, settled, due)) in [
        (accepted(now), Decision::Delivered, Settled::Done, 150 + DELAY),
        (ended(BUSY, Some(500)), retry(now + 5), Settled::Done, 150 + DELAY),
        (ended(Verdict::Unreachable, None), retry(1000), Settled::Done, 1000),
        (ended(Verdict::Rejected, Some(422)), dead, Settled::NewerAnswers, 150 + DELAY),
        (ended(Verdict::AccountRejected, Some(405)), pause, Settled::Done, 150 + DELAY),
    ]
    .into_iter()
    .enumerate()
    {
        let call = format!("c-{n}");
        store.receive_one(with_policy(ChangedAnswerPolicy::Redeliver, complete(0, &call))).await;
        let claim = store.claim_one(100).await;
        let other =
            with_policy(ChangedAnswerPolicy::Redeliver, webhook(150, &call, &[("score", "2")]));
        let received = store.receive_one(other).await;
        assert_eq!((received.outcome, received.changed), (Outcome::Updated, true));
        assert_eq!(store.settle_one(&claim, attempt, decision).await, settled);
        let submission = store.submission(&call).await;
        assert_eq!((submission.state, submission.due_at), (State::Pending, at(due)), "{call}");
        store.check_counts().await;
        let (claim, answers) = store.claim_mapped(2000).await;
        assert_eq!(score(&answers, ChangedAnswerPolicy::Redeliver), Some(answer("2")));
        store.settle_one(&claim, accepted(2000), Decision::Delivered).await;
        assert_eq!(store.submission(&call).await.state, State::Delivered, "once is enough");
    }
}

pub async fn what_changed_during_an_attempt_survives_a_sudden_end(store: TestStore<impl Backend>) {
    store.receive_one(with_policy(ChangedAnswerPolicy::Redeliver, complete(0, "c-1"))).await;
    let claim = store.claim_one(100).await;
    store.receive_one(with_field("campaign", "spring", resend(150, "2"))).await;
    let lost = store.after_a_sudden_end();
    let submission = lost.submission("c-1").await;
    assert_eq!(
        (submission.state, submission.due_at, submission.document.attempts_used),
        (State::Pending, at(150 + DELAY), 1)
    );
    let (next, answers) = lost.claim_mapped(150 + DELAY).await;
    assert!(next.token.fence > claim.token.fence);
    assert_eq!(score(&answers, ChangedAnswerPolicy::Redeliver), Some(answer("2")));
    assert_eq!(answers.field("campaign"), Some("spring"));

    store.settle_one(&claim, accepted(160), Decision::Delivered).await;
    let settled = store.after_a_sudden_end();
    assert_eq!(settled.submission("c-1").await, store.submission("c-1").await);
    let (next, answers) = settled.claim_mapped(150 + DELAY).await;
    assert_eq!(
        (next.redelivery, score(&answers, ChangedAnswerPolicy::Redeliver)),
        (true, Some(answer("2")))
    );
    settled.check_counts().await;
}

pub async fn what_was_late_counts_once_another_answer_is_delivered(store: TestStore<impl Backend>) {
    delivered(&store, ChangedAnswerPolicy::Redeliver).await;
    store.receive_one(resend(150, "")).await;
    store
        .receive_one(with_policy(
            ChangedAnswerPolicy::Redeliver,
            with_field("campaign", "spring", hang_up(160, "c-1")),
        ))
        .await;
    store.receive_one(resend(170, "2")).await;
    let (_, answers) = store.claim_mapped(1000).await;
    let recorded: Vec<_> = pairs(&answers).into_iter().map(|(_, answer, _)| answer).collect();
    assert_eq!(recorded, ["1", "4", "", "2"].map(answer));
    assert_eq!(answers.field("campaign"), Some("spring"));
    assert_eq!(answers.hung_up_at(), Some(at(160)));
}

pub async fn what_is_delivered_again_is_open_until_its_attempt(store: TestStore<impl Backend>) {
    delivered(&store, ChangedAnswerPolicy::Redeliver).await;
    store.receive_one(resend(150, "2")).await;
    for (second, text) in [(160, "7"), (170, "3"), (180, "2")] {
        assert_eq!(
            store.receive_one(resend(second, text)).await.outcome,
            Outcome::Updated,
            "{text}"
        );
    }
    assert_eq!(store.submission("c-1").await.due_at, at(170 + DELAY));
    let (_, answers) = store.claim_mapped(500).await;
    assert_eq!(score(&answers, ChangedAnswerPolicy::Redeliver), Some(answer("2")));
    assert_eq!(store.receive_one(resend(501, "")).await.outcome, Outcome::Late);
}

pub async fn what_the_destination_rejected_is_another_offer_with_another_answer(
    store: TestStore<impl Backend>,
) {
    store.receive_one(with_policy(ChangedAnswerPolicy::Redeliver, complete(0, "c-1"))).await;
    let claim = store.claim_one(100).await;
    let attempt = attempt(Verdict::Rejected, Some(422), 100);
    let refused = Decision::Dead { reason: DeadReason::Rejected, pause: None };
    store.settle_one(&claim, attempt, refused).await;
    assert_eq!(store.receive_one(resend(200, "")).await.outcome, Outcome::Late);
    assert_eq!(store.receive_one(resend(201, "2")).await.outcome, Outcome::Updated);
    let submission = store.submission("c-1").await;
    assert_eq!((submission.state, submission.document.attempts_used), (State::Pending, 0));
    store.check_counts().await;
}
