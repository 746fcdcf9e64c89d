//! A bulk action, page by page: it says how far it is, stops on a signal, and can be continued.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, anyhow};
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::one_by_one::Outcome;
use super::output::{Output, note};
use crate::admin::{self, AdminError, DiscardResult, ReplayResult, SkippedByReason};
use crate::cli::failure::Failure;

/// Longest wait before the service is asked again whether it admits a page: another operator may make
/// it busy for much longer.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// The result of one page of a bulk action.
pub(super) struct Page {
    done: u32,
    skipped: SkippedByReason,
    next_cursor: Option<String>,
    /// How long to leave before the next.
    wait_ms: u64,
}

/// How far a bulk action has come.
#[derive(Debug)]
pub(super) struct Tally {
    outcome: Outcome,
    done: u64,
    /// By why.
    pub skipped: BTreeMap<String, u64>,
    /// Where to continue; `None` at the end.
    next_cursor: Option<String>,
}

/// Asks for page after page, each when the one before allows it. SIGINT and SIGTERM stop it after
/// the page that is under way; a second one does not wait for that.
///
/// # Errors
/// If a page fails, with the cursor to continue from; what the pages before did stays done.
pub(super) async fn walk<T: Into<Page>>(
    outcome: Outcome,
    cursor: Option<String>,
    mut ask: impl AsyncFnMut(Option<String>) -> admin::Result<T>,
    mut show: impl FnMut(&T) -> Result<(), Failure>,
) -> Result<Tally, Failure> {
    let mut stop = Stop::listen().context("listening for signals")?;
    let mut tally = Tally { outcome, done: 0, skipped: BTreeMap::new(), next_cursor: cursor };
    loop {
        let asked = stop.unless_wanted_twice(ask(tally.next_cursor.clone())).await;
        let wait = match asked {
            Some(Ok(result)) => {
                show(&result)?;
                let page: Page = result.into();
                let wait = Duration::from_millis(page.wait_ms);
                tally.add(page);
                if tally.next_cursor.is_none() {
                    return Ok(tally);
                }
                note(format_args!("{tally}; continuing"));
                wait
            }
            Some(Err(AdminError::TooSoon { wait })) => wait.min(ASK_AGAIN),
            Some(Err(error)) => return Err(broken_off(error, &tally)),
            None => return Err(anyhow!("stopped at once; {}", tally.how_to_continue()).into()),
        };
        if stop.is_wanted_within(wait).await {
            return Ok(tally);
        }
    }
}

impl Tally {
    fn add(&mut self, page: Page) {
        self.done += u64::from(page.done);
        for (why, times) in page.skipped {
            *self.skipped.entry(why).or_default() += u64::from(times);
        }
        self.next_cursor = page.next_cursor;
    }

    /// Ends a command: prints the sum and, of a dry run, how many submissions would be `changed`.
    pub fn end(&self, output: Output, changed: Option<u64>) -> Result<(), Failure> {
        let sum = match (output, changed) {
            (Output::Json, changed) => {
                let mut sum = json!({
                    self.outcome.1: self.done,
                    "skipped": self.skipped,
                    "next_cursor": self.next_cursor,
                });
                if let Some(changed) = changed {
                    sum["changed"] = changed.into();
                }
                sum.to_string()
            }
            (Output::Table, None) => self.to_string(),
            (Output::Table, Some(changed)) => {
                format!("{self}; {changed} would come to something else than before")
            }
        };
        let printed = writeln!(io::stdout(), "{sum}");
        match &self.next_cursor {
            None => Ok(printed?),
            // Ctrl-C may have ended the reader too: how to continue is printed all the same.
            Some(_) => Err(anyhow!("stopped; {}", self.how_to_continue()).into()),
        }
    }

    fn how_to_continue(&self) -> String {
        match &self.next_cursor {
            Some(cursor) => format!("to continue, run the same command with --cursor {cursor}"),
            None => "to continue, run the same command again".to_owned(),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.done, self.outcome.0)?;
        let skipped: u64 = self.skipped.values().sum();
        if skipped > 0 {
            let why: Vec<_> =
                self.skipped.iter().map(|(why, times)| format!("{times} {why}")).collect();
            write!(f, ", {skipped} left out ({})", why.join(", "))?;
        }
        Ok(())
    }
}

impl From<ReplayResult> for Page {
    fn from(result: ReplayResult) -> Self {
        let ReplayResult { replayed: done, skipped, next_cursor, wait_ms, .. } = result;
        Self { done, skipped, next_cursor, wait_ms }
    }
}

impl From<DiscardResult> for Page {
    fn from(result: DiscardResult) -> Self {
        let DiscardResult { discarded: done, skipped, next_cursor, wait_ms } = result;
        Self { done, skipped, next_cursor, wait_ms }
    }
}

fn broken_off(error: AdminError, tally: &Tally) -> Failure {
    match Failure::from(error) {
        Failure::Other(error) if tally.done > 0 => Failure::Other(
            error.context(format!("broke off, {tally}; {}", tally.how_to_continue())),
        ),
        other => other,
    }
}

/// Ctrl-C of the operator. It listens from the start, so that no signal is missed
/// while a page is under way.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    is_wanted: bool,
}

impl Stop {
    fn listen() -> io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())?, is_wanted: false })
    }

    async fn signal(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        self.is_wanted = true;
    }

    async fn is_wanted_within(&mut self, time: Duration) -> bool {
        // A signal that came during the page comes before the end of the time.
        tokio::select! {
            biased;
            () = self.signal(), if !self.is_wanted => {}
            () = tokio::time::sleep(time), if !self.is_wanted => {}
            else => {}
        }
        self.is_wanted
    }

    /// `None` if two signals came before the work was done.
    async fn unless_wanted_twice<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let was_wanted = self.is_wanted;
            tokio::select! {
                done = &mut work => return Some(done),
                () = self.signal() => {}
            }
            if was_wanted {
                return None;
            }
            note("stopping after this page; once more stops at once");
        }
    }
}
