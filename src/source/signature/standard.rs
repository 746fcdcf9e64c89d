use data_encoding::{BASE64, BASE64_NOPAD};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::{Credentials, IdempotencyKey, Webhook};

use super::attempt::SignatureAttempt;
use super::clock_tolerance::ClockTolerance;
use super::error::SignatureError;
use super::header;
use super::hmac::signed_bytes;
use super::secret::{Algorithm, any_verifies, is_tag};
use super::signed_payload::{Parts, SignedPayload};
use super::time_format::TimeFormat;

/// Standard Webhooks 1.0.0, as Svix and many others sign: HMAC-SHA256 over id, time and body, any of
/// several signatures while a secret is rotated. Its asymmetric `v1a` is not looked at.
#[derive(Debug)]
pub struct Standard {
    secrets: Credentials,
    window: ClockTolerance,
}

/// A secret that is not what Standard Webhooks hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret is not of Standard Webhooks: expected whsec_ and at least 24 bytes in Base64")]
pub struct MalformedSecret;

const ID: &str = "webhook-id";
const TIMESTAMP: &str = "webhook-timestamp";
const SIGNATURE: &str = "webhook-signature";

/// Fewest bytes of a key, from the specification.
const KEY_LENGTH_MIN: usize = 24;

/// Most signatures in one request: one for each secret that is still valid.
const SIGNATURES_MAX: usize = 16;

impl Standard {
    /// # Errors
    /// A secret is no key.
    pub fn new(secrets: Credentials, window: ClockTolerance) -> Result<Self, MalformedSecret> {
        secrets.tokens().iter().try_for_each(check)?;
        let secrets = secrets.checked(|secret| check(secret).map_err(|bad| bad.to_string()));
        Ok(Self { secrets, window })
    }

    pub(super) fn secrets(&self) -> &Credentials {
        &self.secrets
    }

    pub(super) fn verify(&self, webhook: &Webhook) -> Result<String, SignatureError> {
        let id = header::required(webhook, ID)?.trim_ascii();
        let timestamp = header::required(webhook, TIMESTAMP)?.trim_ascii();
        let listed = header::required(webhook, SIGNATURE)?;
        let signs = signs();
        if id.len() > IdempotencyKey::LENGTH_MAX || !signs.delimits(id) {
            return Err(SignatureError::Id);
        }
        let claimed = claimed_tags(listed)?;
        let message = signs.message(&Parts { id, timestamp, body: signed_bytes(webhook) });
        let verified = any_verifies(&self.secrets, |secret| {
            key(secret).is_some_and(|key| {
                let tag = Algorithm::Sha256.tag(&key, &message);
                claimed.iter().any(|claimed| is_tag(&tag, claimed))
            })
        });
        if !verified {
            return Err(SignatureError::Mismatch);
        }
        let signed_at =
            TimeFormat::Unix.parse(timestamp).ok_or(SignatureError::Time(TimeFormat::Unix))?;
        self.window.check(signed_at, webhook.received_at)?;
        Ok(String::from_utf8_lossy(id).into_owned())
    }

    /// As of the webhook's arrival, with the first secret.
    pub(super) fn sign(&self, webhook: &Webhook, id: &str) -> Vec<(String, String)> {
        let timestamp = TimeFormat::Unix.write(webhook.received_at);
        let message = signs().message(&Parts {
            id: id.as_bytes(),
            timestamp: timestamp.as_bytes(),
            body: signed_bytes(webhook),
        });
        let key = key(self.secrets.first().expose_secret()).unwrap_or_default();
        let tag = Algorithm::Sha256.tag(&key, &message);
        vec![
            (ID.to_owned(), id.to_owned()),
            (TIMESTAMP.to_owned(), timestamp),
            (SIGNATURE.to_owned(), format!("v1,{}", BASE64.encode(&tag))),
        ]
    }

    pub(super) fn explain(&self, webhook: &Webhook) -> SignatureAttempt {
        let value =
            |name| header::only(webhook, name).ok().flatten().unwrap_or_default().trim_ascii();
        let message = signs().message(&Parts {
            id: value(ID),
            timestamp: value(TIMESTAMP),
            body: signed_bytes(webhook),
        });
        let matches = self.verify(webhook).map_or_else(SignatureError::is_of_time, |_| true);
        SignatureAttempt::new(webhook, "standard", &[SIGNATURE, ID, TIMESTAMP])
            .over(&message, matches)
    }
}

fn signs() -> SignedPayload {
    "{id}.{timestamp}.{body}".parse().expect("each part once, with marks between them")
}

