//! SQL of the survey revisions.

use rusqlite::{Connection, Result, Row, params};

use super::columns::{micros, text, timestamp};
use crate::store::model::SurveyRevision;

pub(super) const ALL: &str =
    "SELECT survey, since, digest FROM survey_revisions ORDER BY survey ASC, since ASC";

/// Those that are older than the newest ones.
const REMOVE_OLD: &str = "DELETE FROM survey_revisions WHERE survey = ?1 AND since <=
    (SELECT since FROM survey_revisions WHERE survey = ?1 ORDER BY since DESC LIMIT 1 OFFSET ?2)";

pub(super) fn find(connection: &Connection) -> Result<Vec<SurveyRevision>> {
    let mut statement = connection.prepare_cached(ALL)?;
    // One that cannot be read, because another program has written it, only draws no mark.
    let revisions = statement.query_map([], |row| Ok(revision(row).ok()))?;
    Ok(revisions.collect::<Result<Vec<Option<_>>>>()?.into_iter().flatten().collect())
}

/// A row of [`ALL`].
pub(super) fn revision(row: &Row<'_>) -> Result<SurveyRevision> {
    Ok(SurveyRevision { survey: text(row, 0)?, since: timestamp(row, 1)?, digest: row.get(2)? })
}

pub(super) fn insert(connection: &Connection, revision: &SurveyRevision) -> Result<()> {
    let SurveyRevision { survey, since, digest } = revision;
    connection
        .prepare_cached("INSERT OR REPLACE INTO survey_revisions VALUES (?1, ?2, ?3)")?
        .execute(params![survey.as_str(), micros(*since), digest])?;
    let kept = i64::from(SurveyRevision::KEPT);
    connection.prepare_cached(REMOVE_OLD)?.execute(params![survey.as_str(), kept])?;
    Ok(())
}
