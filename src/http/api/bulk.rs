use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{Answer, Listener};
use super::problems::{BadBody, CommonProblems, RateLimited};
use super::reading::Body;
use crate::admin::{
    AdminApi, AdminError, AdminService, BulkDiscardRequest, BulkReplayRequest, DiscardResult,
    EraseResult, ReplayResult,
};

/// Whose words are to be forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Erasing {
    #[schema(pattern = "^[A-Za-z0-9-]{1,64}$")]
    call: String,
}

/// Offers a page of what is found again, or shows what would come of it.
#[utoipa::path(
    post,
    path = "/api/v1/replay",
    operation_id = "replay",
    tag = "bulk",
    request_body = BulkReplayRequest,
    responses(
        (status = 200, description = "what came of this page, or would", body = ReplayResult),
        CommonProblems, BadBody, RateLimited
    ),
)]
pub(super) async fn replay(
    Body(request): Body<BulkReplayRequest>,
    listener: Listener,
) -> Answer<ReplayResult> {
    listener.act(async move |admin| admin.replay(&request).await).await
}

/// Gives a page of what is found up for good.
#[utoipa::path(
    post,
    path = "/api/v1/discard",
    operation_id = "discard",
    tag = "bulk",
    request_body = BulkDiscardRequest,
    responses(
        (status = 200, description = "what came of this page", body = DiscardResult),
        CommonProblems, BadBody, RateLimited
    ),
)]
pub(super) async fn discard(
    Body(request): Body<BulkDiscardRequest>,
    listener: Listener,
) -> Answer<DiscardResult> {
    listener.act(async move |admin| admin.discard(&request).await).await
}

/// Forgets all that was said on a call, whatever became of it. Only that there was something stays.
#[utoipa::path(
    post,
    path = "/api/v1/erase",
    operation_id = "erase",
    tag = "privacy",
    request_body = Erasing,
    responses((status = 200, description = "it is forgotten", body = EraseResult), CommonProblems, BadBody),
)]
pub(super) async fn erase(
    Body(Erasing { call }): Body<Erasing>,
    listener: Listener,
) -> Answer<EraseResult> {
    let call = call.parse().map_err(|error| AdminError::invalid("call", error))?;
    let ingest = listener.api.ingest.clone();
    let erase = async move |admin: &AdminService| {
        let erasure = ingest.begin_erasure(&call).await;
        admin.erase_all(&call, erasure.removed.clone()).await
    };
    listener.act(erase).await
}
