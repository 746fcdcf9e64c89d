//! A stored submission as a case of `postcall test`.

use std::fmt::Write;

use crate::admin::{
    AnswerView, AttemptView, FeedbackView, StateName, SubmissionDetailView, WebhookView,
};

/// Why a submission cannot be written as a case.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoCase {
    #[error("no webhook of it is stored any more: bodies are kept for store.retention.bodies")]
    Purged,
    #[error("the body of webhook {0} is not text, which a case cannot hold")]
    Binary(String),
    #[error("it has {0} more webhooks than can be shown, and a case needs all of them")]
    TooMany(usize),
    #[error("it has not been mapped yet: wait until it is due")]
    NotMapped,
    #[error("it was discarded before it was mapped")]
    Discarded,
}

/// The text of a file of cases with one case: the webhooks as they were received, and the outcome that
/// is stored. What the service had verified is not signed again, so no secret is needed.
///
/// # Errors
/// Something of the case is not stored.
pub(super) fn file(shown: &SubmissionDetailView) -> Result<String, NoCase> {
    if shown.truncated.webhooks > 0 {
        return Err(NoCase::TooMany(shown.truncated.webhooks));
    }
    let webhooks = shown.webhooks.iter().map(webhook).collect::<Result<Vec<_>, _>>()?;
    if webhooks.is_empty() {
        return Err(NoCase::Purged);
    }
    let submission = &shown.submission;
    let call = submission.call.as_deref().unwrap_or_default();
    let mut text =
        format!("cases:\n  - name: {}\n    webhooks:\n", scalar(&format!("call {call}")));
    for webhook in webhooks {
        let _ = writeln!(text, "      - {{ {webhook} }}");
    }
    let _ = writeln!(text, "    expect:\n      {}", ending(shown)?);
    let answers = answers(&shown.answers);
    if !answers.is_empty() {
        let _ = writeln!(text, "      answers: {{ {} }}", answers.join(", "));
    }
    Ok(text)
}

fn webhook(webhook: &WebhookView) -> Result<String, NoCase> {
    if webhook.purged {
        return Err(NoCase::Purged);
    }
    if webhook.body_base64.is_some() {
        return Err(NoCase::Binary(webhook.id.clone()));
    }
    let mut parts = vec![
        format!("source: {}", scalar(&webhook.source)),
        format!("at: {}", webhook.received_at),
        "verified: true".to_owned(),
    ];
    if webhook.method != "POST" {
        parts.push(format!("method: {}", scalar(&webhook.method)));
    }
    if let Some(query) = webhook.query.as_deref().filter(|query| !query.is_empty()) {
        parts.push(format!("query: {}", scalar(query)));
    }
    if let Some(body) = webhook.body.as_deref().filter(|body| !body.is_empty()) {
        parts.push(format!("body: {}", scalar(body)));
    }
    Ok(parts.join(", "))
}

/// The outcome that follows from the answers: what became of a delivery is not the survey's.
fn ending(shown: &SubmissionDetailView) -> Result<String, NoCase> {
    let submission = &shown.submission;
    let offered =
        || shown.attempts_made.last().and_then(|attempt: &AttemptView| attempt.feedback.as_ref());
    let reason = submission.reason.as_deref().unwrap_or_default();
    match submission.state {
        StateName::Collecting => Ok("collecting: true".to_owned()),
        StateName::Ignored => Ok(format!("ignored: {reason}")),
        _ if let Some(feedback) = submission.feedback.as_ref().or_else(offered) => {
            Ok(feedback_text(feedback))
        }
        StateName::Dead => Ok(format!("dead: {reason}")),
        StateName::Discarded => Err(NoCase::Discarded),
        StateName::Pending | StateName::Delivered => Err(NoCase::NotMapped),
    }
}

fn feedback_text(feedback: &FeedbackView) -> String {
    let notes = scalar(feedback.notes.as_deref().unwrap_or_default());
    let (rating, issues) = (&feedback.rating, feedback.issues.join(", "));
    format!("feedback: {{ rating: {rating}, issues: [{issues}], notes: {notes} }}")
}

/// Answers of questions that were answered in one way only: whatever the survey does with changes, that
/// one counts.
fn answers(answers: &[AnswerView]) -> Vec<String> {
    let of_questions = || answers.iter().filter(|answer| answer.kind == "answer");
    let is_only = |answer: &AnswerView| {
        !answer.late && of_questions().filter(|other| other.name == answer.name).count() == 1
    };
    let text = |answer: &AnswerView| {
        format!("{}: {}", scalar(&answer.name), scalar(answer.value.as_deref().unwrap_or_default()))
    };
    of_questions().filter(|answer| is_only(answer)).map(text).collect()
}

/// Text as a YAML scalar on one line: in single quotes, or in double quotes where something has to be
/// escaped, as JSON escapes it.
fn scalar(text: &str) -> String {
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
    use crate::settings::{Context, Cursor, Environment, Located};

    #[test]
    fn any_text_is_a_yaml_scalar_on_one_line() {
        for text in
            ["", "it's", "a: b # c", "{\"a\": \"b\\n\"}", "a\nb\t\"c\"\\", "é\u{2028}\u{7f}", " x "]
        {
            let written = scalar(text);
            assert_eq!(written.lines().count(), 1, "{written}");
            let root = Located::parse(&written).unwrap();
            let context = Context::of(None, Environment::default());
            let read = Cursor::free(&root, &context).written("text").map(str::to_owned);
            assert_eq!(read.as_deref(), Some(text), "{written}");
        }
    }
}
