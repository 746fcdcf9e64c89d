//! Dropping what a submission says, so that only its id and its outcome stay.

use jiff::Timestamp;
use rusqlite::{Connection, Result, params};

use super::columns::micros;
use super::holds;
use super::interventions::{Target, note};
use super::writer::Work;
use crate::store::by_hand::Done;
use crate::submission::{State, SubmissionId};

pub(super) fn erase(work: &mut Work<'_>, id: SubmissionId, at: Timestamp) -> Result<Done> {
    let Some(target) = Target::find(work, id)? else { return Ok(Done::Unknown) };
    if target.gone {
        return Ok(Done::Gone);
    }
    holds::name_no_call(work.connection, target.seq)?;
    drop_all_but_outcome(work.connection, target.seq, at)?;
    // Whoever has it in hand has lost it, whatever comes of an attempt under way.
    work.connection
        .prepare_cached(
            "UPDATE submissions
                SET fence = fence + 1, leased_until = NULL, begun = 0, resend_at = NULL, as_was = 0,
                    settled_at = coalesce(settled_at, ?2)
                WHERE seq = ?1",
        )?
        .execute(params![target.seq, micros(at)])?;
    if !matches!(target.state, State::Delivered | State::Discarded) {
        work.connection
            .prepare_cached(
                "UPDATE submissions SET state = 'discarded', reason = NULL WHERE seq = ?1",
            )?
            .execute([target.seq])?;
        target.becomes(work, State::Discarded);
    }
    *work.erased = true;
    note(work, target.seq, at, "erase", None)?;
    Ok(Done::Done)
}

/// The names by which the hooks of a submission would be known again. A name under which nothing
/// new came is left to age: it tells nothing of the call.
pub(super) const NAMES: &str = "DELETE FROM seen WHERE submission =
        (SELECT id FROM submissions WHERE seq = ?1)
    AND seen_at IN (SELECT received_at FROM hooks WHERE submission = ?1)";

/// Leaves of a submission its id, the state it is in, and when it came and went.
pub(super) fn drop_all_but_outcome(connection: &Connection, seq: i64, at: Timestamp) -> Result<()> {
    connection.prepare_cached(NAMES)?.execute([seq])?;
    for statement in [
        "DELETE FROM hooks WHERE submission = ?1",
        "DELETE FROM answers WHERE submission = ?1",
        "DELETE FROM told WHERE submission = ?1",
        "DELETE FROM attempts WHERE submission = ?1",
        "DELETE FROM interventions WHERE submission = ?1",
    ] {
        connection.prepare_cached(statement)?.execute([seq])?;
    }
    connection
        .prepare_cached(
            "UPDATE submissions
                SET call = '', detail = NULL, trace = NULL, feedback = NULL, told = 0, kept = 0,
                    gone_at = ?2
                WHERE seq = ?1",
        )?
        .execute(params![seq, micros(at)])?;
    Ok(())
}
