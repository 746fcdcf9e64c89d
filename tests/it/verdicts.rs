//! What follows from each answer of Plivo's, by the clock: the waits are the defaults, and no test
//! waits for them.

use std::time::Duration;

use jiff::Timestamp;
use postcall::telemetry::WebhookOutcome;
use serde_json::{Value, json};

use crate::test_env::Rounds;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// The longest wait between two attempts.
const LONGEST: Duration = Duration::from_secs(600);

#[test]
fn each_answer_has_its_consequence() {
    for (fault, verdict, state) in [
        (json!([]), "accepted", "delivered"),
        (json!([{"status": 204, "times": 1}]), "accepted", "delivered"),
        // The stand-in puts an error into whatever a fault asks for.
        (json!([{"status": 200, "times": 1}]), "rejected", "dead(rejected)"),
        (json!([{"status": 400, "times": 1}]), "rejected", "dead(rejected)"),
        (json!([{"status": 402, "times": 1}]), "rejected", "dead(rejected)"),
        (json!([{"status": 409, "times": 1}]), "rejected", "dead(rejected)"),
        (json!([{"status": 413, "times": 1}]), "rejected", "dead(rejected)"),
        (json!([{"status": 422, "times": 1}]), "rejected", "dead(rejected)"),
        (json!([{"status": 404, "times": 1}]), "unknown_call", "pending"),
        (json!([{"status": 408, "times": 1}]), "throttled", "pending"),
        (json!([{"status": 425, "times": 1}]), "throttled", "pending"),
        (json!([{"status": 429, "times": 1}]), "throttled", "pending"),
        (json!([{"status": 500, "times": 1}]), "throttled", "pending"),
        (json!([{"status": 502, "times": 1}]), "throttled", "pending"),
        (json!([{"status": 503, "times": 1}]), "throttled", "pending"),
        (json!([{"reset": "before", "times": 1}]), "unknown_result", "pending"),
        (json!([{"reset": "after", "times": 1}]), "unknown_result", "pending"),
    ] {
        Rounds::play(async |rounds| {
            rounds.plivo.fails(fault.clone());
            rounds.hears("quick", "c-1", "5").await;
            rounds.round().await;
            let first = rounds.submission("c-1");
            assert_eq!((&*first.state, &*first.attempts), (state, &[verdict.to_owned()][..]));
            assert_eq!(first.spent, 1, "{fault}");
            assert!(rounds.store.pauses().is_empty(), "{fault}");
            if state == "pending" {
                assert!(first.due_at <= rounds.now() + SECOND, "{fault}: {first:?}");
                rounds.later(SECOND);
                rounds.round().await;
                let second = rounds.submission("c-1");
                assert_eq!(second.state, "delivered", "{fault}");
                assert_eq!(second.attempts, [verdict, "accepted"], "{fault}");
            } else {
                rounds.later(100 * HOUR);
                assert_eq!(rounds.round().await, None, "{fault}");
                assert_eq!(rounds.plivo.requests(), 1, "{fault}");
            }
            let verdicts =
                rounds.figure(&format!("attempts_total{{account=\"main\",verdict=\"{verdict}\"}}"));
            assert!(verdicts >= 1.0, "{fault}");
        });
    }
}

#[test]
fn an_answer_that_does_not_come_in_time_is_an_unknown_result() {
    let hurried = |settings: &str| {
        settings.replace("delay: 0s,", "delay: 0s, timeout: 500ms, connect_timeout: 500ms,")
    };
    Rounds::play_with(hurried, async |rounds| {
        rounds.plivo.fails(json!([{"delay_ms": 600_000, "times": 1}]));
        rounds.hears("quick", "c-1", "5").await;
        rounds.round().await;
        let submission = rounds.submission("c-1");
        assert_eq!((&*submission.state, submission.spent), ("pending", 1));
        assert_eq!(submission.attempts, ["unknown_result"]);
        // It was heard, though no one said so: at least once is what we promise.
        assert_eq!(rounds.plivo.heard_about("c-1").len(), 1);
        rounds.crash();
        rounds.write_settings(|hurried| hurried.replace(": 500ms", ": 10s"));
        rounds.start();
        rounds.later(SECOND);
        rounds.round().await;
        assert_eq!(rounds.submission("c-1").state, "delivered");
        assert_eq!(rounds.plivo.heard_about("c-1").len(), 2);
    });
}

