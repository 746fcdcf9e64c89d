//! The command line: one verb, one file.
//!
//! Exit codes: 0 success, 1 failure, 2 usage (clap's own) or a file that cannot be read, 78 bad
//! settings; `serve` ends with 0 after a clean drain.

mod accounts;
mod admin_api;
mod backup;
mod check;
mod completions;
pub mod demo;
mod dev;
mod diagnostics;
mod diff;
mod doctor;
mod examples;
mod explain;
mod failure;
mod init;
mod input;
mod man;
mod migrate;
mod output;
mod payload;
mod playground;
mod post;
mod preview;
mod quarantine;
mod rejections;
mod reread;
mod serve;
mod settings_file;
mod sign;
mod simulate;
mod stop_signal;
mod submissions;
mod table;
mod terminal;
mod test;
mod time;
mod watch;
mod xml;

use std::io::{self, Write};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use failure::Failure;

use crate::{http, settings};
use input::read_file;
use output::Output;
use settings_file::{InspectedSettings, SettingsFile, source};

/// Post-call survey webhooks become call feedback at Plivo, and nothing is lost on the way.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 success, 1 failure, 2 wrong usage or a file that cannot be read, 78 \
     invalid settings, or none that can be read.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Take webhooks and deliver them, until SIGTERM or Ctrl-C; SIGHUP reads the settings again
    Serve(serve::Serve),
    /// Validate the settings, and print what follows from them
    Check(check::Check),
    /// Write a settings file to begin with, and test cases for it
    Init(init::Init),
    /// Say what would become of a webhook, or of several webhooks of one call
    Explain(explain::Explain),
    /// Run the cases that a survey has to meet
    Test(test::Test),
    /// Print which answers come to something else by another settings file
    Diff(diff::Diff),
    /// Print the JSON Schema of the settings file, for editors
    Schema,
    /// Print the OpenAPI description of the API on the admin listener
    Openapi,
    /// Print the answer XML with which a call asks the questions of a survey
    Xml(xml::Xml),
    /// Stand in for Plivo's Call Feedback API
    Simulate(simulate::Simulate),
    /// Print a curl line that sends one signed answer
    Sign(sign::Sign),
    /// Check a store, and recover what can be read of a damaged one into a new file
    Doctor(doctor::Doctor),
    /// Copy a store in a file to a new file, also while it is served
    Backup(backup::Backup),
    /// Put a backup in the place of a store
    Restore(backup::Restore),
    /// Move a store in a file to PostgreSQL
    Migrate(migrate::Migrate),
    /// Find submissions; replay, discard, erase and export them
    Submissions(Box<submissions::Submissions>),
    /// List accounts, and which are paused and why; pause and resume them
    Accounts(Box<accounts::Accounts>),
    /// List webhooks that no known secret verifies; verify them again, or drop them
    Quarantine(Box<quarantine::Quarantine>),
    /// List the last webhooks that a running service rejected, and why
    Rejections(Box<rejections::Rejections>),
    /// Print a script that completes the command line in a shell
    Completions(completions::Completions),
    /// Print the manual page, or write one for each command
    Man(man::ManPages),
    /// Try rules out for the console: a request as JSON comes by standard input
    #[command(hide = true)]
    Playground(playground::Playground),
    /// Show it all at once: the stand-in, the service and a few dozen calls
    Demo(demo::Demo),
}

/// The command line, with examples in the help of each command.
pub fn command() -> clap::Command {
    examples::with_examples(Cli::command())
}

impl Cli {
    /// The arguments of this process. Help, version and wrong usage end it.
    pub fn of_process() -> Self {
        let matches = command().get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }

    /// # Errors
    /// The message for the user, with its exit code.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Serve(serve) => serve::run(serve),
            Verb::Check(check) => check.run(),
            Verb::Init(init) => init.run(),
            Verb::Explain(explain) => explain.run(),
            Verb::Test(test) => test.run(),
            Verb::Diff(diff) => diff.run(),
            Verb::Schema => Ok(writeln!(io::stdout(), "{:#}", settings::schema())?),
            Verb::Openapi => Ok(write!(io::stdout(), "{}", http::api_description())?),
            Verb::Xml(xml) => xml.run(),
            Verb::Simulate(simulate) => simulate.run(),
            Verb::Sign(sign) => sign.run(),
            Verb::Submissions(submissions) => submissions.run(),
            Verb::Doctor(doctor) => doctor.run(),
            Verb::Backup(backup) => backup.run(),
            Verb::Restore(restore) => restore.run(),
            Verb::Migrate(migrate) => migrate.run(),
            Verb::Accounts(accounts) => accounts.run(),
            Verb::Quarantine(quarantine) => quarantine.run(),
            Verb::Rejections(rejections) => rejections.run(),
            Verb::Completions(completions) => completions.run(command()),
            Verb::Man(man) => man.run(command()),
            Verb::Playground(playground) => playground.run(),
            Verb::Demo(demo) => demo.run(),
        }
    }
}
