//! The files of a database that is served: whether they are still those that were opened.
//!
//! What is written to a file that was deleted is lost when the process ends, although every write and
//! every sync succeeds.

use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::files::beside;

/// The database and its log, with the device and inode of each.
pub(super) struct Files([(PathBuf, FileId); 2]);

type FileId = (u64, u64);

impl Files {
    /// # Errors
    /// One of them is not there, or the file system says no.
    pub fn of(database: &Path) -> io::Result<Self> {
        let known = |path: PathBuf| {
            let file_id = file_id(&path.symlink_metadata()?);
            Ok::<_, io::Error>((path, file_id))
        };
        Ok(Self([known(database.to_owned())?, known(beside(database, "-wal"))?]))
    }

    /// Returns what was deleted or replaced, in words. A file system that does not say is no proof of
    /// either.
    pub fn displaced(&self) -> Option<String> {
        for (path, known) in &self.0 {
            let what_happened = match path.symlink_metadata() {
                Ok(found) if file_id(&found) == *known => continue,
                Ok(_) => "was replaced by another file",
                Err(error) if error.kind() == ErrorKind::NotFound => "was deleted or moved",
                Err(_) => continue,
            };
            return Some(format!("{} {what_happened}", path.display()));
        }
        None
    }
}

fn file_id(file: &Metadata) -> FileId {
    (file.dev(), file.ino())
}
