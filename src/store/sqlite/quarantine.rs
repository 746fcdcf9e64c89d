//! SQL of the quarantine: webhooks that no known secret verifies.

use rusqlite::{Connection, Result, Row, params};
use uuid::Uuid;

use super::columns::{limit, micros, timestamp};
use crate::domain::{CallUuid, Method, Name, Webhook, WebhookId};
use crate::store::header_lines::{from_lines, to_lines};
use crate::store::model::QuarantinedWebhook;

const INSERT: &str = "INSERT OR IGNORE INTO quarantine
        (id, source, account, survey, received_at, method, path, query, headers, body)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

const DELETE: &str = "DELETE FROM quarantine WHERE id = ?1";

/// A webhook that is not verified has no call; one in which the call's id is found may be about it.
const ABOUT: &str = "SELECT id, body, query FROM quarantine
    WHERE instr(body, CAST(?1 AS BLOB)) > 0 OR instr(query, ?1) > 0";

/// Ids are in the order of arrival: the latest are those that count.
const LOAD: &str = "SELECT
        id, source, account, survey, received_at, method, path, query, headers, body
    FROM quarantine ORDER BY id DESC LIMIT ?1";

/// Most webhooks that are loaded; more are never written.
const LOADED_MAX: usize = 100_000;

pub(super) fn insert(connection: &Connection, kept: &QuarantinedWebhook) -> Result<()> {
    let QuarantinedWebhook { source, account, survey, webhook } = kept;
    connection.prepare_cached(INSERT)?.execute(params![
        webhook.id.0.as_bytes(),
        source.as_str(),
        account.as_str(),
        survey.as_str(),
        micros(webhook.received_at),
        webhook.method.name(),
        webhook.path,
        webhook.query,
        to_lines(&webhook.headers),
        webhook.body,
    ])?;
    Ok(())
}

pub(super) fn delete(connection: &Connection, id: WebhookId) -> Result<usize> {
    delete_row(connection, id.0.as_bytes())
}

fn delete_row(connection: &Connection, id: &[u8]) -> Result<usize> {
    connection.prepare_cached(DELETE)?.execute([id])
}

pub(super) fn delete_about(connection: &Connection, call: &CallUuid) -> Result<Vec<WebhookId>> {
    let mut statement = connection.prepare_cached(ABOUT)?;
    let mut rows = statement.query([call.as_str()])?;
    let mut deleted = Vec::new();
    while let Some(row) = rows.next()? {
        let (id, body): (Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?);
        let query: Option<String> = row.get(2)?;
        if call.is_in(&body) || call.is_in(query.unwrap_or_default().as_bytes()) {
            delete_row(connection, &id)?;
            // One that is no UUID is deleted all the same.
            deleted.push(WebhookId(Uuid::from_slice(&id).unwrap_or_default()));
        }
    }
    Ok(deleted)
}

/// All of them, the oldest first, and how many rows cannot be read and are deleted: they promise nothing,
/// and would never expire.
pub(super) fn load(connection: &Connection) -> Result<(Vec<QuarantinedWebhook>, usize)> {
    let mut statement = connection.prepare_cached(LOAD)?;
    let mut rows = statement.query([limit(LOADED_MAX)])?;
    let (mut loaded, mut unreadable) = (Vec::new(), Vec::<Vec<u8>>::new());
    while let Some(row) = rows.next()? {
        match read(row) {
            Ok(Some(webhook)) => loaded.push(webhook),
            _ => unreadable.push(row.get(0)?),
        }
    }
    loaded.reverse();
    unreadable.iter().try_for_each(|id| delete_row(connection, id).map(drop))?;
    Ok((loaded, unreadable.len()))
}

fn read(row: &Row<'_>) -> Result<Option<QuarantinedWebhook>> {
    let name = |column| -> Result<Option<Name>> { Ok(row.get::<_, String>(column)?.parse().ok()) };
    let (Some(source), Some(account), Some(survey)) = (name(1)?, name(2)?, name(3)?) else {
        return Ok(None);
    };
    let webhook = Webhook {
        id: WebhookId(Uuid::from_bytes(row.get(0)?)),
        received_at: timestamp(row, 4)?,
        method: if row.get::<_, String>(5)? == Method::Get.name() {
            Method::Get
        } else {
            Method::Post
        },
        path: row.get(6)?,
        query: row.get(7)?,
        headers: from_lines(&row.get::<_, Vec<u8>>(8)?),
        body: row.get(9)?,
    };
    Ok(Some(QuarantinedWebhook { source, account, survey, webhook: webhook.into() }))
}
