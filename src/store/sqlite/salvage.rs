//! Bringing over to a new ledger what can still be read of a damaged one.
//!
//! Nothing is believed that can be checked: a submission goes with its name, its state and what was
//! said, or it is put where a person sees it. What belongs to no submission any more is written beside
//! the new ledger, so that it can be sent once more.

use std::collections::{BTreeSet, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use jiff::Timestamp;
use rusqlite::types::{Type, Value};
use rusqlite::{Connection, Result, Transaction, params_from_iter};
use serde_json::json;
use uuid::Uuid;

use super::answers::{self, Which};
use super::books;
use super::columns::{optional_timestamp, parsed, text, timestamp};
use super::doctor::{self, CHILDREN};
use super::lock::Lock;
use crate::account::PauseCause;
use crate::domain::{CallUuid, Name, Verdict};
use crate::store::contract::StoreError;
use crate::submission::{DeadReason, State, StateCounts, SubmissionKey};

/// How many numbers are gone through with one sync.
const SYNC_EVERY: i64 = 1000;

/// How far beyond what was accepted a number may lie that is believed to be one.
const NUMBERS_BEYOND: i64 = 1_000_000;

/// The least that a submission takes of a file, in bytes: how many there may be where nothing tells.
const SUBMISSION_BYTES_MIN: i64 = 64;

/// The most that something can have been counted to.
const NUMBER_MAX: i64 = 1_000_000_000;

/// Why a submission was put aside, for whoever finds it dead.
const PUT_ASIDE: &str = "the ledger was damaged and some of what was said is lost; look at its \
                         hooks, then replay or discard it";

const PAGE_BYTES: usize = 4096;
/// Of the first page, what says what the file is.
const HEAD_BYTES: usize = 100;

/// What a salvage came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Salvaged {
    /// Submissions that the new ledger has.
    pub submissions: u64,
    /// Of them, those that are dead now because some of what was said is lost.
    pub put_aside: u64,
    /// What could not be brought over, in words; empty where nothing is lost.
    pub lost: Vec<String>,
    /// Where the hooks were written that belong to no submission any more, if there are any.
    pub homeless: Option<PathBuf>,
}

/// Writes a new ledger of all that can be read of a damaged one, which stays as it is. Nobody may
/// serve that meanwhile: what came in would not be in the new one.
///
/// # Errors
/// Where a process serves the damaged one, there is a file where the new one should be, nothing at
/// all can be read, or the new one cannot be written.
pub fn salvage(damaged: &Path, new: &Path) -> std::result::Result<Salvaged, StoreError> {
    let damaged = damaged.canonicalize().map_err(|error| StoreError::open(damaged, error))?;
    let _lock = Lock::take(&damaged)?;
    OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(new)
        .map_err(|error| StoreError::open(new, error))?;
    let salvaged = bring_over(&damaged, new);
    if salvaged.is_err() {
        for suffix in ["", "-wal", "-shm"] {
            // What is half done must not be taken for the whole.
            let _ = std::fs::remove_file(beside_of(new, suffix));
        }
    }
    salvaged
}

fn bring_over(damaged: &Path, new: &Path) -> std::result::Result<Salvaged, StoreError> {
    let (mut fresh, _) = super::prepare(new)?;
    let (old, _mended) = open(damaged, new, &fresh)?;
    let write_error = |error| StoreError::Write(std::sync::Arc::new(error));
    let mut work = Work::new(&old, damaged, new);
    work.bring_over(&mut fresh).map_err(write_error)?;
    let salvaged = work.done(&fresh).map_err(write_error)?;
    super::void_all(&mut fresh).map_err(write_error)?;
    fresh.pragma_update(None, "wal_checkpoint", "TRUNCATE").map_err(write_error)?;
    // A power cut must not take back the name of the file, once the damaged one is put away.
    File::open(folder_of(new))
        .and_then(|folder| folder.sync_all())
        .map_err(|error| StoreError::open(new, error))?;
    Ok(salvaged)
}

