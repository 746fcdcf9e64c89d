//! The spool: what becomes of webhooks while the database is away.

use std::cell::Cell;
use std::error::Error;
use std::time::{Duration, Instant};

use postcall::app::App;
use postcall::clock::Clock;
use postcall::random::Random;
use postcall::settings::{Environment, Settings};

use crate::postgres::{TestDatabase, is_available};
use crate::test_env::{SETTINGS, TestEnv};
use crate::wire::{Reply, exchange, request};

/// `open` gives its webhooks no id.
fn settings(database: &TestDatabase, spool: &str) -> String {
    let store = format!(r#"{{ url: "{}", spool: {spool} }}"#, database.url());
    let open =
        "  open: { preset: generic-json, account: main, survey: quick, signature: none }\nsurveys:";
    SETTINGS.replace(r#"{ url: "sqlite:@folder@/store.db" }"#, &store).replace("surveys:", open)
}

const SPOOL: &str = r#"{ path: "@folder@/spool.db" }"#;

fn serving(database: &TestDatabase, spool: &str) -> TestEnv {
    let mut test_env = TestEnv::of(&settings(database, spool));
    test_env.start();
    test_env
}

/// A webhook of a sender that signs nothing and names nothing.
fn says(test_env: &TestEnv, call: &str, score: &str) -> Reply {
    let body = format!(r#"{{"call_uuid": "{call}", "score": "{score}"}}"#);
    let headers = [("content-type", "application/json")];
    exchange(test_env.public(), &request("POST", "/hooks/open", &headers, body.as_bytes()))
}

#[track_caller]
fn assert_spooled(reply: &Reply) {
    reply.assert_status(200);
    assert_eq!(reply.header("postcall-outcome"), Some("spooled"), "{:?}", reply.headers);
    assert!(reply.header("postcall-submission").is_some());
}

fn waiting(test_env: &TestEnv) -> f64 {
    test_env.figures().of("spool_webhooks")
}

/// The database goes away, and the service has noticed.
fn goes_away(database: &TestDatabase, test_env: &TestEnv) {
    database.be_away(true);
    test_env.until("a webhook is spooled", || {
        let reply = test_env.caller("c-first").presses("4");
        reply.header("postcall-outcome") == Some("spooled")
    });
}

fn submissions(database: &TestDatabase) -> i64 {
    database.number("SELECT count(*) FROM submissions")
}

/// What was spooled is in the database, which has so many submissions then.
#[track_caller]
fn until_drained(test_env: &TestEnv, database: &TestDatabase, count: i64) {
    test_env
        .until("the spool is empty", || submissions(database) == count && waiting(test_env) == 0.0);
}

#[test]
fn webhooks_are_spooled_while_the_database_is_away_and_delivered_once_when_it_is_back() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let test_env = serving(&database, SPOOL);
    test_env.caller("c-before").has_pressed("3");
    goes_away(&database, &test_env);
    for n in 0..20 {
        let callback = test_env.caller(&format!("c-{n}")).callback("2");
        assert_spooled(&callback.send(&test_env));
        let repeated = callback.send(&test_env);
        repeated.assert_status(200);
        assert_eq!(repeated.header("postcall-outcome"), Some("duplicate"));
    }
    // Of two answers the last one counts, whether or not it was given before.
    for score in ["2", "5", "2"] {
        assert_eq!(says(&test_env, "c-wavers", score).status, 200);
    }
    assert!(test_env.is_ready(), "it takes webhooks");
    test_env.until("they are counted", || waiting(&test_env) >= 23.0);
    assert!(test_env.figures().of("webhooks_total{outcome=\"spooled\",source=\"quick\"}") >= 20.0);

    database.be_away(false);
    test_env.until("the spool is empty", || waiting(&test_env) == 0.0);
    let accepted = database.number("SELECT sum(accepted)::bigint FROM state_counts");
    assert_eq!(accepted, 23, "c-before, c-first, 20 calls, and c-wavers");
    let delivered = "SELECT count(*) FROM submissions WHERE state = 'delivered'";
    test_env.until("all are delivered", || database.number(delivered) == 23);
    for n in 0..20 {
        let heard = test_env.plivo.heard_about(&format!("c-{n}"));
        assert_eq!(heard.len(), 1, "c-{n}: {heard:?}");
        assert_eq!(heard[0]["rating"], 2);
    }
    let again = test_env.caller("c-7").presses("2");
    assert_eq!(again.header("postcall-outcome"), Some("duplicate"), "it comes to the database");
}

#[test]
fn a_call_that_is_locked_in_the_database_keeps_no_other_one_in_the_spool() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let test_env = serving(&database, SPOOL);
    test_env.caller("c-locked").has_pressed("3");
    database.with(async |client| {
        client.batch_execute("BEGIN; SELECT FROM submissions FOR UPDATE").await.unwrap();
        // More than are handed on at once.
        for n in 0..110 {
            assert_spooled(&says(&test_env, "c-locked", &n.to_string()));
        }
        for n in 0..120 {
            assert_eq!(says(&test_env, &format!("c-{n}"), "2").status, 200);
        }
        test_env.until("half of the others are received", || submissions(&database) > 60);
        test_env.until("all others are received", || submissions(&database) == 121);
        test_env.until("only the locked ones wait", || waiting(&test_env) == 110.0);
        client.batch_execute("ROLLBACK").await.unwrap();
    });
    until_drained(&test_env, &database, 121);
}

#[test]
fn an_answer_that_was_spooled_in_time_is_delivered_with_its_submission() {
    if !is_available() {
        return;
    }
    const TIMEOUT: Duration = Duration::from_millis(600);
    let database = TestDatabase::new();
    let settings = settings(&database, SPOOL).replace("timeout: 1h", "timeout: 600ms");
    let mut test_env = TestEnv::of(&settings);
    test_env.start();
    let caller = test_env.caller("c-1").at("ivr");
    caller.presses("2").assert_status(200);
    database.be_away(true);
    let answered = Instant::now();
    test_env.until("the second answer is spooled", || {
        let reply = caller.clone().asked("problem").presses("1");
        ["spooled", "duplicate"].map(Some).contains(&reply.header("postcall-outcome"))
    });
    test_env.until("the submission is due", || answered.elapsed() > 2 * TIMEOUT);
    database.be_away(false);
    test_env.until("it is delivered", || !test_env.plivo.heard_about("c-1").is_empty());
    let heard = test_env.plivo.heard_about("c-1");
    assert_eq!((&heard[0]["rating"], heard.len()), (&serde_json::json!(2), 1));
    assert_eq!(heard[0]["issues"], serde_json::json!(["ECHO"]), "{heard:?}");
}

#[test]
fn a_webhook_that_was_changed_in_the_spool_is_set_aside() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let mut test_env = serving(&database, SPOOL);
    goes_away(&database, &test_env);
    assert_spooled(&says(&test_env, "c-1", "4"));
    test_env.stop();
    let file = rusqlite::Connection::open(test_env.folder().join("spool.db")).unwrap();
    let change = "UPDATE spooled SET request = CAST('{' AS BLOB) WHERE seq = 1";
    assert_eq!(file.execute(change, []).unwrap(), 1);
    drop(file);
    database.be_away(false);
    test_env.start();
    let drained =
        |result| test_env.figures().of(&format!("spool_drained_total{{result=\"{result}\"}}"));
    test_env.until("the spool is empty", || drained("received") > 0.0 && waiting(&test_env) == 0.0);
    assert_eq!(drained("corrupt"), 1.0);
    test_env.stop();
    let file = rusqlite::Connection::open(test_env.folder().join("spool.db")).unwrap();
    let count = |table: &str| {
        let count = format!("SELECT count(*) FROM {table}");
        file.query_row(&count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!((count("spooled_corrupt"), count("spooled"), count("webhooks")), (1, 0, 0));
}

#[test]
fn a_spool_outlives_a_restart() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let mut test_env = serving(&database, SPOOL);
    goes_away(&database, &test_env);
    assert_spooled(&says(&test_env, "c-1", "4"));
    test_env.stop();
    database.be_away(false);
    assert_eq!(submissions(&database), 0, "nothing could be handed on");
    test_env.start();
    until_drained(&test_env, &database, 2);
    test_env.until("it is delivered", || test_env.plivo.heard_about("c-1").len() == 1);
}

#[test]
fn webhooks_are_spooled_from_the_start_if_the_database_is_away_then() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    database.be_away(true);
    let mut test_env = serving(&database, SPOOL);
    assert_spooled(&says(&test_env, "c-1", "4"));
    assert!(test_env.is_ready());
    test_env.restart();
    assert_spooled(&says(&test_env, "c-2", "5"));
    database.be_away(false);
    until_drained(&test_env, &database, 2);
}

