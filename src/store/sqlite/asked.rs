//! Which surveys were answered for which accounts: enough to find the submissions of a call by
//! their ids, without an index of calls that every hook would pay for.

use rusqlite::{Connection, OptionalExtension, Result, params};

use super::columns::text;
use crate::domain::CallUuid;
use crate::submission::{SubmissionId, SubmissionKey};

pub(super) fn note(connection: &Connection, key: &SubmissionKey) -> Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO asked (account, survey) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
        )?
        .execute(params![key.account.as_str(), key.survey.as_str()])?;
    Ok(())
}

/// What submissions about a call are, or would be, called.
pub(super) fn possible(connection: &Connection, call: &CallUuid) -> Result<Vec<SubmissionId>> {
    connection
        .prepare_cached("SELECT account, survey FROM asked")?
        .query_map([], |row| {
            let call = call.clone();
            Ok(SubmissionKey { account: text(row, 0)?, survey: text(row, 1)?, call }.id())
        })?
        .collect()
}

/// The submissions about a call; one that was erased is not about it any more.
pub(super) fn about(connection: &Connection, call: &CallUuid) -> Result<Vec<SubmissionId>> {
    let mut known = Vec::new();
    for id in possible(connection, call)? {
        let is_known = connection
            .prepare_cached("SELECT 1 FROM submissions WHERE id = ?1 AND gone_at IS NULL")?
            .query_row([id.0.as_bytes()], |_| Ok(()))
            .optional()?;
        known.extend(is_known.map(|()| id));
    }
    Ok(known)
}
