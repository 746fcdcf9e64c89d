//! Removing what was said on a call.

use postcall::domain::Verdict;
use postcall::store::{Begun, Decision, Done, Outcome, Replay, Search, Settled};
use postcall::submission::{DeadReason, State, StateCounts};

use super::spoken::{at, attempt, complete, hook, hook_for, named, telling, unmapped};
use super::{Backend, Ledger};

pub async fn what_is_erased_leaves_only_its_id_and_its_outcome(mut ledger: Ledger<impl Backend>) {
    let delivered = telling("campaign", "spring", complete(0, "delivered"));
    ledger.hear(delivered).await;
    let lease = ledger.attempt_one(100).await;
    ledger.settle_one(&lease, accepted(101), 101).await;
    ledger.hear(complete(0, "dead")).await;
    let lease = ledger.lease_one(100).await;
    ledger.settle_one(&lease, unmapped("no such question"), 101).await;
    ledger.hear(hook(0, "collecting", &[("score", "4")])).await;
    ledger.hear(complete(0, "kept")).await;
    let kept = ledger.find(complete(0, "kept").key.id()).await.unwrap();

    let ids = ["delivered", "dead", "collecting", "never-heard"].map(|c| complete(0, c).key.id());
    let done = ledger.erase(ids.to_vec(), at(500)).await.unwrap();
    assert_eq!(done, [Done::Done, Done::Done, Done::Done, Done::Unknown]);
    ledger.reopen();
    ledger.check_books().await;
    let totals = StateCounts {
        accepted: 4,
        pending: 1,
        delivered: 1,
        discarded: 2,
        ..StateCounts::default()
    };
    assert_eq!(ledger.totals().await, totals);
    for (id, state) in ids.into_iter().zip([State::Delivered, State::Discarded, State::Discarded]) {
        let left = ledger.find(id).await.unwrap().unwrap();
        assert_eq!((left.row.id, left.row.state), (id, state));
        assert_eq!((left.row.gone_at, left.row.accepted_at), (Some(at(500)), at(0)));
        assert!(!["delivered", "dead", "collecting"].contains(&left.row.key.call.as_str()));
        assert_eq!((&left.row.detail, &left.row.trace, &left.row.feedback), (&None, &None, &None));
        assert_eq!((left.row.last_attempt, left.hooks.len()), (None, 0));
        assert_eq!((left.answers.len(), left.attempts.len()), (0, 0));
        let [erased] = &left.interventions[..] else { panic!("{:?}", left.interventions) };
        assert_eq!((&*erased.action, erased.at, &erased.detail), ("erase", at(500), &None));
        let mappable = ledger.mappable(vec![id]).await.unwrap().remove(0);
        assert!(mappable.answers.is_empty() && mappable.answers.fields().count() == 0);
    }
    assert_eq!(ledger.find(complete(0, "kept").key.id()).await.unwrap(), kept);
    assert_eq!(ledger.backend.bodies().len(), 1);
    assert_eq!(ledger.lease_due(1_000_000).await.len(), 1);
}

pub async fn a_hook_of_what_was_erased_is_gone_and_not_kept_again(
    mut ledger: Ledger<impl Backend>,
) {
    let named_hook = named("h-1", 1, hook(0, "c-1", &[("score", "4")]));
    ledger.hear(named_hook.clone()).await;
    let id = named_hook.key.id();
    ledger.erase(vec![id], at(10)).await.unwrap();
    ledger.reopen();
    for arrival in [
        named_hook,
        named("h-2", 1, hook(20, "c-1", &[("problem", "1")])),
        named("h-2", 2, hook(20, "c-1", &[("problem", "2")])),
        hook(21, "c-1", &[("score", "4")]),
    ] {
        let heard = ledger.hear(arrival).await;
        assert_eq!((heard.outcome, heard.submission), (Outcome::Gone, id));
        assert!(heard.answers.is_empty() && !heard.changed);
    }
    assert_eq!(ledger.backend.bodies(), Vec::<String>::new());
    assert_eq!(ledger.forget(at(1_000_000)).await.unwrap(), 0, "no name is remembered");
    ledger.check_books().await;
    let other = hook_for("other", 22, "c-1", &[("score", "4")]);
    assert_eq!(ledger.hear(other).await.outcome, Outcome::New, "of another account");
}

pub async fn an_attempt_under_way_is_waited_for_no_more_once_it_is_erased(
    mut ledger: Ledger<impl Backend>,
) {
    ledger.hear(complete(0, "c-1")).await;
    ledger.hear(complete(0, "c-2")).await;
    let leases = ledger.lease_due(100).await;
    assert_eq!(ledger.begin_one(&leases[0], 100).await, Begun::Started);
    let ids = leases.iter().map(|lease| lease.ticket.submission).collect();
    assert_eq!(ledger.erase(ids, at(101)).await.unwrap(), [Done::Done, Done::Done]);
    assert_eq!(ledger.settle_one(&leases[0], accepted(102), 102).await, Settled::LeaseLost);
    assert_eq!(ledger.begin_one(&leases[1], 102).await, Begun::LeaseLost);
    ledger.reopen();
    assert_eq!(ledger.lease_due(1_000_000).await.len(), 0);
    let totals = StateCounts { accepted: 2, discarded: 2, ..StateCounts::default() };
    assert_eq!(ledger.totals().await, totals);
    ledger.check_books().await;
}

pub async fn what_is_erased_is_final(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let lease = ledger.attempt_one(100).await;
    let attempt = attempt(Verdict::Refused, Some(422), 101);
    let dead = Decision::Dead { attempt, reason: DeadReason::Refused };
    ledger.settle_one(&lease, dead, 101).await;
    let ids = || vec![lease.ticket.submission];
    ledger.erase(ids(), at(200)).await.unwrap();
    let how = Replay { as_was: true, accepted_too: true, at: at(300) };
    assert_eq!(ledger.replay(ids(), how).await.unwrap(), [Done::Gone]);
    assert_eq!(ledger.discard(ids(), "again".to_owned(), at(300)).await.unwrap(), [Done::Gone]);
    assert_eq!(ledger.erase(ids(), at(300)).await.unwrap(), [Done::Gone]);
    let left = ledger.find(lease.ticket.submission).await.unwrap().unwrap();
    assert_eq!((left.row.gone_at, left.interventions.len()), (Some(at(200)), 1));
}

pub async fn what_is_erased_is_not_found_by_its_call(ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    ledger.hear(hook_for("other", 0, "c-1", &[("score", "4")])).await;
    ledger.erase(vec![complete(0, "c-1").key.id()], at(1)).await.unwrap();
    let call = || "c-1".parse().unwrap();
    let other = hook_for("other", 0, "c-1", &[]).key.id();
    assert_eq!(ledger.of_call(call()).await.unwrap(), [other]);
    let search = Search { call: Some(call()), ..Search::default() };
    let found = ledger.search(search, None, 9).await.unwrap().rows;
    assert_eq!(found.iter().map(|row| row.id).collect::<Vec<_>>(), [other]);
    assert_eq!(ledger.rows().await.len(), 2, "it still counts");
}

fn accepted(second: i64) -> Decision {
    Decision::Delivered { attempt: attempt(Verdict::Accepted, Some(201), second) }
}
