//! A dispatcher on its rounds, whose clock stands still unless the test moves it: everything but the
//! wire is as in the service, and nothing happens by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use postcall::clock::Clock;
use postcall::delivery::{self, DeliveryConfig, Dispatcher};
use postcall::destination::Client;
use postcall::domain::{Method, Name, Webhook, WebhookId};
use postcall::ingest::Ingest;
use postcall::random::Random;
use postcall::settings::{Environment, Settings};
use postcall::store::sqlite::{self, SqliteStore};
use postcall::store::{ReceiveRequest, Store, StoreError};
use postcall::submission::{ActionOutcome, Outcome, Replay};
use postcall::survey::Survey;
use postcall::telemetry::{Metrics, WebhookOutcome};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::LocalSet;

use super::{Plivo, SETTINGS, StoreContents, Submission, TOKEN};

pub struct Rounds {
    pub plivo: Plivo,
    pub store: StoreContents,
    clock: Clock,
    random: Random,
    folder: TempDir,
    settings: String,
    /// `None` while the service is down.
    service: Option<Service>,
}

struct Service {
    dispatcher: Dispatcher,
    config: watch::Sender<Arc<DeliveryConfig>>,
    ingest: Ingest,
    metrics: Arc<Metrics>,
    store: Arc<dyn Store>,
    surveys: BTreeMap<Name, Arc<Survey>>,
}

impl Rounds {
    /// Tells a story on one thread, as the dispatcher needs it.
    pub fn play(story: impl AsyncFnOnce(&mut Rounds)) {
        Self::play_with(|settings| settings.to_owned(), story);
    }

