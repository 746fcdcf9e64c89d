//! Rows of another store, as they are written into an empty database.

use std::time::Duration;

use tokio::runtime::Runtime;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::connection::{Address, Statement, pipeline};
use super::{replicas, schema};
use crate::store::error::StoreError;
use crate::store::tables::{Column, Kind, Table, Value};

/// How long one step may take: sorting a table, or writing a page.
const TIMEOUT: Duration = Duration::from_secs(600);

/// What waits goes into the table of what waits.
const FILL_DUE: &str = "INSERT INTO due
        (seq, account, due_at, fence, due_since, lease_until)
    SELECT seq, account, due_at, fence, due_since, lease_until FROM submissions
        WHERE settled_at IS NULL
    ON CONFLICT DO NOTHING";

/// A database into which a store is moved.
pub(in crate::store) struct Import {
    runtime: Runtime,
    client: Client,
    shown: String,
}

/// Whether a store may be moved to a database.
pub(in crate::store) enum MoveStart {
    /// Nothing was here, or what is here is of an unfinished move of the same store.
    Moving,
    NotEmpty,
    /// A replica of that name serves it.
    ServedBy(String),
}

impl Import {
    pub fn open(address: &Address) -> Result<Self, StoreError> {
        let shown = address.shown();
        schema::migrate(address)?;
        let (runtime, client) = address.open()?;
        Ok(Self { runtime, client, shown })
    }

    fn run(&self, statements: Vec<Statement>) -> Result<Vec<Vec<Row>>, StoreError> {
        let results = self.runtime.block_on(pipeline(&self.client, &statements, TIMEOUT));
        results.map_err(|error| StoreError::open(self.shown.as_ref(), error))
    }

    /// Notes that a store is being moved here, if it may be.
    pub fn begin(&self, from: &str) -> Result<MoveStart, StoreError> {
        let known = self.run(vec![Statement::new("SELECT source FROM moving")])?;
        let known: Option<&str> = known[0].first().map(|row| row.get(0));
        if known.is_some_and(|known| known != from) {
            return Ok(MoveStart::NotEmpty);
        }
        // From here on no process writes to it. One that has begun to, or is about to, has said before that it
        // serves.
        let begin = "INSERT INTO moving (only_row, source) VALUES (1, $1) ON CONFLICT DO NOTHING";
        self.run(vec![Statement::new(begin).with(from.to_owned(), Type::TEXT)])?;
        let found = self.run(vec![
            replicas::served_by(),
            Statement::new(
                "SELECT EXISTS (SELECT 1 FROM submissions) OR EXISTS (SELECT 1 FROM webhooks)
                    OR EXISTS (SELECT 1 FROM state_counts WHERE accepted <> 0)",
            ),
        ])?;
        let refused = match found[0].first() {
            Some(served_by) => Some(MoveStart::ServedBy(served_by.get(0))),
            None if known.is_none() && found[1][0].get(0) => Some(MoveStart::NotEmpty),
            None => None,
        };
        match (refused, known) {
            (Some(refused), Some(_)) => Ok(refused),
            (Some(refused), None) => {
                self.run(vec![Statement::new("DELETE FROM moving")])?;
                Ok(refused)
            }
            (None, Some(_)) => Ok(MoveStart::Moving),
            (None, None) => {
                // Of a process that served it before it had a submission.
                self.run(vec![Statement::batch(
                    "DELETE FROM state_counts; DELETE FROM deleted_counts; DELETE FROM clock;
                    DELETE FROM pauses; DELETE FROM scopes; DELETE FROM quarantine;
                    DELETE FROM survey_revisions",
                )])?;
                Ok(MoveStart::Moving)
            }
        }
    }

    /// The key of the last row of a table.
    pub fn last_key(&self, table: &Table) -> Result<Option<Vec<Value>>, StoreError> {
        let key = &table.columns[..table.key];
        let order: Vec<String> = key.iter().map(|it| format!("{} DESC", ordered(it))).collect();
        let sql = format!(
            "SELECT {} FROM {} ORDER BY {} LIMIT 1",
            names(key),
            table.name,
            order.join(", ")
        );
        let rows = self.run(vec![Statement::new(sql)])?;
        Ok(rows[0].first().map(|row| values(row, key)))
    }

