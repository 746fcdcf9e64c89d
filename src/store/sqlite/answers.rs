//! The distinct things that callers said.

use rusqlite::{Connection, Result, params};

use super::columns::{answer, answer_text, hook_id, micros, timestamp};
use super::told;
use crate::domain::{ExtractedAnswer, WebhookId};
use crate::submission::{Answers, RecordedAnswer};

pub(super) fn keep(
    connection: &Connection,
    seq: i64,
    said: &RecordedAnswer,
    late: bool,
) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO answers (submission, question, answer, hook, received_at, late, reader)
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        )?
        .execute(params![
            seq,
            said.question,
            answer_text(&said.answer),
            said.hook.0.as_bytes(),
            micros(said.received_at),
            late,
            said.reader,
        ])?;
    Ok(())
}

/// The same answer arrived earlier than the one that was kept first, by the hook `first`; where the
/// last answer counts, the later time is kept too.
pub(super) fn move_earlier(
    connection: &Connection,
    seq: i64,
    first: WebhookId,
    said: &RecordedAnswer,
    last_counts: bool,
) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE answers
                SET hook = ?4, received_at = ?5, reader = ?6,
                    again_at = iif(?7, coalesce(again_at, received_at), again_at)
                WHERE submission = ?1 AND question = ?2 AND hook = ?3",
        )?
        .execute(params![
            seq,
            said.question,
            first.0.as_bytes(),
            said.hook.0.as_bytes(),
            micros(said.received_at),
            said.reader,
            last_counts,
        ])?;
    Ok(())
}

/// The same answer was said once more. What is said late is not yet mixed with what counts: it
/// gets a row of its own, and is the same answer again once it is read with the others.
pub(super) fn say_again(
    connection: &Connection,
    seq: i64,
    said: &RecordedAnswer,
    late: bool,
) -> Result<()> {
    let known = connection
        .prepare_cached(
            "UPDATE answers SET again_at = ?4
                WHERE submission = ?1 AND question = ?2 AND answer IS ?3 AND late = ?5",
        )?
        .execute(params![
            seq,
            said.question,
            answer_text(&said.answer),
            micros(said.last_at),
            late,
        ])?;
    if known == 0 { keep(connection, seq, said, late) } else { Ok(()) }
}

/// Which of what was heard of a submission is asked for.
#[derive(Clone, Copy)]
pub(super) enum Which {
    /// What was said before it was closed.
    InTime,
    All,
}

/// What was heard of a submission; `told` is whether it says that there is more than answers.
pub(super) fn heard(
    connection: &Connection,
    seq: i64,
    told: bool,
    which: Which,
) -> Result<Answers> {
    let late_too = matches!(which, Which::All);
    let mut answers: Answers = connection
        .prepare_cached(
            "SELECT question, answer, reader, received_at, hook, coalesce(again_at, received_at)
                FROM answers WHERE submission = ?1 AND late <= ?2",
        )?
        .query_map(params![seq, late_too], |row| {
            let reported = ExtractedAnswer {
                question: row.get(0)?,
                answer: answer(row, 1)?,
                reader: row.get(2)?,
            };
            let said = RecordedAnswer::new(reported, timestamp(row, 3)?, hook_id(row, 4)?);
            Ok(RecordedAnswer { last_at: timestamp(row, 5)?, ..said })
        })?
        .collect::<Result<_>>()?;
    if told {
        told::add_to(&mut answers, connection, seq, late_too)?;
    }
    Ok(answers)
}

/// Lets what was late count after all; answers how many things there were.
pub(super) fn readmit(connection: &Connection, seq: i64, told: bool) -> Result<usize> {
    let said = connection
        .prepare_cached("UPDATE answers SET late = 0 WHERE submission = ?1 AND late = 1")?
        .execute([seq])?;
    Ok(if told { said + told::readmit(connection, seq)? } else { said })
}
