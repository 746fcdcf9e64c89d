//! The wall clock is set, forward or back, by a person or a time server that is wrong: nothing is lost
//! by it, nothing is delivered twice, and nothing waits for the year that it showed.

use std::time::Duration;

use jiff::SignedDuration;
use postcall::telemetry::WebhookOutcome;
use serde_json::json;

use crate::test_env::Rounds;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAYS: SignedDuration = SignedDuration::from_hours(24);
const YEARS: SignedDuration = SignedDuration::from_hours(365 * 24);

/// What can be counted of what is kept.
fn kept(rounds: &Rounds, what: &str) -> i64 {
    let connection = rusqlite::Connection::open(rounds.store.path()).unwrap();
    connection.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
}

/// By retention: bodies, submissions and outcomes.
fn purged(rounds: &Rounds) -> f64 {
    let of = |what| rounds.figure(&format!("retention_purged_total{{what=\"{what}\"}}"));
    of("bodies") + of("submissions") + of("outcomes")
}

/// Each minute, as it is done in the service.
async fn maintained_for(rounds: &Rounds, hours: u32) {
    for _ in 0..hours * 60 {
        rounds.later(MINUTE);
        rounds.maintenance().await;
    }
}

#[test]
fn a_clock_that_is_500_days_ahead_for_70_seconds_purges_nothing_and_plivo_hears_nothing_twice() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "c-1", "4").await;
        rounds.round().await;
        rounds.maintenance().await;
        rounds.clock_is_set(500 * DAYS);
        rounds.maintenance().await;
        rounds.later(Duration::from_secs(70));
        rounds.maintenance().await;
        assert_eq!(rounds.figure("clock_skew_seconds").round(), (500 * DAYS).as_secs_f64());
        rounds.clock_is_set(-500 * DAYS);
        rounds.maintenance().await;
        assert_eq!((purged(rounds), kept(rounds, "webhooks WHERE body IS NOT NULL")), (0.0, 1));
        assert_eq!(rounds.hears("quick", "c-1", "4").await, WebhookOutcome::Duplicate);
        rounds.rounds_for(HOUR).await;
        assert_eq!(rounds.plivo.requests(), 1);
    });
}

#[test]
fn a_restart_under_a_wrong_clock_purges_nothing_and_forgets_no_key() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "c-1", "4").await;
        rounds.round().await;
        let remember = "INSERT INTO idempotency_keys VALUES ('ivr', 'key', x'00', x'00', ?1, 1)";
        let connection = rusqlite::Connection::open(rounds.store.path()).unwrap();
        connection.execute(remember, [rounds.now().as_microsecond()]).unwrap();
        rounds.maintenance().await;
        rounds.crash();
        rounds.clock_is_set(10 * YEARS);
        rounds.start();
        for _ in 0..10 {
            rounds.maintenance().await;
            rounds.later(MINUTE);
        }
        rounds.crash();
        rounds.start();
        rounds.maintenance().await;
        assert_eq!((purged(rounds), kept(rounds, "idempotency_keys")), (0.0, 1));
        // No one sets it otherwise for a day: then that is the time.
        maintained_for(rounds, 24).await;
        assert_eq!((purged(rounds), kept(rounds, "idempotency_keys")), (2.0, 0));
        assert_eq!(kept(rounds, "submissions"), 0);
    });
}

#[test]
fn an_answer_that_came_in_a_wrong_future_is_delivered_once_the_clock_is_right_again() {
    Rounds::play(async |rounds| {
        rounds.round().await;
        rounds.clock_is_set(10 * YEARS);
        // It is not complete, and waits for an hour.
        rounds.hears("ivr", "c-1", "4").await;
        rounds.round().await;
        rounds.clock_is_set(-10 * YEARS);
        rounds.round().await;
        let due_at = rounds.submission("c-1").due_at;
        assert!(due_at <= rounds.now() + HOUR + MINUTE, "{due_at}");
        rounds.rounds_for(HOUR + MINUTE).await;
        assert_eq!(rounds.submission("c-1").state, "delivered");
    });
}

