//! Replicas whose wall clocks differ by minutes: those of `libfaketime`, which leaves monotonic time as it is.

use std::path::PathBuf;
use std::sync::LazyLock;

use jiff::Timestamp;

use crate::invariant_checker::Replicas;
use crate::postgres::{self, TestDatabase};
use crate::test_env::{Callback, SETTINGS, TOKEN, TestEnv};

/// Of the replicas, by their number; none is right.
const APART: [Option<&str>; Replicas::COUNT] = [Some("-120"), Some("+180"), None];

/// Where Debian has the library, below the folder of the machine's architecture.
const LIBRARY: &str = "faketime/libfaketime.so.1";

static INSTALLED: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    folders.filter_map(|folder| Some(folder.ok()?.path().join(LIBRARY))).find(|it| it.exists())
});

/// Webhooks that are not dated by the database's clock: those of another one are minutes away.
const STRAYED: &str = "SELECT count(*) FROM webhooks
    WHERE abs(received_at - extract(epoch FROM clock_timestamp()) * 1000000) > 60000000";

#[test]
fn changed_answer_counts_in_its_order_at_replicas_whose_clocks_are_apart() {
    if !postgres::is_available() || !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let replicas: Vec<TestEnv> = Replicas::NAMES
        .iter()
        .zip(variables())
        .map(|(name, variables)| {
            let store = format!(r#"{}", replica: "{name}"#, database.url());
            let settings = SETTINGS
                .replace("sqlite:@folder@/store.db", &store)
                .replace("  quality:", "  quality:\n    on_changed_answer: keep_last");
            let mut replica = TestEnv::of(&settings);
            replica.set_environment(variables);
            replica.serve_as_process();
            replica
        })
        .collect();
    let pairs: Vec<(usize, usize)> = (0..Replicas::COUNT)
        .flat_map(|first| (0..Replicas::COUNT).map(move |second| (first, second)))
        .collect();
    let call = |(first, second): (usize, usize)| format!("c-{first}-{second}");
    for pair in &pairs {
        let at = |replica: usize| replicas[replica].caller(&call(*pair)).at("ivr");
        at(pair.0).presses("2").assert_status(200);
        at(pair.1).presses("4").assert_status(200);
        at(pair.0).asked("problem").presses("1").assert_status(200);
    }
    let delivered = "SELECT count(*) FROM submissions WHERE state = 'delivered'";
    replicas[0].until("all are delivered", || database.number(delivered) == pairs.len() as i64);
    for pair in pairs {
        let heard: Vec<_> =
            replicas.iter().flat_map(|it| it.plivo.heard_about(&call(pair))).collect();
        assert_eq!(heard.len(), 1, "{pair:?}: {heard:?}");
        assert_eq!(heard[0]["rating"], 4, "the later answer counts: {pair:?}");
    }
    assert_eq!(database.number(STRAYED), 0, "webhooks are dated by the database's clock");
}

#[test]
fn signature_with_a_time_is_in_time_by_the_database_or_by_the_replicas_own_clock() {
    if !postgres::is_available() || !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let signature = format!(
        "quick: {{ preset: generic-form, signature: {{ hmac: {{ header: X-Signature, secret: {{ value: {TOKEN} }}, \
         encoding: base64, timestamp: {{ header: X-Time, format: unix }}, \
         signed_payload: \"{{timestamp}}.{{body}}\" }} }},"
    );
    let settings = SETTINGS
        .replace("sqlite:@folder@/store.db", &database.url())
        .replace("quick: { preset: plivo,", &signature);
    let mut replica = TestEnv::of(&settings);
    // By which the database's is half an hour behind, as that of a standby may be.
    replica.set_environment(of_clock("+1800"));
    replica.serve_as_process();
    let now = Timestamp::now().as_second();
    for (call, ahead, status) in [
        ("by-the-database", 0, 200),
        ("by-the-replica", 1800, 200),
        ("by-none", 900, 401),
        ("by-none-that-was", -900, 401),
    ] {
        let body = format!("call_uuid={call}&score=4");
        let sent = Callback::with_time("quick", &body, TOKEN, now + ahead).send(&replica);
        sent.assert_status(status);
    }
    assert_eq!(database.number("SELECT count(*) FROM submissions"), 2);
    assert_eq!(database.number(STRAYED), 0, "webhooks are dated by the database's clock");
}

/// Whether the clocks of programs can be moved. In CI they have to.
pub fn is_available() -> bool {
    let is_available = INSTALLED.is_some();
    assert!(is_available || std::env::var_os("CI").is_none(), "libfaketime is not installed");
    if !is_available {
        eprintln!("skipped: libfaketime is not installed");
    }
    is_available
}

/// With which each replica has its clock.
pub fn variables() -> [Vec<(String, String)>; Replicas::COUNT] {
    APART.map(|apart| apart.map(of_clock).unwrap_or_default())
}

/// With which a program's clock is so many seconds ahead, or behind.
fn of_clock(seconds: &str) -> Vec<(String, String)> {
    let library = INSTALLED.as_ref().expect("the test was skipped otherwise");
    let variables = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME", seconds),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("NO_FAKE_STAT", "1"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}
