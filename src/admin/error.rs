use std::fmt::Display;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store::StoreError;
use crate::submission::ActionOutcome;

/// Result of an operator action.
pub type Result<T, E = AdminError> = std::result::Result<T, E>;

/// Why an operator action failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The request is invalid: its key, and what was expected.
    #[error("{0}")]
    Invalid(String),
    /// There is no such submission or account.
    #[error("{0}")]
    NotFound(String),
    /// The state of the submission does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// Submissions of the page before are still being delivered or discarded.
    #[error("the page before is still being worked off: ask again in {} ms", wait.as_millis())]
    TooSoon { wait: Duration },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The service cannot be asked, or failed.
    #[error("{0}")]
    Service(String),
}

/// Why the API does not do what was asked, as RFC 9457 writes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ApiProblem {
    #[schema(example = "about:blank")]
    pub r#type: String,
    pub title: String,
    pub status: u16,
    /// What would be right.
    pub detail: String,
}

impl AdminError {
    pub(crate) fn invalid(key: &str, fault: impl Display) -> Self {
        AdminError::Invalid(format!("{key}: {fault}"))
    }

    pub(crate) fn unknown_account() -> Self {
        let detail = "no such account: neither the settings nor the store have it";
        AdminError::NotFound(detail.to_owned())
    }
}

/// An outcome of one submission that is not [`ActionOutcome::Done`].
impl From<ActionOutcome> for AdminError {
    fn from(outcome: ActionOutcome) -> Self {
        let detail = match outcome {
            ActionOutcome::Done => "it was done",
            ActionOutcome::Unknown => return AdminError::NotFound("no such submission".to_owned()),
            ActionOutcome::Delivered => "Plivo has accepted it",
            ActionOutcome::Waiting => "it waits to be delivered already",
            ActionOutcome::InFlight => "an attempt is under way: try again when it has ended",
            ActionOutcome::Discarded => "it was discarded: that is final",
            ActionOutcome::Purged => "it was erased or purged: that is final",
            ActionOutcome::Corrupt => {
                "it was changed on disk, so what would be sent may be wrong: look at its webhooks, then discard it"
            }
            ActionOutcome::NoPayload => {
                "it was never offered, so there is nothing to offer as it was"
            }
        };
        AdminError::Conflict(detail.to_owned())
    }
}
