//! Damaged stores: what an examination finds, what a recovery brings over, and what a service does
//! with one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use postcall::account::PauseCause;
use postcall::clock::Clock;
use postcall::domain::Verdict;
use postcall::store::StoreError;
use postcall::store::sqlite::{
    Examination, FindingKind, Options, Recovered, SqliteStore, examine, recover,
};
use postcall::submission::{DeadReason, Decision, IgnoredReason, Outcome};
use rusqlite::Connection;
use serde_json::Value;

use crate::process::{self, Home, Process};
use crate::store_contract::backend::{Backend, Sqlite, TestStore, seal, wanted};
use crate::store_contract::spoken::{
    BUSY, accepted, at, attempt, complete, hang_up, ignoring, webhook_for, with_field, with_key,
};
use crate::test_env::{SETTINGS, TestEnv};

/// Enough that every table has several pages.
const CALLS: i64 = 160;
const SUBMISSIONS: u64 = CALLS as u64 + 2;

const PAGE: usize = 2048;

#[tokio::test]
async fn a_store_is_sound_while_it_is_served_after_a_sudden_end_and_closed() {
    let store = furnished().await;
    assert_sound(&store.backend.path());
    let after = store.backend.after_a_sudden_end();
    assert_sound(&after.path());
    store.close().await;
    assert_sound(&store.backend.path());
}

#[tokio::test]
async fn each_fault_is_found_and_a_recovery_repairs_it() {
    let sound = closed(furnished().await).await;
    for (fault, kind, words) in [
        ("UPDATE state_counts SET dead = dead + 1", FindingKind::Counts, "do not add up"),
        (
            "UPDATE state_counts SET dead = dead + 1, accepted = accepted + 1",
            FindingKind::Counts,
            "by a recount",
        ),
        (
            "UPDATE state_counts SET dead = dead + 1, delivered = delivered - 1",
            FindingKind::Counts,
            "delivered by the state counts",
        ),
        (
            "INSERT INTO deleted_counts VALUES ('lost', 3)",
            FindingKind::Counts,
            "\"lost\", which is no state",
        ),
        (
            "DELETE FROM submissions WHERE seq = 3",
            FindingKind::Orphan,
            "webhooks have no submission, the first that of row 3",
        ),
        (
            "INSERT INTO webhooks
                VALUES (99999, 0, zeroblob(16), 'ivr', 'new', 'POST', NULL, x'00')",
            FindingKind::Orphan,
            "webhooks have no submission, the first that of row 99999",
        ),
        (
            "UPDATE submissions SET state = 'dead', reason = 'bored' WHERE seq = 5",
            FindingKind::Submission,
            "no such state",
        ),
        (
            "UPDATE submissions SET settled_at = NULL WHERE state = 'delivered'",
            FindingKind::Submission,
            "is settled and does not say when",
        ),
        (
            "UPDATE submissions SET lease_until = 1 WHERE state = 'ignored'",
            FindingKind::Submission,
            "is in flight and not pending",
        ),
        (
            "UPDATE submissions SET retention = 0 WHERE state = 'ignored'",
            FindingKind::Submission,
            "is purged or is not, by its retention level",
        ),
        (
            "UPDATE submissions SET retention = NULL WHERE state = 'delivered'",
            FindingKind::Submission,
            "has a retention level or has none, and should not",
        ),
        (
            "UPDATE submissions SET accepted_at = 9223372036854775807 WHERE seq = 9",
            FindingKind::Submission,
            "cannot be read",
        ),
        (
            "UPDATE submissions
                SET document = json_set(document, '$.attempts[0].response.verdict', 'throttled')
                WHERE state = 'delivered'",
            FindingKind::Submission,
            "is in a state that its last attempt does not lead to",
        ),
        (
            "UPDATE submissions SET document = json_set(document, '$.attempts[0].number', 8)
                WHERE json_extract(document, '$.attempts[0].number') = 1",
            FindingKind::Submission,
            "does not have the attempts that it counts",
        ),
        (
            "UPDATE submissions SET document = json_remove(document, '$.attempts[0].response')",
            FindingKind::Submission,
            "has an attempt without a response",
        ),
        (
            "UPDATE submissions SET document = json_set(document, '$.attempts_used', 99)",
            FindingKind::Submission,
            "has more attempts used than made",
        ),
        (
            "UPDATE submissions SET id = randomblob(16) WHERE seq = 7",
            FindingKind::IdMismatch,
            "does not have the id of its account, survey and call",
        ),
        (
            "UPDATE submissions SET call = 'another' WHERE seq = 7",
            FindingKind::IdMismatch,
            "does not have the id of its account, survey and call",
        ),
        (
            "UPDATE submissions SET account = 'No Account' WHERE seq = 7",
            FindingKind::IdMismatch,
            "cannot be read",
        ),
        (
            "UPDATE webhooks SET source = CAST(x'6f8c' AS TEXT) WHERE submission % 2 = 0",
            FindingKind::File,
            "rows of webhooks cannot be read",
        ),
        (
            "UPDATE idempotency_keys SET digest = x'00' WHERE key = 'id-5'",
            FindingKind::File,
            "1 rows of idempotency_keys cannot be read",
        ),
        (
            "UPDATE submissions SET document = CAST(x'6f8c' AS TEXT) WHERE seq = 7",
            FindingKind::Submission,
            "cannot be read",
        ),
        (
            "UPDATE submissions SET document = json_set(document, '$.v', 99) WHERE seq = 7",
            FindingKind::Submission,
            "document version 99",
        ),
        (
            "UPDATE pauses SET pause = json_set(pause, '$.cause', 'mood')",
            FindingKind::Account,
            "the pause of an account cannot be read",
        ),
        ("DELETE FROM scopes", FindingKind::Account, "are not found by calls"),
    ] {
        // What another program changes, and what Postcall itself would have had to write.
        for is_sealed in [false, true] {
            let place = sound.copy();
            let store = Connection::open(place.path()).unwrap();
            store.execute_batch(fault).unwrap();
            if is_sealed {
                seal(&store);
            }
            drop(store);
            let examination = examine(&place.path()).unwrap();
            let found =
                examination.findings.iter().any(|it| it.kind == kind && it.words.contains(words));
            assert!(found, "{fault}: {examination:#?}");

            let (new, recovered) = recovery_of(&place);
            let examination = examine(&new).unwrap();
            assert_eq!(examination.findings, [], "{fault}");
            assert!(recovered.submissions >= SUBMISSIONS - 1, "{fault}: {recovered:?}");
        }
    }
}

