//! From the callers to Plivo through the whole service, while it is started, stopped and troubled.

use std::net::TcpStream;

use serde_json::json;

use crate::world::World;

#[test]
fn what_a_caller_pressed_is_what_plivo_hears() {
    let world = World::new();
    let caller = world.caller("c-1").at("ivr");
    let thanks = caller.presses("2");
    thanks.assert_status(200);
    assert_eq!(thanks.text, "<Response><Speak>Thank you.</Speak></Response>");
    assert_eq!(thanks.header("content-type"), Some("application/xml"));
    assert_eq!(thanks.header("postcall-outcome"), Some("new"));
    let added = caller.clone().asked("problem").presses("1");
    assert_eq!(added.header("postcall-outcome"), Some("added"));
    assert_eq!(added.header("postcall-submission"), thanks.header("postcall-submission"));

    let submission = world.until_it_is("c-1", "delivered");
    assert_eq!(submission.attempts, ["accepted"]);
    let heard = world.plivo.heard_about("c-1");
    assert_eq!(heard.len(), 1);
    assert_eq!(heard[0]["rating"], 2);
    assert_eq!(heard[0]["issues"], json!(["ECHO"]));
    assert_eq!(heard[0]["notes"], "IVR survey: 2 of 5");
    assert_eq!(heard[0]["auth_id"], crate::world::AUTH_ID);

    let again = caller.presses("2");
    assert_eq!(again.header("postcall-outcome"), Some("repeat"));
    assert_eq!(again.header("postcall-submission"), thanks.header("postcall-submission"));
    let late = caller.presses("3");
    assert_eq!(late.header("postcall-outcome"), Some("late"));
    late.assert_status(200);
    assert_eq!(world.plivo.requests(), 1);
}

#[test]
fn two_tenants_that_share_a_survey_never_touch_each_others_calls() {
    let world = World::new();
    world.caller("c-1").has_pressed("1");
    let other = world.caller("c-1").at("tenant").presses("5");
    assert_eq!(other.header("postcall-outcome"), Some("new"));
    world.until("both are delivered", || world.ledger.totals().delivered == 2);
}

#[test]
fn an_account_with_a_stale_token_waits_until_the_operator_writes_the_new_one() {
    let mut world = World::of(crate::world::SETTINGS);
    world.operator_writes_the_token("the-token-of-yesterday");
    world.start();
    for n in 0..20 {
        let caller = world.caller(&format!("c-{n}"));
        caller.signed_with("the-token-of-yesterday").has_pressed("3");
        if n == 0 {
            world.until("the account is held", || is_held(&world));
        }
    }
    world.caller("t-1").at("tenant").has_pressed("4");
    world.until_it_is("t-1", "delivered");
    let totals = world.ledger.totals();
    assert_eq!((totals.delivered, totals.dead), (1, 0));
    assert_eq!(world.ledger.pauses()[0].status, Some(401));
    assert!(world.is_ready(), "what Plivo thinks of us is no reason to refuse callers");

    world.restart();
    world.until("it is held after a restart too", || is_held(&world));
    world.operator_writes_the_token(crate::world::TOKEN);
    world.until("all are delivered", || world.ledger.totals().delivered == 21);
    world.until("the gauge follows", || !is_held(&world));
    assert!(world.ledger.pauses().is_empty());
    assert!(world.ledger.submissions().iter().all(|it| it.document.attempts_spent == 1));
    // Callers are believed by the new token from the moment it was read.
    world.caller("c-new").has_pressed("5");
    world.caller("c-old").signed_with("the-token-of-yesterday").presses("5").assert_status(401);
}

#[test]
fn a_token_that_was_rotated_in_its_file_shuts_nobody_out() {
    let mut world = World::of(crate::world::SETTINGS);
    world.operator_writes_the_token("the-token-of-yesterday");
    world.start();
    world.caller("c-1").presses("4").assert_status(401);
    // Nothing waits for delivery, so Plivo cannot tell that the token is an old one.
    world.operator_writes_the_token(crate::world::TOKEN);
    world.until("the new token is believed", || world.caller("c-1").presses("4").status == 200);
    world.until_it_is("c-1", "delivered");
}

fn is_held(world: &World) -> bool {
    world.figures().of("account_held{account=\"main\",cause=\"misconfigured\"}") == 1.0
}

