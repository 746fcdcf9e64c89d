//! Writing down what was decided.

use jiff::Timestamp;
use rusqlite::{Result, params};

use super::columns::micros;
use super::lease::{Held, give_back};
use super::writer::Work;
use super::{answers, holds};
use crate::account::PauseCause;
use crate::domain::{Attempt, Verdict};
use crate::store::contract::{Decision, Settled, Settlement};
use crate::submission::State;

pub(super) fn settle(work: &mut Work<'_>, settlement: &Settlement) -> Result<Settled> {
    let Some(held) = Held::find(work, &settlement.ticket)? else {
        return Ok(Settled::LeaseLost);
    };
    if held.version != settlement.ticket.version {
        give_back(work, &settlement.ticket)?;
        return Ok(Settled::NewerAnswers);
    }
    let (at, trace) = (micros(settlement.at), settlement.trace.as_deref());
    let end = |state| End { state, detail: None, trace, at };
    match &settlement.decision {
        Decision::Ignored { reason, detail } => {
            let end = End { detail: detail.as_deref(), ..end(State::Ignored(*reason)) };
            close(work, &held, &end)?;
            holds::probe_from(work.connection, &held.account, settlement.at)?;
        }
        Decision::Unsent { reason, detail } => {
            close(work, &held, &End { detail: Some(detail), ..end(State::Dead(*reason)) })?;
            holds::probe_from(work.connection, &held.account, settlement.at)?;
        }
        Decision::Delivered { attempt } => {
            let more = keep_verdict(work, &held, attempt, true)?;
            close(work, &held, &end(State::Delivered))?;
            if more == MoreAnswers::Count {
                reopen(work, &held, at)?;
            }
            holds::lift(work.connection, &held.account, settlement.at)?;
        }
        Decision::Dead { attempt, reason } => {
            return die(work, &held, attempt, end(State::Dead(*reason)));
        }
        Decision::DeadAndHold { attempt, reason, cause, probe_at } => {
            let settled = die(work, &held, attempt, end(State::Dead(*reason)))?;
            holds::hold(work.connection, &held.account, *cause, attempt, *probe_at)?;
            return Ok(settled);
        }
        Decision::Retry { attempt, at } => {
            keep_verdict(work, &held, attempt, true)?;
            wait_until(work, &held, *at, trace)?;
            answered(work, &held, attempt)?;
        }
        Decision::Hold { attempt, cause, probe_at, at } => {
            keep_verdict(work, &held, attempt, false)?;
            wait_until(work, &held, *at, trace)?;
            if *cause == PauseCause::Misconfigured {
                note_rejection(work, &held)?;
            }
            holds::hold(work.connection, &held.account, *cause, attempt, *probe_at)?;
        }
    }
    Ok(Settled::Done)
}

fn die(work: &mut Work<'_>, held: &Held, attempt: &Attempt, end: End<'_>) -> Result<Settled> {
    answered(work, held, attempt)?;
    if keep_verdict(work, held, attempt, true)? == MoreAnswers::Count {
        start_over(work, held, end.at, end.trace)?;
        return Ok(Settled::NewerAnswers);
    }
    close(work, held, &End { detail: Some(&attempt.reply.text), ..end })?;
    Ok(Settled::Done)
}

/// Whatever was answered, there is somebody to reach.
fn answered(work: &Work<'_>, held: &Held, attempt: &Attempt) -> Result<()> {
    match attempt.verdict {
        Verdict::Unreachable => Ok(()),
        _ => holds::lift_reached(work.connection, &held.account, attempt.finished_at),
    }
}

/// A probe finds the account at fault; what does so among others that pass may be at fault itself.
fn note_rejection(work: &Work<'_>, held: &Held) -> Result<()> {
    work.connection
        .prepare_cached(
            "UPDATE submissions SET rejections = rejections + 1 WHERE seq = ?1 AND probe = 0",
        )?
        .execute([held.seq])?;
    Ok(())
}

/// What became of answers that came while an attempt was under way.
#[derive(PartialEq)]
enum MoreAnswers {
    /// There were some, and nothing has arrived at the destination, or they have to be sent whatever
    /// has: they were not late after all.
    Count,
    None,
}

