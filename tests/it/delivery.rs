//! From the callers to Plivo through the whole service, while it is started, stopped and troubled.

use std::net::TcpStream;

use serde_json::json;

use crate::test_env::TestEnv;

#[test]
fn what_a_caller_pressed_is_what_plivo_hears() {
    let test_env = TestEnv::new();
    let caller = test_env.caller("c-1").at("ivr");
    let thanks = caller.presses("2");
    thanks.assert_status(200);
    assert_eq!(thanks.text, "<Response><Speak>Thank you.</Speak></Response>");
    assert_eq!(thanks.header("content-type"), Some("application/xml"));
    assert_eq!(thanks.header("postcall-outcome"), Some("created"));
    let added = caller.clone().asked("problem").presses("1");
    assert_eq!(added.header("postcall-outcome"), Some("updated"));
    assert_eq!(added.header("postcall-submission"), thanks.header("postcall-submission"));

    let submission = test_env.until_it_is("c-1", "delivered");
    assert_eq!(submission.attempts, ["accepted"]);
    let heard = test_env.plivo.heard_about("c-1");
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["rating"], 2);
    assert_eq!(heard[0]["issues"], json!(["ECHO"]));
    assert_eq!(heard[0]["notes"], "IVR survey: 2 of 5");
    assert_eq!(heard[0]["auth_id"], crate::test_env::AUTH_ID);

    let again = caller.presses("2");
    assert_eq!(again.header("postcall-outcome"), Some("duplicate"));
    assert_eq!(again.header("postcall-submission"), thanks.header("postcall-submission"));
    let late = caller.presses("3");
    assert_eq!(late.header("postcall-outcome"), Some("late"));
    late.assert_status(200);
    assert_eq!(test_env.plivo.requests(), 1);
}

#[test]
fn two_tenants_that_share_a_survey_never_touch_each_others_calls() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("1");
    let other = test_env.caller("c-1").at("tenant").presses("5");
    assert_eq!(other.header("postcall-outcome"), Some("created"));
    test_env.until("both are delivered", || test_env.store.totals().delivered == 2);
}

#[test]
fn an_account_with_a_stale_token_waits_until_the_operator_writes_the_new_one() {
    let mut test_env = TestEnv::of(crate::test_env::SETTINGS);
    test_env.operator_writes_the_token("the-token-of-yesterday");
    test_env.start();
    for n in 0..20 {
        let caller = test_env.caller(&format!("c-{n}"));
        caller.signed_with("the-token-of-yesterday").has_pressed("3");
        if n == 0 {
            test_env.until("the account is held", || is_held(&test_env));
        }
    }
    test_env.caller("t-1").at("tenant").has_pressed("4");
    test_env.until_it_is("t-1", "delivered");
    let totals = test_env.store.totals();
    assert_eq!((totals.delivered, totals.dead), (1, 0));
    assert_eq!(test_env.store.pauses()[0].status, Some(401));
    assert!(test_env.is_ready(), "what Plivo thinks of us is no reason to refuse callers");

    test_env.restart();
    test_env.until("it is held after a restart too", || is_held(&test_env));
    test_env.operator_writes_the_token(crate::test_env::TOKEN);
    test_env.until("all are delivered", || test_env.store.totals().delivered == 21);
    test_env.until("the gauge follows", || !is_held(&test_env));
    assert!(test_env.store.pauses().is_empty());
    assert!(test_env.store.submissions().iter().all(|it| it.document.attempts_used == 1));
    // Callers are believed by the new token from the moment it was read.
    test_env.caller("c-new").has_pressed("5");
    test_env.caller("c-old").signed_with("the-token-of-yesterday").presses("5").assert_status(401);
}

#[test]
fn a_token_that_was_rotated_in_its_file_shuts_nobody_out() {
    let mut test_env = TestEnv::of(crate::test_env::SETTINGS);
    test_env.operator_writes_the_token("the-token-of-yesterday");
    test_env.start();
    test_env.caller("c-1").presses("4").assert_status(401);
    // Nothing waits for delivery, so Plivo cannot tell that the token is an old one.
    test_env.operator_writes_the_token(crate::test_env::TOKEN);
    test_env
        .until("the new token is believed", || test_env.caller("c-1").presses("4").status == 200);
    test_env.until_it_is("c-1", "delivered");
}

fn is_held(test_env: &TestEnv) -> bool {
    test_env.figures().of("account_paused{account=\"main\",cause=\"account_rejected\"}") == 1.0
}

#[test]
fn plivo_may_be_down_for_as_long_as_it_likes() {
    let test_env = TestEnv::new();
    test_env.plivo.fails(json!([
        {"status": 503, "times": 3}, {"reset": "before", "times": 1}, {"status": 404, "times": 1},
        {"status": 429, "retry_after": "0", "times": 2}
    ]));
    for n in 0..5 {
        test_env.caller(&format!("c-{n}")).has_pressed("4");
    }
    test_env.until("all are delivered", || test_env.store.totals().delivered == 5);
    assert_eq!(test_env.plivo.summary()["distinct_calls"], 5);
    assert_eq!(test_env.plivo.summary()["accepted"], 5);
}

