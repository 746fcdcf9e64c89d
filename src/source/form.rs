use std::fmt;
use std::fmt::Write;

use crate::domain::{Method, Webhook};

use super::refused::{Refused, Unreadable};

/// A key and its value, decoded.
type Pair = (String, String);

/// The fields of a hook, split and decoded once: signatures are computed over them and answers
/// are read from them, so the two can never disagree.
pub struct Form {
    query: Vec<Pair>,
    body: Vec<Pair>,
}

impl Form {
    /// Most fields of one hook, query and body together. Plivo sends a few dozen.
    pub const PAIRS_MAX: usize = 256;

    /// A body is looked at where it is a form.
    pub(super) fn split(hook: &Webhook, content: Content) -> Result<Self, Unreadable> {
        let query = raw_query(hook);
        let body = match content {
            Content::Nothing | Content::Json => &[][..],
            Content::Form => &hook.body,
        };
        if raw_pairs(query).chain(raw_pairs(body)).nth(Self::PAIRS_MAX).is_some() {
            return Err(Unreadable::TooManyFields);
        }
        Ok(Self { query: pairs(query)?, body: pairs(body)? })
    }

    /// A form that is part of something else.
    pub(super) fn of(body: &[u8]) -> Result<Self, Unreadable> {
        if raw_pairs(body).nth(Self::PAIRS_MAX).is_some() {
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

/// What the body of a hook is. The body of a GET is nothing, whatever it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Nothing,
    Form,
    Json,
}

/// What the bodies of a source's hooks may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    Form,
    /// `application/json`, and a vendor's own `application/…+json`.
    Json,
    Either,
}

impl Accepts {
    /// What a body says that it is. An empty one needs no type.
    ///
    /// # Errors
    /// It does not say so, or is something else.
    pub(super) fn content(self, hook: &Webhook) -> Result<Content, Refused> {
        if hook.method == Method::Get || hook.body.is_empty() {
            return Ok(Content::Nothing);
        }
        let mut types = hook.header_values("content-type");
        let (Some(only), None) = (types.next(), types.next()) else {
            return Err(Refused::UnsupportedType(self));
        };
        let essence = only.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
        let essence = essence.to_ascii_lowercase();
        let is_form = essence == b"application/x-www-form-urlencoded";
        let is_json = essence == b"application/json"
            || (essence.starts_with(b"application/") && essence.ends_with(b"+json"));
        match self {
            Accepts::Form | Accepts::Either if is_form => Ok(Content::Form),
            Accepts::Json | Accepts::Either if is_json => Ok(Content::Json),
            _ => Err(Refused::UnsupportedType(self)),
        }
    }
}

impl fmt::Display for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Accepts::Form => "application/x-www-form-urlencoded",
            Accepts::Json => "application/json",
            Accepts::Either => "application/x-www-form-urlencoded or application/json",
        })
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

    #[test]
    fn a_body_must_say_what_it_is() {
        let content = |accepts: Accepts, types: &[&str], body: &str| {
            let mut hook = post(None, body);
            hook.headers = types.iter().map(|t| ("content-type".into(), (*t).into())).collect();
            accepts.content(&hook).ok()
        };
        let form = "application/x-www-form-urlencoded";
        for accepts in [Accepts::Form, Accepts::Either] {
            assert_eq!(content(accepts, &[form], "a=1"), Some(Content::Form));
            let odd = "Application/X-WWW-Form-URLencoded ; charset=UTF-8";
            assert_eq!(content(accepts, &[odd], "a=1"), Some(Content::Form));
        }
        for json in
            ["application/json", "Application/JSON;charset=utf-8", "application/vnd.a.v1+json"]
        {
            for accepts in [Accepts::Json, Accepts::Either] {
                assert_eq!(content(accepts, &[json], "{}"), Some(Content::Json), "{json}");
            }
            assert_eq!(content(Accepts::Form, &[json], "{}"), None, "{json}");
        }
        assert_eq!(content(Accepts::Json, &[form], "a=1"), None);
        for accepts in [Accepts::Form, Accepts::Json, Accepts::Either] {
            assert_eq!(content(accepts, &[], ""), Some(Content::Nothing));
            assert_eq!(content(accepts, &["text/plain"], ""), Some(Content::Nothing));
            for bad in
                [&[][..], &["text/plain"], &["+json"], &["text/x+json"], &[""], &[form, form]]
            {
                assert_eq!(content(accepts, bad, "a=1"), None, "{bad:?}");
            }
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
