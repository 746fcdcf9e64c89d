//! Operator actions: what an operator finds in the store, and does to it.
//!
//! [`AdminApi`] is the one API of these actions. [`AdminService`] implements it on a store: it asks the
//! store, which knows what may be done with what, and maps what a replay would send. The command line
//! implements it again as a client of a running service. What goes in and comes out is defined here,
//! so that it is the same in the process, over HTTP and on the command line.

mod accounts;
mod api;
mod control;
mod difference;
mod error;
mod export;
mod insights;
mod insights_report;
mod inspection;
mod masking;
mod object;
mod playground;
mod quarantine;
mod query;
mod recent;
mod requests;
mod role;
mod service;
mod statistics;
mod step;
mod surveys;
mod throttle;
mod time;
mod views;

pub use accounts::{AccountList, AccountView, PauseView, ResumeResult};
pub use api::AdminApi;
pub use control::Period;
pub use difference::{After, Before, Difference};
pub use error::{AdminError, ApiProblem, Result};
pub use export::{Export, ExportFormat, ExportOptions};
pub use insights::{
    ByValue, Insights, InsightsQuery, InsightsTable, IssueCounts, SurveyChange, Tally, VALUES_MAX,
};
pub use insights_report::InsightsReport;
pub use inspection::{CallInspection, Inspection};
pub use masking::Mask;
pub use object::only_object;
pub use playground::{
    DecisionTable, PlaygroundFault, PlaygroundPart, PlaygroundRequest, PlaygroundResult,
    PlaygroundStep, StoredCall, StoredCalls,
};
pub use quarantine::{
    QuarantineDrop, QuarantineDropped, QuarantineList, QuarantineRetried, QuarantineRetry,
    QuarantinedDetail, QuarantinedView, RejectionList, RejectionView,
};
pub use query::{
    PAGE, PAGE_MAX, Paging, SubmissionPage, SubmissionQuery, cursor_time, reason_labels,
};
pub use recent::{ActionSubject, RecentAction};
pub use requests::{
    BulkDiscardRequest, BulkReplayRequest, DiscardResult, EraseResult, ReplayPayload,
    ReplayRequest, ReplayResult, SkippedByReason,
};
pub use role::Role;
pub use service::{AdminConfig, AdminService};
pub use statistics::{Share, limits};
pub use step::{NoStep, scalar};
pub use surveys::{SurveyList, SurveyView};
pub use time::time;
pub use views::{
    AnswerStatus, AnswerView, AttemptView, AuditView, FeedbackView, LastAttempt, StateName,
    SubmissionDetailView, SubmissionView, Truncated, WebhookView,
};
