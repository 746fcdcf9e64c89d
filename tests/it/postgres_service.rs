//! The whole service on PostgreSQL.

use std::error::Error;
use std::path::PathBuf;

use postcall::app::App;
use postcall::clock::Clock;
use postcall::random::Random;
use postcall::settings::{Environment, Settings};
use serde_json::json;

use crate::postgres::{PASSWORD, TestDatabase, is_available};
use crate::reload::without_the_tenant;
use crate::test_env::{SETTINGS, TestEnv};

fn serving(database: &TestDatabase) -> TestEnv {
    serving_as(database, "a")
}

fn serving_as(database: &TestDatabase, replica: &str) -> TestEnv {
    let mut test_env = settings_for(database, replica);
    test_env.start();
    test_env
}

fn settings_for(database: &TestDatabase, replica: &str) -> TestEnv {
    let store = format!(r#"{}", replica: "{replica}"#, database.url());
    TestEnv::of(&SETTINGS.replace("sqlite:@folder@/store.db", &store))
}

fn delivered(database: &TestDatabase) -> i64 {
    database.number("SELECT count(*) FROM submissions WHERE state = 'delivered'")
}

#[test]
fn a_webhook_is_kept_delivered_and_shown_on_postgresql() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let mut test_env = serving(&database);
    assert!(test_env.is_ready());
    let caller = test_env.caller("c-1").at("ivr");
    let thanks = caller.presses("2");
    thanks.assert_status(200);
    assert_eq!(thanks.header("postcall-outcome"), Some("created"));
    let added = caller.clone().asked("problem").presses("1");
    assert_eq!(added.header("postcall-outcome"), Some("updated"));
    test_env.until("it is delivered", || delivered(&database) == 1);
    let heard = test_env.plivo.heard_about("c-1");
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["rating"], 2);

    let shown = test_env.postcall(&["submissions", "list"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("c-1") && shown.contains("delivered"), "{shown}");

    test_env.restart();
    let again = test_env.caller("c-1").at("ivr").presses("2");
    assert_eq!(again.header("postcall-outcome"), Some("duplicate"));
    let doctor = test_env.postcall(&["doctor"]).output().unwrap();
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.status.success() && said.contains("is sound: 1 submissions"), "{said}");
}

#[test]
fn the_schema_is_migrated_over_an_address_of_its_own() {
    if !is_available() {
        return;
    }
    let (served, migrated) = (TestDatabase::new(), TestDatabase::new());
    let schema = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
    migrated.with(async |client| client.batch_execute(schema).await.unwrap());
    let store = format!(r#"{{ url: "{}", migrate_url: "{}" }}"#, served.url(), migrated.url());
    let settings = SETTINGS.replace(r#"{ url: "sqlite:@folder@/store.db" }"#, &store);
    let mut test_env = TestEnv::of(&settings);
    test_env.start();
    test_env.caller("c-1").has_pressed("4");
    assert_eq!(migrated.number("SELECT count(*) FROM schema_history"), 1);
    assert_eq!(served.number("SELECT count(*) FROM submissions"), 1);
}

#[test]
fn a_database_that_may_lose_commits_is_a_warning_of_readiness_and_a_metric() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let risks = |test_env: &TestEnv| {
        let metrics = test_env.ask("/metrics").text;
        let is_set = |risk: &str| {
            let series = |set| format!("postcall_store_durability_risk{{risk=\"{risk}\"}} {set}\n");
            assert!(metrics.contains(&series(0)) || metrics.contains(&series(1)), "{metrics}");
            metrics.contains(&series(1))
        };
        ["asynchronous_commit", "no_synchronous_standby"].map(is_set)
    };
    // The tests' server does not sync, and has no standby.
    let test_env = serving(&database);
    let ready = test_env.ask("/readyz");
    assert_eq!(ready.status, 200, "it is the operator who decides");
    let ready = ready.text;
    assert!(
        ready.contains("[!]store: the database acknowledges what is not on disk yet"),
        "{ready}"
    );
    assert!(ready.contains("[!]store: the database waits for no standby"), "{ready}");
    assert_eq!(risks(&test_env), [true, true]);
}

#[test]
fn two_services_on_one_database_deliver_each_call_once() {
    if !is_available() {
        return;
    }
    const CALLS: usize = 30;
    let database = TestDatabase::new();
    let services = [serving_as(&database, "a"), serving_as(&database, "b")];
    for n in 0..CALLS {
        services[n % 2].caller(&format!("c-{n}")).has_pressed("4");
        // The sender repeats it, and reaches the other one.
        let repeated = services[(n + 1) % 2].caller(&format!("c-{n}")).presses("4");
        repeated.assert_status(200);
    }
    services[0].until("all are delivered", || delivered(&database) == CALLS as i64);
    for n in 0..CALLS {
        let heard = services.each_ref().map(|it| it.plivo.heard_about(&format!("c-{n}")).len());
        assert_eq!(heard.iter().sum::<usize>(), 1, "c-{n}: {heard:?}");
    }
}

#[test]
fn an_account_that_left_the_settings_with_an_attempt_in_flight_is_left_to_a_replica_that_has_it() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let mut a = serving_as(&database, "a");
    a.plivo.fails(json!([{ "status": 503, "delay_ms": 1500 }]));
    a.caller("t-1").at("tenant").has_pressed("4");
    a.until("the attempt is in flight", || {
        database.number("SELECT count(*) FROM due WHERE lease_until IS NOT NULL") == 1
    });
    a.operator_rewrites(without_the_tenant);
    a.reload();
    let b = serving_as(&database, "b");
    let led = "SELECT count(*) FROM leaders JOIN replicas ON slot = replica
        WHERE account = 'other' AND name = 'b'";
    b.until("b leads the account", || database.number(led) == 1);
}