#[tokio::test]
async fn a_sound_store_is_recovered_whole() {
    // Opened once more, so that all claims are freed.
    let place = closed(TestStore::on(closed(furnished().await).await)).await;
    Connection::open(place.path())
        .unwrap()
        .execute_batch(
            "INSERT INTO clock VALUES (1, 2, 3, 4);
            INSERT INTO survey_revisions VALUES ('quality', 1, 'a'), ('quality', 2, 'b');
            INSERT INTO corrupt_documents SELECT max(seq), x'00ff' FROM submissions",
        )
        .unwrap();
    let (new, recovered) = recovery_of(&place);
    assert_eq!((recovered.submissions, recovered.set_aside), (SUBMISSIONS, 0));
    assert_eq!((recovered.lost, recovered.orphaned), (Vec::new(), None));
    assert_sound(&new);
    let rows = |path: &Path| {
        let store = Connection::open(path).unwrap();
        let tables = [
            "submissions",
            "webhooks",
            "idempotency_keys",
            "pauses",
            "scopes",
            "state_counts",
            "deleted_counts",
            "corrupt_documents",
            "survey_revisions",
            "clock",
        ];
        tables.map(|table| all_rows(&store, table))
    };
    assert_eq!(rows(&new), rows(&place.path()));
}

#[tokio::test]
async fn a_recovery_frees_claims_and_keeps_purged_outcomes_and_deleted_counts() {
    let store = furnished().await;
    let erased = store.submission("call-3").await.id;
    store.erase(vec![erased], at(200)).await.unwrap();
    let place = closed(store).await;
    let damaged = Connection::open(place.path()).unwrap();
    damaged
        .execute_batch(
            "INSERT INTO deleted_counts VALUES ('delivered', 2);
            UPDATE state_counts SET accepted = accepted + 2, delivered = delivered + 2",
        )
        .unwrap();
    let in_flight = "SELECT count(*) FROM submissions WHERE lease_until IS NOT NULL";
    let count =
        |store: &Connection, of: &str| -> u64 { store.query_row(of, [], |it| it.get(0)).unwrap() };
    assert_eq!(count(&damaged, in_flight), 1);
    drop(damaged);
    let (new, recovered) = recovery_of(&place);
    assert_eq!((recovered.submissions, recovered.lost), (SUBMISSIONS, Vec::new()));
    assert_sound(&new);
    let new = Connection::open(new).unwrap();
    assert_eq!(count(&new, in_flight), 0);
    assert_eq!(count(&new, "SELECT accepted FROM state_counts"), SUBMISSIONS + 2);
    assert_eq!(count(&new, "SELECT count(*) FROM submissions WHERE purged_at IS NOT NULL"), 1);
}

