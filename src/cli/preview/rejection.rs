use crate::domain::Webhook;
use crate::source::Rejection;

/// Why a webhook would not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum PreviewRejection {
    #[error("send the body without Content-Encoding")]
    Encoded,
    #[error("a body has at most {} bytes", Webhook::BODY_MAX)]
    TooLarge,
    #[error("the signature is rejected: something else came by the same id before")]
    Reused,
    #[error(transparent)]
    Source(#[from] Rejection),
}

impl PreviewRejection {
    /// Beside [`Refused::LABELS`].
    pub const OWN_LABELS: [&'static str; 3] = ["encoded", "too_large", "signature_reused"];

    pub fn label(&self) -> &'static str {
        match self {
            PreviewRejection::Encoded => "encoded",
            PreviewRejection::TooLarge => "too_large",
            PreviewRejection::Reused => "signature_reused",
            PreviewRejection::Source(rejected) => rejected.label(),
        }
    }

    pub fn status(&self) -> u16 {
        match self {
            PreviewRejection::Encoded | PreviewRejection::Source(Rejection::UnsupportedType(_)) => {
                415
            }
            PreviewRejection::TooLarge => 413,
            PreviewRejection::Reused | PreviewRejection::Source(Rejection::Signature(_)) => 401,
            PreviewRejection::Source(Rejection::Parse(_)) => 400,
        }
    }
}
