use std::io::Write;

use anyhow::Context;
use clap::Args;
use jiff::Timestamp;
use uuid::Uuid;

use super::payload::Payload;
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
        let source = super::source(&settings, &self.source)?;
        let payload = Payload::pressed(
            source.name.as_str(),
            self.call.as_str(),
            self.question.as_deref(),
            &self.digits,
        );
        let nonce = Uuid::now_v7().simple().to_string();
        let signed = payload.signed(source, &nonce, Timestamp::now()).context("signing")?;
        let url = match &self.to {
            Some(origin) => signed.url(&format!("{}{}", origin.trim_end_matches('/'), signed.path)),
            None => signed.url(&source.url.at(&signed.path)),
        };
        let mut line = format!("curl -sS -i -X POST {}", quoted(&url));
        for (name, value) in &signed.headers {
            line.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
        }
        line.push_str(&format!(" --data {}", quoted(&String::from_utf8_lossy(&signed.body))));
        writeln!(std::io::stdout(), "{line}")?;
        Ok(())
    }
}

/// For a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