/// Ends the attempt that is under way; one that surely did not arrive leaves the submission open.
fn keep_verdict(
    work: &Work<'_>,
    held: &Held,
    attempt: &Attempt,
    spent: bool,
) -> Result<MoreAnswers> {
    debug_assert!(held.begun, "an attempt is settled that never began");
    work.connection
        .prepare_cached(
            "UPDATE attempts
                SET finished_at = ?3, verdict = ?4, status = ?5, api_id = ?6, reply = ?7, error = ?8
                WHERE submission = ?1 AND number = ?2",
        )?
        .execute(params![
            held.seq,
            held.tries,
            micros(attempt.finished_at),
            attempt.verdict.label(),
            attempt.reply.status,
            attempt.reply.request_id,
            attempt.reply.text,
            attempt.reply.error,
        ])?;
    work.connection
        .prepare_cached(
            "UPDATE submissions
                SET begun = 0, reached = reached OR ?2, attempts = attempts + ?3 WHERE seq = ?1",
        )?
        .execute(params![held.seq, attempt.may_have_reached(), spent])?;
    let arrived = attempt.may_have_reached() || held.reached;
    if arrived && held.resend_at.is_none() {
        return Ok(MoreAnswers::None);
    }
    if answers::readmit(work.connection, held.seq, held.told)? == 0 {
        return Ok(MoreAnswers::None);
    }
    work.connection
        .prepare_cached(
            "UPDATE submissions
                SET version = version + 1, reached = reached AND resend_at IS NULL,
                    resend_at = NULL, as_was = 0
                WHERE seq = ?1",
        )?
        .execute([held.seq])?;
    Ok(MoreAnswers::Count)
}

/// With more answers it is another offer, and is as young as they are.
fn start_over(work: &Work<'_>, held: &Held, at: i64, trace: Option<&str>) -> Result<()> {
    work.connection
        .prepare_cached(
            "UPDATE submissions
                SET leased_until = NULL, due_at = ?2, attempts = 0, first_attempt_at = NULL,
                    held_before_us = NULL, rejections = 0, trace = coalesce(?3, trace)
                WHERE seq = ?1",
        )?
        .execute(params![held.seq, held.resend_at.map_or(at, |due| due.max(at)), trace])?;
    Ok(())
}

/// What was just delivered is to be delivered again, with what was said during the attempt.
fn reopen(work: &mut Work<'_>, held: &Held, at: i64) -> Result<()> {
    start_over(work, held, at, None)?;
    work.connection
        .prepare_cached("UPDATE submissions SET state = ?2, settled_at = NULL WHERE seq = ?1")?
        .execute(params![held.seq, State::Pending.label()])?;
    work.totals.delivered -= 1;
    work.totals.pending += 1;
    Ok(())
}

/// How a submission ends.
struct End<'a> {
    state: State,
    detail: Option<&'a str>,
    trace: Option<&'a str>,
    at: i64,
}

fn close(work: &mut Work<'_>, held: &Held, end: &End<'_>) -> Result<()> {
    let state = end.state;
    assert!(State::Pending.may_become(state), "what is pending cannot become {state:?}");
    work.connection
        .prepare_cached(
            "UPDATE submissions
                SET state = ?2, reason = ?3, detail = ?4, trace = coalesce(?5, trace),
                    settled_at = ?6, leased_until = NULL, as_was = 0, feedback = iif(?2 = 'delivered',
                        (SELECT feedback FROM attempts WHERE submission = seq AND number = tries),
                        feedback)
                WHERE seq = ?1",
        )?
        .execute(
            params![held.seq, state.label(), state.reason(), end.detail, end.trace, end.at,],
        )?;
    work.totals.pending -= 1;
    *work.totals.of_mut(state) += 1;
    Ok(())
}

/// Back to the queue; what was said during the attempt and has to be sent as well may be due later.
fn wait_until(work: &Work<'_>, held: &Held, due_at: Timestamp, trace: Option<&str>) -> Result<()> {
    let due_at = held.resend_at.map_or(micros(due_at), |resend| resend.max(micros(due_at)));
    work.connection
        .prepare_cached(
            "UPDATE submissions
                SET leased_until = NULL, due_at = ?2, trace = coalesce(?3, trace)
                WHERE seq = ?1",
        )?
        .execute(params![held.seq, due_at, trace])?;
    Ok(())
}
