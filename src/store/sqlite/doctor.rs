//! Examination of a store: what is wrong with it, in words. It is only read, whether or not a process
//! serves it.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error, Result, Row};
use uuid::Uuid;

use super::columns::{
    WRONG_CHECKSUM, has_its_checksum, parsed, submission, submission_columns, submission_id, text,
    timestamp, uuid,
};
use super::untrusted::Budget;
use super::{damage, files, log, open, queries, spool, tallies, untrusted};
use crate::account::Pause;
use crate::domain::Name;
use crate::store::error::StoreError;
use crate::store::examination::{Examination, FINDINGS_MAX, Finding, FindingKind};
use crate::submission::{DeadReason, IgnoredReason, State, StateCounts, Submission, Tallies};

/// Reads all of a store, which takes seconds if it is large, and changes nothing. A file that was made
/// to harm is not run and does not take longer.
///
/// # Errors
/// The file cannot be opened, belongs to another program, or was written by another release. Damage
/// is no error.
pub fn examine(path: &Path) -> std::result::Result<Examination, StoreError> {
    let mut findings = Findings::default();
    let budget = Budget::of(path);
    let connection = match open(path, &budget) {
        Ok(connection) => connection,
        Err(StoreError::Damaged { fault, .. }) => {
            findings.add(FindingKind::File, format!("it cannot be opened: {fault}"));
            return Ok(Examination { submissions: 0, findings: findings.all() });
        }
        Err(error) => return Err(error),
    };
    // The log of a store that is served changes while it is read.
    if !open::is_served(path)
        && let Some(damage) = log::damage(path).map_err(|error| StoreError::open(path, error))?
    {
        findings.add(FindingKind::File, damage.to_string());
    }
    // What is written meanwhile is not seen, so that all parts are of one moment.
    let store =
        connection.unchecked_transaction().map_err(|error| StoreError::open(path, error))?;
    let (counts, tallies) = (StateCounts::default(), Tallies::default());
    let mut examiner = Examiner { store: &store, budget: &budget, findings, counts, tallies };
    let found_before = examiner.findings.found.len();
    examiner.part(FindingKind::File, "the schema", Examiner::schema);
    if examiner.findings.found.len() > found_before {
        return Ok(examiner.examination());
    }
    examiner.part(FindingKind::File, "the file", Examiner::pages);
    if let Err(error) = open::check_schema(&store, path) {
        // A store without its tables has no schema either, and that is a finding already.
        let is_sound = examiner.findings.found.is_empty();
        return if is_sound { Err(error) } else { Ok(examiner.examination()) };
    }
    examiner.part(FindingKind::File, "the submissions", Examiner::submissions);
    examiner.part(FindingKind::File, "the webhooks", Examiner::webhooks);
    examiner.part(FindingKind::File, "the idempotency keys", Examiner::keys);
    examiner.part(FindingKind::File, "what is spooled", Examiner::spooled);
    examiner.part(FindingKind::Counts, "the state counts", Examiner::counts);
    examiner.part(FindingKind::Counts, "the tallies", Examiner::tallies);
    examiner.part(FindingKind::Account, "the pauses of accounts", Examiner::pauses);
    examiner.part(FindingKind::Account, "the pairs of account and survey", Examiner::scopes);
    Ok(examiner.examination())
}

/// Opens for reading; SQLite checks each page closely, within the budget of steps.
pub(super) fn open(path: &Path, budget: &Budget) -> std::result::Result<Connection, StoreError> {
    let path = files::canonical(path)?;
    files::check(&path)?;
    let mut connection = open::read_only(&path)?;
    budget.bind(&mut connection).map_err(|error| damage::opening(&path, error))?;
    open::check_application(&connection, &path)?;
    open::check_no_pre_release(&connection, &path)?;
    connection
        .pragma_update(None, "cell_size_check", true)
        .map_err(|error| damage::opening(&path, error))?;
    Ok(connection)
}

#[derive(Default)]
struct Findings {
    found: Vec<Finding>,
    counts: BTreeMap<FindingKind, usize>,
}

impl Findings {
    fn add(&mut self, kind: FindingKind, words: impl Into<String>) {
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        if *count <= FINDINGS_MAX {
            self.found.push(Finding { kind, words: words.into() });
        }
    }

    /// In the order of their kinds.
    fn all(mut self) -> Vec<Finding> {
        for (kind, count) in self.counts {
            if count > FINDINGS_MAX {
                let words = format!("and {} more of this kind", count - FINDINGS_MAX);
                self.found.push(Finding { kind, words });
            }
        }
        self.found.sort_by_key(|finding| finding.kind);
        self.found
    }
}

struct Examiner<'a> {
    store: &'a Connection,
    budget: &'a Budget,
    findings: Findings,
    /// Recounted, without those that were deleted.
    counts: StateCounts,
    tallies: Tallies,
}

