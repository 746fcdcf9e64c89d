use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connections::{Connection, Connections};

/// A socket that tells its [`Connection`] of every byte, and fails once that is to be closed.
pub(super) struct Stream {
    tcp: TcpStream,
    pub connection: Rc<Connection>,
    connections: Rc<Connections>,
}

impl Stream {
    pub fn new(tcp: TcpStream, connections: Rc<Connections>) -> Self {
        Self { tcp, connection: connections.opened(), connections }
    }

    fn check(&self) -> io::Result<()> {
        if self.connection.is_closing() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { tcp, connection, .. } = self.get_mut();
        let room = connection.room();
        if connection.is_closing() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        connection.waits(cx.waker());
        if room == 0 {
            // The server tries what it has, and comes again.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = if room >= buffer.remaining() {
            let before = buffer.filled().len();
            ready!(Pin::new(tcp).poll_read(cx, buffer))?;
            buffer.filled().len() - before
        } else {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
            ready!(Pin::new(tcp).poll_read(cx, &mut part))?;
            let read = part.filled().len();
            buffer.advance(read);
            read
        };
        connection.received(read);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let Self { tcp, connection, .. } = self.get_mut();
        let written = Pin::new(tcp).poll_write(cx, bytes);
        match &written {
            Poll::Ready(Ok(written)) => connection.wrote(&bytes[..*written]),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => {
                connection.waits(cx.waker());
                connection.is_unread();
            }
        }
        written
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check()?;
        let Self { tcp, connection, .. } = self.get_mut();
        ready!(Pin::new(tcp).poll_flush(cx))?;
        connection.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tcp).poll_shutdown(cx)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.connections.ended(&self.connection);
    }
}
