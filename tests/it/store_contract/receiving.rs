//! Keeping webhooks: whole or not at all, once, and for good.

use std::time::Duration;

use postcall::domain::{Feedback, Issue, Rating, Verdict};
use postcall::submission::{
    AnswerValidity, Arrival, ChangedAnswerPolicy, ClaimContext, CompletionPolicy, DeadReason,
    Decision, Mapping, Outcome, Settlement, State, StateCounts, Submission,
};

use super::backend::LEASE;
use super::spoken::{
    AFTER, DELAY, FIRST, TestMapper, answer, at, attempt, complete, hang_up, opt_out, pairs, score,
    webhook, webhook_for, with_field,
};
use super::{Backend, TestStore};

pub async fn a_first_webhook_starts_a_submission_and_further_answers_add_to_it(
    store: TestStore<impl Backend>,
) {
    let first = store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    assert_eq!((first.outcome, first.changed), (Outcome::Created, false));
    let second = store.receive_one(webhook(5, "c-1", &[("problem", "2")])).await;
    let id = first.submission;
    assert_eq!((second.submission, second.outcome, second.changed), (id, Outcome::Updated, false));
    store.check_counts().await;
}

pub async fn a_received_webhook_survives_reopening(mut store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4"), ("problem", "")])).await;
    let submission = store.submission("c-1").await;
    store.reopen();
    assert_eq!(store.submission("c-1").await, submission);
    assert_eq!(store.claim_mapped(AFTER).await.1.len(), 2);
}

pub async fn a_received_webhook_survives_a_sudden_end(store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    store.receive_one(webhook(1, "c-1", &[("problem", "2")])).await;
    let found = store.after_a_sudden_end();
    assert_eq!(found.submission("c-1").await, store.submission("c-1").await);
    assert_eq!(found.backend.bodies(), store.backend.bodies());
    assert_eq!(found.claim_mapped(1 + DELAY).await.1.len(), 2);
    found.check_counts().await;
}

pub async fn a_webhook_is_kept_as_it_came(store: TestStore<impl Backend>) {
    let mut request = webhook(0, "c-1", &[("score", "4")]);
    request.webhook.body = b"Digits=4&From=+1 555%20".to_vec();
    store.receive_one(request).await;
    assert_eq!(store.backend.bodies(), ["Digits=4&From=+1 555%20"]);
}

