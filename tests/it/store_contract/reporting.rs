//! All that a hook may report of a call, beside one answer.

use postcall::domain::{ExtractedAnswer, Verdict};
use postcall::store::Outcome;
use postcall::submission::{Answers, IgnoredReason, State};

use super::spoken::{
    AFTER, DELAY, answer, at, attempt, complete, hang_up, hook, ignored, opt_out, telling,
};
use super::{Backend, Ledger};

pub async fn all_that_a_hook_reports_is_kept(mut ledger: Ledger<impl Backend>) {
    let mut arrival = telling("campaign", "spring", hook(7, "c-1", &[("score", "4")]));
    arrival.report.answers.push(ExtractedAnswer {
        question: "problem".to_owned(),
        answer: answer(""),
        reader: "json:$.q2".to_owned(),
    });
    (arrival.report.hung_up, arrival.report.opted_out) = (true, true);
    let accepted = ledger.hear(arrival).await;
    assert_eq!(accepted.outcome, Outcome::New);
    ledger.reopen();
    let answers = ledger.lease_one(1000).await.answers;
    let said: Vec<_> = answers.recorded().map(|said| (&*said.question, &*said.reader)).collect();
    assert_eq!(said, [("problem", "json:$.q2"), ("score", "form:Digits")]);
    assert_eq!(fields(&answers), [("campaign", "spring", 7)]);
    assert_eq!((answers.hung_up_at(), answers.opted_out_at()), (Some(at(7)), Some(at(7))));
    assert_eq!(answers, accepted.answers);
}

pub async fn a_sender_can_be_answered_by_all_that_is_known(ledger: Ledger<impl Backend>) {
    let known = async |arrival| ledger.hear(arrival).await.answers;
    assert_eq!(known(hook(0, "c-1", &[("score", "4")])).await.len(), 1);
    assert_eq!(known(hook(1, "c-1", &[("problem", "1")])).await.len(), 2);
    assert_eq!(known(hook(2, "c-1", &[("problem", "1")])).await.len(), 2, "a repeat");
    ledger.attempt_one(100).await;
    assert_eq!(known(hook(101, "c-1", &[("problem", "2")])).await.len(), 3, "it is late");
    let told = known(telling("campaign", "spring", hang_up(102, "c-1"))).await;
    assert_eq!(told.field("campaign"), Some("spring"));
    assert_eq!(told.hung_up_at(), Some(at(102)));
}

pub async fn the_first_hook_that_gives_a_field_decides_it(ledger: Ledger<impl Backend>) {
    for (second, value) in [(20, "second"), (10, "first"), (30, "third")] {
        ledger.hear(telling("campaign", value, hook(second, "c-1", &[("score", "4")]))).await;
    }
    let lease = ledger.lease_one(1000).await;
    assert_eq!(fields(&lease.answers), [("campaign", "first", 10)]);
}

pub async fn a_known_field_is_a_repeat_and_a_new_one_is_not(ledger: Ledger<impl Backend>) {
    let said = |second| hook(second, "c-1", &[("score", "")]);
    ledger.hear(telling("campaign", "spring", said(0))).await;
    for value in ["spring", "summer"] {
        let again = ledger.hear(telling("campaign", value, said(9))).await;
        assert_eq!(again.outcome, Outcome::Repeat, "{value}");
    }
    let lease = ledger.lease_one(AFTER).await;
    ledger.settle_one(&lease, ignored(IgnoredReason::Rule), AFTER).await;
    let told = ledger.hear(telling("from", "1555", said(200))).await;
    assert_eq!(told.outcome, Outcome::Added);
    let row = ledger.row("c-1").await;
    assert_eq!((row.state, row.due_at), (State::Collecting, at(AFTER)), "it is not waited for");
    assert_eq!(ledger.lease_one(200).await.answers.fields().count(), 2);
    ledger.check_books().await;
}

