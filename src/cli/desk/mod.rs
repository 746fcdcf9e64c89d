//! Where it is done what a person wants by hand: at a service that runs, through its API, or at the
//! ledger of one that does not, with the same [`Triage`](crate::triage::Triage).

mod ledger;
mod service;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::Args;
use secrecy::SecretString;

use self::ledger::Ledger;
use self::service::Service;
use super::{Failure, SettingsFile};
use crate::domain::Name;
use crate::settings::Settings;
use crate::store::StoreError;
use crate::store::sqlite;
use crate::submission::SubmissionId;
use crate::triage::{
    Accounts, DiscardPage, Discarded, Discarding, Erased, Erasing, Format, Holding, Listed, Paging,
    ReplayPage, Replayed, Replaying, Resumed, Shown, ShownAccount, ShownTotals, Sought,
};

/// Which desk is meant; where nothing is said, that of the settings.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub(super) struct DeskArgs {
    /// The private door of a running service, such as http://127.0.0.1:9090; without it, that of the
    /// settings, where a service runs
    #[arg(long, value_name = "URL", conflicts_with = "ledger")]
    service: Option<String>,
    /// The file with the private door's token; without it, that of the settings
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The ledger's file; without it, that of the settings
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsFile,
}

pub(super) enum Desk {
    Service(Service),
    Ledger(Ledger),
}

/// Why a desk did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum DeskError {
    /// It understood, and this cannot be done with that.
    #[error("{0}")]
    Refused(String),
    /// What was done before is still being worked off.
    #[error("what was done before is still being worked off")]
    TooSoon { wait: Duration },
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl DeskArgs {
    /// For whoever only looks; nothing is written.
    pub fn to_read(&self) -> Result<Desk, Failure> {
        if let Some(url) = &self.service {
            return self.service_at(url);
        }
        match &self.ledger {
            Some(ledger) => Ok(Desk::Ledger(Ledger::to_read(ledger, None)?)),
            None => self.to_weigh(),
        }
    }

    /// As [`to_read`](Self::to_read), for whoever asks what the settings say of it.
    pub fn to_weigh(&self) -> Result<Desk, Failure> {
        if let Some(url) = &self.service {
            return self.service_at(url);
        }
        let settings = self.settings.load()?;
        if let Some(ledger) = &self.ledger {
            return Ok(Desk::Ledger(Ledger::to_read(ledger, Some(&settings))?));
        }
        let path = &settings.store.path;
        if sqlite::is_served(path)
            && let Some(url) = address_of_api(&settings)
        {
            return Ok(Desk::Service(Service::at(&url, self.token(Some(&settings))?)?));
        }
        // Looking into the file disturbs nobody, and works where the service has no API.
        Ok(Desk::Ledger(Ledger::to_read(path, Some(&settings))?))
    }

    /// For whoever does something.
    pub fn to_act(&self) -> Result<Desk, Failure> {
        if let Some(url) = &self.service {
            return self.service_at(url);
        }
        let settings = self.settings.load()?;
        let path = self.ledger.as_ref().unwrap_or(&settings.store.path);
        match Ledger::to_act(path, &settings) {
            Ok(ledger) => Ok(Desk::Ledger(ledger)),
            Err(StoreError::InUse { path }) if self.ledger.is_some() => {
                let advice = "leave --ledger out, or say --service URL";
                Err(anyhow!("a service has the ledger {path} open: {advice}").into())
            }
            Err(StoreError::InUse { path }) => {
                let url = address_of_api(&settings).with_context(|| no_api(&settings, &path))?;
                Ok(Desk::Service(Service::at(&url, self.token(Some(&settings))?)?))
            }
            Err(error) => Err(anyhow::Error::from(error).into()),
        }
    }

    /// The settings are asked only where they are given and may hold the token. Where they cannot be
    /// read here, the service says whether it wants one.
    fn service_at(&self, url: &str) -> Result<Desk, Failure> {
        let wants_settings = self.token_file.is_none() && self.settings.file.is_some();
        let settings = wants_settings.then(|| self.settings.load().ok()).flatten();
        Ok(Desk::Service(Service::at(url, self.token(settings.as_ref())?)?))
    }

    fn token(&self, settings: Option<&Settings>) -> Result<Option<SecretString>, Failure> {
        match &self.token_file {
            Some(file) => Ok(Some(token_in(file)?)),
            None => Ok(settings.and_then(token_of)),
        }
    }
}

