//! Moving a SQLite store into an empty PostgreSQL database.
//!
//! Each table is copied in the order of its key, a page a transaction, so that a move that was interrupted
//! continues after the last row that is there. Then every column of every row is compared, and the database
//! is examined. Until all of it fits, no process serves the database.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::error::StoreError;
use super::examination::Examination;
use super::postgres::{self, Address, Import, MoveStart, apart};
use super::sqlite::{self, Export, SqliteStore};
use super::tables::{TABLES, Table, Value};
use crate::clock::Clock;

/// Rows that are copied in one transaction, and compared at once.
const PAGE: usize = 500;

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Each table, with how many rows it has and how many of them were copied now.
    pub tables: Vec<MovedTable>,
    /// What is wrong with the database; if anything is, no process serves it.
    pub examination: Examination,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedTable {
    pub name: &'static str,
    pub rows: u64,
    pub copied: u64,
}

/// Failure of a move; running it again continues.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{path} is not sound: {finding}; run: postcall doctor --store {path}")]
    Unsound { path: String, finding: String },
    #[error(
        "{to} has submissions already, which are not of an unfinished move from {from}: expected an empty \
         database"
    )]
    NotEmpty { to: String, from: String },
    #[error(
        "the replica {replica} serves {to}: stop it first; if it ended suddenly, try again two minutes later"
    )]
    Served { to: String, replica: String },
    #[error(
        "row {row} of {table} is not the same in both: {from} was changed since the move began, or {to} was; \
         drop the database, create it again, and move again"
    )]
    Differs { table: &'static str, row: u64, from: String, to: String },
    #[error("reading {table} of {path}")]
    Read { path: String, table: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

/// Moves a store. No process may serve either of them; the file is not changed, but for claims of a process
/// that ended suddenly. `progress` is called with the table and how many of its rows were copied.
///
/// # Errors
/// The file is served or not sound, the database is not empty, or they cannot be read or written.
pub fn move_store(
    from: &Path,
    to: &Address,
    mut progress: impl FnMut(&'static str, u64) + Send,
) -> Result<Moved, MoveError> {
    let shown = from.display().to_string();
    // It is created where there is none.
    let path = sqlite::canonical(from)?;
    // As long as it is open, no other process serves it.
    let _store = SqliteStore::open(sqlite::Options {
        path: path.clone(),
        write_queue: 1,
        lease: Duration::ZERO,
        clock: Clock::system(),
        observer: Arc::new(()),
    })?;
    let examination = sqlite::examine(&path)?;
    if let Some(finding) = examination.findings.into_iter().next() {
        return Err(MoveError::Unsound { path: shown, finding: finding.words });
    }
    let export = Export::open(&path)?;
    apart(move || {
        let next_rows = |table: &Table, after: Option<&[Value]>| {
            export.page(table, after, PAGE).map_err(|source| MoveError::Read {
                path: shown.clone(),
                table: table.name,
                source,
            })
        };
        let import = Import::open(to)?;
        match import.begin(&path.display().to_string())? {
            MoveStart::Moving => {}
            MoveStart::NotEmpty => {
                return Err(MoveError::NotEmpty { to: to.shown(), from: shown.clone() });
            }
            MoveStart::ServedBy(replica) => {
                return Err(MoveError::Served { to: to.shown(), replica });
            }
        }
        let mut tables = Vec::new();
        for table in &TABLES {
            let mut copied = 0;
            let mut after = import.last_key(table)?;
            loop {
                let rows = next_rows(table, after.as_deref())?;
                let Some(last) = rows.last() else { break };
                after = Some(last[..table.key].to_vec());
                copied += rows.len() as u64;
                import.insert(table, rows)?;
                progress(table.name, copied);
            }
            tables.push(MovedTable { name: table.name, rows: 0, copied });
        }
        import.fill_due()?;
        for (table, moved) in TABLES.iter().zip(&mut tables) {
            import.read_all(table)?;
            let mut after: Option<Vec<Value>> = None;
            loop {
                let rows = next_rows(table, after.as_deref())?;
                let found = import.next_rows(table, PAGE)?;
                if let Some(row) = first_difference(&rows, &found) {
                    let row = moved.rows + row as u64 + 1;
                    let (from, to) = (shown.clone(), to.shown());
                    return Err(MoveError::Differs { table: table.name, row, from, to });
                }
                moved.rows += rows.len() as u64;
                let Some(last) = rows.last() else { break };
                after = Some(last[..table.key].to_vec());
            }
            import.end_reading()?;
        }
        let examination = postgres::examine(to)?;
        if examination.findings.is_empty() {
            import.finish()?;
        }
        Ok(Moved { tables, examination })
    })
}

fn first_difference(rows: &[Vec<Value>], found: &[Vec<Value>]) -> Option<usize> {
    let most = rows.len().max(found.len());
    (0..most).find(|row| rows.get(*row) != found.get(*row))
}
