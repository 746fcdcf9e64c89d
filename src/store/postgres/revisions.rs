//! SQL of the survey revisions, which every replica records.

use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::columns::{clamped, micros};
use super::connection::Statement;
use super::error::PgError;
use crate::store::model::SurveyRevision;

const ALL: &str = "SELECT survey, since, digest FROM survey_revisions ORDER BY survey, since";

/// Those that are older than the newest ones.
const REMOVE_OLD: &str = "DELETE FROM survey_revisions WHERE survey = $1 AND since <=
    (SELECT since FROM survey_revisions WHERE survey = $1 ORDER BY since DESC LIMIT 1 OFFSET $2)";

pub(super) fn all() -> Statement {
    Statement::new(ALL)
}

/// Those that can be read: another program may have written any name.
pub(super) fn read_all(rows: &[Row]) -> Result<Vec<SurveyRevision>, PgError> {
    let mut revisions = Vec::with_capacity(rows.len());
    for row in rows {
        let Ok(survey) = row.try_get::<_, &str>(0)?.parse() else { continue };
        let since = clamped(row.try_get(1)?);
        revisions.push(SurveyRevision { survey, since, digest: row.try_get(2)? });
    }
    Ok(revisions)
}

pub(super) fn insert(revision: &SurveyRevision) -> [Statement; 2] {
    let survey = revision.survey.as_str();
    let insert = "INSERT INTO survey_revisions (survey, since, digest) VALUES ($1, $2, $3)
        ON CONFLICT (survey, since) DO UPDATE SET digest = excluded.digest";
    let insert = Statement::new(insert)
        .with(survey.to_owned(), Type::TEXT)
        .with(micros(revision.since), Type::INT8)
        .with(revision.digest.clone(), Type::TEXT);
    let remove = Statement::new(REMOVE_OLD)
        .with(survey.to_owned(), Type::TEXT)
        .with(i64::from(SurveyRevision::KEPT), Type::INT8);
    [insert, remove]
}
