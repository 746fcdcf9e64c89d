//! A stand-in of Plivo that costs little: it accepts all feedback and counts the calls.

use std::collections::{HashMap, HashSet};
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use uuid::Uuid;

use crate::message::{MESSAGE_MAX, Message};

const ACCEPTED: &[u8] = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\n\
    content-length: 105\r\n\r\n{\"message\":\"Feedback has been posted\",\
    \"api_id\":\"5a9fcb68-582d-11e1-86da-6ff39efcb949\",\"status\":\"success\"}";

/// The interval at which the benchmark checks whether everything is delivered.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Serves on a thread of its own until the program ends.
pub struct Plivo {
    pub address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

/// What came since the last [`Plivo::forget`].
#[derive(Default)]
struct Received {
    requests: usize,
    calls: HashSet<Uuid>,
    last: Option<Instant>,
}

impl Plivo {
    pub fn start() -> anyhow::Result<Self> {
        let mut poll = Poll::new()?;
        let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
        let address = listener.local_addr()?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        let received = Arc::<Mutex<Received>>::default();
        let shared = Arc::clone(&received);
        thread::spawn(move || serve(&mut poll, &listener, &shared).expect("Plivo's stand-in"));
        Ok(Self { address, received })
    }

    pub fn forget(&self) {
        *lock(&self.received) = Received::default();
    }

    /// Waits for feedback on so many calls; returns when the last request came.
    ///
    /// # Errors
    /// If it takes too long.
    pub fn wait_for(&self, calls: usize, patience: Duration) -> anyhow::Result<Instant> {
        let began = Instant::now();
        loop {
            let received = lock(&self.received);
            if let (Some(last), true) = (received.last, received.calls.len() >= calls) {
                return Ok(last);
            }
            let delivered = received.calls.len();
            drop(received);
            ensure!(began.elapsed() < patience, "only {delivered} of {calls} delivered in time");
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Returns how many requests came, and on how many calls.
    pub fn received(&self) -> (usize, usize) {
        let received = lock(&self.received);
        (received.requests, received.calls.len())
    }
}

fn lock(received: &Mutex<Received>) -> MutexGuard<'_, Received> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

const LISTENER: Token = Token(0);

struct Connection {
    stream: TcpStream,
    request: [u8; MESSAGE_MAX],
    filled: usize,
}

fn serve(
    poll: &mut Poll,
    listener: &TcpListener,
    received: &Mutex<Received>,
) -> anyhow::Result<()> {
    let mut events = Events::with_capacity(1024);
    let mut open = HashMap::new();
    let mut next = LISTENER.0;
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in &events {
            let token = event.token();
            if token == LISTENER {
                while let Ok((mut stream, _)) = listener.accept() {
                    next += 1;
                    stream.set_nodelay(true)?;
                    poll.registry().register(&mut stream, Token(next), Interest::READABLE)?;
                    let connection = Connection { stream, request: [0; MESSAGE_MAX], filled: 0 };
                    open.insert(Token(next), connection);
                }
            } else if let Some(connection) = open.get_mut(&token)
                && connection.answer(received).is_err()
            {
                // Its other end is gone, or sent something else: then a delivery will be missing.
                open.remove(&token);
            }
        }
    }
}

impl Connection {
    /// # Errors
    /// If the connection was closed, or carries anything but feedback.
    fn answer(&mut self, received: &Mutex<Received>) -> anyhow::Result<()> {
        match self.stream.read(&mut self.request[self.filled..]) {
            Ok(read) => {
                ensure!(read > 0, "closed");
                self.filled += read;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        let Some(request) = Message::read(&self.request[..self.filled])? else {
            return Ok(());
        };
        ensure!(request.length == self.filled, "the next request came before the answer");
        ensure!(request.header("authorization").is_some(), "without credentials");
        let call = request
            .first_line()
            .strip_prefix(b"POST /v1/Call/")
            .and_then(|line| line.strip_suffix(b"/Feedback/ HTTP/1.1"))
            .context("a path of something else")?;
        let call = Uuid::try_parse_ascii(call)?;
        self.filled = 0;
        let mut received = lock(received);
        received.requests += 1;
        received.calls.insert(call);
        received.last = Some(Instant::now());
        drop(received);
        let sent = self.stream.write(ACCEPTED)?;
        ensure!(sent == ACCEPTED.len(), "only part of an answer could be sent");
        Ok(())
    }
}
