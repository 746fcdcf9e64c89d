//! A bulk action, page by page: seen while it goes, stopped when somebody says so, and gone on with
//! afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::note;
use crate::cli::desk::DeskError;
use crate::cli::failure::Failure;
use crate::triage::{Discarded, Replayed};

/// Most that is waited before it is asked again whether there is room; what is asked for may be
/// much, where somebody else fills it.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// What one page of a bulk action came to.
pub(super) trait Page {
    fn done(&self) -> u32;
    fn left_out(&self) -> &BTreeMap<String, u32>;
    fn next_cursor(&self) -> Option<&str>;
    /// How long to leave before the next.
    fn wait(&self) -> Duration;
}

/// How far a bulk action has come.
#[derive(Debug)]
pub(super) struct Tally {
    /// What is said of those with which it was done.
    told: &'static str,
    pub done: u64,
    /// By why.
    pub left_out: BTreeMap<String, u64>,
    /// Where to go on; none where it is through.
    pub next_cursor: Option<String>,
}

/// Asks for page after page, each when the one before allows it. SIGINT and SIGTERM stop it after
/// the page that is under way; a second one does not wait for that.
///
/// # Errors
/// Where a page fails, with where to go on; what the pages before did stays done.
pub(super) async fn walk<P: Page>(
    told: &'static str,
    cursor: Option<String>,
    mut ask: impl AsyncFnMut(Option<String>) -> Result<P, DeskError>,
    mut show: impl FnMut(&P) -> Result<(), Failure>,
) -> Result<Tally, Failure> {
    let mut stop = Stop::listen().context("listening for signals")?;
    let mut tally = Tally { told, done: 0, left_out: BTreeMap::new(), next_cursor: cursor };
    loop {
        let asked = stop.unless_told_twice(ask(tally.next_cursor.clone())).await;
        let page = match asked {
            Some(Ok(page)) => page,
            Some(Err(DeskError::TooSoon { wait })) => {
                if stop.told_within(wait.min(ASK_AGAIN)).await {
                    return Ok(tally);
                }
                continue;
            }
            Some(Err(error)) => return Err(broken_off(error, &tally)),
            None => return Err(anyhow!("stopped at once; {}", tally.how_to_go_on()).into()),
        };
        tally.add(&page);
        show(&page)?;
        if tally.next_cursor.is_none() {
            return Ok(tally);
        }
        note(format_args!("{tally}; going on"));
        if stop.told_within(page.wait()).await {
            return Ok(tally);
        }
    }
}

impl Tally {
    fn add(&mut self, page: &impl Page) {
        self.done += u64::from(page.done());
        for (why, times) in page.left_out() {
            *self.left_out.entry(why.clone()).or_default() += u64::from(*times);
        }
        self.next_cursor = page.next_cursor().map(str::to_owned);
    }

    /// For whoever stopped it.
    pub fn how_to_go_on(&self) -> String {
        match &self.next_cursor {
            Some(cursor) => format!("to go on, say the same with --cursor {cursor}"),
            None => "to go on, say the same again".to_owned(),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.done, self.told)?;
        let left_out: u64 = self.left_out.values().sum();
        if left_out > 0 {
            let why: Vec<_> =
                self.left_out.iter().map(|(why, times)| format!("{times} {why}")).collect();
            write!(f, ", {left_out} left out ({})", why.join(", "))?;
        }
        Ok(())
    }
}

impl Page for Replayed {
    fn done(&self) -> u32 {
        self.replayed
    }

    fn left_out(&self) -> &BTreeMap<String, u32> {
        &self.left_out
    }

    fn next_cursor(&self) -> Option<&str> {
        self.next_cursor.as_deref()
    }

    fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }
}

impl Page for Discarded {
    fn done(&self) -> u32 {
        self.discarded
    }

    fn left_out(&self) -> &BTreeMap<String, u32> {
        &self.left_out
    }

    fn next_cursor(&self) -> Option<&str> {
        self.next_cursor.as_deref()
    }

    fn wait(&self) -> Duration {
        Duration::from_millis(self.wait_ms)
    }
}

fn broken_off(error: DeskError, tally: &Tally) -> Failure {
    match Failure::from(error) {
        Failure::Other(error) if tally.done > 0 => {
            Failure::Other(error.context(format!("broke off, {tally}; {}", tally.how_to_go_on())))
        }
        other => other,
    }
}

/// Whether somebody wants it to stop. It listens from the start, so that nothing is missed while a
/// page is under way.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
    told: bool,
}

impl Stop {
    fn listen() -> std::io::Result<Self> {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok(Self { interrupt, terminate: signal(SignalKind::terminate())?, told: false })
    }

    async fn told(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        self.told = true;
    }

    async fn told_within(&mut self, time: Duration) -> bool {
        // What came while the page was under way is heard before the time is over.
        tokio::select! {
            biased;
            () = self.told(), if !self.told => {}
            () = tokio::time::sleep(time), if !self.told => {}
            else => {}
        }
        self.told
    }

    /// None where it was told twice before the work was done.
    async fn unless_told_twice<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = std::pin::pin!(work);
        loop {
            let was_told = self.told;
            tokio::select! {
                done = &mut work => return Some(done),
                () = self.told() => {}
            }
            if was_told {
                return None;
            }
            note("stopping after this page; once more stops at once");
        }
    }
}
