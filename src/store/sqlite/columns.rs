//! Domain values as columns.

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Result, Row};
use uuid::Uuid;

use crate::submission::{Document, RetentionLevel, State, Submission, SubmissionId};

/// The columns of a submission, in the order in which [`submission`] reads them.
macro_rules! submission_columns {
    () => {
        "seq, id, account, survey, call, state, reason, accepted_at, due_at, lease_until, fence,
            first_attempt_at, settled_at, retention, purged_at, document"
    };
}
pub(super) use submission_columns;

/// A row that was selected by [`submission_columns`].
pub(super) fn submission(row: &Row<'_>) -> Result<(i64, Submission)> {
    let (label, reason) = (row.get_ref(5)?.as_str()?, row.get_ref(6)?.as_str_or_null()?);
    let call = match row.get_ref(4)?.as_str_or_null()? {
        None => None,
        Some(call) => Some(parsed(4, Type::Text, call.parse())?),
    };
    let submission = Submission {
        id: submission_id(row, 1)?,
        account: text(row, 2)?,
        survey: text(row, 3)?,
        call,
        state: parsed(5, Type::Text, State::from_labels(label, reason))?,
        accepted_at: timestamp(row, 7)?,
        due_at: timestamp(row, 8)?,
        lease_until: optional_timestamp(row, 9)?,
        fence: row.get(10)?,
        first_attempt_at: optional_timestamp(row, 11)?,
        settled_at: optional_timestamp(row, 12)?,
        retention: retention(row, 13)?,
        purged_at: optional_timestamp(row, 14)?,
        document: parsed(15, Type::Text, Document::read(row.get_ref(15)?.as_bytes()?))?,
    };
    Ok((row.get(0)?, submission))
}

pub(super) fn retention_column(level: RetentionLevel) -> i64 {
    match level {
        RetentionLevel::Outcome => 0,
        RetentionLevel::Stripped => 1,
        RetentionLevel::Full => 2,
    }
}

/// What retention may not touch is kept in full.
fn retention(row: &Row<'_>, column: usize) -> Result<RetentionLevel> {
    let Some(found) = row.get::<_, Option<i64>>(column)? else { return Ok(RetentionLevel::Full) };
    let mut levels = RetentionLevel::ALL.into_iter();
    levels
        .find(|level| retention_column(*level) == found)
        .ok_or(rusqlite::Error::IntegralValueOutOfRange(column, found))
}

pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A limit larger than any table is none.
pub(super) fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

pub(super) fn timestamp(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    parsed(column, Type::Integer, Timestamp::from_microsecond(row.get(column)?))
}

pub(super) fn optional_timestamp(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        None => Ok(None),
        Some(at) => parsed(column, Type::Integer, Timestamp::from_microsecond(at)).map(Some),
    }
}

/// A text column that holds the text of a domain type.
pub(super) fn text<T: std::str::FromStr>(row: &Row<'_>, column: usize) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    parsed(column, Type::Text, row.get_ref(column)?.as_str()?.parse())
}

pub(super) fn submission_id(row: &Row<'_>, column: usize) -> Result<SubmissionId> {
    uuid(row, column).map(SubmissionId)
}

pub(super) fn uuid(row: &Row<'_>, column: usize) -> Result<Uuid> {
    parsed(column, Type::Blob, Uuid::from_slice(row.get_ref(column)?.as_blob()?))
}

/// The value, or that the database holds what Postcall never wrote.
pub(super) fn parsed<T, E>(column: usize, kind: Type, value: Result<T, E>) -> Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    value.map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(e)))
}
