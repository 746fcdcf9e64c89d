//! Where the fault is not the submission's: its account waits and spends nothing, finds out by itself
//! when it can go on, and goes on at its pace.

use std::time::Duration;

use postcall::account::PauseCause;
use serde_json::json;

use crate::test_env::{Rounds, SETTINGS, TOKEN, TestEnv};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// No one listens there.
const NOWHERE: &str = "http://127.0.0.1:1";

#[track_caller]
fn is_held_for(rounds: &Rounds, cause: PauseCause) {
    let pauses = rounds.store.pauses();
    assert_eq!(pauses.iter().map(|pause| pause.cause).collect::<Vec<_>>(), [cause], "{pauses:?}");
    let label = cause.label();
    let figure = format!("account_paused{{account=\"main\",cause=\"{label}\"}}");
    assert_eq!(rounds.figure(&figure), 1.0);
}

#[test]
fn a_token_that_was_rotated_kills_nothing_and_is_taken_in_any_way() {
    for way in ["the file changes", "the settings are reloaded", "an operator says so", "a probe"] {
        Rounds::play(async |rounds| {
            rounds.crash();
            rounds.operator_writes_the_token("the-token-of-yesterday");
            rounds.start();
            rounds.hears("quick", "c-0", "4").await;
            rounds.round().await;
            is_held_for(rounds, PauseCause::AccountRejected);
            for n in 1..20 {
                rounds.hears("quick", &format!("c-{n}"), "4").await;
            }
            rounds.rounds_for(2 * MINUTE).await;
            let refused = rounds.plivo.requests();
            assert!((5..12).contains(&refused), "{way}: {refused} attempts in two minutes");

            rounds.operator_writes_the_token(TOKEN);
            match way {
                "the file changes" => rounds.later(5 * SECOND),
                "the settings are reloaded" => {
                    rounds.write_settings(|settings| settings.replace("delay: 0s", "delay: 1s"));
                    rounds.reload();
                }
                "an operator says so" => {
                    // The dispatcher has looked at the file a moment ago.
                    rounds.operator_resumes("main").await;
                }
                _ => rounds.later(MINUTE),
            }
            rounds.rounds_for(2 * SECOND).await;
            let totals = rounds.store.totals();
            assert_eq!((totals.delivered, totals.dead), (20, 0), "{way}");
            assert!(rounds.store.pauses().is_empty(), "{way}");
            assert!(
                rounds.store.submissions().iter().all(|it| it.document.attempts_used == 1),
                "{way}"
            );
        });
    }
}

#[test]
fn a_running_service_takes_a_new_token_by_itself() {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.set(&[("DELIVERY__PROBE_INTERVAL", "1h")]);
    test_env.operator_writes_the_token("the-token-of-yesterday");
    test_env.start();
    for n in 0..20 {
        let caller = test_env.caller(&format!("c-{n}"));
        caller.signed_with("the-token-of-yesterday").has_pressed("3");
    }
    test_env.until("it is held", || !test_env.store.pauses().is_empty());
    test_env.operator_writes_the_token(TOKEN);
    test_env.until("all are delivered", || test_env.store.totals().delivered == 20);
    assert_eq!(test_env.store.totals().dead, 0);
}

#[test]
fn what_alone_is_rejected_is_dead_in_the_end_and_stops_nobody_for_long() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "poisoned", "5").await;
        for n in 1..=4 {
            rounds.plivo.fails(json!([{"status": 403, "times": 1}]));
            rounds.round().await;
            assert_eq!(rounds.submission("poisoned").attempts.len(), n);
            let good = format!("good-{n}");
            rounds.hears("quick", &good, "5").await;
            rounds.later(SECOND);
            rounds.round().await;
            assert_eq!(rounds.submission(&good).state, "delivered");
            assert!(rounds.store.pauses().is_empty());
            rounds.later(8 * SECOND);
        }
        assert_eq!(rounds.submission("poisoned").spent, 0);
        rounds.plivo.fails(json!([{"status": 403, "times": 1}]));
        rounds.round().await;
        assert_eq!(rounds.submission("poisoned").state, "dead(rejected)");
        assert!(rounds.store.pauses().is_empty());
    });
}

