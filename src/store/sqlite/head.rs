//! The head of a damaged file: what says what the file is, and where its tables are.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Result};

use super::files::{HEAD_BYTES, PAGE_BYTES, beside, folder_of};
use super::untrusted::Budget;
use super::{doctor, log};
use crate::store::error::StoreError;

/// Opens the damaged store or, if its head is damaged, a copy with a sound one; if its log is, a copy whose log is
/// read to its end.
pub(super) fn open(
    damaged: &Path,
    new: &Path,
    fresh: &Connection,
    has_tables: fn(&Connection) -> bool,
    budget: &Budget,
) -> std::result::Result<(Connection, Option<tempfile::TempDir>), StoreError> {
    let io = |error| StoreError::open(damaged, error);
    let log_damage = log::damage(damaged).map_err(io)?;
    if let Some(damage) = log_damage {
        let (folder, copy) = copy_of(damaged, new).map_err(io)?;
        log::rewrite(damaged, damage, &copy).map_err(io)?;
        if let Ok(connection) = doctor::open(&copy, budget)
            && has_tables(&connection)
        {
            return Ok((connection, Some(folder)));
        }
    }
    let unreadable = match doctor::open(damaged, budget) {
        Ok(connection) if has_tables(&connection) => return Ok((connection, None)),
        Ok(_) => StoreError::Damaged {
            path: damaged.display().to_string(),
            fault: "it does not have the tables of a store".to_owned(),
        },
        Err(error @ StoreError::Damaged { .. }) => error,
        Err(error) => return Err(error),
    };
    let head = Head::of(fresh, new).map_err(io)?;
    for part in [Part::Head, Part::Schema] {
        let (folder, copy) = copy_of(damaged, new).map_err(io)?;
        let log = beside(damaged, "-wal");
        if log.exists() {
            std::fs::copy(log, beside(&copy, "-wal")).map_err(io)?;
        }
        head.write_to(&copy, part).map_err(io)?;
        if let Ok(connection) = doctor::open(&copy, budget)
            && has_tables(&connection)
        {
            return Ok((connection, Some(folder)));
        }
    }
    Err(unreadable)
}

/// A copy of the database without its log, in a folder of its own beside the new store.
fn copy_of(damaged: &Path, new: &Path) -> std::io::Result<(tempfile::TempDir, PathBuf)> {
    let folder = tempfile::tempdir_in(folder_of(new))?;
    let copy = folder.path().join("copy.db");
    std::fs::copy(damaged, &copy)?;
    Ok((folder, copy))
}

/// The pages that a new store begins with. A damaged one of the same release began with them too, and
/// what is found by them is checked.
struct Head(Vec<(u64, Vec<u8>)>);

#[derive(Clone, Copy)]
enum Part {
    /// What says what the file is.
    Head,
    /// The pages that say where the tables are, too.
    Schema,
}

impl Head {
    fn of(fresh: &Connection, path: &Path) -> std::io::Result<Self> {
        let numbers = (|| -> Result<Vec<u64>> {
            fresh.pragma_update(None, "wal_checkpoint", "TRUNCATE")?;
            fresh
                .prepare("SELECT pageno FROM dbstat WHERE name = 'sqlite_schema' ORDER BY pageno")?
                .query_map([], |row| row.get(0))?
                .collect()
        })();
        let file = File::open(path)?;
        let page = |number: u64| {
            let mut page = vec![0; usize::from(PAGE_BYTES)];
            file.read_exact_at(&mut page, (number - 1) * u64::from(PAGE_BYTES))?;
            Ok((number, page))
        };
        let pages: std::io::Result<_> =
            numbers.map_err(std::io::Error::other)?.into_iter().map(page).collect();
        pages.map(Self)
    }

    /// With the number of pages that there are, and none of them free.
    fn write_to(&self, store: &Path, part: Part) -> std::io::Result<()> {
        let file = OpenOptions::new().write(true).open(store)?;
        let pages =
            u32::try_from(file.metadata()?.len() / u64::from(PAGE_BYTES)).unwrap_or(u32::MAX);
        for (number, page) in &self.0 {
            let mut page = page.clone();
            if *number == 1 {
                page[28..32].copy_from_slice(&pages.to_be_bytes());
                page[32..40].fill(0);
            }
            match part {
                Part::Head if *number > 1 => {}
                Part::Head => file.write_all_at(&page[..HEAD_BYTES], 0)?,
                Part::Schema => file.write_all_at(&page, (number - 1) * u64::from(PAGE_BYTES))?,
            }
        }
        Ok(())
    }
}
