use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method as HttpMethod, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use jiff::Timestamp;
use uuid::Uuid;

use super::problem::Problem;
use crate::domain::{Method, Webhook, WebhookId};
use crate::intake::{Desk, Intake, IntakeError, Receipt};
use crate::telemetry::{Metrics, WebhookOutcome, logs};

/// What a sender should wait before it tries again, in seconds.
const RETRY_AFTER: &str = "1";

/// Why this room refuses a hook before anybody reads it.
pub const REFUSALS: [&str; 4] = ["encoded", "too_large", "too_slow", "broken_off"];

/// What the public door works with.
pub struct PublicDoor {
    pub intake: Arc<Intake>,
    pub metrics: Arc<Metrics>,
    /// How long a whole body may take to arrive.
    pub body_timeout: Duration,
    pub clock: fn() -> Timestamp,
}

/// Why a hook is not answered with the source's thanks.
enum WebhookError {
    Encoded,
    TooLarge,
    TooSlow,
    /// The connection broke off.
    Incomplete,
    Intake(IntakeError),
}

pub(super) async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    door: web::Data<PublicDoor>,
) -> HttpResponse {
    let received_at = (door.clock)();
    let name = request.uri().path().rsplit('/').next().unwrap_or_default();
    let Some(desk) = door.intake.desk(name) else {
        door.metrics.hook_came_to_unknown_source();
        let detail = "no such source: the path ends in the name of a source of the settings";
        return Problem::new(StatusCode::NOT_FOUND, detail).response();
    };
    // Now, for other settings may be in force by the time that the body is here.
    let figures = door.metrics.source(name);
    let received = door.receive(&desk, &request, payload, received_at).await;
    let (outcome, response) = match &received {
        Ok(receipt) => (receipt.outcome, thanks(receipt)),
        Err(error) => (error.outcome(), error.response(&desk)),
    };
    if let Some(figures) = figures {
        if let Err(error) = &received
            && let Some(reason) = error.refusal()
        {
            figures.hook_refused(reason);
        }
        let took = (door.clock)().duration_since(received_at).try_into().unwrap_or_default();
        figures.hook_answered(outcome, took);
    }
    if let Err(error) = received {
        error.log(name);
    }
    response
}

impl PublicDoor {
    async fn receive(
        &self,
        desk: &Desk,
        request: &HttpRequest,
        payload: web::Payload,
        received_at: Timestamp,
    ) -> Result<Receipt, WebhookError> {
        if request.headers().contains_key(header::CONTENT_ENCODING) {
            return Err(WebhookError::Encoded);
        }
        if says_it_is_too_large(request) {
            return Err(WebhookError::TooLarge);
        }
        let body = match tokio::time::timeout(self.body_timeout, whole(payload)).await {
            Ok(body) => body?,
            Err(_) => return Err(WebhookError::TooSlow),
        };
        let hook = hook(request, body, received_at);
        self.intake.receive(desk, hook).await.map_err(WebhookError::Intake)
    }
}

