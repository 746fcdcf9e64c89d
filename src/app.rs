//! The parts put together: what lives long is made here and nowhere else, and taken down in order.

mod answer_xml;
mod open_files;
mod reload;
mod span_export;
mod terms;

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::{Server, ServerHandle};
use actix_web::web;
use tokio::sync::{mpsc, watch};
use tracing_actix_web::TracingLogger;

pub use self::answer_xml::{AnswerXml, answer_xml};
pub use self::terms::{mapper, of_admin as admin_config, of_delivery as delivery_config};

pub use self::reload::Reread;
use self::reload::{InForce, Live};
use self::span_export::SpanExport;
use crate::admin::AdminService;
use crate::clock::Clock;
use crate::delivery::{self, Delivery};
use crate::destination::Client;
pub use crate::http::api_description;
use crate::http::{
    self, AdminListener, Api, Bounds, Check, ConsoleContext, Gate, ListenerOptions, PublicListener,
    RootSpan,
};
use crate::ingest::Ingest;
use crate::random::Random;
use crate::settings::{self, Settings, StoreUrl};
use crate::store::postgres::{self, LeaseClock, PostgresStore};
use crate::store::sqlite::{self, SqliteStore};
use crate::store::{DurabilityRisk, Receive, Spool, SpoolOptions, Store, StoreError};
use crate::telemetry::{Listener, Metrics, Span, Spans, logs};

/// How long an idle connection is kept: longer than load balancers keep theirs, so that none of
/// them sends a webhook into a connection that is just being closed.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long an idle connection of the admin listener is kept, where a scraper may come every few seconds.
const ADMIN_KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Most bytes of a head that the admin listener reads, so that its connections never keep more.
const ADMIN_HEAD_MAX: usize = 16 * 1024;

/// By how much a bound of ours exceeds actix's timer of the same: actix answers before it closes.
const TIMER_MARGIN: Duration = Duration::from_secs(1);

/// How long a client may take nothing of its response.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Most bytes of a request on the wire, with what is drained of it: far more than a body in the smallest
/// chunks has, and less than a tenth of a second's work.
const REQUEST_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// How often secrets in files are read again: soon after a rotation, long before Plivo gives up on a
/// callback that it may retry.
const SECRETS_EVERY: Duration = Duration::from_secs(5);

/// The least that the dispatcher has for what is in flight, however long the listener took to close.
const SETTLE_MIN: Duration = Duration::from_secs(1);

/// The most that the last copy of the quarantine may take of the shutdown.
const QUARANTINE_SAVE_MAX: Duration = Duration::from_secs(2);

/// How often it is looked at whether the store has to be served by another process.
const STORE_CHECK_EVERY: Duration = Duration::from_secs(1);

/// Connections that each worker has at least, where the settings allow so many.
const WORKER_CONNECTIONS_MIN: usize = 16;

/// The admin listener serves one scraper and some probes.
const PRIVATE_WORKERS: usize = 1;

