//! Masking of the numbers in what callers and senders said, for those who need not see them.

use serde_json::Value;

use super::accounts::AccountList;
use super::difference::{After, Before, Difference};
use super::quarantine::QuarantinedDetail;
use super::query::SubmissionPage;
use super::requests::ReplayResult;
use super::views::{
    AnswerView, AttemptView, FeedbackView, SubmissionDetailView, SubmissionView, WebhookView,
};
use crate::survey::masked;

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
fn cover(text: &mut String) {
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
        let date = &bytes[start..start + DATE];
        let has_its_form = date.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
        let continues = |byte: &u8| byte.is_ascii_digit() || *byte == b'-' || *byte == b'+';
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        has_its_form
            && !before.is_some_and(continues)
            && !bytes.get(start + DATE).is_some_and(continues)
    };
    (0..(bytes.len() + 1).saturating_sub(DATE)).find(|start| is_date(*start))
}

/// Masks a query or a body, whose numbers may be written with `%20` or `%2B` in them: those are shown as
/// what they mean.
fn cover_encoded(text: &mut String) {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escaped = (bytes[at] == b'%')
            .then(|| Some(digit(bytes.get(at + 1))? * 16 + digit(bytes.get(at + 2))?))
            .flatten();
        // Only what numbers are written with: a mark that is decoded would read as another form.
        match escaped.and_then(|byte| u8::try_from(byte).ok()).filter(|byte| is_of_a_number(*byte))
        {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    *text = String::from_utf8(decoded).expect("ASCII replaces ASCII");
    cover(text);
}

fn is_of_a_number(byte: u8) -> bool {
    byte.is_ascii_digit() || b" +-().".contains(&byte)
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
    fn numbers_are_masked_and_dates_are_not() {
        for (text, expected) in [
            ("From=14155550123&Digits=4", "From=*********23&Digits=4"),
            ("From=%2B1%20415%20555%200123", "From=+* *** *** **23"),
            ("at 2026-11-20T10:00:00Z", "at 2026-11-20T10:00:00Z"),
            ("+49-2026-11-20", "+**-****-**-20"),
            ("100% of %zz & %3Cb%3E", "100% of %zz & %3Cb%3E"),
            ("{\"a\": \"0170 1234567\"}", "{\"a\": \"**** *****67\"}"),
        ] {
            let mut covered = text.to_owned();
            cover_encoded(&mut covered);
            assert_eq!(covered, expected);
        }
    }
}
