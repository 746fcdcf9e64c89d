use hmac::{Hmac, KeyInit, Mac};
use secrecy::ExposeSecret;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::domain::Credentials;

/// What an HMAC is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    Sha256,
    /// As some old senders still do; as an HMAC it is not broken.
    Sha1,
}

impl Algorithm {
    pub fn tag(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        const ANY: &str = "any length is a key";
        match self {
            Algorithm::Sha256 => {
                let mac = Hmac::<Sha256>::new_from_slice(key).expect(ANY);
                mac.chain_update(message).finalize().into_bytes().to_vec()
            }
            Algorithm::Sha1 => {
                let mac = Hmac::<Sha1>::new_from_slice(key).expect(ANY);
                mac.chain_update(message).finalize().into_bytes().to_vec()
            }
        }
    }
}

/// Whether any of the secrets verifies; an empty one never does, for anybody knows it.
pub fn any_verifies(credentials: &Credentials, verifies: impl Fn(&str) -> bool) -> bool {
    credentials
        .tokens()
        .iter()
        .map(ExposeSecret::expose_secret)
        .any(|secret| !secret.is_empty() && verifies(secret))
}

/// Over a message that is given in pieces.
pub fn hmac_sha256(key: &str, message: &[&[u8]]) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("any length is a key");
    message.iter().fold(mac, Mac::chain_update).finalize().into_bytes().into()
}

/// In constant time; the length of a tag is no secret.
pub fn is_tag(tag: &[u8], claimed: &[u8]) -> bool {
    tag.ct_eq(claimed).into()
}

/// In constant time, over digests, so that not even the length of a secret shows.
pub fn is_same(secret: &[u8], claimed: &[u8]) -> bool {
    Sha256::digest(secret).ct_eq(&Sha256::digest(claimed)).into()
}