#[test]
fn going_down_finishes_what_is_in_flight() {
    let mut test_env = TestEnv::new();
    test_env.plivo.fails(json!([{"delay_ms": 300}]));
    for n in 0..3 {
        test_env.caller(&format!("c-{n}")).has_pressed("4");
    }
    test_env.until("all are in flight", || test_env.plivo.requests() == 3);
    let public = test_env.public();
    test_env.stop();
    assert_eq!(test_env.store.totals().delivered, 3);
    assert!(TcpStream::connect(public).is_err());
}

#[test]
fn what_takes_longer_than_the_end_may_is_found_at_the_next_start() {
    let mut test_env = TestEnv::with(&[("SHUTDOWN__DEADLINE", "50ms")]);
    test_env.plivo.fails(json!([{"delay_ms": 600_000, "times": 1}]));
    test_env.caller("c-1").has_pressed("4");
    test_env.until("it is in flight", || test_env.plivo.requests() == 1);
    test_env.stop();
    assert_eq!(test_env.store.submission("c-1").unwrap().attempts, ["under way"]);
    test_env.start();
    let submission = test_env.until_it_is("c-1", "delivered");
    assert_eq!(submission.attempts, ["unknown_result", "accepted"]);
}

#[test]
fn a_restart_in_between_loses_nothing() {
    let mut test_env = TestEnv::new();
    test_env.plivo.fails(json!([{"status": 503}]));
    for n in 0..10 {
        test_env.caller(&format!("c-{n}")).has_pressed("4");
        test_env.caller(&format!("half-{n}")).at("ivr").has_pressed("4");
    }
    test_env.restart();
    let added = test_env.caller("half-0").at("ivr").asked("problem").presses("2");
    assert_eq!(added.header("postcall-outcome"), Some("updated"));
    assert_eq!(test_env.caller("c-0").presses("4").header("postcall-outcome"), Some("duplicate"));
    test_env.plivo.is_well();
    test_env.until("what is complete is delivered", || test_env.store.totals().delivered == 11);
    assert_eq!(test_env.store.totals().collecting, 9);
    assert_eq!(test_env.plivo.heard_about("half-0")[0]["issues"], json!(["ONE_WAY_AUDIO"]));
    let figures = test_env.figures();
    assert_eq!(figures.of("submissions_accepted_total"), 20.0);
}

#[test]
fn a_result_waits_for_a_store_that_refuses_and_is_told_once() {
    let test_env = TestEnv::new();
    test_env.store.refuses_results();
    test_env.caller("c-1").has_pressed("4");
    test_env.until("its result waits", || test_env.figures().of("settlements_pending") == 1.0);
    assert_eq!(test_env.figures().of("rating_count{survey=\"quick\"}"), 0.0);
    test_env.store.takes_writes();
    let submission = test_env.until_it_is("c-1", "delivered");
    assert_eq!(submission.attempts, ["accepted"]);
    assert_eq!(test_env.plivo.heard_about("c-1").len(), 1);
    test_env.until("the gauge follows", || test_env.figures().of("settlements_pending") == 0.0);
    assert_eq!(test_env.figures().of("rating_count{survey=\"quick\"}"), 1.0);
}

#[test]
fn a_result_that_could_not_be_written_before_the_end_is_an_unknown_one() {
    let mut test_env = TestEnv::with(&[("SHUTDOWN__DEADLINE", "50ms")]);
    test_env.store.refuses_results();
    test_env.caller("c-1").has_pressed("4");
    test_env.until("its result waits", || test_env.figures().of("settlements_pending") == 1.0);
    test_env.stop();
    test_env.store.takes_writes();
    test_env.start();
    let submission = test_env.until_it_is("c-1", "delivered");
    assert_eq!(submission.attempts, ["unknown_result", "accepted"]);
}

