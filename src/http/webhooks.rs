use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method as HttpMethod, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use jiff::Timestamp;
use uuid::Uuid;

use super::problem::Problem;
use super::span;
use crate::clock::{Clock, Reading};
use crate::domain::{Method, TraceId, TraceParent, Webhook, WebhookId};
use crate::ingest::{Endpoint, Ingest, IngestError, Receipt};
use crate::random::Random;
use crate::telemetry::{Metrics, Span, WebhookOutcome, WebhookSpan, logs};

/// What a sender should wait before it tries again, in seconds.
const RETRY_AFTER: &str = "1";

/// Longest name of a host, with a port.
const HOST_MAX: usize = 259;

/// Why this module refuses a webhook before its source reads it.
pub const REJECTIONS: [&str; 4] = ["encoded", "too_large", "too_slow", "broken_off"];

/// What the public listener works with.
pub struct PublicListener {
    pub ingest: Arc<Ingest>,
    pub metrics: Arc<Metrics>,
    /// How long a whole body may take to arrive.
    pub body_timeout: Duration,
    pub clock: Clock,
    /// For the ids of webhooks.
    pub random: Random,
}

/// Why a webhook does not get its source's reply.
enum WebhookError {
    Encoded,
    TooLarge,
    TooSlow,
    /// The connection broke off.
    Incomplete,
    Ingest(IngestError),
}

pub(super) async fn receive(
    request: HttpRequest,
    payload: web::Payload,
    listener: web::Data<PublicListener>,
) -> HttpResponse {
    let Reading { wall: received_at, monotonic: began } = listener.clock.read();
    let source = request.uri().path().rsplit('/').next().unwrap_or_default();
    let Some(endpoint) = listener.ingest.endpoint(source) else {
        listener.metrics.webhook_came_to_unknown_source();
        let detail = "no such source: the path ends in the name of a source of the settings";
        return Problem::new(StatusCode::NOT_FOUND, detail).response();
    };
    let id = WebhookId(listener.random.uuid_v7(received_at));
    let received = listener.receive(&endpoint, &request, payload, id, received_at).await;
    let metrics = endpoint.metrics();
    let parent = listener.metrics.spans().and_then(|_| sender_span(&received, &request));
    let trace_id =
        listener.metrics.spans().map(|_| id.span(parent.map(|it| it.context.trace)).trace);
    let submission = received.as_ref().ok().and_then(|receipt| receipt.submission);
    let (outcome, response) = match received {
        Ok(receipt) => {
            let submission = receipt.submission.map(tracing::field::display);
            let call = receipt.call.as_ref().map(tracing::field::display);
            let outcome = receipt.outcome.label();
            let trace_id = trace_id.map(tracing::field::display);
            tracing::debug!(source, submission, call, trace_id, outcome, "received");
            (receipt.outcome, accepted(receipt))
        }
        Err(error) => {
            if let Some(reason) = error.rejection() {
                metrics.webhook_refused(reason);
                listener.ingest.note_rejection(
                    &endpoint,
                    id,
                    reason,
                    received_at,
                    method(&request),
                    host(&request),
                );
            }
            error.log(source, &request, trace_id);
            (error.outcome(), error.response(&endpoint))
        }
    };
    let took = listener.clock.monotonic() - began;
    metrics.webhook_answered(outcome, received_at, took);
    listener.metrics.span_ended(|| {
        Span::Webhook(WebhookSpan {
            id,
            parent,
            source: endpoint.name().clone(),
            method: method(&request).name(),
            outcome,
            status: response.status().as_u16(),
            submission,
            received_at,
            took,
        })
    });
    response
}

/// What comes to another path.
pub(super) async fn at_no_hook(
    request: HttpRequest,
    listener: web::Data<PublicListener>,
) -> HttpResponse {
    if request.method() == HttpMethod::POST {
        listener.metrics.webhook_came_to_unknown_source();
    }
    let detail = "webhooks go to /hooks/NAME, without a slash at the end";
    Problem::new(StatusCode::NOT_FOUND, detail).response()
}

/// The span that the sender of a verified webhook names; anyone could name one in another.
fn sender_span(
    received: &Result<Receipt, WebhookError>,
    request: &HttpRequest,
) -> Option<TraceParent> {
    let is_verified =
        matches!(received, Ok(_) | Err(WebhookError::Ingest(IngestError::NotKept(_))));
    let parent = request.headers().get(TraceId::HEADER).filter(|_| is_verified)?;
    parent.to_str().ok()?.parse().ok()
}

impl PublicListener {
    async fn receive(
        &self,
        endpoint: &Endpoint,
        request: &HttpRequest,
        payload: web::Payload,
        id: WebhookId,
        received_at: Timestamp,
    ) -> Result<Receipt, WebhookError> {
        if request.headers().contains_key(header::CONTENT_ENCODING) {
            return Err(WebhookError::Encoded);
        }
        if says_it_is_too_large(request) {
            return Err(WebhookError::TooLarge);
        }
        // The server hands over a request before the body that came in the same packet. That is
        // there on the next poll, so that most webhooks need no timer.
        tokio::task::yield_now().await;
        let body = match tokio::time::timeout(self.body_timeout, whole(payload)).await {
            Ok(body) => body?,
            Err(_) => return Err(WebhookError::TooSlow),
        };
        let webhook = webhook(id, request, body, received_at);
        self.ingest.receive(endpoint, webhook).await.map_err(WebhookError::Ingest)
    }
}

