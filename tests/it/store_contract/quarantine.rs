//! The copy of the quarantine: webhooks that no known secret verifies.

use std::sync::Arc;

use postcall::domain::{Webhook, WebhookId};
use postcall::store::QuarantinedWebhook;
use postcall::submission::Outcome;

use super::spoken::{at, webhook};
use super::{Backend, TestStore};

fn quarantined(second: i64, call: &str) -> QuarantinedWebhook {
    let webhook = webhook(second, call, &[("score", "4")]).webhook;
    let headers = [("x-signature", &b"a: b\xff"[..]), ("x-empty", b""), ("x-signature", b"c")];
    let query = Some(format!("call_uuid={call}"));
    let webhook = Webhook { query, headers: headers.into_iter().collect(), ..webhook };
    QuarantinedWebhook {
        source: "ivr".parse().unwrap(),
        account: "main".parse().unwrap(),
        survey: "quality".parse().unwrap(),
        webhook: Arc::new(webhook),
    }
}

async fn ids(store: &TestStore<impl Backend>) -> Vec<WebhookId> {
    let loaded = store.load_quarantine().await.unwrap();
    loaded.iter().map(|kept| kept.webhook.id).collect()
}

pub async fn a_quarantined_webhook_is_kept_as_it_came(mut store: TestStore<impl Backend>) {
    let kept = [quarantined(1, "c-1"), quarantined(2, "c-2")];
    store.save_quarantine(kept.to_vec(), Vec::new()).await.unwrap();
    store.save_quarantine(vec![kept[0].clone()], Vec::new()).await.unwrap();
    store.reopen();
    let loaded = store.load_quarantine().await.unwrap();
    assert_eq!(loaded.len(), 2);
    for (loaded, expected) in loaded.iter().zip(&kept) {
        let QuarantinedWebhook { source, account, survey, webhook } = loaded;
        let expected_webhook = &expected.webhook;
        assert_eq!(*source, expected.source);
        assert_eq!((account, survey), (&expected.account, &expected.survey));
        assert_eq!(webhook.id, expected_webhook.id);
        assert_eq!(webhook.method, expected_webhook.method);
        assert_eq!(webhook.path, expected_webhook.path);
        assert_eq!(webhook.query, expected_webhook.query);
        assert_eq!(webhook.headers.to_vec(), expected_webhook.headers.to_vec());
        assert_eq!(webhook.body, expected_webhook.body);
        assert_eq!(webhook.received_at, expected_webhook.received_at);
    }
    store.check_counts().await;
    assert!(store.submissions().await.is_empty(), "nothing of it is a submission");
}

pub async fn a_removed_quarantined_webhook_is_gone(mut store: TestStore<impl Backend>) {
    let kept = [quarantined(1, "c-1"), quarantined(2, "c-2")];
    store.save_quarantine(kept.to_vec(), Vec::new()).await.unwrap();
    let unknown = quarantined(3, "c-3").webhook.id;
    let removed = vec![kept[0].webhook.id, unknown];
    store.save_quarantine(Vec::new(), removed).await.unwrap();
    store.reopen();
    assert_eq!(ids(&store).await, [kept[1].webhook.id]);
}

pub async fn an_erased_call_takes_its_quarantined_webhooks_with_it(store: TestStore<impl Backend>) {
    let received = webhook(0, "c-1", &[("score", "4")]);
    let id = received.key.id();
    store.receive_one(received).await;
    let kept = [quarantined(1, "c-1"), quarantined(2, "c-2")];
    store.save_quarantine(kept.to_vec(), Vec::new()).await.unwrap();
    let erased = store.erase_quarantined("c-1".parse().unwrap()).await.unwrap();
    assert_eq!(erased, [kept[0].webhook.id]);
    store.erase(vec![id], at(10)).await.unwrap();
    assert_eq!(ids(&store).await, [kept[1].webhook.id]);
}

/// A process may end after it received a webhook of the quarantine and before it removed it there.
pub async fn a_quarantined_webhook_that_is_received_twice_is_kept_once(
    store: TestStore<impl Backend>,
) {
    let first = webhook(0, "c-1", &[("score", "4")]);
    store.receive_one(first.clone()).await;
    assert_eq!(store.receive_one(first).await.outcome, Outcome::Duplicate);
    store.claim_one(1000).await;
    let late = webhook(3, "c-1", &[("another", "1")]);
    assert_eq!(store.receive_one(late.clone()).await.outcome, Outcome::Late);
    let kept = store.backend.bodies().len();
    store.receive_one(late).await;
    assert!(store.is_writable());
    assert_eq!(store.backend.bodies().len(), kept);
}
