//! SQL of the writer's transactions.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Result, ffi, params, params_from_iter};
use uuid::Uuid;

use super::checkpoint::Checkpointer;
use super::columns::{checksum, clamped, limit, micros, retention_column, submission_id, text};
use super::damage::Damage;
use super::displaced::Files;
use super::files::{beside, folder_of};
use super::lock::Lock;
use super::{damage, quarantine, queries, revisions, spool, tallies};
use crate::account::Pause;
use crate::domain::{CallUuid, IdempotencyKey, Name, WebhookId};
use crate::store::backend::{
    Backend, CountsDelta, KeyUse, Stored, StoredPause, Touched, UnreadablePause,
};
use crate::store::error::StoreError;
use crate::store::lease::LeaseEnds;
use crate::store::model::{
    ClockRecord, Drained, QuarantinedWebhook, ReceiveRequest, SurveyRevision,
};
use crate::store::observer::Observer;
use crate::submission::{
    FieldValues, Outcome, RetentionLevel, State, StateCounts, Submission, SubmissionId, Tallies,
};

/// How long a write waits for `sqlite3` in another window to finish its own; a sender that waits 5 s
/// for its answer still gets the 503.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// What a store that refused a write must take before it is believed again, in bytes.
const PROBE_BYTES: u32 = 1024 * 1024;

/// Most copies of a database whose files were deleted.
const RESCUES_MAX: u32 = 9;

/// The connection that writes.
pub(in crate::store) struct Database {
    _checkpointer: Option<Checkpointer>,
    connection: Connection,
    damage: Damage,
    path: PathBuf,
    /// Those that are served.
    files: Option<Files>,
    /// Whether what is received waits for another database.
    pub(super) is_spool: bool,
    /// The document that is being written.
    document: RefCell<Vec<u8>>,
    /// Released last, after the connection: fields are dropped in this order.
    _lock: Option<Lock>,
}

impl Database {
    /// For a while, before anything is served.
    pub fn new(connection: Connection, path: &Path) -> Self {
        let damage = Damage::none_yet(path, Arc::new(()));
        let document = RefCell::default();
        let path = path.to_owned();
        Self {
            _checkpointer: None,
            connection,
            damage,
            path,
            files: None,
            is_spool: false,
            document,
            _lock: None,
        }
    }

    /// The connection of a store that is served; the lock is released when the file is closed. Unless a thread
    /// makes the checkpoints, SQLite does after a commit.
    pub(super) fn serving(
        mut connection: Connection,
        path: &Path,
        observer: Arc<dyn Observer>,
        lock: Lock,
        checkpoints: bool,
    ) -> std::result::Result<Self, StoreError> {
        let checkpointer = checkpoints
            .then(|| Checkpointer::start(&mut connection, path))
            .transpose()
            .map_err(|error| damage::opening(path, error))?;
        let files = Files::of(path).map_err(|error| StoreError::open(path, error))?;
        let damage = Damage::none_yet(path, observer);
        let (_checkpointer, files) = (checkpointer, Some(files));
        Ok(Self { _checkpointer, damage, files, _lock: Some(lock), ..Self::new(connection, path) })
    }

    pub fn into_connection(self) -> Connection {
        self.connection
    }

    pub(super) fn damage_record(&self) -> Damage {
        self.damage.clone()
    }

    pub(super) fn spool_for(&self, database: Uuid) -> Result<bool> {
        spool::take(&self.connection, database)
    }

    pub(super) fn forget_spooled(&self, drained: &[(i64, Drained)]) -> Result<()> {
        spool::forget(&self.connection, drained)
    }

    fn execute(&self, statement: &str, values: impl rusqlite::Params) -> Result<usize> {
        self.connection.prepare_cached(statement)?.execute(values)
    }

