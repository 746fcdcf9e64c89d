//! Other settings while the service runs: all of them at once, or none.

use std::time::Duration;

use serde_json::json;

use crate::test_env::{Rounds, SETTINGS, TestEnv};
use crate::wire::Connection;

const NEW_SURVEY: &str = "surveys:
  fresh: { questions: [{ name: score, answers: 1-5 }], rating: { question: score }, notes: fresh, complete: { timeout: 0s } }";

const NEW_SOURCE: &str = "sources:
  fresh: { preset: plivo, account: fresh, survey: fresh }";

const NEW_ACCOUNT: &str = r#"accounts:
  fresh: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { file: "@folder@/token" }, api: "@plivo@" }"#;

fn with_a_fresh_source(settings: &str) -> String {
    settings
        .replace("accounts:", NEW_ACCOUNT)
        .replace("sources:", NEW_SOURCE)
        .replace("surveys:", NEW_SURVEY)
}

pub fn without_the_tenant(settings: &str) -> String {
    let goes = |line: &&str| line.starts_with("  tenant:") || line.starts_with("  other:");
    settings.lines().filter(|line| !goes(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_source_a_survey_and_an_account_come_in_while_it_runs() {
    let mut test_env = TestEnv::new();
    let hash = |test_env: &TestEnv| {
        let page = test_env.ask("/metrics").text;
        let hashes: Vec<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("postcall_settings_info{hash=\""))
            .map(str::to_owned)
            .collect();
        assert_eq!(hashes.len(), 1, "one is in force");
        hashes[0].clone()
    };
    let before = hash(&test_env);
    test_env.caller("c-1").at("fresh").presses("2").assert_status(404);

    test_env.operator_rewrites(with_a_fresh_source);
    test_env.reload();
    let figures = test_env.figures();
    assert_eq!(figures.of(r#"settings_reloads_total{result="applied"}"#), 1.0);
    assert_eq!(figures.of("settings_last_reload_successful"), 1.0);
    assert_eq!(figures.of(r#"webhooks_total{outcome="created",source="fresh"}"#), 0.0);
    assert_eq!(figures.of(r#"attempts_total{account="fresh",verdict="accepted"}"#), 0.0);
    assert_eq!(figures.of(r#"source_signature_info{scheme="v3",source="fresh"}"#), 1.0);
    assert_ne!(hash(&test_env), before);

    test_env.caller("c-1").at("fresh").has_pressed("2");
    test_env.until_it_is("c-1", "delivered");
    assert_eq!(test_env.plivo.heard_about("c-1")[0]["notes"], "fresh");
    let figures = test_env.figures();
    assert_eq!(figures.of(r#"webhooks_total{outcome="created",source="fresh"}"#), 1.0);
    assert_eq!(figures.of(r#"attempts_total{account="fresh",verdict="accepted"}"#), 1.0);
}

#[test]
fn a_source_and_an_account_go_while_it_runs_and_what_they_counted_stays() {
    let mut test_env = TestEnv::new();
    test_env.caller("t-1").at("tenant").has_pressed("4");
    test_env.until_it_is("t-1", "delivered");

    test_env.operator_rewrites(without_the_tenant);
    test_env.reload();
    test_env.caller("t-2").at("tenant").presses("4").assert_status(404);
    let figures = test_env.figures();
    assert_eq!(figures.of(r#"webhooks_total{outcome="created",source="tenant"}"#), 1.0);
    assert_eq!(figures.of(r#"webhooks_total{outcome="unknown_source",source="unknown"}"#), 1.0);
    for stated in [
        r#"source_signature_info{scheme="v3",source="tenant"}"#,
        r#"account_paused{account="other",cause="account_rejected"}"#,
        r#"delivery_concurrency_limit{account="other"}"#,
    ] {
        assert!(!figures.has(stated), "{stated}");
    }
    test_env.caller("c-1").has_pressed("5");
    test_env.until_it_is("c-1", "delivered");
}

#[test]
fn what_waits_for_an_account_that_is_gone_is_dead_and_not_lost() {
    let mut test_env = TestEnv::new();
    test_env.plivo.fails(json!([{ "status": 503 }]));
    test_env.caller("t-1").at("tenant").has_pressed("4");
    test_env.until("it was tried", || test_env.plivo.requests() > 0);
    test_env.operator_rewrites(without_the_tenant);
    test_env.reload();
    let dead = test_env.until_it_is("t-1", "dead(unmapped)");
    assert_eq!(dead.detail.as_deref(), Some("the settings have no account other"));
}

/// The result of the attempt is there, and not recorded yet.
#[test]
fn what_is_in_flight_when_its_account_goes_is_dead_within_seconds() {
    Rounds::play(async |rounds| {
        rounds.plivo.fails(json!([{ "status": 503 }]));
        rounds.hears("tenant", "t-1", "4").await;
        rounds.sets_out().await.unwrap();
        while rounds.plivo.requests() == 0 {
            tokio::task::yield_now().await;
        }
        // The response may arrive before the settings change, or after: both must hold.
        tokio::time::sleep(Duration::from_millis(50)).await;
        rounds.write_settings(without_the_tenant);
        rounds.reload();
        // Less than the interval at which accounts that left the settings are looked for.
        for _ in 0..30 {
            rounds.later(Duration::from_secs(1));
            rounds.round().await;
        }
        assert_eq!(rounds.submission("t-1").state, "dead(unmapped)");
    });
}

#[test]
fn a_webhook_that_is_still_arriving_when_its_source_goes_is_kept_and_counted() {
    let mut test_env = TestEnv::new();
    let callback = test_env.caller("t-1").at("tenant").callback("4");
    let mut connection = Connection::open(test_env.public());
    let length = callback.body.len().to_string();
    let more = [("content-length", length.as_str()), ("expect", "100-continue")];
    connection.send(&callback.head(&more));
    assert_eq!(connection.reply().expect("it is at its desk").status, 100);
    test_env.operator_rewrites(without_the_tenant);
    test_env.reload();
    connection.send(&callback.body);
    let reply = connection.reply().expect("an answer");
    reply.assert_status(200);
    assert_eq!(reply.header("postcall-outcome"), Some("created"));
    test_env.until_it_is("t-1", "pending");
    assert_eq!(test_env.figures().of(r#"webhooks_total{outcome="created",source="tenant"}"#), 1.0);
}

#[test]
fn settings_at_fault_change_nothing_until_they_are_mended() {
    let mut test_env = TestEnv::new();
    test_env.operator_rewrites(|settings| {
        with_a_fresh_source(settings)
            .replace("rating: { question: score }", "rating: { question: nobody }")
    });
    test_env.reload();
    let figures = test_env.figures();
    assert_eq!(figures.of(r#"settings_reloads_total{result="rejected"}"#), 1.0);
    assert_eq!(figures.of("settings_last_reload_successful"), 0.0);
    assert!(!figures.has(r#"webhooks_total{outcome="created",source="fresh"}"#));
    test_env.caller("c-1").at("fresh").presses("2").assert_status(404);
    test_env.caller("c-2").has_pressed("2");
    test_env.until_it_is("c-2", "delivered");

    test_env.operator_rewrites(|_| SETTINGS.to_owned());
    test_env.reload();
    let figures = test_env.figures();
    assert_eq!(figures.of(r#"settings_reloads_total{result="unchanged"}"#), 1.0);
    assert_eq!(figures.of("settings_last_reload_successful"), 1.0);
}

#[test]
fn a_secret_in_the_settings_is_a_change_though_the_hash_does_not_show_it() {
    let mut test_env = TestEnv::new();
    test_env
        .operator_rewrites(|settings| settings.replace("the-token-that-plivo-knows", "another"));
    test_env.reload();
    assert_eq!(test_env.figures().of(r#"settings_reloads_total{result="applied"}"#), 1.0);
    let tenant = |call| test_env.caller(call).at("tenant");
    tenant("t-1").presses("4").assert_status(401);
    tenant("t-2").signed_with("another").has_pressed("4");
}

#[test]
fn another_place_of_a_secret_that_is_built_in_needs_a_restart_and_another_value_does_not() {
    const SECRETS: &str = r#"{ url: "sqlite:@folder@/store.db", password: { file: "@folder@/password" } }
tracing: { otlp: { endpoint: "http://127.0.0.1:9", headers: { authorization: { file: "@folder@/header" } } } }"#;
    let settings = SETTINGS.replace(r#"{ url: "sqlite:@folder@/store.db" }"#, SECRETS);
    let mut test_env = TestEnv::of(&settings);
    let operator_writes = |test_env: &TestEnv, file: &str, secret: &str| {
        std::fs::write(test_env.folder().join(file), secret).unwrap();
    };
    for file in ["password", "header", "another"] {
        operator_writes(&test_env, file, "of-the-first-day");
    }
    test_env.serve_as_process();

    operator_writes(&test_env, "password", "rotated");
    operator_writes(&test_env, "header", "rotated");
    test_env.reload();
    test_env.process().wait_for("the settings say what is in force already");
    let refused = "the settings were not reloaded, the old ones stay in force: these keys cannot \
                   change while the service runs; restart it, or set them back";
    for (file, key) in [("password", "store.password"), ("header", "tracing.otlp")] {
        test_env.operator_rewrites(|settings| {
            settings.replace(&format!("@folder@/{file}"), "@folder@/another")
        });
        test_env.reload();
        assert_eq!(test_env.process().wait_for(refused)["keys"], key);
        test_env.operator_rewrites(|_| settings.clone());
    }
}

#[test]
fn what_is_queued_is_mapped_by_the_settings_in_force_when_it_is_due() {
    Rounds::play(async |rounds| {
        rounds.hears("ivr", "c-1", "2").await;
        rounds.write_settings(|settings| settings.replace("IVR survey:", "Asked again:"));
        rounds.reload();
        rounds.later(Duration::from_secs(3600));
        rounds.round().await;
        assert_eq!(rounds.plivo.heard_about("c-1")[0]["notes"], "Asked again: 2 of 5");
    });
}

#[test]
fn what_was_kept_for_an_account_not_known_yet_waits_no_longer_than_the_reload() {
    Rounds::play(async |rounds| {
        rounds.hears("tenant", "t-1", "4").await;
        rounds.write_settings(without_the_tenant);
        rounds.reload();
        rounds.write_settings(|_| SETTINGS.to_owned());
        rounds.reload();
        rounds.round().await;
        assert_eq!(rounds.submission("t-1").state, "delivered");
    });
}

#[test]
fn a_process_is_told_by_a_signal_and_says_what_it_refuses() {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.serve_as_process();
    let refused = "the settings were not reloaded, the old ones stay in force";

    test_env
        .operator_rewrites(|settings| settings.replace("question: problem", "question: nobody"));
    test_env.reload();
    let fault = test_env.process().wait_for(refused);
    assert_eq!(fault["level"], "ERROR");
    let fault = fault["fault"].as_str().unwrap();
    let line = 1 + SETTINGS.lines().position(|line| line.contains("question: problem")).unwrap();
    let place = format!("settings.yaml:{line}: surveys.quality.issues.question: ");
    assert!(fault.contains(&place), "{fault}");

    test_env.operator_rewrites(|_| SETTINGS.replace("{ delay: 0s", "{ delay: 0s, lease: 61s"));
    test_env
        .operator_rewrites(|settings| settings.replace("store.db\"", "other.db\", write_queue: 5"));
    test_env.reload();
    let told = test_env.process().wait_for(
        "the settings were not reloaded, the old ones stay in force: these keys cannot change \
         while the service runs; restart it, or set them back",
    );
    assert_eq!(told["keys"], "store.url, store.write_queue, delivery.lease");

    test_env.operator_rewrites(|_| with_a_fresh_source(SETTINGS));
    test_env.reload();
    test_env.process().wait_for("the settings were reloaded");
    test_env.operator_rewrites(|settings| settings.to_owned() + "logs: { filter: debug }");
    test_env.reload();
    test_env.caller("c-0").at("fresh").signed_with("no-token").presses("2").assert_status(401);
    assert_eq!(
        test_env.process().wait_for("a webhook was rejected: invalid signature: it does not match")
            ["level"],
        "DEBUG"
    );
    test_env.caller("c-1").at("fresh").has_pressed("2");
    test_env.until_it_is("c-1", "delivered");
    test_env.process().signal("TERM");
    assert_eq!(test_env.until_the_process_ends().status.code(), Some(0));
}

#[test]
fn a_process_notices_a_file_that_was_swapped() {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.serve_as_process();
    test_env.operator_rewrites(with_a_fresh_source);
    let applied =
        |test_env: &TestEnv| test_env.figures().of(r#"settings_reloads_total{result="applied"}"#);
    test_env.until("the new settings are in force", || applied(&test_env) == 1.0);
    test_env.caller("c-1").at("fresh").has_pressed("2");
}

#[test]
fn a_refused_settings_file_is_no_crash_loop_at_the_next_restart() {
    // A secret in the text would not be kept.
    let settings = SETTINGS.replace(
        "auth_token: { value: the-token-that-plivo-knows }",
        "auth_token: { file: \"@folder@/token\" }",
    );
    let mut test_env = TestEnv::of(&settings);
    test_env.serve_as_process();
    test_env
        .operator_rewrites(|settings| settings.replace("question: problem", "question: nothing"));
    test_env.reload();
    test_env.process().wait_for("the settings were not reloaded, the old ones stay in force");
    test_env.process().signal("TERM");
    assert!(test_env.until_the_process_ends().status.success());

    let strict = test_env.postcall(&["serve", "--strict"]).output().unwrap();
    assert_eq!(strict.status.code(), Some(78));
    let told = String::from_utf8(strict.stderr).unwrap();
    assert!(told.contains("surveys.quality.issues.question"), "{told}");

    test_env.serve_as_process();
    let stale = "the settings file is invalid: serving with the settings that were accepted last";
    let told = test_env.process().said_first.iter().find(|line| line["message"] == stale);
    let told = told.expect("it is said loudly");
    assert_eq!(told["level"], "ERROR");
    assert!(told["fault"].as_str().unwrap().contains("surveys.quality.issues.question"), "{told}");
    assert_eq!(test_env.figures().of("settings_stale"), 1.0);
    assert!(test_env.is_ready());
    test_env.caller("c-1").has_pressed("5");
    test_env.until_it_is("c-1", "delivered");

    test_env
        .operator_rewrites(|settings| settings.replace("question: nothing", "question: problem"));
    test_env.reload();
    test_env.until("the file is in force", || test_env.figures().of("settings_stale") == 0.0);
    test_env.process().signal("TERM");
    assert!(test_env.until_the_process_ends().status.success());
}
