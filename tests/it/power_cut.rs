//! The power is cut at any moment: what a disk keeps then is what was synced, and of what was written
//! since then any part. Whatever was answered before has to be there.
//!
//! The service's own ledger writes through a file system that remembers every write and sync in their
//! order (`power_cut/recorder.rs`). A cut replays them up to some moment (`power_cut/disk.rs`).

mod disk;
mod recorder;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use postcall::domain::Verdict;
use postcall::store::sqlite::{Options, SqliteStore, examine};
use postcall::store::{Arrival, Decision, Offer, Search, Settlement, Store};
use postcall::submission::{State, SubmissionId};
use rusqlite::Connection;

use self::disk::Disk;
use self::recorder::Recording;
use crate::store_contract::backend::wanted;
use crate::store_contract::spoken::{at, attempt, complete};

/// How many things happen, and how often the power is cut, where nobody wants more.
const STEPS: usize = 60;
const CUTS: usize = 40;

#[tokio::test]
async fn whatever_was_answered_outlives_a_power_cut() {
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
        let ledger = place.path().join("postcall.db");
        {
            let store = open(&ledger).unwrap_or_else(|e| panic!("at event {moment}: {e:?}"));
            promised.are_kept_at(moment, &store).await;
            store.close().await;
        }
        let findings = examine(&ledger).unwrap().findings;
        assert_eq!(findings, [], "at event {moment}");
    }
}

/// What was answered, and after how many events.
#[derive(Default)]
struct Promised {
    opened_at: usize,
    kept: Vec<(usize, SubmissionId, Vec<u8>)>,
    delivered: Vec<(usize, SubmissionId)>,
}

/// Callers answer, several at once; a courier delivers; now and then the log is folded back.
async fn live(folder: &Path, recording: &Recording, chance: &mut fastrand::Rng) -> Promised {
    let path = folder.join("postcall.db");
    let store = open(&path).unwrap();
    let mut promised = Promised { opened_at: recording.len(), ..Promised::default() };
    let window = Connection::open(&path).unwrap();
    window.busy_timeout(Duration::from_secs(30)).unwrap();
    let mut calls = 0;
    for _ in 0..STEPS {
        match chance.u8(..10) {
            0..6 => {
                let arrivals: Vec<Arrival> = (0..chance.usize(1..6))
                    .map(|_| {
                        calls += 1;
                        let mut arrival = complete(0, &format!("call-{calls}"));
                        arrival.hook.body = vec![b'x'; chance.usize(1..12_000)];
                        arrival
                    })
                    .collect();
                let kept = arrivals.iter().map(|arrival| async {
                    let kept = store.accept(arrival.clone()).await.unwrap();
                    let id = arrival.hook.id.0.as_bytes().to_vec();
                    (recording.len(), kept.submission, id)
                });
                promised.kept.extend(join_all(kept).await);
            }
            6..9 => {
                let leased = store.lease(wanted(&[("main", 3)], 1000)).await.unwrap().leases;
                let offers = leased
                    .iter()
                    .map(|it| Offer { ticket: it.ticket, feedback: r#"{"rating":4}"#.to_owned() });
                store.begin(offers.collect(), at(1000)).await.unwrap();
                let settlements = leased.iter().map(|it| Settlement {
                    ticket: it.ticket,
                    decision: Decision::Delivered {
                        attempt: attempt(Verdict::Accepted, Some(201), 1001),
                    },
                    trace: None,
                    at: at(1001),
                });
                store.settle(settlements.collect()).await.unwrap();
                let now = recording.len();
                promised.delivered.extend(leased.iter().map(|it| (now, it.ticket.submission)));
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
    promised
}

impl Promised {
    async fn are_kept_at(&self, moment: usize, store: &SqliteStore) {
        let found = store.search(Search::default(), None, 1000).await.unwrap().rows;
        let state = |id| found.iter().find(|row| row.id == id).map(|row| row.state);
        for (_, id, hook) in self.kept.iter().filter(|(when, ..)| *when <= moment) {
            assert!(state(*id).is_some(), "at event {moment} a submission is lost");
            let hooks = store.find(*id).await.unwrap().expect("it is there").hooks;
            let is_there = hooks.iter().any(|kept| kept.id.0.as_bytes()[..] == hook[..]);
            assert!(is_there, "at event {moment} a hook is lost");
        }
        for (_, id) in self.delivered.iter().filter(|(when, _)| *when <= moment) {
            assert_eq!(state(*id), Some(State::Delivered), "at event {moment}");
        }
        let totals = store.figures().await.unwrap().totals;
        assert!(totals.balance(), "at event {moment}: {totals:?}");
        assert_eq!(totals.accepted, found.len() as u64, "at event {moment}");
    }
}

fn open(path: &Path) -> Result<SqliteStore, postcall::store::StoreError> {
    SqliteStore::open(Options {
        path: path.to_owned(),
        queue: 64,
        lease: Duration::from_secs(30),
        clock: Arc::new(|| Timestamp::UNIX_EPOCH),
        observer: Arc::new(()),
    })
}
