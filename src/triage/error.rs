use std::fmt::Display;
use std::time::Duration;

use crate::store::{Done, StoreError};

/// Why something was not done by hand.
#[derive(Debug, thiserror::Error)]
pub enum TriageError {
    /// What is wanted is not said as it has to be.
    #[error("{key}: {fault}")]
    Unreadable { key: &'static str, fault: String },
    #[error("no such submission")]
    UnknownSubmission,
    #[error("no such account: neither the settings nor the ledger have it")]
    UnknownAccount,
    /// The submission cannot be dealt with in this way; never [`Done::Done`].
    #[error("{}", refusal(*.0))]
    Refused(Done),
    /// What was done by the last page is still being worked off.
    #[error("the page before is still being worked off: ask again in {} ms", wait.as_millis())]
    TooSoon { wait: Duration },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl TriageError {
    pub(super) fn unreadable(key: &'static str, fault: impl Display) -> Self {
        TriageError::Unreadable { key, fault: fault.to_string() }
    }
}

fn refusal(done: Done) -> &'static str {
    match done {
        Done::Done => "it was done",
        Done::Unknown => "no such submission",
        Done::Accepted => "Plivo has accepted it",
        Done::Waiting => "it waits to be delivered already",
        Done::UnderWay => "an attempt is under way: try again when it has ended",
        Done::Gone => "it was discarded or erased, or is known no more: that is final",
        Done::NeverOffered => "it was never offered, so there is nothing to offer as it was",
    }
}
