//! Recovery: a new store of what can still be read of a damaged one.
//!
//! What can be checked is checked: a submission is brought over as it is, or as dead where an operator
//! has to look at it. Webhooks without a submission are written beside the new store, so that they can
//! be sent once more.

use std::collections::{BTreeSet, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, ErrorCode, Params, Result, Row, params_from_iter};
use serde_json::json;
use uuid::Uuid;

use super::backup::{PARTIAL, create, publish};
use super::columns::{
    has_its_checksum, remains, submission, submission_columns, submission_id, text, uuid,
};
use super::files::{SUFFIXES, beside};
use super::lock::Lock;
use super::rows::Database;
use super::untrusted::Budget;
use super::{doctor, files, head, open, queries, revisions, spool, untrusted};
use crate::store::backend::{Backend, CountsDelta, Touched};
use crate::store::error::StoreError;
use crate::submission::{DeadReason, SetAside, State, Submission, SubmissionKey, Tallies};

/// Result of a recovery.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Submissions in the new store.
    pub submissions: u64,
    /// How many of them are dead now because a part of them is lost.
    pub set_aside: u64,
    /// What could not be brought over, in words; empty if nothing is lost.
    pub lost: Vec<String>,
    /// Where webhooks without a submission were written, if there are any.
    pub orphaned: Option<PathBuf>,
    /// If it is a spool: how many webhooks wait in the new one, which has nothing else.
    pub spooled: Option<u64>,
}

/// Writes a new store of everything that can be read of a damaged one, which is not changed. No
/// process may serve that one meanwhile: what it received would not be in the new store.
///
/// # Errors
/// A process serves the damaged store, the new file exists, nothing at all can be read, or the new
/// store cannot be written.
pub fn recover(damaged: &Path, new: &Path) -> std::result::Result<Recovered, StoreError> {
    let damaged = files::canonical(damaged)?;
    files::check(&damaged)?;
    let partial = beside(new, PARTIAL);
    let is_damaged = partial.canonicalize().is_ok_and(|partial| partial == damaged);
    let taken = ["", ORPHANED].into_iter().chain(SUFFIXES).map(|suffix| beside(new, suffix));
    files::check_none_is_there(taken.chain(is_damaged.then(|| partial.clone())))?;
    let _lock = Lock::take(&damaged)?;
    // What an interrupted recovery left.
    remove(&partial);
    create(&partial)?;
    let recovered = bring_over(&damaged, &partial, new);
    // A part must not be taken for the whole.
    remove(&partial);
    recovered
}

fn remove(partial: &Path) {
    for suffix in ["", "-wal", "-shm", ORPHANED] {
        let _ = std::fs::remove_file(beside(partial, suffix));
    }
}

fn bring_over(
    damaged: &Path,
    partial: &Path,
    new: &Path,
) -> std::result::Result<Recovered, StoreError> {
    let (connection, _) = open::prepare(partial, &())?;
    let budget = Budget::of(damaged);
    let (old, _copy) = head::open(damaged, partial, &connection, has_tables, &budget)?;
    let recovered = Recovery::new(&old, partial, &budget)
        .run(connection, partial, new)
        .map_err(|error| StoreError::Write(std::sync::Arc::new(error)))?;
    if let Some(orphaned) = &recovered.orphaned {
        publish(&beside(partial, ORPHANED), orphaned)
            .map_err(|error| StoreError::open(orphaned, error))?;
    }
    publish(partial, new).map_err(|error| StoreError::open(new, error))?;
    Ok(recovered)
}

/// Whether there are the tables that are read, with their columns, and nothing that could be run.
fn has_tables(connection: &Connection) -> bool {
    let is_ours = untrusted::foreign_objects(connection).is_ok_and(|found| found.is_empty());
    is_ours && [SUBMISSION, WEBHOOKS].iter().all(|statement| connection.prepare(statement).is_ok())
}

/// What is added to the name of the new store for webhooks without a submission.
const ORPHANED: &str = ".lost.jsonl";

const SUBMISSION: &str =
    concat!("SELECT ", submission_columns!(), " FROM submissions WHERE seq = ?1");

