//! A secret that is rotated at the sender first: its webhooks are rejected, kept apart, and received once
//! the secret is known.

use std::collections::BTreeSet;
use std::time::Instant;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::test_env::{Callback, FROM, SETTINGS, TOKEN, TestEnv};

pub const OLD_TOKEN: &str = "the-token-of-yesterday";

/// Calls that are rated while the service knows the old token alone.
pub const CALLS: usize = 20;

/// Plivo signs with `TOKEN` already, and the service knows another.
pub fn rotated_at_the_sender(settings: &str) -> TestEnv {
    let mut test_env = TestEnv::of(settings);
    test_env.operator_writes_the_token(OLD_TOKEN);
    test_env.start();
    for n in 0..CALLS {
        test_env.caller(&format!("c-{n}")).presses("4").assert_status(401);
    }
    test_env
}

fn without_quarantine() -> String {
    SETTINGS.replace(
        "quick: { preset: plivo, account: main,",
        "quick: { preset: plivo, quarantine: 0, account: main,",
    )
}

/// What the command prints, one JSON object a line.
pub fn prints(test_env: &TestEnv, arguments: &[&str]) -> Vec<Value> {
    let service = format!("http://{}", test_env.private());
    let mut command = test_env.postcall(arguments);
    let output = command.args(["--output", "json", "--admin-url", &service]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Times in microseconds.
fn numbers(test_env: &TestEnv, query: &str) -> Vec<i64> {
    let store = Connection::open(test_env.store.path()).unwrap();
    let mut statement = store.prepare(query).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

pub fn count(test_env: &TestEnv, query: &str) -> i64 {
    numbers(test_env, query)[0]
}

pub fn arrivals(listed: &[Value]) -> BTreeSet<i64> {
    let time = |webhook: &Value| {
        let at = webhook["received_at"].as_str().unwrap();
        at.parse::<jiff::Timestamp>().unwrap().as_microsecond()
    };
    listed.iter().map(time).collect()
}

fn states(test_env: &TestEnv) -> Vec<Value> {
    prints(test_env, &["rejections"]).iter().map(|it| it["quarantine"].clone()).collect()
}

pub fn event(test_env: &TestEnv, event: &str) -> f64 {
    let series = format!("quarantine_events_total{{event=\"{event}\",source=\"quick\"}}");
    test_env.figures().of(&series)
}

#[track_caller]
pub fn assert_all_are_received(test_env: &TestEnv, arrivals: &BTreeSet<i64>) {
    for n in 0..CALLS {
        let call = format!("c-{n}");
        test_env.until(&format!("{call} is known"), || test_env.store.submission(&call).is_some());
        test_env.until_it_is(&call, "delivered");
    }
    for query in ["SELECT accepted_at FROM submissions", "SELECT received_at FROM webhooks"] {
        let received: BTreeSet<i64> = numbers(test_env, query).into_iter().collect();
        assert_eq!(received, *arrivals, "{query}: the original times count");
    }
    test_env.until("the quarantine is empty on disk", || {
        count(test_env, "SELECT count(*) FROM quarantine") == 0
    });
}

/// A mistake in the edit that follows a rotation.
#[test]
fn a_quarantined_webhook_outlives_an_edit_that_rejects_it_for_another_cause() {
    let mut test_env = rotated_at_the_sender(SETTINGS);
    let listed = arrivals(&prints(&test_env, &["quarantine", "list"]));
    let right = "quick: { preset: plivo, account: main,";
    let wrong = "quick: { preset: plivo, signature: [v2], account: main,";
    test_env.operator_rewrites(|settings| settings.replace(right, wrong));
    test_env.reload();
    assert_eq!(prints(&test_env, &["quarantine", "retry"])[0]["waiting"], CALLS);
    test_env.operator_rewrites(|settings| settings.replace(wrong, right));
    test_env.operator_writes_the_token(TOKEN);
    test_env.reload();
    assert_all_are_received(&test_env, &listed);
}

#[test]
fn a_token_that_is_rotated_at_the_sender_first_loses_no_webhook() {
    let test_env = rotated_at_the_sender(SETTINGS);
    let arrivals = arrivals(&prints(&test_env, &["quarantine"]));
    assert_eq!(arrivals.len(), CALLS);
    assert_eq!(test_env.figures().of(r#"quarantine_webhooks{source="quick"}"#), CALLS as f64);
    assert!(test_env.store.submission("c-0").is_none(), "nothing in quarantine is a submission");

    assert_eq!(states(&test_env), ["quarantined"; CALLS]);
    test_env.operator_writes_the_token(TOKEN);
    assert_all_are_received(&test_env, &arrivals);
    assert_eq!(states(&test_env), ["accepted"; CALLS]);
    assert_eq!(event(&test_env, "added"), CALLS as f64);
    assert_eq!(event(&test_env, "accepted"), CALLS as f64);
    assert_eq!(test_env.figures().of(r#"quarantine_webhooks{source="quick"}"#), 0.0);
}

#[test]
fn a_quarantine_is_verified_again_when_the_settings_are_reloaded() {
    let mut test_env = rotated_at_the_sender(&SETTINGS.replace(
        "auth_token: { file: \"@folder@/token\" }",
        "auth_token: { value: the-token-of-yesterday }",
    ));
    let arrivals = arrivals(&prints(&test_env, &["quarantine", "list"]));
    test_env.operator_rewrites(|settings| settings.replace(OLD_TOKEN, TOKEN));
    test_env.reload();
    assert_all_are_received(&test_env, &arrivals);
}

#[test]
fn a_quarantine_survives_a_restart_and_is_verified_again_at_the_start() {
    let mut test_env = rotated_at_the_sender(SETTINGS);
    let arrivals = arrivals(&prints(&test_env, &["quarantine"]));
    test_env.stop();
    assert_eq!(count(&test_env, "SELECT count(*) FROM quarantine"), CALLS as i64);
    test_env.operator_writes_the_token(TOKEN);
    test_env.start();
    assert_all_are_received(&test_env, &arrivals);
}

#[test]
fn rejections_are_listed_while_there_is_no_quarantine() {
    let test_env = rotated_at_the_sender(&without_quarantine());
    assert!(prints(&test_env, &["quarantine"]).is_empty());
    let rejections = prints(&test_env, &["rejections"]);
    assert_eq!(rejections.len(), CALLS);
    for rejection in &rejections {
        assert_eq!(rejection["source"], "quick");
        assert_eq!(rejection["reason"], "signature_mismatch");
        assert_eq!(rejection["method"], "POST");
        assert_eq!(rejection["url"], "https://surveys.example.com/hooks/quick");
        assert_eq!(rejection["schemes"], json!(["v3", "ma-v3"]));
        assert_eq!(rejection["quarantine"], Value::Null);
        let text = rejection.to_string();
        for secret in [FROM, TOKEN, OLD_TOKEN, "Digits"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
    test_env.operator_writes_the_token(TOKEN);
    assert_eq!(prints(&test_env, &["quarantine", "retry"])[0]["accepted"], 0);
    assert!(test_env.store.submission("c-0").is_none());
}

#[test]
fn a_rejection_shows_the_host_that_was_called_and_the_address_that_is_signed() {
    let test_env = TestEnv::new();
    let mut callback = test_env.caller("c-1").signed_with("forged").callback("4");
    callback.headers.push(("x-forwarded-host", "edge.example.com".to_owned()));
    callback.send(&test_env).assert_status(401);
    let rejection = &prints(&test_env, &["rejections"])[0];
    assert_eq!(rejection["url"], "https://surveys.example.com/hooks/quick");
    assert!(rejection["host"].is_string(), "{rejection}");
    assert_eq!(rejection["quarantine"], "quarantined");
    for _ in 0..60 {
        callback.send(&test_env).assert_status(401);
    }
    assert_eq!(prints(&test_env, &["rejections"]).len(), 50);
}

#[test]
fn a_flood_of_forged_webhooks_stays_within_the_bounds_of_the_quarantine() {
    let mut test_env = TestEnv::new();
    let began = Instant::now();
    let commits = |test_env: &TestEnv| test_env.figures().of("store_commit_duration_seconds_count");
    let before = commits(&test_env);
    for n in 0..300 {
        test_env.caller(&format!("f-{n}")).signed_with("forged").presses("1").assert_status(401);
    }
    let flood_commits = commits(&test_env) - before;
    // One a second, beside the few that the start and the clock need; on its own each webhook would be one.
    let most = began.elapsed().as_secs_f64() + 20.0;
    assert!(
        flood_commits <= most,
        "{flood_commits} commits for 300 webhooks, and {most} are enough"
    );
    test_env.caller("c-1").has_pressed("5");
    test_env.until_it_is("c-1", "delivered");
    assert_eq!(prints(&test_env, &["quarantine"]).len(), 100);
    assert_eq!(event(&test_env, "added"), 300.0);
    assert_eq!(event(&test_env, "evicted"), 200.0);
    test_env.stop();
    assert_eq!(count(&test_env, "SELECT count(*) FROM quarantine"), 100);
    assert_eq!(count(&test_env, "SELECT count(*) FROM submissions"), 1);
}

#[test]
fn quarantined_webhooks_are_shown_retried_and_dropped() {
    let test_env = rotated_at_the_sender(SETTINGS);
    let listed = prints(&test_env, &["quarantine"]);
    let id = listed[0]["id"].as_str().unwrap();
    let shown = &prints(&test_env, &["quarantine", "show", id])[0];
    assert!(shown["body"].as_str().unwrap().contains("CallUUID=c-0"), "{shown}");
    let waiting = json!({"accepted": 0, "rejected": 0, "waiting": CALLS, "source_changed": 0});
    assert_eq!(prints(&test_env, &["quarantine", "retry", "--source", "quick"]), [waiting]);
    assert_eq!(prints(&test_env, &["quarantine", "drop", id]), [json!({"dropped": 1})]);
    let dropped = |rejection: &&Value| rejection["quarantine"] == "dropped";
    let rejections = prints(&test_env, &["rejections"]);
    let dropped: Vec<&Value> = rejections.iter().filter(dropped).collect();
    assert_eq!(dropped.len(), 1);
    assert_eq!(dropped[0]["id"], id);
    assert_eq!(prints(&test_env, &["quarantine"]).len(), CALLS - 1);
    let dropped = json!({"dropped": CALLS - 1});
    assert_eq!(prints(&test_env, &["quarantine", "drop", "--all"]), [dropped]);
    test_env.until("the quarantine is empty on disk", || {
        count(&test_env, "SELECT count(*) FROM quarantine") == 0
    });
}

#[test]
fn an_erased_call_leaves_the_quarantine() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("5");
    for call in ["c-1", "c-2"] {
        test_env.caller(call).signed_with("forged").presses("1").assert_status(401);
    }
    test_env.until("both are on disk", || count(&test_env, "SELECT count(*) FROM quarantine") == 2);
    let service = format!("http://{}", test_env.private());
    let erase = |call| ["submissions", "erase", call];
    let erased = |call, erased, quarantined| {
        [json!({"call": call, "erased": erased, "quarantined": quarantined})]
    };
    assert_eq!(prints(&test_env, &erase("c-1")), erased("c-1", 1, 1));
    assert_eq!(prints(&test_env, &["quarantine"]).len(), 1);
    assert_eq!(count(&test_env, "SELECT count(*) FROM quarantine"), 1, "at once");
    let mut command = test_env.postcall(&[&erase("c-2")[..], &["--admin-url", &service]].concat());
    let output = command.output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed, "c-2: 1 quarantined webhook erased\n");
    assert_eq!(output.status.code(), Some(0));
    let unknown = command.output().unwrap();
    assert_eq!(unknown.status.code(), Some(1));
    let printed = String::from_utf8(unknown.stdout).unwrap();
    assert_eq!(printed, "c-2: nothing is stored about this call, or it is erased already\n");
}

#[test]
fn a_wrong_password_is_not_quarantined() {
    let settings = SETTINGS.replace(
        "quick: { preset: plivo,",
        "quick: { preset: generic-form, signature: { bearer: { value: a-token-of-the-form } },",
    );
    let mut test_env = TestEnv::of(&settings);
    test_env.start();
    let mut callback = test_env.caller("c-1").callback("4");
    callback.headers.push(("authorization", "Bearer a-new-token-of-the-form".to_owned()));
    callback.send(&test_env).assert_status(401);
    assert!(prints(&test_env, &["quarantine"]).is_empty());
    assert_eq!(prints(&test_env, &["rejections"])[0]["quarantine"], Value::Null);
}

#[test]
fn a_token_that_is_rotated_at_the_sender_first_loses_no_webhook_of_a_killed_process() {
    let mut test_env = TestEnv::of(&SETTINGS.replace(
        "auth_token: { file: \"@folder@/token\" }",
        "auth_token: { value: the-token-of-yesterday }",
    ));
    test_env.serve_as_process();
    for n in 0..CALLS {
        test_env.caller(&format!("c-{n}")).presses("4").assert_status(401);
    }
    let before = arrivals(&prints(&test_env, &["quarantine"]));
    assert_eq!(before.len(), CALLS);
    test_env.until("the copy is on disk", || {
        count(&test_env, "SELECT count(*) FROM quarantine") == CALLS as i64
    });
    test_env.process().signal("KILL");
    test_env.until_the_process_ends();

    test_env.serve_as_process();
    test_env.until("the quarantine is read", || {
        arrivals(&prints(&test_env, &["quarantine"])) == before
    });
    assert!(test_env.store.submission("c-0").is_none());
    test_env.operator_rewrites(|settings| settings.replace(OLD_TOKEN, TOKEN));
    test_env.reload();
    assert_all_are_received(&test_env, &before);
    assert_eq!(event(&test_env, "accepted"), CALLS as f64);
    test_env.process().signal("TERM");
    assert!(test_env.until_the_process_ends().status.success());
}

/// A form that is signed with its time, which is believed for five seconds.
fn with_a_signed_time() -> String {
    SETTINGS.replace(
        "quick: { preset: plivo,",
        "quick: { preset: generic-form, signature: { hmac: { header: X-Signature, \
         secret: { file: \"@folder@/token\" }, encoding: base64, \
         timestamp: { header: X-Time, format: unix, max_age: 5s }, \
         signed_payload: \"{timestamp}.{body}\" } },",
    )
}

#[test]
fn a_webhook_whose_time_is_in_another_format_is_received_once_the_settings_say_so() {
    let mut test_env = TestEnv::of(&with_a_signed_time());
    test_env.start();
    let time = jiff::Timestamp::now().as_millisecond();
    let sent = Callback::with_time("quick", "call_uuid=c-1&score=4", TOKEN, time);
    sent.send(&test_env).assert_status(401);
    assert_eq!(prints(&test_env, &["quarantine"])[0]["reason"], "signature_time");
    test_env.operator_rewrites(|settings| settings.replace("format: unix,", "format: unix_ms,"));
    test_env.reload();
    test_env.until("it is received", || event(&test_env, "accepted") == 1.0);
    test_env.until_it_is("c-1", "delivered");
}

#[test]
fn the_age_of_a_quarantined_webhook_with_a_signed_time_is_that_of_its_arrival() {
    let mut test_env = TestEnv::of(&with_a_signed_time());
    test_env.operator_writes_the_token(OLD_TOKEN);
    test_env.start();
    let first = jiff::Timestamp::now().as_second();
    for n in 0..CALLS {
        let time = jiff::Timestamp::now().as_second();
        let body = format!("call_uuid=c-{n}&score=4");
        Callback::with_time("quick", &body, TOKEN, time).send(&test_env).assert_status(401);
    }
    let before = arrivals(&prints(&test_env, &["quarantine"]));
    assert_eq!(before.len(), CALLS);
    let known = Callback::with_time("quick", "call_uuid=known&score=4", OLD_TOKEN, first);
    test_env.until("what was signed then is too old now", || {
        known.send(&test_env);
        prints(&test_env, &["rejections"])[0]["reason"] == "signature_old"
    });

    test_env.operator_writes_the_token(TOKEN);
    test_env.until("all are received", || event(&test_env, "accepted") == CALLS as f64);
    let received = numbers(
        &test_env,
        "SELECT received_at FROM webhooks WHERE instr(body, CAST('call_uuid=c-' AS BLOB)) > 0",
    );
    assert_eq!(received.into_iter().collect::<BTreeSet<_>>(), before);
}

#[test]
fn a_flooded_source_keeps_the_quarantine_of_no_other_source_from_the_disk() {
    let test_env = TestEnv::new();
    let forged = test_env.caller("f-1").at("ivr").signed_with("forged").callback("1");
    let flood = || (0..200).for_each(|_| forged.send(&test_env).assert_status(401));
    flood();
    test_env.caller("c-1").signed_with("forged").presses("5").assert_status(401);
    test_env.until("the webhook of the other source is on disk", || {
        flood();
        count(&test_env, "SELECT count(*) FROM quarantine WHERE source = 'quick'") == 1
    });
}

#[test]
fn what_cannot_be_read_of_a_quarantine_on_disk_is_removed_at_the_start() {
    let mut test_env = rotated_at_the_sender(SETTINGS);
    test_env.stop();
    let store = Connection::open(test_env.store.path()).unwrap();
    for change in ["source = 'Not a name!'", "id = x'00'", "path = CAST(x'ff' AS TEXT)"] {
        let one = "id = (SELECT max(id) FROM quarantine WHERE source = 'quick' AND length(id) > 1)";
        store.execute(&format!("UPDATE quarantine SET {change} WHERE {one}"), []).unwrap();
    }
    test_env.start();
    test_env.until("three are removed", || {
        count(&test_env, "SELECT count(*) FROM quarantine") == CALLS as i64 - 3
    });
    assert_eq!(prints(&test_env, &["quarantine"]).len(), CALLS - 3);
}

#[test]
fn an_expired_quarantine_is_not_received_and_leaves_no_byte_in_the_file() {
    let mut test_env = rotated_at_the_sender(SETTINGS);
    test_env.stop();
    Connection::open(test_env.store.path())
        .unwrap()
        .execute("UPDATE quarantine SET received_at = received_at - 3600000000", [])
        .unwrap();
    test_env.operator_writes_the_token(TOKEN);
    test_env.start();
    // It serves nothing meanwhile.
    test_env.until("the quarantine is empty on disk", || {
        count(&test_env, "SELECT count(*) FROM quarantine") == 0
    });
    assert_eq!(event(&test_env, "expired"), CALLS as f64);
    assert_eq!(event(&test_env, "accepted"), 0.0);
    assert!(test_env.store.submission("c-0").is_none());
    test_env.stop();
    let file = std::fs::read(test_env.store.path()).unwrap();
    assert!(!file.windows(FROM.len()).any(|part| part == FROM.as_bytes()), "no caller's number");
}

#[test]
fn an_erased_call_leaves_the_quarantine_of_a_service_that_is_down() {
    let mut test_env = rotated_at_the_sender(SETTINGS);
    test_env.stop();
    let output = test_env.postcall(&["submissions", "erase", "c-7"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(count(&test_env, "SELECT count(*) FROM quarantine"), CALLS as i64 - 1);
}

#[test]
fn a_quarantined_webhook_is_neither_replied_to_nor_counted_as_stored() {
    let test_env = TestEnv::new();
    let reply = test_env.caller("c-1").at("polite").signed_with("forged").presses("4");
    reply.assert_status(200);
    assert_eq!(reply.header("postcall-submission"), None);
    assert_eq!(reply.header("postcall-outcome"), None);
    assert_eq!(prints(&test_env, &["quarantine"]).len(), 1);
    let figures = test_env.figures();
    let webhooks = |outcome: &str| {
        figures.of(&format!("webhooks_total{{outcome=\"{outcome}\",source=\"polite\"}}"))
    };
    assert_eq!(webhooks("rejected"), 1.0);
    for outcome in ["created", "updated", "duplicate", "late", "excess", "skipped"] {
        assert_eq!(webhooks(outcome), 0.0, "{outcome}");
    }
    assert_eq!(figures.of("submissions_accepted_total"), 0.0);
}

#[test]
fn a_quarantined_webhook_that_its_sender_repeats_counts_once() {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.operator_writes_the_token(OLD_TOKEN);
    test_env.start();
    for _ in 0..3 {
        test_env.caller("c-1").presses("4").assert_status(401);
    }
    test_env.operator_writes_the_token(TOKEN);
    test_env.until("all are received", || event(&test_env, "accepted") == 3.0);
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    assert_eq!(test_env.figures().of("submissions_accepted_total"), 1.0);
    assert_eq!(test_env.plivo.heard_about("c-1").len(), 1);
}
