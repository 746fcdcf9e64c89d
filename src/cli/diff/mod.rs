//! What two settings files make of the same answers, and of the submissions of a store.

mod compared;
mod printed;
mod report;
mod stored;

use std::io::{self, Write};
use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, ValueEnum};
use jiff::Timestamp;

use self::compared::Compared;
use self::report::OutcomeChanges;
use super::failure::Failure;
use super::time::time;
use crate::settings::{Environment, Settings};

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES)]
pub(super) struct Diff {
    /// The settings file before the change
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The settings file after the change
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Also map the submissions of this store by both files: its file, or sqlite:FILE. It is only read,
    /// and a service may have it open
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Of these, only those accepted then or later: 2026-11-20 (in UTC), 2026-11-20T08:00:00Z, or 30d
    /// for so long ago
    #[arg(long, value_name = "TIME", value_parser = time, requires = "store")]
    since: Option<Timestamp>,
    /// How to print it; markdown is for a pull request
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

const EXIT_CODES: &str = "\
Compares what every combination of answers comes to: rating, issues and notes, or that it is ignored
or dead, and when a question is asked. Free text and fields are compared with samples. How long answers are
waited for, replies and deliveries are not compared. No secret has to be set.

Exit codes, as of `git diff --exit-code`: 0 equal, 1 different, 2 usage, 78 invalid settings.";

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    /// Plain text
    #[default]
    Text,
    /// One JSON document, for a script
    Json,
    /// For a comment on a pull request
    Markdown,
}

impl Diff {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.compare().map_err(|failure| match self.output {
            Output::Json => failure.printed_as_json(),
            Output::Text | Output::Markdown => failure,
        })
    }

    fn compare(&self) -> Result<(), Failure> {
        let load = |file: &PathBuf| {
            // What answers come to depends on no secret, so none has to be set.
            let environment = Environment::of_process().without_secrets();
            Settings::load(Some(file), environment).map_err(Failure::Settings)
        };
        let (old, new) = (load(&self.old)?, load(&self.new)?);
        let compared = Compared::of(&old, &new);
        let store = match &self.store {
            None => None,
            Some(store) => {
                let path = path_of(store)?;
                let mapped = stored::compare(&path, self.since, &old, &new);
                Some(actix_web::rt::System::new().block_on(mapped)?)
            }
        };
        let differs =
            !compared.is_empty() || store.as_ref().is_some_and(|stored| stored.changed > 0);
        let report = OutcomeChanges { differs, compared, store };
        let mut out = io::stdout().lock();
        match self.output {
            Output::Text => printed::text(&mut out, &report)?,
            Output::Json => {
                let json = serde_json::to_string_pretty(&report).map_err(anyhow::Error::from)?;
                writeln!(out, "{json}")?;
            }
            Output::Markdown => printed::markdown(&mut out, &report)?,
        }
        // The report says what is different; the exit code says that something is.
        if differs { Err(Failure::Printed(1)) } else { Ok(()) }
    }
}

/// The file of `sqlite:FILE`, or of a path.
fn path_of(store: &str) -> Result<PathBuf, Failure> {
    let path = store.strip_prefix("sqlite:").unwrap_or(store);
    match path.is_empty() || path.contains("://") {
        true => {
            Err(anyhow!("no store {store:?}: expected sqlite:FILE, or the path of its file").into())
        }
        false => Ok(path.into()),
    }
}
