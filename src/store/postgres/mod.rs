//! The store in a PostgreSQL database, which several processes may serve at once.
//!
//! Each has a writer of its own, as on SQLite, that commits in groups and locks the rows it touches. A
//! submission's row is the authority; `due` only finds what waits.

mod columns;
mod connection;
mod durability;
mod error;
mod examine;
mod import;
mod opening;
mod options;
mod quarantine;
mod queries;
mod replicas;
mod revisions;
mod schema;
mod server_clock;
mod session;
mod tallies;
mod transaction;
mod upkeep;
mod waiting;

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use deadpool_postgres::{Manager, ManagerConfig, Pool, RecyclingMethod};
use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Notify, oneshot};
use uuid::Uuid;

pub(super) use self::connection::apart;
use self::durability::Risks;
use self::error::PgError;
use self::opening::Opening;
use self::queries::Reading;
use self::replicas::{Ended, Replica};
use self::transaction::Database;
use super::contract::Reader;
use super::durability_risk::DurabilityRisk;
use super::error::StoreError;
use super::model::{
    ClockRecord, Cursor, Page, Statistics, SubmissionDetail, SubmissionFilter, SurveyRevision,
    Tally, TallyFilter,
};
use super::serving::{Engine, Serving, Writing};
use crate::domain::{CallUuid, Name, chain};
use crate::submission::{Submission, SubmissionId};

pub use self::connection::{Address, shown};
pub use self::examine::examine;
pub(super) use self::import::{Import, MoveStart};
pub use self::options::{LeaseClock, Options};

/// Connections for queries; the writer has one of its own.
const READERS: usize = 4;

/// How long a query waits for a connection.
const POOL_TIMEOUT: Duration = Duration::from_secs(5);

/// A PostgreSQL store: one that is served by this process, or one that is only read.
pub struct PostgresStore {
    /// Shared with the thread that opens it.
    serving: Arc<Serving<Database>>,
    reader: Pooled,
    risks: Arc<Risks>,
    ended: Ended,
    /// Not set if it only reads.
    replica: Arc<OnceLock<Replica>>,
    /// A thread that waits for a database that was away; it ends when the other is dropped.
    opening: Option<(JoinHandle<()>, Sender<()>)>,
}

impl PostgresStore {
    /// Migrates the schema, and frees the claims of an earlier process of this name. If the database is
    /// away, or another process had the name a moment ago, the store is opened as soon as that ends, and
    /// refuses everything until then.
    ///
    /// # Errors
    /// The database says no, or a newer release wrote it.
    pub fn open(options: Options) -> Result<Self, StoreError> {
        // A runtime cannot be entered from within another.
        apart(|| Self::open_here(options))
    }

    fn open_here(options: Options) -> Result<Self, StoreError> {
        let changed = Arc::<Notify>::default();
        let mut serving = Serving::new(options.write_queue, options.lease, changed.clone());
        let reader = Pooled::start(options.address.clone())?;
        let (risks, ended) = (Arc::<Risks>::default(), Ended::default());
        let replica = Arc::<OnceLock<Replica>>::default();
        let mut opening = Opening {
            options,
            risks: risks.clone(),
            ended: ended.clone(),
            changed,
            replica: replica.clone(),
            other_seen_at: None,
        };
        let why = match opening.attempt() {
            Ok((writer, thread)) => {
                serving.started(writer, Some(thread));
                let serving = Arc::new(serving);
                return Ok(Self { serving, reader, risks, ended, replica, opening: None });
            }
            Err(error) if opening::may_pass(&error) => error,
            Err(error) => return Err(error),
        };
        opening.options.observer.commit_failed();
        tracing::warn!(
            error = chain(&why),
            "the store cannot be opened yet; until then webhooks are answered 503, or spooled if there is a spool"
        );
        serving.is_opening();
        let serving = Arc::new(serving);
        let (stop, stopped) = channel();
        let opened = serving.clone();
        let shown = opening.options.address.shown();
        let thread = std::thread::Builder::new()
            .name("store-open".to_owned())
            .spawn(move || opening.run(&opened, &stopped))
            .map_err(|error| StoreError::open(shown.as_ref(), error))?;
        let opening = Some((thread, stop));
        Ok(Self { serving, reader, risks, ended, replica, opening })
    }

    /// Opens a store for queries alone.
    ///
    /// # Errors
    /// The database cannot be reached, or its schema is not that of this release.
    pub fn open_read_only(address: Address) -> Result<Self, StoreError> {
        apart(|| {
            let shown = address.shown();
            let reader = Pooled::start(address)?;
            let pool = reader.pool.clone();
            let check = async move {
                let client = pool.get().await.map_err(|error| {
                    StoreError::open(shown.as_ref(), PgError::Connect(error.into()))
                })?;
                schema::check(&client, &shown).await
            };
            reader.block_on(check)?;
            let serving = Arc::new(Serving::refusing(Writing::ReadOnly));
            let (risks, ended, replica) = Default::default();
            Ok(Self { serving, reader, risks, ended, replica, opening: None })
        })
    }

    /// The id of the database, which it keeps when it moves to another server; `None` until it is reached.
    pub fn identity(&self) -> Box<dyn Fn() -> Option<Uuid> + Send + Sync> {
        let replica = self.replica.clone();
        Box::new(move || replica.get().map(|replica| replica.database))
    }

