//! A PostgreSQL server from the machine's own binaries, as it comes: what it commits is synced.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tempfile::TempDir;

use crate::process;
use crate::settings::FOLDER;

/// Where Debian has the binaries of its releases of PostgreSQL.
const INSTALLED: &str = "/usr/lib/postgresql";

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whom PostgreSQL runs as where root starts it, which it refuses.
const NOBODY: u32 = 65534;

/// Stopped when it is dropped.
pub struct Postgres {
    address: SocketAddr,
    server: Child,
    _folder: TempDir,
}

impl Postgres {
    pub fn start() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("load-pg-").tempdir_in(FOLDER)?;
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY))?;
        }
        let data = folder.path().join("data");
        let made = command("initdb")?
            .args([
                "--username=postcall",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-locale",
                "--pgdata",
            ])
            .arg(&data)
            .stdout(Stdio::null())
            .status()?;
        ensure!(made.success(), "initdb failed: {made}");
        let address = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?;
        let server = command("postgres")?
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(folder.path())
            .args(["-p", &address.port().to_string(), "-c", "listen_addresses=127.0.0.1"])
            .stderr(Stdio::null())
            .spawn()?;
        let server = Self { address, server, _folder: folder };
        let began = Instant::now();
        while TcpStream::connect(address).is_err() {
            ensure!(began.elapsed() < PATIENCE, "PostgreSQL does not listen");
            thread::sleep(LOOK_EVERY);
        }
        Ok(server)
    }

    /// Creates an empty database; returns its address.
    pub fn create(&self, name: &str) -> anyhow::Result<String> {
        let url = |name: &str| format!("postgres://postcall@{}/{name}", self.address);
        let made = command("psql")?
            .args(["--quiet", "--command", &format!("CREATE DATABASE {name}"), &url("postgres")])
            .status()?;
        ensure!(made.success(), "CREATE DATABASE failed: {made}");
        Ok(url(name))
    }

    /// CPU time of the server and of all its backends so far.
    pub fn cpu(&self) -> anyhow::Result<Duration> {
        process::cpu_of_family(self.server.id())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // Its backends end with it; it may have ended already.
        let _ = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        let _ = self.server.wait();
    }
}

/// A program of the newest release that is installed, as a user that PostgreSQL accepts.
fn command(program: &str) -> anyhow::Result<Command> {
    let releases = std::fs::read_dir(INSTALLED).context("PostgreSQL: run scripts/databases")?;
    let binaries = releases.filter_map(|release| Some(release.ok()?.path().join("bin")));
    let of_release = |path: &PathBuf| path.parent()?.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = binaries.max_by_key(of_release).context("PostgreSQL: run scripts/databases")?;
    let mut command = Command::new(newest.join(program));
    if rustix::process::geteuid().is_root() {
        command = Command::new("setpriv");
        command
            .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"])
            .arg(newest.join(program));
    }
    command.current_dir("/");
    Ok(command)
}
