//! The service as it is shipped, in a process of its own, with a fresh store.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use postcall::store::sqlite::ReadOnly;
use serde_json::Value;
use tempfile::TempDir;

use crate::Variant;
use crate::plivo::Plivo;
use crate::settings::{FOLDER, SETTINGS};

/// How long everything may take to be delivered after the last answer.
const PATIENCE: Duration = Duration::from_secs(120);

const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Service<'a> {
    pub public: SocketAddr,
    variant: Variant,
    process: Child,
    plivo: &'a Plivo,
    folder: TempDir,
}

impl<'a> Service<'a> {
    pub fn start(variant: Variant, logs: &str, plivo: &'a Plivo) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("load-").tempdir_in(FOLDER)?;
        let settings = folder.path().join("postcall.yaml");
        let written = match variant {
            Variant::WithoutSignature => SETTINGS.replace("{ preset", "{ signature: none, preset"),
            Variant::Whole | Variant::WithoutDelivery => SETTINGS.to_owned(),
        };
        std::fs::write(&settings, written)?;
        plivo.forget();
        let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
        command
            .args(["serve", "--config"])
            .arg(&settings)
            .env("POSTCALL__STORE__URL", format!("sqlite:{}", store(&folder).display()))
            .env("POSTCALL__ACCOUNTS__MAIN__API", format!("http://{}", plivo.address))
            // The one line that names the addresses is needed.
            .env("POSTCALL__LOGS__FILTER", format!("{logs},postcall::app=info"))
            .stdout(Stdio::piped());
        if variant == Variant::WithoutDelivery {
            command.env("POSTCALL__DELIVERY__DELAY", "1h");
        }
        let mut process = command.spawn().context("starting the service")?;
        let mut output = BufReader::new(process.stdout.take().context("the service's output")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let serving: Value = serde_json::from_str(&line).context("the service's first line")?;
        let public = serving["public"].as_str().context("an address")?.parse()?;
        // A full pipe would stop it.
        thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        Ok(Self { public, variant, process, plivo, folder })
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until everything is delivered and recorded; returns when the last delivery came, if
    /// anything was to be delivered.
    ///
    /// # Errors
    /// If a webhook is missing from the store, the state counts do not balance, or a call was not
    /// delivered exactly once.
    pub fn finish(&self, webhooks: usize) -> anyhow::Result<Option<Instant>> {
        let delivers = self.variant != Variant::WithoutDelivery;
        let expected = if delivers { webhooks } else { 0 };
        let last = delivers.then(|| self.plivo.wait_for(webhooks, PATIENCE)).transpose()?;
        let began = Instant::now();
        let store = ReadOnly::open(&store(&self.folder))?;
        let totals = loop {
            let totals = store.statistics()?.counts;
            if !delivers || totals.waiting() == 0 {
                break totals;
            }
            ensure!(began.elapsed() < PATIENCE, "not settled in time: {totals:?}");
            thread::sleep(LOOK_EVERY);
        };
        ensure!(
            totals.accepted == webhooks as u64
                && totals.delivered == expected as u64
                && totals.balance(),
            "the state counts are wrong: {totals:?}"
        );
        let received = self.plivo.received();
        ensure!(received == (expected, expected), "requests and calls at Plivo: {received:?}");
        Ok(last)
    }
}

impl Drop for Service<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn store(folder: &TempDir) -> PathBuf {
    folder.path().join("postcall.db")
}
