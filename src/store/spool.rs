//! The spool: a local file that takes webhooks while the database is away, and hands them on.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::join_all;
use tokio::sync::Notify;
use uuid::Uuid;

use super::contract::{Queue, Receive, Store};
use super::error::StoreError;
use super::model::{Drained, ReceiveRequest, Received};
use super::observer::Observer;
use super::sqlite::{self, Spooled, SqliteStore};
use crate::clock::Clock;
use crate::domain::{Answer, IdempotencyKey, Name};
use crate::submission::{AnswerValidity, Answers, ChangedAnswerPolicy, CompletionPolicy, DueTime};

/// How many webhooks are handed on at once.
const PAGE: usize = 100;

/// How often a database that was away, or is slow, is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How to open a spool.
pub struct SpoolOptions {
    pub path: PathBuf,
    /// How long the database may take for a webhook before it is spooled.
    pub after: Duration,
    /// How many webhooks it takes at the most.
    pub webhooks_max: u64,
    /// Webhooks that may wait for the file; more are refused.
    pub write_queue: usize,
    pub clock: Clock,
    pub observer: Arc<dyn Observer>,
}

/// Takes webhooks for a database that other processes share: what it does not take soon is kept in a
/// file of this process and received by it later, once.
pub struct Spool {
    store: Arc<dyn Store>,
    file: SqliteStore,
    after: Duration,
    webhooks_max: u64,
    /// About how many wait.
    waiting: AtomicU64,
    filled: Notify,
    /// The database was slow: until then it is not waited for.
    slow_until: Mutex<Option<Instant>>,
    clock: Clock,
    observer: Arc<dyn Observer>,
}

impl Spool {
    /// Opens the spool of a store, whose database has this id, or creates it.
    ///
    /// # Errors
    /// As for [`SqliteStore::open`]; webhooks in it wait for another database.
    pub fn open(
        options: SpoolOptions,
        store: Arc<dyn Store>,
        database: Uuid,
    ) -> Result<Self, StoreError> {
        let SpoolOptions { path, after, webhooks_max, write_queue, clock, observer } = options;
        let options = sqlite::Options {
            path,
            write_queue,
            // Nothing is claimed there.
            lease: Duration::ZERO,
            clock: clock.clone(),
            observer: Arc::new(()),
        };
        Ok(Self {
            store,
            file: SqliteStore::open_spool(options, database)?,
            after,
            webhooks_max,
            // Until they are counted.
            waiting: AtomicU64::new(1),
            filled: Notify::new(),
            slow_until: Mutex::default(),
            clock,
            observer,
        })
    }