#[test]
fn plivo_may_be_down_for_as_long_as_it_likes() {
    let world = World::new();
    world.plivo.fails(json!([
        {"status": 503, "times": 3}, {"reset": "before", "times": 1}, {"status": 404, "times": 1},
        {"status": 429, "retry_after": "0", "times": 2}
    ]));
    for n in 0..5 {
        world.caller(&format!("c-{n}")).has_pressed("4");
    }
    world.until("all are delivered", || world.ledger.totals().delivered == 5);
    assert_eq!(world.plivo.summary()["distinct_calls"], 5);
    assert_eq!(world.plivo.summary()["accepted"], 5);
}

#[test]
fn going_down_finishes_what_is_in_flight() {
    let mut world = World::new();
    world.plivo.fails(json!([{"delay_ms": 300}]));
    for n in 0..3 {
        world.caller(&format!("c-{n}")).has_pressed("4");
    }
    world.until("all are in flight", || world.plivo.requests() == 3);
    let public = world.public();
    world.stop();
    assert_eq!(world.ledger.totals().delivered, 3);
    assert!(TcpStream::connect(public).is_err());
}

#[test]
fn what_takes_longer_than_the_end_may_is_found_at_the_next_start() {
    let mut world = World::with(&[("SHUTDOWN__DEADLINE", "50ms")]);
    world.plivo.fails(json!([{"delay_ms": 600_000, "times": 1}]));
    world.caller("c-1").has_pressed("4");
    world.until("it is in flight", || world.plivo.requests() == 1);
    world.stop();
    assert_eq!(world.ledger.submission("c-1").unwrap().attempts, ["under way"]);
    world.start();
    let submission = world.until_it_is("c-1", "delivered");
    assert_eq!(submission.attempts, ["unknown_result", "accepted"]);
}

#[test]
fn a_restart_in_between_loses_nothing() {
    let mut world = World::new();
    world.plivo.fails(json!([{"status": 503}]));
    for n in 0..10 {
        world.caller(&format!("c-{n}")).has_pressed("4");
        world.caller(&format!("half-{n}")).at("ivr").has_pressed("4");
    }
    world.restart();
    let added = world.caller("half-0").at("ivr").asked("problem").presses("2");
    assert_eq!(added.header("postcall-outcome"), Some("added"));
    assert_eq!(world.caller("c-0").presses("4").header("postcall-outcome"), Some("repeat"));
    world.plivo.is_well();
    world.until("what is complete is delivered", || world.ledger.totals().delivered == 11);
    assert_eq!(world.ledger.totals().collecting, 9);
    assert_eq!(world.plivo.heard_about("half-0")[0]["issues"], json!(["ONE_WAY_AUDIO"]));
    let figures = world.figures();
    assert_eq!(figures.of("submissions_accepted"), 20.0);
}

#[test]
fn a_result_waits_for_a_ledger_that_refuses_and_is_told_once() {
    let world = World::new();
    world.ledger.refuses_results();
    world.caller("c-1").has_pressed("4");
    world.until("its result waits", || world.figures().of("settles_waiting") == 1.0);
    assert_eq!(world.figures().of("rating_count{survey=\"quick\"}"), 0.0);
    world.ledger.takes_writes();
    let submission = world.until_it_is("c-1", "delivered");
    assert_eq!(submission.attempts, ["accepted"]);
    assert_eq!(world.plivo.heard_about("c-1").len(), 1);
    world.until("the gauge follows", || world.figures().of("settles_waiting") == 0.0);
    assert_eq!(world.figures().of("rating_count{survey=\"quick\"}"), 1.0);
}

#[test]
fn a_result_that_could_not_be_written_before_the_end_is_an_unknown_one() {
    let mut world = World::with(&[("SHUTDOWN__DEADLINE", "50ms")]);
    world.ledger.refuses_results();
    world.caller("c-1").has_pressed("4");
    world.until("its result waits", || world.figures().of("settles_waiting") == 1.0);
    world.stop();
    world.ledger.takes_writes();
    world.start();
    let submission = world.until_it_is("c-1", "delivered");
    assert_eq!(submission.attempts, ["unknown_result", "accepted"]);
}