#[test]
fn a_retry_is_not_put_off_by_a_clock_that_is_put_back() {
    Rounds::play(async |rounds| {
        rounds.plivo.fails(json!([{"status": 503, "times": 1}]));
        rounds.hears("quick", "c-1", "4").await;
        rounds.round().await;
        rounds.clock_is_set(-30 * DAYS);
        // Waits are up to ten minutes, and the survey's up to an hour.
        rounds.rounds_for(HOUR + MINUTE).await;
        assert_eq!(rounds.submission("c-1").state, "delivered");
    });
}

#[test]
fn an_offer_does_not_grow_old_by_a_step_of_the_clock() {
    Rounds::play(async |rounds| {
        rounds.plivo.fails(json!([{"status": 503}]));
        rounds.hears("quick", "c-1", "4").await;
        rounds.rounds_for(MINUTE).await;
        rounds.clock_is_set(10 * YEARS);
        // Also once it is believed, a day later.
        rounds.rounds_for(26 * HOUR).await;
        assert_eq!(rounds.submission("c-1").state, "pending");
        rounds.clock_is_set(-10 * YEARS);
        rounds.plivo.is_well();
        rounds.rounds_for(2 * HOUR).await;
        assert_eq!(rounds.submission("c-1").state, "delivered");
    });
}

#[test]
fn what_was_recorded_of_the_clock_and_cannot_be_read_is_recorded_anew_and_stops_no_retention() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "c-1", "4").await;
        rounds.round().await;
        rounds.maintenance().await;
        rounds.crash();
        let connection = rusqlite::Connection::open(rounds.store.path()).unwrap();
        connection.execute("UPDATE clock SET trusted_at = ?1", [i64::MAX]).unwrap();
        drop(connection);
        rounds.start();
        rounds.maintenance().await;
        assert_eq!(kept(rounds, &format!("clock WHERE trusted_at < {}", i64::MAX)), 1);
        rounds.later(10 * 365 * 24 * HOUR);
        rounds.maintenance().await;
        assert_eq!(kept(rounds, "submissions"), 0);
    });
}

#[test]
fn a_restart_under_a_wrong_clock_purges_nothing_although_the_right_one_could_not_be_recorded() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "c-1", "4").await;
        rounds.round().await;
        assert_eq!((kept(rounds, "submissions"), kept(rounds, "clock")), (1, 0));
        rounds.crash();
        rounds.clock_is_set(10 * YEARS);
        rounds.start();
        rounds.maintenance().await;
        assert_eq!((purged(rounds), kept(rounds, "submissions")), (0.0, 1));
        maintained_for(rounds, 24).await;
        assert_eq!(kept(rounds, "submissions"), 0);
    });
}

#[test]
fn a_clock_that_was_right_only_between_two_wrong_years_purges_nothing_after_a_restart() {
    Rounds::play(async |rounds| {
        rounds.clock_is_set(10 * YEARS);
        rounds.crash();
        rounds.start();
        rounds.maintenance().await;
        rounds.clock_is_set(-10 * YEARS);
        rounds.hears("quick", "c-1", "4").await;
        rounds.round().await;
        // It is set again before anything is purged, and the process ends.
        rounds.clock_is_set(500 * DAYS);
        rounds.crash();
        rounds.start();
        rounds.maintenance().await;
        assert_eq!((purged(rounds), kept(rounds, "submissions")), (0.0, 1));
    });
}

#[test]
fn a_step_back_is_shown_for_a_day() {
    Rounds::play(async |rounds| {
        rounds.round().await;
        rounds.clock_is_set(SignedDuration::from_hours(-1));
        rounds.round().await;
        assert_eq!(rounds.figure("clock_skew_seconds"), -3600.0);
        rounds.later(24 * HOUR);
        rounds.round().await;
        assert_eq!(rounds.figure("clock_skew_seconds"), 0.0);
    });
}