    /// Copies everything out of files that have no name any more; returns where to, or why not, in
    /// words.
    fn rescue(&self) -> String {
        let mut tries = rescued_names(&self.path);
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        let copied = loop {
            let Some(copy) = tries.next() else { break Err("there are copies enough".to_owned()) };
            match options.open(&copy) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => break Err(error.to_string()),
                Ok(file) => break self.copy_into(&copy, &file).map(|()| copy),
            }
        };
        match copied {
            Ok(copy) => format!("everything that was acknowledged is in {}", copy.display()),
            Err(error) => format!("what was acknowledged could not be copied: {error}"),
        }
    }

    fn copy_into(&self, copy: &Path, file: &File) -> std::result::Result<(), String> {
        let copied = self
            .execute("VACUUM INTO ?1", [copy.display().to_string()])
            .map_err(|error| error.to_string())
            .and_then(|_| {
                let folder = File::open(folder_of(copy)).and_then(|folder| folder.sync_all());
                file.sync_all().and(folder).map_err(|error| error.to_string())
            });
        if copied.is_err() {
            // A part must not be taken for the whole.
            let _ = std::fs::remove_file(copy);
        }
        copied
    }

    /// Runs [`INSERT`] or [`UPDATE`] for a row.
    fn write(&self, statement: &str, row: i64, submission: &Submission) -> Result<usize> {
        let mut document = self.document.borrow_mut();
        submission.document.write(&mut document);
        let Submission { state, retention, .. } = submission;
        let retention = submission.is_purgeable().then_some(retention_column(*retention));
        let optional = |number: Option<i64>| number.map_or(ValueRef::Null, ValueRef::Integer);
        let values = [
            ValueRef::Integer(row),
            ValueRef::Blob(submission.id.0.as_bytes()),
            submission.account.as_str().into(),
            submission.survey.as_str().into(),
            submission.call.as_ref().map_or(ValueRef::Null, |call| call.as_str().into()),
            state.label().into(),
            state.reason().map_or(ValueRef::Null, ValueRef::from),
            ValueRef::Integer(micros(submission.accepted_at)),
            ValueRef::Integer(micros(submission.due_at)),
            optional(submission.lease_until.map(micros)),
            ValueRef::Integer(submission.fence.try_into().unwrap_or(i64::MAX)),
            optional(submission.due_since.map(micros)),
            optional(submission.settled_at.map(micros)),
            optional(retention),
            optional(submission.purged_at.map(micros)),
            ValueRef::Text(&document),
        ];
        let checksum = ValueRef::Integer(checksum(values));
        let values = values.into_iter().chain([checksum]).map(ToSqlOutput::Borrowed);
        self.execute(statement, params_from_iter(values))
    }
}

/// Names of copies of a database whose files were deleted.
pub(super) fn rescued_names(database: &Path) -> impl Iterator<Item = PathBuf> {
    (1..=RESCUES_MAX).map(|n| beside(database, &format!(".rescued-{n}")))
}

/// Whether an index does not have an entry of its table.
fn is_of_an_index(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(ffi::SQLITE_CORRUPT_INDEX)
}

pub(super) const DUE: &str = "SELECT due_at, seq FROM submissions
    WHERE account = ?1 AND due_at > ?2 AND due_at <= ?3
        AND settled_at IS NULL AND lease_until IS NULL
    ORDER BY due_at, seq LIMIT ?4";

pub(super) const LEAST_CLAIMED: &str = "SELECT seq FROM
        (SELECT seq, fence, due_at FROM submissions
            WHERE account = ?1 AND due_at <= ?2 AND settled_at IS NULL AND lease_until IS NULL
            ORDER BY due_at LIMIT 1000)
    ORDER BY fence, due_at, seq LIMIT ?3";

pub(super) const EXPIRED: &str =
    "SELECT seq FROM submissions WHERE lease_until <= ?1 ORDER BY lease_until LIMIT ?2";

/// A sender may have sent any number; the first ones tell.
pub(super) const SOURCES: &str =
    "SELECT source FROM webhooks WHERE submission = ?1 ORDER BY received_at, id LIMIT 16";

pub(super) const PURGEABLE: &str = "SELECT seq FROM submissions
    WHERE retention = ?1 AND settled_at < ?2 ORDER BY settled_at LIMIT ?3";

pub(super) const INSERT: &str = "INSERT INTO submissions
        (seq, id, account, survey, call, state, reason, accepted_at, due_at, lease_until, fence,
         due_since, settled_at, retention, purged_at, document, checksum)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)";

/// Its parameters are those of [`INSERT`].
pub(super) const UPDATE: &str = "UPDATE submissions
    SET call = ?5, state = ?6, reason = ?7, due_at = ?9, lease_until = ?10, fence = ?11,
        due_since = ?12, settled_at = ?13, retention = ?14, purged_at = ?15, document = ?16,
        checksum = ?17
    WHERE seq = ?1";

pub(super) const EXPIRING_KEYS_OF: &str = "DELETE FROM idempotency_keys WHERE expires = 1
    AND submission = ?2 AND used_at IN (SELECT received_at FROM webhooks WHERE submission = ?1)";

pub(super) const LASTING_KEYS_OF: &str =
    "DELETE FROM idempotency_keys WHERE expires = 0 AND submission = ?1";

