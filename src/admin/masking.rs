//! Masking of the numbers in what callers and senders said, for those who need not see them.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::LazyLock;

use jiff::civil::Date;
use serde_json::Value;

use super::accounts::AccountList;
use super::difference::{After, Before, Difference};
use super::quarantine::QuarantinedDetail;
use super::query::SubmissionPage;
use super::requests::ReplayResult;
use super::views::{
    AnswerView, AttemptView, FeedbackView, SubmissionDetailView, SubmissionView, WebhookView,
};
use crate::survey::{NUMBER_DIGITS_MIN, is_of_a_number, masked};

/// What holds words of callers and senders. Ids and times are not masked: they are what it is found by.
pub trait Mask {
    /// Masks runs of seven digits and more, but for their last two.
    fn mask(&mut self);
}

impl Mask for SubmissionPage {
    fn mask(&mut self) {
        self.submissions.iter_mut().for_each(Mask::mask);
    }
}

impl Mask for SubmissionView {
    fn mask(&mut self) {
        self.answered.values_mut().chain(self.fields.values_mut()).for_each(cover);
        self.detail.iter_mut().for_each(cover);
        self.trace.iter_mut().for_each(cover_json);
        self.feedback.iter_mut().for_each(Mask::mask);
    }
}

impl Mask for SubmissionDetailView {
    fn mask(&mut self) {
        self.submission.mask();
        self.webhooks.iter_mut().for_each(Mask::mask);
        self.answers.iter_mut().for_each(Mask::mask);
        self.attempts_made.iter_mut().for_each(Mask::mask);
        self.interventions.iter_mut().filter_map(|it| it.detail.as_mut()).for_each(cover);
    }
}

impl Mask for WebhookView {
    fn mask(&mut self) {
        let texts = self.query.iter_mut().chain(self.body.iter_mut());
        texts.for_each(cover_encoded);
        // What is no text cannot be masked.
        self.body_base64 = None;
    }
}

impl Mask for AnswerView {
    fn mask(&mut self) {
        self.value.iter_mut().for_each(cover);
    }
}

impl Mask for AttemptView {
    fn mask(&mut self) {
        self.error.iter_mut().chain(self.reply.iter_mut()).for_each(cover);
        self.feedback.iter_mut().for_each(Mask::mask);
    }
}

impl Mask for FeedbackView {
    fn mask(&mut self) {
        self.notes.iter_mut().for_each(cover);
    }
}

impl Mask for ReplayResult {
    fn mask(&mut self) {
        self.differences.iter_mut().for_each(Mask::mask);
    }
}

impl Mask for Difference {
    fn mask(&mut self) {
        let Self { before: Before { feedback: before, .. }, after, .. } = self;
        before.iter_mut().for_each(Mask::mask);
        after.mask();
    }
}

impl Mask for After {
    fn mask(&mut self) {
        match self {
            After::Feedback { feedback } => feedback.mask(),
            After::Ignored { detail, .. } | After::Dead { detail, .. } => {
                detail.iter_mut().for_each(cover);
            }
        }
    }
}

impl Mask for AccountList {
    fn mask(&mut self) {
        self.accounts.iter_mut().filter_map(|it| it.pause.as_mut()).for_each(|pause| {
            cover(&mut pause.detail);
        });
    }
}

impl Mask for QuarantinedDetail {
    fn mask(&mut self) {
        self.query.iter_mut().for_each(cover_encoded);
        cover_encoded(&mut self.path);
        cover_encoded(&mut self.body);
    }
}

/// Masks a text, but for dates as ISO 8601 writes them.
pub(super) fn cover(text: &mut String) {
    let mut covered = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(start) = date_in(rest) {
        covered.push_str(&masked(&rest[..start]));
        let (date, after) = rest[start..].split_at(DATE);
        covered.push_str(date);
        rest = after;
    }
    covered.push_str(&masked(rest));
    *text = covered;
}

/// Length of `2026-11-20`.
const DATE: usize = 10;

/// Where the first date is that is no part of a longer number.
fn date_in(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let is_date = |start: usize| {
        let date = text.get(start..start + DATE).and_then(|date| date.parse::<Date>().ok());
        // A number may have the form of a date, and seldom one of these years.
        let has_its_form = date.is_some_and(|date| (1900..2100).contains(&date.year()))
            && bytes[start + 4] == b'-';
        let continues = |byte: &u8| byte.is_ascii_digit() || *byte == b'-' || *byte == b'+';
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        has_its_form
            && !before.is_some_and(continues)
            && !bytes.get(start + DATE).is_some_and(continues)
    };
    (0..(bytes.len() + 1).saturating_sub(DATE)).find(|start| is_date(*start))
}

/// Masks a query or a body, whose numbers may be written with `%20`, `%2B`, `\/` or `\u202f` in them: those
/// are shown as what they mean.
fn cover_encoded(text: &mut String) {
    // A mark that is decoded would read as another form.
    let shown = |(c, written): (char, &str)| match is_of_a_number(c) {
        true => c.to_string(),
        false => written.to_owned(),
    };
    *text = characters(text).map(shown).collect();
    cover(text);
}

