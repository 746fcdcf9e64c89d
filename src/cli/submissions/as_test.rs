//! A stored submission as a case of `postcall test`.

use std::fmt::Write;

use crate::admin::{
    AnswerView, AttemptView, FeedbackView, NoStep, StateName, SubmissionDetailView, WebhookView,
    scalar,
};

/// Why a submission cannot be written as a case.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoCase {
    #[error(transparent)]
    Webhook(#[from] NoStep),
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
    let webhooks = shown.webhooks.iter().map(WebhookView::step).collect::<Result<Vec<_>, _>>()?;
    if webhooks.is_empty() {
        return Err(NoStep::Purged.into());
    }
    let submission = &shown.submission;
    let call = submission.call.as_deref().unwrap_or_default();
    let mut text =
        format!("cases:\n  - name: {}\n    webhooks:\n", scalar(&format!("call {call}")));
    for webhook in webhooks {
        let _ = writeln!(text, "      - {webhook}");
    }
    let _ = writeln!(text, "    expect:\n      {}", ending(shown)?);
    let answers = answers(&shown.answers);
    if !answers.is_empty() {
        let _ = writeln!(text, "      answers: {{ {} }}", answers.join(", "));
    }
    Ok(text)
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
