//! What a person does to submissions: offers them again, gives them up.

use futures_util::FutureExt;
use postcall::domain::Verdict;
use postcall::store::{
    Begun, Decision, Done, Intervention, Lease, Offer, Outcome, Replay, Settled,
};
use postcall::submission::{DeadReason, IgnoredReason, State, StateCounts, SubmissionId};

use super::spoken::{at, attempt, complete, hook, ignored, pairs, unmapped};
use super::{Backend, Ledger};

pub async fn what_is_dead_or_ignored_is_replayed_at_once_with_nothing_spent(
    mut ledger: Ledger<impl Backend>,
) {
    dead(&ledger, "c-1").await;
    silent(&ledger, "c-2").await;
    assert_eq!(replay(&ledger, &["c-1", "c-2"], today(500)).await, [Done::Done, Done::Done]);
    ledger.check_books().await;
    let totals = StateCounts { accepted: 2, pending: 2, ..StateCounts::default() };
    assert_eq!(ledger.totals().await, totals);
    for call in ["c-1", "c-2"] {
        let row = ledger.row(call).await;
        assert_eq!((row.state, row.detail, row.settled_at), (State::Pending, None, None));
        assert_eq!((row.due_at, row.attempts), (at(500), 0));
    }
    ledger.reopen();
    assert_eq!(ledger.totals().await, totals);
    let leases = ledger.lease_due(600).await;
    assert_eq!(leases.len(), 2);
    for lease in leases {
        assert_eq!((lease.attempts, lease.age.as_secs(), lease.as_was.as_deref()), (0, 0, None));
        assert_eq!(pairs(&lease.answers).len(), 2);
    }
}

pub async fn what_was_accepted_is_replayed_only_where_it_is_asked_for(
    ledger: Ledger<impl Backend>,
) {
    delivered(&ledger, "c-1").await;
    assert_eq!(replay(&ledger, &["c-1"], today(500)).await, [Done::Accepted]);
    assert_eq!(ledger.row("c-1").await.state, State::Delivered);
    let how = Replay { accepted_too: true, ..today(500) };
    assert_eq!(replay(&ledger, &["c-1"], how).await, [Done::Done]);
    let lease = ledger.attempt_one(500).await;
    assert!(lease.again);
    let row = ledger.row("c-1").await;
    assert_eq!((row.state, row.feedback.as_deref()), (State::Pending, Some("{}")));
    ledger.settle_one(&lease, accepted(501), 501).await;
    assert_eq!(ledger.row("c-1").await.state, State::Delivered);
    ledger.check_books().await;
}

pub async fn what_waits_is_not_replayed(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "collecting", &[("score", "4")])).await;
    ledger.hear(complete(0, "c-1")).await;
    assert_eq!(
        replay(&ledger, &["collecting", "c-1", "never-heard"], today(60)).await,
        [Done::Waiting, Done::Waiting, Done::Unknown]
    );
    ledger.attempt_one(60).await;
    assert_eq!(replay(&ledger, &["c-1"], today(61)).await, [Done::UnderWay]);
    assert_eq!(ledger.find(id("c-1")).await.unwrap().unwrap().interventions, []);
}

pub async fn a_submission_that_is_asked_for_twice_is_replayed_once(ledger: Ledger<impl Backend>) {
    dead(&ledger, "c-1").await;
    assert_eq!(replay(&ledger, &["c-1", "c-1"], today(500)).await, [Done::Done, Done::Waiting]);
    ledger.check_books().await;
}

pub async fn the_courier_is_woken_by_a_replay(ledger: Ledger<impl Backend>) {
    dead(&ledger, "c-1").await;
    ledger.kept_more().await;
    replay(&ledger, &["c-1"], today(500)).await;
    ledger.kept_more().await;
    assert!(ledger.kept_more().now_or_never().is_none());
}

