use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::{PauseCause, PauseReason};

/// By name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Accounts)]
pub struct AccountList {
    pub accounts: Vec<AccountView>,
}

/// An account and whether its submissions wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    pub account: String,
    /// The settings have it; what waits for one that they do not have dies as unmapped.
    pub in_settings: bool,
    /// Some of its submissions wait to be delivered.
    pub waiting: bool,
    /// None while it is delivered.
    pub pause: Option<PauseView>,
}

/// Why nothing is delivered for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PauseView {
    /// `operator`, `account_rejected`, `rejections` or `unreachable`.
    #[schema(value_type = String)]
    pub cause: PauseCause,
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Of Plivo's reply.
    pub status: Option<u16>,
    /// What Plivo said, or the person who holds it.
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResumeResult {
    pub account: String,
    /// Whether it was paused, by any cause.
    pub was_paused: bool,
}

impl PauseView {
    /// Whether only an operator ends it.
    pub fn is_by_operator(&self) -> bool {
        self.cause == PauseCause::Operator
    }
}

impl From<PauseReason> for PauseView {
    fn from(PauseReason { cause, since, status, detail }: PauseReason) -> Self {
        Self { cause, since, status, detail }
    }
}
