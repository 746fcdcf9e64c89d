use std::fmt;
use std::fmt::Write;

use crate::domain::Webhook;

use super::content::{Content, FIELDS_MAX};
use super::refused::Unreadable;

/// A key and its value, decoded.
type Pair = (String, String);

/// The fields of a hook, split and decoded once: signatures are computed over them and answers
/// are read from them, so the two can never disagree.
pub struct Form {
    query: Vec<Pair>,
    body: Vec<Pair>,
}

impl Form {
    /// A body is looked at where it is a form.
    pub(super) fn split(hook: &Webhook, content: Content) -> Result<Self, Unreadable> {
        let query = raw_query(hook);
        let body = match content {
            Content::Nothing | Content::Json => &[][..],
            Content::Form => &hook.body,
        };
        if raw_pairs(query).chain(raw_pairs(body)).nth(FIELDS_MAX).is_some() {
            return Err(Unreadable::TooManyFields);
        }
        Ok(Self { query: pairs(query)?, body: pairs(body)? })
    }

    /// A form that is part of something else.
    pub(super) fn of(body: &[u8]) -> Result<Self, Unreadable> {
        if raw_pairs(body).nth(FIELDS_MAX).is_some() {
            return Err(Unreadable::TooManyFields);
        }
        Ok(Self { query: Vec::new(), body: pairs(body)? })
    }

    /// In the order in which they came.
    pub fn query(&self) -> &[Pair] {
        &self.query
    }

    /// In the order in which they came; always empty for a GET, and where the body is no form.
    pub fn body(&self) -> &[Pair] {
        &self.body
    }
}

impl fmt::Debug for Form {
    /// Only how much there is: the fields carry phone numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Form({} in the query, {} in the body)", self.query.len(), self.body.len())
    }
}

/// The query as it came; empty where there is none.
pub(super) fn raw_query(hook: &Webhook) -> &[u8] {
    hook.query.as_deref().unwrap_or_default().as_bytes()
}

/// The pairs as they came, not decoded. A key without `=` has an empty value; empty segments are
/// skipped.
pub(super) fn raw_pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|&b| b == b'&').filter(|segment| !segment.is_empty()).map(|segment| {
        match segment.iter().position(|&b| b == b'=') {
            Some(at) => (&segment[..at], &segment[at + 1..]),
            None => (segment, &[][..]),
        }
    })
}

/// The pairs as one line of a form or a query, such as [`Form`] splits again.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut line = String::new();
    for (key, value) in pairs {
        if !line.is_empty() {
            line.push('&');
        }
        escape(key, &mut line);
        line.push('=');
        escape(value, &mut line);
    }
    line
}

/// What begins as JSON is no form: where a signature covers neither type nor method, it could be
/// sent again as one, and say what somebody wrote into a comment.
fn pairs(text: &[u8]) -> Result<Vec<Pair>, Unreadable> {
    if text.trim_ascii_start().starts_with(b"{") || text.trim_ascii_start().starts_with(b"[") {
        return Err(Unreadable::BrokenForm);
    }
    raw_pairs(text).map(|(key, value)| Ok((decode(key)?, decode(value)?))).collect()
}

/// Strict: a stray percent sign is an error, as is what is not UTF-8 once decoded. Guessing would
/// be safe for the signature and wrong for the answer.
fn decode(raw: &[u8]) -> Result<String, Unreadable> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut rest = raw.iter();
    while let Some(&byte) = rest.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match (hex_digit(rest.next()), hex_digit(rest.next())) {
                (Some(high), Some(low)) => high << 4 | low,
                _ => return Err(Unreadable::BrokenForm),
            },
            plain => plain,
        });
    }
    String::from_utf8(decoded).map_err(|_| Unreadable::BrokenForm)
}

fn hex_digit(byte: Option<&u8>) -> Option<u8> {
    let digit = char::from(*byte?).to_digit(16)?;
    Some(u8::try_from(digit).expect("a hex digit is below 16"))
}

fn escape(text: &str, line: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'*' => {
                line.push(byte.into());
            }
            b' ' => line.push('+'),
            other => write!(line, "%{other:02X}").expect("a string takes all that is written"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::content::Accepts;
    use super::*;
    use crate::source::sample::{get, post};

    fn decoded(text: &str) -> Result<Vec<Pair>, Unreadable> {
        pairs(text.as_bytes())
    }

    fn pair(key: &str, value: &str) -> Pair {
        (key.to_owned(), value.to_owned())
    }

    #[test]
    fn a_form_is_split_then_decoded() {
        for (text, expected) in [
            ("", vec![]),
            ("&&", vec![]),
            ("a=1&b=2", vec![pair("a", "1"), pair("b", "2")]),
            ("&a=1&&b=2&", vec![pair("a", "1"), pair("b", "2")]),
            ("a", vec![pair("a", "")]),
            ("a=", vec![pair("a", "")]),
            ("=a", vec![pair("", "a")]),
            ("a=b=c", vec![pair("a", "b=c")]),
            ("a=1+2%2B3", vec![pair("a", "1 2+3")]),
            ("a%26b=%3D%c3%A9", vec![pair("a&b", "=é")]),
            ("a=é", vec![pair("a", "é")]),
            ("a=2&a=1", vec![pair("a", "2"), pair("a", "1")]),
        ] {
            assert_eq!(decoded(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_not_strictly_encoded_is_refused() {
        for bad in
            ["a=%", "a=%2", "a=%zz", "a=%+1", "a=%2&b=1", "%=1", "a=%ff", "a=%c3", "a=%u0041"]
        {
            assert_eq!(decoded(bad), Err(Unreadable::BrokenForm), "{bad}");
        }
        assert_eq!(pairs(b"a=\xff"), Err(Unreadable::BrokenForm));
    }

    #[test]
    fn fields_are_counted_over_query_and_body_together() {
        let fields = |count: usize| vec!["a=1"; count].join("&");
        let split = |query, body| {
            Form::split(&post(Some(&fields(query)), &fields(body)), Content::Form).err()
        };
        assert_eq!(split(128, 128), None);
        assert_eq!(split(128, 129), Some(Unreadable::TooManyFields));
        assert_eq!(split(0, 10_000), Some(Unreadable::TooManyFields));
    }

    #[test]
    fn only_a_form_is_looked_at() {
        let mut hook = get(Some("a=1"));
        hook.body = b"%%%".to_vec();
        let content = Accepts::Form.content(&hook).unwrap();
        assert_eq!(content, Content::Nothing);
        for content in [content, Content::Json] {
            let form = Form::split(&hook, content).unwrap();
            assert_eq!((form.query().len(), form.body().len()), (1, 0));
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(
            fields in prop::collection::vec((".*", ".*"), 0..8),
        ) {
            let line = encode(fields.iter().map(|(key, value)| (key.as_str(), value.as_str())));
            prop_assert!(line.is_ascii());
            prop_assert_eq!(decoded(&line), Ok(fields));
        }

        #[test]
        fn nothing_that_arrives_makes_the_decoder_panic(body: Vec<u8>) {
            let _ = pairs(&body);
        }
    }
}
