//! A PostgreSQL server for the tests of this process: started once from the machine's own binaries, and
//! gone with the process. `DATABASE_URL` names one of the developer's instead, whose user may create
//! databases.

mod installed;
mod pair;
mod proxy;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};

use postcall::clock::Clock;
use postcall::store::postgres::{Address, LeaseClock, Options, PostgresStore};
use tempfile::TempDir;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use self::installed::newest_binaries;
pub use self::pair::Pair;
pub use self::proxy::Proxy;

/// How long the server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The password of the user, who needs it over TCP alone.
pub const PASSWORD: &str = "the-password-of-the-database";

/// The database that those of the tests are copies of.
const TEMPLATE: &str = "postcall_template";

/// A server; `None` where there is none.
static SERVER: LazyLock<Option<Server>> = LazyLock::new(|| {
    let server = match std::env::var("DATABASE_URL") {
        Ok(url) => Server { config: url.parse().expect("DATABASE_URL is an address"), own: None },
        Err(_) => Server::start()?,
    };
    server.make_template();
    Some(server)
});

/// Whether there is a server. In CI there has to be one.
pub fn is_available() -> bool {
    let is_available = SERVER.is_some();
    assert!(is_available || std::env::var_os("CI").is_none(), "PostgreSQL is not installed");
    if !is_available {
        eprintln!("skipped: PostgreSQL is not installed");
    }
    is_available
}

/// Whether there is a pooler before the server. In CI there has to be one.
pub fn is_pooler_available() -> bool {
    static IS_AVAILABLE: LazyLock<bool> = LazyLock::new(|| {
        let server = SERVER.as_ref().filter(|server| server.own.is_some());
        server.is_some_and(Server::is_pooler_started)
    });
    let is_available = is_available() && *IS_AVAILABLE;
    let is_optional =
        std::env::var_os("CI").is_none() || std::env::var_os("DATABASE_URL").is_some();
    assert!(is_available || is_optional, "PgBouncer is not installed");
    if !is_available {
        eprintln!("skipped: PgBouncer is not installed");
    }
    is_available
}

struct Server {
    config: Config,
    own: Option<Own>,
}

/// A server of our own. The shell that started it stops it when this process ends.
struct Own {
    _shell: Mutex<Child>,
    folder: TempDir,
}

impl Server {
    fn start() -> Option<Self> {
        let binaries = newest_binaries()?;
        let port = free_port();
        let folder = server_folder();
        // It reads its input until this process ends, however that happens.
        let script = r#"
            bouncer= tls=off PATH=$PATH:/usr/sbin
            cd "$2" || exit 1
            if command -v openssl >/dev/null; then
                {
                    key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
                    openssl req -x509 $key -days 2 -subj '/CN=A CA of the tests' -keyout ca.key -out ca.crt
                    openssl req $key -subj /CN=localhost -keyout server.key -out server.csr
                    echo 'subjectAltName = DNS:localhost' >server.ext
                    openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
                        -extfile server.ext -out server.crt
                } >openssl.log 2>&1
                chmod 600 server.key
                tls=on
            fi
            "$1/initdb" -D "$2/data" -U postgres -A trust -E UTF8 --locale=C --no-sync >"$2/initdb.log" 2>&1 || exit 1
            printf '%s\n' 'local all all trust' 'hostssl all all all scram-sha-256' >data/pg_hba.conf
            if command -v pgbouncer >/dev/null; then
                printf '%s\n' '[databases]' "* = host=$2 port=$3 user=postcall" '[pgbouncer]' \
                    "unix_socket_dir = $2" 'listen_port = 6432' 'auth_type = any' \
                    'pool_mode = transaction' 'max_client_conn = 500' 'default_pool_size = 5' \
                    "logfile = $2/pgbouncer.log" 'ignore_startup_parameters = extra_float_digits' \
                    'server_idle_timeout = 5' >"$2/pgbouncer.ini"
                pgbouncer -q "$2/pgbouncer.ini" >/dev/null 2>&1 &
                bouncer=$!
            fi
            "$1/postgres" -D "$2/data" -k "$2" -p "$3" -c listen_addresses=localhost -c fsync=off \
                -c log_line_prefix='%d ' \
                -c ssl=$tls -c ssl_cert_file="$2/server.crt" -c ssl_key_file="$2/server.key" \
                -c full_page_writes=off -c max_connections=200 -c shared_buffers=64MB \
                -c autovacuum=off >"$2/server.log" 2>&1 &
            cat >/dev/null
            kill -QUIT $!
            # It takes this signal for the order to end at once.
            kill -TERM $bouncer
            wait
            rm -rf "$2""#;
        let shell = server_shell(script)
            .args([&binaries, folder.path()])
            .arg(port.to_string())
            .spawn()
            .expect("the server's shell starts");
        let mut config = Config::new();
        config.host_path(folder.path()).port(port).user("postgres").dbname("postgres");
        let own = Own { _shell: Mutex::new(shell), folder };
        let mut server = Self { config, own: Some(own) };
        server.wait_until_started();
        // Whom nothing is allowed that the documentation does not ask for.
        server.execute(&format!("CREATE ROLE postcall LOGIN CREATEDB PASSWORD '{PASSWORD}'"));
        server.config.user("postcall");
        Some(server)
    }

