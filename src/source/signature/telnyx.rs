use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use ring::signature::{ED25519, UnparsedPublicKey};

use crate::domain::Webhook;

use super::attempt::SignatureAttempt;
use super::clock_tolerance::ClockTolerance;
use super::error::SignatureError;
use super::header;
use super::hmac::signed_bytes;
use super::signed_id::SignedId;
use super::time_format::TimeFormat;

/// Telnyx: an Ed25519 signature over time and body. Only Telnyx holds the key that signs, so no one
/// here can.
#[derive(Debug)]
pub struct Telnyx {
    /// Any of these verifies; never empty.
    keys: Vec<PublicKey>,
    window: ClockTolerance,
}

/// The public key of a Telnyx account, as its portal shows it. No secret.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// The text is no public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a public key of Telnyx is 32 bytes in Base64, 44 characters")]
pub struct MalformedKey;

impl PublicKey {
    /// A key in place of a real one: a SHA-256, so that no private key to it is known.
    pub const PLACEHOLDER: &str = "NWdSdHbqmcrUtlSMupbPrPg7pJgkxC6jf+bz7V2Vnzo=";
}

const SIGNATURE: &str = "telnyx-signature-ed25519";
const TIMESTAMP: &str = "telnyx-timestamp";

impl Telnyx {
    pub fn new(key: PublicKey, others: Vec<PublicKey>, window: ClockTolerance) -> Self {
        let keys = std::iter::once(key).chain(others).collect();
        Self { keys, window }
    }

    /// Whether a key is [`PublicKey::PLACEHOLDER`].
    pub fn has_placeholder(&self) -> bool {
        self.keys.iter().any(|PublicKey(key)| BASE64.encode(key) == PublicKey::PLACEHOLDER)
    }

    pub(super) fn verify(&self, webhook: &Webhook) -> Result<SignedId, SignatureError> {
        let claimed = header::required(webhook, SIGNATURE)?.trim_ascii();
        let timestamp = header::required(webhook, TIMESTAMP)?.trim_ascii();
        let claimed = BASE64.decode(claimed).map_err(|_| SignatureError::Mismatch)?;
        let message = message(timestamp, webhook);
        let verified = self.keys.iter().any(|PublicKey(key)| {
            UnparsedPublicKey::new(&ED25519, key).verify(&message, &claimed).is_ok()
        });
        if !verified {
            return Err(SignatureError::Mismatch);
        }
        let signed_at =
            TimeFormat::Unix.parse(timestamp).ok_or(SignatureError::Time(TimeFormat::Unix))?;
        self.window.check(signed_at, webhook.received_at)?;
        Ok(SignedId::of_payload(&message))
    }

    pub(super) fn explain(&self, webhook: &Webhook) -> SignatureAttempt {
        let timestamp = header::only(webhook, TIMESTAMP).ok().flatten().unwrap_or_default();
        let message = message(timestamp.trim_ascii(), webhook);
        let matches = self.verify(webhook).map_or_else(SignatureError::is_of_time, |_| true);
        SignatureAttempt::new(webhook, "telnyx", &[SIGNATURE, TIMESTAMP]).over(&message, matches)
    }
}

fn message(timestamp: &[u8], webhook: &Webhook) -> Vec<u8> {
    [timestamp, b"|", signed_bytes(webhook)].concat()
}

impl FromStr for PublicKey {
    type Err = MalformedKey;

    fn from_str(text: &str) -> Result<Self, MalformedKey> {
        let bytes = BASE64.decode(text.as_bytes()).map_err(|_| MalformedKey)?;
        Ok(Self(bytes.try_into().map_err(|_| MalformedKey)?))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", BASE64.encode(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_thirty_two_bytes() {
        let key = "e7xtHePnoFdgHIjcp8GeuJhxbAcSE9GqTjmLCqQwLqc=";
        assert_eq!(format!("{:?}", key.parse::<PublicKey>().unwrap()), format!("PublicKey({key})"));
        for bad in ["", "AAAA", "not base64", &key[1..]] {
            assert_eq!(bad.parse::<PublicKey>(), Err(MalformedKey), "{bad}");
        }
    }
}