/// Refused before it is sent, where the sender says how long it will be. actix has refused a length
/// that is no number.
fn says_it_is_too_large(request: &HttpRequest) -> bool {
    let length = request.headers().get(header::CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
        .is_some_and(|length| length > Webhook::BODY_MAX as u64)
}

/// The body to its end, or to its bound.
async fn whole(mut payload: web::Payload) -> Result<Vec<u8>, WebhookError> {
    let mut body = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| WebhookError::Incomplete)?;
        if body.len() + chunk.len() > Webhook::BODY_MAX {
            return Err(WebhookError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn hook(request: &HttpRequest, body: Vec<u8>, received_at: Timestamp) -> Webhook {
    let headers = request
        .headers()
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    let method = if request.method() == HttpMethod::GET { Method::Get } else { Method::Post };
    Webhook {
        id: WebhookId(Uuid::now_v7()),
        method,
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers,
        body,
        received_at,
    }
}

/// What was kept is named; what was skipped is none of ours to name.
fn thanks(receipt: &Receipt) -> HttpResponse {
    let mut response = replied(receipt.reply.content_type(), receipt.reply.body());
    let headers = response.headers_mut();
    if let Some(submission) = receipt.submission {
        headers.insert(
            header::HeaderName::from_static("postcall-submission"),
            submission.to_string().try_into().expect("a UUID is a header value"),
        );
    }
    headers.insert(
        header::HeaderName::from_static("postcall-outcome"),
        header::HeaderValue::from_static(receipt.outcome.label()),
    );
    response
}

/// 200 with what the source's sender expects.
fn replied(content_type: Option<&'static str>, body: &[u8]) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    if let Some(content_type) = content_type {
        response.insert_header((header::CONTENT_TYPE, content_type));
    }
    response.body(body.to_vec())
}

impl WebhookError {
    fn status(&self) -> StatusCode {
        match self.outcome() {
            WebhookOutcome::New
            | WebhookOutcome::Added
            | WebhookOutcome::Repeat
            | WebhookOutcome::Late
            | WebhookOutcome::Gone
            | WebhookOutcome::Skipped => StatusCode::OK,
            WebhookOutcome::Unreadable => StatusCode::BAD_REQUEST,
            WebhookOutcome::Refused => StatusCode::UNAUTHORIZED,
            WebhookOutcome::TooSlow => StatusCode::REQUEST_TIMEOUT,
            WebhookOutcome::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            WebhookOutcome::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            WebhookOutcome::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn detail(&self) -> String {
        match self {
            WebhookError::Encoded => "send the body without Content-Encoding".to_owned(),
            WebhookError::TooLarge => format!("a body has at most {} bytes", Webhook::BODY_MAX),
            WebhookError::TooSlow => "the whole body did not arrive in time".to_owned(),
            WebhookError::Incomplete => "the body broke off".to_owned(),
            WebhookError::Intake(error) => error.to_string(),
        }
    }

    fn outcome(&self) -> WebhookOutcome {
        match self {
            WebhookError::Encoded => WebhookOutcome::Unsupported,
            WebhookError::TooLarge => WebhookOutcome::TooLarge,
            WebhookError::TooSlow => WebhookOutcome::TooSlow,
            WebhookError::Incomplete => WebhookOutcome::Unreadable,
            WebhookError::Intake(error) => error.outcome(),
        }
    }

    /// Why it was refused, as a metric counts it.
    fn refusal(&self) -> Option<&'static str> {
        match self {
            WebhookError::Encoded => Some("encoded"),
            WebhookError::TooLarge => Some("too_large"),
            WebhookError::TooSlow => Some("too_slow"),
            WebhookError::Incomplete => Some("broken_off"),
            WebhookError::Intake(error) => error.refusal(),
        }
    }

    /// Where the source wants its callers' calls to go on, a refusal sounds like thanks, but does
    /// not carry the header that promises something. What could not be kept is never thanked for.
    fn response(&self, desk: &Desk) -> HttpResponse {
        let is_ours = matches!(self, WebhookError::Intake(IntakeError::NotKept(_)));
        if desk.replies_to_refusals() && !is_ours {
            let reply = desk.reply_unheard();
            return replied(reply.content_type(), reply.body());
        }
        let mut response = Problem::new(self.status(), self.detail()).response();
        if is_ours {
            let value = header::HeaderValue::from_static(RETRY_AFTER);
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }

    fn log(&self, source: &str) {
        match self {
            WebhookError::Intake(IntakeError::NotKept(error)) => {
                let error = logs::chain(error);
                tracing::warn!(source, error, "a hook could not be kept and was answered 503");
            }
            other => tracing::debug!(
                source,
                status = other.status().as_u16(),
                "a hook was refused: {}",
                other.detail()
            ),
        }
    }
}
