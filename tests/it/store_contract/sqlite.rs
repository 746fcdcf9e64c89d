//! What is promised of the file itself.

use std::path::Path;

use jiff::Timestamp;
use postcall::account::PauseCause;
use postcall::clock::Clock;
use postcall::domain::Verdict;
use postcall::store::sqlite::{Options, ReadOnly, SqliteStore};
use postcall::store::{RetentionCutoffs, Statistics, StoreError, SubmissionFilter};
use postcall::submission::{Decision, IgnoredReason, Outcome, StateCounts};
use rusqlite::Connection;

use super::backend::{call_of, wanted};
use super::spoken::{at, attempt, complete, ignoring, webhook, with_field, with_key};
use super::{Backend, Sqlite, TestStore};

#[tokio::test]
async fn a_second_process_finds_the_store_in_use() {
    let store = TestStore::<Sqlite>::new();
    let second = open(&store.backend.path());
    assert!(matches!(second, Err(StoreError::InUse { .. })));
    assert!(store.is_writable());
}

#[tokio::test]
async fn a_link_to_a_store_is_the_same_store() {
    let store = TestStore::<Sqlite>::new();
    let link = store.backend.folder.path().join("link.db");
    std::os::unix::fs::symlink(store.backend.path(), &link).unwrap();
    assert!(matches!(open(&link), Err(StoreError::InUse { .. })));
}

#[tokio::test]
async fn a_closed_store_is_free_for_another_process() {
    let store = TestStore::<Sqlite>::new();
    store.close().await;
    assert!(open(&store.backend.path()).is_ok());
}

#[test]
fn another_programs_database_is_not_taken_for_a_store() {
    for preparation in [
        "CREATE TABLE theirs (x)",
        "PRAGMA application_id = 7",
        "PRAGMA application_id = 7; CREATE TABLE submissions (x)",
    ] {
        let place = Sqlite::default();
        Connection::open(place.path()).unwrap().execute_batch(preparation).unwrap();
        let before = std::fs::read(place.path()).unwrap();
        assert!(matches!(open(&place.path()), Err(StoreError::Foreign { .. })), "{preparation}");
        assert!(matches!(ReadOnly::open(&place.path()), Err(StoreError::Foreign { .. })));
        assert!(std::fs::read(place.path()).unwrap() == before, "it is left as it was");
    }
}

#[test]
fn a_file_that_is_no_database_is_left_as_it_is() {
    let place = Sqlite::default();
    let letter = "Dear reader, this is not a database. ".repeat(100);
    std::fs::write(place.path(), &letter).unwrap();
    assert!(matches!(open(&place.path()), Err(StoreError::Damaged { .. })));
    assert_eq!(std::fs::read_to_string(place.path()).unwrap(), letter);
}

#[tokio::test]
async fn the_store_of_a_newer_release_is_refused() {
    let store = TestStore::<Sqlite>::new();
    store.close().await;
    let place = store.backend;
    let connection = Connection::open(place.path()).unwrap();
    let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
        VALUES (999, 'of_tomorrow', '2030-01-01T00:00:00Z', '1')";
    connection.execute_batch(newer).unwrap();
    let copy = place.after_a_sudden_end();
    let Err(StoreError::Open { source, .. }) = open(&copy.path()) else { panic!("it was opened") };
    assert!(source.to_string().contains("V999__of_tomorrow"), "{source}");
}

