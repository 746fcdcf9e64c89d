//! `serve --dev`: the service on a laptop. Nothing reaches Plivo, nothing is kept, and nothing waits.

use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context;
use tempfile::TempDir;
use tokio::sync::mpsc;

use super::Failure;
use crate::app::{App, Reread};
use crate::destination::Destination;
use crate::settings::{Environment, Settings, SettingsError, StoreUrl};
use crate::simulator::{Options, Simulator};
use crate::telemetry::logs::{Filter, Format};

/// What replaces the parts that a laptop does not have, for as long as it lives.
pub(super) struct Dev {
    file: PathBuf,
    simulator: Simulator,
    folder: TempDir,
}

/// Each webhook, and what became of it.
const FILTER: &str = "info,postcall::http::webhooks=debug,postcall::delivery::report=debug";

/// Settings that a running service reads by other parts than the settings' own values.
const VARIABLES: [(&str, &str); 2] =
    [("POSTCALL__DELIVERY__DELAY", "0s"), ("POSTCALL__SHUTDOWN__DRAIN_DELAY", "0s")];

impl Dev {
    /// Starts the simulator, and makes a folder for the store.
    ///
    /// # Errors
    /// There is no free port, or no folder for temporary files.
    pub fn start(file: PathBuf) -> Result<Self, Failure> {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let simulator =
            Simulator::start(any_port, Options::default()).context("starting the simulator")?;
        let folder = tempfile::Builder::new().prefix("postcall-dev-").tempdir()?;
        Ok(Self { file, simulator, folder })
    }

    /// The settings with the simulator for Plivo, a temporary store, no delay, and listeners on
    /// loopback alone.
    ///
    /// # Errors
    /// The settings are invalid.
    pub fn load(&self) -> Result<Settings, SettingsError> {
        let variables = VARIABLES.map(|(name, value)| (name.to_owned(), value.to_owned()));
        // Only this host can reach it, and nothing leaves it, so that no secret need be a real one.
        let environment = Environment::of_process().with(variables).without_secrets();
        let mut settings = Settings::load(Some(&self.file), environment)?;
        for Destination::Plivo(plivo) in settings.accounts.values_mut() {
            plivo.api = format!("http://{}", self.simulator.addr());
        }
        settings.store.url = StoreUrl::Sqlite(self.folder.path().join("postcall.db"));
        for listen in [&mut settings.public.listen, &mut settings.admin.listen] {
            listen.set_ip(IpAddr::from(Ipv4Addr::LOCALHOST));
        }
        settings.logs.format = Format::Pretty;
        settings.logs.filter = FILTER.parse::<Filter>().expect("the filter is one");
        Ok(settings)
    }

    /// Reads the settings again, with the same replacements, whenever `changes` says that they changed.
    pub async fn reload(self, mut changes: mpsc::Receiver<Reread>, service: mpsc::Sender<Reread>) {
        while changes.recv().await.is_some() {
            if service.send(self.load()).await.is_err() {
                return;
            }
        }
        // The simulator serves until the service ends.
        service.closed().await;
    }

    /// Prints where to send webhooks, and what is replaced.
    pub fn print(
        &self,
        app: &App,
        sources: &[(String, String)],
        has_placeholders: bool,
    ) -> io::Result<()> {
        let mut out = io::stdout().lock();
        let (public, admin) = (app.public_address(), app.admin_address());
        writeln!(
            out,
            "development: Plivo is simulated, the store is temporary, delivery.delay is 0\n"
        )?;
        for (source, _) in sources {
            writeln!(out, "  source {source:12} http://{public}/hooks/{source}")?;
        }
        writeln!(out, "  console             http://{admin}/console/")?;
        writeln!(out, "  metrics             http://{admin}/metrics")?;
        let simulator = self.simulator.addr();
        writeln!(out, "  delivered feedback  http://{simulator}/simulator/feedback")?;
        writeln!(out, "  submissions         postcall submissions --admin-url http://{admin}")?;
        if let Some((source, _)) = sources.first() {
            let flag = if has_placeholders { " --without-secrets" } else { "" };
            writeln!(
                out,
                "\nSend an answer: postcall sign {source} --call c-1 --digits 4{flag} --to http://{public} \
                 --send"
            )?;
        }
        writeln!(out, "Ctrl-C ends it.\n")?;
        out.flush()
    }
}
