//! The files of a store: what SQLite and we keep beside the database.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::store::error::StoreError;
use crate::store::model::FileSystem;

/// Size of the head of a database, which says what the file is and precedes the head of the first page.
pub(super) const HEAD_BYTES: usize = 100;

/// Size of a page of a new database. A commit logs each page that it changes as a whole, and the index of ids and the
/// keys change on another one for each webhook: half of SQLite's 4,096 is half of what they write. Documents are longer
/// than a quarter.
pub(super) const PAGE_BYTES: u16 = 2048;

/// Flags for opening a file that may be a pipe, which would wait.
pub(super) const NO_WAIT: i32 = OFlags::NONBLOCK.bits() as i32;

/// Flags for opening a file in whose place may be a pipe or a link.
pub(super) const NO_LINK: i32 = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits() as i32;

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

/// Space of the file system that a file is on, whether or not the file was removed; `None` if the system
/// does not say.
pub(super) fn file_system(path: &Path) -> Option<FileSystem> {
    let found = rustix::fs::statvfs(folder_of(path)).ok()?;
    Some(FileSystem {
        bytes: found.f_blocks.saturating_mul(found.f_frsize),
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
    })
}

/// # Errors
/// One of the files is there, and would be lost.
pub(super) fn check_none_is_there(
    mut paths: impl Iterator<Item = PathBuf>,
) -> Result<(), StoreError> {
    match paths.find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Err(StoreError::Exists { path: shown(&path) }),
        None => Ok(()),
    }
}

/// The whole path, without links; only of a file that is there.
///
/// # Errors
/// It is not.
pub fn canonical(path: &Path) -> Result<PathBuf, StoreError> {
    path.canonicalize().map_err(|error| match error.kind() {
        ErrorKind::NotFound => StoreError::Missing { path: shown(path) },
        _ => StoreError::Open { path: shown(path), source: error.into() },
    })
}

/// From the root: what runs it may run in a folder that no one expects.
pub(super) fn shown(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
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
