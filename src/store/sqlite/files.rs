//! The files of a store: what SQLite and we keep beside the database.

use std::io::Error;
use std::path::{Path, PathBuf};

use crate::store::error::StoreError;

/// What SQLite keeps beside a database.
pub(super) const SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// Neither the file nor those beside it may be a link, which leads elsewhere, or a pipe, which waits.
pub(super) fn check(path: &Path) -> Result<(), StoreError> {
    for path in [""].into_iter().chain(SUFFIXES).map(|suffix| beside(path, suffix)) {
        if path.symlink_metadata().is_ok_and(|file| !file.is_file()) {
            return Err(StoreError::open(&path, Error::other("not a regular file")));
        }
    }
    Ok(())
}
