//! The contract of a store. `tests/it/store_contract.rs` has a test for every promise, by name, and
//! runs them on every backend.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::durability_risk::DurabilityRisk;
use super::error::StoreError;
use super::model::{
    ClaimRequest, Claimed, ClockRecord, Cursor, Page, PurgeCounts, QuarantinedWebhook,
    ReceiveRequest, Received, RetentionCutoffs, Statistics, SubmissionDetail, SubmissionFilter,
    SurveyRevision, Tally, TallyFilter,
};
use crate::domain::{CallUuid, Name, WebhookId};
use crate::submission::{ActionOutcome, Replay, Settled, Settlement, Submission, SubmissionId};

/// The whole contract.
pub trait Store: Queue + Reader + Admin + Maintenance + Quarantine {}

impl<T: Queue + Reader + Admin + Maintenance + Quarantine> Store for T {}

/// Where a webhook goes first.
#[async_trait]
pub trait Receive: Send + Sync {
    /// Stores a webhook and merges it into its submission, whole or not at all. When this returns, a
    /// power cut can no longer take it back.
    ///
    /// # Errors
    /// [`StoreError::Full`] at once where the write queue is at its bound;
    /// [`StoreError::KeyReused`] where the same source sent other bytes with the same idempotency key.
    async fn receive(&self, request: ReceiveRequest) -> Result<Received, StoreError>;

    /// Whether the last write reached the disk. A store that refuses writes tries again by itself.
    fn is_writable(&self) -> bool;
}

/// The path of a submission: received, claimed, settled.
///
/// `now` is an argument wherever arrivals and due times are compared; the expiry of a lease goes by
/// the store's own clock, given when it is opened.
#[async_trait]
pub trait Queue: Receive {
    /// Claims what is due, each submission once: it is mapped, and its attempt is on disk when this
    /// returns. A fair share of what has been due for long and of what became due just now, so that
    /// neither waits for the other. Of several processes that serve the store, one claims of an account at
    /// a time, so that its throttle and its circuit breaker hold for all. What is due later than anything may be is due at the latest that
    /// may be. A paused account gives one probe each time its probe is due, the
    /// submission that was claimed least often; one that an operator paused gives none. Leases that
    /// have expired are freed, except those of claims in flight.
    ///
    /// # Errors
    /// The store cannot be written; nothing was claimed then.
    async fn claim(&self, request: ClaimRequest) -> Result<Claimed, StoreError>;

    /// Records the ends of attempts and what was decided, in the order of `settlements`. A delivery
    /// resumes its account unless an operator paused it; any response resumes one that was
    /// unreachable.
    ///
    /// # Errors
    /// The store cannot be written; nothing was recorded then, and the same settlements may be given
    /// again.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError>;

    /// Waits until something was committed since the last call by which something may have become due.
    async fn changed(&self);

    /// How often to claim although nothing has changed here: other processes write to the store too, and
    /// what they commit does not end [`changed`](Self::changed). `None` if there are no others.
    fn poll_interval(&self) -> Option<Duration>;

    /// Why nothing is written any more, where the database is damaged. That does not end before an
    /// operator acts.
    fn damage(&self) -> Option<StoreError>;

    /// Why what is committed may be lost all the same.
    fn durability_risks(&self) -> Vec<DurabilityRisk>;

    /// Finishes what is queued and closes the store. Nothing is received afterwards.
    async fn close(&self);
}

