//! One process serves a store: it locks a file beside the database and, because that one can be
//! deleted, the database itself. `sqlite3` and backups, which use locks of another kind, are not shut
//! out. The locks go with the process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use super::files::{NO_LINK, beside};
use crate::store::error::StoreError;

/// How often a lock that is taken is tried, a moment apart: a process that only looks whether it is
/// taken has it for that moment.
const TRIES: u32 = 3;

const MOMENT: Duration = Duration::from_millis(20);

/// Of the file beside the database.
const SUFFIX: &str = ".lock";

/// The lock of a store, released when dropped.
pub(super) struct Lock([File; 2]);

impl Lock {
    pub fn take(store: &Path) -> Result<Self, StoreError> {
        let beside = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .custom_flags(NO_LINK)
            .open(beside(store, SUFFIX))
            .map_err(|error| StoreError::open(store, error))?;
        let beside = Self::lock(beside, store)?;
        // Opened after that lock was taken: closing any handle of a file takes the locks from it that
        // SQLite has in this process.
        let database = File::open(store).map_err(|error| StoreError::open(store, error))?;
        Ok(Self([beside, Self::lock(database, store)?]))
    }

    fn lock(file: File, store: &Path) -> Result<File, StoreError> {
        let mut tries = 1..TRIES;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if tries.next().is_some() => {
                    std::thread::sleep(MOMENT);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::InUse { path: store.display().to_string() });
                }
                Err(TryLockError::Error(error)) => return Err(StoreError::open(store, error)),
            }
        }
    }

    /// Whether someone has it; nothing is made where there is none.
    pub fn is_taken(store: &Path) -> bool {
        let taken = |file: &File| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(NO_LINK);
        options.open(beside(store, SUFFIX)).is_ok_and(|file| {
            let is_taken = taken(&file);
            // It goes with the file at the latest.
            let _ = file.unlock();
            is_taken
        })
    }
}

impl Drop for Lock {
    /// Closing the file would leave it locked for as long as a child that is just being started
    /// has a copy of it.
    fn drop(&mut self) {
        for file in &self.0 {
            // The lock goes with the file at the latest.
            let _ = file.unlock();
        }
    }
}
