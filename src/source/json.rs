use std::fmt;

use serde::Deserialize;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::rejection::ParseError;

/// JSON that can be read in one way only. Half of a surrogate pair, as JavaScript's `slice` leaves of an emoji, is read
/// as U+FFFD.
///
/// # Errors
/// It is no JSON, is nested too deep, or has a key twice in one object: one reader would take the
/// first and the next the last.
pub(super) fn parse(text: &[u8]) -> Result<Value, ParseError> {
    let parsed = serde_json::from_slice::<Unambiguous>(text).or_else(|error| {
        let text = without_half_pairs(text).ok_or(error)?;
        serde_json::from_slice(&text)
    });
    parsed.map(|Unambiguous(value)| value).map_err(|_| ParseError::BrokenJson)
}

/// `None` if it has no unpaired surrogate.
fn without_half_pairs(text: &[u8]) -> Option<Vec<u8>> {
    let mut replaced = text.to_vec();
    let mut at = 0;
    while at < text.len() {
        at += match (text[at], escaped_unit(&text[at..])) {
            (_, Some(0xd800..=0xdbff))
                if matches!(escaped_unit(&text[at + 6..]), Some(0xdc00..=0xdfff)) =>
            {
                12
            }
            (_, Some(0xd800..=0xdfff)) => {
                replaced[at..at + 6].copy_from_slice(br"\ufffd");
                6
            }
            // With what it escapes, which may be a backslash.
            (b'\\', _) => 2,
            _ => 1,
        };
    }
    (replaced != text).then_some(replaced)
}

/// The UTF-16 code unit of the escape that a text begins with.
fn escaped_unit(text: &[u8]) -> Option<u16> {
    let digits = text.strip_prefix(br"\u")?.get(..4)?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

struct Unambiguous(Value);

struct AnyValue;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue).map(Self)
    }
}

impl<'de> Visitor<'de> for AnyValue {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::from(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Unambiguous(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::from(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut table = Map::new();
        while let Some((key, Unambiguous(value))) = entries.next_entry::<String, _>()? {
            if table.insert(key, value).is_some() {
                return Err(A::Error::custom("a key is there twice"));
            }
        }
        Ok(Value::from(table))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_that_is_there_twice_could_mean_either() {
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"[{"b":[{"a":1,"b":2,"a":null}]}]"#,
            "1e400",
            "{}{}",
            "\u{feff}{}",
            "",
        ] {
            assert_eq!(parse(bad.as_bytes()), Err(ParseError::BrokenJson), "{bad}");
        }
        let deep = |times: usize| [b"[".repeat(times), b"]".repeat(times)].concat();
        assert!(parse(&deep(100)).is_ok());
        assert_eq!(parse(&deep(32_000)), Err(ParseError::BrokenJson));
    }

    #[test]
    fn half_of_a_surrogate_pair_is_read_as_a_replacement_character() {
        for (text, expected) in [
            (r#""bad \ud83d""#, "bad \u{fffd}"),
            (r#""\ud83d\ud83d\ude00\ude00""#, "\u{fffd}\u{1f600}\u{fffd}"),
            (r#""\uDBFFx\\ud83d""#, "\u{fffd}x\\ud83d"),
            (r#""\\\ud83d\u00e9""#, "\\\u{fffd}é"),
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(expected.into()), "{text}");
        }
        for bad in [
            r#""\ud83d"#,
            r#""\ud8"#,
            r#""\ud83d"x"#,
            r#""\ud83d\u+123""#,
            r#"{"\ud83d":1,"\ude00":1}"#,
        ] {
            assert_eq!(parse(bad.as_bytes()), Err(ParseError::BrokenJson), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn otherwise_it_is_read_as_it_is(text in r#"([\[\]{}:, ]|"[ab]":?|-?[0-9]{1,3}(\.[0-9]|e[0-9]{1,3})?|null|true){0,12}"#) {
            let known = serde_json::from_str::<Value>(&text).ok();
            match parse(text.as_bytes()) {
                Ok(value) => prop_assert_eq!(Some(value), known),
                Err(_) => {
                    let may_repeat = text.matches(':').count() > 1;
                    prop_assert!(known.is_none() || may_repeat, "{}", text);
                }
            }
        }
    }
}
