//! Which implementation of [`AdminApi`] a command uses: the client of a running service, or a service
//! in this process on the store of one that does not run.

mod client;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::http::Uri;
use anyhow::{Context, anyhow};
use clap::Args;
use secrecy::SecretString;

use self::client::Client;
use super::output::warn;
use super::{Failure, SettingsFile};
use crate::admin::{AdminApi, AdminConfig, AdminService};
use crate::app;
use crate::clock::Clock;
use crate::http::is_loopback;
use crate::settings::{Environment, Settings};
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::{self, Options, SqliteStore};
use crate::store::{Store, StoreError};
use crate::telemetry::{LabelSets, Metrics};

/// Which service or store is meant; by default that of the settings.
#[derive(Debug, Args)]
#[command(next_help_heading = "Where")]
pub(super) struct AdminArgs {
    /// The admin listener of a running service, such as http://127.0.0.1:9090; without it, that of the
    /// settings, where a service runs
    #[arg(long, value_name = "URL", conflicts_with = "store")]
    admin_url: Option<String>,
    /// The file with the admin listener's token; without it, that of the settings
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The store's file; without it, that of the settings
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsFile,
}

type ParsedRequest = Result<Box<dyn AdminApi>, Failure>;

impl AdminArgs {
    /// Opens the API for queries; nothing is written.
    pub fn open_read(&self) -> ParsedRequest {
        match &self.store {
            Some(path) => {
                // What is only read needs no secret, and a copy may be read where there are no settings.
                let environment = Environment::of_process().without_secrets();
                let settings = self.settings_or(environment, |error| {
                    warn(format_args!(
                        "answers and fields are not known without settings: {error}"
                    ));
                })?;
                read_only(path, settings.as_ref())
            }
            None => self.open_read_with_settings(),
        }
    }

    /// As [`open_read`](Self::open_read), for queries whose results depend on the settings.
    pub fn open_read_with_settings(&self) -> ParsedRequest {
        if let Some(url) = &self.admin_url {
            return Ok(Box::new(self.named_client(url)?));
        }
        let settings = self.settings.load()?;
        if let Some(path) = &self.store {
            return read_only(path, Some(&settings));
        }
        let Some(path) = settings.store.url.file() else {
            return read_only_postgres(&settings);
        };
        if sqlite::is_served(path)
            && let Some(url) = address_of_api(&settings)
        {
            return self.client(&url, Some(&settings));
        }
        check_is_there(path, &settings)?;
        // A read-only store disturbs no service, and works where the service has no API.
        read_only(path, Some(&settings))
    }

    /// Opens the API for actions.
    pub fn open_write(&self) -> ParsedRequest {
        if let Some(url) = &self.admin_url {
            return Ok(Box::new(self.named_client(url)?));
        }
        let settings = self.settings.load()?;
        let Some(path) = self.store.as_deref().or(settings.store.url.file()) else {
            let store = settings.store.url.shown();
            let url = address_of_api(&settings).with_context(|| no_api(&settings, &store))?;
            return self.client(&url, Some(&settings));
        };
        if self.store.is_none() {
            check_is_there(path, &settings)?;
        }
        match writable(path, &settings) {
            Ok(service) => Ok(Box::new(service)),
            Err(StoreError::InUse { path }) if self.store.is_some() => {
                let advice = "leave --store out, or say --admin-url URL";
                Err(anyhow!("a service has the store {path} open: {advice}").into())
            }
            Err(StoreError::InUse { path }) => {
                let url = address_of_api(&settings).with_context(|| no_api(&settings, &path))?;
                self.client(&url, Some(&settings))
            }
            Err(error) => Err(anyhow::Error::from(error).into()),
        }
    }

    /// The client of a running service, for what only that knows.
    pub fn open_service(&self) -> Result<Client, Failure> {
        if let Some(url) = &self.admin_url {
            return self.named_client(url);
        }
        if self.store.is_some() {
            let advice =
                "only a running service has this: say --admin-url URL, or leave --store out";
            return Err(anyhow!(advice).into());
        }
        let settings = self.settings.load()?;
        let path = settings.store.url.shown();
        if settings.store.url.file().is_some_and(|path| !sqlite::is_served(path)) {
            return Err(anyhow!(
                "no service has the store {path} open, and only a running service has this: start \
                 it, or say --admin-url URL"
            )
            .into());
        }
        let url = address_of_api(&settings).with_context(|| no_api(&settings, &path))?;
        self.client_of(&url, Some(&settings))
    }

    /// The settings, if they can be read; `otherwise` has why they cannot.
    ///
    /// # Errors
    /// `--config` names them and they cannot be read or are invalid.
    fn settings_or(
        &self,
        environment: Environment,
        otherwise: impl FnOnce(Failure),
    ) -> Result<Option<Settings>, Failure> {
        match self.settings.load_with(environment) {
            Ok(settings) => Ok(Some(settings)),
            Err(error) if self.settings.file.is_some() => Err(error),
            Err(error) => {
                otherwise(error);
                Ok(None)
            }
        }
    }

