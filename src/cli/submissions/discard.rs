use std::io::{self, Write};

use anyhow::anyhow;
use clap::{ArgGroup, Args};
use serde_json::json;

use super::one_by_one::{id, one_by_one};
use super::output::Output;
use super::search::Search;
use super::walk::walk;
use crate::cli::desk::{Desk, DeskArgs};
use crate::cli::failure::Failure;
use crate::submission::SubmissionId;
use crate::triage::{DiscardPage, Discarding};

#[derive(Debug, Args)]
#[command(
    after_help = "What is discarded is final. `list` with the same conditions shows what is meant."
)]
#[command(group = ArgGroup::new("which").required(true).args(["ids", "state"]))]
#[command(group = ArgGroup::new("found").multiple(true).conflicts_with("ids")
    .args(["state", "reason", "account", "survey", "source", "call", "since", "until"]))]
pub(super) struct Discard {
    /// These; or else all that are found, which wants a --state
    #[arg(value_name = "ID", value_parser = id)]
    ids: Vec<SubmissionId>,
    /// Why, for whoever looks at it later
    #[arg(long, value_name = "TEXT")]
    because: String,
    /// Go on where it was stopped
    #[arg(long, value_name = "CURSOR", conflicts_with = "ids")]
    cursor: Option<String>,
    /// How to print it
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    search: Search,
    #[command(flatten)]
    desk: DeskArgs,
}

impl Discard {
    pub async fn run(self) -> Result<(), Failure> {
        let desk = self.desk.to_act()?;
        if self.ids.is_empty() { self.all_found(&desk).await } else { self.these(&desk).await }
    }

    async fn these(&self, desk: &Desk) -> Result<(), Failure> {
        let how = Discarding { reason: self.because.clone() };
        one_by_one(&self.ids, self.output, ("discarded", "discarded"), async |id| {
            desk.discard_one(id, &how).await?;
            Ok(())
        })
        .await
    }

    async fn all_found(&self, desk: &Desk) -> Result<(), Failure> {
        let page = DiscardPage {
            search: self.search.sought(),
            reason: self.because.clone(),
            cursor: None,
            limit: None,
        };
        let tally = walk(
            "discarded",
            self.cursor.clone(),
            async |cursor| desk.discard(&DiscardPage { cursor, ..page.clone() }).await,
            |_| Ok(()),
        )
        .await?;
        let sum = match self.output {
            Output::Json => json!({
                "discarded": tally.done,
                "left_out": tally.left_out,
                "next_cursor": tally.next_cursor,
            })
            .to_string(),
            Output::Table => tally.to_string(),
        };
        // Ctrl-C ends as well whoever read it: where to go on is told all the same.
        let told = writeln!(io::stdout(), "{sum}");
        match &tally.next_cursor {
            None => Ok(told?),
            Some(_) => Err(anyhow!("stopped; {}", tally.how_to_go_on()).into()),
        }
    }
}
