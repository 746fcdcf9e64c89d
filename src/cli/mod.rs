//! The command line: one verb, one file.
//!
//! Exit codes: 0 well, 1 failed, 2 usage (clap's own) or a file that cannot be read, 78 bad
//! settings; `serve` ends with 0 after a clean drain.

mod accounts;
mod admin_api;
mod check;
mod demo;
mod dev;
mod diff;
mod doctor;
mod explain;
mod failure;
mod input;
mod output;
mod payload;
mod preview;
mod reread;
mod serve;
mod settings_file;
mod sign;
mod simulate;
mod submissions;
mod table;
mod terminal;
mod test;
mod time;

use std::io::{self, Write};

use clap::{Parser, Subcommand};

pub use failure::Failure;

use crate::{http, settings};
use input::read_file;
use output::Output;
use settings_file::{SettingsFile, source};

/// Post-call survey webhooks become call feedback at Plivo, and nothing is lost on the way.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str =
    "Exit codes: 0 well, 1 failed, 2 usage or a file that cannot be read, 78 bad settings.";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Take webhooks and deliver them, until SIGTERM or Ctrl-C; SIGHUP reads the settings again
    Serve(serve::Serve),
    /// Say whether the settings are well, and what follows from them
    Check(check::Check),
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
    /// Stand in for Plivo's Call Feedback API
    Simulate(simulate::Simulate),
    /// Print a curl line that sends one signed answer
    Sign(sign::Sign),
    /// Say whether a store is sound, and bring what can be read of a damaged one over to a new file
    Doctor(doctor::Doctor),
    /// Find submissions, offer them again, give them up, forget them
    Submissions(Box<submissions::Submissions>),
    /// Say which accounts are held and why; hold and resume them
    Accounts(Box<accounts::Accounts>),
    /// Show it all at once: the stand-in, the service and a few dozen calls
    Demo(demo::Demo),
}

impl Cli {
    /// # Errors
    /// What a person should read, and the exit code that goes with it.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Serve(serve) => serve::run(serve),
            Verb::Check(check) => check.run(),
            Verb::Explain(explain) => explain.run(),
            Verb::Test(test) => test.run(),
            Verb::Diff(diff) => diff.run(),
            Verb::Schema => Ok(writeln!(io::stdout(), "{:#}", settings::schema())?),
            Verb::Openapi => Ok(write!(io::stdout(), "{}", http::api_description())?),
            Verb::Simulate(simulate) => simulate.run(),
            Verb::Sign(sign) => sign.run(),
            Verb::Submissions(submissions) => submissions.run(),
            Verb::Doctor(doctor) => doctor.run(),
            Verb::Accounts(accounts) => accounts.run(),
            Verb::Demo(demo) => demo.run(),
        }
    }
}
