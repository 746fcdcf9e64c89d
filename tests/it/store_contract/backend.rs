//! What the suite needs of a backend, and the open store that the promises are checked on.

use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use postcall::account::PauseReason;
use postcall::clock::Clock;
use postcall::domain::{Attempt, Name};
use postcall::store::postgres::{self, LeaseClock, PostgresStore};
use postcall::store::sqlite::{Options, SqliteStore, checksum};
use postcall::store::{
    ClaimRequest, Claimed, Observer, ReceiveRequest, Received, Store, StoreError, SubmissionFilter,
};
use postcall::submission::{
    Answers, Claim, Decision, Mapper, Settled, Settlement, StateCounts, Submission,
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::spoken::{TestMapper, at};
use crate::postgres::TestDatabase;

/// A place for one store; a new one is empty.
pub trait Backend: Default {
    /// Whether this machine has what the backend needs.
    fn is_available() -> bool {
        true
    }

    /// Opens the store that is there.
    fn open(&self, setup: Setup) -> Result<Arc<dyn Store>, StoreError>;

    /// Another place with what a sudden end, at this moment, would leave of this one.
    fn after_a_sudden_end(&self) -> Self;

    /// Does what the database does by itself from time to time, so that what was deleted makes room.
    fn make_room(&self) {}

    /// What an examination of the store finds.
    fn faults(&self) -> Vec<String>;

    /// The bodies of the webhooks that are kept: of one submission after the other, each in order of
    /// arrival.
    fn bodies(&self) -> Vec<String>;

    /// How many idempotency keys are kept.
    fn keys(&self) -> usize;
}

/// How a store is opened.
pub struct Setup {
    pub queue: usize,
    pub lease: Duration,
    pub clock: Clock,
    pub observer: Arc<dyn Observer>,
}

/// A folder for a SQLite store.
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
    fn open(&self, setup: Setup) -> Result<Arc<dyn Store>, StoreError> {
        let Setup { queue, lease, clock, observer } = setup;
        let store = SqliteStore::open(Options {
            path: self.path(),
            write_queue: queue,
            lease,
            clock,
            observer,
        })?;
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
        let examination = postcall::store::sqlite::examine(&self.path()).unwrap();
        examination.findings.into_iter().map(|finding| finding.words).collect()
    }

    fn keys(&self) -> usize {
        let connection = Connection::open(self.path()).unwrap();
        let count = "SELECT count(*) FROM idempotency_keys";
        connection.query_row(count, [], |row| row.get(0)).unwrap()
    }

    fn bodies(&self) -> Vec<String> {
        let connection = Connection::open(self.path()).unwrap();
        let mut webhooks = connection
            .prepare("SELECT CAST(body AS TEXT) FROM webhooks ORDER BY submission, received_at, id")
            .unwrap();
        webhooks.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    }
}

/// A database for a PostgreSQL store.
#[derive(Default)]
pub struct Postgres {
    pub database: TestDatabase,
    /// Whether the store connects through a pooler.
    is_pooled: bool,
}

impl Backend for Postgres {
    fn is_available() -> bool {
        crate::postgres::is_available()
    }

    fn open(&self, setup: Setup) -> Result<Arc<dyn Store>, StoreError> {
        let Setup { queue, lease, clock, observer } = setup;
        let store = PostgresStore::open(postgres::Options {
            address: match self.is_pooled {
                true => self.database.pooled_address(),
                false => self.database.address(),
            },
            replica: "test".to_owned(),
            write_queue: queue,
            lease,
            lease_clock: LeaseClock::Process,
            clock,
            observer,
        })?;
        Ok(Arc::new(store))
    }

    fn after_a_sudden_end(&self) -> Self {
        Self { database: self.database.copy(), is_pooled: self.is_pooled }
    }

    fn make_room(&self) {
        // What deleted rows leave is reused sooner or later; rewritten, the tables show how much that is.
        // A transaction that is just ending may still keep some.
        let size = "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class
            WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
        let mut sizes = (i64::MAX, i64::MAX);
        while sizes.0 == i64::MAX || sizes.0 != sizes.1 {
            self.database.with(async |client| client.batch_execute("VACUUM FULL").await.unwrap());
            sizes = (sizes.1, self.database.number(size));
        }
    }

    fn faults(&self) -> Vec<String> {
        let examination = postgres::examine(&self.database.address()).unwrap();
        examination.findings.into_iter().map(|finding| finding.words).collect()
    }

    fn keys(&self) -> usize {
        self.database.number("SELECT count(*) FROM idempotency_keys").try_into().unwrap()
    }

