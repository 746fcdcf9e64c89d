//! Claiming what is due: each submission once, mapped, with its attempt on disk.

use postcall::domain::Verdict;
use postcall::store::{ClaimRequest, ReceiveRequest};
use postcall::submission::{
    Claim, DeadReason, Decision, IgnoredReason, Outcome, Settled, State, Submission,
};
use std::sync::Arc;

use super::backend::{LEASE, wanted};
use super::spoken::{
    AFTER, DELAY, FEEDBACK, TestMapper, accepted, answer, at, attempt, complete, dead, ignored,
    ignoring, pairs, webhook, webhook_for,
};
use super::{Backend, TestStore};

pub async fn nothing_is_claimed_before_it_is_due(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    store.receive_one(webhook(0, "c-2", &[("score", "4")])).await;
    assert_eq!(calls(&store.claim_due(DELAY - 1).await), Vec::<&str>::new());
    assert_eq!(calls(&store.claim_due(DELAY).await), ["c-1"]);
    assert_eq!(calls(&store.claim_due(AFTER).await), ["c-2"]);
}

pub async fn what_is_due_longest_is_claimed_first(store: TestStore<impl Backend>) {
    for (second, call) in [(30, "c-3"), (10, "c-1"), (20, "c-2")] {
        store.receive_one(complete(second, call)).await;
    }
    assert_eq!(calls(&store.claim_due(1000).await), ["c-1", "c-2", "c-3"]);
}

pub async fn a_submission_is_never_claimed_twice_at_once(store: TestStore<impl Backend>) {
    for call in ["c-1", "c-2", "c-3"] {
        store.receive_one(complete(0, call)).await;
    }
    let request = wanted(&[("main", 2)], 100);
    let first = store.claim(request.clone()).await.unwrap().claims;
    let second = store.claim(request.clone()).await.unwrap().claims;
    let third = store.claim(request).await.unwrap().claims;
    assert_eq!((first.len(), second.len(), third.len()), (2, 1, 0));
    assert_eq!(calls(&[first, second].concat()), ["c-1", "c-2", "c-3"]);
    store.check_counts().await;
}

pub async fn no_account_gets_more_than_was_wanted_for_it(store: TestStore<impl Backend>) {
    for call in ["c-1", "c-2", "c-3"] {
        store.receive_one(complete(0, call)).await;
    }
    assert_eq!(calls(&claim(&store, &[("main", 0)]).await), Vec::<&str>::new());
    assert_eq!(calls(&claim(&store, &[("main", 2)]).await), ["c-1", "c-2"]);
    assert_eq!(calls(&claim(&store, &[("other", 9)]).await), Vec::<&str>::new());
    assert_eq!(calls(&claim(&store, &[("main", usize::MAX)]).await), ["c-3"]);
}

pub async fn a_busy_account_never_starves_another(store: TestStore<impl Backend>) {
    for n in 0..20 {
        store.receive_one(complete(n, &format!("c-{n}"))).await;
    }
    let lone = webhook_for("other", 30, "o-1", &[("score", "4"), ("problem", "1")]);
    store.receive_one(lone).await;
    let claims = claim(&store, &[("main", 3), ("other", 3)]).await;
    assert_eq!(calls(&claims), ["c-0", "c-1", "c-2", "o-1"]);
}

pub async fn a_backlog_never_starves_what_came_just_now(store: TestStore<impl Backend>) {
    due_for(&store, &[("old", 9), ("hour", 9), ("new", 2)]).await;
    let claims = store.claim(wanted(&[("main", 8)], NOW)).await.unwrap().claims;
    assert_eq!(
        calls(&claims),
        ["new-0", "hour-0", "old-0", "new-1", "hour-1", "old-1", "hour-2", "old-2"]
    );
    due_for(&store, &[("newer", 1)]).await;
    let claims = store.claim(wanted(&[("main", 3)], NOW)).await.unwrap().claims;
    assert_eq!(calls(&claims), ["newer-0", "hour-3", "old-3"]);
}

