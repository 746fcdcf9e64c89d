//! Deliveries on time: each submission that falls due counts once, also if it is never delivered.

use std::time::Duration;

use serde_json::json;

use crate::test_env::Rounds;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Of the account `main`: on time, missed.
fn deliveries(rounds: &Rounds) -> [f64; 2] {
    ["on_time", "missed"].map(|result| {
        rounds.figure(&format!("deliveries_total{{account=\"main\",result=\"{result}\"}}"))
    })
}

fn oldest(rounds: &Rounds, cause: &str) -> f64 {
    rounds.figure(&format!("queue_oldest_due_age_seconds{{cause=\"{cause}\"}}"))
}

/// Statistics are read each minute, as in the service each few seconds.
async fn measured_for(rounds: &mut Rounds, minutes: u32) {
    for _ in 0..minutes {
        rounds.rounds_for(MINUTE).await;
        rounds.statistics_are_read().await;
    }
}

#[test]
fn a_delivery_counts_as_missed_when_its_deadline_passes_and_not_again_when_it_is_made() {
    Rounds::play(async |rounds| {
        rounds.statistics_are_read().await;
        rounds.hears("quick", "at-once", "5").await;
        measured_for(rounds, 1).await;
        assert_eq!(deliveries(rounds), [1.0, 0.0]);

        rounds.plivo.does_not_know("late");
        rounds.hears("quick", "late", "4").await;
        measured_for(rounds, 4).await;
        assert_eq!(deliveries(rounds), [1.0, 0.0], "its deadline has not passed");
        measured_for(rounds, 3).await;
        assert_eq!(deliveries(rounds), [1.0, 1.0]);
        assert!(oldest(rounds, "retry") > 300.0);
        rounds.plivo.is_well();
        measured_for(rounds, 20).await;
        assert_eq!(rounds.submission("late").state, "delivered");
        assert_eq!(deliveries(rounds), [1.0, 1.0]);
        assert_eq!(oldest(rounds, "retry"), 0.0);
    });
}

#[test]
fn a_submission_that_dies_at_once_is_a_missed_delivery() {
    Rounds::play(async |rounds| {
        rounds.statistics_are_read().await;
        rounds.plivo.fails(json!([{"status": 422, "times": 1}]));
        rounds.hears("quick", "c-1", "4").await;
        measured_for(rounds, 10).await;
        assert_eq!(rounds.submission("c-1").state, "dead(rejected)");
        assert_eq!(deliveries(rounds), [0.0, 1.0]);
    });
}

#[test]
fn what_an_operator_pauses_misses_no_deadline() {
    Rounds::play(async |rounds| {
        rounds.statistics_are_read().await;
        rounds.operator_holds("main").await;
        rounds.hears("quick", "c-1", "4").await;
        measured_for(rounds, 10).await;
        assert_eq!((oldest(rounds, "paused"), oldest(rounds, "waiting")), (600.0, 0.0));
        rounds.operator_resumes("main").await;
        measured_for(rounds, 1).await;
        assert_eq!(rounds.submission("c-1").state, "delivered");
        assert_eq!(deliveries(rounds), [0.0, 0.0]);
    });
}

#[test]
fn a_delivery_whose_deadline_passed_while_no_process_ran_is_missed_once() {
    Rounds::play(async |rounds| {
        rounds.hears("quick", "c-1", "4").await;
        rounds.crash();
        rounds.later(10 * MINUTE);
        rounds.start();
        rounds.statistics_are_read().await;
        rounds.rounds_for(SECOND).await;
        measured_for(rounds, 10).await;
        assert_eq!(rounds.submission("c-1").state, "delivered");
        assert_eq!(deliveries(rounds), [0.0, 1.0]);
    });
}
