use actix_web::http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Bytes, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::api_error::ApiError;
use super::connection;
use super::faults::{Harm, RequestPlan};
use super::feedback::Feedback;
use super::record::Accepted;
use super::stand_in::{BODY_MAX, StandIn};

/// Any request to the one path that the API has.
pub async fn post_feedback(
    request: HttpRequest,
    call_uuid: Path<String>,
    payload: Payload,
    stand_in: Data<StandIn>,
) -> HttpResponse {
    // Read to its end before anything is said of it: a refusal leaves the connection fit for the
    // next request, and faults strike in the order in which requests are whole.
    let body = match payload.to_bytes_limited(BODY_MAX).await {
        Ok(Ok(body)) => Ok(body),
        Err(_) => Err(ApiError::BodyTooLarge),
        // Half a request is not for the API to judge: its sender is gone, or speaks no HTTP.
        Ok(Err(error)) => {
            stand_in.record().request_dropped();
            return HttpResponse::from_error(error);
        }
    };
    let fate = stand_in.plan().next(&call_uuid);
    let considered = || {
        let received = consider(&request, &stand_in, call_uuid.as_str(), &body, &fate);
        answer(received, &stand_in)
    };

    // Before the delay: feedback of a client that stops waiting counts all the same.
    let reply = match &fate.effect.harm {
        Harm::None => Some(considered()),
        Harm::ResetAfter => {
            considered();
            None
        }
        Harm::ResetBefore => {
            stand_in.record().request_dropped();
            None
        }
        Harm::Status { status, retry_after } => {
            let mut reply = refuse(*status, struck_text(*status), &stand_in);
            if let Some(retry_after) = retry_after {
                reply.headers_mut().insert(RETRY_AFTER, retry_after.clone());
            }
            Some(reply)
        }
    };
    if !fate.effect.delay.is_zero() {
        tokio::time::sleep(fate.effect.delay).await;
    }
    match reply {
        Some(reply) => reply,
        None => connection::sever(&request).await,
    }
}

/// Any request to any other path.
pub async fn no_such_resource(stand_in: Data<StandIn>) -> HttpResponse {
    answer(Err(ApiError::NoSuchResource), &stand_in)
}

/// The checks of the API in their order.
fn consider(
    request: &HttpRequest,
    stand_in: &StandIn,
    call_uuid: &str,
    body: &Result<Bytes, ApiError>,
    fate: &RequestPlan,
) -> Result<Accepted, ApiError> {
    let auth_id =
        stand_in.credentials.authenticate(request.headers()).ok_or(ApiError::Unauthenticated)?;
    if request.method() != Method::POST {
        return Err(ApiError::WrongMethod);
    }
    if fate.unknown_call || !could_name_a_call(call_uuid) {
        return Err(ApiError::UnknownCall);
    }
    let feedback = Feedback::read(body.as_ref().map_err(|refusal| *refusal)?, fate.spelling)?;
    let call_uuid = call_uuid.to_owned();
    Ok(Accepted { call_uuid, feedback, auth_id, received_at: Timestamp::now() })
}

/// Whether it can be a call id: two examples of the document are no valid UUIDs, so only the characters are checked.
fn could_name_a_call(call_uuid: &str) -> bool {
    call_uuid.len() <= 64 && call_uuid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Records the feedback and makes the response.
fn answer(received: Result<Accepted, ApiError>, stand_in: &StandIn) -> HttpResponse {
    match received {
        Ok(accepted) => {
            stand_in.record().feedback_accepted(accepted);
            HttpResponse::Created().json(json!({
                "message": "Feedback has been posted",
                "api_id": Uuid::now_v7().to_string(),
                "status": "success",
            }))
        }
        Err(refusal) => refuse(refusal.status(), refusal.text(), stand_in),
    }
}

fn refuse(status: StatusCode, text: &str, stand_in: &StandIn) -> HttpResponse {
    tracing::debug!(status = status.as_u16(), "the simulator refused a request: {text}");
    stand_in.record().request_refused(status);
    let mut reply = HttpResponse::build(status);
    match status {
        StatusCode::UNAUTHORIZED => reply.insert_header((WWW_AUTHENTICATE, "Basic")),
        StatusCode::METHOD_NOT_ALLOWED => reply.insert_header((ALLOW, "POST")),
        _ => &mut reply,
    };
    reply.json(json!({ "api_id": Uuid::now_v7().to_string(), "error": text }))
}

/// The words for a status that a fault asked for: the document's where it has one text for it.
fn struck_text(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => ApiError::Unauthenticated.text(),
        StatusCode::METHOD_NOT_ALLOWED => ApiError::WrongMethod.text(),
        StatusCode::NOT_FOUND => ApiError::NoSuchResource.text(),
        StatusCode::INTERNAL_SERVER_ERROR => "Server error",
        _ => status.canonical_reason().unwrap_or("Unknown status"),
    }
}