#[tokio::test]
async fn a_store_of_another_schema_version_is_recovered_in_the_present_one() {
    let place = closed(furnished().await).await;
    Connection::open(place.path())
        .unwrap()
        .execute_batch(
            "DELETE FROM refinery_schema_history
                WHERE version = (SELECT max(version) FROM refinery_schema_history)",
        )
        .unwrap();
    assert!(matches!(examine(&place.path()), Err(StoreError::OtherSchema { .. })));
    let (new, recovered) = recovery_of(&place);
    assert_eq!((recovered.submissions, recovered.lost), (SUBMISSIONS, Vec::new()));
    assert_sound(&new);
}

#[tokio::test]
async fn a_store_of_a_pre_release_is_refused() {
    let place = closed(furnished().await).await;
    Connection::open(place.path()).unwrap().execute_batch("CREATE TABLE hooks (seq)").unwrap();
    assert!(matches!(examine(&place.path()), Err(StoreError::PreRelease { .. })));
    let new = place.folder.path().join("new.db");
    assert!(matches!(recover(&place.path(), &new), Err(StoreError::PreRelease { .. })));
    assert!(!new.exists());
}

#[tokio::test]
async fn a_webhook_that_is_sent_once_more_after_a_recovery_counts_if_it_was_lost() {
    let place = closed(furnished().await).await;
    let damaged = Connection::open(place.path()).unwrap();
    // A page of a table can be lost without those of what belongs to it.
    damaged.execute("DELETE FROM submissions WHERE call = 'call-2'", []).unwrap();
    let lost = "UPDATE submissions SET document = '' WHERE call = 'call-0' OR call = 'call-4'";
    damaged.execute(lost, []).unwrap();
    drop(damaged);
    let (new, recovered) = recovery_of(&place);
    assert_eq!((recovered.submissions, recovered.set_aside), (SUBMISSIONS - 1, 2));
    assert_eq!(orphaned(&recovered).len(), 1);
    fs::rename(new, place.path()).unwrap();
    let store = TestStore::on(place);
    for (n, outcome) in [
        (2, Outcome::Created),
        (0, Outcome::Updated),
        // An attempt was made, and may have arrived.
        (4, Outcome::Late),
        (3, Outcome::Duplicate),
    ] {
        let call = format!("call-{n}");
        let again = with_key(&format!("id-{n}"), 1, complete(200_000, &call));
        assert_eq!(store.receive_one(again).await.outcome, outcome, "{call}");
    }
}

#[tokio::test]
async fn a_submission_that_was_delivered_stays_closed_after_a_recovery() {
    let place = closed(furnished().await).await;
    Connection::open(place.path())
        .unwrap()
        .execute("UPDATE submissions SET document = '' WHERE call = 'call-3'", [])
        .unwrap();
    let (new, recovered) = recovery_of(&place);
    assert_eq!((recovered.submissions, recovered.set_aside), (SUBMISSIONS, 1));
    fs::rename(new, place.path()).unwrap();
    let store = TestStore::on(place);
    let again = with_key("id-3", 1, complete(200_000, "call-3"));
    assert_eq!(store.receive_one(again).await.outcome, Outcome::Late);
}

