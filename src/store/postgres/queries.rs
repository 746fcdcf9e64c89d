//! SQL of the queries, which run beside the writer.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::columns::{Columns, clamped, limit, submission_columns};
use super::connection::{Statement, pipeline};
use super::error::PgError;
use crate::account::{Pause, PauseReason};
use crate::domain::{CallUuid, Name, WebhookId};
use crate::store::model::{
    ClockRecord, Cursor, OldestDue, Page, Statistics, StoredWebhook, SubmissionDetail,
    SubmissionFilter, WebhookContent, accepted_at, first_row,
};
use crate::submission::{StateCounts, Submission, SubmissionId, SubmissionKey};

type Result<T> = std::result::Result<T, PgError>;

/// How long one round trip of a query may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// What a query reads in several steps is all of one moment, whatever is written meanwhile.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                     SET LOCAL statement_timeout = '10s'; \
                     SET LOCAL idle_in_transaction_session_timeout = '15s'";

/// Most submissions that one page of a search reads: what is rare among many is found in several
/// pages.
const SCAN_MAX: usize = 5000;

/// A transaction that only reads.
pub(super) struct Reading<'a>(&'a Client);

impl<'a> Reading<'a> {
    pub async fn begin(client: &'a Client) -> Result<Self> {
        pipeline(client, &[Statement::batch(BEGIN)], TIMEOUT).await?;
        Ok(Self(client))
    }

    /// Ends it; what was read needs no commit.
    pub async fn end(self) -> Result<()> {
        pipeline(self.0, &[Statement::batch("COMMIT")], TIMEOUT).await.map(drop)
    }

    async fn all(&self, statements: &[Statement]) -> Result<Vec<Vec<Row>>> {
        pipeline(self.0, statements, TIMEOUT).await
    }

    pub async fn rows(&self, statement: Statement) -> Result<Vec<Row>> {
        Ok(self.all(&[statement]).await?.pop().unwrap_or_default())
    }
}

// Not EXISTS: PostgreSQL would read all webhooks of a source into a hash first.
macro_rules! conditions {
    () => {
        "($1::text IS NULL OR s.state = $1)
            AND ($2::text IS NULL OR s.reason IS NOT DISTINCT FROM $2)
            AND ($3::text IS NULL OR s.account = $3)
            AND ($4::text IS NULL OR s.survey = $4)
            AND ($5::text IS NULL OR
                (SELECT TRUE FROM webhooks AS w
                    WHERE w.submission = s.seq AND w.source = $5 LIMIT 1))"
    };
}

