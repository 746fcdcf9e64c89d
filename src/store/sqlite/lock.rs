//! One process serves a ledger: the lock is on a file beside it, so that `sqlite3` and backups are
//! not shut out. It goes with the process, however that ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::store::contract::StoreError;

/// Held until it is dropped.
pub(super) struct Lock(File);

impl Lock {
    pub fn take(ledger: &Path) -> Result<Self, StoreError> {
        let mut beside = ledger.as_os_str().to_owned();
        beside.push(".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&beside)
            .map_err(|error| StoreError::open(ledger, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => {
                Err(StoreError::InUse { path: ledger.display().to_string() })
            }
            Err(TryLockError::Error(error)) => Err(StoreError::open(ledger, error)),
        }
    }
}

impl Drop for Lock {
    /// Closing the file would leave it locked for as long as a child that is just being started
    /// has a copy of it.
    fn drop(&mut self) {
        // The lock goes with the file at the latest.
        let _ = self.0.unlock();
    }
}
