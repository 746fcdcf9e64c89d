use std::collections::BTreeSet;

use jiff::Timestamp;
use uuid::Uuid;

use super::case::{Case, Sender, Step};
use super::diff::Diff;
use super::expected::{Ending, ExpectedCall, ExpectedFeedback};
use crate::cli::payload::Payload;
use crate::cli::preview::{Preview, PreviewRejection, Previewed, Trust, Understood};
use crate::domain::{Advice, Name};
use crate::settings::Settings;
use crate::source::Source;
use crate::submission::{Mapping, State};

/// What became of the webhooks of a case, beside what the preview holds.
struct Happened {
    /// Why webhooks were rejected, with what is said of each.
    rejected: Vec<(&'static str, String)>,
    skipped: bool,
    /// The reply to each webhook.
    replies: Vec<String>,
}

/// Plays a case and says where it differs from what it must come to.
///
/// # Errors
/// A webhook that cannot be sent as the case says: the path of what is wrong, and what would be right.
pub(super) fn run(case: &Case, settings: &Settings) -> Result<Diff, (String, Advice)> {
    let mut preview = Preview::of(settings);
    let mut happened = Happened { rejected: Vec::new(), skipped: false, replies: Vec::new() };
    for step in &case.webhooks {
        play(step, settings, &mut preview, &mut happened)?;
    }
    let was: Vec<State> = preview.submissions().iter().map(Previewed::state).collect();
    preview.finish();
    let ended: Vec<Ended<'_>> = preview
        .submissions()
        .iter()
        .zip(was)
        .map(|(submission, was)| Ended { submission, was })
        .collect();

    let mut diff = Diff::default();
    compare_refusals(case, &happened, &mut diff);
    compare_calls(&case.expect.calls, &ended, &mut diff);
    compare_replies(case, &happened, &mut diff);
    Ok(diff)
}

fn play(
    step: &Step,
    settings: &Settings,
    preview: &mut Preview<'_>,
    happened: &mut Happened,
) -> Result<(), (String, Advice)> {
    let source =
        source_of(step, settings).map_err(|advice| (format!("{}.source", step.path), advice))?;
    let payload = step.payload(source.name.as_str());
    let (payload, trust) = match step.sender {
        Sender::SignedPayload => {
            let nonce = nonce(&payload, step.at);
            let signed = payload.signed(source, &nonce, step.at);
            let signed = signed.map_err(|error| (step.path.clone(), cannot_sign(error).into()));
            (signed?, Trust::Signed)
        }
        Sender::AsWritten => (payload, Trust::Signed),
        Sender::Believed => (payload, Trust::Anybody),
    };
    let received = preview.receive(source, &payload, step.at, trust);
    match &received.understood {
        Err(refusal) => {
            happened.rejected.push((refusal.label(), PreviewRejection::to_string(refusal)))
        }
        Ok(Understood::Skipped) => happened.skipped = true,
        Ok(Understood::Kept(_)) => {}
    }
    happened.replies.push(received.reply.body);
    Ok(())
}

fn cannot_sign(error: impl std::fmt::Display) -> String {
    format!(
        "it cannot be signed: {error}; send it as it is with signed: false, or have it believed \
         with verified: true"
    )
}

/// The source that a webhook goes to.
pub(in crate::cli) fn source_of<'a>(
    step: &Step,
    settings: &'a Settings,
) -> Result<&'a Source, Advice> {
    let known: Vec<&str> = settings.sources.keys().map(Name::as_str).collect();
    match &step.source {
        Some(name) => settings.sources.get(name.as_str()).map(AsRef::as_ref).ok_or_else(|| {
            let message = format!("the settings have no source {name:?}");
            Advice::unknown_name(message, name, &known)
        }),
        None if settings.sources.len() == 1 => {
            Ok(settings.sources.values().next().expect("there is one"))
        }
        None => Err(format!("missing: expected one of {}", known.join(", ")).into()),
    }
}

/// The same for the same bytes at one moment: what is said again later is another webhook, with a name of its own.
fn nonce(payload: &Payload, at: Timestamp) -> String {
    let query = payload.query.as_deref().unwrap_or_default().as_bytes();
    let at = at.to_string();
    let said = [at.as_bytes(), payload.path.as_bytes(), b"?", query, b"\n", &payload.body].concat();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, &said).simple().to_string()
}

/// One call, at the end.
struct Ended<'a> {
    submission: &'a Previewed,
    /// When the last webhook had arrived.
    was: State,
}

fn compare_refusals(case: &Case, happened: &Happened, diff: &mut Diff) {
    let expected = &case.expect.rejected;
    let got: BTreeSet<&str> = happened.rejected.iter().map(|(label, _)| *label).collect();
    for reason in expected {
        let line = format!("rejected: {reason}");
        if got.contains(reason) { diff.same(line) } else { diff.expected(line) }
    }
    for (label, detail) in &happened.rejected {
        if !expected.contains(label) {
            diff.got(format!("rejected: {label}"), Some(detail));
        }
    }
    if case.expect.skipped {
        let line = "skipped: true";
        if happened.skipped { diff.same(line) } else { diff.expected(line) }
    } else if happened.skipped && case.expect.calls.is_empty() {
        diff.got("skipped: true", None);
    }
}