/// Of at most so many rows, the numbers of those that fit, the latest first, and how far was read.
macro_rules! scan {
    ($condition:literal) => {
        concat!(
            "WITH more AS MATERIALIZED
                (SELECT s.seq, s.state, s.reason, s.account, s.survey FROM submissions AS s
                    WHERE ",
            $condition,
            " AND s.seq >= $6 AND s.seq < $7 ORDER BY s.seq DESC LIMIT $8 + 1),
            s AS (SELECT * FROM more ORDER BY seq DESC LIMIT $8),
            found AS (SELECT s.seq FROM s WHERE ",
            conditions!(),
            " ORDER BY s.seq DESC LIMIT $9)
            SELECT ARRAY(SELECT seq FROM found ORDER BY seq DESC), (SELECT min(seq) FROM s),
                (SELECT min(seq) FROM more)"
        )
    };
}

pub(super) const BY_AGE: &str = scan!("TRUE");
pub(super) const FAILED: &str =
    scan!("s.state IN ('ignored', 'dead', 'discarded') AND s.state = $1");
pub(super) const WAITING: &str = scan!("EXISTS (SELECT 1 FROM due WHERE due.seq = s.seq)");

const OF_CALL: &str = concat!(
    "SELECT s.seq FROM submissions AS s WHERE s.id = ANY($8) AND s.call IS NOT NULL AND ",
    conditions!(),
    " AND s.seq >= $6 AND s.seq < $7 ORDER BY s.seq DESC"
);

pub(super) const BY_ROW: &str =
    concat!("SELECT ", submission_columns!(), " FROM submissions WHERE seq = ANY($1)");
pub(super) const BY_ID: &str =
    concat!("SELECT ", submission_columns!(), " FROM submissions WHERE id = ANY($1)");

/// From one account to the next along the index, however many submissions each has.
macro_rules! accounts_waiting {
    () => {
        "WITH RECURSIVE accounts (account) AS (
            (SELECT account FROM due WHERE lease_until IS NULL ORDER BY account LIMIT 1)
            UNION ALL
            SELECT (SELECT account FROM due
                    WHERE lease_until IS NULL AND account > accounts.account
                    ORDER BY account LIMIT 1)
                FROM accounts WHERE account IS NOT NULL)"
    };
}

pub(super) const ACCOUNTS_WAITING: &str =
    concat!(accounts_waiting!(), " SELECT account FROM accounts WHERE account IS NOT NULL");

/// Each attempt moves the time at which a submission is due; it has been due since it first was.
const FIRST_WAITING: &str = concat!(
    accounts_waiting!(),
    " SELECT account,
        (SELECT due_since FROM due WHERE due.account = accounts.account AND lease_until IS NULL
            AND due_since IS NOT NULL ORDER BY due_since LIMIT 1),
        (SELECT due_at FROM due WHERE due.account = accounts.account AND lease_until IS NULL
            ORDER BY due_at LIMIT 1)
        FROM accounts WHERE account IS NOT NULL"
);

const FIRST_IN_FLIGHT: &str = "SELECT account, min(due_since) FROM due
    WHERE lease_until IS NOT NULL GROUP BY account";

const OVERDUE_WAITING: &str = concat!(
    accounts_waiting!(),
    " SELECT account,
        (SELECT count(*) FROM due WHERE due.account = accounts.account AND lease_until IS NULL
            AND due_since IS NOT NULL AND due_since > $1 AND due_since <= $2)
        + (SELECT count(*) FROM due WHERE due.account = accounts.account AND lease_until IS NULL
            AND due_since IS NULL AND due_at > $1 AND due_at <= $2)
        FROM accounts WHERE account IS NOT NULL"
);

const OVERDUE_IN_FLIGHT: &str = "SELECT account, count(*) FROM due
    WHERE lease_until IS NOT NULL AND due_since > $1 AND due_since <= $2 GROUP BY account";

/// Also the lead that has ended counts: an account that nothing is claimed of, because it is paused, is
/// still one replica's to report.
const LED_BY_OTHERS: &str = "SELECT account FROM leaders WHERE replica <> $1";

pub(super) const COUNTS: &str = "SELECT coalesce(sum(accepted), 0)::bigint,
        coalesce(sum(collecting), 0)::bigint, coalesce(sum(pending), 0)::bigint,
        coalesce(sum(delivered), 0)::bigint, coalesce(sum(ignored), 0)::bigint,
        coalesce(sum(dead), 0)::bigint, coalesce(sum(discarded), 0)::bigint
    FROM state_counts";

/// The store's own tables with their indexes: there may be others in the database.
const SIZE: &str = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0)::bigint FROM pg_class
    WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace";

/// A row that was selected by [`COUNTS`].
pub(super) fn counts_of(row: &Row) -> Result<StateCounts> {
    let count = |column| -> Result<u64> {
        Ok(u64::try_from(row.try_get::<_, i64>(column)?).unwrap_or_default())
    };
    Ok(StateCounts {
        accepted: count(0)?,
        collecting: count(1)?,
        pending: count(2)?,
        delivered: count(3)?,
        ignored: count(4)?,
        dead: count(5)?,
        discarded: count(6)?,
    })
}

pub(super) async fn counts(reading: &Reading<'_>) -> Result<StateCounts> {
    let rows = reading.rows(Statement::new(COUNTS)).await?;
    rows.first().map_or(Ok(StateCounts::default()), counts_of)
}

/// A statement with the values of [`conditions!`] and of a range.
fn filtered(sql: &'static str, filter: &SubmissionFilter, first: i64, before: i64) -> Statement {
    let name = |name: &Option<Name>| name.as_ref().map(|name| name.as_str().to_owned());
    Statement::new(sql)
        .with(filter.state, Type::TEXT)
        .with(filter.reason.clone(), Type::TEXT)
        .with(name(&filter.account), Type::TEXT)
        .with(name(&filter.survey), Type::TEXT)
        .with(name(&filter.source), Type::TEXT)
        .with(first, Type::INT8)
        .with(before, Type::INT8)
}