fn check(secret: &SecretString) -> Result<(), MalformedSecret> {
    let key = key(secret.expose_secret()).filter(|key| key.len() >= KEY_LENGTH_MIN);
    key.map(|_| ()).ok_or(MalformedSecret)
}

/// What is written as `whsec_` and Base64, padded or not.
fn key(secret: &str) -> Option<Vec<u8>> {
    let text = secret.strip_prefix("whsec_").unwrap_or(secret);
    BASE64_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok().filter(|key| !key.is_empty())
}

/// Those of version 1; others can match nothing and spoil nothing.
fn claimed_tags(listed: &[u8]) -> Result<Vec<Vec<u8>>, SignatureError> {
    let listed: Vec<&[u8]> = listed
        .split(|&b| b == b' ')
        .filter(|claimed| !claimed.is_empty())
        .take(SIGNATURES_MAX + 1)
        .collect();
    match listed.len() {
        0 => Err(SignatureError::Missing),
        1..=SIGNATURES_MAX => Ok(listed
            .into_iter()
            .filter_map(|claimed| BASE64.decode(claimed.strip_prefix(b"v1,")?).ok())
            .collect()),
        _ => Err(SignatureError::TooMany),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::source::sample::{credentials, post, with_header};

    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

    fn standard(secrets: &[&str]) -> Standard {
        Standard::new(credentials(secrets), ClockTolerance::default()).unwrap()
    }

    fn signed(by: &Standard, id: &str) -> Webhook {
        let webhook = post(None, "{}");
        by.sign(&webhook, id)
            .iter()
            .fold(webhook, |webhook, (name, value)| with_header(webhook, name, value))
    }

    #[test]
    fn either_secret_and_either_signature_will_do_while_it_is_rotated() {
        let (old, new) = (standard(&[OLD]), standard(&[NEW]));
        assert!(standard(&[NEW, OLD]).verify(&signed(&old, "msg_1")).is_ok());
        assert_eq!(new.verify(&signed(&old, "msg_1")), Err(SignatureError::Mismatch));

        let mut both = signed(&old, "msg_1");
        let mut headers = both.headers.to_vec();
        let other = signed(&new, "msg_1").headers.to_vec().remove(3).1;
        headers[3].1 = [&b"v1a,AAAA v2,x "[..], &headers[3].1, b" ", &other].concat();
        both.headers = headers.into_iter().collect();
        assert!(old.verify(&both).is_ok() && new.verify(&both).is_ok());
    }

    #[test]
    fn an_id_has_no_dot_and_the_list_an_end() {
        let old = standard(&[OLD]);
        for bad in ["a.b", "", "a b", &"x".repeat(257)] {
            assert_eq!(old.verify(&signed(&old, bad)), Err(SignatureError::Id), "{bad}");
        }
        let listed = |signatures: &[&str]| {
            let mut headers = signed(&old, "msg_1").headers.to_vec();
            headers[3].1 = signatures.join(" ").into_bytes();
            Webhook { headers: headers.into_iter().collect(), ..post(None, "{}") }
        };
        assert_eq!(old.verify(&listed(&["v1,AAAA"; 17])), Err(SignatureError::TooMany));
        assert_eq!(old.verify(&listed(&[])), Err(SignatureError::Missing));
    }

    #[test]
    fn what_is_no_key_does_not_take_the_place_of_one() {
        let stored: Arc<Mutex<&str>> = Arc::new(Mutex::new(OLD));
        let there = stored.clone();
        let read = move || vec![Ok(SecretString::from(*there.lock().unwrap()))];
        let secrets = Credentials::new(Box::new(read)).unwrap();
        let standard = Standard::new(secrets, ClockTolerance::default()).unwrap();
        *stored.lock().unwrap() = "whsec_half a key";
        assert_eq!(standard.secrets().read_anew(), Err(MalformedSecret.to_string()));
        assert!(standard.verify(&signed(&self::standard(&[OLD]), "msg_1")).is_ok());
        *stored.lock().unwrap() = NEW;
        assert_eq!(standard.secrets().read_anew(), Ok(()));
        assert!(standard.verify(&signed(&self::standard(&[NEW]), "msg_1")).is_ok());
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for bad in ["whsec_", "whsec_not base64", "whsec_AAAA", "a-secret-in-plain-text"] {
            let refused = Standard::new(credentials(&[bad]), ClockTolerance::default());
            assert_eq!(refused.err(), Some(MalformedSecret), "{bad}");
        }
    }
}
