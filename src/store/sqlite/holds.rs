//! Accounts that wait for better settings.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::columns::{between, micros, optional_timestamp, text, timestamp};
use crate::account::PauseCause;
use crate::domain::{Attempt, Name};
use crate::store::contract::Hold;

/// An account that is, or was, held.
pub(super) struct Known {
    since: Option<Timestamp>,
    cause: PauseCause,
    next_probe_at: Timestamp,
    held: Duration,
}

/// What an account gives.
#[derive(Clone, Copy)]
pub(super) enum Standing {
    Free,
    /// One submission at a time may find out, from then on, whether it can resume.
    Held {
        probe_at: Timestamp,
    },
    /// Nothing, until a person resumes it.
    HeldByHand,
}

impl Known {
    pub fn standing(&self) -> Standing {
        match self.since {
            None => Standing::Free,
            Some(_) if self.cause.is_probed() => Standing::Held { probe_at: self.next_probe_at },
            Some(_) => Standing::HeldByHand,
        }
    }

    /// Why the account is held, where it is.
    pub fn held_for(&self) -> Option<PauseCause> {
        self.since.map(|_| self.cause)
    }

    /// How long the account was ever held, until `now`.
    pub fn held_in_all(&self, now: Timestamp) -> Duration {
        self.held + self.since.map_or(Duration::ZERO, |since| between(since, now))
    }
}

pub(super) fn of_account(connection: &Connection, account: &Name) -> Result<Option<Known>> {
    connection
        .prepare_cached("SELECT since, probe_at, held_us, cause FROM holds WHERE account = ?1")?
        .query_row([account.as_str()], |row| {
            Ok(Known {
                since: optional_timestamp(row, 0)?,
                next_probe_at: timestamp(row, 1)?,
                held: Duration::from_micros(row.get(2)?),
                cause: text(row, 3)?,
            })
        })
        .optional()
}

/// The next probe of a held account may be made from then on: later once one is handed out, at
/// once where it was settled without asking anybody.
pub(super) fn probe_from(connection: &Connection, account: &Name, at: Timestamp) -> Result<()> {
    connection
        .prepare_cached("UPDATE holds SET probe_at = ?2 WHERE account = ?1 AND since IS NOT NULL")?
        .execute(params![account.as_str(), micros(at)])?;
    Ok(())
}

/// Nobody was asked by the probe that was handed out: the next need not wait.
pub(super) fn probe_again(connection: &Connection, account: &Name) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE holds SET probe_at = since WHERE account = ?1 AND since IS NOT NULL",
        )?
        .execute([account.as_str()])?;
    Ok(())
}

/// Holds the account, or tells once more why it is held. A weaker cause changes nothing of a
/// stronger one that is in force; a stronger one takes its place, and the time since when stays.
pub(super) fn hold(
    connection: &Connection,
    account: &Name,
    cause: PauseCause,
    attempt: &Attempt,
    probe_at: Timestamp,
) -> Result<()> {
    let gives_way = |known: &Known| known.since.is_none() || known.cause >= cause;
    if of_account(connection, account)?.is_some_and(|known| !gives_way(&known)) {
        return Ok(());
    }
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

/// The time that it was held is kept: it counts as nobody's age. What was said of it is not: it may
/// repeat what was said on a call.
macro_rules! lift_where {
    ($condition:literal) => {
        concat!(
            "UPDATE holds
                SET held_us = held_us + max(0, ?2 - since), since = NULL, detail = ''
                WHERE account = ?1 AND since IS NOT NULL ",
            $condition
        )
    };
}

/// The account was heard: it resumes, unless a person holds it.
pub(super) fn lift(connection: &Connection, account: &Name, at: Timestamp) -> Result<()> {
    connection
        .prepare_cached(lift_where!("AND cause <> 'operator'"))?
        .execute(params![account.as_str(), micros(at)])?;
    Ok(())
}

/// Somebody answered: an account that waited for that resumes.
pub(super) fn lift_reached(connection: &Connection, account: &Name, at: Timestamp) -> Result<()> {
    connection
        .prepare_cached(lift_where!("AND cause = 'unreachable'"))?
        .execute(params![account.as_str(), micros(at)])?;
    Ok(())
}

/// A person holds the account, or gives another reason for it.
pub(super) fn hold_by_hand(
    connection: &Connection,
    account: &Name,
    reason: &str,
    at: Timestamp,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO holds (account, since, probe_at, detail, cause)
                VALUES (?1, ?2, ?2, ?3, 'operator')
                ON CONFLICT (account) DO UPDATE SET
                    since = coalesce(since, excluded.since), status = NULL,
                    detail = excluded.detail, cause = excluded.cause",
        )?
        .execute(params![account.as_str(), micros(at), reason])?;
    Ok(())
}

/// A person lets the account go on; answers whether it was held.
pub(super) fn resume(connection: &Connection, account: &Name, at: Timestamp) -> Result<bool> {
    let resumed = connection
        .prepare_cached(lift_where!(""))?
        .execute(params![account.as_str(), micros(at)])?;
    Ok(resumed > 0)
}

/// What the destination said of the account may name the call that it was asked about.
pub(super) fn name_no_call(connection: &Connection, submission: i64) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE holds SET detail = replace(detail, call, '(erased)')
                FROM (SELECT account AS of_account, call FROM submissions WHERE seq = ?1)
                WHERE account = of_account AND instr(detail, call) > 0",
        )?
        .execute([submission])?;
    Ok(())
}

/// The next probe need not be waited for.
pub(super) fn probe_now(connection: &Connection, account: &Name, at: Timestamp) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE holds SET probe_at = min(probe_at, ?2)
                WHERE account = ?1 AND since IS NOT NULL AND cause <> 'operator'",
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
