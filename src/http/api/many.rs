use actix_web::{HttpRequest, HttpResponse, web};

use super::super::probes::PrivateDoor;
use super::reading::{Query, Sent};
use super::refusal::{BadBody, Refusals, TooSoon};
use super::told::{answer, to_its_end};
use crate::triage::{DiscardPage, Discarded, Listed, Paging, ReplayPage, Replayed, Sought};

/// Submissions, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/submissions",
    operation_id = "list_submissions",
    tag = "submissions",
    params(Sought, Paging),
    responses((status = 200, description = "a page of what is found", body = Listed), Refusals),
)]
pub(super) async fn list(request: HttpRequest, door: web::Data<PrivateDoor>) -> HttpResponse {
    answer(
        async {
            let known = [&Sought::KEYS[..], &Paging::KEYS].concat();
            let mut query = Query::of(&request, &known)?;
            Ok(door.api.triage.list(&query.sought()?, &query.paging()?).await?)
        }
        .await,
    )
}

/// Offers a page of what is found again, or shows what would come of it.
#[utoipa::path(
    post,
    path = "/api/v1/replay",
    operation_id = "replay",
    tag = "bulk",
    request_body = ReplayPage,
    responses(
        (status = 200, description = "what came of this page, or would", body = Replayed),
        Refusals, BadBody, TooSoon
    ),
)]
pub(super) async fn replay(
    Sent(page): Sent<ReplayPage>,
    door: web::Data<PrivateDoor>,
) -> HttpResponse {
    let now = (door.api.clock)();
    let triage = door.api.triage.clone();
    answer(to_its_end(async move { triage.replay(&page, now).await }).await)
}

/// Gives a page of what is found up for good.
#[utoipa::path(
    post,
    path = "/api/v1/discard",
    operation_id = "discard",
    tag = "bulk",
    request_body = DiscardPage,
    responses(
        (status = 200, description = "what came of this page", body = Discarded),
        Refusals, BadBody, TooSoon
    ),
)]
pub(super) async fn discard(
    Sent(page): Sent<DiscardPage>,
    door: web::Data<PrivateDoor>,
) -> HttpResponse {
    let now = (door.api.clock)();
    let triage = door.api.triage.clone();
    answer(to_its_end(async move { triage.discard(&page, now).await }).await)
}
