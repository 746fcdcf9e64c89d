use actix_web::web;
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{Answer, ApiError, Listener};
use super::problems::{BadBody, CommonProblems};
use super::reading::Body;
use crate::admin::{AccountList, AccountView, AdminApi, AdminError, ResumeResult};
use crate::domain::Name;

/// Request to pause an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PauseRequest {
    /// The reason in words, shown in the audit entry.
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    reason: String,
}

/// There is nothing to say.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Resuming {}

/// The accounts and whether their submissions wait.
#[utoipa::path(
    get,
    path = "/api/v1/accounts",
    operation_id = "list_accounts",
    tag = "accounts",
    responses((status = 200, description = "by name", body = AccountList), CommonProblems),
)]
pub(super) async fn list(listener: Listener) -> Answer<AccountList> {
    Ok(web::Json(listener.admin().accounts().await?))
}

/// Delivers nothing for an account until it is resumed. What comes in is kept.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{account}/pause",
    operation_id = "pause_account",
    tag = "accounts",
    params(("account" = String, Path, description = "its name in the settings")),
    request_body = PauseRequest,
    responses((status = 200, description = "the account is paused", body = AccountView), CommonProblems, BadBody),
)]
pub(super) async fn pause(
    path: web::Path<String>,
    Body(PauseRequest { reason }): Body<PauseRequest>,
    listener: Listener,
) -> Answer<AccountView> {
    let account = account(&path)?;
    listener.act(async move |admin| admin.pause(&account, &reason).await).await
}

/// Resumes an account, whatever its cause.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{account}/resume",
    operation_id = "resume_account",
    tag = "accounts",
    params(("account" = String, Path, description = "its name")),
    request_body = Resuming,
    responses((status = 200, description = "the account is not paused", body = ResumeResult), CommonProblems, BadBody),
)]
pub(super) async fn resume(
    path: web::Path<String>,
    Body(Resuming {}): Body<Resuming>,
    listener: Listener,
) -> Answer<ResumeResult> {
    let account = account(&path)?;
    listener.act(async move |admin| admin.resume(&account).await).await
}

fn account(path: &str) -> Result<Name, ApiError> {
    path.parse().map_err(|_| AdminError::unknown_account().into())
}
