//! An erasure and the copy of the quarantine: neither a copy that is being written nor one that is being
//! read brings back a webhook of the call.

use std::pin::pin;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use postcall::clock::Clock;
use postcall::domain::{CallUuid, Method, Webhook, WebhookId};
use postcall::ingest::Ingest;
use postcall::settings::{Environment, Settings};
use postcall::store::sqlite::{Options, SqliteStore};
use postcall::store::{Quarantine, QuarantinedWebhook, StoreError};
use postcall::telemetry::{LabelSets, Metrics};
use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore};

use crate::test_env::{Callback, SETTINGS};

/// A store of which each reading and each writing of the copy waits to be let through.
struct SlowStore {
    store: Arc<SqliteStore>,
    gate: Semaphore,
    /// Notified when one that was read waits.
    waits: Notify,
}

#[async_trait]
impl Quarantine for SlowStore {
    async fn load_quarantine(&self) -> Result<Vec<QuarantinedWebhook>, StoreError> {
        let loaded = self.store.load_quarantine().await;
        self.waits.notify_one();
        self.gate.acquire().await.unwrap().forget();
        loaded
    }

    async fn save_quarantine(
        &self,
        added: Vec<QuarantinedWebhook>,
        removed: Vec<WebhookId>,
    ) -> Result<(), StoreError> {
        self.gate.acquire().await.unwrap().forget();
        self.store.save_quarantine(added, removed).await
    }

    async fn erase_quarantined(&self, call: CallUuid) -> Result<Vec<WebhookId>, StoreError> {
        self.store.erase_quarantined(call).await
    }
}

struct Service {
    ingest: Ingest,
    store: SlowStore,
    _folder: TempDir,
}

impl Service {
    fn start() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Clock::system();
        let text = SETTINGS
            .replace("{ file: \"@folder@/token\" }", "{ value: the-token-of-yesterday }")
            .replace("@folder@", folder.path().to_str().unwrap())
            .replace("@plivo@", "http://127.0.0.1:1");
        let settings = Settings::from_yaml(&text, Environment::default()).unwrap();
        let metrics = Arc::new(Metrics::new(&LabelSets::default(), "none"));
        let store = SqliteStore::open(Options {
            path: settings.store.url.file().unwrap().to_owned(),
            write_queue: settings.store.write_queue,
            lease: settings.delivery.lease,
            clock: clock.clone(),
            observer: metrics.clone(),
        });
        let store = Arc::new(store.unwrap());
        let Settings { sources, surveys, replies, .. } = settings;
        let ingest = Ingest::new(&sources, &surveys, &replies, store.clone(), metrics, clock);
        let store = SlowStore { store, gate: Semaphore::new(0), waits: Notify::new() };
        Self { ingest, store, _folder: folder }
    }

    /// A webhook about the call comes, with a signature of another key.
    async fn receives_a_forged_webhook(&self, call: &str) {
        let body = format!("CallUUID={call}&Digits=4");
        let callback = Callback::signed("quick", None, &body, "forged");
        let webhook = Webhook {
            id: WebhookId(uuid::Uuid::now_v7()),
            method: Method::Post,
            path: callback.target.clone(),
            query: None,
            headers: callback
                .header_refs()
                .into_iter()
                .map(|(name, value)| (name, value.as_bytes()))
                .collect(),
            body: callback.body.clone(),
            received_at: jiff::Timestamp::now(),
        };
        let endpoint = self.ingest.endpoint("quick").unwrap();
        assert!(self.ingest.receive(&endpoint, webhook).await.is_err());
        assert_eq!(self.ingest.quarantine().list().len(), 1);
    }

    async fn erase(&self, call: &str) -> (usize, usize) {
        let call: CallUuid = call.parse().unwrap();
        let erasure = self.ingest.begin_erasure(&call).await;
        let copies = self.store.erase_quarantined(call).await.unwrap();
        (erasure.removed.len(), copies.len())
    }

    async fn copies(&self) -> usize {
        self.store.store.load_quarantine().await.unwrap().len()
    }
}

#[tokio::test]
async fn an_erased_call_is_in_no_copy_of_the_quarantine_that_was_being_written() {
    let service = Service::start();
    service.receives_a_forged_webhook("c-1").await;
    let mut save = pin!(service.ingest.quarantine().save(&service.store));
    assert!((&mut save).now_or_never().is_none(), "the copy is about to be written");
    let mut erase = pin!(service.erase("c-1"));
    assert!((&mut erase).now_or_never().is_none());
    service.store.gate.add_permits(1);
    let (saved, erased) = tokio::join!(save, erase);
    saved.unwrap();
    assert_eq!(erased, (1, 1));
    assert_eq!(service.copies().await, 0);
}

#[tokio::test]
async fn an_erased_call_is_in_no_quarantine_of_the_last_process_that_was_being_read() {
    let service = Service::start();
    service.receives_a_forged_webhook("c-1").await;
    service.store.gate.add_permits(1);
    service.ingest.quarantine().save(&service.store).await.unwrap();
    service.ingest.quarantine().drop_all(|_, _| true);
    let mut load = pin!(service.ingest.quarantine().load(&service.store));
    tokio::select! {
        _ = &mut load => panic!("it waits"),
        () = service.store.waits.notified() => {}
    }
    let mut erase = pin!(service.erase("c-1"));
    assert!((&mut erase).now_or_never().is_none());
    service.store.gate.add_permits(1);
    let (loaded, _) = tokio::join!(load, erase);
    loaded.unwrap();
    assert!(service.ingest.quarantine().list().is_empty());
    assert_eq!(service.copies().await, 0);
}
