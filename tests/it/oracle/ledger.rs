use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use postcall::store::sqlite::ReadOnly;
use postcall::submission::StateCounts;
use rusqlite::{Connection, OpenFlags};
use uuid::Uuid;

use super::crowd::Promise;
use super::far_side::Told;
use crate::process::Process;

/// What lies on the disk, read past the service.
pub struct Ledger {
    /// By call.
    pub kept: BTreeMap<String, Kept>,
}

/// A submission as it lies there.
pub struct Kept {
    submission: String,
    pub state: String,
    pub reason: Option<String>,
    feedback: Option<String>,
    /// An attempt began, and its result is not written down.
    pub under_way: bool,
    /// In microseconds; nothing where nobody has it in hand.
    leased_until: Option<i64>,
    /// Of its attempts in their order, with commas between; one that is under way has none.
    pub verdicts: String,
    /// By question and text, whether it came too late; no text is silence.
    answers: HashMap<(String, Option<String>), bool>,
}

impl Ledger {
    pub fn totals(path: &Path) -> StateCounts {
        ReadOnly::open(path).unwrap().figures().unwrap().totals
    }

    /// Until every submission that `service` keeps there has ended.
    pub fn wait_until_nothing_waits(path: &Path, service: &Process) {
        while Self::totals(path).waiting() > 0 {
            if service.line_to_come().is_none() {
                let kept = Self::read(path).kept;
                let waiting = kept.iter().filter_map(|(call, kept)| kept.waiting(call));
                panic!("nothing happens any more: {:#?}", waiting.collect::<Vec<_>>());
            }
            service.skip_lines();
        }
    }

    pub fn read(path: &Path) -> Self {
        let ledger = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut kept = BTreeMap::new();
        let mut submissions = ledger
            .prepare(
                "SELECT s.call, s.id, s.state, s.reason, s.feedback, s.begun, s.leased_until,
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
                leased_until: row.get(6).unwrap(),
                verdicts: row.get(7).unwrap(),
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

    /// The books say what a recount says.
    pub fn assert_counts(&self, totals: StateCounts) {
        let in_state = |state| self.kept.values().filter(|kept| kept.state == state).count() as u64;
        let recounted = StateCounts {
            accepted: self.kept.len() as u64,
            collecting: in_state("collecting"),
            pending: in_state("pending"),
            delivered: in_state("delivered"),
            ignored: in_state("ignored"),
            dead: in_state("dead"),
            discarded: in_state("discarded"),
        };
        assert!(totals.balance(), "the books do not balance: {totals:?}");
        assert_eq!(totals, recounted, "the books are not what a recount says");
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
    /// What is known of it while it waits.
    fn waiting(&self, call: &str) -> Option<String> {
        let Self { submission, state, verdicts, leased_until, .. } = self;
        matches!(state.as_str(), "collecting" | "pending").then(|| {
            format!("{call} ({submission}) is {state}, leased until {leased_until:?}, {verdicts}")
        })
    }

    /// Attempts that ended so.
    pub fn attempts(&self, verdict: &str) -> usize {
        self.verdicts.split(',').filter(|given| *given == verdict).count()
    }

    /// Whether an answer to the question came when the submission was closed.
    pub fn was_late(&self, question: &str) -> bool {
        self.answers.iter().any(|((of, _), late)| of == question && *late)
    }

    pub fn told(&self) -> Option<Told> {
        Some(Told::of(&serde_json::from_str(self.feedback.as_deref()?).unwrap()))
    }
}
