use std::fmt::Display;

use actix_web::http::StatusCode;
use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::faults::Plan;
use super::record::Record;
use super::stand_in::{BODY_MAX, StandIn};

/// Replaces the whole plan; `{}` is a plan without faults.
pub async fn put_faults(body: Payload, stand_in: Data<StandIn>) -> HttpResponse {
    let body = match body.to_bytes_limited(BODY_MAX).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => return refused(StatusCode::BAD_REQUEST, error),
        Err(error) => return refused(StatusCode::PAYLOAD_TOO_LARGE, error),
    };
    match serde_json::from_slice::<Plan>(&body) {
        Ok(plan) => {
            *stand_in.plan() = plan;
            HttpResponse::NoContent().finish()
        }
        Err(error) => refused(StatusCode::BAD_REQUEST, error),
    }
}

pub async fn get_feedback(request: HttpRequest, stand_in: Data<StandIn>) -> HttpResponse {
    match Query::<Wanted>::from_query(request.query_string()) {
        Ok(Query(Wanted { call_uuid, cursor })) => {
            // Taken first, so that no one waits for a page to be written out.
            let page = stand_in.record().page(call_uuid.as_deref(), cursor);
            HttpResponse::Ok().json(page)
        }
        Err(error) => refused(StatusCode::BAD_REQUEST, error),
    }
}

pub async fn get_summary(stand_in: Data<StandIn>) -> HttpResponse {
    HttpResponse::Ok().json(stand_in.record().summary())
}

pub async fn forget(stand_in: Data<StandIn>) -> HttpResponse {
    *stand_in.plan() = Plan::default();
    *stand_in.record() = Record::default();
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    call_uuid: Option<String>,
    #[serde(default)]
    cursor: u64,
}

fn refused(status: StatusCode, error: impl Display) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": error.to_string() }))
}