    fn wait_until_started(&self) {
        let began = Instant::now();
        while run(self.config.clone(), async |_| ()).is_err() {
            assert!(began.elapsed() < START_TIMEOUT, "PostgreSQL did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn log(&self) -> String {
        let folder = self.own.as_ref().expect("the test was skipped otherwise").folder.path();
        std::fs::read_to_string(folder.join("server.log")).unwrap()
    }

    /// The port of the pooler, whose socket is beside that of the server.
    const POOLER: u16 = 6432;

    fn is_pooler_started(&self) -> bool {
        let is_installed = Command::new("pgbouncer").arg("--version").output().is_ok();
        // Not the template, which nothing may be connected to while it is copied.
        let config = self.pooled_config_of("postgres");
        let began = Instant::now();
        while is_installed && run(config.clone(), async |_| ()).is_err() {
            assert!(began.elapsed() < START_TIMEOUT, "PgBouncer did not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        is_installed
    }

    /// A database with the schema of this release and nothing in it.
    fn make_template(&self) {
        let statements = format!("DROP DATABASE IF EXISTS {TEMPLATE}; CREATE DATABASE {TEMPLATE}");
        for statement in statements.split("; ") {
            self.execute(statement);
        }
        let store = PostgresStore::open(Options {
            address: self.address(TEMPLATE),
            replica: "template".to_owned(),
            write_queue: 1,
            lease: Duration::from_secs(1),
            lease_clock: LeaseClock::Process,
            clock: Clock::system(),
            observer: std::sync::Arc::new(()),
        });
        drop(store.unwrap());
        self.revoke_advisory_locks();
    }

    /// No promise may depend on a lock that other engines do not have.
    fn revoke_advisory_locks(&self) {
        if self.own.is_none() {
            return;
        }
        let mut config = self.config_of(TEMPLATE);
        config.user("postgres");
        let revoke = r"DO $$ DECLARE lock regprocedure; BEGIN
            FOR lock IN SELECT oid::regprocedure FROM pg_proc WHERE proname ~ '^pg_(try_)?advisory'
            LOOP EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', lock); END LOOP;
        END $$";
        run(config, async |client| client.batch_execute(revoke).await.unwrap()).unwrap();
    }

    fn execute(&self, statement: &str) {
        run(self.config.clone(), async |client| client.batch_execute(statement).await.unwrap())
            .unwrap();
    }

    fn config_of(&self, database: &str) -> Config {
        let mut config = self.config.clone();
        config.dbname(database);
        config
    }

    /// Through the pooler, which only a server of our own has.
    fn pooled_config_of(&self, database: &str) -> Config {
        let folder = self.own.as_ref().expect("the test was skipped otherwise").folder.path();
        let mut config = Config::new();
        config.host_path(folder).port(Self::POOLER).user("postcall").dbname(database);
        config
    }

    fn address(&self, database: &str) -> Address {
        Address::new(self.config_of(database), postcall::destination::tls(), None)
    }
}

/// A folder that a [`server_shell`] may write to.
fn server_folder() -> TempDir {
    let folder = tempfile::Builder::new().prefix("postcall-pg").tempdir().unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(folder.path(), Some(65534), Some(65534)).unwrap();
    }
    folder
}

/// A shell that runs a script whose input stays open for as long as this process runs. It is not root's, as
/// which PostgreSQL refuses to run.
fn server_shell(script: &str) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh"]);
        command
    } else {
        Command::new("sh")
    };
    command
        .args(["-c", script, "sh"])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Runs something with a connection, on a thread of its own: a test may be in a runtime already.
pub fn run<T: Send>(
    config: Config,
    run: impl AsyncFnOnce(&Client) -> T + Send,
) -> Result<T, tokio_postgres::Error> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let (client, connection) = config.connect(NoTls).await?;
                let connection = tokio::spawn(connection);
                let result = run(&client).await;
                drop(client);
                // The server knows that it ended, so that the database can be dropped or copied.
                let _ = connection.await;
                Ok(result)
            })
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The one number that a statement selects.
pub fn number(database: &Config, statement: &str) -> i64 {
    let select = async |client: &Client| client.query_one(statement, &[]).await.unwrap().get(0);
    run(database.clone(), select).unwrap()
}

