//! Recording the ends of attempts and what was decided.

use postcall::account::PauseCause;
use postcall::domain::Verdict;
use postcall::submission::{
    AttemptResponse, DeadReason, Decision, Document, IgnoredReason, Json, Mapping, Settled,
    Settlement, State,
};

use super::spoken::{
    BUSY, FEEDBACK, TestMapper, accepted, at, attempt, complete, dead, feedback, ignoring, webhook,
};
use super::{Backend, TestStore};

pub async fn what_was_delivered_is_kept_with_its_attempt(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    let claim = store.claim_one(100).await;
    assert_eq!(store.submission("c-1").await.last_attempt().unwrap().response, None, "in flight");
    let settled = store.settle_one(&claim, accepted(101), Decision::Delivered).await;
    assert_eq!(settled, Settled::Done);
    let submission = store.submission("c-1").await;
    assert_eq!((submission.state, submission.settled_at), (State::Delivered, Some(at(101))));
    assert_eq!((submission.document.attempts_used, submission.document.attempts_made), (1, 1));
    assert_eq!(submission.document.delivered.as_ref().map(Json::as_str), Some(FEEDBACK));
    let kept = submission.last_attempt().unwrap();
    let response = AttemptResponse {
        finished_at: Some(at(101)),
        verdict: Verdict::Accepted,
        status: Some(201),
        api_id: Some("api-1".to_owned()),
        error: None,
        text: Some("Accepted".to_owned()),
    };
    assert_eq!((kept.payload.as_str(), kept.response.as_ref()), (FEEDBACK, Some(&response)));
    store.check_counts().await;
}

pub async fn a_retry_is_due_when_it_was_decided_and_is_spent(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    let claim = store.claim_one(100).await;
    let settled = store
        .settle_one(&claim, attempt(BUSY, Some(503), 105), Decision::Retry { at: at(130) })
        .await;
    assert_eq!(settled, Settled::Done);
    assert_eq!(store.claim_due(129).await.len(), 0);
    let next = store.claim_one(130).await;
    assert_eq!((next.attempts, next.age.as_secs()), (1, 30));
    assert_eq!(store.submission("c-1").await.state, State::Pending);
}

pub async fn what_is_dead_says_why(store: TestStore<impl Backend>) {
    for (n, reason) in DeadReason::ALL.into_iter().enumerate() {
        let call = format!("c-{n}");
        store.receive_one(complete(0, &call)).await;
        let detail = match reason {
            DeadReason::Unmapped | DeadReason::Unrated | DeadReason::Incomplete => {
                store.settle_unsent(TestMapper::to(dead(reason, "it says why")), 100).await;
                "it says why"
            }
            reason => {
                let claim = store.claim_one(100).await;
                let attempt = attempt(Verdict::Rejected, Some(422), 101);
                let dead = Decision::Dead { reason, pause: None };
                assert_eq!(store.settle_one(&claim, attempt, dead).await, Settled::Done);
                "Rejected"
            }
        };
        let submission = store.submission(&call).await;
        assert_eq!(submission.state, State::Dead(reason));
        assert_eq!(submission.document.detail.as_deref(), Some(detail));
        store.check_counts().await;
    }
}

pub async fn what_is_ignored_may_say_why(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    let (reason, detail) = (IgnoredReason::Rule, Some("a test call".to_owned()));
    store.settle_unsent(TestMapper::to(Mapping::Ignore { reason, detail }), 100).await;
    assert_eq!(store.submission("c-1").await.document.detail.as_deref(), Some("a test call"));
}

pub async fn the_trace_of_a_mapping_is_kept_until_the_next_mapping(
    mut store: TestStore<impl Backend>,
) {
    let trace = async |store: &TestStore<_>| {
        let trace = store.submission("c-1").await.document.trace;
        trace.map(|trace| trace.as_str().to_owned())
    };
    store.receive_one(webhook(0, "c-1", &[("score", "")])).await;
    assert_eq!(trace(&store).await, None);
    store.settle_unsent(ignoring(IgnoredReason::NoAnswer).traced("[1]"), 1000).await;
    assert_eq!(trace(&store).await.unwrap(), "[1]");
    store.receive_one(complete(200, "c-1")).await;
    assert_eq!(trace(&store).await.unwrap(), "[1]");
    for (second, verdict, mapped, kept) in [
        (1000, Verdict::Unreachable, Some("[2]"), "[2]"),
        (2000, Verdict::AccountRejected, Some("[3]"), "[3]"),
        (3000, Verdict::Unreachable, None, "[3]"),
        (4000, Verdict::Accepted, Some("[4]"), "[4]"),
    ] {
        store.reopen();
        let mapper = match mapped {
            Some(trace) => TestMapper::default().traced(trace),
            None => TestMapper::default(),
        };
        let claim = store.claim_by(mapper, second).await.claims.remove(0);
        assert_eq!(trace(&store).await.unwrap(), kept, "with the claim");
        let decision = match verdict {
            Verdict::Unreachable => Decision::Retry { at: at(102) },
            Verdict::AccountRejected => Decision::Pause {
                cause: PauseCause::AccountRejected,
                probe_at: at(102),
                at: at(101),
            },
            _ => Decision::Delivered,
        };
        let settled = store.settle_one(&claim, attempt(verdict, None, 101), decision).await;
        assert_eq!(settled, Settled::Done);
        assert_eq!(trace(&store).await.unwrap(), kept);
    }
}

