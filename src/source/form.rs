use std::cell::OnceCell;
use std::fmt;
use std::fmt::Write;

use memchr::{memchr, memchr_iter, memchr2, memmem};

use crate::domain::Webhook;

use super::content::{Content, FIELDS_MAX};
use super::rejection::ParseError;

/// A key and its value, decoded.
type Pair<'a> = (&'a str, &'a str);

/// The fields of a webhook, split and decoded once: signatures are computed over them and answers
/// are read from them, so the two can never disagree.
pub struct Form {
    /// Every key and value, decoded, one after another: those of the query, then those of the body.
    text: String,
    /// Where each field's key and value end in `text`.
    ends: Vec<(usize, usize)>,
    /// How many fields are in the query.
    in_query: usize,
    concatenated: OnceCell<String>,
}

impl Form {
    /// A body is looked at if it is a form.
    pub(super) fn split(webhook: &Webhook, content: Content) -> Result<Self, ParseError> {
        Self::decode(
            raw_query(webhook),
            match content {
                Content::Nothing | Content::Json => &[],
                Content::Form => &webhook.body,
            },
        )
    }

    /// A form that is part of something else.
    pub(super) fn of(body: &[u8]) -> Result<Self, ParseError> {
        Self::decode(&[], body)
    }

    fn decode(query: &[u8], body: &[u8]) -> Result<Self, ParseError> {
        let pairs_max = memchr_iter(b'&', query).chain(memchr_iter(b'&', body)).count() + 2;
        if pairs_max > FIELDS_MAX
            && raw_pairs(query).chain(raw_pairs(body)).nth(FIELDS_MAX).is_some()
        {
            return Err(ParseError::TooManyFields);
        }
        let mut text = Vec::with_capacity(query.len() + body.len());
        let mut ends = Vec::with_capacity(pairs_max.min(FIELDS_MAX));
        decode_pairs(query, &mut text, &mut ends)?;
        let in_query = ends.len();
        decode_pairs(body, &mut text, &mut ends)?;
        // A field that ends within a character is no UTF-8, even if the next one completes it.
        match String::from_utf8(text) {
            Ok(text)
                if ends.iter().all(|&(key, value)| {
                    text.is_char_boundary(key) && text.is_char_boundary(value)
                }) =>
            {
                Ok(Self { text, ends, in_query, concatenated: OnceCell::new() })
            }
            _ => Err(ParseError::BrokenForm),
        }
    }

    /// In the order in which they came.
    pub fn query(&self) -> impl Iterator<Item = Pair<'_>> + Clone {
        self.all().take(self.in_query)
    }

    /// In the order in which they came; always empty for a GET, and if the body is no form.
    pub fn body(&self) -> impl Iterator<Item = Pair<'_>> + Clone {
        self.all().skip(self.in_query)
    }

    /// Those of the query, then those of the body.
    pub(super) fn all(&self) -> impl Iterator<Item = Pair<'_>> + Clone {
        let mut start = 0;
        self.ends.iter().map(move |&(key, value)| {
            let pair = (&self.text[start..key], &self.text[key..value]);
            start = value;
            pair
        })
    }

    /// The fields of the body sorted by key, then value, without a mark between them, as Plivo signs
    /// them.
    pub(super) fn concatenated(&self) -> &str {
        self.concatenated.get_or_init(|| joined(&self.sorted()))
    }

    /// Likewise, each pair once, as Twilio signs them.
    pub(super) fn concatenated_once(&self) -> String {
        let mut pairs = self.sorted();
        pairs.dedup();
        joined(&pairs)
    }

    fn sorted(&self) -> Vec<Pair<'_>> {
        let mut pairs: Vec<_> = self.body().collect();
        pairs.sort_unstable();
        pairs
    }
}

impl fmt::Debug for Form {
    /// Only how much there is: the fields carry phone numbers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_body = self.ends.len() - self.in_query;
        write!(f, "Form({} in the query, {in_body} in the body)", self.in_query)
    }
}

