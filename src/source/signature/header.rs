use std::str::FromStr;

use crate::domain::Webhook;

use super::error::SignatureError;

/// The name of a header, as the settings write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderName(String);

/// The text can be no header's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a header's name is made of letters, digits and hyphens: X-Signature")]
pub struct MalformedHeader;

impl HeaderName {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl FromStr for HeaderName {
    type Err = MalformedHeader;

    fn from_str(text: &str) -> Result<Self, MalformedHeader> {
        let is_lawful = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if text.is_empty() || !text.bytes().all(is_lawful) {
            return Err(MalformedHeader);
        }
        Ok(Self(text.to_owned()))
    }
}

/// The only value of a header, whatever the case of `name`. Of a header given twice one gateway
/// checks the first and the next the last, so it is refused.
pub fn only<'a>(webhook: &'a Webhook, name: &str) -> Result<Option<&'a [u8]>, SignatureError> {
    let mut values = webhook.headers.values(name);
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(SignatureError::Duplicate),
    }
}

/// As [`only`], where the request is refused without it.
pub fn required<'a>(webhook: &'a Webhook, name: &str) -> Result<&'a [u8], SignatureError> {
    only(webhook, name)?.ok_or(SignatureError::Missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_no_header_is_refused() {
        for bad in ["", "X Signature", "X-Signature:", "é"] {
            assert_eq!(bad.parse::<HeaderName>(), Err(MalformedHeader), "{bad}");
        }
        assert_eq!("X-Signature".parse::<HeaderName>().unwrap().as_str(), "X-Signature");
    }
}
