//! The ledger in one SQLite file: WAL, a sync at every commit, one writer that commits in groups.
//!
//! A lock file beside it proves that one process serves it, without shutting out `sqlite3` or a
//! backup. `sqlite3 postcall.db '.backup copy.db'` is safe at any time.

mod accept;
mod answers;
mod asked;
mod books;
mod columns;
mod damage;
mod doctor;
mod dossier;
mod erase;
#[cfg(feature = "flaws")]
mod flaws;
mod holds;
mod interventions;
mod lease;
mod lock;
mod news;
mod onlooker;
#[cfg(test)]
mod plans;
mod read;
mod retention;
mod rows;
mod salvage;
mod search;
mod seen;
mod settle;
mod told;
mod writer;

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use tokio::sync::{Notify, RwLock, Semaphore};

use self::damage::Damage;
use self::lease::Turns;
use self::lock::Lock;
use self::writer::{Work, Writer};
use super::by_hand::{Cursor, Done, Dossier, Horizon, Mappable, Page, Replay, Search, Swept};
use super::contract::{
    Accepted, Arrival, Begun, Figures, LeaseRequest, Leased, Offer, Outcome, Settled, Settlement,
    Store, StoreError, Ticket,
};
use crate::domain::{CallUuid, Name};
use crate::store::Observer;
use crate::submission::{StateCounts, SubmissionId};

pub use self::doctor::{Examination, Finding, FindingKind, examine};
pub use self::onlooker::Onlooker;
pub use self::salvage::{Salvaged, salvage};

mod migrations {
    refinery::embed_migrations!("src/store/sqlite/migrations");
}

/// Written into the file's head, so that another program's database is not taken for a ledger.
const APPLICATION_ID: i32 = 0x706f_7374;

/// How long a write waits for `sqlite3` in another window to finish its own; a sender that was told
/// to wait 5 s for its answer still hears the 503.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How far the log may grow before it is folded back, in pages of 4 KiB. Folding costs syncs that
/// hooks wait for; a longer log is read a little slower and, at 32 MiB, still soon recovered.
const CHECKPOINT_PAGES: u32 = 8192;

/// How much of the file the writer keeps in memory, in KiB: all that a large group changes, or its
/// pages would be written before their commit, dropped and read again, and what is looked up by
/// ids, which lie anywhere. SQLite's own 2 MiB halved the hooks a second.
const CACHE_KIB: i32 = 32 * 1024;

/// Statements that are kept prepared; more than there are.
const STATEMENTS_MAX: usize = 128;

/// How to open a ledger.
pub struct Options {
    pub path: PathBuf,
    /// Hooks that may wait for the writer; more are told that the ledger is busy.
    pub queue: usize,
    /// How long a courier may hold a submission before another may take it.
    pub lease: Duration,
    /// By which leases expire.
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub observer: Arc<dyn Observer>,
}

/// The ledger of one serving process.
pub struct SqliteStore {
    /// `None` once closed.
    writer: RwLock<Option<Writer>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    reader: Arc<Mutex<Connection>>,
    queue: Arc<Semaphore>,
    kept: Arc<Notify>,
    damage: Damage,
    turns: Arc<Mutex<Turns>>,
    lease: Duration,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// A ledger that is only looked at, whether or not a process serves it.
pub struct ReadOnly(Connection);

impl SqliteStore {
    /// Creates the file where there is none, brings it to the present form and voids all leases:
    /// whoever held them is gone.
    ///
    /// # Errors
    /// Where another process serves it, it belongs to another program, a newer release wrote it,
    /// or the file system says no.
    pub fn open(options: Options) -> Result<Self, StoreError> {
        let path = &create(&options.path)?;
        let lock = Lock::take(path)?;
        let (connection, totals) = prepare(path)?;
        let reader = open_reader(path)?;
        let damage = Damage::none_yet(path, options.observer.clone());
        let (writer, thread) =
            Writer::start(connection, totals, options.observer.clone(), damage.clone(), lock)
                .map_err(|error| StoreError::open(path, error))?;
        options.observer.opened(totals);
        Ok(Self {
            writer: RwLock::new(Some(writer)),
            thread: Mutex::new(Some(thread)),
            reader: Arc::new(Mutex::new(reader)),
            queue: Arc::new(Semaphore::new(options.queue)),
            kept: Arc::default(),
            damage,
            turns: Arc::default(),
            lease: options.lease,
            clock: options.clock,
        })
    }

