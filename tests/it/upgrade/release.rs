//! Stores as releases left them, each a dump in SQL of one that has every state, and how they grow.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use uuid::Uuid;

/// Where the dumps are.
pub const STORES: &str = "tests/fixtures/stores";

/// A form that the store had, by the version of its schema.
pub struct Release(pub i32);

/// Every schema that this release opens, the oldest first. A migration appends the store of its release, which
/// `POSTCALL_WRITE_STORE=1 cargo test --test it upgrade::every_state` writes.
pub const RELEASES: &[Release] = &[Release(1)];

/// A submission, as far as a migration leaves it alone.
#[derive(Debug, PartialEq)]
pub struct Row {
    pub call: Option<String>,
    pub state: String,
    reason: Option<String>,
    settled_at: Option<i64>,
    purged_at: Option<i64>,
    pub webhooks: u64,
}

impl Row {
    pub fn waits(&self) -> bool {
        self.settled_at.is_none()
    }
}

/// By their numbers.
pub fn rows(store: &Connection) -> BTreeMap<i64, Row> {
    let select = "SELECT seq, call, state, reason, settled_at, purged_at,
            (SELECT count(*) FROM webhooks WHERE submission = seq) FROM submissions";
    let mut statement = store.prepare(select).unwrap();
    let rows = statement.query_map([], |row| {
        let (call, state, reason) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let (settled_at, purged_at, webhooks) = (row.get(4)?, row.get(5)?, row.get(6)?);
        Ok((row.get(0)?, Row { call, state, reason, settled_at, purged_at, webhooks }))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

impl Release {
    /// Writes the store with at least so many submissions, as a process that is killed leaves it: most of it is in
    /// the log. Returns them.
    pub fn furnish(&self, path: &Path, rows_min: u64) -> BTreeMap<i64, Row> {
        let folder = tempfile::tempdir().unwrap();
        let alive = folder.path().join("postcall.db");
        let mut store = Connection::open(&alive).unwrap();
        let dump = std::fs::read_to_string(format!("{STORES}/V{}.sql", self.0)).unwrap();
        store.execute_batch(&dump).unwrap();
        store.pragma_update(None, "journal_mode", "WAL").unwrap();
        store.pragma_update(None, "wal_autocheckpoint", 0).unwrap();
        store.pragma_update(None, "synchronous", "OFF").unwrap();
        let range = "SELECT count(*), min(seq), max(seq) FROM submissions";
        let (ours, first, last): (u64, i64, i64) =
            store.query_row(range, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        let copies = rows_min.div_ceil(ours).max(1) as i64;
        let writes = store.transaction().unwrap();
        for copy in 1..copies {
            copy_all(&writes, copy, last, copy * (last - first + 1));
        }
        writes.execute("UPDATE tallies SET n = n * ?1", [copies]).unwrap();
        recount(&writes);
        writes.commit().unwrap();
        for suffix in ["", "-wal"] {
            let [from, to] = [&alive, path].map(|it| format!("{}{suffix}", it.display()));
            std::fs::copy(from, to).unwrap();
        }
        rows(&store)
    }
}

/// Copies each submission up to the last of the originals and its webhooks, about another call and with a number
/// that is so much higher.
fn copy_all(store: &Connection, copy: i64, last: i64, higher: i64) {
    let mut submissions = store.prepare_cached(SUBMISSIONS).unwrap();
    let mut insert = store.prepare_cached(INSERT).unwrap();
    let mut originals = submissions.query([last]).unwrap();
    while let Some(row) = originals.next().unwrap() {
        let mut columns: Vec<Value> = (0..16).map(|column| row.get(column).unwrap()).collect();
        let text = |value: &Value| match value {
            Value::Text(text) => text.clone(),
            _ => String::new(),
        };
        let (account, survey) = (text(&columns[2]), text(&columns[3]));
        columns[0] = Value::Integer(row.get::<_, i64>(0).unwrap() + higher);
        let call = row.get::<_, Option<String>>(4).unwrap().map(|call| format!("k{copy}-{call}"));
        let id = match &call {
            Some(call) => id_of(&account, &survey, call),
            // What was erased has any id.
            None => {
                Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{copy} {:?}", columns[1]).as_bytes())
            }
        };
        columns[1] = Value::Blob(id.as_bytes().to_vec());
        columns[4] = call.map_or(Value::Null, Value::Text);
        columns.push(Value::Integer(checksum(&columns)));
        insert.execute(params_from_iter(columns)).unwrap();
    }
    store
        .prepare_cached(
            "INSERT INTO webhooks SELECT submission + ?2, received_at, randomblob(16), source, outcome, method,
                query, body FROM webhooks WHERE submission <= ?1",
        )
        .unwrap()
        .execute([last, higher])
        .unwrap();
}

const SUBMISSIONS: &str =
    "SELECT seq, id, account, survey, call, state, reason, accepted_at, due_at, lease_until,
        fence, due_since, settled_at, retention, purged_at, document
    FROM submissions WHERE seq <= ?1";

const INSERT: &str =
    "INSERT INTO submissions (seq, id, account, survey, call, state, reason, accepted_at, due_at,
        lease_until, fence, due_since, settled_at, retention, purged_at, document, checksum)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

/// What was deleted stays in the counts.
fn recount(store: &Connection) {
    let states = ["collecting", "pending", "delivered", "ignored", "dead", "discarded"];
    let mut all = 0;
    for state in states {
        let count = "SELECT (SELECT count(*) FROM submissions WHERE state = ?1)
            + coalesce((SELECT submissions FROM deleted_counts WHERE state = ?1), 0)";
        let count: i64 = store.query_row(count, [state], |row| row.get(0)).unwrap();
        store.execute(&format!("UPDATE state_counts SET {state} = ?1"), [count]).unwrap();
        all += count;
    }
    store.execute("UPDATE state_counts SET accepted = ?1", [all]).unwrap();
}

/// The id that every release gives a submission: written again, as no release may change it.
fn id_of(account: &str, survey: &str, call: &str) -> Uuid {
    let key = postcall::submission::SubmissionKey {
        account: account.parse().unwrap(),
        survey: survey.parse().unwrap(),
        call: call.parse().unwrap(),
    };
    key.id().0
}

/// The checksum of schema 1: CRC-32 of kind, length and bytes of each column.
fn checksum(columns: &[Value]) -> i64 {
    let mut sum = crc32fast::Hasher::new();
    for column in columns {
        match ValueRef::from(column) {
            ValueRef::Null => sum.update(&[0]),
            ValueRef::Integer(number) => {
                sum.update(&[1]);
                sum.update(&number.to_le_bytes());
            }
            ValueRef::Real(_) => panic!("Postcall writes none"),
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => {
                sum.update(&[3]);
                sum.update(&(bytes.len() as u64).to_le_bytes());
                sum.update(bytes);
            }
        }
    }
    sum.finalize().into()
}

/// A store as SQL that makes it again.
pub fn dump(store: &Connection) -> String {
    let all = |statement: &str| -> Vec<(String, String)> {
        let mut statement = store.prepare(statement).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)));
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    };
    let application: i64 = store.query_row("PRAGMA application_id", [], |row| row.get(0)).unwrap();
    let mut sql = format!("PRAGMA application_id = {application};\n");
    let schema = all("SELECT name, sql FROM sqlite_schema
        WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid");
    for (_, statement) in &schema {
        sql += &format!("{statement};\n");
    }
    for (table, _) in schema.iter().filter(|(_, sql)| sql.starts_with("CREATE TABLE")) {
        let columns = all(&format!("SELECT name, type FROM pragma_table_info('{table}')"));
        let quoted: Vec<String> =
            columns.iter().map(|(column, _)| format!("quote({column})")).collect();
        let rows = format!("SELECT '', {} FROM {table}", quoted.join(" || ', ' || "));
        for (_, values) in all(&rows) {
            sql += &format!("INSERT INTO {table} VALUES ({values});\n");
        }
    }
    sql
}

/// The version that a store says it has.
pub fn version(store: &Connection) -> Option<i32> {
    let newest = "SELECT max(version) FROM refinery_schema_history";
    store.query_row(newest, [], |row| row.get(0)).optional().unwrap().flatten()
}