    /// Hands on what waits, as it comes and whenever the database is there. It does not end.
    ///
    /// `policies` are those of surveys by name.
    pub async fn drain(&self, policies: impl Fn(&Name) -> Option<Arc<dyn CompletionPolicy>>) {
        loop {
            if self.count().await == Some(0) {
                self.filled.notified().await;
            } else if self.store.is_writable() && !self.is_slow() {
                self.drain_once(&policies).await;
            }
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }

    /// Hands on all that waits, for so long, and closes the file.
    pub async fn close(
        &self,
        within: Duration,
        policies: impl Fn(&Name) -> Option<Arc<dyn CompletionPolicy>>,
    ) {
        // What is not handed on by then is in the file.
        let _ = tokio::time::timeout(within, self.drain_once(&policies)).await;
        match self.count().await {
            Some(0) | None => {}
            Some(waiting) => tracing::warn!(
                waiting,
                "webhooks stay in the spool until this replica starts again: keep its volume"
            ),
        }
        self.file.close().await;
    }

    /// Hands on what waits, in the order of arrival, as far as the database takes it.
    async fn drain_once(&self, policies: &impl Fn(&Name) -> Option<Arc<dyn CompletionPolicy>>) {
        let mut after = 0;
        loop {
            let page = match self.file.spooled(after, PAGE).await {
                Ok(page) => page,
                Err(error) => return tracing::error!(%error, "the spool cannot be read"),
            };
            let Some((last, _)) = page.last() else { return };
            after = *last;
            let handed_on = page.into_iter().map(|(number, spooled)| async move {
                (number, self.hand_on(spooled, policies).await)
            });
            let handed_on = join_all(handed_on).await;
            let done = handed_on.iter().filter(|(_, result)| result.is_ok());
            let done: Vec<i64> = done.map(|(number, _)| *number).collect();
            if !done.is_empty()
                && let Err(error) = self.file.forget_spooled(done).await
            {
                // They are duplicates when they are handed on again.
                return tracing::error!(%error, "the spool cannot be written");
            }
            for (number, result) in &handed_on {
                match result {
                    Ok(drained) => self.observer.spool_drained(*drained),
                    Err(Some(error)) => {
                        return tracing::warn!(%error, "the database does not take what is spooled yet");
                    }
                    Err(None) => tracing::error!(
                        number,
                        "a spooled webhook is not what was written, and stays in the spool"
                    ),
                }
            }
            self.count().await;
        }
    }

    /// # Errors
    /// Why the database does not take it; `None` if it cannot be read.
    async fn hand_on(
        &self,
        spooled: Option<Spooled>,
        policies: &impl Fn(&Name) -> Option<Arc<dyn CompletionPolicy>>,
    ) -> Result<Drained, Option<StoreError>> {
        let spooled = spooled.ok_or(None)?;
        let policy = policies(&spooled.survey).unwrap_or_else(|| Arc::new(SurveyIsGone));
        let request = spooled.into_request(policy).ok_or(None)?;
        let (webhook, source) = (request.webhook.id.0, request.source.clone());
        match self.store.receive(request).await {
            Ok(_) => Ok(Drained::Received),
            Err(StoreError::KeyReused) => {
                tracing::error!(
                    %webhook, %source,
                    "a spooled webhook is dropped: the database has another payload by the same \
                     idempotency key"
                );
                Ok(Drained::Rejected)
            }
            Err(error) => Err(Some(error)),
        }
    }

    /// How many webhooks wait; `None` if that cannot be read.
    async fn count(&self) -> Option<u64> {
        match self.file.spool_size().await {
            Ok((waiting, first)) => {
                self.waiting.store(waiting, Ordering::Relaxed);
                let age = first.map(|first| self.clock.now().duration_since(first));
                let age = age.and_then(|age| age.try_into().ok()).unwrap_or_default();
                self.observer.spool_holds(waiting, age);
                Some(waiting)
            }
            Err(error) => {
                tracing::error!(%error, "the spool cannot be read");
                None
            }
        }
    }

    fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) < self.webhooks_max
    }

    fn is_slow(&self) -> bool {
        let until = *self.slow_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| self.clock.monotonic() < until)
    }

    /// What the database says; `None` if the webhook belongs into the spool.
    async fn ask_database(&self, request: &ReceiveRequest) -> Option<Result<Received, StoreError>> {
        if !self.store.is_writable() || self.is_slow() {
            return None;
        }
        match tokio::time::timeout(self.after, self.store.receive(request.clone())).await {
            Ok(result @ (Ok(_) | Err(StoreError::KeyReused))) => Some(result),
            // It may have been committed all the same: its key tells.
            Ok(Err(_)) => None,
            Err(_) => {
                let until = self.clock.monotonic() + RETRY_INTERVAL;
                *self.slow_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(until);
                None
            }
        }
    }
}

#[async_trait]
impl Receive for Spool {
    /// # Errors
    /// [`StoreError::SpoolFull`], besides those of a store.
    async fn receive(&self, mut request: ReceiveRequest) -> Result<Received, StoreError> {
        // By it the database knows what it has received already.
        request.idempotency_key.get_or_insert_with(|| IdempotencyKey {
            id: format!("postcall:{}", request.webhook.id.0),
            digest: [0; 32],
            expires: true,
        });
        if let Some(received) = self.ask_database(&request).await {
            return received;
        }
        if !self.has_room() {
            return Err(StoreError::SpoolFull);
        }
        let received = self.file.receive(request).await?;
        if self.waiting.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::warn!("the database is away: webhooks are spooled until it takes them");
        }
        self.filled.notify_one();
        Ok(Received { spooled: true, ..received })
    }

    fn is_writable(&self) -> bool {
        self.store.is_writable() || (self.has_room() && self.file.is_writable())
    }
}

/// The policy of a survey that left the settings while its webhooks were spooled: its submissions become
/// dead at once, for an operator to see.
struct SurveyIsGone;

impl CompletionPolicy for SurveyIsGone {
    fn validity(&self, _: &str, answer: &Answer) -> AnswerValidity {
        match answer {
            Answer::Silence => AnswerValidity::Silence,
            Answer::Given(_) => AnswerValidity::OutsideDomain,
        }
    }

    fn due(&self, answers: &Answers) -> DueTime {
        DueTime { complete: true, at: answers.last_new_at().expect("there is an answer") }
    }

    fn changed_answers(&self) -> ChangedAnswerPolicy {
        ChangedAnswerPolicy::KeepLast
    }
}