/// A database with its address over TLS and the certificates to trust, if the server has them.
fn database_with_tls() -> Option<(TestDatabase, String, PathBuf)> {
    let database = is_available().then(TestDatabase::new)?;
    let Some((url, ca_file)) = database.tls_url() else {
        eprintln!("skipped: the server has no TLS");
        return None;
    };
    Some((database, url, ca_file))
}

#[test]
fn a_database_is_reached_over_tls_with_the_password_of_a_file() {
    let Some((database, url, ca_file)) = database_with_tls() else { return };
    let ca_file = format!(r#", ca_file: "{}""#, ca_file.display());
    let store = |ca_file: &str| {
        format!(r#"{{ url: "{url}", password: {{ file: "@folder@/db-password" }}{ca_file} }}"#)
    };
    let settings =
        |ca_file: &str| SETTINGS.replace(r#"{ url: "sqlite:@folder@/store.db" }"#, &store(ca_file));
    let mut test_env = TestEnv::of(&settings(&ca_file));
    let write = |password| {
        std::fs::write(test_env.folder().join("db-password"), password).unwrap();
    };
    let refused = |ca_file: &str| {
        let text = settings(ca_file)
            .replace("@folder@", test_env.folder().to_str().unwrap())
            .replace("@plivo@", "http://127.0.0.1:1");
        let settings = Settings::from_yaml(&text, Environment::default()).unwrap();
        let error = App::build(settings, Clock::system(), Random::system()).map(drop).unwrap_err();
        let (mut words, mut cause) = (error.to_string(), error.source());
        while let Some(error) = cause {
            words.push_str(&format!(": {error}"));
            cause = error.source();
        }
        words
    };
    write("another-password");
    let why = refused(&ca_file);
    assert!(why.contains("password authentication failed"), "{why}");
    write(PASSWORD);
    let why = refused("");
    assert!(why.contains("certificate"), "no browser knows who signed it: {why}");
    assert!(!why.contains(PASSWORD));

    test_env.start();
    test_env.caller("c-1").has_pressed("4");
    test_env.until("it is delivered", || delivered(&database) == 1);
}

#[test]
fn certificates_that_are_rotated_are_read_again() {
    let Some((database, url, ca_file)) = database_with_tls() else { return };
    let store = format!(
        r#"{{ url: "{url}", password: {{ file: "@folder@/db-password" }}, ca_file: "@folder@/ca.crt" }}"#
    );
    let mut test_env =
        TestEnv::of(&SETTINGS.replace(r#"{ url: "sqlite:@folder@/store.db" }"#, &store));
    std::fs::write(test_env.folder().join("db-password"), PASSWORD).unwrap();
    let mounted = test_env.folder().join("ca.crt");
    std::fs::copy(&ca_file, &mounted).unwrap();
    test_env.start();
    test_env.caller("c-1").has_pressed("4");

    // It has not signed itself.
    std::fs::copy(ca_file.with_file_name("server.crt"), &mounted).unwrap();
    database.be_away(true);
    database.be_away(false);
    test_env.until("no connection is trusted", || !test_env.is_ready());
    test_env.caller("c-2").presses("4").assert_status(503);

    std::fs::copy(&ca_file, &mounted).unwrap();
    test_env.until("the new certificates are used", || test_env.is_ready());
    test_env.caller("c-2").has_pressed("4");
}

#[test]
fn a_database_that_is_away_at_the_start_is_waited_for() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let mut test_env = settings_for(&database, "a");
    database.be_away(true);
    test_env.start();
    assert_eq!(test_env.ask("/readyz").status, 503);
    assert!(test_env.figures().of("store_writable") == 0.0);
    test_env.caller("c-1").presses("4").assert_status(503);
    assert_eq!(test_env.ask("/livez").status, 200);
    database.be_away(false);
    test_env.until("it is ready", || test_env.is_ready());
    assert!(test_env.figures().of("store_writable") == 1.0);
    test_env.caller("c-1").has_pressed("4");
    test_env.until("it is delivered", || delivered(&database) == 1);
}

#[test]
fn a_service_whose_replicas_name_is_taken_over_ends() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let mut test_env = settings_for(&database, "a");
    test_env.serve_as_process();
    test_env.until("it is ready", || test_env.is_ready());
    let taken_over = "UPDATE replicas SET incarnation = gen_random_uuid() WHERE name = 'a'";
    database.with(async |client| client.batch_execute(taken_over).await.unwrap());
    let ended = test_env.until_the_process_ends();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("another process has taken over the replica a"),
        "{}",
        ended.stderr
    );
}
