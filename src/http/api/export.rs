use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;

use super::answer::{ApiError, Listener};
use super::problems::CommonProblems;
use super::reading::Query;
use crate::admin::{AdminError, Export, ExportOptions, SubmissionQuery};
use crate::telemetry::logs;

/// All that is found, the latest first, page by page as it is read. Where the connection breaks off,
/// something is missing.
#[utoipa::path(
    get,
    path = "/api/v1/export",
    operation_id = "export",
    tag = "submissions",
    params(ExportOptions, SubmissionQuery),
    responses(
        (status = 200, description = "one submission a line", content((String = "application/jsonl"), (String = "text/csv"))),
        CommonProblems
    ),
)]
pub(super) async fn export(
    request: HttpRequest,
    listener: Listener,
) -> Result<HttpResponse, ApiError> {
    let known = [&ExportOptions::KEYS[..], &SubmissionQuery::KEYS].concat();
    let mut query = Query::of(&request, &known)?;
    let (ExportOptions { format }, conditions) =
        (query.part(&ExportOptions::KEYS)?, query.part(&SubmissionQuery::KEYS)?);
    let mut export = Export::new(format, conditions);
    // The first page, while a problem can still be answered.
    let first = export.next(listener.admin()).await?;
    let parts = stream::try_unfold((first, export), move |(read, mut export)| {
        let listener = listener.clone();
        async move {
            let part = match read {
                Some(part) => Some(part),
                None => export.next(listener.admin()).await.inspect_err(|error| {
                    let error = logs::chain(error);
                    tracing::warn!(error, "an export was broken off");
                })?,
            };
            Ok::<_, AdminError>(part.map(|part| (Bytes::from(part), (None, export))))
        }
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, format.content_type()))
        .streaming(parts))
}
