//! The settings file of a command: the one that is named, or the first of the usual places.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::Args;

use super::failure::Failure;
use super::output::warn;
use crate::settings::{Environment, Settings};
use crate::source::Source;

/// Which settings file a command uses.
#[derive(Debug, Default, Args)]
pub(super) struct SettingsFile {
    /// The settings file, YAML. Without it: the file that POSTCALL_CONFIG names, ./postcall.yaml, or
    /// /etc/postcall/postcall.yaml
    #[arg(long = "config", value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
}

/// A settings file that is looked at and not served, so that its secrets need not be set.
#[derive(Debug, Args)]
pub(super) struct InspectedSettings {
    #[command(flatten)]
    pub(super) file: SettingsFile,
    /// Use a placeholder for each secret whose variable or file is not set, to check settings in CI or
    /// on a laptop, or to sign for `serve --dev`
    #[arg(long)]
    pub(super) without_secrets: bool,
}

impl InspectedSettings {
    /// # Errors
    /// As of [`SettingsFile::load`].
    pub fn load(&self) -> Result<Settings, Failure> {
        self.file.load_with(self.environment(Environment::of_process()))
    }

    /// As [`load`](Self::load), with a note on standard error of each secret that is not set.
    ///
    /// # Errors
    /// As of [`load`](Self::load).
    pub fn load_with_notes(&self) -> Result<Settings, Failure> {
        let settings = self.load()?;
        note_missing_secrets(&settings);
        Ok(settings)
    }

    /// The environment, with placeholders if that is asked for.
    pub fn environment(&self, environment: Environment) -> Environment {
        if self.without_secrets { environment.without_secrets() } else { environment }
    }
}

/// Writes a line on standard error for each secret that is not set.
pub(super) fn note_missing_secrets(settings: &Settings) {
    for missing in &settings.warnings.missing_secrets {
        warn(missing);
    }
}

/// The variable that names the settings file.
const VARIABLE: &str = "POSTCALL_CONFIG";

/// Where a settings file is looked for if none is named, the first that exists.
const PLACES: [&str; 2] = ["postcall.yaml", "/etc/postcall/postcall.yaml"];

impl SettingsFile {
    /// The file of that path, as a positional argument names it; without one, as the flags name it.
    pub fn or_positional(&self, positional: Option<&Path>) -> Self {
        Self { file: positional.map(Path::to_owned).or_else(|| self.file.clone()) }
    }

    /// # Errors
    /// The settings file cannot be found or read, or is invalid.
    pub fn load(&self) -> Result<Settings, Failure> {
        self.load_with(Environment::of_process())
    }

    /// # Errors
    /// As of [`load`](Self::load).
    pub fn load_with(&self, environment: Environment) -> Result<Settings, Failure> {
        Ok(Settings::load(Some(&self.find()?), environment)?)
    }

    /// The path of the settings file. It need not exist if it was named.
    ///
    /// # Errors
    /// None is named, and there is none at the usual places.
    pub fn find(&self) -> Result<PathBuf, Failure> {
        let named = self.named();
        find(named, Path::try_exists).ok_or_else(|| Failure::NoFile(not_found()))
    }

    /// The path that a flag or the variable names.
    pub fn named(&self) -> Option<PathBuf> {
        named(self.file.clone(), std::env::var_os(VARIABLE))
    }
}

fn named(flag: Option<PathBuf>, variable: Option<OsString>) -> Option<PathBuf> {
    flag.or_else(|| variable.filter(|it| !it.is_empty()).map(PathBuf::from))
}

/// A place that cannot be looked at counts as one with a file, so that reading it says why.
fn find(named: Option<PathBuf>, exists: impl Fn(&Path) -> io::Result<bool>) -> Option<PathBuf> {
    named.or_else(|| {
        let mut places = PLACES.iter().map(PathBuf::from);
        places.find(|place| exists(place).unwrap_or(true))
    })
}

fn not_found() -> String {
    let [here, system] = PLACES;
    format!(
        "no settings file: neither ./{here} nor {system} exists, and neither --config nor {VARIABLE} \
         names one.\nWrite one with `postcall init`."
    )
}

/// The source of that name, or which there are.
pub(super) fn source<'a>(settings: &'a Settings, name: &str) -> Result<&'a Source, Failure> {
    settings.sources.get(name).map(AsRef::as_ref).ok_or_else(|| {
        let known = settings.sources.keys().map(ToString::to_string).collect::<Vec<_>>();
        anyhow!("no source {name:?}; one of {}", known.join(", ")).into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(named: Option<&str>, existing: &[&str]) -> Option<String> {
        let exists = |path: &Path| Ok(existing.iter().any(|it| path == Path::new(it)));
        find(named.map(PathBuf::from), exists).map(|path| path.display().to_string())
    }

    #[test]
    fn settings_file_is_the_named_one_then_that_of_the_folder_then_that_of_the_system() {
        let [here, system] = PLACES;
        assert_eq!(found(Some("own.yaml"), &[here, system]).as_deref(), Some("own.yaml"));
        assert_eq!(found(None, &[here, system]).as_deref(), Some("postcall.yaml"));
        assert_eq!(found(None, &[system]).as_deref(), Some("/etc/postcall/postcall.yaml"));
        assert_eq!(found(None, &[]), None);
        let is_forbidden = |_: &Path| Err(io::ErrorKind::PermissionDenied.into());
        assert_eq!(find(None, is_forbidden), Some(PathBuf::from(here)), "reading says why");
    }

    #[test]
    fn settings_file_of_the_flag_wins_over_that_of_the_variable() {
        let flag = || Some(PathBuf::from("flag.yaml"));
        assert_eq!(named(flag(), Some("variable.yaml".into())), flag());
        assert_eq!(named(None, Some("variable.yaml".into())), Some("variable.yaml".into()));
        assert_eq!(named(None, Some("".into())), None);
    }
}