pub async fn each_age_gets_its_share_where_one_is_wanted_at_a_time(store: TestStore<impl Backend>) {
    due_for(&store, &[("old", 4), ("hour", 4), ("new", 4)]).await;
    store.receive_one(webhook_for("other", 0, "other", &[("score", "4")])).await;
    let mut claimed = Vec::new();
    for _ in 0..6 {
        // Another account's claims, and those that give nothing, take no account's turn.
        store.claim(wanted(&[("other", 1), ("main", 0)], NOW)).await.unwrap();
        let claims = store.claim(wanted(&[("main", 1)], NOW)).await.unwrap().claims;
        claimed.extend(claims.iter().map(|claim| claim.key.call.to_string()));
    }
    assert_eq!(claimed, ["new-0", "hour-0", "old-0", "new-1", "hour-1", "old-1"]);
}

pub async fn what_one_age_cannot_use_the_others_get(store: TestStore<impl Backend>) {
    due_for(&store, &[("old", 5), ("new", 1)]).await;
    let claims = store.claim(wanted(&[("main", 4)], NOW)).await.unwrap().claims;
    assert_eq!(calls(&claims), ["new-0", "old-0", "old-1", "old-2"]);
    let claims = store.claim(wanted(&[("main", 4)], NOW)).await.unwrap().claims;
    assert_eq!(calls(&claims), ["old-3", "old-4"], "enough for all");
}

pub async fn a_claim_maps_every_answer_that_counts(store: TestStore<impl Backend>) {
    let request = webhook(20, "c-1", &[("score", "4"), ("problem", "")]);
    let key = request.key.clone();
    store.receive_one(request).await;
    store.receive_one(webhook(10, "c-1", &[("score", "")])).await;
    let (claim, answers) = store.claim_mapped(1000).await;
    assert_eq!((claim.token.submission, &claim.key), (key.id(), &key));
    assert_eq!(
        pairs(&answers),
        [
            ("score".into(), answer(""), 10),
            ("problem".into(), answer(""), 20),
            ("score".into(), answer("4"), 20)
        ]
    );
    assert_eq!((claim.attempts, claim.age.as_secs(), claim.is_probe()), (0, 0, false));
    assert_eq!((claim.redelivery, claim.paused_for, claim.rejections), (false, None, 0));
    assert_eq!(claim.due_since, at(20 + AFTER));
    assert_eq!(claim.feedback.to_json(), FEEDBACK);
}

/// Whichever of them is committed first, no answer is lost between a mapping and its attempt.
pub async fn a_webhook_that_arrives_before_a_claim_commits_is_in_its_mapping(
    store: TestStore<impl Backend>,
) {
    for n in 0..20 {
        let call = format!("c-{n}");
        store.receive_one(webhook(0, &call, &[("score", "4")])).await;
        let mapper = Arc::new(TestMapper::default());
        let request =
            ClaimRequest { mapper: mapper.clone(), ..wanted(&[("main", 1)], 1000 + DELAY) };
        let more = store.receive(webhook(1000, &call, &[("problem", "1")]));
        // What is asked for first is written first.
        let (received, claimed) = match n % 2 {
            0 => tokio::join!(more, store.claim(request)),
            _ => {
                let (claimed, received) = tokio::join!(store.claim(request), more);
                (received, claimed)
            }
        };
        let (outcome, claim) = (received.unwrap().outcome, claimed.unwrap().claims.remove(0));
        let mapped = mapper.take_asked().remove(0).answers.len();
        // In one transaction the claim comes last, whatever was asked for first.
        let is_before = (outcome, mapped) == (Outcome::Updated, 2);
        let is_after = n % 2 == 1 && (outcome, mapped) == (Outcome::Late, 1);
        assert!(is_before || is_after, "{outcome:?}, {mapped} answers mapped");
        store.retry_one(&claim, attempt(Verdict::Unreachable, None, 1100)).await;
        let (claim, answers) = store.claim_mapped(1160).await;
        assert_eq!(answers.len(), 2);
        store.settle_one(&claim, accepted(2000), Decision::Delivered).await;
    }
    store.check_counts().await;
}

