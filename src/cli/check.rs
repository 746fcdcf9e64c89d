use std::io::Write;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::{Failure, SettingsFile};
use crate::settings::Settings;

#[derive(Debug, Args)]
pub(super) struct Check {
    /// How to print what follows from them
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    #[command(flatten)]
    settings: SettingsFile,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Output {
    /// For a person
    #[default]
    Text,
    /// One JSON document, for a script
    Json,
}

impl Check {
    pub(super) fn run(self) -> Result<(), Failure> {
        let settings = self.settings.load()?;
        let mut out = std::io::stdout().lock();
        match self.output {
            Output::Text => print(&mut out, &settings)?,
            Output::Json => writeln!(out, "{:#}", to_json(&settings))?,
        }
        Ok(())
    }
}

/// What each sender has to call, who is believed, and what answers come to.
fn print(out: &mut impl Write, settings: &Settings) -> std::io::Result<()> {
    writeln!(out, "the settings are well ({})", settings.hash)?;
    for (name, source) in &settings.sources {
        let url = source.url.at(&format!("/hooks/{name}"));
        let schemes = source.signature.labels().join(", ");
        writeln!(out, "source {name}: {url}")?;
        writeln!(
            out,
            "  signed with {schemes}; rates calls of account {} by survey {}",
            source.account.name, source.survey
        )?;
        if !source.signature.vouches_for_answers() {
            writeln!(out, "  WARNING: anyone who knows its address can send answers to it")?;
        }
    }
    for (name, account) in &settings.accounts {
        writeln!(out, "account {name}: {} at {}", account.account.auth_id, account.api)?;
    }
    writeln!(out, "ledger: {}", settings.store.path.display())
}

fn to_json(settings: &Settings) -> Value {
    let sources = settings.sources.iter().map(|(name, source)| {
        let source = json!({
            "url": source.url.at(&format!("/hooks/{name}")),
            "signed_with": source.signature.labels(),
            "vouched_for": source.signature.vouches_for_answers(),
            "account": source.account.name.as_str(),
            "survey": source.survey.as_str(),
        });
        (name.to_string(), source)
    });
    let accounts = settings.accounts.iter().map(|(name, account)| {
        let account = json!({ "auth_id": account.account.auth_id, "api": account.api });
        (name.to_string(), account)
    });
    json!({
        "hash": settings.hash,
        "sources": sources.collect::<Value>(),
        "accounts": accounts.collect::<Value>(),
        "ledger": settings.store.path,
    })
}