/// What waits may have been sent before, and of what is too old the last attempt may have arrived.
#[tokio::test]
async fn a_submission_that_may_have_reached_plivo_stays_closed_after_a_recovery() {
    let unknown = || attempt(Verdict::UnknownResult, None, 101);
    let too_old = Decision::Dead { reason: DeadReason::TooOld, pause: None };
    for decision in [Decision::Retry { at: at(100_000) }, too_old] {
        let store = TestStore::<Sqlite>::new();
        store.receive_one(with_key("id-1", 1, complete(0, "call-1"))).await;
        let claim = store.claim_one(100).await;
        store.settle_one(&claim, unknown(), decision).await;
        let place = closed(store).await;
        Connection::open(place.path())
            .unwrap()
            .execute("UPDATE submissions SET document = ''", [])
            .unwrap();
        let (new, _) = recovery_of(&place);
        fs::rename(new, place.path()).unwrap();
        let store = TestStore::on(place);
        let again = with_key("id-1", 1, complete(200_000, "call-1"));
        assert_eq!(store.receive_one(again).await.outcome, Outcome::Late, "{decision:?}");
    }
}

#[tokio::test]
async fn a_damaged_row_of_an_erased_submission_is_recovered_as_one() {
    let store = furnished().await;
    let erased = store.submission("call-3").await.id;
    store.erase(vec![erased], at(200)).await.unwrap();
    let place = closed(store).await;
    let damage = "UPDATE submissions SET due_at = due_at + 1 WHERE purged_at IS NOT NULL";
    assert_eq!(Connection::open(place.path()).unwrap().execute(damage, []).unwrap(), 1);
    let (new, recovered) = recovery_of(&place);
    assert_eq!((recovered.submissions, recovered.set_aside), (SUBMISSIONS, 1));
    assert_sound(&new);
    fs::rename(new, place.path()).unwrap();
    let store = TestStore::on(place);
    let again = with_key("id-3", 1, complete(200_000, "call-3"));
    assert_eq!(store.receive_one(again).await.outcome, Outcome::Purged);
}

/// SQLite would take the damage for the end of the log.
#[tokio::test]
async fn commits_behind_a_damaged_part_of_the_log_are_found_and_recovered() {
    let store = TestStore::<Sqlite>::new();
    for n in 0..20 {
        store.receive_one(complete(n, &format!("call-{n}"))).await;
    }
    let place = store.backend.after_a_sudden_end();
    let log = place.folder.path().join("postcall.db-wal");
    let mut bytes = fs::read(&log).unwrap();
    let place_of_call = memchr::memmem::find(&bytes, b"call-10").unwrap();
    bytes[place_of_call] ^= 1;
    fs::write(&log, &bytes).unwrap();

    let examination = examine(&place.path()).unwrap();
    let words = "commits follow it";
    assert!(examination.findings.iter().any(|it| it.words.contains(words)), "{examination:#?}");
    let opened = SqliteStore::open(Options {
        path: place.path(),
        write_queue: 10,
        lease: Duration::from_secs(60),
        clock: Clock::manual(at(0)),
        observer: Arc::new(()),
    });
    assert!(matches!(opened, Err(StoreError::Damaged { .. })), "nothing is written over it");
    assert!(fs::read(&log).unwrap() == bytes);

    let new = place.folder.path().join("new.db");
    let recovered = recover(&place.path(), &new).unwrap();
    assert_eq!((recovered.submissions, recovered.set_aside), (20, 0), "{recovered:?}");
    assert_sound(&new);
}

