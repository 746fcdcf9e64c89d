use std::io::{self, Write};

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;

use super::as_test;
use super::list::{colour_of, state, trace_text};
use super::named::{Named, named};
use super::output::{Output, to_json};
use crate::admin::{
    AnswerStatus, AnswerView, AttemptView, AuditView, FeedbackView, SubmissionDetailView,
    Truncated, WebhookView,
};
use crate::cli::admin_api::AdminArgs;
use crate::cli::failure::Failure;
use crate::cli::table::{Table, plain};
use crate::cli::terminal::{Terminal, TimeArgs};

#[derive(Debug, Args)]
pub(super) struct Show {
    /// Its id, as `list` prints it and the header Postcall-Submission has it, the beginning of its id, or
    /// the id of its call
    #[arg(value_name = "ID", value_parser = named)]
    id: Named,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// Print it as a file of cases for `postcall test`: its webhooks, and what they came to
    #[arg(long, conflicts_with = "output")]
    as_test: bool,
    #[command(flatten)]
    times: TimeArgs,
    #[command(flatten)]
    admin: AdminArgs,
}

impl Show {
    pub async fn run(self) -> Result<(), Failure> {
        let api = self.admin.open_read()?;
        let shown = api.show(self.id.find(&*api).await?).await?;
        let terminal = self.times.terminal();
        let mut out = io::stdout().lock();
        if self.as_test {
            let file = as_test::file(&shown)
                .with_context(|| format!("submission {}", shown.submission.id))?;
            write!(out, "{file}")?;
            return Ok(());
        }
        match self.output {
            Output::Json => writeln!(out, "{}", to_json(&shown)?)?,
            Output::Table => print(&mut out, &shown, &terminal)?,
        }
        Ok(())
    }
}

fn print(
    out: &mut impl Write,
    shown: &SubmissionDetailView,
    terminal: &Terminal,
) -> io::Result<()> {
    print_heads(out, shown, terminal)?;
    let terminal = &terminal.indented(2);
    let Truncated { webhooks, answers, attempts } = shown.truncated;
    let head = ["RECEIVED", "SOURCE", "OUTCOME", "WEBHOOK", "SAID"];
    section(out, "webhooks", &table(terminal, head, &shown.webhooks, webhook))?;
    more(out, webhooks, "later")?;
    let head = ["RECEIVED", "KIND", "NAME", "VALUE", "COUNTS"];
    section(out, "answers", &table(terminal, head, &shown.answers, answer))?;
    more(out, answers, "later")?;
    if let Some(trace) = &shown.submission.trace {
        section(out, "mapping", &trace_text(trace))?;
    }
    let head = ["STARTED", "VERDICT", "STATUS", "API ID", "OFFERED", "REPLY"];
    section(out, "attempts", &table(terminal, head, &shown.attempts_made, attempt))?;
    more(out, attempts, "earlier")?;
    section(out, "traces", &table(terminal, ["OF", "TRACE"], &traces(shown), |it, _| it.clone()))?;
    section(
        out,
        "operator actions",
        &table(terminal, ["AT", "ACTION", "COMMENT"], &shown.interventions, intervention),
    )
}

fn print_heads(
    out: &mut impl Write,
    shown: &SubmissionDetailView,
    terminal: &Terminal,
) -> io::Result<()> {
    let submission = &shown.submission;
    let mut line = |name: &str, value: String| match &*value {
        "" => Ok(()),
        value => writeln!(out, "{name:12}{value}"),
    };
    let time = |at: Option<Timestamp>| at.map(|at| terminal.time_and_age(at)).unwrap_or_default();
    line("submission", plain(&submission.id))?;
    line("call", plain(submission.call.as_deref().unwrap_or("not kept any more")))?;
    line("test", plain(if submission.test { "yes: kept and shown, never delivered" } else { "" }))?;
    line("account", plain(&submission.account))?;
    line("survey", plain(&submission.survey))?;
    let state = state(submission);
    let painted = terminal.painted(&plain(&state), colour_of(&state));
    line("state", painted)?;
    line("why", plain(submission.detail.as_deref().unwrap_or_default()))?;
    line("accepted", time(Some(submission.accepted_at)))?;
    line("due", time(Some(submission.due_at)))?;
    line("settled", time(submission.settled_at))?;
    line("purged", time(submission.purged_at))?;
    line("attempts", submission.attempts.to_string())?;
    line("delivered", plain(&submission.feedback.as_ref().map(feedback).unwrap_or_default()))
}

