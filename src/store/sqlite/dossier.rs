//! All that is known of a submission.

use rusqlite::{Connection, Result, params};

use super::answers::{self, Which};
use super::columns::{hook_id, optional_timestamp, text, timestamp};
use super::rows::{self, Found};
use super::told;
use crate::store::by_hand::{
    AttemptRecord, Dossier, Intervention, KeptAnswer, KeptHook, LeftOut, Mappable, SaidByHook,
};
use crate::submission::{Answers, SubmissionId};

pub(super) fn find(connection: &Connection, id: SubmissionId) -> Result<Option<Dossier>> {
    let Some(Found { seq, row, .. }) = rows::by_id(connection, id)? else {
        return Ok(None);
    };
    let (hooks, attempts) = (hooks(connection, seq)?, attempts(connection, seq)?);
    let answers = kept_answers(connection, seq)?;
    let left_out = LeftOut {
        hooks: count(connection, "SELECT count(*) FROM hooks WHERE submission = ?1", seq)?
            .saturating_sub(hooks.len()),
        answers: count(
            connection,
            "SELECT (SELECT count(*) FROM answers WHERE submission = ?1)
                + (SELECT count(*) FROM told WHERE submission = ?1)",
            seq,
        )?
        .saturating_sub(answers.len()),
        attempts: count(connection, "SELECT count(*) FROM attempts WHERE submission = ?1", seq)?
            .saturating_sub(attempts.len()),
    };
    let interventions = interventions(connection, seq)?;
    Ok(Some(Dossier { row, hooks, answers, attempts, interventions, left_out }))
}

fn count(connection: &Connection, statement: &str, seq: i64) -> Result<usize> {
    connection.prepare_cached(statement)?.query_row([seq], |row| row.get(0))
}

pub(super) fn mappable(connection: &Connection, ids: &[SubmissionId]) -> Result<Vec<Mappable>> {
    let mut all = Vec::new();
    for id in ids {
        let Some(Found { seq, told, row, .. }) = rows::by_id(connection, *id)? else { continue };
        let answers = match row.gone_at {
            None => answers::heard(connection, seq, told, Which::InTime)?,
            Some(_) => Answers::default(),
        };
        all.push(Mappable { row, answers, offered: offered(connection, seq)? });
    }
    Ok(all)
}

/// What the last attempt offered, of those of which it was written down.
pub(super) fn offered(connection: &Connection, seq: i64) -> Result<Option<String>> {
    connection
        .prepare_cached(
            "SELECT (SELECT feedback FROM attempts WHERE submission = ?1 AND feedback IS NOT NULL
                ORDER BY number DESC LIMIT 1)",
        )?
        .query_row([seq], |row| row.get(0))
}

fn hooks(connection: &Connection, seq: i64) -> Result<Vec<KeptHook>> {
    connection
        .prepare_cached(
            "SELECT id, source, outcome, method, received_at, query, body FROM hooks
                WHERE submission = ?1 ORDER BY received_at, id LIMIT ?2",
        )?
        .query_map(params![seq, Dossier::LISTED_MAX], |row| {
            let said = SaidByHook { query: row.get(5)?, body: row.get(6)? };
            // What is dropped by age leaves neither.
            let is_gone = said.query.is_none() && said.body.is_empty();
            Ok(KeptHook {
                id: hook_id(row, 0)?,
                source: text(row, 1)?,
                outcome: row.get(2)?,
                method: row.get(3)?,
                received_at: timestamp(row, 4)?,
                said: (!is_gone).then_some(said),
            })
        })?
        .collect()
}

fn kept_answers(connection: &Connection, seq: i64) -> Result<Vec<KeptAnswer>> {
    let mut all: Vec<KeptAnswer> = connection
        .prepare_cached(
            "SELECT question, answer, hook, received_at, late FROM answers WHERE submission = ?1
                ORDER BY received_at, hook LIMIT ?2",
        )?
        .query_map(params![seq, Dossier::LISTED_MAX], |row| {
            Ok(KeptAnswer {
                kind: "answer",
                name: row.get(0)?,
                value: row.get(1)?,
                hook: hook_id(row, 2)?,
                received_at: timestamp(row, 3)?,
                late: row.get(4)?,
            })
        })?
        .collect::<Result<_>>()?;
    all.extend(told::kept(connection, seq)?);
    all.sort_by(|a, b| {
        (a.received_at, a.hook, a.kind, &a.name).cmp(&(b.received_at, b.hook, b.kind, &b.name))
    });
    all.truncate(Dossier::LISTED_MAX);
    Ok(all)
}

fn attempts(connection: &Connection, seq: i64) -> Result<Vec<AttemptRecord>> {
    let mut last_first: Vec<AttemptRecord> = connection
        .prepare_cached(
            "SELECT number, started_at, finished_at, verdict, status, api_id, error, reply, feedback
                FROM attempts WHERE submission = ?1 ORDER BY number DESC LIMIT ?2",
        )?
        .query_map(params![seq, Dossier::LISTED_MAX], |row| {
            Ok(AttemptRecord {
                number: row.get(0)?,
                started_at: timestamp(row, 1)?,
                finished_at: optional_timestamp(row, 2)?,
                verdict: row.get(3)?,
                status: row.get(4)?,
                api_id: row.get(5)?,
                error: row.get(6)?,
                reply: row.get(7)?,
                feedback: row.get(8)?,
            })
        })?
        .collect::<Result<_>>()?;
    last_first.reverse();
    Ok(last_first)
}

fn interventions(connection: &Connection, seq: i64) -> Result<Vec<Intervention>> {
    connection
        .prepare_cached(
            "SELECT at, action, detail FROM interventions WHERE submission = ?1 ORDER BY number",
        )?
        .query_map([seq], |row| {
            Ok(Intervention { at: timestamp(row, 0)?, action: row.get(1)?, detail: row.get(2)? })
        })?
        .collect()
}
