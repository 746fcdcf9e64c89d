//! The spool: a local file that takes webhooks while the database is away, and hands them on.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
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
use crate::domain::{Answer, IdempotencyKey, Name, chain};
use crate::submission::{AnswerValidity, Answers, ChangedAnswerPolicy, CompletionPolicy, DueTime};

/// How many webhooks are handed on at once.
const PAGE: usize = 100;

/// How often a database that was away, or is slow, is tried again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long claims wait for the spool once the database takes what is in it.
const CLAIMS_WAIT: Duration = Duration::from_secs(30);

/// For how long the database takes nothing where it was away, and not only what one webhook needs was locked.
const OUTAGE_MIN: Duration = Duration::from_secs(10);

/// After how many pages of which nothing was taken a round ends: each may have waited for a lock.
const REFUSED_PAGES_MAX: usize = 10;

/// How often the file is looked at although nothing came: a webhook whose sender went away may be in it.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// How to open a spool.
pub struct SpoolOptions {
    pub path: PathBuf,
    /// How long the database may take for a webhook before it is spooled.
    pub after: Duration,
    /// How many webhooks it takes at the most.
    pub webhooks_max: u64,
    /// Webhooks that may wait for the file; more are refused.
    pub write_queue: usize,
    /// The id of the database, once it was reached.
    pub database: Box<dyn Fn() -> Option<Uuid> + Send + Sync>,
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
    database: Box<dyn Fn() -> Option<Uuid> + Send + Sync>,
    owner: OnceLock<Owner>,
    draining: Mutex<Draining>,
    waiting: Waiting,
    filled: Notify,
    /// The database was slow: until then it is not waited for.
    slow_until: Mutex<Option<Instant>>,
    clock: Clock,
    observer: Arc<dyn Observer>,
}

/// Whether the database takes what waits.
#[derive(Default)]
struct Draining {
    /// Since when it does.
    since: Option<Instant>,
    /// Since when it takes nothing.
    refused_since: Option<Instant>,
}

/// Whose the webhooks in the spool are, once that is known.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    ThisDatabase,
    Another,
}

