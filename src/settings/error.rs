use std::path::PathBuf;

use super::diagnostic::Diagnostic;
use super::located::NotYaml;

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("cannot read the settings file {}", file.display())]
    ParseError { file: PathBuf, source: std::io::Error },
    #[error("the settings file {} is longer than {bytes_max} bytes", file.display())]
    TooLong { file: PathBuf, bytes_max: u64 },
    #[error("cannot read the settings in {}", file.display())]
    NotYaml { file: PathBuf, source: NotYaml },
    /// One line for each: first what comes from no file, by path, then in the order of the file.
    #[error("{}", lines(.0))]
    Faults(Vec<Diagnostic>),
}

fn lines(faults: &[Diagnostic]) -> String {
    faults.iter().map(Diagnostic::to_string).collect::<Vec<_>>().join("\n")
}
