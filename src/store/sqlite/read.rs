//! Looking at the ledger without writing it.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::columns::{bound, optional_timestamp, parsed, submission_id, text, timestamp};
use super::{books, holds, lease};
use crate::domain::{Name, State, SubmissionKey};
use crate::store::by_hand::{Cursor, Page, Search};
use crate::store::contract::{Figures, KeptAttempt, SubmissionRow};

pub(super) const FIRST_RETRIED: &str = "SELECT min(first_attempt_at) FROM submissions
    WHERE state IN ('collecting', 'pending') AND first_attempt_at IS NOT NULL";

pub(super) fn figures(connection: &Connection) -> Result<Figures> {
    // Each attempt moves the time that a submission is due; it has been so since the first.
    let mut oldest_due_at = connection
        .prepare_cached(FIRST_RETRIED)?
        .query_row([], |row| optional_timestamp(row, 0))?;
    for account in accounts_waiting(connection)? {
        let due_at = lease::next_due(connection, &account)?;
        oldest_due_at = oldest_due_at.into_iter().chain(due_at).min();
    }
    Ok(Figures { totals: books::read(connection)?, oldest_due_at, holds: holds::all(connection)? })
}

pub(super) const NEXT_ACCOUNT: &str = "SELECT account FROM submissions
    WHERE account > ?1 AND state IN ('collecting', 'pending') AND leased_until IS NULL
    ORDER BY account LIMIT 1";

/// From one account to the next along the index, however many submissions each has.
pub(super) fn accounts_waiting(connection: &Connection) -> Result<Vec<Name>> {
    let mut accounts: Vec<Name> = Vec::new();
    loop {
        let after = accounts.last().map_or("", Name::as_str);
        let next = connection
            .prepare_cached(NEXT_ACCOUNT)?
            .query_row([after], |row| text(row, 0))
            .optional()?;
        match next {
            Some(account) => accounts.push(account),
            None => return Ok(accounts),
        }
    }
}

pub(super) fn search(
    connection: &Connection,
    search: &Search,
    _after: Option<Cursor>,
    limit: usize,
) -> Result<Page> {
    let rows = connection
        .prepare_cached(
            "SELECT s.id, s.account, s.survey, s.call, s.state, s.reason, s.detail, s.accepted_at,
                    s.due_at, s.attempts, s.feedback, s.trace, a.number, a.verdict, a.status,
                    a.api_id, s.settled_at, s.gone_at
                FROM submissions s
                LEFT JOIN attempts a ON a.submission = s.seq AND a.number = s.tries
                WHERE ?1 IS NULL OR s.state = ?1
                ORDER BY s.seq DESC LIMIT ?2",
        )?
        .query_map(params![search.state, bound(limit)], submission)?
        .collect::<Result<_>>()?;
    Ok(Page { rows, next: None })
}

fn submission(row: &Row<'_>) -> Result<SubmissionRow> {
    let (label, reason) = (row.get_ref(4)?.as_str()?, row.get_ref(5)?.as_str_or_null()?);
    let last_attempt = match row.get::<_, Option<u32>>(12)? {
        None => None,
        Some(_) => {
            Some(KeptAttempt { verdict: row.get(13)?, status: row.get(14)?, api_id: row.get(15)? })
        }
    };
    Ok(SubmissionRow {
        id: submission_id(row, 0)?,
        key: SubmissionKey { account: text(row, 1)?, survey: text(row, 2)?, call: text(row, 3)? },
        state: parsed(4, Type::Text, State::from_labels(label, reason))?,
        detail: row.get(6)?,
        accepted_at: timestamp(row, 7)?,
        due_at: timestamp(row, 8)?,
        settled_at: optional_timestamp(row, 16)?,
        gone_at: optional_timestamp(row, 17)?,
        attempts: row.get(9)?,
        last_attempt,
        feedback: row.get(10)?,
        trace: row.get(11)?,
    })
}
