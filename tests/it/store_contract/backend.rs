//! What the suite needs of a backend, and the ledger that the promises speak to.

use std::ops::Deref;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use postcall::domain::Attempt;
use postcall::store::Observer;
use postcall::store::sqlite::{Options, SqliteStore, examine};
use postcall::store::{
    Accepted, Arrival, Begun, Decision, Lease, LeaseRequest, Offer, Search, Settled, Settlement,
    Store, StoreError, SubmissionRow, Ticket,
};
use postcall::submission::StateCounts;
use rusqlite::Connection;
use tempfile::TempDir;

use super::spoken::at;

/// A place that holds one ledger; a new one is empty.
pub trait Backend: Default {
    /// Opens what lies there.
    fn open(&self, terms: Terms) -> Result<Arc<dyn Store>, StoreError>;

    /// Another place with what a sudden end, at this moment, would leave of this one.
    fn after_a_sudden_end(&self) -> Self;

    /// What an examination of what lies there finds.
    fn faults(&self) -> Vec<String>;

    /// The bodies of the hooks that lie there, in the order in which they were kept.
    fn bodies(&self) -> Vec<String>;
}

/// How a ledger is opened.
pub struct Terms {
    pub queue: usize,
    pub lease: Duration,
    pub clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    pub observer: Arc<dyn Observer>,
}

pub struct Sqlite {
    pub folder: TempDir,
}

impl Sqlite {
    /// Another place with the same files.
    pub fn copy(&self) -> Self {
        let copy = Self::default();
        for file in std::fs::read_dir(self.folder.path()).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.folder.path().join(file.file_name())).unwrap();
        }
        copy
    }

    pub fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("postcall.db")
    }
}

impl Default for Sqlite {
    fn default() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }
}

impl Backend for Sqlite {
    fn open(&self, terms: Terms) -> Result<Arc<dyn Store>, StoreError> {
        let Terms { queue, lease, clock, observer } = terms;
        let store =
            SqliteStore::open(Options { path: self.path(), queue, lease, clock, observer })?;
        Ok(Arc::new(store))
    }

    fn after_a_sudden_end(&self) -> Self {
        let copy = Self::default();
        for name in ["postcall.db", "postcall.db-wal"] {
            std::fs::copy(self.folder.path().join(name), copy.folder.path().join(name)).unwrap();
        }
        copy
    }

    fn faults(&self) -> Vec<String> {
        examine(&self.path()).unwrap().findings.into_iter().map(|finding| finding.words).collect()
    }