#[test]
fn who_cannot_be_reached_has_heard_nothing() {
    for nowhere in ["http://127.0.0.1:1", "https://127.0.0.1:1", "https://@plivo-without-tls@"] {
        Rounds::play(async |rounds| {
            rounds.crash();
            let nowhere = nowhere.replace("@plivo-without-tls@", &rounds.plivo.address());
            rounds.write_settings(|settings| settings.replace("@plivo@", &nowhere));
            rounds.start();
            rounds.hears("ivr", "c-1", "2").await;
            rounds.later(2 * HOUR);
            rounds.round().await;
            let submission = rounds.submission("c-1");
            assert_eq!((&*submission.state, submission.spent), ("pending", 1), "{nowhere}");
            assert_eq!(submission.attempts, ["unreachable"], "{nowhere}");

            // Nothing was said yet, so the caller may still add to it.
            let added = rounds.hears_of("ivr", Some("problem"), "c-1", "1").await;
            assert_eq!(added, WebhookOutcome::Updated);
            rounds.crash();
            rounds.write_settings(|settings| settings.replace(&nowhere, "@plivo@"));
            rounds.start();
            rounds.later(SECOND);
            rounds.round().await;
            assert_eq!(rounds.submission("c-1").state, "delivered");
            assert_eq!(rounds.plivo.heard_about("c-1")[0]["issues"], json!(["ECHO"]));
        });
    }
}

#[test]
fn an_offer_that_nobody_took_for_three_days_is_dead_and_its_neighbours_are_not() {
    Rounds::play(async |rounds| {
        rounds.plivo.fails(json!([{"status": 500}]));
        rounds.hears("quick", "old", "5").await;
        rounds.round().await;
        rounds.hourly_rounds_for(71).await;
        rounds.hears("quick", "created", "5").await;
        rounds.round().await;
        assert_eq!(rounds.submission("old").state, "pending");
        rounds.later(HOUR);
        rounds.round().await;
        let old = rounds.submission("old");
        assert_eq!(old.state, "dead(too_old)");
        assert!(old.spent >= 73, "{old:?}");
        assert!(old.detail.unwrap().contains("Server error"));
        assert_eq!(rounds.submission("created").state, "pending");
    });
}

#[test]
fn a_call_that_plivo_does_not_know_is_asked_for_a_day_and_stops_nobody() {
    Rounds::play(async |rounds| {
        rounds.plivo.does_not_know("poisoned");
        rounds.hears("quick", "poisoned", "5").await;
        rounds.hears("quick", "good", "5").await;
        rounds.round().await;
        assert_eq!(rounds.submission("poisoned").attempts, ["unknown_call"]);
        assert_eq!(rounds.submission("good").state, "delivered");
        assert!(rounds.store.pauses().is_empty());
        rounds.hourly_rounds_for(23).await;
        rounds.round().await;
        assert_eq!(rounds.submission("poisoned").state, "pending");
        rounds.later(HOUR);
        rounds.round().await;
        let poisoned = rounds.submission("poisoned");
        assert_eq!(poisoned.state, "dead(unknown_call)");
        assert!(poisoned.detail.unwrap().contains("Please check the Call UUID"));
    });
}

#[test]
fn plivo_is_left_alone_for_as_long_as_it_asks_within_bounds() {
    for (status, asked, waited) in [
        (503, "7", 7 * SECOND),
        (429, "Sun, 22 Nov 2026 10:01:00 GMT", MINUTE),
        (429, "86400", LONGEST),
    ] {
        Rounds::play(async |rounds| {
            let fault = json!([{"status": status, "retry_after": asked, "times": 1}]);
            rounds.plivo.fails(fault);
            rounds.hears("quick", "c-1", "5").await;
            rounds.round().await;
            assert_eq!(rounds.submission("c-1").due_at, rounds.now() + waited, "{asked}");
            rounds.later(waited - Duration::from_millis(1));
            assert_eq!(rounds.round().await, Some(rounds.now() + Duration::from_millis(1)));
            assert_eq!(rounds.plivo.requests(), 1, "{asked}");
            rounds.later(Duration::from_millis(1));
            rounds.round().await;
            assert_eq!(rounds.submission("c-1").state, "delivered", "{asked}");
        });
    }
}

#[test]
fn waits_grow_to_their_bound_and_never_end_by_their_number() {
    Rounds::play(async |rounds| {
        rounds.plivo.fails(json!([{"status": 503}]));
        rounds.hears("quick", "c-1", "5").await;
        for attempt in 0..14 {
            rounds.round().await;
            let submission = rounds.submission("c-1");
            assert_eq!((&*submission.state, submission.spent), ("pending", attempt + 1));
            let ceiling = LONGEST.min(SECOND * 2u32.pow(attempt));
            assert!(submission.due_at <= rounds.now() + ceiling, "{attempt}: {submission:?}");
            rounds.later(ceiling);
        }
    });
}

