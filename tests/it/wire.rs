//! HTTP as bytes over TCP: what no client would send can be sent, and every answer is seen as it
//! came.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;

/// What is sent over and what came back for it.
pub fn exchange(addr: SocketAddr, request: &(impl AsRef<[u8]> + ?Sized)) -> Reply {
    let mut connection = Connection::open(addr);
    connection.send(request);
    connection.reply().expect("an answer")
}

/// A whole request; its length is said, its host does not matter.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let length = body.len().to_string();
    let headers = [headers, &[("content-length", &*length)]].concat();
    [&head(method, target, &headers), body].concat()
}

/// What stands before a body, with exactly these headers beside the host.
pub fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nhost: any.host\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").expect("a string takes all that is written");
    }
    head.push_str("\r\n");
    head.into_bytes()
}

pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn open(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        // So that a missing answer fails a test instead of hanging it.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(BufReader::new(stream))
    }

    pub fn send(&mut self, bytes: &(impl AsRef<[u8]> + ?Sized)) {
        self.0.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    /// Whether the other side still takes it.
    pub fn takes(&mut self, bytes: &(impl AsRef<[u8]> + ?Sized)) -> bool {
        self.0.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// Whether the other side closes the connection before `bound` is over; what it says meanwhile is
    /// skipped.
    pub fn is_closed_within(&mut self, bound: Duration) -> bool {
        let began = Instant::now();
        let mut skipped = [0; 4096];
        loop {
            let left = bound.saturating_sub(began.elapsed());
            if left.is_zero() {
                return false;
            }
            self.0.get_ref().set_read_timeout(Some(left)).unwrap();
            match self.0.read(&mut skipped) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error)
                    if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
                Err(_) => return true,
            }
        }
    }

    /// Nothing more will be sent; an answer can still be read.
    pub fn finish_sending(&self) {
        self.0.get_ref().shutdown(Shutdown::Write).unwrap();
    }

    /// `None` where the connection was closed without one byte.
    pub fn reply(&mut self) -> Option<Reply> {
        let mut status_line = String::new();
        match self.0.read_line(&mut status_line) {
            Ok(0) => return None,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                assert_eq!(status_line, "");
                return None;
            }
            read => read.unwrap(),
        };
        let status = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = self
            .0
            .by_ref()
            .lines()
            .map(Result::unwrap)
            .take_while(|line| !line.is_empty())
            .map(|line| {
                line.split_once(": ").map(|(n, v)| (n.to_lowercase(), v.to_owned())).unwrap()
            })
            .collect();
        let mut reply = Reply { status, headers, text: String::new(), body: Value::Null };
        let body = match reply.header("transfer-encoding") {
            Some("chunked") => self.chunks(),
            _ => {
                let length = reply.header("content-length");
                self.bytes(length.map_or(0, |length| length.parse().unwrap()))
            }
        };
        reply.text = String::from_utf8(body).unwrap();
        reply.body = serde_json::from_str(&reply.text).unwrap_or_default();
        Some(reply)
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut whole = Vec::new();
        loop {
            let mut length = String::new();
            self.0.read_line(&mut length).unwrap();
            let chunk = self.bytes(usize::from_str_radix(length.trim_end(), 16).unwrap());
            assert_eq!(self.bytes(2), b"\r\n");
            if chunk.is_empty() {
                return whole;
            }
            whole.extend(chunk);
        }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}

pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub text: String,
    /// Null where it is no JSON.
    pub body: Value,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub fn assert_status(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
    }
}
