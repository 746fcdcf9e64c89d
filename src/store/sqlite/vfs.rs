//! The VFS of the database file and its log: SQLite's own, but for two things. Writes of the log are gathered, and
//! bytes of a page that belong to no row are zero when they reach the file.
//!
//! `secure_delete` overwrites a row that is deleted. When a page is split, rows move to another page,
//! and what is left of them in the first one belongs to nothing that could be deleted
//! (`rebuildPage` in SQLite's btree.c). Each page is therefore cleaned as it is written. The log still
//! has such bytes; it is folded into the file after an erase, and the writer's cache is dropped.

use std::ffi::{c_char, c_int, c_void};
use std::ops::Range;
use std::sync::Once;

use rusqlite::Connection;
use rusqlite::ffi::{
    Error, SQLITE_FCNTL_FILE_POINTER, SQLITE_MISUSE, SQLITE_OK, SQLITE_OPEN_MAIN_DB,
    SQLITE_OPEN_WAL, SQLITE_SHM_UNLOCK, SQLITE_SYNC_NORMAL, sqlite3_database_file_object,
    sqlite3_file, sqlite3_file_control, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs,
    sqlite3_vfs_find, sqlite3_vfs_register,
};

use super::files::HEAD_BYTES;
use super::gathering::Gathered;

/// Makes it the default VFS of this process, once.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: both calls are allowed at any time. SQLite keeps what is registered until the process
        // ends, so it is leaked. It differs from the VFS that it hands on to in one function, and its
        // files have the room of that one's and, behind it, ours.
        let code = unsafe {
            let inner = sqlite3_vfs_find(std::ptr::null());
            let mut ours: sqlite3_vfs = std::ptr::read(inner);
            ours.zName = c"postcall".as_ptr();
            ours.pNext = std::ptr::null_mut();
            ours.szOsFile = tail_offset(inner) + size_of::<Tail>() as c_int;
            ours.xOpen = Some(open);
            let ours = Box::leak(Box::new(Ours { vfs: ours, inner }));
            sqlite3_vfs_register(&raw mut ours.vfs, 1)
        };
        assert_eq!(code, SQLITE_OK, "SQLite takes a VFS that is like its own");
    });
}

/// Syncs the database file of a connection, which SQLite does only once everything of the log is in it.
pub(super) fn sync(connection: &Connection) -> rusqlite::Result<()> {
    let mut file: *mut sqlite3_file = std::ptr::null_mut();
    // SAFETY: the connection is open, and lets go of its file no sooner than this ends; no other thread uses it, as
    // a connection is not `Sync`. A file that is open has methods.
    let code = unsafe {
        let found = sqlite3_file_control(
            connection.handle(),
            c"main".as_ptr(),
            SQLITE_FCNTL_FILE_POINTER,
            (&raw mut file).cast(),
        );
        match file.as_ref().and_then(|file| file.pMethods.as_ref()) {
            Some(methods) if found == SQLITE_OK => {
                methods.xSync.expect("a file is synced")(file, SQLITE_SYNC_NORMAL)
            }
            _ => SQLITE_MISUSE,
        }
    };
    if code == SQLITE_OK {
        Ok(())
    } else {
        Err(rusqlite::Error::SqliteFailure(Error::new(code), None))
    }
}

#[repr(C)]
struct Ours {
    vfs: sqlite3_vfs,
    /// Does the work.
    inner: *mut sqlite3_vfs,
}

/// The part of the index of a log that who writes has locked: <https://www.sqlite.org/walformat.html#wal_locks>.
const WRITE_LOCK: c_int = 0;

/// What follows the room of an open file of a database.
#[repr(C)]
struct Tail {
    /// Those of the file, but for those that are ours.
    methods: sqlite3_io_methods,
    inner: *const sqlite3_io_methods,
    /// Stays empty unless it is a log.
    gathered: Gathered,
    /// The log of a database while it is open, and the database of a log; null if there is none.
    other: *mut sqlite3_file,
}

