//! Accounts that wait for better settings.

use postcall::domain::{HoldCause, IgnoredReason, State, Verdict};
use postcall::store::{Decision, Lease, Settled};

use super::backend::wanted;
use super::spoken::{BUSY, at, attempt, complete, hook_for, ignored, unmapped};
use super::{Backend, Ledger};

pub async fn a_misconfigured_account_is_held_and_nothing_is_spent(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let due_at = ledger.row("c-1").await.due_at;
    hold(&ledger, 100).await;
    let row = ledger.row("c-1").await;
    assert_eq!((row.state, row.attempts, row.due_at), (State::Pending, 0, due_at));
    assert_eq!(row.last_attempt.unwrap().verdict.as_deref(), Some("misconfigured"));
    let holds = ledger.figures().await.unwrap().holds;
    let found: Vec<_> = holds
        .iter()
        .map(|hold| (hold.account.as_str(), hold.since, hold.status, hold.detail.as_str()))
        .collect();
    assert_eq!(found, [("main", at(100), Some(401), "Misconfigured")]);
    ledger.check_books().await;
}

pub async fn a_held_account_gives_one_probe_at_a_time(ledger: Ledger<impl Backend>) {
    for call in ["c-1", "c-2", "c-3"] {
        ledger.hear(complete(0, call)).await;
    }
    ledger.hear(hook_for("other", 0, "o-1", &[("score", "4")])).await;
    let first = ledger.lease(wanted(&[("main", 1)], 100)).await.unwrap().leases.remove(0);
    assert!(!first.probe);
    settle_as_held(&ledger, &first, 100).await;

    let leased = ledger.lease(wanted(&[("main", 9)], 159)).await.unwrap();
    assert_eq!((leased.leases.len(), leased.next_due_at), (0, Some(at(160))));
    let probe = ledger.lease_one(160).await;
    assert!(probe.probe);
    let leased = ledger.lease(wanted(&[("main", 9)], 219)).await.unwrap();
    assert_eq!((leased.leases.len(), leased.next_due_at), (0, Some(at(220))));
    settle_as_held(&ledger, &probe, 161).await;
    assert_eq!(ledger.figures().await.unwrap().holds[0].since, at(100), "held ever since");
    assert_eq!(ledger.lease_due(220).await.len(), 0, "put off by the probe that failed");
    assert!(ledger.lease_one(221).await.probe);

    let others = ledger.lease(wanted(&[("other", 9)], 220)).await.unwrap().leases;
    assert_eq!((others.len(), others[0].probe), (1, false), "one account's hold is its own");
}

pub async fn a_submission_that_is_never_let_in_does_not_probe_for_all_others(
    ledger: Ledger<impl Backend>,
) {
    for call in ["c-1", "c-2"] {
        ledger.hear(complete(0, call)).await;
    }
    let forbidden = ledger.lease(wanted(&[("main", 1)], 100)).await.unwrap().leases.remove(0);
    settle_as_held(&ledger, &forbidden, 100).await;
    let probe = ledger.lease_one(160).await;
    assert_ne!(probe.key.call, forbidden.key.call, "another finds out whether it is the account");
    settle_as_held(&ledger, &probe, 160).await;
    let probe = ledger.lease_one(220).await;
    assert_eq!(probe.key.call, forbidden.key.call, "they take turns");
}

pub async fn a_probe_that_asked_nobody_leaves_it_to_the_next(ledger: Ledger<impl Backend>) {
    for call in ["c-1", "c-2", "c-3"] {
        ledger.hear(complete(0, call)).await;
    }
    let first = ledger.lease(wanted(&[("main", 1)], 100)).await.unwrap().leases.remove(0);
    settle_as_held(&ledger, &first, 100).await;
    let silent = ledger.lease_one(160).await;
    ledger.settle_one(&silent, ignored(IgnoredReason::NoAnswer), 161).await;
    let unknown = ledger.lease_one(161).await;
    ledger.settle_one(&unknown, unmapped("no such question"), 162).await;
    let probe = ledger.lease_one(162).await;
    assert_eq!((probe.probe, &probe.key.call), (true, &first.key.call));
    assert_eq!(ledger.lease_due(221).await.len(), 0, "this one asks");
}

