//! A simulator of Plivo's Call Feedback API, as its document describes it: the destination of
//! `postcall simulate`, of the demo and of every test that delivers.
//!
//! It imports nothing of ours. The structs of the client, or its idea of a lawful rating, would
//! let both ends share one mistake; what this room knows of Plivo it knows from Plivo's document.
//!
//! ```text
//! POST   /v1/Call/{call_uuid}/Feedback/   the API, with Basic authentication
//! PUT    /simulator/faults                which requests go wrong, and how
//! GET    /simulator/feedback              what was accepted      ?call_uuid=  ?cursor=
//! GET    /simulator/summary               totals
//! DELETE /simulator                       forgets everything, faults too
//! ```
//!
//! Feedback counts when it is considered, which is before any delay and before a reset that
//! comes `after`. The summary counts the refusals of faults with all others; a request that was
//! reset `before`, or never became whole, is one of its `requests` and nothing else.
//!
//! The control API asks for no password: the stand-in holds no secret and rates no real call.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::System;
use actix_web::{App, HttpServer, web};

use credentials::Credentials;
use stand_in::StandIn;

mod api;
mod api_error;
mod connection;
mod control;
mod credentials;
mod faults;
mod feedback;
mod record;
mod stand_in;

/// Longer than clients keep an idle connection, so that none meets a closing one that no fault
/// asked for.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// A running simulator. It serves on threads of its own until it is dropped, so it can be owned
/// from any runtime or from none.
pub struct Simulator {
    addr: SocketAddr,
    server: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// How a stand-in is started.
pub struct Options {
    /// The one account that it knows, as auth id and auth token; without it any pair that is not
    /// empty may post.
    pub auth: Option<(String, String)>,
    /// How many threads answer; 1 unless said otherwise.
    pub workers: NonZeroUsize,
}

impl Simulator {
    /// Listens on `listen`, where port 0 means any free one, and serves at once.
    ///
    /// # Errors
    /// When the address cannot be listened on, or no thread can be started.
    pub fn start(listen: SocketAddr, options: Options) -> io::Result<Self> {
        let listener = TcpListener::bind(listen)?;
        let addr = listener.local_addr()?;
        let stand_in = web::Data::new(StandIn {
            credentials: Credentials::from(options.auth),
            plan: Mutex::default(),
            record: Mutex::default(),
        });

        let server =
            HttpServer::new(move || App::new().app_data(stand_in.clone()).configure(routes))
                .workers(options.workers.get())
                .keep_alive(KEEP_ALIVE)
                .disable_signals()
                // Before `listen`, which would not hear of it otherwise.
                .on_connect(connection::remember)
                .listen(listener)?
                .run();
        let handle = server.handle();

        let thread = thread::Builder::new().name("simulator".to_owned()).spawn(move || {
            if let Err(error) = System::new().block_on(server) {
                tracing::error!(%error, "the simulator stopped serving");
            }
        })?;
        Ok(Self { addr, server: handle, thread: Some(thread) })
    }

    /// Where it listens, with the port that it was given.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

impl Drop for Simulator {
    /// Stops without waiting for requests in flight: the port is free again afterwards.
    fn drop(&mut self) {
        // The command is sent by the call; the future only waits for what the join waits for.
        drop(self.server.stop(false));
        if let Some(thread) = self.thread.take() {
            // A panic over there has been printed by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { auth: None, workers: NonZeroUsize::MIN }
    }
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .service(web::resource("/v1/Call/{call_uuid}/Feedback/").to(api::post_feedback))
        .service(web::resource("/simulator/faults").route(web::put().to(control::put_faults)))
        .service(web::resource("/simulator/feedback").route(web::get().to(control::get_feedback)))
        .service(web::resource("/simulator/summary").route(web::get().to(control::get_summary)))
        .service(web::resource("/simulator").route(web::delete().to(control::forget)))
        .default_service(web::to(api::no_such_resource));
}
