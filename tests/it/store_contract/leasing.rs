//! Handing out what is due, to one holder at a time.

use postcall::domain::Verdict;
use postcall::store::{Begun, Decision, Lease, Outcome, Settled};
use postcall::submission::State;

use super::backend::{LEASE, wanted};
use super::spoken::{AFTER, DELAY, answer, at, attempt, complete, hook, hook_for, pairs};
use super::{Backend, Ledger};

pub async fn nothing_is_leased_before_it_is_due(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    ledger.hear(hook(0, "c-2", &[("score", "4")])).await;
    assert_eq!(calls(&ledger.lease_due(DELAY - 1).await), Vec::<&str>::new());
    assert_eq!(calls(&ledger.lease_due(DELAY).await), ["c-1"]);
    assert_eq!(calls(&ledger.lease_due(AFTER).await), ["c-2"]);
}

pub async fn what_is_due_longest_is_leased_first(ledger: Ledger<impl Backend>) {
    for (second, call) in [(30, "c-3"), (10, "c-1"), (20, "c-2")] {
        ledger.hear(complete(second, call)).await;
    }
    assert_eq!(calls(&ledger.lease_due(1000).await), ["c-1", "c-2", "c-3"]);
}

pub async fn a_submission_is_never_in_two_hands(ledger: Ledger<impl Backend>) {
    for call in ["c-1", "c-2", "c-3"] {
        ledger.hear(complete(0, call)).await;
    }
    let request = wanted(&[("main", 2)], 100);
    let first = ledger.lease(request.clone()).await.unwrap().leases;
    let second = ledger.lease(request.clone()).await.unwrap().leases;
    let third = ledger.lease(request).await.unwrap().leases;
    assert_eq!((first.len(), second.len(), third.len()), (2, 1, 0));
    assert_eq!(calls(&[first, second].concat()), ["c-1", "c-2", "c-3"]);
}

pub async fn no_account_gets_more_than_was_wanted_for_it(ledger: Ledger<impl Backend>) {
    for call in ["c-1", "c-2", "c-3"] {
        ledger.hear(complete(0, call)).await;
    }
    assert_eq!(calls(&lease(&ledger, &[("main", 0)]).await), Vec::<&str>::new());
    assert_eq!(calls(&lease(&ledger, &[("main", 2)]).await), ["c-1", "c-2"]);
    assert_eq!(calls(&lease(&ledger, &[("other", 9)]).await), Vec::<&str>::new());
    assert_eq!(calls(&lease(&ledger, &[("main", usize::MAX)]).await), ["c-3"]);
}

pub async fn a_busy_account_never_starves_another(ledger: Ledger<impl Backend>) {
    for n in 0..20 {
        ledger.hear(complete(n, &format!("c-{n}"))).await;
    }
    let lone = hook_for("other", 30, "o-1", &[("score", "4"), ("problem", "1")]);
    ledger.hear(lone).await;
    let leases = lease(&ledger, &[("main", 3), ("other", 3)]).await;
    assert_eq!(calls(&leases), ["c-0", "c-1", "c-2", "o-1"]);
}

pub async fn a_backlog_never_starves_what_came_just_now(ledger: Ledger<impl Backend>) {
    due_for(&ledger, &[("old", 9), ("hour", 9), ("new", 2)]).await;
    let leases = ledger.lease(wanted(&[("main", 8)], NOW)).await.unwrap().leases;
    assert_eq!(
        calls(&leases),
        ["new-0", "hour-0", "old-0", "new-1", "hour-1", "old-1", "hour-2", "old-2"]
    );
    due_for(&ledger, &[("newer", 1)]).await;
    let leases = ledger.lease(wanted(&[("main", 3)], NOW)).await.unwrap().leases;
    assert_eq!(calls(&leases), ["newer-0", "hour-3", "old-3"]);
}

pub async fn each_age_gets_its_share_where_one_is_wanted_at_a_time(ledger: Ledger<impl Backend>) {
    due_for(&ledger, &[("old", 4), ("hour", 4), ("new", 4)]).await;
    ledger.hear(hook_for("other", 0, "other", &[("score", "4")])).await;
    let mut leased = Vec::new();
    for _ in 0..6 {
        // Another account's leases, and those that give nothing, take nobody's turn.
        ledger.lease(wanted(&[("other", 1), ("main", 0)], NOW)).await.unwrap();
        let leases = ledger.lease(wanted(&[("main", 1)], NOW)).await.unwrap().leases;
        leased.extend(leases.iter().map(|lease| lease.key.call.to_string()));
    }
    assert_eq!(leased, ["new-0", "hour-0", "old-0", "new-1", "hour-1", "old-1"]);
}

