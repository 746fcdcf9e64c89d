use std::fmt::Debug;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_http::body::{BodySize, BoxBody, MessageBody};
use actix_http::error::PayloadError;
use actix_http::{ConnectionType, HttpService, Payload, Request, Response};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, fn_service,
    map_config,
};
use actix_web::dev::{AppConfig, Server};
use actix_web::rt::net::TcpStream;
use actix_web::{Error, web};
use futures_util::Stream as FutureStream;

use super::bounds::Bounds;
use super::connections::{Connection, Connections};
use super::stream::Stream;
use crate::clock::Clock;
use crate::telemetry::ListenerMetrics;

/// How a listener serves.
#[derive(Clone)]
pub struct ListenerOptions {
    pub workers: usize,
    pub keep_alive: Duration,
    /// How long what is being served may take once the server stops.
    pub shutdown_timeout: Duration,
    pub bounds: Bounds,
    pub metrics: ListenerMetrics,
    /// Cleared when the service goes down: from then on a connection ends with its next response, so that its
    /// client makes the next one to another replica.
    pub accepting: Arc<AtomicBool>,
    /// By which it is known how long connections wait.
    pub clock: Clock,
}

/// Connections that the system accepts before the service does: a flood has to fill them, too.
const BACKLOG: i32 = 1024;

/// How long a client that sends more than is wanted may take to see why, before it is cut off.
const LINGER: Duration = Duration::from_secs(1);

/// A server of HTTP/1.1 as `actix_web::HttpServer` is one, which closes connections that keep it waiting.
///
/// # Errors
/// The system gives no thread or no event queue.
pub fn serve<F, I, S, B>(
    listener: TcpListener,
    options: ListenerOptions,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Error: Into<Error> + 'static,
    S::InitError: Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + Unpin + 'static,
{
    socket2::SockRef::from(&listener).listen(BACKLOG)?;
    options.metrics.limit_is(options.bounds.connections * options.workers);
    let server = Server::build()
        .workers(options.workers)
        .max_concurrent_connections(options.bounds.connections)
        .shutdown_timeout(options.shutdown_timeout.as_secs().max(1))
        .disable_signals();
    let stop = server.graceful_shutdown_signal();
    let server = server.listen("postcall", listener, move || {
        let connections =
            Connections::watched(options.bounds, options.metrics.clone(), options.clock.clone());
        let app = map_config(app().into_factory(), |()| AppConfig::default())
            .map_err(|error| Response::<BoxBody>::from(error.into().error_response()));
        let (stop, accepting) = (stop.clone(), options.accepting.clone());
        fn_service(move |tcp: TcpStream| {
            let peer = tcp.peer_addr().ok();
            let stream = Stream::new(tcp, connections.clone());
            async move { Ok((stream, peer)) }
        })
        .and_then(
            HttpService::build()
                .keep_alive(options.keep_alive)
                .client_request_timeout(super::HEAD_TIMEOUT)
                .client_disconnect_timeout(LINGER)
                .graceful_shutdown_signal(move || {
                    let stop = stop.clone();
                    async move { stop.notified().await }
                })
                .on_connect_ext(|stream: &Stream, data| {
                    data.insert(stream.connection.clone());
                })
                .h1(apply_fn_factory(app, move |mut request: Request, service: &_| {
                    let (connection, accepting) = (begin(&mut request), accepting.clone());
                    let response = Service::call(service, request);
                    async move {
                        let response = response.await;
                        end(connection, response, accepting.load(Ordering::Relaxed))
                    }
                })),
        )
    })?;
    Ok(server.run())
}

/// Tells the connection of a request that it is served.
fn begin(request: &mut Request) -> Rc<Connection> {
    let connection = request.conn_data::<Rc<Connection>>().expect("each connection is known");
    let connection = connection.clone();
    let payload = request.take_payload();
    let has_body = !matches!(payload, Payload::None);
    connection.request_began(has_body);
    if has_body {
        let payload = ObservedPayload { payload, connection: connection.clone() };
        *request.payload() = Payload::Stream { payload: Box::pin(payload) };
    }
    connection
}

/// Tells it of the response, after which it is closed where a part of the request was not read, or nothing
/// more is to come.
fn end<R: Into<Response<B>>, B, E>(
    connection: Rc<Connection>,
    response: Result<R, E>,
    accepting: bool,
) -> Result<Response<ObservedBody<B>>, E> {
    let can_be_used_again = connection.response_began() && accepting;
    let mut response: Response<B> = response.inspect_err(|_| connection.response_made())?.into();
    if !can_be_used_again {
        response.head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response.map_body(|_, body| ObservedBody { body, connection }))
}

/// A request's body that tells when it was read to its end.
struct ObservedPayload {
    payload: Payload,
    connection: Rc<Connection>,
}

impl FutureStream for ObservedPayload {
    type Item = Result<web::Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let item = ready!(Pin::new(&mut self.payload).poll_next(cx));
        if item.is_none() {
            self.connection.body_ended();
        }
        Poll::Ready(item)
    }
}

/// A response's body that tells when the server has all of it.
struct ObservedBody<B> {
    body: B,
    connection: Rc<Connection>,
}

impl<B: MessageBody + Unpin> MessageBody for ObservedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<web::Bytes, B::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

impl<B> Drop for ObservedBody<B> {
    fn drop(&mut self) {
        self.connection.response_made();
    }
}
