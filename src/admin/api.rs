use async_trait::async_trait;

use super::accounts::{AccountList, AccountView, ResumeResult};
use super::error::Result;
use super::query::{Paging, SubmissionPage, SubmissionQuery};
use super::requests::{
    BulkDiscardRequest, BulkReplayRequest, DiscardResult, EraseResult, ReplayRequest, ReplayResult,
};
use super::surveys::SurveyList;
use super::views::SubmissionDetailView;
use crate::domain::{CallUuid, Name};
use crate::submission::{StateCounts, SubmissionId};

/// The operator actions, on a store in this process or at a running service.
///
/// Every method fails with [`AdminError`](super::AdminError): its variants say what may be wrong.
#[async_trait(?Send)]
pub trait AdminApi {
    /// A page of submissions, the latest first.
    async fn list(&self, query: &SubmissionQuery, paging: &Paging) -> Result<SubmissionPage>;

    /// One submission with its webhooks, answers, attempts and audit entries.
    async fn show(&self, id: SubmissionId) -> Result<SubmissionDetailView>;

    /// Replays one submission, or previews that.
    async fn replay_one(&self, id: SubmissionId, options: ReplayRequest) -> Result<ReplayResult>;

    /// Replays a page of submissions, or previews that.
    async fn replay(&self, request: &BulkReplayRequest) -> Result<ReplayResult>;

    /// Discards one submission, which is final.
    async fn discard_one(&self, id: SubmissionId, comment: &str) -> Result<DiscardResult>;

    /// Discards a page of submissions, which is final.
    async fn discard(&self, request: &BulkDiscardRequest) -> Result<DiscardResult>;

    /// Erases everything about a call but the ids and the outcomes of its submissions.
    async fn erase(&self, call: &CallUuid) -> Result<EraseResult>;

    /// Accounts of the settings and of the store, by name.
    async fn accounts(&self) -> Result<AccountList>;

    /// Pauses deliveries of an account until an operator resumes it.
    async fn pause(&self, account: &Name, comment: &str) -> Result<AccountView>;

    /// Resumes deliveries of an account, whatever paused it.
    async fn resume(&self, account: &Name) -> Result<ResumeResult>;

    /// Surveys of the settings, by name, with what an export has columns for.
    async fn surveys(&self) -> Result<SurveyList>;

    /// Submissions by state.
    async fn totals(&self) -> Result<StateCounts>;
}
