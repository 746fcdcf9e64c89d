use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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
