//! What senders call their webhooks.

use postcall::store::StoreError;
use postcall::submission::Outcome;

use super::spoken::{at, webhook, with_key};
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
