use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use super::Failure;
use crate::app::App;
use crate::settings::Settings;
use crate::telemetry::logs::{self, Stream};

pub(super) fn run(settings: Settings) -> Result<(), Failure> {
    logs::init(settings.logs.format, &settings.logs.filter, Stream::Stdout)
        .context("starting the logs")?;
    let app = App::build(settings).map_err(anyhow::Error::from)?;
    actix_web::rt::System::new().block_on(async {
        let told = stop_signal().context("listening for signals")?;
        app.run(told).await.map_err(anyhow::Error::from)?;
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