#[test]
fn an_outage_of_six_hours_spends_no_age_and_asks_seldom() {
    let impatient = |settings: &str| {
        let nowhere = settings.replace("@plivo@", NOWHERE);
        nowhere.replace(
            "probe_interval: 20ms, retry: { initial_backoff: 1ms, max_backoff: 20ms }",
            "probe_interval: 10m, retry: { max_age: 1h, not_found_max_age: 1h }",
        )
    };
    Rounds::play_with(impatient, async |rounds| {
        for n in 0..20 {
            rounds.hears("quick", &format!("c-{n}"), "4").await;
        }
        rounds.rounds_for(MINUTE).await;
        is_held_for(rounds, PauseCause::Unreachable);
        rounds.rounds_for(6 * HOUR).await;
        let attempts = rounds.store.attempts();
        assert!((40..60).contains(&attempts), "six probes an hour, not {attempts} attempts");
        let spent: u32 =
            rounds.store.submissions().iter().map(|it| it.document.attempts_used).sum();
        assert_eq!(spent, 4, "the run before it was held");

        // It is there again, and busy: no one is too old by now.
        rounds.plivo.fails(json!([{"status": 500, "times": 20}]));
        rounds.write_settings(|settings| settings.replace(NOWHERE, "@plivo@"));
        rounds.reload();
        rounds.rounds_for(MINUTE).await;
        assert!(rounds.store.pauses().is_empty());
        let totals = rounds.store.totals();
        assert_eq!((totals.delivered, totals.dead), (20, 0));
        assert_eq!(rounds.figure("account_paused{account=\"main\",cause=\"unreachable\"}"), 0.0);
    });
}

#[test]
fn any_answer_shows_that_somebody_is_there() {
    for fault in [
        json!([{"status": 500, "times": 1}]),
        json!([{"status": 404, "times": 1}]),
        json!([{"status": 422, "times": 1}]),
        json!([{"reset": "before", "times": 1}]),
    ] {
        let nowhere = |settings: &str| settings.replace("@plivo@", NOWHERE);
        Rounds::play_with(nowhere, async |rounds| {
            for n in 0..6 {
                rounds.hears("quick", &format!("c-{n}"), "4").await;
            }
            rounds.rounds_for(SECOND).await;
            is_held_for(rounds, PauseCause::Unreachable);
            rounds.write_settings(|settings| settings.replace(NOWHERE, "@plivo@"));
            rounds.reload();
            rounds.plivo.fails(fault.clone());
            rounds.round().await;
            assert_eq!(rounds.plivo.requests(), 1, "{fault}: one finds out");
            assert!(rounds.store.pauses().is_empty(), "{fault}");
        });
    }
}

