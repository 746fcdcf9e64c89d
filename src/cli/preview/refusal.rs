use crate::domain::Webhook;
use crate::source::Rejection;

/// Why a webhook would not be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::cli) enum Refusal {
    #[error("send the body without Content-Encoding")]
    Encoded,
    #[error("a body has at most {} bytes", Webhook::BODY_MAX)]
    TooLarge,
    #[error("the signature is refused: something else came by the same id before")]
    Reused,
    #[error(transparent)]
    Source(#[from] Rejection),
}

impl Refusal {
    /// Beside [`Refused::LABELS`].
    pub const OWN_LABELS: [&'static str; 3] = ["encoded", "too_large", "signature_reused"];

    pub fn label(&self) -> &'static str {
        match self {
            Refusal::Encoded => "encoded",
            Refusal::TooLarge => "too_large",
            Refusal::Reused => "signature_reused",
            Refusal::Source(refused) => refused.label(),
        }
    }

    pub fn status(&self) -> u16 {
        match self {
            Refusal::Encoded | Refusal::Source(Rejection::UnsupportedType(_)) => 415,
            Refusal::TooLarge => 413,
            Refusal::Reused | Refusal::Source(Rejection::Signature(_)) => 401,
            Refusal::Source(Rejection::Parse(_)) => 400,
        }
    }
}
