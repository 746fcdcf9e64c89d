//! The store in one SQLite file: WAL, a sync at every commit, one writer that commits in groups.
//!
//! Locks prove that one process serves it, without shutting out `sqlite3` or a
//! backup. `sqlite3 postcall.db '.backup copy.db'` is safe at any time.

mod backup;
mod checkpoint;
mod columns;
mod damage;
mod displaced;
mod doctor;
mod export;
mod files;
mod gathering;
mod head;
#[cfg(test)]
mod interleavings;
mod lock;
mod log;
mod network;
mod open;
#[cfg(test)]
mod plans;
mod quarantine;
mod queries;
mod recover;
mod revisions;
mod rows;
mod schema;
mod spool;
mod tallies;
mod untrusted;
mod vfs;
mod warming;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode};
use tokio::sync::Notify;
use uuid::Uuid;

use self::damage::Damage;
use self::lock::Lock;
use self::rows::Database;
use super::backend::Touched;
use super::batch::Removed;
use super::contract::Reader;
use super::error::StoreError;
#[cfg(feature = "flaws")]
use super::flaws;
use super::model::{
    ClockRecord, Cursor, Drained, Page, Statistics, SubmissionDetail, SubmissionFilter,
    SurveyRevision, Tally, TallyFilter,
};
use super::observer::Observer;
use super::serving::{Engine, Serving, Writing, write_in};
use super::writer::{Order, Setup, Writer};
use crate::clock::Clock;
use crate::domain::{CallUuid, Name};
use crate::submission::{Submission, SubmissionId};

pub use self::backup::{backup, backup_path, restore};
pub use self::columns::checksum;
pub use self::doctor::examine;
pub(super) use self::export::Export;
pub use self::files::canonical;
pub use self::open::is_served;
pub use self::recover::{Recovered, recover};
pub(super) use self::spool::Spooled;
pub use super::examination::{Examination, Finding, FindingKind};

/// How long a query may take that a client or an operator waits for, beside a service.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// How often SQLite asks whether it may continue, in its steps.
const LOOK_STEPS: i32 = 10_000;

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
    serving: Serving<Database>,
    /// `None` where the database could not be opened.
    connections: Option<Connections>,
    damage: Damage,
    /// Everything runs on the thread that asks.
    local: bool,
}

/// What a file is opened as.
#[derive(Clone, Copy)]
enum Kind {
    Store,
    /// Of a database, if that is known.
    Spool(Option<Uuid>),
}

impl Kind {
    /// Of the settings, where its file is named.
    fn key(&self) -> &'static str {
        match self {
            Kind::Store => "store.url",
            Kind::Spool(_) => "store.spool.path",
        }
    }
}

