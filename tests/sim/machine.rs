//! The service on its machine: it starts, it is killed, its power is cut.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use postcall::admin::AdminService;
use postcall::app;
use postcall::clock::Clock;
use postcall::delivery::{self, DeliveryConfig};
use postcall::destination::{Client, Timeouts};
use postcall::ingest::Ingest;
use postcall::random::Random;
use postcall::settings::{Environment, Settings};
use postcall::store::Store;
use postcall::store::sqlite::{Options, SqliteStore};
use postcall::telemetry::{LabelSets, Metrics};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::destination::Plivo;
use super::disk::Disk;
use super::recorder::Recording;

/// Two accounts, and a survey for each policy of changed answers. Waits are short, so that much happens
/// in a short time. `@notes@` tells which settings were in force.
const SETTINGS: &str = r#"
public: { listen: "127.0.0.1:0", url: https://surveys.example.com }
admin: { listen: "127.0.0.1:0" }
store: { write_queue: 4, retention: @retention@ }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { value: @token@ }, api: https://main.example.com }
  other: { auth_id: MAYYYYYYYYYYYYYYYYYY, auth_token: { value: made-up-token-of-other }, api: https://other.example.com }
sources:
  first: { preset: plivo, signature: none, account: main, survey: first }
  last: { preset: plivo, signature: none, account: main, survey: last }
  resend: { preset: plivo, signature: none, account: other, survey: resend }
  signed: { preset: plivo, account: main, survey: last }
surveys:
  first:
    questions: [{ name: score, answers: 1-5 }, { name: problem, answers: 1-3 }]
    rating: { question: score }
    issues: { question: problem, choices: [{ answer: 1, issue: ECHO }, { answer: 2, issue: ONE_WAY_AUDIO }] }
    notes: "@notes@"
    complete: { timeout: 4s, deadline: 20s }
  last:
    questions: [{ name: score, answers: 1-5 }]
    rating: { question: score }
    notes: "@notes@"
    on_changed_answer: keep_last
    complete: { timeout: 4s, deadline: 20s }
  resend:
    questions: [{ name: score, answers: 1-5 }]
    rating: { question: score }
    notes: "@notes@"
    on_changed_answer: redeliver
    complete: { timeout: 4s, deadline: 20s }
delivery:
  delay: 1s
  timeout: 1s
  connect_timeout: 500ms
  lease: 7s
  max_concurrency: 4
  probe_interval: 2s
  retry: { initial_backoff: 100ms, max_backoff: 2s, max_age: 1h, not_found_max_age: 3s }
"#;

/// What an operator changes in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edition {
    pub notes: &'static str,
    /// The auth token of `main`, which signs what `signed` takes.
    pub token: &'static str,
    pub retention: &'static str,
}

impl Default for Edition {
    fn default() -> Self {
        Self { notes: "A", token: "made-up-token-of-main", retention: "{}" }
    }
}

impl Edition {
    /// Read once on each thread: that takes as long as the rest of a start.
    pub fn settings(self) -> Rc<Settings> {
        thread_local! {
            static READ: RefCell<BTreeMap<Edition, Rc<Settings>>> = const { RefCell::new(BTreeMap::new()) };
        }
        READ.with_borrow_mut(|read| {
            read.entry(self).or_insert_with(|| Rc::new(self.read())).clone()
        })
    }

    fn read(self) -> Settings {
        let Self { notes, token, retention } = self;
        let text = SETTINGS
            .replace("@notes@", notes)
            .replace("@token@", token)
            .replace("@retention@", retention);
        Settings::from_yaml(&text, Environment::default())
            .unwrap_or_else(|faults| panic!("{faults}"))
    }
}

/// Metrics are counted for no one here, and making them takes longer than a history.
fn metrics(settings: &Settings) -> Arc<Metrics> {
    thread_local! {
        static METRICS: std::cell::OnceCell<Arc<Metrics>> = const { std::cell::OnceCell::new() };
    }
    let labels = || LabelSets {
        sources: settings.sources.keys().map(|name| (name.clone(), Vec::new())).collect(),
        surveys: settings.surveys.keys().cloned().collect(),
        accounts: settings.accounts.keys().cloned().collect(),
        rejections: Vec::new(),
        ..LabelSets::default()
    };
    METRICS.with(|it| it.get_or_init(|| Arc::new(Metrics::new(&labels(), &settings.hash))).clone())
}

/// How long the quarantine may take to be written at the end.
const SAVED_WITHIN: Duration = Duration::from_secs(5);

/// A running service.
pub struct Machine {
    pub ingest: Arc<Ingest>,
    pub admin: Arc<AdminService>,
    pub store: Arc<dyn Store>,
    pub recording: Recording,
    pub folder: TempDir,
    config: watch::Sender<Arc<DeliveryConfig>>,
    stop: watch::Sender<Option<Duration>>,
    tasks: Tasks,
}

/// What runs until the service ends.
struct Tasks {
    delivery: JoinHandle<()>,
    quarantine: JoinHandle<()>,
    writer: JoinHandle<()>,
}

/// What a service is started with that outlives it.
#[derive(Clone)]
pub struct Environs {
    pub clock: Clock,
    pub random: Random,
    pub plivo: Plivo,
    /// How long the disk takes for a transaction.
    pub latency: Arc<dyn Fn() -> Duration + Send + Sync>,
}

impl Machine {
    /// Starts the service on what is in the folder. Within a `LocalSet`.
    ///
    /// # Errors
    /// The store cannot be opened, in words.
    pub fn start(
        environs: &Environs,
        folder: TempDir,
        recording: Recording,
        edition: Edition,
    ) -> Result<Self, (String, TempDir, Recording)> {
        let Environs { clock, random, plivo, latency } = environs.clone();
        let settings = edition.settings();
        let metrics = metrics(&settings);
        let options = Options {
            path: folder.path().join("postcall.db"),
            write_queue: settings.store.write_queue,
            lease: settings.delivery.lease,
            clock: clock.clone(),
            observer: Arc::new(()),
        };
        let opened = SqliteStore::open_local(options, move || latency());
        let (store, writer) = match opened {
            Ok(opened) => opened,
            Err(error) => return Err((format!("{error:?}"), folder, recording)),
        };
        let store: Arc<dyn Store> = Arc::new(store);
        let (config, in_force) = watch::channel(Arc::new(app::delivery_config(&settings)));
        let (stop, stopped) = watch::channel(None);
        let client = move |timeouts: Timeouts, _| Client::over(plivo.transport(), timeouts);
        let context = delivery::Context {
            spool: None,
            store: store.clone(),
            config: in_force,
            metrics: metrics.clone(),
            clock: clock.clone(),
            random,
            client: Arc::new(client),
        };
        let writer = tokio::task::spawn_local(writer);
        let delivery = tokio::task::spawn_local(delivery::run(context, stopped));
        let admin = app::admin_config(&settings);
        let admin = AdminService::new(store.clone(), admin, metrics.clone(), clock.clone());
        let Settings { sources, surveys, replies, .. } = &*settings;
        let ingest = Ingest::new(sources, surveys, replies, store.clone(), metrics, clock.clone());
        let ingest = Arc::new(ingest);
        let admin = Arc::new(admin);
        let (kept, place) = (ingest.clone(), store.clone());
        let quarantine = tokio::task::spawn_local(async move {
            kept.keep_quarantine(&*place, || clock.now()).await;
        });
        let tasks = Tasks { delivery, quarantine, writer };
        Ok(Self { ingest, admin, store, recording, folder, config, stop, tasks })
    }

    /// Other settings come into force.
    pub fn reload(&self, edition: Edition) {
        let settings = edition.settings();
        self.config.send_replace(Arc::new(app::delivery_config(&settings)));
        let Settings { sources, surveys, replies, .. } = &*settings;
        self.ingest.change(sources, surveys, replies);
    }

    /// Whether the service ended by itself, which it never does.
    pub fn has_panicked(&self) -> bool {
        let Tasks { delivery, quarantine, writer } = &self.tasks;
        [delivery, quarantine, writer].iter().any(|task| task.is_finished())
    }

    /// As with SIGTERM: what is in flight is finished, and the store is closed.
    pub async fn shut_down(self) -> TempDir {
        let Tasks { delivery, quarantine, writer } = self.tasks;
        quarantine.abort();
        assert!(quarantine.await.unwrap_err().is_cancelled(), "the quarantine panicked");
        // A store that refuses keeps nothing of what is not acknowledged.
        let saved = self.ingest.quarantine().save_all(&*self.store);
        let _ = tokio::time::timeout(SAVED_WITHIN, saved).await;
        // The dispatcher may have ended already, which `has_panicked` tells.
        let _ = self.stop.send(Some(Duration::from_secs(30)));
        delivery.await.expect("delivery does not panic");
        self.store.close().await;
        writer.await.expect("the writer does not panic");
        drop((self.ingest, self.admin, self.store));
        self.recording.end();
        self.folder
    }

    /// Ends with what the disk has at this moment: everything that was written, or, after a power cut,
    /// everything up to `moment` that was synced and some of the rest. Returns a folder with that.
    pub fn crash(self, power_cut: Option<(usize, &mut fastrand::Rng)>) -> TempDir {
        let after = new_folder();
        match power_cut {
            Some((moment, chance)) => {
                let events = self.recording.events();
                Disk::after_a_cut(&events[..moment.min(events.len())], chance)
                    .write_to(after.path());
            }
            None => {
                for name in ["postcall.db", "postcall.db-wal"] {
                    let file = self.folder.path().join(name);
                    if file.exists() {
                        std::fs::copy(file, after.path().join(name)).unwrap();
                    }
                }
            }
        }
        self.recording.end();
        let Tasks { delivery, quarantine, writer } = self.tasks;
        [delivery, quarantine, writer].iter().for_each(JoinHandle::abort);
        after
    }
}

/// A folder in memory where the system has one: a history syncs a thousand times.
pub fn new_folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    match memory.is_dir() {
        true => TempDir::new_in(memory).or_else(|_| TempDir::new()).unwrap(),
        false => TempDir::new().unwrap(),
    }
}

/// Rows of `webhooks` by their ids, for what is checked once a history is over.
pub fn webhooks(folder: &Path) -> BTreeMap<uuid::Uuid, i64> {
    let connection = rusqlite::Connection::open(folder.join("postcall.db")).unwrap();
    let mut statement = connection.prepare("SELECT id, submission FROM webhooks").unwrap();
    let rows = statement.query_map([], |row| {
        Ok((uuid::Uuid::from_slice(row.get_ref(0)?.as_blob()?).unwrap(), row.get(1)?))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}
