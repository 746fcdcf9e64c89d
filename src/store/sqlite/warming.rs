//! Reads the index of ids once after opening, so that webhooks do not wait for it.
//!
//! The id of a submission follows from its call alone, so each webhook looks at another page of the index. Where
//! the system has dropped the file from memory, that is a read of the disk in the writer, one after the
//! other. No memory of this process is taken: the pages are the system's.

use rusqlite::{Connection, Result};

/// Size of a database in bytes from which it is worth it.
pub(super) const WARMED_FROM: u64 = 16 << 20;

/// After how many submissions it ends: what is larger may not fit into memory either.
const SUBMISSIONS_MAX: u64 = 10_000_000;

/// An id has 16 bytes, and is less than 17 of the largest.
const SLICE: &str = "SELECT count(*) FROM submissions WHERE id >= ?1 AND id < ?2";

/// Reads the index in slices, so that no log waits for the reader; `between` says before each whether to go on.
pub(super) fn warm(connection: &Connection, mut between: impl FnMut() -> bool) -> Result<()> {
    let mut read = 0;
    let mut slice = connection.prepare(SLICE)?;
    for first in 0..=u8::MAX {
        if !between() || read > SUBMISSIONS_MAX {
            break;
        }
        let next = first.checked_add(1).map_or(vec![u8::MAX; 17], |next| vec![next]);
        read += slice.query_row((&[first][..], next), |row| row.get::<_, u64>(0))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_of_the_index_is_read_once_and_with_the_index() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE submissions (seq INTEGER PRIMARY KEY, id BLOB UNIQUE)")
            .unwrap();
        let mut steps = 0;
        warm(&connection, || {
            steps += 1;
            true
        })
        .unwrap();
        assert_eq!(steps, 256);
        let plan: String = connection
            .query_row(&format!("EXPLAIN QUERY PLAN {SLICE}"), [[0u8], [1u8]], |row| row.get(3))
            .unwrap();
        assert!(plan.starts_with("SEARCH submissions USING COVERING INDEX"), "{plan}");
        let mut steps = 0;
        warm(&connection, || {
            steps += 1;
            steps < 3
        })
        .unwrap();
        assert_eq!(steps, 3);
    }
}
