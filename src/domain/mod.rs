//! Value types that the other modules share, and the constraints on them: a call id, a name, a
//! rating, an issue, feedback, a webhook and what was extracted from it, an attempt and its verdict; names of
//! spans; advice about a name that is not known, and an error with its causes.
//!
//! Pure: no clock, no randomness, no I/O, no logging, nothing asynchronous.

mod account;
mod advice;
mod attempt;
mod call;
mod chain;
mod extraction;
mod feedback;
mod issue;
mod name;
mod rating;
mod trace;
mod webhook;

pub use account::{Account, Credentials, ReadTokens};
pub use advice::{Advice, closest};
pub use attempt::{Attempt, AttemptResponse, Verdict};
pub use call::{CallUuid, MalformedCall};
pub use chain::chain;
pub use extraction::{Answer, ExtractedAnswer, Extraction, Question};
pub use feedback::{Feedback, InvalidFeedback, UnreadableFeedback};
pub use issue::{Issue, Issues, UnknownIssue};
pub use name::{MalformedName, Name};
pub use rating::{Rating, RatingOutOfRange};
pub use trace::{MalformedTraceParent, SpanContext, SpanId, TraceId, TraceParent};
pub use webhook::{Headers, IdempotencyKey, Method, Webhook, WebhookId};
