use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name an operator gave to an account, a source, a survey or a question.
///
/// Lower-case letters and digits, parts joined by a single `-` or `_`, at most 63 characters: fit
/// for a metric label, a path segment and the middle of an environment variable, where `__`
/// separates one part of a path from the next.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// The text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a name: use lower-case letters and digits, joined by single `-` or `_`, at most 63 characters"
)]
pub struct MalformedName;

impl Name {
    /// Longest name in characters: a Kubernetes label's length.
    pub const LENGTH_MAX: usize = 63;

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = MalformedName;

    fn from_str(text: &str) -> Result<Self, MalformedName> {
        let part_is_lawful = |part: &str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        if text.len() <= Self::LENGTH_MAX && text.split(['-', '_']).all(part_is_lawful) {
            Ok(Self(text.into()))
        } else {
            Err(MalformedName)
        }
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_words_joined_by_single_marks() {
        for good in ["a", "ivr", "ivr-2", "main_line", "0", &"a".repeat(63)] {
            assert!(good.parse::<Name>().is_ok(), "{good}");
        }
        for bad in ["", "IVR", "a--b", "a__b", "-a", "a_", "a b", "ä", "a/b", &"a".repeat(64)] {
            assert_eq!(bad.parse::<Name>(), Err(MalformedName), "{bad}");
        }
    }
}
