//! What a person finds in the ledger and does to it.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;

use super::contract::SubmissionRow;
use crate::domain::{CallUuid, Name, WebhookId};
use crate::submission::Answers;

/// Which submissions are looked for: every condition that is given has to hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Search {
    /// One of [`State::LABELS`](crate::submission::State::LABELS).
    pub state: Option<&'static str>,
    /// The label of an [`IgnoredReason`](crate::submission::IgnoredReason) or a
    /// [`DeadReason`](crate::submission::DeadReason).
    pub reason: Option<String>,
    pub account: Option<Name>,
    pub survey: Option<Name>,
    /// One of its hooks came from there.
    pub source: Option<Name>,
    pub call: Option<CallUuid>,
    /// Accepted then or later.
    pub since: Option<Timestamp>,
    /// Accepted before.
    pub until: Option<Timestamp>,
}

/// Where in a search to go on. Its text is for whoever asked to hand back as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(super) accepted_at: i64,
    pub(super) seq: i64,
}

/// The text is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor that a page gave")]
pub struct MalformedCursor;

/// A part of what a search finds, the latest first.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    pub rows: Vec<SubmissionRow>,
    /// Where to go on; there is no more without one. A page may hold fewer than were asked for,
    /// even none, and still go on: how much one look reads is bounded.
    pub next: Option<Cursor>,
}

/// All that the ledger knows of one submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Dossier {
    pub row: SubmissionRow,
    /// In the order in which they came.
    pub hooks: Vec<KeptHook>,
    pub answers: Vec<KeptAnswer>,
    /// The first first.
    pub attempts: Vec<AttemptRecord>,
    /// What was done by hand, the first first.
    pub interventions: Vec<Intervention>,
    /// What there is more of than is listed.
    pub left_out: LeftOut,
}

impl Dossier {
    /// Most hooks, answers and attempts that are listed of one submission: a sender may have sent
    /// any number of them, each as long as a body may be.
    pub const LISTED_MAX: usize = 256;
}

/// How much of a submission is not listed: the later hooks and answers, and the earlier attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeftOut {
    pub hooks: usize,
    pub answers: usize,
    pub attempts: usize,
}

/// A hook as it lies in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptHook {
    pub id: WebhookId,
    pub source: Name,
    /// What it was to the ledger: one of [`Outcome`](super::Outcome)'s labels.
    pub outcome: String,
    pub method: String,
    pub received_at: Timestamp,
    /// As it came; `None` where there is neither query nor body, as after the time that the settings
    /// give bodies.
    pub said: Option<SaidByHook>,
}

/// What a hook said, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaidByHook {
    pub query: Option<String>,
    pub body: Vec<u8>,
}

/// One thing that a hook told: an answer, a field, that the caller hung up or opted out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// `answer`, `field`, `hang_up` or `opt_out`.
    pub kind: &'static str,
    /// The question or the field; empty for the other two.
    pub name: String,
    /// `None` is silence, or nothing to say.
    pub value: Option<String>,
    pub hook: WebhookId,
    pub received_at: Timestamp,
    /// It came after the submission was closed and counts for nothing.
    pub late: bool,
}

/// One attempt, as it lies in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    pub number: u32,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// `None` while it is under way.
    pub verdict: Option<String>,
    pub status: Option<u16>,
    pub api_id: Option<String>,
    /// The far side's own word for what is wrong.
    pub error: Option<String>,
    /// The reply's body or the transport's error, as far as it is kept.
    pub reply: Option<String>,
    /// What was offered, as JSON.
    pub feedback: Option<String>,
}

/// Something that a person did to a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intervention {
    pub at: Timestamp,
    /// `replay`, `replay_as_was`, `discard` or `erase`.
    pub action: String,
    /// The reason that was given.
    pub detail: Option<String>,
}

/// What a submission says, for whoever wants to know what it would come to today.
#[derive(Debug, Clone, PartialEq)]
pub struct Mappable {
    pub row: SubmissionRow,
    /// Those that count.
    pub answers: Answers,
    /// What the last attempt offered, as JSON.
    pub offered: Option<String>,
}

/// How submissions are to be offered again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// What the last attempt offered, word for word; otherwise they are mapped anew.
    pub as_was: bool,
    /// Also what the destination has accepted.
    pub accepted_too: bool,
    pub at: Timestamp,
}

/// What became of one submission that a person wants something done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Done {
    Done,
    /// The ledger has no such submission.
    Unknown,
    /// The destination has accepted it, and nobody asked for those.
    Accepted,
    /// It waits to be delivered already.
    Waiting,
    /// An attempt is under way; nothing may be changed before it has ended.
    UnderWay,
    /// It was discarded, or is known no more: that is final.
    Gone,
    /// No attempt was made with it, so there is nothing to offer as it was.
    NeverOffered,
}

/// What of settled submissions is kept no longer. What is dead is kept until a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Horizon {
    /// Queries and bodies of hooks, and replies, of what was settled before.
    pub bodies: Timestamp,
    /// All but its id and its outcome, of what was settled before.
    pub submissions: Timestamp,
    /// That too.
    pub tombstones: Timestamp,
}

/// How much was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    pub bodies: usize,
    pub submissions: usize,
    pub tombstones: usize,
}

impl Done {
    pub const ALL: [Done; 7] = [
        Done::Done,
        Done::Unknown,
        Done::Accepted,
        Done::Waiting,
        Done::UnderWay,
        Done::Gone,
        Done::NeverOffered,
    ];

    pub fn label(self) -> &'static str {
        match self {
            Done::Done => "done",
            Done::Unknown => "unknown",
            Done::Accepted => "accepted",
            Done::Waiting => "waiting",
            Done::UnderWay => "under_way",
            Done::Gone => "gone",
            Done::NeverOffered => "never_offered",
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.accepted_at, self.seq)
    }
}

impl FromStr for Cursor {
    type Err = MalformedCursor;

    fn from_str(text: &str) -> Result<Self, MalformedCursor> {
        let (accepted_at, seq) = text.rsplit_once('-').ok_or(MalformedCursor)?;
        let number = |text: &str| text.parse().map_err(|_| MalformedCursor);
        Ok(Self { accepted_at: number(accepted_at)?, seq: number(seq)? })
    }
}