pub async fn what_is_replayed_as_it_was_is_offered_word_for_word(mut ledger: Ledger<impl Backend>) {
    refused(&ledger, "c-1", r#"{"rating":5}"#).await;
    let how = Replay { as_was: true, ..today(500) };
    assert_eq!(replay(&ledger, &["c-1"], how).await, [Done::Done]);
    ledger.reopen();
    let lease = ledger.lease_one(500).await;
    assert_eq!(lease.as_was.as_deref(), Some(r#"{"rating":5}"#));
    begin(&ledger, &lease, r#"{"rating":5}"#, 500).await;
    ledger.retry_one(&lease, attempt(Verdict::UnknownResult, None, 501)).await;
    let lease = ledger.lease_one(1000).await;
    assert!(lease.as_was.is_some(), "until it is settled");
    begin(&ledger, &lease, r#"{"rating":5}"#, 1000).await;
    ledger.settle_one(&lease, accepted(1001), 1001).await;
    let how = Replay { accepted_too: true, ..today(2000) };
    replay(&ledger, &["c-1"], how).await;
    assert_eq!(ledger.lease_one(2000).await.as_was, None);
    let actions: Vec<_> = interventions(&ledger, "c-1").await;
    assert_eq!(
        actions.iter().map(|it| &*it.action).collect::<Vec<_>>(),
        ["replay_as_was", "replay"]
    );
}

pub async fn what_was_never_offered_cannot_be_replayed_as_it_was(ledger: Ledger<impl Backend>) {
    silent(&ledger, "c-1").await;
    let how = Replay { as_was: true, ..today(500) };
    assert_eq!(replay(&ledger, &["c-1"], how).await, [Done::NeverOffered]);
    assert_eq!(ledger.row("c-1").await.state, State::Ignored(IgnoredReason::NoAnswer));
}

pub async fn what_is_said_after_a_replay_as_it_was_counts(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let lease = ledger.attempt_one(100).await;
    let unreachable = attempt(Verdict::Unreachable, None, 101);
    let dead = Decision::Dead { attempt: unreachable, reason: DeadReason::TooOld };
    ledger.settle_one(&lease, dead, 101).await;
    let how = Replay { as_was: true, ..today(500) };
    replay(&ledger, &["c-1"], how).await;
    let told = ledger.hear(hook(500, "c-1", &[("score", "2")])).await;
    assert_eq!(told.outcome, Outcome::Added);
    let lease = ledger.lease_one(1000).await;
    assert_eq!((lease.as_was.as_deref(), pairs(&lease.answers).len()), (None, 3));

    let begun = ledger.begin_one(&lease, 1000).await;
    assert_eq!(begun, Begun::Started);
    let unreachable = attempt(Verdict::Unreachable, None, 1001);
    let dead = Decision::Dead { attempt: unreachable, reason: DeadReason::TooOld };
    ledger.settle_one(&lease, dead, 1001).await;
    replay(&ledger, &["c-1"], Replay { at: at(1100), ..how }).await;
    let lease = ledger.attempt_one(1100).await;
    assert!(lease.as_was.is_some());
    let told = ledger.hear(hook(1100, "c-1", &[("score", "3")])).await;
    assert_eq!(told.outcome, Outcome::Late);
    ledger.retry_one(&lease, attempt(Verdict::Unreachable, None, 1101)).await;
    let lease = ledger.lease_one(2000).await;
    assert_eq!((lease.as_was.as_deref(), pairs(&lease.answers).len()), (None, 4));
}

pub async fn what_closed_a_submission_closes_it_after_a_replay(ledger: Ledger<impl Backend>) {
    refused(&ledger, "c-1", "{}").await;
    replay(&ledger, &["c-1"], today(500)).await;
    let heard = ledger.hear(hook(501, "c-1", &[("score", "2")])).await;
    assert_eq!(heard.outcome, Outcome::Late, "the destination may know of it");
    dead(&ledger, "c-2").await;
    replay(&ledger, &["c-2"], today(500)).await;
    let heard = ledger.hear(hook(501, "c-2", &[("score", "2")])).await;
    assert_eq!(heard.outcome, Outcome::Added);
}

pub async fn what_is_given_up_stays_given_up(mut ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "collecting", &[("score", "4")])).await;
    dead(&ledger, "dead").await;
    silent(&ledger, "ignored").await;
    ledger.hear(complete(0, "pending")).await;
    let lease = ledger.lease_one(100).await;
    let calls = ["collecting", "dead", "ignored", "pending"];
    assert_eq!(discard(&ledger, &calls, 300).await, [Done::Done; 4]);
    ledger.check_books().await;
    let totals = StateCounts { accepted: 4, discarded: 4, ..StateCounts::default() };
    assert_eq!(ledger.totals().await, totals);
    assert_eq!(ledger.begin_one(&lease, 301).await, Begun::LeaseLost);
    assert_eq!(ledger.settle_one(&lease, unmapped(""), 301).await, Settled::LeaseLost);
    ledger.reopen();
    assert_eq!(ledger.lease_due(1_000_000).await.len(), 0);
    for call in calls {
        let row = ledger.row(call).await;
        assert_eq!((row.state, row.detail.as_deref()), (State::Discarded, Some("a test")));
        assert_eq!(row.settled_at, Some(at(300)));
        let by_hand = Intervention {
            at: at(300),
            action: "discard".to_owned(),
            detail: Some("a test".to_owned()),
        };
        assert_eq!(interventions(&ledger, call).await, [by_hand]);
        let heard = ledger.hear(hook(400, call, &[("score", "1")])).await;
        assert_eq!(heard.outcome, Outcome::Late);
    }
    assert_eq!(discard(&ledger, &calls, 500).await, [Done::Gone; 4]);
    let how = Replay { accepted_too: true, ..today(500) };
    assert_eq!(replay(&ledger, &calls, how).await, [Done::Gone; 4]);
    assert_eq!(ledger.totals().await, totals);
}

pub async fn what_was_delivered_or_is_under_way_is_not_given_up(ledger: Ledger<impl Backend>) {
    delivered(&ledger, "c-1").await;
    ledger.hear(complete(0, "c-2")).await;
    let lease = ledger.attempt_one(100).await;
    assert_eq!(
        discard(&ledger, &["c-1", "c-2", "never-heard"], 101).await,
        [Done::Accepted, Done::UnderWay, Done::Unknown]
    );
    assert_eq!(ledger.settle_one(&lease, accepted(102), 102).await, Settled::Done);
    ledger.check_books().await;
}

fn today(second: i64) -> Replay {
    Replay { as_was: false, accepted_too: false, at: at(second) }
}

fn id(call: &str) -> SubmissionId {
    complete(0, call).key.id()
}

fn accepted(second: i64) -> Decision {
    Decision::Delivered { attempt: attempt(Verdict::Accepted, Some(201), second) }
}

async fn replay(ledger: &Ledger<impl Backend>, calls: &[&str], how: Replay) -> Vec<Done> {
    ledger.replay(calls.iter().copied().map(id).collect(), how).await.unwrap()
}

async fn discard(ledger: &Ledger<impl Backend>, calls: &[&str], second: i64) -> Vec<Done> {
    let ids = calls.iter().copied().map(id).collect();
    ledger.discard(ids, "a test".to_owned(), at(second)).await.unwrap()
}

async fn interventions(ledger: &Ledger<impl Backend>, call: &str) -> Vec<Intervention> {
    ledger.find(id(call)).await.unwrap().unwrap().interventions
}

/// Nothing was offered, because nobody could say what.
async fn dead(ledger: &Ledger<impl Backend>, call: &str) {
    ledger.hear(complete(0, call)).await;
    let lease = ledger.lease_one(100).await;
    ledger.settle_one(&lease, unmapped("no such question"), 100).await;
}

async fn silent(ledger: &Ledger<impl Backend>, call: &str) {
    ledger.hear(complete(0, call)).await;
    let lease = ledger.lease_one(100).await;
    ledger.settle_one(&lease, ignored(IgnoredReason::NoAnswer), 100).await;
}

async fn refused(ledger: &Ledger<impl Backend>, call: &str, feedback: &str) {
    ledger.hear(complete(0, call)).await;
    let lease = ledger.lease_one(100).await;
    begin(ledger, &lease, feedback, 100).await;
    let attempt = attempt(Verdict::Refused, Some(422), 101);
    let decision = Decision::Dead { attempt, reason: DeadReason::Refused };
    ledger.settle_one(&lease, decision, 101).await;
}

async fn delivered(ledger: &Ledger<impl Backend>, call: &str) {
    ledger.hear(complete(0, call)).await;
    let lease = ledger.attempt_one(100).await;
    ledger.settle_one(&lease, accepted(101), 101).await;
}

async fn begin(ledger: &Ledger<impl Backend>, lease: &Lease, feedback: &str, second: i64) {
    let offer = Offer { ticket: lease.ticket, feedback: feedback.to_owned() };
    assert_eq!(ledger.begin(vec![offer], at(second)).await.unwrap(), [Begun::Started]);
}