    /// As [`play`](Self::play), with the settings of the world written otherwise.
    pub fn play_with(settings: impl FnOnce(&str) -> String, story: impl AsyncFnOnce(&mut Rounds)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let folder = TempDir::new().unwrap();
            let mut rounds = Rounds {
                plivo: Plivo::start(),
                store: StoreContents::at(folder.path().join("store.db")),
                clock: Clock::manual("2026-11-22T10:00:00Z".parse().unwrap()),
                random: Random::seeded(1),
                folder,
                settings: settings(SETTINGS),
                service: None,
            };
            rounds.operator_writes_the_token(TOKEN);
            rounds.start();
            story(&mut rounds).await;
        });
    }

    pub fn operator_writes_the_token(&self, token: &str) {
        std::fs::write(self.folder.path().join("token"), token).unwrap();
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn later(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// Someone, or a time server, sets the wall clock.
    pub fn clock_is_set(&self, by: SignedDuration) {
        self.clock.step(by);
    }

    /// What is done from time to time is done now.
    pub async fn maintenance(&self) {
        self.service().dispatcher.maintenance().purge_all().await;
    }

    /// The statistics are read now.
    pub async fn statistics_are_read(&self) {
        self.service().dispatcher.maintenance().measure().await;
    }

    /// A callback of the first question comes in by this source.
    pub async fn hears(&self, source: &str, call: &str, digits: &str) -> WebhookOutcome {
        self.hears_of(source, None, call, digits).await
    }

    pub async fn hears_of(
        &self,
        source: &str,
        question: Option<&str>,
        call: &str,
        digits: &str,
    ) -> WebhookOutcome {
        let ingest = &self.service().ingest;
        let webhook = Webhook {
            id: WebhookId(self.random.uuid_v7(self.now())),
            method: Method::Get,
            path: format!("/hooks/{source}"),
            query: Some(match question {
                None => format!("CallUUID={call}&Digits={digits}"),
                Some(question) => format!("CallUUID={call}&Digits={digits}&question={question}"),
            }),
            headers: Default::default(),
            body: Vec::new(),
            received_at: self.now(),
        };
        let endpoint = ingest.endpoint(source).expect("a source of the settings");
        ingest.receive(&endpoint, webhook).await.expect("a webhook that is kept").outcome
    }

    /// A webhook was read, whatever its sender looks like.
    pub async fn keeps(&self, request: ReceiveRequest) -> Outcome {
        self.service().store.receive(request).await.expect("a webhook that is kept").outcome
    }

    pub fn survey(&self, name: &str) -> Arc<Survey> {
        self.service().surveys[name].clone()
    }

    /// Takes up what is due, and waits until it is settled. Answers when the next is due.
    pub async fn round(&mut self) -> Option<Timestamp> {
        let next_due_at = self.sets_out().await.expect("a store that takes writes");
        self.comes_home().await.expect("a store that takes writes");
        next_due_at
    }

    /// Takes up what is due, and does not wait for it.
    pub async fn sets_out(&mut self) -> Result<Option<Timestamp>, StoreError> {
        let now = self.now();
        self.service_mut().dispatcher.run_once(now).await
    }

    /// Waits until nothing is under way and everything is settled.
    pub async fn comes_home(&mut self) -> Result<(), StoreError> {
        self.service_mut().dispatcher.idle().await
    }

    /// Round after round, whenever the next is due, until nothing is for so long.
    pub async fn rounds_for(&mut self, time: Duration) {
        let until = self.now() + time;
        loop {
            let attempts = self.store.attempts();
            let next_due_at = self.round().await;
            // What ended has left room, which would have woken the dispatcher.
            let goes_on = self.store.attempts() > attempts;
            match next_due_at.filter(|at| !goes_on && *at <= until) {
                Some(at) => {
                    let wait: Duration = at.duration_since(self.now()).try_into().unwrap();
                    self.later(wait);
                }
                None if goes_on => {}
                None => break,
            }
        }
        let rest: Duration = until.duration_since(self.now()).try_into().unwrap();
        self.later(rest);
    }

    /// The dispatcher goes round once an hour, until nothing more is due.
    pub async fn hourly_rounds_for(&mut self, hours: u32) {
        for _ in 0..hours {
            self.later(Duration::from_secs(3590));
            self.rounds_for(Duration::from_secs(10)).await;
        }
    }

    pub async fn operator_holds(&self, account: &str) {
        let reason = "maintenance".to_owned();
        self.service().store.pause(account.parse().unwrap(), reason, self.now()).await.unwrap();
    }

    pub async fn operator_resumes(&self, account: &str) {
        let resumed = self.service().store.resume(account.parse().unwrap(), self.now()).await;
        assert!(resumed.unwrap(), "it was held");
    }

    pub async fn operator_replays(&self, call: &str, same_payload: bool) {
        let how = Replay { same_payload, include_delivered: true, at: self.now() };
        let ids = self.service().store.of_call(call.parse().unwrap()).await.unwrap();
        let replayed = self.service().store.replay(ids, how).await.unwrap();
        assert_eq!(replayed, [ActionOutcome::Done]);
    }

    #[track_caller]
    pub fn submission(&self, call: &str) -> Submission {
        self.store.submission(call).expect("the call is known")
    }

    pub fn figure(&self, series: &str) -> f64 {
        let page = self.service().metrics.render().unwrap();
        super::Figures::read(&page).of(series)
    }

    /// As with a power cut: whatever was under way is forgotten.
    pub fn crash(&mut self) {
        self.service = None;
    }

    pub fn write_settings(&mut self, settings: impl FnOnce(&str) -> String) {
        self.settings = settings(&self.settings);
    }

    pub fn start(&mut self) {
        let settings = self.checked_settings();
        let (clock, random) = (self.clock.clone(), self.random.clone());
        let labels = postcall::telemetry::LabelSets {
            sources: settings.sources.keys().map(|name| (name.clone(), Vec::new())).collect(),
            surveys: settings.surveys.keys().cloned().collect(),
            accounts: settings.accounts.keys().cloned().collect(),
            rejections: Vec::new(),
            ..Default::default()
        };
        let metrics = Arc::new(Metrics::new(&labels, &settings.hash));
        let store = SqliteStore::open(sqlite::Options {
            path: settings.store.url.file().expect("a file").to_owned(),
            write_queue: settings.store.write_queue,
            lease: settings.delivery.lease,
            clock: clock.clone(),
            observer: metrics.clone(),
        });
        let store: Arc<dyn Store> = Arc::new(store.unwrap());
        let (config, config_in_force) =
            watch::channel(Arc::new(postcall::app::delivery_config(&settings)));
        let dispatcher = Dispatcher::new(delivery::Context {
            spool: None,
            store: store.clone(),
            config: config_in_force,
            metrics: metrics.clone(),
            clock: clock.clone(),
            random,
            client: Arc::new(Client::new),
        });
        let Settings { sources, surveys, replies, .. } = settings;
        let (receive, metered) = (store.clone(), metrics.clone());
        let ingest = Ingest::new(&sources, &surveys, &replies, receive, metered, clock);
        self.service = Some(Service { dispatcher, config, ingest, metrics, store, surveys });
    }

    /// The settings as they are written now come into force.
    pub fn reload(&mut self) {
        let settings = self.checked_settings();
        let Service { config, ingest, .. } = self.service();
        config.send_replace(Arc::new(postcall::app::delivery_config(&settings)));
        let Settings { sources, surveys, replies, .. } = settings;
        ingest.change(&sources, &surveys, &replies);
    }

    fn service(&self) -> &Service {
        self.service.as_ref().expect("the service runs")
    }

    fn service_mut(&mut self) -> &mut Service {
        self.service.as_mut().expect("the service runs")
    }

    /// No one signs: what a signature is worth is told elsewhere. Waits are those of the defaults.
    fn checked_settings(&self) -> Settings {
        let text = self
            .settings
            .replace("@folder@", self.folder.path().to_str().unwrap())
            .replace("@plivo@", &format!("http://{}", self.plivo.address()))
            .replace("preset: plivo,", "preset: plivo, signature: none,")
            .replace(
                ", probe_interval: 20ms, retry: { initial_backoff: 1ms, max_backoff: 20ms }",
                "",
            );
        Settings::from_yaml(&text, Environment::default())
            .unwrap_or_else(|faults| panic!("{faults}"))
    }
}