/// The connections of queries: what people look for delays nothing that the service asks for.
#[derive(Clone)]
struct Connections {
    service: Arc<Mutex<ReadOnly>>,
    people: Arc<Mutex<ReadOnly>>,
    /// How long a query of the latter may take, beside a service.
    most: Option<Duration>,
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
        Self::open_as(options, Kind::Store)
    }

    fn open_as(options: Options, kind: Kind) -> Result<Self, StoreError> {
        let path = options.path.clone();
        let (mut store, setup) = Self::prepare(options, false, kind)?;
        let (writer, thread) =
            Writer::start(setup).map_err(|error| StoreError::open(&path, error))?;
        store.serving.started(writer, Some(thread));
        Ok(store)
    }

    /// Opens the file as a spool, of a database if that is known, and creates it if there is none.
    ///
    /// # Errors
    /// As for [`open`](Self::open); the file is a store, or webhooks in it wait for another database.
    pub(super) fn open_spool(options: Options, database: Option<Uuid>) -> Result<Self, StoreError> {
        Self::open_as(options, Kind::Spool(database))
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
        let (mut store, setup) = Self::prepare(options, true, Kind::Store)?;
        let (writer, serve) = Writer::local(setup, latency);
        store.serving.started(writer, None);
        Ok((store, serve))
    }

    /// A store without its writer, and what that works with.
    fn prepare(
        options: Options,
        local: bool,
        kind: Kind,
    ) -> Result<(Self, Setup<Database>), StoreError> {
        let Options { path, write_queue, lease, clock, observer } = options;
        let path = &open::create(&path, kind.key())?;
        files::check(path)?;
        let lock = Lock::take(path)?;
        let (connection, counts) = open::prepare(path, &*observer)?;
        match kind {
            Kind::Store => spool::check_is_none(&connection, path)?,
            Kind::Spool(database) => spool::mark(&connection, path, database)?,
        }
        open::warn_of_rescued(path);
        network::warn_of_network_file_system(path);
        let reader = || Ok(Arc::new(Mutex::new(ReadOnly(open::read_only(path)?))));
        let connections =
            Some(Connections { service: reader()?, people: reader()?, most: Some(LOOK_MAX) });
        let mut backend = Database::serving(connection, path, observer.clone(), lock, !local)?;
        backend.is_spool = matches!(kind, Kind::Spool(_));
        let damage = backend.damage_record();
        let changed = Arc::<Notify>::default();
        let setup =
            Setup { backend, counts, observer: observer.clone(), clock, changed: changed.clone() };
        observer.opened(counts);
        let serving = Serving::new(write_queue, lease, changed);
        Ok((Self { serving, connections, damage, local }, setup))
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

    fn without_writer(
        writing: Writing<Database>,
        reader: Option<ReadOnly>,
        damage: Damage,
    ) -> Self {
        Self {
            serving: Serving::refusing(writing),
            connections: reader.map(|reader| {
                let service = Arc::new(Mutex::new(reader));
                Connections { people: service.clone(), service, most: None }
            }),
            damage,
            local: false,
        }
    }

    /// A query of the service itself.
    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let Some(connections) = &self.connections else { return Err(self.cannot_be_read()) };
        self.query(connections.service.clone(), None, query).await
    }

    /// A query of a client or an operator.
    async fn look<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let Some(connections) = &self.connections else { return Err(self.cannot_be_read()) };
        self.query(connections.people.clone(), connections.most, query).await
    }

    fn cannot_be_read(&self) -> StoreError {
        self.damage.fatal().unwrap_or(StoreError::Closed)
    }

    /// Queries run beside the writer, on a thread that may block.
    async fn query<T, F>(
        &self,
        reader: Arc<Mutex<ReadOnly>>,
        most: Option<Duration>,
        query: F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let damage = self.damage.clone();
        let query = move || {
            let ReadOnly(connection) = &mut *reader.lock().expect("no reader panics");
            within(most, connection, query)
                .inspect_err(|error| damage.met_reading(error))
                .map_err(read_error)
        };
        if self.local {
            return query();
        }
        tokio::task::spawn_blocking(query).await.map_err(|_| StoreError::Closed)?
    }
}

/// If it is a spool.
impl SqliteStore {
    /// Notes that what is spooled waits for this database; returns whether it does, and not for another.
    pub(super) async fn spool_for(&self, database: Uuid) -> Result<bool, StoreError> {
        write_in(self, Order::Last, Touched::default(), move |batch| {
            batch.apart(|file| file.spool_for(database))
        })
        .await
    }

    pub(super) async fn spooled(
        &self,
        after: i64,
        most: usize,
    ) -> Result<Vec<(i64, Option<Spooled>)>, StoreError> {
        self.read(move |connection| spool::load(connection, after, most)).await
    }

    pub(super) async fn spool_size(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        self.read(spool::size).await
    }

    /// Removes webhooks that left the spool.
    pub(super) async fn forget_spooled(
        &self,
        drained: Vec<(i64, Drained)>,
    ) -> Result<(), StoreError> {
        write_in(self, Order::Last, Touched::default(), move |batch| {
            // What callers said does not stay in the log either.
            batch.removed.get_or_insert(Removed::Purged);
            batch.apart(|file| file.forget_spooled(&drained))
        })
        .await
    }
}

impl Engine for SqliteStore {
    type Backend = Database;

