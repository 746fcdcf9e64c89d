//! SQL of the writer's transactions: what they touch is read and locked in one round trip, and what
//! they change is written in another, with the commit.
//!
//! Rules that keep this working through a pooler, at any isolation, and on engines that only speak
//! PostgreSQL's language: only a [`Session`] names statements and has settings that outlive a transaction, where it
//! may; nothing listens, and no lock is taken but those of rows. A transaction that loses against another is run
//! again.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Runtime;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::columns::{Columns, clamped, limit, micros, retention_column, submission_columns};
use super::connection::{Address, Statement, within};
use super::durability::Risks;
use super::error::PgError;
use super::options::LeaseClock;
use super::replicas::{Ended, Replica, SAY_EVERY, now};
use super::server_clock::{ServerClock, has_passed};
use super::session::Session;
use super::waiting::{self, Waiting};
use super::{quarantine, queries, revisions, tallies, upkeep};
use crate::account::Pause;
use crate::clock::Clock;
use crate::domain::{CallUuid, IdempotencyKey, Name, WebhookId};
use crate::store::backend::{
    Backend, CountsDelta, KeyUse, Stored, StoredPause, Touched, UnreadablePause,
};
use crate::store::batch::EXPIRED_MAX;
use crate::store::error::StoreError;
use crate::store::lease::LeaseEnds;
use crate::store::model::{
    ClockRecord, QuarantinedWebhook, ROWS_PER_MICROSECOND, ReceiveRequest, SurveyRevision,
    first_row,
};
use crate::store::observer::Observer;
use crate::submission::{
    FieldValues, Outcome, RetentionLevel, State, StateCounts, Submission, SubmissionId, Tallies,
};

type Result<T> = std::result::Result<T, PgError>;

/// How long one round trip may take; a sender that waits 5 s for its answer still gets the 503.
const TIMEOUT: Duration = Duration::from_secs(4);

/// How far the clock of this machine may be from the database's before the log says so.
const CLOCK_OFF_MIN: SignedDuration = SignedDuration::from_secs(5);

/// For how long a replica leads an account, and how much is left of that when it asks for more, as [`LEAD`] says too.
const LEAD_TIME: SignedDuration = SignedDuration::from_secs(15);
const LEAD_LEFT: SignedDuration = SignedDuration::from_millis(7500);

/// The connection that writes, used from the writer's thread alone.
pub(in crate::store) struct Database {
    address: Address,
    replica: Replica,
    lease_clock: LeaseClock,
    clock: Clock,
    /// The clock of this machine is far from the database's, and the log says so.
    is_clock_off: Cell<bool>,
    risks: Arc<Risks>,
    ended: Ended,
    observer: Arc<dyn Observer>,
    session: RefCell<Option<Session>>,
    server_clock: ServerClock,
    /// When it was last said that this replica serves, by the database's clock, as all that follows.
    said_at: Cell<Option<Timestamp>>,
    /// Until when this replica leads accounts, as far as is known.
    led_until: RefCell<HashMap<Name, Timestamp>>,
    transaction: RefCell<Transaction>,
    changes: Cell<u64>,
    /// How far [`upkeep`] has looked through the submissions.
    looked_to: Cell<i64>,
    /// Dropped last: it serves the connection.
    runtime: Runtime,
}

/// What a [`Database`] works with.
pub(super) struct Setup {
    pub runtime: Runtime,
    pub address: Address,
    pub replica: Replica,
    pub lease_clock: LeaseClock,
    /// It follows the database's, if leases go by that.
    pub clock: Clock,
    pub risks: Arc<Risks>,
    pub ended: Ended,
    pub observer: Arc<dyn Observer>,
}

/// What a transaction has read and not been asked for, and what it has not written yet.
#[derive(Default)]
struct Transaction {
    is_open: bool,
    began_at: Timestamp,
    /// It says that this replica serves.
    says_it_serves: bool,
    /// In the order in which they have to run. What follows them is gathered below.
    statements: Vec<Statement>,
    inserts: BTreeMap<i64, Columns>,
    updates: BTreeMap<i64, Columns>,
    webhooks: Vec<WebhookColumns>,
    keys: Vec<KeyColumns>,
    scopes: BTreeSet<(String, String)>,
    ids: HashMap<SubmissionId, Option<i64>>,
    rows: HashMap<i64, Stored>,
    sources: HashMap<i64, Vec<Name>>,
    /// The highest row of a microsecond, by its first one.
    highest: HashMap<i64, Option<i64>>,
    known_keys: HashMap<(Name, String), Option<KeyUsed>>,
    pauses: HashMap<Name, Option<String>>,
    /// Accounts that this replica leads, as far as is known.
    led: HashMap<Name, bool>,
    /// What waits, where nothing that was written since has changed it.
    waiting: HashMap<Name, Waiting>,
    /// Another replica serves too.
    others_serve: bool,
    /// The database's clock was estimated well when the transaction began.
    has_estimate: bool,
    /// As `waiting`, rows whose lease has expired or has to be renewed.
    expired: Option<Vec<i64>>,
}

/// What a known idempotency key came with: the digest, and the submission that it was about.
type KeyUsed = (Vec<u8>, SubmissionId);

struct WebhookColumns {
    submission: i64,
    received_at: i64,
    id: Uuid,
    source: String,
    outcome: &'static str,
    method: &'static str,
    query: Option<String>,
    body: Vec<u8>,
}

struct KeyColumns {
    source: String,
    key: Vec<u8>,
    digest: Vec<u8>,
    submission: Uuid,
    used_at: i64,
    expires: bool,
}

/// What a statement of [`Database::fetches`] reads.
enum Fetch {
    Serving,
    Submissions,
    Rows,
    Sources,
    Highest,
    Keys,
    Pauses,
    Lead,
    Led,
    Waiting,
    Expired,
}

pub(super) const BY_ID: &str = concat!(
    "SELECT ",
    submission_columns!(),
    " FROM submissions WHERE id = ANY($1) ORDER BY id FOR UPDATE"
);

pub(super) const BY_ROW: &str = concat!(
    "SELECT ",
    submission_columns!(),
    " FROM submissions WHERE seq = ANY($1) ORDER BY seq FOR UPDATE"
);

/// A sender may have sent any number; the first ones tell.
pub(super) const SOURCES: &str = "SELECT u.seq, ARRAY(SELECT source FROM webhooks
        WHERE submission = u.seq ORDER BY received_at, id LIMIT 16)
    FROM unnest($1::bigint[]) AS u (seq)";

pub(super) const HIGHEST: &str = "SELECT u.first,
        (SELECT max(seq) FROM submissions WHERE seq BETWEEN u.first AND u.first + 999)
    FROM unnest($1::bigint[]) AS u (first)";

/// The limit has each key looked up by itself.
pub(super) const KEYS: &str = "SELECT known.source, known.key, known.digest, known.submission
    FROM unnest($1::text[], $2::bytea[]) AS asked (source, key),
        LATERAL (SELECT * FROM idempotency_keys AS known
            WHERE known.source = asked.source AND known.key = asked.key LIMIT 1) AS known";

pub(super) const PAUSES: &str = "SELECT account, pause FROM pauses WHERE account = ANY($1)";

