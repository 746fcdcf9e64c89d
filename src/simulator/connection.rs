use std::any::Any;
use std::future;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;

use actix_web::dev::Extensions;
use actix_web::rt::net;
use actix_web::{HttpRequest, HttpResponse};

/// The socket of a connection, so that it can be closed behind the server's back.
struct Socket(TcpStream);

/// Keeps a second hold on every accepted socket. The server itself offers no way to end a
/// connection without a word: every error of a handler becomes a reply.
pub fn remember(io: &dyn Any, connection: &mut Extensions) {
    let socket = io.downcast_ref::<net::TcpStream>().map(|io| io.as_fd().try_clone_to_owned());
    match socket {
        Some(Ok(fd)) => drop(connection.insert(Socket(TcpStream::from(fd)))),
        Some(Err(error)) => tracing::warn!(%error, "a connection cannot be severed"),
        None => unreachable!("the simulator listens without TLS"),
    }
}

/// Closes the connection of `request`; not one byte of the returned reply can leave any more.
pub async fn sever(request: &HttpRequest) -> HttpResponse {
    match request.conn_data::<Socket>() {
        Some(Socket(socket)) => {
            // It fails only where the other side was quicker to close.
            let _ = socket.shutdown(Shutdown::Both);
            HttpResponse::Ok().finish()
        }
        // Out of file descriptors when it was accepted: silence is as near as we come.
        None => future::pending().await,
    }
}
