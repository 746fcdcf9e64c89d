use actix_web::{HttpRequest, web};

use super::answer::{Answer, Listener};
use super::problems::CommonProblems;
use super::reading::Query;
use crate::admin::{InsightsQuery, InsightsReport};

/// What callers say: the figures of the console's insights, of submissions that are settled.
#[utoipa::path(
    get,
    path = "/api/v1/insights",
    operation_id = "insights",
    tag = "insights",
    params(InsightsQuery),
    responses((status = 200, description = "the figures", body = InsightsReport), CommonProblems),
)]
pub(super) async fn insights(request: HttpRequest, listener: Listener) -> Answer<InsightsReport> {
    let query = Query::of(&request, &InsightsQuery::KEYS)?;
    let query = InsightsQuery::read(|key| query.get(key))?;
    Ok(web::Json(listener.api.admin.insights_report(&query).await?))
}
