use std::io::Write;

use anyhow::{Context, anyhow};
use clap::Args;

use super::callback::Callback;
use super::{Failure, SettingsFile};
use crate::domain::CallUuid;

#[derive(Debug, Args)]
pub(super) struct Sign {
    /// A source of the settings
    source: String,
    /// The call that is rated: 1 to 64 letters, digits or hyphens
    #[arg(long, value_name = "ID")]
    call: CallUuid,
    /// The question that is answered; the survey's first without it
    #[arg(long, value_name = "NAME")]
    question: Option<String>,
    /// What the caller pressed; empty for silence
    #[arg(long, value_name = "DIGITS")]
    digits: String,
    /// Send it there, not to the address that is signed: http://127.0.0.1:8080
    #[arg(long, value_name = "ORIGIN")]
    to: Option<String>,
    #[command(flatten)]
    settings: SettingsFile,
}

impl Sign {
    pub(super) fn run(self) -> Result<(), Failure> {
        let settings = self.settings.load()?;
        let Some(source) = settings.sources.get(self.source.as_str()) else {
            let known = settings.sources.keys().map(ToString::to_string).collect::<Vec<_>>();
            return Err(anyhow!("no source {:?}; one of {}", self.source, known.join(", ")).into());
        };
        let callback =
            Callback { call: self.call.to_string(), question: self.question, digits: self.digits };
        let signed = callback.sign(source).context("signing")?;
        let url = match &self.to {
            Some(origin) => signed.url(&format!("{}{}", origin.trim_end_matches('/'), signed.path)),
            None => signed.url(&source.url.at(&signed.path)),
        };
        let mut line = format!("curl -sS -i -X POST {}", quoted(&url));
        for (name, value) in &signed.headers {
            line.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
        }
        line.push_str(&format!(" --data {}", quoted(&signed.body)));
        writeln!(std::io::stdout(), "{line}")?;
        Ok(())
    }
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
