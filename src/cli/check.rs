use std::io::Write;

use super::Failure;
use crate::settings::Settings;

/// What the settings come to, for a person: what each sender has to call, and who is believed.
pub(super) fn run(settings: &Settings) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
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
    writeln!(out, "ledger: {}", settings.store.path.display())?;
    Ok(())
}
