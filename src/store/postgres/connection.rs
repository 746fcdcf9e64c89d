//! Connections, and statements that share a round trip.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use deadpool_postgres::Connect;
use futures_util::StreamExt;
use futures_util::future::{BoxFuture, try_join_all};
use futures_util::stream::FuturesUnordered;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use secrecy::ExposeSecret;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::config::Host;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Connection, Row, Socket, Statement as Prepared};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::PgError;
use crate::domain::{Credentials, chain};
use crate::store::error::StoreError;

/// How long a host may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1500);

/// How long a host may take to say who it is until the next one is asked too: of two, the second has its turn
/// before a sender gives up.
const NEXT_HOST_AFTER: Duration = Duration::from_millis(1000);

/// How long a step of opening may take, but for migrations.
pub(super) const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long what was sent may stay unacknowledged by the host.
const TCP_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the database is, and who connects to it.
#[derive(Clone)]
pub struct Address {
    config: Config,
    tls: Arc<RwLock<MakeRustlsConnect>>,
    /// Its certificates are read again before each connection, if they are of a file.
    ca_file: Option<PathBuf>,
    /// Read again before each connection; `None` if the server asks for none.
    password: Option<Arc<Credentials>>,
    /// The way on which the schema is migrated, if it is another.
    migrations: Option<Box<Address>>,
}

impl Address {
    /// `config` has hosts, database and user; its bounds of time are set here.
    pub fn new(
        mut config: Config,
        tls: rustls::ClientConfig,
        password: Option<Arc<Credentials>>,
    ) -> Self {
        config
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(TCP_TIMEOUT)
            .keepalives_idle(TCP_TIMEOUT)
            .application_name("postcall");
        let tls = Arc::new(RwLock::new(MakeRustlsConnect::new(tls)));
        Self { config, tls, ca_file: None, password, migrations: None }
    }

    /// For a database, with the certificates of a file or else those that browsers trust.
    ///
    /// # Errors
    /// The file cannot be read, or has no certificates.
    pub fn of(
        config: &Config,
        ca_file: Option<&Path>,
        password: Option<Arc<Credentials>>,
    ) -> Result<Self, StoreError> {
        let tls = tls_of(ca_file, config)?;
        let ca_file = ca_file.map(Path::to_owned);
        Ok(Self { ca_file, ..Self::new(config.clone(), tls, password) })
    }

    /// As before, but the schema is migrated over another address, such as that of the server itself if
    /// this one is that of a pooler.
    #[must_use]
    pub fn with_migrations_over(self, address: Address) -> Self {
        Self { migrations: Some(Box::new(address)), ..self }
    }

    /// The address that the schema is migrated over.
    pub(super) fn migrations(&self) -> &Address {
        self.migrations.as_deref().unwrap_or(self)
    }

    /// Hosts and database, without anything that is secret.
    pub fn shown(&self) -> String {
        shown(&self.config)
    }

    fn config(&self) -> Config {
        let mut config = self.config.clone();
        if let Some(password) = &self.password {
            // If it cannot be read now, what was read before may still be right.
            let _ = password.read_anew();
            config.password(password.first().expose_secret());
        }
        config
    }

    fn tls(&self) -> MakeRustlsConnect {
        if let Some(file) = &self.ca_file {
            match tls_of(Some(file), &self.config) {
                Ok(tls) => {
                    *self.tls.write().expect("no holder panics") = MakeRustlsConnect::new(tls);
                }
                // What was read before may still be right.
                Err(error) => tracing::debug!(error = chain(&error), "certificates are not read"),
            }
        }
        self.tls.read().expect("no holder panics").clone()
    }

