use std::time::Duration;

use jiff::Timestamp;

use super::error::StoreError;
use super::lease::LeaseEnds;
use super::model::{ClockRecord, QuarantinedWebhook, ReceiveRequest, SurveyRevision};
use crate::account::Pause;
use crate::domain::{CallUuid, IdempotencyKey, Name, WebhookId};
use crate::submission::{
    FieldValues, Outcome, RetentionLevel, State, StateCounts, Submission, SubmissionId, Tallies,
};

/// A database as the writer's thread uses it: rows by number, and the indexes that find them. It
/// decides nothing.
///
/// A row is a submission's number, which orders submissions by the time of acceptance.
pub(super) trait Backend: Send {
    type Error: std::error::Error + Send + Sync + 'static;

    /// Whether no other process changes the database: what is in flight can then stay in memory, and
    /// nothing has to be locked.
    const EXCLUSIVE: bool;

    /// Begins a transaction and reads what it is known to touch. Returns the time by which leases end,
    /// if it is the database's own.
    fn begin(&self, touched: &Touched) -> Result<Option<Timestamp>, Self::Error>;

    /// Reads more of what the transaction touches, if reading it at once is quicker.
    fn prefetch(&self, _touched: &Touched) -> Result<(), Self::Error> {
        Ok(())
    }

    /// Whether another process changed the same rows, so that the transaction may succeed if it is run
    /// again.
    fn is_conflict(_error: &Self::Error) -> bool {
        false
    }

    /// As an error that [`is_conflict`](Self::is_conflict), found before the database finds it.
    fn conflict() -> Self::Error {
        unreachable!("no other process changes the database")
    }

    /// Commits and syncs; nothing may be acknowledged before it returns. Returns the state counts of the
    /// database if other processes change them too.
    fn commit(&self) -> Result<Option<StateCounts>, Self::Error>;

    fn rollback(&self);

    /// How many rows were ever changed over this connection.
    fn changes(&self) -> u64;

    /// Whether another process has the database locked.
    fn is_busy(error: &Self::Error) -> bool;

    /// Whether something was locked for too long, so that what does not touch it may succeed.
    fn is_locked(_error: &Self::Error) -> bool {
        false
    }

    /// Does what has to be done now and then although nothing comes.
    fn idle(&self) {}

    /// Notes that writing failed; returns whether nothing may be written any more.
    fn write_failed(&self, error: &Self::Error) -> bool;

    /// Why nothing may be written any more.
    fn damage(&self) -> Option<StoreError>;

    /// Looks whether what was committed is in the files that the next process will open. If it is not,
    /// that is damage: nothing may be written any more.
    fn check_files(&self);

    /// Writes as much as a large batch does and removes it, to find out whether a disk that was full
    /// has room again.
    fn probe_write(&self) -> Result<(), Self::Error>;

    /// Moves the log into the database, so that no byte of what was erased is in either or comes back
    /// from a cache; returns whether it could be done, which a reader may prevent.
    fn truncate_log(&self) -> Result<bool, Self::Error>;

    fn find(&self, id: SubmissionId) -> Result<Option<Stored>, Self::Error>;

    /// Loads a row that was found; `None` if there is none, and then it is not found again.
    fn load(&self, row: i64) -> Result<Option<Stored>, Self::Error>;

    /// Keeps the document of a corrupt submission as it was found.
    fn insert_corrupt_document(&self, row: i64, document: &[u8]) -> Result<(), Self::Error>;

    /// Looks through some of what finds the rows that wait, if that is kept apart from them, and returns
    /// rows that it does not find as they are; the next call looks further.
    fn misfiled(&self, _limit: usize) -> Result<Vec<i64>, Self::Error> {
        Ok(Vec::new())
    }

    /// Takes over some of the counts of processes that have not served the store for long; returns whether there
    /// may be more.
    fn fold_counts(&self) -> Result<bool, Self::Error> {
        Ok(false)
    }

    /// Rows that wait and that no claim finds, because what they have for an account is no name.
    fn unclaimable(&self, limit: usize) -> Result<Vec<i64>, Self::Error>;

    /// The counts when the transaction began.
    fn counts(&self) -> Result<StateCounts, Self::Error>;

    /// The highest row in use from `first` to `last`.
    fn highest_row(&self, first: i64, last: i64) -> Result<Option<i64>, Self::Error>;

    fn insert(&self, row: i64, submission: &Submission) -> Result<(), Self::Error>;

    fn update(&self, row: i64, submission: &Submission) -> Result<(), Self::Error>;

    /// Writes every column of a row that is not what was written, whose indexes may not fit it.
    fn replace(&self, row: i64, submission: &Submission) -> Result<(), Self::Error>;