    pub fn insert(&self, table: &Table, rows: Vec<Vec<Value>>) -> Result<(), StoreError> {
        let arrays: Vec<String> = (1..).zip(table.columns).map(array).collect();
        let mut statement = Statement::new(format!(
            "INSERT INTO {} ({}) SELECT * FROM unnest({}) ON CONFLICT DO NOTHING",
            table.name,
            names(table.columns),
            arrays.join(", ")
        ));
        for (n, column) in table.columns.iter().enumerate() {
            let values = rows.iter().map(|row| row[n].clone());
            statement = match column.kind {
                Kind::Integer => {
                    statement.with(values.map(integer).collect::<Vec<_>>(), Type::INT8_ARRAY)
                }
                Kind::Boolean => {
                    let flags = values.map(|it| integer(it).map(|it| it != 0));
                    statement.with(flags.collect::<Vec<_>>(), Type::BOOL_ARRAY)
                }
                Kind::Text => {
                    statement.with(values.map(text).collect::<Vec<_>>(), Type::TEXT_ARRAY)
                }
                Kind::Bytes | Kind::TextAsBytes => {
                    statement.with(values.map(bytes).collect::<Vec<_>>(), Type::BYTEA_ARRAY)
                }
                Kind::Uuid => {
                    let uuids =
                        values.map(|it| bytes(it).and_then(|it| Uuid::from_slice(&it).ok()));
                    statement.with(uuids.collect::<Vec<_>>(), Type::UUID_ARRAY)
                }
            };
        }
        self.run(vec![statement]).map(drop)
    }

    pub fn fill_due(&self) -> Result<(), StoreError> {
        self.run(vec![Statement::new(FILL_DUE)]).map(drop)
    }

    /// Begins to read a table in the order of its key.
    pub fn read_all(&self, table: &Table) -> Result<(), StoreError> {
        let order: Vec<String> = table.columns[..table.key].iter().map(ordered).collect();
        let cursor = format!(
            "DECLARE moved NO SCROLL CURSOR FOR SELECT {} FROM {} ORDER BY {}",
            names(table.columns),
            table.name,
            order.join(", ")
        );
        self.run(vec![Statement::new("BEGIN READ ONLY"), Statement::new(cursor)]).map(drop)
    }

    pub fn next_rows(&self, table: &Table, most: usize) -> Result<Vec<Vec<Value>>, StoreError> {
        let rows = self.run(vec![Statement::new(format!("FETCH {most} FROM moved"))])?;
        Ok(rows[0].iter().map(|row| values(row, table.columns)).collect())
    }

    pub fn end_reading(&self) -> Result<(), StoreError> {
        self.run(vec![Statement::new("COMMIT")]).map(drop)
    }

    /// Lets processes serve the database.
    pub fn finish(&self) -> Result<(), StoreError> {
        self.run(vec![
            Statement::new("ANALYZE submissions"),
            Statement::new("ANALYZE due"),
            Statement::new("ANALYZE webhooks"),
            Statement::new("ANALYZE idempotency_keys"),
            Statement::new("DELETE FROM moving"),
        ])
        .map(drop)
    }
}

fn names(columns: &[Column]) -> String {
    let names: Vec<&str> = columns.iter().map(|column| column.to).collect();
    names.join(", ")
}

/// In the order of its bytes, whatever the language of the database.
fn ordered(column: &Column) -> String {
    match column.kind {
        Kind::Text => format!(r#"{} COLLATE "C""#, column.to),
        _ => column.to.to_owned(),
    }
}

fn array((n, column): (usize, &Column)) -> String {
    let kind = match column.kind {
        Kind::Integer => "bigint",
        Kind::Boolean => "boolean",
        Kind::Text => "text",
        Kind::Bytes | Kind::TextAsBytes => "bytea",
        Kind::Uuid => "uuid",
    };
    format!("${n}::{kind}[]")
}

fn integer(value: Value) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(number),
        _ => None,
    }
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(bytes) => Some(bytes),
        Value::Text(text) => Some(text.into_bytes()),
        _ => None,
    }
}

/// Columns of a row, as SQLite has them.
fn values(row: &Row, columns: &[Column]) -> Vec<Value> {
    let value = |(n, column): (usize, &Column)| match column.kind {
        Kind::Integer => row.get::<_, Option<i64>>(n).map(Value::Integer),
        Kind::Boolean => row.get::<_, Option<bool>>(n).map(|it| Value::Integer(it.into())),
        Kind::Text => row.get::<_, Option<String>>(n).map(Value::Text),
        Kind::Bytes => row.get::<_, Option<Vec<u8>>>(n).map(Value::Bytes),
        Kind::Uuid => row.get::<_, Option<Uuid>>(n).map(|it| Value::Bytes(it.as_bytes().to_vec())),
        Kind::TextAsBytes => row.get::<_, Option<Vec<u8>>>(n).map(|it| {
            String::from_utf8(it).map_or_else(|it| Value::Bytes(it.into_bytes()), Value::Text)
        }),
    };
    columns.iter().enumerate().map(|column| value(column).unwrap_or(Value::Null)).collect()
}
