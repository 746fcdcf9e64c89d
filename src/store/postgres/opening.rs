//! Opening a store for writing: at once, or as soon as its database is reached.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::Client;

use super::connection::{OPEN_TIMEOUT, pipeline};
use super::durability::Risks;
use super::error::PgError;
use super::options::{LeaseClock, Options};
use super::replicas::{self, Ended, Replica};
use super::schema;
use super::transaction::{self, Database};
use crate::domain::chain;
use crate::store::batch::free_claims;
use crate::store::error::StoreError;
use crate::store::serving::Serving;
use crate::store::writer::{Setup, Writer};
use crate::sync::thread::JoinHandle;

/// How often a database that is away is tried.
const TRY_EVERY: Duration = Duration::from_secs(1);

/// A store that is being opened.
pub(super) struct Opening {
    pub options: Options,
    pub risks: Arc<Risks>,
    pub ended: Ended,
    pub changed: Arc<Notify>,
    /// Set once this process has the name.
    pub replica: Arc<OnceLock<Replica>>,
    /// When the process that has the name last said so.
    pub other_seen_at: Option<i64>,
}

impl Opening {
    /// Migrates the schema, takes the replica's name and frees the claims of an earlier process of that name.
    pub fn attempt(&mut self) -> Result<(Writer<Database>, JoinHandle<()>), StoreError> {
        let Options { address, lease_clock, clock, observer, .. } = &self.options;
        let (address, lease_clock) = (address.clone(), *lease_clock);
        let (clock, observer) = (clock.clone(), observer.clone());
        let shown = address.shown();
        schema::migrate(&address)?;
        let (runtime, client) = address.open()?;
        let replica = runtime.block_on(self.prepare(&client, &shown))?;
        drop(client);
        let backend = Database::new(transaction::Setup {
            runtime,
            address,
            replica,
            lease_clock,
            clock: clock.clone(),
            risks: self.risks.clone(),
            ended: self.ended.clone(),
            observer: observer.clone(),
        });
        let counts = free_claims(&backend, &*observer)
            .map_err(|error| StoreError::open(shown.as_ref(), error))?;
        observer.opened(counts);
        let changed = self.changed.clone();
        Writer::start(Setup { backend, counts, observer, clock, changed })
            .map_err(|error| StoreError::open(shown.as_ref(), error))
    }

    async fn prepare(&mut self, client: &Client, shown: &str) -> Result<Replica, StoreError> {
        if let Some(replica) = self.replica.get() {
            return Ok(replica.clone());
        }
        let open = |error: PgError| StoreError::open(shown.as_ref(), error);
        let name = self.options.replica.clone();
        let is_alone = self.options.lease_clock == LeaseClock::Process;
        match replicas::take(client, &name, is_alone).await.map_err(open)? {
            Ok(replica) => {
                if let Err(error) = schema::check_complete(client, shown).await {
                    // If it fails, the name is free when its lease ends.
                    let _ = pipeline(client, &[replica.leave()], OPEN_TIMEOUT).await;
                    return Err(error);
                }
                Ok(self.replica.get_or_init(|| replica).clone())
            }
            Err(seen_at) if self.other_seen_at.is_some_and(|it| it != seen_at) => {
                Err(StoreError::NameInUse { path: shown.to_owned(), replica: name })
            }
            Err(seen_at) => {
                self.other_seen_at = Some(seen_at);
                Err(open(PgError::NameTaken { replica: name }))
            }
        }
    }

    /// Tries until it succeeds, or never will, or the other end of `stopped` is dropped.
    pub fn run(mut self, serving: &Serving<Database>, stopped: &Receiver<()>) {
        while stopped.recv_timeout(TRY_EVERY) == Err(RecvTimeoutError::Timeout) {
            match self.attempt() {
                Ok((writer, thread)) => {
                    serving.opened(writer, thread);
                    self.options.observer.recovered();
                    tracing::info!("the store is open");
                    return;
                }
                Err(error) if may_pass(&error) => {
                    tracing::debug!(error = chain(&error), "the store cannot be opened yet");
                }
                Err(error) => {
                    self.ended.get_or_init(|| Arc::new(error));
                    return;
                }
            }
        }
    }
}

/// Whether opening may succeed later without anyone changing the settings.
pub(super) fn may_pass(error: &StoreError) -> bool {
    let StoreError::Open { source, .. } = error else { return false };
    source.downcast_ref::<PgError>().is_some_and(PgError::may_pass)
}