/// A copy of a ledger whose head was damaged, for as long as it is read.
struct Mended(#[expect(dead_code, reason = "it is there to be removed")] tempfile::TempDir);

/// Where the head of the file is damaged, a copy with a sound one.
fn open(
    damaged: &Path,
    new: &Path,
    fresh: &Connection,
) -> std::result::Result<(Connection, Option<Mended>), StoreError> {
    let unreadable = match doctor::open(damaged) {
        Ok(connection) if has_tables(&connection) => return Ok((connection, None)),
        Ok(_) => StoreError::Damaged {
            path: damaged.display().to_string(),
            fault: "it has not the tables that every ledger has".to_owned(),
        },
        Err(error @ StoreError::Damaged { .. }) => error,
        Err(error) => return Err(error),
    };
    let io = |error| StoreError::open(damaged, error);
    let sound = Beginning::of(fresh, new).map_err(io)?;
    for how_much in [HowMuch::Head, HowMuch::Schema] {
        let folder = tempfile::tempdir_in(folder_of(new)).map_err(io)?;
        let copy = folder.path().join("mended.db");
        std::fs::copy(damaged, &copy).map_err(io)?;
        let (log, log_copy) = (beside_of(damaged, "-wal"), beside_of(&copy, "-wal"));
        if log.exists() {
            std::fs::copy(log, log_copy).map_err(io)?;
        }
        sound.give_to(&copy, how_much).map_err(io)?;
        if let Ok(connection) = doctor::open(&copy)
            && has_tables(&connection)
        {
            return Ok((connection, Some(Mended(folder))));
        }
    }
    Err(unreadable)
}

/// What a new ledger begins with: a damaged one of the same release began with that too, and what is
/// found by it proves itself by its names.
struct Beginning(Vec<(u64, Vec<u8>)>);

#[derive(Clone, Copy)]
enum HowMuch {
    /// What says what the file is.
    Head,
    /// The pages that say where the tables are, too.
    Schema,
}

impl Beginning {
    fn of(fresh: &Connection, path: &Path) -> std::io::Result<Self> {
        let numbers = (|| -> Result<Vec<u64>> {
            fresh.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
            fresh
                .prepare("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema' ORDER BY pageno")?
                .query_map([], |row| row.get(0))?
                .collect()
        })();
        let file = File::open(path)?;
        let page = |number: u64| {
            let mut page = vec![0; PAGE_BYTES];
            file.read_exact_at(&mut page, (number - 1) * PAGE_BYTES as u64)?;
            Ok((number, page))
        };
        numbers
            .map_err(std::io::Error::other)?
            .into_iter()
            .map(page)
            .collect::<std::io::Result<_>>()
            .map(Self)
    }

    /// With the number of pages that there are, and none of them free.
    fn give_to(&self, ledger: &Path, how_much: HowMuch) -> std::io::Result<()> {
        let file = OpenOptions::new().write(true).open(ledger)?;
        let pages = u32::try_from(file.metadata()?.len() / PAGE_BYTES as u64).unwrap_or(u32::MAX);
        for (number, page) in &self.0 {
            let mut page = page.clone();
            if *number == 1 {
                page[28..32].copy_from_slice(&pages.to_be_bytes());
                page[32..40].fill(0);
            }
            match how_much {
                HowMuch::Head if *number > 1 => {}
                HowMuch::Head => file.write_all_at(&page[..HEAD_BYTES], 0)?,
                HowMuch::Schema => file.write_all_at(&page, (number - 1) * PAGE_BYTES as u64)?,
            }
        }
        Ok(())
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

fn beside_of(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Whether there are the tables that every ledger has, with their columns; read they need not be.
fn has_tables(connection: &Connection) -> bool {
    [
        "SELECT seq, id, account, survey, call, state, reason, detail, accepted_at, due_at,
            settled_at, version, fence, leased_until, tries, attempts, first_attempt_at,
            held_before_us, begun, reached, feedback FROM submissions WHERE seq = ?1",
        "SELECT id, source, outcome, method, query, body, received_at
            FROM hooks WHERE submission = ?1",
        "SELECT question, answer, hook, received_at, late FROM answers WHERE submission = ?1",
        "SELECT number, version, started_at, finished_at, verdict, status, api_id, reply
            FROM attempts WHERE submission = ?1",
    ]
    .iter()
    .all(|statement| connection.prepare(statement).is_ok())
}

struct Work<'a> {
    old: &'a Connection,
    bytes: i64,
    salvaged: Salvaged,
    /// How many rows of each table could not be brought over, so far as they can be counted.
    unread: Vec<(&'static str, u64)>,
    /// Of which submissions some hooks were not to be had by their number.
    unread_hooks: BTreeSet<i64>,
    homeless: Homeless,
}

/// One row as it was read, in the order of the columns that both ledgers have.
type Values = Vec<Value>;

/// How the rows of one table are read and written.
struct Table {
    columns: Vec<String>,
    insert: String,
    select: String,
    select_of_one: String,
    select_backwards: String,
}

impl<'a> Work<'a> {
    fn new(old: &'a Connection, damaged: &Path, new: &Path) -> Self {
        let bytes = std::fs::metadata(damaged).map_or(0, |file| file.len());
        Self {
            old,
            bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
            salvaged: Salvaged::default(),
            unread: Vec::new(),
            unread_hooks: BTreeSet::new(),
            homeless: Homeless {
                path: beside_of(new, ".lost.jsonl"),
                file: None,
                hooks: 0,
                known: HashSet::new(),
            },
        }
    }

    fn bring_over(&mut self, fresh: &mut Connection) -> Result<()> {
        let mut tables = Vec::new();
        for name in ["submissions"].into_iter().chain(CHILDREN) {
            // A ledger of an earlier release has fewer of them.
            if let Some(table) = Table::of(name, self.old, fresh)? {
                tables.push((name, table));
            }
        }
        let highest = self.highest_number();
        let mut number = 1;
        while number <= highest {
            let transaction = fresh.transaction()?;
            for number in number..(number + SYNC_EVERY).min(highest + 1) {
                self.bring_submission(&transaction, &tables, number)?;
            }
            transaction.commit()?;
            number += SYNC_EVERY;
        }
        let transaction = fresh.transaction()?;
        if let Some((_, hooks)) = tables.iter().find(|(name, _)| *name == "hooks") {
            self.look_for_hooks(&transaction, hooks)?;
        }
        for name in ["holds", "seen", "dropped"] {
            if let Some(table) = Table::of(name, self.old, &transaction)? {
                self.bring_table(&transaction, name, &table)?;
            }
        }
        // Where what a hook said may be lost, it is not taken for a repeat when it is sent once more.
        transaction.execute(
            "DELETE FROM seen
                WHERE submission NOT IN (SELECT id FROM submissions WHERE detail IS NOT ?1)",
            [PUT_ASIDE],
        )?;
        transaction.execute_batch(
            "INSERT OR IGNORE INTO asked
                SELECT DISTINCT account, survey FROM submissions WHERE call <> ''",
        )?;
        books::write(&transaction, &recount(&transaction)?)?;
        transaction.commit()
    }

    /// Of all submissions that there may have been.
    fn highest_number(&self) -> i64 {
        let ask = |query: &str| self.old.query_row(query, [], |row| row.get::<_, i64>(0)).ok();
        let accepted = ask("SELECT accepted FROM books");
        let known = CHILDREN.map(|table| ask(&format!("SELECT max(submission) FROM {table}")));
        let known = known.into_iter().chain([ask("SELECT max(seq) FROM submissions")]).flatten();
        let bound = accepted.map_or(i64::MAX, |accepted| accepted.saturating_add(NUMBERS_BEYOND));
        let by_size = self.bytes / SUBMISSION_BYTES_MIN;
        let highest = known.filter(|number| *number <= bound).max();
        highest
            .into_iter()
            .chain(accepted.filter(|accepted| *accepted <= by_size))
            .max()
            .unwrap_or(by_size)
    }

    fn bring_submission(
        &mut self,
        fresh: &Transaction<'_>,
        tables: &[(&'static str, Table)],
        number: i64,
    ) -> Result<()> {
        let mut rows =
            tables.iter().map(|(name, table)| (*name, table, table.read(self.old, number)));
        let Some((_, submissions, (submission, is_unread))) = rows.next() else { return Ok(()) };
        let children: Vec<_> = rows.collect();
        self.miss("submissions", is_unread.into());
        let sound = submission.into_iter().next().and_then(|row| submissions.named_well(row));
        let is_kept = match sound {
            None => false,
            Some(row) => submissions.write(fresh, &row)?,
        };
        if !is_kept {
            for (name, table, (rows, is_unread)) in children {
                if name == "hooks" {
                    rows.iter().for_each(|row| self.homeless.take_in(number, table, row));
                    self.unread_hooks.extend(is_unread.then_some(number));
                }
                self.miss(name, is_unread.into());
            }
            return Ok(());
        }
        self.salvaged.submissions += 1;
        let mut said_is_lost = false;
        for (name, table, (rows, is_unread)) in children {
            let mut lost = u64::from(is_unread);
            for row in &rows {
                lost += u64::from(!table.write(fresh, row)?);
            }
            self.unread_hooks.extend((is_unread && name == "hooks").then_some(number));
            self.miss(name, lost);
            said_is_lost |= lost > 0 && matches!(name, "answers" | "told");
        }
        if answers::heard(fresh, number, true, Which::All).is_err() {
            for table in ["answers", "told"] {
                let deleted = fresh
                    .execute(&format!("DELETE FROM {table} WHERE submission = ?1"), [number])?;
                self.miss(table, deleted as u64);
            }
            said_is_lost = true;
        }
        self.set_right(fresh, number, said_is_lost)
    }

    /// Whoever looks for a number has to compare it on the way, with hooks that may be damaged;
    /// whoever goes through all of them, from either end, has not.
    fn look_for_hooks(&mut self, fresh: &Transaction<'_>, hooks: &Table) -> Result<()> {
        if self.unread_hooks.is_empty() {
            return Ok(());
        }
        for direction in ["ASC", "DESC"] {
            let query = format!("{} ORDER BY 1 {direction}, 2 {direction}", hooks.select);
            let Ok(mut rows) = self.old.prepare(&query) else { continue };
            let Ok(mut rows) = rows.query([]) else { continue };
            while let Ok(Some(row)) = rows.next() {
                let Ok(number) = row.get(0) else { continue };
                if !self.unread_hooks.contains(&number) {
                    continue;
                }
                // What cannot be read costs this one alone.
                let Ok(row) = values(row, hooks.columns.len()) else { continue };
                if !hooks.write(fresh, &row)? && !is_kept(fresh, number)? {
                    self.homeless.take_in(number, hooks, &row);
                }
            }
        }
        Ok(())
    }

    /// Makes of what was read something that a submission can be.
    fn set_right(
        &mut self,
        fresh: &Transaction<'_>,
        number: i64,
        said_is_lost: bool,
    ) -> Result<()> {
        let verdicts = Verdict::LABELS.map(|label| format!("'{label}'")).join(", ");
        // Where the last one led tells what it came to.
        fresh
            .prepare_cached(&format!(
                "UPDATE attempts
                    SET verdict = coalesce(
                        (SELECT CASE
                            WHEN number < (SELECT max(number) FROM attempts WHERE submission = seq)
                                THEN NULL
                            WHEN state = 'delivered' THEN 'accepted'
                            WHEN state = 'dead' AND reason IN ({verdicts}) THEN reason
                        END FROM submissions WHERE seq = ?1), 'unknown_result')
                    WHERE submission = ?1 AND coalesce(verdict NOT IN ({verdicts}), NOT EXISTS
                        (SELECT 1 FROM submissions
                            WHERE seq = ?1 AND begun = 1 AND tries = number))"
            ))?
            .execute([number])?;
        fresh
            .prepare_cached(
                "UPDATE submissions
                    SET told = EXISTS (SELECT 1 FROM told WHERE submission = seq),
                        tries = coalesce(
                            (SELECT max(number) FROM attempts WHERE submission = seq), 0),
                        attempts = max(0, min(attempts, coalesce(
                            (SELECT max(number) FROM attempts WHERE submission = seq), 0))),
                        -- An attempt that is not known any more may have arrived.
                        reached = reached OR (begun AND NOT EXISTS (SELECT 1 FROM attempts
                            WHERE submission = seq AND number = tries AND verdict IS NULL)),
                        begun = begun AND EXISTS (SELECT 1 FROM attempts
                            WHERE submission = seq AND number = tries AND verdict IS NULL),
                        as_was = as_was AND EXISTS (SELECT 1 FROM attempts WHERE submission = seq)
                    WHERE seq = ?1",
            )?
            .execute([number])?;
        self.set_times_right(fresh, number)?;
        let state = fresh
            .prepare_cached("SELECT state, reason FROM submissions WHERE seq = ?1")?
            .query_row([number], |row| {
                let (label, reason) =
                    (row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str_or_null()?);
                parsed(0, Type::Text, State::from_labels(label, reason))
            });
        let state = state.ok();
        let is_final = matches!(state, Some(State::Delivered | State::Discarded));
        if state.is_none() || (said_is_lost && !is_final) {
            self.salvaged.put_aside += 1;
            fresh
                .prepare_cached(
                    "UPDATE submissions SET state = 'dead', reason = ?2, detail = ?3,
                            leased_until = NULL, reached = reached OR begun, begun = 0
                        WHERE seq = ?1",
                )?
                .execute((number, DeadReason::Unmapped.label(), PUT_ASIDE))?;
        }
        fresh
            .prepare_cached(
                "UPDATE submissions
                    SET settled_at = iif(state IN ('collecting', 'pending'), NULL,
                            coalesce(settled_at, accepted_at)),
                        leased_until = iif(state = 'pending', leased_until, NULL),
                        begun = begun AND state = 'pending' AND leased_until IS NOT NULL,
                        gone_at = iif(call = '', coalesce(gone_at, accepted_at), NULL),
                        kept = iif(call = '', 0, iif(state IN ('collecting', 'pending', 'dead')
                            OR kept NOT IN (1, 2), 2, kept))
                    WHERE seq = ?1",
            )?
            .execute([number])?;
        fresh
            .prepare_cached(
                "UPDATE attempts SET verdict = 'unknown_result' WHERE submission = ?1
                    AND verdict IS NULL AND NOT (SELECT begun FROM submissions WHERE seq = ?1)",
            )?
            .execute([number])?;
        Ok(())
    }

    /// Numbers that nothing could be made of are such as nobody would miss.
    fn set_times_right(&self, fresh: &Transaction<'_>, number: i64) -> Result<()> {
        let (first, last) = (Timestamp::MIN.as_microsecond(), Timestamp::MAX.as_microsecond());
        let or = |column: &str, otherwise: &str| {
            format!("{column} = iif({column} BETWEEN {first} AND {last}, {column}, {otherwise})")
        };
        let between = |column: &str, least: i64, most: i64| {
            format!("{column} = max({least}, min({column}, {most}))")
        };
        let submission = [
            or("accepted_at", "0"),
            or("due_at", "0"),
            or("settled_at", "NULL"),
            or("gone_at", "NULL"),
            or("first_attempt_at", "NULL"),
            or("resend_at", "NULL"),
            between("version", 1, NUMBER_MAX),
            between("fence", 0, NUMBER_MAX),
            between("tries", 0, NUMBER_MAX),
            between("attempts", 0, NUMBER_MAX),
            between("rejections", 0, NUMBER_MAX),
            between("held_before_us", 0, i64::MAX),
        ];
        let update = format!("UPDATE submissions SET {} WHERE seq = ?1", submission.join(", "));
        fresh.prepare_cached(&update)?.execute([number])?;
        let attempt = [or("started_at", "0"), or("finished_at", "NULL")];
        let update = format!("UPDATE attempts SET {} WHERE submission = ?1", attempt.join(", "));
        fresh.prepare_cached(&update)?.execute([number])?;
        let update = format!("UPDATE hooks SET {} WHERE submission = ?1", or("received_at", "0"));
        fresh.prepare_cached(&update)?.execute([number])?;
        Ok(())
    }

    /// All rows up to where they cannot be read, from either end.
    fn bring_table(
        &mut self,
        fresh: &Transaction<'_>,
        name: &'static str,
        table: &Table,
    ) -> Result<()> {
        for direction in ["ASC", "DESC"] {
            let columns = table.columns.len();
            let query = format!("{} ORDER BY 1 {direction}, 2 {direction}", table.select);
            let read = || -> Result<bool> {
                let mut rows = self.old.prepare(&query)?;
                let mut rows = rows.query([])?;
                loop {
                    match rows.next() {
                        Ok(Some(row)) => {
                            let row = values(row, columns)?;
                            table.write(fresh, &row)?;
                        }
                        Ok(None) => return Ok(true),
                        Err(_) => return Ok(false),
                    }
                }
            };
            match read() {
                Ok(true) => break,
                Ok(false) | Err(_) if direction == "ASC" => {}
                Ok(false) | Err(_) => self.miss(name, 1),
            }
        }
        match name {
            "holds" => {
                let unreadable = fresh
                    .prepare("SELECT rowid, account, cause, probe_at, since, held_us FROM holds")?
                    .query_map([], |row| {
                        let sound = text::<Name>(row, 1).is_ok()
                            && text::<PauseCause>(row, 2).is_ok()
                            && timestamp(row, 3).is_ok()
                            && optional_timestamp(row, 4).is_ok()
                            && row.get::<_, u64>(5).is_ok();
                        Ok((row.get::<_, i64>(0)?, sound))
                    })?
                    .collect::<Result<Vec<_>>>()?;
                for (row, _) in unreadable.into_iter().filter(|(_, sound)| !sound) {
                    fresh.execute("DELETE FROM holds WHERE rowid = ?1", [row])?;
                    self.miss(name, 1);
                }
            }
            "dropped" => {
                let states = State::LABELS.map(|label| format!("'{label}'")).join(", ");
                let deleted = fresh.execute(
                    &format!(
                        "DELETE FROM dropped WHERE state NOT IN ({states}) OR submissions < 0"
                    ),
                    [],
                )?;
                self.miss(name, deleted as u64);
            }
            _ => {}
        }
        Ok(())
    }

    fn miss(&mut self, table: &'static str, rows: u64) {
        if rows == 0 {
            return;
        }
        match self.unread.iter_mut().find(|(known, _)| *known == table) {
            Some((_, count)) => *count += rows,
            None => self.unread.push((table, rows)),
        }
    }

    fn done(mut self, fresh: &Connection) -> Result<Salvaged> {
        let accepted = books::read(fresh)?.accepted;
        let was_accepted = books::read(self.old).ok().map(|totals| totals.accepted);
        let lost = &mut self.salvaged.lost;
        match was_accepted {
            Some(was) if was > accepted => lost.push(format!(
                "{} of {was} submissions that the books knew are not in the new ledger",
                was - accepted
            )),
            Some(_) => {}
            None => lost.push("how many submissions there were is not to be read".to_owned()),
        }
        for (table, count) in &self.unread {
            lost.push(match *table {
                "submissions" => {
                    format!(
                        "at {count} numbers there is a submission, or was, that is not to be read"
                    )
                }
                "hooks" => format!("the hooks of {count} submissions, whole or in part"),
                "answers" => format!("answers of callers, in {count} places"),
                "told" => format!("what callers told beside answers, in {count} places"),
                "attempts" => format!("the attempts of {count} submissions, whole or in part"),
                "interventions" => format!("what was done by hand to {count} submissions"),
                "holds" => "why some accounts were held, and that they were".to_owned(),
                "seen" => "some of what senders call their hooks: a repeat may be new".to_owned(),
                _ => "how many submissions were dropped by age".to_owned(),
            });
        }
        if self.salvaged.put_aside > 0 {
            lost.push(format!(
                "{} submissions are dead (unmapped) now, because some of what was said is lost",
                self.salvaged.put_aside
            ));
        }
        if let Some(path) = self.homeless.finish() {
            lost.push(format!(
                "the submissions of {} hooks, which are written down in {}",
                self.homeless.hooks,
                path.display()
            ));
            self.salvaged.homeless = Some(path);
        }
        Ok(self.salvaged)
    }
}

impl Table {
    /// With the columns that both ledgers have; nothing where the old one has no such table.
    fn of(name: &str, old: &Connection, fresh: &Connection) -> Result<Option<Self>> {
        let known = columns(old, name)?;
        let columns: Vec<String> =
            columns(fresh, name)?.into_iter().filter(|column| known.contains(column)).collect();
        if columns.is_empty() {
            return Ok(None);
        }
        let list = columns.join(", ");
        let key = if name == "submissions" { "seq" } else { "submission" };
        let places = vec!["?"; columns.len()].join(", ");
        Ok(Some(Self {
            insert: format!("INSERT INTO {name} ({list}) VALUES ({places})"),
            select: format!("SELECT {list} FROM {name}"),
            select_of_one: format!("SELECT {list} FROM {name} WHERE {key} = ?1"),
            select_backwards: format!("SELECT {list} FROM {name} WHERE {key} = ?1 ORDER BY 2 DESC"),
            columns,
        }))
    }

    /// What the table has of this number, as far as it can be read, and whether that is not all.
    fn read(&self, old: &Connection, number: i64) -> (Vec<Values>, bool) {
        let mut read: Vec<Values> = Vec::new();
        let mut read_by = |query: &str| {
            let mut rows = old.prepare_cached(query)?;
            let mut rows = rows.query([number])?;
            while let Some(row) = rows.next()? {
                let row = values(row, self.columns.len())?;
                if !read.contains(&row) {
                    read.push(row);
                }
            }
            Ok::<(), rusqlite::Error>(())
        };
        let is_unread = read_by(&self.select_of_one).is_err();
        if is_unread {
            // From the other side it may be within reach.
            let _ = read_by(&self.select_backwards);
        }
        (read, is_unread)
    }

    /// Whether the new ledger takes the row.
    fn write(&self, fresh: &Connection, row: &Values) -> Result<bool> {
        let written = fresh.prepare_cached(&self.insert)?.execute(params_from_iter(row));
        match written {
            Ok(_) => Ok(true),
            // What is there already, or cannot be what was written once.
            Err(error)
                if error.sqlite_error_code() == Some(rusqlite::ErrorCode::ConstraintViolation) =>
            {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn value<'v>(&self, row: &'v Values, column: &str) -> Option<&'v Value> {
        row.get(self.columns.iter().position(|known| known == column)?)
    }

    /// A submission whose account, survey and call are those that it is named after; of what is gone
    /// only the name is left. A call that is not the one it was would be rated by another's answers.
    fn named_well(&self, row: Values) -> Option<Values> {
        let text = |column| match self.value(&row, column) {
            Some(Value::Text(text)) => Some(text.as_str()),
            _ => None,
        };
        let id = match self.value(&row, "id") {
            Some(Value::Blob(id)) => Uuid::from_slice(id).ok()?,
            _ => return None,
        };
        let (account, survey) = (text("account")?.parse().ok()?, text("survey")?.parse().ok()?);
        match (text("call")?, self.value(&row, "kept")) {
            ("", Some(Value::Integer(0))) => Some(row),
            (call, _) => {
                let call: CallUuid = call.parse().ok()?;
                let key = SubmissionKey { account, survey, call };
                (key.id().0 == id).then_some(row)
            }
        }
    }
}

fn is_kept(fresh: &Connection, number: i64) -> Result<bool> {
    fresh.prepare_cached("SELECT 1 FROM submissions WHERE seq = ?1")?.exists([number])
}

/// Those whose names can be read.
fn columns(connection: &Connection, table: &str) -> Result<Vec<String>> {
    let mut columns = connection.prepare("SELECT name FROM pragma_table_info(?1)")?;
    let columns = columns.query_map([table], |row| row.get(0))?;
    Ok(columns.filter_map(Result::ok).collect())
}

fn values(row: &rusqlite::Row<'_>, columns: usize) -> Result<Values> {
    (0..columns).map(|column| row.get(column)).collect()
}

/// By state, tombstones that are gone too.
fn recount(fresh: &Connection) -> Result<StateCounts> {
    let mut totals = StateCounts::default();
    let mut states = fresh.prepare(
        "SELECT state, count(*) FROM submissions GROUP BY state
            UNION ALL SELECT state, submissions FROM dropped",
    )?;
    let mut rows = states.query([])?;
    while let Some(row) = rows.next()? {
        let (label, count): (String, u64) = (row.get(0)?, row.get(1)?);
        totals.accepted += count;
        for (known, total) in doctor::totals_of(&mut totals) {
            if known == label {
                *total += count;
            }
        }
    }
    Ok(totals)
}

/// Hooks without a submission, one JSON object a line.
struct Homeless {
    path: PathBuf,
    file: Option<BufWriter<File>>,
    hooks: u64,
    /// Their ids.
    known: HashSet<Vec<u8>>,
}

impl Homeless {
    /// Where it cannot be written down the hook is lost; the rest is worth more than stopping here.
    fn take_in(&mut self, number: i64, hooks: &Table, row: &Values) {
        let said = |column| match hooks.value(row, column) {
            Some(Value::Text(text)) => json!(text),
            Some(Value::Integer(number)) => json!(number),
            Some(Value::Blob(bytes)) => match std::str::from_utf8(bytes) {
                Ok(text) => json!(text),
                Err(_) => json!({ "base64": BASE64.encode(bytes) }),
            },
            _ => json!(null),
        };
        let id = match hooks.value(row, "id") {
            Some(Value::Blob(id)) if !self.known.insert(id.clone()) => return,
            Some(Value::Blob(id)) => Uuid::from_slice(id).ok().map(|id| id.to_string()),
            _ => None,
        };
        let hook = json!({
            "submission_number": number,
            "id": id,
            "source": said("source"),
            "method": said("method"),
            "query": said("query"),
            "body": said("body"),
            "received_at_us": said("received_at"),
        });
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            let file = options.create(true).append(true).mode(0o600).open(&self.path);
            self.file = file.ok().map(BufWriter::new);
        }
        if let Some(file) = &mut self.file
            && writeln!(file, "{hook}").is_ok()
        {
            self.hooks += 1;
        }
    }

    fn finish(&mut self) -> Option<PathBuf> {
        let mut file = self.file.take()?;
        file.flush().ok()?;
        file.get_ref().sync_all().ok()?;
        Some(self.path.clone())
    }
}
