use std::path::Path;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::reread::{self, Look};
use super::{Failure, SettingsFile};
use crate::app::App;
use crate::clock::Clock;
use crate::random::Random;
use crate::telemetry::logs::{self, Stream};

pub(super) fn run(file: SettingsFile) -> Result<(), Failure> {
    let seen = Look::at(file.file.as_deref().unwrap_or(Path::new("")));
    let settings = file.load()?.for_service()?;
    logs::init(settings.logs.format, &settings.logs.filter, Stream::Stdout)
        .context("starting the logs")?;
    actix_web::rt::System::new().block_on(async {
        // From here on it does not end the process.
        let hangup = signal(SignalKind::hangup()).context("listening for signals")?;
        let app =
            App::build(settings, Clock::system(), Random::system()).map_err(anyhow::Error::from)?;
        let told = stop_signal().context("listening for signals")?;
        let (service, rereads) = mpsc::channel(1);
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