#[test]
fn a_refusal_is_final_and_its_words_are_kept() {
    Rounds::play(async |rounds| {
        rounds.plivo.spells_otherwise();
        let spelled = |settings: &str| settings.replace("issue: ECHO", "issue: CALL_DROPPED");
        rounds.crash();
        rounds.write_settings(spelled);
        rounds.start();
        rounds.hears("ivr", "c-1", "1").await;
        rounds.hears_of("ivr", Some("problem"), "c-1", "1").await;
        rounds.hears("quick", "c-2", "5").await;
        rounds.round().await;
        let dead = rounds.submission("c-1");
        assert_eq!(
            (&*dead.state, &*dead.attempts),
            ("dead(rejected)", &["rejected".to_owned()][..])
        );
        assert!(dead.detail.unwrap().contains("Issues have to be an array"));
        assert_eq!(rounds.submission("c-2").state, "delivered");
    });
}

#[test]
fn an_account_that_plivo_does_not_let_in_waits_and_spends_nothing() {
    for status in [302, 307, 401, 403, 405] {
        Rounds::play(async |rounds| {
            rounds.plivo.fails(json!([{"status": status, "times": 2}]));
            rounds.hears("quick", "c-1", "5").await;
            rounds.round().await;
            let held = rounds.submission("c-1");
            assert_eq!((&*held.state, held.spent), ("pending", 0), "{status}");
            assert_eq!(held.attempts, ["account_rejected"], "{status}");
            assert_eq!(rounds.store.pauses()[0].status, Some(status), "{status}");
            let held = "account_paused{account=\"main\",cause=\"account_rejected\"}";
            assert_eq!(rounds.figure(held), 1.0);

            for n in 2..=9 {
                rounds.hears("quick", &format!("c-{n}"), "5").await;
            }
            assert_eq!(rounds.round().await, Some(rounds.now() + SECOND), "{status}");
            assert_eq!(rounds.plivo.requests(), 1, "{status}: the others wait");
            rounds.later(SECOND);
            rounds.round().await;
            assert_eq!(rounds.plivo.requests(), 2, "{status}: one finds out");
            rounds.later(SECOND);
            assert_eq!(rounds.round().await, Some(rounds.now() + SECOND), "{status}: ever later");
            rounds.later(SECOND);
            rounds.round().await;
            assert_eq!(rounds.plivo.requests(), 3, "{status}: and resumes");
            assert!(rounds.store.pauses().is_empty(), "{status}");
            assert_eq!(rounds.figure(held), 0.0);
            rounds.round().await;
            let totals = rounds.store.totals();
            assert_eq!((totals.delivered, totals.pending), (9, 0), "{status}");
            assert_eq!(rounds.submission("c-1").spent, 1, "{status}");
        });
    }
}

#[test]
fn the_secret_is_read_anew_by_the_probe_and_other_accounts_go_on() {
    Rounds::play(async |rounds| {
        rounds.crash();
        rounds.operator_writes_the_token("the-token-of-yesterday");
        rounds.start();
        rounds.hears("quick", "c-1", "5").await;
        rounds.hears("tenant", "t-1", "5").await;
        rounds.round().await;
        assert_eq!(rounds.submission("c-1").attempts, ["account_rejected"]);
        assert_eq!(rounds.submission("t-1").state, "delivered");

        rounds.operator_writes_the_token(crate::test_env::TOKEN);
        rounds.hears("tenant", "t-2", "5").await;
        rounds.round().await;
        assert_eq!(rounds.submission("t-2").state, "delivered");
        assert_eq!(rounds.submission("c-1").state, "pending");
        rounds.later(MINUTE);
        rounds.round().await;
        assert_eq!(rounds.submission("c-1").state, "delivered");
        assert!(rounds.store.pauses().is_empty());
    });
}

#[test]
fn the_time_on_hold_is_no_age() {
    Rounds::play(async |rounds| {
        rounds.plivo.fails(json!([{"status": 401, "times": 1}, {"status": 500, "times": 1}]));
        rounds.hears("quick", "c-1", "5").await;
        rounds.round().await;
        rounds.later(1000 * HOUR);
        rounds.round().await;
        let submission = rounds.submission("c-1");
        assert_eq!((&*submission.state, submission.spent), ("pending", 1));
        rounds.later(MINUTE);
        rounds.round().await;
        assert_eq!(rounds.submission("c-1").state, "delivered");
    });
}