/// Row numbers of submissions, by the table and by every index that is read without it.
const ROW_NUMBERS: [&str; 6] = [
    "SELECT seq FROM submissions NOT INDEXED ORDER BY seq ASC",
    "SELECT seq FROM submissions ORDER BY id ASC",
    "SELECT seq FROM submissions INDEXED BY submissions_leased
        WHERE lease_until IS NOT NULL ORDER BY lease_until ASC",
    "SELECT seq FROM submissions INDEXED BY submissions_retained
        WHERE retention IS NOT NULL ORDER BY retention ASC, settled_at ASC",
    "SELECT seq FROM submissions INDEXED BY submissions_failed
        WHERE state = 'ignored' OR state = 'dead' OR state = 'discarded' ORDER BY state ASC",
    "SELECT submission FROM webhooks ORDER BY submission ASC, received_at ASC, id ASC",
];

const WEBHOOKS: &str = "SELECT submission, received_at, id, source, outcome, method, query, body
    FROM webhooks ORDER BY submission ASC, received_at ASC, id ASC";

const WEBHOOKS_OF: &str = "SELECT submission, received_at, id, source, outcome, method, query, body
    FROM webhooks WHERE submission = ?1 ORDER BY received_at ASC, id ASC";

const KEYS: &str = "SELECT source, key, digest, submission, used_at, expires
    FROM idempotency_keys ORDER BY source ASC, key ASC";

const PAUSES: &str = "SELECT account, pause FROM pauses ORDER BY account ASC";

const CORRUPT: &str = "SELECT submission, document FROM corrupt_documents ORDER BY submission ASC";

const DELETED: &str = "SELECT state, submissions FROM deleted_counts ORDER BY state ASC";

const SPOOLED: &str = "SELECT seq, request FROM spooled ORDER BY seq ASC";

const SPOOLED_CORRUPT: &str = "SELECT seq, request FROM spooled_corrupt ORDER BY seq ASC";

const SPOOL_OWNER: &str = "SELECT only, database FROM spool_owner ORDER BY only ASC";

struct Recovery<'a> {
    old: &'a Connection,
    budget: &'a Budget,
    set_aside: u64,
    lost: Vec<String>,
    orphans: Orphans,
}

impl<'a> Recovery<'a> {
    fn new(old: &'a Connection, partial: &Path, budget: &'a Budget) -> Self {
        let path = beside(partial, ORPHANED);
        let orphans = Orphans { path, ..Orphans::default() };
        Self { old, budget, set_aside: 0, lost: Vec::new(), orphans }
    }

    /// Into a file that is named `new` when it is whole.
    fn run(mut self, connection: Connection, partial: &Path, new: &Path) -> Result<Recovered> {
        if let Some(spooled) = self.spool(&connection)? {
            connection.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
            return Ok(Recovered {
                lost: self.lost,
                spooled: Some(spooled),
                ..Recovered::default()
            });
        }
        let numbers = self.row_numbers()?;
        let database = Database::new(connection, partial);
        database.begin(&Touched::default())?;
        let submissions = self.submissions(&database, &numbers)?;
        let fresh = database.into_connection();
        self.webhooks(&fresh, &numbers)?;
        self.tables(&fresh)?;
        for state in State::LABELS {
            // What was deleted stays in the counts.
            fresh.execute(
                &format!(
                    "UPDATE state_counts SET {state} = {state} + deleted, accepted = accepted + deleted
                        FROM (SELECT submissions AS deleted FROM deleted_counts WHERE state = ?1)"
                ),
                [state],
            )?;
        }
        fresh.execute_batch("COMMIT")?;
        fresh.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
        let accepted = queries::counts(&fresh)?.accepted;
        match queries::counts(self.old).map(|counts| counts.accepted) {
            Ok(was) if was > accepted => {
                let missing = was - accepted;
                self.lost.push(format!("{missing} of {was} submissions by the state counts"));
            }
            Ok(_) => {}
            Err(_) => self.lost.push("the state counts: how many are lost is unknown".to_owned()),
        }
        let set_aside = self.set_aside;
        if set_aside > 0 {
            let words = format!(
                "parts of {set_aside} submissions, which are dead (unmapped or corrupt) now"
            );
            self.lost.push(words);
        }
        let orphaned = self.orphans.finish().then(|| beside(new, ORPHANED));
        if let Some(path) = &orphaned {
            let (count, path) = (self.orphans.count, path.display());
            self.lost.push(format!("the submissions of {count} webhooks, which are in {path}"));
        }
        if self.orphans.unwritten > 0 {
            let count = self.orphans.unwritten;
            self.lost
                .push(format!("{count} webhooks without a submission, which could not be written"));
        }
        if let Some(words) = self.budget.exceeded() {
            self.lost.push(format!("whatever follows: {words}"));
        }
        Ok(Recovered { submissions, set_aside, lost: self.lost, orphaned, spooled: None })
    }

