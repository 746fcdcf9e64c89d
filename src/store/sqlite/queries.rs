//! SQL of the queries, which run beside the writer.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row, ToSql, named_params, params};

use super::columns::{clamped, stored, submission_columns, text, timestamp, uuid};
use super::files;
use crate::account::Pause;
use crate::domain::{CallUuid, Name, WebhookId};
use crate::store::backend::Stored;
use crate::store::model::{
    ClockRecord, Cursor, OldestDue, Page, Statistics, StoredWebhook, SubmissionDetail,
    SubmissionFilter, WebhookContent, accepted_at, first_row,
};
use crate::submission::{StateCounts, Submission, SubmissionId, SubmissionKey};

/// Most submissions that one page of a search reads: what is rare among many is found in several
/// pages, each of some ten milliseconds, even where each row has to be fetched from the disk.
const SCAN_MAX: usize = 5000;

/// A row's position, and whether it fits a filter.
macro_rules! scan {
    ($source:literal, $condition:literal) => {
        concat!(
            "SELECT seq,
                    (:state IS NULL OR state = :state)
                    AND (:reason IS NULL OR reason IS :reason)
                    AND (:account IS NULL OR account = :account)
                    AND (:survey IS NULL OR survey = :survey)
                    AND (:source IS NULL OR EXISTS
                        (SELECT 1 FROM webhooks WHERE submission = seq AND source = :source))
                FROM ",
            $source,
            " WHERE ",
            $condition,
            " AND seq >= :first AND seq < :before"
        )
    };
}

/// Parameters of a [`scan!`].
macro_rules! conditions {
    ($filter:ident, $range:ident $(, $name:literal: $value:expr)?) => {
        named_params! {
            ":state": $filter.state,
            ":reason": $filter.reason,
            ":account": $filter.account.as_ref().map(Name::as_str),
            ":survey": $filter.survey.as_ref().map(Name::as_str),
            ":source": $filter.source.as_ref().map(Name::as_str),
            ":first": $range.first,
            ":before": $range.before,
            $($name: $value,)?
        }
    };
}

macro_rules! latest_first {
    ($($scans:expr),+) => { concat!($($scans),+, " ORDER BY seq DESC") };
}

pub(super) const BY_AGE: &str = latest_first!(scan!("submissions", "TRUE"));

/// By the index of an operator's search, in the form that makes SQLite use it.
pub(super) const FAILED: &str = latest_first!(scan!(
    "submissions",
    "(state = 'ignored' OR state = 'dead' OR state = 'discarded') AND state = :state"
));

/// Everything that waits, in flight or not, by the indexes that hold nothing else: all of it is
/// sorted first.
pub(super) const WAITING: &str = latest_first!(
    scan!("submissions INDEXED BY submissions_due", "settled_at IS NULL AND lease_until IS NULL"),
    " UNION ALL ",
    scan!("submissions INDEXED BY submissions_leased", "lease_until IS NOT NULL")
);

pub(super) const ONE: &str = scan!("submissions", "id = :id AND call IS NOT NULL");

