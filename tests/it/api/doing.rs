//! One submission, one call, one account.

use serde_json::{Value, json};

use crate::test_env::{SETTINGS, TestEnv};

/// Calls the question of `quick` as the IVR does.
fn with_the_question(settings: &str) -> String {
    settings.replace(
        "quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score }",
        "quick: { questions: [{ name: scoer, answers: 1-5 }], rating: { question: scoer }",
    )
}

/// Puts notes to what `quick` tells.
fn with_notes(settings: &str) -> String {
    settings.replace(
        "rating: { question: score }, complete",
        "rating: { question: score }, notes: mended, complete",
    )
}

fn dead_of_a_typo() -> TestEnv {
    let test_env = TestEnv::new();
    test_env.caller("c-1").asked("scoer").has_pressed("2");
    test_env.until_it_is("c-1", "dead(unmapped)");
    test_env
}

fn replay(test_env: &TestEnv, call: &str, how: &Value) -> crate::wire::Reply {
    test_env.post(&format!("/submissions/{}/replay", test_env.id_of(call)), how)
}

fn discard(test_env: &TestEnv, call: &str, reason: &str) -> crate::wire::Reply {
    let how = json!({ "reason": reason });
    test_env.post(&format!("/submissions/{}/discard", test_env.id_of(call)), &how)
}