/// Where in a file's room the tail begins.
///
/// # Safety
/// `inner` is a registered VFS.
unsafe fn tail_offset(inner: *const sqlite3_vfs) -> c_int {
    // SAFETY: see above.
    let room = unsafe { (*inner).szOsFile } as usize;
    room.next_multiple_of(align_of::<Tail>()) as c_int
}

unsafe extern "C" fn open(
    vfs: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite calls this with the VFS that was registered, and with room for a file of it. The
    // tail is behind what the inner VFS uses, is written before anything reads it, and is as old as
    // the file: `pMethods` may point into it.
    unsafe {
        let inner = (*vfs.cast::<Ours>()).inner;
        let inner_open = (*inner).xOpen.expect("a VFS opens files");
        let code = inner_open(inner, name, file, flags, out_flags);
        if code != SQLITE_OK || flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL) == 0 {
            return code;
        }
        let offset = tail_offset(inner);
        let inner = (*file).pMethods;
        let mut methods: sqlite3_io_methods = std::ptr::read(inner);
        let mut other = std::ptr::null_mut();
        if flags & SQLITE_OPEN_MAIN_DB != 0 {
            methods.xWrite = Some(write_page);
            methods.xShmLock = Some(lock);
        } else {
            // It is older than its log, and closed later.
            other = sqlite3_database_file_object(name);
            let its_tail = other.wrapping_byte_add(offset as usize);
            if (*other).pMethods.cast() != its_tail.cast_const() {
                // Another VFS hands on to ours, and sees the locks: nothing is gathered.
                return code;
            }
            tail_of(other).other = file;
            methods.xClose = Some(close_log);
            methods.xRead = Some(read_log);
            methods.xWrite = Some(write_log);
            methods.xTruncate = Some(truncate_log);
            methods.xSync = Some(sync_log);
            methods.xFileSize = Some(size_of_log);
        }
        // The room ends with the tail, so our methods find it by what every method is given.
        let tail = file.byte_add(offset as usize).cast::<Tail>();
        tail.write(Tail { methods, inner, gathered: Gathered::default(), other });
        (*file).pMethods = &raw const (*tail).methods;
        code
    }
}

/// # Safety
/// The file was opened by [`open`] as one of a database, and no other reference to its tail is in use.
unsafe fn tail_of<'a>(file: *mut sqlite3_file) -> &'a mut Tail {
    // SAFETY: its methods are the first field of its tail. SQLite uses a file in one thread at a time.
    unsafe { &mut *(*file).pMethods.cast_mut().cast::<Tail>() }
}

/// # Safety
/// `inner` are the methods that the file had before it had ours.
unsafe fn write(
    inner: *const sqlite3_io_methods,
    file: *mut sqlite3_file,
    bytes: &[u8],
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: as above; the length is that of the bytes.
    unsafe {
        let write = (*inner).xWrite.expect("a file is written");
        write(file, bytes.as_ptr().cast(), bytes.len() as c_int, offset)
    }
}

unsafe extern "C" fn write_page(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: the file was opened by `open`; `bytes` are as many as SQLite says.
    unsafe {
        let inner = tail_of(file).inner;
        let page = std::slice::from_raw_parts(bytes.cast::<u8>(), amount as usize);
        match unused(page, offset == 0) {
            Some(unused) if page[unused.clone()].iter().any(|byte| *byte != 0) => {
                let mut page = page.to_vec();
                page[unused].fill(0);
                write(inner, file, &page, offset)
            }
            _ => write(inner, file, page, offset),
        }
    }
}

/// Locks a part of a database's index of the log, or releases it.
unsafe extern "C" fn lock(
    file: *mut sqlite3_file,
    first: c_int,
    parts: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the file was opened by `open` as a database; its log says so when it is closed.
    unsafe {
        let Tail { inner, other: log, .. } = tail_of(file);
        if first == WRITE_LOCK && flags & SQLITE_SHM_UNLOCK != 0 && !log.is_null() {
            tail_of(*log).gathered.discard();
        }
        (**inner).xShmLock.expect("a database's log is shared")(file, first, parts, flags)
    }
}

