//! Checkpoints: what the log holds is moved into the database file, beside the writer.
//!
//! A checkpoint syncs, and webhooks would wait for that. A thread with a connection of its own makes
//! it while the writer continues. What is committed meanwhile is left in the log, which begins again only once
//! nothing is: once that is little, the writer moves it after a commit. The writer moves everything only if the log
//! has grown far beyond, and not after a reader that kept the log as it was: all of it would be left to do.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;

use rusqlite::{Connection, Result};

use super::vfs;
use super::warming::{WARMED_FROM, warm};

/// Size of the log at which it is checkpointed, in pages: 64 MB.
const PAGES: u32 = 32_000;

/// Size at which the writer checkpoints itself, so that the log cannot grow without bound: most of it
/// is in the file by then, and the rest is short.
const PAGES_MAX: u32 = 4 * PAGES;

/// Pages in the log that the writer moves for the thread, which could go on for ever beside commits: few enough that
/// webhooks wait for milliseconds.
const REST_MAX: u32 = PAGES / 8;

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
    /// The thread has left so little that the writer moves it at its next commit.
    is_nearly_done: AtomicBool,
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
        let is_short = shared.is_nearly_done.swap(false, Ordering::Relaxed);
        if is_short || pages >= PAGES_MAX && !shared.is_blocked.load(Ordering::Relaxed) {
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
        if let Ok(moved) = checkpoint(connection) {
            // SQLite leaves that to who moves the rest, and that may be the writer.
            if !moved.is_blocked()
                && let Err(error) = vfs::sync(connection)
            {
                tracing::error!(
                    %error,
                    "the database file could not be synced: its disk may have lost what it was given; run \
                     `postcall doctor`"
                );
            }
            self.note(pages, moved);
        }
        true
    }

    /// After a checkpoint; `pages` were in the log shortly before.
    fn note(&self, pages: u32, moved: Moved) {
        let relaxed = Ordering::Relaxed;
        self.is_blocked.store(moved.is_blocked(), relaxed);
        if moved.is_blocked() {
            return;
        }
        // Unless something was committed meanwhile, nothing is left until the next commit.
        if let Err(now) = self.pages.compare_exchange(pages, 0, relaxed, relaxed) {
            let is_little = now.saturating_sub(moved.pages) <= REST_MAX;
            self.is_nearly_done.store(is_little, relaxed);
        }
    }
}

/// What a checkpoint moved into the file.
struct Moved {
    pages: u32,
    /// How many were in the log when it began.
    of: u32,
}

impl Moved {
    /// Whether a reader kept a part of the log as it was.
    fn is_blocked(&self) -> bool {
        self.pages < self.of
    }
}

fn checkpoint(connection: &Connection) -> Result<Moved> {
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| {
        Ok(Moved { pages: row.get(2)?, of: row.get(1)? })
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A writer whose log the test checkpoints, and what it shares with the test.
    fn watched() -> (tempfile::TempDir, Connection, Connection, Arc<Shared>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("watched.db");
        let mut writer = Connection::open(&path).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.execute_batch("CREATE TABLE rows (text TEXT)").unwrap();
        let shared = Arc::<Shared>::default();
        watch(&mut writer, shared.clone(), std::thread::current()).unwrap();
        let other = Connection::open(&path).unwrap();
        (folder, writer, other, shared)
    }

    fn commit(writer: &Connection) {
        writer.execute("INSERT INTO rows VALUES ('a row')", []).unwrap();
    }

    fn pages(shared: &Shared) -> u32 {
        shared.pages.load(Ordering::Relaxed)
    }

    #[test]
    fn the_log_begins_again_although_webhooks_are_committed_during_the_checkpoint() {
        let (_folder, writer, other, shared) = watched();
        (0..20).for_each(|_| commit(&writer));
        let before = pages(&shared);
        // What is committed while it copies is left in the log, as what a reader does not know yet.
        let reader = Connection::open(writer.path().unwrap()).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM rows").unwrap();
        commit(&writer);
        let Moved { pages: moved, of } = checkpoint(&other).unwrap();
        assert!(moved == before && of > before, "{moved} of {of}");
        drop(reader);
        shared.note(before, Moved { pages: moved, of: moved });
        commit(&writer);
        commit(&writer);
        assert!(pages(&shared) < before, "the log has begun again: {}", pages(&shared));
    }

    #[test]
    fn the_log_begins_again_after_a_checkpoint_that_left_nothing() {
        let (_folder, writer, other, shared) = watched();
        (0..20).for_each(|_| commit(&writer));
        shared.note(pages(&shared), checkpoint(&other).unwrap());
        assert_eq!(pages(&shared), 0);
        commit(&writer);
        assert!((1..20).contains(&pages(&shared)), "{}", pages(&shared));
    }

    #[test]
    fn the_writer_moves_nothing_while_much_is_left_or_a_reader_keeps_the_log() {
        let shared = Shared::default();
        let is_left_to_writer = |before: u32, now: u32, moved| {
            shared.pages.store(now, Ordering::Relaxed);
            shared.note(before, moved);
            shared.is_nearly_done.swap(false, Ordering::Relaxed)
        };
        let all = |pages| Moved { pages, of: pages };
        assert!(is_left_to_writer(PAGES, PAGES + REST_MAX, all(PAGES)));
        assert!(!is_left_to_writer(PAGES, PAGES + REST_MAX + 1, all(PAGES)));
        assert!(!is_left_to_writer(PAGES, PAGES + 1, Moved { pages: 10, of: PAGES }));
        assert!(shared.is_blocked.load(Ordering::Relaxed));
    }
}