pub(super) async fn search(
    reading: &Reading<'_>,
    filter: &SubmissionFilter,
    after: Option<Cursor>,
    most: usize,
) -> Result<Page> {
    if most == 0 {
        return Ok(Page::default());
    }
    let until = filter.until.map(|at| Cursor(first_row(at)));
    let first = filter.since.map_or(i64::MIN, first_row);
    let before = after.into_iter().chain(until).min().map_or(i64::MAX, |cursor| cursor.0);
    let (rows, next) = match &filter.call {
        Some(call) => {
            let ids: Vec<Uuid> =
                possible_ids(reading, call).await?.into_iter().map(|id| id.0).collect();
            let statement = filtered(OF_CALL, filter, first, before).with(ids, Type::UUID_ARRAY);
            let found = reading.rows(statement).await?;
            let mut rows: Vec<i64> =
                found.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
            let next = (rows.len() > most).then(|| Cursor(rows[most - 1]));
            rows.truncate(most);
            (rows, next)
        }
        None => scan(reading, filter, first, before, filter.read_at_most(most)).await?,
    };
    let found = reading.rows(Statement::new(BY_ROW).with(rows, Type::INT8_ARRAY)).await?;
    let mut found: Vec<Columns> = found.iter().map(Columns::read).collect::<Result<_>>()?;
    found.sort_unstable_by_key(|columns| std::cmp::Reverse(columns.seq));
    let read = found.into_iter().map(|columns| (columns.seq, columns.stored().submission));
    Ok(filter.page(read.collect(), next, most))
}

async fn scan(
    reading: &Reading<'_>,
    filter: &SubmissionFilter,
    first: i64,
    before: i64,
    most: usize,
) -> Result<(Vec<i64>, Option<Cursor>)> {
    let sql = match filter.state {
        Some("ignored" | "dead" | "discarded") => FAILED,
        Some("collecting" | "pending") if counts(reading).await?.waiting() <= SCAN_MAX as u64 => {
            WAITING
        }
        _ => BY_AGE,
    };
    let statement = filtered(sql, filter, first, before)
        .with(limit(SCAN_MAX), Type::INT8)
        .with(limit(most), Type::INT8);
    let rows = reading.rows(statement).await?;
    let row = &rows[0];
    let found: Vec<i64> = row.try_get(0)?;
    let [scanned_to, more_to]: [Option<i64>; 2] = [row.try_get(1)?, row.try_get(2)?];
    // Where the page ends: at the last that was found, or where the scan was stopped.
    let end = if found.len() == most { found.last().copied() } else { scanned_to };
    let next = end.filter(|end| more_to.is_some_and(|more| more < *end)).map(Cursor);
    Ok((found, next))
}

/// Ids that submissions about a call have, or would have.
async fn possible_ids(reading: &Reading<'_>, call: &CallUuid) -> Result<Vec<SubmissionId>> {
    let scopes = reading.rows(Statement::new("SELECT account, survey FROM scopes")).await?;
    let mut ids = Vec::new();
    for row in &scopes {
        let (account, survey): (&str, &str) = (row.try_get(0)?, row.try_get(1)?);
        // Names that are none have no submissions.
        if let (Ok(account), Ok(survey)) = (account.parse(), survey.parse()) {
            ids.push(SubmissionKey { account, survey, call: call.clone() }.id());
        }
    }
    Ok(ids)
}

/// The submissions about a call, without those that were erased.
pub(super) async fn of_call(reading: &Reading<'_>, call: &CallUuid) -> Result<Vec<SubmissionId>> {
    let possible = possible_ids(reading, call).await?;
    let ids: Vec<Uuid> = possible.iter().map(|id| id.0).collect();
    let known =
        Statement::new("SELECT id FROM submissions WHERE id = ANY($1) AND call IS NOT NULL")
            .with(ids, Type::UUID_ARRAY);
    let known: Vec<Uuid> =
        reading.rows(known).await?.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_>>()?;
    Ok(possible.into_iter().filter(|id| known.contains(&id.0)).collect())
}

