//! Group commit: one thread writes, and everything that waits shares a transaction and its sync.
//!
//! The writer is a thread of its own or, in a simulation, a future beside everything else on one thread.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::backend::{Backend, Touched};
use super::batch::{Batch, Removed, WorkingSet};
use super::error::StoreError;
#[cfg(feature = "flaws")]
use super::flaws::{self, Flaw};
use super::observer::Observer;
use crate::clock::{Clock, SteadyClock};
use crate::submission::StateCounts;
use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use crate::sync::oneshot;
use crate::sync::thread::{self, JoinHandle};

/// Most operations that share one sync; bounds how long the first of them waits.
const BATCH_MAX: usize = 256;

/// How long the writer waits for an operation until it checks the files, tries a store again that
/// refused a write, and truncates a log that a reader kept from being truncated.
const IDLE_INTERVAL: Duration = Duration::from_secs(1);

/// How often a transaction is run again after a conflict with another process.
const CONFLICTS_MAX: u32 = 8;

/// How many operations of a batch may find something locked until the rest of it is refused: each of them
/// waits as long as a statement may.
const LOCKED_MAX: usize = 2;

/// How long what retention removed may stay in the log: it goes little by little, and truncating the
/// log for each part would hold up webhooks.
const PURGED_IN_LOG_MAX: Duration = Duration::from_secs(60);

/// The queue before the writer's thread. A lone operation never waits for company; what arrives while
/// a batch is being synced shares the next one, and nothing is acknowledged before its sync.
pub(super) struct Writer<B: Backend> {
    operations: Sender<Box<dyn Operation<B>>>,
    /// Notified of each operation where the writer is a future.
    queued: Option<Arc<Notify>>,
    healthy: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
}

/// What the writer's thread works with.
pub(super) struct Setup<B> {
    pub backend: B,
    pub counts: StateCounts,
    pub observer: Arc<dyn Observer>,
    pub clock: Clock,
    /// Notified after a commit by which something may have become due.
    pub changed: Arc<Notify>,
}

/// When an operation runs within its transaction.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As it arrived.
    Arrival,
    /// After everything else: a claim also takes what became due in its transaction, which is then
    /// written once.
    Last,
}

/// Something to be written. It may run twice: once in a batch and, where the batch failed, again by
/// itself, so that an operation that fails fails alone.
trait Operation<B: Backend>: Send {
    /// Whether it runs after everything else of its transaction.
    fn runs_last(&self) -> bool;
    fn touched(&self) -> &Touched;
    fn run(&mut self, batch: &mut Batch<'_, B>) -> Result<(), B::Error>;
    /// Answers with the result of the last run, or why it is not durable.
    fn answer(self: Box<Self>, committed: Result<(), StoreError>);
}

/// An operation that failed alone, and why.
type Failed<B> = (Box<dyn Operation<B>>, <B as Backend>::Error);

struct Job<T, F> {
    run: F,
    runs_last: bool,
    touched: Touched,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, StoreError>>,
}

impl<B: Backend> Writer<B> {
    /// How many transactions that changed something have ended, before any of them was acknowledged.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }
}

impl<B: Backend + 'static> Writer<B> {
    pub fn start(setup: Setup<B>) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (operations, queue) = channel();
        let committer = Committer::new(setup);
        let (healthy, commits) = (committer.healthy.clone(), committer.commits.clone());
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || committer.serve(&queue))?;
        Ok((Self { operations, queued: None, healthy, commits }, thread))
    }

    /// The writer as a future, which ends after the `Writer` is gone. `latency` is how long it waits
    /// before each transaction.
    pub fn local(
        setup: Setup<B>,
        latency: impl Fn() -> Duration + Send + 'static,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (operations, queue) = channel();
        let queued = Arc::<Notify>::default();
        let committer = Committer::new(setup);
        let (healthy, commits) = (committer.healthy.clone(), committer.commits.clone());
        let serve = committer.serve_locally(queue, queued.clone(), latency);
        (Self { operations, queued: Some(queued), healthy, commits }, serve)
    }

    pub fn is_healthy(&self) -> bool {
        self.healthy.load(Ordering::Relaxed)
    }

    /// Runs an operation in the writer's next transaction and returns after its sync.
    pub async fn write<T, F>(&self, order: Order, touched: Touched, run: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnMut(&mut Batch<'_, B>) -> Result<T, B::Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let runs_last = order == Order::Last;
        let job = Job { run, runs_last, touched, result: None, reply };
        let sent = self.operations.send(Box::new(job));
        if let Some(queued) = &self.queued {
            queued.notify_one();
        }
        let answered = match sent {
            Ok(()) => answer.await.ok(),
            Err(_) => None,
        };
        answered.unwrap_or_else(|| {
            // The writer's thread panicked: readiness has to show it.
            self.healthy.store(false, Ordering::Relaxed);
            Err(StoreError::Closed)
        })
    }
}