pub async fn what_one_age_cannot_use_the_others_get(ledger: Ledger<impl Backend>) {
    due_for(&ledger, &[("old", 5), ("new", 1)]).await;
    let leases = ledger.lease(wanted(&[("main", 4)], NOW)).await.unwrap().leases;
    assert_eq!(calls(&leases), ["new-0", "old-0", "old-1", "old-2"]);
    let leases = ledger.lease(wanted(&[("main", 4)], NOW)).await.unwrap().leases;
    assert_eq!(calls(&leases), ["old-3", "old-4"], "enough for all");
}

pub async fn a_lease_tells_all_that_was_said(ledger: Ledger<impl Backend>) {
    let arrival = hook(20, "c-1", &[("score", "4"), ("problem", "")]);
    let key = arrival.key.clone();
    ledger.hear(arrival).await;
    ledger.hear(hook(10, "c-1", &[("score", "")])).await;
    let lease = ledger.lease_one(1000).await;
    assert_eq!((lease.ticket.submission, &lease.key), (key.id(), &key));
    assert_eq!(
        pairs(&lease.answers),
        [
            ("score".into(), answer(""), 10),
            ("problem".into(), answer(""), 20),
            ("score".into(), answer("4"), 20)
        ]
    );
    assert_eq!((lease.attempts, lease.age.as_secs(), lease.probe), (0, 0, false));
    assert_eq!(lease.last_answer_at, at(20));
}

pub async fn a_collecting_submission_becomes_pending_when_it_is_leased(
    ledger: Ledger<impl Backend>,
) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    assert_eq!(ledger.row("c-1").await.state, State::Collecting);
    ledger.lease_one(AFTER).await;
    assert_eq!(ledger.row("c-1").await.state, State::Pending);
    ledger.check_books().await;
}

pub async fn what_is_released_is_due_again(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let first = ledger.lease_one(100).await;
    ledger.release(vec![first.ticket]).await.unwrap();
    assert_eq!(ledger.row("c-1").await.due_at, at(DELAY));
    let second = ledger.lease_one(100).await;
    assert!(second.ticket.fence > first.ticket.fence);
    assert_eq!(second.attempts, 0);
    ledger.release(vec![first.ticket]).await.unwrap();
    assert_eq!(ledger.lease_due(100).await.len(), 0, "an old ticket frees nothing");
}

pub async fn a_release_after_the_attempt_began_changes_nothing(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let lease = ledger.attempt_one(100).await;
    ledger.release(vec![lease.ticket]).await.unwrap();
    assert_eq!(ledger.lease_due(100).await.len(), 0);
    assert_eq!(ledger.settle_one(&lease, delivered(101), 101).await, Settled::Done);
}

pub async fn a_lease_runs_out_by_the_ledgers_own_clock(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let lost = ledger.lease_one(100).await;
    assert_eq!(ledger.lease_due(1_000_000).await.len(), 0, "`now` lets no lease run out");
    ledger.set_clock(LEASE - 1);
    assert_eq!(ledger.lease_due(100).await.len(), 0);
    ledger.set_clock(LEASE);
    let next = ledger.lease_one(100).await;
    assert!(next.ticket.fence > lost.ticket.fence);
    assert_eq!((next.attempts, next.answers), (0, lost.answers));
}

