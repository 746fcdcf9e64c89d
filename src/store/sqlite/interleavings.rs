//! Group commit with threads whose interleavings `shuttle` decides: senders of which one hangs up, the
//! dispatcher, an operator, and the end of the service.
//!
//! Everything is the real thing but for the threads and channels. A run that fails prints its schedule, which
//! `shuttle::replay` repeats.

use std::future::{Future, poll_fn};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::Poll;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::Connection;
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize};
use shuttle::thread;
use tempfile::TempDir;
use tokio::sync::Notify;
use uuid::Uuid;

use super::rows::Database;
use super::{open, queries};
use crate::clock::Clock;
use crate::domain::{
    Answer, Attempt, AttemptResponse, ExtractedAnswer, Extraction, Feedback, Issues, Method, Name,
    Rating, Verdict, Webhook, WebhookId,
};
use crate::store::contract::{Admin, Queue, Receive};
use crate::store::error::StoreError;
use crate::store::model::{ClaimRequest, ReceiveRequest};
use crate::store::serving::{Engine, Serving};
use crate::store::writer::{Setup, Writer};
use crate::submission::{
    AnswerValidity, Answers, ChangedAnswerPolicy, Claim, CompletionPolicy, Decision, DueTime, Json,
    Mapped, Mapper, Mapping, Settled, Settlement, SubmissionKey, UnknownResult,
};

/// How many interleavings of each test are tried, unless `POSTCALL_INTERLEAVINGS` says otherwise; half of them by
/// a scheduler that switches threads seldom.
const INTERLEAVINGS: usize = 100;

/// Threads that a thread is taken from in favour of another, in one interleaving of that scheduler.
const SWITCHES: usize = 3;

/// SQLite takes more than the small stacks that shuttle gives its threads.
const STACK: usize = 1024 * 1024;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Places before the writer.
const PLACES: usize = 4;

fn explore(scenario: impl Fn(ServedStore) + Send + Sync + 'static) {
    let interleavings = std::env::var("POSTCALL_INTERLEAVINGS").ok();
    let half = interleavings.map_or(INTERLEAVINGS, |it| it.parse().expect("a number")) / 2;
    let mut config = shuttle::Config::new();
    config.stack_size = STACK;
    // A new store, from which each interleaving begins.
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.db");
    drop(open::prepare(&empty, &()).unwrap());
    let scenario = Arc::new(move || scenario(ServedStore::on_copy_of(&empty)));
    let (seldom, often) = (scenario.clone(), scenario);
    let scheduler = shuttle::scheduler::PctScheduler::new(SWITCHES, half);
    shuttle::Runner::new(scheduler, config.clone()).run(move || seldom());
    let scheduler = shuttle::scheduler::RandomScheduler::new(half);
    shuttle::Runner::new(scheduler, config).run(move || often());
    drop(folder);
}

/// A store that is served, and a look at its file from outside.
struct ServedStore {
    engine: Arc<Served>,
    path: PathBuf,
    _folder: TempDir,
}

struct Served(Serving<Database>);

impl Engine for Served {
    type Backend = Database;

    fn serving(&self) -> &Serving<Database> {
        &self.0
    }

    fn fatal(&self) -> Option<StoreError> {
        None
    }

    #[cfg(feature = "flaws")]
    fn knows(&self, _: crate::submission::SubmissionId) -> Result<bool, StoreError> {
        Ok(false)
    }
}

impl ServedStore {
    fn on_copy_of(empty: &Path) -> Self {
        let memory = Path::new("/dev/shm");
        let folder = match memory.is_dir() {
            true => TempDir::new_in(memory),
            false => TempDir::new(),
        };
        let folder = folder.unwrap();
        let path = folder.path().join("postcall.db");
        std::fs::copy(empty, &path).unwrap();
        let (connection, counts) = open::prepare(&path, &()).unwrap();
        let (changed, clock) = (Arc::<Notify>::default(), Clock::manual(NOW));
        let mut serving = Serving::new(PLACES, Duration::from_secs(30), changed.clone());
        let backend = Database::new(connection, &path);
        let (writer, thread) =
            Writer::start(Setup { backend, counts, observer: Arc::new(()), clock, changed })
                .unwrap();
        serving.started(writer, Some(thread));
        Self { engine: Arc::new(Served(serving)), path, _folder: folder }
    }

