//! A database file, its log or its lock that is deleted or replaced while the store is served.

use std::path::{Path, PathBuf};
use std::time::Duration;

use postcall::store::{StoreError, sqlite};

use super::spoken::{at, complete};
use super::{Backend, Sqlite, TestStore};

fn log_of(store: &TestStore<Sqlite>) -> PathBuf {
    store.backend.folder.path().join("postcall.db-wal")
}

/// Puts another store in the place of a file.
fn replace(file: &Path, with: &str) {
    let other = TestStore::<Sqlite>::new();
    std::fs::rename(other.backend.folder.path().join(with), file).unwrap();
}

#[tokio::test]
async fn a_webhook_is_refused_once_the_database_file_or_its_log_was_deleted_or_replaced() {
    type Deletion = fn(&TestStore<Sqlite>);
    let deletions: [(&str, Deletion); 4] = [
        ("rm postcall.db", |it| std::fs::remove_file(it.backend.path()).unwrap()),
        ("rm postcall.db-wal", |it| std::fs::remove_file(log_of(it)).unwrap()),
        ("cp other.db postcall.db", |it| replace(&it.backend.path(), "postcall.db")),
        ("cp other.db-wal postcall.db-wal", |it| replace(&log_of(it), "postcall.db-wal")),
    ];
    for (command, delete) in deletions {
        let store = TestStore::<Sqlite>::new();
        for n in 0..20 {
            store.receive_one(complete(n, &format!("before-{n}"))).await;
        }
        delete(&store);
        for n in 0..20 {
            let refused = store.receive(complete(100, &format!("after-{n}"))).await;
            let Err(StoreError::Displaced { .. }) = refused else {
                panic!("{command}: {refused:?}")
            };
        }
        assert!(!store.is_writable(), "{command}");
        assert!(matches!(store.damage(), Some(StoreError::Displaced { .. })), "{command}");

        // What was acknowledged is in a copy, which a store can be opened on.
        let rescued = store.backend.folder.path().join("postcall.db.rescued-1");
        let words = store.damage().unwrap().to_string();
        assert!(
            words.ends_with(&format!("is in {}", rescued.canonicalize().unwrap().display())),
            "{words}"
        );
        assert!(!store.backend.folder.path().join("postcall.db.rescued-2").exists());
        let place = Sqlite::default();
        std::fs::rename(&rescued, place.path()).unwrap();
        let saved = TestStore::on(place);
        for n in 0..20 {
            saved.submission(&format!("before-{n}")).await;
        }
        assert_eq!(saved.backend.faults(), [""; 0], "{command}");
    }
}

#[tokio::test]
async fn a_copy_of_a_deleted_database_overwrites_no_other_file() {
    let store = TestStore::<Sqlite>::new();
    store.receive_one(complete(0, "c-1")).await;
    let taken = store.backend.folder.path().join("postcall.db.rescued-1");
    std::fs::write(&taken, "of an earlier accident").unwrap();
    std::fs::remove_file(store.backend.path()).unwrap();
    assert!(store.receive(complete(1, "c-2")).await.is_err());
    assert_eq!(std::fs::read(&taken).unwrap(), b"of an earlier accident");
    assert!(store.backend.folder.path().join("postcall.db.rescued-2").exists());
}

#[tokio::test]
async fn a_deleted_database_file_is_noticed_while_no_webhook_comes() {
    let store = TestStore::<Sqlite>::new();
    std::fs::remove_file(store.backend.path()).unwrap();
    let noticed = async {
        while store.damage().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), noticed).await.expect("it is noticed");
}

#[tokio::test]
async fn a_store_whose_lock_file_was_deleted_is_still_in_use() {
    let store = TestStore::<Sqlite>::new();
    let lock = store.backend.folder.path().join("postcall.db.lock");
    std::fs::remove_file(lock).unwrap();
    let second = store.backend.open(store.setup());
    assert!(matches!(second, Err(StoreError::InUse { .. })));
    store.receive_one(complete(0, "c-1")).await;
    assert_eq!(store.submission("c-1").await.accepted_at, at(0));
    assert!(sqlite::ReadOnly::open(&store.backend.path()).is_ok(), "readers are not shut out");
}