impl<B, T, F> Operation<B> for Job<T, F>
where
    B: Backend,
    T: Send,
    F: FnMut(&mut Batch<'_, B>) -> Result<T, B::Error> + Send,
{
    fn runs_last(&self) -> bool {
        self.runs_last
    }

    fn touched(&self) -> &Touched {
        &self.touched
    }

    fn run(&mut self, batch: &mut Batch<'_, B>) -> Result<(), B::Error> {
        self.result = Some((self.run)(batch)?);
        Ok(())
    }

    fn answer(self: Box<Self>, committed: Result<(), StoreError>) {
        let Job { run, result, reply, .. } = *self;
        #[cfg(feature = "flaws")]
        if reply.is_closed() && flaws::has(Flaw::PlaceOfADroppedFuture) {
            return std::mem::forget(run);
        }
        // What the operation holds, its place in the queue, is free before anyone is answered.
        drop(run);
        // The client may have hung up.
        let _ = reply.send(committed.map(|()| result.expect("what was committed was run")));
    }
}

/// The writer's side of the queue.
struct Committer<B: Backend> {
    backend: B,
    set: WorkingSet,
    counts: StateCounts,
    observer: Arc<dyn Observer>,
    clock: Clock,
    /// By which leases expire: a step of the wall clock must not void one that this process holds. At
    /// open all of them are void, so it need not agree with any other process.
    lease_clock: SteadyClock,
    changed: Arc<Notify>,
    healthy: Arc<AtomicBool>,
    commits: Arc<AtomicU64>,
    /// When a store that refuses writes is tried again.
    probe_at: Instant,
    /// What was erased or purged may still be in the log, which is truncated from then on.
    truncate_log_at: Option<Instant>,
}

impl<B: Backend> Committer<B> {
    fn new(setup: Setup<B>) -> Self {
        let Setup { backend, counts, observer, clock, changed } = setup;
        // The last process may have ended before it could truncate.
        let (set, truncate_log_at) = (WorkingSet::default(), Some(clock.monotonic()));
        let lease_clock = SteadyClock::starting_now(clock.clone());
        let probe_at = clock.monotonic();
        Self {
            backend,
            set,
            counts,
            observer,
            clock,
            lease_clock,
            changed,
            healthy: Arc::new(AtomicBool::new(true)),
            commits: Arc::default(),
            probe_at,
            truncate_log_at,
        }
    }

    /// Serves until every [`Writer`] is gone, then leaves the database tidy.
    fn serve(mut self, queue: &Receiver<Box<dyn Operation<B>>>) {
        loop {
            match queue.recv_timeout(IDLE_INTERVAL) {
                Ok(first) => {
                    self.serve_batch(first, queue);
                    self.probe_if_failing();
                }
                Err(RecvTimeoutError::Timeout) => self.idle(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // For operators who copy the file; the next open does it too.
        let _ = self.backend.truncate_log();
        self.backend.close();
    }

    async fn serve_locally(
        mut self,
        queue: Receiver<Box<dyn Operation<B>>>,
        queued: Arc<Notify>,
        latency: impl Fn() -> Duration,
    ) {
        loop {
            match queue.try_recv() {
                Ok(first) => {
                    tokio::time::sleep(latency()).await;
                    self.serve_batch(first, &queue);
                    self.probe_if_failing();
                }
                Err(TryRecvError::Empty) => {
                    if tokio::time::timeout(IDLE_INTERVAL, queued.notified()).await.is_err() {
                        self.idle();
                    }
                }
                Err(TryRecvError::Disconnected) => break,
            }
        }
        let _ = self.backend.truncate_log();
        self.backend.close();
    }

    fn serve_batch(
        &mut self,
        first: Box<dyn Operation<B>>,
        queue: &Receiver<Box<dyn Operation<B>>>,
    ) {
        if let Some(damage) = self.backend.damage() {
            return first.answer(Err(damage));
        }
        let mut operations = vec![first];
        match self.commit(&mut operations, Some(queue)) {
            Ok(wakes) => self.acknowledge(operations, wakes),
            Err(error) if B::is_busy(&error) => {
                // Another process has the file. What arrived meanwhile has waited too; trying each
                // alone would make the last one wait once for everyone before it.
                operations.extend(queue.try_iter());
                self.refuse(operations, error);
            }
            Err(_) => {
                let (mut operations, mut locked) = (operations.into_iter(), 0);
                while let Some(operation) = operations.next() {
                    let Err((operation, error)) = self.serve_alone(operation) else { continue };
                    locked += usize::from(B::is_locked(&error));
                    let mut refused = vec![operation];
                    if locked == LOCKED_MAX || B::is_busy(&error) {
                        refused.extend(operations.by_ref());
                    }
                    self.refuse(refused, error);
                }
            }
        }
    }

    /// Returns an operation that failed.
    fn serve_alone(&mut self, operation: Box<dyn Operation<B>>) -> Result<(), Failed<B>> {
        if let Some(damage) = self.backend.damage() {
            operation.answer(Err(damage));
            return Ok(());
        }
        let mut operations = vec![operation];
        match self.commit(&mut operations, None) {
            Ok(wakes) => self.acknowledge(operations, wakes),
            Err(error) => return Err((operations.remove(0), error)),
        }
        Ok(())
    }

    fn acknowledge(&mut self, operations: Vec<Box<dyn Operation<B>>>, wakes: bool) {
        // Nothing is acknowledged that is in a file without a name. It is committed all the same, and
        // must not run again.
        self.backend.check_files();
        if self.backend.damage().is_none() {
            self.truncate_log();
        }
        // Before the answers: what was answered has been notified.
        if wakes {
            self.changed.notify_one();
        }
        for operation in operations {
            operation.answer(self.backend.damage().map_or(Ok(()), Err));
        }
    }

    fn refuse(&self, operations: Vec<Box<dyn Operation<B>>>, error: B::Error) {
        self.note_failure(&error);
        let error = Arc::new(error);
        for operation in operations {
            operation.answer(Err(StoreError::Write(error.clone())));
        }
    }

    /// One transaction: the operations, and what joins them from the queue meanwhile. Returns whether
    /// something may have become due.
    fn commit(
        &mut self,
        operations: &mut Vec<Box<dyn Operation<B>>>,
        queue: Option<&Receiver<Box<dyn Operation<B>>>>,
    ) -> Result<bool, B::Error> {
        let mut conflicts = 0;
        loop {
            let committed = self.try_commit(operations, queue);
            match &committed {
                Ok(_) => self.set.committed(B::EXCLUSIVE),
                Err(error) => {
                    self.backend.rollback();
                    self.set.clear();
                    if B::is_conflict(error) && conflicts < CONFLICTS_MAX {
                        conflicts += 1;
                        self.observer.conflicted();
                        continue;
                    }
                }
            }
            return committed;
        }
    }

    fn try_commit(
        &mut self,
        operations: &mut Vec<Box<dyn Operation<B>>>,
        queue: Option<&Receiver<Box<dyn Operation<B>>>>,
    ) -> Result<bool, B::Error> {
        if !B::EXCLUSIVE {
            join(operations, queue, BATCH_MAX);
        }
        let clock = self.backend.begin(&touched_by(operations))?;
        let clock = clock.unwrap_or_else(|| self.lease_clock.now());
        let changes_before = self.backend.changes();
        let mut batch = Batch::new(&self.backend, &mut self.set, clock);
        let mut next = 0;
        while next < operations.len() {
            if !operations[next].runs_last() {
                operations[next].run(&mut batch)?;
            }
            next += 1;
            if next == operations.len() {
                // Where reading takes a while, what joins is read at once.
                join(operations, queue, if B::EXCLUSIVE { next + 1 } else { BATCH_MAX });
                if !B::EXCLUSIVE && next < operations.len() {
                    self.backend.prefetch(&touched_by(&operations[next..]))?;
                }
            }
        }
        for operation in operations.iter_mut().filter(|operation| operation.runs_last()) {
            operation.run(&mut batch)?;
        }
        batch.flush()?;
        let Batch { counts, tallies, removed, wakes, corruption, .. } = batch;
        if !tallies.is_empty() {
            self.backend.add_tallies(&tallies)?;
        }
        let counts_after = counts.apply(&self.counts);
        if counts_after != self.counts {
            self.backend.add_counts(&counts)?;
        }
        let wrote = self.backend.changes() > changes_before;
        let size = operations.len();
        #[cfg(feature = "flaws")]
        if queue.is_some() && flaws::has(Flaw::AnswerBeforeCommit) {
            operations.drain(..).for_each(|operation| operation.answer(Ok(())));
        }
        let began = self.clock.monotonic();
        let committed = self.backend.commit();
        if wrote {
            // Also if it failed: what is in the file then is for the next reader to see.
            self.commits.fetch_add(1, Ordering::Release);
        }
        #[cfg(feature = "flaws")]
        if let (Err(error), true) = (&committed, operations.is_empty()) {
            self.note_failure(error);
        }
        let counts_after = committed?.unwrap_or(counts_after);
        let counts_before = std::mem::replace(&mut self.counts, counts_after);
        corruption.report(&*self.observer);
        if let Some(wait) = removed.map(|removed| match removed {
            Removed::Erased => Duration::ZERO,
            Removed::Purged => PURGED_IN_LOG_MAX,
        }) {
            let at = self.clock.monotonic() + wait;
            self.truncate_log_at = Some(self.truncate_log_at.map_or(at, |known| known.min(at)));
        }
        // A duplicate, or a claim that finds nothing, writes nothing. Any broken disk can do that, and
        // without a sync it says nothing of how quick the disk is.
        if wrote {
            self.observer.committed(self.clock.monotonic() - began, size, counts_after);
            self.note_success();
        } else if counts_after != counts_before {
            self.observer.counted(counts_after);
        }
        Ok(wakes)
    }

    /// Truncates the log where it still has what was erased. A reader keeps it as it is; then a later
    /// commit tries again.
    fn truncate_log(&mut self) {
        if self.truncate_log_at.is_none_or(|from| from > self.clock.monotonic()) {
            return;
        }
        self.truncate_log_at = match self.backend.truncate_log() {
            Ok(true) => None,
            Ok(false) | Err(_) => Some(self.clock.monotonic() + IDLE_INTERVAL),
        };
    }

    /// Looks, now and then, whether the store takes writes again: operations that write nothing may come so
    /// often that the writer is never idle.
    fn probe_if_failing(&mut self) {
        let now = self.clock.monotonic();
        if !self.healthy.load(Ordering::Relaxed) && now >= self.probe_at {
            self.probe_at = now + IDLE_INTERVAL;
            self.idle();
        }
    }

    fn idle(&mut self) {
        if self.backend.damage().is_some() {
            return;
        }
        self.backend.check_files();
        self.backend.idle();
        self.truncate_log();
        // A disk that is full may still take a row: only what is as large as a batch counts.
        if !self.healthy.load(Ordering::Relaxed) && self.backend.probe_write().is_ok() {
            self.note_success();
        }
    }

    fn note_failure(&self, error: &B::Error) {
        self.observer.commit_failed();
        if self.backend.write_failed(error) {
            return self.healthy.store(false, Ordering::Relaxed);
        }
        if self.healthy.swap(false, Ordering::Relaxed) {
            tracing::error!(%error, "the store refuses writes; until it recovers webhooks are answered 503, or spooled");
        }
    }

    fn note_success(&self) {
        if !self.healthy.swap(true, Ordering::Relaxed) {
            self.observer.recovered();
            tracing::info!("the store takes writes again");
        }
    }
}

/// Adds what waits, as long as there are fewer than so many and than a batch may have.
fn join<B: Backend>(
    operations: &mut Vec<Box<dyn Operation<B>>>,
    queue: Option<&Receiver<Box<dyn Operation<B>>>>,
    most: usize,
) {
    let Some(queue) = queue else { return };
    let room = most.min(BATCH_MAX).saturating_sub(operations.len());
    operations.extend(queue.try_iter().take(room));
}

fn touched_by<B: Backend>(operations: &[Box<dyn Operation<B>>]) -> Touched {
    let mut touched = Touched::default();
    if !B::EXCLUSIVE {
        operations.iter().for_each(|operation| touched.extend(operation.touched()));
    }
    touched
}