impl Desk {
    pub async fn list(&self, sought: &Sought, paging: &Paging) -> Result<Listed, DeskError> {
        match self {
            Desk::Service(service) => service.list(sought, paging).await,
            Desk::Ledger(ledger) => ledger.list(sought, paging).await,
        }
    }

    pub async fn show(&self, id: SubmissionId) -> Result<Shown, DeskError> {
        match self {
            Desk::Service(service) => service.show(id).await,
            Desk::Ledger(ledger) => ledger.show(id).await,
        }
    }

    pub async fn replay_one(
        &self,
        id: SubmissionId,
        how: Replaying,
    ) -> Result<Replayed, DeskError> {
        match self {
            Desk::Service(service) => service.replay_one(id, how).await,
            Desk::Ledger(ledger) => ledger.replay_one(id, how).await,
        }
    }

    pub async fn replay(&self, page: &ReplayPage) -> Result<Replayed, DeskError> {
        match self {
            Desk::Service(service) => service.replay(page).await,
            Desk::Ledger(ledger) => ledger.replay(page).await,
        }
    }

    pub async fn discard_one(
        &self,
        id: SubmissionId,
        how: &Discarding,
    ) -> Result<Discarded, DeskError> {
        match self {
            Desk::Service(service) => service.discard_one(id, how).await,
            Desk::Ledger(ledger) => ledger.discard_one(id, how).await,
        }
    }

    pub async fn discard(&self, page: &DiscardPage) -> Result<Discarded, DeskError> {
        match self {
            Desk::Service(service) => service.discard(page).await,
            Desk::Ledger(ledger) => ledger.discard(page).await,
        }
    }

    pub async fn erase(&self, whom: &Erasing) -> Result<Erased, DeskError> {
        match self {
            Desk::Service(service) => service.erase(whom).await,
            Desk::Ledger(ledger) => ledger.erase(whom).await,
        }
    }

    /// Writes out all that is found, a part at a time.
    pub async fn export(
        &self,
        sought: &Sought,
        format: Format,
        out: &mut impl Write,
    ) -> Result<(), DeskError> {
        match self {
            Desk::Service(service) => service.export(sought, format, out).await,
            Desk::Ledger(ledger) => ledger.export(sought, format, out).await,
        }
    }

    pub async fn accounts(&self) -> Result<Accounts, DeskError> {
        match self {
            Desk::Service(service) => service.accounts().await,
            Desk::Ledger(ledger) => ledger.accounts().await,
        }
    }

    pub async fn hold(&self, account: &Name, why: &Holding) -> Result<ShownAccount, DeskError> {
        match self {
            Desk::Service(service) => service.hold(account, why).await,
            Desk::Ledger(ledger) => ledger.hold(account, why).await,
        }
    }

    pub async fn resume(&self, account: &Name) -> Result<Resumed, DeskError> {
        match self {
            Desk::Service(service) => service.resume(account).await,
            Desk::Ledger(ledger) => ledger.resume(account).await,
        }
    }

    pub async fn totals(&self) -> Result<ShownTotals, DeskError> {
        match self {
            Desk::Service(service) => service.totals().await,
            Desk::Ledger(ledger) => ledger.totals().await,
        }
    }
}

impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Self {
        match error {
            DeskError::Other(error) => error.into(),
            told => anyhow::Error::from(told).into(),
        }
    }
}

/// Where a service with these settings answers by hand, if it can be known and it does.
fn address_of_api(settings: &Settings) -> Option<String> {
    let mut listen = settings.private.listen;
    let is_off = !listen.ip().is_loopback() && token_of(settings).is_none();
    if is_off || listen.port() == 0 {
        return None;
    }
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            std::net::SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            std::net::SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    Some(format!("http://{listen}"))
}

fn no_api(settings: &Settings, path: &str) -> String {
    let served = format!("a service has the ledger {path} open");
    if settings.private.listen.port() == 0 {
        format!("{served}, on a port that only it knows: say --service URL")
    } else {
        let listen = settings.private.listen;
        format!(
            "{served}, and its API is off: private.listen is {listen}, not loopback, so it wants \
             private.token"
        )
    }
}

fn token_of(settings: &Settings) -> Option<SecretString> {
    settings.private.token.as_ref().map(|token| token.first())
}

fn token_in(file: &Path) -> Result<SecretString, Failure> {
    let unreadable =
        |error| Failure::Unreadable(format!("cannot read {}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}
