//! Examining a ledger: what is wrong with it, in words. It is only read, whether or not a process
//! serves it.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Connection, Result, Row};
use uuid::Uuid;

use super::books;
use super::columns::{optional_timestamp, parsed, text, timestamp};
use super::damage;
use crate::account::PauseCause;
use crate::domain::{CallUuid, Name, Verdict};
use crate::store::contract::StoreError;
use crate::submission::{DeadReason, State, StateCounts, SubmissionKey};

/// Most findings of one kind that are told one by one.
const TOLD_MAX: usize = 20;

/// What an examination came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Examination {
    /// How many submissions could be read.
    pub submissions: u64,
    /// None where the ledger is sound.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong with a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: FindingKind,
    /// In words, without anything that a caller said.
    pub words: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// The file itself: pages, indexes, the kinds of values.
    File,
    /// A submission has another name than its call, survey and account give it, or unreadable ones.
    Identity,
    /// A submission stands where none can come to stand.
    Transition,
    /// The attempts of a submission are not those that led to where it stands.
    Attempt,
    /// Something belongs to no submission.
    Orphan,
    /// A recount comes to other figures than the books.
    Books,
    /// What is remembered of an account cannot be.
    Account,
}

impl FindingKind {
    pub fn label(self) -> &'static str {
        match self {
            FindingKind::File => "file",
            FindingKind::Identity => "identity",
            FindingKind::Transition => "transition",
            FindingKind::Attempt => "attempt",
            FindingKind::Orphan => "orphan",
            FindingKind::Books => "books",
            FindingKind::Account => "account",
        }
    }
}

/// Reads all of a ledger, which takes seconds where it is large, and changes nothing.
///
/// # Errors
/// Where the file cannot be had, belongs to another program, or has the form of another release.
/// Damage is no error.
pub fn examine(path: &Path) -> std::result::Result<Examination, StoreError> {
    let mut findings = Findings::default();
    let connection = match open(path) {
        Ok(connection) => connection,
        Err(StoreError::Damaged { fault, .. }) => {
            findings.add(FindingKind::File, format!("it cannot be opened: {fault}"));
            return Ok(Examination { submissions: 0, findings: findings.told() });
        }
        Err(error) => return Err(error),
    };
    // What is written meanwhile is not seen, so that all parts are of one moment.
    let snapshot =
        connection.unchecked_transaction().map_err(|error| StoreError::open(path, error))?;
    let mut look = Look { ledger: &snapshot, findings, counted: StateCounts::default() };
    look.at(FindingKind::File, "the file", Look::pages);
    if let Err(error) = super::check_form(&snapshot, path) {
        // Without its tables it has no form either, and that was told.
        let Look { findings, .. } = look;
        let findings = findings.told();
        return if findings.is_empty() {
            Err(error)
        } else {
            Ok(Examination { submissions: 0, findings })
        };
    }
    look.at(FindingKind::File, "what is written", Look::texts);
    look.at(FindingKind::File, "the submissions", Look::submissions);
    look.at(FindingKind::File, "the attempts", Look::attempts);
    look.at(FindingKind::File, "what belongs to submissions", Look::orphans);
    look.at(FindingKind::Books, "the books", Look::books);
    look.at(FindingKind::Account, "what is known of accounts", Look::accounts);
    Ok(Examination { submissions: look.counted.accepted, findings: look.findings.told() })
}

/// Pages are looked at closely; no page is believed for being in the right place.
pub(super) fn open(path: &Path) -> std::result::Result<Connection, StoreError> {
    let path = path.canonicalize().map_err(|error| StoreError::open(path, error))?;
    let connection = super::open_reader(&path)?;
    super::check_application(&connection, &path)?;
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
        if *count <= TOLD_MAX {
            self.found.push(Finding { kind, words: words.into() });
        }
    }

    fn told(mut self) -> Vec<Finding> {
        for (kind, count) in self.counts {
            if count > TOLD_MAX {
                let words = format!("and {} more of the kind", count - TOLD_MAX);
                self.found.push(Finding { kind, words });
            }
        }
        self.found.sort_by_key(|finding| finding.kind);
        self.found
    }
}

struct Look<'a> {
    ledger: &'a Connection,
    findings: Findings,
    /// Recounted; tombstones that are gone as well.
    counted: StateCounts,
}