pub async fn a_delivery_lifts_the_hold(ledger: Ledger<impl Backend>) {
    for call in ["c-1", "c-2", "c-3"] {
        ledger.hear(complete(0, call)).await;
    }
    let leases = ledger.lease_due(100).await;
    settle_as_held(&ledger, &leases[0], 100).await;
    ledger.release(vec![leases[1].ticket, leases[2].ticket]).await.unwrap();

    let probe = ledger.attempt_one(160).await;
    ledger.retry_one(&probe, attempt(BUSY, Some(503), 160)).await;
    assert_eq!(ledger.figures().await.unwrap().holds.len(), 1, "only success resumes");

    let probe = ledger.attempt_one(220).await;
    let attempt = attempt(Verdict::Accepted, Some(201), 221);
    let delivered = Decision::Delivered { attempt };
    assert_eq!(ledger.settle_one(&probe, delivered, 221).await, Settled::Done);
    assert_eq!(ledger.figures().await.unwrap().holds, []);
    let leases = ledger.lease_due(221).await;
    assert_eq!(leases.len(), 2);
    assert!(leases.iter().all(|lease| !lease.probe));
}

pub async fn the_time_an_account_was_held_is_no_age(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    ledger.hear(complete(1, "c-2")).await;
    // c-1 is first tried at 100; the account is held from 110 to 400 and again from 450 to 600.
    let leases = ledger.lease_due(100).await;
    ledger.begin_one(&leases[0], 100).await;
    ledger.release(vec![leases[1].ticket]).await.unwrap();
    hold_settled(&ledger, &leases[0], 110).await;
    lift(&ledger, "l-1", 400).await;
    let leases = ledger.lease_due(450).await;
    assert_eq!(leases[0].age.as_secs(), 60);
    ledger.begin_one(&leases[0], 450).await;
    ledger.retry_one(&leases[0], attempt(Verdict::Unreachable, None, 450)).await;
    ledger.begin_one(&leases[1], 450).await;
    hold_settled(&ledger, &leases[1], 450).await;
    lift(&ledger, "l-2", 600).await;

    let leases = ledger.lease_due(700).await;
    let ages: Vec<_> =
        leases.iter().map(|lease| (lease.key.call.as_str(), lease.age.as_secs())).collect();
    assert_eq!(ages, [("c-2", 250 - 150), ("c-1", 600 - 290 - 150)]);
}

pub async fn a_hold_survives_reopening(mut ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    hold(&ledger, 100).await;
    let holds = ledger.figures().await.unwrap().holds;
    ledger.reopen();
    assert_eq!(ledger.figures().await.unwrap().holds, holds);
    assert_eq!(ledger.lease_due(159).await.len(), 0);
    assert!(ledger.lease_one(160).await.probe);
}

/// The one submission that is due finds the account misconfigured.
async fn hold(ledger: &Ledger<impl Backend>, second: i64) {
    let lease = ledger.lease_one(second).await;
    settle_as_held(ledger, &lease, second).await;
}

async fn settle_as_held(ledger: &Ledger<impl Backend>, lease: &Lease, second: i64) {
    ledger.begin_one(lease, second).await;
    hold_settled(ledger, lease, second).await;
}

async fn hold_settled(ledger: &Ledger<impl Backend>, lease: &Lease, second: i64) {
    let attempt = attempt(Verdict::Misconfigured, Some(401), second);
    let decision = Decision::Hold {
        attempt,
        cause: HoldCause::Misconfigured,
        probe_at: at(second + 60),
        at: at(second),
    };
    assert_eq!(ledger.settle_one(lease, decision, second).await, Settled::Done);
}

/// Another call of the account, due long before, is the probe and is delivered.
async fn lift(ledger: &Ledger<impl Backend>, call: &str, second: i64) {
    ledger.hear(complete(-1000, call)).await;
    let probe = ledger.attempt_one(second).await;
    assert_eq!(probe.key.call.as_str(), call);
    let attempt = attempt(Verdict::Accepted, Some(201), second);
    let delivered = Decision::Delivered { attempt };
    ledger.settle_one(&probe, delivered, second).await;
}