#[test]
fn what_surely_did_not_arrive_leaves_a_submission_open_to_its_caller() {
    for (fault, outcome, issues) in [
        (json!({"status": 401, "times": 1}), WebhookOutcome::Updated, "ECHO"),
        (json!({"status": 403, "times": 1}), WebhookOutcome::Updated, "ECHO"),
        (json!({"status": 429, "times": 1}), WebhookOutcome::Updated, "ECHO"),
        (json!({"status": 503, "times": 1}), WebhookOutcome::Updated, "ECHO"),
        (json!({"status": 500, "times": 1}), WebhookOutcome::Late, "OTHERS"),
        (json!({"status": 404, "times": 1}), WebhookOutcome::Late, "OTHERS"),
        (json!({"status": 405, "times": 1}), WebhookOutcome::Late, "OTHERS"),
        (json!({"reset": "before", "times": 1}), WebhookOutcome::Late, "OTHERS"),
    ] {
        Rounds::play(async |rounds| {
            rounds.plivo.fails(json!([fault]));
            rounds.hears("ivr", "c-1", "2").await;
            rounds.later(HOUR);
            rounds.round().await;
            let heard = rounds.hears_of("ivr", Some("problem"), "c-1", "1").await;
            assert_eq!(heard, outcome, "{fault}");
            rounds.later(MINUTE);
            rounds.round().await;
            assert_eq!(rounds.submission("c-1").state, "delivered", "{fault}");
            assert_eq!(rounds.plivo.heard_about("c-1")[0]["issues"], json!([issues]), "{fault}");
        });
    }
}

#[test]
fn an_answer_during_the_attempt_is_late_and_kept() {
    Rounds::play(async |rounds| {
        rounds.hears("ivr", "c-1", "2").await;
        rounds.later(HOUR);
        rounds.sets_out().await.unwrap();
        let heard = rounds.hears_of("ivr", Some("problem"), "c-1", "1").await;
        assert_eq!(heard, WebhookOutcome::Late);
        rounds.comes_home().await.unwrap();
        assert_eq!(rounds.submission("c-1").state, "delivered");
        assert_eq!(rounds.plivo.heard_about("c-1")[0]["issues"], json!(["OTHERS"]));
        assert_eq!(rounds.store.count("webhooks"), 2);
        assert_eq!(rounds.store.answers(), 2);

        let again = rounds.hears_of("ivr", Some("problem"), "c-1", "1").await;
        assert_eq!(again, WebhookOutcome::Duplicate);
        let after = rounds.hears_of("ivr", Some("problem"), "c-1", "2").await;
        assert_eq!(after, WebhookOutcome::Late);
        assert_eq!(rounds.plivo.requests(), 1);
    });
}

#[test]
fn what_was_never_said_is_never_a_score() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "silent", "").await;
        rounds.hears("quick", "astray", "7").await;
        rounds.hears_of("ivr", Some("problem"), "scoreless", "1").await;
        rounds.hears("quick", "hesitant", "").await;
        rounds.hears("quick", "hesitant", "9").await;
        rounds.hears("quick", "hesitant", "4").await;
        rounds.later(HOUR);
        rounds.round().await;
        for (call, state) in [
            ("silent", "ignored(no_answer)"),
            ("astray", "ignored(invalid_answer)"),
            ("scoreless", "ignored(no_score)"),
            ("hesitant", "delivered"),
        ] {
            assert_eq!(rounds.submission(call).state, state);
        }
        assert_eq!(rounds.plivo.heard_about("hesitant")[0]["rating"], 4);
        assert_eq!(rounds.plivo.requests(), 1);
    });
}

#[test]
fn callers_who_said_nothing_keep_nobody_waiting() {
    Rounds::play(async |rounds| {
        // More than are settled in two rounds.
        for n in 0..150 {
            rounds.hears("quick", &format!("c-{n}"), "").await;
        }
        for _ in 0..3 {
            assert_eq!(rounds.round().await, Some(rounds.now()), "there is room for more");
        }
        assert_eq!(rounds.round().await, None);
        assert_eq!(rounds.store.totals().ignored, 150);
    });
}

#[test]
fn a_held_account_waits_for_a_probe_that_asks_plivo() {
    Rounds::play(async |rounds| {
        rounds.plivo.fails(json!([{"status": 401, "times": 1}]));
        rounds.hears("quick", "c-1", "5").await;
        rounds.round().await;
        for n in 0..5 {
            rounds.hears("quick", &format!("silent-{n}"), "").await;
        }
        rounds.later(MINUTE);
        while rounds.round().await == Some(rounds.now()) {}
        let totals = rounds.store.totals();
        assert_eq!((totals.delivered, totals.ignored), (1, 5));
        assert!(rounds.store.pauses().is_empty());
    });
}