impl Look<'_> {
    /// One part. That it cannot be read is a finding of that part, and keeps nobody from the others.
    fn at(&mut self, kind: FindingKind, part: &str, look: fn(&mut Self) -> Result<()>) {
        if let Err(error) = look(self) {
            self.findings.add(kind, format!("{part} cannot be read to the end: {error}"));
        }
    }

    fn pages(&mut self) -> Result<()> {
        let mut check =
            self.ledger.prepare(&format!("PRAGMA integrity_check({})", TOLD_MAX + 1))?;
        let mut rows = check.query([])?;
        while let Some(row) = rows.next()? {
            let words: String = row.get(0)?;
            for line in words.lines().filter(|line| *line != "ok") {
                self.findings.add(FindingKind::File, line);
            }
        }
        Ok(())
    }

    /// SQLite keeps any bytes as text, and whoever reads the row later fails at it.
    fn texts(&mut self) -> Result<()> {
        for table in CHILDREN.into_iter().chain(["submissions"]) {
            let mut written = self.ledger.prepare(&format!("SELECT * FROM {table}"))?;
            let columns = written.column_count();
            let mut rows = written.query([])?;
            let mut unreadable = 0_u64;
            while let Some(row) = rows.next()? {
                let is_garbled = |column| match row.get_ref(column)? {
                    ValueRef::Text(bytes) => Ok(str::from_utf8(bytes).is_err()),
                    _ => Ok(false),
                };
                let garbled: Result<Vec<bool>> = (0..columns).map(is_garbled).collect();
                unreadable += u64::from(garbled?.contains(&true));
            }
            if unreadable > 0 {
                let words = format!("{unreadable} rows of {table} hold text that cannot be read");
                self.findings.add(FindingKind::File, words);
            }
        }
        Ok(())
    }

    fn submissions(&mut self) -> Result<()> {
        let mut submissions = self.ledger.prepare(
            "SELECT seq, id, account, survey, call, state, reason, accepted_at, settled_at, kept,
                    gone_at, leased_until IS NOT NULL, begun, tries, attempts, due_at,
                    first_attempt_at, version, fence
                FROM submissions ORDER BY seq",
        )?;
        let mut rows = submissions.query([])?;
        while let Some(row) = rows.next()? {
            self.counted.accepted += 1;
            match Stands::read(row) {
                Ok(stands) => {
                    *self.counted.of_mut(stands.state) += 1;
                    for words in stands.broken_laws() {
                        let words = format!("submission {} {words}", name(row));
                        self.findings.add(FindingKind::Transition, words);
                    }
                }
                Err(error) => {
                    let words = format!("submission {} cannot be read: {error}", name(row));
                    self.findings.add(FindingKind::Transition, words);
                }
            }
            if let Some(words) = wrong_identity(row) {
                let words = format!("submission {} {words}", name(row));
                self.findings.add(FindingKind::Identity, words);
            }
        }
        Ok(())
    }

    fn attempts(&mut self) -> Result<()> {
        let verdicts = quoted(Verdict::LABELS);
        // Where attempts are lost nothing is known that could be wrong.
        let ended_otherwise_than = |verdicts: &str| {
            format!(
                "EXISTS (SELECT 1 FROM attempts WHERE submission = seq AND number = tries
                    AND verdict NOT IN ({verdicts}))"
            )
        };
        let dead_by = |reason: DeadReason, verdicts: &str| {
            let reason = reason.label();
            let ended = ended_otherwise_than(verdicts);
            format!("WHERE state = 'dead' AND reason = '{reason}' AND {ended}")
        };
        for (words, which) in [
            (
                "has an attempt that was never counted",
                "WHERE EXISTS (SELECT 1 FROM attempts WHERE submission = seq AND number > tries)"
                    .to_owned(),
            ),
            (
                "has an attempt that never ended",
                "WHERE EXISTS (SELECT 1 FROM attempts WHERE submission = seq AND verdict IS NULL
                    AND NOT (begun = 1 AND number = tries))"
                    .to_owned(),
            ),
            (
                "has an attempt with a verdict that there is not",
                format!(
                    "WHERE EXISTS (SELECT 1 FROM attempts WHERE submission = seq
                        AND verdict NOT IN ({verdicts}))"
                ),
            ),
            (
                "has an attempt under way that is not written down",
                "WHERE begun = 1 AND NOT EXISTS (SELECT 1 FROM attempts
                    WHERE submission = seq AND number = tries AND verdict IS NULL)"
                    .to_owned(),
            ),
            (
                "is delivered and its last attempt was not accepted",
                format!("WHERE state = 'delivered' AND {}", ended_otherwise_than("'accepted'")),
            ),
            (
                "is dead (refused) and its last attempt was not refused",
                dead_by(DeadReason::Refused, "'refused', 'misconfigured'"),
            ),
            (
                "is dead (unknown_call) and its last attempt did not find that out",
                dead_by(DeadReason::UnknownCall, "'unknown_call'"),
            ),
            (
                "is dead (unknown_result) and the result of its last attempt is known",
                dead_by(DeadReason::UnknownResult, "'unknown_result'"),
            ),
            (
                "does not say that it was told more than answers",
                "WHERE told = 0 AND EXISTS (SELECT 1 FROM told WHERE submission = seq)".to_owned(),
            ),
        ] {
            let mut submissions =
                self.ledger.prepare(&format!("SELECT seq, id FROM submissions {which}"))?;
            let mut rows = submissions.query([])?;
            while let Some(row) = rows.next()? {
                let words = format!("submission {} {words}", name(row));
                self.findings.add(FindingKind::Attempt, words);
            }
        }
        Ok(())
    }

    fn orphans(&mut self) -> Result<()> {
        for table in CHILDREN {
            let (count, first): (u64, Option<i64>) = self.ledger.query_row(
                &format!(
                    "SELECT count(*), min(submission) FROM {table}
                        WHERE submission NOT IN (SELECT seq FROM submissions)"
                ),
                [],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            if let Some(first) = first {
                self.findings.add(
                    FindingKind::Orphan,
                    format!(
                        "{count} rows of {table} belong to no submission, the first to number {first}"
                    ),
                );
            }
        }
        Ok(())
    }

    fn books(&mut self) -> Result<()> {
        let (mut counted, mut dropped_in_all) = (self.counted, 0);
        let mut dropped = self.ledger.prepare("SELECT state, submissions FROM dropped")?;
        let mut rows = dropped.query([])?;
        while let Some(row) = rows.next()? {
            let (label, count): (String, u64) = (row.get(0)?, row.get(1)?);
            let mut states = totals_of(&mut counted).into_iter();
            let Some((_, total)) = states.find(|(known, _)| *known == label) else {
                let words = format!("{count} were dropped from {label:?}, which is no state");
                self.findings.add(FindingKind::Books, words);
                continue;
            };
            *total += count;
            dropped_in_all += count;
        }
        counted.accepted += dropped_in_all;
        let mut kept = books::read(self.ledger)?;
        if !kept.balance() {
            self.findings.add(FindingKind::Books, "the states do not add up to what was accepted");
        }
        let mut figures = vec![("accepted", kept.accepted, counted.accepted)];
        for ((label, said), (_, recount)) in
            totals_of(&mut kept).into_iter().zip(totals_of(&mut counted))
        {
            figures.push((label, *said, *recount));
        }
        for (label, said, recount) in
            figures.into_iter().filter(|(_, said, recount)| said != recount)
        {
            let words = format!("the books say {said} {label}, a recount comes to {recount}");
            self.findings.add(FindingKind::Books, words);
        }
        Ok(())
    }

    fn accounts(&mut self) -> Result<()> {
        let mut holds = self.ledger.prepare("SELECT account, cause, since, probe_at FROM holds")?;
        let mut rows = holds.query([])?;
        while let Some(row) = rows.next()? {
            let read = || -> Result<(Name, PauseCause, Option<Timestamp>, Timestamp)> {
                Ok((text(row, 0)?, text(row, 1)?, optional_timestamp(row, 2)?, timestamp(row, 3)?))
            };
            if let Err(error) = read() {
                let words = format!("the hold of an account cannot be read: {error}");
                self.findings.add(FindingKind::Account, words);
            }
        }
        let mut unasked = self.ledger.prepare(
            "SELECT DISTINCT account, survey FROM submissions WHERE call <> ''
                EXCEPT SELECT account, survey FROM asked",
        )?;
        let mut rows = unasked.query([])?;
        while let Some(row) = rows.next()? {
            let (account, survey): (String, String) = (row.get(0)?, row.get(1)?);
            self.findings.add(
                FindingKind::Account,
                format!("calls of {account:?} and {survey:?} are not found by their ids"),
            );
        }
        Ok(())
    }
}