    async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Work<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        match &*self.writer.read().await {
            Some(writer) => writer.write(work).await,
            None => Err(StoreError::Closed),
        }
    }

    /// Reads run beside the writer, on a thread that may block.
    async fn read<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let (reader, damage) = (self.reader.clone(), self.damage.clone());
        tokio::task::spawn_blocking(move || {
            let read = at_one_moment(&reader.lock().expect("no reader panics"), read);
            read.inspect_err(|error| damage.met_reading(error)).map_err(read_error)
        })
        .await
        .map_err(|_| StoreError::Closed)?
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn accept(&self, arrival: Arrival) -> Result<Accepted, StoreError> {
        let place = self.queue.clone().try_acquire_owned().map_err(|_| StoreError::Full)?;
        let (id, kept) = (arrival.key.id(), self.kept.clone());
        // Both go with the command: a sender that hangs up meanwhile neither frees its place nor
        // leaves the courier asleep. The courier's lease queues up behind what woke it.
        #[cfg(feature = "flaws")]
        let was_known = flaws::looks_up(&self.reader, id);
        let accepted = self.write(move |work| {
            let _place = &place;
            #[cfg(feature = "flaws")]
            if let Some(accepted) = flaws::inserts_as_looked_up(work, was_known, &arrival)? {
                return Ok(Some(accepted));
            }
            let accepted = accept::accept(work, id, &arrival)?;
            let outcome = accepted.as_ref().map(|accepted| accepted.outcome);
            if matches!(outcome, Some(Outcome::New | Outcome::Added)) {
                kept.notify_one();
            }
            Ok(accepted)
        });
        accepted.await?.ok_or(StoreError::IdReused)
    }

    async fn lease(&self, request: LeaseRequest) -> Result<Leased, StoreError> {
        let (clock, lease_for, turns) = ((self.clock)(), self.lease, self.turns.clone());
        self.write(move |work| {
            let turns = &mut turns.lock().expect("nobody panics while sharing out");
            lease::lease(work, &request, turns, clock, lease_for)
        })
        .await
    }

    async fn begin(&self, offers: Vec<Offer>, now: Timestamp) -> Result<Vec<Begun>, StoreError> {
        let until = (self.clock)() + self.lease;
        self.write(move |work| {
            offers.iter().map(|offer| lease::begin(work, offer, now, until)).collect()
        })
        .await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        self.write(move |work| settlements.iter().map(|s| settle::settle(work, s)).collect()).await
    }

    async fn release(&self, tickets: Vec<Ticket>) -> Result<(), StoreError> {
        self.write(move |work| tickets.iter().try_for_each(|t| lease::give_back(work, t))).await
    }

    async fn forget(&self, before: Timestamp) -> Result<usize, StoreError> {
        self.write(move |work| seen::forget(work.connection, before)).await
    }

    async fn accounts_waiting(&self) -> Result<Vec<Name>, StoreError> {
        self.read(read::accounts_waiting).await
    }

    async fn figures(&self) -> Result<Figures, StoreError> {
        self.read(read::figures).await
    }

    async fn search(
        &self,
        search: Search,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.read(move |connection| search::search(connection, &search, after, limit)).await
    }

    async fn find(&self, id: SubmissionId) -> Result<Option<Dossier>, StoreError> {
        self.read(move |connection| dossier::find(connection, id)).await
    }

