use actix_web::{HttpRequest, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{Answer, Listener};
use super::problems::{BadBody, CommonProblems, Conflicts};
use super::reading::{Body, Query, id};
use crate::admin::{
    AdminApi, DiscardResult, Paging, ReplayRequest, ReplayResult, SubmissionDetailView,
    SubmissionPage, SubmissionQuery, SurveyList,
};
use crate::submission::StateCounts;

/// Why a submission is given up.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Discarding {
    /// The reason in words, shown in the audit entry.
    #[schema(min_length = 1, max_length = 500, pattern = r"\S")]
    reason: String,
}

/// Submissions, the latest first.
#[utoipa::path(
    get,
    path = "/api/v1/submissions",
    operation_id = "list_submissions",
    tag = "submissions",
    params(SubmissionQuery, Paging),
    responses((status = 200, description = "a page of what is found", body = SubmissionPage), CommonProblems),
)]
pub(super) async fn list(request: HttpRequest, listener: Listener) -> Answer<SubmissionPage> {
    let mut query = Query::of(&request, &[&SubmissionQuery::KEYS[..], &Paging::KEYS].concat())?;
    let (conditions, paging) = (query.part(&SubmissionQuery::KEYS)?, query.paging()?);
    Ok(web::Json(listener.admin().list(&conditions, &paging).await?))
}

/// One submission in full: its webhooks, its attempts and the operator actions on it.
#[utoipa::path(
    get,
    path = "/api/v1/submissions/{id}",
    operation_id = "show_submission",
    tag = "submissions",
    params(("id" = String, Path, format = "uuid", description = "its id")),
    responses((status = 200, description = "the submission", body = SubmissionDetailView), CommonProblems),
)]
pub(super) async fn show(
    path: web::Path<String>,
    listener: Listener,
) -> Answer<SubmissionDetailView> {
    Ok(web::Json(listener.admin().show(id(&path)?).await?))
}

/// Offers one submission again, or shows what would come of it.
#[utoipa::path(
    post,
    path = "/api/v1/submissions/{id}/replay",
    operation_id = "replay_submission",
    tag = "submissions",
    params(("id" = String, Path, format = "uuid", description = "its id")),
    request_body = ReplayRequest,
    responses(
        (status = 200, description = "it is due again, or what would come of it", body = ReplayResult),
        CommonProblems, BadBody, Conflicts
    ),
)]
pub(super) async fn replay(
    path: web::Path<String>,
    Body(options): Body<ReplayRequest>,
    listener: Listener,
) -> Answer<ReplayResult> {
    let id = id(&path)?;
    listener.act(async move |admin| admin.replay_one(id, options).await).await
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
        (status = 200, description = "it is discarded", body = DiscardResult),
        CommonProblems, BadBody, Conflicts
    ),
)]
pub(super) async fn discard(
    path: web::Path<String>,
    Body(Discarding { reason }): Body<Discarding>,
    listener: Listener,
) -> Answer<DiscardResult> {
    let id = id(&path)?;
    listener.act(async move |admin| admin.discard_one(id, &reason).await).await
}

/// How many submissions there are in each state.
#[utoipa::path(
    get,
    path = "/api/v1/totals",
    operation_id = "totals",
    tag = "submissions",
    responses((status = 200, description = "the state counts", body = StateCounts), CommonProblems),
)]
pub(super) async fn totals(listener: Listener) -> Answer<StateCounts> {
    Ok(web::Json(listener.admin().totals().await?))
}

/// Surveys of the settings: the questions and fields that an export has columns for.
#[utoipa::path(
    get,
    path = "/api/v1/surveys",
    operation_id = "list_surveys",
    tag = "submissions",
    responses((status = 200, description = "the surveys, by name", body = SurveyList), CommonProblems),
)]
pub(super) async fn surveys(listener: Listener) -> Answer<SurveyList> {
    Ok(web::Json(listener.admin().surveys().await?))
}
