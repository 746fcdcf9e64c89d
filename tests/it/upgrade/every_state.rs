//! A store with submissions in every state, written by the service itself.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use postcall::clock::Clock;
use rusqlite::Connection;
use serde_json::json;

use super::release::{RELEASES, STORES, dump, version};
use crate::test_env::{SETTINGS, TestEnv};

const LOGS: &str = "logs: { filter: \"warn,postcall::app=info,postcall::delivery=debug\" }";

/// Settings by which such a store was written, and by which it is delivered: nothing of it is too old.
pub fn settings(plivo: &str) -> String {
    let store = SETTINGS.lines().filter(|line| !line.starts_with("store:"));
    // The test waits for as long as it says something.
    let settings: Vec<_> = store.chain([LOGS]).collect();
    settings
        .join("\n")
        .replace("{ file: \"@folder@/token\" }", "{ value: the-token-that-plivo-knows }")
        .replace("@plivo@", plivo)
        .replace("delivery: {", "delivery: { rate: 5000, max_concurrency: 64,")
}

/// What the dump of a release holds at least: kinds of rows by what has to be found, none of which may be empty.
const HELD: [(&str, &str); 21] = [
    ("collecting", "submissions WHERE state = 'collecting'"),
    ("in flight", "submissions WHERE lease_until IS NOT NULL"),
    (
        "to be tried again",
        "submissions WHERE state = 'pending' AND due_since IS NOT NULL AND lease_until IS NULL",
    ),
    (
        "pending while its account is paused",
        "submissions WHERE state = 'pending' AND account = 'other'",
    ),
    ("delivered", "submissions WHERE state = 'delivered' AND retention = 2"),
    ("delivered twice", "submissions WHERE state = 'delivered' AND fence = 2"),
    ("ignored without an answer", "submissions WHERE reason = 'no_answer'"),
    ("ignored for an invalid answer", "submissions WHERE reason = 'invalid_answer'"),
    ("dead for a rejection", "submissions WHERE reason = 'rejected'"),
    ("dead for an unknown call", "submissions WHERE reason = 'unknown_call'"),
    ("dead for its corrupt row", "submissions WHERE reason = 'corrupt'"),
    ("discarded", "submissions WHERE state = 'discarded' AND call IS NOT NULL"),
    ("erased", "submissions WHERE state = 'discarded' AND call IS NULL"),
    ("purged of its bodies", "submissions WHERE retention = 1"),
    ("purged but for its outcome", "submissions WHERE state = 'delivered' AND retention = 0"),
    ("purged to the last row", "deleted_counts"),
    ("corrupt documents", "corrupt_documents"),
    ("pauses", "pauses"),
    ("quarantined webhooks", "quarantine"),
    ("tallies", "tallies"),
    ("the clock", "clock"),
];

#[test]
fn every_schema_has_its_store_with_every_state() {
    let migrations = std::fs::read_dir("src/store/sqlite/migrations").unwrap();
    let versions: BTreeSet<i32> = migrations
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .map(|name| name[1..name.find("__").unwrap()].parse().unwrap())
        .collect();
    if std::env::var_os("POSTCALL_WRITE_STORE").is_some() {
        let newest = versions.last().unwrap();
        let place = tempfile::tempdir().unwrap();
        let store = write(place.path());
        std::fs::write(format!("{STORES}/V{newest}.sql"), dump(&store)).unwrap();
    }
    let listed: BTreeSet<i32> = RELEASES.iter().map(|release| release.0).collect();
    assert_eq!(listed, versions, "each migration has the store of its release in the list");
    for release in RELEASES {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("postcall.db");
        release.furnish(&path, 0);
        let store = Connection::open(&path).unwrap();
        assert_eq!(version(&store), Some(release.0));
        for (kind, rows) in HELD {
            let count = format!("SELECT count(*) FROM {rows}");
            let count: u64 = store.query_row(&count, [], |row| row.get(0)).unwrap();
            assert!(count > 0, "the store of schema {} has no {kind}", release.0);
        }
    }
}

