//! What operators see of rejected webhooks, and of those that are kept in case a secret changes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The last rejected webhooks, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RejectionList {
    pub rejections: Vec<RejectionView>,
}

/// A webhook that was rejected, without anything that it said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RejectionView {
    /// The id under which the quarantine has it, if it came there.
    #[schema(value_type = String, format = "uuid")]
    pub id: Uuid,
    pub source: String,
    /// As `postcall_webhook_rejections_total` counts it.
    pub reason: String,
    /// When it arrived.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    pub method: String,
    /// The address that its sender has to sign, without its query.
    pub url: String,
    /// The signature schemes that its source accepts.
    pub schemes: Vec<String>,
    /// The host that was called. If it differs from that of `url`, check `public.url`.
    pub host: Option<String>,
    /// What became of it in the quarantine: `quarantined` (it is there), `source_changed` (it is there,
    /// and is verified), `accepted`, `rejected`, `evicted`, `expired`, `dropped`, `erased` or `too_large`;
    /// `null` if it did not come there.
    pub quarantine: Option<String>,
}

/// The quarantined webhooks, by source, the oldest of each first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineList {
    pub webhooks: Vec<QuarantinedView>,
}

/// A webhook that no known secret verifies. Nothing in it is believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantinedView {
    #[schema(value_type = String, format = "uuid", example = "0195f0c4-7c7a-7000-8000-000000000000")]
    pub id: Uuid,
    pub source: String,
    /// The account that its source had when it arrived.
    pub account: String,
    /// The survey that its source had when it arrived.
    pub survey: String,
    /// Why it is there: the reason of its rejection, `source_changed` (a secret verifies it, and its source
    /// had another account or survey when it arrived) or `not_stored` (the store could not take it yet).
    pub reason: String,
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// When it is removed if no secret verifies it until then.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    pub method: String,
    /// What is kept of it, its headers included.
    pub bytes: u64,
}

/// One of them with what it says. Anyone may have sent it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantinedDetail {
    #[serde(flatten)]
    pub webhook: QuarantinedView,
    pub path: String,
    pub query: Option<String>,
    /// The names of its headers.
    pub headers: Vec<String>,
    /// What is not UTF-8 is replaced.
    pub body: String,
}

/// Which quarantined webhooks are verified again: those of a source, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineRetry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Also receives those whose source had another account or survey when they arrived, under its current
    /// ones.
    #[serde(default)]
    pub current_survey: bool,
}

/// What became of quarantined webhooks that were verified again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineRetried {
    /// A secret verifies them: they are received as of their arrival.
    pub accepted: u64,
    /// A secret verifies them, and they were rejected for another cause.
    pub rejected: u64,
    /// No secret verifies them yet.
    pub waiting: u64,
    /// A secret verifies them, and they stay: their source had another account or survey when they arrived.
    pub source_changed: u64,
}

/// Which quarantined webhooks are dropped: one, those of a source, or all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct QuarantineDrop {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "uuid")]
    pub id: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// How many quarantined webhooks were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QuarantineDropped {
    pub dropped: u64,
}