fn joined(pairs: &[Pair<'_>]) -> String {
    pairs.iter().flat_map(|(key, value)| [*key, *value]).collect()
}

/// Whether a text would be another one if it were decoded once more.
pub(super) fn is_escaped(text: &str) -> bool {
    let mut decoded = Vec::new();
    decode(text.as_bytes(), &mut decoded).is_ok() && decoded != text.as_bytes()
}

/// Whether a name is in a query with none of these separators after it.
pub(super) fn is_bare(query: &[u8], name: &str, marks: &[u8]) -> bool {
    let is_mark = |at| query.get(at).is_some_and(|b| marks.contains(b));
    memmem::find_iter(query, name).any(|at| !is_mark(at + name.len()))
}

/// The query as it came; empty where there is none.
pub(super) fn raw_query(webhook: &Webhook) -> &[u8] {
    webhook.query.as_deref().unwrap_or_default().as_bytes()
}

/// The pairs as they came, not decoded. A key without `=` has an empty value; empty segments are
/// skipped.
pub(super) fn raw_pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|&b| b == b'&').filter(|segment| !segment.is_empty()).map(|segment| {
        match memchr(b'=', segment) {
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

/// What begins as JSON is no form: if a signature covers neither type nor method, it could be sent
/// again as one, and say what someone wrote into a comment.
fn decode_pairs(
    raw: &[u8],
    text: &mut Vec<u8>,
    ends: &mut Vec<(usize, usize)>,
) -> Result<(), ParseError> {
    if matches!(raw.trim_ascii_start(), [b'{' | b'[', ..]) {
        return Err(ParseError::BrokenForm);
    }
    for (key, value) in raw_pairs(raw) {
        decode(key, text)?;
        let key_end = text.len();
        decode(value, text)?;
        ends.push((key_end, text.len()));
    }
    Ok(())
}

/// Strict: a stray percent sign is an error, as is what is not UTF-8 once decoded. Guessing would
/// be safe for the signature and wrong for the answer.
fn decode(raw: &[u8], text: &mut Vec<u8>) -> Result<(), ParseError> {
    let mut rest = raw;
    while let Some(at) = memchr2(b'+', b'%', rest) {
        text.extend_from_slice(&rest[..at]);
        match &rest[at..] {
            [b'+', after @ ..] => {
                text.push(b' ');
                rest = after;
            }
            [_, high, low, after @ ..] => {
                text.push(hex_digit(*high)? << 4 | hex_digit(*low)?);
                rest = after;
            }
            _ => return Err(ParseError::BrokenForm),
        }
    }
    text.extend_from_slice(rest);
    Ok(())
}

fn hex_digit(byte: u8) -> Result<u8, ParseError> {
    let digit = char::from(byte).to_digit(16).ok_or(ParseError::BrokenForm)?;
    Ok(u8::try_from(digit).expect("a hex digit is below 16"))
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

    fn decoded(text: impl AsRef<[u8]>) -> Result<Vec<(String, String)>, ParseError> {
        let form = Form::of(text.as_ref())?;
        Ok(form.body().map(|(key, value)| pair(key, value)).collect())
    }

    fn pair(key: &str, value: &str) -> (String, String) {
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
            assert_eq!(decoded(bad), Err(ParseError::BrokenForm), "{bad}");
        }
        assert_eq!(decoded(b"a=\xff"), Err(ParseError::BrokenForm));
        // No field is UTF-8, though together they are.
        for bad in ["%c3=%a9", "a=%c3&%a9=1"] {
            assert_eq!(decoded(bad), Err(ParseError::BrokenForm), "{bad}");
        }
        let across = Form::split(&post(Some("a=%c3"), "%a9=1"), Content::Form);
        assert_eq!(across.err(), Some(ParseError::BrokenForm));
    }

    #[test]
    fn fields_are_counted_over_query_and_body_together() {
        let fields = |count: usize| vec!["a=1"; count].join("&");
        let split = |query, body| {
            Form::split(&post(Some(&fields(query)), &fields(body)), Content::Form).err()
        };
        assert_eq!(split(128, 128), None);
        assert_eq!(split(128, 129), Some(ParseError::TooManyFields));
        assert_eq!(split(0, 10_000), Some(ParseError::TooManyFields));
    }

    #[test]
    fn only_a_form_is_looked_at() {
        let mut webhook = get(Some("a=1"));
        webhook.body = b"%%%".to_vec();
        let content = Accepts::Form.content(&webhook).unwrap();
        assert_eq!(content, Content::Nothing);
        for content in [content, Content::Json] {
            let form = Form::split(&webhook, content).unwrap();
            assert_eq!((form.query().count(), form.body().count()), (1, 0));
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
            let _ = decoded(&body);
        }
    }
}