impl Examiner<'_> {
    /// Examines one part. That it cannot be read is a finding, and the other parts are examined all
    /// the same.
    fn part(&mut self, kind: FindingKind, part: &str, examine: fn(&mut Self) -> Result<()>) {
        if let Err(error) = examine(self) {
            self.findings.add(kind, format!("{part} cannot be read to the end: {error}"));
        }
    }

    fn examination(mut self) -> Examination {
        if let Some(words) = self.budget.exceeded() {
            // However many there are of its kind.
            self.findings.found.insert(0, Finding { kind: FindingKind::File, words });
        }
        Examination { submissions: self.counts.accepted, findings: self.findings.all() }
    }

    /// What is not ours may run when it is read, so nothing else is.
    fn schema(&mut self) -> Result<()> {
        for words in untrusted::foreign_objects(self.store)? {
            self.findings.add(FindingKind::File, words);
        }
        Ok(())
    }

    fn pages(&mut self) -> Result<()> {
        let check = format!("PRAGMA integrity_check({})", FINDINGS_MAX + 1);
        self.each(&check, |findings, row| {
            let words: String = row.get(0)?;
            for line in words.lines().filter(|line| *line != "ok") {
                findings.add(FindingKind::File, line);
            }
            Ok(())
        })
    }

    fn submissions(&mut self) -> Result<()> {
        let all = concat!("SELECT ", submission_columns!(), " FROM submissions ORDER BY seq");
        let (mut counts, mut tallies) = (StateCounts::default(), Tallies::default());
        let examined = self.each(all, |findings, row| {
            counts.accepted += 1;
            let mut add = |kind, words: &str| {
                findings.add(kind, format!("submission {} {words}", name(row)));
            };
            let submission = match submission(row) {
                Ok(submission) => submission,
                Err(error) => {
                    let kind = if is_of_identity(&error) {
                        FindingKind::IdMismatch
                    } else {
                        FindingKind::Submission
                    };
                    add(kind, &format!("cannot be read: {error}"));
                    return Ok(());
                }
            };
            *counts.of_mut(submission.state) += 1;
            tallies.moved(Vec::new(), submission.cells());
            if !has_its_checksum(row)? {
                add(FindingKind::Submission, WRONG_CHECKSUM);
            }
            for words in submission.violations() {
                let is_id = words == Submission::WRONG_ID;
                add(if is_id { FindingKind::IdMismatch } else { FindingKind::Submission }, words);
            }
            let is_found_by_retention = row.get_ref(13)? != ValueRef::Null;
            if is_found_by_retention != submission.is_purgeable() {
                add(FindingKind::Submission, "has a retention level or has none, and should not");
            }
            Ok(())
        });
        (self.counts, self.tallies) = (counts, tallies);
        examined
    }

    fn webhooks(&mut self) -> Result<()> {
        self.unreadable("webhooks", readable_webhook)?;
        let (count, first): (u64, Option<i64>) = self.store.query_row(
            "SELECT count(*), min(submission) FROM webhooks
                WHERE submission NOT IN (SELECT seq FROM submissions)",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        if let Some(first) = first {
            let words =
                format!("{count} webhooks have no submission, the first that of row {first}");
            self.findings.add(FindingKind::Orphan, words);
        }
        Ok(())
    }

    fn keys(&mut self) -> Result<()> {
        self.unreadable("idempotency_keys", readable_key)
    }

    fn spooled(&mut self) -> Result<()> {
        self.unreadable("spooled", |row| match spool::spooled(row)? {
            Some(_) => Ok(()),
            None => Err(Error::InvalidQuery),
        })
    }

    /// One finding for all rows of a table that cannot be read.
    fn unreadable(&mut self, table: &str, read: fn(&Row<'_>) -> Result<()>) -> Result<()> {
        let mut unreadable = 0_u64;
        self.each(&format!("SELECT * FROM {table}"), |_, row| {
            unreadable += u64::from(read(row).is_err());
            Ok(())
        })?;
        if unreadable > 0 {
            let words = format!("{unreadable} rows of {table} cannot be read");
            self.findings.add(FindingKind::File, words);
        }
        Ok(())
    }

    fn counts(&mut self) -> Result<()> {
        let mut recount = self.counts;
        self.each("SELECT state, submissions FROM deleted_counts", |findings, row| {
            let (label, deleted) = (row.get_ref(0)?.as_str()?, row.get::<_, u64>(1)?);
            match state_of(label) {
                Some(state) => {
                    *recount.of_mut(state) += deleted;
                    recount.accepted += deleted;
                }
                None => findings.add(
                    FindingKind::Counts,
                    format!("{deleted} were deleted in {label:?}, which is no state"),
                ),
            }
            Ok(())
        })?;
        let counts = queries::counts(self.store)?;
        if !counts.balance() {
            let words = "the state counts do not add up to what was accepted";
            self.findings.add(FindingKind::Counts, words);
        }
        let states = State::LABELS.into_iter().filter_map(state_of);
        let by_state = states.map(|it| (it.label(), counts.of(it), recount.of(it)));
        let accepted = ("accepted", counts.accepted, recount.accepted);
        for (label, kept, recounted) in [accepted].into_iter().chain(by_state) {
            if kept != recounted {
                let words = format!("{kept} {label} by the state counts, {recounted} by a recount");
                self.findings.add(FindingKind::Counts, words);
            }
        }
        Ok(())
    }

    /// Compared unless a submission has a fault: what cannot be read is not recounted.
    fn tallies(&mut self) -> Result<()> {
        let mut kept = Tallies::default();
        self.each(tallies::ALL, |_, row| {
            let (cell, n) = tallies::cell(row)?;
            kept.add(cell, n);
            Ok(())
        })?;
        let faults = [FindingKind::Submission, FindingKind::IdMismatch];
        let is_faulty = faults.iter().any(|kind| self.findings.counts.contains_key(kind));
        if let Some(words) = kept.difference(&self.tallies).filter(|_| !is_faulty) {
            self.findings.add(FindingKind::Counts, words);
        }
        Ok(())
    }

    fn pauses(&mut self) -> Result<()> {
        self.each("SELECT account, pause FROM pauses", |findings, row| {
            if let Err(error) = pause(row) {
                let words = format!("the pause of an account cannot be read: {error}");
                findings.add(FindingKind::Account, words);
            }
            Ok(())
        })
    }

    fn scopes(&mut self) -> Result<()> {
        let missing = "SELECT DISTINCT account, survey FROM submissions WHERE call IS NOT NULL
            EXCEPT SELECT account, survey FROM scopes";
        self.each(missing, |findings, row| {
            let (account, survey): (String, String) = (row.get(0)?, row.get(1)?);
            let words = format!("submissions of {account:?} and {survey:?} are not found by calls");
            findings.add(FindingKind::Account, words);
            Ok(())
        })
    }

    fn each(
        &mut self,
        statement: &str,
        mut examine: impl FnMut(&mut Findings, &Row<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut statement = self.store.prepare(statement)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.budget.spend_row(row);
            examine(&mut self.findings, row)?;
        }
        Ok(())
    }
}