    /// A connection, served by a task of the runtime.
    pub(super) async fn connect(&self) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        self.connect_with(&[]).await
    }

    /// As [`connect`](Self::connect), in a session with settings, or without them if the host refuses those.
    pub(super) async fn connect_with(
        &self,
        settings: &[(&str, &str)],
    ) -> Result<(Client, JoinHandle<()>), tokio_postgres::Error> {
        let (client, connection) = self.connect_to_one(settings).await?;
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
            }
        });
        Ok((client, task))
    }

    /// The first host that is as it has to be. One that takes the connection and says nothing, because it
    /// hangs, does not keep the next one from its turn; one that is only slow is still waited for.
    async fn connect_to_one(
        &self,
        settings: &[(&str, &str)],
    ) -> Result<Connected, tokio_postgres::Error> {
        let (config, tls) = (self.config(), self.tls());
        let mut hosts = 0..config.get_hosts().len().max(1);
        let mut connecting = FuturesUnordered::new();
        loop {
            if let Some(host) = hosts.next() {
                connecting.push(connect_to(of_host(&config, host), settings, tls.clone()));
            }
            let first = if hosts.is_empty() {
                connecting.next().await
            } else {
                tokio::time::timeout(NEXT_HOST_AFTER, connecting.next()).await.unwrap_or(None)
            };
            match first {
                Some(Ok(connected)) => return Ok(connected),
                Some(Err(error)) if hosts.is_empty() && connecting.is_empty() => return Err(error),
                Some(Err(error)) => tracing::debug!(%error, "a host of PostgreSQL is not used"),
                None => {}
            }
        }
    }
}

async fn connect_to(
    host: Config,
    settings: &[(&str, &str)],
    tls: MakeRustlsConnect,
) -> Result<Connected, tokio_postgres::Error> {
    if !settings.is_empty() {
        let set = settings.iter().map(|(name, value)| format!(" -c {name}={value}"));
        let mut options = host.get_options().unwrap_or_default().to_owned();
        options.extend(set);
        match host.clone().options(options).connect(tls.clone()).await {
            Err(error) if error.code().is_some_and(may_be_of_settings) => {}
            connected => return connected,
        }
    }
    host.connect(tls).await
}

/// Whether a host may take the same connection without settings: not if it refuses the user, the database, or any
/// connection now.
fn may_be_of_settings(state: &SqlState) -> bool {
    !["28", "3D", "53", "57", "58"].iter().any(|class| state.code().starts_with(class))
}

/// Trusts the certificates of a file, or else those that browsers trust.
fn tls_of(ca_file: Option<&Path>, config: &Config) -> Result<rustls::ClientConfig, StoreError> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
            let certificates: Vec<_> =
                read.map_err(|error| StoreError::open(file, error.to_string()))?;
            let (added, _) = roots.add_parsable_certificates(certificates);
            if added == 0 {
                return Err(StoreError::open(file, "there is no certificate in it"));
            }
        }
    }
    let tls = rustls::ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| StoreError::open(shown(config).as_ref(), error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(tls)
}

type Connected =
    (Client, Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>);

/// The same for one of the hosts alone.
fn of_host(config: &Config, number: usize) -> Config {
    let mut one = Config::new();
    match config.get_hosts().get(number) {
        Some(Host::Tcp(host)) => one.host(host),
        Some(Host::Unix(folder)) => one.host_path(folder),
        None => return config.clone(),
    };
    if let Some(address) = config.get_hostaddrs().get(number) {
        one.hostaddr(*address);
    }
    if let Some(port) = config.get_ports().get(number).or(config.get_ports().first()) {
        one.port(*port);
    }
    config.get_user().map(|user| one.user(user));
    config.get_password().map(|password| one.password(password));
    config.get_dbname().map(|name| one.dbname(name));
    config.get_options().map(|options| one.options(options));
    config.get_application_name().map(|name| one.application_name(name));
    config.get_connect_timeout().map(|timeout| one.connect_timeout(*timeout));
    config.get_tcp_user_timeout().map(|timeout| one.tcp_user_timeout(*timeout));
    config.get_keepalives_interval().map(|interval| one.keepalives_interval(interval));
    config.get_keepalives_retries().map(|retries| one.keepalives_retries(retries));
    one.keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle())
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs())
        .load_balance_hosts(config.get_load_balance_hosts());
    one
}

impl Address {
    /// The first connection to a store, with a runtime for the thread that uses it.
    ///
    /// # Errors
    /// The database cannot be reached, or refuses the user.
    pub(super) fn open(&self) -> Result<(Runtime, Client), StoreError> {
        let failed = |error: PgError| StoreError::open(self.shown().as_ref(), error);
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::open(self.shown().as_ref(), error))?;
        let connecting =
            async { self.connect().await.map_err(|error| PgError::Connect(error.into())) };
        let connected = runtime.block_on(within(OPEN_TIMEOUT, connecting));
        let (client, _task) = connected.map_err(failed)?;
        Ok((runtime, client))
    }
}

