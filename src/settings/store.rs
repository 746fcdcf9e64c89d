use std::path::PathBuf;
use std::time::Duration;

use super::cursor::Cursor;
use super::section::{duration, section, setting, table, whole};
use super::spec::Kind;
use crate::delivery::Retention;

section! {
    /// The store's place, and how many may wait to be written to it.
    #[derive(Debug, Clone)]
    pub struct Store {
        /// The database: sqlite:PATH, relative to the working directory.
        path @ "url": PathBuf = setting(Kind::Text, "sqlite:PATH", file),
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

fn file(cursor: &Cursor<'_>, expected: &str) -> Option<PathBuf> {
    match cursor.text(expected)?.strip_prefix("sqlite:") {
        None | Some("") => cursor.fault("expected sqlite:PATH such as sqlite:postcall.db"),
        // Elsewhere `//` starts a host, and dropping slashes until it works ends in the root.
        Some(path) if path.starts_with("//") => {
            cursor.fault("expected sqlite:PATH without the slashes of an address")
        }
        Some(":memory:") => cursor.fault("expected the path of a file: memory keeps nothing"),
        Some(path) => Some(path.into()),
    }
}