#[tokio::test]
async fn a_store_of_another_release_is_not_opened_read_only() {
    let store = TestStore::<Sqlite>::new();
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    store.close().await;
    let newest = "SELECT max(version) FROM refinery_schema_history";
    let newest: i32 = Connection::open(store.backend.path())
        .unwrap()
        .query_row(newest, [], |row| row.get(0))
        .unwrap();
    let newer = store.backend.copy();
    let history = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
        VALUES (999, 'of_tomorrow', '2030-01-01T00:00:00Z', '1')";
    Connection::open(newer.path()).unwrap().execute_batch(history).unwrap();
    let unknown = store.backend.copy();
    let history = "DROP TABLE refinery_schema_history";
    Connection::open(unknown.path()).unwrap().execute_batch(history).unwrap();
    for (place, version) in [(newer, 999), (unknown, 0)] {
        match ReadOnly::open(&place.path()) {
            Err(StoreError::OtherSchema { found, expected, .. }) => {
                assert_eq!((found, expected), (version, newest));
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was opened"),
        }
        assert!(SqliteStore::open_read_only(&place.path()).is_err());
    }
    assert!(ReadOnly::open(&store.backend.path()).is_ok());
}

#[test]
fn the_store_of_a_pre_release_is_refused_and_left_as_it_is() {
    for table in ["hooks", "books"] {
        for journal in ["DELETE", "WAL"] {
            let place = Sqlite::default();
            let connection = Connection::open(place.path()).unwrap();
            connection
                .execute_batch(&format!(
                    "PRAGMA application_id = 0x706f7374;
                    PRAGMA journal_mode = {journal};
                    CREATE TABLE submissions (seq INTEGER PRIMARY KEY, call TEXT);
                    INSERT INTO submissions (call) VALUES ('c-1');
                    CREATE TABLE {table} (x);
                    CREATE TABLE refinery_schema_history (version INT4 PRIMARY KEY);
                    INSERT INTO refinery_schema_history VALUES (3);"
                ))
                .unwrap();
            drop(connection);
            let before = std::fs::read(place.path()).unwrap();
            let path = place.path();
            let refused = [
                open(&path).map(drop),
                ReadOnly::open(&path).map(drop),
                SqliteStore::open_read_only(&path).map(drop),
            ];
            for refused in refused {
                let Err(error) = refused else { panic!("it was opened") };
                assert!(matches!(error, StoreError::PreRelease { .. }), "{error}");
                assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
            }
            assert!(std::fs::read(&path).unwrap() == before, "{table} {journal}");
        }
    }
}

#[tokio::test]
async fn a_store_that_is_served_can_be_read_and_written_by_others() {
    let store = TestStore::<Sqlite>::new();
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    let reader = ReadOnly::open(&store.backend.path()).unwrap();
    let (read, own) = (reader.statistics().unwrap(), store.statistics().await.unwrap());
    // Others write to the file system, too.
    assert!(read.file_system.is_some());
    assert_eq!(Statistics { file_system: own.file_system, ..read }, own);
    store.receive_one(webhook(0, "c-2", &[("score", "4")])).await;
    assert_eq!(reader.statistics().unwrap().counts.accepted, 2, "it sees what came since");
    assert_eq!(
        reader.search(&SubmissionFilter::default(), None, 9).unwrap().submissions,
        store.submissions().await
    );

    let window = Connection::open(store.backend.path()).unwrap();
    window.execute_batch("PRAGMA user_version = 3").unwrap();
    store.receive_one(webhook(0, "c-3", &[("score", "4")])).await;
}

#[tokio::test]
async fn a_store_that_is_not_served_can_be_read() {
    let store = TestStore::<Sqlite>::new();
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    store.close().await;
    let TestStore { backend, .. } = store;
    let reader = ReadOnly::open(&backend.path()).unwrap();
    let counts = StateCounts { accepted: 1, collecting: 1, ..StateCounts::default() };
    assert_eq!(reader.statistics().unwrap().counts, counts);
    assert!(ReadOnly::open(&backend.folder.path().join("none.db")).is_err());
    assert!(!backend.folder.path().join("none.db").exists(), "reading creates nothing");
}

#[tokio::test]
async fn a_store_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let store = TestStore::<Sqlite>::new();
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    for file in std::fs::read_dir(store.backend.folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o077, 0, "{:?}", file.path());
    }
}

/// Neither in the file nor in the log beside it, where another program reads it meanwhile.
#[tokio::test]
async fn what_was_erased_is_nowhere_in_the_files() {
    let store = TestStore::<Sqlite>::new();
    let holds = |word: &str| any_file_holds(&store, word);
    let request = |n: usize| {
        let call = format!("call-{n:04}-of-them");
        let mut request = with_field("campaign", &format!("field-{n:04}-too"), complete(0, &call));
        // Some bodies need pages of their own.
        let long = if n.is_multiple_of(3) { 9000 } else { 10 };
        request.webhook.body = format!("{}body-{n:04}-it", "x".repeat(long)).into_bytes();
        with_key(&format!("key-{n:04}-of-it"), 1, request)
    };
    for n in 0..200 {
        store.receive_one(request(n)).await;
    }
    let words = |n: usize| ["call", "field", "body", "key"].map(|word| format!("{word}-{n:04}"));
    assert!((0..200).step_by(50).flat_map(words).all(|word| holds(&word)));
    let reader = Connection::open(store.backend.path()).unwrap();
    let erased = (0..200).filter(|n| n % 7 == 0);
    for n in erased.clone() {
        store.erase(vec![request(n).key.id()], at(1)).await.unwrap();
        let accepted: usize = reader
            .query_row("SELECT accepted FROM state_counts", [], |submission| submission.get(0))
            .unwrap();
        assert_eq!(accepted, 200);
    }
    for n in erased {
        for word in words(n) {
            assert!(!holds(&word), "{word}");
        }
    }
    assert!(holds("body-0001"));
}

