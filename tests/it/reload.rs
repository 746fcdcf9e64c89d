//! Other settings while the service runs: all of them at once, or none.

use std::time::Duration;

use serde_json::json;

use crate::wire::Connection;
use crate::world::{Rounds, SETTINGS, World};

const NEW_SURVEY: &str = "surveys:
  fresh: { questions: [{ name: score, answers: 1-5 }], rating: { of: score }, notes: fresh, complete: { after: 0s } }";

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

fn without_the_tenant(settings: &str) -> String {
    let goes = |line: &&str| line.starts_with("  tenant:") || line.starts_with("  other:");
    settings.lines().filter(|line| !goes(line)).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_source_a_survey_and_an_account_come_in_while_it_runs() {
    let mut world = World::new();
    let hash = |world: &World| {
        let page = world.ask("/metrics").text;
        let hashes: Vec<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("postcall_settings_info{hash=\""))
            .map(str::to_owned)
            .collect();
        assert_eq!(hashes.len(), 1, "one is in force");
        hashes[0].clone()
    };
    let before = hash(&world);
    world.caller("c-1").at("fresh").presses("2").assert_status(404);

    world.operator_rewrites(with_a_fresh_source);
    world.reload();
    let figures = world.figures();
    assert_eq!(figures.of(r#"settings_reloads_total{result="applied"}"#), 1.0);
    assert_eq!(figures.of("settings_last_reload_successful"), 1.0);
    assert_eq!(figures.of(r#"hooks_total{outcome="new",source="fresh"}"#), 0.0);
    assert_eq!(figures.of(r#"attempts_total{account="fresh",verdict="accepted"}"#), 0.0);
    assert_eq!(figures.of(r#"source_signature_info{scheme="v3",source="fresh"}"#), 1.0);
    assert_ne!(hash(&world), before);

    world.caller("c-1").at("fresh").has_pressed("2");
    world.until_it_is("c-1", "delivered");
    assert_eq!(world.plivo.heard_about("c-1")[0]["notes"], "fresh");
    let figures = world.figures();
    assert_eq!(figures.of(r#"hooks_total{outcome="new",source="fresh"}"#), 1.0);
    assert_eq!(figures.of(r#"attempts_total{account="fresh",verdict="accepted"}"#), 1.0);
}

#[test]
fn a_source_and_an_account_go_while_it_runs_and_what_they_counted_stays() {
    let mut world = World::new();
    world.caller("t-1").at("tenant").has_pressed("4");
    world.until_it_is("t-1", "delivered");

    world.operator_rewrites(without_the_tenant);
    world.reload();
    world.caller("t-2").at("tenant").presses("4").assert_status(404);
    let figures = world.figures();
    assert_eq!(figures.of(r#"hooks_total{outcome="new",source="tenant"}"#), 1.0);
    assert_eq!(figures.of(r#"hooks_total{outcome="unknown_source",source="unknown"}"#), 1.0);
    for stated in [
        r#"source_signature_info{scheme="v3",source="tenant"}"#,
        r#"account_held{account="other",cause="misconfigured"}"#,
        r#"delivery_limit{account="other"}"#,
    ] {
        assert!(!figures.has(stated), "{stated}");
    }
    world.caller("c-1").has_pressed("5");
    world.until_it_is("c-1", "delivered");
}

#[test]
fn what_waits_for_an_account_that_is_gone_is_dead_and_not_lost() {
    let mut world = World::new();
    world.plivo.fails(json!([{ "status": 503 }]));
    world.caller("t-1").at("tenant").has_pressed("4");
    world.until("it was tried", || world.plivo.requests() > 0);
    world.operator_rewrites(without_the_tenant);
    world.reload();
    let dead = world.until_it_is("t-1", "dead(unmapped)");
    assert_eq!(dead.detail.as_deref(), Some("the settings have no account other"));
}

#[test]
fn a_hook_that_is_still_arriving_when_its_source_goes_is_kept_and_counted() {
    let mut world = World::new();
    let callback = world.caller("t-1").at("tenant").callback("4");
    let mut connection = Connection::open(world.public());
    let length = callback.body.len().to_string();
    let more = [("content-length", length.as_str()), ("expect", "100-continue")];
    connection.send(&callback.head(&more));
    assert_eq!(connection.reply().expect("it is at its desk").status, 100);
    world.operator_rewrites(without_the_tenant);
    world.reload();
    connection.send(&callback.body);
    let reply = connection.reply().expect("an answer");
    reply.assert_status(200);
    assert_eq!(reply.header("postcall-outcome"), Some("new"));
    world.until_it_is("t-1", "pending");
    assert_eq!(world.figures().of(r#"hooks_total{outcome="new",source="tenant"}"#), 1.0);
}

#[test]
fn settings_at_fault_change_nothing_until_they_are_mended() {
    let mut world = World::new();
    world.operator_rewrites(|settings| {
        with_a_fresh_source(settings).replace("rating: { of: score }", "rating: { of: nobody }")
    });
    world.reload();
    let figures = world.figures();
    assert_eq!(figures.of(r#"settings_reloads_total{result="refused"}"#), 1.0);
    assert_eq!(figures.of("settings_last_reload_successful"), 0.0);
    assert!(!figures.has(r#"hooks_total{outcome="new",source="fresh"}"#));
    world.caller("c-1").at("fresh").presses("2").assert_status(404);
    world.caller("c-2").has_pressed("2");
    world.until_it_is("c-2", "delivered");

    world.operator_rewrites(|_| SETTINGS.to_owned());
    world.reload();
    let figures = world.figures();
    assert_eq!(figures.of(r#"settings_reloads_total{result="unchanged"}"#), 1.0);
    assert_eq!(figures.of("settings_last_reload_successful"), 1.0);
}

#[test]
fn a_secret_in_the_settings_is_a_change_though_the_hash_does_not_show_it() {
    let mut world = World::new();
    world.operator_rewrites(|settings| settings.replace("the-token-that-plivo-knows", "another"));
    world.reload();
    assert_eq!(world.figures().of(r#"settings_reloads_total{result="applied"}"#), 1.0);
    let tenant = |call| world.caller(call).at("tenant");
    tenant("t-1").presses("4").assert_status(401);
    tenant("t-2").signed_with("another").has_pressed("4");
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
    let mut world = World::of(SETTINGS);
    world.serve_as_process();
    let refused = "the settings were not reloaded, the old ones stay in force";

    world.operator_rewrites(|settings| settings.replace("of: problem", "of: nobody"));
    world.reload();
    let fault = world.process().wait_for(refused);
    assert_eq!(fault["level"], "ERROR");
    let fault = fault["fault"].as_str().unwrap();
    let line = 1 + SETTINGS.lines().position(|line| line.contains("of: problem")).unwrap();
    let place = format!("settings.yaml:{line}: surveys.quality.issues.of: ");
    assert!(fault.contains(&place), "{fault}");

    world.operator_rewrites(|_| SETTINGS.replace("delay: 0s", "delay: 0s, lease: 61s"));
    world.operator_rewrites(|settings| settings.replace("ledger.db\"", "other.db\", queue: 5"));
    world.reload();
    let told = world.process().wait_for(
        "the settings were not reloaded, the old ones stay in force: these keys cannot change \
         while the service runs; restart it, or set them back",
    );
    assert_eq!(told["keys"], "store.url, store.queue, delivery.lease");

    world.operator_rewrites(|_| with_a_fresh_source(SETTINGS));
    world.reload();
    world.process().wait_for("the settings were reloaded");
    world.operator_rewrites(|settings| settings.to_owned() + "logs: { filter: debug }");
    world.reload();
    world.caller("c-0").at("fresh").signed_with("no-token").presses("2").assert_status(401);
    assert_eq!(
        world
            .process()
            .wait_for("a webhook was refused: the signature is refused: it does not match")["level"],
        "DEBUG"
    );
    world.caller("c-1").at("fresh").has_pressed("2");
    world.until_it_is("c-1", "delivered");
    world.process().signal("TERM");
    assert_eq!(world.until_the_process_ends().status.code(), Some(0));
}

#[test]
fn a_process_notices_a_file_that_was_swapped() {
    let mut world = World::of(SETTINGS);
    world.serve_as_process();
    world.operator_rewrites(with_a_fresh_source);
    let applied = |world: &World| world.figures().of(r#"settings_reloads_total{result="applied"}"#);
    world.until("the new settings are in force", || applied(&world) == 1.0);
    world.caller("c-1").at("fresh").has_pressed("2");
}

#[test]
fn a_refused_settings_file_is_no_crash_loop_at_the_next_restart() {
    // A secret in the text would not be kept.
    let settings = SETTINGS.replace(
        "auth_token: { value: the-token-that-plivo-knows }",
        "auth_token: { file: \"@folder@/token\" }",
    );
    let mut world = World::of(&settings);
    world.serve_as_process();
    world.operator_rewrites(|settings| settings.replace("of: problem", "of: nobody"));
    world.reload();
    world.process().wait_for("the settings were not reloaded, the old ones stay in force");
    world.process().signal("TERM");
    assert!(world.until_the_process_ends().status.success());

    let strict = world.postcall(&["serve", "--strict"]).output().unwrap();
    assert_eq!(strict.status.code(), Some(78));
    let told = String::from_utf8(strict.stderr).unwrap();
    assert!(told.contains("surveys.quality.issues.of"), "{told}");

    world.serve_as_process();
    let stale = "the settings file is refused: serving with the settings that were accepted last";
    let told = world.process().said_first.iter().find(|line| line["message"] == stale);
    let told = told.expect("it is said loudly");
    assert_eq!(told["level"], "ERROR");
    assert!(told["fault"].as_str().unwrap().contains("surveys.quality.issues.of"), "{told}");
    assert_eq!(world.figures().of("settings_stale"), 1.0);
    assert!(world.is_ready());
    world.caller("c-1").has_pressed("5");
    world.until_it_is("c-1", "delivered");

    world.operator_rewrites(|settings| settings.replace("of: nobody", "of: problem"));
    world.reload();
    world.until("the file is in force", || world.figures().of("settings_stale") == 0.0);
    world.process().signal("TERM");
    assert!(world.until_the_process_ends().status.success());
}