pub async fn what_is_claimed_has_its_attempt_on_disk(store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    let claim = store.claim_one(AFTER).await;
    let started = store.submission("c-1").await;
    assert!(started.is_in_flight());
    assert_eq!((started.state, started.due_since), (State::Pending, Some(at(AFTER))));
    let recorded = started.last_attempt().unwrap();
    assert_eq!((recorded.number, recorded.started_at), (1, at(AFTER)));
    assert_eq!((recorded.payload.as_str(), &recorded.response), (FEEDBACK, &None));

    let found = store.after_a_sudden_end();
    let submission = found.submission("c-1").await;
    assert_eq!((submission.document.attempts_made, submission.document.attempts_used), (1, 1));
    assert_eq!(submission.last_attempt().unwrap().payload.as_str(), claim.feedback.to_json());
    assert_eq!(verdict(&submission), Some(Verdict::UnknownResult));
    let received = found.receive_one(webhook(AFTER, "c-1", &[("problem", "1")])).await;
    assert_eq!(received.outcome, Outcome::Late, "it may have arrived");
    found.check_counts().await;
}

pub async fn what_maps_to_nothing_is_settled_with_the_claim(mut store: TestStore<impl Backend>) {
    for (second, call) in [(0, "ignored"), (1, "dead"), (2, "c-1"), (3, "c-2")] {
        store.receive_one(complete(second, call)).await;
    }
    let mapper = TestMapper::default()
        .and("ignored", ignored(IgnoredReason::NoAnswer))
        .and("dead", dead(DeadReason::Unrated, "nothing rates it"));
    let request = ClaimRequest { mapper: Arc::new(mapper), ..wanted(&[("main", 2)], 100) };
    let claimed = store.claim(request).await.unwrap();
    assert_eq!(calls(&claimed.claims), ["c-1", "c-2"], "its place is given to the next");
    let settled: Vec<_> =
        claimed.settled.iter().map(|it| (it.id, it.survey.as_str(), it.state)).collect();
    let id = |call| complete(0, call).key.id();
    assert_eq!(
        settled,
        [
            (id("ignored"), "quality", State::Ignored(IgnoredReason::NoAnswer)),
            (id("dead"), "quality", State::Dead(DeadReason::Unrated))
        ]
    );
    store.check_counts().await;
    store.reopen();
    for (call, detail) in [("ignored", None), ("dead", Some("nothing rates it"))] {
        let submission = store.submission(call).await;
        assert_eq!(submission.settled_at, Some(at(100)));
        assert_eq!(submission.document.detail.as_deref(), detail);
        assert_eq!((submission.document.attempts.len(), submission.due_since), (0, None));
        assert!(!submission.is_in_flight());
    }
    assert_eq!(store.claim_due(1_000_000).await.len(), 2, "those whose attempt has no result");
}

pub async fn one_claim_settles_so_many_that_map_to_nothing_and_no_more(
    store: TestStore<impl Backend>,
) {
    for n in 0..150 {
        store.receive_one(complete(n, &format!("c-{n}"))).await;
    }
    let mut settled = 0;
    for _ in 0..200 {
        let mapper = Arc::new(ignoring(IgnoredReason::Rule));
        let request = ClaimRequest { mapper, ..wanted(&[("main", 2)], 1000) };
        let claimed = store.claim(request).await.unwrap();
        assert_eq!(claimed.claims, []);
        assert!(claimed.settled.len() < 100, "webhooks wait meanwhile: {}", claimed.settled.len());
        settled += claimed.settled.len();
        store.check_counts().await;
        if settled == 150 {
            assert_eq!(claimed.next_due_at, None);
            break;
        }
        assert!(claimed.next_due_at.is_some_and(|due| due <= at(1000)), "there are more");
    }
    assert_eq!((settled, store.counts().await.ignored), (150, 150));
}