/// Returns a copy as a process that is killed leaves it, while one attempt is in flight.
fn write(place: &Path) -> Connection {
    // Long ago, so that everything is due for whoever opens it.
    let clock = Clock::manual("2024-11-05T10:00:00Z".parse().unwrap());
    let settings = SETTINGS
        .replace("store: {", "store: { retention: @retention@,")
        .replace("max_backoff: 20ms", "max_backoff: 20ms, not_found_max_age: 1m");
    let with_retention = |retention: &str| settings.replace("@retention@", retention);
    let mut test_env = TestEnv::of(&with_retention("{}")).with_clock(&clock);
    test_env.start();
    for (call, retention, is_purged) in [
        (
            "gone-4",
            "{ bodies: 0s, submissions: 0s, outcomes: 0s }",
            "SELECT count(*) = 0 FROM submissions",
        ),
        (
            "outcome-4",
            "{ bodies: 0s, submissions: 0s }",
            "SELECT count(*) = 1 FROM submissions WHERE retention = 0",
        ),
        ("bodies-4", "{ bodies: 0s }", "SELECT count(*) = 1 FROM submissions WHERE retention = 1"),
    ] {
        test_env.caller(call).has_pressed("4");
        test_env.until_it_is(call, "delivered");
        // What is settled at this moment is not yet old.
        clock.advance(Duration::from_secs(1));
        test_env.operator_rewrites(|_| with_retention(retention));
        test_env.restart();
        let path = test_env.store.path().to_owned();
        test_env.until(&format!("{call} is purged"), || {
            Connection::open(&path).unwrap().query_row(is_purged, [], |row| row.get(0)).unwrap()
        });
        test_env.operator_rewrites(|_| with_retention("{}"));
        test_env.restart();
    }
    settled(&test_env, &clock);
    waiting(&test_env);
    for suffix in ["", "-wal"] {
        let from = format!("{}{suffix}", test_env.store.path().display());
        std::fs::copy(from, place.join(format!("postcall.db{suffix}"))).unwrap();
    }
    test_env.plivo.is_well();
    let store = Connection::open(place.join("postcall.db")).unwrap();
    store.pragma_update(None, "wal_checkpoint", "TRUNCATE").unwrap();
    store
}

fn settled(test_env: &TestEnv, clock: &Clock) {
    let quick = |call: &str, digits: &str, state: &str| {
        test_env.caller(call).has_pressed(digits);
        test_env.until_it_is(call, state);
    };
    quick("delivered-5", "5", "delivered");
    let ivr = test_env.caller("delivered-2").at("ivr");
    ivr.clone().asked("score").has_pressed("2");
    ivr.asked("problem").has_pressed("1");
    test_env.until_it_is("delivered-2", "delivered");
    quick("again-3", "3", "delivered");
    let again = format!("/submissions/{}/replay", test_env.id_of("again-3"));
    test_env.posted(&again, &json!({ "include_delivered": true }));
    test_env.until("it is delivered again", || test_env.plivo.heard_about("again-3").len() == 2);
    test_env.until_it_is("again-3", "delivered");
    quick("late-4", "4", "delivered");
    test_env.caller("late-4").has_pressed("1");
    quick("silent", "", "ignored(no_answer)");
    quick("invalid", "9", "ignored(invalid_answer)");
    test_env.plivo.fails(json!([{ "status": 400 }]));
    quick("rejected-4", "4", "dead(rejected)");
    test_env.plivo.is_well();
    quick("erased-4", "4", "delivered");
    test_env.posted("/erase", &json!({ "call": "erased-4" }));
    test_env.plivo.does_not_know("unknown-4");
    test_env.caller("unknown-4").has_pressed("4");
    test_env.until("it was tried", || test_env.store.submission("unknown-4").unwrap().spent > 0);
    clock.advance(Duration::from_secs(3600));
    test_env.until_it_is("unknown-4", "dead(unknown_call)");
    test_env.plivo.is_well();
    // Its token is another one.
    test_env.caller("quarantined-4").signed_with("no-token").presses("4").assert_status(401);
    test_env.until("the quarantine is copied", || test_env.store.count("quarantine") == 1);
}

fn waiting(test_env: &TestEnv) {
    let tenant = |call: &str| test_env.caller(call).at("tenant").has_pressed("4");
    let pause = || test_env.posted("/accounts/other/pause", &json!({ "reason": "to be resumed" }));
    pause();
    tenant("corrupt-4");
    let store = Connection::open(test_env.store.path()).unwrap();
    let corrupt = r#"UPDATE submissions SET document = replace(document, '"4"', '"2"') WHERE call = 'corrupt-4'"#;
    assert_eq!(store.execute(corrupt, []).unwrap(), 1);
    test_env.posted("/accounts/other/resume", &json!({}));
    test_env.until_it_is("corrupt-4", "dead(corrupt)");
    pause();
    tenant("paused-4");
    tenant("discarded-4");
    let discard = format!("/submissions/{}/discard", test_env.id_of("discarded-4"));
    test_env.posted(&discard, &json!({ "reason": "not wanted" }));
    tenant("erased-3");
    test_env.posted("/erase", &json!({ "call": "erased-3" }));
    test_env.caller("collecting-2").at("ivr").has_pressed("2");
    // The clock stands still, so that it is tried once.
    test_env.plivo.fails(json!([{ "status": 503 }]));
    test_env.caller("retried-3").has_pressed("3");
    test_env.until("it was tried", || test_env.store.submission("retried-3").unwrap().spent > 0);
    test_env.plivo.fails(json!([{ "delay_ms": 5000 }]));
    test_env.caller("in-flight-1").has_pressed("1");
    let attempts = || test_env.store.submission("in-flight-1").unwrap().attempts;
    test_env.until("it is in flight", || attempts() == ["under way"]);
}
