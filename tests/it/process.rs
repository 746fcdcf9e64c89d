//! The program itself, as a process of its own that can be told to end, or just be ended.

mod line;

pub use line::{Line, Reply};

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A missing line fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(60);

/// `postcall serve`, until it is dropped.
pub struct Process {
    pub public: SocketAddr,
    pub admin: SocketAddr,
    process: Child,
    said: Mutex<Receiver<Value>>,
    /// Its lines before it served.
    pub said_first: Vec<Value>,
    /// Everything, once it has ended.
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

/// What a process left behind.
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Process {
    /// Waits until both listeners are open. Its logs have to be JSON.
    pub fn start(settings: &Path) -> Self {
        Self::start_with(settings, &[])
    }

    pub fn start_with(settings: &Path, variables: &[(String, String)]) -> Self {
        let mut command = postcall(&["serve"], settings);
        command.envs(variables.iter().cloned());
        Self::of(command)
    }

    /// On a disk that [`leave_room_to`](Self::leave_room_to) can fill: a write beyond its bound
    /// fails as on a full disk, instead of ending the process.
    pub fn start_on_a_small_disk(settings: &Path) -> Self {
        let postcall = postcall(&["serve"], settings);
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(postcall.get_program())
            .args(postcall.get_args());
        without_variables_of_ours(&mut command);
        Self::of(command)
    }

    /// With a soft and a hard limit of open files.
    pub fn start_with_open_files(settings: &Path, soft: u32, hard: u32) -> Self {
        Self::of(postcall_with_open_files(settings, soft, hard))
    }

    /// As many files may be open from here on; what is open stays so.
    pub fn limit_open_files(&self, soft: u32) {
        let status = Command::new("prlimit")
            .arg(format!("--pid={}", self.process.id()))
            .arg(format!("--nofile={soft}:"))
            .status();
        assert!(status.expect("util-linux is there").success());
    }

    fn of(mut command: Command) -> Self {
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program was built with this test");
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (say, said) = channel();
        let stdout = thread::spawn(move || {
            let mut all = String::new();
            for line in stdout.lines().map_while(Result::ok) {
                // A test that ends does not listen any more.
                let _ = say.send(serde_json::from_str(&line).expect("logs are JSON"));
                all.push_str(&line);
                all.push('\n');
            }
            all
        });
        let mut stderr = process.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut all = String::new();
            stderr.read_to_string(&mut all).expect("what it says is text");
            // Seen only where the test fails.
            print!("{all}");
            all
        });
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let (stdout, stderr, said) = (Some(stdout), Some(stderr), Mutex::new(said));
        let said_first = Vec::new();
        let mut service =
            Self { public: nowhere, admin: nowhere, process, said, said_first, stdout, stderr };
        let serving = loop {
            let line = service.next_line();
            if line["message"] == "serving" {
                break line;
            }
            service.said_first.push(line);
        };
        let listener = |name: &str| serving[name].as_str().unwrap().parse().unwrap();
        (service.public, service.admin) = (listener("public"), listener("admin"));
        service
    }

    /// The next line that it logs.
    pub fn next_line(&self) -> Value {
        self.line_to_come().expect("the service says something")
    }

    /// Nothing where it has not said anything for long.
    pub fn line_to_come(&self) -> Option<Value> {
        self.said.lock().unwrap().recv_timeout(PATIENCE).ok()
    }

    /// Reads its lines until one has `message`, for as long as `PATIENCE`; returns that one.
    pub fn wait_for(&self, message: &str) -> Value {
        let began = Instant::now();
        loop {
            let line = self.next_line();
            if line["message"] == message {
                return line;
            }
            assert!(began.elapsed() < PATIENCE, "no line says {message:?}, the last is {line}");
        }
    }

    /// Forgets what it has said so far.
    pub fn skip_lines(&self) {
        self.said.lock().unwrap().try_iter().for_each(drop);
    }

    /// As a power cut would, but for the disk.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// `TERM`, `INT` or `HUP`.
    pub fn signal(&self, name: &str) {
        let line = format!("kill -{name} {}", self.process.id());
        assert!(Command::new("sh").args(["-c", &line]).status().unwrap().success());
    }

    pub fn is_running(&mut self) -> bool {
        self.process.try_wait().expect("it is our child").is_none()
    }

    /// No byte of a file can be written beyond that place from here on; `None` is no bound.
    pub fn leave_room_to(&self, place: Option<u64>) {
        let bound = place.map_or("unlimited".to_owned(), |place| place.to_string());
        let status = Command::new("prlimit")
            .arg(format!("--pid={}", self.process.id()))
            .arg(format!("--fsize={bound}:"))
            .status();
        assert!(status.expect("util-linux is there").success());
    }

    /// How it ended, having been told to.
    pub fn ended(mut self) -> Ended {
        let status = self.process.wait().unwrap();
        let all = |reader: &mut Option<JoinHandle<String>>| reader.take().unwrap().join().unwrap();
        Ended { status, stdout: all(&mut self.stdout), stderr: all(&mut self.stderr) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It fails only where the process has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What `postcall serve` says that ends by itself, with a soft and a hard limit of open files.
pub fn refused_with_open_files(settings: &Path, soft: u32, hard: u32) -> Output {
    let refused = postcall_with_open_files(settings, soft, hard);
    let mut command = Command::new("timeout");
    command.arg("20").arg(refused.get_program()).args(refused.get_args());
    without_variables_of_ours(&mut command);
    command.output().expect("coreutils are there")
}

fn postcall_with_open_files(settings: &Path, soft: u32, hard: u32) -> Command {
    let postcall = postcall(&["serve"], settings);
    let mut command = Command::new("prlimit");
    command
        .arg(format!("--nofile={soft}:{hard}"))
        .arg(postcall.get_program())
        .args(postcall.get_args())
        .stdin(Stdio::null());
    without_variables_of_ours(&mut command);
    command
}

/// Runs a verb to its end.
pub fn run(arguments: &[&str], settings: &Path) -> Output {
    postcall(arguments, settings).output().expect("the program was built with this test")
}

/// A test of this suite alone in a process of its own, as if it was run by its name.
pub fn test_alone(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).stdin(Stdio::null());
    command
}

/// A verb of the program, not run yet.
pub fn postcall(arguments: &[&str], settings: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_postcall"));
    command.args(arguments).arg("--config").arg(settings).stdin(Stdio::null());
    without_variables_of_ours(&mut command);
    command
}

fn without_variables_of_ours(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        // The flaw that the suite is to find is the program's as well.
        if name.starts_with("POSTCALL") && name != "POSTCALL_FLAW" {
            command.env_remove(&*name);
        }
    }
}

/// A folder for one store and the settings of who serves it.
pub struct Home {
    folder: TempDir,
}

impl Home {
    /// `settings` is the file but for the store, which lies in the same folder.
    pub fn new(settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("postcall-test-").tempdir().unwrap();
        let home = Self { folder };
        let store = format!("\nstore: {{ url: \"sqlite:{}\" }}\n", home.store().display());
        std::fs::write(home.settings(), [settings, &store].concat()).unwrap();
        home
    }

    /// The settings of another who serves with it, and what is different in them.
    pub fn settings_of(&self, name: &str, rewrite: impl FnOnce(&str) -> String) -> PathBuf {
        let settings = std::fs::read_to_string(self.settings()).unwrap();
        let path = self.folder.path().join(format!("{name}.yaml"));
        std::fs::write(&path, rewrite(&settings)).unwrap();
        path
    }

    pub fn settings(&self) -> PathBuf {
        self.folder.path().join("postcall.yaml")
    }

    pub fn store(&self) -> PathBuf {
        self.folder.path().join("postcall.db")
    }
}