    /// Row numbers of all submissions that there are, and of some that there were.
    fn row_numbers(&self) -> Result<BTreeSet<i64>> {
        let mut numbers = BTreeSet::new();
        for statement in ROW_NUMBERS {
            self.scan(statement, [], |row| {
                numbers.extend(row.get::<_, i64>(0));
                Ok(())
            })?;
        }
        Ok(numbers)
    }

    /// Returns how many were brought over.
    fn submissions(&mut self, to: &Database, numbers: &BTreeSet<i64>) -> Result<u64> {
        let (mut counts, mut tallies) = (CountsDelta::default(), Tallies::default());
        let mut unread = 0;
        for number in numbers {
            let Some((mut submission, is_whole)) = self.submission(*number) else {
                unread += 1;
                continue;
            };
            submission.expire();
            match to.insert(*number, &submission) {
                Ok(()) => {}
                // Two rows have one id.
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                    unread += 1;
                    continue;
                }
                Err(error) => return Err(error),
            }
            to.insert_scope(&submission.account, &submission.survey)?;
            counts.created(submission.state);
            tallies.moved(Vec::new(), submission.cells());
            self.set_aside += u64::from(!is_whole);
        }
        to.add_counts(&counts)?;
        to.add_tallies(&tallies)?;
        if unread > 0 {
            self.lost.push(format!("{unread} submissions that cannot be read, or were deleted"));
        }
        Ok(counts.accepted.unsigned_abs())
    }

    /// A submission, and whether that is all of it.
    fn submission(&self, number: i64) -> Option<(Submission, bool)> {
        // The document may be on pages of its own.
        let without_document = SUBMISSION.replace("document", "NULL");
        [SUBMISSION, &without_document].into_iter().find_map(|statement| {
            let mut statement = self.old.prepare_cached(statement).ok()?;
            statement.query_row([number], |row| Ok(read_submission(row))).ok()
        })?
    }

    fn webhooks(&mut self, fresh: &Connection, numbers: &BTreeSet<i64>) -> Result<()> {
        let mut insert =
            fresh.prepare("INSERT OR IGNORE INTO webhooks VALUES (?, ?, ?, ?, ?, ?, ?, ?)")?;
        let mut submission = fresh.prepare("SELECT 1 FROM submissions WHERE seq = ?1")?;
        let mut orphans = std::mem::take(&mut self.orphans);
        let mut bring = |row: &Row<'_>| {
            let is_readable = doctor::readable_webhook(row).is_ok();
            if is_readable && submission.exists([row.get::<_, i64>(0)?])? {
                insert.execute(params_from_iter(values(row)?))?;
            } else {
                orphans.add(row);
            }
            Ok(())
        };
        let mut unread = 0;
        if !self.scan(WEBHOOKS, [], &mut bring)? {
            for number in numbers {
                unread += u64::from(!self.scan(WEBHOOKS_OF, [number], &mut bring)?);
            }
            unread = unread.max(1);
        }
        self.orphans = orphans;
        if unread > 0 {
            self.lost.push(format!("webhooks of {unread} submissions, all or some"));
        }
        Ok(())
    }

    fn tables(&mut self, fresh: &Connection) -> Result<()> {
        self.table(fresh, PAUSES, "pauses VALUES (?, ?)", "the pauses of some accounts", |row| {
            doctor::pause(row).is_ok()
        })?;
        let lost = "how many submissions were deleted";
        self.table(fresh, DELETED, "deleted_counts VALUES (?, ?)", lost, |row| {
            let state =
                row.get_ref(0).ok().and_then(|state| doctor::state_of(state.as_str().ok()?));
            state.is_some() && row.get::<_, u64>(1).is_ok()
        })?;
        let lost = "some idempotency keys: a duplicate may count as new";
        self.table(fresh, KEYS, "idempotency_keys VALUES (?, ?, ?, ?, ?, ?)", lost, |row| {
            doctor::readable_key(row).is_ok()
        })?;
        let lost = "some documents of corrupt submissions, as they were found";
        self.table(fresh, CORRUPT, "corrupt_documents VALUES (?, ?)", lost, |row| {
            let document = row.get_ref(1).is_ok_and(|document| document.as_blob().is_ok());
            row.get::<_, i64>(0).is_ok() && document
        })?;
        // No erasure would find them.
        fresh.execute(
            "DELETE FROM corrupt_documents WHERE submission NOT IN (SELECT seq FROM submissions)",
            [],
        )?;
        let lost = "when the rules of some surveys changed";
        self.table(fresh, revisions::ALL, "survey_revisions VALUES (?, ?, ?)", lost, |row| {
            revisions::revision(row).is_ok()
        })?;
        let lost = "what was recorded of the clock: nothing is purged for a day if there are older submissions";
        self.table(fresh, queries::CLOCK, "clock VALUES (?, ?, ?, ?)", lost, |row| {
            queries::clock_record(row).is_ok()
        })?;
        // A duplicate of what may be lost has to count as new.
        fresh.execute(
            "DELETE FROM idempotency_keys WHERE submission NOT IN
                (SELECT id FROM submissions WHERE json_extract(document, '$.detail') IS NOT ?1)",
            [SetAside::Lost { closed: false }.detail()],
        )?;
        Ok(())
    }

    /// If it is a spool, brings over what waits in it, and returns how much that is. Its submissions and keys
    /// only served replies and duplicates while the database was away.
    fn spool(&mut self, fresh: &Connection) -> Result<Option<u64>> {
        fresh.execute_batch("BEGIN IMMEDIATE")?;
        let is_blob = |row: &Row<'_>| row.get_ref(1).is_ok_and(|it| it.as_blob().is_ok());
        let lost = "some webhooks that waited in the spool";
        self.table(fresh, SPOOLED, "spooled VALUES (?, ?)", lost, is_blob)?;
        let lost = "some webhooks of the spool that were set aside, as they were found";
        self.table(fresh, SPOOLED_CORRUPT, "spooled_corrupt VALUES (?, ?)", lost, is_blob)?;
        let lost = "which database the webhooks of the spool wait for: start the service with that one alone";
        self.table(fresh, SPOOL_OWNER, "spool_owner VALUES (?, ?)", lost, |row| {
            row.get_ref(1)
                .is_ok_and(|it| Uuid::from_slice(it.as_blob().unwrap_or_default()).is_ok())
        })?;
        let count = |table| {
            let count = format!("SELECT count(*) FROM {table}");
            fresh.query_row(&count, [], |row| row.get::<_, u64>(0))
        };
        let (spooled, is_owned) = (count("spooled")?, count("spool_owner")? > 0);
        if spooled == 0 && !is_owned {
            fresh.execute_batch("ROLLBACK")?;
            return Ok(None);
        }
        if !is_owned {
            spool::own(fresh, spool::UNKNOWN)?;
        }
        fresh.execute_batch("COMMIT")?;
        Ok(Some(spooled))
    }

    /// Brings over the rows of a table that can be read.
    fn table(
        &mut self,
        fresh: &Connection,
        select: &str,
        into: &str,
        lost: &str,
        is_readable: fn(&Row<'_>) -> bool,
    ) -> Result<()> {
        let mut insert = fresh.prepare(&format!("INSERT OR IGNORE INTO {into}"))?;
        let mut unread = false;
        let is_whole = self.scan(select, [], |row| {
            match is_readable(row) {
                true => insert.execute(params_from_iter(values(row)?)).map(drop)?,
                false => unread = true,
            }
            Ok(())
        })?;
        if !is_whole || unread {
            self.lost.push(lost.to_owned());
        }
        Ok(())
    }

    /// Reads from the beginning up to the first damage and, if that is not the end, from the end;
    /// returns whether everything was read. A row may come twice.
    fn scan<P: Params + Clone>(
        &self,
        statement: &str,
        values: P,
        mut each: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<bool> {
        for direction in ["ASC", "DESC"] {
            let statement = statement.replace("ASC", direction);
            let Ok(mut statement) = self.old.prepare_cached(&statement) else { continue };
            let Ok(mut rows) = statement.query(values.clone()) else { continue };
            loop {
                match rows.next() {
                    Ok(Some(row)) => {
                        self.budget.spend_row(row);
                        each(row)?;
                    }
                    Ok(None) => return Ok(true),
                    Err(_) => break,
                }
            }
        }
        Ok(false)
    }
}

/// A submission as it was or, if that cannot be, set aside; and which of the two. `None` if it is not
/// the one that its id says: its answers would rate another call.
fn read_submission(row: &Row<'_>) -> Option<(Submission, bool)> {
    if let Ok(submission) = submission(row)
        && submission.violations().is_empty()
        && has_its_checksum(row).unwrap_or(false)
    {
        return Some((submission, true));
    }
    let (remains, state) = (remains(row).ok()?, state(row));
    if let (Some(_), Some(was @ (State::Delivered | State::Discarded | State::Ignored(_)))) =
        (remains.purged_at, state)
    {
        // Its id is all that is left of it: a webhook that comes again would otherwise be a new submission.
        return Some((Submission::set_aside(remains, SetAside::Corrupt { was }), false));
    }
    let key = SubmissionKey {
        account: text(row, 2).ok()?,
        survey: text(row, 3).ok()?,
        call: remains.call.clone()?,
    };
    if key.id() != submission_id(row, 1).ok()? {
        return None;
    }
    let has = |column| row.get_ref(column).is_ok_and(|value| value != ValueRef::Null);
    let (is_leased, is_retried) = (has(9), has(11));
    let may_have_reached = match state {
        Some(State::Delivered | State::Discarded) => true,
        Some(State::Dead(reason)) => [
            DeadReason::Rejected,
            DeadReason::UnknownCall,
            DeadReason::UnknownResult,
            DeadReason::TooOld,
        ]
        .contains(&reason),
        // It may wait for another delivery.
        Some(State::Collecting | State::Pending) => remains.fence > 0,
        Some(State::Ignored(_)) | None => false,
    };
    let closed = is_leased || is_retried || may_have_reached;
    // What can be read of its answers may be wrong.
    let is_corrupt = remains.document.is_some() && !has_its_checksum(row).unwrap_or(false);
    let why = match is_corrupt {
        true => SetAside::Corrupt { was: state.unwrap_or(State::Pending) },
        false => SetAside::Lost { closed },
    };
    Some((Submission::set_aside(remains, why), false))
}

fn state(row: &Row<'_>) -> Option<State> {
    let (label, reason) = (row.get_ref(5).ok()?, row.get_ref(6).ok()?);
    State::from_labels(label.as_str().ok()?, reason.as_str_or_null().ok()?).ok()
}

fn values(row: &Row<'_>) -> Result<Vec<Value>> {
    (0..row.as_ref().column_count()).map(|column| row.get(column)).collect()
}

/// Webhooks without a submission, one JSON object a line.
#[derive(Default)]
struct Orphans {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    count: u64,
    /// How many could not be written.
    unwritten: u64,
    /// Row numbers of their submissions, and their ids.
    known: HashSet<(Option<i64>, Vec<u8>)>,
}

impl Orphans {
    /// A webhook that cannot be written is lost; the rest is worth more than to stop here.
    fn add(&mut self, row: &Row<'_>) {
        let value = |column| match row.get_ref(column) {
            Ok(ValueRef::Text(text)) => json!(String::from_utf8_lossy(text)),
            Ok(ValueRef::Integer(number)) => json!(number),
            Ok(ValueRef::Blob(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => json!(text),
                Err(_) => json!({ "base64": BASE64.encode(bytes) }),
            },
            _ => json!(null),
        };
        let bytes = row.get_ref(2).ok().and_then(|id| id.as_bytes().ok()).unwrap_or_default();
        if !self.known.insert((row.get(0).ok(), bytes.to_owned())) {
            return;
        }
        let webhook = json!({
            "submission_number": value(0),
            "id": uuid(row, 2).ok(),
            "source": value(3),
            "method": value(5),
            "query": value(6),
            "body": value(7),
            "received_at_us": value(1),
        });
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            // A link in its place would lead elsewhere.
            let file = options.create_new(true).append(true).mode(0o600).open(&self.path);
            self.file = file.ok().map(BufWriter::new);
        }
        let file = self.file.as_mut();
        let is_written = file.is_some_and(|file| writeln!(file, "{webhook}").is_ok());
        *if is_written { &mut self.count } else { &mut self.unwritten } += 1;
    }

    /// Returns whether there are any.
    fn finish(&mut self) -> bool {
        let Some(mut file) = self.file.take() else { return false };
        if file.flush().and_then(|()| file.get_ref().sync_all()).is_err() {
            self.unwritten += std::mem::take(&mut self.count);
        }
        true
    }
}
