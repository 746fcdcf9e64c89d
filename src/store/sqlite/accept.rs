//! Keeping a hook: its answers are merged into their submission in one transaction.

use rusqlite::{Result, Row, params};

use super::answers;
use super::columns::{kept, micros, parsed, submission_id};
use super::writer::Work;
use crate::domain::{Answers, Due, Heard, Method, Said, State, SubmissionId};
use crate::store::contract::{Accepted, Arrival, Outcome};

/// Most distinct answers a submission merges; what comes beyond is late.
const ANSWERS_MAX: usize = 256;

/// `id` is that of the arrival's key: hashing it is not the writer's work.
pub(super) fn accept(work: &mut Work<'_>, id: SubmissionId, arrival: &Arrival) -> Result<Accepted> {
    // Most hooks start a submission, so that is tried before anything is looked up.
    match start(work, id, arrival)? {
        Some(started) => Ok(started),
        None => {
            let known = Known::find(work, id)?;
            add(work, arrival, known)
        }
    }
}

/// Nothing where the ledger has the submission already.
fn start(work: &mut Work<'_>, id: SubmissionId, arrival: &Arrival) -> Result<Option<Accepted>> {
    let heard: Answers = said(arrival).collect();
    let due = arrival.completion.due(&heard);
    let state = if due.complete { State::Pending } else { State::Collecting };
    let started = work
        .connection
        .prepare_cached(
            "INSERT INTO submissions (id, account, survey, call, state, accepted_at, due_at)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            id.0.as_bytes(),
            arrival.key.account.as_str(),
            arrival.key.survey.as_str(),
            arrival.key.call.as_str(),
            state.label(),
            micros(arrival.hook.received_at),
            micros(due.at),
        ])?;
    if started == 0 {
        return Ok(None);
    }
    let seq = work.connection.last_insert_rowid();
    work.totals.accepted += 1;
    *work.totals.of_mut(state) += 1;
    keep_hook(work, seq, arrival, Outcome::New)?;
    for said in heard.said() {
        answers::keep(work.connection, seq, said, false)?;
    }
    Ok(Some(Accepted { submission: id, outcome: Outcome::New, changed: false }))
}

fn add(work: &mut Work<'_>, arrival: &Arrival, known: Known) -> Result<Accepted> {
    let mut heard = answers::in_time(work.connection, known.seq)?;
    let closed = known.is_closed() || heard.len() >= ANSWERS_MAX;
    let (mut added, mut moved, mut changed) = (Vec::new(), Vec::new(), false);
    for said in said(arrival) {
        if answers::heard_late(work.connection, known.seq, &said)? {
            continue;
        }
        let changes = heard.is_changed_by(&said, &*arrival.completion);
        match heard.hear(said.clone()) {
            Heard::Repeat | Heard::LaterRepeat => {}
            Heard::EarlierRepeat => moved.push(said),
            Heard::New => {
                changed |= changes;
                added.push(said);
            }
        }
    }
    let outcome = match (added.is_empty(), closed) {
        (true, _) => Outcome::Repeat,
        (false, true) => Outcome::Late,
        (false, false) => Outcome::Added,
    };
    if outcome != Outcome::Repeat {
        keep_hook(work, known.seq, arrival, outcome)?;
    }
    for said in &added {
        answers::keep(work.connection, known.seq, said, closed)?;
    }
    // A repeat re-opens nothing, even where it came before what was kept.
    let moves = !added.is_empty() || (!moved.is_empty() && known.state.is_waiting());
    if moves && !closed {
        for said in &moved {
            answers::move_earlier(work.connection, known.seq, said)?;
        }
        known.update(work, arrival.completion.due(&heard))?;
    }
    Ok(Accepted { submission: known.id, outcome, changed: changed && !closed })
}

/// As it will be read back: times are compared as they are kept.
fn said(arrival: &Arrival) -> impl Iterator<Item = Said> + '_ {
    let received_at = kept(arrival.hook.received_at);
    arrival
        .report
        .answers
        .iter()
        .map(move |reported| reported.clone().heard(received_at, arrival.hook.id))
}

fn keep_hook(work: &Work<'_>, seq: i64, arrival: &Arrival, outcome: Outcome) -> Result<()> {
    let method = match arrival.hook.method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    work.connection
        .prepare_cached(
            "INSERT INTO hooks (id, submission, source, outcome, method, query, body, received_at)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            arrival.hook.id.0.as_bytes(),
            seq,
            arrival.source.as_str(),
            outcome.label(),
            method,
            arrival.hook.query,
            arrival.hook.body,
            micros(arrival.hook.received_at),
        ])?;
    Ok(())
}

/// A submission that the ledger has.
struct Known {
    seq: i64,
    id: SubmissionId,
    state: State,
    /// When its next attempt is due, where it has had one.
    retry_at: Option<i64>,
    begun: bool,
    reached: bool,
}

impl Known {
    fn find(work: &Work<'_>, id: SubmissionId) -> Result<Self> {
        work.connection
            .prepare_cached(
                "SELECT seq, id, state, reason, iif(tries > 0, due_at, NULL), begun, reached
                    FROM submissions WHERE id = ?1",
            )?
            .query_row([id.0.as_bytes()], Self::from_row)
    }

    fn from_row(row: &Row<'_>) -> Result<Self> {
        let (label, reason) = (row.get_ref(2)?.as_str()?, row.get_ref(3)?.as_str_or_null()?);
        Ok(Self {
            seq: row.get(0)?,
            id: submission_id(row, 1)?,
            state: parsed(2, rusqlite::types::Type::Text, State::from_labels(label, reason))?,
            retry_at: row.get(4)?,
            begun: row.get(5)?,
            reached: row.get(6)?,
        })
    }

    /// From the start of the first attempt that may have reached the destination.
    fn is_closed(&self) -> bool {
        self.begun || self.reached || matches!(self.state, State::Delivered | State::Discarded)
    }

    /// New answers move the time at which it is due, and re-open what was ignored or dead.
    fn update(&self, work: &mut Work<'_>, due: Due) -> Result<()> {
        let (state, due_at) = match self.state {
            State::Pending => {
                (State::Pending, self.retry_at.map_or(micros(due.at), |at| at.max(micros(due.at))))
            }
            _ if due.complete => (State::Pending, micros(due.at)),
            _ => (State::Collecting, micros(due.at)),
        };
        let reopened = !self.state.is_waiting();
        work.connection
            .prepare_cached(
                "UPDATE submissions
                    SET state = ?2, reason = NULL, detail = NULL, settled_at = NULL, due_at = ?3,
                        version = version + 1, attempts = iif(?4, 0, attempts),
                        first_attempt_at = iif(?4, NULL, first_attempt_at),
                        held_before_us = iif(?4, NULL, held_before_us)
                    WHERE seq = ?1",
            )?
            .execute(params![self.seq, state.label(), due_at, reopened])?;
        *work.totals.of_mut(self.state) -= 1;
        *work.totals.of_mut(state) += 1;
        Ok(())
    }
}
