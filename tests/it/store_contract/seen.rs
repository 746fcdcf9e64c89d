//! What can be seen of a ledger.

use futures_util::FutureExt;
use postcall::domain::Verdict;
use postcall::store::{Decision, Search};
use postcall::submission::{DeadReason, IgnoredReason, State, StateCounts};

use super::backend::wanted;
use super::spoken::{AFTER, DELAY, at, attempt, complete, hook, hook_for, ignored};
use super::{Backend, Ledger};

pub async fn the_totals_count_every_state(mut ledger: Ledger<impl Backend>) {
    one_of_each(&ledger).await;
    let totals = StateCounts {
        accepted: 5,
        collecting: 1,
        pending: 1,
        delivered: 1,
        ignored: 1,
        dead: 1,
        discarded: 0,
    };
    assert_eq!(ledger.totals().await, totals);
    ledger.reopen();
    assert_eq!(ledger.totals().await, totals);
    ledger.check_books().await;
}

pub async fn the_list_shows_the_latest_first_and_what_was_asked_for(ledger: Ledger<impl Backend>) {
    one_of_each(&ledger).await;
    let listed = async |state, limit| {
        let search = Search { state, ..Search::default() };
        let rows = ledger.search(search, None, limit).await.unwrap().rows;
        rows.iter().map(|row| row.key.call.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 9).await, ["collecting", "pending", "dead", "ignored", "delivered"]);
    assert_eq!(listed(None, 2).await, ["collecting", "pending"]);
    assert_eq!(listed(None, 0).await, Vec::<String>::new());
    assert_eq!(listed(None, usize::MAX).await.len(), 5);
    for label in State::LABELS.into_iter().filter(|label| *label != "discarded") {
        assert_eq!(listed(Some(label), 9).await, [label]);
    }
    assert_eq!(listed(Some("discarded"), 9).await, Vec::<String>::new());
    let row = ledger.row("collecting").await;
    assert_eq!((row.accepted_at, row.due_at), (at(500), at(500 + AFTER)));
}

pub async fn the_oldest_due_time_is_that_of_the_first_attempt(ledger: Ledger<impl Backend>) {
    let oldest = async || ledger.figures().await.unwrap().oldest_due_at;
    assert_eq!(oldest().await, None);
    ledger.hear(complete(100, "c-1")).await;
    ledger.hear(hook_for("other", 0, "o-1", &[("score", "4")])).await;
    assert_eq!(oldest().await, Some(at(AFTER)));
    ledger.lease(wanted(&[("other", 1)], 1000)).await.unwrap();
    assert_eq!(oldest().await, Some(at(100 + DELAY)));
    let lease = ledger.lease_one(1000).await;
    assert_eq!(oldest().await, None);
    ledger.begin_one(&lease, 1000).await;
    ledger.retry_one(&lease, attempt(Verdict::Unreachable, None, 1001)).await;
    assert_eq!(oldest().await, Some(at(1000)), "an attempt that failed makes nothing younger");
}

pub async fn accounts_waiting_are_those_with_something_to_lease(ledger: Ledger<impl Backend>) {
    let accounts = async || {
        let names = ledger.accounts_waiting().await.unwrap();
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(accounts().await, Vec::<String>::new());
    for (n, account) in ["b", "a", "c", "b"].into_iter().enumerate() {
        ledger.hear(hook_for(account, 0, &format!("c-{n}"), &[("score", "4")])).await;
    }
    assert_eq!(accounts().await, ["a", "b", "c"]);
    let leases = ledger.lease(wanted(&[("c", 1)], 1000)).await.unwrap().leases;
    ledger.settle_one(&leases[0], ignored(IgnoredReason::NoScore), 1000).await;
    assert_eq!(accounts().await, ["a", "b"]);
}

pub async fn the_courier_is_woken_by_what_may_be_due(ledger: Ledger<impl Backend>) {
    assert!(ledger.kept_more().now_or_never().is_none());
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    ledger.hear(hook(0, "c-1", &[("problem", "1")])).await;
    ledger.kept_more().await;
    assert!(ledger.kept_more().now_or_never().is_none(), "once for all that came");
    ledger.hear(hook(1, "c-1", &[("problem", "1")])).await;
    assert!(ledger.kept_more().now_or_never().is_none(), "a repeat makes nothing due");
}

/// One submission in each state that a courier can bring about, its call named after it.
async fn one_of_each(ledger: &Ledger<impl Backend>) {
    for call in ["delivered", "ignored", "dead"] {
        ledger.hear(complete(0, call)).await;
        let lease = ledger.lease_one(100).await;
        let decision = match call {
            "ignored" => ignored(IgnoredReason::NoAnswer),
            "dead" => {
                ledger.begin_one(&lease, 100).await;
                let attempt = attempt(Verdict::Refused, Some(422), 101);
                Decision::Dead { attempt, reason: DeadReason::Refused }
            }
            _ => {
                ledger.begin_one(&lease, 100).await;
                let attempt = attempt(Verdict::Accepted, Some(201), 101);
                Decision::Delivered { attempt }
            }
        };
        ledger.settle_one(&lease, decision, 101).await;
    }
    ledger.hear(complete(400, "pending")).await;
    ledger.hear(hook(500, "collecting", &[("score", "4")])).await;
}
