//! Keeping a hook: what it reports is merged into its submission in one transaction.

use rusqlite::{OptionalExtension, Result, Row, params};

use super::answers::{self, Which};
use super::asked;
use super::columns::{kept, micros, parsed, submission_id};
#[cfg(feature = "flaws")]
use super::flaws::{self, Flaw};
use super::news::News;
use super::seen::{self, Seen};
use super::told::{self, Fact};
use super::writer::Work;
use crate::domain::Method;
use crate::store::contract::{Accepted, Arrival, Outcome};
use crate::submission::{
    Answers, ChangedAnswerPolicy, DueTime, RecordedAnswer, State, SubmissionId,
};

/// Most distinct answers a submission merges; what comes beyond is late.
const ANSWERS_MAX: usize = 256;

/// `id` is that of the arrival's key: hashing it is not the writer's work. Nothing where other
/// bytes came by the name that the sender gives this hook.
pub(super) fn accept(
    work: &mut Work<'_>,
    id: SubmissionId,
    arrival: &Arrival,
) -> Result<Option<Accepted>> {
    #[cfg(feature = "flaws")]
    let arrival = &flaws::as_kept(work, id, arrival)?;
    let identity = arrival.identity.as_ref();
    #[cfg(feature = "flaws")]
    let identity = identity.filter(|_| !flaws::has(Flaw::NoRecordOfRepeats));
    if let Some(identity) = identity {
        let at = arrival.hook.received_at;
        match seen::note(work.connection, &arrival.source, identity, id, at)? {
            Seen::First => {}
            Seen::Again(submission) => return repeat(work, submission).map(Some),
            Seen::Reused => return Ok(None),
        }
    }
    // Most hooks start a submission, so that is tried before anything is looked up.
    match start(work, id, arrival)? {
        Some(started) => Ok(Some(started)),
        None => {
            let known = Known::find(work, id)?;
            if known.gone {
                return turn_away(work, id, arrival).map(Some);
            }
            add(work, arrival, known).map(Some)
        }
    }
}

/// What was answered before is answered again.
fn repeat(work: &Work<'_>, submission: SubmissionId) -> Result<Accepted> {
    let known = Known::find(work, submission).optional()?;
    let outcome = match &known {
        Some(known) if known.gone => Outcome::Gone,
        _ => Outcome::Repeat,
    };
    let answers = match known {
        Some(known) => answers::heard(work.connection, known.seq, known.told, Which::All)?,
        None => Answers::default(),
    };
    Ok(Accepted { submission, outcome, changed: false, answers })
}

/// Of what was dropped nothing is kept again, not even the name of the hook.
fn turn_away(work: &Work<'_>, submission: SubmissionId, arrival: &Arrival) -> Result<Accepted> {
    if let Some(identity) = &arrival.identity {
        seen::take_back(work.connection, &arrival.source, identity)?;
    }
    let answers = Answers::default();
    Ok(Accepted { submission, outcome: Outcome::Gone, changed: false, answers })
}

/// Nothing where the ledger has the submission already.
fn start(work: &mut Work<'_>, id: SubmissionId, arrival: &Arrival) -> Result<Option<Accepted>> {
    let received_at = kept(arrival.hook.received_at);
    let reported = arrival.report.answers.iter().cloned();
    let mut heard: Answers = reported
        .map(|reported| RecordedAnswer::new(reported, received_at, arrival.hook.id))
        .collect();
    let facts: Vec<Fact> =
        told::Fact::all_of(&arrival.report, received_at, arrival.hook.id).collect();
    for fact in &facts {
        fact.tell(&mut heard);
    }
    let due = due(arrival, &heard);
    let state = if due.complete { State::Pending } else { State::Collecting };
    let started = work
        .connection
        .prepare_cached(
            "INSERT INTO submissions (id, account, survey, call, state, accepted_at, due_at, told)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING",
        )?
        .execute(params![
            id.0.as_bytes(),
            arrival.key.account.as_str(),
            arrival.key.survey.as_str(),
            arrival.key.call.as_str(),
            state.label(),
            micros(arrival.hook.received_at),
            micros(due.at),
            !facts.is_empty(),
        ])?;
    if started == 0 {
        return Ok(None);
    }
    let seq = work.connection.last_insert_rowid();
    asked::note(work.connection, &arrival.key)?;
    work.totals.accepted += 1;
    *work.totals.of_mut(state) += 1;
    keep_hook(work, seq, arrival, Outcome::New)?;
    for said in heard.recorded() {
        answers::keep(work.connection, seq, said, false)?;
    }
    for fact in &facts {
        fact.keep(work.connection, seq, false)?;
    }
    Ok(Some(Accepted { submission: id, outcome: Outcome::New, changed: false, answers: heard }))
}

