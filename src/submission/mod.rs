//! A submission: everything one caller answered to one survey about one call, for one account.
//!
//! This module is pure: no I/O, no clock, no randomness, nothing asynchronous. Time and jitter are
//! arguments, so that every rule can be tested as a table.

mod answers;
mod retry;
mod state;

pub use answers::{
    AnswerValidity, Answers, ChangedAnswerPolicy, CompletionPolicy, DueTime, FieldValue,
    MergeResult, RecordedAnswer,
};
pub use retry::{Next, REJECTIONS_MAX, RetryPolicy, Tried, UnknownResult};
pub use state::{
    DeadReason, IgnoredReason, State, StateCounts, SubmissionId, SubmissionKey, UnknownState,
};