#[test]
fn a_spelling_that_plivo_does_not_take_calls_for_help_and_kills_a_few() {
    let spelled = |settings: &str| settings.replace("issue: ECHO", "issue: CALL_DROPPED");
    Rounds::play_with(spelled, async |rounds| {
        rounds.plivo.spells_otherwise();
        for n in 0..30 {
            let call = format!("c-{n}");
            rounds.hears("ivr", &call, "2").await;
            rounds.hears_of("ivr", Some("problem"), &call, "1").await;
        }
        rounds.rounds_for(HOUR).await;
        is_held_for(rounds, PauseCause::Rejections);
        assert!(rounds.store.pauses()[0].detail.contains("Issues have to be an array"));
        assert_eq!((rounds.store.totals().dead, rounds.store.totals().pending), (4, 26));

        // Nor does any more die with each start of the service.
        for _ in 0..3 {
            rounds.crash();
            rounds.start();
            rounds.rounds_for(10 * MINUTE).await;
        }
        is_held_for(rounds, PauseCause::Rejections);
        assert_eq!((rounds.store.totals().dead, rounds.store.totals().pending), (4, 26));

        // What Plivo takes is not kept from it.
        for n in 0..5 {
            rounds.hears("quick", &format!("good-{n}"), "5").await;
        }
        rounds.rounds_for(2 * MINUTE).await;
        assert_eq!((rounds.store.totals().delivered, rounds.store.totals().dead), (5, 4));
        // So it is not the account's fault: what that source brings waits by itself.
        assert!(rounds.store.pauses().is_empty());
        assert!(rounds.figure("submissions_set_aside_total{source=\"ivr\"}") > 0.0);

        rounds.write_settings(|settings| {
            let mended = r#"api: "@plivo@", issue_names: { CALL_DROPPED: CALL_DROPPPED } }"#;
            settings.replacen(r#"api: "@plivo@" }"#, mended, 1)
        });
        rounds.reload();
        rounds.rounds_for(10 * MINUTE).await;
        assert_eq!((rounds.store.totals().delivered, rounds.store.totals().dead), (31, 4));
        assert!(rounds.store.pauses().is_empty());
    });
}

#[test]
fn calls_that_plivo_does_not_know_die_one_by_one_among_those_that_it_knows() {
    Rounds::play(async |rounds| {
        rounds.plivo.does_not_know("poisoned");
        rounds.hears("quick", "poisoned", "5").await;
        for n in 0..20 {
            rounds.hears("quick", &format!("good-{n}"), "5").await;
        }
        rounds.rounds_for(MINUTE).await;
        assert_eq!(rounds.store.totals().delivered, 20);
        rounds.hourly_rounds_for(24).await;
        rounds.round().await;
        assert_eq!(rounds.submission("poisoned").state, "dead(unknown_call)");
        assert!(rounds.store.pauses().is_empty());
    });
}

/// Someone who may call one source makes calls up, and Plivo knows none of them.
#[test]
fn calls_that_one_source_makes_up_wait_and_stop_no_other_source_of_the_account() {
    Rounds::play(async |rounds| {
        let made_up: Vec<String> = (0..20).map(|n| format!("made-up-{n}")).collect();
        rounds.plivo.knows_none_of(&made_up);
        for call in &made_up {
            rounds.hears("quick", call, "5").await;
        }
        rounds.rounds_for(MINUTE).await;
        rounds.hears("polite", "good", "5").await;
        rounds.rounds_for(MINUTE).await;
        assert_eq!(rounds.submission("good").state, "delivered");
        rounds.hourly_rounds_for(24).await;
        rounds.rounds_for(10 * MINUTE).await;
        assert!(rounds.store.pauses().is_empty(), "{:?}", rounds.store.pauses());
        let totals = rounds.store.totals();
        assert_eq!((totals.delivered, totals.dead, totals.pending), (1, 4, 16));
        assert!(rounds.figure("submissions_set_aside_total{source=\"quick\"}") >= 16.0);
        assert_eq!(rounds.figure("submissions_set_aside_total{source=\"polite\"}"), 0.0);
        for n in 0..3 {
            rounds.hears("polite", &format!("good-{n}"), "5").await;
            rounds.rounds_for(MINUTE).await;
            assert_eq!(rounds.submission(&format!("good-{n}")).state, "delivered");
        }
        assert_eq!(rounds.store.totals().dead, 4);

        // Plivo comes to know them: nothing is lost, and no one has to do anything.
        rounds.plivo.is_well();
        rounds.rounds_for(11 * MINUTE).await;
        assert_eq!(rounds.store.totals().delivered, 1 + 3 + 16);
    });
}

/// At night there is nothing else by which to tell whose fault it is.
#[test]
fn an_account_that_calls_made_up_have_paused_resumes_with_the_first_that_is_not() {
    Rounds::play(async |rounds| {
        let made_up: Vec<String> = (0..30).map(|n| format!("made-up-{n}")).collect();
        rounds.plivo.knows_none_of(&made_up);
        for call in &made_up {
            rounds.hears("quick", call, "5").await;
        }
        rounds.rounds_for(MINUTE).await;
        rounds.hourly_rounds_for(24).await;
        rounds.rounds_for(10 * MINUTE).await;
        is_held_for(rounds, PauseCause::Rejections);
        rounds.hears("polite", "good", "5").await;
        rounds.rounds_for(MINUTE).await;
        assert_eq!(rounds.submission("good").state, "delivered");
        rounds.rounds_for(10 * MINUTE).await;
        assert!(rounds.store.pauses().is_empty(), "{:?}", rounds.store.pauses());
        assert_eq!(rounds.store.totals().dead, 4);
    });
}

#[test]
fn what_a_person_holds_waits_for_that_person() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "c-1", "5").await;
        rounds.sets_out().await.unwrap();
        rounds.operator_holds("main").await;
        rounds.comes_home().await.unwrap();
        assert_eq!(rounds.submission("c-1").state, "delivered", "what is under way ends");
        rounds.hears("quick", "c-2", "5").await;
        rounds.hears("tenant", "t-1", "5").await;
        rounds.reload();
        rounds.rounds_for(HOUR).await;
        assert_eq!(rounds.store.pauses()[0].cause, PauseCause::Operator);
        assert_eq!(rounds.submission("c-2").state, "pending");
        assert_eq!(rounds.submission("t-1").state, "delivered");
        rounds.operator_resumes("main").await;
        rounds.round().await;
        assert_eq!(rounds.submission("c-2").state, "delivered");
    });
}

