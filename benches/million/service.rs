//! The service as it is shipped, in a process of its own, on a store that is given to it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use postcall::simulator::{Options, Simulator};
use postcall::store::sqlite::ReadOnly;
use postcall::submission::StateCounts;

use crate::listeners::listeners;
use crate::settings::SETTINGS;

/// How long everything may take to be delivered after the last answer.
const PATIENCE: Duration = Duration::from_secs(120);

const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Service {
    pub public: SocketAddr,
    admin: SocketAddr,
    process: Child,
    _simulator: Simulator,
    store: PathBuf,
    /// What waited when it began.
    waiting: u64,
}

impl Service {
    /// Until it says that it is ready.
    pub fn start(store: &Path) -> anyhow::Result<Self> {
        let settings = store.with_extension("yaml");
        std::fs::write(&settings, SETTINGS)?;
        let simulator = Simulator::start(([127, 0, 0, 1], 0).into(), Options::default())?;
        let mut process = Command::new(env!("CARGO_BIN_EXE_postcall"))
            .args(["serve", "--config"])
            .arg(&settings)
            .env("POSTCALL__STORE__URL", format!("sqlite:{}", store.display()))
            .env("POSTCALL__ACCOUNTS__MAIN__API", format!("http://{}", simulator.addr()))
            // The one line that says where the listeners are is needed.
            .env("POSTCALL__LOGS__FILTER", "warn,postcall::app=info")
            .stdout(Stdio::piped())
            .spawn()
            .context("starting the service")?;
        let serving = listeners(&mut process)?;
        let listener = |name: &str| -> anyhow::Result<SocketAddr> {
            Ok(serving[name].as_str().context("an address")?.parse()?)
        };
        let (public, admin) = (listener("public")?, listener("admin")?);
        let store = store.to_owned();
        let mut service = Self { public, admin, process, _simulator: simulator, store, waiting: 0 };
        service.get("/readyz").context("it is not ready")?;
        service.waiting = service.totals()?.waiting();
        Ok(service)
    }

    /// Until nothing waits but what did from the start.
    pub fn wait_until_delivered(&self) -> anyhow::Result<()> {
        let answered = Instant::now();
        loop {
            let totals = self.totals()?;
            ensure!(totals.balance(), "the state counts are wrong: {totals:?}");
            if totals.waiting() == self.waiting {
                return Ok(());
            }
            ensure!(answered.elapsed() < PATIENCE, "not delivered in time: {totals:?}");
            thread::sleep(LOOK_EVERY);
        }
    }

    /// How long the admin listener takes to answer this, time after time.
    pub fn time(&self, times: usize, target: &str) -> anyhow::Result<Vec<Duration>> {
        let measure = |_| {
            let began = Instant::now();
            self.get(target)?;
            Ok(began.elapsed())
        };
        (0..times).map(measure).collect()
    }

    /// The most that its process ever had in memory, in millions of bytes.
    pub fn memory_mb(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let most = most.and_then(|most| most.trim().strip_suffix("kB")).context("VmHWM")?;
        Ok(most.trim().parse::<f64>()? * 1024.0 / 1e6)
    }

    fn totals(&self) -> anyhow::Result<StateCounts> {
        Ok(ReadOnly::open(&self.store)?.statistics()?.counts)
    }

    fn get(&self, target: &str) -> anyhow::Result<String> {
        let mut stream = TcpStream::connect(self.admin)?;
        write!(stream, "GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").context("an answer")?;
        if !head.starts_with("HTTP/1.1 200") {
            bail!("{target} was answered {head}\n{body}");
        }
        Ok(body.to_owned())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