impl Connect for Address {
    fn connect(
        &self,
        _config: &Config,
    ) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), tokio_postgres::Error>> {
        Box::pin(Address::connect(self))
    }
}

/// Hosts and database, without anything that is secret.
pub fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(n, host)| {
        let port = ports.get(n).or(ports.first()).copied().unwrap_or(5432);
        match host {
            Host::Tcp(host) => format!("{host}:{port}"),
            Host::Unix(folder) => format!("{}:{port}", folder.display()),
        }
    });
    let hosts: Vec<String> = hosts.collect();
    format!("postgres://{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

/// A statement with its values. It has no name, so that it works through a pooler that gives each transaction
/// another connection.
pub(super) struct Statement {
    sql: Cow<'static, str>,
    values: Vec<(Box<dyn ToSql + Sync + Send>, Type)>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    /// See [`Statement::prepared`].
    Prepared,
    /// See [`Statement::batch`].
    Batch,
}

impl Statement {
    pub fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { sql: sql.into(), values: Vec::new(), kind: Kind::Single }
    }

    /// One that each webhook or delivery runs: a [`Session`](super::session::Session) of its own prepares it. Its plan has
    /// to be the same for any number of rows, by an index that finds each: it may have been made for none.
    pub fn prepared(sql: &'static str) -> Self {
        Self { kind: Kind::Prepared, ..Self::new(sql) }
    }

    /// Several commands without values, as one message.
    pub fn batch(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { kind: Kind::Batch, ..Self::new(sql) }
    }

    pub fn with(mut self, value: impl ToSql + Sync + Send + 'static, kind: Type) -> Self {
        self.values.push((Box::new(value), kind));
        self
    }

    /// Its text, if it is to be prepared.
    pub fn preparable(&self) -> Option<&'static str> {
        match self.sql {
            Cow::Borrowed(sql) if self.kind == Kind::Prepared => Some(sql),
            _ => None,
        }
    }

    pub fn types(&self) -> Vec<Type> {
        self.values.iter().map(|(_, kind)| kind.clone()).collect()
    }

    async fn run(
        &self,
        client: &Client,
        prepared: Option<&Prepared>,
    ) -> Result<Vec<Row>, tokio_postgres::Error> {
        if self.kind == Kind::Batch {
            return client.batch_execute(&self.sql).await.map(|()| Vec::new());
        }
        let values = self.values.iter().map(|(value, _)| &**value as &(dyn ToSql + Sync));
        match prepared {
            Some(prepared) => client.query(prepared, &values.collect::<Vec<_>>()).await,
            None => {
                let typed: Vec<_> = values.zip(self.types()).collect();
                client.query_typed(&self.sql, &typed).await
            }
        }
    }
}

type Running<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<Row>, tokio_postgres::Error>> + Send + 'a>>;

/// Sends all statements before it waits for the result of the first; returns the rows of each. After
/// one that fails, those of the same transaction that follow have done nothing.
pub(super) async fn pipeline(
    client: &Client,
    statements: &[Statement],
    timeout: Duration,
) -> Result<Vec<Vec<Row>>, PgError> {
    within(timeout, run_all(client, statements, |_| None)).await
}

/// What comes of it, unless it takes longer.
pub(super) async fn within<T>(
    timeout: Duration,
    running: impl Future<Output = Result<T, PgError>>,
) -> Result<T, PgError> {
    tokio::time::timeout(timeout, running).await.unwrap_or(Err(PgError::TimedOut(timeout)))
}

/// As [`pipeline`], without a bound, each statement as it is prepared, if it is.
pub(super) async fn run_all<'a>(
    client: &'a Client,
    statements: &'a [Statement],
    prepared: impl Fn(&'a Statement) -> Option<&'a Prepared>,
) -> Result<Vec<Vec<Row>>, PgError> {
    let running = statements
        .iter()
        .map(|statement| Box::pin(statement.run(client, prepared(statement))) as Running<'_>);
    Ok(try_join_all(running).await?)
}

/// Runs on a thread of its own and waits for it.
pub(in crate::store) fn apart<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope.spawn(run).join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
