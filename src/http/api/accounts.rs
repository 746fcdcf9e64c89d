use actix_web::{HttpResponse, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::super::probes::PrivateDoor;
use super::reading::Sent;
use super::refusal::{BadBody, Refusals};
use super::told::{answer, to_its_end};
use crate::triage::{Accounts, Holding, Resumed, ShownAccount};

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
    responses((status = 200, description = "by name", body = Accounts), Refusals),
)]
pub(super) async fn list(door: web::Data<PrivateDoor>) -> HttpResponse {
    answer(async { Ok(door.api.triage.accounts().await?) }.await)
}

/// Delivers nothing for an account until it is resumed. What comes in is kept.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{account}/hold",
    operation_id = "hold_account",
    tag = "accounts",
    params(("account" = String, Path, description = "its name in the settings")),
    request_body = Holding,
    responses((status = 200, description = "it is held", body = ShownAccount), Refusals, BadBody),
)]
pub(super) async fn hold(
    path: web::Path<String>,
    Sent(how): Sent<Holding>,
    door: web::Data<PrivateDoor>,
) -> HttpResponse {
    let now = (door.api.clock)();
    let (account, triage) = (path.into_inner(), door.api.triage.clone());
    answer(to_its_end(async move { triage.hold(&account, &how, now).await }).await)
}

/// Ends the hold of an account, whatever its cause.
#[utoipa::path(
    post,
    path = "/api/v1/accounts/{account}/resume",
    operation_id = "resume_account",
    tag = "accounts",
    params(("account" = String, Path, description = "its name")),
    request_body = Resuming,
    responses((status = 200, description = "it is not held", body = Resumed), Refusals, BadBody),
)]
pub(super) async fn resume(
    path: web::Path<String>,
    Sent(Resuming {}): Sent<Resuming>,
    door: web::Data<PrivateDoor>,
) -> HttpResponse {
    let now = (door.api.clock)();
    let (account, triage) = (path.into_inner(), door.api.triage.clone());
    answer(to_its_end(async move { triage.resume(&account, now).await }).await)
}
