//! Moving a store from a file to PostgreSQL.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postcall::clock::Clock;
use postcall::store::postgres::{self, LeaseClock, PostgresStore};
use postcall::store::sqlite::{self, SqliteStore};
use postcall::store::{
    Admin, ClockRecord, Maintenance, MoveError, Moved, Quarantine, QuarantinedWebhook, Queue,
    Reader, Receive, StoreError, SubmissionFilter, move_store,
};
use postcall::submission::{Decision, Settlement, Submission};
use tempfile::TempDir;

use crate::postgres::{TestDatabase, is_available};
use crate::process;
use crate::store_contract::backend::wanted;
use crate::store_contract::spoken::{accepted, at, complete, with_key};
use crate::test_env::{SETTINGS, TestEnv};

const CLOCK: ClockRecord = ClockRecord {
    trusted: Timestamp::UNIX_EPOCH,
    wall: Timestamp::UNIX_EPOCH,
    unconfirmed_for: Some(Duration::from_secs(60)),
};

/// More than two pages of a move.
const MANY: usize = 1200;

fn open_file(path: &Path) -> SqliteStore {
    SqliteStore::open(sqlite::Options {
        path: path.to_owned(),
        write_queue: 2 * MANY,
        lease: Duration::from_secs(60),
        clock: Clock::manual(at(0)),
        observer: Arc::new(()),
    })
    .unwrap()
}

fn open_database(database: &TestDatabase) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(postgres::Options {
        address: database.address(),
        replica: "a".to_owned(),
        write_queue: 100,
        lease: Duration::from_secs(60),
        lease_clock: LeaseClock::Process,
        clock: Clock::manual(at(0)),
        observer: Arc::new(()),
    })
}

/// Submissions of all kinds, with keys that may have any character, a pause and a quarantined webhook.
async fn fill(path: &Path) {
    let store = open_file(path);
    let received = (0..MANY).map(|n| {
        let call = format!("c-{n}");
        store.receive(with_key(&format!("\0ключ-{n}"), 1, complete(n as i64, &call)))
    });
    for received in futures_util::future::join_all(received).await {
        received.unwrap();
    }
    let claims = store.claim(wanted(&[("main", 40)], 5000)).await.unwrap().claims;
    let settlements = claims.iter().take(30).map(|claim| Settlement {
        token: claim.token,
        attempt: accepted(5001),
        decision: Decision::Delivered,
    });
    store.settle(settlements.collect()).await.unwrap();
    let erased = store.of_call("c-1000".parse().unwrap()).await.unwrap();
    store.erase(erased, at(5002)).await.unwrap();
    let discarded = store.of_call("c-1001".parse().unwrap()).await.unwrap();
    store.discard(discarded, "not wanted".to_owned(), at(5002)).await.unwrap();
    store.pause("main".parse().unwrap(), "for a while".to_owned(), at(5003)).await.unwrap();
    let kept = QuarantinedWebhook {
        source: "ivr".parse().unwrap(),
        account: "main".parse().unwrap(),
        survey: "quality".parse().unwrap(),
        webhook: complete(5004, "c-q").webhook.into(),
    };
    store.save_quarantine(vec![kept], Vec::new()).await.unwrap();
    store.record_clock(CLOCK).await.unwrap();
    let surveys = vec![("quality".parse().unwrap(), "a".to_owned())];
    store.record_surveys(surveys, at(5005)).await.unwrap();
    store.close().await;
}

async fn all(store: &impl Reader) -> Vec<Submission> {
    store.search(SubmissionFilter::default(), None, 2 * MANY).await.unwrap().submissions
}

fn move_all(path: &Path, database: &TestDatabase) -> Result<Moved, MoveError> {
    move_store(path, &database.address(), |_, _| ())
}

#[tokio::test]
async fn a_store_that_is_moved_to_postgresql_has_everything_that_it_had() {
    if !is_available() {
        return;
    }
    let (folder, database) = (TempDir::new().unwrap(), TestDatabase::new());
    let path = folder.path().join("store.db");
    fill(&path).await;
    // A process that served it before it had a submission.
    drop(open_database(&database).unwrap());
    let moved = move_all(&path, &database).unwrap();
    let of = |name: &str| moved.tables.iter().find(|table| table.name == name).unwrap();
    assert_eq!((of("submissions").rows, of("submissions").copied), (MANY as u64, MANY as u64));
    assert_eq!(of("idempotency_keys").rows, MANY as u64 - 1);
    assert_eq!(postgres::examine(&database.address()).unwrap().findings, []);

    let (file, store) = (open_file(&path), open_database(&database).unwrap());
    assert_eq!(all(&store).await, all(&file).await);
    assert_eq!(store.clock().await.unwrap(), Some(CLOCK));
    let revisions = store.survey_revisions().await.unwrap();
    assert_eq!((revisions.len(), &revisions), (1, &file.survey_revisions().await.unwrap()));
    assert_eq!(store.load_quarantine().await.unwrap().len(), 1);
    let (before, after) = (file.statistics().await.unwrap(), store.statistics().await.unwrap());
    assert_eq!((after.counts, &after.pauses), (before.counts, &before.pauses));
    assert_eq!(after.pauses.len(), 1);
    let repeated = store.receive(with_key("\0ключ-7", 1, complete(7, "c-7"))).await.unwrap();
    assert_eq!(repeated.outcome.label(), "duplicate");
    let other = store.receive(with_key("\0ключ-7", 2, complete(7, "c-7"))).await;
    assert!(matches!(other, Err(StoreError::KeyReused)));
    store.resume("main".parse().unwrap(), at(5005)).await.unwrap();
    assert_eq!(store.claim(wanted(&[("main", 5)], 6000)).await.unwrap().claims.len(), 5);
}