    /// Runs a query beside the writer, in a transaction of its own.
    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'a> FnOnce(&'a Reading<'a>) -> BoxFuture<'a, Result<T, PgError>> + Send + 'static,
    {
        let pool = self.reader.pool.clone();
        let read = async move {
            let client = pool.get().await.map_err(|error| PgError::Connect(error.into()))?;
            let reading = Reading::begin(&client).await?;
            let result = query(&reading).await;
            // One that failed has to be ended too, before the connection is used again.
            let ended = reading.end().await;
            if result.is_err() || ended.is_err() {
                // The connection is closed, and another one made.
                drop(deadpool_postgres::Object::take(client));
            }
            let result = result?;
            ended.map(|()| result)
        };
        let joined = self.reader.handle.spawn(read).await.map_err(|_| StoreError::Closed)?;
        joined.map_err(|error| StoreError::Read(Box::new(error)))
    }
}

impl Drop for PostgresStore {
    /// Waits until what is queued is durable.
    fn drop(&mut self) {
        if let Some((thread, stop)) = self.opening.take() {
            drop(stop);
            if thread.join().is_err() {
                tracing::error!("the thread that opens the store panicked");
            }
        }
        if let Some(serving) = Arc::get_mut(&mut self.serving) {
            serving.finish();
        }
    }
}

/// A pool of connections with a thread of its own that serves them, whichever runtime asks.
struct Pooled {
    pool: Pool,
    handle: Handle,
    /// The thread ends when this is dropped.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Pooled {
    fn start(address: Address) -> Result<Self, StoreError> {
        let shown = address.shown();
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| {
            StoreError::open(shown.as_ref(), error)
        };
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(|e| failed(e.into()))?;
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(tokio_postgres::Config::new(), address, recycling);
        let pool = Pool::builder(manager)
            .max_size(READERS)
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .wait_timeout(Some(POOL_TIMEOUT))
            .create_timeout(Some(POOL_TIMEOUT))
            .build()
            .map_err(|error| failed(error.into()))?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new()
            .name("store-read".to_owned())
            .spawn(move || {
                // It ends either way.
                let _ = runtime.block_on(stopped);
            })
            .map_err(|error| failed(error.into()))?;
        Ok(Self { pool, handle, stop: Some(stop), thread: Some(thread) })
    }

    fn block_on<T: Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = std::sync::mpsc::channel();
        self.handle.spawn(async move { sender.send(future.await) });
        receiver.recv().unwrap_or(Err(StoreError::Closed))
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.pool.close();
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that anyone waits for.
            let _ = thread.join();
        }
    }
}

impl Engine for PostgresStore {
    type Backend = Database;

    fn serving(&self) -> &Serving<Database> {
        &self.serving
    }

    fn fatal(&self) -> Option<StoreError> {
        self.ended.get().cloned().map(StoreError::Ended)
    }

    fn risks(&self) -> Vec<DurabilityRisk> {
        self.risks.known()
    }

    #[cfg(feature = "flaws")]
    fn knows(&self, id: SubmissionId) -> Result<bool, StoreError> {
        use super::flaws::{Flaw, has};
        if !has(Flaw::CheckThenInsert) {
            return Ok(false);
        }
        let pool = self.reader.pool.clone();
        self.reader.block_on(async move {
            let read = async {
                let client = pool.get().await.map_err(|error| PgError::Connect(error.into()))?;
                let reading = Reading::begin(&client).await?;
                let found = queries::load(&reading, &[id]).await?;
                reading.end().await?;
                Ok(!found.is_empty())
            };
            read.await.map_err(|error: PgError| StoreError::Read(Box::new(error)))
        })
    }
}

#[async_trait]
impl Reader for PostgresStore {
    async fn search(
        &self,
        filter: SubmissionFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.read(move |reading| {
            Box::pin(async move { queries::search(reading, &filter, after, limit).await })
        })
        .await
    }

    async fn find(&self, id: SubmissionId) -> Result<Option<SubmissionDetail>, StoreError> {
        self.read(move |reading| Box::pin(queries::find(reading, id))).await
    }

    async fn load(&self, ids: Vec<SubmissionId>) -> Result<Vec<Submission>, StoreError> {
        self.read(move |reading| Box::pin(async move { queries::load(reading, &ids).await })).await
    }

    async fn of_call(&self, call: CallUuid) -> Result<Vec<SubmissionId>, StoreError> {
        self.read(move |reading| Box::pin(async move { queries::of_call(reading, &call).await }))
            .await
    }

    async fn accounts_waiting(&self) -> Result<Vec<Name>, StoreError> {
        self.read(move |reading| Box::pin(queries::accounts_waiting(reading))).await
    }

    async fn clock(&self) -> Result<Option<ClockRecord>, StoreError> {
        // Until it is open, the process does not go by the database's clock, and would compare its own.
        if self.serving.waits_for_database() {
            return Err(StoreError::Opening);
        }
        self.read(move |reading| Box::pin(queries::clock(reading))).await
    }

    async fn oldest_accepted_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(move |reading| Box::pin(queries::oldest_accepted_at(reading))).await
    }

    async fn overdue(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Name, u64)>, StoreError> {
        let slot = self.replica.get().map(|replica| replica.slot);
        self.read(move |reading| Box::pin(queries::overdue(reading, slot, after, until))).await
    }

    async fn tallies(&self, filter: TallyFilter) -> Result<Vec<Tally>, StoreError> {
        self.read(move |reading| Box::pin(async move { tallies::find(reading, &filter).await }))
            .await
    }

    async fn survey_revisions(&self) -> Result<Vec<SurveyRevision>, StoreError> {
        self.read(move |reading| {
            Box::pin(async move { revisions::read_all(&reading.rows(revisions::all()).await?) })
        })
        .await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.read(move |reading| Box::pin(queries::statistics(reading))).await
    }
}
