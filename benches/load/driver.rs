//! The client: one thread that does nothing but send and receive, since its own work counts against
//! the service that is measured.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::message::{MESSAGE_MAX, Message};

/// How long a run may take before it is given up, beyond the time that its rate asks for.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a run came to; every request was answered 200.
#[derive(Debug)]
pub struct Answered {
    pub count: usize,
    /// Those that promise that the webhook is on disk.
    pub durable: usize,
    /// When the first request was due.
    pub began: Instant,
    /// From there to the last answer.
    pub took: Duration,
    /// From when each request was due to its answer, in order of size.
    latencies: Vec<Duration>,
}

impl Answered {
    pub fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }

    /// The latency that `share` of all answers did not exceed, in milliseconds.
    pub fn latency_ms(&self, share: f64) -> f64 {
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies[at.min(self.latencies.len() - 1)].as_secs_f64() * 1e3
    }
}

/// Sends every request once, over connections that are spread over the addresses.
///
/// Each connection has one request in flight. Without a rate it sends the next request when it has
/// its answer, and that is when the request is due. With a rate the requests are due at even
/// intervals; one that finds no free connection waits, and its latency counts from when it was due.
pub fn run(
    addresses: &[SocketAddr],
    requests: &[Vec<u8>],
    connections: usize,
    rate: Option<NonZeroU32>,
) -> anyhow::Result<Answered> {
    ensure!(!requests.is_empty(), "there is nothing to send");
    let mut poll = Poll::new()?;
    let wakes = Token(connections);
    let mut open = (0..connections)
        .map(|number| Connection::open(addresses[number % addresses.len()], &poll, Token(number)))
        .collect::<anyhow::Result<Vec<_>>>()
        .context("connecting")?;
    // The poll forgets a wake whose waker is gone, so this one stays until the end of the run.
    let waker = Arc::new(Waker::new(poll.registry(), wakes)?);
    let mut free: VecDeque<usize> = (0..connections).collect();
    let mut events = Events::with_capacity(connections + 1);
    let mut latencies = Vec::with_capacity(requests.len());
    let (mut next, mut durable) = (0, 0);

    let began = Instant::now();
    let due_at = |number: usize| rate.map(|rate| began + interval(rate) * number as u32);
    let mut give_up_at = began + PATIENCE;
    if let Some(rate) = rate {
        let count = u32::try_from(requests.len()).context("too many requests")?;
        give_up_at += interval(rate) * count;
        let waker = Arc::clone(&waker);
        thread::spawn(move || wake_when_due(&waker, began, interval(rate), count));
    }
    while latencies.len() < requests.len() {
        let now = Instant::now();
        ensure!(now < give_up_at, "the run took too long");
        while let Some(request) = requests.get(next)
            && let due_at = due_at(next).unwrap_or(now)
            && due_at <= now
            && let Some(number) = free.pop_front()
        {
            open[number].send(request, due_at)?;
            next += 1;
        }
        match poll.poll(&mut events, Some(give_up_at - now)) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            polled => polled?,
        }
        for event in events.iter().filter(|event| event.token() != wakes) {
            let number = event.token().0;
            if let Some((promises, latency)) = open[number].receive()? {
                durable += usize::from(promises);
                latencies.push(latency);
                free.push_back(number);
            }
        }
    }
    let took = began.elapsed();
    latencies.sort_unstable();
    Ok(Answered { count: requests.len(), durable, began, took, latencies })
}

fn interval(rate: NonZeroU32) -> Duration {
    Duration::from_secs(1) / rate.get()
}

/// Wakes the client when each request is due: a poll can only wait for whole milliseconds.
fn wake_when_due(waker: &Waker, began: Instant, interval: Duration, count: u32) {
    for number in 0..count {
        thread::sleep((began + interval * number).saturating_duration_since(Instant::now()));
        waker.wake().expect("the client can be woken");
    }
}

struct Connection {
    stream: TcpStream,
    answer: [u8; MESSAGE_MAX],
    filled: usize,
    due_at: Option<Instant>,
}

impl Connection {
    fn open(address: SocketAddr, poll: &Poll, token: Token) -> anyhow::Result<Self> {
        // Before it is made non-blocking, so that it is connected.
        let stream = std::net::TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let mut stream = TcpStream::from_std(stream);
        poll.registry().register(&mut stream, token, Interest::READABLE)?;
        Ok(Self { stream, answer: [0; MESSAGE_MAX], filled: 0, due_at: None })
    }

    /// A request is far shorter than the buffer of a socket that is empty.
    fn send(&mut self, request: &[u8], due_at: Instant) -> anyhow::Result<()> {
        let sent = self.stream.write(request).context("sending")?;
        ensure!(sent == request.len(), "only part of a request could be sent");
        self.due_at = Some(due_at);
        Ok(())
    }

    /// Once the answer is whole, whether it promises anything, and its latency.
    fn receive(&mut self) -> anyhow::Result<Option<(bool, Duration)>> {
        // One read takes all there is: an answer is shorter than the buffer.
        match self.stream.read(&mut self.answer[self.filled..]) {
            Ok(0) => bail!("the connection was closed"),
            Ok(read) => self.filled += read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error).context("receiving"),
        }
        let Some(answer) = Message::read(&self.answer[..self.filled])? else {
            return Ok(None);
        };
        let line = answer.first_line();
        ensure!(line.starts_with(b"HTTP/1.1 200"), "answered {}", String::from_utf8_lossy(line));
        ensure!(answer.length == self.filled, "more than one answer to one request");
        let promises = answer.header("postcall-submission").is_some();
        let due_at = self.due_at.take().context("an answer without a request")?;
        self.filled = 0;
        Ok(Some((promises, due_at.elapsed())))
    }
}