    fn delete(&self, row: i64) -> Result<(), Self::Error>;

    /// Adds to the counts of submissions by state.
    fn add_counts(&self, delta: &CountsDelta) -> Result<(), Self::Error>;

    fn add_tallies(&self, tallies: &Tallies) -> Result<(), Self::Error>;

    /// The values of fields that the tallies have.
    fn field_values(&self) -> Result<FieldValues, Self::Error>;

    /// Counts a submission that is being deleted by the state it ended in.
    fn count_deleted(&self, state: State) -> Result<(), Self::Error>;

    /// Keeps the pair of account and survey, by which the submissions of a call are found.
    fn insert_scope(&self, account: &Name, survey: &Name) -> Result<(), Self::Error>;

    /// Keeps a webhook for another database, if this one is its spool.
    fn spool(&self, _request: &ReceiveRequest) -> Result<(), Self::Error> {
        Ok(())
    }

    fn insert_webhook(
        &self,
        row: i64,
        request: &ReceiveRequest,
        outcome: Outcome,
    ) -> Result<(), Self::Error>;

    /// The sources of the webhooks that are kept of a submission, by name.
    fn sources(&self, row: i64) -> Result<Vec<Name>, Self::Error>;

    /// Removes queries and bodies, and what was kept of a corrupt document.
    fn strip_webhooks(&self, row: i64) -> Result<(), Self::Error>;

    /// Removes webhooks, and what was kept of a corrupt document.
    fn delete_webhooks(&self, row: i64) -> Result<(), Self::Error>;

    /// Keeps an idempotency key, unless it is known.
    fn insert_key(
        &self,
        source: &Name,
        key: &IdempotencyKey,
        submission: SubmissionId,
        used_at: Timestamp,
    ) -> Result<KeyUse, Self::Error>;

    fn delete_key(&self, source: &Name, key: &IdempotencyKey) -> Result<(), Self::Error>;

    /// Deletes the keys of a submission: those that last, and of the others those of the webhooks that
    /// are kept.
    fn delete_keys_of(&self, row: i64, submission: SubmissionId) -> Result<(), Self::Error>;

    /// Deletes the oldest keys that expire and were used before that time, at most `limit`; returns how many.
    fn delete_keys_before(&self, before: Timestamp, limit: usize) -> Result<usize, Self::Error>;

    /// Whether this replica delivers for an account: one does at a time.
    fn leads(&self, _account: &Name) -> Result<bool, Self::Error> {
        Ok(true)
    }

    /// Whether another process serves the store too, as the transaction knows.
    fn others_serve(&self) -> bool {
        false
    }

    /// Lets other replicas take over what this one led; nothing is written afterwards.
    fn close(&self) {}

