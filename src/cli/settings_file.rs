use std::path::PathBuf;

use anyhow::anyhow;
use clap::Args;

use super::failure::Failure;
use crate::settings::{Environment, Settings};
use crate::source::Source;

/// Where the settings are.
#[derive(Debug, Args)]
pub(super) struct SettingsFile {
    /// The settings file, YAML; without one, defaults and POSTCALL__… variables alone
    #[arg(long = "config", value_name = "FILE", env = "POSTCALL_CONFIG")]
    pub(super) file: Option<PathBuf>,
}

impl SettingsFile {
    pub(super) fn load(&self) -> Result<Settings, Failure> {
        Settings::load(self.file.as_deref(), Environment::of_process()).map_err(|error| match self
            .file
        {
            Some(_) => Failure::Settings(error),
            None => Failure::NoFile(error),
        })
    }
}

/// The source of that name, or which there are.
pub(super) fn source<'a>(settings: &'a Settings, name: &str) -> Result<&'a Source, Failure> {
    settings.sources.get(name).ok_or_else(|| {
        let known = settings.sources.keys().map(ToString::to_string).collect::<Vec<_>>();
        anyhow!("no source {name:?}; one of {}", known.join(", ")).into()
    })
}
