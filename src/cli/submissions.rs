use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

use super::table::Table;
use super::{Failure, SettingsFile};
use crate::domain::State;
use crate::store::sqlite::ReadOnly;
use crate::store::{Filter, SubmissionRow};

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
        let rows = ledger
            .list(Filter { state, limit: self.limit as usize })
            .context("listing submissions")?;
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Json => rows.iter().try_for_each(|row| writeln!(out, "{}", json(row)))?,
            Output::Table => {
                let figures = ledger.figures().context("counting submissions")?;
                let totals = figures.totals;
                write!(out, "{}", table(&rows))?;
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

fn json(row: &SubmissionRow) -> serde_json::Value {
    let last = row.last_attempt.as_ref();
    serde_json::json!({
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
        "last_attempt": last.map(|attempt| serde_json::json!({
            "verdict": attempt.verdict,
            "status": attempt.status,
            "api_id": attempt.api_id,
        })),
        "feedback": row.feedback.as_deref().and_then(parsed),
    })
}

fn parsed(text: &str) -> Option<serde_json::Value> {
    serde_json::from_str(text).ok()
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