async fn by_ids(reading: &Reading<'_>, ids: &[SubmissionId]) -> Result<Vec<Columns>> {
    let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = reading.rows(Statement::new(BY_ID).with(ids, Type::UUID_ARRAY)).await?;
    rows.iter().map(Columns::read).collect()
}

pub(super) async fn load(reading: &Reading<'_>, ids: &[SubmissionId]) -> Result<Vec<Submission>> {
    let found = by_ids(reading, ids).await?;
    // In the order in which they were asked for.
    let of = |id: &SubmissionId| found.iter().find(|columns| columns.id == id.0).cloned();
    Ok(ids.iter().filter_map(of).map(|columns| columns.stored().submission).collect())
}

pub(super) async fn find(
    reading: &Reading<'_>,
    id: SubmissionId,
) -> Result<Option<SubmissionDetail>> {
    let Some(columns) = by_ids(reading, &[id]).await?.pop() else { return Ok(None) };
    let stored = columns.stored();
    let webhooks = Statement::new(
        "SELECT id, source, outcome, method, received_at, query, body FROM webhooks
            WHERE submission = $1 ORDER BY received_at, id LIMIT $2",
    )
    .with(stored.row, Type::INT8)
    .with(limit(SubmissionDetail::WEBHOOKS_MAX), Type::INT8);
    let kept = Statement::new("SELECT count(*) FROM webhooks WHERE submission = $1")
        .with(stored.row, Type::INT8);
    let results = reading.all(&[webhooks, kept]).await?;
    // One that cannot be read counts among those that are not shown.
    let webhooks: Vec<StoredWebhook> =
        results[0].iter().filter_map(|row| webhook(row).transpose()).collect::<Result<_>>()?;
    let kept: i64 = results[1][0].try_get(0)?;
    let webhooks_truncated = usize::try_from(kept).unwrap_or(0).saturating_sub(webhooks.len());
    Ok(Some(SubmissionDetail { submission: stored.submission, webhooks, webhooks_truncated }))
}

fn webhook(row: &Row) -> Result<Option<StoredWebhook>> {
    let source: &str = row.try_get(1)?;
    let received_at = Timestamp::from_microsecond(row.try_get(4)?);
    let (Ok(source), Ok(received_at)) = (source.parse(), received_at) else { return Ok(None) };
    let (query, body): (Option<String>, Option<Vec<u8>>) = (row.try_get(5)?, row.try_get(6)?);
    Ok(Some(StoredWebhook {
        id: WebhookId(row.try_get(0)?),
        source,
        outcome: row.try_get(2)?,
        method: row.try_get(3)?,
        received_at,
        content: body.map(|body| WebhookContent { query, body }),
    }))
}

pub(super) async fn clock(reading: &Reading<'_>) -> Result<Option<ClockRecord>> {
    let record = Statement::new("SELECT trusted_at, wall_at, unconfirmed_us FROM clock");
    let rows = reading.rows(record).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let times = [row.try_get(0)?, row.try_get(1)?].map(Timestamp::from_microsecond);
    let [Ok(trusted), Ok(wall)] = times else {
        tracing::error!("what was recorded of the clock cannot be read, and is recorded again");
        return Ok(None);
    };
    let unconfirmed: Option<i64> = row.try_get(2)?;
    let unconfirmed_for = unconfirmed.and_then(|us| u64::try_from(us).ok());
    let unconfirmed_for = unconfirmed_for.map(Duration::from_micros);
    Ok(Some(ClockRecord { trusted, wall, unconfirmed_for }))
}

pub(super) async fn oldest_accepted_at(reading: &Reading<'_>) -> Result<Option<Timestamp>> {
    let rows = reading.rows(Statement::new("SELECT min(seq) FROM submissions")).await?;
    let first: Option<i64> = rows.first().map(|row| row.try_get(0)).transpose()?.flatten();
    Ok(first.map(accepted_at))
}