/// The characters of a text, and how each is written.
pub(super) fn characters(text: &str) -> impl Iterator<Item = (char, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let c = rest.chars().next()?;
        let (c, length) = escaped(rest).unwrap_or((c, c.len_utf8()));
        let (written, after) = rest.split_at(length);
        rest = after;
        Some((c, written))
    })
}

/// The text with other digits in long numbers, however they are written: it can be read as it could before, and
/// equal numbers stay equal for as long as the process runs.
pub(super) fn disguised(text: &str) -> String {
    let mut disguised = String::with_capacity(text.len());
    let mut number: Vec<(char, &str)> = Vec::new();
    for (c, written) in characters(text) {
        if is_of_a_number(c) {
            number.push((c, written));
        } else {
            disguise(&number, &mut disguised);
            number.clear();
            disguised.push_str(written);
        }
    }
    disguise(&number, &mut disguised);
    disguised
}

/// Adds a number, of its characters and how they are written.
fn disguise(number: &[(char, &str)], disguised: &mut String) {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    let digits: String = number.iter().map(|it| it.0).filter(|c| c.is_numeric()).collect();
    let is_long = digits.chars().count() >= NUMBER_DIGITS_MIN;
    let mut at = 0u32;
    for (c, written) in number {
        if is_long && c.is_numeric() {
            at += 1;
            // No zero: it would be no number of JSON if it came first.
            disguised.push_str(&(1 + KEY.hash_one((&digits, at)) % 9).to_string());
        } else {
            disguised.push_str(written);
        }
    }
}

/// The character that an escape of a form or of JSON at the beginning means, and the length of the escape.
fn escaped(text: &str) -> Option<(char, usize)> {
    if text.starts_with("\\/") {
        return Some(('/', 2));
    }
    if let Some(code) = text.strip_prefix("\\u").and_then(|rest| rest.get(..4)) {
        return Some((char::from_u32(u32::from_str_radix(code, 16).ok()?)?, 6));
    }
    // A character beyond ASCII is two to four escapes.
    let bytes: Vec<u8> = (0..4)
        .map_while(|n| text.get(3 * n..3 * n + 3)?.strip_prefix('%'))
        .map_while(|code| u8::from_str_radix(code, 16).ok())
        .collect();
    let valid = match std::str::from_utf8(&bytes) {
        Ok(valid) => valid,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?,
    };
    let c = valid.chars().next()?;
    Some((c, 3 * c.len_utf8()))
}

fn cover_json(value: &mut Value) {
    match value {
        Value::String(text) => cover(text),
        Value::Array(items) => items.iter_mut().for_each(cover_json),
        Value::Object(entries) => entries.values_mut().for_each(cover_json),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_disguised_so_that_they_can_still_be_read() {
        for text in [
            "From=%2B1%20415%20555%200123&n=14155550123",
            r#"{"a": 14155550123, "b": "0170\/123456"}"#,
        ] {
            let shown = disguised(text);
            assert_eq!(shown, disguised(text));
            let form = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
            assert_eq!(form(&shown).len(), form(text).len(), "{shown}");
            assert!(!shown.contains("5550123") && !shown.contains("123456"), "{shown}");
        }
        let json = disguised(r#"{"a": 10155550123, "digits": 4, "same": "10155550123"}"#);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["a"].to_string(), json["same"].as_str().unwrap());
        assert_eq!(json["digits"], 4);
    }

    #[test]
    fn numbers_are_masked_and_dates_are_not() {
        for (text, expected) in [
            ("From=14155550123&Digits=4", "From=*********23&Digits=4"),
            ("From=%2B1%20415%20555%200123", "From=+* *** *** **23"),
            ("at 2026-11-20T10:00:00Z", "at 2026-11-20T10:00:00Z"),
            ("+49-2026-11-20", "+**-****-**-20"),
            ("100% of %zz & %3Cb%3E", "100% of %zz & %3Cb%3E"),
            ("From=0170%2F123456&a=%", "From=****/****56&a=%"),
            ("%2B33%C2%A06%C2%A012%C2%A034%C2%A056", "+**\u{a0}*\u{a0}**\u{a0}**\u{a0}56"),
            (
                r#"{"a": "0170\/123456", "b": "a\\b\u00e4"}"#,
                r#"{"a": "****/****56", "b": "a\\b\u00e4"}"#,
            ),
            (r"+33\u202f612\u202f345\u202f678", "+**\u{202f}***\u{202f}***\u{202f}*78"),
            ("call 1234-56-78, 1999-13-01", "call ****-**-78, ****-**-01"),
            ("{\"a\": \"0170 1234567\"}", "{\"a\": \"**** *****67\"}"),
        ] {
            let mut covered = text.to_owned();
            cover_encoded(&mut covered);
            assert_eq!(covered, expected);
        }
    }
}
