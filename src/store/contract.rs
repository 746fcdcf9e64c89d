use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::by_hand::{Cursor, Done, Dossier, Horizon, Mappable, Page, Replay, Search, Swept};
use crate::account::PauseCause;
use crate::domain::{Attempt, CallUuid, Extraction, IdempotencyKey, Name, Webhook};
use crate::submission::{
    Answers, CompletionPolicy, DeadReason, IgnoredReason, State, StateCounts, SubmissionId,
    SubmissionKey,
};

/// What every ledger promises. Each promise has its test in the contract suite, by name.
///
/// `now` is an argument wherever arrivals and due times are compared; the expiry of a lease goes
/// by the ledger's own clock, given when it is opened.
#[async_trait]
pub trait Store: Send + Sync {
    /// Keeps a hook, its answers and its submission, whole or not at all. When this answers, a
    /// power cut can no longer take it back.
    ///
    /// # Errors
    /// [`StoreError::Full`] at once where the queue before the ledger is at its bound;
    /// [`StoreError::IdReused`] where the same source sent other bytes by the hook's name before.
    async fn accept(&self, arrival: Arrival) -> Result<Accepted, StoreError>;

    /// Hands out what is due, each submission to one holder at a time: a fair share of what has
    /// been due for long and of what became due just now, so that neither waits for the other. A
    /// held account gives nothing but one probe each time its probe is due: what was handed out
    /// least often, and another at once where it was settled or given back without an attempt. One that a person
    /// holds gives none.
    async fn lease(&self, request: LeaseRequest) -> Result<Leased, StoreError>;

    /// Writes down, before the first byte leaves, that an attempt begins, and renews its lease: from
    /// here on answers are late, unless the attempt is settled as not received and no earlier one
    /// may have arrived; then they count after all. Answers in the order of `offers`.
    async fn begin(&self, offers: Vec<Offer>, now: Timestamp) -> Result<Vec<Begun>, StoreError>;

    /// Writes down what was decided. Answers in the order of `settlements`. A delivery ends the hold
    /// of its account, but not one that a person set; any answer ends one because of which nobody
    /// could be reached. A weaker cause changes nothing of a stronger hold that is in force.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>, StoreError>;

    /// Gives leases back of which no attempt began; what was due is due again.
    async fn release(&self, tickets: Vec<Ticket>) -> Result<(), StoreError>;

    /// Forgets what senders called some of the hooks that came before that time, the oldest first,
    /// and answers how many: none once there are no more. A hook that comes again afterwards is
    /// known by what it says, not by its name.
    async fn forget(&self, before: Timestamp) -> Result<usize, StoreError>;

    /// Accounts that have submissions waiting, whether or not the settings still know them.
    async fn accounts_waiting(&self) -> Result<Vec<Name>, StoreError>;

    /// The figures that are read, not counted: cheap, and off the path of hooks.
    async fn figures(&self) -> Result<Figures, StoreError>;

    /// Submissions, the latest first, at most `limit` of them, from where `after` left off.
    async fn search(
        &self,
        search: Search,
        after: Option<Cursor>,
        limit: usize,
    ) -> Result<Page, StoreError>;

    /// All that is known of one submission.
    async fn find(&self, id: SubmissionId) -> Result<Option<Dossier>, StoreError>;

    /// The submissions about a call, whichever survey and account they belong to. A call that was
    /// erased is known no more.
    async fn of_call(&self, call: CallUuid) -> Result<Vec<SubmissionId>, StoreError>;

    /// What these submissions say; those that the ledger does not have are left out, and those that
    /// are gone say nothing.
    async fn mappable(&self, ids: Vec<SubmissionId>) -> Result<Vec<Mappable>, StoreError>;

    /// Offers submissions again: they are due at once, with nothing spent. Whether they take further
    /// answers does not change by it; what is said after a replay as it was counts, and makes it one
    /// by today's rules. Answers in the order of `ids`, as do the two below.
    async fn replay(&self, ids: Vec<SubmissionId>, how: Replay) -> Result<Vec<Done>, StoreError>;

    /// Gives submissions up for good.
    async fn discard(
        &self,
        ids: Vec<SubmissionId>,
        reason: String,
        at: Timestamp,
    ) -> Result<Vec<Done>, StoreError>;

    /// Removes all that was said on the calls of these submissions, and the calls' ids; what waits is
    /// discarded, and an attempt under way is waited for no more. Only the submission's id and its
    /// outcome stay, so that a hook that comes again is known for what it is. What was removed is
    /// overwritten where it lay.
    async fn erase(&self, ids: Vec<SubmissionId>, at: Timestamp) -> Result<Vec<Done>, StoreError>;

