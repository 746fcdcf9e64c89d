use std::fmt;

use serde::Deserialize;
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::rejection::ParseError;

/// JSON that can be read in one way only.
///
/// # Errors
/// It is no JSON, is nested too deep, or has a key twice in one object: one reader would take the
/// first and the next the last.
pub(super) fn parse(text: &[u8]) -> Result<Value, ParseError> {
    let parsed = serde_json::from_slice::<Unambiguous>(text);
    parsed.map(|Unambiguous(value)| value).map_err(|_| ParseError::BrokenJson)
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
