use actix_web::{HttpResponse, web};

use super::super::probes::PrivateDoor;
use super::refusal::Refusals;
use super::told::answer;
use crate::triage::ShownTotals;

/// How many submissions there are in each state.
#[utoipa::path(
    get,
    path = "/api/v1/totals",
    operation_id = "totals",
    tag = "submissions",
    responses((status = 200, description = "the books", body = ShownTotals), Refusals),
)]
pub(super) async fn totals(door: web::Data<PrivateDoor>) -> HttpResponse {
    answer(async { Ok(door.api.triage.totals().await?) }.await)
}
