use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// What tells a signed webhook from every other of its sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::source) enum SignedId {
    /// What the sender calls it, also when it sends it again.
    Own(String),
    /// The nonce of Plivo's V3.
    Nonce(String),
    /// A digest of all that was signed, with its time.
    Payload(String),
}

impl SignedId {
    /// Not the signature: while a secret is rotated there are several, any of which an attacker may leave
    /// out.
    pub(super) fn of_payload(message: &[u8]) -> Self {
        Self::Payload(HEXLOWER.encode(&Sha256::digest(message)))
    }
}
