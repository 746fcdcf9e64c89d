//! The store in one SQLite file: WAL, a sync at every commit, one writer that commits in groups.
//!
//! Locks prove that one process serves it, without shutting out `sqlite3` or a
//! backup. `sqlite3 postcall.db '.backup copy.db'` is safe at any time.

mod checkpoint;
mod columns;
mod damage;
mod displaced;
mod doctor;
mod files;
mod head;
mod lock;
mod open;
#[cfg(test)]
mod plans;
mod quarantine;
mod queries;
mod recover;
mod rows;
mod schema;
mod untrusted;
mod vfs;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::{Notify, RwLock, Semaphore};

use self::damage::Damage;
use self::lock::Lock;
use self::rows::Database;
use super::batch::Batch;
use super::contract::{Admin, Maintenance, Quarantine, Queue, Reader};
use super::error::StoreError;
#[cfg(feature = "flaws")]
use super::flaws;
use super::model::{
    ClaimRequest, Claimed, ClockRecord, Cursor, Page, PurgeCounts, QuarantinedWebhook,
    ReceiveRequest, Received, RetentionCutoffs, Statistics, SubmissionDetail, SubmissionFilter,
};
use super::observer::Observer;
use super::selection::Turns;
use super::writer::{Order, Setup, Writer};
use crate::clock::Clock;
use crate::domain::{CallUuid, Name, WebhookId};
use crate::submission::{ActionOutcome, Replay, Settled, Settlement, Submission, SubmissionId};

pub use self::columns::checksum;
pub use self::doctor::{Examination, Finding, FindingKind, examine};
pub use self::open::is_served;
pub use self::recover::{Recovered, recover};

/// How to open a store for writing.
pub struct Options {
    pub path: PathBuf,
    /// Webhooks that may wait for the writer; more are refused.
    pub write_queue: usize,
    /// How long a claim holds before its attempt is given up.
    pub lease: Duration,
    pub clock: Clock,
    pub observer: Arc<dyn Observer>,
}

/// A SQLite store: one that is served by this process, one that is only read, or one that is too
/// damaged to be opened and says so of everything.
pub struct SqliteStore {
    writer: RwLock<Writing>,
    thread: Mutex<Option<JoinHandle<()>>>,
    /// `None` where the database could not be opened.
    reader: Option<Arc<Mutex<ReadOnly>>>,
    write_queue: Arc<Semaphore>,
    changed: Arc<Notify>,
    damage: Damage,
    turns: Arc<Mutex<Turns>>,
    lease: Duration,
    /// Everything runs on the thread that asks.
    local: bool,
}

enum Writing {
    Open(Writer<Database>),
    Closed,
    ReadOnly,
    /// The database could not be opened.
    Damaged,
}

/// A database that is only read, whether or not a process serves it. Its methods block.
pub struct ReadOnly(Connection);

impl SqliteStore {
    /// Creates the file if there is none, migrates it, and frees all claims: the process that made
    /// them has ended.
    ///
    /// # Errors
    /// Another process serves it, it belongs to another program, a newer release or a pre-release
    /// wrote it, it is damaged, or the file system says no.
    pub fn open(options: Options) -> Result<Self, StoreError> {
        let path = options.path.clone();
        let (mut store, setup) = Self::prepare(options, false)?;
        let (writer, thread) =
            Writer::start(setup).map_err(|error| StoreError::open(&path, error))?;
        store.thread = Mutex::new(Some(thread));
        store.writer = RwLock::new(Writing::Open(writer));
        Ok(store)
    }