#[test]
fn a_replica_that_ends_hands_on_what_is_spooled_first() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let mut test_env = serving(&database, SPOOL);
    goes_away(&database, &test_env);
    assert_spooled(&says(&test_env, "c-1", "4"));
    database.be_away(false);
    test_env.stop();
    assert_eq!(submissions(&database), 2);
}

#[test]
fn a_webhook_that_the_database_is_slow_with_is_received_once() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let test_env = serving(&database, SPOOL);
    database.with(async |client| {
        client.batch_execute("BEGIN; LOCK TABLE submissions").await.unwrap();
        let reply = says(&test_env, "c-1", "4");
        assert_spooled(&reply);
        // Its transaction, which still waits, and the spool both bring it now.
        client.batch_execute("ROLLBACK").await.unwrap();
    });
    test_env.until("the spool is empty", || {
        test_env.figures().of("spool_drained_total{result=\"received\"}") == 1.0
    });
    assert_eq!(database.number("SELECT count(*) FROM webhooks"), 1);
    assert_eq!(submissions(&database), 1);
}

#[test]
fn a_spool_that_is_full_is_not_ready_and_refuses_webhooks() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let test_env = serving(&database, r#"{ path: "@folder@/spool.db", webhooks: 2 }"#);
    goes_away(&database, &test_env);
    let calls = Cell::new(0);
    let full = || {
        calls.set(calls.get() + 1);
        says(&test_env, &format!("c-{}", calls.get()), "4").status == 503
    };
    test_env.until("it is full", full);
    assert!(!test_env.is_ready());
    database.be_away(false);
    test_env.until("it has room", || test_env.is_ready() && !full());
}

