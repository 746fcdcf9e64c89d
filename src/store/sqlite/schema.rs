//! The schema that this release expects.

use rusqlite::{Connection, Result};

mod migrations {
    refinery::embed_migrations!("src/store/sqlite/migrations");
}

pub(super) fn runner() -> refinery::Runner {
    migrations::migrations::runner()
}

/// The version that a store has; `None` if it does not say.
pub(super) fn version(connection: &Connection) -> Option<i32> {
    connection
        .query_row("SELECT max(version) FROM refinery_schema_history", [], |row| row.get(0))
        .ok()
        .flatten()
}

/// The version of this release.
pub(super) fn expected_version() -> Option<i32> {
    runner().get_migrations().iter().map(|migration| migration.version()).max()
}

/// A new store, in memory.
pub(super) fn fresh() -> Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    runner()
        .run(&mut connection)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(connection)
}
