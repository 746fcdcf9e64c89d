//! The world in which the service lives: callers, Plivo, an operator, and the service itself, whole
//! and on real sockets.
//!
//! A [`TestEnv`] speaks in what these do. What became of it is read from the store, from Plivo's
//! stand-in and from the figures, never from inside the service.

mod api;
mod caller;
mod figures;
mod panics;
mod plivo;
mod rounds;
mod store;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use postcall::app::{App, AppError, Reread};
use postcall::clock::Clock;
use postcall::random::Random;
use postcall::settings::{Environment, Settings};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

pub use self::caller::{Callback, Caller, FROM, TO};
pub use self::figures::Figures;
pub use self::plivo::Plivo;
pub use self::rounds::Rounds;
pub use self::store::{StoreContents, Submission};

use crate::process::{Ended, Process};
use crate::wire::{Reply, exchange, request};

/// The account at Plivo; in the settings it stands twice, as `main` and as `other`.
pub const AUTH_ID: &str = "MAXXXXXXXXXXXXXXXXXX";

/// The token that Plivo knows.
pub const TOKEN: &str = "the-token-that-plivo-knows";

/// What everybody else calls the service.
pub const PUBLIC_URL: &str = "https://surveys.example.com";

/// `@folder@` and `@plivo@` are filled in.
pub const SETTINGS: &str = r#"
public: { listen: "127.0.0.1:0", url: "https://surveys.example.com" }
admin: { listen: "127.0.0.1:0" }
store: { url: "sqlite:@folder@/store.db" }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { file: "@folder@/token" }, api: "@plivo@" }
  other: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { value: the-token-that-plivo-knows }, api: "@plivo@" }
sources:
  quick: { preset: plivo, account: main, survey: quick }
  ivr: { preset: plivo, account: main, survey: quality, reply: { xml: "<Response><Speak>Thank you.</Speak></Response>" } }
  polite: { preset: plivo, account: main, survey: quick, on_reject: reply, reply: { json: { thanks: true } } }
  tenant: { preset: plivo, account: other, survey: quick }
surveys:
  quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score }, complete: { timeout: 0s } }
  quality:
    questions: [{ name: score, answers: 1-5 }, { name: problem, answers: 1-3 }]
    rating: { question: score }
    issues: { question: problem, choices: [{ answer: 1, issue: ECHO }, { answer: 2, issue: ONE_WAY_AUDIO }] }
    notes: "IVR survey: {{ score }} of 5"
    complete: { timeout: 1h }
delivery: { delay: 0s, probe_interval: 20ms, retry: { initial_backoff: 1ms, max_backoff: 20ms } }
shutdown: { drain_delay: 0s }
"#;

pub struct TestEnv {
    pub plivo: Plivo,
    pub store: StoreContents,
    folder: TempDir,
    settings: String,
    variables: Vec<(String, String)>,
    clock: Clock,
    /// `None` while it is down, or runs as a process of its own.
    service: Option<Service>,
    process: Option<Process>,
}

/// A running service, on a thread of its own.
struct Service {
    public: SocketAddr,
    admin: SocketAddr,
    reread: mpsc::Sender<Reread>,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<(), AppError>>,
}

impl TestEnv {
    /// The service runs and Plivo answers.
    pub fn new() -> Self {
        Self::with(&[])
    }

    /// As [`new`](Self::new), with some settings otherwise: `("DELIVERY__TIMEOUT", "100ms")`.
    pub fn with(variables: &[(&str, &str)]) -> Self {
        let mut test_env = Self::of(SETTINGS);
        test_env.set(variables);
        test_env.start();
        test_env
    }

    /// Settings are written and the service does not run yet.
    pub fn of(settings: &str) -> Self {
        panics::watch();
        let folder = TempDir::new().unwrap();
        let test_env = Self {
            plivo: Plivo::start(),
            store: StoreContents::at(folder.path().join("store.db")),
            settings: settings.to_owned(),
            folder,
            variables: Vec::new(),
            clock: Clock::system(),
            service: None,
            process: None,
        };
        test_env.operator_writes_the_token(TOKEN);
        test_env
    }

    /// A service that is started afterwards goes by this clock.
    pub fn with_clock(mut self, clock: &Clock) -> Self {
        self.clock = clock.clone();
        self
    }

    /// The operator sets variables; they hold from the next start.
    pub fn set(&mut self, variables: &[(&str, &str)]) {
        self.variables.extend(
            variables
                .iter()
                .map(|(name, value)| (format!("POSTCALL__{name}"), (*value).to_owned())),
        );
    }

    /// Variables of the environment of a process that is started afterwards.
    pub fn set_environment(&mut self, variables: Vec<(String, String)>) {
        self.variables.extend(variables);
    }

    pub fn operator_writes_the_token(&self, token: &str) {
        fs::write(self.folder.path().join("token"), token).unwrap();
    }

