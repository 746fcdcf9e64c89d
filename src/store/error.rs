use std::path::Path;
use std::sync::Arc;

/// Failure of a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the write queue of the store is full")]
    Full,
    #[error("same idempotency key, different payload")]
    KeyReused,
    #[error("the spool is full")]
    SpoolFull,
    #[error("the store is closed")]
    Closed,
    #[error("the store is not open yet")]
    Opening,
    #[error("the store was opened read-only")]
    ReadOnly,
    #[error("the store {path} is in use by another process: stop that one first")]
    InUse { path: String },
    #[error("there is no store {path}")]
    Missing { path: String },
    #[error("{path} is not a Postcall store")]
    Foreign { path: String },
    #[error("{path}: {what}; drop it, or serve another file")]
    ForeignObject { path: String, what: String },
    #[error(
        "{path} was written by a pre-release of Postcall, which this release cannot read: move the \
         file away and start with a new one"
    )]
    PreRelease { path: String },
    #[error(
        "{path} has schema version {found}, expected {expected}; run `postcall serve` to migrate it, \
         or use the release that wrote it"
    )]
    OtherSchema { path: String, found: i32, expected: i32 },
    #[error(
        "a store is being moved to {path}, and not all of it is there: finish with \
         `postcall migrate --from sqlite:{from}`"
    )]
    Incomplete { path: String, from: String },
    #[error("{path} is the spool of a PostgreSQL store (store.spool.path), not a store")]
    Spool { path: String },
    #[error(
        "{path} (store.spool.path) is a store with submissions, not a spool: name another file; \
         `postcall migrate --from sqlite:{path}` moves them to PostgreSQL"
    )]
    NoSpool { path: String },
    #[error(
        "webhooks in the spool {path} (store.spool.path) wait for another database: set store.url to that \
         one until the spool is empty, or move the file away"
    )]
    SpoolOfAnother { path: String },
    #[error("the store {path} is damaged: {fault}; run: postcall doctor --store {path}")]
    Damaged { path: String, fault: String },
    /// Why a process that serves ends.
    #[error(transparent)]
    Ended(Arc<StoreError>),
    #[error(
        "another process serves {path} as the replica {replica}: stop it, or give each process its own \
         `store.replica`"
    )]
    NameInUse { path: String, replica: String },
    #[error(
        "another process has taken over the replica {replica} of {path}: give each process its own \
         `store.replica`, and start one again that was suspended for long"
    )]
    Superseded { path: String, replica: String },
    #[error("{fault} while it was served: restart the service; {copy}")]
    Displaced { fault: String, copy: String },
    #[error(
        "{path} exists and is not overwritten: move it away, with the -wal and -shm that are beside it"
    )]
    Exists { path: String },
    #[error("there is no folder {path}: create it first")]
    NoFolder { path: String },
    /// Of a store that is created where there is none.
    #[error("({key}) the folder {folder} must exist and be writable")]
    Folder { key: &'static str, folder: String, source: std::io::Error },
    #[error("opening the store {path}")]
    Open { path: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the search took too long: narrow it, by time for example (since, until)")]
    TooLong,
    #[error("writing to the store")]
    Write(#[source] Arc<dyn std::error::Error + Send + Sync>),
    #[error("reading from the store")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    pub(super) fn open(
        path: &Path,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        StoreError::Open { path: path.display().to_string(), source: error.into() }
    }
}
