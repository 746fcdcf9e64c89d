use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::cursor::Cursor;
use super::section::{duration, optional, section, setting, table, whole};
use super::spec::Kind;
use super::store_url::{self, StoreUrl};
use crate::delivery::Retention;
use crate::domain::Credentials;

section! {
    /// The store's place, and how many may wait to be written to it.
    #[derive(Debug, Clone)]
    pub struct Store {
        /// The database: sqlite:PATH, relative to the working directory, or
        /// postgres://USER@HOST/DATABASE.
        url: StoreUrl = setting(Kind::Text, "sqlite:PATH or postgres://…", store_url::url),
        /// PostgreSQL: the password of the user. Read again before each connection.
        password: Option<Arc<Credentials>> = optional(Kind::Secret, "a secret", store_url::password),
        /// PostgreSQL: the certificates, in PEM, of which one has to have signed that of the server;
        /// without it, those that browsers trust.
        ca_file: Option<PathBuf> = optional(Kind::Text, "the path of a file", path),
        /// PostgreSQL: the name of this process among those that serve the database, the same after a
        /// restart; without it, the name of the machine and public.listen.
        replica: Option<String> = optional(Kind::Text, "a name", name),
        /// How many webhooks may wait for the disk before senders are asked to come back.
        write_queue: usize = whole(1, 1_000_000),
        /// How long settled submissions are kept; dead ones stay until an operator decides.
        retention: Retention = table(),
    }
}

section! {
    impl Retention {
        /// Queries and bodies of webhooks, and Plivo's replies, counted from when it was settled.
        bodies: Duration = duration(Duration::ZERO),
        /// All of a submission but its id and its outcome; at least as long as `bodies`.
        submissions: Duration = duration(Duration::ZERO),
        /// That too: a webhook of its call starts again then; at least as long as `submissions`.
        outcomes: Duration = duration(Duration::ZERO),
    }
    check |table| {
        for (key, kept, before, least) in [
            ("submissions", submissions, "bodies", bodies),
            ("outcomes", outcomes, "submissions", submissions),
        ] {
            if kept.zip(least).is_some_and(|(kept, least)| kept < least) {
                let message = format!("must not be shorter than store.retention.{before}");
                table.fault_at::<()>(key, message);
            }
        }
    }
}

fn path(cursor: &Cursor<'_>, expected: &str) -> Option<Option<PathBuf>> {
    Some(Some(cursor.text(expected)?.into()))
}

fn name(cursor: &Cursor<'_>, expected: &str) -> Option<Option<String>> {
    Some(Some(cursor.text(expected)?.to_owned()))
}