pub async fn a_collecting_submission_becomes_pending_when_it_is_claimed(
    store: TestStore<impl Backend>,
) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    assert_eq!(store.submission("c-1").await.state, State::Collecting);
    store.claim_one(AFTER).await;
    assert_eq!(store.submission("c-1").await.state, State::Pending);
    store.check_counts().await;
}

pub async fn a_lease_expires_by_the_stores_own_clock(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    let (lost, mapped) = store.claim_mapped(100).await;
    assert_eq!(store.claim_due(1_000_000).await.len(), 0, "`now` lets no lease expire");
    store.set_clock(LEASE - 1);
    assert_eq!(store.claim_due(100).await.len(), 0);
    store.set_clock(LEASE);
    let (next, answers) = store.claim_mapped(100).await;
    assert!(next.token.fence > lost.token.fence);
    assert_eq!((next.attempts, answers), (1, mapped));
}

pub async fn a_claim_names_the_sources_of_its_webhooks(store: TestStore<impl Backend>) {
    for (source, answer) in [("tree", "4"), ("form", "5"), ("form", "3")] {
        let request = webhook(0, "c-1", &[("score", answer)]);
        store.receive_one(ReceiveRequest { source: source.parse().unwrap(), ..request }).await;
    }
    let sources = store.claim_one(1000).await.sources;
    assert_eq!(sources.iter().map(|it| it.as_str()).collect::<Vec<_>>(), ["form", "tree"]);
}

pub async fn a_lease_that_is_held_does_not_expire(store: TestStore<impl Backend>) {
    for call in ["c-1", "c-2"] {
        store.receive_one(complete(0, call)).await;
    }
    let claims = store.claim_due(100).await;
    store.set_clock(10 * LEASE);
    let held = ClaimRequest { leased: vec![claims[0].token], ..wanted(&[("main", 10)], 100) };
    let again = store.claim(held).await.unwrap().claims;
    assert_eq!(again.iter().map(|it| &it.key.call).collect::<Vec<_>>(), [&claims[1].key.call]);
    let delivered = async |claim| store.settle_one(claim, accepted(101), Decision::Delivered).await;
    assert_eq!(delivered(&claims[1]).await, Settled::LeaseLost);
    assert_eq!(delivered(&claims[0]).await, Settled::Done);

    // What is lost cannot be held any more, and what is not held is renewed no longer.
    store.set_clock(20 * LEASE);
    let held = ClaimRequest { leased: vec![claims[1].token], ..wanted(&[("main", 10)], 100) };
    assert_eq!(store.claim(held).await.unwrap().claims.len(), 1);
}

pub async fn a_due_time_beyond_the_latest_is_brought_forward(store: TestStore<impl Backend>) {
    for (second, call) in [(1_000_000, "future"), (0, "now")] {
        store.receive_one(complete(second, call)).await;
    }
    let request = ClaimRequest { latest_due: at(500), ..wanted(&[("main", 10)], 100) };
    let claimed = store.claim(request).await.unwrap();
    assert_eq!(claimed.claims.len(), 1, "the other one is not due yet");
    assert_eq!(claimed.next_due_at, Some(at(500)));
    assert_eq!(store.submission("future").await.due_at, at(500));
    assert_eq!(store.claim_due(499).await.len(), 0);
    assert_eq!(store.claim_one(500).await.key.call.as_str(), "future");
}

pub async fn a_lost_lease_overwrites_nothing(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    let lost = store.claim_one(100).await;
    store.set_clock(LEASE);
    assert_eq!(store.claim_due(50).await.len(), 0, "it expires, and is not due yet");
    let submission = store.submission("c-1").await;
    assert!(!submission.is_in_flight());
    let delivered =
        async |claim, second| store.settle_one(claim, accepted(second), Decision::Delivered).await;
    assert_eq!(delivered(&lost, 101).await, Settled::LeaseLost);
    assert_eq!(store.submission("c-1").await, submission);

    let next = store.claim_one(100).await;
    let submission = store.submission("c-1").await;
    assert_eq!(delivered(&lost, 102).await, Settled::LeaseLost);
    assert_eq!(store.submission("c-1").await, submission);
    assert_eq!(delivered(&next, 103).await, Settled::Done);
    assert_eq!(delivered(&next, 104).await, Settled::LeaseLost);
    store.check_counts().await;
}

