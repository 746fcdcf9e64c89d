//! The HTTP client: one exchange, from connecting to the last byte of the response, under one
//! deadline.
//!
//! What carries a request is a [`Transport`]: awc, or a function of a test.

use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use awc::Connector;
use awc::error::{ConnectError, PayloadError, SendRequestError};
use awc::http::StatusCode;
use awc::http::header::{self, HeaderMap, HeaderValue};
use futures_util::future::LocalBoxFuture;
use futures_util::{Stream, StreamExt};
use jiff::Timestamp;
use rustix::io::Errno;
use secrecy::ExposeSecret;

use super::request::REPLY_MAX;
use super::{Destination, Request};
use crate::domain::{AttemptResponse, CallUuid, Feedback, TraceId, TraceParent, Verdict};

/// How long a reply is read at most after a deadline that was noticed late: what was lost meanwhile is
/// sent again by then.
const LATE_MAX: Duration = Duration::from_secs(5);

/// How long an exchange may take.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    pub connect: Duration,
    /// From connecting to the last byte of the reply.
    pub exchange: Duration,
}

/// A client that submits feedback. It is bound to the thread that made it, because awc's client is.
pub struct Client {
    transport: Box<dyn Transport>,
    timeouts: Timeouts,
}

/// Carries a request to its destination and brings the response.
pub trait Transport {
    fn post(&self, request: Request) -> LocalBoxFuture<'_, Result<Response, NoResponse>>;
}

/// A complete response.
#[derive(Debug)]
pub struct Response {
    pub status: u16,
    /// The header `Retry-After`, as it came.
    pub retry_after: Option<String>,
    pub body: Vec<u8>,
}

/// Why there is no complete response.
#[derive(Debug)]
pub struct NoResponse {
    /// `Unreachable` if nothing can have been received, `LocalError` if this process could not begin,
    /// `AccountRejected` if there is no such address, else `UnknownResult`.
    pub verdict: Verdict,
    /// Of a response whose body did not arrive.
    pub status: Option<u16>,
    pub error: String,
}

impl Client {
    /// `in_flight` exchanges may run at once without waiting for each other.
    ///
    /// TLS offers HTTP/1.1 only, and trusts the public roots that are built in.
    pub fn new(timeouts: Timeouts, in_flight: usize) -> Self {
        Self::over(Box::new(Http::new(timeouts.connect, in_flight)), timeouts)
    }

    pub fn over(transport: Box<dyn Transport>, timeouts: Timeouts) -> Self {
        Self { transport, timeouts }
    }

    /// Posts the feedback about a call and returns what came of it. A `Retry-After` with a date is
    /// relative to `now`, when the exchange begins. The
    /// destination gets the name of the `span`.
    pub async fn submit(
        &self,
        destination: &Destination,
        call: &CallUuid,
        feedback: &Feedback,
        span: Option<TraceParent>,
        now: Timestamp,
    ) -> (Verdict, AttemptResponse) {
        let traceparent = span.map(|span| span.to_string());
        let request = Request { traceparent, ..destination.request(call, feedback) };
        let exchange = self.exchange(destination, request, now);
        match within(self.timeouts.exchange, exchange).await {
            Some(answered) => answered,
            None => failed(Verdict::UnknownResult, "no whole reply within the deadline"),
        }
    }

    async fn exchange(
        &self,
        destination: &Destination,
        request: Request,
        now: Timestamp,
    ) -> (Verdict, AttemptResponse) {
        match self.transport.post(request).await {
            Ok(Response { status, retry_after, body }) => {
                let wait = retry_after.and_then(|value| parse_retry_after(&value, now));
                destination.classify(status, wait, &body)
            }
            Err(NoResponse { verdict, status, error }) => {
                let (verdict, reply) = failed(verdict, &error);
                (verdict, AttemptResponse { status, ..reply })
            }
        }
    }
}

/// A client of HTTP that says who it is, follows no redirect and has no deadline of its own but that of
/// connecting: awc's ends at the response's head. So many exchanges may run at once.
pub(super) fn http(connect_timeout: Duration, in_flight: usize) -> awc::Client {
    let connector = Connector::new()
        .rustls_0_23(Arc::new(tls()))
        .timeout(connect_timeout)
        .handshake_timeout(connect_timeout)
        .limit(in_flight);
    awc::Client::builder()
        .connector(connector)
        .disable_redirects()
        .disable_timeout()
        .no_default_headers()
        .add_default_header((header::USER_AGENT, concat!("postcall/", env!("CARGO_PKG_VERSION"))))
        .finish()
}

/// awc's client, and what it was made of.
struct Http {
    client: RefCell<awc::Client>,
    connect_timeout: Duration,
    in_flight: usize,
}

impl Http {
    fn new(connect_timeout: Duration, in_flight: usize) -> Self {
        let client = RefCell::new(http(connect_timeout, in_flight));
        Self { client, connect_timeout, in_flight }
    }
}