    /// Rows of an account that wait, are not in flight and are due after `after` and until `until`,
    /// the longest due first.
    fn due(
        &self,
        account: &Name,
        after: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<(Timestamp, i64)>, Self::Error>;

    /// As [`due`](Self::due), of the thousand that are due the longest those first that were claimed
    /// least often.
    fn least_claimed(
        &self,
        account: &Name,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<i64>, Self::Error>;

    fn record_clock(&self, record: ClockRecord) -> Result<(), Self::Error>;

    /// Those of a survey together, the oldest first.
    fn survey_revisions(&self) -> Result<Vec<SurveyRevision>, Self::Error>;

    /// Keeps a revision, and removes old ones of the survey that are too many.
    fn insert_survey_revision(&self, revision: &SurveyRevision) -> Result<(), Self::Error>;

    /// Rows whose lease has ended and, if another process could free them, this one's whose lease is due to be
    /// renewed. Some may have been read by an earlier clock, or by one a little ahead: the caller compares each
    /// with its own. Of [`LeaseEnds::ALL`], those that this replica has claimed.
    fn expired(&self, ends: LeaseEnds, limit: usize) -> Result<Vec<i64>, Self::Error>;

    /// Rows that retention may touch, of which so much is kept and that were settled before a time,
    /// the oldest first.
    fn purgeable(
        &self,
        level: RetentionLevel,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<i64>, Self::Error>;

    /// The pause of an account, or that it cannot be read.
    fn pause(&self, account: &Name) -> Result<Option<StoredPause>, Self::Error>;

    fn save_pause(&self, account: &Name, pause: &Pause) -> Result<(), Self::Error>;

    /// All of the quarantine, the oldest first, and how many rows could not be read and were deleted.
    fn load_quarantine(&self) -> Result<(Vec<QuarantinedWebhook>, usize), Self::Error>;

    /// Keeps a webhook that no known secret verifies, unless it is known.
    fn insert_quarantined(&self, kept: &QuarantinedWebhook) -> Result<(), Self::Error>;

    /// Returns how many were deleted, here and below.
    fn delete_quarantined(&self, id: WebhookId) -> Result<usize, Self::Error>;

    /// Deletes those in whose body or query the call's id is found.
    fn delete_quarantined_about(&self, call: &CallUuid) -> Result<Vec<WebhookId>, Self::Error>;
}

/// What a transaction is known to touch.
#[derive(Debug, Clone, Default)]
pub(super) struct Touched {
    pub submissions: Vec<SubmissionId>,
    pub rows: Vec<i64>,
    /// Times at which submissions may be accepted.
    pub accepted_at: Vec<Timestamp>,
    /// Sources and the ids of their webhooks.
    pub keys: Vec<(Name, String)>,
    /// Accounts whose pauses are looked at.
    pub accounts: Vec<Name>,
    /// Accounts that are claimed of, and how many are wanted of each.
    pub claimed: Vec<(Name, usize)>,
    /// How long claims hold, if those that are claimed of are looked at.
    pub lease: Option<Duration>,
}

impl Touched {
    pub fn by_webhook(id: SubmissionId, request: &ReceiveRequest) -> Self {
        let key = request.idempotency_key.as_ref();
        Self {
            submissions: vec![id],
            accepted_at: vec![request.webhook.received_at],
            keys: key.map(|key| (request.source.clone(), key.id.clone())).into_iter().collect(),
            ..Self::default()
        }
    }

    pub fn ids(submissions: impl IntoIterator<Item = SubmissionId>) -> Self {
        Self { submissions: submissions.into_iter().collect(), ..Self::default() }
    }

    pub fn accounts(accounts: impl IntoIterator<Item = Name>) -> Self {
        Self { accounts: accounts.into_iter().collect(), ..Self::default() }
    }

    pub fn claiming(wanted: &[(Name, usize)], lease: Duration) -> Self {
        let accounts = wanted.iter().map(|(account, _)| account.clone()).collect();
        Self { claimed: wanted.to_vec(), accounts, lease: Some(lease), ..Self::default() }
    }

    pub fn extend(&mut self, other: &Touched) {
        self.submissions.extend_from_slice(&other.submissions);
        self.rows.extend_from_slice(&other.rows);
        self.accepted_at.extend_from_slice(&other.accepted_at);
        self.keys.extend_from_slice(&other.keys);
        self.accounts.extend_from_slice(&other.accounts);
        self.claimed.extend_from_slice(&other.claimed);
        self.lease = self.lease.or(other.lease);
    }
}

/// A submission as it was found.
#[derive(Debug)]
pub(super) struct Stored {
    pub row: i64,
    /// Where it is corrupt: what can be read of it, set aside.
    pub submission: Submission,
    pub corrupt: Option<Corrupt>,
}

/// What was found in place of what was written.
#[derive(Debug)]
pub(super) struct Corrupt {
    /// The state that counts it, if it can be read.
    pub counted_as: State,
    /// What is wrong with it, in words that follow "submission X", without anything a caller said.
    pub fault: &'static str,
    pub document: Vec<u8>,
}

pub(super) type StoredPause = Result<Pause, UnreadablePause>;

/// What is kept of a pause is not what was written.
#[derive(Debug)]
pub(super) struct UnreadablePause;

/// What an idempotency key was to the store.
pub(super) enum KeyUse {
    First,
    /// The same payload came with it, about that submission.
    Same(SubmissionId),
    /// Another payload came with it.
    Other,
}

/// Changes of the counts of submissions by state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct CountsDelta {
    pub accepted: i64,
    /// In the order of [`State::LABELS`].
    pub states: [i64; 6],
}

impl CountsDelta {
    pub fn created(&mut self, state: State) {
        self.accepted += 1;
        self.states[state.index()] += 1;
    }

    pub fn moved(&mut self, from: State, to: State) {
        self.states[from.index()] -= 1;
        self.states[to.index()] += 1;
    }

    /// The counts after these changes.
    pub fn apply(&self, counts: &StateCounts) -> StateCounts {
        let [collecting, pending, delivered, ignored, dead, discarded] = self.states;
        let add = |count: u64, delta| count.saturating_add_signed(delta);
        StateCounts {
            accepted: add(counts.accepted, self.accepted),
            collecting: add(counts.collecting, collecting),
            pending: add(counts.pending, pending),
            delivered: add(counts.delivered, delivered),
            ignored: add(counts.ignored, ignored),
            dead: add(counts.dead, dead),
            discarded: add(counts.discarded, discarded),
        }
    }
}
