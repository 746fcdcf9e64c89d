use std::io::{self, IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::dev::Dev;
use super::reread::{self, Look};
use super::settings_file::note_missing_secrets;
use super::stop_signal::stop_signal;
use super::{Failure, SettingsFile};
use crate::app::App;
use crate::clock::Clock;
use crate::random::Random;
use crate::settings::{Environment, Settings, SettingsError};
use crate::source::Source;
use crate::telemetry::logs::{self, Stream};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Fail if the settings file is invalid, instead of starting with the settings that were accepted last
    #[arg(long)]
    strict: bool,
    /// For development: Plivo is simulated, the store is temporary, delivery.delay is 0, the listeners are
    /// on loopback, each webhook is printed with what became of it, and a secret that is not set is a
    /// placeholder with which `sign --without-secrets` signs
    #[arg(long, conflicts_with = "strict")]
    dev: bool,
    #[command(flatten)]
    file: SettingsFile,
}

pub(super) fn run(Serve { strict, dev, file }: Serve) -> Result<(), Failure> {
    let path = file.find()?;
    let seen = Look::at(&path);
    let dev = if dev { Some(Dev::start(path.clone())?) } else { None };
    let (settings, invalid) = match &dev {
        Some(dev) => (dev.load()?, None),
        None => load(&path, strict)?,
    };
    note_missing_secrets(&settings);
    let has_placeholders = !settings.warnings.missing_secrets.is_empty();
    logs::init(settings.logs.format, &settings.logs.filter, Stream::Stdout)
        .context("starting the logs")?;
    match &invalid {
        Some(error) => log_invalid(error),
        None => tracing::info!(file = %path.display(), hash = settings.hash, "settings loaded"),
    }
    let address = |source: &Arc<Source>| (source.name.to_string(), source.address());
    let sources: Vec<_> = settings.sources.values().map(address).collect();
    actix_web::rt::System::new().block_on(async {
        // Before the store opens, which may take long: a process that is the first of its container never
        // sees a signal that it does not listen to, and would be killed with deliveries in flight.
        let hangup = signal(SignalKind::hangup()).context("listening for signals")?;
        let stop = actix_web::rt::spawn(stop_signal().context("listening for signals")?);
        let build = move || App::build(settings, Clock::system(), Random::system());
        let built = tokio::task::spawn_blocking(build).await.context("opening the store")?;
        let app = built.map_err(anyhow::Error::from)?;
        let app = if invalid.is_some() { app.with_stale_settings() } else { app };
        if dev.is_none() && io::stdout().is_terminal() {
            // The logs say the same.
            let _ = io::stdout()
                .write_all(urls(&sources, app.public_address(), app.admin_address()).as_bytes());
        }
        let (service, rereads) = mpsc::channel(1);
        let service = match dev {
            None => service,
            Some(dev) => {
                dev.print(&app, &sources, has_placeholders)?;
                let (changed, changes) = mpsc::channel(1);
                actix_web::rt::spawn(dev.reload(changes, service));
                changed
            }
        };
        let refused = invalid.map(|error| logs::chain(&error));
        actix_web::rt::spawn(reread::watch(path, seen, refused, hangup, service));
        let stop = async {
            let _ = stop.await;
        };
        app.run(rereads, stop).await.map_err(anyhow::Error::from)?;
        Ok(())
    })
}

/// The settings of the file or, if it is invalid, those that were accepted last, and why it is invalid.
fn load(path: &Path, strict: bool) -> Result<(Settings, Option<SettingsError>), SettingsError> {
    let environment = Environment::of_process();
    match Settings::load(Some(path), environment.clone()).and_then(Settings::for_service) {
        Ok(settings) => Ok((settings, None)),
        Err(invalid) if !strict && invalid.is_invalid() => {
            let last = Settings::last_accepted(path, environment);
            match last.and_then(|last| last.for_service().ok()) {
                Some(last) => Ok((last, Some(invalid))),
                None => Err(invalid),
            }
        }
        Err(error) => Err(error),
    }
}

fn log_invalid(invalid: &SettingsError) {
    const STALE: &str =
        "the settings file is invalid: serving with the settings that were accepted last";
    match invalid {
        SettingsError::Faults(faults) => {
            for fault in faults {
                tracing::error!(%fault, "{STALE}");
            }
        }
        other => tracing::error!(fault = logs::chain(other), "{STALE}"),
    }
}

/// The URLs of sources and listeners, for a terminal.
fn urls(sources: &[(String, String)], public: SocketAddr, admin: SocketAddr) -> String {
    let width = sources.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let mut text = format!("Postcall {} listens. Ctrl-C stops it.\n", env!("CARGO_PKG_VERSION"));
    for (name, url) in sources {
        text.push_str(&format!("  source   {name:width$}  {url}\n"));
    }
    let (public, admin) = (reachable(public), reachable(admin));
    text.push_str(&format!("  public   http://{public}/hooks/SOURCE\n"));
    text.push_str(&format!("  admin    http://{admin}/console/, /api/v1, /metrics, /readyz\n\n"));
    text
}

/// The address with which this host reaches a listener.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_those_of_sources_and_listeners() {
        let source = |name: &str| (name.to_owned(), format!("https://s.example.com/hooks/{name}"));
        let listen = |text: &str| text.parse().unwrap();
        let text =
            urls(&[source("ivr"), source("form")], listen("0.0.0.0:8080"), listen("[::1]:9090"));
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "  source   ivr   https://s.example.com/hooks/ivr",
                "  source   form  https://s.example.com/hooks/form",
                "  public   http://127.0.0.1:8080/hooks/SOURCE",
                "  admin    http://[::1]:9090/console/, /api/v1, /metrics, /readyz",
                "",
            ]
        );
    }
}
