use tokio_postgres::error::SqlState;

/// Failure of a statement or of the connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum PgError {
    #[error("connecting to PostgreSQL")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("{}", in_words(.0))]
    Database(#[from] tokio_postgres::Error),
    #[error("PostgreSQL did not answer within {0:?}")]
    TimedOut(std::time::Duration),
}

/// The server's own words, or those of the client and what they are about.
fn in_words(error: &tokio_postgres::Error) -> String {
    use std::error::Error;
    match (error.as_db_error(), error.source()) {
        (Some(said), _) => format!("PostgreSQL says: {} ({})", said.message(), said.code().code()),
        (None, Some(source)) => format!("{error}: {source}"),
        (None, None) => error.to_string(),
    }
}

impl PgError {
    fn state(&self) -> Option<&SqlState> {
        match self {
            PgError::Database(error) => error.code(),
            _ => None,
        }
    }

    /// Whether the same transaction may succeed if it is run again: another one changed the same rows,
    /// or inserted them first.
    pub fn is_conflict(&self) -> bool {
        let conflicts = [
            SqlState::T_R_SERIALIZATION_FAILURE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::UNIQUE_VIOLATION,
        ];
        self.state().is_some_and(|state| conflicts.contains(state))
    }

    /// Whether the database cannot be had at all, so that nothing is gained by trying each operation
    /// alone.
    pub fn is_unavailable(&self) -> bool {
        // Classes: connection, resources, operator intervention, system; and a server that only reads.
        let classes = ["08", "53", "57", "58"];
        match (self, self.state()) {
            (PgError::Connect(_) | PgError::TimedOut(_), _) => true,
            (PgError::Database(_), None) => true,
            (_, Some(state)) => {
                *state == SqlState::READ_ONLY_SQL_TRANSACTION
                    || classes.iter().any(|class| state.code().starts_with(class))
            }
        }
    }
}