    fn bodies(&self) -> Vec<String> {
        self.database.with(async |client| {
            let bodies = "SELECT convert_from(body, 'UTF8') FROM webhooks
                ORDER BY submission, received_at, id";
            client.query(bodies, &[]).await.unwrap().iter().map(|row| row.get(0)).collect()
        })
    }
}

/// A database whose transactions are serializable unless they say otherwise.
pub struct Serializable(Postgres);

impl Serializable {
    fn of(place: Postgres) -> Self {
        place.database.set("default_transaction_isolation", "serializable");
        Self(place)
    }
}

impl Default for Serializable {
    fn default() -> Self {
        Self::of(Postgres::default())
    }
}

/// A database that the store reaches through PgBouncer, which gives each transaction any connection.
pub struct Pooled(Postgres);

impl Default for Pooled {
    fn default() -> Self {
        Self(Postgres { is_pooled: true, ..Postgres::default() })
    }
}

/// The same backend in another place.
macro_rules! as_postgres {
    ($($backend:ident, $of:expr, $is_available:expr;)+) => { $(
        impl Backend for $backend {
            fn is_available() -> bool {
                $is_available
            }

            fn open(&self, setup: Setup) -> Result<Arc<dyn Store>, StoreError> {
                self.0.open(setup)
            }

            fn after_a_sudden_end(&self) -> Self {
                $of(self.0.after_a_sudden_end())
            }

            fn make_room(&self) {
                self.0.make_room();
            }

            fn faults(&self) -> Vec<String> {
                self.0.faults()
            }

            fn bodies(&self) -> Vec<String> {
                self.0.bodies()
            }

            fn keys(&self) -> usize {
                self.0.keys()
            }
        }
    )+ };
}

as_postgres! {
    Serializable, Serializable::of, crate::postgres::is_available();
    Pooled, Pooled, crate::postgres::is_pooler_available();
}

/// Gives each submission the checksum that it would have if Postcall had written it.
pub fn seal(store: &Connection) {
    let columns = "seq, id, account, survey, call, state, reason, accepted_at, due_at, lease_until,
        fence, due_since, settled_at, retention, purged_at, document";
    let mut rows = store.prepare(&format!("SELECT {columns} FROM submissions")).unwrap();
    let sealed = rows.query_map([], |row| {
        let columns: Vec<_> = (0..16).map(|column| row.get_ref(column).unwrap()).collect();
        Ok((row.get(0)?, checksum(columns)))
    });
    let sealed: Vec<(i64, i64)> = sealed.unwrap().map(Result::unwrap).collect();
    for row in sealed {
        store.execute("UPDATE submissions SET checksum = ?2 WHERE seq = ?1", row).unwrap();
    }
}

/// How many seconds a lease lasts by the store's clock, which shows 0 until it is set.
pub const LEASE: i64 = 30;
/// How many seconds until a paused account is probed again.
pub const PROBE_INTERVAL: i64 = 60;

/// An open store whose clock the test sets; it is used like the [`Store`] that it holds.
pub struct TestStore<B> {
    /// Dropped first: it closes in a place that is still there.
    store: Option<Arc<dyn Store>>,
    pub backend: B,
    pub commits: Arc<Commits>,
    queue: usize,
    clock: Clock,
}

impl<B: Backend> TestStore<B> {
    pub fn new() -> Self {
        Self::on(B::default())
    }

    pub fn on(backend: B) -> Self {
        let mut store = Self {
            backend,
            commits: Arc::default(),
            queue: 64,
            clock: Clock::manual(at(0)),
            store: None,
        };
        store.reopen();
        store
    }

