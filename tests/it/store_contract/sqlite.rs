//! What is promised of the file itself.

use std::path::Path;

use jiff::Timestamp;
use postcall::domain::Totals;
use postcall::store::sqlite::{Options, ReadOnly, SqliteStore};
use postcall::store::{Filter, Outcome, StoreError};
use rusqlite::Connection;

use super::spoken::{at, hang_up, hook};
use super::{Backend, Ledger, Sqlite};

#[tokio::test]
async fn a_second_process_is_told_that_the_ledger_is_in_use() {
    let ledger = Ledger::<Sqlite>::new();
    let second = open(&ledger.backend.path());
    assert!(matches!(second, Err(StoreError::InUse { .. })));
    assert!(ledger.is_writable());
}

#[tokio::test]
async fn a_link_to_a_ledger_is_the_same_ledger() {
    let ledger = Ledger::<Sqlite>::new();
    let link = ledger.backend.folder.path().join("link.db");
    std::os::unix::fs::symlink(ledger.backend.path(), &link).unwrap();
    assert!(matches!(open(&link), Err(StoreError::InUse { .. })));
}

#[tokio::test]
async fn a_closed_ledger_is_free_for_another_process() {
    let ledger = Ledger::<Sqlite>::new();
    ledger.close().await;
    assert!(open(&ledger.backend.path()).is_ok());
}

#[test]
fn another_programs_database_is_not_taken_for_a_ledger() {
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
    assert!(matches!(open(&place.path()), Err(StoreError::Open { .. })));
    assert_eq!(std::fs::read_to_string(place.path()).unwrap(), letter);
}

#[tokio::test]
async fn the_ledger_of_a_newer_release_is_refused() {
    let ledger = Ledger::<Sqlite>::new();
    ledger.close().await;
    let place = ledger.backend;
    let connection = Connection::open(place.path()).unwrap();
    let newer = "INSERT INTO refinery_schema_history (version, name, applied_on, checksum)
        VALUES (999, 'of_tomorrow', '2030-01-01T00:00:00Z', '1')";
    connection.execute_batch(newer).unwrap();
    let copy = place.after_a_sudden_end();
    let Err(StoreError::Open { source, .. }) = open(&copy.path()) else { panic!("it was opened") };
    assert!(source.to_string().contains("V999__of_tomorrow"), "{source}");
}

#[tokio::test]
async fn a_ledger_of_the_first_release_is_brought_to_the_present_form() {
    let ledger = Ledger::<Sqlite>::new();
    ledger.close().await;
    let present = Connection::open(ledger.backend.path()).unwrap();
    let place = Sqlite::default();
    let first = Connection::open(place.path()).unwrap();
    first
        .execute_batch(include_str!("../../../src/store/sqlite/migrations/V1__ledger.sql"))
        .unwrap();
    let history = "SELECT sql FROM sqlite_schema WHERE name = 'refinery_schema_history'";
    let history: String = present.query_row(history, [], |row| row.get(0)).unwrap();
    first.execute_batch(&history).unwrap();
    first.execute("ATTACH ?1 AS present", [ledger.backend.path().to_str().unwrap()]).unwrap();
    first
        .execute_batch(
            "INSERT INTO refinery_schema_history
                SELECT * FROM present.refinery_schema_history WHERE version = 1;
            DETACH present;
            PRAGMA application_id = 0x706f7374;
            UPDATE books SET accepted = 1, collecting = 1;
            INSERT INTO submissions (id, account, survey, call, state, accepted_at, due_at)
                VALUES (x'ac3c34e62bb4571f8e742eb6b6b636d5', 'main', 'quality', 'c-1',
                        'collecting', 1000000, 1000000);
            INSERT INTO answers VALUES (1, 'score', '4', zeroblob(16), 1000000, 0);",
        )
        .unwrap();
    drop(first);
    let ledger = Ledger::on(place);
    let heard = ledger.hear(hook(1, "c-1", &[("score", "4")])).await;
    assert_eq!(heard.outcome, Outcome::Repeat);
    assert_eq!(ledger.hear(hang_up(2, "c-1")).await.outcome, Outcome::Added);
    let answers = ledger.lease_one(1000).await.answers;
    let said = answers.said().next().unwrap();
    assert_eq!((said.reader.as_str(), said.again_at), ("", said.received_at));
    assert_eq!(answers.hung_up_at(), Some(at(2)));
}

#[tokio::test]
async fn a_ledger_that_is_served_can_be_read_and_written_by_others() {
    let ledger = Ledger::<Sqlite>::new();
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    let looked_at = ReadOnly::open(&ledger.backend.path()).unwrap();
    assert_eq!(looked_at.figures().unwrap(), ledger.figures().await.unwrap());
    ledger.hear(hook(0, "c-2", &[("score", "4")])).await;
    assert_eq!(looked_at.figures().unwrap().totals.accepted, 2, "it sees what came since");
    assert_eq!(looked_at.list(Filter { state: None, limit: 9 }).unwrap(), ledger.rows().await);

    let window = Connection::open(ledger.backend.path()).unwrap();
    window.execute_batch("PRAGMA user_version = 3").unwrap();
    ledger.hear(hook(0, "c-3", &[("score", "4")])).await;
}

#[tokio::test]
async fn a_ledger_that_nobody_serves_can_be_looked_at() {
    let ledger = Ledger::<Sqlite>::new();
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    ledger.close().await;
    let Ledger { backend, .. } = ledger;
    let looked_at = ReadOnly::open(&backend.path()).unwrap();
    let totals = Totals { accepted: 1, collecting: 1, ..Totals::default() };
    assert_eq!(looked_at.figures().unwrap().totals, totals);
    assert!(ReadOnly::open(&backend.folder.path().join("none.db")).is_err());
    assert!(!backend.folder.path().join("none.db").exists(), "looking creates nothing");
}

#[tokio::test]
async fn a_ledger_is_its_owners_alone() {
    use std::os::unix::fs::MetadataExt;
    let ledger = Ledger::<Sqlite>::new();
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    for file in std::fs::read_dir(ledger.backend.folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().mode() & 0o077, 0, "{:?}", file.path());
    }
}

#[tokio::test]
async fn a_submission_merges_so_many_answers_and_no_more() {
    let ledger = Ledger::<Sqlite>::new();
    let many: Vec<String> = (0..256).map(|n| n.to_string()).collect();
    let answers: Vec<_> = many.iter().map(|text| (text.as_str(), "1")).collect();
    ledger.hear(hook(0, "c-1", &answers)).await;
    let beyond = hook(1, "c-1", &[("score", "4")]);
    assert_eq!(ledger.hear(beyond.clone()).await.outcome, Outcome::Late);
    assert_eq!(ledger.hear(beyond).await.outcome, Outcome::Repeat);
}

fn open(path: &Path) -> Result<SqliteStore, StoreError> {
    SqliteStore::open(Options {
        path: path.to_owned(),
        queue: 1,
        lease: std::time::Duration::from_secs(1),
        clock: std::sync::Arc::new(|| Timestamp::UNIX_EPOCH),
        observer: std::sync::Arc::new(()),
    })
}
