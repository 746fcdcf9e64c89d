//! The service as it is shipped, in a process of its own, with a fresh ledger.

use std::fmt;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use postcall::simulator::{Options, Simulator};
use postcall::store::sqlite::ReadOnly;
use serde_json::Value;
use tempfile::TempDir;

use crate::Variant;
use crate::settings::{FOLDER, SETTINGS};

/// How long everything may take to be delivered after the last answer.
const PATIENCE: Duration = Duration::from_secs(120);

const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Service {
    pub public: SocketAddr,
    private: SocketAddr,
    variant: Variant,
    process: Child,
    simulator: Simulator,
    folder: TempDir,
}

/// What a run came to, beside its rate.
pub struct Account {
    delivered: u64,
    /// From the last answer to the last delivery.
    delivered_after: Duration,
    commits: f64,
    group: f64,
    sync: Duration,
}

impl Service {
    pub fn start(variant: Variant, logs: &str) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("load-").tempdir_in(FOLDER)?;
        let settings = folder.path().join("postcall.yaml");
        let written = match variant {
            Variant::WithoutSignature => SETTINGS.replace("{ preset", "{ signature: none, preset"),
            Variant::Whole | Variant::WithoutDelivery => SETTINGS.to_owned(),
        };
        std::fs::write(&settings, written)?;
        let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), Options::default())?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
        command
            .args(["serve", "--config"])
            .arg(&settings)
            .env("POSTCALL__STORE__URL", format!("sqlite:{}", ledger(&folder).display()))
            .env("POSTCALL__ACCOUNTS__MAIN__API", format!("http://{}", simulator.addr()))
            // The one line that says where the doors are is needed.
            .env("POSTCALL__LOGS__FILTER", format!("{logs},postcall::app=info"))
            .stdout(Stdio::piped());
        if variant == Variant::WithoutDelivery {
            command.env("POSTCALL__DELIVERY__DELAY", "1h");
        }
        let mut process = command.spawn().context("starting the service")?;
        let mut said = BufReader::new(process.stdout.take().context("the service's output")?);
        let mut line = String::new();
        said.read_line(&mut line)?;
        let serving: Value = serde_json::from_str(&line).context("the service's first line")?;
        let door = |name: &str| -> anyhow::Result<SocketAddr> {
            Ok(serving[name].as_str().context("an address")?.parse()?)
        };
        let (public, private) = (door("public")?, door("private")?);
        // A full pipe would stop it.
        thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Ok(Self { public, private, variant, process, simulator, folder })
    }

    /// Waits until everything is delivered, and holds the ledger and the stand-in to it.
    pub fn finish(mut self, hooks: usize) -> anyhow::Result<Account> {
        let hooks = hooks as u64;
        let answered = Instant::now();
        let ledger = ReadOnly::open(&ledger(&self.folder))?;
        let delivers = self.variant != Variant::WithoutDelivery;
        let totals = loop {
            let totals = ledger.figures()?.totals;
            if !delivers || totals.waiting() == 0 {
                break totals;
            }
            ensure!(answered.elapsed() < PATIENCE, "not delivered in time: {totals:?}");
            thread::sleep(LOOK_EVERY);
        };
        let delivered_after = answered.elapsed();
        ensure!(totals.accepted == hooks && totals.balance(), "the books are wrong: {totals:?}");
        let heard = get(self.simulator.addr(), "/simulator/summary")?;
        let heard: Value = serde_json::from_str(&heard).context("the stand-in's summary")?;
        let expected = if delivers { hooks } else { 0 };
        ensure!(totals.delivered == expected, "not all was delivered: {totals:?}");
        ensure!(
            heard["accepted"] == expected && heard["distinct_calls"] == expected,
            "the stand-in heard something else: {heard}"
        );
        let metrics = get(self.private, "/metrics")?;
        let figure = |series: &str| -> anyhow::Result<f64> {
            let line =
                metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
            Ok(line.with_context(|| format!("no {series}"))?.parse()?)
        };
        let commits = figure("postcall_commit_duration_seconds_count")?;
        let account = Account {
            delivered: totals.delivered,
            delivered_after,
            commits,
            group: figure("postcall_commit_group_size_sum")? / commits,
            sync: Duration::from_secs_f64(
                figure("postcall_commit_duration_seconds_sum")? / commits,
            ),
        };
        self.process.kill()?;
        self.process.wait()?;
        Ok(account)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It has ended already where the run ended well.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} delivered {:.2?} after the last answer; {} commits of {:.1} commands, {:.2?} each",
            self.delivered, self.delivered_after, self.commits, self.group, self.sync
        )
    }
}

fn ledger(folder: &TempDir) -> PathBuf {
    folder.path().join("postcall.db")
}

fn get(address: SocketAddr, path: &str) -> anyhow::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: load\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").context("an answer")?;
    Ok(body.to_owned())
}