/// Queries.
#[async_trait]
pub trait Reader: Send + Sync {
    /// Submissions, the latest first, at most `limit` of them, from where `after` left off.
    async fn search(
        &self,
        filter: SubmissionFilter,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError>;

    /// A submission with its raw webhooks.
    async fn find(&self, id: SubmissionId) -> Result<Option<SubmissionDetail>, StoreError>;

    /// Submissions by id; those that do not exist are left out.
    async fn load(&self, ids: Vec<SubmissionId>) -> Result<Vec<Submission>, StoreError>;

    /// The submissions about a call, whichever survey and account they belong to, without those that
    /// were erased.
    async fn of_call(&self, call: CallUuid) -> Result<Vec<SubmissionId>, StoreError>;

    /// Accounts that have submissions to claim, whether or not the settings still have them.
    async fn accounts_waiting(&self) -> Result<Vec<Name>, StoreError>;

    /// What was known of the wall clock when that was last recorded.
    async fn clock(&self) -> Result<Option<ClockRecord>, StoreError>;

    /// When the oldest submission was accepted.
    async fn oldest_accepted_at(&self) -> Result<Option<Timestamp>, StoreError>;

    /// How many submissions of each account fell due after `after`, until `until`, and still wait: for
    /// an attempt, or for its result. Of an account that another process delivers for, or did last, none:
    /// each is reported once.
    async fn overdue(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<(Name, u64)>, StoreError>;

    /// Tallies of the days of a filter, by day, value and what the submissions have in common.
    async fn tallies(&self, filter: TallyFilter) -> Result<Vec<Tally>, StoreError>;

    /// Revisions of all surveys, those of one together, the oldest first. Two that follow each other may have the
    /// same digest.
    async fn survey_revisions(&self) -> Result<Vec<SurveyRevision>, StoreError>;

    /// Queue statistics.
    async fn statistics(&self) -> Result<Statistics, StoreError>;

    /// A number that grows with each commit that changes the store, before that is acknowledged: as long as it
    /// is the same, so is what every query finds. It costs no query. `None` if other processes may write to
    /// the store, or no one does.
    fn version(&self) -> Option<u64> {
        None
    }
}

/// What an operator does. Results are in the order of `ids`.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Makes submissions due at once, with all attempts left.
    async fn replay(
        &self,
        ids: Vec<SubmissionId>,
        how: Replay,
    ) -> Result<Vec<ActionOutcome>, StoreError>;

    /// Gives submissions up for good.
    async fn discard(
        &self,
        ids: Vec<SubmissionId>,
        comment: String,
        at: Timestamp,
    ) -> Result<Vec<ActionOutcome>, StoreError>;

    /// Records in submissions that an operator reads the numbers of their callers. Nothing else of them
    /// changes.
    async fn reveal(
        &self,
        ids: Vec<SubmissionId>,
        at: Timestamp,
    ) -> Result<Vec<ActionOutcome>, StoreError>;

    /// Removes everything but id and outcome of submissions, and their raw webhooks. What was removed
    /// is overwritten on disk.
    async fn erase(
        &self,
        ids: Vec<SubmissionId>,
        at: Timestamp,
    ) -> Result<Vec<ActionOutcome>, StoreError>;

    /// Pauses an account until an operator resumes it.
    async fn pause(&self, account: Name, comment: String, at: Timestamp) -> Result<(), StoreError>;

    /// Resumes an account, whatever paused it; returns whether it was paused.
    async fn resume(&self, account: Name, at: Timestamp) -> Result<bool, StoreError>;
}

/// What the service does by itself from time to time.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// Allows paused accounts to be probed at once, but those that an operator paused.
    async fn probe_now(&self, accounts: Vec<Name>, at: Timestamp) -> Result<(), StoreError>;

    /// Removes some of what was settled before the cutoffs, the oldest first and little at a time;
    /// all counts are zero once there is nothing more. The state counts stay.
    async fn purge(&self, cutoffs: RetentionCutoffs) -> Result<PurgeCounts, StoreError>;

    /// Adds some of the counts of processes that do not come back to those of this one; returns whether there may
    /// be more.
    async fn fold_counts(&self) -> Result<bool, StoreError>;

    /// Records what is known of the wall clock, for the next process.
    async fn record_clock(&self, record: ClockRecord) -> Result<(), StoreError>;

    /// Records the rules of surveys by their digests, if they are others than were recorded last.
    async fn record_surveys(
        &self,
        surveys: Vec<(Name, String)>,
        at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Forgets some idempotency keys that expire and were used before that time, the oldest first, and returns
    /// how many: zero at the end.
    async fn forget_keys(&self, before: Timestamp) -> Result<usize, StoreError>;
}

/// A copy on disk of the webhooks that no known secret verifies, for the next process. They are in no
/// state count.
#[async_trait]
pub trait Quarantine: Send + Sync {
    /// All of them, the oldest first. Rows that cannot be read are removed.
    async fn load_quarantine(&self) -> Result<Vec<QuarantinedWebhook>, StoreError>;

    /// Adds and removes some; what is known already, or not known, changes nothing. It runs after
    /// everything else in its transaction.
    async fn save_quarantine(
        &self,
        added: Vec<QuarantinedWebhook>,
        removed: Vec<WebhookId>,
    ) -> Result<(), StoreError>;

    /// Removes those in whose body or query the call's id is found, also what was to be added before, and
    /// returns their ids.
    async fn erase_quarantined(&self, call: CallUuid) -> Result<Vec<WebhookId>, StoreError>;
}
