//! Figures and lists of a store.

use futures_util::FutureExt;
use postcall::domain::Verdict;
use postcall::store::{OldestDue, RetentionCutoffs, SubmissionFilter, SurveyRevision};
use postcall::submission::{
    ChangedAnswerPolicy, DeadReason, Decision, IgnoredReason, Outcome, Replay, Settled, State,
    StateCounts,
};

use super::backend::{call_of, wanted};
use super::spoken::{
    AFTER, DELAY, accepted, at, attempt, complete, ignoring, webhook, webhook_for, with_policy,
};
use super::{Backend, TestStore};

pub async fn the_state_counts_count_every_state(mut store: TestStore<impl Backend>) {
    one_of_each(&store).await;
    let counts = StateCounts {
        accepted: 5,
        collecting: 1,
        pending: 1,
        delivered: 1,
        ignored: 1,
        dead: 1,
        discarded: 0,
    };
    assert_eq!(store.counts().await, counts);
    store.reopen();
    assert_eq!(store.counts().await, counts);
    store.check_counts().await;
}

pub async fn state_counts_change_by_exactly_the_transition(store: TestStore<impl Backend>) {
    let counted = async || {
        store.check_counts().await;
        let StateCounts { accepted, collecting, pending, delivered, ignored, dead, discarded } =
            store.counts().await;
        assert_eq!(accepted, 1);
        [collecting, pending, delivered, ignored, dead, discarded]
    };
    let is = |state: State| State::LABELS.map(|label| u64::from(label == state.label()));
    let answer = async |second, text| {
        let request = webhook(second, "c-1", &[("score", text)]);
        store.receive_one(with_policy(ChangedAnswerPolicy::Redeliver, request)).await.outcome
    };
    let (ignored, dead) =
        (State::Ignored(IgnoredReason::NoAnswer), State::Dead(DeadReason::Rejected));
    assert_eq!(answer(0, "").await, Outcome::Created);
    assert_eq!(counted().await, is(State::Collecting));
    assert_eq!(answer(0, "").await, Outcome::Duplicate);
    assert_eq!(counted().await, is(State::Collecting));
    store.settle_unsent(ignoring(IgnoredReason::NoAnswer), 1000).await;
    assert_eq!(counted().await, is(ignored));
    assert_eq!(answer(1000, "4").await, Outcome::Updated);
    assert_eq!(counted().await, is(State::Collecting), "it is re-opened");
    let claim = store.claim_one(2000).await;
    assert_eq!(counted().await, is(State::Pending));
    store.retry_one(&claim, attempt(Verdict::Unreachable, None, 2000)).await;
    assert_eq!(counted().await, is(State::Pending));
    let claim = store.claim_one(3000).await;
    store.settle_one(&claim, accepted(3000), Decision::Delivered).await;
    assert_eq!(counted().await, is(State::Delivered));
    store.settle_one(&claim, accepted(3000), Decision::Delivered).await;
    assert_eq!(counted().await, is(State::Delivered), "its lease was lost");
    assert_eq!(answer(3001, "2").await, Outcome::Updated);
    assert_eq!(counted().await, is(State::Pending), "it is delivered again");
    let claim = store.claim_one(4000).await;
    let rejected = Decision::Dead { reason: DeadReason::Rejected, pause: None };
    store.settle_one(&claim, attempt(Verdict::Rejected, Some(422), 4000), rejected).await;
    assert_eq!(counted().await, is(dead));
    let how = Replay { same_payload: false, include_delivered: false, at: at(5000) };
    store.replay(vec![claim.token.submission], how).await.unwrap();
    assert_eq!(counted().await, is(State::Pending));
    store.discard(vec![claim.token.submission], "enough".to_owned(), at(5000)).await.unwrap();
    assert_eq!(counted().await, is(State::Discarded));
    let cutoffs = [at(5001), at(5001), at(0)];
    let [bodies, submissions, outcomes] = cutoffs;
    store.purge(RetentionCutoffs { bodies, submissions, outcomes }).await.unwrap();
    assert_eq!(counted().await, is(State::Discarded));
    store.erase(vec![claim.token.submission], at(6000)).await.unwrap();
    assert_eq!(counted().await, is(State::Discarded));
}