#[test]
fn what_the_settings_do_not_know_is_kept_for_a_person() {
    Rounds::play(async |rounds| {
        let mistyped = rounds.hears_of("quick", Some("scoer"), "mistyped", "4").await;
        assert_eq!(mistyped, WebhookOutcome::Created);
        rounds.hears("ivr", "surveyless", "2").await;
        rounds.hears("tenant", "accountless", "4").await;
        rounds.crash();
        rounds.write_settings(|settings| {
            settings
                .replace("survey: quality", "survey: quick")
                .replace("  quality:", "  other-quality:")
                .replace("  tenant:", "  stranger:")
                .replace("account: other", "account: main")
                .replace("  other: {", "  stranger: {")
        });
        rounds.start();
        rounds.later(HOUR);
        rounds.round().await;
        for (call, detail) in [
            ("mistyped", "the survey has no question \"scoer\""),
            ("surveyless", "the settings have no survey quality"),
            ("accountless", "the settings have no account other"),
        ] {
            let dead = rounds.submission(call);
            assert_eq!(dead.state, "dead(unmapped)", "{call}");
            assert_eq!(dead.detail.as_deref(), Some(detail), "{call}");
            assert!(dead.attempts.is_empty(), "{call}");
        }
        assert_eq!(rounds.plivo.requests(), 0);
    });
}

#[test]
fn while_the_store_refuses_nothing_is_taken_up_and_what_is_in_hand_is_written_first() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "c-1", "5").await;
        rounds.sets_out().await.unwrap();
        rounds.hears("quick", "c-2", "5").await;

        rounds.store.refuses_writes();
        assert!(rounds.comes_home().await.is_err());
        assert_eq!(rounds.plivo.heard_about("c-1").len(), 1);
        for _ in 0..3 {
            assert!(rounds.sets_out().await.is_err());
        }
        assert_eq!(rounds.submission("c-1").attempts, ["under way"]);
        assert_eq!(rounds.figure("settlements_pending"), 1.0);
        assert_eq!(rounds.figure("rating_count{survey=\"quick\"}"), 0.0);
        assert_eq!(rounds.plivo.requests(), 1);

        rounds.store.takes_writes();
        rounds.sets_out().await.unwrap();
        assert_eq!(rounds.submission("c-1").state, "delivered");
        assert_eq!(rounds.figure("settlements_pending"), 0.0);
        assert_eq!(rounds.figure("rating_count{survey=\"quick\"}"), 1.0);
        rounds.comes_home().await.unwrap();
        assert_eq!(rounds.submission("c-2").state, "delivered");
        assert_eq!(rounds.plivo.requests(), 2);
    });
}

#[test]
fn a_claim_that_the_store_refuses_goes_out_as_soon_as_it_takes_writes() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "c-1", "5").await;
        rounds.store.refuses_claims();
        assert!(rounds.sets_out().await.is_err());
        rounds.store.takes_writes();
        rounds.round().await;
        assert_eq!(rounds.submission("c-1").state, "delivered");
        assert_eq!(rounds.plivo.requests(), 1);
    });
}

#[test]
fn an_attempt_that_nobody_waited_for_is_an_unknown_result() {
    Rounds::play(async |rounds| {
        rounds.hears("ivr", "c-1", "2").await;
        rounds.hears("quick", "collecting", "").await;
        rounds.later(HOUR);
        rounds.sets_out().await.unwrap();
        rounds.crash();
        assert_eq!(rounds.submission("c-1").attempts, ["under way"]);
        rounds.start();
        let found = rounds.submission("c-1");
        assert_eq!((&*found.attempts, found.spent), (&["unknown_result".to_owned()][..], 1));
        let late = rounds.hears_of("ivr", Some("problem"), "c-1", "1").await;
        assert_eq!(late, WebhookOutcome::Late, "it may have been told already");
        rounds.later(SECOND);
        rounds.round().await;
        assert_eq!(rounds.submission("c-1").attempts, ["unknown_result", "accepted"]);
        assert_eq!(rounds.submission("collecting").state, "ignored(no_answer)");
    });
}

#[test]
fn a_submission_rests_until_its_delay_is_over() {
    let patient = |settings: &str| settings.replace("delay: 0s,", "delay: 60s,");
    Rounds::play_with(patient, async |rounds| {
        rounds.hears("quick", "c-1", "5").await;
        let due: Option<Timestamp> = rounds.round().await;
        assert_eq!(due, Some(rounds.now() + MINUTE));
        rounds.later(MINUTE);
        rounds.round().await;
        let feedback: Value =
            serde_json::from_str(&rounds.submission("c-1").feedback.unwrap()).unwrap();
        assert_eq!(feedback, json!({"rating": 5}));
    });
}
