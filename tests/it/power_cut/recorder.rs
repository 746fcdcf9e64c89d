//! SQLite's own file system, with one in front of it that records what it is asked, and fails where a
//! test wants that.
//!
//! It becomes the default of the whole test binary, and hands every file outside the folders that are
//! recorded on without a trace.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use rusqlite::ffi::{
    SQLITE_CANTOPEN, SQLITE_IOERR_ACCESS, SQLITE_IOERR_DELETE, SQLITE_IOERR_FSTAT,
    SQLITE_IOERR_FSYNC, SQLITE_IOERR_LOCK, SQLITE_IOERR_READ, SQLITE_IOERR_SHMLOCK,
    SQLITE_IOERR_SHMMAP, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE, SQLITE_OK, SQLITE_OPEN_CREATE,
    SQLITE_OPEN_MAIN_JOURNAL, SQLITE_OPEN_WAL, SQLITE_SHM_LOCK, sqlite3_file, sqlite3_int64,
    sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register,
};

/// Something that the file system was asked for and did.
#[derive(Debug, Clone)]
pub enum Event {
    /// A log or journal, which may be new: SQLite syncs the folder with the first sync of it.
    Opened {
        file: String,
    },
    Wrote {
        file: String,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncated {
        file: String,
        length: usize,
    },
    Synced {
        file: String,
    },
    /// Whether the folder was synced with it.
    Removed {
        file: String,
        synced: bool,
    },
}

impl Event {
    pub fn file(&self) -> &str {
        match self {
            Event::Opened { file }
            | Event::Wrote { file, .. }
            | Event::Truncated { file, .. }
            | Event::Synced { file }
            | Event::Removed { file, .. } => file,
        }
    }
}

/// What happens to the files of one folder, from when it is made.
#[derive(Clone)]
pub struct Recording(Arc<Log>);

struct Log {
    folder: PathBuf,
    /// `None` if only calls are counted.
    events: Option<Mutex<Vec<Event>>>,
    calls: Mutex<Calls>,
}

/// How often a file system was asked for something that can fail, and which of these calls do.
#[derive(Default)]
struct Calls {
    made: usize,
    failing: Range<usize>,
    /// The process is killed at this one, before it is done.
    fatal: Option<usize>,
    /// They are not the service's.
    aside: bool,
}

static LOGS: Mutex<Vec<Arc<Log>>> = Mutex::new(Vec::new());

impl Recording {
    pub fn of(folder: &Path) -> Self {
        install();
        let folder = folder.canonicalize().unwrap();
        let events = Some(Mutex::default());
        let log = Arc::new(Log { folder, events, calls: Mutex::default() });
        for file in std::fs::read_dir(&log.folder).unwrap() {
            let path = file.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            let bytes = std::fs::read(&path).unwrap();
            log.note(Event::Wrote { file: file.clone(), offset: 0, bytes });
            log.note(Event::Synced { file });
        }
        LOGS.lock().unwrap().push(log.clone());
        Self(log)
    }

    /// Counts calls, and keeps nothing of what they do.
    pub fn counting(folder: &Path) -> Self {
        install();
        let folder = folder.canonicalize().unwrap();
        let log = Arc::new(Log { folder, events: None, calls: Mutex::default() });
        LOGS.lock().unwrap().push(log.clone());
        Self(log)
    }

    /// Forgets the folder.
    pub fn end(&self) {
        LOGS.lock().unwrap().retain(|log| !Arc::ptr_eq(log, &self.0));
    }

    /// How many calls that can fail were made so far.
    pub fn calls(&self) -> usize {
        self.0.calls.lock().unwrap().made
    }

    /// Those calls fail, counted from the first.
    pub fn fail(&self, calls: Range<usize>) {
        self.0.calls.lock().unwrap().failing = calls;
    }

    /// At that call, counted from the first, this process ends as by kill -9.
    pub fn kill_at(&self, call: usize) {
        self.0.calls.lock().unwrap().fatal = Some(call);
    }

    /// What is looked at meanwhile is no call of the service: it is not counted, and does not fail.
    pub fn aside<T>(&self, look: impl FnOnce() -> T) -> T {
        self.0.calls.lock().unwrap().aside = true;
        let seen = look();
        self.0.calls.lock().unwrap().aside = false;
        seen
    }

    /// How much has been done so far.
    pub fn len(&self) -> usize {
        self.0.events().len()
    }

    /// Whether the log of a database was written and then synced, after so much had been done.
    pub fn log_was_synced_since(&self, moment: usize) -> bool {
        let events = self.0.events();
        let mut of_log = events[moment..].iter().filter(|event| event.file().ends_with("-wal"));
        matches!(of_log.next_back(), Some(Event::Synced { .. }))
    }

    /// So far; what is in them has been done.
    pub fn events(&self) -> Vec<Event> {
        self.0.events().clone()
    }
}

impl Log {
    /// Counts a call; returns whether it fails.
    fn fails(&self) -> bool {
        let mut calls = self.calls.lock().unwrap();
        if calls.aside {
            return false;
        }
        calls.made += 1;
        if calls.fatal == Some(calls.made - 1) {
            let kill = rustix::process::Signal::KILL;
            rustix::process::kill_process(rustix::process::getpid(), kill).unwrap();
        }
        calls.failing.contains(&(calls.made - 1))
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.as_ref().expect("events are kept").lock().unwrap()
    }

