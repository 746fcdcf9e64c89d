//! The schema: forward only, one migration after the other, under a lock of our own.
//!
//! A migration has to be safe while the previous release runs, and a rollback by one release has to
//! work: it may add tables, indexes, and columns that are NULL or have a default; what is no longer used
//! is removed one release after the last that used it.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::connection::{Address, Statement, pipeline};
use super::error::PgError;
use crate::store::error::StoreError;

mod migrations {
    refinery::embed_migrations!("src/store/postgres/migrations");
}

/// How long one migration may take.
const TIMEOUT: Duration = Duration::from_secs(600);

/// The row that a replica locks while it migrates. If two create the table at once, one of them fails and
/// tries again.
const LOCK: &str = "
    CREATE TABLE IF NOT EXISTS schema_lock (only_row INT NOT NULL PRIMARY KEY);
    CREATE TABLE IF NOT EXISTS schema_history (
        version    INT    NOT NULL PRIMARY KEY,
        name       TEXT   NOT NULL,
        checksum   TEXT   NOT NULL,
        applied_at TIMESTAMPTZ NOT NULL DEFAULT now()
    );
    INSERT INTO schema_lock VALUES (1) ON CONFLICT DO NOTHING";

/// How often the lock's table is tried.
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(100);

/// A process that is stopped while it migrates loses the lock.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '60s'; \
                     SELECT only_row FROM schema_lock FOR UPDATE";

/// The version of this release.
fn expected_version() -> i32 {
    let runner = migrations::migrations::runner();
    runner.get_migrations().iter().map(|migration| migration.version()).max().unwrap_or(0)
}

/// Brings the schema to that of this release, over a connection of its own.
///
/// # Errors
/// The database cannot be reached or says no, its encoding is another than UTF-8, or a newer release wrote it.
pub(super) fn migrate(address: &Address) -> Result<(), StoreError> {
    let address = address.migrations();
    let (runtime, client) = address.open()?;
    runtime.block_on(migrate_over(&client, &address.shown()))
}

async fn migrate_over(client: &Client, shown: &str) -> Result<(), StoreError> {
    let open = |error: PgError| StoreError::open(shown.as_ref(), error);
    check_encoding(client).await.map_err(open)?;
    if check(client, shown).await.is_ok() {
        // No replica waits for another one to start.
        return Ok(());
    }
    let mut tries = 0;
    while let Err(error) = client.batch_execute(LOCK).await {
        tries += 1;
        if tries == TRIES || error.as_db_error().is_none() {
            return Err(open(error.into()));
        }
        tokio::time::sleep(PAUSE).await;
    }
    let runner = migrations::migrations::runner();
    let mut migrations = runner.get_migrations().clone();
    migrations.sort();
    for migration in &migrations {
        let (version, name) = (migration.version(), migration.name().to_owned());
        let applied = Statement::new("SELECT version FROM schema_history ORDER BY version DESC");
        let results = pipeline(client, &[Statement::batch(BEGIN), applied], TIMEOUT).await;
        let found = results.map_err(open)?.pop().unwrap_or_default();
        let found: Vec<i32> = found.iter().map(|row| row.get(0)).collect();
        if let Some(newer) = found.iter().find(|found| **found > expected_version()) {
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(StoreError::OtherSchema {
                path: shown.to_owned(),
                found: *newer,
                expected: expected_version(),
            });
        }
        let applied = async {
            if !found.contains(&version) {
                client.batch_execute(migration.sql().unwrap_or_default()).await?;
                let note = Statement::new(
                    "INSERT INTO schema_history (version, name, checksum) VALUES ($1, $2, $3)",
                )
                .with(version, Type::INT4)
                .with(name, Type::TEXT)
                .with(migration.checksum().to_string(), Type::TEXT);
                pipeline(client, &[note], TIMEOUT).await?;
            }
            Ok(client.batch_execute("COMMIT").await?)
        };
        if let Err(error) = applied.await {
            let _ = client.batch_execute("ROLLBACK").await;
            return Err(open(error));
        }
    }
    Ok(())
}

/// Callers say things in every script, and what one encoding cannot hold would be refused webhook by webhook.
async fn check_encoding(client: &Client) -> Result<(), PgError> {
    let rows = pipeline(client, &[Statement::new("SHOW server_encoding")], TIMEOUT).await?;
    match rows[0].first().map(|row| row.try_get(0)).transpose()? {
        Some(encoding) if encoding != "UTF8" => Err(PgError::Encoding { encoding }),
        _ => Ok(()),
    }
}

/// # Errors
/// A store is being moved here, and not all of it is here yet.
pub(super) async fn check_complete(client: &Client, shown: &str) -> Result<(), StoreError> {
    let moving = Statement::new("SELECT source FROM moving");
    let rows = pipeline(client, &[moving], TIMEOUT).await;
    match rows.map_err(|error| StoreError::open(shown.as_ref(), error))?[0].first() {
        None => Ok(()),
        Some(row) => Err(StoreError::Incomplete { path: shown.to_owned(), from: row.get(0) }),
    }
}

/// # Errors
/// The schema is not that of this release.
pub(super) async fn check(client: &Client, shown: &str) -> Result<(), StoreError> {
    let version = Statement::new("SELECT max(version) FROM schema_history");
    let found = match pipeline(client, &[version], TIMEOUT).await {
        Ok(rows) => rows[0].first().and_then(|row| row.get::<_, Option<i32>>(0)).unwrap_or(0),
        Err(PgError::Database(error)) if error.as_db_error().is_some() => 0,
        Err(error) => return Err(StoreError::open(shown.as_ref(), error)),
    };
    match found == expected_version() {
        true => Ok(()),
        false => Err(StoreError::OtherSchema {
            path: shown.to_owned(),
            found,
            expected: expected_version(),
        }),
    }
}