    /// Holds an account until a person resumes it.
    async fn hold(&self, account: Name, reason: String, at: Timestamp) -> Result<(), StoreError>;

    /// Ends the hold of an account, whatever its cause; whether there was one.
    async fn resume(&self, account: Name, at: Timestamp) -> Result<bool, StoreError>;

    /// Lets held accounts be probed at once, but those that a person holds.
    async fn probe_now(&self, accounts: Vec<Name>, at: Timestamp) -> Result<(), StoreError>;

    /// Drops some of what lies beyond the horizon, the oldest first and little at a time; nothing
    /// was dropped once nothing lies beyond it. The totals stay.
    async fn sweep(&self, horizon: Horizon) -> Result<Swept, StoreError>;

    /// Waits until something was kept, or done by hand, by which something may have become due since
    /// the last call.
    async fn kept_more(&self);

    /// Whether the last write reached the disk; a ledger that refuses writes tries again by itself.
    fn is_writable(&self) -> bool;

    /// Why nothing is written any more, where the ledger is found to be damaged: that does not end
    /// before a person mends it.
    fn damage(&self) -> Option<StoreError> {
        None
    }

    /// Finishes what is queued and closes the ledger. Nothing is accepted afterwards.
    async fn close(&self);
}

/// A verified hook, read: what is to be kept and which submission it belongs to.
#[derive(Clone)]
pub struct Arrival {
    /// Kept as it came: its query and body.
    pub hook: Webhook,
    pub source: Name,
    pub key: SubmissionKey,
    pub report: Extraction,
    /// What its sender calls it, where it has names for its hooks.
    pub identity: Option<IdempotencyKey>,
    /// Asked, within the transaction, when the submission is due.
    pub completion: Arc<dyn CompletionPolicy>,
}

/// What a hook was to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub submission: SubmissionId,
    pub outcome: Outcome,
    /// It gave a second, different answer in the domain of a question; which of them counts is the
    /// survey's to say.
    pub changed: bool,
    /// All that is known of the call with this hook, what came late too.
    pub answers: Answers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It started a submission.
    New,
    /// It told something new that counts, at once or as soon as the attempt under way is over.
    Added,
    /// It told nothing that is new; nothing moved.
    Repeat,
    /// The submission takes nothing more: kept, and without effect.
    Late,
    /// All but the outcome of its submission was dropped, by age or by hand: it is not kept.
    Gone,
}

#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// How many of each account at most.
    pub wanted: Vec<(Name, usize)>,
    pub now: Timestamp,
    /// How long until a held account is probed again.
    pub probe_every: Duration,
}

#[derive(Debug, Clone, Default)]
pub struct Leased {
    pub leases: Vec<Lease>,
    /// When the next submission is due, or may be probed with, among the accounts that gave less
    /// than was wanted; whoever got all that was wanted has no room for more.
    pub next_due_at: Option<Timestamp>,
}

/// A submission in the hands of one courier.
#[derive(Debug, Clone)]
pub struct Lease {
    pub ticket: Ticket,
    pub key: SubmissionKey,
    pub answers: Answers,
    /// Attempts spent so far.
    pub attempts: u32,
    /// Since the first attempt, without the time in which the account was held.
    pub age: Duration,
    /// When the caller last said something, or said again what counts.
    pub last_answer_at: Timestamp,
    /// The destination has accepted it before.
    pub again: bool,
    /// Its last attempt, of those that were made since a person last offered it again, may have
    /// arrived: nobody knows what came of it.
    pub may_have_arrived: bool,
    /// Its account is held: this one finds out whether it may resume.
    pub probe: bool,
    /// Why its account is held, where it is.
    pub held_for: Option<PauseCause>,
    /// How often it was answered that the account is at fault, while the account was not held.
    pub rejections: u32,
    /// What a person wants to be offered as it was, as JSON.
    pub as_was: Option<String>,
}

/// What an attempt is about to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    pub ticket: Ticket,
    /// As JSON ([`Feedback::to_json`](crate::domain::Feedback::to_json)).
    pub feedback: String,
}

/// Proves who holds a lease (`fence` grows with every lease of the submission) and which answers
/// the holder has seen (`version` grows with every new answer).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket {
    pub submission: SubmissionId,
    pub fence: u64,
    pub version: u64,
}

/// Whether an attempt may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begun {
    Started,
    /// Answers came in since the lease; it is given back and due by what is known now.
    NewerAnswers,
    /// The lease ran out and another may hold the submission.
    LeaseLost,
}

#[derive(Debug, Clone)]
pub struct Settlement {
    pub ticket: Ticket,
    pub decision: Decision,
    /// Which parts of the survey spoke, as JSON; without one, the one that is kept stays.
    pub trace: Option<String>,
    pub at: Timestamp,
}