#[test]
fn every_figure_that_should_move_has_moved() {
    let test_env = TestEnv::new();
    let before = test_env.figures();
    let zero_from_the_start = [
        "webhooks_total{outcome=\"created\",source=\"ivr\"}",
        "webhook_rejections_total{reason=\"signature_mismatch\",source=\"quick\"}",
        "rating_count{survey=\"quality\"}",
        "issues_total{issue=\"ECHO\",survey=\"quality\"}",
        "attempts_total{account=\"main\",verdict=\"throttled\"}",
        "account_paused{account=\"other\",cause=\"rejections\"}",
        "answers_changed_total{survey=\"quick\"}",
        "submissions{state=\"dead\"}",
        "delivery_latency_seconds_count",
        "submissions_ignored_total{reason=\"rule\",survey=\"quality\"}",
        "submissions_dead_total{reason=\"unmapped\",survey=\"unknown\"}",
        "redeliveries_total{survey=\"quick\"}",
    ];
    for series in zero_from_the_start {
        assert_eq!(before.of(series), 0.0, "{series}");
    }

    test_env.plivo.fails(json!([{"status": 503, "times": 1}, {"status": 422, "times": 1}]));
    test_env.caller("busy-first").has_pressed("5");
    test_env.until_it_is("busy-first", "dead(rejected)");
    let ivr = test_env.caller("c-1").at("ivr");
    ivr.has_pressed("2");
    ivr.has_pressed("3");
    ivr.clone().asked("problem").has_pressed("1");
    test_env.until_it_is("c-1", "delivered");
    ivr.has_pressed("2");
    ivr.has_pressed("4");
    test_env.caller("five").has_pressed("5");
    test_env.until_it_is("five", "delivered");
    test_env.caller("silent").is_silent();
    test_env.until_it_is("silent", "ignored(no_answer)");
    test_env.caller("half").at("ivr").has_pressed("3");
    test_env.caller("forged").signed_with("not-the-token").presses("1").assert_status(401);
    test_env.caller("a.b").presses("1").assert_status(400);

    let figures = test_env.figures();
    for (series, value) in [
        ("webhooks_total{outcome=\"created\",source=\"ivr\"}", 2.0),
        // The second, different answer while it was open, and the problem.
        ("webhooks_total{outcome=\"updated\",source=\"ivr\"}", 2.0),
        ("webhooks_total{outcome=\"duplicate\",source=\"ivr\"}", 1.0),
        ("webhooks_total{outcome=\"late\",source=\"ivr\"}", 1.0),
        ("webhooks_total{outcome=\"created\",source=\"quick\"}", 3.0),
        ("webhooks_total{outcome=\"rejected\",source=\"quick\"}", 1.0),
        ("webhooks_total{outcome=\"malformed\",source=\"quick\"}", 1.0),
        ("webhook_rejections_total{reason=\"signature_mismatch\",source=\"quick\"}", 1.0),
        ("webhook_rejections_total{reason=\"malformed_call\",source=\"quick\"}", 1.0),
        ("webhook_duration_seconds_count{class=\"accepted\"}", 9.0),
        ("webhook_duration_seconds_count{class=\"rejected\"}", 2.0),
        ("webhook_duration_seconds_count{class=\"failed\"}", 0.0),
        ("webhook_last_accepted_timestamp_seconds{source=\"tenant\"}", 0.0),
        ("answers_changed_total{survey=\"quality\"}", 1.0),
        ("rating_count{survey=\"quality\"}", 1.0),
        ("rating_sum{survey=\"quality\"}", 2.0),
        ("rating_bucket{survey=\"quality\",le=\"1\"}", 0.0),
        ("rating_bucket{survey=\"quality\",le=\"2\"}", 1.0),
        ("rating_count{survey=\"quick\"}", 1.0),
        ("issues_total{issue=\"ECHO\",survey=\"quality\"}", 1.0),
        ("submissions_ignored_total{reason=\"no_answer\",survey=\"quick\"}", 1.0),
        ("submissions_dead_total{reason=\"rejected\",survey=\"quick\"}", 1.0),
        ("redeliveries_total{survey=\"quality\"}", 0.0),
        ("issues_total{issue=\"OTHERS\",survey=\"quick\"}", 0.0),
        ("attempts_total{account=\"main\",verdict=\"accepted\"}", 2.0),
        ("attempts_total{account=\"main\",verdict=\"throttled\"}", 1.0),
        ("attempts_total{account=\"main\",verdict=\"rejected\"}", 1.0),
        ("attempt_duration_seconds_count", 4.0),
        ("account_paused{account=\"main\",cause=\"account_rejected\"}", 0.0),
        ("delivery_concurrency_limit{account=\"other\"}", 8.0),
        ("delivery_latency_seconds_count", 2.0),
        ("deliveries_total{account=\"main\",result=\"on_time\"}", 2.0),
        ("deliveries_total{account=\"main\",result=\"missed\"}", 1.0),
        ("submissions{state=\"collecting\"}", 1.0),
        ("submissions{state=\"pending\"}", 0.0),
        ("submissions{state=\"delivered\"}", 2.0),
        ("submissions{state=\"ignored\"}", 1.0),
        ("submissions{state=\"dead\"}", 1.0),
        ("submissions{state=\"discarded\"}", 0.0),
        ("submissions_accepted_total", 5.0),
        ("store_writable", 1.0),
        ("store_commit_failures_total", 0.0),
        ("source_signature_info{scheme=\"v3\",source=\"quick\"}", 1.0),
        (concat!("build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(figures.of(series), value, "{series}");
    }
    assert!(figures.of("store_commit_group_size_count") > 10.0);
    assert!(figures.of("delivery_latency_seconds_sum") > 0.0);
    let last_accepted = figures.of("webhook_last_accepted_timestamp_seconds{source=\"quick\"}");
    assert!((jiff::Timestamp::now().as_second() as f64 - last_accepted).abs() < 600.0);
    let free = figures.of("store_filesystem_free_bytes");
    assert!(free > 0.0 && free <= figures.of("store_filesystem_bytes"));
    assert!(test_env.store.totals().balance());
}
