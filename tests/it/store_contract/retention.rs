//! What is purged by age, and what is kept however old it is.

use std::time::Duration;

use postcall::domain::Verdict;
use postcall::store::{ClockRecord, PurgeCounts, RetentionCutoffs, SubmissionDetail};
use postcall::submission::{
    ChangedAnswerPolicy, DeadReason, Decision, Document, IgnoredReason, Outcome, Replay, State,
    StateCounts, SubmissionId,
};

use super::spoken::{accepted, at, attempt, complete, ignoring, unmapping, webhook, with_policy};
use super::{Backend, TestStore};

pub async fn the_trusted_time_outlives_the_process(mut store: TestStore<impl Backend>) {
    assert_eq!(store.clock().await.unwrap(), None);
    for (second, unconfirmed_for) in [(700, None), (600, Some(Duration::from_secs(90)))] {
        let record = ClockRecord { trusted: at(second), wall: at(800), unconfirmed_for };
        store.record_clock(record).await.unwrap();
        store.reopen();
        assert_eq!(store.clock().await.unwrap(), Some(record));
    }
}

pub async fn bodies_are_purged_first_and_the_answers_stay(store: TestStore<impl Backend>) {
    let id = delivered(&store, "c-1").await;
    let before = detail(&store, id).await;
    assert_eq!(purge(&store, [101, 0, 0]).await, NOTHING, "it was settled then, not before");
    assert_eq!(purge(&store, [102, 0, 0]).await, PurgeCounts { bodies: 1, ..NOTHING });
    assert_eq!(purge(&store, [102, 0, 0]).await, NOTHING);

    let after = detail(&store, id).await;
    assert!(before.webhooks.iter().all(|webhook| webhook.content.is_some()));
    assert!(after.webhooks.iter().all(|webhook| webhook.content.is_none()));
    let text = |detail: &SubmissionDetail| {
        detail.submission.last_attempt().unwrap().response.as_ref().unwrap().text.clone()
    };
    assert!(text(&before).is_some() && text(&after).is_none());
    let mut expected = before.submission;
    expected.strip();
    assert_eq!(after.submission, expected, "everything else stays");
    assert!(!expected.answers().is_empty() && expected.document.delivered.is_some());
    store.check_counts().await;
}

pub async fn then_all_but_the_outcome_is_purged_and_the_counts_stay(
    mut store: TestStore<impl Backend>,
) {
    let id = delivered(&store, "c-1").await;
    silent(&store, "c-2").await;
    let counts = store.counts().await;
    purge(&store, [102, 0, 0]).await;
    silent(&store, "c-3").await;
    assert_eq!(purge(&store, [102, 102, 0]).await, PurgeCounts { submissions: 3, ..NOTHING });
    assert_eq!(purge(&store, [102, 102, 0]).await, NOTHING);

    let SubmissionDetail { submission, webhooks, .. } = detail(&store, id).await;
    assert_eq!((submission.state, submission.settled_at), (State::Delivered, Some(at(101))));
    assert!(submission.is_purged() && submission.call.is_none() && webhooks.is_empty());
    let Document { delivered, trace, attempts, .. } = &submission.document;
    assert!(delivered.is_none() && trace.is_none() && attempts.is_empty());
    assert!(submission.answers().is_blank());
    assert_eq!(store.of_call("c-1".parse().unwrap()).await.unwrap(), []);
    assert_eq!(
        store.receive_one(webhook(200, "c-1", &[("score", "1")])).await.outcome,
        Outcome::Purged
    );
    assert_eq!(store.counts().await, StateCounts { accepted: 3, ignored: 2, ..counts });
    store.check_counts().await;
    store.reopen();
    store.check_counts().await;
}

pub async fn then_the_outcome_too_and_a_webhook_that_comes_again_starts_a_new_submission(
    mut store: TestStore<impl Backend>,
) {
    let id = delivered(&store, "c-1").await;
    let erased = silent(&store, "c-2").await;
    store.erase(vec![erased], at(102)).await.unwrap();
    assert_eq!(
        purge(&store, [200; 3]).await,
        PurgeCounts { outcomes: 1, submissions: 1, bodies: 0 }
    );
    assert_eq!(purge(&store, [200; 3]).await, PurgeCounts { outcomes: 1, ..NOTHING });
    assert_eq!(store.find(id).await.unwrap(), None);
    assert_eq!(store.submissions().await, []);
    let counts = StateCounts { accepted: 2, delivered: 1, discarded: 1, ..StateCounts::default() };
    assert_eq!(store.counts().await, counts);
    store.reopen();
    assert_eq!(store.counts().await, counts);

    let received = store.receive_one(webhook(300, "c-1", &[("score", "4")])).await;
    assert_eq!((received.submission, received.outcome), (id, Outcome::Created));
    assert_eq!(store.counts().await, StateCounts { accepted: 3, collecting: 1, ..counts });
}

pub async fn what_waits_and_what_is_dead_is_kept_however_old(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "unmapped")).await;
    store.settle_unsent(unmapping("no survey"), 100).await;
    store.receive_one(complete(0, "refused")).await;
    let claim = store.claim_one(100).await;
    let refused = attempt(Verdict::Rejected, Some(422), 101);
    let dead = Decision::Dead { reason: DeadReason::Rejected, pause: None };
    store.settle_one(&claim, refused, dead).await;
    store.receive_one(complete(0, "in-flight")).await;
    store.claim_one(100).await;
    store.receive_one(webhook(0, "collecting", &[("score", "4")])).await;
    let submissions = store.submissions().await;
    assert_eq!(purge(&store, [1_000_000; 3]).await, NOTHING);
    assert_eq!(store.submissions().await, submissions);
    for submission in submissions {
        assert!(
            detail(&store, submission.id)
                .await
                .webhooks
                .iter()
                .all(|webhook| webhook.content.is_some())
        );
    }
}