#[tokio::test]
async fn what_is_rare_among_many_is_found_in_several_pages() {
    let store = TestStore::<Sqlite>::new();
    store.receive_one(complete(0, "rare")).await;
    let mut web = complete(1, "web");
    web.source = "web".parse().unwrap();
    store.receive_one(web).await;
    let window = Connection::open(store.backend.path()).unwrap();
    // Each settled a second after the one before.
    window
        .execute_batch(
            "WITH RECURSIVE many (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM many WHERE n < 12000)
            INSERT INTO submissions
                    (seq, id, account, survey, call, state, reason, accepted_at, due_at, fence,
                     settled_at, retention, checksum, document)
                SELECT n * 1000000000, randomblob(16), 'main', 'quality', 'call-' || n,
                    iif(n % 2, 'delivered', 'ignored'), iif(n % 2, NULL, 'rule'), n * 1000000, 0, 1,
                    n * 1000000, 2, 0, '{\"v\":1}'
                FROM many;",
        )
        .unwrap();
    let walk = async |filter: SubmissionFilter| {
        let (mut found, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = store.search(filter.clone(), after, 50).await.unwrap();
            found.extend(page.submissions.iter().map(|it| call_of(it).to_owned()));
            (pages, after) = (pages + 1, page.next);
            if after.is_none() {
                return (found, pages);
            }
        }
    };
    let any = SubmissionFilter::default;
    let source = Some("web".parse().unwrap());
    let (found, pages) = walk(SubmissionFilter { source, ..any() }).await;
    assert_eq!((found, pages), (vec!["web".to_owned()], 3));
    let (found, pages) = walk(SubmissionFilter { state: Some("pending"), ..any() }).await;
    assert_eq!((found, pages), (vec!["web".to_owned(), "rare".to_owned()], 1), "all that waits");
    let (found, pages) = walk(SubmissionFilter { state: Some("dead"), ..any() }).await;
    assert_eq!((found.len(), pages), (0, 1));
    let reason = Some("no_score".to_owned());
    let (found, pages) = walk(SubmissionFilter { state: Some("ignored"), reason, ..any() }).await;
    assert_eq!((found.len(), pages), (0, 2));
    let (found, _) = walk(any()).await;
    assert_eq!(found.len(), 12_001);
}

#[tokio::test]
async fn what_waits_is_found_in_flight_or_not() {
    let store = TestStore::<Sqlite>::new();
    for (second, call) in [(10, "c-1"), (30, "c-3"), (20, "c-2")] {
        store.receive_one(complete(second, call)).await;
    }
    store.receive_one(webhook(25, "collecting", &[("score", "4")])).await;
    let claims = store.claim(wanted(&[("main", 2)], 85)).await.unwrap().claims;
    assert_eq!(claims.len(), 2);
    let filter = SubmissionFilter { state: Some("pending"), ..SubmissionFilter::default() };
    let first = store.search(filter.clone(), None, 2).await.unwrap();
    let second = store.search(filter, first.next, 2).await.unwrap();
    let calls = [&first.submissions, &second.submissions]
        .map(|page| page.iter().map(|it| call_of(it).to_owned()).collect::<Vec<_>>());
    assert_eq!(calls, [vec!["c-3".to_owned(), "c-2".to_owned()], vec!["c-1".to_owned()]]);
    assert_eq!(second.next, None);
}

#[tokio::test]
async fn a_body_that_was_purged_is_found_as_purged_and_one_that_came_since_is_not() {
    let store = TestStore::<Sqlite>::new();
    store.receive_one(complete(0, "c-1")).await;
    let id = store.settle_unsent(ignoring(IgnoredReason::Rule), 100).await.id;
    let [bodies, never] = [at(101), at(0)];
    let cutoffs = RetentionCutoffs { bodies, submissions: never, outcomes: never };
    assert_eq!(store.purge(cutoffs).await.unwrap().bodies, 1);
    let has_content = async || {
        let webhooks = store.find(id).await.unwrap().unwrap().webhooks;
        webhooks.iter().map(|it| it.content.is_some()).collect::<Vec<_>>()
    };
    let window = Connection::open(store.backend.path()).unwrap();
    let retention = || -> Option<u32> {
        let retention = "SELECT retention FROM submissions";
        window.query_row(retention, [], |row| row.get(0)).unwrap()
    };
    assert_eq!((has_content().await, retention()), (vec![false], Some(1)));
    store.receive_one(webhook(110, "c-1", &[("problem", "2")])).await;
    assert_eq!((has_content().await, retention()), (vec![false, true], None), "it waits");
    store.settle_unsent(ignoring(IgnoredReason::Rule), 1000).await;
    assert_eq!(retention(), Some(2), "there is a body to be purged again");
}

