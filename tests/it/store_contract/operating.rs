//! What an operator does to submissions: replays and discards them.

use futures_util::FutureExt;
use postcall::domain::{Feedback, Verdict};
use postcall::store::ClaimRequest;
use postcall::submission::{
    ActionOutcome, AuditEntry, Claim, DeadReason, Decision, IgnoredReason, Json, Mapping, Outcome,
    Replay, Settled, State, StateCounts, SubmissionId,
};
use std::sync::Arc;

use super::backend::wanted;
use super::spoken::{
    FEEDBACK, TestMapper, accepted, at, attempt, complete, feedback, ignoring, pairs, unmapping,
    webhook,
};
use super::{Backend, TestStore};

pub async fn what_is_dead_or_ignored_is_replayed_at_once_with_nothing_spent(
    mut store: TestStore<impl Backend>,
) {
    unmapped(&store, "c-1").await;
    silent(&store, "c-2").await;
    let done = replay(&store, &["c-1", "c-2"], today(500)).await;
    assert_eq!(done, [ActionOutcome::Done, ActionOutcome::Done]);
    store.check_counts().await;
    let counts = StateCounts { accepted: 2, pending: 2, ..StateCounts::default() };
    assert_eq!(store.counts().await, counts);
    for call in ["c-1", "c-2"] {
        let submission = store.submission(call).await;
        assert_eq!((submission.state, submission.settled_at), (State::Pending, None));
        assert_eq!((submission.due_at, submission.document.attempts_used), (at(500), 0));
        assert_eq!(submission.document.detail, None);
    }
    store.reopen();
    assert_eq!(store.counts().await, counts);
    let mapper = Arc::new(TestMapper::default());
    let request = ClaimRequest { mapper: mapper.clone(), ..wanted(&[("main", 9)], 600) };
    let claims = store.claim(request).await.unwrap().claims;
    assert_eq!(claims.len(), 2);
    assert!(claims.iter().all(|claim| (claim.attempts, claim.age.as_secs()) == (0, 0)));
    for asked in mapper.take_asked() {
        assert_eq!((pairs(&asked.answers).len(), asked.payload), (2, None));
    }
}

pub async fn what_was_delivered_is_replayed_only_where_it_is_asked_for(
    store: TestStore<impl Backend>,
) {
    delivered(&store, "c-1").await;
    assert_eq!(replay(&store, &["c-1"], today(500)).await, [ActionOutcome::Delivered]);
    assert_eq!(store.submission("c-1").await.state, State::Delivered);
    let how = Replay { include_delivered: true, ..today(500) };
    assert_eq!(replay(&store, &["c-1"], how).await, [ActionOutcome::Done]);
    store.check_counts().await;
    let claim = store.claim_one(500).await;
    assert!(claim.redelivery);
    let submission = store.submission("c-1").await;
    assert_eq!(submission.state, State::Pending);
    assert_eq!(submission.document.delivered.as_ref().map(Json::as_str), Some(FEEDBACK));
    store.settle_one(&claim, accepted(501), Decision::Delivered).await;
    assert_eq!(store.submission("c-1").await.state, State::Delivered);
    store.check_counts().await;
}

pub async fn what_waits_is_not_replayed(store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "collecting", &[("score", "4")])).await;
    store.receive_one(complete(0, "c-1")).await;
    assert_eq!(
        replay(&store, &["collecting", "c-1", "never-received"], today(60)).await,
        [ActionOutcome::Waiting, ActionOutcome::Waiting, ActionOutcome::Unknown]
    );
    store.claim_one(60).await;
    assert_eq!(replay(&store, &["c-1"], today(61)).await, [ActionOutcome::InFlight]);
    assert_eq!(store.submission("c-1").await.document.audit, []);
}

pub async fn a_submission_that_is_asked_for_twice_is_replayed_once(store: TestStore<impl Backend>) {
    unmapped(&store, "c-1").await;
    let done = replay(&store, &["c-1", "c-1"], today(500)).await;
    assert_eq!(done, [ActionOutcome::Done, ActionOutcome::Waiting]);
    store.check_counts().await;
}

pub async fn the_dispatcher_is_woken_by_a_replay(store: TestStore<impl Backend>) {
    unmapped(&store, "c-1").await;
    store.changed().await;
    replay(&store, &["c-1"], today(500)).await;
    store.changed().await;
    assert!(store.changed().now_or_never().is_none());
}

