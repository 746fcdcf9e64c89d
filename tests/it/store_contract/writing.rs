//! The queue before the ledger, and what shares a sync.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;

use futures_util::FutureExt;
use postcall::domain::Answer;
use postcall::store::{Arrival, Outcome, StoreError};
use postcall::submission::{
    AnswerValidity, Answers, ChangedAnswerPolicy, CompletionPolicy, DueTime,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::spoken::{FIRST, hook};
use super::{Backend, Ledger};

pub async fn a_full_queue_is_told_at_once(mut ledger: Ledger<impl Backend>) {
    ledger.reopen_with_queue(2);
    let (stalling, mut stall) = stalling(hook(0, "c-1", &[("score", "4")]));
    let first = under_way(ledger.accept(stalling)).await;
    stall.reached.recv().await;
    let second = under_way(ledger.accept(hook(0, "c-2", &[("score", "4")]))).await;
    let third = ledger.accept(hook(0, "c-3", &[("score", "4")])).now_or_never();
    assert!(matches!(third, Some(Err(StoreError::Full))), "{third:?}");
    drop(stall);
    assert_eq!(first.await.unwrap().outcome, Outcome::New);
    assert_eq!(second.await.unwrap().outcome, Outcome::New);
    assert_eq!(ledger.hear(hook(1, "c-3", &[("score", "4")])).await.outcome, Outcome::New);
    assert_eq!(ledger.totals().await.accepted, 3);
}

pub async fn a_sender_that_hangs_up_keeps_its_place_until_its_hook_is_kept(
    mut ledger: Ledger<impl Backend>,
) {
    ledger.reopen_with_queue(1);
    let (stalling, mut stall) = stalling(hook(0, "c-1", &[("score", "4")]));
    let hung_up = under_way(ledger.accept(stalling)).await;
    stall.reached.recv().await;
    drop(hung_up);
    let next = ledger.accept(hook(0, "c-2", &[("score", "4")])).now_or_never();
    assert!(matches!(next, Some(Err(StoreError::Full))), "{next:?}");
    drop(stall);
    ledger.release(Vec::new()).await.unwrap();
    assert_eq!(ledger.totals().await.accepted, 1);
    assert!(ledger.kept_more().now_or_never().is_some(), "the courier is woken all the same");
    assert_eq!(ledger.hear(hook(0, "c-2", &[("score", "4")])).await.outcome, Outcome::New);
}

pub async fn hooks_that_wait_together_are_kept_with_one_sync(ledger: Ledger<impl Backend>) {
    ledger.commits.take();
    let (stalling, mut stall) = stalling(hook(0, "c-0", &[("score", "4")]));
    let mut waiting = vec![under_way(ledger.accept(stalling)).await];
    stall.reached.recv().await;
    for n in 1..=20 {
        let arrival = hook(0, &format!("c-{n}"), &[("score", "4")]);
        waiting.push(under_way(ledger.accept(arrival)).await);
    }
    drop(stall);
    for accepted in waiting {
        assert_eq!(accepted.await.unwrap().outcome, Outcome::New);
    }
    assert_eq!(ledger.commits.take(), [21]);
    assert_eq!(ledger.after_a_sudden_end().totals().await.accepted, 21);
}

pub async fn hooks_of_one_call_that_wait_together_are_all_kept(ledger: Ledger<impl Backend>) {
    let (stalling, mut stall) = stalling(hook(0, "c-0", &[("score", "4")]));
    let first = under_way(ledger.accept(stalling)).await;
    stall.reached.recv().await;
    let score = under_way(ledger.accept(hook(1, "c-1", &[("score", "4")]))).await;
    let problem = under_way(ledger.accept(hook(2, "c-1", &[("problem", "2")]))).await;
    let again = under_way(ledger.accept(hook(3, "c-1", &[("score", "4")]))).await;
    drop(stall);
    first.await.unwrap();
    let outcomes = [score.await, problem.await, again.await].map(|kept| kept.unwrap().outcome);
    assert_eq!(outcomes, [Outcome::New, Outcome::Added, Outcome::Repeat]);
    let leases = ledger.lease_due(1000).await;
    let of_the_call = leases.iter().find(|lease| lease.key.call.as_str() == "c-1").unwrap();
    assert_eq!(of_the_call.answers.len(), 2);
}

pub async fn a_lone_hook_never_waits_for_company(ledger: Ledger<impl Backend>) {
    ledger.commits.take();
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    ledger.hear(hook(0, "c-2", &[("score", "4")])).await;
    assert_eq!(ledger.commits.take(), [1, 1]);
}

pub async fn close_keeps_what_is_queued_and_takes_nothing_more(mut ledger: Ledger<impl Backend>) {
    let (stalling, mut stall) = stalling(hook(0, "c-1", &[("score", "4")]));
    let first = under_way(ledger.accept(stalling)).await;
    stall.reached.recv().await;
    let second = under_way(ledger.accept(hook(0, "c-2", &[("score", "4")]))).await;
    let closed = under_way(ledger.close()).await;
    let third = under_way(ledger.accept(hook(0, "c-3", &[("score", "4")]))).await;
    drop(stall);
    assert_eq!(first.await.unwrap().outcome, Outcome::New);
    assert_eq!(second.await.unwrap().outcome, Outcome::New);
    closed.await;
    assert!(matches!(third.await, Err(StoreError::Closed)));
    assert!(!ledger.is_writable());
    let release = ledger.release(Vec::new()).await;
    assert!(matches!(release, Err(StoreError::Closed)));
    ledger.close().await;
    ledger.reopen();
    assert_eq!(ledger.totals().await.accepted, 2);
}

pub async fn what_is_queued_when_a_ledger_is_dropped_is_kept_before_it_opens_again(
    mut ledger: Ledger<impl Backend>,
) {
    let (stalling, mut stall) = stalling(hook(0, "c-0", &[("score", "4")]));
    let mut waiting = vec![under_way(ledger.accept(stalling)).await];
    stall.reached.recv().await;
    for n in 1..=40 {
        let arrival = hook(0, &format!("c-{n}"), &[("score", "4")]);
        waiting.push(under_way(ledger.accept(arrival)).await);
    }
    drop((waiting, stall));
    ledger.drop_unclosed();
    assert_eq!(ledger.backend.bodies().len(), 41);
    ledger.reopen();
    assert_eq!(ledger.hear(hook(0, "c-40", &[("score", "4")])).await.outcome, Outcome::Repeat);
    assert_eq!(ledger.hear(hook(0, "c-41", &[("score", "4")])).await.outcome, Outcome::New);
    ledger.check_books().await;
    assert_eq!(ledger.totals().await.accepted, 42);
}

pub async fn a_ledger_whose_writer_died_is_not_writable(mut ledger: Ledger<impl Backend>) {
    let mut arrival = hook(0, "c-1", &[("score", "4")]);
    arrival.completion = Arc::new(Broken);
    assert!(matches!(ledger.accept(arrival).await, Err(StoreError::Closed)));
    assert!(matches!(ledger.release(Vec::new()).await, Err(StoreError::Closed)));
    assert!(!ledger.is_writable());
    ledger.reopen();
    assert_eq!(ledger.totals().await.accepted, 0);
}

pub async fn a_ledger_at_work_is_writable(ledger: Ledger<impl Backend>) {
    assert!(ledger.is_writable());
    ledger.hear(hook(0, "c-1", &[("score", "4")])).await;
    assert!(ledger.is_writable());
}

/// The arrival, made to occupy the ledger until the stall is dropped.
fn stalling(mut arrival: Arrival) -> (Arrival, Stall) {
    let (here, reached) = unbounded_channel();
    let (until_dropped, go_on) = mpsc::channel();
    arrival.completion = Arc::new(Stalling { here, go_on: Mutex::new(go_on) });
    (arrival, Stall { reached, _until_dropped: until_dropped })
}

struct Stall {
    /// Tells when the ledger is occupied.
    reached: UnboundedReceiver<()>,
    _until_dropped: mpsc::Sender<()>,
}

struct Stalling {
    here: UnboundedSender<()>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl CompletionPolicy for Stalling {
    fn validity(&self, question: &str, answer: &Answer) -> AnswerValidity {
        FIRST.validity(question, answer)
    }

    fn due(&self, answers: &Answers) -> DueTime {
        let _ = self.here.send(());
        let _ = self.go_on.lock().unwrap().recv();
        FIRST.due(answers)
    }

    fn changed_answers(&self) -> ChangedAnswerPolicy {
        FIRST.changed_answers()
    }
}

/// A fault in our own code.
struct Broken;

impl CompletionPolicy for Broken {
    fn validity(&self, question: &str, answer: &Answer) -> AnswerValidity {
        FIRST.validity(question, answer)
    }

    fn due(&self, _: &Answers) -> DueTime {
        // Without the words of a panic, for which other tests of this process listen.
        std::panic::resume_unwind(Box::new("as a fault in a survey would"))
    }

    fn changed_answers(&self) -> ChangedAnswerPolicy {
        FIRST.changed_answers()
    }
}

/// The operation, asked for and not answered yet.
async fn under_way<'a, T>(
    operation: impl Future<Output = T> + 'a,
) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    let mut operation: Pin<Box<dyn Future<Output = T> + 'a>> = Box::pin(operation);
    poll_fn(|context| {
        assert!(operation.as_mut().poll(context).is_pending(), "it waits");
        Poll::Ready(())
    })
    .await;
    operation
}
