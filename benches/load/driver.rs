//! The client, as lean as it can be: its own work counts against whoever is measured.

use std::cell::Cell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix_web::rt::System;
use actix_web::rt::net::TcpStream;
use anyhow::{Context, bail, ensure};
use futures_util::future::try_join_all;

/// Longest head of an answer, in bytes; what is measured answers with far less.
const ANSWER_MAX: usize = 4096;

/// How long a run may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug)]
pub struct Answered {
    pub count: usize,
    /// Those that promise that the hook is on disk.
    pub durable: usize,
    /// From the first byte out to the last answer in.
    pub took: Duration,
}

impl Answered {
    pub fn per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }
}

/// Sends every request once. Each connection has one request under way and takes the next that
/// nobody has sent; all run on this thread.
pub fn run(
    address: SocketAddr,
    requests: &[Vec<u8>],
    connections: usize,
) -> anyhow::Result<Answered> {
    System::new().block_on(async {
        let open = (0..connections).map(|_| TcpStream::connect(address));
        let streams = try_join_all(open).await.context("connecting")?;
        let next = Rc::new(Cell::new(0));
        let began = Instant::now();
        let senders = streams.into_iter().map(|stream| send(stream, requests, next.clone()));
        let durable = tokio::time::timeout(PATIENCE, try_join_all(senders))
            .await
            .context("the run took too long")??
            .into_iter()
            .sum();
        Ok(Answered { count: requests.len(), durable, took: began.elapsed() })
    })
}

async fn send(
    stream: TcpStream,
    requests: &[Vec<u8>],
    next: Rc<Cell<usize>>,
) -> anyhow::Result<usize> {
    stream.set_nodelay(true)?;
    let mut answer = [0; ANSWER_MAX];
    let mut durable = 0;
    while let Some(request) = requests.get(next.replace(next.get() + 1)) {
        let mut sent = 0;
        while sent < request.len() {
            match stream.try_write(&request[sent..]) {
                Ok(written) => sent += written,
                Err(error) if error.kind() == ErrorKind::WouldBlock => stream.writable().await?,
                Err(error) => return Err(error).context("sending"),
            }
        }
        let mut filled = 0;
        let promises = loop {
            stream.readable().await?;
            match stream.try_read(&mut answer[filled..]) {
                Ok(0) => bail!("the connection was closed"),
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error).context("receiving"),
            }
            if let Some(promises) = whole_answer(&answer[..filled])? {
                break promises;
            }
        };
        durable += usize::from(promises);
    }
    Ok(durable)
}

/// Whether an answer, once it is whole, promises anything.
fn whole_answer(bytes: &[u8]) -> anyhow::Result<Option<bool>> {
    let (mut at, mut length, mut promises) = (0, 0, false);
    while let Some(end) = bytes[at..].iter().position(|&byte| byte == b'\n') {
        let line = bytes[at..at + end].trim_ascii_end();
        at += end + 1;
        if line.is_empty() {
            return Ok((bytes.len() >= at + length).then_some(promises));
        }
        if let Some(value) = line.strip_prefix(b"content-length: ") {
            length = std::str::from_utf8(value)?.parse()?;
        }
        promises |= line.starts_with(b"postcall-submission: ");
        let status = line.strip_prefix(b"HTTP/1.1 ");
        ensure!(
            status.is_none_or(|status| status.starts_with(b"200")),
            "answered {}",
            String::from_utf8_lossy(line)
        );
    }
    ensure!(bytes.len() < ANSWER_MAX, "an answer is too long");
    Ok(None)
}
