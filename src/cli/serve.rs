use std::path::Path;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::dev::Dev;
use super::reread::{self, Look};
use super::{Failure, SettingsFile};
use crate::app::App;
use crate::clock::Clock;
use crate::random::Random;
use crate::telemetry::logs::{self, Stream};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// For development: Plivo is simulated, the store is temporary, nothing is delayed, the listeners are
    /// on loopback, and each webhook is printed with what became of it
    #[arg(long)]
    dev: bool,
    #[command(flatten)]
    settings: SettingsFile,
}

pub(super) fn run(Serve { dev, settings: file }: Serve) -> Result<(), Failure> {
    let seen = Look::at(file.file.as_deref().unwrap_or(Path::new("")));
    let dev = if dev { Some(Dev::start(&file)?) } else { None };
    let settings = match &dev {
        Some(dev) => dev.load()?,
        None => file.load()?.for_service()?,
    };
    let sources: Vec<String> = settings.sources.keys().map(ToString::to_string).collect();
    logs::init(settings.logs.format, &settings.logs.filter, Stream::Stdout)
        .context("starting the logs")?;
    actix_web::rt::System::new().block_on(async {
        // From here on it does not end the process.
        let hangup = signal(SignalKind::hangup()).context("listening for signals")?;
        let app =
            App::build(settings, Clock::system(), Random::system()).map_err(anyhow::Error::from)?;
        let told = stop_signal().context("listening for signals")?;
        let (service, rereads) = mpsc::channel(1);
        let service = match dev {
            None => service,
            Some(dev) => {
                dev.print(&app, &sources)?;
                let (changed, changes) = mpsc::channel(1);
                actix_web::rt::spawn(dev.reload(changes, service));
                changed
            }
        };
        actix_web::rt::spawn(reread::watch(file, seen, hangup, service));
        app.run(rereads, told).await.map_err(anyhow::Error::from)?;
        Ok(())
    })
}

/// Comes with the first SIGTERM or Ctrl-C; a second one ends the process at once.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        actix_web::rt::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!(
                "told twice: ending at once; what is in flight is found at the next start"
            );
            std::process::exit(1);
        });
    })
}