#[tokio::test]
async fn an_interrupted_recovery_is_no_store_and_is_begun_again() {
    let place = closed(furnished().await).await;
    let beside = |name: &str| place.folder.path().join(name);
    // As a process leaves them that is killed in the middle.
    let sound = fs::read(place.path()).unwrap();
    let all_left = ["new.db.partial", "new.db.partial-wal", "new.db.partial.lost.jsonl"];
    for left in all_left {
        fs::write(beside(left), &sound[..sound.len() / 2]).unwrap();
    }
    let (new, recovered) = recovery_of(&place);
    assert_eq!((recovered.submissions, recovered.orphaned), (SUBMISSIONS, None));
    assert_sound(&new);
    for left in all_left {
        assert!(!beside(left).exists(), "{left}");
    }

    // Nor is one lost that is recovered itself, or what a whole one has written.
    fs::rename(&new, beside("other.db.partial")).unwrap();
    recover(&beside("other.db.partial"), &beside("other.db")).unwrap_err();
    assert_sound(&beside("other.db.partial"));
    for whole in ["other.db", "other.db.lost.jsonl"] {
        fs::write(beside(whole), "whole").unwrap();
        recover(&place.path(), &beside("other.db")).unwrap_err();
        assert_eq!(fs::read_to_string(beside(whole)).unwrap(), "whole");
        assert!(beside("other.db.partial").exists());
        fs::remove_file(beside(whole)).unwrap();
    }
}

/// Every page in turn is overwritten, with what no page can be.
#[tokio::test]
async fn a_page_that_is_damaged_costs_what_was_on_it_and_no_more() {
    let sound = closed(furnished().await).await;
    let pages = pages(&sound.path());
    let webhooks = webhooks(&sound.path());
    assert!(pages.len() > 40, "{pages:?}");
    for table in ["submissions", "webhooks"] {
        let overflows = pages.iter().any(|page| page.table == table && page.is_overflow);
        assert!(overflows, "{table} has pages of every kind");
    }
    for page in &pages {
        let place = sound.copy();
        overwrite(&place.path(), page.number, |bytes| bytes.fill(0xa5));
        let examination = examine(&place.path()).unwrap();
        assert!(!examination.findings.is_empty(), "{page:?} is missed");

        let (new, recovered) = recovery_of(&place);
        assert_sound(&new);
        let mut found = self::webhooks(&new);
        found.extend(orphaned(&recovered));
        let missing = webhooks.difference(&found).count();
        let may_be_missing = match (page.table.as_str(), page.is_leaf) {
            ("webhooks", true) => page.cells,
            ("webhooks", false) => webhooks.len(),
            _ => 0,
        };
        assert!(missing <= may_be_missing, "{page:?} costs {missing} webhooks: {recovered:#?}");
        let is_document = page.table == "submissions" && page.is_overflow;
        let loses_submissions = page.table == "submissions" && !is_document;
        assert_eq!(recovered.orphaned.is_some(), loses_submissions, "{page:?}: {recovered:#?}");
        if !loses_submissions {
            assert_eq!(recovered.submissions, SUBMISSIONS, "{page:?}: {recovered:#?}");
        }
        assert_eq!(recovered.set_aside, u64::from(is_document), "{page:?}: {recovered:#?}");
        let loses = ["submissions", "webhooks"].contains(&&*page.table);
        // Nothing tells that the end of a body was another one.
        let is_body = page.table == "webhooks" && page.is_overflow;
        let is_said = !recovered.lost.is_empty();
        assert!(is_said || !loses || is_body, "{page:?}: nothing is said of what is lost");
    }
}

