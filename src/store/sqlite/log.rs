//! The log beside the database: commits behind a part of it that is damaged.
//!
//! SQLite reads the log up to the first frame whose checksum is wrong, and takes that for its end: what a crash
//! cut off was never committed. Where the disk has changed something before the end, the commits behind it
//! would be dropped silently. The syncs distinguish them from what was cut off: a transaction begins only when the
//! one before is on disk. Format: <https://www.sqlite.org/fileformat2.html#walformat>.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, ErrorKind, Read, Result, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::files::{NO_LINK, beside};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;

/// What the header begins with; the last bit says in which order words are summed.
const MAGIC: u32 = 0x377f_0682;

/// Where what can be read of a log is damaged, and where it ends. Frames are counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage {
    /// The first frame that is not what was written.
    pub frame: usize,
    /// How many frames there are up to the last commit behind it.
    frames: usize,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {} of the log is not what was written, and commits follow it", self.frame)
    }
}

/// Damage with commits behind it; `None` if there is none, or no log. No process may write the log meanwhile.
///
/// # Errors
/// The log cannot be read.
pub(super) fn damage(database: &Path) -> Result<Option<Damage>> {
    let Some(mut log) = Log::open(database)? else { return Ok(None) };
    let mut expected = Some(log.sum);
    let (mut first, mut damage) = (None, None::<Damage>);
    // Whether the frame before ends a transaction, and whether this one is behind damage and follows one that does.
    let (mut follows_commit, mut is_behind) = (false, false);
    let mut number = 0;
    while let Some(frame) = log.next()? {
        let is_ours = frame.salts() == log.salts;
        let is_whole =
            is_ours && expected.is_some_and(|sum| log.summed(sum, &frame) == frame.sum());
        if !is_whole {
            first.get_or_insert(number);
            is_behind = false;
        } else if let (Some(frame), true, false) = (first, follows_commit, is_behind) {
            is_behind = true;
            damage = Some(Damage { frame, frames: number });
        }
        follows_commit = is_ours && frame.is_commit();
        if let (Some(damage), true, true) = (&mut damage, is_behind, follows_commit) {
            damage.frames = number + 1;
        }
        expected = is_ours.then(|| frame.sum());
        number += 1;
    }
    Ok(damage)
}

/// Writes the log again for a copy of the database, with checksums of what its frames have now: what is damaged is
/// found by what the rows have of their own.
///
/// # Errors
/// The log cannot be read, or the copy not written.
pub(super) fn rewrite(database: &Path, damage: Damage, copy: &Path) -> Result<()> {
    let Some(mut log) = Log::open(database)? else { return Ok(()) };
    let mut to = BufWriter::new(File::create(beside(copy, "-wal"))?);
    to.write_all(&log.header)?;
    let mut sum = log.sum;
    for _ in 0..damage.frames {
        let Some(mut frame) = log.next()? else { break };
        frame.0[8..16].copy_from_slice(&log.salts);
        sum = log.summed(sum, &frame);
        frame.0[16..20].copy_from_slice(&sum.0.to_be_bytes());
        frame.0[20..24].copy_from_slice(&sum.1.to_be_bytes());
        to.write_all(&frame.0)?;
    }
    to.into_inner()?.sync_all()
}

type Sum = (u32, u32);

struct Log {
    file: BufReader<File>,
    header: [u8; HEADER_BYTES],
    page_bytes: usize,
    salts: [u8; 8],
    /// That of the header, which the first frame continues.
    sum: Sum,
    read_word: fn([u8; 4]) -> u32,
}

/// A frame as it is in the file.
struct Frame(Vec<u8>);

impl Log {
    /// `None` if there is no log, or nothing that SQLite would read: the head is written while nothing
    /// of the log is needed.
    fn open(database: &Path) -> Result<Option<Self>> {
        let log = beside(database, "-wal");
        let file = match OpenOptions::new().read(true).custom_flags(NO_LINK).open(log) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let (mut file, mut header) = (BufReader::new(file), [0; HEADER_BYTES]);
        if !read(&mut file, &mut header)? {
            return Ok(None);
        }
        let magic = word(&header, 0);
        let page_bytes = word(&header, 8) as usize;
        if magic & !1 != MAGIC || !page_bytes.is_power_of_two() || page_bytes > 65_536 {
            return Ok(None);
        }
        let read_word = if magic & 1 == 1 { u32::from_be_bytes } else { u32::from_le_bytes };
        let mut salts = [0; 8];
        salts.copy_from_slice(&header[16..24]);
        let sum = summed((0, 0), &header[..24], read_word);
        let is_whole = sum == (word(&header, 24), word(&header, 28));
        Ok(is_whole.then_some(Self { file, header, page_bytes, salts, sum, read_word }))
    }

    /// `None` at the end of the file.
    fn next(&mut self) -> Result<Option<Frame>> {
        let mut frame = vec![0; FRAME_HEADER_BYTES + self.page_bytes];
        Ok(read(&mut self.file, &mut frame)?.then_some(Frame(frame)))
    }

    fn summed(&self, sum: Sum, frame: &Frame) -> Sum {
        let sum = summed(sum, &frame.0[..8], self.read_word);
        summed(sum, &frame.0[FRAME_HEADER_BYTES..], self.read_word)
    }
}