    /// As [`open`](Self::open), without threads: for a simulation of the whole service on one. The
    /// future is the writer, which waits for `latency` before each transaction and ends after the store
    /// is closed.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_local(
        options: Options,
        latency: impl Fn() -> Duration + Send + 'static,
    ) -> Result<(Self, impl Future<Output = ()> + Send + 'static), StoreError> {
        let (mut store, setup) = Self::prepare(options, true)?;
        let (writer, serve) = Writer::local(setup, latency);
        store.writer = RwLock::new(Writing::Open(writer));
        Ok((store, serve))
    }

    /// A store without its writer, and what that works with.
    fn prepare(options: Options, local: bool) -> Result<(Self, Setup<Database>), StoreError> {
        let Options { path, write_queue, lease, clock, observer } = options;
        let path = &open::create(&path)?;
        files::check(path)?;
        let lock = Lock::take(path)?;
        let (connection, counts) = open::prepare(path, &*observer)?;
        open::warn_of_rescued(path);
        let reader = ReadOnly(open::read_only(path)?);
        let backend = Database::serving(connection, path, observer.clone(), lock, !local)?;
        let damage = backend.damage_record();
        let changed = Arc::<Notify>::default();
        let setup =
            Setup { backend, counts, observer: observer.clone(), clock, changed: changed.clone() };
        observer.opened(counts);
        let mut store = Self::without_writer(Writing::Closed, Some(reader), damage);
        store.write_queue = Arc::new(Semaphore::new(write_queue));
        store.changed = changed;
        store.lease = lease;
        store.local = local;
        Ok((store, setup))
    }

    /// Opens a store for queries alone.
    ///
    /// # Errors
    /// As [`ReadOnly::open`].
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let reader = ReadOnly::open(path)?;
        Ok(Self::without_writer(
            Writing::ReadOnly,
            Some(reader),
            Damage::none_yet(path, Arc::new(())),
        ))
    }

    /// Takes the place of a store that is too damaged to be opened: every operation says why.
    pub fn damaged(path: &str, fault: &str) -> Self {
        let damage = Damage::none_yet(Path::new(path), Arc::new(()));
        damage.found_opening(fault);
        Self::without_writer(Writing::Damaged, None, damage)
    }

    fn without_writer(writing: Writing, reader: Option<ReadOnly>, damage: Damage) -> Self {
        Self {
            writer: RwLock::new(writing),
            thread: Mutex::new(None),
            reader: reader.map(|reader| Arc::new(Mutex::new(reader))),
            write_queue: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
            changed: Arc::default(),
            damage,
            turns: Arc::default(),
            lease: Duration::ZERO,
            local: false,
        }
    }

    async fn write<T, F>(&self, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Batch<'_, Database>) -> rusqlite::Result<T> + Send + 'static,
    {
        self.write_in(Order::Arrival, run).await
    }

    async fn write_in<T, F>(&self, order: Order, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Batch<'_, Database>) -> rusqlite::Result<T> + Send + 'static,
    {
        // What waits for the writer while it copies a deleted database would wait in vain.
        if let Some(damage) = self.damage.fatal() {
            return Err(damage);
        }
        match &*self.writer.read().await {
            Writing::Open(writer) => writer.write(order, run).await,
            Writing::Closed => Err(StoreError::Closed),
            Writing::ReadOnly => Err(StoreError::ReadOnly),
            Writing::Damaged => Err(self.damage.fatal().unwrap_or(StoreError::Closed)),
        }
    }

    /// Queries run beside the writer, on a thread that may block.
    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let Some(reader) = self.reader.clone() else {
            return Err(self.damage.fatal().unwrap_or(StoreError::Closed));
        };
        let damage = self.damage.clone();
        let query = move || {
            let reader = reader.lock().expect("no reader panics");
            at_one_moment(&reader.0, query)
                .inspect_err(|error| damage.met_reading(error))
                .map_err(read_error)
        };
        if self.local {
            return query();
        }
        tokio::task::spawn_blocking(query).await.map_err(|_| StoreError::Closed)?
    }
}

#[async_trait]
impl Queue for SqliteStore {
    async fn receive(&self, request: ReceiveRequest) -> Result<Received, StoreError> {
        let place = self.write_queue.clone().try_acquire_owned().map_err(|_| StoreError::Full)?;
        // Hashing is not the writer's work.
        let id = request.key.id();
        #[cfg(feature = "flaws")]
        let was_known = self.knows(id)?;
        let received = self.write(move |batch| {
            // The place goes with the operation: a sender that hangs up does not free it.
            let _place = &place;
            #[cfg(feature = "flaws")]
            if let Some(received) =
                flaws::created_as_looked_up(was_known, batch.knows(id)?, id, &request)
            {
                return Ok(Some(received));
            }
            batch.receive(id, &request)
        });
        received.await?.ok_or(StoreError::KeyReused)
    }