impl Spool {
    /// Opens the spool of a store, or creates it.
    ///
    /// # Errors
    /// As for [`SqliteStore::open`]; the file is a store, or webhooks in it wait for another database.
    pub fn open(options: SpoolOptions, store: Arc<dyn Store>) -> Result<Self, StoreError> {
        let SpoolOptions { path, after, webhooks_max, write_queue, database, clock, observer } =
            options;
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
            file: SqliteStore::open_spool(options, database())?,
            after,
            webhooks_max,
            database,
            owner: OnceLock::new(),
            draining: Mutex::default(),
            waiting: Waiting::default(),
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
            let waiting = self.count().await;
            let is_owned = self.is_for_this_database().await;
            if is_owned && waiting == Some(0) {
                let _ = tokio::time::timeout(LOOK_INTERVAL, self.filled.notified()).await;
            } else if is_owned && self.store.is_writable() && !self.is_slow() {
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

    /// Whether claims have to wait, so that none overtakes what is spooled of its call: until that is in the
    /// database, which may take so long.
    pub fn delays_claims(&self) -> bool {
        let mut draining = self.draining.lock().unwrap_or_else(PoisonError::into_inner);
        if self.waiting.most() == 0 {
            *draining = Draining::default();
            return false;
        }
        let now = self.clock.monotonic();
        if !self.store.is_writable() {
            if now - *draining.refused_since.get_or_insert(now) >= OUTAGE_MIN {
                draining.since = None;
            }
            return true;
        }
        draining.refused_since = None;
        now - *draining.since.get_or_insert(now) < CLAIMS_WAIT
    }

    /// Whether what waits is for this database. If it is for another, nothing more is spooled.
    async fn is_for_this_database(&self) -> bool {
        if let Some(owner) = self.owner.get() {
            return *owner == Owner::ThisDatabase;
        }
        let Some(database) = (self.database)() else { return false };
        let owner = match self.file.spool_for(database).await {
            Ok(true) => Owner::ThisDatabase,
            Ok(false) => {
                tracing::error!(
                    "webhooks in the spool (store.spool.path) wait for another database, and nothing is spooled: \
                     set store.url to that one until the spool is empty, or move the file away"
                );
                Owner::Another
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "the spool cannot be written");
                return false;
            }
        };
        *self.owner.get_or_init(|| owner) == Owner::ThisDatabase
    }

    /// Hands on what waits, that of a call in the order of arrival, as far as the database takes it. What it
    /// refuses of one call keeps no other one waiting.
    async fn drain_once(&self, policies: &impl Fn(&Name) -> Option<Arc<dyn CompletionPolicy>>) {
        if !self.is_for_this_database().await {
            return;
        }
        let (mut after, mut refused, mut refused_pages) = (0, HashSet::new(), 0);
        loop {
            let page = match self.file.spooled(after, PAGE).await {
                Ok(page) => page,
                Err(error) => {
                    return tracing::error!(error = chain(&error), "the spool cannot be read");
                }
            };
            let Some((last, _)) = page.last() else { return };
            after = *last;
            let mut calls = HashMap::<_, Vec<_>>::new();
            for (number, spooled) in page {
                let call = spooled.as_ref().map(Spooled::call);
                calls.entry(call).or_default().push((number, spooled));
            }
            calls.retain(|call, _| !refused.contains(call));
            let handed_on = calls.into_iter().map(|(call, webhooks)| async {
                let (done, error) = self.hand_on_all(webhooks, policies).await;
                (call, done, error)
            });
            let (mut done, mut last_error) = (Vec::new(), None);
            for (call, done_of_call, error) in join_all(handed_on).await {
                done.extend(done_of_call);
                if let Some(error) = error {
                    refused.insert(call);
                    last_error = Some(error);
                }
            }
            if !done.is_empty()
                && let Err(error) = self.file.forget_spooled(done.clone()).await
            {
                // They are duplicates when they are handed on again.
                return tracing::error!(error = chain(&error), "the spool cannot be written");
            }
            done.iter().for_each(|(_, drained)| self.observer.spool_drained(*drained));
            if let Some(error) = last_error {
                let error = chain(&error);
                tracing::warn!(error, "the database does not take what is spooled yet");
                refused_pages += usize::from(done.is_empty());
                if refused_pages == REFUSED_PAGES_MAX {
                    return;
                }
            }
            self.count().await;
        }
    }

    /// Hands on webhooks of one call, up to the first that the database refuses; returns those that it took,
    /// and why not all.
    async fn hand_on_all(
        &self,
        webhooks: Vec<(i64, Option<Spooled>)>,
        policies: &impl Fn(&Name) -> Option<Arc<dyn CompletionPolicy>>,
    ) -> (Vec<(i64, Drained)>, Option<StoreError>) {
        let mut done = Vec::new();
        for (number, spooled) in webhooks {
            match self.hand_on(spooled, policies).await {
                Ok(drained) => done.push((number, drained)),
                Err(error) => return (done, Some(error)),
            }
        }
        (done, None)
    }

    /// # Errors
    /// Why the database does not take it.
    async fn hand_on(
        &self,
        spooled: Option<Spooled>,
        policies: &impl Fn(&Name) -> Option<Arc<dyn CompletionPolicy>>,
    ) -> Result<Drained, StoreError> {
        let Some(spooled) = spooled else { return Ok(unreadable()) };
        let policy = policies(&spooled.survey).unwrap_or_else(|| Arc::new(SurveyIsGone));
        let Some(request) = spooled.into_request(policy) else { return Ok(unreadable()) };
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
            Err(error) => Err(error),
        }
    }