pub async fn an_attempt_that_is_not_settled_is_an_unknown_result(store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    store.claim_one(AFTER).await;
    store.set_clock(LEASE);
    assert_eq!(store.claim_due(0).await.len(), 0, "its lease expires");
    let submission = store.submission("c-1").await;
    assert_eq!(verdict(&submission), Some(Verdict::UnknownResult));
    assert_eq!(submission.last_attempt().unwrap().response.as_ref().unwrap().finished_at, None);
    let next = store.claim_one(AFTER + 10).await;
    assert_eq!((next.attempts, next.age.as_secs()), (1, 10), "it is spent");
    let late = store.receive_one(webhook(AFTER + 11, "c-1", &[("problem", "1")])).await;
    assert_eq!(late.outcome, Outcome::Late, "it may have arrived");
}

pub async fn opening_frees_all_claims(mut store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    store.receive_one(complete(1, "c-2")).await;
    let claims = store.claim_due(100).await;
    store.receive_one(complete(2, "c-3")).await;
    store.reopen();
    for lost in &claims {
        let settled = store.settle_one(lost, accepted(101), Decision::Delivered).await;
        assert_eq!(settled, Settled::LeaseLost);
    }
    for call in ["c-1", "c-2"] {
        let submission = store.submission(call).await;
        assert!(!submission.is_in_flight());
        assert_eq!(verdict(&submission), Some(Verdict::UnknownResult));
    }
    let again = store.claim_due(110).await;
    assert_eq!(calls(&again), ["c-1", "c-2", "c-3"]);
    let spent: Vec<_> = again.iter().map(|claim| claim.attempts).collect();
    assert_eq!(spent, [1, 1, 0], "those that were in flight are spent");
    let received = store.receive_one(webhook(111, "c-1", &[("score", "1")])).await;
    assert_eq!(received.outcome, Outcome::Late);
    store.check_counts().await;
}

pub async fn the_next_due_time_is_returned_with_the_claims(store: TestStore<impl Backend>) {
    let next =
        async |accounts, second| store.claim(wanted(accounts, second)).await.unwrap().next_due_at;
    assert_eq!(next(&[("main", 1)], 0).await, None);
    store.receive_one(complete(0, "c-1")).await;
    store.receive_one(complete(10, "c-2")).await;
    assert_eq!(next(&[("main", 1)], 0).await, Some(at(DELAY)));
    assert_eq!(next(&[("other", 1)], 0).await, None, "only of the accounts that were asked for");
    assert_eq!(next(&[("main", 1)], DELAY).await, None, "an account that gave all has no room");
    assert_eq!(next(&[("main", 1)], DELAY).await, Some(at(10 + DELAY)));
    assert_eq!(next(&[("main", 2)], 100).await, None, "everything is in flight");
}

const NOW: i64 = 100_000;

/// So many that have been due for long, for some time within the hour, or since just now.
async fn due_for(store: &TestStore<impl Backend>, ages: &[(&str, usize)]) {
    for (age, many) in ages {
        let due_at = match *age {
            "old" => NOW - 7200,
            "hour" => NOW - 600,
            _ => NOW - 30,
        };
        for n in 0..*many {
            store.receive_one(complete(due_at - DELAY + n as i64, &format!("{age}-{n}"))).await;
        }
    }
}

fn calls(claims: &[Claim]) -> Vec<&str> {
    claims.iter().map(|claim| claim.key.call.as_str()).collect()
}

async fn claim(store: &TestStore<impl Backend>, accounts: &[(&str, usize)]) -> Vec<Claim> {
    store.claim(wanted(accounts, 1000)).await.unwrap().claims
}

/// The verdict on the last attempt; `None` while it is in flight.
fn verdict(submission: &Submission) -> Option<Verdict> {
    submission.last_attempt()?.response.as_ref().map(|response| response.verdict)
}
