use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The call that is rated, as Plivo names it.
///
/// Plivo's own documents show ids that are not valid UUIDs, so the shape is not checked;
/// the characters are, because the id becomes a segment of the path that feedback is posted to.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CallUuid(String);

/// The text names no call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a call id is 1 to 64 letters, digits or hyphens")]
pub struct MalformedCall;

impl CallUuid {
    pub const LENGTH_MAX: usize = 64;

    /// Reserved prefix of tests. A call id of Plivo's is a UUID, which never begins with it.
    pub const TEST_PREFIX: &str = "postcall-test-";

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Id of a new test, which is no call. `unique` tells it from every other test.
    pub fn of_test(unique: Uuid) -> Self {
        Self(format!("{}{}", Self::TEST_PREFIX, unique.simple()))
    }

    /// Whether the id is in a text that may be a form, JSON or XML, and not only a part of a longer id.
    pub fn is_in(&self, text: &[u8]) -> bool {
        let id = self.0.as_bytes();
        let is_of_id = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
        text.windows(id.len()).enumerate().filter(|(_, part)| *part == id).any(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + id.len()..]);
            // `%3D`, before a value within a value.
            let is_escape = matches!(before, [.., b'%', high, low]
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit());
            (is_escape || !before.last().is_some_and(is_of_id))
                && !after.first().is_some_and(is_of_id)
        })
    }

    /// Returns whether it is the id of a test. What is received about it is kept and shown, and never
    /// becomes feedback.
    pub fn is_test(&self) -> bool {
        self.0.starts_with(Self::TEST_PREFIX)
    }
}

impl FromStr for CallUuid {
    type Err = MalformedCall;

    fn from_str(text: &str) -> Result<Self, MalformedCall> {
        let lawful = (1..=Self::LENGTH_MAX).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if lawful { Ok(Self(text.to_owned())) } else { Err(MalformedCall) }
    }
}

impl fmt::Display for CallUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CallUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_id_can_never_leave_its_path_segment() {
        for bad in ["", "a/b", "..", "a.b", "a%2fb", "a b", "a\n", "é", &"a".repeat(65)] {
            assert_eq!(bad.parse::<CallUuid>(), Err(MalformedCall), "{bad:?}");
        }
    }

    #[test]
    fn a_call_id_is_found_as_a_whole_word() {
        let call: CallUuid = "ab-1".parse().unwrap();
        for text in ["ab-1", "CallUUID=ab-1&x=", "a%3Dab-1%26", r#"{"id":"ab-1"}"#, "xab-1 ab-1"] {
            assert!(call.is_in(text.as_bytes()), "{text}");
        }
        for text in ["", "ab", "ab-12", "ab-1-2", "xab-1", "-ab-1", "3Dab-1"] {
            assert!(!call.is_in(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn a_test_call_is_a_call_id_with_the_reserved_prefix() {
        let test = CallUuid::of_test(Uuid::from_u128(7));
        assert_eq!(test.as_str().parse::<CallUuid>().as_ref(), Ok(&test));
        assert!(test.is_test());
        for call in
            ["f6bf3c48-afdf-4e42-a30e-9e00fda351d9", "test", "my-postcall-test-1", "postcall-test"]
        {
            assert!(!call.parse::<CallUuid>().unwrap().is_test(), "{call}");
        }
    }

    #[test]
    fn the_short_ids_of_plivos_documents_are_accepted() {
        assert!("f6bf3c48-afdf-4e42-a30e-9e00fda351d".parse::<CallUuid>().is_ok());
    }
}
