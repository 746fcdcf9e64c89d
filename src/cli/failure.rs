use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use super::diagnostics;
use super::terminal::is_colour_wanted;
use crate::admin::AdminError;
use crate::settings::{Diagnostic, SettingsError};
use crate::telemetry::logs;

/// Why a verb failed.
pub enum Failure {
    Settings(SettingsError),
    /// No settings file is named, and none is at the usual places.
    NoFile(String),
    Other(anyhow::Error),
    /// A file that was named cannot be read, or does not say what it should; one line for each
    /// fault.
    InvalidInput(String),
    /// Test cases are not written as they should be.
    Cases(Vec<Diagnostic>),
    /// The command has printed the failure on standard output; its exit code.
    Printed(u8),
    /// The reader of the output closed it.
    OutputClosed,
}

impl Failure {
    pub fn exit_code(&self) -> ExitCode {
        self.code().into()
    }

    fn code(&self) -> u8 {
        match self {
            Failure::Settings(_) | Failure::NoFile(_) => 78,
            Failure::Other(_) => 1,
            Failure::InvalidInput(_) | Failure::Cases(_) => 2,
            Failure::Printed(code) => *code,
            Failure::OutputClosed => 0,
        }
    }

    /// Prints on standard error what went wrong, unless the command has reported it itself.
    pub fn report(&self) {
        if matches!(self, Failure::Printed(_) | Failure::OutputClosed) {
            return;
        }
        let mut stderr = io::stderr().lock();
        let text = self.rendered(stderr.is_terminal() && is_colour_wanted());
        // If no one reads it, the exit code says it.
        let _ = writeln!(stderr, "{text}");
    }

    /// Prints the failure as JSON on standard output instead, unless the command has printed it itself.
    pub(super) fn printed_as_json(self) -> Self {
        self.printed(|faults, message, file| {
            format!("{:#}", diagnostics::to_json(faults, message, file))
        })
    }

    /// The same, as annotations of GitHub.
    pub(super) fn printed_as_annotations(self) -> Self {
        self.printed(|faults, message, _| diagnostics::annotations(faults, message).join("\n"))
    }

    /// `print` has the faults, or else the message, and the file that cannot be read.
    fn printed(
        self,
        print: impl FnOnce(&[Diagnostic], Option<&str>, Option<&Path>) -> String,
    ) -> Self {
        let text = match &self {
            Failure::Settings(SettingsError::Faults(faults)) | Failure::Cases(faults) => {
                print(faults, None, None)
            }
            Failure::Settings(
                error @ (SettingsError::ParseError { file, .. }
                | SettingsError::TooLong { file, .. }),
            ) => print(&[], Some(&logs::chain(error)), Some(file)),
            Failure::NoFile(message) | Failure::InvalidInput(message) => {
                print(&[], Some(message), None)
            }
            Failure::Other(error) => print(&[], Some(&format!("{error:#}")), None),
            Failure::Printed(_) | Failure::OutputClosed => return self,
        };
        match writeln!(io::stdout(), "{text}") {
            Ok(()) => Failure::Printed(self.code()),
            Err(error) => error.into(),
        }
    }

    /// The whole chain of causes, and no backtrace.
    fn rendered(&self, has_colour: bool) -> String {
        match self {
            Failure::Settings(error) => invalid(error, has_colour),
            Failure::NoFile(advice) => advice.clone(),
            Failure::Other(error) => format!("error: {error:#}"),
            Failure::InvalidInput(faults) => faults.clone(),
            Failure::Cases(faults) => {
                format!("invalid test cases:\n{}", diagnostics::rendered(faults, has_colour))
            }
            Failure::Printed(_) | Failure::OutputClosed => String::new(),
        }
    }
}

fn invalid(error: &SettingsError, has_colour: bool) -> String {
    let faults = match error {
        SettingsError::Faults(faults) => diagnostics::rendered(faults, has_colour),
        other => logs::chain(other),
    };
    format!("invalid configuration:\n{faults}")
}

impl fmt::Display for Failure {
    /// Without colour.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rendered(false))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Settings};

    #[test]
    fn only_what_is_for_a_terminal_is_styled() {
        let error = Settings::from_yaml("publik: {}", Environment::default()).unwrap_err();
        let failure = Failure::Settings(error);
        assert!(failure.rendered(true).contains("\u{1b}["));
        assert!(!failure.to_string().contains('\u{1b}'));
    }
}
