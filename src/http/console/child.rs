//! The child process of the playground: this program again, without an environment, ended after two seconds.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::sync::Mutex;

use crate::admin::{PlaygroundRequest, PlaygroundResult};

/// How long one may take. It ends itself after as much time of a processor.
const TIME_MAX: Duration = Duration::from_secs(2);

/// Most bytes of its answer.
const ANSWER_MAX: u64 = 4 * 1024 * 1024;

/// Starts child processes, one at a time.
#[derive(Default)]
pub struct Children(Mutex<()>);

/// Why a child process has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChildError {
    #[error("another try is under way: send it again in a moment")]
    UnderWay,
    #[error("it took longer than {} seconds and was ended: try fewer questions, rules or combinations", TIME_MAX.as_secs())]
    TooLong,
    #[error("it came to more than {ANSWER_MAX} bytes and was ended")]
    TooMuch,
    #[error("it failed, or needed more memory than it may have: try fewer questions or rules")]
    Failed,
    #[error("the process that tries it out could not be started: {0}")]
    NotStarted(#[from] std::io::Error),
}

impl Children {
    /// What a child process makes of a request. Where the client hangs up, it is ended.
    pub(super) async fn run(
        &self,
        request: &PlaygroundRequest,
    ) -> Result<PlaygroundResult, ChildError> {
        let _one = self.0.try_lock().map_err(|_| ChildError::UnderWay)?;
        let request = serde_json::to_vec(request).expect("it has only texts as keys");
        let mut child = Command::new(this_program()?)
            .arg("playground")
            .env_clear()
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let mut input = child.stdin.take().expect("it is piped");
        let output = child.stdout.take().expect("it is piped");
        let write = async move {
            // One that ends early does not read it all; its answer, or none, says why.
            let _ = input.write_all(&request).await;
        };
        let read = async {
            let mut answer = Vec::new();
            output.take(ANSWER_MAX + 1).read_to_end(&mut answer).await?;
            if answer.len() as u64 > ANSWER_MAX {
                return Err(ChildError::TooMuch);
            }
            let status = child.wait().await?;
            if status.signal() == Some(Signal::XCPU.as_raw()) {
                return Err(ChildError::TooLong);
            }
            serde_json::from_slice(&answer).ok().filter(|_| status.success()).ok_or_else(|| {
                tracing::warn!(%status, "a child process of the playground failed");
                ChildError::Failed
            })
        };
        let both = async { tokio::join!(write, read).1 };
        let ended = tokio::time::timeout(TIME_MAX, both).await;
        ended.map_err(|_| ChildError::TooLong).flatten()
    }
}

/// This program, even if its file was replaced since it was started.
pub fn this_program() -> std::io::Result<PathBuf> {
    if cfg!(target_os = "linux") { Ok("/proc/self/exe".into()) } else { std::env::current_exe() }
}