/// Whatever callers, senders, rules, destinations and operators write.
pub async fn a_submission_is_read_back_as_it_was_written(mut store: TestStore<impl Backend>) {
    let odd = "\"quoted\" \\ \u{0}\u{1}\u{7f}\n\u{2028} ü 🦀 {}[]' NULL";
    let first = with_field("campaign", odd, webhook(-7, "c-1", &[("score", odd)]));
    let mut stored = None;
    for request in [first, hang_up(-3, "c-1"), opt_out(2, "c-1")] {
        let arrival = Arrival {
            id: request.key.id(),
            key: &request.key,
            extraction: &request.extraction,
            received_at: request.webhook.received_at,
            webhook: request.webhook.id,
            trace: None,
        };
        Submission::receive(&mut stored, &arrival, &*request.policy);
        store.receive_one(request).await;
    }
    let mut stored = stored.unwrap();
    let id = stored.id;
    assert_eq!(store.load(vec![id]).await.unwrap(), [stored.clone()]);

    let mapper = || {
        let feedback =
            Feedback::new(Rating::new(4.25).unwrap(), [Issue::ALL[0]].into(), odd.into());
        TestMapper::to(Mapping::Feedback(feedback.unwrap())).traced(r#"{"of": ["\u00fc", 1e3]}"#)
    };
    let claim = store.claim_by(mapper(), 100).await.claims.remove(0);
    let context = ClaimContext {
        now: at(100),
        lease_until: at(LEASE),
        paused_for: None,
        paused_in_all: Duration::ZERO,
        longest_wait: Duration::MAX,
        settings_may_differ: false,
    };
    stored.claim(&context, &mapper());
    assert_eq!(store.load(vec![id]).await.unwrap(), [stored.clone()]);

    let mut attempt = attempt(Verdict::Rejected, Some(422), 101);
    attempt.reply.error = Some(odd.to_owned());
    attempt.reply.text = odd.to_owned();
    let decision = Decision::Dead { reason: DeadReason::Rejected, pause: None };
    stored.settle(&Settlement { token: claim.token, attempt: attempt.clone(), decision });
    store.settle_one(&claim, attempt, decision).await;
    let late = webhook(102, "c-1", &[("problem", odd)]);
    let arrival = Arrival {
        id,
        key: &late.key,
        extraction: &late.extraction,
        received_at: at(102),
        webhook: late.webhook.id,
        trace: None,
    };
    let mut known = Some(stored);
    Submission::receive(&mut known, &arrival, &*late.policy);
    let mut stored = known.unwrap();
    store.receive_one(late).await;
    stored.discard(odd, at(103));
    store.discard(vec![id], odd.to_owned(), at(103)).await.unwrap();
    store.reopen();
    assert_eq!(store.load(vec![id]).await.unwrap(), [stored]);
}

pub async fn the_same_key_is_the_same_submission(store: TestStore<impl Backend>) {
    let request = webhook(0, "c-1", &[("score", "4")]);
    let id = request.key.id();
    assert_eq!(store.receive_one(request).await.submission, id);
    assert_eq!(store.receive_one(webhook(1, "c-1", &[("problem", "1")])).await.submission, id);
    assert_ne!(store.receive_one(webhook(2, "c-2", &[("score", "4")])).await.submission, id);
    let mut other_survey = webhook(3, "c-1", &[("score", "4")]);
    other_survey.key.survey = "quick".parse().unwrap();
    assert_ne!(store.receive_one(other_survey).await.submission, id);
    assert_eq!(store.submissions().await.len(), 3);
}

pub async fn two_accounts_never_touch_each_others_calls(store: TestStore<impl Backend>) {
    let main = store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    let other = store.receive_one(webhook_for("other", 1, "c-1", &[("score", "1")])).await;
    assert_ne!(main.submission, other.submission);
    assert_eq!((other.outcome, other.changed), (Outcome::Created, false));
    let (claim, answers) = store.claim_mapped(1000).await;
    assert_eq!(claim.key.account.as_str(), "main");
    assert_eq!(pairs(&answers), [("score".into(), answer("4"), 0)]);
}

pub async fn a_duplicate_moves_nothing_and_is_not_stored_again(mut store: TestStore<impl Backend>) {
    let first = webhook(0, "c-1", &[("score", ""), ("problem", "2")]);
    let id = store.receive_one(first.clone()).await.submission;
    let (submission, bodies) = (store.submission("c-1").await, store.backend.bodies());
    let repeats = [
        // The very same webhook, one of another id and time, and each answer by itself.
        first,
        webhook(50, "c-1", &[("score", ""), ("problem", "2")]),
        webhook(60, "c-1", &[("problem", "2")]),
        webhook(70, "c-1", &[("score", "")]),
    ];
    for repeat in repeats {
        let received = store.receive_one(repeat.clone()).await;
        assert_eq!(
            (received.submission, received.outcome, received.changed),
            (id, Outcome::Duplicate, false)
        );
        store.reopen();
        assert_eq!(store.receive_one(repeat).await, received);
    }
    assert_eq!(store.submission("c-1").await, submission);
    assert_eq!(store.backend.bodies(), bodies);
    assert_eq!(
        store.counts().await,
        StateCounts { accepted: 1, collecting: 1, ..StateCounts::default() }
    );
}

pub async fn what_is_new_beside_a_duplicate_is_added(store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    let added = store.receive_one(webhook(9, "c-1", &[("score", "4"), ("problem", "1")])).await;
    assert_eq!(added.outcome, Outcome::Updated);
    assert_eq!(store.submission("c-1").await.due_at, at(9 + DELAY));
    assert_eq!(store.claim_mapped(100).await.1.len(), 2);
}

pub async fn a_second_answer_in_the_domain_is_counted_changed_and_changes_nothing(
    store: TestStore<impl Backend>,
) {
    let changed =
        async |text| store.receive_one(webhook(0, "c-1", &[("score", text)])).await.changed;
    assert!(!changed("").await);
    assert!(!changed("7").await);
    assert!(!changed("4").await);
    assert!(!changed("9").await, "outside the domain");
    assert!(changed("2").await);
    assert!(!changed("2").await, "a duplicate");
    let (_, answers) = store.claim_mapped(AFTER).await;
    assert_eq!(score(&answers, ChangedAnswerPolicy::KeepFirst), Some(answer("4")));
    assert_eq!(answers.len(), 5, "what changed nothing is kept");
}

pub async fn an_answer_in_the_domain_counts_before_what_came_earlier(
    store: TestStore<impl Backend>,
) {
    for (second, text) in ["", "7", "4", "2"].into_iter().enumerate() {
        store.receive_one(webhook(second as i64, "c-1", &[("score", text)])).await;
    }
    let (claim, answers) = store.claim_mapped(1000).await;
    let (best, validity) = answers
        .best("score", |answer| FIRST.validity("score", answer), ChangedAnswerPolicy::KeepFirst)
        .unwrap();
    assert_eq!((&best.answer, validity), (&answer("4"), AnswerValidity::InDomain));
    assert_eq!(claim.due_since, at(3 + AFTER));
}

pub async fn a_submission_is_due_by_its_completion_policy(store: TestStore<impl Backend>) {
    let due = async || {
        let submission = store.submission("c-1").await;
        (submission.state, submission.due_at)
    };
    store.receive_one(webhook(10, "c-1", &[("score", "")])).await;
    assert_eq!(due().await, (State::Collecting, at(10 + AFTER)));
    store.receive_one(webhook(20, "c-1", &[("problem", "1")])).await;
    assert_eq!(due().await, (State::Collecting, at(20 + AFTER)), "silence completes nothing");
    store.receive_one(webhook(30, "c-1", &[("score", "5")])).await;
    assert_eq!(due().await, (State::Pending, at(30 + DELAY)));
    store.receive_one(webhook(40, "c-1", &[("score", "3")])).await;
    assert_eq!(due().await, (State::Pending, at(40 + DELAY)), "a new word, though no new score");
    store.receive_one(complete(50, "c-2")).await;
    assert_eq!(store.submission("c-2").await.state, State::Pending, "all in one webhook");
    store.check_counts().await;
}
