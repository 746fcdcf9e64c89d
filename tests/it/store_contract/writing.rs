//! The queue before the store, and what shares a sync.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;

use futures_util::FutureExt;
use postcall::domain::Answer;
use postcall::store::{ReceiveRequest, StoreError};
use postcall::submission::{
    AnswerValidity, Answers, ChangedAnswerPolicy, CompletionPolicy, DueTime, Outcome,
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::spoken::{FIRST, webhook};
use super::{Backend, TestStore};

pub async fn a_full_queue_is_reported_at_once(mut store: TestStore<impl Backend>) {
    store.reopen_with_queue(2);
    let (stalling, mut stall) = stalling(webhook(0, "c-1", &[("score", "4")]));
    let first = started(store.receive(stalling)).await;
    stall.reached.recv().await;
    let second = started(store.receive(webhook(0, "c-2", &[("score", "4")]))).await;
    let third = store.receive(webhook(0, "c-3", &[("score", "4")])).now_or_never();
    assert!(matches!(third, Some(Err(StoreError::Full))), "{third:?}");
    drop(stall);
    assert_eq!(first.await.unwrap().outcome, Outcome::Created);
    assert_eq!(second.await.unwrap().outcome, Outcome::Created);
    assert_eq!(
        store.receive_one(webhook(1, "c-3", &[("score", "4")])).await.outcome,
        Outcome::Created
    );
    assert_eq!(store.counts().await.accepted, 3);
}

pub async fn a_sender_that_hangs_up_keeps_its_place_until_its_webhook_is_kept(
    mut store: TestStore<impl Backend>,
) {
    store.reopen_with_queue(1);
    let (stalling, mut stall) = stalling(webhook(0, "c-1", &[("score", "4")]));
    let hung_up = started(store.receive(stalling)).await;
    stall.reached.recv().await;
    drop(hung_up);
    let next = store.receive(webhook(0, "c-2", &[("score", "4")])).now_or_never();
    assert!(matches!(next, Some(Err(StoreError::Full))), "{next:?}");
    drop(stall);
    store.settle(Vec::new()).await.unwrap();
    assert_eq!(store.counts().await.accepted, 1);
    assert!(store.changed().now_or_never().is_some(), "the dispatcher is woken all the same");
    assert_eq!(
        store.receive_one(webhook(0, "c-2", &[("score", "4")])).await.outcome,
        Outcome::Created
    );
}

pub async fn webhooks_that_wait_together_are_kept_with_one_sync(store: TestStore<impl Backend>) {
    store.commits.take();
    let (stalling, mut stall) = stalling(webhook(0, "c-0", &[("score", "4")]));
    let mut waiting = vec![started(store.receive(stalling)).await];
    stall.reached.recv().await;
    for n in 1..=20 {
        let request = webhook(0, &format!("c-{n}"), &[("score", "4")]);
        waiting.push(started(store.receive(request)).await);
    }
    drop(stall);
    for accepted in waiting {
        assert_eq!(accepted.await.unwrap().outcome, Outcome::Created);
    }
    assert_eq!(store.commits.take(), [21]);
    assert_eq!(store.after_a_sudden_end().counts().await.accepted, 21);
}

pub async fn webhooks_of_one_call_that_wait_together_are_all_kept(store: TestStore<impl Backend>) {
    let (stalling, mut stall) = stalling(webhook(0, "c-0", &[("score", "4")]));
    let first = started(store.receive(stalling)).await;
    stall.reached.recv().await;
    let score = started(store.receive(webhook(1, "c-1", &[("score", "4")]))).await;
    let problem = started(store.receive(webhook(2, "c-1", &[("problem", "2")]))).await;
    let again = started(store.receive(webhook(3, "c-1", &[("score", "4")]))).await;
    drop(stall);
    first.await.unwrap();
    let outcomes = [score.await, problem.await, again.await].map(|kept| kept.unwrap().outcome);
    assert_eq!(outcomes, [Outcome::Created, Outcome::Updated, Outcome::Duplicate]);
    assert_eq!(store.submission("c-1").await.answers().len(), 2);
}

pub async fn a_lone_webhook_never_waits_for_company(store: TestStore<impl Backend>) {
    store.commits.take();
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    store.receive_one(webhook(0, "c-2", &[("score", "4")])).await;
    assert_eq!(store.commits.take(), [1, 1]);
}

pub async fn close_keeps_what_is_queued_and_takes_nothing_more(mut store: TestStore<impl Backend>) {
    let (stalling, mut stall) = stalling(webhook(0, "c-1", &[("score", "4")]));
    let first = started(store.receive(stalling)).await;
    stall.reached.recv().await;
    let second = started(store.receive(webhook(0, "c-2", &[("score", "4")]))).await;
    let closed = started(store.close()).await;
    let third = started(store.receive(webhook(0, "c-3", &[("score", "4")]))).await;
    drop(stall);
    assert_eq!(first.await.unwrap().outcome, Outcome::Created);
    assert_eq!(second.await.unwrap().outcome, Outcome::Created);
    closed.await;
    assert!(matches!(third.await, Err(StoreError::Closed)));
    assert!(!store.is_writable());
    let settled = store.settle(Vec::new()).await;
    assert!(matches!(settled, Err(StoreError::Closed)));
    store.close().await;
    store.reopen();
    assert_eq!(store.counts().await.accepted, 2);
}

pub async fn what_is_queued_when_a_store_is_dropped_is_kept_before_it_opens_again(
    mut store: TestStore<impl Backend>,
) {
    let (stalling, mut stall) = stalling(webhook(0, "c-0", &[("score", "4")]));
    let mut waiting = vec![started(store.receive(stalling)).await];
    stall.reached.recv().await;
    for n in 1..=40 {
        let request = webhook(0, &format!("c-{n}"), &[("score", "4")]);
        waiting.push(started(store.receive(request)).await);
    }
    drop((waiting, stall));
    store.drop_unclosed();
    assert_eq!(store.backend.bodies().len(), 41);
    store.reopen();
    assert_eq!(
        store.receive_one(webhook(0, "c-40", &[("score", "4")])).await.outcome,
        Outcome::Duplicate
    );
    assert_eq!(
        store.receive_one(webhook(0, "c-41", &[("score", "4")])).await.outcome,
        Outcome::Created
    );
    store.check_counts().await;
    assert_eq!(store.counts().await.accepted, 42);
}

pub async fn a_store_whose_writer_died_is_not_writable(mut store: TestStore<impl Backend>) {
    let mut request = webhook(0, "c-1", &[("score", "4")]);
    request.policy = Arc::new(Broken);
    assert!(matches!(store.receive(request).await, Err(StoreError::Closed)));
    assert!(matches!(store.settle(Vec::new()).await, Err(StoreError::Closed)));
    assert!(!store.is_writable());
    store.reopen();
    assert_eq!(store.counts().await.accepted, 0);
}

pub async fn a_store_at_work_is_writable(store: TestStore<impl Backend>) {
    assert!(store.is_writable());
    store.receive_one(webhook(0, "c-1", &[("score", "4")])).await;
    assert!(store.is_writable());
}

/// The request, made to occupy the store until the stall is dropped.
fn stalling(mut request: ReceiveRequest) -> (ReceiveRequest, Stall) {
    let (here, reached) = unbounded_channel();
    let (until_dropped, go_on) = mpsc::channel();
    request.policy = Arc::new(Stalling { here, go_on: Mutex::new(go_on) });
    (request, Stall { reached, _until_dropped: until_dropped })
}

struct Stall {
    /// Tells when the store is occupied.
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

/// The operation, started and not finished.
async fn started<'a, T>(
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
