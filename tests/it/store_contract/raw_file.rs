//! What is left in the bytes of the database file and its log once something was removed.

use std::collections::BTreeMap;

use postcall::domain::Verdict;
use postcall::store::sqlite::{backup, restore};
use postcall::store::{PurgeCounts, RetentionCutoffs};
use postcall::submission::Decision;

use super::spoken::{accepted, at, attempt, hang_up, unmapping, webhook};
use super::{Backend, Sqlite, TestStore};

/// Calls of one history.
const CALLS: usize = 400;

/// A store in which callers said things of all lengths, interleaved, so that rows grow and pages split.
/// Each caller's words hold the name of the call.
struct History {
    store: TestStore<Sqlite>,
    /// In seconds.
    now: i64,
    random: fastrand::Rng,
}

impl History {
    async fn of_many_calls(seed: u64) -> Self {
        Self::of_calls(CALLS, seed).await
    }

    async fn of_calls(calls: usize, seed: u64) -> Self {
        println!("seed {seed}");
        let random = fastrand::Rng::with_seed(seed);
        let mut history = Self { store: TestStore::new(), now: 0, random };
        let mut order: Vec<usize> = (0..calls).flat_map(|n| [n; 4]).collect();
        history.random.shuffle(&mut order);
        for n in order {
            history.now += 1;
            history.webhook(n).await;
            if history.random.u8(..) < 60 {
                history.deliver_some().await;
            }
        }
        history
    }

    async fn webhook(&mut self, n: usize) {
        let call = call(n);
        let words = format!("{call} said ").repeat(self.random.usize(1..60));
        let request = match self.random.u8(..4) {
            0 => webhook(self.now, &call, &[("score", "4"), ("problem", &words)]),
            1 => webhook(self.now, &call, &[("score", "2"), ("problem", "1")]),
            2 => webhook(self.now, &call, &[("remark", &words)]),
            _ => hang_up(self.now, &call),
        };
        self.store.receive_one(request).await;
    }

    async fn deliver_some(&mut self) {
        if self.random.u8(..) < 40 {
            self.store.claim_by(unmapping("no such question"), self.now).await;
        }
        for claim in self.store.claim_due(self.now).await {
            if self.random.bool() {
                self.store.settle_one(&claim, accepted(self.now), Decision::Delivered).await;
            } else {
                let name = claim.key.call.as_str();
                let busy = Verdict::Throttled { retry_after: None };
                let mut attempt = attempt(busy, Some(503), self.now);
                attempt.reply.text = format!("{name} is busy ").repeat(self.random.usize(1..40));
                self.store.retry_one(&claim, attempt).await;
            }
        }
    }

    /// Calls whose name is somewhere in the bytes of the files.
    fn calls_in_the_files(&self) -> BTreeMap<usize, usize> {
        let mut found = BTreeMap::new();
        for file in std::fs::read_dir(self.store.backend.folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            for at in memchr::memmem::find_iter(&bytes, b"caller-") {
                let digits = bytes.get(at + 7..at + 11).unwrap_or_default();
                if let Ok(n) = String::from_utf8_lossy(digits).parse() {
                    *found.entry(n).or_default() += 1;
                }
            }
        }
        found
    }
}

fn call(n: usize) -> String {
    format!("caller-{n:04}")
}

fn id(n: usize) -> postcall::submission::SubmissionId {
    webhook(0, &call(n), &[]).key.id()
}

#[tokio::test]
async fn no_byte_of_an_erased_call_stays_in_the_database_file_or_its_log() {
    for seed in 1..=2 {
        let mut history = History::of_many_calls(seed).await;
        let (erased, kept): (Vec<_>, Vec<_>) = (0..CALLS).partition(|_| history.random.bool());
        for some in erased.chunks(25) {
            let ids = some.iter().map(|n| id(*n)).collect();
            history.store.erase(ids, at(history.now)).await.unwrap();
            for n in &kept[..20] {
                history.now += 1;
                history.webhook(*n).await;
            }
            history.deliver_some().await;
        }
        let left = history.calls_in_the_files();
        let left: Vec<_> = erased.iter().filter_map(|n| left.get_key_value(n)).collect();
        assert!(left.is_empty(), "seed {seed}: erased and in the files (call, times): {left:?}");
        assert!(history.calls_in_the_files().contains_key(&kept[0]), "the others are there");
        assert_eq!(history.store.backend.faults(), [""; 0]);
    }
}

#[tokio::test]
async fn no_byte_of_what_retention_removed_stays_in_the_database_file_or_its_log() {
    let mut history = History::of_many_calls(4).await;
    history.now += 1_000_000;
    for _ in 0..CALLS {
        history.deliver_some().await;
        history.now += 100;
    }
    let cutoff = at(history.now + 1);
    let cutoffs = RetentionCutoffs { bodies: cutoff, submissions: cutoff, outcomes: at(0) };
    while history.store.purge(cutoffs).await.unwrap() != PurgeCounts::default() {}
    let purged: Vec<_> = history.store.submissions().await;
    let purged = purged.iter().filter(|it| it.is_purged()).map(|it| it.id);
    let purged: std::collections::HashSet<_> = purged.collect();
    assert!(purged.len() > CALLS / 4, "{}", purged.len());
    // Purges come often and little at a time, so the log is folded once a minute or when the store is
    // closed.
    history.store.close().await;
    let left = history.calls_in_the_files();
    let left: Vec<_> = left.iter().filter(|(n, _)| purged.contains(&id(**n))).collect();
    assert!(left.is_empty(), "purged and in the files (call, times): {left:?}");
}

/// A backup is written row by row, and its pages are split as those of a store are.
#[tokio::test]
async fn no_byte_of_a_call_that_is_erased_after_a_restore_stays_in_the_database_file() {
    for calls in [40, CALLS] {
        let history = History::of_calls(calls, 5).await;
        history.store.close().await;
        let place = Sqlite::default();
        let copy = place.folder.path().join("backup");
        assert_eq!(backup(&history.store.backend.path(), &copy).unwrap().findings, []);
        assert_eq!(restore(&copy, &place.path()).unwrap().findings, []);
        std::fs::remove_file(copy).unwrap();
        let restored = History { store: TestStore::on(place), ..history };
        let erased: Vec<usize> = (0..calls).step_by(2).collect();
        for some in erased.chunks(25) {
            let ids = some.iter().map(|n| id(*n)).collect();
            restored.store.erase(ids, at(restored.now)).await.unwrap();
        }
        let left = restored.calls_in_the_files();
        let left: Vec<_> = erased.iter().filter_map(|n| left.get_key_value(n)).collect();
        assert!(left.is_empty(), "{calls}: erased and in the files (call, times): {left:?}");
    }
}

/// The process ended after the commit of an erase and before its log was folded.
#[tokio::test]
async fn an_erased_call_is_in_no_file_once_the_store_was_opened_again() {
    let store = TestStore::<Sqlite>::new();
    store.receive_one(webhook(0, &call(1), &[("score", "4")])).await;
    let reader = rusqlite::Connection::open(store.backend.path()).unwrap();
    let reads = reader.unchecked_transaction().unwrap();
    reads.query_row("SELECT count(*) FROM submissions", [], |_| Ok(())).unwrap();
    store.erase(vec![id(1)], at(10)).await.unwrap();
    let store = store.after_a_sudden_end();
    let files = std::fs::read_dir(store.backend.folder.path()).unwrap();
    for file in files {
        let path = file.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        let name = call(1);
        assert!(memchr::memmem::find(&bytes, name.as_bytes()).is_none(), "{}", path.display());
    }
}