impl Transport for Http {
    fn post(&self, request: Request) -> LocalBoxFuture<'_, Result<Response, NoResponse>> {
        let Request { url, authorization, content_type, body, traceparent } = request;
        let client = self.client.borrow().clone();
        Box::pin(async move {
            let mut request = client
                .post(url)
                .basic_auth(authorization.user, authorization.password.expose_secret())
                .content_type(content_type)
                .insert_header((header::ACCEPT, "application/json"));
            if let Some(traceparent) = traceparent {
                request = request.insert_header((TraceId::HEADER, traceparent));
            }
            let response = request.send_body(body).await.map_err(|error| no_response(&error))?;
            let status = response.status();
            let incomplete = |error: String| NoResponse {
                verdict: Verdict::UnknownResult,
                status: Some(status.as_u16()),
                error,
            };
            if status.is_informational() {
                // The connection is in awc's pool, and what comes over it next is the answer to this request.
                self.client.replace(http(self.connect_timeout, self.in_flight));
                return Err(incomplete("an informational response came first".to_owned()));
            }
            let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
            let retry_after = response.headers().get(header::RETRY_AFTER).and_then(text);
            let length = length(status, response.headers());
            let length = length.map_err(|error| incomplete(error.to_owned()))?;
            let body = whole(response).await.map_err(|error| incomplete(error.to_string()))?;
            // Where it is not said, a body that is empty may have been cut off before its first chunk.
            let least = length.unwrap_or(usize::from(status.is_success()));
            if body.len() < least.min(REPLY_MAX) {
                let error = format!("the response ended after {} of {least} bytes", body.len());
                return Err(incomplete(error));
            }
            Ok(Response { status: status.as_u16(), retry_after, body })
        })
    }
}

/// How long the body of a response says it is: awc takes one that is cut off for a whole one. `None` if it is
/// in chunks.
///
/// # Errors
/// It ends where the connection does, so that nothing tells whether it was cut off.
fn length(status: StatusCode, headers: &HeaderMap) -> Result<Option<usize>, &'static str> {
    let is_chunked = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"chunked");
    match headers.get(header::CONTENT_LENGTH) {
        _ if [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED].contains(&status) => Ok(Some(0)),
        Some(length) => {
            let length = length.to_str().ok().and_then(|length| length.trim().parse().ok());
            length.map(Some).ok_or("the length of the response is no number")
        }
        None if headers.get(header::TRANSFER_ENCODING).is_some_and(is_chunked) => Ok(None),
        None => Err("the response has no Content-Length, and is not in chunks"),
    }
}

/// What an exchange comes to within its deadline. Where the process did not run in the meantime (it was
/// stopped, or its machine moved) the deadline is noticed late, and what arrived before it may not have
/// been read: it has as long again, up to [`LATE_MAX`].
async fn within<T>(deadline: Duration, exchange: impl Future<Output = T>) -> Option<T> {
    let mut exchange = pin!(exchange);
    let mut deadline = pin!(tokio::time::sleep(deadline));
    tokio::select! {
        biased;
        answered = &mut exchange => return Some(answered),
        () = &mut deadline => {}
    }
    let late = deadline.deadline().elapsed();
    // Timers may be looked at before sockets; the next turn looks at these too.
    tokio::task::yield_now().await;
    tokio::time::timeout(late.min(LATE_MAX), exchange).await.ok()
}

/// The reply to its end, without which the connection cannot be used again, or to its bound.
async fn whole<B: AsRef<[u8]>>(
    mut chunks: impl Stream<Item = Result<B, PayloadError>> + Unpin,
) -> Result<Vec<u8>, PayloadError> {
    let mut body = Vec::new();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(chunk?.as_ref());
        if body.len() > REPLY_MAX {
            break;
        }
    }
    Ok(body)
}

/// Before there is a connection nothing can have been received; after that, awc cannot tell what left.
fn no_response(error: &SendRequestError) -> NoResponse {
    let (verdict, error) = match error {
        // awc's words for a connection that was closed without a reply.
        SendRequestError::Connect(ConnectError::Disconnected) => {
            (Verdict::UnknownResult, "the connection was closed before a reply came".to_owned())
        }
        SendRequestError::Connect(connect) if is_local(connect) => {
            (Verdict::LocalError, error.to_string())
        }
        SendRequestError::Connect(_) => (Verdict::Unreachable, error.to_string()),
        // There is no such address: nothing was tried, and the settings have to be changed.
        SendRequestError::Url(_) | SendRequestError::Http(_) => {
            (Verdict::AccountRejected, error.to_string())
        }
        _ => (Verdict::UnknownResult, error.to_string()),
    };
    NoResponse { verdict, status: None, error }
}

/// Whether it was this process, or this host, that had no open file left.
fn is_local(error: &ConnectError) -> bool {
    match error {
        ConnectError::Io(error) => is_lack_of_open_files(error),
        // A lookup of a name fails of it like of anything else, so a socket is tried.
        ConnectError::Resolver(_) => {
            UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).is_err_and(|e| is_lack_of_open_files(&e))
        }
        _ => false,
    }
}

fn is_lack_of_open_files(error: &io::Error) -> bool {
    let lacks = [Errno::MFILE, Errno::NFILE].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|error| lacks.contains(&error))
}

fn failed(verdict: Verdict, text: &str) -> (Verdict, AttemptResponse) {
    (verdict, AttemptResponse::of_text(text))
}

/// Seconds, or a date; a date in the past asks for nothing.
fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let at = Timestamp::try_from(httpdate::parse_http_date(value).ok()?).ok()?;
    Some(at.duration_since(now).try_into().unwrap_or_default())
}

/// HTTP/1.1 alone, and the public roots that are built in.
pub fn tls() -> rustls::ClientConfig {
    let roots = rustls::RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring speaks the protocol versions of rustls")
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Without this the destination may choose HTTP/2, whose old h2 release has an open advisory.
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_by_a_date() {
        let now = "2026-11-22T10:00:00Z".parse().unwrap();
        let asked = |value| parse_retry_after(value, now);
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(asked("Sun, 22 Nov 2026 10:01:00 GMT"), Some(Duration::from_secs(60)));
        assert_eq!(asked("Sun, 22 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
        assert_eq!(asked("-1"), None);
        assert_eq!(asked(""), None);
        assert_eq!(asked("99999999999999999999"), Some(Duration::from_secs(u64::MAX)));
    }
}