/// What belongs to submissions.
pub(super) const CHILDREN: [&str; 5] = ["hooks", "answers", "told", "attempts", "interventions"];

/// Where a submission stands, as far as laws speak of it.
struct Stands {
    state: State,
    is_settled: bool,
    kept: i64,
    is_gone: bool,
    has_no_call: bool,
    is_leased: bool,
    is_begun: bool,
    tries: u32,
    attempts: u32,
}

impl Stands {
    fn read(row: &Row<'_>) -> Result<Self> {
        let (label, reason) = (row.get_ref(5)?.as_str()?, row.get_ref(6)?.as_str_or_null()?);
        timestamp(row, 7).and(timestamp(row, 15)).and(optional_timestamp(row, 16))?;
        row.get::<_, u64>(17).and(row.get::<_, u64>(18))?;
        Ok(Self {
            state: parsed(5, Type::Text, State::from_labels(label, reason))?,
            is_settled: optional_timestamp(row, 8)?.is_some(),
            kept: row.get(9)?,
            is_gone: optional_timestamp(row, 10)?.is_some(),
            has_no_call: row.get_ref(4)?.as_str()?.is_empty(),
            is_leased: row.get(11)?,
            is_begun: row.get(12)?,
            tries: row.get(13)?,
            attempts: row.get(14)?,
        })
    }

