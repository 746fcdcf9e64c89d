//! Files that were made to harm whoever examines, recovers or serves them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use postcall::store::sqlite::{Examination, FindingKind, examine, recover};
use rusqlite::Connection;

use crate::store_contract::backend::{Sqlite, TestStore};
use crate::store_contract::spoken::complete;

/// Far more than an examination of these small files takes.
const PATIENCE: Duration = Duration::from_secs(60);

const ENDLESS: &str = "WITH RECURSIVE endless (n) AS (SELECT 1 UNION ALL SELECT n FROM endless)";

/// What views, triggers and tables could run when they are read, or count for ever.
const CRAFTED: [&str; 6] = [
    "ALTER TABLE submissions RENAME TO hidden;
     CREATE VIEW submissions AS @ SELECT hidden.* FROM hidden, endless",
    "ALTER TABLE webhooks RENAME TO hidden;
     CREATE VIEW webhooks AS @ SELECT hidden.* FROM hidden, endless",
    "ALTER TABLE refinery_schema_history RENAME TO hidden;
     CREATE VIEW refinery_schema_history AS @ SELECT n AS version FROM endless",
    "CREATE TRIGGER theirs AFTER INSERT ON submissions BEGIN
       UPDATE state_counts SET dead = dead + 1; END",
    "CREATE VIRTUAL TABLE theirs USING dbstat",
    "ALTER TABLE webhooks ADD COLUMN more TEXT AS (hex(zeroblob(400000000)))",
];

#[tokio::test]
async fn a_crafted_schema_is_a_finding_and_nothing_of_it_is_run() {
    for crafted in CRAFTED {
        let place = crafted_store(crafted).await;
        let path = place.path();
        let Examination { findings, .. } = within_bounds(crafted, move || examine(&path).unwrap());
        assert!(
            findings
                .iter()
                .any(|it| it.kind == FindingKind::File && it.words.contains("not part of a store")),
            "{crafted}: {findings:?}"
        );
    }
}

#[tokio::test]
async fn a_crafted_schema_is_not_recovered_by_running_it() {
    for crafted in CRAFTED {
        let place = crafted_store(crafted).await;
        let (path, new) = (place.path(), place.folder.path().join("new.db"));
        let beside = new.clone();
        let recovered = within_bounds(crafted, move || recover(&path, &beside));
        match recovered {
            Ok(_) => assert_eq!(examine(&new).unwrap().findings, [], "{crafted}"),
            Err(_) => assert!(!new.exists(), "{crafted}"),
        }
    }
}

/// A tree of pages in which each names the same child many times has more rows than any file can.
#[tokio::test]
async fn a_table_that_never_ends_is_left_unread_after_a_bound() {
    let store = TestStore::<Sqlite>::new();
    for n in 0..40 {
        store.receive_one(complete(n, &format!("c-{n}"))).await;
    }
    store.close().await;
    let TestStore { backend: place, .. } = store;
    let root: usize = Connection::open(place.path())
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'submissions'", [], |row| {
            row.get(0)
        })
        .unwrap();
    let mut bytes = fs::read(place.path()).unwrap();
    let leaf = bytes[(root - 1) * PAGE + 8..][..4].to_owned();
    // Levels of 300 children each that are the same page: 300^4 times the rows of the leaf.
    let first = bytes.len() / PAGE;
    for level in 0..4 {
        let child =
            if level == 0 { leaf.clone() } else { ((first + level) as u32).to_be_bytes().to_vec() };
        bytes.extend(interior(&child));
    }
    let top = ((first + 4) as u32).to_be_bytes();
    let page = interior(&top);
    bytes[(root - 1) * PAGE..root * PAGE].copy_from_slice(&page);
    let pages = (bytes.len() / PAGE) as u32;
    bytes[28..32].copy_from_slice(&pages.to_be_bytes());
    fs::write(place.path(), bytes).unwrap();

    let path = place.path();
    let examined = within_bounds("examine", move || examine(&path).unwrap());
    let is_said = |it: &postcall::store::sqlite::Finding| it.words.contains("stopped after");
    assert!(examined.findings.iter().any(is_said), "{examined:#?}");
    let (path, new) = (place.path(), place.folder.path().join("new.db"));
    let beside = new.clone();
    let recovered = within_bounds("recover", move || recover(&path, &beside)).unwrap();
    assert!(recovered.lost.iter().any(|it| it.contains("stopped after")), "{recovered:#?}");
    assert_eq!(examine(&new).unwrap().findings, []);
}

/// The bound is far above what any sound file needs, that of the smallest rows too.
#[tokio::test]
async fn a_sound_store_of_very_many_small_rows_is_read_to_its_end() {
    let place = crafted_store(
        "WITH RECURSIVE many (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 60000)
         INSERT INTO idempotency_keys
            SELECT 'a', n, zeroblob(32), zeroblob(16), n, 1 FROM many",
    )
    .await;
    assert_eq!(examine(&place.path()).unwrap().findings, []);
    let recovered = recover(&place.path(), &place.folder.path().join("new.db")).unwrap();
    assert_eq!((recovered.submissions, recovered.lost), (1, Vec::<String>::new()));
}

const PAGE: usize = 2048;