/// A service that is ready to run: the store is open and both listeners are bound.
pub struct App {
    settings: Settings,
    clock: Clock,
    random: Random,
    store: Arc<dyn Store>,
    /// It takes webhooks for the store, if there is one.
    spool: Option<Arc<Spool>>,
    metrics: Arc<Metrics>,
    public: TcpListener,
    admin_listener: TcpListener,
    /// The settings are not those of their file, which is refused.
    is_stale: bool,
    /// Spans that wait for their export.
    spans: Option<mpsc::Receiver<Span>>,
}

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("listening on {address} ({listener}.listen)")]
    Listen { listener: &'static str, address: SocketAddr, source: io::Error },
    #[error(transparent)]
    OpenFiles(#[from] open_files::TooFew),
    #[error("starting to serve")]
    Serve(#[source] io::Error),
}

impl App {
    /// # Errors
    /// A store that cannot be opened, an address that cannot be listened on, or too few open files for
    /// the connections.
    pub fn build(settings: Settings, clock: Clock, random: Random) -> Result<Self, AppError> {
        open_files::check(open_files::raise_limit(), &settings)?;
        let public = listen("public", settings.public.listen)?;
        let admin_listener = listen("admin", settings.admin.listen)?;
        let metrics = Arc::new(Metrics::new(&terms::label_sets(&settings), &settings.hash));
        let (store, spool) = open_store(&settings, &clock, &metrics)?;
        let spans = settings.tracing.otlp.as_ref().map(|otlp| {
            let (spans, waiting) = Spans::new(otlp.sample_ratio);
            metrics.export_spans(spans);
            waiting
        });
        let is_stale = false;
        Ok(Self {
            settings,
            clock,
            random,
            store,
            spool,
            metrics,
            public,
            admin_listener,
            is_stale,
            spans,
        })
    }

    /// Notes that the settings were accepted earlier, and that their file is refused now.
    #[must_use]
    pub fn with_stale_settings(self) -> Self {
        self.metrics.settings_are_stale(true);
        Self { is_stale: true, ..self }
    }

    /// Where webhooks are taken, with the port that the system gave.
    pub fn public_address(&self) -> SocketAddr {
        self.public.local_addr().expect("a bound listener has an address")
    }

    /// Where figures and probes are.
    pub fn admin_address(&self) -> SocketAddr {
        self.admin_listener.local_addr().expect("a bound listener has an address")
    }

    /// Serves until `shutdown` comes, then drains: readiness turns red while webhooks are still
    /// taken, the public listener closes, what is in flight is finished and settled, the store is
    /// closed. Within an actix `System`.
    ///
    /// Settings that are `reread` come into force at once and as a whole, or not at all.
    ///
    /// # Errors
    /// Where serving cannot start.
    pub async fn run(
        self,
        mut reread: mpsc::Receiver<Reread>,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), AppError> {
        let App {
            settings,
            clock,
            random,
            store,
            spool,
            metrics,
            public,
            admin_listener,
            is_stale,
            spans,
        } = self;
        let receive: Arc<dyn Receive> = match &spool {
            Some(spool) => spool.clone(),
            None => store.clone(),
        };
        if !is_stale {
            reload::keep(&settings);
        }
        let accepting = Arc::new(AtomicBool::new(true));
        log_listeners(&settings, &public, &admin_listener);
        let exported = settings.tracing.otlp.clone().zip(spans);
        let spans = exported.map(|(otlp, waiting)| {
            SpanExport::start(otlp, replica_name(&settings), waiting, metrics.clone())
        });
        let (terms, terms_in_force) = watch::channel(Arc::new(terms::of_delivery(&settings)));
        let delivery = Delivery::start(delivery::Context {
            spool: spool.clone(),
            store: store.clone(),
            config: terms_in_force,
            metrics: metrics.clone(),
            clock: clock.clone(),
            random: random.clone(),
            client: Arc::new(Client::new),
        })
        .map_err(AppError::Serve)?;
        let config = terms::of_admin(&settings);
        let admin = AdminService::new(store.clone(), config, metrics.clone(), clock.clone());
        let admin = Arc::new(admin);
        let gate = gate(&settings);
        let in_force = InForce::of(&settings);
        let console =
            ConsoleContext::new(clock.clone(), random.clone(), terms::of_console(&settings));
        let console = Arc::new(console);
        let Settings { public: public_settings, sources, surveys, replies, shutdown: pace, .. } =
            settings;
        let ingest = Arc::new(Ingest::new(
            &sources,
            &surveys,
            &replies,
            receive.clone(),
            metrics.clone(),
            clock.clone(),
        ));
        let api = Api { admin: admin.clone(), gate: gate.clone(), ingest: ingest.clone() };
        let admin_server = serve_admin(
            admin_listener,
            (store.clone(), receive),
            &metrics,
            &accepting,
            api,
            console.clone(),
            clock.clone(),
        )?;
        actix_web::rt::spawn(keep_secrets_fresh(ingest.clone(), gate.clone()));
        let quarantine =
            actix_web::rt::spawn(keep_quarantine(ingest.clone(), store.clone(), clock.clone()));
        let draining = spool.clone().map(|spool| {
            let ingest = ingest.clone();
            actix_web::rt::spawn(async move { spool.drain(|survey| ingest.policy(survey)).await })
        });
        let state = PublicListener {
            ingest: ingest.clone(),
            metrics: metrics.clone(),
            body_timeout: public_settings.body_timeout,
            clock: clock.clone(),
            random,
        };
        let public =
            serve_public(public, &public_settings, pace.deadline, state, accepting.clone())?;
        let mut live = Live { in_force, ingest, admin, gate, console, terms, metrics };

        let mut shutdown = std::pin::pin!(shutdown);
        let mut store_ended = std::pin::pin!(store_ended(&*store));
        let error = loop {
            tokio::select! {
                () = &mut shutdown => break None,
                error = &mut store_ended => break Some(error),
                Some(reread) = reread.recv() => live.take(reread),
            }
        };

        accepting.store(false, Ordering::Relaxed);
        match &error {
            None => {
                tracing::info!("going down: not ready any more, webhooks are still taken");
                tokio::time::sleep(live.in_force.announce).await;
            }
            Some(error) => tracing::error!(error = logs::chain(error), "the service ends"),
        }
        let began = clock.monotonic();
        public.stop(true).await;
        tracing::info!("public listener closed");
        quarantine.abort();
        save_quarantine(&live.ingest, &*store).await;
        let took = clock.monotonic() - began;
        let left = pace.deadline.saturating_sub(took).max(SETTLE_MIN);
        let drained = async {
            if let Some((spool, draining)) = spool.zip(draining) {
                draining.abort();
                spool.close(left, |survey| live.ingest.policy(survey)).await;
            }
        };
        tokio::join!(drained, delivery.stop(left));
        store.close().await;
        if let Some(spans) = spans {
            spans.stop().await;
        }
        admin_server.stop(false).await;
        tracing::info!("the store is closed");
        error.map_or(Ok(()), |error| Err(error.into()))
    }
}

fn listen(listener: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address).map_err(|source| AppError::Listen { listener, address, source })
}

/// A store, and its spool if it has one.
type StoreAndSpool = (Arc<dyn Store>, Option<Arc<Spool>>);

/// A damaged store does not end the process, which would only be restarted in a loop:
/// it logs what to do, and stays up for the operator.
fn open_store(
    settings: &Settings,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<StoreAndSpool, StoreError> {
    let path = match &settings.store.url {
        StoreUrl::Sqlite(path) => path.clone(),
        StoreUrl::Postgres(_) => return open_postgres(settings, clock, metrics),
    };
    let opened = SqliteStore::open(sqlite::Options {
        path,
        write_queue: settings.store.write_queue,
        lease: settings.delivery.lease,
        clock: clock.clone(),
        observer: metrics.clone(),
    });
    match opened {
        Ok(store) => Ok((Arc::new(store), None)),
        Err(StoreError::Damaged { path, fault }) => {
            metrics.store_not_opened();
            tracing::error!(
                fault,
                "the store is damaged and cannot be opened, webhooks are answered 503; run: {}",
                advice(&path)
            );
            Ok((Arc::new(SqliteStore::damaged(&path, &fault)), None))
        }
        Err(error) => Err(error),
    }
}

fn open_postgres(
    settings: &Settings,
    clock: &Clock,
    metrics: &Arc<Metrics>,
) -> Result<StoreAndSpool, StoreError> {
    let store = PostgresStore::open(postgres::Options {
        address: postgres_address(&settings.store)?,
        replica: replica_name(settings),
        write_queue: settings.store.write_queue,
        lease: settings.delivery.lease,
        lease_clock: LeaseClock::Database,
        clock: clock.clone(),
        observer: metrics.clone(),
    })?;
    let database = store.identity();
    let store: Arc<dyn Store> = Arc::new(store);
    let settings::Spool { path, after, webhooks } = settings.store.spool.clone();
    let Some(path) = path else {
        tracing::warn!(
            "there is no spool (store.spool.path): webhooks are answered 503 while the database is away"
        );
        return Ok((store, None));
    };
    let spool = Spool::open(
        SpoolOptions {
            path,
            after,
            webhooks_max: webhooks,
            write_queue: settings.store.write_queue,
            database,
            clock: clock.clone(),
            observer: metrics.clone(),
        },
        store.clone(),
    );
    match spool {
        Ok(spool) => {
            metrics.spool_opened(webhooks);
            Ok((store, Some(Arc::new(spool))))
        }
        Err(StoreError::Damaged { path, fault }) => {
            tracing::error!(
                fault,
                "the spool is damaged and not used: what waits in it was answered 200, and webhooks are answered \
                 503 while the database is away; stop the service and run: {}",
                advice(&path)
            );
            Ok((store, None))
        }
        Err(error) => Err(error),
    }
}

/// How to connect to the PostgreSQL store of these settings.
///
/// # Errors
/// The file of certificates cannot be read; the store is in a file.
pub fn postgres_address(settings: &settings::Store) -> Result<postgres::Address, StoreError> {
    let StoreUrl::Postgres(config) = &settings.url else {
        return Err(StoreError::Foreign { path: settings.url.shown() });
    };
    let (ca_file, password) = (settings.ca_file.as_deref(), settings.password.clone());
    let address = postgres::Address::of(config, ca_file, password.clone())?;
    Ok(match &settings.migrate_url {
        Some(StoreUrl::Postgres(config)) => {
            address.with_migrations_over(postgres::Address::of(config, ca_file, password)?)
        }
        _ => address,
    })
}

/// The name of this process. Two of one machine do not listen at one address.
fn replica_name(settings: &Settings) -> String {
    if let Some(name) = &settings.store.replica {
        return name.clone();
    }
    let machine = rustix::system::uname();
    format!("{}/{}", machine.nodename().to_string_lossy(), settings.public.listen)
}

/// What helps with a damaged store.
fn advice(store: &str) -> String {
    format!("postcall doctor --store {store}")
}

/// Whether webhooks can be kept, and what may lose them all the same.
fn check_store(store: &dyn Store, receive: &dyn Receive) -> Result<Vec<&'static str>, String> {
    match store.damage() {
        Some(StoreError::Damaged { path, .. }) => {
            Err(format!("it is damaged; run: {}", advice(&path)))
        }
        Some(other) => Err(other.to_string()),
        None if receive.is_writable() => {
            Ok(store.durability_risks().into_iter().map(DurabilityRisk::advice).collect())
        }
        None => Err(String::new()),
    }
}

/// Who may use the API.
fn gate(settings: &Settings) -> Arc<Gate> {
    let is_on_loopback = settings.admin.listen.ip().is_loopback();
    let gate = Gate::new(is_on_loopback, terms::admin_tokens(settings));
    if !gate.is_open() {
        tracing::info!("the API is off: the admin listener is not on loopback and has no token");
    }
    Arc::new(gate)
}

/// Why the store cannot be served by this process, or no more.
async fn store_ended(store: &dyn Store) -> StoreError {
    loop {
        if let Some(error @ StoreError::Ended(_)) = store.damage() {
            return error;
        }
        tokio::time::sleep(STORE_CHECK_EVERY).await;
    }
}

/// Says where the listeners are.
fn log_listeners(settings: &Settings, public: &TcpListener, admin: &TcpListener) {
    let address = |listener: &TcpListener| listener.local_addr().map(|a| a.to_string()).ok();
    tracing::info!(
        public = address(public),
        admin = address(admin),
        settings = settings.hash,
        release = env!("CARGO_PKG_VERSION"),
        "serving"
    );
    terms::warn_of_open_sources(settings);
}

fn serve_public(
    listener: TcpListener,
    settings: &settings::PublicListener,
    deadline: Duration,
    state: PublicListener,
    accepting: Arc<AtomicBool>,
) -> Result<ServerHandle, AppError> {
    let state = web::Data::new(state);
    // Near its part of the limit a worker closes what keeps it waiting, so no part may be tiny.
    let workers = std::thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min((settings.connections / WORKER_CONNECTIONS_MIN).max(1));
    let options = ListenerOptions {
        workers,
        keep_alive: KEEP_ALIVE,
        shutdown_timeout: deadline,
        bounds: Bounds {
            // Counted by each worker.
            connections: settings.connections.div_ceil(workers),
            idle: KEEP_ALIVE + TIMER_MARGIN,
            head: http::HEAD_TIMEOUT + TIMER_MARGIN,
            body: settings.body_timeout + TIMER_MARGIN,
            response: RESPONSE_TIMEOUT,
            // actix answers 431 before that.
            head_bytes: usize::MAX,
            request_bytes: REQUEST_BYTES_MAX,
        },
        metrics: state.metrics.listener(Listener::Public),
        accepting,
        clock: state.clock.clone(),
    };
    let server = http::serve(listener, options, move || {
        actix_web::App::new()
            .wrap(TracingLogger::<RootSpan>::new())
            .configure(http::public(state.clone()))
    })
    .map_err(AppError::Serve)?;
    Ok(spawned(server))
}

fn serve_admin(
    listener: TcpListener,
    (store, receive): (Arc<dyn Store>, Arc<dyn Receive>),
    metrics: &Arc<Metrics>,
    accepting: &Arc<AtomicBool>,
    api: Api,
    console: Arc<ConsoleContext>,
    clock: Clock,
) -> Result<ServerHandle, AppError> {
    let is_accepting = accepting.clone();
    let state = web::Data::new(AdminListener {
        metrics: metrics.clone(),
        checks: vec![
            Check { name: "store", holds: Box::new(move || check_store(&*store, &*receive)) },
            Check {
                name: "accepting",
                holds: Box::new(move || {
                    let is_accepting = is_accepting.load(Ordering::Relaxed);
                    is_accepting.then(Vec::new).ok_or_else(String::new)
                }),
            },
        ],
        api,
        console,
    });
    let options = ListenerOptions {
        workers: PRIVATE_WORKERS,
        keep_alive: ADMIN_KEEP_ALIVE,
        shutdown_timeout: SETTLE_MIN,
        bounds: Bounds {
            connections: open_files::ADMIN_CONNECTIONS.div_ceil(PRIVATE_WORKERS),
            idle: ADMIN_KEEP_ALIVE + TIMER_MARGIN,
            head: http::HEAD_TIMEOUT + TIMER_MARGIN,
            body: http::API_BODY_TIMEOUT + TIMER_MARGIN,
            response: RESPONSE_TIMEOUT,
            head_bytes: ADMIN_HEAD_MAX,
            request_bytes: REQUEST_BYTES_MAX,
        },
        metrics: metrics.listener(Listener::Admin),
        accepting: accepting.clone(),
        clock,
    };
    let server = http::serve(listener, options, move || {
        actix_web::App::new().configure(http::admin(state.clone()))
    })
    .map_err(AppError::Serve)?;
    Ok(spawned(server))
}

/// Ends with the runtime.
async fn keep_secrets_fresh(ingest: Arc<Ingest>, gate: Arc<Gate>) {
    loop {
        tokio::time::sleep(SECRETS_EVERY).await;
        ingest.read_secrets_anew();
        gate.read_secrets_anew();
    }
}

/// Ends with the service, which ends it.
async fn keep_quarantine(ingest: Arc<Ingest>, store: Arc<dyn Store>, clock: Clock) {
    ingest.keep_quarantine(&*store, || clock.now()).await;
}

/// Writes what the next process has to verify again.
async fn save_quarantine(ingest: &Ingest, store: &dyn Store) {
    match tokio::time::timeout(QUARANTINE_SAVE_MAX, ingest.quarantine().save_all(store)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::warn!(error = logs::chain(&error), "the quarantine could not be written");
        }
        Err(_) => tracing::warn!("the quarantine could not be written in time"),
    }
}

fn spawned(server: Server) -> ServerHandle {
    let handle = server.handle();
    actix_web::rt::spawn(async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "a listener stopped serving");
        }
    });
    handle
}
