use serde::Serialize;

use crate::domain::Webhook;

/// One attempt to verify a signature, shown to explain a mismatch. It
/// has what was signed and the place of the signature, never a secret nor what would have
/// been right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SignatureAttempt {
    /// As [`Scheme::labels`](super::Scheme::labels) has it.
    pub scheme: &'static str,
    /// The headers that were looked at, and how often each is there.
    pub headers: Vec<(String, usize)>,
    /// The text that a matching signature is made over; None where a secret itself is sent.
    pub signed: Option<String>,
    pub matches: bool,
}

impl SignatureAttempt {
    pub(super) fn new(webhook: &Webhook, scheme: &'static str, headers: &[&str]) -> Self {
        let counted = |&name: &&str| (name.to_owned(), webhook.headers.values(name).count());
        let headers = headers.iter().map(counted).collect();
        Self { scheme, headers, signed: None, matches: false }
    }

    pub(super) fn over(self, message: &[u8], matches: bool) -> Self {
        Self { signed: Some(String::from_utf8_lossy(message).into_owned()), matches, ..self }
    }
}