/// A section, unless it is empty.
fn section(out: &mut impl Write, title: &str, text: &str) -> io::Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    text.lines().try_for_each(|line| writeln!(out, "  {line}"))
}

fn more(out: &mut impl Write, truncated: usize, which: &str) -> io::Result<()> {
    if truncated == 0 { Ok(()) } else { writeln!(out, "  and {truncated} {which} ones") }
}

fn table<T, const N: usize>(
    terminal: &Terminal,
    head: [&str; N],
    rows: &[T],
    line: fn(&T, &Terminal) -> [String; N],
) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::with_head(head);
    rows.iter().for_each(|row| table.add(line(row, terminal).to_vec()));
    table.shown(terminal, |_, _| None)
}

/// The traces of webhooks and attempts, if spans are exported.
fn traces(shown: &SubmissionDetailView) -> Vec<[String; 2]> {
    let webhooks = shown
        .webhooks
        .iter()
        .filter_map(|it| Some([format!("webhook {}", it.id), it.trace_id.clone()?]));
    let attempts = shown
        .attempts_made
        .iter()
        .filter_map(|it| Some([format!("attempt {}", it.number), it.trace_id.clone()?]));
    webhooks.chain(attempts).collect()
}

fn webhook(webhook: &WebhookView, terminal: &Terminal) -> [String; 5] {
    let said = if webhook.purged { "(not kept any more)".to_owned() } else { said(webhook) };
    [
        terminal.exact_time(webhook.received_at),
        webhook.source.clone(),
        webhook.outcome.clone(),
        webhook.id.clone(),
        said,
    ]
}

fn said(webhook: &WebhookView) -> String {
    let query = webhook.query.as_ref().map(|query| format!("?{query}"));
    let bytes = webhook.body_base64.as_ref().map(|body| format!("base64:{body}"));
    let parts = [Some(webhook.method.clone()), query, webhook.body.clone(), bytes];
    parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

fn answer(answer: &AnswerView, terminal: &Terminal) -> [String; 5] {
    [
        terminal.exact_time(answer.received_at),
        answer.kind.clone(),
        answer.name.clone(),
        answer.value.clone().unwrap_or_else(|| "(silence)".to_owned()),
        counts(answer).to_owned(),
    ]
}

fn counts(answer: &AnswerView) -> &'static str {
    match answer.status {
        _ if answer.late => "no, it came late",
        Some(AnswerStatus::Counts) => "yes",
        Some(AnswerStatus::AnotherCounts) => "no, another answer counts",
        Some(AnswerStatus::OutsideDomain) => "no, the question does not have it",
        Some(AnswerStatus::Silence) => "no, it is silence",
        None if answer.kind == "answer" => "not known without the survey in the settings",
        None => "yes",
    }
}

fn attempt(attempt: &AttemptView, terminal: &Terminal) -> [String; 6] {
    let reply = attempt.error.as_ref().or(attempt.reply.as_ref()).cloned().unwrap_or_default();
    [
        terminal.exact_time(attempt.started_at),
        attempt.verdict.clone().unwrap_or_else(|| "under way".to_owned()),
        attempt.status.map(|status| status.to_string()).unwrap_or_default(),
        attempt.api_id.clone().unwrap_or_default(),
        attempt.feedback.as_ref().map(feedback).unwrap_or_default(),
        reply,
    ]
}

fn intervention(done: &AuditView, terminal: &Terminal) -> [String; 3] {
    let because = done.detail.clone().unwrap_or_default();
    [terminal.time(done.at), done.action.clone(), because]
}

/// `2 ECHO, ONE_WAY_AUDIO: the notes`.
pub(super) fn feedback(feedback: &FeedbackView) -> String {
    let issues = feedback.issues.join(", ");
    let rating = format!("{} {issues}", feedback.rating);
    match &feedback.notes {
        Some(notes) if !notes.is_empty() => format!("{}: {notes}", rating.trim_end()),
        _ => rating.trim_end().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn feedback_is_told_in_one_line() {
        let text_of = |text: &str| feedback(&serde_json::from_str(text).unwrap());
        assert_eq!(text_of(r#"{"rating":5}"#), "5");
        assert_eq!(
            text_of(r#"{"rating":2.5,"issues":["ECHO"],"notes":"so so"}"#),
            "2.5 ECHO: so so"
        );
    }
}
