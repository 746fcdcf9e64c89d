use actix_web::{HttpResponse, web};

use super::super::probes::PrivateDoor;
use super::reading::Sent;
use super::refusal::{BadBody, Refusals};
use super::told::{answer, to_its_end};
use crate::triage::{Erased, Erasing};

/// Forgets all that was said on a call, whatever became of it. Only that there was something stays.
#[utoipa::path(
    post,
    path = "/api/v1/erase",
    operation_id = "erase",
    tag = "privacy",
    request_body = Erasing,
    responses((status = 200, description = "it is forgotten", body = Erased), Refusals, BadBody),
)]
pub(super) async fn erase(Sent(how): Sent<Erasing>, door: web::Data<PrivateDoor>) -> HttpResponse {
    let now = (door.api.clock)();
    let triage = door.api.triage.clone();
    answer(to_its_end(async move { triage.erase(&how, now).await }).await)
}