    async fn of_call(&self, call: CallUuid) -> Result<Vec<SubmissionId>, StoreError> {
        self.read(move |connection| asked::about(connection, &call)).await
    }

    async fn mappable(&self, ids: Vec<SubmissionId>) -> Result<Vec<Mappable>, StoreError> {
        self.read(move |connection| dossier::mappable(connection, &ids)).await
    }

    async fn replay(&self, ids: Vec<SubmissionId>, how: Replay) -> Result<Vec<Done>, StoreError> {
        let kept = self.kept.clone();
        self.write(move |work| {
            kept.notify_one();
            ids.iter().map(|id| interventions::replay(work, *id, how)).collect()
        })
        .await
    }

    async fn discard(
        &self,
        ids: Vec<SubmissionId>,
        reason: String,
        at: Timestamp,
    ) -> Result<Vec<Done>, StoreError> {
        self.write(move |work| {
            ids.iter().map(|id| interventions::discard(work, *id, &reason, at)).collect()
        })
        .await
    }

    async fn erase(&self, ids: Vec<SubmissionId>, at: Timestamp) -> Result<Vec<Done>, StoreError> {
        self.write(move |work| ids.iter().map(|id| erase::erase(work, *id, at)).collect()).await
    }

    async fn hold(&self, account: Name, reason: String, at: Timestamp) -> Result<(), StoreError> {
        self.write(move |work| holds::hold_by_hand(work.connection, &account, &reason, at)).await
    }

    async fn resume(&self, account: Name, at: Timestamp) -> Result<bool, StoreError> {
        let kept = self.kept.clone();
        self.write(move |work| {
            kept.notify_one();
            holds::resume(work.connection, &account, at)
        })
        .await
    }

    async fn probe_now(&self, accounts: Vec<Name>, at: Timestamp) -> Result<(), StoreError> {
        let kept = self.kept.clone();
        self.write(move |work| {
            kept.notify_one();
            accounts.iter().try_for_each(|a| holds::probe_now(work.connection, a, at))
        })
        .await
    }

    async fn sweep(&self, horizon: Horizon) -> Result<Swept, StoreError> {
        let clock = self.clock.clone();
        self.write(move |work| retention::sweep(work, &horizon, clock())).await
    }

    async fn kept_more(&self) {
        self.kept.notified().await;
    }

    fn is_writable(&self) -> bool {
        self.writer.try_read().is_ok_and(|writer| writer.as_ref().is_some_and(Writer::is_healthy))
    }

    fn damage(&self) -> Option<StoreError> {
        self.damage.fatal()
    }

    async fn close(&self) {
        drop(self.writer.write().await.take());
        let thread = self.thread.lock().expect("no holder of the lock panics").take();
        if let Some(thread) = thread {
            // Nothing is left to do where the runtime itself is going down.
            let _ = tokio::task::spawn_blocking(move || wait_for_end(thread)).await;
        }
    }
}

impl Drop for SqliteStore {
    /// Waits until what is queued is kept and the file is free to be opened again.
    fn drop(&mut self) {
        drop(self.writer.get_mut().take());
        if let Some(thread) = self.thread.get_mut().ok().and_then(Option::take) {
            wait_for_end(thread);
        }
    }
}

