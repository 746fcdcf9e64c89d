//! Where the store is: a file of SQLite, or a PostgreSQL database and how to connect to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use super::cursor::Cursor;
use super::secret;
use crate::domain::Credentials;

/// The address of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    Sqlite(PathBuf),
    /// Without a password.
    Postgres(Box<Config>),
}

const EXPECTED: &str = "expected sqlite:PATH such as sqlite:postcall.db, or \
                        postgres://USER@HOST/DATABASE";

/// Ways of TLS that are the same here: a certificate is always verified, with the name of its host.
const VERIFIED: [&str; 2] = ["sslmode=verify-full", "sslmode=verify-ca"];

impl StoreUrl {
    /// The file of a SQLite store.
    pub fn file(&self) -> Option<&Path> {
        match self {
            StoreUrl::Sqlite(path) => Some(path),
            StoreUrl::Postgres(_) => None,
        }
    }

    /// A path, or hosts and database.
    pub fn shown(&self) -> String {
        match self {
            StoreUrl::Sqlite(path) => path.display().to_string(),
            StoreUrl::Postgres(config) => crate::store::postgres::shown(config),
        }
    }
}

pub(super) fn url(cursor: &Cursor<'_>, _: &str) -> Option<StoreUrl> {
    let text = cursor.text_if(EXPECTED, |text| text.contains(':'))?;
    if text.starts_with("postgres:") || text.starts_with("postgresql:") {
        return postgres(cursor, text);
    }
    match text.strip_prefix("sqlite:") {
        None | Some("") => cursor.fault(EXPECTED),
        // Elsewhere `//` starts a host, and dropping slashes until it works ends in the root.
        Some(path) if path.starts_with("//") => {
            cursor.fault("expected sqlite:PATH without the slashes of an address")
        }
        Some(":memory:") => cursor.fault("expected the path of a file: memory keeps nothing"),
        Some(path) => Some(StoreUrl::Sqlite(path.into())),
    }
}

/// No fault repeats the address, which may have a password in it.
fn postgres(cursor: &Cursor<'_>, text: &str) -> Option<StoreUrl> {
    let known =
        VERIFIED.iter().fold(text.to_owned(), |text, mode| text.replace(mode, "sslmode=require"));
    let Ok(mut config) = known.parse::<Config>() else {
        return cursor.fault(
            "not an address of PostgreSQL: expected postgres://USER@HOST:PORT/DATABASE, with several \
             hosts separated by commas; of its parameters, sslmode is disable, prefer, require or \
             verify-full, and a certificate is named by store.ca_file",
        );
    };
    if config.get_password().is_some() {
        return cursor
            .fault("expected no password in the address: name its place in store.password");
    }
    for (is_missing, what) in [
        (config.get_hosts().is_empty(), "a host"),
        (config.get_user().is_none(), "a user"),
        (config.get_dbname().is_none_or(str::is_empty), "a database"),
    ] {
        if is_missing {
            return cursor.fault(format!(
                "the address has no {}: expected postgres://USER@HOST:PORT/DATABASE",
                what.trim_start_matches("a ")
            ));
        }
    }
    // A standby takes no webhooks.
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    if !text.contains("sslmode=") {
        let is_here = |host: &Host| match host {
            Host::Tcp(name) => ["localhost", "127.0.0.1", "::1"].contains(&name.as_str()),
            Host::Unix(_) => true,
        };
        let is_here = config.get_hosts().iter().all(is_here);
        config.ssl_mode(if is_here { SslMode::Disable } else { SslMode::Require });
    }
    Some(StoreUrl::Postgres(Box::new(config)))
}

pub(super) fn migrate_url(cursor: &Cursor<'_>, expected: &str) -> Option<Option<StoreUrl>> {
    match url(cursor, expected)? {
        StoreUrl::Sqlite(_) => cursor.fault("expected postgres://USER@HOST/DATABASE"),
        url => Some(Some(url)),
    }
}

pub(super) fn password(cursor: &Cursor<'_>, _: &str) -> Option<Option<Arc<Credentials>>> {
    Some(Some(Arc::new(secret::credentials(cursor, 1)?)))
}
