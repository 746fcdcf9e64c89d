//! Keeping hooks: whole or not at all, once, and for good.

use postcall::store::Outcome;
use postcall::submission::{
    AnswerValidity, ChangedAnswerPolicy, CompletionPolicy, State, StateCounts,
};

use super::spoken::{AFTER, DELAY, FIRST, answer, at, complete, hook, hook_for, pairs};
use super::{Backend, Ledger};

pub async fn a_first_hook_starts_a_submission_and_further_answers_add_to_it(
    ledger: Ledger<impl Backend>,
) {
    let first = ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    assert_eq!((first.outcome, first.changed), (Outcome::New, false));
    let second = ledger.hear(hook(5, "c-1", &[("problem", "2")])).await;
    let id = first.submission;
    assert_eq!((second.submission, second.outcome, second.changed), (id, Outcome::Added, false));
    ledger.check_books().await;
}

pub async fn an_accepted_hook_survives_reopening(mut ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4"), ("problem", "")])).await;
    let row = ledger.row("c-1").await;
    ledger.reopen();
    assert_eq!(ledger.row("c-1").await, row);
    assert_eq!(ledger.lease_one(AFTER).await.answers.len(), 2);
}

pub async fn an_accepted_hook_survives_a_sudden_end(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    ledger.hear(hook(1, "c-1", &[("problem", "2")])).await;
    let found = ledger.after_a_sudden_end();
    assert_eq!(found.row("c-1").await, ledger.row("c-1").await);
    assert_eq!(found.backend.bodies(), ledger.backend.bodies());
    assert_eq!(found.lease_one(1 + DELAY).await.answers.len(), 2);
    found.check_books().await;
}

pub async fn a_hook_is_kept_as_it_came(ledger: Ledger<impl Backend>) {
    let mut arrival = hook(0, "c-1", &[("score", "4")]);
    arrival.hook.body = b"Digits=4&From=+1 555%20".to_vec();
    ledger.hear(arrival).await;
    assert_eq!(ledger.backend.bodies(), ["Digits=4&From=+1 555%20"]);
}

pub async fn the_same_key_is_the_same_submission(ledger: Ledger<impl Backend>) {
    let arrival = hook(0, "c-1", &[("score", "4")]);
    let id = arrival.key.id();
    assert_eq!(ledger.hear(arrival).await.submission, id);
    assert_eq!(ledger.hear(hook(1, "c-1", &[("problem", "1")])).await.submission, id);
    assert_ne!(ledger.hear(hook(2, "c-2", &[("score", "4")])).await.submission, id);
    let mut other_survey = hook(3, "c-1", &[("score", "4")]);
    other_survey.key.survey = "quick".parse().unwrap();
    assert_ne!(ledger.hear(other_survey).await.submission, id);
    assert_eq!(ledger.rows().await.len(), 3);
}

pub async fn two_accounts_never_touch_each_others_calls(ledger: Ledger<impl Backend>) {
    let main = ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    let other = ledger.hear(hook_for("other", 1, "c-1", &[("score", "1")])).await;
    assert_ne!(main.submission, other.submission);
    assert_eq!((other.outcome, other.changed), (Outcome::New, false));
    let lease = ledger.lease_one(1000).await;
    assert_eq!(lease.key.account.as_str(), "main");
    assert_eq!(pairs(&lease.answers), [("score".into(), answer("4"), 0)]);
}

pub async fn a_repeat_moves_nothing_and_is_not_stored_again(mut ledger: Ledger<impl Backend>) {
    let first = hook(0, "c-1", &[("score", ""), ("problem", "2")]);
    let id = ledger.hear(first.clone()).await.submission;
    let (row, bodies) = (ledger.row("c-1").await, ledger.backend.bodies());
    let repeats = [
        // The very same hook, one of another id and time, and each answer by itself.
        first,
        hook(50, "c-1", &[("score", ""), ("problem", "2")]),
        hook(60, "c-1", &[("problem", "2")]),
        hook(70, "c-1", &[("score", "")]),
    ];
    for repeat in repeats {
        let heard = ledger.hear(repeat.clone()).await;
        assert_eq!((heard.submission, heard.outcome, heard.changed), (id, Outcome::Repeat, false));
        ledger.reopen();
        assert_eq!(ledger.hear(repeat).await, heard);
    }
    assert_eq!(ledger.row("c-1").await, row);
    assert_eq!(ledger.backend.bodies(), bodies);
    assert_eq!(
        ledger.totals().await,
        StateCounts { accepted: 1, collecting: 1, ..StateCounts::default() }
    );
}

pub async fn what_is_new_beside_a_repeat_is_added(ledger: Ledger<impl Backend>) {
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    let added = ledger.hear(hook(9, "c-1", &[("score", "4"), ("problem", "1")])).await;
    assert_eq!(added.outcome, Outcome::Added);
    assert_eq!(ledger.row("c-1").await.due_at, at(9 + DELAY));
    assert_eq!(ledger.lease_one(100).await.answers.len(), 2);
}

pub async fn a_second_answer_in_the_domain_is_counted_changed_and_changes_nothing(
    ledger: Ledger<impl Backend>,
) {
    let changed = async |text| ledger.hear(hook(0, "c-1", &[("score", text)])).await.changed;
    assert!(!changed("").await);
    assert!(!changed("7").await);
    assert!(!changed("4").await);
    assert!(!changed("9").await, "outside the domain");
    assert!(changed("2").await);
    assert!(!changed("2").await, "a repeat");
    let lease = ledger.lease_one(AFTER).await;
    let (best, _) = lease
        .answers
        .best("score", |said| FIRST.validity("score", said), ChangedAnswerPolicy::KeepFirst)
        .unwrap();
    assert_eq!(best.answer, answer("4"));
    assert_eq!(lease.answers.len(), 5, "what changed nothing is kept");
}

pub async fn an_answer_in_the_domain_counts_before_what_came_earlier(ledger: Ledger<impl Backend>) {
    for (second, text) in ["", "7", "4", "2"].into_iter().enumerate() {
        ledger.hear(hook(second as i64, "c-1", &[("score", text)])).await;
    }
    let lease = ledger.lease_one(1000).await;
    let (best, standing) = lease
        .answers
        .best("score", |answer| FIRST.validity("score", answer), ChangedAnswerPolicy::KeepFirst)
        .unwrap();
    assert_eq!((&best.answer, standing), (&answer("4"), AnswerValidity::InDomain));
    assert_eq!(lease.last_answer_at, at(3));
}

pub async fn a_submission_is_due_by_its_completion(ledger: Ledger<impl Backend>) {
    let due = async || {
        let row = ledger.row("c-1").await;
        (row.state, row.due_at)
    };
    ledger.hear(hook(10, "c-1", &[("score", "")])).await;
    assert_eq!(due().await, (State::Collecting, at(10 + AFTER)));
    ledger.hear(hook(20, "c-1", &[("problem", "1")])).await;
    assert_eq!(due().await, (State::Collecting, at(20 + AFTER)), "silence completes nothing");
    ledger.hear(hook(30, "c-1", &[("score", "5")])).await;
    assert_eq!(due().await, (State::Pending, at(30 + DELAY)));
    ledger.hear(hook(40, "c-1", &[("score", "3")])).await;
    assert_eq!(due().await, (State::Pending, at(40 + DELAY)), "a new word, though no new score");
    ledger.hear(complete(50, "c-2")).await;
    assert_eq!(ledger.row("c-2").await.state, State::Pending, "all in one hook");
    ledger.check_books().await;
}
