use serde::Serialize;

use super::compared::Compared;
use super::stored::Stored;

/// All that is compared.
#[derive(Debug, Serialize)]
pub(super) struct OutcomeChanges {
    /// Whether anything is different.
    pub differs: bool,
    #[serde(flatten)]
    pub compared: Compared,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Stored>,
}