/// A database of its own, dropped with this.
pub struct TestDatabase {
    name: String,
}

impl Default for TestDatabase {
    fn default() -> Self {
        Self::new()
    }
}

impl TestDatabase {
    /// One that is empty but for the schema.
    pub fn new() -> Self {
        Self::create(&format!("TEMPLATE {TEMPLATE}"))
    }

    /// One that is empty, in an encoding.
    pub fn in_encoding(encoding: &str) -> Self {
        Self::create(&format!("TEMPLATE template0 ENCODING '{encoding}'"))
    }

    fn create(how: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("postcall_test_{}_{number}", std::process::id());
        // A template is copied by one at a time.
        static COPYING: Mutex<()> = Mutex::new(());
        let _copying = COPYING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        server().execute(&format!("CREATE DATABASE {name} {how}"));
        Self { name }
    }

    /// As the settings name it.
    pub fn url(&self) -> String {
        use tokio_postgres::config::Host;
        match (std::env::var("DATABASE_URL"), &server().config.get_hosts()[0]) {
            (Ok(url), _) => {
                let (server, _) = url.rsplit_once('/').expect("DATABASE_URL names a database");
                format!("{server}/{}", self.name)
            }
            (_, Host::Unix(folder)) => {
                let (name, port) = (&self.name, server().config.get_ports()[0]);
                format!("postgres://postcall@/{name}?host={}&port={port}", folder.display())
            }
            (_, Host::Tcp(host)) => format!("postgres://postcall@{host}/{}", self.name),
        }
    }

    /// As the settings name it over TLS, and the file of the certificate that signed the server's; `None`
    /// if the server has no TLS.
    pub fn tls_url(&self) -> Option<(String, PathBuf)> {
        let ca_file = server().own.as_ref()?.folder.path().join("ca.crt");
        let (name, port) = (&self.name, server().config.get_ports()[0]);
        let url = format!("postgres://postcall@localhost:{port}/{name}?sslmode=verify-full");
        ca_file.exists().then_some((url, ca_file))
    }

    pub fn config(&self) -> Config {
        server().config_of(&self.name)
    }

    pub fn address(&self) -> Address {
        server().address(&self.name)
    }

    /// Through the pooler.
    pub fn pooled_address(&self) -> Address {
        let config = server().pooled_config_of(&self.name);
        Address::new(config, postcall::destination::tls(), None)
    }

    /// As [`pooled_address`](Self::pooled_address), with a second host that nothing listens at.
    pub fn pooled_address_beside_one_that_is_down(&self) -> Address {
        let mut config = server().pooled_config_of(&self.name);
        config.host_path("/nowhere").port(Server::POOLER);
        Address::new(config, postcall::destination::tls(), None)
    }

    /// Through a proxy that can lose a connection; `None` if the server is not our own.
    pub fn proxied(&self) -> Option<(Address, Proxy)> {
        let folder = server().own.as_ref()?.folder.path();
        let port = server().config.get_ports()[0];
        let proxy = Proxy::start(folder.join(format!(".s.PGSQL.{port}")));
        let mut config = Config::new();
        config.host("127.0.0.1").port(proxy.port).user("postcall").dbname(&self.name);
        config.ssl_mode(SslMode::Disable);
        Some((Address::new(config, postcall::destination::tls(), None), proxy))
    }