/// An interior page of a table whose children are all the same page.
fn interior(child: &[u8]) -> Vec<u8> {
    const CELLS: usize = 250;
    let mut page = vec![0; PAGE];
    page[0] = 5;
    page[3..5].copy_from_slice(&(CELLS as u16).to_be_bytes());
    let start = PAGE - CELLS * 5;
    page[5..7].copy_from_slice(&(start as u16).to_be_bytes());
    page[8..12].copy_from_slice(child);
    for cell in 0..CELLS {
        let at = start + cell * 5;
        page[12 + cell * 2..][..2].copy_from_slice(&(at as u16).to_be_bytes());
        page[at..at + 4].copy_from_slice(child);
        // A key that is above every row's.
        page[at + 4] = 0x7f;
    }
    page
}

#[tokio::test]
async fn a_store_with_a_trigger_or_a_view_of_another_is_not_served() {
    for crafted in &CRAFTED[2..4] {
        let place = crafted_store(crafted).await;
        let before = fs::read(place.path()).unwrap();
        let Err(error) = within_bounds(crafted, {
            let path = place.path();
            move || open(&path).map(drop)
        }) else {
            panic!("it is served: {crafted}")
        };
        assert!(error.to_string().contains("is not part of a store"), "{error}");
        assert!(fs::read(place.path()).unwrap() == before, "{crafted}");
    }
}

/// Links that lead a write elsewhere: to a file that must stay as it is, or to one that must not be.
#[tokio::test]
async fn no_symlink_is_followed_when_a_store_is_examined_recovered_or_served() {
    let store = TestStore::<Sqlite>::new();
    store.receive_one(complete(0, "c-1")).await;
    store.close().await;
    let TestStore { backend: sound, .. } = store;
    Connection::open(sound.path()).unwrap().execute("DELETE FROM submissions", []).unwrap();
    for link in [
        "new.db",
        "new.db.lost.jsonl",
        "new.db-wal",
        "new.db-shm",
        "new.db-journal",
        "postcall.db.lock",
        "postcall.db-wal",
        "postcall.db-shm",
        "postcall.db-journal",
    ] {
        for exists in [true, false] {
            let place = sound.copy();
            let folder = place.folder.path();
            let victim = folder.join("victim");
            if exists {
                fs::write(&victim, "someone's").unwrap();
            }
            // There may be none.
            let _ = fs::remove_file(folder.join(link));
            symlink(&victim, folder.join(link)).unwrap();
            // Some of these succeed, by other means.
            let _ = examine(&place.path());
            let _ = recover(&place.path(), &folder.join("new.db"));
            if link.starts_with("postcall") {
                let _ = open(&place.path());
            }
            let found = fs::read(&victim).ok();
            let was = exists.then(|| b"someone's".to_vec());
            assert_eq!(found, was, "{link}");
        }
    }
    let place = sound.copy();
    let lost = place.folder.path().join("new.db.lost.jsonl");
    fs::write(&lost, "someone's").unwrap();
    let new = place.folder.path().join("new.db");
    let error = recover(&place.path(), &new).unwrap_err();
    assert!(error.to_string().contains("new.db.lost.jsonl"), "{error}");
    assert!(!new.exists());
    assert_eq!(fs::read(&lost).unwrap(), b"someone's");
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_store_or_its_lock_holds_nobody_up() {
    let store = TestStore::<Sqlite>::new();
    store.receive_one(complete(0, "c-1")).await;
    store.close().await;
    let TestStore { backend: sound, .. } = store;
    for pipe in ["postcall.db", "postcall.db.lock"] {
        let place = sound.copy();
        let file = place.folder.path().join(pipe);
        fs::remove_file(&file).unwrap();
        assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
        let (path, new) = (place.path(), place.folder.path().join("new.db"));
        within_bounds(pipe, move || {
            let _ = postcall::store::sqlite::is_served(&path);
            let _ = examine(&path);
            let recovered = recover(&path, &new);
            assert!(recovered.is_err(), "{recovered:?}");
            assert!(open(&path).is_err());
        });
    }
}

async fn crafted_store(crafted: &str) -> Sqlite {
    let store = TestStore::<Sqlite>::new();
    store.receive_one(complete(0, "c-1")).await;
    store.close().await;
    let TestStore { backend, .. } = store;
    let crafted = crafted.replace('@', ENDLESS);
    Connection::open(backend.path()).unwrap().execute_batch(&crafted).unwrap();
    backend
}

/// The result, which a thread of its own has to come to within bounds.
#[track_caller]
fn within_bounds<T: Send + 'static>(what: &str, run: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = mpsc::channel();
    std::thread::spawn(move || done.send(run()));
    result.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("it does not end: {what}"))
}

fn open(path: &Path) -> Result<postcall::store::sqlite::SqliteStore, postcall::store::StoreError> {
    postcall::store::sqlite::SqliteStore::open(postcall::store::sqlite::Options {
        path: path.to_owned(),
        write_queue: 1,
        lease: Duration::from_secs(1),
        clock: postcall::clock::Clock::manual(jiff::Timestamp::UNIX_EPOCH),
        observer: std::sync::Arc::new(()),
    })
}
