use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use secrecy::ExposeSecret;

use crate::domain::{Credentials, Hook, Method};
use crate::source::form::raw_query;

use super::header;
use super::refusal::Refusal;
use super::secret::{any_verifies, hmac_sha256, is_tag};

/// HMAC-SHA256 in a header, over the body of a POST as it came, over the query of a GET as it
/// came. The query of a POST is not covered.
#[derive(Debug)]
pub struct Hmac {
    /// As the settings write it.
    header: String,
    secrets: Credentials,
    encoding: Encoding,
    prefix: String,
}

/// How the bytes of a signature are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// In either case when it is read, in lower case when it is written.
    Hex,
    /// The standard alphabet, padded.
    Base64,
}

/// The text can be no header's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a header's name is made of letters, digits and hyphens: X-Signature")]
pub struct MalformedHeader;

impl Hmac {
    /// `prefix` stands before the signature, such as `sha256=`; it may be empty.
    ///
    /// # Errors
    /// `header` can be no header's name.
    pub fn new(
        header: &str,
        secrets: Credentials,
        encoding: Encoding,
        prefix: impl Into<String>,
    ) -> Result<Self, MalformedHeader> {
        let is_lawful = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if header.is_empty() || !header.bytes().all(is_lawful) {
            return Err(MalformedHeader);
        }
        Ok(Self { header: header.to_owned(), secrets, encoding, prefix: prefix.into() })
    }

    pub(super) fn secrets(&self) -> &Credentials {
        &self.secrets
    }

    pub(super) fn verify(&self, hook: &Hook) -> Result<(), Refusal> {
        let claimed = header::required(hook, &self.header)?.trim_ascii();
        let claimed = claimed
            .strip_prefix(self.prefix.as_bytes())
            .and_then(|claimed| self.encoding.decode(claimed))
            .ok_or(Refusal::Mismatch)?;
        let verified = any_verifies(&self.secrets, |secret| {
            is_tag(&hmac_sha256(secret, signed_bytes(hook)), &claimed)
        });
        if verified { Ok(()) } else { Err(Refusal::Mismatch) }
    }

    pub(super) fn sign(&self, hook: &Hook) -> (String, String) {
        let tag = hmac_sha256(self.secrets.first().expose_secret(), signed_bytes(hook));
        (self.header.clone(), format!("{}{}", self.prefix, self.encoding.encode(&tag)))
    }
}

impl Encoding {
    fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Encoding::Hex => HEXLOWER_PERMISSIVE.decode(text),
            Encoding::Base64 => BASE64.decode(text),
        }
        .ok()
    }

    fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => HEXLOWER.encode(bytes),
            Encoding::Base64 => BASE64.encode(bytes),
        }
    }
}

fn signed_bytes(hook: &Hook) -> &[u8] {
    match hook.method {
        Method::Get => raw_query(hook),
        Method::Post => &hook.body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::sample::{credentials, get, post, with_header};

    const SIGNED: &str = "what do ya want for nothing?";
    /// RFC 4231, test case 2: the key is `Jefe`.
    const HEX: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const BASE64_TEXT: &str = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";

    fn jefe(encoding: Encoding, prefix: &str) -> Hmac {
        Hmac::new("X-Signature", credentials(&["other", "Jefe"]), encoding, prefix).unwrap()
    }

    fn verify(hmac: &Hmac, signature: &str) -> Result<(), Refusal> {
        hmac.verify(&with_header(post(None, SIGNED), "X-Signature", signature))
    }

    #[test]
    fn the_vector_of_the_rfc_verifies_in_either_writing() {
        assert_eq!(verify(&jefe(Encoding::Hex, ""), HEX), Ok(()));
        assert_eq!(verify(&jefe(Encoding::Hex, ""), &HEX.to_uppercase()), Ok(()));
        assert_eq!(verify(&jefe(Encoding::Hex, "sha256="), &format!("sha256={HEX}")), Ok(()));
        assert_eq!(verify(&jefe(Encoding::Base64, ""), BASE64_TEXT), Ok(()));
    }

    #[test]
    fn a_get_signs_its_query() {
        let hook = with_header(get(Some(SIGNED)), "X-Signature", HEX);
        assert_eq!(jefe(Encoding::Hex, "").verify(&hook), Ok(()));
    }

    #[test]
    fn anything_else_is_refused() {
        let hmac = jefe(Encoding::Hex, "sha256=");
        for bad in ["", "sha256=", HEX, &format!("sha1={HEX}"), &format!("sha256={}", &HEX[2..])] {
            assert_eq!(verify(&hmac, bad), Err(Refusal::Mismatch), "{bad}");
        }
        assert_eq!(verify(&jefe(Encoding::Base64, ""), HEX), Err(Refusal::Mismatch));
        assert_eq!(hmac.verify(&post(None, SIGNED)), Err(Refusal::Missing));
    }

    #[test]
    fn what_can_be_no_header_is_refused() {
        for bad in ["", "X Signature", "X-Signature:", "é"] {
            let refused = Hmac::new(bad, credentials(&["s"]), Encoding::Hex, "");
            assert_eq!(refused.unwrap_err(), MalformedHeader, "{bad}");
        }
    }
}
