//! What a person finds and does about submissions; one verb, one file.

mod discard;
mod erase;
mod export;
mod list;
mod replay;
mod search;
mod show;
mod walk;

use std::fmt;
use std::io::{self, Write};

use anyhow::Context;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;
use serde_json::json;

use super::Failure;
use super::desk::{DeskArgs, DeskError};
use crate::submission::SubmissionId;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Submissions {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: list::List,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List what is found, the latest first, and the books; the same as without a verb
    List(list::List),
    /// Say all that is known of one: hooks, answers, what spoke, attempts, what was done by hand
    Show(show::Show),
    /// Offer submissions again: dead and ignored ones, and delivered ones where that is asked for
    Replay(replay::Replay),
    /// Give submissions up for good
    Discard(discard::Discard),
    /// Forget all that was said on a call, for whoever asks for it
    Erase(erase::Erase),
    /// Write out what is found, as JSON lines or CSV
    Export(export::Export),
}

/// How to print it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// Columns and sentences, for a person
    #[default]
    Table,
    /// JSON, for a script
    Json,
}

impl Submissions {
    pub(super) fn run(self) -> Result<(), Failure> {
        actix_web::rt::System::new().block_on(async {
            match self.verb.unwrap_or(Verb::List(self.list)) {
                Verb::List(list) => list.run().await,
                Verb::Show(show) => show.run().await,
                Verb::Replay(replay) => replay.run().await,
                Verb::Discard(discard) => discard.run().await,
                Verb::Erase(erase) => erase.run().await,
                Verb::Export(export) => export.run().await,
            }
        })
    }
}

/// For a script, on one line.
pub(super) fn to_json(said: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(said).context("writing JSON")?)
}

/// What is said of one with which it was done: to a person, and to a script.
type Outcome = (&'static str, &'static str);

/// For whoever watches; that nobody does is no reason to stop.
fn note(words: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{words}");
}

/// Does it with each, and says of each whether it was done.
async fn one_by_one(
    ids: &[SubmissionId],
    output: Output,
    (told, label): Outcome,
    mut one: impl AsyncFnMut(SubmissionId) -> Result<(), OneError>,
) -> Result<(), Failure> {
    let mut is_well = true;
    let mut told_all = Ok(());
    for id in ids {
        let refusal = match one(*id).await {
            Ok(()) => None,
            Err(OneError::Desk(DeskError::Refused(why))) => Some(why),
            Err(OneError::Desk(error)) => return Err(error.into()),
            Err(OneError::Told(failure)) => return Err(failure),
        };
        is_well &= refusal.is_none();
        let line = match output {
            Output::Json => {
                let outcome = refusal.is_none().then_some(label);
                json!({ "id": id.to_string(), "outcome": outcome, "why_not": refusal }).to_string()
            }
            Output::Table => format!("{id}: {}", refusal.as_deref().unwrap_or(told)),
        };
        // Whoever read it may be gone: the rest is done all the same.
        told_all = told_all.and_then(|()| writeln!(io::stdout(), "{line}"));
    }
    if is_well { Ok(told_all?) } else { Err(Failure::Told) }
}

/// Why one was not done, or not told.
enum OneError {
    Desk(DeskError),
    Told(Failure),
}

impl From<DeskError> for OneError {
    fn from(error: DeskError) -> Self {
        OneError::Desk(error)
    }
}

impl From<Failure> for OneError {
    fn from(failure: Failure) -> Self {
        OneError::Told(failure)
    }
}

fn id(text: &str) -> Result<SubmissionId, &'static str> {
    text.parse().map(SubmissionId).map_err(|_| "expected an id as `list` prints it")
}
