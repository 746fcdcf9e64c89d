//! SQL of a spool: webhooks that wait for another database.
//!
//! The file is a store like any other, whose submissions nothing claims: they tell what is known of a call
//! and which idempotency keys were used, until everything is drained.

use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Result, Row};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::columns::{limit, micros};
use super::damage;
use crate::domain::{
    Answer, ExtractedAnswer, Extraction, IdempotencyKey, Method, Name, TraceId, Webhook, WebhookId,
};
use crate::store::error::StoreError;
use crate::store::model::{Drained, ReceiveRequest};
use crate::submission::{CompletionPolicy, SubmissionKey};

/// Everything of the file that follows from what is spooled.
const CLEAR: &str = "
    DELETE FROM submissions;
    DELETE FROM webhooks;
    DELETE FROM corrupt_documents;
    DELETE FROM idempotency_keys;
    DELETE FROM tallies;
    UPDATE state_counts SET accepted = 0, collecting = 0, pending = 0, delivered = 0, ignored = 0,
        dead = 0, discarded = 0";

/// A webhook that waits, and the submission that it is about.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct Spooled {
    webhook: WebhookId,
    received_at: i64,
    method: String,
    path: String,
    query: Option<String>,
    body: String,
    source: Name,
    account: Name,
    pub survey: Name,
    call: String,
    key: Option<Key>,
    answers: Vec<(String, Answer, String)>,
    fields: Vec<(Name, String)>,
    hung_up: bool,
    opted_out: bool,
    trace: Option<TraceId>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Key {
    id: String,
    digest: String,
    expires: bool,
}

impl Spooled {
    fn of(request: &ReceiveRequest) -> Self {
        let ReceiveRequest { webhook, source, key, extraction, idempotency_key, trace, .. } =
            request;
        let answers = extraction.answers.iter();
        Self {
            webhook: webhook.id,
            received_at: micros(webhook.received_at),
            method: webhook.method.name().to_owned(),
            path: webhook.path.clone(),
            query: webhook.query.clone(),
            body: BASE64.encode(&webhook.body),
            source: source.clone(),
            account: key.account.clone(),
            survey: key.survey.clone(),
            call: key.call.as_str().to_owned(),
            key: idempotency_key.as_ref().map(|key| Key {
                id: key.id.clone(),
                digest: BASE64.encode(&key.digest),
                expires: key.expires,
            }),
            answers: answers
                .map(|it| (it.question.clone(), it.answer.clone(), it.reader.clone()))
                .collect(),
            fields: extraction.fields.clone(),
            hung_up: extraction.hung_up,
            opted_out: extraction.opted_out,
            trace: *trace,
        }
    }

    /// What it is about: account, survey and call.
    pub fn call(&self) -> (Name, Name, String) {
        (self.account.clone(), self.survey.clone(), self.call.clone())
    }

    /// The request that was spooled; `None` if it is not what was written.
    pub fn into_request(self, policy: Arc<dyn CompletionPolicy>) -> Option<ReceiveRequest> {
        let idempotency_key = match self.key {
            None => None,
            Some(key) => {
                let digest = BASE64.decode(key.digest.as_bytes()).ok()?.try_into().ok()?;
                Some(IdempotencyKey { id: key.id, digest, expires: key.expires })
            }
        };
        let answers = self.answers.into_iter();
        Some(ReceiveRequest {
            webhook: Webhook {
                id: self.webhook,
                method: if self.method == Method::Get.name() { Method::Get } else { Method::Post },
                path: self.path,
                query: self.query,
                // No store keeps them of a webhook that is verified.
                headers: Default::default(),
                body: BASE64.decode(self.body.as_bytes()).ok()?,
                received_at: Timestamp::from_microsecond(self.received_at).ok()?,
            },
            source: self.source,
            key: SubmissionKey {
                account: self.account,
                survey: self.survey,
                call: self.call.parse().ok()?,
            },
            extraction: Extraction {
                answers: answers
                    .map(|(question, answer, reader)| ExtractedAnswer { question, answer, reader })
                    .collect(),
                fields: self.fields,
                hung_up: self.hung_up,
                opted_out: self.opted_out,
            },
            idempotency_key,
            trace: self.trace,
            policy,
        })
    }
}

/// The owner while the database was never reached.
pub(super) const UNKNOWN: Uuid = Uuid::nil();