pub async fn a_replay_with_the_same_payload_offers_it_byte_for_byte(
    mut store: TestStore<impl Backend>,
) {
    let first = feedback("as it was");
    rejected(&store, "c-1", &first).await;
    let how = Replay { same_payload: true, ..today(500) };
    assert_eq!(replay(&store, &["c-1"], how).await, [ActionOutcome::Done]);
    store.reopen();
    let claim = store.claim_one(500).await;
    assert_eq!(claim.feedback, first);
    store.retry_one(&claim, attempt(Verdict::UnknownResult, None, 501)).await;
    let claim = store.claim_one(1000).await;
    assert_eq!(claim.feedback, first, "until it is settled");
    let payloads = store.submission("c-1").await.document.attempts;
    assert!(payloads.iter().all(|attempt| attempt.payload.as_str() == first.to_json()));
    assert_eq!(payloads.len(), 3);
    store.settle_one(&claim, accepted(1001), Decision::Delivered).await;
    let how = Replay { include_delivered: true, ..today(2000) };
    replay(&store, &["c-1"], how).await;
    assert_eq!(store.claim_one(2000).await.feedback.to_json(), FEEDBACK, "it is mapped again");
    let audit = store.submission("c-1").await.document.audit;
    let actions: Vec<_> = audit.iter().map(|it| &*it.action).collect();
    assert_eq!(actions, ["replay_same_payload", "replay"]);
}

pub async fn what_was_never_offered_cannot_be_replayed_with_the_same_payload(
    store: TestStore<impl Backend>,
) {
    silent(&store, "c-1").await;
    let how = Replay { same_payload: true, ..today(500) };
    assert_eq!(replay(&store, &["c-1"], how).await, [ActionOutcome::NoPayload]);
    assert_eq!(store.submission("c-1").await.state, State::Ignored(IgnoredReason::NoAnswer));
}

pub async fn an_answer_after_a_replay_with_the_same_payload_counts(store: TestStore<impl Backend>) {
    let first = feedback("as it was");
    store.receive_one(complete(0, "c-1")).await;
    let claim = claim_as(&store, &first, 100).await;
    let dead = Decision::Dead { reason: DeadReason::TooOld, pause: None };
    store.settle_one(&claim, attempt(Verdict::Unreachable, None, 101), dead).await;
    let how = Replay { same_payload: true, ..today(500) };
    replay(&store, &["c-1"], how).await;
    let received = store.receive_one(webhook(500, "c-1", &[("score", "2")])).await;
    assert_eq!(received.outcome, Outcome::Updated);
    let (claim, answers) = store.claim_mapped(1000).await;
    assert_eq!((claim.feedback.to_json().as_str(), pairs(&answers).len()), (FEEDBACK, 3));
    store.settle_one(&claim, attempt(Verdict::Unreachable, None, 1001), dead).await;

    replay(&store, &["c-1"], Replay { at: at(1100), ..how }).await;
    let claim = claim_as(&store, &first, 1100).await;
    assert_eq!(claim.feedback.to_json(), FEEDBACK, "what was offered last");
    let received = store.receive_one(webhook(1100, "c-1", &[("score", "3")])).await;
    assert_eq!(received.outcome, Outcome::Late);
    store.retry_one(&claim, attempt(Verdict::Unreachable, None, 1101)).await;
    let claim = claim_as(&store, &first, 2000).await;
    assert_eq!(claim.feedback, first, "it is mapped again");
    assert_eq!(store.submission("c-1").await.answers().len(), 4);
}

pub async fn what_closed_a_submission_closes_it_after_a_replay(store: TestStore<impl Backend>) {
    rejected(&store, "c-1", &feedback("")).await;
    replay(&store, &["c-1"], today(500)).await;
    let received = store.receive_one(webhook(501, "c-1", &[("score", "2")])).await;
    assert_eq!(received.outcome, Outcome::Late, "the destination may know of it");
    unmapped(&store, "c-2").await;
    replay(&store, &["c-2"], today(500)).await;
    let received = store.receive_one(webhook(501, "c-2", &[("score", "2")])).await;
    assert_eq!(received.outcome, Outcome::Updated);
}

pub async fn discard_is_final(mut store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "collecting", &[("score", "4")])).await;
    unmapped(&store, "dead").await;
    silent(&store, "ignored").await;
    store.receive_one(complete(0, "pending")).await;
    store.receive_one(complete(0, "retried")).await;
    let claim = store.claim(wanted(&[("main", 1)], 61)).await.unwrap().claims.remove(0);
    let retried = claim.key.call.to_string();
    store.retry_one(&claim, attempt(Verdict::Unreachable, None, 62)).await;
    let calls = ["collecting", "dead", "ignored", "pending", "retried"];
    assert!(calls[3..].contains(&&*retried));
    assert_eq!(discard(&store, &calls, 300).await, [ActionOutcome::Done; 5]);
    store.check_counts().await;
    let counts = StateCounts { accepted: 5, discarded: 5, ..StateCounts::default() };
    assert_eq!(store.counts().await, counts);
    let settled = store.settle_one(&claim, accepted(301), Decision::Delivered).await;
    assert_eq!(settled, Settled::LeaseLost);
    store.reopen();
    assert_eq!(store.claim_due(1_000_000).await.len(), 0);
    for call in calls {
        let submission = store.submission(call).await;
        assert_eq!((submission.state, submission.settled_at), (State::Discarded, Some(at(300))));
        assert_eq!(submission.document.detail.as_deref(), Some("a test"));
        let discarded =
            AuditEntry { at: at(300), action: "discard".into(), detail: Some("a test".to_owned()) };
        assert_eq!(submission.document.audit, [discarded]);
        let received = store.receive_one(webhook(400, call, &[("score", "1")])).await;
        assert_eq!(received.outcome, Outcome::Late);
    }
    assert_eq!(discard(&store, &calls, 500).await, [ActionOutcome::Discarded; 5]);
    let how = Replay { include_delivered: true, ..today(500) };
    assert_eq!(replay(&store, &calls, how).await, [ActionOutcome::Discarded; 5]);
    assert_eq!(store.counts().await, counts);
    store.check_counts().await;
}

