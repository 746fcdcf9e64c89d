//! Webhooks beyond what is kept of one call: their number, the disk and the work have bounds.

use postcall::store::ReceiveRequest;
use postcall::submission::{ChangedAnswerPolicy, Decision};

use crate::store_contract::Backend;
use crate::store_contract::backend::{Sqlite, TestStore};
use crate::store_contract::spoken::{
    accepted, complete, webhook, with_key, with_lasting_key, with_policy,
};
use crate::test_env::TestEnv;

/// 3,000 webhooks of 60 KB about a call that was delivered.
#[tokio::test]
async fn late_webhooks_of_one_call_stay_within_a_bound_of_bytes_and_of_work() {
    let store = TestStore::<Sqlite>::new();
    store.receive_one(complete(0, "c-1")).await;
    let claim = store.claim_one(1000).await;
    store.settle_one(&claim, accepted(1001), Decision::Delivered).await;
    let late = |n: usize| -> ReceiveRequest {
        let text = format!("{n:05}{}", "x".repeat(60 * 1024));
        let mut late =
            with_key(&format!("id-{n}"), 1, webhook(2000 + n as i64, "c-1", &[("score", &text)]));
        late.webhook.body = text.into_bytes();
        late
    };
    let mut outcomes = Vec::new();
    for n in 0..3000 {
        outcomes.push(store.receive_one(late(n)).await.outcome.label());
    }
    let kept = outcomes.iter().filter(|it| **it == "late").count();
    assert!(outcomes[kept..].iter().all(|it| *it == "excess"), "{kept} of 3000 are kept");
    assert!((200..600).contains(&kept), "{kept} of 3000 are kept");
    assert_eq!(store.backend.bodies().len(), kept + 1);
    let keys = "SELECT count(*) FROM idempotency_keys";
    assert_eq!(count(&store, keys), kept as u64, "of what is not kept no key is kept");

    // What is beyond the bound writes nothing at all.
    store.commits.take();
    let document = "SELECT length(document) + fence FROM submissions";
    let before = (count(&store, document), store.submissions().await);
    for n in 3000..3100 {
        assert_eq!(store.receive_one(late(n)).await.outcome.label(), "excess");
    }
    assert_eq!((count(&store, document), store.submissions().await), before);
    let bytes = store.statistics().await.unwrap().bytes;
    assert!(bytes < 40 * 1024 * 1024, "{bytes} bytes");
    store.check_counts().await;
}

/// Where the last answer counts, going to and fro is new each time and adds no answer.
#[tokio::test]
async fn a_caller_who_goes_to_and_fro_for_ever_is_kept_up_to_a_bound() {
    let store = TestStore::<Sqlite>::new();
    let mut outcomes = Vec::new();
    for n in 0..1000 {
        let answer = if n % 2 == 0 { "1" } else { "2" };
        let request = webhook(n, "c-1", &[("score", answer)]);
        let request = with_policy(ChangedAnswerPolicy::KeepLast, request);
        outcomes.push(store.receive_one(request).await.outcome.label());
    }
    assert_eq!(outcomes[..3], ["created", "updated", "updated"]);
    assert!(outcomes[900..].iter().all(|it| ["excess", "duplicate"].contains(it)), "{outcomes:?}");
    let kept = store.backend.bodies().len();
    assert!((200..300).contains(&kept), "{kept}");
}

/// Who captured such a webhook could otherwise send it again, and bring its answer back.
#[tokio::test]
async fn a_webhook_in_excess_whose_answer_counts_is_a_duplicate_when_it_comes_again() {
    let store = TestStore::<Sqlite>::new();
    let said = |n: i64| {
        let answer = if n % 2 == 0 { "1" } else { "2" };
        let said = with_lasting_key(&format!("id-{n}"), 1, webhook(n, "c-1", &[("score", answer)]));
        with_policy(ChangedAnswerPolicy::KeepLast, said)
    };
    let mut first = 0;
    while store.receive_one(said(first)).await.outcome.label() != "excess" {
        first += 1;
    }
    assert_eq!(store.receive_one(said(first + 1)).await.outcome.label(), "excess");
    let before = store.submissions().await;
    let captured = webhook(first + 2, "c-1", &[("score", if first % 2 == 0 { "1" } else { "2" })]);
    let captured = with_lasting_key(&format!("id-{first}"), 1, captured);
    let again = store.receive_one(with_policy(ChangedAnswerPolicy::KeepLast, captured)).await;
    assert_eq!(again.outcome.label(), "duplicate");
    assert_eq!(store.submissions().await, before);
}

/// A sender whose webhook is not kept is not promised that it is.
#[test]
fn a_webhook_in_excess_is_answered_without_a_promise_and_counted() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let is_excess = |n: u32| {
        let reply = test_env.caller("c-1").presses(&format!("9{n}"));
        reply.assert_status(200);
        let is_excess = reply.header("postcall-outcome") == Some("excess");
        assert_eq!(reply.header("postcall-submission").is_none(), is_excess, "{n}");
        is_excess
    };
    let first = (0..2000).find(|n| is_excess(*n)).expect("there is a bound");
    assert!(first > 400, "{first}");
    assert!(is_excess(5000));
    let excess = test_env.figures().of(r#"webhooks_total{outcome="excess",source="quick"}"#);
    assert_eq!(excess, 2.0);
}

fn count(store: &TestStore<Sqlite>, statement: &str) -> u64 {
    rusqlite::Connection::open(store.backend.path())
        .unwrap()
        .query_row(statement, [], |row| row.get(0))
        .unwrap()
}
