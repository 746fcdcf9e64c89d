//! The nouns, and the laws that hold between them.
//!
//! A [`Hook`] is read into [`Answers`] about one call; all that one caller answered to one survey
//! about one call, for one account, is a submission ([`SubmissionKey`], [`State`]); its answers
//! become [`Feedback`]; every [`Attempt`] to hand that over earns a [`Verdict`], and
//! [`RetryPolicy`] says what follows.
//!
//! This room knows no clock, no randomness, no I/O, no logging and nothing asynchronous: time and
//! jitter are arguments, so every rule here can be tested as a table.

mod account;
mod answers;
mod attempt;
mod call;
mod feedback;
mod hold;
mod hook;
mod issue;
mod name;
mod observer;
mod rating;
mod retry;
mod submission;

pub use account::{Account, Credentials, ReadTokens};
pub use answers::{
    Answer, Answers, Changes, Completion, Due, Heard, Question, Report, Reported, Said, Standing,
    Told,
};
pub use attempt::{Attempt, Reply, Verdict};
pub use call::{CallUuid, MalformedCall};
pub use feedback::{Feedback, UnlawfulFeedback, UnreadableFeedback};
pub use hold::{HoldCause, UnknownHoldCause};
pub use hook::{Hook, HookId, Identity, Method};
pub use issue::{Issue, Issues, UnknownIssue};
pub use name::{MalformedName, Name};
pub use observer::Observer;
pub use rating::{Rating, RatingOutOfRange};
pub use retry::{Next, REJECTIONS_MAX, RetryPolicy, Tried, UnknownResult};
pub use submission::{
    DeadReason, IgnoredReason, State, SubmissionId, SubmissionKey, Totals, UnknownState,
};