pub(super) fn search(
    connection: &Connection,
    filter: &SubmissionFilter,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Page> {
    if limit == 0 {
        return Ok(Page::default());
    }
    let until = filter.until.map(|at| Cursor(first_row(at)));
    let range = Range {
        first: filter.since.map_or(i64::MIN, first_row),
        before: after.into_iter().chain(until).min().map_or(i64::MAX, |cursor| cursor.0),
    };
    let (rows, next) = match &filter.call {
        Some(call) => rows_of_call(connection, call, filter, range, limit)?,
        None => scan(connection, filter, range, filter.read_at_most(limit))?,
    };
    let mut read = Vec::with_capacity(rows.len());
    for row in rows {
        read.push((row, by_row(connection, row)?.submission));
    }
    Ok(filter.page(read, next, limit))
}

/// Rows from `first` to below `before`.
#[derive(Clone, Copy)]
struct Range {
    first: i64,
    before: i64,
}

type Rows = (Vec<i64>, Option<Cursor>);

fn scan(
    connection: &Connection,
    filter: &SubmissionFilter,
    range: Range,
    limit: usize,
) -> Result<Rows> {
    let statement = match filter.state {
        Some("ignored" | "dead" | "discarded") => FAILED,
        Some("collecting" | "pending") if few_wait(connection)? => WAITING,
        _ => BY_AGE,
    };
    let mut statement = connection.prepare_cached(statement)?;
    let mut rows = statement.query(conditions!(filter, range))?;
    let (mut found, mut scanned) = (Vec::new(), 0);
    while let Some(row) = rows.next()? {
        let (seq, fits): (i64, bool) = (row.get(0)?, row.get(1)?);
        scanned += 1;
        if fits {
            found.push(seq);
        }
        if found.len() == limit || scanned == SCAN_MAX {
            let more = rows.next()?.map(|_| Cursor(seq));
            return Ok((found, more));
        }
    }
    Ok((found, None))
}

/// Whether all that waits fits in a page.
fn few_wait(connection: &Connection) -> Result<bool> {
    Ok(counts(connection)?.waiting() <= SCAN_MAX as u64)
}

fn rows_of_call(
    connection: &Connection,
    call: &CallUuid,
    filter: &SubmissionFilter,
    range: Range,
    limit: usize,
) -> Result<Rows> {
    let mut found: Vec<i64> = Vec::new();
    for id in possible_ids(connection, call)? {
        let row = connection
            .prepare_cached(ONE)?
            .query_row(conditions!(filter, range, ":id": id.0.as_bytes()), |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        found.extend(row.filter(|(_, fits)| *fits).map(|(seq, _): (i64, bool)| seq));
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    let next = (found.len() > limit).then(|| Cursor(found[limit - 1]));
    found.truncate(limit);
    Ok((found, next))
}

/// Ids that submissions about a call have, or would have.
fn possible_ids(connection: &Connection, call: &CallUuid) -> Result<Vec<SubmissionId>> {
    let mut scopes = connection.prepare_cached("SELECT account, survey FROM scopes")?;
    let mut rows = scopes.query([])?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next()? {
        // Names that are none have no submissions.
        if let (Ok(account), Ok(survey)) = (text(row, 0), text(row, 1)) {
            ids.push(SubmissionKey { account, survey, call: call.clone() }.id());
        }
    }
    Ok(ids)
}

/// The submissions about a call, without those that were erased.
pub(super) fn of_call(connection: &Connection, call: &CallUuid) -> Result<Vec<SubmissionId>> {
    let mut known = Vec::new();
    for id in possible_ids(connection, call)? {
        let mut exists = connection
            .prepare_cached("SELECT 1 FROM submissions WHERE id = ?1 AND call IS NOT NULL")?;
        if exists.exists([id.0.as_bytes()])? {
            known.push(id);
        }
    }
    Ok(known)
}

/// # Errors
/// There is no such row, among others.
pub(super) fn by_row(connection: &Connection, row: i64) -> Result<Stored> {
    let statement = concat!("SELECT ", submission_columns!(), " FROM submissions WHERE seq = ?1");
    connection.prepare_cached(statement)?.query_row([row], stored)
}

pub(super) fn by_id(connection: &Connection, id: SubmissionId) -> Result<Option<Stored>> {
    let statement = concat!("SELECT ", submission_columns!(), " FROM submissions WHERE id = ?1");
    connection.prepare_cached(statement)?.query_row([id.0.as_bytes()], stored).optional()
}

pub(super) fn load(connection: &Connection, ids: &[SubmissionId]) -> Result<Vec<Submission>> {
    let mut found = Vec::new();
    for id in ids {
        found.extend(by_id(connection, *id)?.map(|found| found.submission));
    }
    Ok(found)
}

pub(super) fn find(connection: &Connection, id: SubmissionId) -> Result<Option<SubmissionDetail>> {
    let Some(Stored { row, submission, .. }) = by_id(connection, id)? else { return Ok(None) };
    // One that cannot be read counts among those that are not shown.
    let webhooks = connection
        .prepare_cached(
            "SELECT id, source, outcome, method, received_at, query, body FROM webhooks
                WHERE submission = ?1 ORDER BY received_at, id LIMIT ?2",
        )?
        .query_map(params![row, SubmissionDetail::WEBHOOKS_MAX], |row| Ok(webhook(row).ok()))?
        .filter_map(Result::transpose)
        .collect::<Result<Vec<_>>>()?;
    let kept: usize = connection
        .prepare_cached("SELECT count(*) FROM webhooks WHERE submission = ?1")?
        .query_row([row], |row| row.get(0))?;
    let webhooks_truncated = kept.saturating_sub(webhooks.len());
    Ok(Some(SubmissionDetail { submission, webhooks, webhooks_truncated }))
}

fn webhook(row: &Row<'_>) -> Result<StoredWebhook> {
    let body: Option<Vec<u8>> = row.get(6)?;
    let query = row.get(5)?;
    Ok(StoredWebhook {
        id: WebhookId(uuid(row, 0)?),
        source: text(row, 1)?,
        outcome: row.get(2)?,
        method: row.get(3)?,
        received_at: timestamp(row, 4)?,
        content: body.map(|body| WebhookContent { query, body }),
    })
}

pub(super) fn counts(connection: &Connection) -> Result<StateCounts> {
    connection
        .prepare_cached(
            "SELECT accepted, collecting, pending, delivered, ignored, dead, discarded
                FROM state_counts",
        )?
        .query_row([], |row| {
            Ok(StateCounts {
                accepted: row.get(0)?,
                collecting: row.get(1)?,
                pending: row.get(2)?,
                delivered: row.get(3)?,
                ignored: row.get(4)?,
                dead: row.get(5)?,
                discarded: row.get(6)?,
            })
        })
}

pub(super) const FIRST_RETRIED: &str = "SELECT min(due_since) FROM submissions
    WHERE account = ?1 AND settled_at IS NULL AND lease_until IS NULL AND due_since IS NOT NULL";

/// What is in flight is little, whatever waits.
pub(super) const FIRST_IN_FLIGHT: &str = "SELECT account, min(due_since) FROM submissions
    INDEXED BY submissions_leased WHERE lease_until IS NOT NULL GROUP BY account";

pub(super) const OVERDUE_RETRIED: &str = "SELECT count(*) FROM submissions
    WHERE account = ?1 AND due_since > ?2 AND due_since <= ?3
    AND settled_at IS NULL AND lease_until IS NULL AND due_since IS NOT NULL";

pub(super) const OVERDUE_IN_FLIGHT: &str = "SELECT account, count(*) FROM submissions
    INDEXED BY submissions_leased
    WHERE lease_until IS NOT NULL AND due_since > ?1 AND due_since <= ?2 GROUP BY account";

pub(super) const OVERDUE_UNTRIED: &str = "SELECT count(*) FROM submissions
    INDEXED BY submissions_due
    WHERE account = ?1 AND due_at > ?2 AND due_at <= ?3
    AND settled_at IS NULL AND lease_until IS NULL AND due_since IS NULL";

pub(super) const FIRST_DUE: &str = "SELECT min(due_at) FROM submissions
    WHERE account = ?1 AND settled_at IS NULL AND lease_until IS NULL";

pub(super) const CLOCK: &str = "SELECT only, trusted_at, wall_at, unconfirmed_us FROM clock";

pub(super) fn clock(connection: &Connection) -> Result<Option<ClockRecord>> {
    match connection.prepare_cached(CLOCK)?.query_row([], clock_record).optional() {
        // The row is at fault, and the file is read.
        Err(error) if error.sqlite_error_code().is_none() => {
            tracing::error!(
                %error,
                "what was recorded of the clock cannot be read, and is recorded again"
            );
            Ok(None)
        }
        record => record,
    }
}

pub(super) fn oldest_accepted_at(connection: &Connection) -> Result<Option<Timestamp>> {
    let first: Option<i64> =
        connection.query_row("SELECT min(seq) FROM submissions", [], |row| row.get(0))?;
    Ok(first.map(accepted_at))
}

/// # Errors
/// The row is not what was written.
pub(super) fn clock_record(row: &Row<'_>) -> Result<ClockRecord> {
    Ok(ClockRecord {
        trusted: timestamp(row, 1)?,
        wall: timestamp(row, 2)?,
        unconfirmed_for: row.get::<_, Option<u64>>(3)?.map(Duration::from_micros),
    })
}

pub(super) fn statistics(connection: &Connection) -> Result<Statistics> {
    let first = |statement: &str, account: &Name| {
        connection
            .prepare_cached(statement)?
            .query_row([account.as_str()], |row| Ok(row.get::<_, Option<i64>>(0)?.map(clamped)))
    };
    let pauses = pauses(connection)?;
    let is_paused = |account: &Name| pauses.iter().any(|(paused, _)| paused == account);
    let mut oldest_due = OldestDue::default();
    // Each attempt moves the time at which a submission is due; it has been due since it first was.
    for (account, due_since) in of_accounts(connection, FIRST_IN_FLIGHT, &[])? {
        let place =
            if is_paused(&account) { &mut oldest_due.paused } else { &mut oldest_due.retry };
        OldestDue::add(place, Some(clamped(due_since)));
    }
    for account in accounts_waiting(connection)? {
        let retried = first(FIRST_RETRIED, &account)?;
        let due_at = first(FIRST_DUE, &account)?;
        if is_paused(&account) {
            OldestDue::add(&mut oldest_due.paused, retried);
            OldestDue::add(&mut oldest_due.paused, due_at);
        } else {
            OldestDue::add(&mut oldest_due.retry, retried);
            OldestDue::add(&mut oldest_due.waiting, due_at);
        }
    }
    let (bytes, free_bytes) = size(connection)?;
    let file_system = connection.path().and_then(|path| files::file_system(Path::new(path)));
    Ok(Statistics {
        counts: counts(connection)?,
        oldest_due,
        pauses,
        bytes,
        free_bytes,
        file_system,
    })
}

pub(super) fn overdue(
    connection: &Connection,
    after: Timestamp,
    until: Timestamp,
) -> Result<Vec<(Name, u64)>> {
    let (after, until) = (after.as_microsecond(), until.as_microsecond());
    let mut overdue: BTreeMap<Name, u64> = BTreeMap::new();
    for (account, count) in of_accounts(connection, OVERDUE_IN_FLIGHT, &[&after, &until])? {
        *overdue.entry(account).or_default() += count.unsigned_abs();
    }
    for account in accounts_waiting(connection)? {
        for statement in [OVERDUE_RETRIED, OVERDUE_UNTRIED] {
            let count: u64 = connection
                .prepare_cached(statement)?
                .query_row(params![account.as_str(), after, until], |row| row.get(0))?;
            *overdue.entry(account.clone()).or_default() += count;
        }
    }
    overdue.retain(|_, count| *count > 0);
    Ok(overdue.into_iter().collect())
}

/// A figure of each account that a statement finds.
fn of_accounts(
    connection: &Connection,
    statement: &str,
    values: &[&dyn ToSql],
) -> Result<Vec<(Name, i64)>> {
    let mut statement = connection.prepare_cached(statement)?;
    let mut rows = statement.query(values)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        // What is no name is that of no account.
        let (Ok(account), Some(figure)) = (text(row, 0), row.get(1)?) else { continue };
        found.push((account, figure));
    }
    Ok(found)
}

/// Of the file, without its log; pages that are free are reused before it grows.
fn size(connection: &Connection) -> Result<(u64, u64)> {
    connection
        .prepare_cached(
            "SELECT page_count * page_size, freelist_count * page_size
                FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

fn pauses(connection: &Connection) -> Result<Vec<(Name, crate::account::PauseReason)>> {
    let mut pauses =
        connection.prepare_cached("SELECT account, pause FROM pauses ORDER BY account")?;
    let mut rows = pauses.query([])?;
    let mut in_force = Vec::new();
    while let Some(row) = rows.next()? {
        // What is no name is that of no account.
        let Ok(account) = text(row, 0) else { continue };
        let pause = serde_json::from_slice(row.get_ref(1)?.as_bytes()?);
        // The next claim for the account writes it again, with a time.
        let pause = pause.unwrap_or_else(|_| Pause::unreadable(Timestamp::UNIX_EPOCH));
        in_force.extend(pause.reason().map(|reason| (account, reason)));
    }
    Ok(in_force)
}

pub(super) const NEXT_ACCOUNT: &str = "SELECT account FROM submissions
    WHERE account > CAST(?1 AS TEXT) AND settled_at IS NULL AND lease_until IS NULL
    ORDER BY account LIMIT 1";

/// What waits of an account that is no name.
pub(super) const WAITING_OF: &str = "SELECT seq FROM submissions
    WHERE account = CAST(?1 AS TEXT) AND settled_at IS NULL AND lease_until IS NULL LIMIT ?2";

pub(super) fn accounts_waiting(connection: &Connection) -> Result<Vec<Name>> {
    let texts = account_texts_waiting(connection)?;
    Ok(texts.iter().filter_map(|text| name(text)).collect())
}

pub(super) fn name(text: &[u8]) -> Option<Name> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// From one account to the next along the index, however many submissions each has; what they have
/// for an account need be no name, nor UTF-8.
pub(super) fn account_texts_waiting(connection: &Connection) -> Result<Vec<Vec<u8>>> {
    let mut accounts: Vec<Vec<u8>> = Vec::new();
    loop {
        let after = accounts.last().map_or(&[][..], Vec::as_slice);
        let next = connection
            .prepare_cached(NEXT_ACCOUNT)?
            .query_row([after], |row| Ok(row.get_ref(0)?.as_bytes()?.to_owned()))
            .optional()?;
        match next {
            Some(account) => accounts.push(account),
            None => return Ok(accounts),
        }
    }
}
