//! Stored webhooks as a case of `postcall test` has them.

use std::fmt::Write;

use super::inspection::CallInspection;
use super::masking::{characters, disguised};
use super::views::WebhookView;
use crate::domain::CallUuid;
use crate::survey::is_of_a_number;

/// Why a webhook cannot be written as a step of a case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoStep {
    #[error("no webhook of it is stored any more: bodies are kept for store.retention.bodies")]
    Purged,
    #[error("the body of webhook {0} is not text, which a case cannot hold")]
    Binary(String),
}

/// Most bytes of the webhooks of one call: they become a field of a form.
const STEPS_MAX: usize = 64 * 1024;

impl WebhookView {
    /// The webhook as it was received, as a table of YAML on one line. What the service had verified is not
    /// signed again.
    ///
    /// # Errors
    /// Its body is not stored any more, or is no text.
    pub fn step(&self) -> Result<String, NoStep> {
        if self.purged {
            return Err(NoStep::Purged);
        }
        if self.body_base64.is_some() {
            return Err(NoStep::Binary(self.id.clone()));
        }
        let mut parts = vec![
            format!("source: {}", scalar(&self.source)),
            format!("at: {}", self.received_at),
            "verified: true".to_owned(),
        ];
        if self.method != "POST" {
            parts.push(format!("method: {}", scalar(&self.method)));
        }
        if let Some(query) = self.query.as_deref().filter(|query| !query.is_empty()) {
            parts.push(format!("query: {}", scalar(query)));
        }
        if let Some(body) = self.body.as_deref().filter(|body| !body.is_empty()) {
            parts.push(format!("body: {}", scalar(body)));
        }
        Ok(format!("{{ {} }}", parts.join(", ")))
    }
}

impl CallInspection {
    /// The webhooks of the call as a list of steps, in the order of arrival and with other digits in long
    /// numbers, and how many of them cannot be written so or are too many.
    pub fn steps(&self, call: &CallUuid) -> (String, usize) {
        let details = || self.submissions.iter().map(|it| &it.detail);
        let mut webhooks: Vec<WebhookView> =
            details().flat_map(|it| &it.webhooks).cloned().collect();
        webhooks.sort_by_key(|it| it.received_at);
        let (mut text, mut left_out) = (String::new(), 0);
        for mut webhook in webhooks {
            for text in webhook.query.iter_mut().chain(&mut webhook.body) {
                *text = disguised_but(call.as_str(), text);
            }
            match webhook.step() {
                Ok(step) if text.len() + step.len() < STEPS_MAX => {
                    let _ = writeln!(text, "- {step}");
                }
                Ok(_) | Err(_) => left_out += 1,
            }
        }
        (text, left_out + details().map(|it| it.truncated.webhooks).sum::<usize>())
    }
}

/// The text with other digits in long numbers, but not in the id of its call: without that it would be another's.
fn disguised_but(id: &str, text: &str) -> String {
    let mut end = 0;
    let ends: Vec<(usize, char)> = characters(text)
        .map(|(c, written)| {
            end += written.len();
            (end, c)
        })
        .collect();
    // How many characters end by there.
    let until = |at: usize| ends.partition_point(|(end, _)| *end <= at);
    let (mut shown, mut rest_from) = (String::new(), 0);
    for (at, _) in text.match_indices(id) {
        let (before, after) = (&ends[..until(at)], &ends[until(at + id.len())..]);
        if !continues_a_number(before.iter().rev()) && !continues_a_number(after.iter()) {
            shown.push_str(&disguised(&text[rest_from..at]));
            shown.push_str(id);
            rest_from = at + id.len();
        }
    }
    shown.push_str(&disguised(&text[rest_from..]));
    shown
}

/// Whether there is a digit before anything that is not of a number.
fn continues_a_number<'a>(characters: impl Iterator<Item = &'a (usize, char)>) -> bool {
    characters.map(|(_, c)| *c).take_while(|c| is_of_a_number(*c)).any(char::is_numeric)
}

/// Text as a YAML scalar on one line: in single quotes, or in double quotes where something has to be
/// escaped, as JSON escapes it.
pub fn scalar(text: &str) -> String {
    let is_printable =
        |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}');
    if text.chars().all(is_printable) {
        return format!("'{}'", text.replace('\'', "''"));
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if is_printable(c) => quoted.push(c),
            c => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(c));
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_call_is_shown_but_not_as_a_part_of_a_number() {
        let shown = disguised_but("1001", "CallUUID=1001&From=%2B49%20151%201001%202345");
        assert!(shown.starts_with("CallUUID=1001&From="), "{shown}");
        assert!(!shown.contains("151") && !shown.contains("2345"), "{shown}");
        let uuid = "b3814912-1234-45d5-85b2-78ee4424788f";
        let payload = format!("payload=%7B%22call_uuid%22%3A%22{uuid}%22%7D&From=14155550123");
        let shown = disguised_but(uuid, &payload);
        assert!(shown.contains(&format!("%22{uuid}%22%7D&From=")), "{shown}");
        assert!(!shown.contains("5550123"), "{shown}");
        let json = r#"{"call_uuid": 14155550123, "from": "14155550123456", "id": "14155550123"}"#;
        let shown = disguised_but("14155550123", json);
        assert!(shown.starts_with(r#"{"call_uuid": 14155550123, "from": ""#), "{shown}");
        assert!(shown.ends_with(r#""id": "14155550123"}"#), "{shown}");
        assert!(!shown.contains("123456"), "{shown}");
    }
}
