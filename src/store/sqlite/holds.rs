//! Accounts that wait for better settings.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::columns::{between, micros, optional_timestamp, text, timestamp};
use crate::domain::{Attempt, HoldCause, Name};
use crate::store::contract::Hold;

/// An account that is, or was, held.
pub(super) struct Known {
    since: Option<Timestamp>,
    next_probe_at: Timestamp,
    held: Duration,
}

impl Known {
    /// When a submission may find out whether the account can resume; `None` where it has.
    pub fn probe_at(&self) -> Option<Timestamp> {
        self.since.map(|_| self.next_probe_at)
    }

    /// How long the account was ever held, until `now`.
    pub fn held_in_all(&self, now: Timestamp) -> Duration {
        self.held + self.since.map_or(Duration::ZERO, |since| between(since, now))
    }
}

pub(super) fn of_account(connection: &Connection, account: &Name) -> Result<Option<Known>> {
    connection
        .prepare_cached("SELECT since, probe_at, held_us FROM holds WHERE account = ?1")?
        .query_row([account.as_str()], |row| {
            Ok(Known {
                since: optional_timestamp(row, 0)?,
                next_probe_at: timestamp(row, 1)?,
                held: Duration::from_micros(row.get(2)?),
            })
        })
        .optional()
}

/// The next probe of a held account may be made from then on: later once one is handed out, at
/// once where it was settled without asking anybody.
pub(super) fn probe_from(connection: &Connection, account: &Name, at: Timestamp) -> Result<()> {
    connection
        .prepare_cached("UPDATE holds SET probe_at = ?2 WHERE account = ?1")?
        .execute(params![account.as_str(), micros(at)])?;
    Ok(())
}

/// Holds the account, or tells once more why it is held.
pub(super) fn hold(
    connection: &Connection,
    account: &Name,
    cause: HoldCause,
    attempt: &Attempt,
    probe_at: Timestamp,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO holds (account, since, probe_at, status, detail, cause)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                ON CONFLICT (account) DO UPDATE SET
                    since = coalesce(since, excluded.since), probe_at = excluded.probe_at,
                    status = excluded.status, detail = excluded.detail, cause = excluded.cause",
        )?
        .execute(params![
            account.as_str(),
            micros(attempt.finished_at),
            micros(probe_at),
            attempt.reply.status,
            attempt.reply.text,
            cause.label(),
        ])?;
    Ok(())
}

/// The account was heard: it resumes.
pub(super) fn lift(connection: &Connection, account: &Name, at: Timestamp) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE holds SET held_us = held_us + max(0, ?2 - since), since = NULL
                WHERE account = ?1 AND since IS NOT NULL",
        )?
        .execute(params![account.as_str(), micros(at)])?;
    Ok(())
}

pub(super) fn all(connection: &Connection) -> Result<Vec<Hold>> {
    connection
        .prepare_cached(
            "SELECT account, since, status, detail, cause FROM holds
                WHERE since IS NOT NULL ORDER BY account",
        )?
        .query_map([], |row| {
            Ok(Hold {
                account: text(row, 0)?,
                since: timestamp(row, 1)?,
                status: row.get(2)?,
                detail: row.get(3)?,
                cause: text(row, 4)?,
            })
        })?
        .collect()
}