    /// The service that `--admin-url` names. The settings are read only if they may hold the token: those
    /// that are only found may be of another service, and give it to this machine alone. If they cannot be
    /// read here, the service says whether it needs one.
    fn named_client(&self, url: &str) -> Result<Client, Failure> {
        let settings = match self.token_file {
            Some(_) => None,
            None if self.settings.named().is_none() && !is_on_this_machine(url) => None,
            None => self.settings_or(Environment::of_process(), |error| {
                if self.settings.named().is_some() {
                    warn(format_args!("the token of the settings is not used: {error}"));
                }
            })?,
        };
        self.client_of(url, settings.as_ref())
    }

    fn client(&self, url: &str, settings: Option<&Settings>) -> ParsedRequest {
        Ok(Box::new(self.client_of(url, settings)?))
    }

    fn client_of(&self, url: &str, settings: Option<&Settings>) -> Result<Client, Failure> {
        let token = match &self.token_file {
            Some(file) => Some(token_in(file)?),
            None => settings.and_then(token_of),
        };
        Ok(Client::new(url, token)?)
    }
}

/// # Errors
/// There is no store where the settings have it.
fn check_is_there(path: &Path, settings: &Settings) -> Result<(), Failure> {
    let Err(missing @ StoreError::Missing { .. }) = sqlite::canonical(path) else { return Ok(()) };
    let service = address_of_api(settings)
        .map_or_else(String::new, |url| format!(", and no service at {url} that has it open"));
    Err(anyhow!("{missing}{service}: start `postcall serve`, or name the store with --store")
        .into())
}

/// Whether or not a service has the store open. Without settings no account is known to be in them.
fn read_only(path: &Path, settings: Option<&Settings>) -> ParsedRequest {
    let store = SqliteStore::open_read_only(path).map_err(anyhow::Error::from)?;
    let config = settings.map_or_else(
        || AdminConfig { mapper: Arc::default(), rate: u32::MAX, traces: false },
        app::admin_config,
    );
    Ok(Box::new(AdminService::new(Arc::new(store), config, metrics(), Clock::system())))
}

/// Whether or not services have the store open.
fn read_only_postgres(settings: &Settings) -> ParsedRequest {
    let address = app::postgres_address(&settings.store).map_err(anyhow::Error::from)?;
    let store = PostgresStore::open_read_only(address).map_err(anyhow::Error::from)?;
    let config = app::admin_config(settings);
    Ok(Box::new(AdminService::new(Arc::new(store), config, metrics(), Clock::system())))
}

/// # Errors
/// A service has the store open, or it cannot be opened.
fn writable(path: &Path, settings: &Settings) -> Result<AdminService, StoreError> {
    let metrics = metrics();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(Options {
        // A mistyped path must not create an empty store.
        path: sqlite::canonical(path)?,
        write_queue: settings.store.write_queue,
        lease: settings.delivery.lease,
        clock: Clock::system(),
        observer: metrics.clone(),
    })?);
    // Nothing is delivered meanwhile, so that no page has to wait.
    let config = AdminConfig { rate: u32::MAX, ..app::admin_config(settings) };
    Ok(AdminService::new(store, config, metrics, Clock::system()))
}

/// Metrics that are not scraped.
fn metrics() -> Arc<Metrics> {
    Arc::new(Metrics::new(&LabelSets::default(), "none"))
}

/// URL of the API of a service with these settings, if it is on and its port is known.
fn address_of_api(settings: &Settings) -> Option<String> {
    let mut listen = settings.admin.listen;
    if settings.admin.has_no_api() || listen.port() == 0 {
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

fn is_on_this_machine(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|url| url.host().is_some_and(is_loopback))
}

fn no_api(settings: &Settings, path: &str) -> String {
    let served = format!("a service has the store {path} open");
    if settings.admin.listen.port() == 0 {
        format!("{served}, on a port that only it knows: say --admin-url URL")
    } else {
        let listen = settings.admin.listen;
        format!(
            "{served}, and its API is off: admin.listen is {listen}, not loopback, so the API requires \
             admin.token"
        )
    }
}

fn token_of(settings: &Settings) -> Option<SecretString> {
    settings.admin.token.as_ref().map(|token| token.first())
}

fn token_in(file: &Path) -> Result<SecretString, Failure> {
    let unreadable =
        |error| Failure::InvalidInput(format!("cannot read {}: {error}", file.display()));
    let text = std::fs::read_to_string(file).map_err(unreadable)?;
    Ok(text.trim_end_matches(['\r', '\n']).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_known_by_its_loopback_address() {
        for url in
            ["http://127.0.0.1:9090", "http://[::1]:9090/", "https://localhost", "http://127.9.9.9"]
        {
            assert!(is_on_this_machine(url), "{url}");
        }
        for url in [
            "http://10.0.0.1:9090",
            "http://127.0.0.1.example.com",
            "http://localhost.example.com",
            "x",
        ] {
            assert!(!is_on_this_machine(url), "{url}");
        }
        assert!(!is_on_this_machine("http://127.0.0.1@example.com:9090"), "a user is no host");
    }
}