impl Frame {
    fn salts(&self) -> [u8; 8] {
        let mut salts = [0; 8];
        salts.copy_from_slice(&self.0[8..16]);
        salts
    }

    fn sum(&self) -> Sum {
        (word(&self.0, 16), word(&self.0, 20))
    }

    /// Whether a transaction ends with it.
    fn is_commit(&self) -> bool {
        word(&self.0, 4) != 0
    }
}

/// Whether there was as much to read.
fn read(file: &mut impl Read, into: &mut [u8]) -> Result<bool> {
    match file.read_exact(into) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| true),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn summed((mut first, mut second): Sum, bytes: &[u8], read_word: fn([u8; 4]) -> u32) -> Sum {
    for pair in bytes.chunks_exact(8) {
        let words =
            [0, 4].map(|at| read_word([pair[at], pair[at + 1], pair[at + 2], pair[at + 3]]));
        first = first.wrapping_add(words[0]).wrapping_add(second);
        second = second.wrapping_add(words[1]).wrapping_add(first);
    }
    (first, second)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use rusqlite::Connection;
    use tempfile::TempDir;

    use super::*;

    /// A database with one row a transaction, as it is after a kill, and where each transaction ends in its log.
    fn killed_after(transactions: i64) -> (TempDir, PathBuf, Vec<usize>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("served.db");
        let store = Connection::open(&path).unwrap();
        store.pragma_update(None, "journal_mode", "WAL").unwrap();
        store.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        let log = || std::fs::metadata(beside(&path, "-wal")).unwrap().len() as usize;
        store.execute_batch("CREATE TABLE rows (n INTEGER PRIMARY KEY, text TEXT)").unwrap();
        let mut ends = Vec::new();
        for n in 0..transactions {
            let text = format!("row {n} ").repeat(1000);
            store.execute("INSERT INTO rows VALUES (?1, ?2)", (n, text)).unwrap();
            ends.push(log());
        }
        let copy = folder.path().join("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::copy(beside(&path, "-wal"), beside(&copy, "-wal")).unwrap();
        (folder, copy, ends)
    }

    fn change(database: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let log = beside(database, "-wal");
        let mut bytes = std::fs::read(&log).unwrap();
        change(&mut bytes);
        std::fs::write(log, bytes).unwrap();
    }

    fn rows(database: &Path) -> i64 {
        let store = Connection::open(database).unwrap();
        store.query_row("SELECT count(*) FROM rows", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_log_that_is_whole_or_cut_off_is_not_damaged() {
        let (_folder, database, ends) = killed_after(5);
        assert_eq!(damage(&database).unwrap(), None);
        for left in [ends[4] - 1, ends[4] - 5000, ends[2] + 30, ends[0], 40, 32, 10, 0] {
            change(&database, |log| log.truncate(left));
            assert_eq!(damage(&database).unwrap(), None, "{left}");
        }
        std::fs::remove_file(beside(&database, "-wal")).unwrap();
        assert_eq!(damage(&database).unwrap(), None);
    }

    #[test]
    fn a_part_of_the_last_transaction_that_is_missing_is_not_damage() {
        let (_folder, database, ends) = killed_after(5);
        // Its last frames were written before the first ones.
        change(&database, |log| log[ends[3]..ends[3] + 4120].fill(0));
        assert_eq!(damage(&database).unwrap(), None);
        assert_eq!(rows(&database), 4);
    }

    #[test]
    fn a_flipped_bit_before_other_commits_is_found_and_what_follows_is_read() {
        for place in [0, 9, 17, 24 + 4000] {
            let (folder, database, ends) = killed_after(5);
            // In a frame of the third transaction: its header, its salts, its checksum, its page.
            change(&database, |log| log[ends[1] + place] ^= 0x10);
            let found = damage(&database).unwrap().unwrap();
            assert_eq!(found.frame, (ends[1] - HEADER_BYTES) / 4120, "{place}");
            assert_eq!(found.frames, (ends[4] - HEADER_BYTES) / 4120, "{place}");

            let copy = folder.path().join("again.db");
            std::fs::copy(&database, &copy).unwrap();
            rewrite(&database, found, &copy).unwrap();
            assert_eq!(damage(&copy).unwrap(), None);
            if place > 0 {
                assert_eq!(rows(&copy), 5, "{place}");
            }
            assert!(rows(&database) < 5, "SQLite does not read it");
        }
    }

    #[test]
    fn what_transactions_left_that_were_rolled_back_is_not_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("served.db");
        let store = Connection::open(&path).unwrap();
        store.pragma_update(None, "journal_mode", "WAL").unwrap();
        store.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        // So that pages are written before the commit.
        store.pragma_update(None, "cache_size", 2).unwrap();
        store.execute_batch("CREATE TABLE rows (n INTEGER PRIMARY KEY, text TEXT)").unwrap();
        for (rows, end) in [(200, "ROLLBACK"), (90, "ROLLBACK"), (2, "COMMIT"), (1, "COMMIT")] {
            store.execute_batch("BEGIN").unwrap();
            for _ in 0..rows {
                let text = "text ".repeat(500);
                store.execute("INSERT INTO rows (text) VALUES (?1)", [text]).unwrap();
            }
            store.execute_batch(end).unwrap();
        }
        let written = std::fs::metadata(beside(&path, "-wal")).unwrap().len();
        assert!(written > 100 * 4120, "{written}");
        assert_eq!(damage(&path).unwrap(), None);
    }
}
