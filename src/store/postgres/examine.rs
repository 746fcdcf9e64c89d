//! Examination of a store: what is wrong with it, in words. It is only read, whether or not processes
//! serve it.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::columns::{Columns, submission_columns};
use super::connection::{Address, Statement, apart, pipeline};
use super::error::PgError;
use super::{queries, schema, tallies};
use crate::store::error::StoreError;
use crate::store::examination::{Examination, FINDINGS_MAX, Finding, FindingKind};
use crate::submission::{State, StateCounts, Tallies};

const TIMEOUT: Duration = Duration::from_secs(600);

/// Submissions that are read at once.
const PAGE: i64 = 1000;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
                     SET LOCAL statement_timeout = '600s'";

const READ: &str = concat!(
    "SELECT ",
    submission_columns!(),
    " FROM submissions WHERE seq > $1 ORDER BY seq LIMIT $2"
);

/// What is found once, with a number of rows.
const COUNTED: [(FindingKind, &str, &str); 5] = [
    (
        FindingKind::Submission,
        "submissions that wait and are not in the table of what is due",
        "SELECT count(*) FROM submissions AS s
            WHERE settled_at IS NULL AND NOT EXISTS (SELECT 1 FROM due WHERE due.seq = s.seq)",
    ),
    (
        FindingKind::Submission,
        "rows in the table of what is due that do not fit their submissions",
        "SELECT count(*) FROM due LEFT JOIN submissions AS s ON s.seq = due.seq
            WHERE s.settled_at IS NOT NULL OR s.account IS DISTINCT FROM due.account
                OR s.due_at IS DISTINCT FROM due.due_at OR s.fence IS DISTINCT FROM due.fence
                OR s.due_since IS DISTINCT FROM due.due_since
                OR s.lease_until IS DISTINCT FROM due.lease_until",
    ),
    (
        FindingKind::Orphan,
        "webhooks without a submission",
        "SELECT count(*) FROM webhooks AS w
            WHERE NOT EXISTS (SELECT 1 FROM submissions AS s WHERE s.seq = w.submission)",
    ),
    (
        FindingKind::Orphan,
        "documents that were found corrupt, without a submission",
        "SELECT count(*) FROM corrupt_documents AS c
            WHERE NOT EXISTS (SELECT 1 FROM submissions AS s WHERE s.seq = c.submission)",
    ),
    (
        FindingKind::Account,
        "submissions whose pair of account and survey is not recorded",
        "SELECT count(*) FROM submissions AS s WHERE call IS NOT NULL AND NOT EXISTS
            (SELECT 1 FROM scopes WHERE scopes.account = s.account AND scopes.survey = s.survey)",
    ),
];

/// Reads all of a store, which takes a while if it is large, and changes nothing. Returns what is wrong.
///
/// # Errors
/// The database cannot be reached, or its schema is not that of this release.
pub fn examine(address: &Address) -> Result<Examination, StoreError> {
    apart(|| {
        let shown = address.shown();
        let open = |error: PgError| StoreError::open(shown.as_ref(), error);
        let (runtime, client) = address.open()?;
        runtime.block_on(async {
            schema::check(&client, &shown).await?;
            examined(&client).await.map_err(open)
        })
    })
}

async fn examined(client: &Client) -> Result<Examination, PgError> {
    pipeline(client, &[Statement::batch(BEGIN)], TIMEOUT).await?;
    let (mut findings, mut submissions) = (Vec::new(), 0);
    let (mut recount, mut recounted) = (StateCounts::default(), Tallies::default());
    let mut after = i64::MIN;
    loop {
        let page = Statement::new(READ).with(after, Type::INT8).with(PAGE, Type::INT8);
        let rows = pipeline(client, &[page], TIMEOUT).await?.pop().unwrap_or_default();
        let Some(last) = rows.last() else { break };
        after = last.try_get(0)?;
        for row in &rows {
            let columns = Columns::read(row)?;
            recount.accepted += 1;
            let state = State::all().find(|state| state.label() == columns.state);
            if let Some(state) = state {
                *recount.of_mut(state) += 1;
            }
            submissions += 1;
            let submission = columns.submission();
            recounted.moved(Vec::new(), submission.map(|it| it.cells()).unwrap_or_default());
            for fault in columns.faults() {
                let words = format!("submission {} {fault}", columns.id);
                findings.push(Finding { kind: FindingKind::Submission, words });
            }
        }
        findings.truncate(FINDINGS_MAX);
    }
    let deleted =
        Statement::new("SELECT state, sum(submissions)::bigint FROM deleted_counts GROUP BY state");
    let statements = [deleted, Statement::new(queries::COUNTS), tallies::all()];
    let results = pipeline(client, &statements, TIMEOUT).await?;
    for row in &results[0] {
        let (label, count): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
        let count = u64::try_from(count).unwrap_or_default();
        recount.accepted += count;
        if let Some(state) = State::all().find(|state| state.label() == label) {
            *recount.of_mut(state) += count;
        }
    }
    let counts = queries::counts_of(&results[1][0])?;
    if counts != recount {
        let words = format!("the state counts are {counts:?}, and a recount gives {recount:?}");
        findings.push(Finding { kind: FindingKind::Counts, words });
    }
    // What cannot be read is not recounted.
    let is_sound = !findings.iter().any(|it| it.kind == FindingKind::Submission);
    let difference = tallies::read_all(&results[2])?.difference(&recounted);
    if let Some(words) = difference.filter(|_| is_sound) {
        findings.push(Finding { kind: FindingKind::Counts, words });
    }
    for (kind, what, sql) in COUNTED {
        let rows = pipeline(client, &[Statement::new(sql)], TIMEOUT).await?;
        let count: i64 = rows[0][0].try_get(0)?;
        if count > 0 {
            findings.push(Finding { kind, words: format!("{count} {what}") });
        }
    }
    pipeline(client, &[Statement::batch("COMMIT")], TIMEOUT).await?;
    Ok(Examination { submissions, findings })
}