/// Whether the sender says itself that its body is too large. actix has refused a length that is no
/// number.
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

fn method(request: &HttpRequest) -> Method {
    if request.method() == HttpMethod::GET { Method::Get } else { Method::Post }
}

/// The host that was called, if it is one; anything may be sent in its place.
fn host(request: &HttpRequest) -> Option<String> {
    let host = request.headers().get(header::HOST)?.to_str().ok()?;
    let is_host = host.len() <= HOST_MAX
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-:[]".contains(&b));
    is_host.then(|| host.to_owned())
}

fn webhook(id: WebhookId, request: &HttpRequest, body: Vec<u8>, received_at: Timestamp) -> Webhook {
    Webhook {
        id,
        method: method(request),
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        headers: request.headers().iter().collect(),
        body,
        received_at,
    }
}

/// The reply to a webhook that was stored, with its submission's id, or filtered out, without one.
fn accepted(receipt: Receipt) -> HttpResponse {
    let mut response = replied(receipt.reply.content_type(), receipt.reply.into_body());
    let headers = response.headers_mut();
    if let Some(submission) = receipt.submission {
        let mut buffer = Uuid::encode_buffer();
        let id = submission.0.hyphenated().encode_lower(&mut buffer);
        headers.insert(
            header::HeaderName::from_static("postcall-submission"),
            header::HeaderValue::from_str(id).expect("a UUID is a header value"),
        );
    }
    headers.insert(
        header::HeaderName::from_static("postcall-outcome"),
        header::HeaderValue::from_static(receipt.outcome.label()),
    );
    response
}

/// 200 with what the source's sender expects.
fn replied(content_type: Option<&'static str>, body: web::Bytes) -> HttpResponse {
    let mut response = HttpResponse::with_body(StatusCode::OK, body);
    if let Some(content_type) = content_type {
        let content_type = header::HeaderValue::from_static(content_type);
        response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    }
    response.map_into_boxed_body()
}

impl WebhookError {
    fn status(&self) -> StatusCode {
        match self.outcome() {
            WebhookOutcome::Created
            | WebhookOutcome::Updated
            | WebhookOutcome::Duplicate
            | WebhookOutcome::Late
            | WebhookOutcome::Spooled
            | WebhookOutcome::Purged
            | WebhookOutcome::Excess
            | WebhookOutcome::Skipped => StatusCode::OK,
            WebhookOutcome::Malformed => StatusCode::BAD_REQUEST,
            WebhookOutcome::Rejected => StatusCode::UNAUTHORIZED,
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
            WebhookError::Ingest(error) => error.to_string(),
        }
    }

    fn outcome(&self) -> WebhookOutcome {
        match self {
            WebhookError::Encoded => WebhookOutcome::Unsupported,
            WebhookError::TooLarge => WebhookOutcome::TooLarge,
            WebhookError::TooSlow => WebhookOutcome::TooSlow,
            WebhookError::Incomplete => WebhookOutcome::Malformed,
            WebhookError::Ingest(error) => error.outcome(),
        }
    }

    /// Why it was refused, as a metric counts it.
    fn rejection(&self) -> Option<&'static str> {
        match self {
            WebhookError::Encoded => Some("encoded"),
            WebhookError::TooLarge => Some("too_large"),
            WebhookError::TooSlow => Some("too_slow"),
            WebhookError::Incomplete => Some("broken_off"),
            WebhookError::Ingest(error) => error.rejection(),
        }
    }

    /// If the source replies to live calls, a rejection sounds like thanks, but does
    /// not carry the header that promises something. What could not be kept is never thanked for.
    fn response(&self, endpoint: &Endpoint) -> HttpResponse {
        let is_ours = matches!(self, WebhookError::Ingest(IngestError::NotKept(_)));
        if endpoint.replies_to_rejections() && !is_ours {
            let reply = endpoint.default_reply();
            return replied(reply.content_type(), reply.into_body());
        }
        let mut response = Problem::new(self.status(), self.detail()).response();
        if is_ours {
            let value = header::HeaderValue::from_static(RETRY_AFTER);
            response.headers_mut().insert(header::RETRY_AFTER, value);
        }
        response
    }

    fn log(&self, source: &str, request: &HttpRequest, trace_id: Option<TraceId>) {
        let trace_id = trace_id.map(tracing::field::display);
        match self {
            WebhookError::Ingest(IngestError::NotKept(error)) => {
                let (request, error) = (span::id(request), logs::chain(error));
                tracing::warn!(
                    request,
                    source,
                    trace_id,
                    error,
                    "a webhook could not be stored and was answered 503"
                );
            }
            other => tracing::debug!(
                source,
                trace_id,
                status = other.status().as_u16(),
                "a webhook was rejected: {}",
                other.detail()
            ),
        }
    }
}