pub async fn what_comes_after_the_bodies_were_purged_is_purged_in_its_turn(
    store: TestStore<impl Backend>,
) {
    let late = delivered(&store, "c-1").await;
    let reopened = silent(&store, "c-2").await;
    let replayed = silent(&store, "c-3").await;
    purge(&store, [102, 0, 0]).await;

    assert_eq!(
        store.receive_one(webhook(110, "c-1", &[("problem", "2")])).await.outcome,
        Outcome::Late
    );
    store.receive_one(webhook(110, "c-2", &[("problem", "2")])).await;
    let how = Replay { same_payload: false, include_delivered: false, at: at(110) };
    store.replay(vec![replayed], how).await.unwrap();
    store.check_counts().await;
    for (id, kept) in [(late, 1), (reopened, 1), (replayed, 0)] {
        let webhooks = detail(&store, id).await.webhooks;
        assert_eq!(
            webhooks.iter().filter(|webhook| webhook.content.is_some()).count(),
            kept,
            "{webhooks:?}"
        );
    }
    assert_eq!(
        purge(&store, [102, 0, 0]).await,
        PurgeCounts { bodies: 1, ..NOTHING },
        "the late one"
    );
    for claim in store.claim_due(1000).await {
        store.settle_one(&claim, accepted(1001), Decision::Delivered).await;
    }
    assert_eq!(purge(&store, [1001, 0, 0]).await, NOTHING);
    let again = PurgeCounts { bodies: 2, ..NOTHING };
    assert_eq!(purge(&store, [1002, 0, 0]).await, again, "those that were delivered since");
    assert_eq!(purge(&store, [1002, 1002, 0]).await, PurgeCounts { submissions: 3, ..NOTHING });
}

pub async fn what_is_delivered_again_is_kept_until_that_is_old(store: TestStore<impl Backend>) {
    store.receive_one(with_policy(ChangedAnswerPolicy::Redeliver, complete(0, "c-1"))).await;
    let claim = store.claim_one(100).await;
    store.settle_one(&claim, accepted(101), Decision::Delivered).await;
    let again = with_policy(ChangedAnswerPolicy::Redeliver, webhook(110, "c-1", &[("score", "2")]));
    assert_eq!(store.receive_one(again).await.outcome, Outcome::Updated);
    assert_eq!(purge(&store, [1_000_000; 3]).await, NOTHING);
    let claim = store.claim_one(1000).await;
    store.settle_one(&claim, accepted(1001), Decision::Delivered).await;
    assert_eq!(purge(&store, [1001; 3]).await, NOTHING);
    assert_eq!(purge(&store, [1002, 1002, 0]).await, PurgeCounts { submissions: 1, ..NOTHING });
}

pub async fn what_is_old_is_purged_a_few_at_a_time_and_makes_room(store: TestStore<impl Backend>) {
    const MANY: usize = 450;
    let mut sizes = Vec::new();
    for round in 0..3 {
        for n in 0..MANY {
            let mut request = complete(0, &format!("c-{round}-{n}"));
            request.webhook.body = vec![b'x'; 1000];
            store.receive_one(request).await;
        }
        loop {
            let claimed = store.claim_by(ignoring(IgnoredReason::NoAnswer), 101).await;
            if claimed.settled.is_empty() {
                break;
            }
        }
        for (cutoffs, of) in [([102, 0, 0], 0), ([102, 102, 0], 1), ([102; 3], 2)] {
            let mut purged = Vec::new();
            loop {
                let counts = purge(&store, cutoffs).await;
                if counts == NOTHING {
                    break;
                }
                purged.push([counts.bodies, counts.submissions, counts.outcomes][of]);
            }
            assert_eq!(purged, [200, 200, 50]);
        }
        store.backend.make_room();
        sizes.push(store.statistics().await.unwrap().bytes);
    }
    assert_eq!(store.counts().await.ignored, 3 * MANY as u64);
    assert_eq!(sizes[1], sizes[2], "the store does not grow for ever");
}

const NOTHING: PurgeCounts = PurgeCounts { bodies: 0, submissions: 0, outcomes: 0 };

/// Removes what was settled before these seconds: bodies, submissions, outcomes.
async fn purge(
    store: &TestStore<impl Backend>,
    [bodies, submissions, outcomes]: [i64; 3],
) -> PurgeCounts {
    let cutoffs = RetentionCutoffs {
        bodies: at(bodies),
        submissions: at(submissions),
        outcomes: at(outcomes),
    };
    store.purge(cutoffs).await.unwrap()
}

async fn detail(store: &TestStore<impl Backend>, id: SubmissionId) -> SubmissionDetail {
    store.find(id).await.unwrap().expect("the store has it")
}

/// Delivered at 101.
async fn delivered(store: &TestStore<impl Backend>, call: &str) -> SubmissionId {
    store.receive_one(complete(0, call)).await;
    let claim = store.claim_one(100).await;
    store.settle_one(&claim, accepted(101), Decision::Delivered).await;
    claim.token.submission
}

/// Ignored at 101.
async fn silent(store: &TestStore<impl Backend>, call: &str) -> SubmissionId {
    store.receive_one(complete(0, call)).await;
    store.settle_unsent(ignoring(IgnoredReason::NoAnswer), 101).await.id
}
