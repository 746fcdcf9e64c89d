use std::ffi::OsString;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use super::diagnostics;
use crate::admin::AdminError;
use crate::settings::SettingsError;
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
    /// The command has printed the failure on standard output.
    Reported,
    /// The command has printed on standard output what is wrong with the settings.
    SettingsReported,
    /// The reader of the output closed it.
    OutputClosed,
}

impl Failure {
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Settings(_) | Failure::NoFile(_) | Failure::SettingsReported => {
                ExitCode::from(78)
            }
            Failure::Other(_) | Failure::Reported => ExitCode::FAILURE,
            Failure::InvalidInput(_) => ExitCode::from(2),
            Failure::OutputClosed => ExitCode::SUCCESS,
        }
    }
}

impl Failure {
    /// Prints on standard error what went wrong, unless the command has reported it itself.
    pub fn report(&self) {
        if matches!(self, Failure::Reported | Failure::SettingsReported | Failure::OutputClosed) {
            return;
        }
        let mut stderr = io::stderr().lock();
        let text =
            self.rendered(stderr.is_terminal() && is_colour_wanted(std::env::var_os("NO_COLOR")));
        // If no one reads it, the exit code says it.
        let _ = writeln!(stderr, "{text}");
    }

    /// Prints what is wrong with the settings on standard output instead, as `print` has it.
    pub(super) fn reported_by(self, print: impl FnOnce(&SettingsError) -> String) -> Self {
        match self {
            Failure::Settings(error) => match writeln!(io::stdout(), "{}", print(&error)) {
                Ok(()) => Failure::SettingsReported,
                Err(error) => error.into(),
            },
            other => other,
        }
    }

    /// The whole chain of causes, and no backtrace.
    fn rendered(&self, has_colour: bool) -> String {
        match self {
            Failure::Settings(error) => invalid(error, has_colour),
            Failure::NoFile(advice) => advice.clone(),
            Failure::Other(error) => format!("error: {error:#}"),
            Failure::InvalidInput(faults) => faults.clone(),
            Failure::Reported | Failure::SettingsReported | Failure::OutputClosed => String::new(),
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

/// As <https://no-color.org> has it: any value but an empty one means no.
fn is_colour_wanted(no_color: Option<OsString>) -> bool {
    no_color.is_none_or(|value| value.is_empty())
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
    fn colour_is_off_if_no_color_has_a_value() {
        for (no_color, expected) in [(None, true), (Some(""), true), (Some("1"), false)] {
            assert_eq!(is_colour_wanted(no_color.map(OsString::from)), expected, "{no_color:?}");
        }
    }

    #[test]
    fn only_what_is_for_a_terminal_is_styled() {
        let error = Settings::from_yaml("publik: {}", Environment::default()).unwrap_err();
        let failure = Failure::Settings(error);
        assert!(failure.rendered(true).contains("\u{1b}["));
        assert!(!failure.to_string().contains('\u{1b}'));
    }
}