pub async fn what_was_delivered_or_is_in_flight_is_not_discarded(store: TestStore<impl Backend>) {
    delivered(&store, "c-1").await;
    store.receive_one(complete(0, "c-2")).await;
    let claim = store.claim_one(100).await;
    assert_eq!(
        discard(&store, &["c-1", "c-2", "never-received"], 101).await,
        [ActionOutcome::Delivered, ActionOutcome::InFlight, ActionOutcome::Unknown]
    );
    let settled = store.settle_one(&claim, accepted(102), Decision::Delivered).await;
    assert_eq!(settled, Settled::Done);
    store.check_counts().await;
}

fn today(second: i64) -> Replay {
    Replay { same_payload: false, include_delivered: false, at: at(second) }
}

fn id(call: &str) -> SubmissionId {
    complete(0, call).key.id()
}

async fn replay(
    store: &TestStore<impl Backend>,
    calls: &[&str],
    how: Replay,
) -> Vec<ActionOutcome> {
    store.replay(calls.iter().copied().map(id).collect(), how).await.unwrap()
}

pub async fn a_reveal_is_recorded_and_changes_nothing_else(mut store: TestStore<impl Backend>) {
    unmapped(&store, "dead").await;
    store.receive_one(complete(200, "in-flight")).await;
    let claim = store.claim(wanted(&[("main", 1)], 261)).await.unwrap().claims.remove(0);
    let calls = ["in-flight", "dead"];
    let counts = store.counts().await;
    let ids = || calls.iter().copied().map(id).collect::<Vec<_>>();
    assert_eq!(store.reveal(ids(), at(262)).await.unwrap(), [ActionOutcome::Done; 2]);
    assert_eq!(store.reveal(vec![id("unknown")], at(262)).await.unwrap(), [ActionOutcome::Unknown]);
    assert_eq!(store.counts().await, counts);
    // An attempt that is in flight is settled all the same.
    let settled = store.settle_one(&claim, accepted(263), Decision::Delivered).await;
    assert_eq!(settled, Settled::Done);
    store.reopen();
    for call in calls {
        let revealed = AuditEntry { at: at(262), action: "reveal".into(), detail: None };
        assert_eq!(store.submission(call).await.document.audit, [revealed]);
    }
    store.erase(ids(), at(400)).await.unwrap();
    assert_eq!(store.reveal(ids(), at(500)).await.unwrap(), [ActionOutcome::Purged; 2]);
    store.check_counts().await;
}

async fn discard(
    store: &TestStore<impl Backend>,
    calls: &[&str],
    second: i64,
) -> Vec<ActionOutcome> {
    let ids = calls.iter().copied().map(id).collect();
    store.discard(ids, "a test".to_owned(), at(second)).await.unwrap()
}

/// Nothing was offered: the settings have no place for it.
async fn unmapped(store: &TestStore<impl Backend>, call: &str) {
    store.receive_one(complete(0, call)).await;
    store.settle_unsent(unmapping("no such question"), 100).await;
}

async fn silent(store: &TestStore<impl Backend>, call: &str) {
    store.receive_one(complete(0, call)).await;
    store.settle_unsent(ignoring(IgnoredReason::NoAnswer), 100).await;
}

/// The one submission that is due, mapped to this.
async fn claim_as(store: &TestStore<impl Backend>, feedback: &Feedback, second: i64) -> Claim {
    let mapper = TestMapper::to(Mapping::Feedback(feedback.clone()));
    let mut claims = store.claim_by(mapper, second).await.claims;
    assert_eq!(claims.len(), 1, "{claims:?}");
    claims.remove(0)
}

async fn rejected(store: &TestStore<impl Backend>, call: &str, feedback: &Feedback) {
    store.receive_one(complete(0, call)).await;
    let claim = claim_as(store, feedback, 100).await;
    let dead = Decision::Dead { reason: DeadReason::Rejected, pause: None };
    store.settle_one(&claim, attempt(Verdict::Rejected, Some(422), 101), dead).await;
}

async fn delivered(store: &TestStore<impl Backend>, call: &str) {
    store.receive_one(complete(0, call)).await;
    let claim = store.claim_one(100).await;
    store.settle_one(&claim, accepted(101), Decision::Delivered).await;
}
