use std::path::Path;

use anyhow::Context;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::reread::{self, Look};
use super::{Failure, SettingsFile};
use crate::app::App;
use crate::clock::Clock;
use crate::random::Random;
use crate::settings::{Environment, Settings, SettingsError};
use crate::telemetry::logs::{self, Stream};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Fail if the settings file is refused, instead of starting with the settings that were accepted last
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    file: SettingsFile,
}

pub(super) fn run(Serve { strict, file }: Serve) -> Result<(), Failure> {
    let seen = Look::at(file.file.as_deref().unwrap_or(Path::new("")));
    let (settings, refused) = load(&file, strict)?;
    logs::init(settings.logs.format, &settings.logs.filter, Stream::Stdout)
        .context("starting the logs")?;
    if let Some(refused) = &refused {
        log_refused(refused);
    }
    actix_web::rt::System::new().block_on(async {
        // From here on it does not end the process.
        let hangup = signal(SignalKind::hangup()).context("listening for signals")?;
        let app =
            App::build(settings, Clock::system(), Random::system()).map_err(anyhow::Error::from)?;
        let app = if refused.is_some() { app.with_stale_settings() } else { app };
        let told = stop_signal().context("listening for signals")?;
        let (service, rereads) = mpsc::channel(1);
        actix_web::rt::spawn(reread::watch(file, seen, hangup, service));
        app.run(rereads, told).await.map_err(anyhow::Error::from)?;
        Ok(())
    })
}

/// The settings of the file or, if it is refused, those that were accepted last, and why it is refused.
fn load(file: &SettingsFile, strict: bool) -> Result<(Settings, Option<SettingsError>), Failure> {
    match file.load().and_then(|settings| Ok(settings.for_service()?)) {
        Ok(settings) => Ok((settings, None)),
        Err(Failure::Settings(refused)) if !strict && refused.is_refusal() => {
            let path = file.file.as_deref().unwrap_or(Path::new(""));
            let last = Settings::last_accepted(path, Environment::of_process());
            match last.and_then(|last| last.for_service().ok()) {
                Some(last) => Ok((last, Some(refused))),
                None => Err(Failure::Settings(refused)),
            }
        }
        Err(failure) => Err(failure),
    }
}

fn log_refused(refused: &SettingsError) {
    const STALE: &str =
        "the settings file is refused: serving with the settings that were accepted last";
    match refused {
        SettingsError::Faults(faults) => {
            for fault in faults {
                tracing::error!(%fault, "{STALE}");
            }
        }
        other => tracing::error!(fault = logs::chain(other), "{STALE}"),
    }
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