    async fn claim(&self, request: ClaimRequest) -> Result<Claimed, StoreError> {
        let (turns, lease) = (self.turns.clone(), self.lease);
        self.write_in(Order::Last, move |batch| {
            let turns = &mut turns.lock().expect("selecting does not panic");
            batch.claim(&request, turns, lease)
        })
        .await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.write(move |batch| settlements.iter().map(|it| batch.settle(it)).collect()).await
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    fn is_writable(&self) -> bool {
        let is_healthy = |writer: &Writing| matches!(writer, Writing::Open(it) if it.is_healthy());
        self.damage.fatal().is_none() && self.writer.try_read().is_ok_and(|it| is_healthy(&it))
    }

    fn damage(&self) -> Option<StoreError> {
        self.damage.fatal()
    }

    async fn close(&self) {
        let mut writer = self.writer.write().await;
        if matches!(*writer, Writing::Open(_)) {
            *writer = Writing::Closed;
        }
        drop(writer);
        let thread = self.thread.lock().expect("no holder of the lock panics").take();
        if let Some(thread) = thread {
            // Nothing is left to do where the runtime itself is going down.
            let _ = tokio::task::spawn_blocking(move || wait_for_end(thread)).await;
        }
    }
}

#[async_trait]
impl Reader for SqliteStore {
    async fn search(
        &self,
        filter: SubmissionFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.read(move |connection| queries::search(connection, &filter, after, limit)).await
    }

    async fn find(&self, id: SubmissionId) -> Result<Option<SubmissionDetail>, StoreError> {
        self.read(move |connection| queries::find(connection, id)).await
    }

    async fn load(&self, ids: Vec<SubmissionId>) -> Result<Vec<Submission>, StoreError> {
        self.read(move |connection| queries::load(connection, &ids)).await
    }

    async fn of_call(&self, call: CallUuid) -> Result<Vec<SubmissionId>, StoreError> {
        self.read(move |connection| queries::of_call(connection, &call)).await
    }

    async fn accounts_waiting(&self) -> Result<Vec<Name>, StoreError> {
        self.read(queries::accounts_waiting).await
    }

    async fn clock(&self) -> Result<Option<ClockRecord>, StoreError> {
        self.read(queries::clock).await
    }

    async fn overdue(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Name, u64)>, StoreError> {
        self.read(move |connection| queries::overdue(connection, after, until)).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.read(queries::statistics).await
    }
}

#[async_trait]
impl Admin for SqliteStore {
    async fn replay(
        &self,
        ids: Vec<SubmissionId>,
        how: Replay,
    ) -> Result<Vec<ActionOutcome>, StoreError> {
        self.write(move |batch| ids.iter().map(|id| batch.replay(*id, how)).collect()).await
    }

    async fn discard(
        &self,
        ids: Vec<SubmissionId>,
        comment: String,
        at: Timestamp,
    ) -> Result<Vec<ActionOutcome>, StoreError> {
        self.write(move |batch| ids.iter().map(|id| batch.discard(*id, &comment, at)).collect())
            .await
    }

    async fn reveal(
        &self,
        ids: Vec<SubmissionId>,
        at: Timestamp,
    ) -> Result<Vec<ActionOutcome>, StoreError> {
        self.write(move |batch| ids.iter().map(|id| batch.reveal(*id, at)).collect()).await
    }

    async fn erase(
        &self,
        ids: Vec<SubmissionId>,
        at: Timestamp,
    ) -> Result<Vec<ActionOutcome>, StoreError> {
        self.write(move |batch| ids.iter().map(|id| batch.erase(*id, at)).collect()).await
    }

    async fn pause(&self, account: Name, comment: String, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |batch| batch.pause(&account, &comment, at)).await
    }