/// Notes that the file is a spool, and for which database, if that is known.
///
/// # Errors
/// It is a store that was served, or webhooks in it wait for another database.
pub(super) fn mark(
    connection: &Connection,
    path: &Path,
    database: Option<Uuid>,
) -> std::result::Result<(), StoreError> {
    let path_shown = || path.display().to_string();
    let marked = (|| {
        let is_store = "SELECT EXISTS (SELECT 1 FROM submissions)";
        let is_new = owner(connection)?.is_none();
        if is_new && connection.query_row(is_store, [], |row| row.get(0))? {
            return Ok(Err(StoreError::NoSpool { path: path_shown() }));
        }
        if is_new || size(connection)?.0 == 0 {
            own(connection, UNKNOWN)?;
        }
        match database.map(|database| take(connection, database)).transpose()? {
            Some(false) => Ok(Err(StoreError::SpoolOfAnother { path: path_shown() })),
            _ => Ok(Ok(())),
        }
    })();
    marked.map_err(|error: rusqlite::Error| damage::opening(path, error))?
}

/// Notes that what is spooled waits for this database; returns whether it does, and not for another.
pub(super) fn take(connection: &Connection, database: Uuid) -> Result<bool> {
    let owner = owner(connection)?;
    let is_another = |it: &[u8]| it != UNKNOWN.as_bytes() && it != database.as_bytes();
    if owner.as_deref().is_some_and(is_another) {
        return Ok(false);
    }
    own(connection, database)?;
    Ok(true)
}

pub(super) fn own(connection: &Connection, database: Uuid) -> Result<()> {
    let own = "INSERT OR REPLACE INTO spool_owner (only, database) VALUES (1, ?1)";
    connection.execute(own, [database.as_bytes()])?;
    Ok(())
}

/// # Errors
/// The file is a spool.
pub(super) fn check_is_none(
    connection: &Connection,
    path: &Path,
) -> std::result::Result<(), StoreError> {
    match owner(connection).map_err(|error| damage::opening(path, error))? {
        None => Ok(()),
        Some(_) => Err(StoreError::Spool { path: path.display().to_string() }),
    }
}

fn owner(connection: &Connection) -> Result<Option<Vec<u8>>> {
    connection.query_row("SELECT database FROM spool_owner", [], |row| row.get(0)).optional()
}

pub(super) fn insert(connection: &Connection, request: &ReceiveRequest) -> Result<()> {
    let request = serde_json::to_vec(&Spooled::of(request)).expect("it has text as its keys");
    connection.prepare_cached("INSERT INTO spooled (request) VALUES (?1)")?.execute([request])?;
    Ok(())
}

/// Webhooks that wait, the earliest first, after a number: each with its own, and `None` if it is not what
/// was written.
pub(super) fn load(
    connection: &Connection,
    after: i64,
    most: usize,
) -> Result<Vec<(i64, Option<Spooled>)>> {
    let mut statement = connection
        .prepare_cached("SELECT seq, request FROM spooled WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
    let rows = statement.query_map((after, limit(most)), |row| Ok((row.get(0)?, spooled(row)?)))?;
    rows.collect()
}

/// The webhook of a row of `spooled`; `None` if it is not what was written.
pub(super) fn spooled(row: &Row<'_>) -> Result<Option<Spooled>> {
    Ok(serde_json::from_slice(row.get_ref(1)?.as_bytes().unwrap_or_default()).ok())
}

/// Up to how many webhooks are counted one by one.
const COUNTED_MAX: u64 = 1000;

/// How many webhooks wait, and when the first of them arrived. Many are counted from the first number to the
/// last, for all of them would have to be read otherwise: too many if one is refused before others.
pub(super) fn size(connection: &Connection) -> Result<(u64, Option<Timestamp>)> {
    let number = |statement: &str| -> Result<u64> {
        connection.prepare_cached(statement)?.query_row([], |row| row.get(0))
    };
    let some = format!("SELECT count(*) FROM (SELECT 1 FROM spooled LIMIT {COUNTED_MAX})");
    let waiting = match number(&some)? {
        COUNTED_MAX => number("SELECT max(seq) - min(seq) + 1 FROM spooled")?,
        few => few,
    };
    let first = load(connection, 0, 1)?.pop().and_then(|(_, first)| first);
    Ok((waiting, first.and_then(|it| Timestamp::from_microsecond(it.received_at).ok())))
}

/// Removes webhooks, and once there are no more of them, everything that follows from them. One that is
/// corrupt is set aside as it is.
pub(super) fn forget(connection: &Connection, drained: &[(i64, Drained)]) -> Result<()> {
    for (number, drained) in drained {
        if *drained == Drained::Corrupt {
            let keep =
                "INSERT INTO spooled_corrupt SELECT seq, request FROM spooled WHERE seq = ?1";
            connection.prepare_cached(keep)?.execute([number])?;
        }
        connection.prepare_cached("DELETE FROM spooled WHERE seq = ?1")?.execute([number])?;
    }
    let is_empty =
        connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM spooled)", [], |row| row.get(0))?;
    if is_empty { connection.execute_batch(CLEAR) } else { Ok(()) }
}