    fn note(&self, event: Event) {
        if self.events.is_some() {
            self.events().push(event);
        }
    }
}

/// The log and the name of a file, where its folder is recorded. What SQLite shares between
/// processes in memory is no file that outlives a power cut.
fn recorded(path: *const c_char) -> Option<(Arc<Log>, String)> {
    if path.is_null() {
        return None;
    }
    // SAFETY: SQLite hands over a string that ends with a zero and lives as long as the file is open.
    let path = Path::new(unsafe { CStr::from_ptr(path) }.to_str().ok()?);
    let logs = LOGS.lock().unwrap();
    let log = logs.iter().find(|log| path.parent() == Some(log.folder.as_path()))?;
    Some((log.clone(), path.file_name()?.to_str()?.to_owned()))
}

/// The file system that does the work.
struct Real(*mut sqlite3_vfs);

// SAFETY: SQLite's file systems are made to be used by many threads, and this one is never freed.
unsafe impl Send for Real {}
// SAFETY: as above; it is only read.
unsafe impl Sync for Real {}

static REAL: OnceLock<Real> = OnceLock::new();

fn install() {
    REAL.get_or_init(|| {
        // SAFETY: both calls are lawful at any time; the new file system is leaked, because SQLite
        // keeps it until the process ends. It differs from the real one in three functions and in the
        // room that its files take, which is before the room of the real one's.
        unsafe {
            let real = sqlite3_vfs_find(std::ptr::null());
            let mut ours: sqlite3_vfs = std::ptr::read(real);
            ours.zName = c"recorder".as_ptr();
            ours.pNext = std::ptr::null_mut();
            ours.szOsFile += OURS as c_int;
            ours.xOpen = Some(open);
            ours.xDelete = Some(delete);
            ours.xAccess = Some(access);
            let code = sqlite3_vfs_register(Box::leak(Box::new(ours)), 1);
            assert_eq!(code, SQLITE_OK);
            Real(real)
        }
    });
}

fn real() -> *mut sqlite3_vfs {
    REAL.get().expect("it is known before the other is installed").0
}

/// A file that is recorded; the real one lies behind it.
#[repr(C)]
struct File {
    base: sqlite3_file,
    /// Of the real one's methods those that are not recorded, and ours.
    methods: *mut sqlite3_io_methods,
    /// Leaked until the file is closed.
    log: *mut (Arc<Log>, String),
}

/// Whole words, so that the real file lies as SQLite would have laid it.
const OURS: usize = size_of::<File>().next_multiple_of(16);

/// # Safety
/// `file` is one that [`open`] recorded.
unsafe fn behind(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: SQLite gave room for ours and, behind it, for the real one.
    unsafe { file.cast::<u8>().add(OURS).cast() }
}

/// # Safety
/// As for [`behind`], and the file is open.
unsafe fn log_of<'a>(file: *mut sqlite3_file) -> &'a (Arc<Log>, String) {
    // SAFETY: it is leaked until the file is closed.
    unsafe { &*(*file.cast::<File>()).log }
}

/// # Safety
/// As for [`behind`], and the file is open.
unsafe fn methods_of<'a>(file: *mut sqlite3_file) -> &'a sqlite3_io_methods {
    // SAFETY: the real file system has set them when it opened the file.
    unsafe { &*(*behind(file)).pMethods }
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: the arguments are SQLite's own, handed on; the room behind `file` is that of the real
    // file system and ours.
    unsafe {
        let open = (*real()).xOpen.expect("every file system opens files");
        let Some(log) = recorded(name) else {
            return open(real(), name, file, flags, out_flags);
        };
        std::ptr::write_bytes(file.cast::<u8>(), 0, OURS);
        if log.0.fails() {
            return SQLITE_CANTOPEN;
        }
        let inner = behind(file);
        let code = open(real(), name, inner, flags, out_flags);
        if (*inner).pMethods.is_null() {
            return code;
        }
        let theirs = &*(*inner).pMethods;
        let methods = sqlite3_io_methods {
            // Without reading through mapped memory, which is the third version.
            iVersion: theirs.iVersion.min(2),
            xClose: Some(close),
            xRead: Some(read),
            xWrite: Some(write),
            xTruncate: Some(truncate),
            xSync: Some(sync),
            xFileSize: Some(file_size),
            xLock: Some(lock),
            xUnlock: Some(unlock),
            xCheckReservedLock: Some(check_reserved_lock),
            xFileControl: Some(file_control),
            xSectorSize: Some(sector_size),
            xDeviceCharacteristics: Some(device_characteristics),
            xShmMap: Some(shm_map),
            xShmLock: Some(shm_lock),
            xShmBarrier: Some(shm_barrier),
            xShmUnmap: Some(shm_unmap),
            xFetch: None,
            xUnfetch: None,
        };
        let is_journal = flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL) != 0;
        if is_journal && flags & SQLITE_OPEN_CREATE != 0 {
            log.0.note(Event::Opened { file: log.1.clone() });
        }
        let ours = file.cast::<File>();
        (*ours).methods = Box::into_raw(Box::new(methods));
        (*ours).log = Box::into_raw(Box::new(log));
        (*ours).base.pMethods = (*ours).methods;
        code
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    let recorded = recorded(name);
    if recorded.as_ref().is_some_and(|(log, _)| log.fails()) {
        return SQLITE_IOERR_DELETE;
    }
    // SAFETY: the arguments are SQLite's own, handed on.
    let code = unsafe { ((*real()).xDelete.expect("it deletes files"))(real(), name, sync) };
    if code == SQLITE_OK
        && let Some((log, file)) = recorded
    {
        log.note(Event::Removed { file, synced: sync != 0 });
    }
    code
}

unsafe extern "C" fn access(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    what: c_int,
    result: *mut c_int,
) -> c_int {
    if recorded(name).is_some_and(|(log, _)| log.fails()) {
        return SQLITE_IOERR_ACCESS;
    }
    // SAFETY: the arguments are SQLite's own, handed on.
    unsafe { ((*real()).xAccess.expect("it looks for files"))(real(), name, what, result) }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: the file is open and is closed once; what was leaked for it is taken back.
    unsafe {
        let code = (methods_of(file).xClose.expect("files are closed"))(behind(file));
        let ours = file.cast::<File>();
        drop(Box::from_raw((*ours).methods));
        drop(Box::from_raw((*ours).log));
        (*ours).base.pMethods = std::ptr::null();
        code
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    amount: c_int,
    offset: sqlite3_int64,
) -> c_int {
    // SAFETY: `bytes` are as many as SQLite says; the rest is handed on.
    unsafe {
        if log_of(file).0.fails() {
            return SQLITE_IOERR_WRITE;
        }
        let write = methods_of(file).xWrite.expect("files are written");
        let code = write(behind(file), bytes, amount, offset);
        if code == SQLITE_OK {
            let (log, name) = log_of(file);
            let bytes = std::slice::from_raw_parts(bytes.cast::<u8>(), amount as usize).to_vec();
            log.note(Event::Wrote { file: name.clone(), offset: offset as usize, bytes });
        }
        code
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    // SAFETY: the file is open, and the rest is handed on.
    unsafe {
        if log_of(file).0.fails() {
            return SQLITE_IOERR_TRUNCATE;
        }
        let code = (methods_of(file).xTruncate.expect("files are cut"))(behind(file), length);
        if code == SQLITE_OK {
            let (log, name) = log_of(file);
            log.note(Event::Truncated { file: name.clone(), length: length as usize });
        }
        code
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: the file is open, and the rest is handed on.
    unsafe {
        if log_of(file).0.fails() {
            return SQLITE_IOERR_FSYNC;
        }
        let code = (methods_of(file).xSync.expect("files are synced"))(behind(file), flags);
        if code == SQLITE_OK {
            let (log, name) = log_of(file);
            log.note(Event::Synced { file: name.clone() });
        }
        code
    }
}

/// A method that is handed on as it is.
macro_rules! handed_on {
    ($($name:ident => $method:ident($($argument:ident: $kind:ty),*) $(-> $result:ty)? $(, or $fault:ident)?;)*) => {
        $(
            unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $kind),*) $(-> $result)? {
                // SAFETY: the file is open, and the arguments are SQLite's own.
                unsafe {
                    $(if log_of(file).0.fails() {
                        return $fault;
                    })?
                    let method = methods_of(file).$method.expect("the real file system has it");
                    method(behind(file), $($argument),*)
                }
            }
        )*
    };
}

handed_on! {
    read => xRead(bytes: *mut c_void, amount: c_int, offset: sqlite3_int64) -> c_int, or SQLITE_IOERR_READ;
    file_size => xFileSize(size: *mut sqlite3_int64) -> c_int, or SQLITE_IOERR_FSTAT;
    lock => xLock(kind: c_int) -> c_int, or SQLITE_IOERR_LOCK;
    unlock => xUnlock(kind: c_int) -> c_int;
    check_reserved_lock => xCheckReservedLock(is_reserved: *mut c_int) -> c_int;
    file_control => xFileControl(what: c_int, argument: *mut c_void) -> c_int;
    sector_size => xSectorSize() -> c_int;
    device_characteristics => xDeviceCharacteristics() -> c_int;
    shm_map => xShmMap(region: c_int, size: c_int, extend: c_int, at: *mut *mut c_void) -> c_int, or SQLITE_IOERR_SHMMAP;
    shm_lock_real => xShmLock(offset: c_int, count: c_int, flags: c_int) -> c_int;
    shm_barrier => xShmBarrier();
    shm_unmap => xShmUnmap(delete: c_int) -> c_int;
}

/// A lock that is given back is given back.
unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the file is open, and the arguments are SQLite's own.
    unsafe {
        if flags & SQLITE_SHM_LOCK != 0 && log_of(file).0.fails() {
            return SQLITE_IOERR_SHMLOCK;
        }
        shm_lock_real(file, offset, count, flags)
    }
}
