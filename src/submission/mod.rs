//! A submission: everything one caller answered to one survey about one call, for one account, and
//! every transition of it.
//!
//! [`Submission`] is the aggregate. A webhook is merged into it by [`Submission::receive`]; delivery
//! goes through [`claim`](Submission::claim), [`settle`](Submission::settle) and
//! [`expire`](Submission::expire); an operator may [`replay`](Submission::replay),
//! [`discard`](Submission::discard) or [`erase`](Submission::erase) it; retention
//! [strips](Submission::strip) and [purges](Submission::purge) it. The store keeps what these return
//! and decides nothing; `explain`, `test` and dry runs call the same functions.
//!
//! This module is pure: no I/O, no clock, no randomness, nothing asynchronous. Time and jitter are
//! arguments, so that every rule can be tested as a table.

mod answers;
mod deliver;
mod document;
mod insight;
mod invariants;
mod operate;
mod receive;
mod retry;
mod state;
mod tally;
#[cfg(test)]
mod tests;

pub use answers::{
    AnswerValidity, Answers, ChangedAnswerPolicy, CompletionPolicy, DueTime, Fact, FieldValue,
    MergeResult, RecordedAnswer,
};
pub use deliver::{
    CLOCK_SLACK, Claim, ClaimContext, ClaimOutcome, Decision, LeaseToken, Mapped, Mapper, Mapping,
    Settled, Settlement,
};
pub use document::{AttemptRecord, AttemptResponse, AuditEntry, Document, Json, Submission};
pub use insight::{Insight, IssueOrigin};
pub use invariants::{Remains, SetAside};
pub use operate::{ActionOutcome, Replay};
pub use receive::{Arrival, Outcome, Receipt};
pub use retry::{AttemptHistory, Next, REJECTIONS_MAX, RetryPolicy, UnknownResult};
pub use state::{
    DeadReason, IgnoredReason, RetentionLevel, State, StateCounts, SubmissionId, SubmissionKey,
    UnknownState,
};
pub use tally::{Cell, FieldValues, InsightFilter, LimitedMapper, Tallies};