#[test]
fn an_account_that_is_asked_to_wait_waits_as_a_whole_and_alone() {
    for (status, asked) in [(429, "7"), (503, "Sun, 22 Nov 2026 10:00:07 GMT")] {
        Rounds::play(async |rounds| {
            rounds.plivo.fails(json!([{"status": status, "retry_after": asked, "times": 1}]));
            rounds.hears("quick", "c-1", "5").await;
            rounds.round().await;
            rounds.hears("quick", "c-2", "5").await;
            rounds.hears("tenant", "t-1", "5").await;
            rounds.rounds_for(7 * SECOND - Duration::from_millis(1)).await;
            assert_eq!(rounds.submission("t-1").state, "delivered", "{status}");
            assert_eq!(rounds.plivo.requests(), 2, "{status}: the account is left alone");
            rounds.rounds_for(SECOND).await;
            assert_eq!(rounds.store.totals().delivered, 3, "{status}");
        });
    }
}

#[test]
fn no_more_begin_in_a_second_than_the_settings_say() {
    let slowly = |settings: &str| settings.replace("delay: 0s,", "delay: 0s, rate: 5,");
    Rounds::play_with(slowly, async |rounds| {
        for n in 0..20 {
            rounds.hears("quick", &format!("c-{n}"), "5").await;
        }
        assert_eq!(rounds.round().await, Some(rounds.now() + SECOND / 5));
        assert_eq!(rounds.plivo.requests(), 1);
        rounds.rounds_for(SECOND).await;
        assert_eq!(rounds.plivo.requests(), 6);
        rounds.rounds_for(3 * SECOND).await;
        assert_eq!(rounds.plivo.requests(), 20);
    });
}

#[test]
fn who_pushes_back_is_asked_less_at_once_and_more_again_when_it_answers() {
    Rounds::play(async |rounds| {
        let limit = "delivery_concurrency_limit{account=\"main\"}";
        assert_eq!(rounds.figure(limit), 8.0);
        rounds.plivo.fails(json!([{"status": 503, "times": 4}]));
        rounds.hears("quick", "c-0", "5").await;
        for left in [4.0, 2.0, 1.0, 1.0] {
            rounds.round().await;
            assert_eq!(rounds.figure(limit), left);
            rounds.later(MINUTE);
        }
        for n in 1..40 {
            rounds.hears("quick", &format!("c-{n}"), "5").await;
        }
        rounds.sets_out().await.unwrap();
        rounds.comes_home().await.unwrap();
        assert_eq!(rounds.plivo.requests(), 5, "one at a time");
        rounds.rounds_for(MINUTE).await;
        assert_eq!(rounds.store.totals().delivered, 40);
        assert_eq!(rounds.figure(limit), 8.0);
        assert_eq!(rounds.figure("delivery_concurrency_limit{account=\"other\"}"), 8.0);
    });
}

#[test]
fn a_backlog_keeps_no_new_call_waiting() {
    Rounds::play(async |rounds| {
        for n in 0..100 {
            rounds.hears("quick", &format!("old-{n}"), "5").await;
        }
        rounds.later(2 * HOUR);
        rounds.hears("quick", "created", "5").await;
        rounds.round().await;
        assert_eq!(rounds.submission("created").state, "delivered");
        assert!(rounds.store.totals().delivered > 2, "nor does the new one keep the backlog");
    });
}

#[test]
fn an_account_that_is_stuck_keeps_no_other_waiting() {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.set(&[("SHUTDOWN__DEADLINE", "50ms")]);
    test_env.start();
    test_env.plivo.fails(json!([{"delay_ms": 600_000, "times": 8}]));
    for n in 0..20 {
        test_env.caller(&format!("c-{n}")).has_pressed("4");
    }
    test_env.until("all its places are taken", || test_env.plivo.requests() == 8);
    for n in 0..20 {
        test_env.caller(&format!("t-{n}")).at("tenant").has_pressed("4");
    }
    test_env.until("the other's are delivered", || test_env.store.totals().delivered == 20);
}

#[test]
fn where_nobody_can_say_whether_it_was_heard_an_operator_may_want_to_look() {
    let once =
        |settings: &str| settings.replace("delay: 0s,", "delay: 0s, on_unknown_result: dead,");
    Rounds::play_with(once, async |rounds| {
        rounds.plivo.fails(json!([{"reset": "after", "times": 1}]));
        rounds.hears("quick", "c-1", "5").await;
        rounds.rounds_for(HOUR).await;
        let dead = rounds.submission("c-1");
        assert_eq!((&*dead.state, dead.spent), ("dead(unknown_result)", 1));
        assert_eq!(rounds.plivo.heard_about("c-1").len(), 1);
        // No one was reached at all: that is known.
        rounds.write_settings(|settings| settings.replace("@plivo@", NOWHERE));
        rounds.reload();
        rounds.hears("quick", "c-2", "5").await;
        rounds.round().await;
        assert_eq!(rounds.submission("c-2").state, "pending");
    });
}

