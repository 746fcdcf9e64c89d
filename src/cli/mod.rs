//! The command line: one verb, one file.
//!
//! Exit codes: 0 well, 1 failed, 2 usage (clap's own) or a file that cannot be read, 78 bad
//! settings; `serve` ends with 0 after a clean drain.

mod accounts;
mod check;
mod demo;
mod desk;
mod doctor;
mod explain;
mod openapi;
mod payload;
mod rehearsal;
mod reread;
mod schema;
mod serve;
mod sign;
mod simulate;
mod submissions;
mod table;
mod test;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use clap::{Args, Parser, Subcommand};

use crate::settings::{Environment, Settings, SettingsError};
use crate::source::Source;
use crate::telemetry::logs;

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
    /// Take hooks and deliver them, until SIGTERM or Ctrl-C; SIGHUP reads the settings again
    Serve(SettingsFile),
    /// Say whether the settings are well, and what follows from them
    Check(check::Check),
    /// Say what would become of a hook, or of several hooks of one call
    Explain(explain::Explain),
    /// Run the cases that a survey has to meet
    Test(test::Test),
    /// Print the JSON Schema of the settings file, for editors
    Schema,
    /// Print the OpenAPI description of the API on the private door
    Openapi,
    /// Stand in for Plivo's Call Feedback API
    Simulate(simulate::Simulate),
    /// Print a curl line that sends one signed answer
    Sign(sign::Sign),
    /// Say whether a ledger is sound, and bring what can be read of a damaged one over to a new file
    Doctor(doctor::Doctor),
    /// Find submissions, offer them again, give them up, forget them
    Submissions(Box<submissions::Submissions>),
    /// Say which accounts are held and why; hold and resume them
    Accounts(Box<accounts::Accounts>),
    /// Show it all at once: the stand-in, the service and a few dozen calls
    Demo(demo::Demo),
}

/// Where the settings are.
#[derive(Debug, Args)]
struct SettingsFile {
    /// The settings file, YAML; without one, defaults and POSTCALL__… variables alone
    #[arg(long = "config", value_name = "FILE", env = "POSTCALL_CONFIG")]
    file: Option<PathBuf>,
}

/// Why a verb failed.
pub enum Failure {
    Settings(SettingsError),
    /// Nobody named a file, and the defaults and variables alone are not enough.
    NoFile(SettingsError),
    Other(anyhow::Error),
    /// A file that was named cannot be read, or does not say what it should; one line for each
    /// fault.
    Unreadable(String),
    /// The verb has said on standard output what is amiss.
    Told,
    /// Whoever read our output has heard enough.
    OutputClosed,
}

impl Cli {
    /// # Errors
    /// What a person should read, and the exit code that goes with it.
    pub fn run(self) -> Result<(), Failure> {
        match self.verb {
            Verb::Serve(settings) => serve::run(settings),
            Verb::Check(check) => check.run(),
            Verb::Explain(explain) => explain.run(),
            Verb::Test(test) => test.run(),
            Verb::Schema => schema::run(),
            Verb::Openapi => openapi::run(),
            Verb::Simulate(simulate) => simulate.run(),
            Verb::Sign(sign) => sign.run(),
            Verb::Submissions(submissions) => submissions.run(),
            Verb::Doctor(doctor) => doctor.run(),
            Verb::Accounts(accounts) => accounts.run(),
            Verb::Demo(demo) => demo.run(),
        }
    }
}

/// The source of that name, or which there are.
fn source<'a>(settings: &'a Settings, name: &str) -> Result<&'a Source, Failure> {
    settings.sources.get(name).ok_or_else(|| {
        let known = settings.sources.keys().map(ToString::to_string).collect::<Vec<_>>();
        anyhow!("no source {name:?}; one of {}", known.join(", ")).into()
    })
}

impl SettingsFile {
    fn load(&self) -> Result<Settings, Failure> {
        Settings::load(self.file.as_deref(), Environment::of_process()).map_err(|error| match self
            .file
        {
            Some(_) => Failure::Settings(error),
            None => Failure::NoFile(error),
        })
    }
}

impl Failure {
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Settings(_) | Failure::NoFile(_) => ExitCode::from(78),
            Failure::Other(_) | Failure::Told => ExitCode::FAILURE,
            Failure::Unreadable(_) => ExitCode::from(2),
            Failure::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Failure {
    /// The whole chain of causes, and no backtrace.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Settings(error) => {
                write!(f, "the settings are not well:\n{}", logs::chain(error))
            }
            Failure::NoFile(error) => {
                let advice = "no settings file is named: say --config FILE, or set POSTCALL_CONFIG";
                write!(f, "the settings are not well:\n{}\n{advice}", logs::chain(error))
            }
            Failure::Other(error) => write!(f, "error: {error:#}"),
            Failure::Unreadable(faults) => f.write_str(faults),
            Failure::Told | Failure::OutputClosed => Ok(()),
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Failure::Settings(error)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let closed = error
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        if closed { Failure::OutputClosed } else { Failure::Other(error) }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}
