//! What a person does to submissions: offers them again, gives them up.

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Result, params};

use super::columns::{micros, parsed};
use super::dossier;
use super::writer::Work;
use crate::store::by_hand::{Done, Replay};
use crate::submission::{State, SubmissionId};

pub(super) fn replay(work: &mut Work<'_>, id: SubmissionId, how: Replay) -> Result<Done> {
    let Some(target) = Target::find(work, id)? else { return Ok(Done::Unknown) };
    match target.state {
        _ if target.gone => return Ok(Done::Gone),
        State::Discarded => return Ok(Done::Gone),
        State::Collecting | State::Pending if target.begun => return Ok(Done::UnderWay),
        State::Collecting | State::Pending => return Ok(Done::Waiting),
        State::Delivered if !how.accepted_too => return Ok(Done::Accepted),
        State::Delivered | State::Ignored(_) | State::Dead(_) => {}
    }
    if how.as_was && dossier::offered(work.connection, target.seq)?.is_none() {
        return Ok(Done::NeverOffered);
    }
    // What closed it to answers stays: the destination may know of it.
    work.connection
        .prepare_cached(
            "UPDATE submissions
                SET state = 'pending', reason = NULL, detail = NULL, settled_at = NULL,
                    due_at = ?2, version = version + 1, attempts = 0, first_attempt_at = NULL,
                    held_before_us = NULL, rejections = 0, as_was = ?3, kept = 2
                WHERE seq = ?1",
        )?
        .execute(params![target.seq, micros(how.at), how.as_was])?;
    target.becomes(work, State::Pending);
    let action = if how.as_was { "replay_as_was" } else { "replay" };
    note(work, target.seq, how.at, action, None)?;
    Ok(Done::Done)
}

pub(super) fn discard(
    work: &mut Work<'_>,
    id: SubmissionId,
    reason: &str,
    at: Timestamp,
) -> Result<Done> {
    let Some(target) = Target::find(work, id)? else { return Ok(Done::Unknown) };
    match target.state {
        _ if target.gone => return Ok(Done::Gone),
        State::Discarded => return Ok(Done::Gone),
        State::Delivered => return Ok(Done::Accepted),
        _ if target.begun => return Ok(Done::UnderWay),
        State::Collecting | State::Pending | State::Ignored(_) | State::Dead(_) => {}
    }
    // Whoever holds it has lost it.
    work.connection
        .prepare_cached(
            "UPDATE submissions
                SET state = 'discarded', reason = NULL, detail = ?2, settled_at = ?3,
                    fence = fence + 1, leased_until = NULL, as_was = 0
                WHERE seq = ?1",
        )?
        .execute(params![target.seq, reason, micros(at)])?;
    target.becomes(work, State::Discarded);
    note(work, target.seq, at, "discard", Some(reason))?;
    Ok(Done::Done)
}

/// A submission that something is to be done with.
pub(super) struct Target {
    pub seq: i64,
    pub state: State,
    /// An attempt is under way.
    begun: bool,
    /// All but its id and outcome was dropped.
    pub gone: bool,
}

impl Target {
    pub fn find(work: &Work<'_>, id: SubmissionId) -> Result<Option<Self>> {
        work.connection
            .prepare_cached(
                "SELECT seq, state, reason, begun, gone_at IS NOT NULL FROM submissions
                    WHERE id = ?1",
            )?
            .query_row([id.0.as_bytes()], |row| {
                let (label, reason) =
                    (row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str_or_null()?);
                Ok(Self {
                    seq: row.get(0)?,
                    state: parsed(1, Type::Text, State::from_labels(label, reason))?,
                    begun: row.get(3)?,
                    gone: row.get(4)?,
                })
            })
            .optional()
    }

    pub fn becomes(&self, work: &mut Work<'_>, state: State) {
        assert!(self.state.may_become(state), "{:?} cannot become {state:?}", self.state);
        *work.totals.of_mut(self.state) -= 1;
        *work.totals.of_mut(state) += 1;
    }
}

/// Writes down, beside the submission, what was done to it.
pub(super) fn note(
    work: &Work<'_>,
    seq: i64,
    at: Timestamp,
    action: &str,
    detail: Option<&str>,
) -> Result<()> {
    work.connection
        .prepare_cached(
            "INSERT INTO interventions (submission, number, at, action, detail)
                VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM interventions
                    WHERE submission = ?1), ?2, ?3, ?4)",
        )?
        .execute(params![seq, micros(at), action, detail])?;
    Ok(())
}