#[test]
fn a_webhook_that_is_sent_again_and_again_is_kept_once_though_its_sender_names_none() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let test_env = serving(&database, SPOOL);
    for _ in 0..3 {
        assert_eq!(says(&test_env, "c-before", "4").status, 200);
    }
    assert_eq!(database.number("SELECT count(*) FROM webhooks"), 1);
    assert_eq!(database.number("SELECT count(*) FROM idempotency_keys"), 1);
    goes_away(&database, &test_env);
    for n in 0..20 {
        let reply = says(&test_env, "c-1", "4");
        let outcome = if n == 0 { "spooled" } else { "duplicate" };
        assert_eq!(reply.header("postcall-outcome"), Some(outcome), "{n}");
    }
    assert_spooled(&says(&test_env, "c-2", "4"));
    test_env.until("c-first, c-1 and c-2 are counted", || waiting(&test_env) == 3.0);
    database.be_away(false);
    until_drained(&test_env, &database, 4);
}

#[test]
fn without_a_spool_webhooks_are_refused_while_the_database_is_away() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let test_env = serving(&database, "{}");
    database.be_away(true);
    test_env.until("it is not ready", || {
        says(&test_env, "c-1", "4").status == 503 && !test_env.is_ready()
    });
    database.be_away(false);
    test_env.until("it is ready", || test_env.is_ready());
}

