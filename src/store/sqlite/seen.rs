//! What senders call their hooks, so that a repeat is known by its name.

use jiff::Timestamp;
use rusqlite::{Connection, Result, params};

use super::columns::{micros, submission_id};
use crate::domain::{IdempotencyKey, Name};
use crate::submission::SubmissionId;

/// Most names that are forgotten at once: hooks wait meanwhile.
const FORGOTTEN_MAX: u32 = 500;

/// What a name was to the ledger.
pub(super) enum Seen {
    /// It is remembered from now on.
    First,
    /// The same was sent by this name, about that submission.
    Again(SubmissionId),
    /// Something else was sent by this name.
    Reused,
}

pub(super) fn note(
    connection: &Connection,
    source: &Name,
    identity: &IdempotencyKey,
    submission: SubmissionId,
    at: Timestamp,
) -> Result<Seen> {
    let noted = connection
        .prepare_cached(
            "INSERT INTO seen (source, id, digest, submission, seen_at)
                VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (source, id) DO NOTHING",
        )?
        .execute(params![
            source.as_str(),
            identity.id,
            identity.digest,
            submission.0.as_bytes(),
            micros(at),
        ])?;
    if noted == 1 {
        return Ok(Seen::First);
    }
    connection
        .prepare_cached("SELECT digest = ?3, submission FROM seen WHERE source = ?1 AND id = ?2")?
        .query_row(params![source.as_str(), identity.id, identity.digest], |row| {
            Ok(if row.get(0)? { Seen::Again(submission_id(row, 1)?) } else { Seen::Reused })
        })
}

/// What was just noted is not to be remembered.
pub(super) fn take_back(
    connection: &Connection,
    source: &Name,
    identity: &IdempotencyKey,
) -> Result<()> {
    connection
        .prepare_cached("DELETE FROM seen WHERE source = ?1 AND id = ?2")?
        .execute(params![source.as_str(), identity.id])?;
    Ok(())
}

pub(super) const FORGET: &str = "DELETE FROM seen WHERE (source, id) IN
    (SELECT source, id FROM seen WHERE seen_at < ?1 ORDER BY seen_at LIMIT ?2)";

/// Forgets some of what was seen before that time; answers how many.
pub(super) fn forget(connection: &Connection, before: Timestamp) -> Result<usize> {
    connection.prepare_cached(FORGET)?.execute(params![micros(before), FORGOTTEN_MAX])
}
