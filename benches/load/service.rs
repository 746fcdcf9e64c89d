//! The service as it is shipped, in processes of its own, with a fresh store.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::ValueEnum;
use postcall::store::Reader;
use postcall::store::postgres::{Address, PostgresStore};
use postcall::store::sqlite::SqliteStore;
use postcall::submission::StateCounts;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::Variant;
use crate::listeners::listeners;
use crate::plivo::Plivo;
use crate::postgres::Postgres;
use crate::settings::{FOLDER, SETTINGS};

/// How long everything may take to be delivered after the last answer.
const PATIENCE: Duration = Duration::from_secs(120);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Where webhooks are kept, and how many processes keep them.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Store {
    /// One process with a file
    Sqlite,
    /// One process on PostgreSQL
    Postgres,
    /// Three processes on PostgreSQL
    Replicas,
    /// One process on PostgreSQL, where a million submissions have ended and ten thousand wait
    Million,
}

impl Store {
    fn processes(self) -> usize {
        if self == Self::Replicas { 3 } else { 1 }
    }
}

pub struct Service<'a> {
    processes: Vec<(SocketAddr, Child)>,
    variant: Variant,
    plivo: &'a Plivo,
    reader: Box<dyn Reader>,
    runtime: Runtime,
    /// What was there before.
    before: StateCounts,
    _folder: TempDir,
}

impl<'a> Service<'a> {
    /// `postgres` is the server, and a name that no database has yet.
    pub fn start(
        store: Store,
        variant: Variant,
        logs: &str,
        plivo: &'a Plivo,
        postgres: Option<(&Postgres, &str)>,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("load-").tempdir_in(FOLDER)?;
        let settings = folder.path().join("postcall.yaml");
        let written = match variant {
            Variant::WithoutSignature => SETTINGS.replace("{ preset", "{ signature: none, preset"),
            Variant::Whole | Variant::WithoutDelivery => SETTINGS.to_owned(),
        };
        std::fs::write(&settings, written)?;
        plivo.forget();
        let file = folder.path().join("postcall.db");
        let url = match (store, postgres) {
            (Store::Sqlite, _) => format!("sqlite:{}", file.display()),
            (_, Some((server, name))) => server.create(name, store == Store::Million)?,
            (_, None) => anyhow::bail!("there is no PostgreSQL"),
        };
        let processes = (0..store.processes())
            .map(|number| serve(&settings, &url, number, variant, logs, plivo))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let reader: Box<dyn Reader> = if store == Store::Sqlite {
            Box::new(SqliteStore::open_read_only(&file)?)
        } else {
            let address = Address::new(url.parse()?, postcall::destination::tls(), None);
            Box::new(PostgresStore::open_read_only(address)?)
        };
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let before = runtime.block_on(reader.statistics())?.counts;
        Ok(Self { processes, variant, plivo, reader, runtime, before, _folder: folder })
    }

    pub fn ids(&self) -> Vec<u32> {
        self.processes.iter().map(|(_, process)| process.id()).collect()
    }

    /// Where webhooks go.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.processes.iter().map(|(address, _)| *address).collect()
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
        let totals = loop {
            let totals = self.runtime.block_on(self.reader.statistics())?.counts;
            if !delivers || totals.waiting() == self.before.waiting() {
                break totals;
            }
            ensure!(began.elapsed() < PATIENCE, "not settled in time: {totals:?}");
            thread::sleep(LOOK_EVERY);
        };
        ensure!(
            totals.accepted == self.before.accepted + webhooks as u64
                && totals.delivered == self.before.delivered + expected as u64
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
        for (_, process) in &mut self.processes {
            // It may have ended already.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Starts a process; returns where it takes webhooks.
fn serve(
    settings: &Path,
    store: &str,
    number: usize,
    variant: Variant,
    logs: &str,
    plivo: &Plivo,
) -> anyhow::Result<(SocketAddr, Child)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
    command
        .args(["serve", "--config"])
        .arg(settings)
        .env("POSTCALL__STORE__URL", store)
        .env("POSTCALL__ACCOUNTS__MAIN__API", format!("http://{}", plivo.address))
        // The one line that names the addresses is needed.
        .env("POSTCALL__LOGS__FILTER", format!("{logs},postcall::app=info"))
        .stdout(Stdio::piped());
    if store.starts_with("postgres") {
        command.env("POSTCALL__STORE__REPLICA", format!("replica-{number}"));
    }
    if variant == Variant::WithoutDelivery {
        command.env("POSTCALL__DELIVERY__DELAY", "1h");
    }
    let mut process = command.spawn().context("starting the service")?;
    let address = listeners(&mut process)?["public"].as_str().context("an address")?.parse()?;
    Ok((address, process))
}
