//! Opening the file: whose it is, which schema it has, and how SQLite is set up.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::files::{NO_WAIT, PAGE_BYTES, folder_of, shown};
use super::lock::Lock;
use super::rows::{BUSY_TIMEOUT, Database, rescued_names};
use super::{damage, log, schema, untrusted, vfs};
use crate::store::backend::Backend;
use crate::store::batch::free_claims;
use crate::store::error::StoreError;
use crate::store::observer::Observer;
use crate::submission::StateCounts;

/// Written into the file's head, so that another program's database is not taken for a store.
const APPLICATION_ID: i32 = 0x706f_7374;

/// How much of the file the writer keeps in memory, in KiB: what a large batch changes, or its pages
/// would be written before their commit. Every commit scans what is cached, so more is slower.
const CACHE_KIB: i32 = 6 * 1024;

/// Statements that are kept prepared; more than there are.
const STATEMENTS_MAX: usize = 64;

/// The file itself, so that neither a link gives it a second lock nor SQLite takes its name for
/// something else than a file. `key` is that of the settings.
pub(super) fn create(path: &Path, key: &'static str) -> Result<PathBuf, StoreError> {
    // Numbers of callers are in the bodies: the file is its owner's alone.
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        // A pipe would wait for its other end.
        .custom_flags(NO_WAIT)
        .open(path)
        .and_then(|_| path.canonicalize())
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied
                if path.symlink_metadata().is_err() =>
            {
                StoreError::Folder { key, folder: shown(folder_of(path)), source: error }
            }
            _ => StoreError::open(path, error),
        })
}

/// Whether a process serves the store; nothing is written.
pub fn is_served(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|path| Lock::is_taken(&path))
}

/// Opens for writing: sets SQLite up, migrates the schema and frees all claims.
pub(super) fn prepare(
    path: &Path,
    observer: &dyn Observer,
) -> Result<(Connection, StateCounts), StoreError> {
    vfs::install();
    // SQLite would take it for the end of the log, and write over the commits behind it.
    if let Some(damage) = log::damage(path).map_err(|error| StoreError::open(path, error))? {
        let (path, fault) = (path.display().to_string(), damage.to_string());
        return Err(StoreError::Damaged { path, fault });
    }
    let mut connection = Connection::open(path).map_err(|error| damage::opening(path, error))?;
    check_application(&connection, path)?;
    check_no_pre_release(&connection, path)?;
    untrusted::check_code(&connection, path, untrusted::RUN)?;
    let configured = (|| {
        untrusted::distrust(&connection)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        // Of a new file, before anything is written to it.
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // Below zero it is a size, above it would be a number of pages.
        connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
        // What is deleted is overwritten, so that no copy of the file still has it.
        connection.pragma_update(None, "secure_delete", "ON")?;
        // Otherwise SQLite plans a statement again with every value, where a partial index might fit.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        Ok(())
    })();
    configured.map_err(|error: rusqlite::Error| damage::opening(path, error))?;
    schema::runner()
        .set_abort_missing(true)
        // All in one transaction, with the note that they were applied: a crash in between would leave
        // tables that the next start makes once more, and fails.
        .set_grouped(true)
        .run(&mut connection)
        .map_err(|error| damage::opening(path, error))?;
    let database = Database::new(connection, path);
    let counts =
        free_claims(&database, observer).map_err(|error| damage::first_reading(path, error))?;
    // The process may have ended between an erase and this. A reader prevents it until the writer has
    // its turn.
    let _is_done = database.truncate_log().map_err(|error| damage::first_reading(path, error))?;
    Ok((database.into_connection(), counts))
}

/// Warns of what an earlier process saved when its files were deleted.
pub(super) fn warn_of_rescued(path: &Path) {
    for copy in rescued_names(path).filter(|copy| copy.exists()) {
        tracing::warn!(
            copy = %copy.display(),
            "submissions of a database that was deleted while it was served are in a copy that nothing \
             delivers: see the runbook, and move the copy away when it is settled"
        );
    }
}

pub(super) fn read_only(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| damage::opening(path, error))?;
    connection
        .busy_timeout(BUSY_TIMEOUT)
        .and_then(|()| untrusted::distrust(&connection))
        .map_err(|error| damage::opening(path, error))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// A new file has no tables and no owner yet.
pub(super) fn check_application(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let owner = connection
        .query_row(
            "SELECT EXISTS (SELECT 1 FROM sqlite_schema), application_id FROM pragma_application_id",
            [],
            |row| Ok((row.get::<_, u32>(0)?, row.get::<_, i32>(1)?)),
        )
        // A format number that SQLite does not know is an error of no kind of its own.
        .map_err(|error| damage::first_reading(path, error))?;
    match owner {
        (0, 0) | (_, APPLICATION_ID) => Ok(()),
        _ => Err(StoreError::Foreign { path: path.display().to_string() }),
    }
}

/// A pre-release kept a submission in several tables.
pub(super) fn check_no_pre_release(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let is_pre_release = connection
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE name IN ('hooks', 'books') AND type = 'table'",
            [],
            |_| Ok(()),
        )
        .optional()
        .map_err(|error| damage::opening(path, error))?
        .is_some();
    match is_pre_release {
        true => Err(StoreError::PreRelease { path: path.display().to_string() }),
        false => Ok(()),
    }
}

/// A reader migrates nothing.
pub(super) fn check_schema(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    check_no_pre_release(connection, path)?;
    let (expected, found) = (schema::expected_version(), schema::version(connection));
    if found == expected {
        return Ok(());
    }
    Err(StoreError::OtherSchema {
        path: path.display().to_string(),
        found: found.unwrap_or(0),
        expected: expected.unwrap_or(0),
    })
}