pub(super) const KEYS_BEFORE: &str = "DELETE FROM idempotency_keys WHERE (source, key) IN
    (SELECT source, key FROM idempotency_keys WHERE expires = 1 AND used_at < ?1
        ORDER BY used_at LIMIT ?2)";

impl Backend for Database {
    type Error = rusqlite::Error;

    const EXCLUSIVE: bool = true;

    fn begin(&self, _touched: &Touched) -> Result<Option<Timestamp>> {
        self.execute("BEGIN IMMEDIATE", [])?;
        Ok(None)
    }

    fn commit(&self) -> Result<Option<StateCounts>> {
        self.execute("COMMIT", [])?;
        Ok(None)
    }

    fn rollback(&self) {
        // Some errors have rolled back already, and others come before there was a transaction.
        let _ = self.connection.execute_batch("ROLLBACK");
    }

    fn changes(&self) -> u64 {
        self.connection.total_changes()
    }

    fn is_busy(error: &rusqlite::Error) -> bool {
        error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
    }

    fn write_failed(&self, error: &rusqlite::Error) -> bool {
        self.damage.met_writing(error) || self.damage.fatal().is_some()
    }

    fn damage(&self) -> Option<StoreError> {
        self.damage.fatal()
    }

    fn check_files(&self) {
        let displaced = self.files.as_ref().and_then(Files::displaced);
        if let Some(fault) = displaced
            && self.damage.displaced(fault)
        {
            self.damage.rescued(self.rescue());
        }
    }

    fn probe_write(&self) -> Result<()> {
        for bytes in [PROBE_BYTES, 0] {
            self.begin(&Touched::default())?;
            let probed = self
                .execute("INSERT OR REPLACE INTO write_probe VALUES (1, zeroblob(?1))", [bytes])
                .and_then(|_| self.commit().map(drop));
            if probed.is_err() {
                self.rollback();
            }
            probed?;
        }
        Ok(())
    }

