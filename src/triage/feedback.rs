use serde::{Deserialize, Serialize};
use serde_json::Number;
use utoipa::ToSchema;

use crate::domain::Feedback;

/// What Plivo was, or would be, told about a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ShownFeedback {
    /// From 1 to 5.
    #[schema(value_type = f64)]
    pub rating: Number,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issues: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<String>,
}

impl ShownFeedback {
    /// As it lies in the ledger.
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

impl From<&Feedback> for ShownFeedback {
    fn from(feedback: &Feedback) -> Self {
        Self::read(&feedback.to_json()).expect("feedback is written down as it is read")
    }
}
