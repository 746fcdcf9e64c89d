use std::io::{self, Write};

use clap::Args;

use super::output::{Output, note, to_json};
use super::search::Search;
use crate::admin::{AccountView, PAGE_MAX, Paging, SubmissionView};
use crate::cli::admin_api::AdminArgs;
use crate::cli::failure::Failure;
use crate::cli::table::Table;
use crate::cli::terminal::{Colour, Terminal, TimeArgs};
use crate::submission::StateCounts;
use crate::survey::Trace;

#[derive(Debug, Args)]
pub(super) struct List {
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Continue where a list ended, by the cursor it printed
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// How to print them; json is one object a line
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// Print below each which question, scale and rules of its survey applied
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    times: TimeArgs,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    admin: AdminArgs,
}

impl List {
    pub async fn run(self) -> Result<(), Failure> {
        let api = self.admin.open_read()?;
        let query = self.search.query();
        let (mut found, mut next) = (Vec::new(), self.cursor);
        loop {
            let wanted = self.limit - found.len() as u32;
            let paging = Paging { cursor: next, limit: Some(wanted.min(PAGE_MAX)) };
            let page = api.list(&query, &paging).await?;
            found.extend(page.submissions);
            next = page.next_cursor;
            if next.is_none() || found.len() >= self.limit as usize {
                break;
            }
        }
        let mut out = io::stdout().lock();
        match self.output {
            Output::Json => {
                for submission in &found {
                    writeln!(out, "{}", to_json(submission)?)?;
                }
                if let Some(next) = next {
                    note(format_args!("there may be more: --cursor {next}"));
                }
            }
            Output::Table => {
                let terminal = self.times.terminal();
                print_table(&mut out, &found, self.trace, &terminal)?;
                for account in api.accounts().await?.accounts {
                    print_pause(&mut out, &account, &terminal)?;
                }
                if let Some(next) = next {
                    writeln!(out, "there may be more: --cursor {next}")?;
                }
                print_books(&mut out, found.len(), api.totals().await?)?;
            }
        }
        Ok(())
    }
}

/// State and reason in a table.
pub(super) fn state(submission: &SubmissionView) -> String {
    let label = submission.state.label();
    match &submission.reason {
        Some(reason) => format!("{label} ({reason})"),
        None if submission.test => format!("{label} (test)"),
        None => label.to_owned(),
    }
}

/// The text of a trace; one that another release wrote in another form is shown as it is stored.
pub(super) fn trace_text(trace: &serde_json::Value) -> String {
    let kept = trace.to_string();
    Trace::from_json(&kept).map_or_else(|| kept.clone(), |trace| trace.to_string())
}

fn print_table(
    out: &mut impl Write,
    found: &[SubmissionView],
    traced: bool,
    terminal: &Terminal,
) -> io::Result<()> {
    let head = ["ID", "ACCEPTED", "STATE", "ACCOUNT", "SURVEY", "CALL", "ATTEMPTS", "SAID"];
    let mut table = Table::with_head(head);
    found.iter().for_each(|submission| table.add(line(submission, terminal)));
    let colour = |column, text: &str| (column == STATE).then(|| colour_of(text)).flatten();
    let table = table.shown(terminal, colour);
    let mut lines = table.lines();
    for head in lines.by_ref().take(1) {
        writeln!(out, "{head}")?;
    }
    for (line, submission) in lines.zip(found) {
        writeln!(out, "{line}")?;
        let trace =
            submission.trace.as_ref().filter(|_| traced).map(trace_text).unwrap_or_default();
        trace.lines().try_for_each(|it| writeln!(out, "  | {it}"))?;
    }
    Ok(())
}

/// The column of the state.
const STATE: usize = 2;

/// The colour of a state: what needs an operator is red, what waits yellow, what has arrived green.
pub(super) fn colour_of(state: &str) -> Option<Colour> {
    match state.split(' ').next() {
        Some("dead") => Some(Colour::Red),
        Some("collecting" | "pending") => Some(Colour::Yellow),
        Some("delivered") => Some(Colour::Green),
        _ => None,
    }
}

fn line(submission: &SubmissionView, terminal: &Terminal) -> Vec<String> {
    let verdict = submission.last_attempt.as_ref().and_then(|attempt| attempt.verdict.clone());
    let offered = submission.feedback.as_ref().and_then(|last| serde_json::to_string(last).ok());
    let said = offered.or_else(|| submission.detail.clone()).or(verdict).unwrap_or_default();
    vec![
        submission.id.clone(),
        terminal.time(submission.accepted_at),
        state(submission),
        submission.account.clone(),
        submission.survey.clone(),
        submission.call.clone().unwrap_or_default(),
        submission.attempts.to_string(),
        said.lines().next().unwrap_or_default().to_owned(),
    ]
}

fn print_pause(out: &mut impl Write, account: &AccountView, terminal: &Terminal) -> io::Result<()> {
    let Some(pause) = &account.pause else { return Ok(()) };
    let status = pause.status.map(|status| format!(" {status}")).unwrap_or_default();
    let (account, cause, since) =
        (&account.account, pause.cause.label(), terminal.time_and_age(pause.since));
    writeln!(out, "account {account} is paused since {since}: {cause}{status}")
}

fn print_books(out: &mut impl Write, shown: usize, totals: StateCounts) -> io::Result<()> {
    let StateCounts { accepted, collecting, pending, delivered, ignored, dead, discarded } = totals;
    writeln!(
        out,
        "{shown} shown; {accepted} accepted = {collecting} collecting + {pending} pending + \
         {delivered} delivered + {ignored} ignored + {dead} dead + {discarded} discarded"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_told_line_by_line() {
        let kept = r#"{"questions":[{"question":"score","reader":"form:Digits","counted":"answer","answer":"2"},
            {"question":"problem","counted":"missing"}],"rating":{"rating":2,"by":"rating.scale"},
            "choices":[{"choice":"issues.choices[0]","issue":"ECHO"}],"issues":"choices"}"#;
        let kept = serde_json::from_str(kept).unwrap();
        assert_eq!(
            trace_text(&kept).lines().collect::<Vec<_>>(),
            [
                "score: 2 (form:Digits)",
                "problem: no answer",
                "rating: 2 by rating.scale",
                "choice: ECHO by issues.choices[0]",
                "issues: the choices",
            ]
        );
        let unknown = serde_json::json!({ "questions": [], "new": [1] });
        assert_eq!(trace_text(&unknown), unknown.to_string());
    }
}
