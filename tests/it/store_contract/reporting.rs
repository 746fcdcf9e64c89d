//! All that a webhook may report of a call, beside one answer.

use postcall::domain::{ExtractedAnswer, Verdict};
use postcall::submission::{Answers, IgnoredReason, Outcome, State};

use super::backend::apart_from_late;
use super::spoken::{
    AFTER, DELAY, answer, at, attempt, complete, hang_up, ignoring, opt_out, webhook, with_field,
};
use super::{Backend, TestStore};

pub async fn everything_that_a_webhook_reports_is_kept(mut store: TestStore<impl Backend>) {
    let mut request = with_field("campaign", "spring", webhook(7, "c-1", &[("score", "4")]));
    request.extraction.answers.push(ExtractedAnswer {
        question: "problem".to_owned(),
        answer: answer(""),
        reader: "json:$.q2".to_owned(),
    });
    (request.extraction.hung_up, request.extraction.opted_out) = (true, true);
    let accepted = store.receive_one(request).await;
    assert_eq!(accepted.outcome, Outcome::Created);
    store.reopen();
    let answers = store.claim_mapped(1000).await.1;
    let recorded: Vec<_> = answers.recorded().map(|it| (&*it.question, &*it.reader)).collect();
    assert_eq!(recorded, [("problem", "json:$.q2"), ("score", "form:Digits")]);
    assert_eq!(fields(&answers), [("campaign", "spring", 7)]);
    assert_eq!((answers.hung_up_at(), answers.opted_out_at()), (Some(at(7)), Some(at(7))));
    assert_eq!(answers, accepted.answers);
}

pub async fn a_sender_can_be_answered_by_everything_that_is_known(store: TestStore<impl Backend>) {
    let known = async |request| store.receive_one(request).await.answers;
    assert_eq!(known(webhook(0, "c-1", &[("score", "4")])).await.len(), 1);
    assert_eq!(known(webhook(1, "c-1", &[("problem", "1")])).await.len(), 2);
    assert_eq!(known(webhook(2, "c-1", &[("problem", "1")])).await.len(), 2, "a duplicate");
    store.claim_one(100).await;
    assert_eq!(known(webhook(101, "c-1", &[("problem", "2")])).await.len(), 3, "it is late");
    let reported = known(with_field("campaign", "spring", hang_up(102, "c-1"))).await;
    assert_eq!(reported.field("campaign"), Some("spring"));
    assert_eq!(reported.hung_up_at(), Some(at(102)));
}

pub async fn the_first_webhook_that_gives_a_field_decides_it(store: TestStore<impl Backend>) {
    for (second, value) in [(20, "second"), (10, "first"), (30, "third")] {
        store
            .receive_one(with_field("campaign", value, webhook(second, "c-1", &[("score", "4")])))
            .await;
    }
    let (_, answers) = store.claim_mapped(1000).await;
    assert_eq!(fields(&answers), [("campaign", "first", 10)]);
}

pub async fn a_known_field_is_a_duplicate_and_a_new_one_is_not(store: TestStore<impl Backend>) {
    let silence = |second| webhook(second, "c-1", &[("score", "")]);
    store.receive_one(with_field("campaign", "spring", silence(0))).await;
    for value in ["spring", "summer"] {
        let again = store.receive_one(with_field("campaign", value, silence(9))).await;
        assert_eq!(again.outcome, Outcome::Duplicate, "{value}");
    }
    store.settle_unsent(ignoring(IgnoredReason::Rule), AFTER).await;
    let reported = store.receive_one(with_field("from", "1555", silence(200))).await;
    assert_eq!(reported.outcome, Outcome::Updated);
    let submission = store.submission("c-1").await;
    assert_eq!(
        (submission.state, submission.due_at),
        (State::Collecting, at(AFTER)),
        "it is not waited for"
    );
    assert_eq!(store.claim_mapped(200).await.1.fields().count(), 2);
    store.check_counts().await;
}

