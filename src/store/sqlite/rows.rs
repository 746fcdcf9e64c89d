//! Submissions as a person looks at them.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use super::columns::{optional_timestamp, parsed, submission_id, text, timestamp};
use crate::domain::CallUuid;
use crate::store::contract::{KeptAttempt, SubmissionRow};
use crate::submission::{State, SubmissionId, SubmissionKey};

/// Stands where the call of a submission was, once that is gone.
const NO_CALL: &str = "-";

/// A submission, and by what the rest of it is found.
pub(super) struct Found {
    pub seq: i64,
    /// There is more to it than answers.
    pub told: bool,
    pub row: SubmissionRow,
}

macro_rules! found_by {
    ($column:literal) => {
        concat!(
            "SELECT s.id, s.account, s.survey, s.call, s.state, s.reason, s.detail, s.accepted_at,
                    s.due_at, s.attempts, s.feedback, s.trace, a.number, a.verdict, a.status,
                    a.api_id, s.settled_at, s.gone_at, s.seq, s.told
                FROM submissions s
                LEFT JOIN attempts a ON a.submission = s.seq AND a.number = s.tries
                WHERE s.",
            $column,
            " = ?1"
        )
    };
}

pub(super) fn by_seq(connection: &Connection, seq: i64) -> Result<SubmissionRow> {
    connection.prepare_cached(found_by!("seq"))?.query_row([seq], found).map(|found| found.row)
}

pub(super) fn by_id(connection: &Connection, id: SubmissionId) -> Result<Option<Found>> {
    connection
        .prepare_cached(found_by!("id"))?
        .query_row(params![id.0.as_bytes()], found)
        .optional()
}

fn found(row: &Row<'_>) -> Result<Found> {
    let (label, reason) = (row.get_ref(4)?.as_str()?, row.get_ref(5)?.as_str_or_null()?);
    let last_attempt = match row.get::<_, Option<u32>>(12)? {
        None => None,
        Some(_) => {
            Some(KeptAttempt { verdict: row.get(13)?, status: row.get(14)?, api_id: row.get(15)? })
        }
    };
    let submission = SubmissionRow {
        id: submission_id(row, 0)?,
        key: SubmissionKey { account: text(row, 1)?, survey: text(row, 2)?, call: call(row, 3)? },
        state: parsed(4, Type::Text, State::from_labels(label, reason))?,
        detail: row.get(6)?,
        accepted_at: timestamp(row, 7)?,
        due_at: timestamp(row, 8)?,
        settled_at: optional_timestamp(row, 16)?,
        gone_at: optional_timestamp(row, 17)?,
        attempts: row.get(9)?,
        last_attempt,
        feedback: row.get(10)?,
        trace: row.get(11)?,
    };
    Ok(Found { seq: row.get(18)?, told: row.get(19)?, row: submission })
}

fn call(row: &Row<'_>, column: usize) -> Result<CallUuid> {
    match row.get_ref(column)?.as_str()? {
        "" => Ok(NO_CALL.parse().expect("a hyphen is lawful in a call's id")),
        _ => text(row, column),
    }
}
