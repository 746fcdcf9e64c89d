use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use postcall::domain::Totals;
use postcall::store::sqlite::ReadOnly;
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use super::crowd::Promise;
use super::far_side::told;

/// What lies on the disk, read past the service.
pub struct Ledger {
    /// By call.
    pub kept: BTreeMap<String, Kept>,
}

/// A submission as it lies there.
#[derive(Default)]
pub struct Kept {
    submission: String,
    pub state: String,
    pub reason: Option<String>,
    feedback: Option<String>,
    /// An attempt began, and its result is not written down.
    pub under_way: bool,
    /// Of its attempts in their order, with commas between; one that is under way has none.
    pub verdicts: String,
    /// By question and text, whether it came too late; no text is silence.
    answers: HashMap<(String, Option<String>), bool>,
}

impl Ledger {
    pub fn totals(path: &Path) -> Totals {
        ReadOnly::open(path).unwrap().figures().unwrap().totals
    }

    pub fn read(path: &Path) -> Self {
        let ledger = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut kept = BTreeMap::new();
        let mut submissions = ledger
            .prepare(
                "SELECT s.call, s.id, s.state, s.reason, s.feedback, s.begun,
                        (SELECT coalesce(group_concat(a.verdict ORDER BY a.number), '')
                            FROM attempts a WHERE a.submission = s.seq)
                    FROM submissions s",
            )
            .unwrap();
        let mut rows = submissions.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let submission = Kept {
                submission: Uuid::from_slice(row.get_ref(1).unwrap().as_blob().unwrap())
                    .unwrap()
                    .to_string(),
                state: row.get(2).unwrap(),
                reason: row.get(3).unwrap(),
                feedback: row.get(4).unwrap(),
                under_way: row.get(5).unwrap(),
                verdicts: row.get(6).unwrap(),
                answers: HashMap::new(),
            };
            assert!(kept.insert(row.get(0).unwrap(), submission).is_none(), "a call kept twice");
        }
        let mut answers = ledger
            .prepare(
                "SELECT s.call, a.question, a.answer, a.late
                    FROM answers a JOIN submissions s ON s.seq = a.submission",
            )
            .unwrap();
        let mut rows = answers.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let call: String = row.get(0).unwrap();
            let submission = kept.get_mut(&call).unwrap();
            let said = (row.get(1).unwrap(), row.get(2).unwrap());
            submission.answers.insert(said, row.get(3).unwrap());
        }
        Self { kept }
    }

    /// Every promise is kept: the submission, its call, and what was said.
    pub fn assert_has(&self, promises: &[Promise]) {
        for Promise { submission, call, question, answer } in promises {
            let kept = self.kept.get(call).unwrap_or_else(|| panic!("call {call} is lost"));
            assert_eq!(&kept.submission, submission, "call {call}");
            let said = ((*question).to_owned(), answer.clone());
            assert!(kept.answers.contains_key(&said), "call {call} has lost {said:?}");
        }
    }
}

impl Kept {
    /// Attempts of which nobody knows whether they arrived.
    pub fn unknown_results(&self) -> usize {
        self.verdicts.split(',').filter(|verdict| *verdict == "unknown_result").count()
    }

    /// Whether an answer to the question came when the submission was closed.
    pub fn was_late(&self, question: &str) -> bool {
        self.answers.iter().any(|((of, _), late)| of == question && *late)
    }

    /// Rating and issues, where the far side was told.
    pub fn told(&self) -> Option<(u64, Vec<String>)> {
        Some(told(&serde_json::from_str(self.feedback.as_deref()?).unwrap()))
    }
}