pub async fn what_is_settled_is_never_claimed_again(mut store: TestStore<impl Backend>) {
    for (n, reason) in IgnoredReason::ALL.into_iter().enumerate() {
        store.receive_one(complete(0, &format!("c-{n}"))).await;
        store.settle_unsent(ignoring(reason), 100).await;
        assert_eq!(store.submission(&format!("c-{n}")).await.state, State::Ignored(reason));
    }
    assert_eq!(store.claim_due(1_000_000).await.len(), 0);
    store.reopen();
    assert_eq!(store.claim_due(1_000_000).await.len(), 0);
}

pub async fn results_of_settlements_are_in_their_order(store: TestStore<impl Backend>) {
    for call in ["c-1", "c-2", "c-3"] {
        store.receive_one(complete(0, call)).await;
    }
    let claims = store.claim_due(100).await;
    store.settle_one(&claims[1], accepted(100), Decision::Delivered).await;
    store.receive_one(super::webhook(100, "c-3", &[("score", "1")])).await;
    let decisions = [
        Decision::Retry { at: at(900) },
        Decision::Retry { at: at(900) },
        Decision::Dead { reason: DeadReason::TooOld, pause: None },
    ];
    let settlements = claims.iter().zip(decisions).map(|(claim, decision)| Settlement {
        token: claim.token,
        attempt: attempt(Verdict::Unreachable, None, 101),
        decision,
    });
    assert_eq!(
        store.settle(settlements.collect()).await.unwrap(),
        [Settled::Done, Settled::LeaseLost, Settled::NewerAnswers]
    );
    store.check_counts().await;
}

/// Its commit was not answered, so it is asked for again.
pub async fn a_settlement_that_is_repeated_has_the_same_result_and_changes_nothing(
    store: TestStore<impl Backend>,
) {
    for call in ["delivered", "retried", "dead", "dead-with-more"] {
        store.receive_one(complete(0, call)).await;
    }
    let claims = store.claim_due(100).await;
    let claim_of = |call: &str| {
        claims.iter().find(|claim| claim.key.call.as_str() == call).expect("it was claimed")
    };
    store.receive_one(super::webhook(100, "dead-with-more", &[("score", "1")])).await;
    let dead = Decision::Dead { reason: DeadReason::TooOld, pause: None };
    for (call, attempt, decision, expected) in [
        ("delivered", accepted(101), Decision::Delivered, Settled::Done),
        (
            "retried",
            attempt(Verdict::Unreachable, None, 101),
            Decision::Retry { at: at(900) },
            Settled::Done,
        ),
        ("dead", attempt(Verdict::Unreachable, None, 101), dead, Settled::Done),
        ("dead-with-more", attempt(Verdict::Unreachable, None, 101), dead, Settled::NewerAnswers),
    ] {
        let claim = claim_of(call);
        assert_eq!(store.settle_one(claim, attempt.clone(), decision).await, expected, "{call}");
        let submission = store.submission(call).await;
        assert_eq!(store.settle_one(claim, attempt.clone(), decision).await, expected, "{call}");
        assert_eq!(store.submission(call).await, submission, "{call}");
        // Another result of that claim is none.
        let mut other = attempt;
        other.reply.text = "another".to_owned();
        let settled = store.settle_one(claim, other, decision).await;
        assert_eq!(settled, Settled::LeaseLost, "{call}");
        assert_eq!(store.submission(call).await, submission, "{call}");
    }
    store.check_counts().await;
}

pub async fn a_settlement_survives_a_sudden_end(store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    let claim = store.claim_one(100).await;
    store.settle_one(&claim, accepted(101), Decision::Delivered).await;
    let found = store.after_a_sudden_end();
    assert_eq!(found.submission("c-1").await, store.submission("c-1").await);
    assert_eq!(found.claim_due(1_000_000).await.len(), 0);
    found.check_counts().await;
}

pub async fn the_first_attempt_and_the_last_ones_are_kept(mut store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    let most = Document::ATTEMPTS_MAX as u32;
    for n in 1..=most + 5 {
        let second = 100 * i64::from(n);
        let notes = format!("attempt {n}");
        let mapper = TestMapper::to(Mapping::Feedback(feedback(&notes)));
        let claim = store.claim_by(mapper, second).await.claims.remove(0);
        assert_eq!(claim.attempts, n - 1, "every one counts");
        store.retry_one(&claim, attempt(BUSY, Some(503), second)).await;
    }
    store.reopen();
    let submission = store.submission("c-1").await;
    let numbers: Vec<_> = submission.document.attempts.iter().map(|it| it.number).collect();
    let expected: Vec<_> = [1].into_iter().chain(7..=most + 5).collect();
    assert_eq!(numbers, expected);
    for attempt in &submission.document.attempts {
        let notes = format!("attempt {}", attempt.number);
        assert_eq!(attempt.payload.as_str(), feedback(&notes).to_json());
        assert_eq!(attempt.response.as_ref().unwrap().status, Some(503));
    }
    assert_eq!((submission.document.attempts_made, submission.document.attempts_used), (21, 21));
}
