//! The one row that counts submissions by state.

use rusqlite::{Connection, Result};

use crate::submission::StateCounts;

pub(super) fn read(connection: &Connection) -> Result<StateCounts> {
    connection
        .prepare_cached(
            "SELECT accepted, collecting, pending, delivered, ignored, dead, discarded FROM books",
        )?
        .query_row([], |row| {
            Ok(StateCounts {
                accepted: row.get(0)?,
                collecting: row.get(1)?,
                pending: row.get(2)?,
                delivered: row.get(3)?,
                ignored: row.get(4)?,
                dead: row.get(5)?,
                discarded: row.get(6)?,
            })
        })
}

pub(super) fn write(connection: &Connection, totals: &StateCounts) -> Result<()> {
    let StateCounts { accepted, collecting, pending, delivered, ignored, dead, discarded } =
        *totals;
    connection
        .prepare_cached(
            "UPDATE books SET accepted = ?1, collecting = ?2, pending = ?3, delivered = ?4,
                ignored = ?5, dead = ?6, discarded = ?7",
        )?
        .execute([accepted, collecting, pending, delivered, ignored, dead, discarded])?;
    Ok(())
}
