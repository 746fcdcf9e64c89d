//! The store as it lies on disk, whether or not a service has it open.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use postcall::account::PauseReason;
use postcall::store::sqlite::ReadOnly;
use postcall::store::{Statistics, SubmissionFilter};
use postcall::submission::{self, AttemptRecord, StateCounts};
use rusqlite::Connection;

use crate::store_contract::backend::seal;

/// Every kind of write that the service can make.
const WRITES: [(&str, &str); 9] = [
    ("submissions", "INSERT"),
    ("submissions", "UPDATE"),
    ("webhooks", "INSERT"),
    ("idempotency_keys", "INSERT"),
    ("scopes", "INSERT"),
    ("pauses", "INSERT"),
    ("pauses", "UPDATE"),
    ("state_counts", "UPDATE"),
    ("write_probe", "INSERT"),
];

pub struct StoreContents(PathBuf);

/// A submission as a test looks at it.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// With its reason where it has one: `ignored(no_answer)`.
    pub state: String,
    /// Why it is dead, in words.
    pub detail: Option<String>,
    /// Attempts that were spent.
    pub spent: u32,
    /// Each attempt's verdict; `under way` while it has none.
    pub attempts: Vec<String>,
    pub due_at: Timestamp,
    /// What Plivo was told, once it has accepted.
    pub feedback: Option<String>,
}

impl StoreContents {
    pub fn at(file: PathBuf) -> Self {
        Self(file)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What it says about this call, if it knows it.
    pub fn submission(&self, call: &str) -> Option<Submission> {
        let is_about =
            |it: &submission::Submission| it.call.as_ref().is_some_and(|of| of.as_str() == call);
        let found = self.submissions().into_iter().find(is_about)?;
        let reason = found.state.reason().map(|reason| format!("({reason})")).unwrap_or_default();
        let document = &found.document;
        Some(Submission {
            state: format!("{}{reason}", found.state.label()),
            detail: document.detail.clone(),
            spent: document.attempts_used,
            attempts: document.attempts.iter().map(verdict).collect(),
            due_at: found.due_at,
            feedback: document.delivered.as_ref().map(|payload| payload.as_str().to_owned()),
        })
    }

    pub fn submissions(&self) -> Vec<submission::Submission> {
        self.open().search(&SubmissionFilter::default(), None, 1000).unwrap().submissions
    }

    pub fn totals(&self) -> StateCounts {
        self.statistics().counts
    }

    /// Of accounts that are paused.
    pub fn pauses(&self) -> Vec<PauseReason> {
        self.statistics().pauses.into_iter().map(|(_, reason)| reason).collect()
    }

    /// How many attempts were ever made.
    pub fn attempts(&self) -> u32 {
        self.submissions().iter().map(|it| it.document.attempts_made).sum()
    }

    /// How many answers are kept of all calls, late ones too.
    pub fn answers(&self) -> usize {
        self.submissions().iter().map(|it| it.document.answers.len() + it.document.late.len()).sum()
    }

    /// How many actions of operators are noted.
    pub fn audit_entries(&self) -> usize {
        self.submissions().iter().map(|it| it.document.audit.len()).sum()
    }

    /// Whether not one row was written about any webhook.
    pub fn is_empty(&self) -> bool {
        let tables = ["webhooks", "submissions", "idempotency_keys", "scopes"];
        tables.iter().all(|table| self.count(table) == 0) && self.totals() == StateCounts::default()
    }

    pub fn count(&self, table: &str) -> u64 {
        let count = format!("SELECT count(*) FROM {table}");
        self.sqlite().query_row(&count, [], |row| row.get(0)).unwrap()
    }

    /// The disk says no from here on: every write fails, and reading goes on.
    pub fn refuses_writes(&self) {
        self.all_at_once(WRITES.map(refusal));
    }

    /// The disk says no exactly where an attempt that has begun is to be settled.
    pub fn refuses_results(&self) {
        let settled = "OLD.lease_until IS NOT NULL AND NEW.lease_until IS NULL";
        self.all_at_once([refusal_when(("submissions", "UPDATE"), settled)]);
    }

    /// The disk says no exactly where an attempt is to begin.
    pub fn refuses_claims(&self) {
        let claimed = "OLD.lease_until IS NULL AND NEW.lease_until IS NOT NULL";
        self.all_at_once([refusal_when(("submissions", "UPDATE"), claimed)]);
    }

    pub fn takes_writes(&self) {
        self.all_at_once(
            WRITES.map(|(table, event)| format!("DROP TRIGGER IF EXISTS no_{event}_{table};")),
        );
    }

    /// What attempts offered is not what anybody wrote.
    pub fn spoils_what_was_offered(&self) {
        let spoil = "UPDATE submissions SET
            document = json_set(document, '$.attempts[#-1].payload', json('{\"rating\":9}'))";
        self.sqlite().execute(spoil, []).unwrap();
        seal(&self.sqlite());
    }

    /// Another program has the file open, whose writes the service does not know.
    pub fn as_another_program(&self) -> Connection {
        self.sqlite()
    }

    /// Someone has begun to write and has not finished, until what is returned is dropped.
    pub fn is_written_by_another(&self) -> Connection {
        let another = self.sqlite();
        another.execute_batch("BEGIN IMMEDIATE").unwrap();
        another
    }

    /// No write slips through in between.
    fn all_at_once(&self, statements: impl IntoIterator<Item = String>) {
        let all = String::from_iter(statements);
        self.sqlite().execute_batch(&format!("BEGIN IMMEDIATE; {all} COMMIT;")).unwrap();
    }

    fn statistics(&self) -> Statistics {
        self.open().statistics().unwrap()
    }

    fn open(&self) -> ReadOnly {
        ReadOnly::open(&self.0).unwrap()
    }

    /// As with `sqlite3` in another window.
    fn sqlite(&self) -> Connection {
        let sqlite = Connection::open(&self.0).unwrap();
        sqlite.busy_timeout(Duration::from_secs(30)).unwrap();
        sqlite
    }
}

fn verdict(attempt: &AttemptRecord) -> String {
    let response = attempt.response.as_ref();
    response.map_or("under way", |response| response.verdict.label()).to_owned()
}

fn refusal(write: (&str, &str)) -> String {
    refusal_when(write, "TRUE")
}

fn refusal_when((table, event): (&str, &str), condition: &str) -> String {
    format!(
        "CREATE TRIGGER no_{event}_{table} AFTER {event} ON {table} WHEN {condition}
            BEGIN SELECT RAISE(ABORT, 'the disk says no'); END;"
    )
}
