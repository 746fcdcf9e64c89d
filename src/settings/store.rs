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
        /// PostgreSQL: the address that the schema is migrated over, if it is another: that of the server, if `url`
        /// is that of a pooler.
        migrate_url: Option<StoreUrl> = optional(Kind::Text, "postgres://…", store_url::migrate_url),
        /// PostgreSQL: the password of the user. Read again before each connection.
        password: Option<Arc<Credentials>> = optional(Kind::Secret, "a secret", store_url::password),
        /// PostgreSQL: the certificates, in PEM, of which one has to have signed that of the server;
        /// without it, those that browsers trust.
        ca_file: Option<PathBuf> = optional(Kind::Text, "the path of a file", path),
        /// PostgreSQL: the name of this process among those that serve the database, the same after a
        /// restart; without it, the name of the machine and public.listen.
        replica: Option<String> = optional(Kind::Text, "a name", name),
        /// PostgreSQL: a file for webhooks that arrive while the database is away.
        spool: Spool = table(),
        /// How many webhooks may wait for the disk before senders are asked to come back.
        write_queue: usize = whole(1, 1_000_000),
        /// How long settled submissions are kept; dead ones stay until an operator decides.
        retention: Retention = table(),
    }
    check |table| {
        let is_file = url.as_ref().is_some_and(|url| matches!(url, StoreUrl::Sqlite(_)));
        if is_file && spool.as_ref().is_some_and(|spool| spool.path.is_some()) {
            table.fault_at::<()>("spool", "is for a PostgreSQL store: leave it out".to_owned());
        }
        if is_file && migrate_url.as_ref().is_some_and(Option::is_some) {
            table.fault_at::<()>("migrate_url", "is for a PostgreSQL store: leave it out".to_owned());
        }
    }
}

section! {
    /// What takes webhooks while the database is away.
    #[derive(Debug, Clone)]
    pub struct Spool {
        /// The file, on a volume that this process has again after a restart; without it there is no spool,
        /// and webhooks are answered 503 while the database is away.
        path: Option<PathBuf> = optional(Kind::Text, "the path of a file", path),
        /// How long the database may take for a webhook before it is spooled.
        after: Duration = duration(Duration::from_millis(1)),
        /// How many webhooks it takes at the most; further ones are answered 503.
        webhooks: u64 = whole(1, 10_000_000),
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