    fn serving(&self) -> &Serving<Database> {
        &self.serving
    }

    fn fatal(&self) -> Option<StoreError> {
        self.damage.fatal()
    }

    #[cfg(feature = "flaws")]
    fn knows(&self, id: SubmissionId) -> Result<bool, StoreError> {
        let Some(connections) =
            self.connections.as_ref().filter(|_| flaws::has(flaws::Flaw::CheckThenInsert))
        else {
            return Ok(false);
        };
        let reader = connections.service.lock().expect("no reader panics");
        Ok(!reader.read(|connection| queries::load(connection, &[id]))?.is_empty())
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
        self.look(move |connection| queries::search(connection, &filter, after, limit)).await
    }

    async fn find(&self, id: SubmissionId) -> Result<Option<SubmissionDetail>, StoreError> {
        self.look(move |connection| queries::find(connection, id)).await
    }

    async fn load(&self, ids: Vec<SubmissionId>) -> Result<Vec<Submission>, StoreError> {
        self.look(move |connection| queries::load(connection, &ids)).await
    }

    async fn of_call(&self, call: CallUuid) -> Result<Vec<SubmissionId>, StoreError> {
        self.look(move |connection| queries::of_call(connection, &call)).await
    }

    async fn accounts_waiting(&self) -> Result<Vec<Name>, StoreError> {
        self.read(queries::accounts_waiting).await
    }

    async fn clock(&self) -> Result<Option<ClockRecord>, StoreError> {
        self.read(queries::clock).await
    }

    async fn oldest_accepted_at(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(queries::oldest_accepted_at).await
    }

    async fn overdue(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Name, u64)>, StoreError> {
        self.read(move |connection| queries::overdue(connection, after, until)).await
    }

    async fn tallies(&self, filter: TallyFilter) -> Result<Vec<Tally>, StoreError> {
        self.look(move |connection| tallies::find(connection, &filter)).await
    }

    async fn survey_revisions(&self) -> Result<Vec<SurveyRevision>, StoreError> {
        self.look(revisions::find).await
    }

    async fn statistics(&self) -> Result<Statistics, StoreError> {
        self.read(queries::statistics).await
    }

    fn version(&self) -> Option<u64> {
        self.serving.version()
    }
}

impl Drop for SqliteStore {
    /// Waits until what is queued is durable and the file is free to be opened again.
    fn drop(&mut self) {
        self.serving.finish();
    }
}

impl ReadOnly {
    /// # Errors
    /// There is no such file, or it is not a store of this release.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = files::canonical(path)?;
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

/// Interrupts a query that takes longer.
fn within<T>(
    most: Option<Duration>,
    connection: &mut Connection,
    query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let Some(most) = most else { return at_one_moment(connection, query) };
    let end = Instant::now() + most;
    connection.progress_handler(LOOK_STEPS, Some(move || Instant::now() >= end))?;
    let result = at_one_moment(connection, query);
    connection.progress_handler(0, None::<fn() -> bool>)?;
    result
}

fn read_error(error: rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::OperationInterrupted) => StoreError::TooLong,
        _ => StoreError::Read(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_takes_too_long_is_interrupted_and_the_next_one_is_not() {
        let mut connection = Connection::open_in_memory().unwrap();
        let endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)
            SELECT count(*) FROM n";
        let mut count = |most, statement: &str| {
            within(most, &mut connection, |connection| {
                connection.query_row(statement, [], |row| row.get::<_, i64>(0))
            })
            .map_err(read_error)
        };
        let soon = Some(Duration::from_millis(20));
        assert!(matches!(count(soon, endless), Err(StoreError::TooLong)));
        let short = endless.replace("FROM n)", "FROM n WHERE i < 3)");
        assert_eq!(count(Some(LOOK_MAX), &short).unwrap(), 3);
        let long = endless.replace("FROM n)", "FROM n WHERE i < 1000000)");
        assert_eq!(count(None, &long).unwrap(), 1_000_000, "nothing bounds what comes after it");
    }
}