fn compare_calls(expected: &[ExpectedCall], ended: &[Ended<'_>], diff: &mut Diff) {
    let several = expected.len() > 1 || ended.len() > 1;
    let mut left: Vec<&Ended<'_>> = ended.iter().collect();
    for expected in expected {
        let found = left.iter().position(|ended| is_of(expected, ended, several));
        let ended = found.map(|at| left.remove(at));
        if several {
            let call = expected.call.as_deref().unwrap_or("(none is named)");
            diff.same(format!("call: {call}"));
        } else if let (Some(call), Some(ended)) = (&expected.call, ended) {
            diff.pair(
                format!("call: {call}"),
                format!("call: {}", ended.submission.key.call),
                None,
            );
        }
        compare_call(expected, ended, diff);
    }
    for ended in left {
        diff.got(format!("call: {}", ended.submission.key.call), None);
        for (line, remark) in lines_of(ended.submission) {
            diff.got(line, remark.as_deref());
        }
    }
}

/// Where there is only one call, whose it is gets compared like all else.
fn is_of(expected: &ExpectedCall, ended: &Ended<'_>, several: bool) -> bool {
    let key = &ended.submission.key;
    let is_that = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|it| it == is);
    let is_call = is_that(&expected.call, key.call.as_str());
    (is_call || !several) && is_that(&expected.survey, key.survey.as_str())
}

fn compare_call(expected: &ExpectedCall, ended: Option<&Ended<'_>>, diff: &mut Diff) {
    let begin = diff.len();
    let Some(Ended { submission, was }) = ended else {
        lines_expected(&expected.ending).into_iter().for_each(|line| diff.expected(line));
        diff.remark("nothing was kept");
        return;
    };
    let wanted = lines_expected(&expected.ending);
    let got = match (&expected.ending, was) {
        (Ending::Collecting, State::Collecting) => vec![("collecting: true".to_owned(), None)],
        _ => lines_of(submission),
    };
    if got.first().is_some_and(|(got, _)| key(got) == key(&wanted[0])) {
        for line in wanted {
            let same = got.iter().find(|(got, _)| key(got) == key(&line));
            let (got, remark) = match same {
                Some((got, remark)) => (got.clone(), remark.as_deref()),
                // Notes that were not written are as good as empty ones.
                None => (format!("{}: \"\"", key(&line)), None),
            };
            diff.pair(line, got, remark);
        }
    } else {
        wanted.into_iter().for_each(|line| diff.expected(line));
        for (line, remark) in got {
            diff.got(line, remark.as_deref());
        }
    }
    for (question, answer) in &expected.answers {
        let got = submission.answer(question);
        let line = |answer: &str| format!("answers.{question}: {answer:?}");
        match got {
            Some(got) => diff.pair(line(answer), line(got), None),
            None => {
                diff.expected(line(answer));
                diff.remark("no one answered it");
            }
        }
    }
    if let (true, Some(mapped)) = (diff.differs_since(begin), &submission.mapped) {
        diff.trace(&mapped.trace.to_string());
    }
}

fn key(line: &str) -> &str {
    line.split(':').next().unwrap_or(line)
}

fn lines_expected(ending: &Ending) -> Vec<String> {
    match ending {
        Ending::Feedback(ExpectedFeedback { rating, issues, notes }) => {
            let issues: Vec<&str> = issues.iter().map(|issue| issue.name()).collect();
            feedback_lines(rating.to_string(), &issues, notes.as_deref())
        }
        Ending::Ignored(reason) => vec![format!("ignored: {reason}")],
        Ending::Dead(reason) => vec![format!("dead: {reason}")],
        Ending::Collecting => vec!["collecting: true".to_owned()],
    }
}

/// What became of a submission, each line with what is to be remarked of it.
fn lines_of(submission: &Previewed) -> Vec<(String, Option<String>)> {
    match submission.mapped.as_ref().map(|mapped| &mapped.mapping) {
        None => Vec::new(),
        Some(Mapping::Feedback(feedback)) => {
            let issues: Vec<&str> = feedback.issues().map(|issue| issue.name()).collect();
            let lines = feedback_lines(feedback.rating().to_string(), &issues, feedback.notes());
            lines.into_iter().map(|line| (line, None)).collect()
        }
        Some(Mapping::Ignore { reason, detail }) => {
            vec![(format!("ignored: {}", reason.label()), detail.clone())]
        }
        Some(Mapping::Dead { reason, detail }) => {
            vec![(format!("dead: {}", reason.label()), Some(detail.clone()))]
        }
    }
}

/// What became of a submission, as a case says it.
pub(in crate::cli) fn ending_lines(submission: &Previewed) -> Vec<String> {
    lines_of(submission).into_iter().map(|(line, _)| line).collect()
}

fn feedback_lines(rating: String, issues: &[&str], notes: Option<&str>) -> Vec<String> {
    let mut lines = vec![
        "feedback:".to_owned(),
        format!("  rating: {rating}"),
        format!("  issues: [{}]", issues.join(", ")),
    ];
    lines.extend(notes.map(|notes| format!("  notes: {notes:?}")));
    lines
}

fn compare_replies(case: &Case, happened: &Happened, diff: &mut Diff) {
    for ((step, got), number) in case.webhooks.iter().zip(&happened.replies).zip(1..) {
        if let Some(expected) = &step.reply {
            let line = |reply: &str| format!("reply to webhook {number}: {reply}");
            diff.pair(line(expected), line(got), None);
        }
    }
    if let (Some(expected), Some(got)) = (&case.expect.reply, happened.replies.last()) {
        diff.pair(format!("reply: {expected}"), format!("reply: {got}"), None);
    }
}
