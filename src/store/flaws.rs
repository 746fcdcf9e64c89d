//! Flaws that stores often have: a suite that cannot tell each of them from this one promises
//! nothing. `tests/it/flaws.rs` runs it against all of them.
//!
//! Only with the feature `flaws`, which no release has. `POSTCALL_FLAW` names the one of a process.

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};

use super::model::{ReceiveRequest, Received};
use crate::submission::{
    Answers, LeaseToken, Outcome, Receipt, Settlement, Submission, SubmissionId,
};

#[cfg(not(debug_assertions))]
compile_error!("the feature flaws is for tests alone: a release keeps its promises");

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Flaw {
    /// Webhooks are acknowledged, then the batch is written.
    AnswerBeforeCommit,
    /// Whether a submission is known is looked up before the transaction that starts it.
    CheckThenInsert,
    /// A webhook that comes again is one more webhook.
    NoRecordOfRepeats,
    /// What is stored first arrived first.
    OrderAssumed,
    /// A submission is settled by its id, although another claim may have been made since.
    SettleWithoutFence,
    /// Of a call that has very many webhooks each further one is kept.
    ExcessKept,
    /// What retention removes goes by whatever the wall clock shows.
    PurgeOnClockJump,
    /// A row is believed, whether or not it is what was written.
    ClaimWithoutCheck,
    /// A sender that hangs up after its webhook was written never gives its place in the queue back.
    PlaceOfADroppedFuture,
}

static FLAW: LazyLock<Option<Flaw>> = LazyLock::new(|| {
    let name = std::env::var("POSTCALL_FLAW").ok()?;
    Some(match &*name {
        "answer_before_commit" => Flaw::AnswerBeforeCommit,
        "check_then_insert" => Flaw::CheckThenInsert,
        "no_record_of_repeats" => Flaw::NoRecordOfRepeats,
        "order_assumed" => Flaw::OrderAssumed,
        "settle_without_fence" => Flaw::SettleWithoutFence,
        "excess_kept" => Flaw::ExcessKept,
        "purge_on_clock_jump" => Flaw::PurgeOnClockJump,
        "claim_without_check" => Flaw::ClaimWithoutCheck,
        "place_of_a_dropped_future" => Flaw::PlaceOfADroppedFuture,
        _ => panic!("there is no flaw {name}"),
    })
});

pub(crate) fn has(flaw: Flaw) -> bool {
    *FLAW == Some(flaw)
}

/// What is answered to a webhook whose submission was unknown when it was looked up, before its
/// operation waited for the writer, and is known by now.
pub(super) fn created_as_looked_up(
    was_known: bool,
    is_known: bool,
    id: SubmissionId,
    _request: &ReceiveRequest,
) -> Option<Received> {
    (has(Flaw::CheckThenInsert) && !was_known && is_known).then(|| Received {
        submission: id,
        outcome: Outcome::Created,
        changed: false,
        answers: Answers::default(),
        spooled: false,
    })
}

/// As if everything that its submission has had arrived before it.
pub(super) fn arrival_time(received_at: Timestamp, known: Option<&Submission>) -> Timestamp {
    let last = known.and_then(|known| {
        let answers = known.document.all_answers();
        let fields = answers.fields().map(|(_, field)| field.received_at).max();
        answers.last_heard_at().max(fields)
    });
    match last {
        Some(last) if has(Flaw::OrderAssumed) => {
            received_at.max(last + SignedDuration::from_micros(1))
        }
        _ => received_at,
    }
}

pub(super) fn receipt(receipt: Receipt) -> Receipt {
    if receipt.outcome == Outcome::Duplicate && has(Flaw::NoRecordOfRepeats) {
        return Receipt { outcome: Outcome::Updated, ..receipt };
    }
    if receipt.outcome == Outcome::Excess && has(Flaw::ExcessKept) {
        return Receipt { outcome: Outcome::Late, ..receipt };
    }
    receipt
}

/// The settlement with whatever token fits.
pub(super) fn settlement(settlement: &Settlement, known: &Submission) -> Settlement {
    let mut settlement = settlement.clone();
    if has(Flaw::SettleWithoutFence) {
        settlement.token = LeaseToken { fence: known.fence, ..settlement.token };
    }
    settlement
}