/// Takes the lead of accounts that no replica leads, and renews it for 15 s once half of them have
/// passed. One that would last for longer was granted by a clock that was put back since, and is over.
/// What another one leads is not locked.
const LEAD: &str = concat!(
    "INSERT INTO leaders (account, replica, until)
    SELECT u.account, $2, ",
    now!(),
    " + 15000000 FROM unnest($1::text[]) AS u (account)
        LEFT JOIN leaders AS known ON known.account = u.account
        WHERE known.account IS NULL OR known.until <= ",
    now!(),
    " OR known.until > ",
    now!(),
    " + 15000000 OR (known.replica = $2 AND known.until < ",
    now!(),
    " + 7500000)
        ORDER BY u.account
    ON CONFLICT (account) DO UPDATE SET replica = excluded.replica, until = excluded.until
        WHERE leaders.until <= ",
    now!(),
    " OR leaders.until > ",
    now!(),
    " + 15000000 OR leaders.replica = excluded.replica"
);

const LED: &str = concat!(
    "SELECT account, until FROM leaders WHERE account = ANY($1) AND replica = $2 AND until > ",
    now!()
);

pub(super) const DUE: &str = "SELECT due_at, seq FROM due
    WHERE account = $1 AND due_at > $2 AND due_at <= $3 AND lease_until IS NULL
    ORDER BY due_at, seq LIMIT $4";

pub(super) const LEAST_CLAIMED: &str = "SELECT seq FROM
        (SELECT seq, fence, due_at FROM due
            WHERE account = $1 AND due_at <= $2 AND lease_until IS NULL
            ORDER BY due_at LIMIT 1000) AS longest
    ORDER BY fence, due_at, seq LIMIT $3";

/// Each range by itself: of both at once, PostgreSQL reads the whole table where it has no statistics of it.
pub(super) const EXPIRED: &str = "SELECT seq FROM (
        (SELECT seq FROM due
            WHERE lease_until <= $2 AND (replica = $3 OR (lease_until <= $1 AND $4))
            ORDER BY lease_until LIMIT $5)
        UNION ALL
        (SELECT seq FROM due WHERE lease_until > $6 AND (replica = $3 OR $4)
            ORDER BY lease_until LIMIT $5)
    ) AS expired LIMIT $5";

pub(super) const OWN_CLAIMS: &str =
    "SELECT seq FROM due WHERE lease_until IS NOT NULL AND replica = $1 LIMIT $2";

pub(super) const PURGEABLE: &str = "SELECT seq FROM submissions
    WHERE retention = $1 AND settled_at < $2 ORDER BY settled_at LIMIT $3";

/// One row for each place in the arrays. `FROM unnest($1, $2)` gives the same, and writes each of them to a
/// buffer of its own first, which takes more than three times as long.
macro_rules! of_arrays {
    () => {
        "SELECT unnest($1::bigint[]), unnest($2::uuid[]), unnest($3::text[]), unnest($4::text[]),
                unnest($5::text[]), unnest($6::text[]), unnest($7::text[]), unnest($8::bigint[]),
                unnest($9::bigint[]), unnest($10::bigint[]), unnest($11::bigint[]),
                unnest($12::bigint[]), unnest($13::bigint[]), unnest($14::bigint[]),
                unnest($15::bigint[]), unnest($16::text[]), unnest($17::bigint[])"
    };
}

/// A submission that another replica inserted first is a conflict.
const INSERT: &str =
    concat!("INSERT INTO submissions (", submission_columns!(), ") ", of_arrays!());

