//! Ledgers as they are often written: a suite that cannot tell each of them from this one promises
//! nothing. `tests/it/flaws.rs` runs it against all of them.
//!
//! Only with the feature `flaws`, which no release has. `POSTCALL_FLAW` names the one of a process.

use std::sync::{LazyLock, Mutex};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result};

use super::columns::{kept, micros};
use super::writer::Work;
use crate::store::contract::{Accepted, Arrival, Outcome};
use crate::submission::{Answers, SubmissionId};

#[cfg(not(debug_assertions))]
compile_error!("the feature flaws is for tests alone: a release keeps its promises");

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Flaw {
    /// Whoever waits is thanked, then the group is written.
    AnswerBeforeCommit,
    /// Whether a submission is known is looked up before the transaction that starts it.
    CheckThenInsert,
    /// A hook that comes again is one more hook.
    NoRecordOfRepeats,
    /// What is kept first was said first.
    OrderAssumed,
    /// A submission is settled by its id, whoever has it in hand by now.
    SettleWithoutFence,
}

static FLAW: LazyLock<Option<Flaw>> = LazyLock::new(|| {
    let name = std::env::var("POSTCALL_FLAW").ok()?;
    Some(match &*name {
        "answer_before_commit" => Flaw::AnswerBeforeCommit,
        "check_then_insert" => Flaw::CheckThenInsert,
        "no_record_of_repeats" => Flaw::NoRecordOfRepeats,
        "order_assumed" => Flaw::OrderAssumed,
        "settle_without_fence" => Flaw::SettleWithoutFence,
        _ => panic!("there is no flaw {name}"),
    })
});

pub(super) fn has(flaw: Flaw) -> bool {
    *FLAW == Some(flaw)
}

/// Whether the ledger knows the submission now, before its command waits for the writer.
pub(super) fn looks_up(reader: &Mutex<Connection>, id: SubmissionId) -> bool {
    let reader = reader.lock().expect("no reader panics");
    has(Flaw::CheckThenInsert) && knows(&reader, id).expect("a ledger that can be read")
}

/// The answer to a hook that was not known when it was looked up, and could not be inserted.
pub(super) fn inserts_as_looked_up(
    work: &Work<'_>,
    was_known: bool,
    arrival: &Arrival,
) -> Result<Option<Accepted>> {
    let submission = arrival.key.id();
    if !has(Flaw::CheckThenInsert) || was_known || !knows(work.connection, submission)? {
        return Ok(None);
    }
    let answers = Answers::default();
    Ok(Some(Accepted { submission, outcome: Outcome::New, changed: false, answers }))
}

/// As if everything that its submission has had come before it.
pub(super) fn as_kept(work: &Work<'_>, id: SubmissionId, arrival: &Arrival) -> Result<Arrival> {
    let mut arrival = arrival.clone();
    if has(Flaw::OrderAssumed) {
        let last: Option<i64> = work.connection.query_row(
            "SELECT max(h.received_at) FROM hooks h JOIN submissions s ON s.seq = h.submission
                WHERE s.id = ?1",
            [id.0.as_bytes()],
            |row| row.get(0),
        )?;
        let received_at = micros(kept(arrival.hook.received_at)).max(last.map_or(0, |at| at + 1));
        arrival.hook.received_at =
            Timestamp::from_microsecond(received_at).expect("a time that was kept");
    }
    Ok(arrival)
}

/// Finds what a ticket is about by its id alone.
pub(super) fn without_fence(statement: &str) -> String {
    match has(Flaw::SettleWithoutFence) {
        true => statement.replace("fence = ?2 AND leased_until", "?2"),
        false => statement.to_owned(),
    }
}

fn knows(connection: &Connection, id: SubmissionId) -> Result<bool> {
    let known = connection
        .query_row("SELECT 1 FROM submissions WHERE id = ?1", [id.0.as_bytes()], |_| Ok(()))
        .optional()?;
    Ok(known.is_some())
}