    /// Drops the store without closing it, and opens it again.
    pub fn reopen(&mut self) {
        self.drop_unclosed();
        self.store = Some(self.backend.open(self.setup()).unwrap());
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

    pub fn setup(&self) -> Setup {
        Setup {
            queue: self.queue,
            lease: Duration::from_secs(LEASE as u64),
            clock: self.clock.clone(),
            observer: self.commits.clone(),
        }
    }

    pub fn set_clock(&self, second: i64) {
        let passes = at(second).duration_since(self.clock.now());
        self.clock.advance(passes.try_into().expect("time passes"));
    }

    pub async fn receive_one(&self, request: ReceiveRequest) -> Received {
        self.receive(request).await.unwrap()
    }

    /// What is due for `main`, up to ten, as this mapper maps it.
    pub async fn claim_by(&self, mapper: impl Mapper + 'static, second: i64) -> Claimed {
        let mapper = Arc::new(mapper);
        self.claim(ClaimRequest { mapper, ..wanted(&[("main", 10)], second) }).await.unwrap()
    }

    /// What is due for `main`, up to ten: every submission maps to feedback.
    pub async fn claim_due(&self, second: i64) -> Vec<Claim> {
        let claimed = self.claim_by(TestMapper::default(), second).await;
        assert_eq!(claimed.settled, [], "everything maps to feedback");
        claimed.claims
    }

    /// The one submission that is due, with its attempt in flight.
    pub async fn claim_one(&self, second: i64) -> Claim {
        let mut claims = self.claim_due(second).await;
        assert_eq!(claims.len(), 1, "{claims:?}");
        claims.remove(0)
    }

    /// The one submission that is due, and the answers that were mapped.
    pub async fn claim_mapped(&self, second: i64) -> (Claim, Answers) {
        let mapper = Arc::new(TestMapper::default());
        let request = ClaimRequest { mapper: mapper.clone(), ..wanted(&[("main", 10)], second) };
        let claims = self.claim(request).await.unwrap().claims;
        let (asked, [claim]) = (mapper.take_asked(), &claims[..]) else { panic!("{claims:?}") };
        let [asked] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!(asked.key, claim.key);
        let stored = self.load(vec![claim.token.submission]).await.unwrap().remove(0);
        assert_eq!(&asked.answers, stored.answers(), "a claim changes no answers");
        (claim.clone(), asked.answers.clone())
    }

    /// Claims the one submission that is due, which this mapper maps to nothing to send; returns it.
    pub async fn settle_unsent(&self, mapper: TestMapper, second: i64) -> Submission {
        let claimed = self.claim_by(mapper, second).await;
        assert_eq!((claimed.claims.len(), claimed.settled.len()), (0, 1), "{claimed:?}");
        let submission = self.load(vec![claimed.settled[0].id]).await.unwrap().remove(0);
        assert_eq!(submission.state, claimed.settled[0].state);
        submission
    }

    pub async fn settle_one(&self, claim: &Claim, attempt: Attempt, decision: Decision) -> Settled {
        let settlement = Settlement { token: claim.token, attempt, decision };
        self.settle(vec![settlement]).await.unwrap()[0]
    }

    /// Settles the attempt to be made again in a minute.
    pub async fn retry_one(&self, claim: &Claim, attempt: Attempt) -> Settled {
        let at = attempt.finished_at + Duration::from_secs(60);
        self.settle_one(claim, attempt, Decision::Retry { at }).await
    }

    /// Every submission, the latest first.
    pub async fn submissions(&self) -> Vec<Submission> {
        self.search(SubmissionFilter::default(), None, 1000).await.unwrap().submissions
    }

    /// The submission about a call.
    pub async fn submission(&self, call: &str) -> Submission {
        self.submissions().await.into_iter().find(|it| call_of(it) == call).unwrap()
    }

    pub async fn counts(&self) -> StateCounts {
        self.statistics().await.unwrap().counts
    }

    /// Accounts that are paused.
    pub async fn pauses(&self) -> Vec<(Name, PauseReason)> {
        self.statistics().await.unwrap().pauses
    }

    /// The counts are what counting the list gives.
    pub async fn check_counts(&self) {
        let counts = self.counts().await;
        let mut counted = StateCounts::default();
        for submission in self.submissions().await {
            counted.accepted += 1;
            *counted.of_mut(submission.state) += 1;
        }
        assert_eq!(counts, counted);
        assert!(counts.balance());
    }
}

impl<B> Deref for TestStore<B> {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &**self.store.as_ref().expect("a store is open between reopenings")
    }
}

/// A claim for accounts, with a mapper that maps everything to the same feedback.
pub fn wanted(accounts: &[(&str, usize)], second: i64) -> ClaimRequest {
    ClaimRequest {
        wanted: accounts.iter().map(|(name, most)| (name.parse().unwrap(), *most)).collect(),
        now: at(second),
        latest_due: Timestamp::MAX,
        leased: Vec::new(),
        probe_interval: Duration::from_secs(PROBE_INTERVAL as u64),
        settings_may_differ: false,
        mapper: Arc::new(TestMapper::default()),
    }
}

/// The call of a submission, or nothing once it was erased or purged.
pub fn call_of(submission: &Submission) -> &str {
    submission.call.as_ref().map_or("", |call| call.as_str())
}

/// A submission apart from what it has of answers that came too late.
pub fn apart_from_late(submission: &Submission) -> Submission {
    let mut submission = submission.clone();
    submission.document.late = Answers::default();
    submission.document.unrecorded = 0;
    submission
}

/// How many operations each sync was for, since this was last asked.
#[derive(Default)]
pub struct Commits(Mutex<Vec<usize>>);

impl Commits {
    pub fn take(&self) -> Vec<usize> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Observer for Commits {
    fn committed(&self, _took: Duration, group: usize, _counts: StateCounts) {
        self.0.lock().unwrap().push(group);
    }
}
