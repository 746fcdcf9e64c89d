//! The service as an operator runs it: the real program, with its logs and signals.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use serde_json::Value;

/// A running `postcall serve`; it is killed where nobody waited for its end.
pub struct Process {
    pub public: SocketAddr,
    pub private: SocketAddr,
    child: Child,
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
    /// Serves with the settings of this file, its logs in JSON, and answers once both doors are
    /// open.
    pub fn serve(settings: &Path, variables: &[(String, String)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_postcall"))
            .args(["serve", "--config"])
            .arg(settings)
            .env_clear()
            .envs(variables.iter().cloned())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (told, doors) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let stdout = thread::spawn(move || {
            let mut all = String::new();
            for line in stdout.lines().map(Result::unwrap) {
                if let Some(doors) = doors_of(&line) {
                    // Nobody listens any more where a service says twice that it serves.
                    let _ = told.send(doors);
                }
                all.push_str(&line);
                all.push('\n');
            }
            all
        });
        let mut stderr = child.stderr.take().unwrap();
        let stderr = thread::spawn(move || {
            let mut all = String::new();
            stderr.read_to_string(&mut all).unwrap();
            all
        });
        let Ok((public, private)) = doors.recv() else {
            panic!("it does not serve: {}", stderr.join().unwrap());
        };
        Self { public, private, child, stdout: Some(stdout), stderr: Some(stderr) }
    }

    /// As an operator, or Kubernetes, tells it to end.
    pub fn terminate(&self) {
        let kill = format!("kill -TERM {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    pub fn wait(mut self) -> Ended {
        let status = self.child.wait().unwrap();
        let all = |reader: &mut Option<JoinHandle<String>>| reader.take().unwrap().join().unwrap();
        Ended { status, stdout: all(&mut self.stdout), stderr: all(&mut self.stderr) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn doors_of(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |door: &str| line[door].as_str()?.parse().ok();
    (line["message"] == "serving").then_some((address("public")?, address("private")?))
}
