use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store::Hold;

/// By name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accounts {
    pub accounts: Vec<ShownAccount>,
}

/// An account and whether its submissions wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownAccount {
    pub account: String,
    /// The settings have it; what waits for one that they do not have dies as unmapped.
    pub in_settings: bool,
    /// Some of its submissions wait to be delivered.
    pub waiting: bool,
    /// None while it is delivered.
    pub hold: Option<ShownHold>,
}

/// Why nothing is delivered for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownHold {
    /// `operator`, `misconfigured`, `refusals` or `unreachable`.
    pub cause: String,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Of Plivo's reply.
    pub status: Option<u16>,
    /// What Plivo said, or the person who holds it.
    pub detail: String,
}

/// Why an account is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Holding {
    /// In words, for whoever looks at it later.
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Resumed {
    pub account: String,
    /// It was held, whatever the cause.
    pub was_held: bool,
}

impl From<Hold> for ShownHold {
    fn from(hold: Hold) -> Self {
        let Hold { account: _, cause, since, status, detail } = hold;
        Self { cause: cause.label().to_owned(), since, status, detail }
    }
}
