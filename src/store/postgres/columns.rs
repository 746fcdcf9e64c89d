//! Submissions as rows.

use jiff::Timestamp;
use tokio_postgres::Row;
use uuid::Uuid;

use super::error::PgError;
use crate::store::backend::{Corrupt, Stored};
use crate::store::checksum::{Column, checksum};
use crate::store::model::ROWS_PER_MICROSECOND;
use crate::submission::{
    Document, Remains, RetentionLevel, SetAside, State, Submission, SubmissionId,
};

/// The columns of a submission, in the order of [`Columns`].
macro_rules! submission_columns {
    () => {
        "seq, id, account, survey, call, state, reason, accepted_at, due_at, lease_until, fence,
            due_since, settled_at, retention, purged_at, document, checksum"
    };
}
pub(super) use submission_columns;

const UNREADABLE: &str = "cannot be read";
const WRONG_CHECKSUM: &str = "does not have its checksum";

/// Placeholder for an account or a survey whose name is invalid.
const UNREADABLE_NAME: &str = "unreadable";

/// A row of the table of submissions, as it is.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub seq: i64,
    pub id: Uuid,
    pub account: String,
    pub survey: String,
    pub call: Option<String>,
    pub state: String,
    pub reason: Option<String>,
    pub accepted_at: i64,
    pub due_at: i64,
    pub lease_until: Option<i64>,
    pub fence: i64,
    pub due_since: Option<i64>,
    pub settled_at: Option<i64>,
    pub retention: Option<i64>,
    pub purged_at: Option<i64>,
    pub document: String,
    pub checksum: i64,
}

impl Columns {
    pub fn of(seq: i64, submission: &Submission) -> Self {
        let mut document = Vec::new();
        submission.document.write(&mut document);
        let optional = |at: Option<Timestamp>| at.map(micros);
        let Submission { state, retention, .. } = submission;
        let mut columns = Self {
            seq,
            id: submission.id.0,
            account: submission.account.as_str().to_owned(),
            survey: submission.survey.as_str().to_owned(),
            call: submission.call.as_ref().map(|call| call.as_str().to_owned()),
            state: state.label().to_owned(),
            reason: state.reason().map(str::to_owned),
            accepted_at: micros(submission.accepted_at),
            due_at: micros(submission.due_at),
            lease_until: optional(submission.lease_until),
            fence: submission.fence.try_into().unwrap_or(i64::MAX),
            due_since: optional(submission.due_since),
            settled_at: optional(submission.settled_at),
            retention: submission.is_purgeable().then_some(retention_column(*retention)),
            purged_at: optional(submission.purged_at),
            document: String::from_utf8(document).expect("JSON is UTF-8"),
            checksum: 0,
        };
        columns.checksum = columns.expected_checksum();
        columns
    }

    /// A row that was selected by [`submission_columns`].
    pub fn read(row: &Row) -> Result<Self, PgError> {
        Ok(Self {
            seq: row.try_get(0)?,
            id: row.try_get(1)?,
            account: row.try_get(2)?,
            survey: row.try_get(3)?,
            call: row.try_get(4)?,
            state: row.try_get(5)?,
            reason: row.try_get(6)?,
            accepted_at: row.try_get(7)?,
            due_at: row.try_get(8)?,
            lease_until: row.try_get(9)?,
            fence: row.try_get(10)?,
            due_since: row.try_get(11)?,
            settled_at: row.try_get(12)?,
            retention: row.try_get(13)?,
            purged_at: row.try_get(14)?,
            document: row.try_get(15)?,
            checksum: row.try_get(16)?,
        })
    }

    fn expected_checksum(&self) -> i64 {
        let optional = |number: Option<i64>| number.map_or(Column::Null, Column::Integer);
        checksum([
            Column::Integer(self.seq),
            Column::Bytes(self.id.as_bytes()),
            Column::Bytes(self.account.as_bytes()),
            Column::Bytes(self.survey.as_bytes()),
            self.call.as_ref().map_or(Column::Null, |call| Column::Bytes(call.as_bytes())),
            Column::Bytes(self.state.as_bytes()),
            self.reason.as_ref().map_or(Column::Null, |reason| Column::Bytes(reason.as_bytes())),
            Column::Integer(self.accepted_at),
            Column::Integer(self.due_at),
            optional(self.lease_until),
            Column::Integer(self.fence),
            optional(self.due_since),
            optional(self.settled_at),
            optional(self.retention),
            optional(self.purged_at),
            Column::Bytes(self.document.as_bytes()),
        ])
    }

    fn has_its_checksum(&self) -> bool {
        #[cfg(feature = "flaws")]
        if crate::store::flaws::has(crate::store::flaws::Flaw::ClaimWithoutCheck) {
            return true;
        }
        self.checksum == self.expected_checksum()
    }