pub async fn what_only_gives_fields_is_waited_for_by_nobody(ledger: Ledger<impl Backend>) {
    let told = ledger.hear(telling("campaign", "spring", hook(5, "c-1", &[]))).await;
    assert_eq!(told.outcome, Outcome::New);
    let row = ledger.row("c-1").await;
    assert_eq!((row.state, row.due_at), (State::Collecting, at(5)));
    assert!(ledger.lease_one(5).await.answers.is_empty());
}

pub async fn a_hang_up_starts_a_submission(ledger: Ledger<impl Backend>) {
    assert_eq!(ledger.hear(hang_up(10, "c-1")).await.outcome, Outcome::New);
    assert_eq!(ledger.hear(hang_up(20, "c-1")).await.outcome, Outcome::Repeat);
    let row = ledger.row("c-1").await;
    assert_eq!((row.state, row.due_at), (State::Collecting, at(10 + DELAY)));
    let lease = ledger.lease_one(1000).await;
    assert_eq!((lease.answers.is_empty(), lease.answers.hung_up_at()), (true, Some(at(10))));
    assert_eq!(lease.last_answer_at, at(10));
}

pub async fn a_hang_up_is_waited_after_for_a_short_time(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    assert_eq!(ledger.hear(hang_up(3, "c-1")).await.outcome, Outcome::Added);
    assert_eq!(ledger.row("c-1").await.due_at, at(3 + DELAY));
    // It overtook the last answer.
    ledger.hear(hook(2, "c-1", &[("problem", "")])).await;
    assert_eq!(ledger.row("c-1").await.due_at, at(3 + DELAY));
    ledger.hear(hang_up(1, "c-1")).await;
    let answers = ledger.lease_one(1000).await.answers;
    assert_eq!(answers.hung_up_at(), Some(at(1)), "received first, kept last");
}

pub async fn an_opt_out_completes_a_submission(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    assert_eq!(ledger.hear(opt_out(5, "c-1")).await.outcome, Outcome::Added);
    let row = ledger.row("c-1").await;
    assert_eq!((row.state, row.due_at), (State::Pending, at(5 + DELAY)));
    assert_eq!(ledger.hear(opt_out(6, "c-1")).await.outcome, Outcome::Repeat);
    ledger.check_books().await;
}

pub async fn what_is_told_late_changes_nothing(mut ledger: Ledger<impl Backend>) {
    ledger.hear(complete(0, "c-1")).await;
    let lease = ledger.attempt_one(100).await;
    ledger.retry_one(&lease, attempt(Verdict::UnknownResult, None, 101)).await;
    let row = ledger.row("c-1").await;
    let told = [hang_up(110, "c-1"), opt_out(111, "c-1")];
    for arrival in told.into_iter().map(|arrival| telling("campaign", "spring", arrival)) {
        assert_eq!(ledger.hear(arrival.clone()).await.outcome, Outcome::Late);
        ledger.reopen();
        assert_eq!(ledger.hear(arrival).await.outcome, Outcome::Repeat);
    }
    assert_eq!(ledger.row("c-1").await, row);
    let answers = ledger.lease_one(1000).await.answers;
    assert_eq!((answers.hung_up_at(), answers.opted_out_at()), (None, None));
    assert_eq!(answers.fields().count(), 0);
}

pub async fn what_was_told_during_an_attempt_that_never_arrived_counts_after_all(
    ledger: Ledger<impl Backend>,
) {
    ledger.hear(complete(0, "c-1")).await;
    let lease = ledger.attempt_one(100).await;
    let told = telling("campaign", "spring", opt_out(100, "c-1"));
    assert_eq!(ledger.hear(told).await.outcome, Outcome::Late);
    ledger.retry_one(&lease, attempt(Verdict::Unreachable, None, 101)).await;
    let next = ledger.lease_one(1000).await;
    assert!(next.ticket.version > lease.ticket.version);
    assert_eq!(next.answers.opted_out_at(), Some(at(100)));
    assert_eq!(fields(&next.answers), [("campaign", "spring", 100)]);
}

fn fields(answers: &Answers) -> Vec<(&str, &str, i64)> {
    let fields = answers.fields();
    fields.map(|(name, told)| (name.as_str(), &*told.value, told.received_at.as_second())).collect()
}
