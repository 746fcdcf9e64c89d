//! Checkpoints: what the log holds is moved into the database file, beside the writer.
//!
//! A checkpoint syncs, and webhooks would wait for that. A thread with a connection of its own makes
//! it while the writer continues; the writer helps only if the log has grown far beyond, and not after a reader
//! that kept the log as it was: all of it would be left to do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use rusqlite::{Connection, Result};

use super::warming::{WARMED_FROM, warm};

/// Size of the log at which it is checkpointed, in pages of 4 KiB.
const PAGES: u32 = 16_000;

/// Size at which the writer checkpoints itself, so that the log cannot grow without bound: most of it
/// is in the file by then, and the rest is short.
const PAGES_MAX: u32 = 4 * PAGES;

/// Pages that the thread's connection keeps.
const CACHE_PAGES: u32 = 16;

/// Pause between two checkpoints while the log keeps growing.
const PAUSE: Duration = Duration::from_millis(20);

/// The thread that makes checkpoints; it ends when this is dropped.
pub(super) struct Checkpointer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    /// Pages in the log after the last commit.
    pages: AtomicU32,
    /// A reader kept a part of the log as it was at the thread's last checkpoint.
    is_blocked: AtomicBool,
    stop: AtomicBool,
}

impl Checkpointer {
    /// Watches the log of the connection that writes.
    pub fn start(writer: &mut Connection, path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::ZERO)?;
        // It reads each page once.
        connection.pragma_update(None, "cache_size", CACHE_PAGES)?;
        let shared = Arc::<Shared>::default();
        let worker = shared.clone();
        let is_large = path.metadata().is_ok_and(|file| file.len() > WARMED_FROM);
        let thread = std::thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || worker.run(&connection, is_large))
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
        watch(writer, shared.clone(), thread.thread().clone())?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

fn watch(writer: &mut Connection, shared: Arc<Shared>, thread: Thread) -> Result<()> {
    writer.wal_hook(Some(move |wal: &mut rusqlite::hooks::Wal, pages| {
        let pages = u32::try_from(pages).unwrap_or(0);
        let before = shared.pages.swap(pages, Ordering::Relaxed);
        if pages >= PAGES_MAX && !shared.is_blocked.load(Ordering::Relaxed) {
            // An error would be taken for one of the commit, which has succeeded.
            let _ = wal.checkpoint();
        } else if before < PAGES && pages >= PAGES {
            thread.unpark();
        }
        Ok(())
    }))
}

impl Shared {
    fn run(&self, connection: &Connection, warms: bool) {
        let is_stopped = || self.stop.load(Ordering::Relaxed);
        if warms {
            let warmed = warm(connection, || {
                self.checkpoint_if_large(connection);
                !is_stopped()
            });
            if let Err(error) = warmed {
                // Webhooks read it all the same.
                tracing::debug!(%error, "the index of ids was not read in advance");
            }
        }
        while !is_stopped() {
            if self.checkpoint_if_large(connection) {
                std::thread::park_timeout(PAUSE);
            } else {
                std::thread::park();
            }
        }
    }

    /// Returns whether the log was large.
    fn checkpoint_if_large(&self, connection: &Connection) -> bool {
        let relaxed = Ordering::Relaxed;
        let pages = self.pages.load(relaxed);
        if pages < PAGES {
            return false;
        }
        // What fails now is tried again, by the writer at the latest.
        let checkpointed = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
            Ok(row.get::<_, i64>(1)? == row.get::<_, i64>(2)?)
        });
        self.is_blocked.store(matches!(checkpointed, Ok(false)), relaxed);
        if let Ok(true) = checkpointed {
            // Nothing is left until the next commit.
            let _ = self.pages.compare_exchange(pages, 0, relaxed, relaxed);
        }
        true
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It holds nothing that anyone waits for.
            let _ = thread.join();
        }
    }
}
