use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::admin::AdminError;
use crate::settings::SettingsError;
use crate::telemetry::logs;

/// Why a verb failed.
pub enum Failure {
    Settings(SettingsError),
    /// No one named a file, and the defaults and variables alone are not enough.
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

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        anyhow::Error::from(error).into()
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        anyhow::Error::from(error).into()
    }
}
