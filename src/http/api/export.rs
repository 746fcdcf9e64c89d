use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;

use super::super::probes::PrivateDoor;
use super::reading::Query;
use super::refusal::Refusals;
use super::told::Told;
use crate::telemetry::logs;
use crate::triage::{Exporting, Format, Listed, PAGE_MAX, Paging, Sought, TriageError};

/// All that is found, the latest first, page by page as it is read. Where the connection breaks off,
/// something is missing.
#[utoipa::path(
    get,
    path = "/api/v1/export",
    operation_id = "export",
    tag = "submissions",
    params(Exporting, Sought),
    responses(
        (status = 200, description = "one submission a line", content((String = "application/jsonl"), (String = "text/csv"))),
        Refusals
    ),
)]
pub(super) async fn export(request: HttpRequest, door: web::Data<PrivateDoor>) -> HttpResponse {
    match begin(&request, &door).await {
        Ok((format, sought, first)) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, format.content_type()))
            .streaming(written(door, format, sought, first)),
        Err(told) => told.response(),
    }
}

/// The first page, while there is still somebody to tell what is wrong.
async fn begin(
    request: &HttpRequest,
    door: &PrivateDoor,
) -> Result<(Format, Sought, Listed), Told> {
    let known = [&Exporting::KEYS[..], &Sought::KEYS].concat();
    let mut query = Query::of(request, &known)?;
    let (Exporting { format }, sought) = (query.exporting()?, query.sought()?);
    let first = door.api.triage.list(&sought, &page(None)).await?;
    Ok((format, sought, first))
}

fn written(
    door: web::Data<PrivateDoor>,
    format: Format,
    sought: Sought,
    first: Listed,
) -> impl futures_util::Stream<Item = Result<Bytes, TriageError>> {
    let begun = (format.head(), Some(Next::Read(first)));
    stream::try_unfold(begun, move |(mut text, next)| {
        let (door, sought) = (door.clone(), sought.clone());
        async move {
            let listed = match next {
                None => return Ok(None),
                Some(Next::Read(listed)) => listed,
                Some(Next::After(cursor)) => {
                    let listed = door.api.triage.list(&sought, &page(Some(cursor))).await;
                    listed.inspect_err(|error| {
                        let error = logs::chain(error);
                        tracing::warn!(error, "an export was broken off");
                    })?
                }
            };
            for submission in &listed.submissions {
                text.extend(format.line(submission));
            }
            let next = listed.next_cursor.map(Next::After);
            Ok(Some((Bytes::from(text), (Vec::new(), next))))
        }
    })
}

enum Next {
    Read(Listed),
    After(String),
}

fn page(cursor: Option<String>) -> Paging {
    Paging { cursor, limit: Some(PAGE_MAX) }
}