/// What was decided about a leased submission.
#[derive(Debug, Clone)]
pub enum Decision {
    /// There is nothing to tell; no attempt began.
    Ignored {
        reason: IgnoredReason,
        /// In a rule's own words.
        detail: Option<String>,
    },
    /// A person has to look at it before anything can be sent; no attempt began.
    Unsent {
        reason: DeadReason,
        detail: String,
    },
    /// The destination has what it was offered.
    Delivered {
        attempt: Attempt,
    },
    /// Not yet; the attempt is spent.
    Retry {
        attempt: Attempt,
        at: Timestamp,
    },
    Dead {
        attempt: Attempt,
        reason: DeadReason,
    },
    /// It is not to be offered again, and most others would die of the same: they wait.
    DeadAndHold {
        attempt: Attempt,
        reason: DeadReason,
        cause: PauseCause,
        /// When the account may be probed.
        probe_at: Timestamp,
    },
    /// The fault is not the submission's: its account is held, and the attempt is not spent.
    Hold {
        attempt: Attempt,
        cause: PauseCause,
        /// When the account may be probed.
        probe_at: Timestamp,
        /// When this submission is due again.
        at: Timestamp,
    },
}

/// What became of a settlement. Where something was said during the attempt that has to be sent as
/// well, the submission waits to be delivered again, whatever was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Done,
    /// Decided on older answers: the newer ones are kept and the submission is due by them.
    NewerAnswers,
    /// Another courier may hold the submission by now: nothing was overwritten.
    LeaseLost,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    pub totals: StateCounts,
    /// When the oldest submission became, or becomes, due for the first time, of all that wait.
    pub oldest_due_at: Option<Timestamp>,
    pub holds: Vec<Hold>,
    /// How large the ledger is, and how much of it is free to be written on.
    pub bytes: u64,
    pub free_bytes: u64,
}

/// An account whose submissions wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub account: Name,
    pub cause: PauseCause,
    pub since: Timestamp,
    /// What the destination said, or the person who holds it.
    pub status: Option<u16>,
    pub detail: String,
}

/// A submission as a person looks at it.
#[derive(Debug, Clone, PartialEq)]
pub struct SubmissionRow {
    pub id: SubmissionId,
    pub key: SubmissionKey,
    pub state: State,
    /// Why it was ignored or is dead, in words.
    pub detail: Option<String>,
    /// Which parts of the survey spoke when it was last mapped, as JSON.
    pub trace: Option<String>,
    pub accepted_at: Timestamp,
    pub due_at: Timestamp,
    pub settled_at: Option<Timestamp>,
    /// When all but its id and outcome was dropped; the call is not to be read then.
    pub gone_at: Option<Timestamp>,
    pub attempts: u32,
    pub last_attempt: Option<KeptAttempt>,
    /// What the destination was told last, as JSON, once it has accepted.
    pub feedback: Option<String>,
}

/// The attempt that was made last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAttempt {
    /// `None` while it is under way.
    pub verdict: Option<String>,
    pub status: Option<u16>,
    pub api_id: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the queue before the ledger is full")]
    Full,
    #[error("other bytes came by the same name before")]
    IdReused,
    #[error("the ledger is closed")]
    Closed,
    #[error("the ledger was opened only to be looked at")]
    OnlyLookedAt,
    #[error("the ledger {path} is served by another process")]
    InUse { path: String },
    #[error("{path} is not a Postcall ledger")]
    Foreign { path: String },
    #[error(
        "{path} has the form of another release: look at it with that one, or serve it with this \
         one, which brings it to the present form"
    )]
    OtherForm { path: String },
    #[error("the ledger {path} is damaged: {fault}; run: postcall doctor --ledger {path}")]
    Damaged { path: String, fault: String },
    #[error("opening the ledger {path}")]
    Open { path: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("writing the ledger")]
    Write(#[source] Arc<dyn std::error::Error + Send + Sync>),
    #[error("reading the ledger")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl StoreError {
    pub(super) fn open(
        path: &Path,
        error: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        StoreError::Open { path: path.display().to_string(), source: error.into() }
    }
}

impl Outcome {
    pub const ALL: [Outcome; 5] =
        [Outcome::New, Outcome::Added, Outcome::Repeat, Outcome::Late, Outcome::Gone];

    pub fn label(self) -> &'static str {
        match self {
            Outcome::New => "new",
            Outcome::Added => "added",
            Outcome::Repeat => "repeat",
            Outcome::Late => "late",
            Outcome::Gone => "gone",
        }
    }
}
