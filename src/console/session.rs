//! Sessions of the console, without a store: the cookie says until when it holds and what it allows, and the
//! token that it was made with vouches for that. It never holds the token; a token that is rotated ends all
//! sessions that were made with it.

use data_encoding::BASE64URL_NOPAD as BASE64URL;
use hmac::{Hmac, KeyInit, Mac};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use uuid::Uuid;

use crate::admin::Role;

/// Name of the cookie.
pub const SESSION_COOKIE: &str = "postcall_session";

/// How long a session holds.
pub const SESSION_SECONDS: i64 = 12 * 60 * 60;

/// What the key of a session is derived with: the token signs nothing else.
const PURPOSE: &[u8] = b"postcall console session 1";

/// A session that its cookie proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    pub role: Role,
    /// Of this login alone.
    pub id: Uuid,
}

/// Length of what is signed: a role, an end in seconds, and a nonce.
const SIGNED: usize = 1 + 8 + 16;

/// Value of the cookie of a new session.
pub fn issue(token: &SecretString, role: Role, now: Timestamp, nonce: Uuid) -> String {
    let end =
        now.saturating_add(SignedDuration::from_secs(SESSION_SECONDS)).unwrap_or(Timestamp::MAX);
    let mut signed = Vec::with_capacity(SIGNED);
    signed.push(code(role));
    signed.extend(end.as_second().to_be_bytes());
    signed.extend(nonce.as_bytes());
    let mac = mac(token, &signed).finalize().into_bytes();
    format!("{}.{}", BASE64URL.encode(&signed), BASE64URL.encode(&mac))
}

/// The session of a cookie: `None` if it has ended or no token of its role has made it.
pub fn session_of<'a>(
    cookie: &str,
    tokens: impl Iterator<Item = (Role, &'a SecretString)>,
    now: Timestamp,
) -> Option<Session> {
    let (signed, signature) = cookie.split_once('.')?;
    let signed = BASE64URL.decode(signed.as_bytes()).ok()?;
    let signature = BASE64URL.decode(signature.as_bytes()).ok()?;
    let (code_of_role, rest) = signed.split_first()?;
    let (end, nonce) = rest.split_first_chunk::<8>()?;
    let id = Uuid::from_slice(nonce).ok()?;
    let is_current = i64::from_be_bytes(*end) > now.as_second();
    let mut found = None;
    for (role, token) in tokens {
        let is_made = mac(token, &signed).verify_slice(&signature).is_ok();
        if is_made && is_current && *code_of_role == code(role) {
            found = Some(Session { role, id });
        }
    }
    found
}

fn code(role: Role) -> u8 {
    match role {
        Role::Viewer => b'v',
        Role::Operator => b'o',
    }
}

fn mac(token: &SecretString, signed: &[u8]) -> Hmac<Sha256> {
    let new = |key: &[u8]| Hmac::<Sha256>::new_from_slice(key).expect("a key has any length");
    let key = new(token.expose_secret().as_bytes()).chain_update(PURPOSE).finalize().into_bytes();
    new(&key).chain_update(signed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Uuid = Uuid::from_u128(7);

    fn secret(text: &str) -> SecretString {
        text.into()
    }

    #[test]
    fn a_session_holds_for_its_role_and_its_time() {
        let (operator, viewer) = (secret("token of operators"), secret("token of viewers"));
        let tokens = || [(Role::Operator, &operator), (Role::Viewer, &viewer)].into_iter();
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let later = |seconds| now + SignedDuration::from_secs(seconds);
        for (token, role) in [(&operator, Role::Operator), (&viewer, Role::Viewer)] {
            let cookie = issue(token, role, now, NONCE);
            let session = Some(Session { role, id: NONCE });
            assert_eq!(session_of(&cookie, tokens(), later(SESSION_SECONDS - 1)), session);
            assert_eq!(session_of(&cookie, tokens(), later(SESSION_SECONDS)), None);
        }
    }

    #[test]
    fn a_session_that_another_token_made_or_that_was_changed_is_none() {
        let (operator, viewer) = (secret("token of operators"), secret("token of viewers"));
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let cookie = issue(&operator, Role::Operator, now, NONCE);
        let role = |cookie: &str, token: &SecretString| {
            session_of(cookie, [(Role::Operator, token)].into_iter(), now).map(|it| it.role)
        };
        assert_eq!(role(&cookie, &operator), Some(Role::Operator));
        assert_eq!(role(&cookie, &secret("rotated token")), None);
        // A viewer who claims to be an operator.
        assert_eq!(role(&issue(&viewer, Role::Operator, now, NONCE), &operator), None);
        let (signed, signature) = cookie.split_once('.').unwrap();
        let mut bytes = BASE64URL.decode(signed.as_bytes()).unwrap();
        bytes[8] ^= 1;
        let longer = format!("{}.{signature}", BASE64URL.encode(&bytes));
        for wrong in ["", ".", signed, &longer, &cookie[1..], &cookie[..cookie.len() - 2]] {
            assert_eq!(role(wrong, &operator), None, "{wrong}");
        }
    }
}