    fn truncate_log(&self) -> Result<bool> {
        self.connection.busy_timeout(Duration::ZERO)?;
        let truncated = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| {
            row.get(0).map(|is_busy: bool| !is_busy)
        });
        self.connection.busy_timeout(BUSY_TIMEOUT)?;
        // Cached pages still have what was removed, between their rows, and would be written again.
        self.connection.pragma_query(None, "shrink_memory", |_| Ok(()))?;
        truncated
    }

    fn find(&self, id: SubmissionId) -> Result<Option<Stored>> {
        queries::by_id(&self.connection, id)
    }

    fn load(&self, row: i64) -> Result<Option<Stored>> {
        let found = queries::by_row(&self.connection, row).optional()?;
        // An index has it, so the table has lost it.
        let lost = || rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CORRUPT), None);
        found.ok_or_else(lost).map(Some)
    }

    fn insert_corrupt_document(&self, row: i64, document: &[u8]) -> Result<()> {
        self.execute(
            "INSERT OR REPLACE INTO corrupt_documents VALUES (?1, ?2)",
            params![row, document],
        )?;
        Ok(())
    }

    fn unclaimable(&self, most: usize) -> Result<Vec<i64>> {
        let mut rows = Vec::new();
        for account in queries::account_texts_waiting(&self.connection)? {
            if queries::name(&account).is_none() && rows.len() < most {
                let mut waiting = self.connection.prepare_cached(queries::WAITING_OF)?;
                let found = waiting
                    .query_map(params![account, limit(most - rows.len())], |row| row.get(0))?;
                rows.extend(found.collect::<Result<Vec<i64>>>()?);
            }
        }
        Ok(rows)
    }

    fn counts(&self) -> Result<StateCounts> {
        queries::counts(&self.connection)
    }

    fn highest_row(&self, first: i64, last: i64) -> Result<Option<i64>> {
        self.connection
            .prepare_cached("SELECT max(seq) FROM submissions WHERE seq BETWEEN ?1 AND ?2")?
            .query_row([first, last], |row| row.get(0))
    }

    fn insert(&self, row: i64, submission: &Submission) -> Result<()> {
        self.write(INSERT, row, submission)?;
        Ok(())
    }

    fn update(&self, row: i64, submission: &Submission) -> Result<()> {
        let updated = self.write(UPDATE, row, submission)?;
        // A row that another program has deleted meanwhile cannot be written.
        if updated == 1 { Ok(()) } else { Err(rusqlite::Error::StatementChangedRows(updated)) }
    }

    fn replace(&self, row: i64, submission: &Submission) -> Result<()> {
        if let Err(error) = self.delete(row) {
            if !is_of_an_index(&error) {
                return Err(error);
            }
            // The row is not what its indexes were made of. They are made again, as long as that takes.
            self.execute("REINDEX submissions", [])?;
            self.delete(row)?;
        }
        self.insert(row, submission)
    }

    fn delete(&self, row: i64) -> Result<()> {
        self.execute("DELETE FROM submissions WHERE seq = ?1", [row])?;
        Ok(())
    }

    fn add_counts(&self, delta: &CountsDelta) -> Result<()> {
        let [collecting, pending, delivered, ignored, dead, discarded] = delta.states;
        self.execute(
            "UPDATE state_counts SET accepted = accepted + ?1, collecting = collecting + ?2,
                pending = pending + ?3, delivered = delivered + ?4, ignored = ignored + ?5,
                dead = dead + ?6, discarded = discarded + ?7",
            [delta.accepted, collecting, pending, delivered, ignored, dead, discarded],
        )?;
        Ok(())
    }

    fn add_tallies(&self, added: &Tallies) -> Result<()> {
        tallies::add(&self.connection, added)
    }

    fn field_values(&self) -> Result<FieldValues> {
        tallies::field_values(&self.connection)
    }

    fn count_deleted(&self, state: State) -> Result<()> {
        self.execute(
            "INSERT INTO deleted_counts (state, submissions) VALUES (?1, 1)
                ON CONFLICT (state) DO UPDATE SET submissions = submissions + 1",
            [state.label()],
        )?;
        Ok(())
    }

    fn insert_scope(&self, account: &Name, survey: &Name) -> Result<()> {
        self.execute(
            "INSERT INTO scopes (account, survey) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            [account.as_str(), survey.as_str()],
        )?;
        Ok(())
    }

    fn spool(&self, request: &ReceiveRequest) -> Result<()> {
        if self.is_spool { spool::insert(&self.connection, request) } else { Ok(()) }
    }

    fn insert_webhook(&self, row: i64, request: &ReceiveRequest, outcome: Outcome) -> Result<()> {
        if self.is_spool {
            return Ok(());
        }
        // One of the quarantine is received a second time if the process ended before it was removed there.
        let webhook = &request.webhook;
        self.execute(
            "INSERT INTO webhooks
                    (submission, received_at, id, source, outcome, method, query, body)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO NOTHING",
            params![
                row,
                micros(webhook.received_at),
                webhook.id.0.as_bytes(),
                request.source.as_str(),
                outcome.label(),
                webhook.method.name(),
                webhook.query,
                webhook.body,
            ],
        )?;
        Ok(())
    }

    fn sources(&self, row: i64) -> Result<Vec<Name>> {
        let mut statement = self.connection.prepare_cached(SOURCES)?;
        // One that cannot be read is no reason to claim nothing.
        let sources = statement.query_map([row], |row| Ok(text(row, 0).ok()))?;
        Ok(sources.collect::<Result<BTreeSet<Option<Name>>>>()?.into_iter().flatten().collect())
    }

    fn strip_webhooks(&self, row: i64) -> Result<()> {
        self.execute("UPDATE webhooks SET query = NULL, body = NULL WHERE submission = ?1", [row])?;
        self.execute("DELETE FROM corrupt_documents WHERE submission = ?1", [row])?;
        Ok(())
    }

    fn delete_webhooks(&self, row: i64) -> Result<()> {
        self.execute("DELETE FROM webhooks WHERE submission = ?1", [row])?;
        self.execute("DELETE FROM corrupt_documents WHERE submission = ?1", [row])?;
        Ok(())
    }

    fn load_quarantine(&self) -> Result<(Vec<QuarantinedWebhook>, usize)> {
        quarantine::load(&self.connection)
    }

    fn insert_quarantined(&self, kept: &QuarantinedWebhook) -> Result<()> {
        quarantine::insert(&self.connection, kept)
    }

    fn delete_quarantined(&self, id: WebhookId) -> Result<usize> {
        quarantine::delete(&self.connection, id)
    }

    fn delete_quarantined_about(&self, call: &CallUuid) -> Result<Vec<WebhookId>> {
        quarantine::delete_about(&self.connection, call)
    }

    fn insert_key(
        &self,
        source: &Name,
        key: &IdempotencyKey,
        submission: SubmissionId,
        used_at: Timestamp,
    ) -> Result<KeyUse> {
        let (source, IdempotencyKey { id, digest, expires }) = (source.as_str(), key);
        let inserted = self.execute(
            "INSERT INTO idempotency_keys (source, key, digest, submission, used_at, expires)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (source, key) DO NOTHING",
            params![source, id, digest, submission.0.as_bytes(), micros(used_at), expires],
        )?;
        if inserted == 1 {
            return Ok(KeyUse::First);
        }
        self.connection
            .prepare_cached(
                "SELECT digest = ?3, submission FROM idempotency_keys
                    WHERE source = ?1 AND key = ?2",
            )?
            .query_row(params![source, id, digest], |row| {
                Ok(if row.get(0)? { KeyUse::Same(submission_id(row, 1)?) } else { KeyUse::Other })
            })
            // A key that names no submission is no better than one that was forgotten.
            .or_else(|error| match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..) => {
                    self.execute(
                        "UPDATE idempotency_keys SET digest = ?3, submission = ?4, used_at = ?5
                            WHERE source = ?1 AND key = ?2",
                        params![source, id, digest, submission.0.as_bytes(), micros(used_at)],
                    )?;
                    Ok(KeyUse::First)
                }
                error => Err(error),
            })
    }

    fn delete_key(&self, source: &Name, key: &IdempotencyKey) -> Result<()> {
        self.execute(
            "DELETE FROM idempotency_keys WHERE source = ?1 AND key = ?2",
            [source.as_str(), key.id.as_str()],
        )?;
        Ok(())
    }

    fn delete_keys_of(&self, row: i64, submission: SubmissionId) -> Result<()> {
        self.execute(EXPIRING_KEYS_OF, params![row, submission.0.as_bytes()])?;
        self.execute(LASTING_KEYS_OF, params![submission.0.as_bytes()])?;
        Ok(())
    }

    fn delete_keys_before(&self, before: Timestamp, most: usize) -> Result<usize> {
        self.execute(KEYS_BEFORE, params![micros(before), limit(most)])
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
        self.connection
            .prepare_cached(DUE)?
            .query_map(params![account.as_str(), after, micros(until), limit(most)], |row| {
                Ok((clamped(row.get(0)?), row.get(1)?))
            })?
            .collect()
    }

    fn least_claimed(&self, account: &Name, until: Timestamp, most: usize) -> Result<Vec<i64>> {
        self.connection
            .prepare_cached(LEAST_CLAIMED)?
            .query_map(params![account.as_str(), micros(until), limit(most)], |row| row.get(0))?
            .collect()
    }

    fn record_clock(&self, record: ClockRecord) -> Result<()> {
        let ClockRecord { trusted, wall, unconfirmed_for } = record;
        let unconfirmed =
            unconfirmed_for.map(|time| i64::try_from(time.as_micros()).unwrap_or(i64::MAX));
        self.execute(
            "INSERT OR REPLACE INTO clock VALUES (1, ?1, ?2, ?3)",
            params![micros(trusted), micros(wall), unconfirmed],
        )?;
        Ok(())
    }

    fn survey_revisions(&self) -> Result<Vec<SurveyRevision>> {
        revisions::find(&self.connection)
    }

    fn insert_survey_revision(&self, revision: &SurveyRevision) -> Result<()> {
        revisions::insert(&self.connection, revision)
    }

    fn expired(&self, ends: LeaseEnds, most: usize) -> Result<Vec<i64>> {
        // A lease that ends later than any time does is found at open: its row is corrupt. The clock is this
        // process's, and is not put back.
        let clock = if ends == LeaseEnds::ALL { i64::MAX } else { micros(ends.ended) };
        self.connection
            .prepare_cached(EXPIRED)?
            .query_map(params![clock, limit(most)], |row| row.get(0))?
            .collect()
    }

    fn purgeable(&self, level: RetentionLevel, before: Timestamp, most: usize) -> Result<Vec<i64>> {
        self.connection
            .prepare_cached(PURGEABLE)?
            .query_map(params![retention_column(level), micros(before), limit(most)], |row| {
                row.get(0)
            })?
            .collect()
    }

    fn pause(&self, account: &Name) -> Result<Option<StoredPause>> {
        self.connection
            .prepare_cached("SELECT pause FROM pauses WHERE account = ?1")?
            .query_row([account.as_str()], |row| {
                let pause = row.get_ref(0)?.as_bytes()?;
                Ok(serde_json::from_slice(pause).map_err(|_| UnreadablePause))
            })
            .optional()
    }

    fn save_pause(&self, account: &Name, pause: &Pause) -> Result<()> {
        let pause = serde_json::to_string(pause).expect("texts and numbers are JSON");
        self.execute(
            "INSERT INTO pauses (account, pause) VALUES (?1, ?2)
                ON CONFLICT (account) DO UPDATE SET pause = excluded.pause",
            [account.as_str(), &pause],
        )?;
        Ok(())
    }
}
