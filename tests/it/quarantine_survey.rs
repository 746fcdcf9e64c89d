//! The survey of a quarantined webhook: the one that its source had when it arrived. An edit that lists the
//! new secret and gives the source another survey or account rates no earlier answer by it.

use std::time::Duration;

use jiff::Timestamp;
use postcall::clock::Clock;
use serde_json::{Value, json};

use crate::quarantine::{
    CALLS, OLD_TOKEN, arrivals, assert_all_are_received, count, event, prints,
    rotated_at_the_sender,
};
use crate::test_env::{SETTINGS, TOKEN, TestEnv};

const QUICK: &str = "quick: { preset: plivo, account: main, survey: quick }";
const OTHER_SURVEY: &str = "quick: { preset: plivo, account: main, survey: quality }";
const OTHER_ACCOUNT: &str = "quick: { preset: plivo, account: other, survey: quick }";

fn source_changed() -> Value {
    json!({"accepted": 0, "rejected": 0, "waiting": 0, "source_changed": CALLS})
}

/// The edit that lists the new token gives the source another survey or account.
fn edited(edit: &str) -> TestEnv {
    let mut test_env = rotated_at_the_sender(SETTINGS);
    test_env.operator_writes_the_token(TOKEN);
    test_env.operator_rewrites(|settings| settings.replace(QUICK, edit));
    test_env.reload();
    test_env
}

#[track_caller]
fn assert_none_is_received(test_env: &TestEnv) {
    for _ in 0..2 {
        assert_eq!(prints(test_env, &["quarantine", "retry"]), [source_changed()]);
    }
    assert_eq!(count(test_env, "SELECT count(*) FROM submissions"), 0);
    assert_eq!(event(test_env, "accepted"), 0.0);
    assert_eq!(event(test_env, "source_changed"), CALLS as f64, "each is counted once");
    let listed = prints(test_env, &["quarantine"]);
    assert_eq!(listed.len(), CALLS);
    for webhook in &listed {
        assert_eq!(webhook["account"], "main");
        assert_eq!(webhook["survey"], "quick");
        assert_eq!(webhook["reason"], "source_changed");
    }
}

#[test]
fn a_quarantined_webhook_is_not_rated_by_the_survey_of_a_later_edit() {
    let mut test_env = edited(OTHER_SURVEY);
    assert_none_is_received(&test_env);
    let arrivals = arrivals(&prints(&test_env, &["quarantine"]));
    test_env.operator_rewrites(|settings| settings.replace(OTHER_SURVEY, QUICK));
    test_env.reload();
    assert_all_are_received(&test_env, &arrivals);
    assert_eq!(count(&test_env, "SELECT count(*) FROM submissions WHERE survey = 'quick'"), 20);
}

#[test]
fn a_quarantined_webhook_is_not_sent_to_the_account_of_a_later_edit() {
    assert_none_is_received(&edited(OTHER_ACCOUNT));
}

#[test]
fn the_survey_of_a_quarantined_webhook_survives_a_restart() {
    let mut test_env = rotated_at_the_sender(SETTINGS);
    test_env.stop();
    test_env.operator_writes_the_token(TOKEN);
    test_env.operator_rewrites(|settings| settings.replace(QUICK, OTHER_SURVEY));
    test_env.start();
    test_env.until("all are verified", || event(&test_env, "source_changed") == CALLS as f64);
    assert_none_is_received(&test_env);
}