pub(super) async fn accounts_waiting(reading: &Reading<'_>) -> Result<Vec<Name>> {
    let rows = reading.rows(Statement::new(ACCOUNTS_WAITING)).await?;
    let names = rows.iter().map(|row| Ok(row.try_get::<_, &str>(0)?.parse().ok()));
    let mut names: Vec<Name> = names.filter_map(Result::transpose).collect::<Result<_>>()?;
    // The database's own order depends on its locale.
    names.sort_unstable();
    Ok(names)
}

pub(super) async fn statistics(reading: &Reading<'_>) -> Result<Statistics> {
    let results = reading
        .all(&[
            Statement::new(COUNTS),
            Statement::new(FIRST_WAITING),
            Statement::new(FIRST_IN_FLIGHT),
            Statement::new("SELECT account, pause FROM pauses"),
            Statement::new(SIZE),
        ])
        .await?;
    let counts = counts_of(&results[0][0])?;
    let pauses = pauses(&results[3])?;
    let is_paused = |account: &Name| pauses.iter().any(|(paused, _)| paused == account);
    let mut oldest_due = OldestDue::default();
    let time = |row: &Row, column| -> Result<Option<Timestamp>> {
        Ok(row.try_get::<_, Option<i64>>(column)?.map(clamped))
    };
    for row in &results[2] {
        // What is no name is that of no account.
        let Ok(account) = row.try_get::<_, &str>(0)?.parse() else { continue };
        let place =
            if is_paused(&account) { &mut oldest_due.paused } else { &mut oldest_due.retry };
        OldestDue::add(place, time(row, 1)?);
    }
    for row in &results[1] {
        let Ok(account) = row.try_get::<_, &str>(0)?.parse() else { continue };
        let (retried, due_at) = (time(row, 1)?, time(row, 2)?);
        if is_paused(&account) {
            OldestDue::add(&mut oldest_due.paused, retried);
            OldestDue::add(&mut oldest_due.paused, due_at);
        } else {
            OldestDue::add(&mut oldest_due.retry, retried);
            OldestDue::add(&mut oldest_due.waiting, due_at);
        }
    }
    let bytes: i64 = results[4][0].try_get(0)?;
    Ok(Statistics {
        counts,
        oldest_due,
        pauses,
        bytes: u64::try_from(bytes).unwrap_or_default(),
        // Vacuum makes room within the tables; how much is not known without reading them.
        free_bytes: 0,
        file_system: None,
    })
}

/// For a replica; `None` is no replica, and asks for all accounts.
pub(super) async fn overdue(
    reading: &Reading<'_>,
    slot: Option<i64>,
    after: Timestamp,
    until: Timestamp,
) -> Result<Vec<(Name, u64)>> {
    let statement = |sql| {
        let (after, until) = (after.as_microsecond(), until.as_microsecond());
        Statement::new(sql).with(after, Type::INT8).with(until, Type::INT8)
    };
    let results = reading.all(&[OVERDUE_WAITING, OVERDUE_IN_FLIGHT].map(statement)).await?;
    let mut overdue: BTreeMap<Name, u64> = BTreeMap::new();
    for row in results.iter().flatten() {
        let Ok(account) = row.try_get::<_, &str>(0)?.parse() else { continue };
        *overdue.entry(account).or_default() += row.try_get::<_, i64>(1)?.unsigned_abs();
    }
    if let Some(slot) = slot {
        let others = reading.all(&[Statement::new(LED_BY_OTHERS).with(slot, Type::INT8)]).await?;
        for row in others.iter().flatten() {
            overdue.remove(row.try_get::<_, &str>(0)?);
        }
    }
    overdue.retain(|_, count| *count > 0);
    Ok(overdue.into_iter().collect())
}

fn pauses(rows: &[Row]) -> Result<Vec<(Name, PauseReason)>> {
    let mut in_force = Vec::new();
    for row in rows {
        // What is no name is that of no account.
        let Ok(account) = row.try_get::<_, &str>(0)?.parse::<Name>() else { continue };
        let pause = serde_json::from_str(row.try_get(1)?);
        // The next claim for the account writes it again, with a time.
        let pause: Pause = pause.unwrap_or_else(|_| Pause::unreadable(Timestamp::UNIX_EPOCH));
        in_force.extend(pause.reason().map(|reason| (account, reason)));
    }
    in_force.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    Ok(in_force)
}