fn add(work: &mut Work<'_>, arrival: &Arrival, known: Known) -> Result<Accepted> {
    let mut closed = known.is_closed();
    let heard_of = |which| answers::heard(work.connection, known.seq, known.told, which);
    let mut heard = heard_of(if closed { Which::All } else { Which::InTime })?;
    let full = heard.len() >= ANSWERS_MAX;
    if full && !closed {
        closed = true;
        heard = heard_of(Which::All)?;
    }
    let news = News::hear(&mut heard, arrival);
    let may_resend = closed
        && !full
        && known.state != State::Discarded
        && arrival.completion.changed_answers() == ChangedAnswerPolicy::Redeliver;
    let resends = may_resend && news.counts;
    let counts = !closed || resends;
    let outcome = match (news.is_any(), counts) {
        (false, _) => Outcome::Repeat,
        (true, false) => Outcome::Late,
        (true, true) => Outcome::Added,
    };
    #[cfg(feature = "flaws")]
    let outcome = match outcome {
        Outcome::Repeat if flaws::has(Flaw::NoRecordOfRepeats) => Outcome::Added,
        outcome => outcome,
    };
    if outcome != Outcome::Repeat {
        keep_hook(work, known.seq, arrival, outcome)?;
        known.note_body(work)?;
    }
    // While an attempt is under way nothing is mixed with what it was made of.
    let late = !counts || known.begun;
    news.keep(work.connection, known.seq, late)?;
    // A repeat re-opens nothing, even where it came before what was kept.
    let moves = !closed && (news.is_any() || (news.comes_earlier() && known.state.is_waiting()));
    if moves {
        news.move_earlier(work.connection, known.seq)?;
    } else if known.begun || may_resend {
        // It counts from when it was first heard, should what is late be readmitted.
        news.keep_earlier_late(work.connection, known.seq)?;
    }
    let tells = news.tells();
    if known.begun && resends {
        known.remember(work, due(arrival, &heard), tells)?;
    } else if moves || resends {
        if resends {
            answers::readmit(work.connection, known.seq, known.told)?;
        }
        known.update(work, due(arrival, &heard), tells)?;
    } else if tells && !known.told {
        known.note_told(work)?;
    }
    let changed = news.changed && counts;
    Ok(Accepted { submission: known.id, outcome, changed, answers: heard })
}

/// What only gives values to fields says nothing that could be waited for.
fn due(arrival: &Arrival, heard: &Answers) -> DueTime {
    match heard.first_at() {
        Some(_) => arrival.completion.due(heard),
        None => DueTime { complete: false, at: kept(arrival.hook.received_at) },
    }
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
    /// When its next attempt is due, where this offer has had one.
    retry_at: Option<i64>,
    begun: bool,
    reached: bool,
    told: bool,
    /// Bodies of it were dropped.
    stripped: bool,
    /// All but its id and outcome was dropped.
    gone: bool,
}

impl Known {
    fn find(work: &Work<'_>, id: SubmissionId) -> Result<Self> {
        work.connection
            .prepare_cached(
                "SELECT seq, id, state, reason, iif(first_attempt_at IS NULL, NULL, due_at), begun,
                        reached, told, kept < 2, gone_at IS NOT NULL
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
            told: row.get(7)?,
            stripped: row.get(8)?,
            gone: row.get(9)?,
        })
    }

    /// From the start of the first attempt that may have reached the destination.
    fn is_closed(&self) -> bool {
        self.begun || self.reached || matches!(self.state, State::Delivered | State::Discarded)
    }

    /// What is new moves the time at which it is due, and re-opens what was settled.
    fn update(&self, work: &mut Work<'_>, due: DueTime, tells: bool) -> Result<()> {
        let due_at = micros(due.at);
        let (state, due_at) = match self.state {
            State::Pending => (State::Pending, self.retry_at.map_or(due_at, |at| at.max(due_at))),
            // The destination knows of it, so it is not collected anew.
            State::Delivered => (State::Pending, due_at),
            _ if due.complete => (State::Pending, due_at),
            _ => (State::Collecting, due_at),
        };
        assert!(self.state.may_become(state), "{:?} cannot become {state:?}", self.state);
        let reopened = !self.state.is_waiting();
        work.connection
            .prepare_cached(
                "UPDATE submissions
                    SET state = ?2, reason = NULL, detail = NULL, settled_at = NULL, due_at = ?3,
                        version = version + 1, reached = 0, told = told OR ?5, as_was = 0,
                        attempts = iif(?4, 0, attempts), rejections = iif(?4, 0, rejections),
                        first_attempt_at = iif(?4, NULL, first_attempt_at),
                        held_before_us = iif(?4, NULL, held_before_us)
                    WHERE seq = ?1",
            )?
            .execute(params![self.seq, state.label(), due_at, reopened, tells])?;
        *work.totals.of_mut(self.state) -= 1;
        *work.totals.of_mut(state) += 1;
        Ok(())
    }

    /// Once the attempt that is under way is over, what was said meanwhile is to be sent as well.
    fn remember(&self, work: &Work<'_>, due: DueTime, tells: bool) -> Result<()> {
        work.connection
            .prepare_cached(
                "UPDATE submissions SET resend_at = ?2, told = told OR ?3 WHERE seq = ?1",
            )?
            .execute(params![self.seq, micros(due.at), tells])?;
        Ok(())
    }

    /// There is a body again, to be dropped when it is old.
    fn note_body(&self, work: &Work<'_>) -> Result<()> {
        if self.stripped {
            work.connection
                .prepare_cached("UPDATE submissions SET kept = 2 WHERE seq = ?1")?
                .execute([self.seq])?;
        }
        Ok(())
    }

    fn note_told(&self, work: &Work<'_>) -> Result<()> {
        work.connection
            .prepare_cached("UPDATE submissions SET told = 1 WHERE seq = ?1")?
            .execute([self.seq])?;
        Ok(())
    }
}
