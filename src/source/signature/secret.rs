use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::Credentials;

/// An HMAC-SHA256.
pub type Tag = [u8; 32];

/// Whether any of the secrets verifies; an empty one never does, for anybody knows it.
pub fn any_verifies(credentials: &Credentials, verifies: impl Fn(&str) -> bool) -> bool {
    credentials
        .tokens()
        .iter()
        .map(ExposeSecret::expose_secret)
        .any(|secret| !secret.is_empty() && verifies(secret))
}

pub fn hmac_sha256(key: &str, message: &[u8]) -> Tag {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length is a key");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// In constant time; the length of a tag is no secret.
pub fn is_tag(tag: &Tag, claimed: &[u8]) -> bool {
    tag.as_slice().ct_eq(claimed).into()
}

/// In constant time, over digests, so that not even the length of a secret shows.
pub fn is_same(secret: &[u8], claimed: &[u8]) -> bool {
    Sha256::digest(secret).ct_eq(&Sha256::digest(claimed)).into()
}