    fn bodies(&self) -> Vec<String> {
        let connection = Connection::open(self.path()).unwrap();
        let mut hooks = connection
            .prepare("SELECT CAST(body AS TEXT) FROM hooks ORDER BY submission, id")
            .unwrap();
        hooks.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

/// How many seconds a lease lasts by the ledger's clock, which stands at 0 until it is set.
pub const LEASE: i64 = 30;
/// How many seconds until a held account is probed again.
pub const PROBE_EVERY: i64 = 60;

/// An open ledger whose clock the test sets; it is used like the [`Store`] that it holds.
pub struct Ledger<B> {
    pub backend: B,
    pub commits: Arc<Commits>,
    queue: usize,
    clock: Arc<AtomicI64>,
    store: Option<Arc<dyn Store>>,
}

impl<B: Backend> Ledger<B> {
    pub fn new() -> Self {
        Self::on(B::default())
    }

    pub fn on(backend: B) -> Self {
        let mut ledger = Self {
            backend,
            commits: Arc::default(),
            queue: 64,
            clock: Arc::default(),
            store: None,
        };
        ledger.reopen();
        ledger
    }

    /// Drops the ledger without closing it, and opens it again.
    pub fn reopen(&mut self) {
        self.drop_unclosed();
        self.store = Some(self.backend.open(self.terms()).unwrap());
    }

    pub fn drop_unclosed(&mut self) {
        self.store = None;
    }

    pub fn reopen_with_queue(&mut self, queue: usize) {
        self.queue = queue;
        self.reopen();
    }

    /// What another process would open after this one was killed.
    pub fn after_a_sudden_end(&self) -> Self {
        Self::on(self.backend.after_a_sudden_end())
    }

    pub fn terms(&self) -> Terms {
        let clock = self.clock.clone();
        Terms {
            queue: self.queue,
            lease: Duration::from_secs(LEASE as u64),
            clock: Arc::new(move || at(clock.load(Ordering::SeqCst))),
            observer: self.commits.clone(),
        }
    }

    pub fn set_clock(&self, second: i64) {
        self.clock.store(second, Ordering::SeqCst);
    }

    pub async fn hear(&self, arrival: Arrival) -> Accepted {
        self.accept(arrival).await.unwrap()
    }

    /// Everything that is due for `main`, up to ten.
    pub async fn lease_due(&self, second: i64) -> Vec<Lease> {
        self.lease(wanted(&[("main", 10)], second)).await.unwrap().leases
    }

    /// The one submission that is due.
    pub async fn lease_one(&self, second: i64) -> Lease {
        let mut leases = self.lease_due(second).await;
        assert_eq!(leases.len(), 1, "{leases:?}");
        leases.remove(0)
    }

    pub async fn begin_one(&self, lease: &Lease, second: i64) -> Begun {
        self.begin(vec![offer(lease.ticket)], at(second)).await.unwrap()[0]
    }

    /// The one submission that is due, with an attempt under way.
    pub async fn attempt_one(&self, second: i64) -> Lease {
        let lease = self.lease_one(second).await;
        assert_eq!(self.begin_one(&lease, second).await, Begun::Started);
        lease
    }

    pub async fn settle_one(&self, lease: &Lease, decision: Decision, second: i64) -> Settled {
        let settlement = Settlement { ticket: lease.ticket, decision, trace: None, at: at(second) };
        self.settle(vec![settlement]).await.unwrap()[0]
    }

    /// Settles the attempt to be made again in a minute.
    pub async fn retry_one(&self, lease: &Lease, attempt: Attempt) -> Settled {
        let finished_at = attempt.finished_at;
        let decision = Decision::Retry { attempt, at: finished_at + Duration::from_secs(60) };
        self.settle_one(lease, decision, finished_at.as_second()).await
    }

    pub async fn rows(&self) -> Vec<SubmissionRow> {
        self.search(Search::default(), None, 1000).await.unwrap().rows
    }

    pub async fn row(&self, call: &str) -> SubmissionRow {
        self.rows().await.into_iter().find(|row| row.key.call.as_str() == call).unwrap()
    }

    pub async fn totals(&self) -> StateCounts {
        self.figures().await.unwrap().totals
    }

    /// The totals are what a recount of the list finds.
    pub async fn check_books(&self) {
        let totals = self.totals().await;
        let mut counted = StateCounts::default();
        for row in self.rows().await {
            counted.accepted += 1;
            *counted.of_mut(row.state) += 1;
        }
        assert_eq!(totals, counted);
        assert!(totals.balance());
    }
}

impl<B> Deref for Ledger<B> {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &**self.store.as_ref().expect("a ledger is open between reopenings")
    }
}

pub fn wanted(accounts: &[(&str, usize)], second: i64) -> LeaseRequest {
    LeaseRequest {
        wanted: accounts.iter().map(|(name, most)| (name.parse().unwrap(), *most)).collect(),
        now: at(second),
        probe_every: Duration::from_secs(PROBE_EVERY as u64),
    }
}

/// How many commands each sync was for, since this was last asked.
#[derive(Default)]
pub struct Commits(Mutex<Vec<usize>>);

impl Commits {
    pub fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Commits {
    fn committed(&self, _took: Duration, group: usize, _totals: StateCounts) {
        self.0.lock().unwrap().push(group);
    }
}

/// What an attempt says, where it does not matter what.
pub fn offer(ticket: Ticket) -> Offer {
    Offer { ticket, feedback: "{}".to_owned() }
}
