//! Dropping what is old: bodies first, then all of a submission but its outcome, then that too. The
//! totals stay, so what is known no more is counted by the state that it ended in.

use jiff::Timestamp;
use rusqlite::{Result, params};

use super::columns::micros;
use super::erase;
use super::writer::Work;
use crate::store::by_hand::{Horizon, Swept};

/// Most submissions that something of is dropped at once: hooks wait meanwhile.
const SWEPT_MAX: usize = 200;

/// What is kept of a submission, as its row says.
mod kept {
    pub const ALL: i64 = 2;
    pub const ALL_BUT_BODIES: i64 = 1;
    pub const OUTCOME: i64 = 0;
}

/// `at` is when it is dropped.
pub(super) fn sweep(work: &mut Work<'_>, horizon: &Horizon, at: Timestamp) -> Result<Swept> {
    let mut swept = Swept::default();
    let mut room = SWEPT_MAX;
    // What needs least room first, so that there is always some to write on.
    for (seq, state) in old(work, kept::OUTCOME, horizon.tombstones, &mut room)? {
        drop_outcome(work, seq, &state)?;
        swept.tombstones += 1;
    }
    for kept in [kept::ALL_BUT_BODIES, kept::ALL] {
        for (seq, _) in old(work, kept, horizon.submissions, &mut room)? {
            erase::drop_all_but_outcome(work.connection, seq, at)?;
            swept.submissions += 1;
        }
    }
    for (seq, _) in old(work, kept::ALL, horizon.bodies, &mut room)? {
        drop_bodies(work, seq)?;
        swept.bodies += 1;
    }
    Ok(swept)
}

/// What was settled for good, of which so much is kept, the oldest first.
pub(super) const OLD: &str = "SELECT seq, state FROM submissions
    WHERE kept = ?1 AND settled_at < ?2 AND (state = 'delivered' OR state = 'ignored' OR state = 'discarded')
    ORDER BY settled_at LIMIT ?3";

fn old(
    work: &Work<'_>,
    kept: i64,
    before: Timestamp,
    room: &mut usize,
) -> Result<Vec<(i64, String)>> {
    let found: Vec<_> = work
        .connection
        .prepare_cached(OLD)?
        .query_map(params![kept, micros(before), *room], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_>>()?;
    *room -= found.len();
    Ok(found)
}

fn drop_bodies(work: &Work<'_>, seq: i64) -> Result<()> {
    for statement in [
        "UPDATE hooks SET query = NULL, body = x'' WHERE submission = ?1",
        "UPDATE attempts SET reply = NULL WHERE submission = ?1",
        "UPDATE submissions SET kept = 1 WHERE seq = ?1",
    ] {
        work.connection.prepare_cached(statement)?.execute([seq])?;
    }
    Ok(())
}

fn drop_outcome(work: &Work<'_>, seq: i64, state: &str) -> Result<()> {
    work.connection
        .prepare_cached(
            "INSERT INTO dropped (state, submissions) VALUES (?1, 1)
                ON CONFLICT (state) DO UPDATE SET submissions = submissions + 1",
        )?
        .execute([state])?;
    for statement in [
        // That it was erased by hand.
        "DELETE FROM interventions WHERE submission = ?1",
        "DELETE FROM submissions WHERE seq = ?1",
    ] {
        work.connection.prepare_cached(statement)?.execute([seq])?;
    }
    Ok(())
}