    fn broken_laws(&self) -> impl Iterator<Item = &'static str> {
        let waits = self.state.is_waiting();
        [
            (waits && self.is_settled, "waits and is settled"),
            (!waits && !self.is_settled, "is settled and does not say when"),
            (
                self.is_leased && self.state != State::Pending,
                "is out to be delivered and not pending",
            ),
            (self.is_begun && !self.is_leased, "has an attempt under way that nobody makes"),
            (self.attempts > self.tries, "has more attempts spent than made"),
            (!(0..=2).contains(&self.kept), "does not say how much is kept of it"),
            ((self.kept == 0) != self.is_gone, "is gone, or is not"),
            ((self.kept == 0) != self.has_no_call, "has lost its call, or has not"),
            (self.kept < 2 && waits, "waits and was dropped in part"),
            (
                self.kept < 2 && matches!(self.state, State::Dead(_)),
                "is dead and was dropped in part",
            ),
        ]
        .into_iter()
        .filter_map(|(is_broken, words)| is_broken.then_some(words))
    }
}

/// Of what is gone only the name is left, which cannot be checked.
fn wrong_identity(row: &Row<'_>) -> Option<String> {
    let key = || -> Result<Option<SubmissionKey>> {
        let (account, survey) = (text::<Name>(row, 2)?, text::<Name>(row, 3)?);
        if row.get_ref(4)?.as_str()?.is_empty() {
            return Ok(None);
        }
        Ok(Some(SubmissionKey { account, survey, call: text::<CallUuid>(row, 4)? }))
    };
    match key() {
        Ok(None) => None,
        Ok(Some(key)) => {
            let id = key.id();
            let is_named_so =
                matches!(row.get_ref(1), Ok(ValueRef::Blob(named)) if named == id.0.as_bytes());
            (!is_named_so).then(|| format!("should be called {id} by its account, survey and call"))
        }
        Err(_) => Some("has an account, survey or call that there cannot be".to_owned()),
    }
}

/// Of a row that begins with its number and its id.
fn name(row: &Row<'_>) -> String {
    let id = match row.get_ref(1) {
        Ok(ValueRef::Blob(id)) => Uuid::from_slice(id).ok(),
        _ => None,
    };
    match (id, row.get::<_, i64>(0)) {
        (Some(id), _) => id.to_string(),
        (None, Ok(number)) => format!("number {number}"),
        (None, Err(_)) => "without a number".to_owned(),
    }
}

pub(super) fn totals_of(totals: &mut StateCounts) -> [(&'static str, &mut u64); 6] {
    let StateCounts { accepted: _, collecting, pending, delivered, ignored, dead, discarded } =
        totals;
    [
        ("collecting", collecting),
        ("pending", pending),
        ("delivered", delivered),
        ("ignored", ignored),
        ("dead", dead),
        ("discarded", discarded),
    ]
}

fn quoted<const N: usize>(labels: [&str; N]) -> String {
    labels.map(|label| format!("'{label}'")).join(", ")
}