#[test]
fn what_an_operator_does_not_want_heard_twice_is_not_where_nobody_can_say_for_long() {
    let once =
        |settings: &str| settings.replace("delay: 0s,", "delay: 0s, on_unknown_result: dead,");
    Rounds::play_with(once, async |rounds| {
        rounds.plivo.fails(json!([{"reset": "after"}]));
        let calls: Vec<_> = (0..30).map(|n| format!("c-{n}")).collect();
        for call in &calls {
            rounds.hears("quick", call, "5").await;
        }
        rounds.rounds_for(10 * MINUTE).await;
        is_held_for(rounds, PauseCause::Rejections);
        let totals = rounds.store.totals();
        assert!(totals.dead < 30 && totals.pending > 0, "{totals:?}");
        rounds.plivo.fails(json!([]));
        rounds.rounds_for(HOUR).await;
        let after = rounds.store.totals();
        assert_eq!((after.dead, after.delivered), (totals.dead, totals.pending));
        assert!(rounds.store.pauses().is_empty());
        for call in &calls {
            assert_eq!(rounds.plivo.heard_about(call).len(), 1, "{call}");
        }
    });
}

#[test]
fn what_an_operator_does_not_want_heard_twice_is_not_after_a_crash() {
    let once =
        |settings: &str| settings.replace("delay: 0s,", "delay: 0s, on_unknown_result: dead,");
    Rounds::play_with(once, async |rounds| {
        rounds.hears("quick", "c-1", "5").await;
        rounds.sets_out().await.unwrap();
        rounds.crash();
        rounds.start();
        rounds.rounds_for(HOUR).await;
        assert_eq!(rounds.submission("c-1").state, "dead(unknown_result)");
        assert!(rounds.plivo.heard_about("c-1").len() <= 1);
        rounds.operator_replays("c-1", false).await;
        rounds.round().await;
        assert_eq!(rounds.submission("c-1").state, "delivered", "a person looked at it");
    });
}

#[test]
fn one_submission_that_is_always_refused_holds_a_quiet_account_no_longer_than_it_must() {
    let spelled = |settings: &str| settings.replace("issue: ECHO", "issue: CALL_DROPPED");
    Rounds::play_with(spelled, async |rounds| {
        rounds.plivo.spells_otherwise();
        for n in 0..5 {
            let call = format!("c-{n}");
            rounds.hears("ivr", &call, "2").await;
            rounds.hears_of("ivr", Some("problem"), &call, "1").await;
        }
        for n in 0..10 {
            rounds.rounds_for(HOUR).await;
            rounds.hears("quick", &format!("good-{n}"), "5").await;
        }
        rounds.rounds_for(HOUR).await;
        let totals = rounds.store.totals();
        // It is set aside: the alert about its source has a person look at it.
        assert_eq!((totals.delivered, totals.dead, totals.pending), (10, 4, 1));
        assert!(rounds.store.pauses().is_empty());
    });
}

#[test]
fn what_is_replayed_as_it_was_is_offered_word_for_word() {
    Rounds::play(async |rounds| {
        rounds.hears("ivr", "c-1", "2").await;
        rounds.hears_of("ivr", Some("problem"), "c-1", "1").await;
        rounds.round().await;
        rounds.write_settings(|settings| {
            settings.replace("IVR survey:", "Asked again:").replace("issue: ECHO", "issue: OTHERS")
        });
        rounds.reload();
        for same_payload in [true, false] {
            rounds.operator_replays("c-1", same_payload).await;
            rounds.round().await;
        }
        let heard = rounds.plivo.heard_about("c-1");
        let told = |n: usize| (heard[n]["notes"].as_str().unwrap(), heard[n]["issues"].clone());
        assert_eq!(told(0), ("IVR survey: 2 of 5", json!(["ECHO"])));
        assert_eq!(told(1), told(0));
        assert_eq!(told(2), ("Asked again: 2 of 5", json!(["OTHERS"])));
    });
}

#[test]
fn what_cannot_be_offered_as_it_was_is_kept_for_a_person() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "c-1", "5").await;
        rounds.round().await;
        rounds.store.spoils_what_was_offered();
        rounds.operator_replays("c-1", true).await;
        rounds.round().await;
        let dead = rounds.submission("c-1");
        assert_eq!(dead.state, "dead(unmapped)");
        assert!(dead.detail.unwrap().starts_with("the last payload cannot be sent again"));
        assert_eq!(rounds.plivo.requests(), 1);
    });
}