#[tokio::test]
async fn bytes_that_flip_anywhere_are_survived() {
    let sound = closed(furnished().await).await;
    let length = fs::metadata(sound.path()).unwrap().len() as usize;
    let seed = std::env::var("POSTCALL_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("repeat with POSTCALL_SEED={seed}");
    let mut chance = fastrand::Rng::with_seed(seed);
    for _ in 0..60 {
        let place = sound.copy();
        for _ in 0..chance.usize(1..40) {
            let (at, byte) = (chance.usize(..length), chance.u8(..));
            overwrite(&place.path(), at / PAGE + 1, |page| page[at % PAGE] = byte);
        }
        let examined = examine(&place.path());
        assert!(
            matches!(
                examined,
                Ok(_) | Err(StoreError::OtherSchema { .. } | StoreError::Foreign { .. })
            ),
            "{examined:?}"
        );
        let new = place.folder.path().join("new.db");
        match recover(&place.path(), &new) {
            Ok(_) => assert_sound(&new),
            Err(StoreError::Foreign { .. } | StoreError::Damaged { .. }) => assert!(!new.exists()),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[tokio::test]
async fn a_store_whose_beginning_is_gone_is_recovered() {
    let sound = closed(furnished().await).await;
    for bytes in [1, 100, PAGE] {
        let place = sound.copy();
        overwrite(&place.path(), 1, |page| page[..bytes].fill(0));
        let examination = examine(&place.path()).unwrap();
        assert_eq!(examination.findings[0].kind, FindingKind::File, "{examination:?}");
        let (new, recovered) = recovery_of(&place);
        assert_eq!((recovered.submissions, recovered.lost), (SUBMISSIONS, Vec::new()));
        assert_sound(&new);
    }
}

#[tokio::test]
async fn a_store_with_an_unknown_format_number_is_recovered() {
    let place = closed(furnished().await).await;
    overwrite(&place.path(), 1, |page| page[44..48].copy_from_slice(&9_u32.to_be_bytes()));
    let examination = examine(&place.path()).unwrap();
    assert_eq!(examination.findings[0].kind, FindingKind::File, "{examination:?}");
    let (new, recovered) = recovery_of(&place);
    assert_eq!((recovered.submissions, recovered.lost), (SUBMISSIONS, Vec::new()));
    assert_sound(&new);
}

#[tokio::test]
async fn no_file_is_overwritten_and_no_store_that_is_served_is_recovered() {
    let store = furnished().await;
    let (path, new) = (store.backend.path(), store.backend.folder.path().join("new.db"));
    assert!(matches!(recover(&path, &new), Err(StoreError::InUse { .. })));
    assert!(!new.exists());
    let place = closed(store).await;
    fs::write(&new, "someone's").unwrap();
    assert!(matches!(recover(&place.path(), &new), Err(StoreError::Exists { .. })));
    assert_eq!(fs::read(&new).unwrap(), b"someone's");
}

#[test]
fn a_service_with_a_damaged_store_stays_up_and_says_what_to_run() {
    let mut test_env = TestEnv::of(SETTINGS);
    let store = test_env.store.path().to_owned();
    fs::write(&store, "This was a store once. ".repeat(1000)).unwrap();
    test_env.serve_as_process();
    let advice = format!("postcall doctor --store {}", store.canonicalize().unwrap().display());
    let said = &test_env.process().said_first;
    let damaged = said.iter().find(|line| line["level"] == "ERROR").expect("it says so");
    assert!(damaged["message"].as_str().unwrap().ends_with(&format!("run: {advice}")), "{damaged}");

    let reply = test_env.caller("c-1").presses("4");
    reply.assert_status(503);
    assert!(reply.header("retry-after").is_some());
    let ready = test_env.ask("/readyz");
    ready.assert_status(503);
    assert_eq!(ready.text, format!("[-]store: it is damaged; run: {advice}\n[+]accepting\n"));
    test_env.ask("/livez").assert_status(200);
    let figures = test_env.figures();
    assert_eq!((figures.of("store_writable"), figures.of("store_damaged")), (0.0, 1.0));
    test_env.process().signal("TERM");
    assert!(test_env.until_the_process_ends().status.success());
}

#[test]
fn an_operator_of_a_damaged_store_learns_what_to_run() {
    let test_env = TestEnv::of(SETTINGS);
    let store = test_env.store.path().to_owned();
    fs::write(&store, "This was a store once. ".repeat(1000)).unwrap();
    let advice =
        format!("run: postcall doctor --store {}", store.canonicalize().unwrap().display());
    for asked in [&["submissions"][..], &["accounts", "resume", "main"]] {
        let said = test_env.postcall(asked).output().unwrap();
        assert_eq!(said.status.code(), Some(1));
        let said = String::from_utf8(said.stderr).unwrap();
        assert!(said.trim_end().ends_with(&advice), "{said}");
    }
}

#[test]
fn a_service_that_finds_damage_stops_writing_and_says_what_to_run() {
    let mut test_env = TestEnv::new();
    test_env.caller("before").has_pressed("4");
    test_env.until_it_is("before", "delivered");
    test_env.stop();
    let store = test_env.store.path().to_owned();
    let root = Connection::open(&store)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'webhooks'", [], |row| {
            row.get::<_, i64>(0)
        })
        .unwrap();
    overwrite(&store, root as usize, |page| page.fill(0xa5));

    test_env.start();
    assert!(test_env.is_ready(), "no one has looked there yet");
    test_env.caller("c-1").presses("4").assert_status(503);
    let ready = test_env.ask("/readyz");
    ready.assert_status(503);
    assert!(ready.text.starts_with("[-]store: it is damaged; run: postcall doctor --store "));
    test_env.caller("c-2").presses("4").assert_status(503);
    let figures = test_env.figures();
    assert_eq!((figures.of("store_writable"), figures.of("store_damaged")), (0.0, 1.0));
    test_env.stop();

    let new = store.with_file_name("new.db");
    let recovered = recover(&store, &new).unwrap();
    assert_eq!((recovered.submissions, recovered.set_aside), (1, 0));
    for suffix in ["-wal", "-shm"] {
        // There may be none.
        let _ = fs::remove_file(format!("{}{suffix}", store.display()));
    }
    fs::rename(&new, &store).unwrap();
    test_env.start();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    test_env.until_it_is("before", "delivered");
}

#[test]
fn the_doctor_says_what_is_wrong_and_exits_accordingly() {
    let home = Home::new(&SETTINGS.replace("store: { url: \"sqlite:@folder@/store.db\" }\n", ""));
    let settings = fs::read_to_string(home.settings()).unwrap();
    let settings = settings
        .replace("{ file: \"@folder@/token\" }", "{ value: made-up-auth-token }")
        .replace("@plivo@", "http://127.0.0.1:1");
    fs::write(home.settings(), settings).unwrap();
    Process::start(&home.settings()).kill();

    let run =
        |arguments: &[&str]| process::run(&[&["doctor"], arguments].concat(), &home.settings());
    let sound = run(&[]);
    let text = String::from_utf8(sound.stdout).unwrap();
    assert_eq!(sound.status.code(), Some(0), "{text}");
    assert!(text.ends_with("is sound: 0 submissions, and the state counts balance\n"), "{text}");

    Connection::open(home.store())
        .unwrap()
        .execute_batch("UPDATE state_counts SET dead = 2")
        .unwrap();
    let wrong = run(&["--output", "json"]);
    assert_eq!(wrong.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert_eq!((&said["sound"], &said["findings"][0]["kind"]), (&false.into(), &"counts".into()));
    for output in ["text", "json"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let arguments = ["doctor", "--output", output];
        let unheard = process::postcall(&arguments, &home.settings()).stdout(writer).status();
        assert_eq!(unheard.unwrap().code(), Some(1), "though no one reads what");
    }

    let new = home.store().with_file_name("new.db");
    let recovered = run(&["--recover", new.to_str().unwrap()]);
    let text = String::from_utf8(recovered.stdout).unwrap();
    assert_eq!(recovered.status.code(), Some(0), "{text}");
    assert!(text.contains("nothing is known to be lost"), "{text}");
    assert_eq!(run(&["--store", new.to_str().unwrap()]).status.code(), Some(0));
    let nowhere = run(&["--store", "/nowhere/postcall.db"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(nowhere.stdout.is_empty() && !nowhere.stderr.is_empty());
}

/// Submissions in every state that delivery brings about, one account paused, one attempt in flight.
async fn furnished() -> TestStore<Sqlite> {
    let store = TestStore::<Sqlite>::new();
    for n in 0..CALLS {
        let call = format!("call-{n}");
        let begins = if n % 8 == 0 { 100_000 } else { 0 };
        let mut first = with_key(&format!("id-{n}"), 1, complete(begins, &call));
        // Some bodies and some documents are on pages of their own.
        first.webhook.body = vec![b'x'; if n % 40 == 7 { 9000 } else { 100 }];
        let caller = "someone".repeat(if n % 40 == 11 { 1200 } else { 1 });
        store.receive_one(with_field("from", &caller, first)).await;
        if n % 7 == 0 {
            store.receive_one(hang_up(begins + 1, &call)).await;
        }
        if n % 8 == 0 {
            continue;
        }
        if n % 8 == 1 {
            store.settle_unsent(ignoring(IgnoredReason::NoAnswer), 100).await;
            continue;
        }
        let claim = store.claim_one(100).await;
        let end = |verdict, status| attempt(verdict, Some(status), 101);
        let (attempt, decision) = match n % 8 {
            2 => {
                let decision = Decision::Dead { reason: DeadReason::Rejected, pause: None };
                (end(Verdict::Rejected, 422), decision)
            }
            4 => (end(BUSY, 503), Decision::Retry { at: at(100_000) }),
            _ => (accepted(101), Decision::Delivered),
        };
        store.settle_one(&claim, attempt, decision).await;
    }
    for call in ["paused", "in-flight"] {
        store.receive_one(webhook_for("other", 0, call, &[("score", "4")])).await;
    }
    let claims = store.claim(wanted(&[("other", 2)], 1000)).await.unwrap().claims;
    assert_eq!(claims.len(), 2);
    let (cause, probe_at) = (PauseCause::AccountRejected, at(2000));
    let pause = Decision::Pause { cause, probe_at, at: at(2000) };
    let rejected = attempt(Verdict::AccountRejected, Some(401), 1001);
    store.settle_one(&claims[0], rejected, pause).await;
    store
}

pub async fn closed(store: TestStore<Sqlite>) -> Sqlite {
    store.close().await;
    let TestStore { backend, .. } = store;
    backend
}

#[track_caller]
fn assert_sound(store: &Path) {
    let Examination { findings, .. } = examine(store).unwrap();
    assert_eq!(findings, []);
}

fn recovery_of(place: &Sqlite) -> (PathBuf, Recovered) {
    let before = fs::read(place.path()).unwrap();
    let new = place.folder.path().join("new.db");
    let recovered = recover(&place.path(), &new).unwrap();
    assert!(fs::read(place.path()).unwrap() == before, "the damaged one is not changed");
    (new, recovered)
}

#[derive(Debug)]
struct Page {
    table: String,
    number: usize,
    is_leaf: bool,
    is_overflow: bool,
    cells: usize,
}

/// The pages of all tables and indexes but those that SQLite keeps for itself.
fn pages(store: &Path) -> Vec<Page> {
    let store = Connection::open(store).unwrap();
    let mut pages = store
        .prepare("SELECT name, pageno, pagetype <> 'internal', pagetype = 'overflow', ncell FROM dbstat WHERE pageno > 1")
        .unwrap();
    let page = |row: &rusqlite::Row<'_>| {
        Ok(Page {
            table: row.get(0)?,
            number: row.get::<_, i64>(1)? as usize,
            is_leaf: row.get(2)?,
            is_overflow: row.get(3)?,
            cells: row.get::<_, i64>(4)?.max(1) as usize,
        })
    };
    pages.query_map([], page).unwrap().map(Result::unwrap).collect()
}

fn overwrite(store: &Path, number: usize, change: impl FnOnce(&mut [u8])) {
    let mut bytes = fs::read(store).unwrap();
    change(&mut bytes[(number - 1) * PAGE..number * PAGE]);
    fs::write(store, bytes).unwrap();
}

fn webhooks(store: &Path) -> BTreeSet<String> {
    let store = Connection::open(store).unwrap();
    let mut webhooks = store.prepare("SELECT lower(hex(id)) FROM webhooks").unwrap();
    webhooks.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The ids of the webhooks that were written beside the new store.
fn orphaned(recovered: &Recovered) -> BTreeSet<String> {
    let Some(path) = &recovered.orphaned else { return BTreeSet::new() };
    let lines = fs::read_to_string(path).unwrap();
    let id = |line: &str| {
        let webhook: Value = serde_json::from_str(line).unwrap();
        assert_eq!(webhook["source"], "ivr");
        webhook["id"].as_str().unwrap().replace('-', "")
    };
    lines.lines().map(id).collect()
}

fn all_rows(store: &Connection, table: &str) -> Vec<Vec<rusqlite::types::Value>> {
    let mut rows = store.prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2")).unwrap();
    let columns = rows.column_count();
    let row = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
    rows.query_map([], row).unwrap().map(Result::unwrap).collect()
}
