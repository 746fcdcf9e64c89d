//! The ledger as it lies on disk, whether or not a service has it open.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use postcall::store::sqlite::ReadOnly;
use postcall::store::{Hold, Search, SubmissionRow};
use postcall::submission::StateCounts;
use rusqlite::Connection;

/// Every kind of write that the service can make.
const WRITES: [(&str, &str); 12] = [
    ("submissions", "INSERT"),
    ("submissions", "UPDATE"),
    ("hooks", "INSERT"),
    ("answers", "INSERT"),
    ("answers", "UPDATE"),
    ("attempts", "INSERT"),
    ("attempts", "UPDATE"),
    ("holds", "INSERT"),
    ("holds", "UPDATE"),
    ("books", "INSERT"),
    ("books", "UPDATE"),
    ("ballast", "INSERT"),
];

pub struct Ledger(PathBuf);

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

impl Ledger {
    pub fn at(file: PathBuf) -> Self {
        Self(file)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What it says about this call, if it knows it.
    pub fn submission(&self, call: &str) -> Option<Submission> {
        let row = self.submissions().into_iter().find(|row| row.key.call.as_str() == call)?;
        let reason = row.state.reason().map(|reason| format!("({reason})")).unwrap_or_default();
        Some(Submission {
            state: format!("{}{reason}", row.state.label()),
            detail: row.detail.clone(),
            spent: row.attempts,
            attempts: self.attempts_at(call),
            due_at: row.due_at,
            feedback: row.feedback.clone(),
        })
    }

    pub fn submissions(&self) -> Vec<SubmissionRow> {
        self.open().search(&Search::default(), None, 1000).unwrap().rows
    }

    pub fn totals(&self) -> StateCounts {
        self.open().figures().unwrap().totals
    }

    pub fn holds(&self) -> Vec<Hold> {
        self.open().figures().unwrap().holds
    }

    /// Whether not one row was written about any hook.
    pub fn is_empty(&self) -> bool {
        let tables = ["hooks", "submissions", "answers", "told", "seen"];
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
        self.all_at_once([refusal(("attempts", "UPDATE"))]);
    }

    /// The disk says no between a lease and the attempt, which cannot be given back either.
    pub fn refuses_all_but_leases(&self) {
        let giving_back = refusal_when(("submissions", "UPDATE"), "NEW.leased_until IS NULL");
        self.all_at_once([refusal(("attempts", "INSERT")), giving_back]);
    }

    pub fn takes_writes(&self) {
        self.all_at_once(
            WRITES.map(|(table, event)| format!("DROP TRIGGER IF EXISTS no_{event}_{table};")),
        );
    }

    /// What attempts offered is not what anybody wrote.
    pub fn spoils_what_was_offered(&self) {
        self.sqlite().execute("UPDATE attempts SET feedback = '{\"rating\":9}'", []).unwrap();
    }

    /// Somebody has begun to write and has not finished, until what is returned is dropped.
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

    fn attempts_at(&self, call: &str) -> Vec<String> {
        let sqlite = self.sqlite();
        let mut attempts = sqlite
            .prepare(
                "SELECT coalesce(a.verdict, 'under way')
                    FROM attempts a JOIN submissions s ON s.seq = a.submission
                    WHERE s.call = ?1 ORDER BY a.number",
            )
            .unwrap();
        let verdicts = attempts.query_map([call], |row| row.get(0)).unwrap();
        verdicts.map(Result::unwrap).collect()
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

fn refusal(write: (&str, &str)) -> String {
    refusal_when(write, "TRUE")
}

fn refusal_when((table, event): (&str, &str), condition: &str) -> String {
    format!(
        "CREATE TRIGGER no_{event}_{table} AFTER {event} ON {table} WHEN {condition}
            BEGIN SELECT RAISE(ABORT, 'the disk says no'); END;"
    )
}