#[tokio::test]
async fn a_submission_merges_so_many_answers_and_no_more() {
    let store = TestStore::<Sqlite>::new();
    let many = |first: usize, count: usize| {
        let names: Vec<_> = (first..first + count).map(|n| n.to_string()).collect();
        let answers: Vec<_> = names.iter().map(|name| (name.as_str(), "1")).collect();
        webhook(first as i64, "c-1", &answers)
    };
    store.receive_one(many(0, 256)).await;
    let before = store.submission("c-1").await;
    assert_eq!(before.answers().len(), 256);
    let beyond = webhook(1, "c-1", &[("score", "4")]);
    assert_eq!(store.receive_one(beyond.clone()).await.outcome, Outcome::Late);
    assert_eq!(store.receive_one(beyond).await.outcome, Outcome::Duplicate);
    assert_eq!(store.receive_one(many(1000, 255)).await.outcome, Outcome::Late);
    let submission = store.submission("c-1").await;
    assert_eq!((submission.document.late.len(), submission.document.unrecorded), (256, 0));
    for unrecorded in 1..=2 {
        assert_eq!(store.receive_one(many(2000, 1)).await.outcome, Outcome::Late);
        let submission = store.submission("c-1").await;
        assert_eq!(submission.document.late.len(), 256);
        assert_eq!(submission.document.unrecorded, unrecorded, "its webhook is kept all the same");
        assert_eq!((submission.state, submission.due_at), (before.state, before.due_at));
        assert_eq!(submission.answers(), before.answers());
    }
    assert_eq!(store.backend.bodies().len(), 5);
    store.check_counts().await;
}

#[tokio::test]
async fn a_submission_merges_so_much_text_and_no_more() {
    let store = TestStore::<Sqlite>::new();
    let text = |n: usize| format!("{n}").repeat(60 * 1024);
    for n in 0..5 {
        let outcome = store.receive_one(webhook(n as i64, "c-1", &[("score", &text(n))])).await;
        assert_ne!(outcome.outcome, Outcome::Late, "{n}");
    }
    for n in 5..10 {
        let request = webhook(n as i64, "c-1", &[("score", &text(n))]);
        assert_eq!(store.receive_one(request).await.outcome, Outcome::Late, "{n}");
    }
    let document = store.submission("c-1").await.document;
    assert_eq!((document.answers.len(), document.late.len(), document.unrecorded), (5, 5, 0));
    store.receive_one(webhook(10, "c-1", &[("problem", "1")])).await;
    let document = store.submission("c-1").await.document;
    assert_eq!((document.late.len(), document.unrecorded), (5, 1));
}

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(Options {
        path: path.to_owned(),
        write_queue: 1,
        lease: std::time::Duration::from_secs(1),
        clock: Clock::manual(Timestamp::UNIX_EPOCH),
        observer: std::sync::Arc::new(()),
    })
}

/// The destination may have named the call when it was paused, and repeated what it was sent.
#[tokio::test]
async fn the_reason_of_a_pause_names_no_call_that_was_erased() {
    let store = TestStore::<Sqlite>::new();
    for (call, is_over) in [("call-that-is-over", true), ("call-of-the-pause", false)] {
        store.receive_one(complete(0, call)).await;
        let claim = store.claim_one(100).await;
        let mut attempt = attempt(Verdict::Rejected, Some(422), 100);
        attempt.reply.text = format!("{call} has no such notes");
        let paused =
            Decision::Pause { cause: PauseCause::Rejections, probe_at: at(200), at: at(200) };
        store.settle_one(&claim, attempt, paused).await;
        assert!(any_file_holds(&store, call));
        if is_over {
            assert!(store.resume(claim.key.account.clone(), at(110)).await.unwrap());
        }
        store.erase(vec![claim.token.submission], at(120)).await.unwrap();
        assert!(!any_file_holds(&store, call), "{call}");
        assert_eq!(any_file_holds(&store, "has no such notes"), !is_over);
    }
    let pauses = store.pauses().await;
    assert_eq!(pauses[0].1.detail, "(erased) has no such notes");
}

fn any_file_holds(store: &TestStore<Sqlite>, word: &str) -> bool {
    let mut files = std::fs::read_dir(store.backend.folder.path()).unwrap();
    files.any(|file| {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        bytes.windows(word.len()).any(|window| window == word.as_bytes())
    })
}
