//! Callers and senders that change an answer.

use std::time::Duration;

use postcall::account::PauseCause;
use postcall::domain::Verdict;
use postcall::store::{Arrival, Decision, Lease, Outcome, Settled};
use postcall::submission::{ChangedAnswerPolicy, DeadReason, IgnoredReason, State};

use super::spoken::{
    AFTER, BUSY, DELAY, answer, at, attempt, changing, complete, hang_up, hook, ignored, opt_out,
    pairs, score, telling,
};
use super::{Backend, Ledger};

/// The score, to a survey in which the last one counts.
fn last(second: i64, text: &str) -> Arrival {
    changing(ChangedAnswerPolicy::KeepLast, hook(second, "c-1", &[("score", text)]))
}

/// The score, to a survey in which the last one counts even after the delivery.
fn resend(second: i64, text: &str) -> Arrival {
    changing(ChangedAnswerPolicy::Redeliver, hook(second, "c-1", &[("score", text)]))
}

/// A complete submission with the score 4, delivered at 101.
async fn delivered(ledger: &Ledger<impl Backend>, changes: ChangedAnswerPolicy) -> Lease {
    ledger.hear(changing(changes, complete(0, "c-1"))).await;
    let lease = ledger.attempt_one(100).await;
    assert_eq!(ledger.settle_one(&lease, accepted(101), 101).await, Settled::Done);
    lease
}

fn accepted(second: i64) -> Decision {
    let attempt = attempt(Verdict::Accepted, Some(201), second);
    Decision::Delivered { attempt }
}

pub async fn where_the_first_answer_counts_a_repeat_leaves_no_trace(ledger: Ledger<impl Backend>) {
    for (second, text) in [(0, "4"), (1, "2"), (2, "4")] {
        ledger.hear(hook(second, "c-1", &[("score", text)])).await;
    }
    let answers = ledger.lease_one(1000).await.answers;
    assert!(answers.recorded().all(|said| said.last_at == said.received_at), "{answers:?}");
    assert_eq!(score(&answers, ChangedAnswerPolicy::KeepFirst), Some(answer("4")));
}

pub async fn where_the_last_answer_counts_who_goes_back_to_the_first_has_said_something(
    mut ledger: Ledger<impl Backend>,
) {
    let first = ledger.hear(last(0, "4")).await;
    assert_eq!((first.outcome, first.changed), (Outcome::New, false));
    let second = ledger.hear(last(1, "2")).await;
    assert_eq!((second.outcome, second.changed), (Outcome::Added, true));
    ledger.reopen();
    let before = ledger.lease_one(500).await;
    assert_eq!(score(&before.answers, ChangedAnswerPolicy::KeepLast), Some(answer("2")));
    let back = ledger.hear(last(2, "4")).await;
    assert_eq!((back.outcome, back.changed), (Outcome::Added, false));
    assert_eq!(score(&back.answers, ChangedAnswerPolicy::KeepLast), Some(answer("4")));
    assert_eq!(
        ledger.settle_one(&before, ignored(IgnoredReason::Rule), 500).await,
        Settled::NewerAnswers
    );
    let lease = ledger.lease_one(500).await;
    assert_eq!(score(&lease.answers, ChangedAnswerPolicy::KeepLast), Some(answer("4")));
    assert_eq!(ledger.row("c-1").await.due_at, at(1 + AFTER), "nothing new is waited after");
    assert_eq!(ledger.backend.bodies().len(), 3);
}

pub async fn what_is_said_again_and_counts_already_is_a_repeat(ledger: Ledger<impl Backend>) {
    for arrival in [last(0, "2"), last(1, "4")] {
        ledger.hear(arrival).await;
    }
    let version = ledger.lease_one(500).await.ticket.version;
    for arrival in [last(5, "4"), last(1, "4"), last(1, "2")] {
        assert_eq!(ledger.hear(arrival).await.outcome, Outcome::Repeat);
    }
    assert_eq!(ledger.backend.bodies().len(), 2);
    // It was said last at 5, so what came before that does not count.
    assert_eq!(ledger.hear(last(4, "2")).await.outcome, Outcome::Repeat);
    ledger.set_clock(1000);
    let lease = ledger.lease_one(500).await;
    assert_eq!(lease.ticket.version, version);
    assert_eq!(score(&lease.answers, ChangedAnswerPolicy::KeepLast), Some(answer("4")));
}

