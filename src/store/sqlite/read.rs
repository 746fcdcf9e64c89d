//! The figures of the ledger, read beside the writer.

use rusqlite::{Connection, OptionalExtension, Result};

use super::columns::{optional_timestamp, text};
use super::{books, holds, lease};
use crate::domain::Name;
use crate::store::contract::Figures;

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
    let (bytes, free_bytes) = size(connection)?;
    Ok(Figures {
        totals: books::read(connection)?,
        oldest_due_at,
        holds: holds::all(connection)?,
        bytes,
        free_bytes,
    })
}

/// Of the file, without its log; pages that are free are written on before it grows.
fn size(connection: &Connection) -> Result<(u64, u64)> {
    connection
        .prepare_cached(
            "SELECT page_count * page_size, freelist_count * page_size
                FROM pragma_page_count, pragma_freelist_count, pragma_page_size",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
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
