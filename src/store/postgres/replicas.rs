//! Names of replicas: each is one process's at a time.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::columns::clamped;
use super::connection::{OPEN_TIMEOUT, Statement, pipeline};
use super::error::PgError;
use crate::store::error::StoreError;

/// How long a name stays that of a process that has not said so again.
const LEASE_US: i64 = 10_000_000;

/// How often a process says that it serves: several times within its lease.
pub(super) const SAY_EVERY: SignedDuration = SignedDuration::from_secs(2);

/// How long after it last said so a process may still be about to write.
pub(super) const SERVED_LATELY: Duration = Duration::from_secs(120);

macro_rules! now {
    () => {
        "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
    };
}
pub(super) use now;

/// A process that said so later than now did by a clock that was put back since.
const TAKE: &str = concat!(
    "INSERT INTO replicas AS known (name, seen_at, incarnation) VALUES ($1, ",
    now!(),
    ", gen_random_uuid())
    ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, incarnation = excluded.incarnation
        WHERE $2 OR known.incarnation IS NULL OR known.seen_at <= ",
    now!(),
    " - $3 OR known.seen_at > ",
    now!(),
    " + $3
    RETURNING slot, incarnation"
);

const SERVING: &str = concat!(
    "SELECT ",
    now!(),
    ", (SELECT incarnation FROM replicas WHERE slot = $1), (SELECT source FROM moving),
        EXISTS (SELECT 1 FROM replicas WHERE slot <> $1 AND incarnation IS NOT NULL
            AND seen_at > ",
    now!(),
    " - $2)"
);

const SEEN: &str =
    concat!("UPDATE replicas SET seen_at = ", now!(), " WHERE slot = $1 AND incarnation = $2");

const SERVED_BY: &str = concat!(
    "SELECT name FROM replicas WHERE incarnation IS NOT NULL AND seen_at > ",
    now!(),
    " - $1 ORDER BY name LIMIT 1"
);

/// A replica as the process that has its name.
#[derive(Debug, Clone)]
pub(super) struct Replica {
    pub name: String,
    /// Its number, given when the name first served the store.
    pub slot: i64,
    /// Which database it serves.
    pub database: Uuid,
    incarnation: Uuid,
}

/// Why this process serves the store no more; it is set once.
pub(super) type Ended = Arc<OnceLock<Arc<StoreError>>>;

/// Takes the name, unless another process has it; then returns when that one last said so. A process that
/// was killed is taken to have it until its lease ends, unless `is_alone`.
pub(super) async fn take(
    client: &Client,
    name: &str,
    is_alone: bool,
) -> Result<Result<Replica, i64>, PgError> {
    let take = Statement::new(TAKE)
        .with(name.to_owned(), Type::TEXT)
        .with(is_alone, Type::BOOL)
        .with(LEASE_US, Type::INT8);
    let seen = Statement::new("SELECT seen_at FROM replicas WHERE name = $1")
        .with(name.to_owned(), Type::TEXT);
    let database = Statement::new("SELECT id FROM identity");
    let rows = pipeline(client, &[take, seen, database], OPEN_TIMEOUT).await?;
    let Some(taken) = rows[0].first() else {
        return Ok(Err(rows[1].first().map_or(Ok(0), |row| row.try_get(0))?));
    };
    let (slot, incarnation) = (taken.try_get(0)?, taken.try_get(1)?);
    let database = rows[2][0].try_get(0)?;
    Ok(Ok(Replica { name: name.to_owned(), slot, database, incarnation }))
}

/// The name of a replica that serves the database, or may still be about to.
pub(super) fn served_by() -> Statement {
    let lately = i64::try_from(SERVED_LATELY.as_micros()).unwrap_or(i64::MAX);
    Statement::new(SERVED_BY).with(lately, Type::INT8)
}

impl Replica {
    /// Asks whether it may write; [`check`](Self::check) reads the answer.
    pub fn serving(&self) -> Statement {
        Statement::prepared(SERVING).with(self.slot, Type::INT8).with(LEASE_US, Type::INT8)
    }

    /// Returns the time by the database's clock, and whether another replica serves too.
    ///
    /// # Errors
    /// Another process has the name, or a store is being moved to the database.
    pub fn check(&self, row: &Row) -> Result<(Timestamp, bool), PgError> {
        if row.try_get::<_, Option<Uuid>>(1)? != Some(self.incarnation) {
            return Err(PgError::Superseded { replica: self.name.clone() });
        }
        match row.try_get(2)? {
            Some(from) => Err(PgError::MovedTo { from }),
            None => Ok((clamped(row.try_get(0)?), row.try_get(3)?)),
        }
    }

    /// Says that it serves.
    pub fn seen(&self) -> Statement {
        self.of_incarnation(SEEN)
    }

    /// Gives the name back.
    pub fn leave(&self) -> Statement {
        const LEAVE: &str =
            "UPDATE replicas SET incarnation = NULL WHERE slot = $1 AND incarnation = $2";
        self.of_incarnation(LEAVE)
    }

    fn of_incarnation(&self, sql: &'static str) -> Statement {
        Statement::new(sql).with(self.slot, Type::INT8).with(self.incarnation, Type::UUID)
    }
}
