//! The part of the contract that is the same on every database: operations that the writer runs.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use tokio::sync::{Notify, RwLock, Semaphore};

use super::backend::{Backend, Touched};
use super::batch::{Batch, UnconfirmedClaim};
use super::contract::{Admin, Maintenance, Quarantine, Queue, Receive};
use super::durability_risk::DurabilityRisk;
use super::error::StoreError;
#[cfg(feature = "flaws")]
use super::flaws;
use super::model::{
    ClaimRequest, Claimed, ClockRecord, PurgeCounts, QuarantinedWebhook, ReceiveRequest, Received,
    RetentionCutoffs,
};
use super::selection::Turns;
use super::writer::{Order, Writer};
use crate::domain::{CallUuid, Name, WebhookId};
use crate::submission::{ActionOutcome, LeaseToken, Replay, Settled, Settlement, SubmissionId};
use crate::sync::thread::JoinHandle;

/// How often a store that others write to is looked at for what is due.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// A store that writes through a [`Serving`].
pub(super) trait Engine: Send + Sync {
    type Backend: Backend + 'static;

    fn serving(&self) -> &Serving<Self::Backend>;

    /// Why nothing is written any more.
    fn fatal(&self) -> Option<StoreError>;

    /// Why what is committed may be lost all the same.
    fn risks(&self) -> Vec<DurabilityRisk> {
        Vec::new()
    }

    /// Whether the submission is known now, before its operation waits for the writer. It blocks, so
    /// that operations are queued in the order in which they are started.
    #[cfg(feature = "flaws")]
    fn knows(&self, id: SubmissionId) -> Result<bool, StoreError>;
}

/// The way to the writer.
pub(super) struct Serving<B: Backend> {
    writer: RwLock<Writing<B>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    write_queue: Arc<Semaphore>,
    changed: Arc<Notify>,
    turns: Arc<Mutex<Turns>>,
    lease: Duration,
    /// Claims of which it is not known whether they were committed.
    unconfirmed: Arc<Mutex<Vec<UnconfirmedClaim>>>,
}

pub(super) enum Writing<B: Backend> {
    Open(Writer<B>),
    /// The database is not reached yet.
    Opening,
    Closed,
    ReadOnly,
    /// The database could not be opened.
    Damaged,
}

impl<B: Backend> Serving<B> {
    /// For a store that is served.
    pub fn new(write_queue: usize, lease: Duration, changed: Arc<Notify>) -> Self {
        Self {
            writer: RwLock::new(Writing::Closed),
            thread: Mutex::new(None),
            write_queue: Arc::new(Semaphore::new(write_queue)),
            changed,
            turns: Arc::default(),
            lease,
            unconfirmed: Arc::default(),
        }
    }

    /// For a store that takes no writes.
    pub fn refusing(writing: Writing<B>) -> Self {
        let serving = Self::new(Semaphore::MAX_PERMITS, Duration::ZERO, Arc::default());
        Self { writer: RwLock::new(writing), ..serving }
    }

    /// Its database is not reached yet.
    pub fn is_opening(&mut self) {
        self.writer = RwLock::new(Writing::Opening);
    }

    /// The writer, and its thread unless it is a future.
    pub fn started(&mut self, writer: Writer<B>, thread: Option<JoinHandle<()>>) {
        self.writer = RwLock::new(Writing::Open(writer));
        self.thread = Mutex::new(thread);
    }

    /// As [`started`](Self::started), of a store whose database is reached at last. It blocks; what was
    /// closed meanwhile stays so.
    pub fn opened(&self, writer: Writer<B>, thread: JoinHandle<()>) {
        let mut writing = self.writer.blocking_write();
        *self.thread.lock().expect("no holder of the lock panics") = Some(thread);
        if matches!(*writing, Writing::Opening) {
            *writing = Writing::Open(writer);
        }
    }

    /// Whether the database was not reached yet.
    pub fn waits_for_database(&self) -> bool {
        self.writer.try_read().is_ok_and(|writing| matches!(*writing, Writing::Opening))
    }

    /// As [`Reader::version`](super::contract::Reader::version).
    pub fn version(&self) -> Option<u64> {
        let writer = self.writer.try_read().ok()?;
        match &*writer {
            Writing::Open(writer) if B::EXCLUSIVE => Some(writer.commits()),
            _ => None,
        }
    }

    /// How many webhooks may still be queued.
    #[cfg(test)]
    pub fn free_places(&self) -> usize {
        self.write_queue.available_permits()
    }

    /// Waits until what is queued is durable.
    pub fn finish(&mut self) {
        *self.writer.get_mut() = Writing::Closed;
        if let Some(thread) = self.thread.get_mut().ok().and_then(Option::take) {
            wait_for_end(thread);
        }
    }
}

fn wait_for_end(writer: JoinHandle<()>) {
    if writer.join().is_err() {
        tracing::error!("the writer's thread of the store panicked");
    }
}