#[test]
fn a_dead_submission_is_delivered_once_the_rules_are_mended_and_it_is_replayed() {
    let mut test_env = dead_of_a_typo();
    test_env.operator_rewrites(with_the_question);
    test_env.reload();

    let dry = replay(&test_env, "c-1", &json!({ "dry_run": true }));
    dry.assert_status(200);
    assert_eq!(dry.body["replayed"], 1);
    let difference = &dry.body["differences"][0];
    assert_eq!(
        difference["before"],
        json!({ "state": "dead", "reason": "unmapped", "feedback": null })
    );
    assert_eq!(difference["after"], json!({ "feedback": { "rating": 2, "issues": ["OTHERS"] } }));
    assert_eq!(difference["changed"], true);
    assert_eq!(test_env.store.submission("c-1").unwrap().state, "dead(unmapped)");

    replay(&test_env, "c-1", &json!({})).assert_status(200);
    test_env.until_it_is("c-1", "delivered");
    assert_eq!(test_env.plivo.heard_about("c-1")[0]["rating"], 2);
    let shown = test_env.got(&format!("/submissions/{}", test_env.id_of("c-1")));
    assert_eq!(shown["interventions"][0]["action"], "replay");
    assert_eq!(test_env.figures().of(r#"admin_actions_total{action="replay"}"#), 1.0);
}

#[test]
fn a_replay_that_would_change_nothing_says_so() {
    let test_env = dead_of_a_typo();
    let dry = replay(&test_env, "c-1", &json!({ "dry_run": true }));
    let difference = &dry.body["differences"][0];
    assert_eq!(difference["after"]["dead"], "unmapped");
    assert_eq!(difference["changed"], false);
}

#[test]
fn what_plivo_accepted_is_replayed_only_where_it_is_asked_for() {
    let mut test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("2");
    test_env.until_it_is("c-1", "delivered");
    let refused = replay(&test_env, "c-1", &json!({}));
    refused.assert_status(409);
    assert_eq!(refused.body["detail"], "Plivo has accepted it");
    replay(&test_env, "c-1", &json!({ "dry_run": true })).assert_status(409);

    test_env.operator_rewrites(with_notes);
    test_env.reload();
    let dry = replay(&test_env, "c-1", &json!({ "include_delivered": true, "dry_run": true }));
    let difference = &dry.body["differences"][0];
    assert_eq!(difference["before"]["feedback"], json!({ "rating": 2, "issues": ["OTHERS"] }));
    assert_eq!(difference["after"]["feedback"]["notes"], "mended");
    replay(&test_env, "c-1", &json!({ "include_delivered": true })).assert_status(200);
    test_env.until("it is told again", || test_env.plivo.heard_about("c-1").len() == 2);
    assert_eq!(test_env.plivo.heard_about("c-1")[1]["notes"], "mended");
}

#[test]
fn replay_of_the_same_payload_ignores_the_settings_in_force() {
    let mut test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("2");
    test_env.until_it_is("c-1", "delivered");
    test_env.operator_rewrites(with_notes);
    test_env.reload();
    let how = json!({ "include_delivered": true, "payload": "last" });
    let mut dry = how.clone();
    dry["dry_run"] = true.into();
    let dry = replay(&test_env, "c-1", &dry);
    assert_eq!(dry.body["differences"][0]["changed"], false);
    replay(&test_env, "c-1", &how).assert_status(200);
    test_env.until("it is told again", || test_env.plivo.heard_about("c-1").len() == 2);
    let heard = test_env.plivo.heard_about("c-1");
    assert_eq!(
        (&heard[1]["rating"], &heard[1]["notes"]),
        (&heard[0]["rating"], &heard[0]["notes"])
    );
    assert_eq!(test_env.figures().of(r#"admin_actions_total{action="replay_same_payload"}"#), 1.0);
}

#[test]
fn what_was_never_offered_cannot_be_offered_as_it_was() {
    let test_env = dead_of_a_typo();
    for dry_run in [true, false] {
        let refused = replay(&test_env, "c-1", &json!({ "payload": "last", "dry_run": dry_run }));
        refused.assert_status(409);
        assert!(refused.body["detail"].as_str().unwrap().contains("never offered"));
    }
}

#[test]
fn what_waits_is_not_replayed() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").at("ivr").has_pressed("2");
    for dry_run in [true, false] {
        let refused = replay(&test_env, "c-1", &json!({ "dry_run": dry_run }));
        refused.assert_status(409);
        assert!(refused.body["detail"].as_str().unwrap().contains("waits"));
    }
}

#[test]
fn what_is_given_up_says_why_and_stays_so() {
    let test_env = dead_of_a_typo();
    discard(&test_env, "c-1", " ").assert_status(400);
    discard(&test_env, "c-1", &"x".repeat(501)).assert_status(400);
    assert_eq!(discard(&test_env, "c-1", "a typo of the IVR").body["discarded"], 1);
    let shown = test_env.got(&format!("/submissions/{}", test_env.id_of("c-1")));
    assert_eq!(
        (&shown["state"], &shown["detail"]),
        (&"discarded".into(), &"a typo of the IVR".into())
    );
    assert_eq!(shown["interventions"][0]["action"], "discard");
    replay(&test_env, "c-1", &json!({})).assert_status(409);
    replay(&test_env, "c-1", &json!({ "dry_run": true })).assert_status(409);
    discard(&test_env, "c-1", "again").assert_status(409);
    assert!(test_env.store.totals().balance());
    assert_eq!(test_env.figures().of(r#"admin_actions_total{action="discard"}"#), 1.0);
}

#[test]
fn what_was_said_on_a_call_is_forgotten() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("2");
    test_env.until_it_is("c-1", "delivered");
    let id = test_env.id_of("c-1");
    assert_eq!(
        test_env.posted("/erase", &json!({ "call": "c-1" })),
        json!({ "erased": 1, "quarantined": 0 })
    );
    assert_eq!(test_env.got("/submissions?call=c-1")["submissions"], json!([]));
    let shown = test_env.got(&format!("/submissions/{id}"));
    assert_eq!((&shown["state"], &shown["call"]), (&"delivered".into(), &Value::Null));
    assert_eq!(
        (&shown["webhooks"], &shown["answers"], &shown["feedback"]),
        (&json!([]), &json!([]), &Value::Null)
    );
    assert!(shown["purged_at"].is_string());
    assert_eq!(
        test_env.posted("/erase", &json!({ "call": "c-1" })),
        json!({ "erased": 0, "quarantined": 0 })
    );
    test_env.post("/erase", &json!({ "call": "c/1" })).assert_status(400);
    assert!(test_env.store.totals().balance());
}

#[test]
fn an_account_is_held_and_resumed() {
    let test_env = TestEnv::new();
    let held = test_env.posted("/accounts/main/pause", &json!({ "reason": "the rules are wrong" }));
    assert_eq!((&held["account"], &held["pause"]["cause"]), (&"main".into(), &"operator".into()));
    assert_eq!(held["pause"]["detail"], "the rules are wrong");
    test_env.caller("c-1").has_pressed("5");
    test_env.caller("t-1").at("tenant").has_pressed("5");
    test_env.until_it_is("t-1", "delivered");
    assert_eq!(test_env.store.submission("c-1").unwrap().state, "pending");
    assert_eq!(test_env.store.submission("c-1").unwrap().attempts, Vec::<String>::new());

    let resumed = test_env.posted("/accounts/main/resume", &json!({}));
    assert_eq!(resumed, json!({ "account": "main", "was_paused": true }));
    test_env.until_it_is("c-1", "delivered");
    assert_eq!(test_env.posted("/accounts/main/resume", &json!({}))["was_paused"], false);
    let figures = test_env.figures();
    assert_eq!(figures.of(r#"admin_actions_total{action="pause"}"#), 1.0);
    assert_eq!(figures.of(r#"admin_actions_total{action="resume"}"#), 1.0);
}

#[test]
fn an_account_that_nobody_knows_is_not_held() {
    let test_env = TestEnv::new();
    for unknown in ["nobody", "NOBODY", "a%20b"] {
        let hold = test_env.post(&format!("/accounts/{unknown}/pause"), &json!({ "reason": "x" }));
        hold.assert_status(404);
        test_env.post(&format!("/accounts/{unknown}/resume"), &json!({})).assert_status(404);
    }
    assert_eq!(test_env.store.pauses(), []);
}

#[test]
fn what_is_sent_wrongly_is_refused_by_its_name() {
    let test_env = dead_of_a_typo();
    let replay = format!("/submissions/{}/replay", test_env.id_of("c-1"));
    for (path, body, said) in [
        (
            &*replay,
            json!({ "dry": true }),
            "unknown field `dry`, expected one of `payload`, `include_delivered`, `dry_run`",
        ),
        (
            &*replay,
            json!({ "payload": "old" }),
            "unknown variant `old`, expected `remapped` or `last`",
        ),
        ("/replay", json!({ "search": { "stat": "dead" } }), "unknown field `stat`"),
        ("/replay", json!({ "limit": 0 }), "limit: expected 1 to 200"),
        ("/discard", json!({ "search": {} }), "missing field `reason`"),
        ("/discard", json!({ "search": {}, "reason": "r" }), "search.state: say the state"),
        ("/erase", json!({}), "missing field `call`"),
        ("/replay", json!([]), "invalid type: sequence, expected an object"),
        ("/replay", json!({ "search": [] }), "invalid type: sequence, expected an object"),
        ("/accounts/main/resume", json!({ "x": 1 }), "unknown field `x`"),
    ] {
        let reply = test_env.post(path, &body);
        reply.assert_status(400);
        let detail = reply.body["detail"].as_str().unwrap();
        assert!(detail.starts_with(said), "{path}: {detail}");
    }
    assert_eq!(test_env.store.submission("c-1").unwrap().state, "dead(unmapped)");
}

#[test]
fn whatever_is_done_is_logged_with_who_did_it_and_without_what_was_said() {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.serve_as_process();
    test_env.caller("c-secret").asked("scoer").has_pressed("2");
    test_env.until_it_is("c-secret", "dead(unmapped)");
    replay(&test_env, "c-secret", &json!({})).assert_status(200);
    let line = test_env.process().wait_for("operator action");
    assert_eq!((&line["action"], &line["span"]["by"]), (&"replay".into(), &"loopback".into()));
    assert_eq!(line["submission"], test_env.id_of("c-secret"));
    test_env.until_it_is("c-secret", "dead(unmapped)");
    test_env.posted("/erase", &json!({ "call": "c-secret" }));
    let line = test_env.process().wait_for("operator action");
    assert_eq!((&line["action"], &line["times"]), (&"erase".into(), &1.into()));
    let pause = json!({ "reason": "Plivo asked from 14155550123" });
    test_env.posted("/accounts/main/pause", &pause);
    let line = test_env.process().wait_for("operator action");
    assert_eq!((&line["action"], &line["account"]), (&"pause".into(), &"main".into()));
    assert_eq!(line["detail"], "Plivo asked from *********23");
    test_env.process().signal("TERM");
    let ended = test_env.until_the_process_ends();
    // What became of a submission is logged with its call, what an operator does without, and nothing
    // with what was said.
    let mut by_operator = ended.stdout.lines().filter(|line| line.contains("operator action"));
    assert!(by_operator.all(|line| !line.contains("c-secret")), "{}", ended.stdout);
    assert!(!ended.stdout.contains("scoer"), "{}", ended.stdout);
}