pub async fn what_counts_otherwise_reopens_what_was_ignored(ledger: Ledger<impl Backend>) {
    for arrival in [last(0, "4"), last(1, "2")] {
        ledger.hear(arrival).await;
    }
    let lease = ledger.lease_one(500).await;
    ledger.settle_one(&lease, ignored(IgnoredReason::Rule), 500).await;
    assert_eq!(ledger.hear(last(501, "2")).await.outcome, Outcome::Repeat);
    assert_eq!(ledger.row("c-1").await.state, State::Ignored(IgnoredReason::Rule));
    assert_eq!(ledger.hear(last(502, "4")).await.outcome, Outcome::Added);
    let lease = ledger.lease_one(502).await;
    assert_eq!(score(&lease.answers, ChangedAnswerPolicy::KeepLast), Some(answer("4")));
    ledger.check_books().await;
}

pub async fn the_last_answer_counts_until_the_submission_is_closed(ledger: Ledger<impl Backend>) {
    delivered(&ledger, ChangedAnswerPolicy::KeepLast).await;
    let row = ledger.row("c-1").await;
    for (second, text, outcome) in
        [(200, "2", Outcome::Late), (201, "2", Outcome::Repeat), (202, "4", Outcome::Late)]
    {
        let heard = ledger.hear(last(second, text)).await;
        assert_eq!((heard.outcome, heard.changed), (outcome, false), "{text}");
    }
    assert_eq!(ledger.row("c-1").await, row);
}

pub async fn what_came_again_during_an_attempt_that_never_arrived_counts(
    ledger: Ledger<impl Backend>,
) {
    for arrival in [last(0, "4"), last(1, "2")] {
        ledger.hear(arrival).await;
    }
    let lease = ledger.attempt_one(500).await;
    assert_eq!(ledger.hear(last(501, "4")).await.outcome, Outcome::Late);
    ledger.retry_one(&lease, attempt(Verdict::Unreachable, None, 502)).await;
    let next = ledger.attempt_one(1000).await;
    assert_eq!(score(&next.answers, ChangedAnswerPolicy::KeepLast), Some(answer("4")));
    assert_eq!(next.answers.len(), 2);
    ledger.retry_one(&next, attempt(Verdict::UnknownResult, None, 1000)).await;
    assert_eq!(ledger.hear(last(1001, "2")).await.outcome, Outcome::Late);
    let next = ledger.lease_one(2000).await;
    assert_eq!(
        score(&next.answers, ChangedAnswerPolicy::KeepLast),
        Some(answer("4")),
        "it was closed"
    );
}

pub async fn another_answer_after_the_delivery_is_delivered_too(mut ledger: Ledger<impl Backend>) {
    let first = delivered(&ledger, ChangedAnswerPolicy::Redeliver).await;
    assert!(!first.again);
    let changed = ledger.hear(resend(200, "2")).await;
    assert_eq!((changed.outcome, changed.changed), (Outcome::Added, true));
    let row = ledger.row("c-1").await;
    assert_eq!((row.state, row.due_at), (State::Pending, at(200 + DELAY)));
    assert_eq!(row.feedback.as_deref(), Some("{}"), "what was told stays known");
    ledger.check_books().await;
    ledger.reopen();
    let lease = ledger.attempt_one(200 + DELAY).await;
    assert!(lease.again);
    assert_eq!((lease.attempts, lease.age), (0, Duration::ZERO), "it is another offer");
    assert_eq!(score(&lease.answers, ChangedAnswerPolicy::Redeliver), Some(answer("2")));
    ledger.settle_one(&lease, accepted(300), 300).await;
    assert_eq!(ledger.row("c-1").await.state, State::Delivered);
    assert_eq!(ledger.hear(resend(400, "4")).await.outcome, Outcome::Added, "back to the first");
    assert_eq!(ledger.lease_one(1000).await.last_answer_at, at(400));
    ledger.check_books().await;
}