#[test]
fn an_operator_receives_quarantined_webhooks_under_the_current_survey() {
    let mut test_env = edited(&OTHER_SURVEY.replace("account: main", "account: other"));
    assert_none_is_received(&test_env);
    let service = format!("http://{}", test_env.private());
    let mut retry = test_env.postcall(&["quarantine", "retry", "--admin-url", &service]);
    let printed = String::from_utf8(retry.output().unwrap().stdout).unwrap();
    assert!(printed.contains("source changed: 20"), "{printed}");
    assert!(printed.contains("--current-survey"), "{printed}");
    let shown = ["quarantine", "show", "--admin-url", &service];
    let id = prints(&test_env, &["quarantine"])[0]["id"].as_str().unwrap().to_owned();
    let shown = test_env.postcall(&[&shown[..], &[&id]].concat()).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    for line in ["account   main", "survey    quick", "reason    source_changed"] {
        assert!(shown.contains(line), "{shown}");
    }

    let accepted = json!({"accepted": CALLS, "rejected": 0, "waiting": 0, "source_changed": 0});
    let retry = ["quarantine", "retry", "--source", "quick", "--current-survey"];
    assert_eq!(prints(&test_env, &retry), [accepted]);
    let under = "SELECT count(*) FROM submissions WHERE survey = 'quality' AND account = 'other'";
    assert_eq!(count(&test_env, under), CALLS as i64);
    assert!(prints(&test_env, &["quarantine"]).is_empty());
    test_env.stop();
}

/// A survey that keeps its name is the same survey: what waits is mapped as it is when it is due, be it
/// a submission or quarantined.
#[test]
fn a_quarantined_webhook_is_rated_by_the_same_scale_as_a_submission_that_waits() {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.operator_writes_the_token(OLD_TOKEN);
    test_env.start();
    let presses = |test_env: &TestEnv, call: &str, question: &str, digits: &str, token: &str| {
        let caller = test_env.caller(call).at("ivr").asked(question).signed_with(token);
        caller.presses(digits).status
    };
    assert_eq!(presses(&test_env, "waits", "score", "2", OLD_TOKEN), 200);
    assert_eq!(presses(&test_env, "quarantined", "score", "2", TOKEN), 401);
    test_env.operator_rewrites(|settings| {
        let reversed = "rating: { question: score, scale: { from: [5, 1] } }\n    issues:";
        settings.replace("rating: { question: score }\n    issues:", reversed)
    });
    test_env.operator_writes_the_token(TOKEN);
    test_env.reload();
    for call in ["waits", "quarantined"] {
        test_env.until("it is received", || test_env.store.submission(call).is_some());
        assert_eq!(presses(&test_env, call, "problem", "1", TOKEN), 200);
        test_env.until_it_is(call, "delivered");
        assert_eq!(test_env.plivo.heard_about(call)[0]["rating"], 4, "{call}");
    }
}

/// By the clock of the service the edit comes half a minute after the rotation.
#[test]
fn a_token_that_is_listed_30_seconds_after_its_rotation_loses_no_webhook() {
    let clock = Clock::manual(Timestamp::now());
    let mut test_env = TestEnv::of(SETTINGS).with_clock(&clock);
    // Deliveries of all calls may begin at once, as no time passes.
    test_env.set(&[("DELIVERY__RATE", "200")]);
    test_env.operator_writes_the_token(OLD_TOKEN);
    test_env.start();
    for n in 0..CALLS {
        test_env.caller(&format!("c-{n}")).presses("4").assert_status(401);
        clock.advance(Duration::from_millis(100));
    }
    let listed = arrivals(&prints(&test_env, &["quarantine"]));
    assert_eq!(listed.len(), CALLS);
    clock.advance(Duration::from_secs(30));
    test_env.operator_writes_the_token(TOKEN);
    assert_all_are_received(&test_env, &listed);
    assert_eq!(event(&test_env, "accepted"), CALLS as f64);
}

#[test]
fn a_quarantined_webhook_expires_an_hour_after_its_arrival() {
    let clock = Clock::manual(Timestamp::now());
    let mut test_env = TestEnv::of(SETTINGS).with_clock(&clock);
    test_env.start();
    for call in ["c-1", "c-2"] {
        test_env.caller(call).signed_with("forged").presses("1").assert_status(401);
        clock.advance(Duration::from_secs(30));
    }
    clock.advance(Duration::from_secs(3600 - 60));
    test_env.until("the first expires", || event(&test_env, "expired") == 1.0);
    assert_eq!(prints(&test_env, &["quarantine"]).len(), 1);
    let states: Vec<Value> =
        prints(&test_env, &["rejections"]).iter().map(|it| it["quarantine"].clone()).collect();
    assert_eq!(states, ["quarantined", "expired"]);
}
