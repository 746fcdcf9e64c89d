//! The power is cut at any moment: what a disk keeps then is what was synced, and of what was written
//! since then any part. Whatever was answered before has to be there.
//!
//! The service's own store writes through a file system that remembers every write and sync in their
//! order (`power_cut/recorder.rs`). A cut replays them up to some moment (`power_cut/disk.rs`).

mod disk;
#[allow(dead_code, reason = "the simulation uses the rest")]
pub mod recorder;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use postcall::clock::Clock;
use postcall::domain::Verdict;
use postcall::store::sqlite::{Options, SqliteStore, examine};
use postcall::store::{
    Observer, Queue, Reader, Receive, ReceiveRequest, StoreError, SubmissionFilter,
};
use postcall::submission::{Decision, Settlement, State, StateCounts, SubmissionId};
use rusqlite::Connection;

use self::disk::Disk;
use self::recorder::Recording;
use crate::process::test_alone;
use crate::store_contract::backend::wanted;
use crate::store_contract::spoken::{attempt, complete};

/// How many things happen, and how often the power is cut, where no one wants more.
const STEPS: usize = 60;
const CUTS: usize = 40;

/// Says to [`a_store_is_recorded_and_its_power_is_cut`] that it is alone in its process.
const ALONE: &str = "POSTCALL_TEST_ALONE";

/// In a process of its own: what records stands behind the VFS of the store only where it was installed before.
#[test]
fn whatever_was_answered_outlives_a_power_cut() {
    let run = test_alone("power_cut::a_store_is_recorded_and_its_power_is_cut")
        .env(ALONE, "1")
        .output()
        .unwrap();
    println!("{}", String::from_utf8_lossy(&run.stdout));
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
}

/// What [`whatever_was_answered_outlives_a_power_cut`] runs; nothing of its own.
#[tokio::test]
async fn a_store_is_recorded_and_its_power_is_cut() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("POSTCALL_SEED").unwrap_or_else(|| fastrand::u64(..));
    let cuts = number("POSTCALL_CUTS").map_or(CUTS, |cuts| cuts as usize);
    println!("repeat with POSTCALL_SEED={seed} POSTCALL_CUTS={cuts}");
    let mut chance = fastrand::Rng::with_seed(seed);

    let folder = tempfile::tempdir().unwrap();
    let recording = Recording::of(folder.path());
    let promised = live(folder.path(), &recording, &mut chance).await;
    let events = recording.events();
    assert!(events.len() > STEPS, "the file system was asked");
    let begun = promised.opened_at;

    for _ in 0..cuts {
        let moment = chance.usize(begun..=events.len());
        let place = tempfile::tempdir().unwrap();
        Disk::after_a_cut(&events[..moment], &mut chance).write_to(place.path());
        let store = place.path().join("postcall.db");
        {
            let store = open(&store).unwrap_or_else(|e| panic!("at event {moment}: {e:?}"));
            promised.are_kept_at(moment, &store).await;
            store.close().await;
        }
        let findings = examine(&store).unwrap().findings;
        assert_eq!(findings, [], "at event {moment}");
    }
}

/// What was answered, and after how many events.
#[derive(Default)]
struct Promised {
    opened_at: usize,
    kept: Vec<(usize, SubmissionId, Vec<u8>)>,
    /// Attempts whose first byte may leave.
    begun: Vec<(usize, SubmissionId)>,
    delivered: Vec<(usize, SubmissionId)>,
}

