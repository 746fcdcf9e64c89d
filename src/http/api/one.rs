use actix_web::{HttpResponse, web};

use super::super::probes::PrivateDoor;
use super::reading::{Sent, id};
use super::refusal::{BadBody, NotNow, Refusals};
use super::told::{answer, to_its_end};
use crate::triage::{Discarded, Discarding, Replayed, Replaying, Shown};

/// All that is known of one submission: what came in, what went out, and what was done by hand.
#[utoipa::path(
    get,
    path = "/api/v1/submissions/{id}",
    operation_id = "show_submission",
    tag = "submissions",
    params(("id" = String, Path, format = "uuid", description = "its id")),
    responses((status = 200, description = "the submission", body = Shown), Refusals),
)]
pub(super) async fn show(path: web::Path<String>, door: web::Data<PrivateDoor>) -> HttpResponse {
    answer(async { Ok(door.api.triage.show(id(&path)?).await?) }.await)
}

/// Offers one submission again, or shows what would come of it.
#[utoipa::path(
    post,
    path = "/api/v1/submissions/{id}/replay",
    operation_id = "replay_submission",
    tag = "submissions",
    params(("id" = String, Path, format = "uuid", description = "its id")),
    request_body = Replaying,
    responses(
        (status = 200, description = "it is due again, or what would come of it", body = Replayed),
        Refusals, BadBody, NotNow
    ),
)]
pub(super) async fn replay(
    path: web::Path<String>,
    Sent(how): Sent<Replaying>,
    door: web::Data<PrivateDoor>,
) -> HttpResponse {
    let now = (door.api.clock)();
    answer(
        async {
            let (id, triage) = (id(&path)?, door.api.triage.clone());
            to_its_end(async move { triage.replay_one(id, how, now).await }).await
        }
        .await,
    )
}

/// Gives one submission up for good.
#[utoipa::path(
    post,
    path = "/api/v1/submissions/{id}/discard",
    operation_id = "discard_submission",
    tag = "submissions",
    params(("id" = String, Path, format = "uuid", description = "its id")),
    request_body = Discarding,
    responses(
        (status = 200, description = "it is discarded", body = Discarded),
        Refusals, BadBody, NotNow
    ),
)]
pub(super) async fn discard(
    path: web::Path<String>,
    Sent(how): Sent<Discarding>,
    door: web::Data<PrivateDoor>,
) -> HttpResponse {
    let now = (door.api.clock)();
    answer(
        async {
            let (id, triage) = (id(&path)?, door.api.triage.clone());
            to_its_end(async move { triage.discard_one(id, &how, now).await }).await
        }
        .await,
    )
}