unsafe extern "C" fn write_log(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: as for `write_page`.
    unsafe {
        let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), amount as usize);
        let Tail { inner, gathered, .. } = tail_of(file);
        gathered.push(bytes, offset, |bytes, offset| write(*inner, file, bytes, offset))
    }
}

/// Writes what was gathered of a log, and then does what the inner VFS does with it.
///
/// # Safety
/// The file was opened by [`open`] as a log.
unsafe fn flushed(
    file: *mut sqlite3_file,
    then: impl FnOnce(&sqlite3_io_methods) -> c_int,
) -> c_int {
    // SAFETY: as above.
    unsafe {
        let Tail { inner, gathered, .. } = tail_of(file);
        match gathered.flush(|bytes, offset| write(*inner, file, bytes, offset)) {
            SQLITE_OK => then(&**inner),
            code => code,
        }
    }
}

unsafe extern "C" fn read_log(
    file: *mut sqlite3_file,
    bytes: *mut c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: the file was opened by `open` as a log, and what SQLite says of it is handed on. The same below.
    unsafe {
        flushed(file, |inner| inner.xRead.expect("a file is read")(file, bytes, amount, offset))
    }
}

unsafe extern "C" fn truncate_log(file: *mut sqlite3_file, size: sqlite3_int64) -> c_int {
    // SAFETY: see `read_log`.
    unsafe { flushed(file, |inner| inner.xTruncate.expect("a file is cut off")(file, size)) }
}

unsafe extern "C" fn sync_log(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: see `read_log`.
    unsafe { flushed(file, |inner| inner.xSync.expect("a file is synced")(file, flags)) }
}

unsafe extern "C" fn size_of_log(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    // SAFETY: see `read_log`.
    unsafe { flushed(file, |inner| inner.xFileSize.expect("a file has a size")(file, size)) }
}

unsafe extern "C" fn close_log(file: *mut sqlite3_file) -> c_int {
    // SAFETY: see `read_log`; nothing uses the tail after this.
    unsafe {
        let tail = tail_of(file);
        drop(std::mem::take(&mut tail.gathered));
        tail_of(tail.other).other = std::ptr::null_mut();
        (*tail.inner).xClose.expect("a file is closed")(file)
    }
}