pub async fn what_is_missing_is_delivered_too_when_it_comes_after_the_delivery(
    ledger: Ledger<impl Backend>,
) {
    ledger.hear(resend(0, "2")).await;
    let lease = ledger.attempt_one(AFTER).await;
    ledger.settle_one(&lease, accepted(AFTER), AFTER).await;
    let missing = changing(ChangedAnswerPolicy::Redeliver, hook(500, "c-1", &[("problem", "1")]));
    let heard = ledger.hear(missing).await;
    assert_eq!((heard.outcome, heard.changed), (Outcome::Added, false));
    assert_eq!(ledger.lease_one(500 + DELAY).await.answers.len(), 2);
}

pub async fn what_counts_for_nothing_is_not_delivered_again(ledger: Ledger<impl Backend>) {
    delivered(&ledger, ChangedAnswerPolicy::Redeliver).await;
    let row = ledger.row("c-1").await;
    for (arrival, outcome) in [
        (resend(200, "4"), Outcome::Repeat),
        (resend(201, ""), Outcome::Late),
        (resend(202, "7"), Outcome::Late),
        (changing(ChangedAnswerPolicy::Redeliver, hang_up(203, "c-1")), Outcome::Late),
        (
            changing(ChangedAnswerPolicy::Redeliver, telling("campaign", "x", hang_up(204, "c-1"))),
            Outcome::Late,
        ),
        (changing(ChangedAnswerPolicy::Redeliver, opt_out(205, "c-1")), Outcome::Late),
        // It came before what was delivered and was kept after it.
        (resend(-5, "1"), Outcome::Late),
    ] {
        assert_eq!(ledger.hear(arrival).await.outcome, outcome);
        assert_eq!(ledger.row("c-1").await, row);
    }
}

pub async fn what_changed_during_an_attempt_is_delivered_whatever_becomes_of_it(
    ledger: Ledger<impl Backend>,
) {
    let now = 200;
    let ended = |verdict, status| attempt(verdict, status, now);
    let busy = || Decision::Retry { attempt: ended(BUSY, Some(500)), at: at(now + 5) };
    let held = Decision::Hold {
        attempt: ended(Verdict::Misconfigured, Some(405)),
        cause: PauseCause::Misconfigured,
        probe_at: at(now + 5),
        at: at(now),
    };
    let unreachable = Decision::Retry { attempt: ended(Verdict::Unreachable, None), at: at(1000) };
    let refused =
        Decision::Dead { attempt: ended(Verdict::Refused, Some(422)), reason: DeadReason::Refused };
    for (n, (decision, settled, due)) in [
        (accepted(now), Settled::Done, 150 + DELAY),
        (busy(), Settled::Done, 150 + DELAY),
        (unreachable, Settled::Done, 1000),
        (refused, Settled::NewerAnswers, 150 + DELAY),
        (held, Settled::Done, 150 + DELAY),
    ]
    .into_iter()
    .enumerate()
    {
        let call = format!("c-{n}");
        ledger.hear(changing(ChangedAnswerPolicy::Redeliver, complete(0, &call))).await;
        let lease = ledger.attempt_one(100).await;
        let other = changing(ChangedAnswerPolicy::Redeliver, hook(150, &call, &[("score", "2")]));
        let heard = ledger.hear(other).await;
        assert_eq!((heard.outcome, heard.changed), (Outcome::Added, true));
        assert_eq!(ledger.settle_one(&lease, decision, now).await, settled);
        let row = ledger.row(&call).await;
        assert_eq!((row.state, row.due_at), (State::Pending, at(due)), "{call}");
        ledger.check_books().await;
        let lease = ledger.attempt_one(2000).await;
        assert_eq!(score(&lease.answers, ChangedAnswerPolicy::Redeliver), Some(answer("2")));
        ledger.settle_one(&lease, accepted(2000), 2000).await;
        assert_eq!(ledger.row(&call).await.state, State::Delivered, "once is enough");
    }
}