/// A state with that label.
pub(super) fn state_of(label: &str) -> Option<State> {
    let (ignored, dead) = (State::Ignored(IgnoredReason::Rule), State::Dead(DeadReason::TooOld));
    [State::Collecting, State::Pending, State::Delivered, ignored, dead, State::Discarded]
        .into_iter()
        .find(|state| state.label() == label)
}

/// Whether a row of `webhooks` can be read.
pub(super) fn readable_webhook(row: &Row<'_>) -> Result<()> {
    row.get::<_, i64>(0)?;
    timestamp(row, 1)?;
    uuid(row, 2)?;
    text::<Name>(row, 3)?;
    row.get_ref(4)?.as_str()?;
    row.get_ref(5)?.as_str()?;
    row.get_ref(6)?.as_str_or_null()?;
    row.get_ref(7)?.as_blob_or_null()?;
    Ok(())
}

/// Whether a row of `idempotency_keys` can be read.
pub(super) fn readable_key(row: &Row<'_>) -> Result<()> {
    text::<Name>(row, 0)?;
    row.get_ref(1)?.as_str()?;
    row.get::<_, [u8; 32]>(2)?;
    submission_id(row, 3)?;
    timestamp(row, 4)?;
    row.get::<_, bool>(5)?;
    Ok(())
}

/// A row of `pauses`.
pub(super) fn pause(row: &Row<'_>) -> Result<(Name, Pause)> {
    let pause = serde_json::from_slice(row.get_ref(1)?.as_bytes()?);
    Ok((text(row, 0)?, parsed(1, rusqlite::types::Type::Text, pause)?))
}

/// Whether the id, account, survey or call could not be read.
fn is_of_identity(error: &Error) -> bool {
    let (Error::FromSqlConversionFailure(column, ..) | Error::InvalidColumnType(column, ..)) =
        error
    else {
        return false;
    };
    (1..=4).contains(column)
}

/// How to call the submission of a row that begins with its number and its id.
fn name(row: &Row<'_>) -> String {
    let id = row.get_ref(1).ok().and_then(|id| Uuid::from_slice(id.as_blob().ok()?).ok());
    match (id, row.get::<_, i64>(0)) {
        (Some(id), _) => id.to_string(),
        (None, Ok(number)) => format!("of row {number}"),
        (None, Err(_)) => "without a row number".to_owned(),
    }
}