    /// The submission, set aside where it is not what was written.
    pub fn stored(self) -> Stored {
        let read = self.submission();
        let fault = match &read {
            None => UNREADABLE,
            Some(_) if !self.has_its_checksum() => WRONG_CHECKSUM,
            Some(submission) if !submission.has_its_id() => Submission::WRONG_ID,
            Some(_) => "",
        };
        match read {
            Some(submission) if fault.is_empty() => {
                Stored { row: self.seq, submission, corrupt: None }
            }
            _ => {
                let counted_as = self.counted_as();
                let why = SetAside::Corrupt { was: counted_as };
                let submission = Submission::set_aside(self.remains(), why);
                let document = self.document.into_bytes();
                let corrupt = Some(Corrupt { counted_as, fault, document });
                Stored { row: self.seq, submission, corrupt }
            }
        }
    }

    /// What is wrong with it, in words that follow "submission X".
    pub fn faults(&self) -> Vec<&'static str> {
        match self.submission() {
            None => vec![UNREADABLE],
            Some(_) if !self.has_its_checksum() => vec![WRONG_CHECKSUM],
            Some(submission) => submission.violations(),
        }
    }

    pub fn submission(&self) -> Option<Submission> {
        let optional = |at: Option<i64>| match at {
            None => Some(None),
            Some(at) => Timestamp::from_microsecond(at).ok().map(Some),
        };
        Some(Submission {
            id: SubmissionId(self.id),
            account: self.account.parse().ok()?,
            survey: self.survey.parse().ok()?,
            call: match &self.call {
                None => None,
                Some(call) => Some(call.parse().ok()?),
            },
            state: State::from_labels(&self.state, self.reason.as_deref()).ok()?,
            accepted_at: Timestamp::from_microsecond(self.accepted_at).ok()?,
            due_at: Timestamp::from_microsecond(self.due_at).ok()?,
            lease_until: optional(self.lease_until)?,
            fence: self.fence.try_into().ok()?,
            due_since: optional(self.due_since)?,
            settled_at: optional(self.settled_at)?,
            retention: retention(self.retention)?,
            purged_at: optional(self.purged_at)?,
            document: Document::read(self.document.as_bytes()).ok()?,
        })
    }

    /// The state in which a corrupt row is counted: the one that its checksum confirms, or else the one
    /// that it names, or else the one that its columns suggest.
    fn counted_as(&self) -> State {
        let confirmed = State::all().find(|state| {
            let (label, reason) = (state.label().to_owned(), state.reason().map(str::to_owned));
            let changed = Self { state: label, reason, ..self.clone() };
            changed.expected_checksum() == self.checksum
        });
        let named = || State::all().find(|state| state.label() == self.state);
        let waits = self.settled_at.is_none();
        confirmed.or_else(named).unwrap_or(if waits { State::Pending } else { State::Delivered })
    }

    fn remains(&self) -> Remains {
        let by_number =
            || Timestamp::from_microsecond(self.seq.div_euclid(ROWS_PER_MICROSECOND)).ok();
        let name =
            |text: &str| text.parse().unwrap_or_else(|_| UNREADABLE_NAME.parse().expect("a name"));
        let purged_at = self.purged_at.and_then(|at| Timestamp::from_microsecond(at).ok());
        let accepted_at = Timestamp::from_microsecond(self.accepted_at).ok();
        Remains {
            id: SubmissionId(self.id),
            account: name(&self.account),
            survey: name(&self.survey),
            call: self.call.as_ref().and_then(|call| call.parse().ok()),
            // Two columns have to say so.
            purged_at: purged_at.filter(|_| self.call.is_none()),
            accepted_at: accepted_at.or_else(by_number).unwrap_or(Timestamp::UNIX_EPOCH),
            fence: self.fence.try_into().unwrap_or_default(),
            document: Document::read(self.document.as_bytes()).ok(),
        }
    }
}

pub(super) fn retention_column(level: RetentionLevel) -> i64 {
    match level {
        RetentionLevel::Outcome => 0,
        RetentionLevel::Stripped => 1,
        RetentionLevel::Full => 2,
    }
}

/// What retention may not touch is kept in full.
fn retention(column: Option<i64>) -> Option<RetentionLevel> {
    let Some(found) = column else { return Some(RetentionLevel::Full) };
    RetentionLevel::ALL.into_iter().find(|level| retention_column(*level) == found)
}

pub(super) fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

/// A time in microseconds, or the nearest that there is.
pub(super) fn clamped(micros: i64) -> Timestamp {
    let nearest = if micros < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_microsecond(micros).unwrap_or(nearest)
}

/// A limit larger than any table is none.
pub(super) fn limit(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