impl ReadOnly {
    /// # Errors
    /// Where there is no such file, or it is not a ledger of this release.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.canonicalize().map_err(|error| StoreError::open(path, error))?;
        let connection = open_reader(&path)?;
        check_application(&connection, &path)?;
        check_form(&connection, &path)?;
        Ok(Self(connection))
    }

    pub fn accounts_waiting(&self) -> Result<Vec<Name>, StoreError> {
        self.read(read::accounts_waiting)
    }

    pub fn figures(&self) -> Result<Figures, StoreError> {
        self.read(read::figures)
    }

    pub fn search(
        &self,
        search: &Search,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError> {
        self.read(|connection| search::search(connection, search, after, limit))
    }

    pub fn find(&self, id: SubmissionId) -> Result<Option<Dossier>, StoreError> {
        self.read(|connection| dossier::find(connection, id))
    }

    pub fn of_call(&self, call: &CallUuid) -> Result<Vec<SubmissionId>, StoreError> {
        self.read(|connection| asked::about(connection, call))
    }

    pub fn mappable(&self, ids: &[SubmissionId]) -> Result<Vec<Mappable>, StoreError> {
        self.read(|connection| dossier::mappable(connection, ids))
    }

    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        at_one_moment(&self.0, read).map_err(read_error)
    }
}

/// What is read in several steps is all of one moment, whatever is written meanwhile.
fn at_one_moment<T>(
    connection: &Connection,
    read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    read(&*connection.unchecked_transaction()?)
}

/// Whether a process serves the ledger; nothing is written.
pub fn is_served(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| Lock::is_taken(&path))
}

/// The file itself, so that neither a link gives it a second lock nor SQLite takes its name for
/// something else than a file.
fn create(path: &Path) -> Result<PathBuf, StoreError> {
    // Callers' numbers lie in the bodies: the file is its owner's alone.
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .and_then(|_| path.canonicalize())
        .map_err(|error| StoreError::open(path, error))
}

fn wait_for_end(writer: JoinHandle<()>) {
    if writer.join().is_err() {
        tracing::error!("the ledger's writer did not end well");
    }
}

fn prepare(path: &Path) -> Result<(Connection, StateCounts), StoreError> {
    let mut connection = Connection::open(path).map_err(|error| damage::opening(path, error))?;
    check_application(&connection, path)?;
    let configured = (|| {
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        // Below zero it is a size, above it would be a number of pages.
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // What is deleted is overwritten, so that no copy of the file still tells it.
        connection.pragma_update(None, "secure_delete", "ON")?;
        // Otherwise SQLite plans a statement anew with every value, where a partial index might fit.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(())
    })();
    configured.map_err(|error: rusqlite::Error| damage::opening(path, error))?;
    migrations::migrations::runner()
        .set_abort_missing(true)
        .run(&mut connection)
        .map_err(|error| damage::opening(path, error))?;
    let totals = void_all(&mut connection).map_err(|error| damage::first_reading(path, error))?;
    Ok((connection, totals))
}

fn void_all(connection: &mut Connection) -> rusqlite::Result<StateCounts> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut totals = books::read(&transaction)?;
    let mut work = Work { connection: &transaction, totals: &mut totals, erased: &mut false };
    let voided = lease::void(&mut work, lease::Void::All)?;
    transaction.commit()?;
    if voided > 0 {
        tracing::warn!(voided, "leases of a process that is gone are void");
    }
    Ok(totals)
}

fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| damage::opening(path, error))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|error| damage::opening(path, error))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// A new file has no tables and no owner yet.
fn check_application(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let owner = connection
        .query_row("SELECT (SELECT count(*) FROM sqlite_schema), application_id FROM pragma_application_id", [], |row| {
            Ok((row.get::<_, u32>(0)?, row.get::<_, i32>(1)?))
        })
        .map_err(|error| damage::opening(path, error))?;
    match owner {
        (0, 0) | (_, APPLICATION_ID) => Ok(()),
        _ => Err(StoreError::Foreign { path: path.display().to_string() }),
    }
}

/// Whoever only looks brings nothing to the present form.
fn check_form(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let present =
        migrations::migrations::runner().get_migrations().iter().map(|m| m.version()).max();
    let form = connection
        .query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
        .ok();
    if form == present {
        Ok(())
    } else {
        Err(StoreError::OtherForm { path: path.display().to_string() })
    }
}

fn read_error(error: rusqlite::Error) -> StoreError {
    StoreError::Read(Box::new(error))
}
