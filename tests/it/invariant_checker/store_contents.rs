use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::time::{Duration, Instant};

use postcall::domain::Answer;
use postcall::store::sqlite::ReadOnly;
use postcall::submission::{Answers, Document, StateCounts};
use rusqlite::{Connection, OpenFlags};
use tokio_postgres::Config;
use uuid::Uuid;

use super::far_side::Told;
use super::load_senders::Promise;
use crate::postgres;
use crate::process::Process;

/// A submission that does not end fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(120);

const SELECT: &str = "SELECT call, id, state, reason, lease_until, document FROM submissions";

/// What lies on the disk, read past the service.
pub struct StoreContents {
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
    /// In microseconds; nothing where no one has it in hand.
    leased_until: Option<i64>,
    /// Of its attempts in their order, with commas between; one that is under way has none.
    pub verdicts: String,
    /// Attempts between the first and the last ones, of which nothing is kept.
    forgotten: usize,
    /// By question and text, whether it came too late; no text is silence.
    answers: HashMap<(String, Option<String>), bool>,
}

impl StoreContents {
    pub fn totals(path: &Path) -> StateCounts {
        ReadOnly::open(path).unwrap().statistics().unwrap().counts
    }

    /// Until every submission that `service` keeps there has ended. Fails if none ends for as long
    /// as `PATIENCE`, whatever the service logs meanwhile.
    pub fn wait_until_nothing_waits(path: &Path, service: &Process) {
        let (mut fewest, mut since) = (u64::MAX, Instant::now());
        loop {
            let waiting = Self::totals(path).waiting();
            if waiting == 0 {
                return;
            }
            if waiting < fewest {
                (fewest, since) = (waiting, Instant::now());
            }
            if service.line_to_come().is_none() || since.elapsed() > PATIENCE {
                let kept = Self::read(path).kept;
                let waiting = kept.iter().filter_map(|(call, kept)| kept.waiting(call));
                panic!("nothing ends any more: {:#?}", waiting.collect::<Vec<_>>());
            }
            service.skip_lines();
        }
    }

    pub fn read(path: &Path) -> Self {
        let store = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
        let mut submissions = store.prepare(SELECT).unwrap();
        let rows = submissions.query_map([], |row| {
            let document = row.get_ref(5)?.as_bytes()?;
            let id = Uuid::from_slice(row.get_ref(1)?.as_blob()?).unwrap();
            let (state, reason, leased_until) = (row.get(2)?, row.get(3)?, row.get(4)?);
            Ok((row.get(0)?, Kept::of(id, state, reason, leased_until, document)))
        });
        Self::of(rows.unwrap().map(Result::unwrap))
    }

    pub fn read_database(database: &Config) -> Self {
        let read = async |client: &tokio_postgres::Client| {
            let rows = client.query(SELECT, &[]).await.unwrap();
            Self::of(rows.iter().map(|row| {
                let document = row.get::<_, &str>(5).as_bytes();
                (row.get(0), Kept::of(row.get(1), row.get(2), row.get(3), row.get(4), document))
            }))
        };
        postgres::run(database.clone(), read).unwrap()
    }

    fn of(rows: impl Iterator<Item = (String, Kept)>) -> Self {
        let mut kept = BTreeMap::new();
        for (call, submission) in rows {
            assert!(kept.insert(call, submission).is_none(), "a call kept twice");
        }
        Self { kept }
    }

    /// The state counts say what a recount says.
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
        assert!(totals.balance(), "the state counts do not balance: {totals:?}");
        assert_eq!(totals, recounted, "the state counts are not what a recount says");
    }

    /// Every promise is kept: the submission, its call, and what was said.
    pub fn assert_has(&self, promises: &[Promise]) {
        for Promise { submission, call, question, answer, .. } in promises {
            let kept = self.kept.get(call).unwrap_or_else(|| panic!("call {call} is lost"));
            assert_eq!(&kept.submission, submission, "call {call}");
            let said = ((*question).to_owned(), answer.clone());
            assert!(kept.answers.contains_key(&said), "call {call} has lost {said:?}");
        }
    }
}

impl Kept {
    fn of(
        id: Uuid,
        state: String,
        reason: Option<String>,
        leased_until: Option<i64>,
        document: &[u8],
    ) -> Self {
        let document = Document::read(document).unwrap();
        let responses = document.attempts.iter().map(|attempt| attempt.response.as_ref());
        let verdicts: Vec<_> = responses.flatten().map(|it| it.verdict.label()).collect();
        let delivered = document.delivered.as_ref();
        Self {
            submission: id.to_string(),
            state,
            reason,
            feedback: delivered.map(|payload| payload.as_str().to_owned()),
            under_way: document.attempts.last().is_some_and(|it| it.response.is_none()),
            leased_until,
            verdicts: verdicts.join(","),
            forgotten: document.attempts_made as usize - document.attempts.len(),
            // What counts and came once more too late was in time.
            answers: said(&document.late, true).chain(said(&document.answers, false)).collect(),
        }
    }

    /// What is known of it while it waits.
    pub fn waiting(&self, call: &str) -> Option<String> {
        let Self { submission, state, verdicts, leased_until, .. } = self;
        matches!(state.as_str(), "collecting" | "pending").then(|| {
            format!("{call} ({submission}) is {state}, leased until {leased_until:?}, {verdicts}")
        })
    }

    /// Whether it waits, and no attempt was made.
    pub fn is_put_off(&self) -> bool {
        self.state == "pending" && self.verdicts.is_empty() && self.leased_until.is_none()
    }

    /// Attempts that ended so.
    pub fn attempts(&self, verdict: &str) -> usize {
        self.verdicts.split(',').filter(|given| *given == verdict).count()
    }

    /// Most attempts of which no one knows the result.
    pub fn unknown_results(&self) -> usize {
        self.attempts("unknown_result") + self.forgotten
    }

    /// Whether an answer to the question came when the submission was closed.
    pub fn was_late(&self, question: &str) -> bool {
        self.answers.iter().any(|((of, _), late)| of == question && *late)
    }

    pub fn told(&self) -> Option<Told> {
        Some(Told::of(&serde_json::from_str(self.feedback.as_deref()?).unwrap()))
    }
}

/// Question and text of each, and whether it came too late.
fn said(answers: &Answers, late: bool) -> impl Iterator<Item = ((String, Option<String>), bool)> {
    answers.recorded().map(move |recorded| {
        let text = match &recorded.answer {
            Answer::Silence => None,
            Answer::Given(text) => Some(text.clone()),
        };
        ((recorded.question.clone(), text), late)
    })
}