async fn write<E, T, F>(store: &E, touched: Touched, run: F) -> Result<T, StoreError>
where
    E: Engine,
    T: Send + 'static,
    F: FnMut(&mut Batch<'_, E::Backend>) -> Result<T, <E::Backend as Backend>::Error>
        + Send
        + 'static,
{
    write_in(store, Order::Arrival, touched, run).await
}

pub(super) async fn write_in<E, T, F>(
    store: &E,
    order: Order,
    touched: Touched,
    run: F,
) -> Result<T, StoreError>
where
    E: Engine,
    T: Send + 'static,
    F: FnMut(&mut Batch<'_, E::Backend>) -> Result<T, <E::Backend as Backend>::Error>
        + Send
        + 'static,
{
    // What waits for the writer while it copies a deleted database would wait in vain.
    if let Some(damage) = store.fatal() {
        return Err(damage);
    }
    match &*store.serving().writer.read().await {
        Writing::Open(writer) => writer.write(order, touched, run).await,
        Writing::Opening => Err(StoreError::Opening),
        Writing::Closed => Err(StoreError::Closed),
        Writing::ReadOnly => Err(StoreError::ReadOnly),
        Writing::Damaged => Err(store.fatal().unwrap_or(StoreError::Closed)),
    }
}

/// Does something to each of these submissions, all in one transaction.
async fn on_each<E, F>(
    store: &E,
    ids: Vec<SubmissionId>,
    mut action: F,
) -> Result<Vec<ActionOutcome>, StoreError>
where
    E: Engine,
    F: FnMut(
            &mut Batch<'_, E::Backend>,
            SubmissionId,
        ) -> Result<ActionOutcome, <E::Backend as Backend>::Error>
        + Send
        + 'static,
{
    let touched = touching::<E>(|| Touched::ids(ids.iter().copied()));
    write(store, touched, move |batch| ids.iter().map(|id| action(batch, *id)).collect()).await
}

/// What an operation touches, for a backend that reads it at once.
fn touching<E: Engine>(touched: impl FnOnce() -> Touched) -> Touched {
    if <E::Backend as Backend>::EXCLUSIVE { Touched::default() } else { touched() }
}

#[async_trait]
impl<E: Engine> Receive for E {
    async fn receive(&self, request: ReceiveRequest) -> Result<Received, StoreError> {
        let place = self.serving().write_queue.clone().try_acquire_owned();
        let place = place.map_err(|_| StoreError::Full)?;
        // Hashing is not the writer's work.
        let id = request.key.id();
        #[cfg(feature = "flaws")]
        let was_known = self.knows(id)?;
        let touched = touching::<E>(|| Touched::by_webhook(id, &request));
        let received = write(self, touched, move |batch| {
            // The place goes with the operation: a sender that hangs up does not free it.
            let _place = &place;
            #[cfg(feature = "flaws")]
            if let Some(received) =
                flaws::created_as_looked_up(was_known, batch.knows(id)?, id, &request)
            {
                return Ok(Some(received));
            }
            batch.receive(id, &request)
        });
        received.await?.ok_or(StoreError::KeyReused)
    }

    fn is_writable(&self) -> bool {
        let is_healthy =
            |writer: &Writing<_>| matches!(writer, Writing::Open(it) if it.is_healthy());
        self.fatal().is_none() && self.serving().writer.try_read().is_ok_and(|it| is_healthy(&it))
    }
}

#[async_trait]
impl<E: Engine> Queue for E {
    async fn claim(&self, request: ClaimRequest) -> Result<Claimed, StoreError> {
        let (turns, lease) = (self.serving().turns.clone(), self.serving().lease);
        let unconfirmed = || self.serving().unconfirmed.lock().expect("no holder panics");
        let looked_for = unconfirmed().clone();
        // What the last run of the transaction has started, and what it need not look for again.
        let ran = Arc::<Mutex<(Vec<UnconfirmedClaim>, Vec<LeaseToken>)>>::default();
        let touched = touching::<E>(|| Touched::claiming(&request.wanted, lease));
        let noted = ran.clone();
        let claimed = write_in(self, Order::Last, touched, move |batch| {
            let turns = &mut turns.lock().expect("selecting does not panic");
            let done = batch.give_back(&looked_for, lease, request.now)?;
            let claimed = batch.claim(&request, turns, lease)?;
            *noted.lock().expect("no holder panics") = (batch.unconfirmed(&claimed), done);
            Ok(claimed)
        });
        let claimed = claimed.await;
        let (started, done) = std::mem::take(&mut *ran.lock().expect("no holder panics"));
        // Of a submission that is claimed once more no earlier claim can still be committed.
        let is_started = |token: &LeaseToken| {
            started.iter().any(|claim| claim.token.submission == token.submission)
        };
        match &claimed {
            Ok(_) => {
                unconfirmed().retain(|it| !done.contains(&it.token) && !is_started(&it.token));
            }
            Err(_) => unconfirmed().extend(started),
        }
        claimed
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError> {
        let touched =
            touching::<E>(|| Touched::ids(settlements.iter().map(|it| it.token.submission)));
        write(self, touched, move |batch| settlements.iter().map(|it| batch.settle(it)).collect())
            .await
    }

    async fn changed(&self) {
        self.serving().changed.notified().await;
    }

    fn poll_interval(&self) -> Option<Duration> {
        (!E::Backend::EXCLUSIVE).then_some(POLL_INTERVAL)
    }

    fn damage(&self) -> Option<StoreError> {
        self.fatal()
    }

    fn durability_risks(&self) -> Vec<DurabilityRisk> {
        self.risks()
    }

    async fn close(&self) {
        let mut writer = self.serving().writer.write().await;
        if matches!(*writer, Writing::Open(_) | Writing::Opening) {
            *writer = Writing::Closed;
        }
        drop(writer);
        let thread = self.serving().thread.lock().expect("no holder of the lock panics").take();
        if let Some(thread) = thread {
            // Nothing is left to do where the runtime itself is going down.
            let _ = tokio::task::spawn_blocking(move || wait_for_end(thread)).await;
        }
    }
}

#[async_trait]
impl<E: Engine> Admin for E {
    async fn replay(
        &self,
        ids: Vec<SubmissionId>,
        how: Replay,
    ) -> Result<Vec<ActionOutcome>, StoreError> {
        on_each(self, ids, move |batch, id| batch.replay(id, how)).await
    }

    async fn discard(
        &self,
        ids: Vec<SubmissionId>,
        comment: String,
        at: Timestamp,
    ) -> Result<Vec<ActionOutcome>, StoreError> {
        on_each(self, ids, move |batch, id| batch.discard(id, &comment, at)).await
    }

    async fn reveal(
        &self,
        ids: Vec<SubmissionId>,
        at: Timestamp,
    ) -> Result<Vec<ActionOutcome>, StoreError> {
        on_each(self, ids, move |batch, id| batch.reveal(id, at)).await
    }

    async fn erase(
        &self,
        ids: Vec<SubmissionId>,
        at: Timestamp,
    ) -> Result<Vec<ActionOutcome>, StoreError> {
        on_each(self, ids, move |batch, id| batch.erase(id, at)).await
    }

    async fn pause(&self, account: Name, comment: String, at: Timestamp) -> Result<(), StoreError> {
        let touched = touching::<E>(|| Touched::accounts([account.clone()]));
        write(self, touched, move |batch| batch.pause(&account, &comment, at)).await
    }

    async fn resume(&self, account: Name, at: Timestamp) -> Result<bool, StoreError> {
        let touched = touching::<E>(|| Touched::accounts([account.clone()]));
        write(self, touched, move |batch| batch.resume(&account, at)).await
    }
}

#[async_trait]
impl<E: Engine> Maintenance for E {
    async fn probe_now(&self, accounts: Vec<Name>, at: Timestamp) -> Result<(), StoreError> {
        let touched = touching::<E>(|| Touched::accounts(accounts.clone()));
        write(self, touched, move |batch| {
            accounts.iter().try_for_each(|it| batch.probe_now(it, at))
        })
        .await
    }

    async fn purge(&self, cutoffs: RetentionCutoffs) -> Result<PurgeCounts, StoreError> {
        write(self, Touched::default(), move |batch| batch.purge(&cutoffs)).await
    }

    async fn fold_counts(&self) -> Result<bool, StoreError> {
        write(self, Touched::default(), |batch| batch.fold_counts()).await
    }

    async fn record_clock(&self, record: ClockRecord) -> Result<(), StoreError> {
        write(self, Touched::default(), move |batch| batch.record_clock(record)).await
    }

    async fn record_surveys(
        &self,
        surveys: Vec<(Name, String)>,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        write(self, Touched::default(), move |batch| batch.record_surveys(&surveys, at)).await
    }

    async fn forget_keys(&self, before: Timestamp) -> Result<usize, StoreError> {
        write(self, Touched::default(), move |batch| batch.forget_keys(before)).await
    }
}

#[async_trait]
impl<E: Engine> Quarantine for E {
    async fn load_quarantine(&self) -> Result<Vec<QuarantinedWebhook>, StoreError> {
        write_in(self, Order::Last, Touched::default(), |batch| batch.load_quarantine()).await
    }

    async fn save_quarantine(
        &self,
        added: Vec<QuarantinedWebhook>,
        removed: Vec<WebhookId>,
    ) -> Result<(), StoreError> {
        write_in(self, Order::Last, Touched::default(), move |batch| {
            batch.save_quarantine(&added, &removed)
        })
        .await
    }

    async fn erase_quarantined(&self, call: CallUuid) -> Result<Vec<WebhookId>, StoreError> {
        // Last, as what is added: neither overtakes the other within a transaction.
        write_in(self, Order::Last, Touched::default(), move |batch| batch.erase_quarantined(&call))
            .await
    }
}
