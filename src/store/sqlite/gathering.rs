//! Writes of the log, gathered until they must be in the file.
//!
//! SQLite writes the head of each page in the log, and the page, by calls of their own; a transaction of 64 webhooks
//! is some 500. They follow one another, so one call writes them all. What others may read is in the
//! file: a transaction is written when its last page is, and everything before the file is read, synced, cut off or
//! measured. What is left when the writer's lock is released, or the file is closed, was rolled back: it must not be
//! written any more, as another connection may commit in its place.
//!
//! <https://www.sqlite.org/fileformat2.html#walformat>

use std::ffi::c_int;

use rusqlite::ffi::SQLITE_OK;

/// Size of the head of a page in the log, which is written by a call of its own.
const HEAD_BYTES: usize = 24;

/// Where it has the size of the database after the transaction, if it ends one; zero if not.
const COMMIT: std::ops::Range<usize> = 4..8;

/// Most bytes that are gathered: SQLite's own VFS takes the low 17 bits of a number of bytes (`seekAndWriteFd` in its
/// os_unix.c). A page has at most half of it.
const BYTES_MAX: usize = 0x1_ffff;

/// Bytes that the file does not have yet: those of one or more writes, each behind the one before.
#[derive(Default)]
pub(super) struct Gathered {
    bytes: Vec<u8>,
    /// Where in the file they begin.
    offset: i64,
    /// The last head ends a transaction: what follows is written at once.
    ends_transaction: bool,
}

impl Gathered {
    /// Takes at most [`BYTES_MAX`] bytes that are to be written; `write` writes bytes to the file, and returns SQLite's code.
    pub fn push(
        &mut self,
        bytes: &[u8],
        offset: i64,
        mut write: impl FnMut(&[u8], i64) -> c_int,
    ) -> c_int {
        let follows = self.offset + self.bytes.len() as i64 == offset;
        if !follows || self.bytes.len() + bytes.len() > BYTES_MAX {
            let code = self.flush(&mut write);
            if code != SQLITE_OK {
                return code;
            }
        }
        if self.bytes.is_empty() {
            self.offset = offset;
        }
        self.bytes.extend_from_slice(bytes);
        if bytes.len() == HEAD_BYTES {
            self.ends_transaction = bytes[COMMIT].iter().any(|byte| *byte != 0);
        }
        if self.ends_transaction { self.flush(write) } else { SQLITE_OK }
    }

    /// Forgets what was gathered: a transaction that was rolled back left it.
    pub fn discard(&mut self) {
        self.bytes.clear();
    }

    /// Writes everything that was gathered. If that fails it stays: SQLite takes it for written, and may roll back
    /// less than the transaction.
    pub fn flush(&mut self, mut write: impl FnMut(&[u8], i64) -> c_int) -> c_int {
        if self.bytes.is_empty() {
            return SQLITE_OK;
        }
        let code = write(&self.bytes, self.offset);
        if code == SQLITE_OK {
            self.bytes.clear();
        }
        code
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rusqlite::ffi::SQLITE_FULL;

    use super::*;

    const PAGE_BYTES: usize = 512;

    /// A file in memory, and how often it was written.
    #[derive(Default)]
    struct File {
        bytes: Vec<u8>,
        calls: usize,
    }

    impl File {
        fn write(&mut self, bytes: &[u8], offset: i64) -> c_int {
            let offset = usize::try_from(offset).unwrap();
            self.calls += 1;
            self.bytes.resize(self.bytes.len().max(offset + bytes.len()), 0);
            self.bytes[offset..][..bytes.len()].copy_from_slice(bytes);
            SQLITE_OK
        }
    }

    fn head(ends_transaction: bool) -> [u8; HEAD_BYTES] {
        let mut head = [7; HEAD_BYTES];
        head[COMMIT].copy_from_slice(&u32::from(ends_transaction).to_be_bytes());
        head
    }

    /// A page with its head, at the place of that number.
    fn page(gathered: &mut Gathered, file: &mut File, number: usize, ends_transaction: bool) {
        let at = (number * (HEAD_BYTES + PAGE_BYTES)) as i64;
        let mut write = |bytes: &[u8], offset| file.write(bytes, offset);
        assert_eq!(gathered.push(&head(ends_transaction), at, &mut write), SQLITE_OK);
        let page = [number as u8; PAGE_BYTES];
        assert_eq!(gathered.push(&page, at + HEAD_BYTES as i64, write), SQLITE_OK);
    }

    #[test]
    fn a_transaction_is_in_the_file_once_its_last_page_is_written() {
        let (mut gathered, mut file) = <(Gathered, File)>::default();
        for number in 0..20 {
            page(&mut gathered, &mut file, number, false);
        }
        assert_eq!(file.calls, 0, "nothing has to be there yet");
        page(&mut gathered, &mut file, 20, true);
        assert_eq!(file.bytes.len(), 21 * (HEAD_BYTES + PAGE_BYTES));
        assert!(file.calls <= 2, "{} calls", file.calls);
        page(&mut gathered, &mut file, 21, false);
        assert_eq!(file.bytes.len(), 21 * (HEAD_BYTES + PAGE_BYTES), "it belongs to the next one");
    }

    #[test]
    fn no_more_is_gathered_than_the_bound() {
        let (mut gathered, mut file) = <(Gathered, File)>::default();
        for number in 0..3 * BYTES_MAX / PAGE_BYTES {
            page(&mut gathered, &mut file, number, false);
            assert!(gathered.bytes.len() <= BYTES_MAX);
        }
        assert!(file.calls >= 3);
    }

    #[test]
    fn what_the_disk_had_no_room_for_is_written_later_unless_it_is_rolled_back() {
        let (mut gathered, mut file) = <(Gathered, File)>::default();
        let full = |_: &[u8], _| SQLITE_FULL;
        assert_eq!(gathered.push(&[1; 10], 0, full), SQLITE_OK);
        assert_eq!(gathered.flush(full), SQLITE_FULL);
        assert_eq!(gathered.push(&[2; 10], 600, full), SQLITE_FULL, "it is not gathered");
        assert_eq!(gathered.flush(|bytes, at| file.write(bytes, at)), SQLITE_OK);
        assert_eq!(file.bytes, [1; 10]);
        assert_eq!(gathered.push(&[3; 10], 10, full), SQLITE_OK);
        gathered.discard();
        assert_eq!(gathered.flush(|_, _| unreachable!("there is nothing left")), SQLITE_OK);
    }

    proptest! {
        /// Pages that are written again, as after a rollback, included.
        #[test]
        fn the_file_has_what_was_written_in_any_order(
            writes in prop::collection::vec((0usize..4_000, 1usize..600, any::<u8>()), 1..60),
        ) {
            let (mut gathered, mut file) = <(Gathered, File)>::default();
            let mut expected = File::default();
            for (offset, length, byte) in writes {
                let bytes = vec![byte; length];
                expected.write(&bytes, offset as i64);
                gathered.push(&bytes, offset as i64, |bytes, at| file.write(bytes, at));
            }
            gathered.flush(|bytes, at| file.write(bytes, at));
            prop_assert_eq!(file.bytes, expected.bytes);
        }
    }
}