pub async fn what_changed_during_an_attempt_survives_a_sudden_end(ledger: Ledger<impl Backend>) {
    ledger.hear(changing(ChangedAnswerPolicy::Redeliver, complete(0, "c-1"))).await;
    let lease = ledger.attempt_one(100).await;
    ledger.hear(telling("campaign", "spring", resend(150, "2"))).await;
    let lost = ledger.after_a_sudden_end();
    let row = lost.row("c-1").await;
    assert_eq!((row.state, row.due_at, row.attempts), (State::Pending, at(150 + DELAY), 1));
    let next = lost.lease_one(150 + DELAY).await;
    assert!(next.ticket.version > lease.ticket.version);
    assert_eq!(score(&next.answers, ChangedAnswerPolicy::Redeliver), Some(answer("2")));
    assert_eq!(next.answers.field("campaign"), Some("spring"));

    ledger.settle_one(&lease, accepted(160), 160).await;
    let settled = ledger.after_a_sudden_end();
    assert_eq!(settled.row("c-1").await, ledger.row("c-1").await);
    let next = settled.lease_one(150 + DELAY).await;
    assert_eq!(
        (next.again, score(&next.answers, ChangedAnswerPolicy::Redeliver)),
        (true, Some(answer("2")))
    );
    settled.check_books().await;
}

pub async fn what_was_late_counts_once_another_answer_is_delivered(ledger: Ledger<impl Backend>) {
    delivered(&ledger, ChangedAnswerPolicy::Redeliver).await;
    ledger.hear(resend(150, "")).await;
    ledger
        .hear(changing(
            ChangedAnswerPolicy::Redeliver,
            telling("campaign", "spring", hang_up(160, "c-1")),
        ))
        .await;
    ledger.hear(resend(170, "2")).await;
    let lease = ledger.lease_one(1000).await;
    let said: Vec<_> = pairs(&lease.answers).into_iter().map(|(_, answer, _)| answer).collect();
    assert_eq!(said, ["1", "4", "", "2"].map(answer));
    assert_eq!(lease.answers.field("campaign"), Some("spring"));
    assert_eq!(lease.answers.hung_up_at(), Some(at(160)));
}

pub async fn what_is_delivered_again_is_open_until_its_attempt(ledger: Ledger<impl Backend>) {
    delivered(&ledger, ChangedAnswerPolicy::Redeliver).await;
    ledger.hear(resend(150, "2")).await;
    for (second, text) in [(160, "7"), (170, "3"), (180, "2")] {
        assert_eq!(ledger.hear(resend(second, text)).await.outcome, Outcome::Added, "{text}");
    }
    assert_eq!(ledger.row("c-1").await.due_at, at(170 + DELAY));
    let lease = ledger.attempt_one(500).await;
    assert_eq!(score(&lease.answers, ChangedAnswerPolicy::Redeliver), Some(answer("2")));
    assert_eq!(ledger.hear(resend(501, "")).await.outcome, Outcome::Late);
}

pub async fn what_is_given_up_by_the_destination_is_another_offer_with_another_answer(
    ledger: Ledger<impl Backend>,
) {
    ledger.hear(changing(ChangedAnswerPolicy::Redeliver, complete(0, "c-1"))).await;
    let lease = ledger.attempt_one(100).await;
    let attempt = attempt(Verdict::Refused, Some(422), 100);
    let refused = Decision::Dead { attempt, reason: DeadReason::Refused };
    ledger.settle_one(&lease, refused, 100).await;
    assert_eq!(ledger.hear(resend(200, "")).await.outcome, Outcome::Late);
    assert_eq!(ledger.hear(resend(201, "2")).await.outcome, Outcome::Added);
    let row = ledger.row("c-1").await;
    assert_eq!((row.state, row.attempts), (State::Pending, 0));
    ledger.check_books().await;
}
