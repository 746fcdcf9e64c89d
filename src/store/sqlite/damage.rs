//! Telling a store that is damaged from one that just cannot be had.

use std::error::Error;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rusqlite::ErrorCode;

use crate::store::error::StoreError;
use crate::store::observer::Observer;

/// What is known of the damage of one store that is being served.
#[derive(Clone)]
pub(super) struct Damage {
    path: Arc<str>,
    observer: Arc<dyn Observer>,
    /// What the writer met. Nothing is written from then on: on what is damaged every write can do
    /// more of it, and what is written to a deleted file is lost.
    fatal: Arc<OnceLock<Fatal>>,
    /// What was met by a look alone, which harms nothing.
    seen: Arc<OnceLock<String>>,
}

enum Fatal {
    /// SQLite's words.
    Damaged(String),
    Displaced {
        fault: String,
        /// Where the submissions are, once they were copied.
        copy: OnceLock<String>,
    },
}

impl Damage {
    pub fn none_yet(store: &Path, observer: Arc<dyn Observer>) -> Self {
        let path = store.display().to_string().into();
        Self { path, observer, fatal: Arc::default(), seen: Arc::default() }
    }

    /// The database could not be opened for this.
    pub fn found_opening(&self, fault: &str) {
        // Nothing was found before.
        let _ = self.fatal.set(Fatal::Damaged(fault.to_owned()));
    }

    /// The writer met with this; whether it is damage.
    pub fn met_writing(&self, error: &rusqlite::Error) -> bool {
        let is_damage = is_damage(error);
        if is_damage && self.fatal.set(Fatal::Damaged(error.to_string())).is_ok() {
            self.observer.damaged();
            tracing::error!(
                %error,
                "the store is damaged and nothing is written to it any more, webhooks are answered \
                 503; run: postcall doctor --store {}",
                self.path
            );
        }
        is_damage
    }

    /// The files of the database were deleted or replaced while it was served; returns whether that is
    /// news.
    pub fn displaced(&self, fault: String) -> bool {
        let is_news =
            self.fatal.set(Fatal::Displaced { fault: fault.clone(), copy: OnceLock::new() });
        if is_news.is_ok() {
            self.observer.damaged();
            tracing::error!(
                fault,
                "the database file was deleted or replaced while it was served: webhooks are answered \
                 503 until the service is restarted"
            );
        }
        is_news.is_ok()
    }

    /// Where the submissions of deleted files are, in words.
    pub fn rescued(&self, words: String) {
        tracing::error!("{words}");
        if let Some(Fatal::Displaced { copy, .. }) = self.fatal.get() {
            // They are copied once.
            let _ = copy.set(words);
        }
    }

    /// A look at the store met with this.
    pub fn met_reading(&self, error: &rusqlite::Error) {
        if is_damage(error) && self.seen.set(error.to_string()).is_ok() {
            self.observer.damaged();
            tracing::error!(
                %error,
                "a part of the store that was looked at is damaged, webhooks are still kept; run: \
                 postcall doctor --store {}",
                self.path
            );
        }
    }

    /// Why nothing is written any more.
    pub fn fatal(&self) -> Option<StoreError> {
        Some(match self.fatal.get()? {
            Fatal::Damaged(fault) => {
                StoreError::Damaged { path: self.path.to_string(), fault: fault.clone() }
            }
            Fatal::Displaced { fault, copy } => {
                let copying = || "everything that was acknowledged is being copied".to_owned();
                let copy = copy.get().cloned().unwrap_or_else(copying);
                StoreError::Displaced { fault: fault.clone(), copy }
            }
        })
    }
}

/// Why a store could not be opened.
pub(super) fn opening<E>(store: &Path, error: E) -> StoreError
where
    E: Error + Send + Sync + 'static,
{
    if is_damage(&error) { damaged(store, &error) } else { StoreError::open(store, error) }
}

/// As [`opening`], of the first reading: tables, columns or rows that are missing by then are
/// damage too.
pub(super) fn first_reading(store: &Path, error: rusqlite::Error) -> StoreError {
    let is_missing = match &error {
        rusqlite::Error::SqliteFailure(failure, _) => failure.code == ErrorCode::Unknown,
        rusqlite::Error::QueryReturnedNoRows
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..) => true,
        _ => false,
    };
    if is_missing { damaged(store, &error) } else { opening(store, error) }
}

fn damaged(store: &Path, error: &dyn Error) -> StoreError {
    let mut fault = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        fault = format!("{fault}: {error}");
        cause = error.source();
    }
    StoreError::Damaged { path: store.display().to_string(), fault }
}

/// Whether SQLite says, anywhere in the chain, that what it read cannot be what was written.
fn is_damage(error: &(dyn Error + 'static)) -> bool {
    let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
    match code {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => true,
        _ => error.source().is_some_and(is_damage),
    }
}