    pub fn start(&mut self) {
        assert!(self.service.is_none(), "the service runs already");
        let app =
            App::build(self.checked_settings(), self.clock.clone(), Random::system()).unwrap();
        let (public, admin) = (app.public_address(), app.admin_address());
        let (reread, rereads) = mpsc::channel(1);
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            actix_web::rt::System::new().block_on(app.run(rereads, async {
                // The end comes also where no one is there to tell it.
                let _ = stopped.await;
            }))
        };
        let thread = thread::Builder::new().name("service".to_owned()).spawn(serve).unwrap();
        self.service = Some(Service { public, admin, reread, stop, thread });
    }

    /// The operator writes other settings. They are not known to a service that runs; where it is
    /// a process, they are in its file, which it may notice.
    pub fn operator_rewrites(&mut self, rewrite: impl FnOnce(&str) -> String) {
        self.settings = rewrite(&self.settings);
        if self.process.is_some() {
            self.write_settings_file();
        }
    }

    /// The settings are read again, as with SIGHUP, and come into force or do not.
    pub fn reload(&self) {
        let before = self.reloads();
        match (&self.service, &self.process) {
            (Some(service), _) => service.reread.blocking_send(self.settings()).unwrap(),
            (None, Some(process)) => process.signal("HUP"),
            (None, None) => panic!("the service does not run"),
        }
        self.until("the settings are read again", || self.reloads() > before);
    }

    fn reloads(&self) -> f64 {
        let figures = self.figures();
        ["applied", "rejected", "unchanged"]
            .map(|result| figures.of(&format!("settings_reloads_total{{result=\"{result}\"}}")))
            .iter()
            .sum()
    }

    /// The operator stops the service, as with SIGTERM, and waits for its end.
    pub fn stop(&mut self) {
        let Service { stop, thread, .. } = self.service.take().expect("the service runs");
        // It is gone already only where it failed, which joining tells.
        let _ = stop.send(());
        thread.join().expect("the service does not panic").unwrap();
    }

    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// The real program serves, on its own; it is the test's to end.
    pub fn serve_as_process(&mut self) {
        self.write_settings_file();
        self.process = Some(Process::start_with(&self.settings_file(), &self.variables));
    }

    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("the service runs as a process")
    }

    pub fn until_the_process_ends(&mut self) -> Ended {
        self.process.take().expect("the service runs as a process").ended()
    }

    pub fn public(&self) -> SocketAddr {
        self.doors().0
    }

    /// What the admin listener says.
    pub fn ask(&self, path: &str) -> Reply {
        exchange(self.doors().1, &request("GET", path, &[], b""))
    }

    fn doors(&self) -> (SocketAddr, SocketAddr) {
        match (&self.service, &self.process) {
            (Some(service), _) => (service.public, service.admin),
            (None, Some(process)) => (process.public, process.admin),
            (None, None) => panic!("the service does not run"),
        }
    }

    pub fn is_ready(&self) -> bool {
        self.ask("/readyz").status == 200
    }

    /// The program in another window, with the same settings; it is the test's to run.
    pub fn postcall(&self, arguments: &[&str]) -> Command {
        self.write_settings_file();
        let mut command = crate::process::postcall(arguments, &self.settings_file());
        command.envs(self.variables.iter().cloned());
        command
    }

    /// In which everything of this world lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where probes, figures and those at the desk are answered.
    pub fn private(&self) -> SocketAddr {
        self.doors().1
    }

    /// Whoever was on this call and is asked how it was.
    pub fn caller(&self, call: &str) -> Caller<'_> {
        Caller::of(self, call)
    }

    #[track_caller]
    pub fn until_it_is(&self, call: &str, state: &str) -> Submission {
        let now = || self.store.submission(call).expect("the call is known");
        self.until(&format!("{call} is {state}"), || now().state == state);
        now()
    }

    /// Waits for what comes by itself; the one place of all tests that looks again and again,
    /// because what it looks at lies behind a socket or in a file that other threads write.
    #[track_caller]
    pub fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < PATIENCE, "waited in vain until {what}: {self:?}");
            thread::park_timeout(LOOK_EVERY);
        }
    }

    fn settings_file(&self) -> PathBuf {
        self.folder.path().join("settings.yaml")
    }

    /// Whole or not at all, as a mounted ConfigMap changes.
    fn write_settings_file(&self) {
        let draft = self.folder.path().join("settings.yaml.new");
        fs::write(&draft, self.filled_settings()).unwrap();
        fs::rename(draft, self.settings_file()).unwrap();
    }

    fn checked_settings(&self) -> Settings {
        self.settings().unwrap_or_else(|faults| panic!("{faults}"))
    }

    fn settings(&self) -> Reread {
        let environment: Environment = self.variables.iter().cloned().collect();
        Settings::from_yaml(&self.filled_settings(), environment)
    }

    fn filled_settings(&self) -> String {
        self.settings
            .replace("@folder@", self.folder.path().to_str().unwrap())
            .replace("@plivo@", &format!("http://{}", self.plivo.address()))
    }
}

/// Far longer than anything takes; a test that waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

const LOOK_EVERY: Duration = Duration::from_millis(5);

impl Drop for TestEnv {
    fn drop(&mut self) {
        if thread::panicking() {
            // One failure is enough to tell; the service ends with the sender of its end.
            return;
        }
        if self.service.is_some() {
            self.stop();
        }
        panics::assert_none();
    }
}

impl std::fmt::Debug for TestEnv {
    /// For a test that failed: what lies in the store, and what Plivo counted.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // It may be in a database.
        if self.store.path().exists() {
            writeln!(f, "{:#?}", self.store.submissions())?;
        }
        writeln!(f, "Plivo: {}", self.plivo.summary())
    }
}
