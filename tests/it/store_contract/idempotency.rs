//! What senders call their webhooks.

use postcall::store::{PurgeCounts, ReceiveRequest, RetentionCutoffs, StoreError};
use postcall::submission::{ChangedAnswerPolicy, Decision, Outcome};

use super::spoken::{accepted, at, webhook, with_key, with_lasting_key, with_policy};
use super::{Backend, TestStore};

pub async fn a_known_idempotency_key_with_the_same_bytes_is_a_duplicate(
    mut store: TestStore<impl Backend>,
) {
    let first = store.receive_one(with_key("evt-1", 1, webhook(0, "c-1", &[("score", "4")]))).await;
    assert_eq!(first.outcome, Outcome::Created);
    let (submission, bodies) = (store.submission("c-1").await, store.backend.bodies());
    store.reopen();
    // What it says does not matter, nor does the call: the bytes are the same.
    for call in ["c-1", "c-2"] {
        let again =
            store.receive_one(with_key("evt-1", 1, webhook(60, call, &[("score", "2")]))).await;
        assert_eq!((again.submission, again.outcome), (first.submission, Outcome::Duplicate));
        assert_eq!(again.answers, first.answers);
    }
    assert_eq!((store.submissions().await, store.backend.bodies()), (vec![submission], bodies));
}

pub async fn a_known_idempotency_key_with_other_bytes_is_rejected_and_leaves_nothing(
    store: TestStore<impl Backend>,
) {
    store.receive_one(with_key("evt-1", 1, webhook(0, "c-1", &[("score", "4")]))).await;
    let (submissions, bodies) = (store.submissions().await, store.backend.bodies());
    for call in ["c-1", "c-2"] {
        let forged = store.receive(with_key("evt-1", 2, webhook(1, call, &[("score", "1")]))).await;
        assert!(matches!(forged, Err(StoreError::KeyReused)), "{forged:?}");
    }
    assert_eq!((store.submissions().await, store.backend.bodies()), (submissions, bodies));
    assert!(store.is_writable());
    let again = store.receive_one(with_key("evt-1", 1, webhook(2, "c-1", &[("score", "4")]))).await;
    assert_eq!(again.outcome, Outcome::Duplicate, "the first is still known");
}

pub async fn two_sources_may_use_the_same_idempotency_key(store: TestStore<impl Backend>) {
    store.receive_one(with_key("evt-1", 1, webhook(0, "c-1", &[("score", "4")]))).await;
    let mut other = with_key("evt-1", 2, webhook(1, "c-2", &[("score", "1")]));
    other.source = "web".parse().unwrap();
    assert_eq!(store.receive_one(other).await.outcome, Outcome::Created);
}

pub async fn a_forgotten_idempotency_key_makes_no_duplicate(store: TestStore<impl Backend>) {
    store.receive_one(with_key("evt-1", 1, webhook(0, "c-1", &[("score", "4")]))).await;
    assert_eq!(store.forget_keys(at(0)).await.unwrap(), 0, "it came no earlier than that");
    assert_eq!(store.forget_keys(at(1)).await.unwrap(), 1);
    let other = store.receive_one(with_key("evt-1", 2, webhook(9, "c-1", &[("score", "2")]))).await;
    assert_eq!(other.outcome, Outcome::Updated);
    assert_eq!(store.submissions().await.len(), 1, "nothing else is forgotten");
}

/// The signature of a captured webhook that covers no time is taken for ever.
pub async fn a_lasting_idempotency_key_is_known_as_long_as_its_submission(
    store: TestStore<impl Backend>,
) {
    for changes in [ChangedAnswerPolicy::KeepLast, ChangedAnswerPolicy::Redeliver] {
        let call = format!("{changes:?}").to_lowercase();
        let answered = |nonce: &str, second, score| {
            let request = with_policy(changes, webhook(second, &call, &[("score", score)]));
            with_lasting_key(&format!("{call}-{nonce}"), 1, request)
        };
        let captured = answered("1", 0, "2");
        store.receive_one(captured.clone()).await;
        let again = store.receive_one(answered("2", 1, "5")).await;
        assert_eq!(again.outcome, Outcome::Updated);
        // One that tells nothing new is known by its key alone.
        store.receive_one(answered("3", 2, "5")).await;
        assert_eq!(store.forget_keys(at(1_000_000)).await.unwrap(), 0);
        for request in [captured, answered("3", 2, "5")] {
            assert_eq!(store.receive_one(request).await.outcome, Outcome::Duplicate, "{changes:?}");
        }
    }
}

pub async fn an_idempotency_key_is_forgotten_where_the_first_answer_counts(
    store: TestStore<impl Backend>,
) {
    let policy = ChangedAnswerPolicy::KeepFirst;
    let request = with_policy(policy, webhook(0, "c-1", &[("score", "2")]));
    store.receive_one(with_lasting_key("1", 1, request)).await;
    assert_eq!(store.forget_keys(at(1)).await.unwrap(), 1);
}

pub async fn a_lasting_idempotency_key_goes_with_its_submission(store: TestStore<impl Backend>) {
    let answered = |call: &str, nonce: &str, second| -> ReceiveRequest {
        let request = webhook(second, call, &[("score", "4"), ("problem", "1")]);
        let request = with_policy(ChangedAnswerPolicy::KeepLast, request);
        with_lasting_key(&format!("{call}-{nonce}"), 1, request)
    };
    for call in ["erased", "purged", "stays"] {
        store.receive_one(answered(call, "1", 0)).await;
        let duplicate = store.receive_one(answered(call, "2", 1)).await;
        assert_eq!(duplicate.outcome, Outcome::Duplicate);
    }
    assert_eq!(store.backend.keys(), 6);
    let erased = answered("erased", "1", 0).key.id();
    store.erase(vec![erased], at(10)).await.unwrap();
    assert_eq!(store.backend.keys(), 4);
    for claim in store.claim_due(100).await {
        if claim.key.call.as_str() == "purged" {
            store.settle_one(&claim, accepted(101), Decision::Delivered).await;
        }
    }
    let cutoffs = RetentionCutoffs { bodies: at(102), submissions: at(102), outcomes: at(0) };
    let purged = store.purge(cutoffs).await.unwrap();
    assert_eq!(purged, PurgeCounts { submissions: 1, bodies: 0, outcomes: 0 });
    assert_eq!(store.backend.keys(), 2);
    let known = store.receive_one(answered("stays", "2", 1)).await;
    assert_eq!(known.outcome, Outcome::Duplicate);
}

pub async fn the_oldest_idempotency_keys_are_forgotten_a_few_at_a_time(
    store: TestStore<impl Backend>,
) {
    for n in 0..700 {
        store
            .receive_one(with_key(&format!("evt-{n}"), 1, webhook(n, "c-1", &[("score", "4")])))
            .await;
    }
    let (mut forgotten, mut times) = (0, 0);
    loop {
        match store.forget_keys(at(699)).await.unwrap() {
            0 => break,
            some => (forgotten, times) = (forgotten + some, times + 1),
        }
        let youngest = with_key("evt-699", 2, webhook(1000, "c-1", &[("score", "4")]));
        assert!(store.receive(youngest).await.is_err());
    }
    assert_eq!(forgotten, 699);
    assert!(times > 1, "webhooks can be kept meanwhile");
}
