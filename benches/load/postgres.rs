//! A PostgreSQL server from the machine's own binaries, as it comes: what it commits is synced.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use postcall::clock::Clock;
use postcall::store::postgres::{Address, LeaseClock, Options, PostgresStore};
use tempfile::TempDir;

use crate::installed::newest_binaries;
use crate::process;
use crate::settings::FOLDER;

/// How long the server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Whom PostgreSQL runs as where root starts it, which it refuses.
const NOBODY: u32 = 65534;

/// The database that those with a million submissions are copies of.
const MILLION: &str = "million";

/// A million submissions that have ended, over the last 25 days, and ten thousand that are due in 20 minutes, with
/// webhooks and keys.
const ROWS: &str = "
    INSERT INTO submissions (seq, id, account, survey, call, state, accepted_at, due_at, fence, settled_at,
            retention, checksum, document)
        SELECT at * 1000, gen_random_uuid(), 'main', 'quick', gen_random_uuid(), 'delivered', at, at, 1, at, 2, 0,
                repeat('x', 700)
            FROM (SELECT (extract(epoch FROM now())::bigint - n * 2) * 1000000 AS at
                FROM generate_series(10001, 1010000) AS n) AS times;
    INSERT INTO submissions (seq, id, account, survey, call, state, accepted_at, due_at, fence, checksum, document)
        SELECT at * 1000, gen_random_uuid(), 'other', 'quick', gen_random_uuid(), 'pending', at,
                (extract(epoch FROM now())::bigint + 1200) * 1000000, 0, 0, repeat('x', 500)
            FROM (SELECT (extract(epoch FROM now())::bigint - n * 2) * 1000000 AS at
                FROM generate_series(1, 10000) AS n) AS times;
    INSERT INTO due (seq, account, due_at, fence, due_since)
        SELECT seq, account, due_at, fence, due_since FROM submissions WHERE settled_at IS NULL;
    INSERT INTO webhooks (submission, received_at, id, source, outcome, method, body)
        SELECT seq, accepted_at, id, 'ivr', 'created', 'POST', convert_to(repeat('x', 300), 'UTF8') FROM submissions;
    INSERT INTO idempotency_keys (source, key, digest, submission, used_at, expires)
        SELECT 'ivr', convert_to(gen_random_uuid()::text, 'UTF8'), 'x', id, accepted_at, TRUE FROM submissions;
    INSERT INTO scopes VALUES ('main', 'quick'), ('other', 'quick');
    INSERT INTO state_counts (slot, accepted, pending, delivered) VALUES (1000, 1010000, 10000, 1000000)";

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
        while !server.is_ready()? {
            ensure!(began.elapsed() < PATIENCE, "PostgreSQL does not start");
            thread::sleep(LOOK_EVERY);
        }
        Ok(server)
    }

    /// Creates a database, empty or with a million submissions; returns its address.
    pub fn create(&self, name: &str, has_million: bool) -> anyhow::Result<String> {
        let template = if has_million { MILLION } else { "template0" };
        self.execute("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"))?;
        Ok(self.url(name))
    }

    /// Makes what those with a million submissions are copied from.
    pub fn prepare_million(&self) -> anyhow::Result<()> {
        self.create(MILLION, false)?;
        let address = Address::new(self.url(MILLION).parse()?, postcall::destination::tls(), None);
        // It brings the database to the form of this release.
        drop(PostgresStore::open(Options {
            address,
            replica: "template".to_owned(),
            write_queue: 1,
            lease: Duration::from_secs(1),
            lease_clock: LeaseClock::Process,
            clock: Clock::system(),
            observer: Arc::new(()),
        })?);
        self.execute(MILLION, ROWS)?;
        self.execute(MILLION, "VACUUM ANALYZE")
    }

    fn is_ready(&self) -> anyhow::Result<bool> {
        let port = self.address.port().to_string();
        let ready = command("pg_isready")?
            .args(["--quiet", "--host=127.0.0.1", "--port", &port])
            .status()?;
        Ok(ready.success())
    }

    fn execute(&self, database: &str, statement: &str) -> anyhow::Result<()> {
        let url = self.url(database);
        let done = command("psql")?
            .args(["--quiet", "--set", "ON_ERROR_STOP=1", "--command", statement, &url])
            .status()?;
        ensure!(done.success(), "psql failed: {done}");
        Ok(())
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postcall@{}/{database}", self.address)
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
    let newest = newest_binaries().context("PostgreSQL: run scripts/databases")?;
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