    /// How many webhooks wait; `None` if that cannot be read.
    async fn count(&self) -> Option<u64> {
        let arrived = self.waiting.arrived();
        match self.file.spool_size().await {
            Ok((waiting, first)) => {
                self.waiting.counted(waiting, arrived);
                let age = first.map(|first| self.clock.now().duration_since(first));
                let age = age.and_then(|age| age.try_into().ok()).unwrap_or_default();
                self.observer.spool_holds(waiting, age);
                Some(waiting)
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "the spool cannot be read");
                None
            }
        }
    }

    fn has_room(&self) -> bool {
        self.owner.get() != Some(&Owner::Another) && self.waiting.most() < self.webhooks_max
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
        let id = request.webhook.id;
        request.idempotency_key.get_or_insert_with(|| IdempotencyKey::of_webhook(id));
        if let Some(received) = self.ask_database(&request).await {
            return received;
        }
        if !self.has_room() {
            return Err(StoreError::SpoolFull);
        }
        if self.waiting.most() == 0 {
            tracing::warn!("the database is away: webhooks are spooled until it takes them");
        }
        let _arriving = Arriving::at(self);
        let received = self.file.receive(request).await?;
        Ok(Received { spooled: true, ..received })
    }

    fn is_writable(&self) -> bool {
        self.store.is_writable() || (self.has_room() && self.file.is_writable())
    }
}

/// How many webhooks wait, with those on the way into the file.
struct Waiting {
    /// Webhooks that began to arrive.
    begun: AtomicU64,
    /// Those of them that have arrived: they are in the file, or were refused.
    ended: AtomicU64,
    /// What waited at the last count, less those that had arrived before it. It wraps around.
    counted: AtomicU64,
}

impl Default for Waiting {
    fn default() -> Self {
        // One at least until they are counted: no claim overtakes what an earlier process spooled.
        let counted = AtomicU64::new(1);
        Self { begun: AtomicU64::new(0), ended: AtomicU64::new(0), counted }
    }
}

impl Waiting {
    /// How many wait at the most: what arrived while the file was counted is counted twice, and not missed.
    fn most(&self) -> u64 {
        let counted = self.counted.load(Ordering::SeqCst);
        counted.wrapping_add(self.begun.load(Ordering::SeqCst))
    }

    /// How many have arrived, to be asked before the file is counted.
    fn arrived(&self) -> u64 {
        self.ended.load(Ordering::SeqCst)
    }

    fn counted(&self, waiting: u64, arrived: u64) {
        self.counted.store(waiting.wrapping_sub(arrived), Ordering::SeqCst);
    }
}

/// A webhook on the way into the file. It may be there when this is dropped, also if its sender went away meanwhile.
struct Arriving<'a>(&'a Spool);

impl<'a> Arriving<'a> {
    fn at(spool: &'a Spool) -> Self {
        spool.waiting.begun.fetch_add(1, Ordering::SeqCst);
        Self(spool)
    }
}

impl Drop for Arriving<'_> {
    fn drop(&mut self) {
        self.0.waiting.ended.fetch_add(1, Ordering::SeqCst);
        self.0.filled.notify_one();
    }
}

fn unreadable() -> Drained {
    tracing::error!(
        "a spooled webhook is not what was written: it is kept in the table spooled_corrupt of the spool's file"
    );
    Drained::Corrupt
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A webhook begins to arrive, is in the file, and has arrived; the file is counted meanwhile.
    #[test]
    fn a_webhook_that_arrives_while_the_spool_is_counted_is_waited_for_in_every_interleaving() {
        for (begins, count_begins) in (0..3).flat_map(|at| (0..3).map(move |begins| (at, begins))) {
            for counts in count_begins..4 {
                for ends in counts..4 {
                    let (waiting, mut file, mut arrived) = (Waiting::default(), 0, None);
                    waiting.counted(0, waiting.arrived());
                    assert_eq!(waiting.most(), 0);
                    let mut found = 0;
                    for step in 0..7 {
                        match step {
                            _ if step == begins => _ = waiting.begun.fetch_add(1, Ordering::SeqCst),
                            _ if step == begins + 1 => file = 1,
                            _ if step == begins + 2 => {
                                _ = waiting.ended.fetch_add(1, Ordering::SeqCst)
                            }
                            _ => {}
                        }
                        if step == count_begins {
                            arrived = Some(waiting.arrived());
                        }
                        if step == counts {
                            found = file;
                        }
                        if step == ends {
                            waiting.counted(found, arrived.expect("it was asked before"));
                        }
                        assert!(
                            step < begins || waiting.most() > 0,
                            "{begins} {count_begins} {counts} {ends} {step}"
                        );
                    }
                }
            }
        }
    }
}