/// The bytes of a B-tree page between its list of cells and its cells; `None` for pages of other kinds.
/// Those begin with the number of a page, whose first byte is 0 or 1 in a file of less than 64 GiB, or
/// are overwritten as a whole.
///
/// <https://www.sqlite.org/fileformat.html#b_tree_pages>
fn unused(page: &[u8], is_first: bool) -> Option<Range<usize>> {
    let head = if is_first { HEAD_BYTES } else { 0 };
    let number =
        |at: usize| Some(usize::from(u16::from_be_bytes([*page.get(at)?, *page.get(at + 1)?])));
    let head_length = match page.get(head)? {
        2 | 5 => 12,
        10 | 13 => 8,
        _ => return None,
    };
    let cells = head + head_length;
    let cells_end = cells + 2 * number(head + 3)?;
    let content = match number(head + 5)? {
        0 => 65536,
        content => content,
    };
    let is_sound = page.len().is_power_of_two()
        && (cells_end..=page.len()).contains(&content)
        && (cells..cells_end)
            .step_by(2)
            .all(|cell| number(cell).is_some_and(|cell| (content..page.len()).contains(&cell)));
    is_sound.then_some(cells_end..content)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A writer whose pages are written, read and written again before their commit.
    fn writer_of_early_pages(path: &Path) -> Connection {
        let writer = Connection::open(path).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.pragma_update(None, "cache_size", 2).unwrap();
        writer.execute_batch("CREATE TABLE rows (n INTEGER PRIMARY KEY, text TEXT)").unwrap();
        writer
    }

    fn insert(connection: &Connection) {
        let text = "text ".repeat(100);
        connection.execute("INSERT INTO rows (text) VALUES (?1)", [text]).unwrap();
    }

    fn rows_of(connection: &Connection) -> i32 {
        connection.query_row("SELECT count(*) FROM rows", [], |row| row.get(0)).unwrap()
    }

    fn integrity(connection: &Connection) -> String {
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn what_is_committed_is_read_by_others_however_it_is_synced() {
        install();
        for synchronous in ["OFF", "NORMAL", "FULL"] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("served.db");
            let writer = writer_of_early_pages(&path);
            writer.pragma_update(None, "synchronous", synchronous).unwrap();
            let reader = Connection::open(&path).unwrap();
            let mut expected = 0;
            for (rows, end) in [(300, "COMMIT"), (200, "ROLLBACK"), (1, "COMMIT"), (90, "COMMIT")] {
                writer.execute_batch("BEGIN").unwrap();
                for _ in 0..rows {
                    insert(&writer);
                    writer
                        .execute("UPDATE rows SET text = 'changed' WHERE n % 50 = 0", [])
                        .unwrap();
                }
                writer.execute_batch(end).unwrap();
                expected += if end == "COMMIT" { rows } else { 0 };
                assert_eq!(rows_of(&reader), expected, "{synchronous}");
                assert_eq!(integrity(&reader), "ok", "{synchronous}");
            }
        }
    }

    #[test]
    fn what_was_rolled_back_is_not_written_over_what_another_has_committed() {
        install();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("served.db");
        let writer = writer_of_early_pages(&path);
        let other = Connection::open(&path).unwrap();
        for (n, rolled_back) in (1..).zip([80, 120, 160, 200, 240]) {
            // So that a rollback reads nothing of the log.
            other.query_row("PRAGMA wal_checkpoint", [], |_| Ok(())).unwrap();
            writer.execute_batch("BEGIN").unwrap();
            (0..rolled_back).for_each(|_| insert(&writer));
            writer.execute_batch("ROLLBACK").unwrap();
            (0..10).for_each(|_| insert(&other));
            insert(&writer);
            for connection in [&writer, &other, &Connection::open(&path).unwrap()] {
                assert_eq!(rows_of(connection), 11 * n);
            }
            assert_eq!(integrity(&other), "ok");
        }
    }

    #[test]
    fn only_what_has_a_file_is_synced() {
        let folder = tempfile::tempdir().unwrap();
        let stored = Connection::open(folder.path().join("served.db")).unwrap();
        stored.execute_batch("CREATE TABLE rows (n INTEGER)").unwrap();
        assert_eq!(sync(&stored), Ok(()));
        assert!(sync(&Connection::open_in_memory().unwrap()).is_err());
    }

    /// A leaf of a table with two cells at the end.
    fn leaf(head: usize) -> Vec<u8> {
        let mut page = vec![0xaa; 512];
        page[head..head + 8].copy_from_slice(&[13, 0, 0, 0, 2, 1, 0xf0, 0]);
        page[head + 8..head + 12].copy_from_slice(&[1, 0xf0, 1, 0xf8]);
        page
    }

    #[test]
    fn unused_bytes_of_a_page_are_between_the_list_of_cells_and_the_cells() {
        assert_eq!(unused(&leaf(0), false), Some(12..0x1f0));
        assert_eq!(unused(&leaf(100), true), Some(112..0x1f0));
    }

    #[test]
    fn a_page_of_another_kind_has_no_unused_bytes() {
        assert_eq!(unused(&leaf(0), true), None);
        let mut overflow = leaf(0);
        overflow[..4].copy_from_slice(&[0, 0, 0, 7]);
        assert_eq!(unused(&overflow, false), None);
    }

    #[test]
    fn a_page_whose_cells_are_elsewhere_is_left_alone() {
        for (at, byte) in [(8, 0), (8, 2), (3, 0xff), (6, 0xf8), (5, 3)] {
            let mut page = leaf(0);
            page[at] = byte;
            assert_eq!(unused(&page, false), None, "{at} {byte}");
        }
        assert_eq!(unused(&leaf(0)[..100], false), None);
    }
}
