//! SQL of the quarantine: webhooks that no known secret verifies.

use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::columns::micros;
use super::connection::Statement;
use super::error::PgError;
use crate::domain::{CallUuid, Method, Name, Webhook, WebhookId};
use crate::store::header_lines::{from_lines, to_lines};
use crate::store::model::QuarantinedWebhook;

/// Ids are in the order of arrival: the latest are those that count. More than these are never written.
const LOAD: &str = "SELECT
        id, source, account, survey, received_at, method, path, query, headers, body
    FROM quarantine ORDER BY id DESC LIMIT 100000";

/// A webhook that is not verified has no call; one in which the call's id is found may be about it.
const ABOUT: &str = "SELECT id, body, query FROM quarantine
    WHERE position(convert_to($1, 'UTF8') IN body) > 0 OR position($1 IN query) > 0";

pub(super) fn insert(kept: &QuarantinedWebhook) -> Statement {
    let QuarantinedWebhook { source, account, survey, webhook } = kept;
    Statement::new(
        "INSERT INTO quarantine
                (id, source, account, survey, received_at, method, path, query, headers, body)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
    )
    .with(webhook.id.0, Type::UUID)
    .with(source.as_str().to_owned(), Type::TEXT)
    .with(account.as_str().to_owned(), Type::TEXT)
    .with(survey.as_str().to_owned(), Type::TEXT)
    .with(micros(webhook.received_at), Type::INT8)
    .with(webhook.method.name(), Type::TEXT)
    .with(webhook.path.clone(), Type::TEXT)
    .with(webhook.query.clone(), Type::TEXT)
    .with(to_lines(&webhook.headers), Type::BYTEA)
    .with(webhook.body.clone(), Type::BYTEA)
}

pub(super) fn delete(id: Uuid) -> Statement {
    Statement::new("DELETE FROM quarantine WHERE id = $1 RETURNING 1").with(id, Type::UUID)
}

/// Selects those that may be about a call: [`ids_about`] says which of them are.
pub(super) fn about(call: &CallUuid) -> Statement {
    Statement::new(ABOUT).with(call.as_str().to_owned(), Type::TEXT)
}

/// The ids of those that [`about`] selected and that have the call's id.
pub(super) fn ids_about(rows: &[Row], call: &CallUuid) -> Result<Vec<Uuid>, PgError> {
    let mut ids = Vec::new();
    for row in rows {
        let (body, query): (&[u8], Option<&str>) = (row.try_get(1)?, row.try_get(2)?);
        if call.is_in(body) || call.is_in(query.unwrap_or_default().as_bytes()) {
            ids.push(row.try_get(0)?);
        }
    }
    Ok(ids)
}

pub(super) fn delete_all(ids: Vec<Uuid>) -> Statement {
    Statement::new("DELETE FROM quarantine WHERE id = ANY($1)").with(ids, Type::UUID_ARRAY)
}

pub(super) fn load() -> Statement {
    Statement::new(LOAD)
}

/// What [`load`] selected, the oldest first, and the ids of rows that cannot be read: they promise
/// nothing, and would never expire.
pub(super) fn read(rows: &[Row]) -> Result<(Vec<QuarantinedWebhook>, Vec<Uuid>), PgError> {
    let (mut loaded, mut unreadable) = (Vec::new(), Vec::new());
    for row in rows.iter().rev() {
        let name = |column| -> Result<Option<Name>, PgError> {
            Ok(row.try_get::<_, &str>(column)?.parse().ok())
        };
        let received_at = Timestamp::from_microsecond(row.try_get(4)?).ok();
        let (Some(source), Some(account), Some(survey), Some(received_at)) =
            (name(1)?, name(2)?, name(3)?, received_at)
        else {
            unreadable.push(row.try_get(0)?);
            continue;
        };
        let is_get = row.try_get::<_, &str>(5)? == Method::Get.name();
        let webhook = Webhook {
            id: WebhookId(row.try_get(0)?),
            received_at,
            method: if is_get { Method::Get } else { Method::Post },
            path: row.try_get(6)?,
            query: row.try_get(7)?,
            headers: from_lines(row.try_get(8)?),
            body: row.try_get(9)?,
        };
        loaded.push(QuarantinedWebhook { source, account, survey, webhook: webhook.into() });
    }
    Ok((loaded, unreadable))
}
