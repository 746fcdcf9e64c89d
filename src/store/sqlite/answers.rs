//! The distinct things that callers said.

use rusqlite::{Connection, Result, params};

use super::columns::{answer, answer_text, hook_id, micros, timestamp};
use crate::domain::{Answers, Reported, Said};

pub(super) fn keep(connection: &Connection, seq: i64, said: &Said, late: bool) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO answers (submission, question, answer, hook, received_at, late)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            seq,
            said.question,
            answer_text(&said.answer),
            said.hook.0.as_bytes(),
            micros(said.received_at),
            late,
        ])?;
    Ok(())
}

/// The same answer arrived earlier than the one that was kept first.
pub(super) fn move_earlier(connection: &Connection, seq: i64, said: &Said) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE answers SET hook = ?4, received_at = ?5
                WHERE submission = ?1 AND question = ?2 AND answer IS ?3",
        )?
        .execute(params![
            seq,
            said.question,
            answer_text(&said.answer),
            said.hook.0.as_bytes(),
            micros(said.received_at),
        ])?;
    Ok(())
}

/// What was said before the submission was closed.
pub(super) fn in_time(connection: &Connection, seq: i64) -> Result<Answers> {
    connection
        .prepare_cached(
            "SELECT question, answer, received_at, hook FROM answers
                WHERE submission = ?1 AND late = 0",
        )?
        .query_map([seq], |row| {
            let reported =
                Reported { question: row.get(0)?, answer: answer(row, 1)?, reader: String::new() };
            Ok(reported.heard(timestamp(row, 2)?, hook_id(row, 3)?))
        })?
        .collect()
}

/// Whether the same was said after the submission was closed.
pub(super) fn heard_late(connection: &Connection, seq: i64, said: &Said) -> Result<bool> {
    connection
        .prepare_cached(
            "SELECT 1 FROM answers
                WHERE submission = ?1 AND late = 1 AND question = ?2 AND answer IS ?3",
        )?
        .exists(params![seq, said.question, answer_text(&said.answer)])
}

/// Lets what was late count after all; answers how many there were.
pub(super) fn readmit(connection: &Connection, seq: i64) -> Result<usize> {
    connection
        .prepare_cached("UPDATE answers SET late = 0 WHERE submission = ?1 AND late = 1")?
        .execute([seq])
}
