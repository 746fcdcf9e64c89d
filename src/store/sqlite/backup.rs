//! A copy of a store in a new file, and a copy of such a file in the place of a store.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::files::{SUFFIXES, beside, canonical, check_none_is_there, folder_of, shown};
use super::lock::Lock;
use super::{doctor, open, vfs};
use crate::store::error::StoreError;
use crate::store::examination::Examination;

/// What is added to the name of a copy until it is whole.
pub(super) const PARTIAL: &str = ".partial";

/// Writes a copy of a store to a new file, whether or not a process serves it. The copy is of one moment:
/// what was acknowledged before is in it. Returns what is wrong with the copy, which is kept either way.
///
/// # Errors
/// The store cannot be read, the new file exists, or it cannot be written.
pub fn backup(store: &Path, new: &Path) -> Result<Examination, StoreError> {
    let store = canonical(store)?;
    // The copy is written as the store is: what moves to another page, and what is deleted, leaves nothing behind
    // that an erasure would not find.
    vfs::install();
    let connection = open::read_only(&store)?;
    connection
        .pragma_update(None, "secure_delete", "ON")
        .map_err(|error| StoreError::open(&store, error))?;
    open::check_application(&connection, &store)?;
    open::check_schema(&connection, &store)?;
    copied(new, |partial| {
        connection
            .execute("VACUUM INTO ?1", [partial.display().to_string()])
            .map(drop)
            .map_err(|error| StoreError::open(partial, error))
    })
}

/// Writes a copy of a backup to the place of a store, where there is none. A backup that is not sound is
/// not restored: its examination is returned, with what is wrong.
///
/// # Errors
/// There is a store, or something of one, or a process serves it; the backup cannot be read, or the store cannot be written.
pub fn restore(backup: &Path, store: &Path) -> Result<Examination, StoreError> {
    if Lock::is_taken(store) {
        return Err(StoreError::InUse { path: store.display().to_string() });
    }
    let examination = doctor::examine(backup)?;
    if !examination.findings.is_empty() {
        return Ok(examination);
    }
    // As of one moment, whether or not there is a log beside it.
    self::backup(backup, store)
}

/// Has a copy written beside its place and, once it is on disk, gives it its name.
fn copied(
    new: &Path,
    write: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<Examination, StoreError> {
    // A log of another database would be taken for this one's.
    check_none_is_there([""].into_iter().chain(SUFFIXES).map(|suffix| beside(new, suffix)))?;
    let folder = folder_of(new);
    if !folder.is_dir() {
        return Err(StoreError::NoFolder { path: shown(folder) });
    }
    let partial = beside(new, PARTIAL);
    // What an interrupted copy left.
    let _ = fs::remove_file(&partial);
    let written = create(&partial)
        .and_then(|()| write(&partial))
        .and_then(|()| doctor::examine(&partial))
        .and_then(|examination| {
            publish(&partial, new).map_err(|error| StoreError::open(new, error))?;
            Ok(examination)
        });
    if written.is_err() {
        // A part must not be taken for the whole.
        let _ = fs::remove_file(&partial);
    }
    written
}

/// Numbers of callers are in it: the file is its owner's alone. SQLite writes into it as it is empty.
pub(super) fn create(path: &Path) -> Result<(), StoreError> {
    let created = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
    created.map(drop).map_err(|error| StoreError::open(path, error))
}

/// Gives a whole copy its name.
pub(super) fn publish(partial: &Path, new: &Path) -> io::Result<()> {
    File::open(partial)?.sync_all()?;
    // Unlike a rename, it replaces nothing that has come meanwhile.
    fs::hard_link(partial, new)?;
    fs::remove_file(partial)?;
    File::open(folder_of(new))?.sync_all()
}

/// The file of a backup: as it is named, or in a folder by the time. What ends in a slash is a folder.
pub fn backup_path(store: &Path, to: &Path, time: &str) -> PathBuf {
    if !to.is_dir() && !to.as_os_str().as_bytes().ends_with(b"/") {
        return to.to_owned();
    }
    let stem = store.file_stem().unwrap_or(store.as_os_str()).to_string_lossy();
    to.join(format!("{stem}-{time}.db"))
}
