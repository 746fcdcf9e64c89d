//! The writer's connection, whose statements are prepared where the server's session is its own.
//!
//! A pooler may give each transaction another session of the server, in which a statement of that name is unknown, or
//! another client's. So a connection asks for a session with a setting of its own, and prepares only where it finds
//! that. PgBouncer refuses it or leaves it out; a pooler that passes it on to each session has to do so with prepared
//! statements too.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, Statement as Prepared};
use uuid::Uuid;

use super::connection::{Address, OPEN_TIMEOUT, Statement, pipeline, run_all, within};
use super::error::PgError;

/// The setting whose value is that of one connection alone.
const CONNECTION: &str = "postcall.connection";

/// The server keeps the plan of a [prepared](Statement::prepared) statement until the next autovacuum, however many
/// rows there are by then: it has to look each up by itself, even if it was made for none. These settings are those of all
/// statements of the session.
const PLANS: [(&str, &str); 5] = [
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    // It compiles plans that cost much, as one does that the planner has to avoid.
    ("jit", "off"),
];

/// The server gives up a statement before its client does, and a transaction that its client has left behind.
const TIMEOUTS: [(&str, &str); 2] =
    [("statement_timeout", "3s"), ("idle_in_transaction_session_timeout", "5s")];

/// A connection, and what is prepared in its session.
pub(super) struct Session {
    client: Client,
    /// By its text; `None` if the next transaction may be in another session.
    prepared: Option<HashMap<&'static str, Prepared>>,
}

impl Session {
    /// # Errors
    /// The server cannot be reached, or says no.
    pub async fn connect(address: &Address) -> Result<Self, PgError> {
        let own = Uuid::new_v4().simple().to_string();
        let mut settings = vec![(CONNECTION, &*own)];
        settings.extend(PLANS.into_iter().chain(TIMEOUTS));
        let connected = address.connect_with(&settings).await;
        let (client, _task) = connected.map_err(|error| PgError::Connect(error.into()))?;
        let found = Statement::new("SELECT current_setting($1, true)").with(CONNECTION, Type::TEXT);
        let rows = pipeline(&client, &[found], OPEN_TIMEOUT).await?;
        let found: Option<&str> = rows[0][0].try_get(0)?;
        let prepared = (found == Some(&own)).then(HashMap::new);
        tracing::debug!(prepares = prepared.is_some(), "the writer is connected to PostgreSQL");
        Ok(Self { client, prepared })
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Begins a transaction.
    pub fn begin(&self) -> Statement {
        if self.prepared.is_some() {
            // Its session has the bounds.
            return Statement::batch("BEGIN");
        }
        let bounds = TIMEOUTS.map(|(name, value)| format!("; SET LOCAL {name} = '{value}'"));
        Statement::batch(format!("BEGIN{}", bounds.concat()))
    }

    /// As [`pipeline`]; what is not prepared yet takes one more round trip.
    pub async fn pipeline(
        &mut self,
        statements: &[Statement],
        timeout: Duration,
    ) -> Result<Vec<Vec<Row>>, PgError> {
        let running = async {
            self.prepare(statements).await?;
            let known = self.prepared.as_ref();
            let prepared = |it: &Statement| known?.get(it.preparable()?);
            run_all(&self.client, statements, prepared).await
        };
        within(timeout, running).await
    }

    async fn prepare(&mut self, statements: &[Statement]) -> Result<(), PgError> {
        let Self { client, prepared: Some(prepared) } = self else { return Ok(()) };
        let new: HashMap<_, _> = statements
            .iter()
            .filter_map(|it| Some((it.preparable()?, it)))
            .filter(|(sql, _)| !prepared.contains_key(sql))
            .collect();
        let client = &*client;
        let preparing = new.into_iter().map(|(sql, statement)| async move {
            client.prepare_typed(sql, &statement.types()).await.map(|made| (sql, made))
        });
        prepared.extend(try_join_all(preparing).await?);
        Ok(())
    }
}
