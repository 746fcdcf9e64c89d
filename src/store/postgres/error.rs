use std::error::Error;
use std::io;

use tokio_postgres::error::SqlState;

/// Failure of a statement or of the connection.
#[derive(Debug, thiserror::Error)]
pub(in crate::store) enum PgError {
    #[error("connecting to PostgreSQL")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
    /// Without its source, whose details may have what a caller said.
    #[error("{}", in_words(.0))]
    Database(tokio_postgres::Error),
    #[error("PostgreSQL did not answer within {0:?}")]
    TimedOut(std::time::Duration),
    /// A row is not what was read of it.
    #[error("another replica has changed the same")]
    Overtaken,
    #[error("another process has the name of the replica {replica}, or had it until a moment ago")]
    NameTaken { replica: String },
    #[error("another process has taken over the replica {replica}")]
    Superseded { replica: String },
    #[error("a store is being moved to it from {from}")]
    MovedTo { from: String },
    #[error(
        "its encoding is {encoding}, and has to be UTF8: create another one with \
         `createdb NAME --owner USER --encoding UTF8 --template template0`"
    )]
    Encoding { encoding: String },
}

impl From<tokio_postgres::Error> for PgError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error)
    }
}

/// The server's own words, or those of the client and what they are about.
fn in_words(error: &tokio_postgres::Error) -> String {
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
        matches!(self, PgError::Overtaken)
            || self.state().is_some_and(|state| conflicts.contains(state))
    }

    /// Whether a row was locked for longer than a statement may take.
    pub fn is_locked(&self) -> bool {
        self.state() == Some(&SqlState::QUERY_CANCELED)
    }

    /// Whether the database cannot be had at all, so that nothing is gained by trying each operation
    /// alone.
    pub fn is_unavailable(&self) -> bool {
        match (self, self.state()) {
            (PgError::Overtaken, _) => false,
            (_, Some(state)) => is_away(state),
            (_, None) => true,
        }
    }

    /// Whether the connection was lost before anything was sent over it, or the server has ended it.
    pub fn is_connection_lost(&self) -> bool {
        matches!(self, PgError::Database(_)) && self.is_unavailable()
    }

    /// Whether opening the store may succeed later without anyone changing the settings: the server is
    /// away, starts, or has no connection left.
    pub fn may_pass(&self) -> bool {
        if self.is_conflict() || self.is_locked() {
            return true;
        }
        let error: Option<&(dyn Error + 'static)> = match self {
            PgError::TimedOut(_) | PgError::NameTaken { .. } => return true,
            PgError::Overtaken
            | PgError::Superseded { .. }
            | PgError::MovedTo { .. }
            | PgError::Encoding { .. } => None,
            PgError::Connect(error) => Some(&**error),
            PgError::Database(error) => Some(error),
        };
        let chain = std::iter::successors(error, |&error| error.source());
        for error in chain {
            if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
                match error.code() {
                    Some(state) => return is_away(state),
                    None if error.is_closed() => return true,
                    None => {}
                }
            }
            if let Some(error) = error.downcast_ref::<io::Error>() {
                // A certificate that is not trusted is one of invalid data.
                return error.kind() != io::ErrorKind::InvalidData;
            }
        }
        false
    }
}

/// Whether a state is of these classes: connection, resources, operator intervention, system; or of a
/// server that only reads, a database that takes no connections, or a session that has forgotten what was prepared.
fn is_away(state: &SqlState) -> bool {
    let states = [
        SqlState::READ_ONLY_SQL_TRANSACTION,
        SqlState::OBJECT_NOT_IN_PREREQUISITE_STATE,
        SqlState::INVALID_SQL_STATEMENT_NAME,
    ];
    let is_of_class = ["08", "53", "57", "58"].iter().any(|class| state.code().starts_with(class));
    states.contains(state) || (is_of_class && *state != SqlState::QUERY_CANCELED)
}