/// Its parameters are those of [`INSERT`]. However the two are joined, only these rows are read.
pub(super) const UPDATE: &str = concat!(
    "UPDATE submissions AS s
        SET call = u.call, state = u.state, reason = u.reason, due_at = u.due_at,
            lease_until = u.lease_until, fence = u.fence, due_since = u.due_since,
            settled_at = u.settled_at, retention = u.retention, purged_at = u.purged_at,
            document = u.document, checksum = u.checksum
        FROM (",
    of_arrays!(),
    ") AS u (",
    submission_columns!(),
    ") WHERE s.seq = ANY($1) AND s.seq = u.seq"
);

/// A row that is written by another replica than the one that works on its claim stays that one's.
const SET_DUE: &str = "INSERT INTO due
        (seq, account, due_at, fence, due_since, lease_until, replica)
    SELECT seq, account, due_at, fence, due_since, lease_until,
            CASE WHEN lease_until IS NOT NULL THEN $7 END
        FROM (SELECT unnest($1::bigint[]), unnest($2::text[]), unnest($3::bigint[]),
                unnest($4::bigint[]), unnest($5::bigint[]), unnest($6::bigint[]))
            AS u (seq, account, due_at, fence, due_since, lease_until)
    ON CONFLICT (seq) DO UPDATE
        SET account = excluded.account, due_at = excluded.due_at, fence = excluded.fence,
            due_since = excluded.due_since, lease_until = excluded.lease_until,
            replica = CASE
                WHEN excluded.lease_until IS NOT NULL AND due.fence = excluded.fence
                    AND due.replica IS NOT NULL THEN due.replica
                ELSE excluded.replica
            END";

/// Removes a row that finds nothing.
const ORPHANED: &str = "DELETE FROM due WHERE seq = $1
    AND NOT EXISTS (SELECT 1 FROM submissions AS s WHERE s.seq = $1)";

const NOT_DUE: &str = "DELETE FROM due WHERE seq = ANY($1)";

const INSERT_WEBHOOKS: &str = "INSERT INTO webhooks
        (submission, received_at, id, source, outcome, method, query, body)
    SELECT unnest($1::bigint[]), unnest($2::bigint[]), unnest($3::uuid[]), unnest($4::text[]),
        unnest($5::text[]), unnest($6::text[]), unnest($7::text[]), unnest($8::bytea[])
    ON CONFLICT DO NOTHING";

/// A key that another replica inserted first is a conflict.
const INSERT_KEYS: &str = "INSERT INTO idempotency_keys
        (source, key, digest, submission, used_at, expires)
    SELECT unnest($1::text[]), unnest($2::bytea[]), unnest($3::bytea[]), unnest($4::uuid[]),
        unnest($5::bigint[]), unnest($6::boolean[])";

impl Database {
    /// For the thread that opens the store, and then the writer's.
    pub(super) fn new(setup: Setup) -> Self {
        let Setup { runtime, address, replica, lease_clock, clock, risks, ended, observer } = setup;
        Self {
            address,
            replica,
            lease_clock,
            clock,
            is_clock_off: Cell::default(),
            risks,
            ended,
            observer,
            session: RefCell::new(None),
            server_clock: ServerClock::default(),
            said_at: Cell::default(),
            led_until: RefCell::default(),
            transaction: RefCell::default(),
            changes: Cell::new(0),
            looked_to: Cell::new(i64::MIN),
            runtime,
        }
    }

    /// Runs what waits to be written and then these statements, in one round trip; returns the rows of
    /// these.
    fn run(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>> {
        self.transaction.borrow_mut().close_group(self.replica.slot);
        self.run_before_gathered(statements)
    }

    /// As [`run`](Self::run), before what is gathered and may still grow.
    fn run_before_gathered(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>> {
        let mut all = std::mem::take(&mut self.transaction.borrow_mut().statements);
        let before = all.len();
        all.extend(statements);
        let result = match &mut *self.session.borrow_mut() {
            Some(session) => self.runtime.block_on(session.pipeline(&all, TIMEOUT)),
            None => return Err(PgError::Connect("the connection was lost".into())),
        };
        if result.as_ref().is_err_and(PgError::is_unavailable) {
            // A server that hangs would be waited for again, and one that was demoted asked for ever.
            *self.session.borrow_mut() = None;
        }
        Ok(result?.split_off(before))
    }

    fn query(&self, statement: Statement) -> Result<Vec<Row>> {
        Ok(self.run(vec![statement])?.pop().unwrap_or_default())
    }

    /// Has a statement run before whatever is read or written next.
    fn defer(&self, statement: Statement) {
        let mut transaction = self.transaction.borrow_mut();
        transaction.close_group(self.replica.slot);
        transaction.statements.push(statement);
        self.changes.set(self.changes.get() + 1);
    }

    /// Returns whether there was a connection already.
    fn connect(&self) -> Result<bool> {
        let mut session = self.session.borrow_mut();
        if session.as_ref().is_some_and(|session| !session.client().is_closed()) {
            return Ok(true);
        }
        *session = None;
        let connecting = async {
            let session = Session::connect(&self.address).await?;
            self.risks.check(session.client(), &*self.observer).await?;
            Ok(session)
        };
        *session = Some(self.runtime.block_on(within(TIMEOUT, connecting))?);
        self.server_clock.connection_was_lost();
        Ok(false)
    }

    fn try_begin(&self, touched: &Touched) -> Result<Option<Timestamp>> {
        *self.transaction.borrow_mut() = Transaction { is_open: true, ..Transaction::default() };
        let serving = vec![(Fetch::Serving, self.replica.serving())];
        let begin = self.session.borrow().as_ref().map(Session::begin);
        let clock = self.fetch(begin, touched, serving)?;
        let now = clock.unwrap_or_default();
        let mut transaction = self.transaction.borrow_mut();
        transaction.began_at = now;
        if has_passed(SAY_EVERY, self.said_at.get(), now) {
            transaction.says_it_serves = true;
            transaction.statements.push(self.replica.seen());
        }
        Ok(clock.filter(|_| self.lease_clock == LeaseClock::Database))
    }

    fn fetches(&self, touched: &Touched) -> Vec<(Fetch, Statement)> {
        let mut fetches = self.fetches_to_claim(touched);
        if !touched.submissions.is_empty() {
            let ids: BTreeSet<Uuid> = touched.submissions.iter().map(|id| id.0).collect();
            let ids: Vec<Uuid> = ids.into_iter().collect();
            let statement = Statement::prepared(BY_ID).with(ids, Type::UUID_ARRAY);
            fetches.push((Fetch::Submissions, statement));
        }
        if !touched.rows.is_empty() {
            let rows = || touched.rows.clone();
            let statement = Statement::prepared(BY_ROW).with(rows(), Type::INT8_ARRAY);
            fetches.push((Fetch::Rows, statement));
            let statement = Statement::prepared(SOURCES).with(rows(), Type::INT8_ARRAY);
            fetches.push((Fetch::Sources, statement));
        }
        if !touched.accepted_at.is_empty() {
            let first: BTreeSet<i64> =
                touched.accepted_at.iter().map(|at| first_row(*at)).collect();
            let first: Vec<i64> = first.into_iter().collect();
            let statement = Statement::prepared(HIGHEST).with(first, Type::INT8_ARRAY);
            fetches.push((Fetch::Highest, statement));
        }
        if !touched.keys.is_empty() {
            let (sources, keys): (Vec<String>, Vec<Vec<u8>>) = touched
                .keys
                .iter()
                .map(|(source, key)| (source.as_str().to_owned(), key.clone().into_bytes()))
                .unzip();
            let statement = Statement::prepared(KEYS)
                .with(sources, Type::TEXT_ARRAY)
                .with(keys, Type::BYTEA_ARRAY);
            fetches.push((Fetch::Keys, statement));
        }
        if !touched.accounts.is_empty() {
            let accounts: Vec<String> = names(&touched.accounts);
            let statement = Statement::prepared(PAUSES).with(accounts, Type::TEXT_ARRAY);
            fetches.push((Fetch::Pauses, statement));
        }
        fetches
    }

    fn fetches_to_claim(&self, touched: &Touched) -> Vec<(Fetch, Statement)> {
        let mut fetches = Vec::new();
        let mut accounts = HashMap::<Name, usize>::new();
        for (account, wanted) in &touched.claimed {
            // One more tells whether there are more.
            let most = accounts.entry(account.clone()).or_insert(1);
            *most = most.saturating_add(*wanted);
        }
        if accounts.is_empty() {
            return fetches;
        }
        if self.lease_clock == LeaseClock::Database {
            let now = self.server_clock.estimate(self.clock.unsuspended());
            let led_until = self.led_until.borrow();
            let is_led = |account: &Name| {
                let left = led_until.get(account).zip(now).map(|(it, now)| it.duration_since(now));
                left.is_some_and(|left| left > LEAD_LEFT && left <= LEAD_TIME)
            };
            let lead = (!accounts.keys().all(is_led)).then_some((Fetch::Lead, LEAD));
            for (fetch, sql) in lead.into_iter().chain([(Fetch::Led, LED)]) {
                let names: Vec<String> = accounts.keys().map(|it| it.as_str().to_owned()).collect();
                let statement = Statement::prepared(sql)
                    .with(names, Type::TEXT_ARRAY)
                    .with(self.replica.slot, Type::INT8);
                fetches.push((fetch, statement));
            }
            if let Some((lease, now)) = touched.lease.zip(now) {
                let statement = self.read_expired(LeaseEnds::at(now, lease), EXPIRED_MAX);
                fetches.push((Fetch::Expired, statement));
            }
        }
        fetches.push((Fetch::Waiting, waiting::read_first(&accounts)));
        fetches
    }

    /// Rows whose lease has expired; of others only once they had the time to renew theirs.
    fn read_expired(&self, ends: LeaseEnds, most: usize) -> Statement {
        let others_too = self.lease_clock == LeaseClock::Process
            || self.server_clock.others_could_renew(ends.ended);
        Statement::prepared(EXPIRED)
            .with(micros(ends.ended), Type::INT8)
            .with(micros(ends.renewed), Type::INT8)
            .with(self.replica.slot, Type::INT8)
            .with(others_too, Type::BOOL)
            .with(limit(most), Type::INT8)
            .with(micros(ends.latest), Type::INT8)
    }

    /// Runs statements before the fetches; returns the database's clock if leases go by it and it was asked
    /// for.
    fn fetch(
        &self,
        before: Option<Statement>,
        touched: &Touched,
        mut fetches: Vec<(Fetch, Statement)>,
    ) -> Result<Option<Timestamp>> {
        fetches.extend(self.fetches(touched));
        let skipped = usize::from(before.is_some());
        let (kinds, statements): (Vec<Fetch>, Vec<Statement>) = fetches.into_iter().unzip();
        let statements = before.into_iter().chain(statements).collect();
        let asked_at = self.clock.unsuspended();
        let results = if self.transaction.borrow().has_rows_to_write() {
            self.run(statements)?
        } else {
            // Gathered webhooks are of rows in the working set, which are never fetched, and gathered keys are known.
            self.run_before_gathered(statements)?
        };
        let answered_at = self.clock.unsuspended();
        let results = results.into_iter().skip(skipped);
        let mut clock = None;
        let mut transaction = self.transaction.borrow_mut();
        for (kind, rows) in kinds.into_iter().zip(results) {
            match kind {
                Fetch::Lead => {}
                Fetch::Led => {
                    let mut led_until = self.led_until.borrow_mut();
                    for (account, _) in &touched.claimed {
                        led_until.remove(account);
                        transaction.led.insert(account.clone(), false);
                    }
                    for row in &rows {
                        if let Ok(account) = row.try_get::<_, &str>(0)?.parse::<Name>() {
                            led_until.insert(account.clone(), clamped(row.try_get(1)?));
                            transaction.led.insert(account, true);
                        }
                    }
                }
                Fetch::Waiting => {
                    let asked = touched.claimed.iter().map(|(account, _)| account.clone());
                    transaction.waiting.extend(waiting::read(&rows, asked)?);
                }
                Fetch::Expired => {
                    let expired = rows.iter().map(|row| row.try_get(0));
                    let expired = expired.collect::<std::result::Result<_, _>>()?;
                    // If it was asked for by a wrong estimate of the clock, it is asked for again.
                    transaction.expired = Some(expired).filter(|_| transaction.has_estimate);
                }
                Fetch::Serving => {
                    let checked = rows.first().map(|row| self.replica.check(row)).transpose();
                    if let Err(PgError::Superseded { replica }) = &checked {
                        let (path, replica) = (self.address.shown(), replica.clone());
                        let why = StoreError::Superseded { path, replica };
                        self.ended.get_or_init(|| Arc::new(why));
                    }
                    let serving = checked?;
                    clock = serving.map(|(shown, _)| shown);
                    transaction.others_serve = serving.is_some_and(|(_, others)| others);
                    transaction.has_estimate = clock
                        .is_some_and(|shown| self.server_clock.note(shown, asked_at, answered_at));
                }
                Fetch::Submissions => {
                    let unknown = touched.submissions.iter().map(|id| (*id, None));
                    transaction.ids.extend(unknown);
                    for row in &rows {
                        let columns = Columns::read(row)?;
                        transaction.ids.insert(SubmissionId(columns.id), Some(columns.seq));
                        transaction.rows.insert(columns.seq, columns.stored());
                    }
                }
                Fetch::Rows => {
                    for row in &rows {
                        let columns = Columns::read(row)?;
                        transaction.rows.insert(columns.seq, columns.stored());
                    }
                }
                Fetch::Sources => {
                    for row in &rows {
                        transaction.sources.insert(row.try_get(0)?, read_names(row.try_get(1)?));
                    }
                }
                Fetch::Highest => {
                    for row in &rows {
                        transaction.highest.insert(row.try_get(0)?, row.try_get(1)?);
                    }
                }
                Fetch::Keys => {
                    for key in &touched.keys {
                        // One that is gathered is not in the database yet.
                        transaction.known_keys.entry(key.clone()).or_default();
                    }
                    for row in &rows {
                        let (source, key): (String, Vec<u8>) = (row.try_get(0)?, row.try_get(1)?);
                        if let (Ok(source), Ok(key)) = (source.parse(), String::from_utf8(key)) {
                            let used = (row.try_get(2)?, SubmissionId(row.try_get(3)?));
                            transaction.known_keys.insert((source, key), Some(used));
                        }
                    }
                }
                Fetch::Pauses => {
                    // What was read first was decided by; a later change of it by another replica is a conflict.
                    for row in &rows {
                        let account: String = row.try_get(0)?;
                        if let Ok(account) = account.parse() {
                            transaction.pauses.entry(account).or_insert(Some(row.try_get(1)?));
                        }
                    }
                    for account in &touched.accounts {
                        transaction.pauses.entry(account.clone()).or_default();
                    }
                }
            }
        }
        if let Some(clock) = clock.filter(|_| self.lease_clock == LeaseClock::Database) {
            self.follow(clock, asked_at);
        }
        Ok(clock)
    }

    /// All replicas go by the database's clock, so that what one received is due at the same moment for
    /// another, and two answers of a call are in their order wherever they came.
    fn follow(&self, clock: Timestamp, asked_at: Duration) {
        self.clock.follow(clock, asked_at);
        let ahead = self.clock.own_wall().duration_since(self.clock.now());
        let is_off = ahead.abs() >= CLOCK_OFF_MIN;
        if is_off && !self.is_clock_off.replace(is_off) {
            tracing::warn!(
                seconds = ahead.as_secs(),
                "the clock of this machine is ahead of the database's (behind if negative), which all replicas go \
                 by: set right the one that is wrong"
            );
        }
        self.is_clock_off.set(is_off);
    }

    fn rows_of(&self, statement: Statement) -> Result<Vec<i64>> {
        self.query(statement)?.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }
}

impl Transaction {
    /// Whether there are rows to write that the working set may no longer have: they have to be written before any is read.
    fn has_rows_to_write(&self) -> bool {
        !(self.statements.is_empty() && self.inserts.is_empty() && self.updates.is_empty())
    }

    /// Makes statements of what was gathered, so that another may follow.
    fn close_group(&mut self, slot: i64) {
        let (inserts, updates) =
            (std::mem::take(&mut self.inserts), std::mem::take(&mut self.updates));
        let (mut waiting, mut settled) = (Vec::new(), Vec::new());
        for columns in inserts.values().chain(updates.values()) {
            match columns.settled_at {
                None => waiting.push(columns),
                Some(_) => settled.push(columns.seq),
            }
        }
        if !waiting.is_empty() {
            let column = |of: fn(&Columns) -> i64| waiting.iter().map(|it| of(it)).collect();
            let optional =
                |of: fn(&Columns) -> Option<i64>| waiting.iter().map(|it| of(it)).collect();
            let accounts: Vec<String> = waiting.iter().map(|it| it.account.clone()).collect();
            let [seq, due_at, fence]: [Vec<i64>; 3] =
                [column(|it| it.seq), column(|it| it.due_at), column(|it| it.fence)];
            let [due_since, lease_until]: [Vec<Option<i64>>; 2] =
                [optional(|it| it.due_since), optional(|it| it.lease_until)];
            self.statements.push(
                Statement::prepared(SET_DUE)
                    .with(seq, Type::INT8_ARRAY)
                    .with(accounts, Type::TEXT_ARRAY)
                    .with(due_at, Type::INT8_ARRAY)
                    .with(fence, Type::INT8_ARRAY)
                    .with(due_since, Type::INT8_ARRAY)
                    .with(lease_until, Type::INT8_ARRAY)
                    .with(slot, Type::INT8),
            );
        }
        if !settled.is_empty() {
            self.statements.push(Statement::prepared(NOT_DUE).with(settled, Type::INT8_ARRAY));
        }
        for (sql, rows) in [(INSERT, inserts), (UPDATE, updates)] {
            let mut rows: Vec<Columns> = rows.into_values().collect();
            // All replicas write in the same order, so that none waits for one that waits for it.
            rows.sort_unstable_by_key(|row| row.id);
            if !rows.is_empty() {
                self.statements.push(with_arrays(sql, rows));
            }
        }
        if !self.webhooks.is_empty() {
            let webhooks = std::mem::take(&mut self.webhooks);
            self.statements.push(insert_webhooks(webhooks));
        }
        if !self.keys.is_empty() {
            let keys = std::mem::take(&mut self.keys);
            self.statements.push(insert_keys(keys));
        }
        if !self.scopes.is_empty() {
            let (accounts, surveys): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.scopes).into_iter().unzip();
            self.statements.push(
                Statement::new(
                    "INSERT INTO scopes SELECT * FROM unnest($1::text[], $2::text[])
                        ON CONFLICT DO NOTHING",
                )
                .with(accounts, Type::TEXT_ARRAY)
                .with(surveys, Type::TEXT_ARRAY),
            );
        }
    }

    /// The working set has the row from now on.
    fn forget(&mut self, row: i64) {
        self.waiting.clear();
        self.expired = None;
        if let Some(stored) = self.rows.remove(&row) {
            self.ids.remove(&stored.submission.id);
        }
    }
}

fn with_arrays(sql: &'static str, rows: Vec<Columns>) -> Statement {
    let uuids: Vec<Uuid> = rows.iter().map(|it| it.id).collect();
    let texts =
        |of: fn(&Columns) -> &str| rows.iter().map(|it| of(it).to_owned()).collect::<Vec<String>>();
    let optional_texts = |of: fn(&Columns) -> Option<&str>| {
        rows.iter().map(|it| of(it).map(str::to_owned)).collect::<Vec<Option<String>>>()
    };
    let numbers = |of: fn(&Columns) -> i64| rows.iter().map(of).collect::<Vec<i64>>();
    let optional =
        |of: fn(&Columns) -> Option<i64>| rows.iter().map(of).collect::<Vec<Option<i64>>>();
    Statement::prepared(sql)
        .with(numbers(|it| it.seq), Type::INT8_ARRAY)
        .with(uuids, Type::UUID_ARRAY)
        .with(texts(|it| &it.account), Type::TEXT_ARRAY)
        .with(texts(|it| &it.survey), Type::TEXT_ARRAY)
        .with(optional_texts(|it| it.call.as_deref()), Type::TEXT_ARRAY)
        .with(texts(|it| &it.state), Type::TEXT_ARRAY)
        .with(optional_texts(|it| it.reason.as_deref()), Type::TEXT_ARRAY)
        .with(numbers(|it| it.accepted_at), Type::INT8_ARRAY)
        .with(numbers(|it| it.due_at), Type::INT8_ARRAY)
        .with(optional(|it| it.lease_until), Type::INT8_ARRAY)
        .with(numbers(|it| it.fence), Type::INT8_ARRAY)
        .with(optional(|it| it.due_since), Type::INT8_ARRAY)
        .with(optional(|it| it.settled_at), Type::INT8_ARRAY)
        .with(optional(|it| it.retention), Type::INT8_ARRAY)
        .with(optional(|it| it.purged_at), Type::INT8_ARRAY)
        .with(texts(|it| &it.document), Type::TEXT_ARRAY)
        .with(numbers(|it| it.checksum), Type::INT8_ARRAY)
}

fn insert_webhooks(webhooks: Vec<WebhookColumns>) -> Statement {
    let numbers = |of: fn(&WebhookColumns) -> i64| webhooks.iter().map(of).collect::<Vec<i64>>();
    let texts = |of: fn(&WebhookColumns) -> &str| {
        webhooks.iter().map(|it| of(it).to_owned()).collect::<Vec<String>>()
    };
    let ids: Vec<Uuid> = webhooks.iter().map(|it| it.id).collect();
    let queries: Vec<Option<String>> = webhooks.iter().map(|it| it.query.clone()).collect();
    let bodies: Vec<Vec<u8>> = webhooks.iter().map(|it| it.body.clone()).collect();
    Statement::prepared(INSERT_WEBHOOKS)
        .with(numbers(|it| it.submission), Type::INT8_ARRAY)
        .with(numbers(|it| it.received_at), Type::INT8_ARRAY)
        .with(ids, Type::UUID_ARRAY)
        .with(texts(|it| &it.source), Type::TEXT_ARRAY)
        .with(texts(|it| it.outcome), Type::TEXT_ARRAY)
        .with(texts(|it| it.method), Type::TEXT_ARRAY)
        .with(queries, Type::TEXT_ARRAY)
        .with(bodies, Type::BYTEA_ARRAY)
}

fn insert_keys(mut keys: Vec<KeyColumns>) -> Statement {
    keys.sort_unstable_by(|a, b| (&a.source, &a.key).cmp(&(&b.source, &b.key)));
    let sources: Vec<String> = keys.iter().map(|it| it.source.clone()).collect();
    let names: Vec<Vec<u8>> = keys.iter().map(|it| it.key.clone()).collect();
    let digests: Vec<Vec<u8>> = keys.iter().map(|it| it.digest.clone()).collect();
    let submissions: Vec<Uuid> = keys.iter().map(|it| it.submission).collect();
    let used_at: Vec<i64> = keys.iter().map(|it| it.used_at).collect();
    let expires: Vec<bool> = keys.iter().map(|it| it.expires).collect();
    Statement::prepared(INSERT_KEYS)
        .with(sources, Type::TEXT_ARRAY)
        .with(names, Type::BYTEA_ARRAY)
        .with(digests, Type::BYTEA_ARRAY)
        .with(submissions, Type::UUID_ARRAY)
        .with(used_at, Type::INT8_ARRAY)
        .with(expires, Type::BOOL_ARRAY)
}

fn names(names: &[Name]) -> Vec<String> {
    let names: HashSet<&str> = names.iter().map(Name::as_str).collect();
    names.into_iter().map(str::to_owned).collect()
}

/// One that cannot be read is no reason to claim nothing.
fn read_names(texts: Vec<String>) -> Vec<Name> {
    let names: BTreeSet<Name> = texts.iter().filter_map(|text| text.parse().ok()).collect();
    names.into_iter().collect()
}

impl Backend for Database {
    type Error = PgError;

    const EXCLUSIVE: bool = false;

    fn begin(&self, touched: &Touched) -> Result<Option<Timestamp>> {
        let was_connected = self.connect()?;
        match self.try_begin(touched) {
            // It may have been lost long ago, and nothing was written over it.
            Err(error) if was_connected && error.is_connection_lost() => {
                self.connect()?;
                self.try_begin(touched)
            }
            begun => begun,
        }
    }

    fn prefetch(&self, touched: &Touched) -> Result<()> {
        if !self.fetches(touched).is_empty() {
            self.fetch(None, touched, Vec::new())?;
        }
        Ok(())
    }

    fn is_conflict(error: &PgError) -> bool {
        error.is_conflict()
    }

    fn conflict() -> PgError {
        PgError::Overtaken
    }

    fn commit(&self) -> Result<Option<StateCounts>> {
        let counts = Statement::prepared(queries::COUNTS);
        let results = self.run(vec![counts, Statement::batch("COMMIT")])?;
        let ended = std::mem::take(&mut *self.transaction.borrow_mut());
        if ended.says_it_serves {
            self.said_at.set(Some(ended.began_at));
        }
        results[0].first().map(queries::counts_of).transpose()
    }

    fn rollback(&self) {
        let was_open = std::mem::take(&mut *self.transaction.borrow_mut()).is_open;
        // A lead that was taken is taken back.
        self.led_until.borrow_mut().clear();
        let rolled_back = was_open && self.run(vec![Statement::batch("ROLLBACK")]).is_ok();
        if was_open && !rolled_back {
            // The server rolls back when the connection ends.
            *self.session.borrow_mut() = None;
        }
    }

    fn changes(&self) -> u64 {
        self.changes.get()
    }

    fn is_busy(error: &PgError) -> bool {
        error.is_unavailable()
    }

    fn is_locked(error: &PgError) -> bool {
        error.is_locked()
    }

    fn idle(&self) {
        let said = self.begin(&Touched::default()).and_then(|_| self.commit());
        if let Err(error) = said {
            tracing::debug!(%error, "it could not be said that this replica serves");
            self.rollback();
        }
    }

    fn write_failed(&self, _error: &PgError) -> bool {
        false
    }

    fn damage(&self) -> Option<StoreError> {
        self.ended.get().cloned().map(StoreError::Ended)
    }

    fn check_files(&self) {}

    fn probe_write(&self) -> Result<()> {
        self.begin(&Touched::default())?;
        self.defer(
            Statement::new("UPDATE state_counts SET accepted = accepted WHERE slot = $1")
                .with(self.replica.slot, Type::INT8),
        );
        self.commit().map(drop).inspect_err(|_| self.rollback())
    }

    fn truncate_log(&self) -> Result<bool> {
        // What PostgreSQL keeps of deleted rows goes with its own vacuum and its own log.
        Ok(true)
    }

    fn find(&self, id: SubmissionId) -> Result<Option<Stored>> {
        let known = self.transaction.borrow_mut().ids.remove(&id);
        match known {
            Some(None) => return Ok(None),
            Some(Some(row)) => {
                let stored = self.transaction.borrow_mut().rows.remove(&row);
                if let Some(stored) = stored {
                    return Ok(Some(stored));
                }
            }
            None => {}
        }
        let found = self.query(Statement::new(BY_ID).with(vec![id.0], Type::UUID_ARRAY))?;
        found.first().map(|row| Ok(Columns::read(row)?.stored())).transpose()
    }

    fn load(&self, row: i64) -> Result<Option<Stored>> {
        let known = self.transaction.borrow_mut().rows.remove(&row);
        if known.is_some() {
            return Ok(known);
        }
        let found = self.query(Statement::new(BY_ROW).with(vec![row], Type::INT8_ARRAY))?;
        if found.is_empty() {
            // Another replica has deleted it, or it never was.
            self.transaction.borrow_mut().forget(row);
            self.defer(Statement::new(ORPHANED).with(row, Type::INT8));
        }
        found.first().map(|row| Ok(Columns::read(row)?.stored())).transpose()
    }

    fn misfiled(&self, most: usize) -> Result<Vec<i64>> {
        let after = self.looked_to.get();
        let page = self.query(upkeep::page_after(after))?;
        let end: Option<i64> = page.first().map(|row| row.try_get(0)).transpose()?.flatten();
        let rows = self.rows_of(upkeep::misfiled(after, end.unwrap_or(i64::MAX), most))?;
        if rows.len() < most {
            // After the last page from the beginning again.
            self.looked_to.set(end.unwrap_or(i64::MIN));
        }
        Ok(rows)
    }

    fn fold_counts(&self) -> Result<bool> {
        let began_at = self.transaction.borrow().began_at;
        if self.lease_clock == LeaseClock::Database
            && !self.server_clock.others_could_renew(began_at)
        {
            // After an outage, or a step of the clock, those that serve have not said so yet.
            return Ok(false);
        }
        let slot = self.replica.slot;
        let Some(gone) = self.rows_of(upkeep::gone(slot))?.pop() else { return Ok(false) };
        if self.run(tallies::fold(gone, slot))?.pop().is_some_and(|left| left.is_empty()) {
            self.defer(tallies::remove_empty(slot));
            upkeep::fold(gone, slot).into_iter().for_each(|it| self.defer(it));
        }
        self.changes.set(self.changes.get() + 1);
        Ok(true)
    }

    fn insert_corrupt_document(&self, row: i64, document: &[u8]) -> Result<()> {
        self.defer(
            Statement::new(
                "INSERT INTO corrupt_documents VALUES ($1, $2)
                    ON CONFLICT (submission) DO UPDATE SET document = excluded.document",
            )
            .with(row, Type::INT8)
            .with(document.to_owned(), Type::BYTEA),
        );
        Ok(())
    }

    fn unclaimable(&self, most: usize) -> Result<Vec<i64>> {
        let waiting = self.query(Statement::new(queries::ACCOUNTS_WAITING))?;
        let mut rows = Vec::new();
        for account in waiting {
            let account: String = account.try_get(0)?;
            if account.parse::<Name>().is_err() && rows.len() < most {
                rows.extend(self.rows_of(
                    Statement::new(
                        "SELECT seq FROM due WHERE account = $1 AND lease_until IS NULL LIMIT $2",
                    )
                    .with(account, Type::TEXT)
                    .with(limit(most - rows.len()), Type::INT8),
                )?);
            }
        }
        Ok(rows)
    }

    fn counts(&self) -> Result<StateCounts> {
        let rows = self.query(Statement::new(queries::COUNTS))?;
        rows.first().map_or(Ok(StateCounts::default()), queries::counts_of)
    }

    fn highest_row(&self, first: i64, last: i64) -> Result<Option<i64>> {
        let bucket = first.div_euclid(ROWS_PER_MICROSECOND) * ROWS_PER_MICROSECOND;
        if last < bucket.saturating_add(ROWS_PER_MICROSECOND)
            && let Some(highest) = self.transaction.borrow().highest.get(&bucket)
        {
            return Ok(highest.filter(|highest| *highest >= first));
        }
        let rows = self.query(
            Statement::new("SELECT max(seq) FROM submissions WHERE seq BETWEEN $1 AND $2")
                .with(first, Type::INT8)
                .with(last, Type::INT8),
        )?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?.flatten())
    }

    fn insert(&self, row: i64, submission: &Submission) -> Result<()> {
        let mut transaction = self.transaction.borrow_mut();
        transaction.forget(row);
        transaction.ids.remove(&submission.id);
        transaction.inserts.insert(row, Columns::of(row, submission));
        self.changes.set(self.changes.get() + 1);
        Ok(())
    }

    fn update(&self, row: i64, submission: &Submission) -> Result<()> {
        let mut transaction = self.transaction.borrow_mut();
        transaction.forget(row);
        let columns = Columns::of(row, submission);
        if let Some(inserted) = transaction.inserts.get_mut(&row) {
            *inserted = columns;
        } else {
            transaction.updates.insert(row, columns);
        }
        self.changes.set(self.changes.get() + 1);
        Ok(())
    }

    fn replace(&self, row: i64, submission: &Submission) -> Result<()> {
        self.delete(row)?;
        self.insert(row, submission)
    }

    fn delete(&self, row: i64) -> Result<()> {
        self.transaction.borrow_mut().forget(row);
        for sql in ["DELETE FROM submissions WHERE seq = $1", "DELETE FROM due WHERE seq = $1"] {
            self.defer(Statement::new(sql).with(row, Type::INT8));
        }
        Ok(())
    }

    fn add_counts(&self, delta: &CountsDelta) -> Result<()> {
        let [collecting, pending, delivered, ignored, dead, discarded] = delta.states;
        // If another replica took this one to be gone, its counts are not there any more.
        let mut statement = Statement::prepared(
            "INSERT INTO state_counts AS c
                (accepted, collecting, pending, delivered, ignored, dead, discarded, slot)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                ON CONFLICT (slot) DO UPDATE SET accepted = c.accepted + $1,
                    collecting = c.collecting + $2, pending = c.pending + $3,
                    delivered = c.delivered + $4, ignored = c.ignored + $5, dead = c.dead + $6,
                    discarded = c.discarded + $7",
        );
        let counts = [
            delta.accepted,
            collecting,
            pending,
            delivered,
            ignored,
            dead,
            discarded,
            self.replica.slot,
        ];
        for count in counts {
            statement = statement.with(count, Type::INT8);
        }
        self.defer(statement);
        Ok(())
    }

    fn add_tallies(&self, added: &Tallies) -> Result<()> {
        tallies::add(added, self.replica.slot).into_iter().for_each(|it| self.defer(it));
        Ok(())
    }

    fn field_values(&self) -> Result<FieldValues> {
        tallies::read_field_values(&self.query(tallies::field_values())?)
    }

    fn count_deleted(&self, state: State) -> Result<()> {
        self.defer(
            Statement::new(
                "INSERT INTO deleted_counts (slot, state, submissions) VALUES ($1, $2, 1)
                    ON CONFLICT (slot, state)
                    DO UPDATE SET submissions = deleted_counts.submissions + 1",
            )
            .with(self.replica.slot, Type::INT8)
            .with(state.label(), Type::TEXT),
        );
        Ok(())
    }

    fn insert_scope(&self, account: &Name, survey: &Name) -> Result<()> {
        let scope = (account.as_str().to_owned(), survey.as_str().to_owned());
        self.transaction.borrow_mut().scopes.insert(scope);
        Ok(())
    }

    fn insert_webhook(&self, row: i64, request: &ReceiveRequest, outcome: Outcome) -> Result<()> {
        let webhook = &request.webhook;
        let mut transaction = self.transaction.borrow_mut();
        transaction.sources.remove(&row);
        transaction.webhooks.push(WebhookColumns {
            submission: row,
            received_at: micros(webhook.received_at),
            id: webhook.id.0,
            source: request.source.as_str().to_owned(),
            outcome: outcome.label(),
            method: webhook.method.name(),
            query: webhook.query.clone(),
            body: webhook.body.clone(),
        });
        self.changes.set(self.changes.get() + 1);
        Ok(())
    }

    fn sources(&self, row: i64) -> Result<Vec<Name>> {
        let known = self.transaction.borrow_mut().sources.remove(&row);
        if let Some(sources) = known {
            return Ok(sources);
        }
        let rows = self.query(Statement::new(SOURCES).with(vec![row], Type::INT8_ARRAY))?;
        rows.first().map_or(Ok(Vec::new()), |row| Ok(read_names(row.try_get(1)?)))
    }

    fn strip_webhooks(&self, row: i64) -> Result<()> {
        for sql in [
            "UPDATE webhooks SET query = NULL, body = NULL WHERE submission = $1",
            "DELETE FROM corrupt_documents WHERE submission = $1",
        ] {
            self.defer(Statement::new(sql).with(row, Type::INT8));
        }
        Ok(())
    }

    fn delete_webhooks(&self, row: i64) -> Result<()> {
        for sql in [
            "DELETE FROM webhooks WHERE submission = $1",
            "DELETE FROM corrupt_documents WHERE submission = $1",
        ] {
            self.defer(Statement::new(sql).with(row, Type::INT8));
        }
        Ok(())
    }

    fn insert_key(
        &self,
        source: &Name,
        key: &IdempotencyKey,
        submission: SubmissionId,
        used_at: Timestamp,
    ) -> Result<KeyUse> {
        let name = (source.clone(), key.id.clone());
        if !self.transaction.borrow().known_keys.contains_key(&name) {
            let keys = vec![name.clone()];
            self.prefetch(&Touched { keys, ..Touched::default() })?;
        }
        let mut transaction = self.transaction.borrow_mut();
        if let Some(Some((digest, known))) = transaction.known_keys.get(&name) {
            let is_same = digest.as_slice() == key.digest.as_slice();
            return Ok(if is_same { KeyUse::Same(*known) } else { KeyUse::Other });
        }
        let digest = key.digest.to_vec();
        transaction.known_keys.insert(name, Some((digest.clone(), submission)));
        transaction.keys.push(KeyColumns {
            source: source.as_str().to_owned(),
            key: key.id.clone().into_bytes(),
            digest,
            submission: submission.0,
            used_at: micros(used_at),
            expires: key.expires,
        });
        self.changes.set(self.changes.get() + 1);
        Ok(KeyUse::First)
    }

    fn delete_key(&self, source: &Name, key: &IdempotencyKey) -> Result<()> {
        let name = (source.clone(), key.id.clone());
        {
            let mut transaction = self.transaction.borrow_mut();
            transaction.known_keys.insert(name, None);
            let is_meant =
                |it: &KeyColumns| it.source == source.as_str() && it.key == key.id.as_bytes();
            if let Some(at) = transaction.keys.iter().rposition(is_meant) {
                // It was not written yet.
                transaction.keys.remove(at);
                self.changes.set(self.changes.get() - 1);
                return Ok(());
            }
        }
        self.defer(
            Statement::new("DELETE FROM idempotency_keys WHERE source = $1 AND key = $2")
                .with(source.as_str().to_owned(), Type::TEXT)
                .with(key.id.clone().into_bytes(), Type::BYTEA),
        );
        Ok(())
    }

    fn delete_keys_of(&self, row: i64, submission: SubmissionId) -> Result<()> {
        self.transaction.borrow_mut().known_keys.clear();
        self.defer(
            Statement::new(
                "DELETE FROM idempotency_keys WHERE expires AND submission = $2
                    AND used_at IN (SELECT received_at FROM webhooks WHERE submission = $1)",
            )
            .with(row, Type::INT8)
            .with(submission.0, Type::UUID),
        );
        self.defer(
            Statement::new("DELETE FROM idempotency_keys WHERE NOT expires AND submission = $1")
                .with(submission.0, Type::UUID),
        );
        Ok(())
    }

    fn delete_keys_before(&self, before: Timestamp, most: usize) -> Result<usize> {
        self.transaction.borrow_mut().known_keys.clear();
        let deleted = self.query(
            Statement::new(
                "DELETE FROM idempotency_keys WHERE (source, key) IN
                    (SELECT source, key FROM idempotency_keys WHERE expires AND used_at < $1
                        ORDER BY used_at LIMIT $2)
                    RETURNING 1",
            )
            .with(micros(before), Type::INT8)
            .with(limit(most), Type::INT8),
        )?;
        self.changes.set(self.changes.get() + deleted.len() as u64);
        Ok(deleted.len())
    }

    fn leads(&self, account: &Name) -> Result<bool> {
        if self.lease_clock == LeaseClock::Process {
            return Ok(true);
        }
        if !self.transaction.borrow().led.contains_key(account) {
            let claimed = vec![(account.clone(), 0)];
            self.prefetch(&Touched { claimed, ..Touched::default() })?;
        }
        Ok(self.transaction.borrow().led.get(account).copied().unwrap_or(false))
    }

    fn others_serve(&self) -> bool {
        self.transaction.borrow().others_serve
    }

    fn close(&self) {
        let released = self.begin(&Touched::default()).and_then(|_| {
            self.defer(
                Statement::new("UPDATE leaders SET until = 0 WHERE replica = $1")
                    .with(self.replica.slot, Type::INT8),
            );
            self.defer(self.replica.leave());
            self.commit()
        });
        if let Err(error) = released {
            tracing::debug!(%error, "other replicas wait until what this one led expires");
        }
    }

    fn due(
        &self,
        account: &Name,
        after: Timestamp,
        until: Timestamp,
        most: usize,
    ) -> Result<Vec<(Timestamp, i64)>> {
        // An impossible due time is found too: its row is corrupt.
        let after = if after == Timestamp::MIN { i64::MIN } else { micros(after) };
        let until = micros(until);
        let read =
            self.transaction.borrow().waiting.get(account).map(|it| it.due(after, until, most));
        if let Some(due) = read.flatten() {
            return Ok(due.into_iter().map(|(at, row)| (clamped(at), row)).collect());
        }
        let rows = self.query(
            Statement::new(DUE)
                .with(account.as_str().to_owned(), Type::TEXT)
                .with(after, Type::INT8)
                .with(until, Type::INT8)
                .with(limit(most), Type::INT8),
        )?;
        rows.iter().map(|row| Ok((clamped(row.try_get(0)?), row.try_get(1)?))).collect()
    }

    fn least_claimed(&self, account: &Name, until: Timestamp, most: usize) -> Result<Vec<i64>> {
        self.rows_of(
            Statement::new(LEAST_CLAIMED)
                .with(account.as_str().to_owned(), Type::TEXT)
                .with(micros(until), Type::INT8)
                .with(limit(most), Type::INT8),
        )
    }

    fn record_clock(&self, record: ClockRecord) -> Result<()> {
        let ClockRecord { trusted, wall, unconfirmed_for } = record;
        let unconfirmed =
            unconfirmed_for.map(|time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
        self.defer(
            Statement::new(
                "INSERT INTO clock (only_row, trusted_at, wall_at, unconfirmed_us)
                    VALUES (1, $1, $2, $3)
                    ON CONFLICT (only_row) DO UPDATE SET trusted_at = excluded.trusted_at,
                        wall_at = excluded.wall_at, unconfirmed_us = excluded.unconfirmed_us",
            )
            .with(micros(trusted), Type::INT8)
            .with(micros(wall), Type::INT8)
            .with(unconfirmed, Type::INT8),
        );
        Ok(())
    }

    fn survey_revisions(&self) -> Result<Vec<SurveyRevision>> {
        revisions::read_all(&self.query(revisions::all())?)
    }

    fn insert_survey_revision(&self, revision: &SurveyRevision) -> Result<()> {
        revisions::insert(revision).into_iter().for_each(|it| self.defer(it));
        Ok(())
    }

    fn expired(&self, ends: LeaseEnds, most: usize) -> Result<Vec<i64>> {
        if ends == LeaseEnds::ALL {
            return self.rows_of(
                Statement::new(OWN_CLAIMS)
                    .with(self.replica.slot, Type::INT8)
                    .with(limit(most), Type::INT8),
            );
        }
        match self.transaction.borrow_mut().expired.take() {
            Some(expired) if most == EXPIRED_MAX => return Ok(expired),
            _ => {}
        }
        self.rows_of(self.read_expired(ends, most))
    }

    fn purgeable(&self, level: RetentionLevel, before: Timestamp, most: usize) -> Result<Vec<i64>> {
        self.rows_of(
            Statement::new(PURGEABLE)
                .with(retention_column(level), Type::INT8)
                .with(micros(before), Type::INT8)
                .with(limit(most), Type::INT8),
        )
    }

    fn pause(&self, account: &Name) -> Result<Option<StoredPause>> {
        if !self.transaction.borrow().pauses.contains_key(account) {
            self.prefetch(&Touched::accounts([account.clone()]))?;
        }
        let transaction = self.transaction.borrow();
        let pause = transaction.pauses.get(account).and_then(Option::as_ref);
        Ok(pause.map(|pause| serde_json::from_str(pause).map_err(|_| UnreadablePause)))
    }

    fn save_pause(&self, account: &Name, pause: &Pause) -> Result<()> {
        let pause = serde_json::to_string(pause).expect("texts and numbers are JSON");
        // What an operator changed at another replica since it was read is not overwritten.
        let read = self.transaction.borrow().pauses.get(account).cloned().flatten();
        let statement = match &read {
            None => {
                "INSERT INTO pauses (account, pause) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING 1"
            }
            Some(_) => "UPDATE pauses SET pause = $2 WHERE account = $1 AND pause = $3 RETURNING 1",
        };
        let mut statement = Statement::new(statement)
            .with(account.as_str().to_owned(), Type::TEXT)
            .with(pause.clone(), Type::TEXT);
        if let Some(read) = read {
            statement = statement.with(read, Type::TEXT);
        }
        if self.query(statement)?.is_empty() {
            return Err(PgError::Overtaken);
        }
        self.transaction.borrow_mut().pauses.insert(account.clone(), Some(pause));
        self.changes.set(self.changes.get() + 1);
        Ok(())
    }

    fn load_quarantine(&self) -> Result<(Vec<QuarantinedWebhook>, usize)> {
        let rows = self.query(quarantine::load())?;
        let (loaded, unreadable) = quarantine::read(&rows)?;
        let deleted = unreadable.len();
        unreadable.into_iter().for_each(|id| self.defer(quarantine::delete(id)));
        Ok((loaded, deleted))
    }

    fn insert_quarantined(&self, kept: &QuarantinedWebhook) -> Result<()> {
        self.defer(quarantine::insert(kept));
        Ok(())
    }

    fn delete_quarantined(&self, id: WebhookId) -> Result<usize> {
        let deleted = self.query(quarantine::delete(id.0))?.len();
        self.changes.set(self.changes.get() + deleted as u64);
        Ok(deleted)
    }

    fn delete_quarantined_about(&self, call: &CallUuid) -> Result<Vec<WebhookId>> {
        let ids = quarantine::ids_about(&self.query(quarantine::about(call))?, call)?;
        if !ids.is_empty() {
            self.defer(quarantine::delete_all(ids.clone()));
        }
        Ok(ids.into_iter().map(WebhookId).collect())
    }
}