#[tokio::test]
async fn a_move_that_was_interrupted_continues_and_nothing_serves_the_database_before() {
    if !is_available() {
        return;
    }
    let (folder, database) = (TempDir::new().unwrap(), TestDatabase::new());
    let path = folder.path().join("store.db");
    fill(&path).await;
    let interrupted = catch_unwind(AssertUnwindSafe(|| {
        move_store(&path, &database.address(), |_, rows| assert!(rows < 1000, "interrupted"))
    }));
    assert!(interrupted.is_err());
    assert_eq!(database.number("SELECT count(*) FROM submissions"), 1000);
    let refused = open_database(&database).map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::Incomplete { .. }), "{refused}");
    let said = refused.to_string();
    assert!(said.contains("finish with `postcall migrate --from sqlite:/"), "{said}");

    let moved = move_all(&path, &database).unwrap();
    let submissions = &moved.tables[0];
    assert_eq!((submissions.rows, submissions.copied), (MANY as u64, MANY as u64 - 1000));
    assert_eq!(postgres::examine(&database.address()).unwrap().findings, []);
    let (file, store) = (open_file(&path), open_database(&database).unwrap());
    assert_eq!(all(&store).await, all(&file).await);
}

#[tokio::test]
async fn a_move_refuses_a_served_file_a_used_database_and_what_is_not_the_same() {
    if !is_available() {
        return;
    }
    let (folder, database) = (TempDir::new().unwrap(), TestDatabase::new());
    let path = folder.path().join("store.db");
    fill(&path).await;
    let served = open_file(&path);
    let refused = move_all(&path, &database).unwrap_err();
    assert!(matches!(refused, MoveError::Store(StoreError::InUse { .. })), "{refused}");
    drop(served);

    let missing = move_all(&folder.path().join("missing.db"), &database).unwrap_err();
    assert!(matches!(missing, MoveError::Store(StoreError::Missing { .. })), "{missing}");

    let interrupted = catch_unwind(AssertUnwindSafe(|| {
        move_store(&path, &database.address(), |_, rows| assert!(rows < 1000, "interrupted"))
    }));
    assert!(interrupted.is_err());
    let change = "UPDATE submissions SET due_at = due_at + 1 WHERE seq =
        (SELECT seq FROM submissions ORDER BY seq OFFSET 700 LIMIT 1)";
    database.with(async |client| client.batch_execute(change).await.unwrap());
    let differs = move_all(&path, &database).unwrap_err();
    let expected = "row 701 of submissions is not the same in both: ";
    assert!(differs.to_string().starts_with(expected), "{differs}");

    let is_served = TestDatabase::new();
    let replica = open_database(&is_served).unwrap();
    let refused = move_all(&path, &is_served).unwrap_err().to_string();
    assert!(refused.starts_with("the replica a serves postgres://"), "{refused}");
    assert!(refused.contains("stop it first"), "{refused}");
    // It goes on as if nothing had been.
    replica.receive(complete(0, "c-1")).await.unwrap();

    let used = TestDatabase::new();
    open_database(&used).unwrap().receive(complete(0, "c-1")).await.unwrap();
    let refused = move_all(&path, &used).unwrap_err();
    assert!(matches!(refused, MoveError::NotEmpty { .. }), "{refused}");
}

#[test]
fn the_service_continues_on_postgresql_where_it_ended_in_a_file() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.start();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let file = test_env.folder().join("store.db");
    let run = |test_env: &TestEnv, settings: &str| {
        let settings_file = test_env.folder().join("new.yaml");
        let settings = settings
            .replace("@folder@", test_env.folder().to_str().unwrap())
            .replace("@plivo@", "http://127.0.0.1:1");
        std::fs::write(&settings_file, settings).unwrap();
        let from = format!("sqlite:{}", file.display());
        process::postcall(&["migrate", "--from", &from], &settings_file).output().unwrap()
    };
    let in_file = run(&test_env, SETTINGS);
    let said = String::from_utf8(in_file.stderr).unwrap();
    assert!(said.contains("expected the database to move to, postgres://"), "{said}");

    let settings = SETTINGS.replace("sqlite:@folder@/store.db", &database.url());
    let served = run(&test_env, &settings);
    let said = String::from_utf8(served.stderr).unwrap();
    assert_eq!(served.status.code(), Some(1), "{said}");
    assert!(said.contains("is in use by another process"), "{said}");
    test_env.stop();

    let moved = run(&test_env, &settings);
    let said = String::from_utf8(moved.stdout).unwrap();
    assert!(moved.status.success(), "{said} {}", String::from_utf8_lossy(&moved.stderr));
    assert!(said.starts_with("submissions: 1 rows, 1 of them copied now\n"), "{said}");
    assert!(said.ends_with("every row was compared and is the same\n"), "{said}");

    let mut on_database = TestEnv::of(&settings);
    on_database.start();
    let repeated = on_database.caller("c-1").presses("4");
    assert_eq!(repeated.header("postcall-outcome"), Some("duplicate"));
}