/// Callers answer, several at once; a dispatcher delivers; now and then the log is folded back.
async fn live(folder: &Path, recording: &Recording, chance: &mut fastrand::Rng) -> Promised {
    let path = folder.join("postcall.db");
    let groups = Arc::new(Groups::of(recording.clone()));
    let store = open_observed(&path, groups.clone()).unwrap();
    let mut promised = Promised { opened_at: recording.len(), ..Promised::default() };
    let window = Connection::open(&path).unwrap();
    window.busy_timeout(Duration::from_secs(30)).unwrap();
    let mut calls = 0;
    for _ in 0..STEPS {
        match chance.u8(..10) {
            0..6 => {
                let requests: Vec<ReceiveRequest> = (0..chance.usize(1..6))
                    .map(|_| {
                        calls += 1;
                        let mut request = complete(0, &format!("call-{calls}"));
                        request.webhook.body = vec![b'x'; chance.usize(1..12_000)];
                        request
                    })
                    .collect();
                let received = requests.iter().map(|request| async {
                    let received = store.receive(request.clone()).await.unwrap();
                    let id = request.webhook.id.0.as_bytes().to_vec();
                    (recording.len(), received.submission, id)
                });
                promised.kept.extend(join_all(received).await);
            }
            6..9 => {
                let claims = store.claim(wanted(&[("main", 3)], 1000)).await.unwrap().claims;
                let now = recording.len();
                promised.begun.extend(claims.iter().map(|it| (now, it.token.submission)));
                let settlements = claims.iter().map(|it| Settlement {
                    token: it.token,
                    attempt: attempt(Verdict::Accepted, Some(201), 1001),
                    decision: Decision::Delivered,
                });
                store.settle(settlements.collect()).await.unwrap();
                let now = recording.len();
                promised.delivered.extend(claims.iter().map(|it| (now, it.token.submission)));
            }
            _ => {
                let how = if chance.bool() { "PASSIVE" } else { "TRUNCATE" };
                let fold = format!("PRAGMA wal_checkpoint({how})");
                window.query_row(&fold, [], |_| Ok(())).unwrap();
            }
        }
    }
    drop(window);
    store.close().await;
    groups.assert_all_synced();
    promised
}

impl Promised {
    async fn are_kept_at(&self, moment: usize, store: &SqliteStore) {
        let everything = SubmissionFilter::default();
        let found = store.search(everything, None, 1000).await.unwrap().submissions;
        let of = |id| found.iter().find(|submission| submission.id == id);
        let state = |id| of(id).map(|submission| submission.state);
        for (_, id, webhook) in self.kept.iter().filter(|(when, ..)| *when <= moment) {
            assert!(state(*id).is_some(), "at event {moment} a submission is lost");
            let webhooks = store.find(*id).await.unwrap().expect("it is there").webhooks;
            let is_there = webhooks.iter().any(|kept| kept.id.0.as_bytes()[..] == webhook[..]);
            assert!(is_there, "at event {moment} a webhook is lost");
        }
        for (_, id) in self.begun.iter().filter(|(when, _)| *when <= moment) {
            let attempts = &of(*id).expect("it is there").document.attempts;
            assert_eq!(attempts.len(), 1, "at event {moment} an attempt is lost");
        }
        for (_, id) in self.delivered.iter().filter(|(when, _)| *when <= moment) {
            assert_eq!(state(*id), Some(State::Delivered), "at event {moment}");
        }
        let totals = store.statistics().await.unwrap().counts;
        assert!(totals.balance(), "at event {moment}: {totals:?}");
        assert_eq!(totals.accepted, found.len() as u64, "at event {moment}");
    }
}

/// Groups of answers: each has to be synced before anyone gets one.
struct Groups {
    recording: Recording,
    /// How much had been done when the last group was about to be answered.
    last: Mutex<usize>,
    synced: AtomicUsize,
    unsynced: AtomicUsize,
}

impl Groups {
    fn of(recording: Recording) -> Self {
        Self { recording, last: Mutex::default(), synced: 0.into(), unsynced: 0.into() }
    }

    fn assert_all_synced(&self) {
        assert_eq!(self.unsynced.load(Ordering::Relaxed), 0, "answered without a sync");
        assert!(self.synced.load(Ordering::Relaxed) > STEPS / 2, "many groups are answered");
    }
}

impl Observer for Groups {
    /// It is called after the commit and before the answers.
    fn committed(&self, _: Duration, _: usize, _: StateCounts) {
        let mut last = self.last.lock().unwrap();
        let log_was_synced = self.recording.log_was_synced_since(*last);
        let count = if log_was_synced { &self.synced } else { &self.unsynced };
        count.fetch_add(1, Ordering::Relaxed);
        *last = self.recording.len();
    }
}

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    open_observed(path, Arc::new(()))
}

fn open_observed(path: &Path, observer: Arc<dyn Observer>) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(Options {
        path: path.to_owned(),
        write_queue: 64,
        lease: Duration::from_secs(30),
        clock: Clock::manual(Timestamp::UNIX_EPOCH),
        observer,
    })
}
