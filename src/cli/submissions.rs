use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::table::Table;
use super::{Failure, SettingsFile};
use crate::domain::State;
use crate::store::sqlite::ReadOnly;
use crate::store::{Search, SubmissionRow};
use crate::survey::Trace;

#[derive(Debug, Args)]
pub(super) struct Submissions {
    /// Only those in this state
    #[arg(long, value_parser = PossibleValuesParser::new(State::LABELS))]
    state: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// How to print them
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// Print below each what of its survey spoke when it was last mapped
    #[arg(long)]
    trace: bool,
    /// The ledger's file; without it, that of the settings
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsFile,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    /// Columns, for a person
    #[default]
    Table,
    /// One JSON object a line, for a script
    Json,
}

impl Submissions {
    pub(super) fn run(self) -> Result<(), Failure> {
        let path = match self.ledger {
            Some(path) => path,
            None => self.settings.load()?.store.path,
        };
        let state = self.state.as_deref();
        let state = State::LABELS.into_iter().find(|label| Some(*label) == state);
        let ledger = ReadOnly::open(&path).map_err(anyhow::Error::from)?;
        let search = Search { state, ..Search::default() };
        let rows =
            ledger.search(&search, None, self.limit as usize).context("listing submissions")?.rows;
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Json => rows.iter().try_for_each(|row| writeln!(out, "{}", to_json(row)))?,
            Output::Table => {
                let figures = ledger.figures().context("counting submissions")?;
                let totals = figures.totals;
                print_table(&mut out, &rows, self.trace)?;
                for hold in figures.holds {
                    let status = hold.status.map(|status| status.to_string()).unwrap_or_default();
                    writeln!(
                        out,
                        "account {} is held since {:.0}: {status}",
                        hold.account, hold.since
                    )?;
                }
                writeln!(
                    out,
                    "{} shown; {} accepted = {} collecting + {} pending + {} delivered + {} ignored + {} dead + {} discarded",
                    rows.len(),
                    totals.accepted,
                    totals.collecting,
                    totals.pending,
                    totals.delivered,
                    totals.ignored,
                    totals.dead,
                    totals.discarded
                )?;
            }
        }
        Ok(())
    }
}

fn to_json(row: &SubmissionRow) -> Value {
    let last = row.last_attempt.as_ref();
    json!({
        "id": row.id.to_string(),
        "account": row.key.account.as_str(),
        "survey": row.key.survey.as_str(),
        "call": row.key.call.as_str(),
        "state": row.state.label(),
        "reason": row.state.reason(),
        "detail": row.detail,
        "trace": row.trace.as_deref().and_then(parsed),
        "accepted_at": row.accepted_at.to_string(),
        "due_at": row.due_at.to_string(),
        "attempts": row.attempts,
        "last_attempt": last.map(|attempt| json!({
            "verdict": attempt.verdict,
            "status": attempt.status,
            "api_id": attempt.api_id,
        })),
        "feedback": row.feedback.as_deref().and_then(parsed),
    })
}

fn parsed(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok()
}

fn print_table(out: &mut impl Write, rows: &[SubmissionRow], traced: bool) -> io::Result<()> {
    let table = table(rows).to_string();
    let mut lines = table.lines();
    for head in lines.by_ref().take(1) {
        writeln!(out, "{head}")?;
    }
    for (line, row) in lines.zip(rows) {
        writeln!(out, "{line}")?;
        let trace = row.trace.as_deref().filter(|_| traced).map(told).unwrap_or_default();
        trace.lines().try_for_each(|it| writeln!(out, "  | {it}"))?;
    }
    Ok(())
}

fn table(rows: &[SubmissionRow]) -> Table {
    let head = ["ID", "ACCEPTED", "STATE", "ACCOUNT", "SURVEY", "CALL", "ATTEMPTS", "SAID"];
    let mut table = Table::with_head(head);
    rows.iter().for_each(|row| table.add(line(row)));
    table
}

fn line(row: &SubmissionRow) -> Vec<String> {
    let state = match row.state.reason() {
        None => row.state.label().to_owned(),
        Some(reason) => format!("{} ({reason})", row.state.label()),
    };
    let last = row.last_attempt.as_ref().and_then(|attempt| attempt.verdict.clone());
    let said = row.feedback.clone().or_else(|| row.detail.clone()).or(last).unwrap_or_default();
    vec![
        row.id.to_string(),
        format!("{:.0}", row.accepted_at),
        state,
        row.key.account.to_string(),
        row.key.survey.to_string(),
        row.key.call.to_string(),
        row.attempts.to_string(),
        said.lines().next().unwrap_or_default().to_owned(),
    ]
}

/// For a person; one that another release wrote in a way of its own is shown as it is kept.
fn told(trace: &str) -> String {
    Trace::from_json(trace).map_or_else(|| trace.to_owned(), |trace| trace.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_told_line_by_line() {
        let kept = r#"{"questions":[{"question":"score","reader":"form:Digits","counted":"answer","answer":"2"},
            {"question":"problem","counted":"missing"}],"rating":{"rating":2,"by":"rating.scale"},
            "choices":[{"choice":"issues.choices[0]","issue":"ECHO"}],"issues":"choices"}"#;
        assert_eq!(
            told(kept).lines().collect::<Vec<_>>(),
            [
                "score: 2 (form:Digits)",
                "problem: nothing heard",
                "rating: 2 by rating.scale",
                "choice: ECHO by issues.choices[0]",
                "issues: the choices",
            ]
        );
        for unknown in [r#"{"questions":[],"new":[1]}"#, "no JSON"] {
            assert_eq!(told(unknown), unknown);
        }
    }
}
