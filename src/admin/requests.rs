use std::collections::BTreeMap;
use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use ring::{hmac, rand};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::difference::Difference;
use super::object::only_object;
use super::query::{SubmissionQuery, with_a_state};

/// How a submission is to be offered again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReplayRequest {
    pub payload: ReplayPayload,
    /// Also what Plivo has accepted.
    pub include_delivered: bool,
    /// Only show what would come of it.
    pub dry_run: bool,
}

/// What decides what is offered again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReplayPayload {
    /// The settings in force map it again.
    #[default]
    Remapped,
    /// What the last attempt offered, word for word.
    Last,
}

/// One page of a replay of all that is found. Ask with its `next_cursor` for the next, after
/// `wait_ms`; stop requesting to stop the replay.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BulkReplayRequest {
    /// Without a state: those that are dead, or ignored if only those have the reason.
    #[serde(deserialize_with = "only_object")]
    pub search: SubmissionQuery,
    pub payload: ReplayPayload,
    /// Also what Plivo has accepted.
    pub include_delivered: bool,
    /// Only what would come to something else than it did; the rest is skipped as `unchanged`.
    pub only_changed: bool,
    /// Only show what would come of it.
    pub dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]{1,18}-[0-9]{1,18}$")]
    pub cursor: Option<String>,
    /// At most so many are looked at; 200 where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

/// What came of a replay, or would.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReplayResult {
    /// How many are due again, or would be.
    pub replayed: u32,
    /// How many were not, by why.
    #[schema(value_type = BTreeMap<String, u32>)]
    pub skipped: SkippedByReason,
    /// Of a dry run, what would be offered instead of what was.
    pub differences: Vec<Difference>,
    pub next_cursor: Option<String>,
    /// How long to leave before the next page: what was replayed takes so long to deliver.
    pub wait_ms: u64,
}

impl ReplayResult {
    /// HMAC of the differences in hexadecimal: whether another dry run of this process came to the same.
    /// A plain digest would tell who sees it a number that is masked in them: all numbers are soon tried.
    pub fn digest(&self) -> String {
        static KEY: LazyLock<hmac::Key> = LazyLock::new(|| {
            hmac::Key::generate(hmac::HMAC_SHA256, &rand::SystemRandom::new())
                .expect("the system has random bytes")
        });
        let text =
            serde_json::to_vec(&self.differences).expect("a difference has only texts as keys");
        HEXLOWER.encode(hmac::sign(&KEY, &text).as_ref())
    }
}

/// One page of giving up all that is found; as for a replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkDiscardRequest {
    /// Has to say a state.
    #[serde(deserialize_with = "only_object")]
    #[schema(schema_with = with_a_state)]
    pub search: SubmissionQuery,
    /// The reason in words, shown in the audit entry.
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[0-9]{1,18}-[0-9]{1,18}$")]
    pub cursor: Option<String>,
    /// At most so many are looked at; 200 where nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DiscardResult {
    pub discarded: u32,
    /// How many were not, by why.
    #[schema(value_type = BTreeMap<String, u32>)]
    pub skipped: SkippedByReason,
    pub next_cursor: Option<String>,
    /// How long to leave before the next page.
    pub wait_ms: u64,
}

/// Submissions that a bulk action skipped, by why.
pub type SkippedByReason = BTreeMap<String, u32>;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EraseResult {
    /// How many submissions were about the call.
    pub erased: u32,
    /// How many quarantined webhooks had its id in their query or body.
    pub quarantined: u32,
}

impl EraseResult {
    /// What was erased in words; none if nothing was.
    pub fn counts(self) -> Option<String> {
        let parts: Vec<String> =
            [(self.erased, "submission"), (self.quarantined, "quarantined webhook")]
                .into_iter()
                .filter(|(number, _)| *number > 0)
                .map(|(number, noun)| {
                    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
                })
                .collect();
        (!parts.is_empty()).then(|| parts.join(" and "))
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn a_digest_of_differences_cannot_be_tried_out_without_the_process() {
        let result = ReplayResult::default();
        assert_eq!(result.digest(), ReplayResult { replayed: 7, ..result.clone() }.digest());
        let plain =
            HEXLOWER.encode(&Sha256::digest(serde_json::to_vec(&result.differences).unwrap()));
        assert_ne!(result.digest(), plain);
    }
}
