//! Erasing everything about a call.

use postcall::domain::Verdict;
use postcall::store::SubmissionFilter;
use postcall::submission::{
    ActionOutcome, DeadReason, Decision, Document, Outcome, Replay, RetentionLevel, Settled, State,
    StateCounts,
};

use super::spoken::{
    accepted, at, attempt, complete, unmapping, webhook, webhook_for, with_field, with_key,
};
use super::{Backend, TestStore};

pub async fn what_is_erased_leaves_only_its_id_and_its_outcome(mut store: TestStore<impl Backend>) {
    let delivered = with_field("campaign", "spring", complete(0, "delivered"));
    store.receive_one(delivered).await;
    let claim = store.claim_one(100).await;
    store.settle_one(&claim, accepted(101), Decision::Delivered).await;
    store.receive_one(complete(0, "dead")).await;
    store.settle_unsent(unmapping("no such question"), 100).await;
    store.receive_one(webhook(0, "collecting", &[("score", "4")])).await;
    store.receive_one(complete(0, "kept")).await;
    let kept = store.find(complete(0, "kept").key.id()).await.unwrap();

    let ids =
        ["delivered", "dead", "collecting", "never-received"].map(|c| complete(0, c).key.id());
    let done = store.erase(ids.to_vec(), at(500)).await.unwrap();
    assert_eq!(
        done,
        [ActionOutcome::Done, ActionOutcome::Done, ActionOutcome::Done, ActionOutcome::Unknown]
    );
    store.reopen();
    store.check_counts().await;
    let counts = StateCounts {
        accepted: 4,
        pending: 1,
        delivered: 1,
        discarded: 2,
        ..StateCounts::default()
    };
    assert_eq!(store.counts().await, counts);
    for (id, state) in ids.into_iter().zip([State::Delivered, State::Discarded, State::Discarded]) {
        let left = store.find(id).await.unwrap().unwrap();
        assert_eq!((left.webhooks.len(), left.webhooks_truncated), (0, 0));
        let left = left.submission;
        assert_eq!((left.id, left.state, &left.call), (id, state, &None));
        assert_eq!((left.purged_at, left.accepted_at), (Some(at(500)), at(0)));
        assert_eq!((left.retention, left.due_since), (RetentionLevel::Outcome, None));
        let Document { audit, detail, trace, delivered, attempts, attempts_made, .. } =
            &left.document;
        assert_eq!((detail, trace, delivered), (&None, &None, &None));
        assert_eq!((attempts.len(), *attempts_made), (0, 0));
        let [erased] = &audit[..] else { panic!("{audit:?}") };
        assert_eq!((&*erased.action, erased.at, &erased.detail), ("erase", at(500), &None));
        assert!(left.answers().is_blank() && left.document.late.is_blank());
        assert_eq!(store.load(vec![id]).await.unwrap(), [left]);
    }
    assert_eq!(store.find(complete(0, "kept").key.id()).await.unwrap(), kept);
    assert_eq!(store.backend.bodies().len(), 1);
    assert_eq!(store.claim_due(1_000_000).await.len(), 1);
}

pub async fn a_webhook_of_what_was_erased_is_purged_and_not_kept_again(
    mut store: TestStore<impl Backend>,
) {
    let known = with_key("h-1", 1, webhook(0, "c-1", &[("score", "4")]));
    store.receive_one(known.clone()).await;
    let id = known.key.id();
    store.erase(vec![id], at(10)).await.unwrap();
    store.reopen();
    for request in [
        known,
        with_key("h-2", 1, webhook(20, "c-1", &[("problem", "1")])),
        with_key("h-2", 2, webhook(20, "c-1", &[("problem", "2")])),
        webhook(21, "c-1", &[("score", "4")]),
    ] {
        let received = store.receive_one(request).await;
        assert_eq!((received.outcome, received.submission), (Outcome::Purged, id));
        assert!(received.answers.is_empty() && !received.changed);
    }
    assert_eq!(store.backend.bodies(), Vec::<String>::new());
    assert_eq!(store.forget_keys(at(1_000_000)).await.unwrap(), 0, "no key is remembered");
    store.check_counts().await;
    let other = webhook_for("other", 22, "c-1", &[("score", "4")]);
    assert_eq!(store.receive_one(other).await.outcome, Outcome::Created, "of another account");
}

pub async fn an_attempt_in_flight_settles_nothing_once_it_is_erased(
    mut store: TestStore<impl Backend>,
) {
    store.receive_one(complete(0, "c-1")).await;
    store.receive_one(complete(0, "c-2")).await;
    let claims = store.claim_due(100).await;
    let ids = claims.iter().map(|claim| claim.token.submission).collect();
    let done = store.erase(ids, at(101)).await.unwrap();
    assert_eq!(done, [ActionOutcome::Done, ActionOutcome::Done]);
    let erased = store.submissions().await;
    assert!(erased.iter().all(|submission| !submission.is_in_flight()));
    for claim in &claims {
        let settled = store.settle_one(claim, accepted(102), Decision::Delivered).await;
        assert_eq!(settled, Settled::LeaseLost);
    }
    assert_eq!(store.submissions().await, erased);
    store.reopen();
    assert_eq!(store.claim_due(1_000_000).await.len(), 0);
    let counts = StateCounts { accepted: 2, discarded: 2, ..StateCounts::default() };
    assert_eq!(store.counts().await, counts);
    store.check_counts().await;
}

pub async fn erase_is_final(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    let claim = store.claim_one(100).await;
    let attempt = attempt(Verdict::Rejected, Some(422), 101);
    let dead = Decision::Dead { reason: DeadReason::Rejected, pause: None };
    store.settle_one(&claim, attempt, dead).await;
    let ids = || vec![claim.token.submission];
    store.erase(ids(), at(200)).await.unwrap();
    let how = Replay { same_payload: true, include_delivered: true, at: at(300) };
    assert_eq!(store.replay(ids(), how).await.unwrap(), [ActionOutcome::Purged]);
    assert_eq!(
        store.discard(ids(), "again".to_owned(), at(300)).await.unwrap(),
        [ActionOutcome::Purged]
    );
    assert_eq!(store.erase(ids(), at(300)).await.unwrap(), [ActionOutcome::Purged]);
    let left = store.find(claim.token.submission).await.unwrap().unwrap();
    let left = left.submission;
    assert_eq!((left.purged_at, left.document.audit.len()), (Some(at(200)), 1));
}

pub async fn what_is_erased_is_not_found_by_its_call(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    store.receive_one(webhook_for("other", 0, "c-1", &[("score", "4")])).await;
    store.erase(vec![complete(0, "c-1").key.id()], at(1)).await.unwrap();
    let call = || "c-1".parse().unwrap();
    let other = webhook_for("other", 0, "c-1", &[]).key.id();
    assert_eq!(store.of_call(call()).await.unwrap(), [other]);
    let filter = SubmissionFilter { call: Some(call()), ..SubmissionFilter::default() };
    let found = store.search(filter, None, 9).await.unwrap().submissions;
    assert_eq!(found.iter().map(|submission| submission.id).collect::<Vec<_>>(), [other]);
    assert_eq!(store.submissions().await.len(), 2, "it still counts");
}