#[test]
fn every_figure_that_should_move_has_moved() {
    let world = World::new();
    let before = world.figures();
    let zero_from_the_start = [
        "hooks_total{outcome=\"new\",source=\"ivr\"}",
        "hook_refusals_total{reason=\"signature_mismatch\",source=\"quick\"}",
        "rating_count{survey=\"quality\"}",
        "issues_total{issue=\"ECHO\",survey=\"quality\"}",
        "attempts_total{account=\"main\",verdict=\"busy\"}",
        "account_held{account=\"other\",cause=\"refusals\"}",
        "answers_changed_total{survey=\"quick\"}",
        "submissions{state=\"dead\"}",
        "delivery_latency_seconds_count",
        "submissions_ignored_total{reason=\"rule\",survey=\"quality\"}",
        "submissions_dead_total{reason=\"unmapped\",survey=\"unknown\"}",
        "submissions_resent_total{survey=\"quick\"}",
    ];
    for series in zero_from_the_start {
        assert_eq!(before.of(series), 0.0, "{series}");
    }

    world.plivo.fails(json!([{"status": 503, "times": 1}, {"status": 422, "times": 1}]));
    world.caller("busy-first").has_pressed("5");
    world.until_it_is("busy-first", "dead(refused)");
    let ivr = world.caller("c-1").at("ivr");
    ivr.has_pressed("2");
    ivr.has_pressed("3");
    ivr.clone().asked("problem").has_pressed("1");
    world.until_it_is("c-1", "delivered");
    ivr.has_pressed("2");
    ivr.has_pressed("4");
    world.caller("five").has_pressed("5");
    world.until_it_is("five", "delivered");
    world.caller("silent").is_silent();
    world.until_it_is("silent", "ignored(no_answer)");
    world.caller("half").at("ivr").has_pressed("3");
    world.caller("forged").signed_with("not-the-token").presses("1").assert_status(401);
    world.caller("a.b").presses("1").assert_status(400);

    let figures = world.figures();
    for (series, value) in [
        ("hooks_total{outcome=\"new\",source=\"ivr\"}", 2.0),
        // The second, different answer while it was open, and the problem.
        ("hooks_total{outcome=\"added\",source=\"ivr\"}", 2.0),
        ("hooks_total{outcome=\"repeat\",source=\"ivr\"}", 1.0),
        ("hooks_total{outcome=\"late\",source=\"ivr\"}", 1.0),
        ("hooks_total{outcome=\"new\",source=\"quick\"}", 3.0),
        ("hooks_total{outcome=\"refused\",source=\"quick\"}", 1.0),
        ("hooks_total{outcome=\"unreadable\",source=\"quick\"}", 1.0),
        ("hook_refusals_total{reason=\"signature_mismatch\",source=\"quick\"}", 1.0),
        ("hook_refusals_total{reason=\"malformed_call\",source=\"quick\"}", 1.0),
        ("hook_duration_seconds_count", 11.0),
        ("answers_changed_total{survey=\"quality\"}", 1.0),
        ("rating_count{survey=\"quality\"}", 1.0),
        ("rating_sum{survey=\"quality\"}", 2.0),
        ("rating_bucket{survey=\"quality\",le=\"1\"}", 0.0),
        ("rating_bucket{survey=\"quality\",le=\"2\"}", 1.0),
        ("rating_count{survey=\"quick\"}", 1.0),
        ("issues_total{issue=\"ECHO\",survey=\"quality\"}", 1.0),
        ("submissions_ignored_total{reason=\"no_answer\",survey=\"quick\"}", 1.0),
        ("submissions_dead_total{reason=\"refused\",survey=\"quick\"}", 1.0),
        ("submissions_resent_total{survey=\"quality\"}", 0.0),
        ("issues_total{issue=\"OTHERS\",survey=\"quick\"}", 0.0),
        ("attempts_total{account=\"main\",verdict=\"accepted\"}", 2.0),
        ("attempts_total{account=\"main\",verdict=\"busy\"}", 1.0),
        ("attempts_total{account=\"main\",verdict=\"refused\"}", 1.0),
        ("attempt_duration_seconds_count", 4.0),
        ("account_held{account=\"main\",cause=\"misconfigured\"}", 0.0),
        ("delivery_limit{account=\"other\"}", 8.0),
        ("delivery_latency_seconds_count", 2.0),
        ("submissions{state=\"collecting\"}", 1.0),
        ("submissions{state=\"pending\"}", 0.0),
        ("submissions{state=\"delivered\"}", 2.0),
        ("submissions{state=\"ignored\"}", 1.0),
        ("submissions{state=\"dead\"}", 1.0),
        ("submissions{state=\"discarded\"}", 0.0),
        ("submissions_accepted", 5.0),
        ("ledger_writable", 1.0),
        ("commit_failures_total", 0.0),
        ("source_signature_info{scheme=\"v3\",source=\"quick\"}", 1.0),
        (concat!("build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ] {
        assert_eq!(figures.of(series), value, "{series}");
    }
    assert!(figures.of("commit_group_size_count") > 10.0);
    assert!(figures.of("delivery_latency_seconds_sum") > 0.0);
    assert!(world.ledger.totals().balance());
}