pub async fn the_list_shows_the_latest_first_and_what_was_asked_for(
    store: TestStore<impl Backend>,
) {
    one_of_each(&store).await;
    let listed = async |state, limit| {
        let filter = SubmissionFilter { state, ..SubmissionFilter::default() };
        let submissions = store.search(filter, None, limit).await.unwrap().submissions;
        submissions.iter().map(|submission| call_of(submission).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(listed(None, 9).await, ["collecting", "pending", "dead", "ignored", "delivered"]);
    assert_eq!(listed(None, 2).await, ["collecting", "pending"]);
    assert_eq!(listed(None, 0).await, Vec::<String>::new());
    assert_eq!(listed(None, usize::MAX).await.len(), 5);
    for label in State::LABELS.into_iter().filter(|label| *label != "discarded") {
        assert_eq!(listed(Some(label), 9).await, [label]);
    }
    assert_eq!(listed(Some("discarded"), 9).await, Vec::<String>::new());
    let submission = store.submission("collecting").await;
    assert_eq!((submission.accepted_at, submission.due_at), (at(500), at(500 + AFTER)));
}

pub async fn the_oldest_due_time_is_that_of_the_first_attempt(store: TestStore<impl Backend>) {
    let oldest = async || {
        let OldestDue { retry, paused, waiting } = store.statistics().await.unwrap().oldest_due;
        [retry, paused, waiting]
    };
    assert_eq!(oldest().await, [None; 3]);
    store.receive_one(complete(100, "c-1")).await;
    store.receive_one(webhook_for("other", 0, "o-1", &[("score", "4")])).await;
    assert_eq!(oldest().await, [None, None, Some(at(AFTER))]);
    let others = store.claim(wanted(&[("other", 1)], 1000)).await.unwrap().claims;
    let (other, main) = (Some(at(AFTER)), Some(at(100 + DELAY)));
    assert_eq!(oldest().await, [other, None, main]);
    store.settle_one(&others[0], accepted(1000), Decision::Delivered).await;
    let claim = store.claim_one(1000).await;
    assert_eq!(oldest().await, [main, None, None], "an attempt in flight has not ended the wait");
    store.retry_one(&claim, attempt(Verdict::Unreachable, None, 1001)).await;
    let [retry, paused, _] = oldest().await;
    assert_eq!([retry, paused], [main, None], "an attempt that failed makes nothing younger");
    store.pause("main".parse().unwrap(), "maintenance".to_owned(), at(1002)).await.unwrap();
    assert_eq!(oldest().await, [None, main, None]);
}

pub async fn what_is_overdue_is_found_by_when_it_fell_due(store: TestStore<impl Backend>) {
    let overdue = async |after, until| {
        let found = store.overdue(at(after), at(until)).await.unwrap();
        found.into_iter().map(|(account, count)| (account.to_string(), count)).collect::<Vec<_>>()
    };
    let main = |count| vec![("main".to_owned(), count)];
    for call in ["waits", "retried", "in flight", "delivered"] {
        store.receive_one(complete(100, &call.replace(' ', "-"))).await;
    }
    store.receive_one(webhook_for("other", 0, "o-1", &[("score", "4")])).await;
    let due = 100 + DELAY;
    assert_eq!(overdue(due - 1, due).await, main(4));
    for call in ["delivered", "retried", "in-flight"] {
        let claims = store.claim(wanted(&[("main", 4)], 1000)).await.unwrap().claims;
        for claim in claims {
            match claim.key.call.as_str() {
                "delivered" => {
                    store.settle_one(&claim, accepted(1000), Decision::Delivered).await;
                }
                "in-flight" => {}
                _ => {
                    store.retry_one(&claim, attempt(Verdict::Unreachable, None, 1000)).await;
                }
            }
        }
        assert_eq!(overdue(due - 1, due).await, main(3), "{call}");
    }
    assert_eq!(overdue(0, due - 1).await, [("other".to_owned(), 1)], "each is in one span");
    assert_eq!(overdue(due, 10_000).await, []);
}

pub async fn accounts_waiting_are_those_with_something_to_claim(store: TestStore<impl Backend>) {
    let accounts = async || {
        let names = store.accounts_waiting().await.unwrap();
        names.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(accounts().await, Vec::<String>::new());
    for (n, account) in ["b", "a", "c", "b"].into_iter().enumerate() {
        store.receive_one(webhook_for(account, 0, &format!("c-{n}"), &[("score", "4")])).await;
    }
    assert_eq!(accounts().await, ["a", "b", "c"]);
    let claims = store.claim(wanted(&[("c", 1)], 1000)).await.unwrap().claims;
    assert_eq!(accounts().await, ["a", "b"], "what is in flight cannot be claimed");
    store.settle_one(&claims[0], accepted(1000), Decision::Delivered).await;
    assert_eq!(accounts().await, ["a", "b"]);
}

pub async fn the_dispatcher_is_woken_by_what_may_be_due(store: TestStore<impl Backend>) {
    assert!(store.changed().now_or_never().is_none());
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    store.receive_one(webhook(0, "c-1", &[("problem", "1")])).await;
    store.changed().await;
    assert!(store.changed().now_or_never().is_none(), "once for all that came");
    store.receive_one(webhook(1, "c-1", &[("problem", "1")])).await;
    assert!(store.changed().now_or_never().is_none(), "a duplicate makes nothing due");
    let claim = store.claim_one(1000).await;
    assert!(store.changed().now_or_never().is_none(), "a claim makes nothing due");
    store.receive_one(webhook(1000, "c-1", &[("problem", "2")])).await;
    assert!(store.changed().now_or_never().is_none(), "what is late makes nothing due");
    let dead = Decision::Dead { reason: DeadReason::TooOld, pause: None };
    let attempt = attempt(Verdict::Unreachable, None, 1000);
    assert_eq!(store.settle_one(&claim, attempt, dead).await, Settled::NewerAnswers);
    store.changed().await;
}

/// One submission in each state but discarded, its call named after the state.
async fn one_of_each(store: &TestStore<impl Backend>) {
    store.receive_one(complete(0, "delivered")).await;
    let claim = store.claim_one(100).await;
    store.settle_one(&claim, accepted(101), Decision::Delivered).await;
    store.receive_one(complete(0, "ignored")).await;
    store.settle_unsent(ignoring(IgnoredReason::NoAnswer), 100).await;
    store.receive_one(complete(0, "dead")).await;
    let claim = store.claim_one(100).await;
    let dead = Decision::Dead { reason: DeadReason::Rejected, pause: None };
    store.settle_one(&claim, attempt(Verdict::Rejected, Some(422), 101), dead).await;
    store.receive_one(complete(400, "pending")).await;
    store.receive_one(webhook(500, "collecting", &[("score", "4")])).await;
}

pub async fn the_version_is_another_after_each_commit(store: TestStore<impl Backend>) {
    let is_known = store.version().is_some();
    let mut known = vec![store.version()];
    store.receive_one(complete(0, "c-1")).await;
    known.push(store.version());
    let claim = store.claim_one(1000).await;
    known.push(store.version());
    store.settle_one(&claim, accepted(1000), Decision::Delivered).await;
    known.push(store.version());
    store.reveal(vec![claim.token.submission], at(2000)).await.unwrap();
    known.push(store.version());
    if is_known {
        assert!(known.is_sorted_by(|a, b| a < b), "{known:?}");
        store.receive_one(complete(0, "c-1")).await;
        assert_eq!(store.version(), known[4], "a duplicate changes nothing");
    } else {
        assert!(known.iter().all(Option::is_none), "others write too: {known:?}");
    }
}

pub async fn survey_revisions_are_recorded_where_the_rules_change(
    mut store: TestStore<impl Backend>,
) {
    let surveys = |digests: [(&str, &str); 2]| {
        digests.map(|(name, digest)| (name.parse().unwrap(), digest.to_owned())).to_vec()
    };
    let first = surveys([("quality", "a"), ("quick", "a")]);
    let second = surveys([("quality", "a"), ("quick", "b")]);
    for (recorded, second) in [(&first, 1), (&first, 2), (&second, 3), (&second, 4), (&first, 5)] {
        store.record_surveys(recorded.clone(), at(second)).await.unwrap();
        store.reopen();
    }
    let found = store.survey_revisions().await.unwrap();
    let found: Vec<_> =
        found.iter().map(|it| (it.survey.as_str(), it.since, it.digest.as_str())).collect();
    let expected = [
        ("quality", at(1), "a"),
        ("quick", at(1), "a"),
        ("quick", at(3), "b"),
        ("quick", at(5), "a"),
    ];
    assert_eq!(found, expected);
}

pub async fn the_newest_survey_revisions_are_kept(store: TestStore<impl Backend>) {
    let kept = i64::from(SurveyRevision::KEPT);
    let one = |name: &str, digest: i64| vec![(name.parse().unwrap(), digest.to_string())];
    store.record_surveys(one("quality", 0), at(0)).await.unwrap();
    for second in 0..kept + 5 {
        store.record_surveys(one("quick", second), at(second)).await.unwrap();
    }
    let found = store.survey_revisions().await.unwrap();
    let times = |name: &str| -> Vec<_> {
        found.iter().filter(|it| it.survey.as_str() == name).map(|it| it.since).collect()
    };
    assert_eq!(times("quick"), (5..kept + 5).map(at).collect::<Vec<_>>());
    assert_eq!(times("quality"), [at(0)], "of each survey");
}