    /// The service ends: what is queued is committed.
    fn end(self) -> Ended {
        let Self { engine, path, _folder } = self;
        assert_eq!(engine.0.free_places(), PLACES, "a place in the queue is lost");
        let mut serving = Arc::into_inner(engine).expect("all threads have ended").0;
        serving.finish();
        let store = Connection::open(&path).unwrap();
        let counts = queries::counts(&store).unwrap();
        assert!(counts.balance(), "{counts:?}");
        let submissions = "SELECT count(*) FROM submissions";
        let submissions: u64 = store.query_row(submissions, [], |row| row.get(0)).unwrap();
        assert_eq!(counts.accepted, submissions);
        Ended { store, _folder }
    }
}

struct Ended {
    store: Connection,
    _folder: TempDir,
}

fn is_kept(store: &Connection, webhook: u128) -> bool {
    let mut kept = store.prepare("SELECT 1 FROM webhooks WHERE id = ?1").unwrap();
    kept.exists([Uuid::from_u128(webhook).as_bytes()]).unwrap()
}

/// Whether it waits when it is first asked, and then is never asked again.
async fn hangs_up_after_one_look(future: impl Future) -> bool {
    let mut future = pin!(future);
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
}

#[test]
fn what_is_acknowledged_is_on_disk_in_every_interleaving() {
    explore(|served| {
        let sender = |number: u128| {
            let (engine, path) = (served.engine.clone(), served.path.clone());
            thread::spawn(move || {
                let look = Connection::open(&path).unwrap();
                let ids = [number * 10, number * 10 + 1];
                let mut acknowledged = Vec::new();
                for id in ids {
                    let received = block_on(engine.receive(webhook("c-1", id)));
                    match received {
                        Ok(_) => acknowledged.push(id),
                        Err(error) => assert!(matches!(error, StoreError::Full), "{error}"),
                    }
                    assert!(
                        acknowledged.last() != Some(&id) || is_kept(&look, id),
                        "webhook {id} is acknowledged and not on disk"
                    );
                }
                acknowledged
            })
        };
        let senders: Vec<_> = (1..=3).map(sender).collect();
        let engine = served.engine.clone();
        let hangs_up = thread::spawn(move || {
            block_on(hangs_up_after_one_look(engine.receive(webhook("c-2", 99))));
        });
        let acknowledged: Vec<u128> =
            senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
        hangs_up.join().unwrap();
        // Behind what was left in the queue.
        let last = block_on(served.engine.receive(webhook("c-3", 100)));
        assert!(last.is_ok(), "{last:?}");
        let ended = served.end();
        for id in acknowledged.into_iter().chain([100]) {
            assert!(is_kept(&ended.store, id), "webhook {id} is lost");
        }
    });
}

#[test]
fn no_submission_is_claimed_twice_and_a_settlement_is_recorded_once_in_every_interleaving() {
    explore(|served| {
        let calls = 2;
        for call in 0..calls {
            block_on(served.engine.receive(webhook(&format!("c-{call}"), call))).unwrap();
        }
        let claimed = Arc::new(AtomicUsize::new(0));
        let dispatcher = || {
            let (engine, claimed) = (served.engine.clone(), claimed.clone());
            thread::spawn(move || {
                let claims = block_on(engine.claim(claiming())).unwrap().claims;
                claimed.fetch_add(claims.len(), SeqCst);
                // Its answer comes twice: the second one was waited for no longer.
                let settlements: Vec<_> = claims.iter().map(delivered).collect();
                let again = settlements.clone();
                let other = engine.clone();
                let other = thread::spawn(move || block_on(other.settle(again)).unwrap());
                let mut settled = block_on(engine.settle(settlements)).unwrap();
                settled.extend(other.join().unwrap());
                assert_eq!(settled, vec![Settled::Done; 2 * claims.len()]);
            })
        };
        let dispatchers = [dispatcher(), dispatcher()];
        let engine = served.engine.clone();
        let late = thread::spawn(move || block_on(engine.receive(webhook("c-0", 50))).is_ok());
        dispatchers.into_iter().for_each(|it| it.join().unwrap());
        assert!(late.join().unwrap());
        assert_eq!(claimed.load(SeqCst), calls as usize);
        let counts = queries::counts(&served.end().store).unwrap();
        assert_eq!(counts.delivered, calls as u64);
    });
}