    /// Ends all connections and takes no more, as a server that is away, or takes them again.
    pub fn be_away(&self, is_away: bool) {
        let name = &self.name;
        server().execute(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {}", !is_away));
        if is_away {
            server().execute(&format!(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            ));
        }
    }

    /// Waits until so many statements of other connections wait for a lock.
    pub fn wait_until_blocked(&self, statements: i64) {
        let blocked = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let began = Instant::now();
        while self.number(blocked) < statements {
            assert!(began.elapsed() < START_TIMEOUT, "nothing waits for a lock");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sets a parameter for the connections that are made from now on.
    pub fn set(&self, parameter: &str, value: &str) {
        server().execute(&format!("ALTER DATABASE {} SET {parameter} = '{value}'", self.name));
    }

    /// Has the plan of each statement logged that the connections run that are made from now on; returns
    /// whether the server is our own, so that it can.
    pub fn log_plans(&self) -> bool {
        if server().own.is_none() {
            return false;
        }
        let mut config = server().config_of(&self.name);
        config.user("postgres");
        let name = &self.name;
        let statements = format!(
            "LOAD 'auto_explain';
            ALTER DATABASE {name} SET session_preload_libraries = 'auto_explain';
            ALTER DATABASE {name} SET auto_explain.log_min_duration = 0;
            ALTER DATABASE {name} SET auto_explain.log_analyze = on;
            ALTER DATABASE {name} SET log_min_duration_statement = 0;
            ALTER DATABASE {name} SET auto_explain.log_nested_statements = on"
        );
        run(config, async |client| client.batch_execute(&statements).await.unwrap()).unwrap();
        true
    }

    /// Under which name each statement was executed, with the first line of its text, where plans are logged.
    pub fn executed(&self) -> Vec<(String, String)> {
        let prefix = format!("{} LOG:  duration: ", self.name);
        let lines = server().log();
        let executed = lines.lines().filter_map(|line| {
            let (_took, what) = line.strip_prefix(&prefix)?.split_once(" ms  execute ")?;
            let (name, text) = what.split_once(": ")?;
            Some((name.to_owned(), text.to_owned()))
        });
        executed.collect()
    }

    /// The plans that were logged, each with its statement.
    pub fn plans(&self) -> Vec<String> {
        let log = server().log();
        let prefix = format!("{} LOG:  duration: ", self.name);
        let mut plans = Vec::new();
        let mut is_plan = false;
        for line in log.lines() {
            if !line.starts_with('\t') {
                is_plan = line.starts_with(&prefix) && line.ends_with("plan:");
                if is_plan {
                    plans.push(String::new());
                }
            } else if let (true, Some(plan)) = (is_plan, plans.last_mut()) {
                plan.push_str(line.trim_start());
                plan.push('\n');
            }
        }
        plans
    }

    /// Runs something with a connection.
    pub fn with<T: Send>(&self, with: impl AsyncFnOnce(&Client) -> T + Send) -> T {
        run(server().config_of(&self.name), with).unwrap()
    }

    /// The one number that a statement selects.
    pub fn number(&self, statement: &str) -> i64 {
        number(&self.config(), statement)
    }

    /// Another database with everything that is committed in this one now.
    pub fn copy(&self) -> Self {
        let copy = Self::new();
        let tables: Vec<String> = self.with(async |client| {
            let tables = "SELECT table_name::text FROM information_schema.tables
                WHERE table_schema = 'public' AND table_name NOT LIKE 'schema%'";
            let rows = client.query(tables, &[]).await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        });
        let contents: Vec<(String, Vec<u8>)> = self.with(async |client| {
            // All of one moment.
            client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
            let mut contents = Vec::new();
            for table in tables {
                let rows = client.copy_out(&format!("COPY {table} TO STDOUT BINARY")).await;
                let rows: Vec<bytes::Bytes> =
                    futures_util::TryStreamExt::try_collect(rows.unwrap()).await.unwrap();
                contents.push((table, rows.concat()));
            }
            contents
        });
        copy.with(async |client| {
            for (table, rows) in contents {
                client.batch_execute(&format!("TRUNCATE {table}")).await.unwrap();
                let copy =
                    client.copy_in(&format!("COPY {table} FROM STDIN BINARY")).await.unwrap();
                let mut copy = std::pin::pin!(copy);
                futures_util::SinkExt::send(&mut copy, bytes::Bytes::from(rows)).await.unwrap();
                copy.as_mut().finish().await.unwrap();
            }
            let restart = "SELECT setval(pg_get_serial_sequence('replicas', 'slot'), max(slot))
                FROM replicas";
            client.query(restart, &[]).await.unwrap();
        });
        copy
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        // What a failed test leaves goes with the server.
        let _ = run(server().config.clone(), async |client| client.batch_execute(&drop).await);
    }
}

fn server() -> &'static Server {
    SERVER.as_ref().expect("the test was skipped otherwise")
}