#[test]
fn a_spool_whose_webhooks_wait_for_another_database_is_refused() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let mut test_env = serving(&database, SPOOL);
    goes_away(&database, &test_env);
    test_env.stop();
    database.be_away(false);
    database.with(async |client| {
        client.batch_execute("UPDATE identity SET id = gen_random_uuid()").await.unwrap();
    });
    let refused = |settings: &str| {
        let text = settings
            .replace("@folder@", test_env.folder().to_str().unwrap())
            .replace("@plivo@", "http://127.0.0.1:1");
        let settings = Settings::from_yaml(&text, Environment::default()).unwrap();
        let error = App::build(settings, Clock::system(), Random::system()).map(drop).unwrap_err();
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    };
    // Under another name, for it could not give its own back.
    let elsewhere = settings(&database, SPOOL).replace("spool:", "replica: b, spool:");
    let why = refused(&elsewhere);
    assert!(why.contains("wait for another database"), "{why}");
    // A spool is no store, nor a store a spool.
    let why = refused(&SETTINGS.replace("/store.db", "/spool.db"));
    assert!(why.contains("is the spool of a PostgreSQL store"), "{why}");
    let mut on_a_file = TestEnv::of(SETTINGS);
    on_a_file.start();
    on_a_file.caller("c-1").has_pressed("4");
    on_a_file.stop();
    let path = on_a_file.folder().join("store.db");
    let spool = format!(r#"{{ path: "{}" }}"#, path.display());
    let why = refused(&settings(&database, &spool).replace("spool:", "replica: b, spool:"));
    assert!(why.contains("is a store with submissions, not a spool"), "{why}");
}

#[test]
fn what_waits_in_a_damaged_spool_is_recovered_and_delivered_once() {
    if !is_available() {
        return;
    }
    let database = TestDatabase::new();
    let mut test_env = serving(&database, SPOOL);
    goes_away(&database, &test_env);
    for n in 0..20 {
        assert_spooled(&test_env.caller(&format!("c-{n}")).presses("2"));
    }
    test_env.stop();
    let [spool, new] = ["spool.db", "new.db"].map(|name| test_env.folder().join(name));
    // The beginning of the file is gone, and with it where everything is.
    let mut bytes = std::fs::read(&spool).unwrap();
    bytes[..4096].fill(0);
    std::fs::write(&spool, bytes).unwrap();
    test_env.start();
    assert_eq!(says(&test_env, "c-1", "4").status, 503, "it is not used");
    test_env.stop();

    let [spool_text, new_text] = [&spool, &new].map(|path| path.to_str().unwrap());
    let recover = ["doctor", "--store", spool_text, "--recover", new_text];
    let recovered = test_env.postcall(&recover).output().unwrap();
    let said = String::from_utf8(recovered.stdout).unwrap();
    assert!(said.contains("is a spool in which 21 webhooks wait"), "{said}");
    assert!(recovered.status.success(), "{said}");

    // One of them is not what was written: it is found, and costs no other.
    let store = rusqlite::Connection::open(&new).unwrap();
    let spoil = "UPDATE spooled SET request = x'00' WHERE seq = (SELECT max(seq) FROM spooled)";
    store.execute(spoil, []).unwrap();
    drop(store);
    let examined = test_env.postcall(&["doctor", "--store", new_text]).output().unwrap();
    let said = String::from_utf8(examined.stdout).unwrap();
    assert!(said.contains("1 rows of spooled cannot be read"), "{said}");
    assert_eq!(examined.status.code(), Some(1));

    for suffix in ["", "-wal", "-shm"] {
        // Only the first of them is there for certain.
        let _ = std::fs::remove_file(format!("{spool_text}{suffix}"));
    }
    std::fs::rename(&new, &spool).unwrap();
    database.be_away(false);
    test_env.start();
    until_drained(&test_env, &database, 20);
    let delivered = "SELECT count(*) FROM submissions WHERE state = 'delivered'";
    test_env.until("all are delivered", || database.number(delivered) == 20);
    for n in 0..19 {
        let heard = test_env.plivo.heard_about(&format!("c-{n}"));
        assert_eq!(heard.len(), 1, "c-{n}: {heard:?}");
    }
    let corrupt = rusqlite::Connection::open(&spool).unwrap();
    let kept = "SELECT count(*) FROM spooled_corrupt";
    assert_eq!(corrupt.query_row(kept, [], |row| row.get::<_, u64>(0)).unwrap(), 1);
}
