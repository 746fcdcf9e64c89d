use serde::Serialize;

use super::previewed::Previewed;
use super::rejection::PreviewRejection;
use crate::source::{OnReject, SourceReply};
use crate::submission::Outcome;

/// What a sender hears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in crate::cli) struct Reply {
    pub status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<&'static str>,
    pub headers: Vec<(&'static str, String)>,
    /// For a problem, its detail alone.
    pub body: String,
}

const SUBMISSION: &str = "Postcall-Submission";
const OUTCOME: &str = "Postcall-Outcome";

impl Reply {
    pub(super) fn to_kept(reply: &SourceReply, submission: &Previewed, outcome: Outcome) -> Self {
        let headers = vec![
            (SUBMISSION, submission.key.id().to_string()),
            (OUTCOME, outcome.label().to_owned()),
        ];
        Self { headers, ..Self::plain(reply) }
    }

    pub(super) fn to_skipped(reply: &SourceReply) -> Self {
        Self { headers: vec![(OUTCOME, "skipped".to_owned())], ..Self::plain(reply) }
    }

    pub(super) fn to_rejected(
        on_reject: OnReject,
        reply: &SourceReply,
        refusal: &PreviewRejection,
    ) -> Self {
        match on_reject {
            OnReject::Reply => Self::plain(reply),
            OnReject::Status => Self {
                status: refusal.status(),
                content_type: Some("application/problem+json"),
                headers: Vec::new(),
                body: refusal.to_string(),
            },
        }
    }

    /// 200 with what the source's sender expects, and nothing promised.
    fn plain(reply: &SourceReply) -> Self {
        Self {
            status: 200,
            content_type: reply.content_type(),
            headers: Vec::new(),
            body: String::from_utf8_lossy(reply.body()).into_owned(),
        }
    }
}
