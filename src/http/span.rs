use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::{Error, HttpMessage, HttpRequest};
use tracing::Span;
use tracing::field::Empty;
use tracing_actix_web::{RequestId, RootSpanBuilder};

/// The span around every request. The usual one records the query and the client's address;
/// queries carry phone numbers, so this one names the route and nothing that was sent. It costs more
/// than to verify a signature, so it is made only if lines at debug level are logged.
pub struct RootSpan;

impl RootSpanBuilder for RootSpan {
    fn on_request_start(request: &ServiceRequest) -> Span {
        tracing::debug_span!(
            "request",
            id = id(request.request()),
            method = %request.method(),
            route = request.match_pattern().as_deref().unwrap_or("unmatched"),
            status = Empty,
        )
    }

    fn on_request_end<B: MessageBody>(span: Span, outcome: &Result<ServiceResponse<B>, Error>) {
        let status = match outcome {
            Ok(response) => response.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        span.record("status", status.as_u16());
    }
}

/// The id of a request, in the span and on the lines that are logged without one.
pub(super) fn id(request: &HttpRequest) -> Option<String> {
    request.extensions().get::<RequestId>().map(|id| id.simple().to_string())
}