pub async fn a_webhook_with_fields_alone_is_due_at_once(store: TestStore<impl Backend>) {
    let reported =
        store.receive_one(with_field("campaign", "spring", webhook(5, "c-1", &[]))).await;
    assert_eq!(reported.outcome, Outcome::Created);
    let submission = store.submission("c-1").await;
    assert_eq!((submission.state, submission.due_at), (State::Collecting, at(5)));
    assert!(store.claim_mapped(5).await.1.is_empty());
}

pub async fn a_hang_up_starts_a_submission(store: TestStore<impl Backend>) {
    assert_eq!(store.receive_one(hang_up(10, "c-1")).await.outcome, Outcome::Created);
    assert_eq!(store.receive_one(hang_up(20, "c-1")).await.outcome, Outcome::Duplicate);
    let submission = store.submission("c-1").await;
    assert_eq!((submission.state, submission.due_at), (State::Collecting, at(10 + DELAY)));
    let (claim, answers) = store.claim_mapped(1000).await;
    assert_eq!((answers.is_empty(), answers.hung_up_at()), (true, Some(at(10))));
    assert_eq!(claim.due_since, at(10 + DELAY));
}

pub async fn a_hang_up_is_waited_after_for_a_short_time(store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    assert_eq!(store.receive_one(hang_up(3, "c-1")).await.outcome, Outcome::Updated);
    assert_eq!(store.submission("c-1").await.due_at, at(3 + DELAY));
    // It overtook the last answer.
    store.receive_one(webhook(2, "c-1", &[("problem", "")])).await;
    assert_eq!(store.submission("c-1").await.due_at, at(3 + DELAY));
    store.receive_one(hang_up(1, "c-1")).await;
    let answers = store.claim_mapped(1000).await.1;
    assert_eq!(answers.hung_up_at(), Some(at(1)), "received first, kept last");
}

pub async fn an_opt_out_completes_a_submission(store: TestStore<impl Backend>) {
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    assert_eq!(store.receive_one(opt_out(5, "c-1")).await.outcome, Outcome::Updated);
    let submission = store.submission("c-1").await;
    assert_eq!((submission.state, submission.due_at), (State::Pending, at(5 + DELAY)));
    assert_eq!(store.receive_one(opt_out(6, "c-1")).await.outcome, Outcome::Duplicate);
    store.check_counts().await;
}

pub async fn what_is_reported_late_changes_nothing(mut store: TestStore<impl Backend>) {
    store.receive_one(complete(0, "c-1")).await;
    let claim = store.claim_one(100).await;
    store.retry_one(&claim, attempt(Verdict::UnknownResult, None, 101)).await;
    let submission = store.submission("c-1").await;
    let reported = [hang_up(110, "c-1"), opt_out(111, "c-1")];
    for request in reported.into_iter().map(|request| with_field("campaign", "spring", request)) {
        assert_eq!(store.receive_one(request.clone()).await.outcome, Outcome::Late);
        store.reopen();
        assert_eq!(store.receive_one(request).await.outcome, Outcome::Duplicate);
    }
    assert_eq!(apart_from_late(&store.submission("c-1").await), submission);
    let answers = store.claim_mapped(1000).await.1;
    assert_eq!((answers.hung_up_at(), answers.opted_out_at()), (None, None));
    assert_eq!(answers.fields().count(), 0);
}

pub async fn what_was_reported_during_an_attempt_that_never_arrived_counts_after_all(
    store: TestStore<impl Backend>,
) {
    store.receive_one(complete(0, "c-1")).await;
    let claim = store.claim_one(100).await;
    let reported = with_field("campaign", "spring", opt_out(100, "c-1"));
    assert_eq!(store.receive_one(reported).await.outcome, Outcome::Late);
    store.retry_one(&claim, attempt(Verdict::Unreachable, None, 101)).await;
    let (_, answers) = store.claim_mapped(1000).await;
    assert_eq!(answers.opted_out_at(), Some(at(100)));
    assert_eq!(fields(&answers), [("campaign", "spring", 100)]);
}

fn fields(answers: &Answers) -> Vec<(&str, &str, i64)> {
    let fields = answers.fields();
    fields
        .map(|(name, field)| (name.as_str(), &*field.value, field.received_at.as_second()))
        .collect()
}
