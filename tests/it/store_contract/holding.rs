//! Accounts that wait for better settings.

use futures_util::FutureExt;
use postcall::account::PauseCause;
use postcall::domain::{Name, Verdict};
use postcall::store::{Begun, Decision, Hold, Lease, Settled};
use postcall::submission::{DeadReason, IgnoredReason, State};

use super::backend::wanted;
use super::spoken::{BUSY, at, attempt, complete, hook, hook_for, ignored, unmapped};
use super::{Backend, Ledger};

pub async fn a_misconfigured_account_is_held_and_nothing_is_spent(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    hold(&ledger, 100).await;
    let row = ledger.row("c-1").await;
    assert_eq!((row.state, row.attempts, row.due_at), (State::Pending, 0, at(100)));
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

pub async fn a_probe_that_was_given_back_leaves_it_to_the_next(ledger: Ledger<impl Backend>) {
    for call in ["c-1", "c-2"] {
        ledger.hear(complete(0, call)).await;
    }
    let first = ledger.lease(wanted(&[("main", 1)], 100)).await.unwrap().leases.remove(0);
    settle_as_held(&ledger, &first, 100).await;
    let probe = ledger.lease_one(160).await;
    ledger.release(vec![probe.ticket]).await.unwrap();
    let probe = ledger.lease_one(161).await;
    let told = hook(162, probe.key.call.as_str(), &[("score", "2")]);
    ledger.hear(told).await;
    assert_eq!(ledger.begin_one(&probe, 163).await, Begun::NewerAnswers);
    let probe = ledger.lease_one(163).await;
    assert_eq!(ledger.lease_due(164).await.len(), 0, "one at a time");
    ledger.begin_one(&probe, 163).await;
    ledger.release(vec![probe.ticket]).await.unwrap();
    assert_eq!(ledger.lease_due(164).await.len(), 0, "this one asks");
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

pub async fn a_clock_that_was_put_back_leaves_no_account_unprobed(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(-100_000, "c-1")).await;
    let lease = ledger.lease_one(100).await;
    settle_as_held(&ledger, &lease, 100).await;
    ledger.hear(complete(-100_000, "c-2")).await;
    assert_eq!(ledger.lease_one(-90_000).await.key.call.as_str(), "c-2");
    let leased = ledger.lease(wanted(&[("main", 9)], -89_941)).await.unwrap();
    assert_eq!((leased.leases.len(), leased.next_due_at), (0, Some(at(100))));
}

pub async fn what_dies_may_have_its_account_held(ledger: Ledger<impl Backend>) {
    for call in ["c-1", "c-2"] {
        ledger.hear(complete(0, call)).await;
    }
    let lease = ledger.lease(wanted(&[("main", 1)], 100)).await.unwrap().leases.remove(0);
    ledger.begin_one(&lease, 100).await;
    let decision = Decision::DeadAndHold {
        attempt: attempt(Verdict::UnknownResult, None, 101),
        reason: DeadReason::UnknownResult,
        cause: PauseCause::Refusals,
        probe_at: at(160),
    };
    assert_eq!(ledger.settle_one(&lease, decision, 101).await, Settled::Done);
    assert_eq!(ledger.row("c-1").await.state, State::Dead(DeadReason::UnknownResult));
    assert_eq!(ledger.figures().await.unwrap().holds[0].cause, PauseCause::Refusals);
    assert_eq!(ledger.lease_due(159).await.len(), 0);
    let probe = ledger.lease_one(160).await;
    assert_eq!((probe.key.call.as_str(), probe.probe), ("c-2", true));
    ledger.check_books().await;
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
    let [second, first] = &leases[..] else { panic!("{leases:?}") };
    assert_eq!(first.age.as_secs(), 60);
    ledger.begin_one(first, 450).await;
    ledger.retry_one(first, attempt(Verdict::Unreachable, None, 450)).await;
    ledger.begin_one(second, 450).await;
    hold_settled(&ledger, second, 450).await;
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

pub async fn a_person_holds_an_account_until_a_person_resumes_it(mut ledger: Ledger<impl Backend>) {
    for call in ["c-1", "c-2"] {
        ledger.hear(complete(0, call)).await;
    }
    let under_way = ledger.lease(wanted(&[("main", 1)], 100)).await.unwrap().leases.remove(0);
    ledger.begin_one(&under_way, 100).await;
    ledger.hold(main(), "the numbers look wrong".to_owned(), at(110)).await.unwrap();
    ledger.hold(main(), "they are wrong".to_owned(), at(120)).await.unwrap();
    ledger.settle_one(&under_way, delivered(130), 130).await;
    ledger.reopen();
    ledger.probe_now(vec![main()], at(130)).await.unwrap();
    let leased = ledger.lease(wanted(&[("main", 9)], 1_000_000)).await.unwrap();
    assert_eq!((leased.leases.len(), leased.next_due_at), (0, None));
    let expected = Hold {
        account: main(),
        cause: PauseCause::Operator,
        since: at(110),
        status: None,
        detail: "they are wrong".to_owned(),
    };
    assert_eq!(ledger.figures().await.unwrap().holds, [expected]);

    assert!(ledger.resume(main(), at(500)).await.unwrap());
    assert_eq!(ledger.figures().await.unwrap().holds, []);
    assert!(!ledger.resume(main(), at(501)).await.unwrap());
    assert!(!ledger.lease_one(501).await.probe);
}

pub async fn a_person_may_resume_an_account_that_another_cause_holds(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    hold(&ledger, 100).await;
    assert!(ledger.resume(main(), at(400)).await.unwrap());
    let lease = ledger.lease_one(450).await;
    assert_eq!((lease.probe, lease.age.as_secs()), (false, 50));
}

pub async fn a_held_account_is_probed_at_once_when_it_is_asked_for(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    hold(&ledger, 100).await;
    while ledger.kept_more().now_or_never().is_some() {}
    ledger.probe_now(vec![main(), "other".parse().unwrap()], at(110)).await.unwrap();
    ledger.kept_more().await;
    assert_eq!(ledger.lease_due(109).await.len(), 0);
    assert!(ledger.lease_one(110).await.probe);
    let others = ledger.figures().await.unwrap().holds;
    assert_eq!(others.len(), 1, "nobody is held by being probed");
}

pub async fn a_stronger_cause_takes_the_place_of_a_weaker_one_and_never_the_other_way_round(
    ledger: Ledger<impl Backend>,
) {
    let now_held = async || {
        let holds = ledger.figures().await.unwrap().holds;
        (holds[0].cause, holds[0].since, holds[0].detail.clone())
    };
    for call in ["c-1", "c-2", "c-3"] {
        ledger.hear(complete(0, call)).await;
    }
    let leases = ledger.lease_due(100).await;
    for lease in &leases {
        ledger.begin_one(lease, 100).await;
    }
    let held = async |lease, cause, verdict, second| {
        let attempt = attempt(verdict, None, second);
        let (probe_at, at) = (at(second + 60), at(second));
        let decision = Decision::Hold { attempt, cause, probe_at, at };
        assert_eq!(ledger.settle_one(lease, decision, second).await, Settled::Done);
    };
    held(&leases[0], PauseCause::Unreachable, Verdict::Unreachable, 110).await;
    assert_eq!(now_held().await, (PauseCause::Unreachable, at(110), "Unreachable".to_owned()));
    held(&leases[1], PauseCause::Misconfigured, Verdict::Misconfigured, 120).await;
    let misconfigured = (PauseCause::Misconfigured, at(110), "Misconfigured".to_owned());
    assert_eq!(now_held().await, misconfigured);
    held(&leases[2], PauseCause::Unreachable, Verdict::Unreachable, 130).await;
    assert_eq!(now_held().await, misconfigured);
    assert_eq!(ledger.lease_due(179).await.len(), 0);
    let probe = ledger.attempt_one(180).await;
    ledger.hold(main(), "wait".to_owned(), at(185)).await.unwrap();
    held(&probe, PauseCause::Misconfigured, Verdict::Misconfigured, 190).await;
    assert_eq!(now_held().await, (PauseCause::Operator, at(110), "wait".to_owned()));

    ledger.resume(main(), at(200)).await.unwrap();
    let lease = ledger.lease_due(200).await.remove(0);
    ledger.begin_one(&lease, 200).await;
    held(&lease, PauseCause::Refusals, Verdict::Refused, 210).await;
    assert_eq!(now_held().await, (PauseCause::Refusals, at(210), "Refused".to_owned()));
}

pub async fn any_answer_ends_the_hold_of_an_account_that_was_unreachable(
    ledger: Ledger<impl Backend>,
) {
    ledger.hear(complete(0, "c-1")).await;
    let is_held = async || !ledger.figures().await.unwrap().holds.is_empty();
    let hold = async |lease: &Lease, cause, second| {
        ledger.begin_one(lease, second).await;
        let attempt = attempt(Verdict::Unreachable, None, second);
        let (probe_at, at) = (at(second + 1), at(second));
        ledger.settle_one(lease, Decision::Hold { attempt, cause, probe_at, at }, second).await;
        assert!(is_held().await);
    };
    hold(&ledger.lease_one(100).await, PauseCause::Unreachable, 100).await;
    let probe = ledger.attempt_one(101).await;
    assert!(probe.probe);
    ledger.retry_one(&probe, attempt(Verdict::Unreachable, None, 102)).await;
    assert!(is_held().await, "nobody answered");
    let probe = ledger.attempt_one(500).await;
    ledger.retry_one(&probe, attempt(BUSY, Some(503), 501)).await;
    assert!(!is_held().await);

    hold(&ledger.lease_one(600).await, PauseCause::Unreachable, 600).await;
    let probe = ledger.attempt_one(700).await;
    let attempt = attempt(Verdict::UnknownCall, Some(404), 701);
    let dead = Decision::Dead { attempt, reason: DeadReason::UnknownCall };
    ledger.settle_one(&probe, dead, 701).await;
    assert!(!is_held().await);
}

pub async fn only_what_is_rejected_while_others_may_pass_is_counted_against_it(
    ledger: Ledger<impl Backend>,
) {
    ledger.hear(complete(0, "c-1")).await;
    let mut second = 100;
    for rejections in 0..3 {
        let lease = ledger.lease_one(second).await;
        assert_eq!((lease.rejections, lease.probe), (rejections, false));
        settle_as_held(&ledger, &lease, second).await;
        let probe = ledger.lease_one(second + 60).await;
        assert_eq!((probe.rejections, probe.probe), (rejections + 1, true));
        settle_as_held(&ledger, &probe, second + 60).await;
        ledger.resume(main(), at(second + 61)).await.unwrap();
        second += 100;
    }
    let lease = ledger.attempt_one(second).await;
    let attempt = attempt(Verdict::Unreachable, None, second);
    let (probe_at, due) = (at(second + 1), at(second));
    let cause = PauseCause::Unreachable;
    let decision = Decision::Hold { attempt, cause, probe_at, at: due };
    ledger.settle_one(&lease, decision, second).await;
    assert_eq!(ledger.lease_one(second + 1).await.rejections, 3, "nobody rejected it");
}

fn main() -> Name {
    "main".parse().unwrap()
}

fn delivered(second: i64) -> Decision {
    Decision::Delivered { attempt: attempt(Verdict::Accepted, Some(201), second) }
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
        cause: PauseCause::Misconfigured,
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