#[test]
fn nothing_is_claimed_of_an_account_once_its_pause_is_acknowledged_in_every_interleaving() {
    explore(|served| {
        let (paused, resuming) =
            (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (engine, is_paused, is_resuming) =
            (served.engine.clone(), paused.clone(), resuming.clone());
        let operator = thread::spawn(move || {
            let account: Name = "main".parse().unwrap();
            block_on(engine.pause(account.clone(), String::new(), NOW)).unwrap();
            is_paused.store(true, SeqCst);
            thread::yield_now();
            is_resuming.store(true, SeqCst);
            assert!(block_on(engine.resume(account, NOW)).unwrap());
        });
        let engine = served.engine.clone();
        let sender = thread::spawn(move || block_on(engine.receive(webhook("c-1", 1))).unwrap());
        let engine = served.engine.clone();
        let dispatcher = thread::spawn(move || {
            let mut claimed = 0;
            for _ in 0..3 {
                let was_paused = paused.load(SeqCst);
                let claims = block_on(engine.claim(claiming())).unwrap().claims.len();
                let was_resumed = resuming.load(SeqCst);
                assert!(!was_paused || was_resumed || claims == 0, "it was paused");
                claimed += claims;
            }
            claimed
        });
        operator.join().unwrap();
        sender.join().unwrap();
        let claimed = dispatcher.join().unwrap();
        // What was paused is claimed after all, once.
        let claimed = claimed + block_on(served.engine.claim(claiming())).unwrap().claims.len();
        assert_eq!(claimed, 1);
        drop(served.end());
    });
}

fn webhook(call: &str, id: u128) -> ReceiveRequest {
    let answer = ExtractedAnswer {
        question: "score".to_owned(),
        answer: Answer::Given(id.to_string()),
        reader: "form:Digits".to_owned(),
    };
    ReceiveRequest {
        webhook: Webhook {
            id: WebhookId(Uuid::from_u128(id)),
            method: Method::Post,
            path: "/hooks/ivr".to_owned(),
            query: None,
            headers: Default::default(),
            body: Vec::new(),
            received_at: NOW,
        },
        source: "ivr".parse().unwrap(),
        key: SubmissionKey {
            account: "main".parse().unwrap(),
            survey: "quality".parse().unwrap(),
            call: call.parse().unwrap(),
        },
        extraction: Extraction { answers: vec![answer], ..Extraction::default() },
        idempotency_key: None,
        trace: None,
        policy: Arc::new(AtOnce),
    }
}

fn claiming() -> ClaimRequest {
    ClaimRequest {
        wanted: vec![("main".parse().unwrap(), 10)],
        now: NOW,
        latest_due: Timestamp::MAX,
        leased: Vec::new(),
        probe_interval: Duration::from_secs(3600),
        settings_may_differ: false,
        mapper: Arc::new(AtOnce),
    }
}

fn delivered(claim: &Claim) -> Settlement {
    let reply = AttemptResponse { status: Some(201), ..AttemptResponse::default() };
    Settlement {
        token: claim.token,
        attempt: Attempt { verdict: Verdict::Accepted, reply, finished_at: NOW },
        decision: Decision::Delivered,
    }
}

/// A survey of one question, due when it is answered.
struct AtOnce;

impl CompletionPolicy for AtOnce {
    fn validity(&self, _: &str, _: &Answer) -> AnswerValidity {
        AnswerValidity::InDomain
    }

    fn due(&self, _: &Answers) -> DueTime {
        DueTime { complete: true, at: NOW }
    }

    fn changed_answers(&self) -> ChangedAnswerPolicy {
        ChangedAnswerPolicy::KeepLast
    }
}

impl Mapper for AtOnce {
    fn map(&self, _: &SubmissionKey, _: &Answers, _: Option<&Json>) -> Mapped {
        let feedback = Feedback::new(Rating::BEST, Issues::default(), String::new()).unwrap();
        Mapped { mapping: Mapping::Feedback(feedback), trace: None, insight: None }
    }

    fn on_unknown_result(&self) -> UnknownResult {
        UnknownResult::Retry
    }
}

/// The same with flaws that a store may have: each has to be found.
#[cfg(feature = "flaws")]
mod flaws {
    use std::process::Command;

    #[test]
    fn interleavings_find_every_flaw_of_the_writer() {
        for flaw in ["answer_before_commit", "place_of_a_dropped_future"] {
            let found = Command::new(std::env::current_exe().unwrap())
                .arg("interleavings::what_is_acknowledged")
                .env("POSTCALL_FLAW", flaw)
                .output()
                .unwrap();
            assert!(!found.status.success(), "no interleaving finds {flaw}");
            let said = String::from_utf8_lossy(&found.stdout);
            assert!(said.contains("1 failed"), "{flaw}: {said}");
        }
    }
}
