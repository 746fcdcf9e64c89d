//! How domain values lie in columns.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Result, Row};
use uuid::Uuid;

use crate::domain::{Answer, WebhookId};
use crate::submission::SubmissionId;

pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// The time as it is read back: without what is finer than a microsecond.
pub(super) fn kept(at: Timestamp) -> Timestamp {
    Timestamp::from_microsecond(micros(at)).expect("a time without its last digits is a time")
}

pub(super) fn duration_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// A bound larger than any ledger is none.
pub(super) fn bound(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}

/// Nothing where the clock went back.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
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
    parsed(column, Type::Blob, Uuid::from_slice(row.get_ref(column)?.as_blob()?)).map(SubmissionId)
}

pub(super) fn hook_id(row: &Row<'_>, column: usize) -> Result<WebhookId> {
    parsed(column, Type::Blob, Uuid::from_slice(row.get_ref(column)?.as_blob()?)).map(WebhookId)
}

pub(super) fn answer(row: &Row<'_>, column: usize) -> Result<Answer> {
    Ok(row.get::<_, Option<String>>(column)?.map_or(Answer::Silence, Answer::Given))
}

pub(super) fn answer_text(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Silence => None,
        Answer::Given(text) => Some(text),
    }
}

/// The value, or that the ledger holds what Postcall never wrote.
pub(super) fn parsed<T, E>(column: usize, kind: Type, value: Result<T, E>) -> Result<T>
where
    E: std::error::Error + Send + Sync + 'static,
{
    value.map_err(|e| rusqlite::Error::FromSqlConversionFailure(column, kind, Box::new(e)))
}
