//! Files that may have been made, or damaged, to harm their reader: nothing in them is run, and
//! reading them ends.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, Result, Row};

use super::files::beside;
use super::{damage, schema};
use crate::store::error::StoreError;

/// Steps of SQLite's machine that reading may take for each byte of a file. A sound store takes less
/// than one; of the smallest rows, idempotency keys, less than two.
const STEPS_PER_BYTE: u64 = 20;

/// Steps that the smallest file takes, many times over.
const STEPS_AT_LEAST: u64 = 2_000_000;

/// What it costs to look at a row that was read, in steps, and how many of its bytes cost one more.
const STEPS_PER_ROW: usize = 50;
const BYTES_PER_STEP: usize = 16;

/// How often SQLite asks whether it may continue, in steps.
const STEPS_AT_ONCE: i32 = 1000;

/// The longest text or blob that a file may be small enough not to hold.
const LENGTH_AT_LEAST: u64 = 1024 * 1024;

/// Longest name that is repeated of an object that is not ours.
const NAME_MAX: usize = 64;

/// A bound of all that is done with a file, by its size: pages that name each other can have more rows
/// than any file holds.
#[derive(Clone)]
pub(super) struct Budget {
    left: Arc<AtomicI64>,
    steps: u64,
    bytes: u64,
}

impl Budget {
    /// For a file and its log.
    pub fn of(path: &Path) -> Self {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        let bytes = size(path) + size(&beside(path, "-wal"));
        let steps = bytes.saturating_mul(STEPS_PER_BYTE).saturating_add(STEPS_AT_LEAST);
        let left = i64::try_from(steps).unwrap_or(i64::MAX);
        Self { left: Arc::new(left.into()), steps, bytes }
    }

    /// Interrupts the statements of a connection once it is used up.
    pub fn bind(&self, connection: &mut Connection) -> Result<()> {
        let budget = self.clone();
        let go_on = move || budget.spend(i64::from(STEPS_AT_ONCE));
        connection.progress_handler(STEPS_AT_ONCE, Some(go_on))?;
        let length = self.bytes.max(LENGTH_AT_LEAST);
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, length.try_into().unwrap_or(i32::MAX))?;
        Ok(())
    }

    /// A row was read; one may lead through all of the file.
    pub fn spend_row(&self, row: &Row<'_>) {
        let columns = 0..row.as_ref().column_count();
        let bytes =
            columns.filter_map(|column| Some(row.get_ref(column).ok()?.as_bytes().ok()?.len()));
        let steps = STEPS_PER_ROW + bytes.sum::<usize>() / BYTES_PER_STEP;
        self.spend(i64::try_from(steps).unwrap_or(i64::MAX));
    }

    /// Whether it is used up.
    fn spend(&self, steps: i64) -> bool {
        self.left.fetch_sub(steps, Ordering::Relaxed) <= steps
    }

    /// Where it is used up: that it is, in words.
    pub fn exceeded(&self) -> Option<String> {
        let is_exceeded = self.left.load(Ordering::Relaxed) <= 0;
        let Self { steps, bytes, .. } = self;
        is_exceeded.then(|| {
            format!("reading was stopped after {steps} steps, more than a sound file of {bytes} bytes takes")
        })
    }
}

/// What SQLite may do for this connection: no function or table that a schema names runs unless it is
/// harmless, and nothing can break the file by SQL.
pub(super) fn distrust(connection: &Connection) -> Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    Ok(())
}

const VIRTUAL_TABLE: &str = "virtual table";

/// What of a schema runs when it is read, and what does so when it is written, too.
pub(super) const RUN_BY_READING: &[&str] = &["view", VIRTUAL_TABLE];
pub(super) const RUN: &[&str] = &["view", VIRTUAL_TABLE, "trigger"];

/// Objects of the schema of these kinds, in words; a store has none.
fn foreign_code(connection: &Connection, kinds: &[&str]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for (Object { kind, name }, sql) in objects(connection)? {
        let is_virtual = sql.is_some_and(|sql| {
            let mut words = sql.split_ascii_whitespace().map(str::to_ascii_lowercase);
            words.nth(1).is_some_and(|word| word == "virtual")
        });
        let kind = if is_virtual { VIRTUAL_TABLE } else { &kind };
        if kinds.contains(&kind) {
            found.push(format!("the {kind} {} is not part of a store", shortened(&name)));
        }
    }
    Ok(found)
}

/// Differences of the schema from that of a new store, in words. `expected` is one.
fn differences(connection: &Connection, expected: &Connection) -> Result<Vec<String>> {
    let expected = objects(expected)?;
    let found = objects(connection)?;
    let mut differences = Vec::new();
    for (object, sql) in &found {
        let Object { kind, name } = object;
        // SQLite's own, of `ANALYZE`.
        if name.starts_with("sqlite_stat") {
            continue;
        }
        let name = shortened(name);
        match expected.get(object) {
            Some(expected) if expected == sql => {}
            Some(_) => {
                differences.push(format!("a part of the {kind} {name} is not part of a store"))
            }
            None => differences.push(format!("the {kind} {name} is not part of a store")),
        }
    }
    Ok(differences)
}

/// # Errors
/// The schema has objects of these kinds.
pub(super) fn check_code(
    connection: &Connection,
    path: &Path,
    kinds: &[&str],
) -> std::result::Result<(), StoreError> {
    let found = foreign_code(connection, kinds).map_err(|error| damage::opening(path, error))?;
    match found.into_iter().next() {
        None => Ok(()),
        Some(what) => Err(StoreError::ForeignObject { path: path.display().to_string(), what }),
    }
}

/// A store of this release has nothing that a new one has not; one of another release has no code.
pub(super) fn foreign_objects(connection: &Connection) -> Result<Vec<String>> {
    let mut found = foreign_code(connection, RUN)?;
    let version = schema::version(connection);
    if found.is_empty() && (version.is_none() || version == schema::expected_version()) {
        found = differences(connection, &schema::fresh()?)?;
    }
    Ok(found)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Object {
    kind: String,
    name: String,
}

/// What the schema has, with its SQL.
fn objects(connection: &Connection) -> Result<BTreeMap<Object, Option<String>>> {
    let text = |row: &Row<'_>, column| -> Result<Option<String>> {
        let text = row.get_ref(column)?.as_bytes_or_null()?;
        Ok(text.map(|text| String::from_utf8_lossy(text).into_owned()))
    };
    connection
        .prepare("SELECT type, name, sql FROM sqlite_schema")?
        .query_map([], |row| {
            let (kind, name) =
                (text(row, 0)?.unwrap_or_default(), text(row, 1)?.unwrap_or_default());
            Ok((Object { kind, name }, text(row, 2)?))
        })?
        .collect()
}

fn shortened(name: &str) -> String {
    format!("{:?}", name.chars().take(NAME_MAX).collect::<String>())
}