pub async fn a_lost_lease_overwrites_nothing(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let lost = ledger.attempt_one(100).await;
    ledger.set_clock(LEASE);
    assert_eq!(ledger.lease_due(50).await.len(), 0, "runs out, and nobody takes it yet");
    let row = ledger.row("c-1").await;
    assert_eq!(ledger.begin_one(&lost, 101).await, Begun::LeaseLost);
    assert_eq!(ledger.settle_one(&lost, delivered(101), 101).await, Settled::LeaseLost);
    assert_eq!(ledger.row("c-1").await, row);

    let next = ledger.attempt_one(100).await;
    let row = ledger.row("c-1").await;
    assert_eq!(ledger.settle_one(&lost, delivered(102), 102).await, Settled::LeaseLost);
    ledger.release(vec![lost.ticket]).await.unwrap();
    assert_eq!(ledger.row("c-1").await, row);
    assert_eq!(ledger.settle_one(&next, delivered(103), 103).await, Settled::Done);
    assert_eq!(ledger.settle_one(&next, delivered(104), 104).await, Settled::LeaseLost);
    ledger.check_books().await;
}

pub async fn an_attempt_that_nobody_settled_is_an_unknown_result(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    ledger.attempt_one(AFTER).await;
    ledger.set_clock(LEASE);
    let next = ledger.lease_one(AFTER + 10).await;
    assert_eq!((next.attempts, next.age.as_secs()), (1, 10), "it is spent");
    let row = ledger.row("c-1").await;
    assert_eq!(row.last_attempt.unwrap().verdict.as_deref(), Some("unknown_result"));
    let late = ledger.hear(hook(AFTER + 11, "c-1", &[("problem", "1")])).await;
    assert_eq!(late.outcome, Outcome::Late, "it may have arrived");
}

pub async fn at_open_all_leases_are_void(mut ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    ledger.hear(complete(1, "c-2")).await;
    let leases = ledger.lease_due(100).await;
    assert_eq!(ledger.begin_one(&leases[0], 100).await, Begun::Started);
    ledger.reopen();
    for lost in &leases {
        assert_eq!(ledger.begin_one(lost, 101).await, Begun::LeaseLost);
        assert_eq!(ledger.settle_one(lost, delivered(101), 101).await, Settled::LeaseLost);
    }
    let again = ledger.lease_due(110).await;
    assert_eq!(calls(&again), ["c-1", "c-2"]);
    assert_eq!((again[0].attempts, again[1].attempts), (1, 0), "the one under way is spent");
    let row = ledger.row("c-1").await;
    assert_eq!(row.last_attempt.unwrap().verdict.as_deref(), Some("unknown_result"));
    let heard = ledger.hear(hook(111, "c-1", &[("score", "1")])).await;
    assert_eq!(heard.outcome, Outcome::Late);
    let heard = ledger.hear(hook(111, "c-2", &[("score", "1")])).await;
    assert_eq!(heard.outcome, Outcome::Added);
}

pub async fn the_next_due_time_is_told_with_the_leases(ledger: Ledger<impl Backend>) {
    let next =
        async |accounts, second| ledger.lease(wanted(accounts, second)).await.unwrap().next_due_at;
    assert_eq!(next(&[("main", 1)], 0).await, None);
    ledger.hear(complete(0, "c-1")).await;
    ledger.hear(complete(10, "c-2")).await;
    assert_eq!(next(&[("main", 1)], 0).await, Some(at(DELAY)));
    assert_eq!(next(&[("other", 1)], 0).await, None, "only of the accounts that were asked for");
    assert_eq!(next(&[("main", 1)], DELAY).await, None, "whoever got all has no room for more");
    assert_eq!(next(&[("main", 1)], DELAY).await, Some(at(10 + DELAY)));
    assert_eq!(next(&[("main", 2)], 100).await, None, "all is in hand");
}

const NOW: i64 = 100_000;

/// So many that are due for long, for some time within the hour, or since just now.
async fn due_for(ledger: &Ledger<impl Backend>, ages: &[(&str, usize)]) {
    for (age, many) in ages {
        let due_at = match *age {
            "old" => NOW - 7200,
            "hour" => NOW - 600,
            _ => NOW - 30,
        };
        for n in 0..*many {
            ledger.hear(complete(due_at - DELAY + n as i64, &format!("{age}-{n}"))).await;
        }
    }
}

fn calls(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(|lease| lease.key.call.as_str()).collect()
}

async fn lease(ledger: &Ledger<impl Backend>, accounts: &[(&str, usize)]) -> Vec<Lease> {
    ledger.lease(wanted(accounts, 1000)).await.unwrap().leases
}

fn delivered(second: i64) -> Decision {
    let attempt = attempt(Verdict::Accepted, Some(201), second);
    Decision::Delivered { attempt }
}