    async fn resume(&self, account: Name, at: Timestamp) -> Result<bool, StoreError> {
        self.write(move |batch| batch.resume(&account, at)).await
    }
}

#[async_trait]
impl Maintenance for SqliteStore {
    async fn probe_now(&self, accounts: Vec<Name>, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |batch| accounts.iter().try_for_each(|it| batch.probe_now(it, at))).await
    }

    async fn purge(&self, cutoffs: RetentionCutoffs) -> Result<PurgeCounts, StoreError> {
        self.write(move |batch| batch.purge(&cutoffs)).await
    }

    async fn record_clock(&self, record: ClockRecord) -> Result<(), StoreError> {
        self.write(move |batch| batch.record_clock(record)).await
    }

    async fn forget_keys(&self, before: Timestamp) -> Result<usize, StoreError> {
        self.write(move |batch| batch.forget_keys(before)).await
    }
}

#[async_trait]
impl Quarantine for SqliteStore {
    async fn load_quarantine(&self) -> Result<Vec<QuarantinedWebhook>, StoreError> {
        self.write_in(Order::Last, |batch| batch.load_quarantine()).await
    }

    async fn save_quarantine(
        &self,
        added: Vec<QuarantinedWebhook>,
        removed: Vec<WebhookId>,
    ) -> Result<(), StoreError> {
        self.write_in(Order::Last, move |batch| batch.save_quarantine(&added, &removed)).await
    }

    async fn erase_quarantined(&self, call: CallUuid) -> Result<Vec<WebhookId>, StoreError> {
        // Last, as what is added: neither overtakes the other within a transaction.
        self.write_in(Order::Last, move |batch| batch.erase_quarantined(&call)).await
    }
}

impl Drop for SqliteStore {
    /// Waits until what is queued is durable and the file is free to be opened again.
    fn drop(&mut self) {
        *self.writer.get_mut() = Writing::Closed;
        if let Some(thread) = self.thread.get_mut().ok().and_then(Option::take) {
            wait_for_end(thread);
        }
    }
}

#[cfg(feature = "flaws")]
impl SqliteStore {
    /// Whether the submission is known now, before its operation waits for the writer. It blocks, so
    /// that operations are queued in the order in which they are started.
    fn knows(&self, id: SubmissionId) -> Result<bool, StoreError> {
        let Some(reader) =
            self.reader.as_ref().filter(|_| flaws::has(flaws::Flaw::CheckThenInsert))
        else {
            return Ok(false);
        };
        let reader = reader.lock().expect("no reader panics");
        Ok(!reader.read(|connection| queries::load(connection, &[id]))?.is_empty())
    }
}

impl ReadOnly {
    /// # Errors
    /// There is no such file, or it is not a store of this release.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.canonicalize().map_err(|error| StoreError::open(path, error))?;
        let connection = open::read_only(&path)?;
        open::check_application(&connection, &path)?;
        untrusted::check_code(&connection, &path, untrusted::RUN_BY_READING)?;
        open::check_schema(&connection, &path)?;
        Ok(Self(connection))
    }

    pub fn statistics(&self) -> Result<Statistics, StoreError> {
        self.read(queries::statistics)
    }

    pub fn search(
        &self,
        filter: &SubmissionFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.read(|connection| queries::search(connection, filter, after, limit))
    }

    pub fn find(&self, id: SubmissionId) -> Result<Option<SubmissionDetail>, StoreError> {
        self.read(|connection| queries::find(connection, id))
    }

    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        at_one_moment(&self.0, query).map_err(read_error)
    }
}

/// What a query reads in several steps is all of one moment, whatever is written meanwhile.
fn at_one_moment<T>(
    connection: &Connection,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    query(&*connection.unchecked_transaction()?)
}

fn read_error(error: rusqlite::Error) -> StoreError {
    StoreError::Read(Box::new(error))
}

fn wait_for_end(writer: JoinHandle<()>) {
    if writer.join().is_err() {
        tracing::error!("the writer's thread of the store panicked");
    }
}
