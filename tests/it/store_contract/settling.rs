//! Writing down what was decided.

use postcall::account::PauseCause;
use postcall::domain::Verdict;
use postcall::store::{Begun, Decision, KeptAttempt, Lease, Settled, Settlement};
use postcall::submission::{DeadReason, IgnoredReason, State};

use super::backend::offer;
use super::spoken::{BUSY, at, attempt, complete, hook, ignored};
use super::{Backend, Ledger};

pub async fn what_was_delivered_is_kept_with_its_attempt(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let lease = ledger.attempt_one(100).await;
    let under_way = KeptAttempt { verdict: None, status: None, api_id: None };
    assert_eq!(ledger.row("c-1").await.last_attempt, Some(under_way));
    let decision = Decision::Delivered { attempt: attempt(Verdict::Accepted, Some(201), 101) };
    assert_eq!(ledger.settle_one(&lease, decision, 101).await, Settled::Done);
    let row = ledger.row("c-1").await;
    assert_eq!((row.state, row.attempts), (State::Delivered, 1));
    assert_eq!(row.feedback.as_deref(), Some("{}"));
    let kept = KeptAttempt {
        verdict: Some("accepted".to_owned()),
        status: Some(201),
        api_id: Some("api-1".to_owned()),
    };
    assert_eq!(row.last_attempt, Some(kept));
    ledger.check_books().await;
}

pub async fn a_retry_is_due_when_it_was_decided_and_is_spent(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let lease = ledger.attempt_one(100).await;
    let decision = Decision::Retry { attempt: attempt(BUSY, Some(503), 105), at: at(130) };
    assert_eq!(ledger.settle_one(&lease, decision, 105).await, Settled::Done);
    assert_eq!(ledger.lease_due(129).await.len(), 0);
    let next = ledger.lease_one(130).await;
    assert_eq!((next.attempts, next.age.as_secs()), (1, 30));
    assert_eq!(ledger.row("c-1").await.state, State::Pending);
}

pub async fn what_is_dead_says_why(ledger: Ledger<impl Backend>) {
    for (n, reason) in DeadReason::ALL.into_iter().enumerate() {
        let call = format!("c-{n}");
        ledger.hear(complete(0, &call)).await;
        let lease = ledger.lease_one(100).await;
        let (decision, detail) = match reason {
            DeadReason::Unmapped | DeadReason::Unrated | DeadReason::Incomplete => {
                (Decision::Unsent { reason, detail: "it says why".to_owned() }, "it says why")
            }
            reason => {
                assert_eq!(ledger.begin_one(&lease, 100).await, Begun::Started);
                let attempt = attempt(Verdict::Refused, Some(422), 101);
                (Decision::Dead { attempt, reason }, "Refused")
            }
        };
        assert_eq!(ledger.settle_one(&lease, decision, 101).await, Settled::Done);
        let row = ledger.row(&call).await;
        assert_eq!((row.state, row.detail.as_deref()), (State::Dead(reason), Some(detail)));
    }
    ledger.check_books().await;
}

pub async fn what_is_ignored_may_say_why(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let lease = ledger.lease_one(100).await;
    let (reason, detail) = (IgnoredReason::Rule, Some("a test call".to_owned()));
    ledger.settle_one(&lease, Decision::Ignored { reason, detail }, 100).await;
    assert_eq!(ledger.row("c-1").await.detail.as_deref(), Some("a test call"));
}

pub async fn how_it_was_mapped_is_kept_until_it_is_mapped_again(mut ledger: Ledger<impl Backend>) {
    let settle = async |ledger: &Ledger<_>, lease: &Lease, decision, trace: Option<&str>| {
        let (ticket, trace) = (lease.ticket, trace.map(str::to_owned));
        let settlement = Settlement { ticket, decision, trace, at: at(101) };
        assert_eq!(ledger.settle(vec![settlement]).await.unwrap(), [Settled::Done]);
        ledger.row("c-1").await.trace
    };
    ledger.hear(hook(0, "c-1", &[("score", "")])).await;
    assert_eq!(ledger.row("c-1").await.trace, None);
    let lease = ledger.lease_one(1000).await;
    let reason = IgnoredReason::NoAnswer;
    assert_eq!(settle(&ledger, &lease, ignored(reason), Some("[1]")).await.unwrap(), "[1]");
    ledger.hear(complete(200, "c-1")).await;
    assert_eq!(ledger.row("c-1").await.trace.unwrap(), "[1]");
    for (second, verdict, trace, kept) in [
        (1000, Verdict::Unreachable, Some("[2]"), "[2]"),
        (2000, Verdict::Misconfigured, Some("[3]"), "[3]"),
        (3000, Verdict::Unreachable, None, "[3]"),
        (4000, Verdict::Accepted, Some("[4]"), "[4]"),
    ] {
        ledger.reopen();
        let lease = ledger.attempt_one(second).await;
        let attempt = attempt(verdict, None, 101);
        let decision = match verdict {
            Verdict::Unreachable => Decision::Retry { attempt, at: at(102) },
            Verdict::Misconfigured => Decision::Hold {
                attempt,
                cause: PauseCause::Misconfigured,
                probe_at: at(102),
                at: at(101),
            },
            _ => Decision::Delivered { attempt },
        };
        assert_eq!(settle(&ledger, &lease, decision, trace).await.unwrap(), kept);
    }
}

pub async fn what_is_settled_is_never_leased_again(mut ledger: Ledger<impl Backend>) {
    for (n, reason) in IgnoredReason::ALL.into_iter().enumerate() {
        ledger.hear(complete(0, &format!("c-{n}"))).await;
        let lease = ledger.lease_one(100).await;
        ledger.settle_one(&lease, ignored(reason), 100).await;
        assert_eq!(ledger.row(&format!("c-{n}")).await.state, State::Ignored(reason));
    }
    assert_eq!(ledger.lease_due(1_000_000).await.len(), 0);
    ledger.reopen();
    assert_eq!(ledger.lease_due(1_000_000).await.len(), 0);
}

pub async fn settlements_answer_in_their_order(ledger: Ledger<impl Backend>) {
    for call in ["c-1", "c-2", "c-3"] {
        ledger.hear(complete(0, call)).await;
    }
    let leases = ledger.lease_due(100).await;
    ledger.release(vec![leases[1].ticket]).await.unwrap();
    ledger.hear(super::hook(100, "c-3", &[("score", "1")])).await;
    let offers = leases.iter().map(|lease| offer(lease.ticket)).collect();
    assert_eq!(
        ledger.begin(offers, at(101)).await.unwrap(),
        [Begun::Started, Begun::LeaseLost, Begun::NewerAnswers]
    );
    let settlements = leases.iter().map(|lease| Settlement {
        ticket: lease.ticket,
        decision: Decision::Retry { attempt: attempt(BUSY, Some(500), 101), at: at(900) },
        trace: None,
        at: at(101),
    });
    assert_eq!(
        ledger.settle(settlements.collect()).await.unwrap(),
        [Settled::Done, Settled::LeaseLost, Settled::LeaseLost]
    );
}

pub async fn a_settlement_survives_a_sudden_end(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let lease = ledger.attempt_one(100).await;
    let attempt = attempt(Verdict::Accepted, Some(201), 101);
    let decision = Decision::Delivered { attempt };
    ledger.settle_one(&lease, decision, 101).await;
    let found = ledger.after_a_sudden_end();
    assert_eq!(found.row("c-1").await, ledger.row("c-1").await);
    assert_eq!(found.lease_due(1_000_000).await.len(), 0);
    found.check_books().await;
}
