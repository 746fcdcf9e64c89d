//! A primary and its synchronous standby: two servers of our own, each behind an address that can be taken
//! away from it.

use std::process::{Child, Command};
use std::time::Instant;

use tempfile::TempDir;
use tokio_postgres::Config;

use super::{Proxy, START_TIMEOUT, free_port, newest_binaries, run, server_folder, server_shell};

const DATABASE: &str = "postcall";

/// The name of the standby, for which each commit of the primary waits.
const STANDBY: &str = "standby";

/// Runs a server until its input ends. No address but its socket reaches it.
const SERVE: &str = r#"
    binaries=$1 folder=$2 port=$3; shift 3
    cd "$folder" || exit 1
    "$binaries/postgres" -D "$folder/data" -k "$folder" -p "$port" -c listen_addresses= \
        -c fsync=off -c full_page_writes=off -c max_connections=100 -c shared_buffers=32MB \
        -c log_connections=on "$@" >>"$folder/server.log" 2>&1 &
    cat >/dev/null
    kill -QUIT $!
    wait"#;

pub struct Pair {
    primary: Node,
    standby: Node,
}

struct Node {
    folder: TempDir,
    port: u16,
    /// The address that services know.
    proxy: Proxy,
    /// `None` while it is down.
    shell: Option<Child>,
}

impl Pair {
    /// The standby follows the primary, which has an empty database.
    pub fn start() -> Self {
        let mut primary = Node::new(|node| {
            let make =
                r#""$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --locale=C --no-sync"#;
            node.shell_to_end(make);
        });
        primary.serve(&["-c", &format!("synchronous_standby_names={STANDBY}")]);
        let standby = Node::new(|node| {
            let from = format!(
                "host={} port={} user=postgres application_name={STANDBY}",
                primary.folder.path().display(),
                primary.port
            );
            let copy =
                r#""$1/pg_basebackup" -D "$2/data" -R -X stream -c fast --no-sync -d "$FROM""#;
            node.shell_to_end(&format!("FROM='{from}'; {copy}"));
        });
        let mut pair = Self { primary, standby };
        pair.standby.serve(&[]);
        let statements = ["CREATE ROLE postcall LOGIN", "CREATE DATABASE postcall OWNER postcall"];
        for statement in statements {
            let execute = async |client: &tokio_postgres::Client| {
                client.batch_execute(statement).await.unwrap();
            };
            run(pair.primary.config("postgres", "postgres"), execute).unwrap();
        }
        pair
    }

    /// Both hosts, as the settings name them.
    pub fn url(&self) -> String {
        let (first, second) = (self.primary.proxy.port, self.standby.proxy.port);
        format!(
            "postgres://postcall@127.0.0.1:{first},127.0.0.1:{second}/{DATABASE}?sslmode=disable"
        )
    }

    /// The machine of the primary is lost: every process of it at once.
    pub fn kill_primary(&mut self) {
        self.primary.kill();
    }

    /// The machine of the primary hangs: it takes connections and answers nothing.
    pub fn hang_primary(&self) {
        self.primary.signal_all("STOP");
    }

    /// No one reaches the primary any more by the address that services know.
    pub fn fence_primary(&self) {
        self.primary.proxy.fence();
    }

    pub fn promote_standby(&self) {
        self.standby.shell_to_end(r#""$1/pg_ctl" promote -D "$2/data" -w"#);
    }

    /// The primary starts again, takes writes and knows nothing of the promotion.
    pub fn restart_primary(&mut self) {
        self.primary.serve(&[]);
    }

    /// The database of the old primary, past its address.
    pub fn old(&self) -> Config {
        self.primary.config("postgres", DATABASE)
    }

    /// The database of the standby that was promoted.
    pub fn promoted(&self) -> Config {
        self.standby.config("postcall", DATABASE)
    }

    /// How often a service has connected to the primary since it was started first.
    pub fn connections_to_primary(&self) -> usize {
        let log = std::fs::read_to_string(self.primary.folder.path().join("server.log")).unwrap();
        log.lines().filter(|line| line.contains("connection authorized: user=postcall")).count()
    }
}

impl Node {
    fn new(make: impl FnOnce(&Self)) -> Self {
        let (folder, port) = (server_folder(), free_port());
        let proxy = Proxy::start(folder.path().join(format!(".s.PGSQL.{port}")));
        let node = Self { folder, port, proxy, shell: None };
        make(&node);
        node
    }

    fn shell(&self, script: &str) -> Command {
        let mut shell = server_shell(script);
        let binaries = newest_binaries().expect("the test was skipped otherwise");
        shell.arg(binaries).arg(self.folder.path()).arg(self.port.to_string());
        shell
    }

    /// Runs a script that ends by itself.
    fn shell_to_end(&self, script: &str) {
        let log = self.folder.path().join("shell.log");
        let script = format!(r#"cd "$2" && {{ {script}; }} >>"$2/shell.log" 2>&1"#);
        let status = self.shell(&script).status().unwrap();
        assert!(status.success(), "{}", std::fs::read_to_string(log).unwrap_or_default());
    }

    /// Waits until it answers.
    fn serve(&mut self, arguments: &[&str]) {
        self.shell = Some(self.shell(SERVE).args(arguments).spawn().unwrap());
        let began = Instant::now();
        while run(self.config("postgres", "postgres"), async |_| ()).is_err() {
            assert!(began.elapsed() < START_TIMEOUT, "PostgreSQL did not start");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// Its processes end where they are.
    fn kill(&mut self) {
        self.signal_all("KILL");
        self.end();
    }

    fn signal_all(&self, name: &str) {
        let file = std::fs::read_to_string(self.folder.path().join("data/postmaster.pid")).unwrap();
        let postmaster = file.lines().next().unwrap();
        // None is started while the others are looked for.
        let signal = r#"kill -STOP "$1" && kill -"$2" $(cat "/proc/$1/task/$1/children") "$1""#;
        let arguments = ["-c", signal, "sh", postmaster, name];
        assert!(Command::new("sh").args(arguments).status().unwrap().success());
    }

    /// Its shell ends once the server has.
    fn end(&mut self) {
        if let Some(mut shell) = self.shell.take() {
            drop(shell.stdin.take());
            let _ = shell.wait();
        }
    }

    fn config(&self, user: &str, database: &str) -> Config {
        let mut config = Config::new();
        config.host_path(self.folder.path()).port(self.port).user(user).dbname(database);
        config
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.shell.is_some() {
            // One that hangs would not end otherwise.
            self.signal_all("KILL");
        }
        self.end();
    }
}
