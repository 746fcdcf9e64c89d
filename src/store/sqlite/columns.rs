//! Domain values as columns.

use jiff::Timestamp;
use rusqlite::types::{Type, ValueRef};
use rusqlite::{Result, Row};
use uuid::Uuid;

use crate::store::backend::{Corrupt, Stored};
use crate::store::checksum::{self, Column};
use crate::store::model::ROWS_PER_MICROSECOND;
use crate::submission::{
    Document, Remains, RetentionLevel, SetAside, State, Submission, SubmissionId,
};

/// The columns of a submission, in the order in which [`submission`] reads them.
macro_rules! submission_columns {
    () => {
        "seq, id, account, survey, call, state, reason, accepted_at, due_at, lease_until, fence,
            due_since, settled_at, retention, purged_at, document, checksum"
    };
}
pub(super) use submission_columns;

/// How many of [`submission_columns`] the checksum covers: all that come before it.
const CHECKED: usize = 16;

const UNREADABLE: &str = "cannot be read";

/// Violation by a row that is not what was written.
pub(super) const WRONG_CHECKSUM: &str = "does not have its checksum";

/// A row that was selected by [`submission_columns`], set aside where it is not what was written.
pub(super) fn stored(row: &Row<'_>) -> Result<Stored> {
    let number = row.get(0)?;
    let read = submission(row);
    let fault = match &read {
        Err(_) => UNREADABLE,
        Ok(_) if !has_its_checksum(row)? => WRONG_CHECKSUM,
        Ok(submission) if !submission.has_its_id() => Submission::WRONG_ID,
        Ok(_) => "",
    };
    match read {
        Ok(submission) if fault.is_empty() => Ok(Stored { row: number, submission, corrupt: None }),
        _ => {
            let document = row.get_ref(15)?.as_bytes().unwrap_or_default().to_owned();
            let counted_as = counted_as(row)?;
            let corrupt = Some(Corrupt { counted_as, fault, document });
            let why = SetAside::Corrupt { was: counted_as };
            let submission = Submission::set_aside(remains(row)?, why);
            Ok(Stored { row: number, submission, corrupt })
        }
    }
}

/// Checksum of the columns of a submission but for this one, as they are written and as they are read.
pub fn checksum<'a>(columns: impl IntoIterator<Item = ValueRef<'a>>) -> i64 {
    checksum::checksum(columns.into_iter().map(|column| match column {
        ValueRef::Null => Column::Null,
        ValueRef::Integer(number) => Column::Integer(number),
        ValueRef::Real(number) => Column::Real(number),
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => Column::Bytes(bytes),
    }))
}

/// Whether a row is what was written.
pub(super) fn has_its_checksum(row: &Row<'_>) -> Result<bool> {
    #[cfg(feature = "flaws")]
    if crate::store::flaws::has(crate::store::flaws::Flaw::ClaimWithoutCheck) {
        return Ok(true);
    }
    let expected = row.get_ref(CHECKED)?;
    Ok(ValueRef::Integer(checksum(checked(row)?)) == expected)
}

fn checked<'a>(row: &'a Row<'_>) -> Result<[ValueRef<'a>; CHECKED]> {
    let mut columns = [ValueRef::Null; CHECKED];
    for (column, value) in columns.iter_mut().enumerate() {
        *value = row.get_ref(column)?;
    }
    Ok(columns)
}

/// The state in which a corrupt row is counted: the one that its checksum confirms, or else the one
/// that it names, or else the one that the indexes have it for.
fn counted_as(row: &Row<'_>) -> Result<State> {
    let (mut columns, expected) = (checked(row)?, row.get_ref(CHECKED)?);
    let label = row.get_ref(5)?.as_str().unwrap_or_default();
    let waits = row.get_ref(12)? == ValueRef::Null;
    for state in State::all() {
        columns[5] = state.label().into();
        columns[6] = state.reason().map_or(ValueRef::Null, ValueRef::from);
        if ValueRef::Integer(checksum(columns)) == expected {
            return Ok(state);
        }
    }
    let named = State::all().find(|state| state.label() == label);
    Ok(named.unwrap_or(if waits { State::Pending } else { State::Delivered }))
}

/// What can be read of a row that is not what was written.
pub(super) fn remains(row: &Row<'_>) -> Result<Remains> {
    let number: i64 = row.get(0)?;
    let by_number = || Timestamp::from_microsecond(number.div_euclid(ROWS_PER_MICROSECOND));
    let name =
        |column| text(row, column).unwrap_or_else(|_| UNREADABLE_NAME.parse().expect("a name"));
    let document = row.get_ref(15)?.as_bytes().ok();
    Ok(Remains {
        // No webhook has the id that is made of the number alone.
        id: submission_id(row, 1)
            .unwrap_or_else(|_| SubmissionId(Uuid::from_u128(number.unsigned_abs().into()))),
        account: name(2),
        survey: name(3),
        call: text(row, 4).ok(),
        // Two columns have to say so.
        purged_at: match row.get_ref(4)? {
            ValueRef::Null => timestamp(row, 14).ok(),
            _ => None,
        },
        accepted_at: timestamp(row, 7).or_else(|_| by_number()).unwrap_or(Timestamp::UNIX_EPOCH),
        fence: row.get(10).unwrap_or_default(),
        document: document.and_then(|document| Document::read(document).ok()),
    })
}

/// Placeholder for an account or a survey whose name is invalid.
const UNREADABLE_NAME: &str = "unreadable";

/// A row that was selected by [`submission_columns`], whatever its checksum.
pub(super) fn submission(row: &Row<'_>) -> Result<Submission> {
    let (label, reason) = (row.get_ref(5)?.as_str()?, row.get_ref(6)?.as_str_or_null()?);
    let call = match row.get_ref(4)?.as_str_or_null()? {
        None => None,
        Some(call) => Some(parsed(4, Type::Text, call.parse())?),
    };
    Ok(Submission {
        id: submission_id(row, 1)?,
        account: text(row, 2)?,
        survey: text(row, 3)?,
        call,
        state: parsed(5, Type::Text, State::from_labels(label, reason))?,
        accepted_at: timestamp(row, 7)?,
        due_at: timestamp(row, 8)?,
        lease_until: optional_timestamp(row, 9)?,
        fence: row.get(10)?,
        due_since: optional_timestamp(row, 11)?,
        settled_at: optional_timestamp(row, 12)?,
        retention: retention(row, 13)?,
        purged_at: optional_timestamp(row, 14)?,
        document: parsed(15, Type::Text, Document::read(row.get_ref(15)?.as_bytes()?))?,
    })
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

/// A time in microseconds, or the nearest that there is.
pub(super) fn clamped(micros: i64) -> Timestamp {
    let nearest = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(nearest)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise every row of a known store would be taken for corrupt.
    #[test]
    fn a_checksum_is_the_same_in_every_release() {
        let columns = [ValueRef::Integer(-7), "score".into(), ValueRef::Null, ValueRef::Blob(&[7])];
        assert_eq!(checksum(columns), 149_886_508);
    }

    #[test]
    fn a_letter_that_moves_from_one_column_to_the_next_has_another_checksum() {
        let sum = |a: &str, b: &str| checksum([a.into(), b.into()]);
        assert_ne!(sum("ab", "c"), sum("a", "bc"));
        assert_ne!(checksum(["".into()]), checksum([ValueRef::Null]));
        assert_ne!(sum("", "a"), sum("a", ""));
    }
}
