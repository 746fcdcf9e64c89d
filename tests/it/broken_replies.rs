//! Replies of Plivo, or of a proxy before it, that are not whole: none of them is a verdict.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::test_env::Rounds;

/// Answers each request with the next of these replies, byte by byte, and the last one again and again.
struct Raw {
    address: String,
    connections: Arc<AtomicUsize>,
}

/// What is written for a request, and whether the connection ends with it.
type Scripted = (&'static str, bool);

impl Raw {
    fn answers(replies: &'static [Scripted]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let connections = Arc::new(AtomicUsize::new(0));
        let (seen, next) = (connections.clone(), Arc::new(AtomicUsize::new(0)));
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                seen.fetch_add(1, Ordering::SeqCst);
                let next = next.clone();
                std::thread::spawn(move || serve(connection.unwrap(), replies, &next));
            }
        });
        Self { address, connections }
    }
}

fn serve(connection: TcpStream, replies: &[Scripted], next: &AtomicUsize) {
    let mut connection = BufReader::new(connection);
    while let Some(length) = head(&mut connection) {
        let mut body = vec![0; length];
        connection.read_exact(&mut body).unwrap();
        let number = next.fetch_add(1, Ordering::SeqCst).min(replies.len() - 1);
        let (reply, is_last) = replies[number];
        connection.get_mut().write_all(reply.as_bytes()).unwrap();
        if is_last {
            connection.get_ref().shutdown(Shutdown::Write).unwrap();
        }
    }
}

/// Reads the head of a request and returns the length of its body; `None` if the connection ends instead.
fn head(connection: &mut BufReader<TcpStream>) -> Option<usize> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if connection.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            return Some(length);
        }
        if let Some(said) = line.strip_prefix("content-length:") {
            length = said.trim().parse().unwrap();
        }
    }
}

fn attempts_on(replies: &'static [Scripted], state: &str, verdicts: &[&str]) -> Raw {
    let raw = Raw::answers(replies);
    let settings = |text: &str| text.replace("@plivo@", &raw.address);
    Rounds::play_with(settings, async |rounds| {
        rounds.hears("quick", "c-1", "5").await;
        for _ in verdicts {
            rounds.round().await;
            rounds.later(std::time::Duration::from_secs(5));
        }
        let submission = rounds.submission("c-1");
        assert_eq!(submission.attempts, verdicts, "{replies:?}");
        assert_eq!(submission.state, state, "{replies:?}");
        assert!(rounds.store.pauses().is_empty(), "{replies:?}");
    });
    raw
}

#[test]
fn a_reply_that_breaks_off_is_an_unknown_result() {
    const CUT: [Scripted; 9] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 120\r\n\r\n{\"api_id\":\"x\",\"error\":\"iss", true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 120\r\n\r\n", true),
        ("HTTP/1.1 401 Unauthorized\r\nContent-Length: 120\r\n\r\nno", true),
        ("HTTP/1.1 400 Bad Request\r\nContent-Length: 120\r\n\r\nno", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ne\r\n{\"api_id\":\"x\",\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true),
        // Their bodies end with the connection.
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n{\"error\":\"no\"}", true),
        ("HTTP/1.0 200 OK\r\n\r\n{\"error\":\"no such issue\"}", true),
        ("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"error\":\"no such issue\"}", true),
    ];
    for cut in CUT {
        attempts_on(Box::leak(Box::new([cut])), "pending", &["unknown_result"]);
    }
}

#[test]
fn a_reply_that_is_whole_has_its_verdict() {
    const WHOLE: [(Scripted, &str, &str); 5] = [
        (("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", false), "delivered", "accepted"),
        (("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n", false), "delivered", "accepted"),
        (("HTTP/1.1 204 No Content\r\n\r\n", false), "delivered", "accepted"),
        (
            (
                "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
                false,
            ),
            "delivered",
            "accepted",
        ),
        (
            ("HTTP/1.0 200 OK\r\nContent-Length: 14\r\n\r\n{\"error\":\"no\"}", true),
            "dead(rejected)",
            "rejected",
        ),
    ];
    for (whole, state, verdict) in WHOLE {
        attempts_on(Box::leak(Box::new([whole])), state, &[verdict]);
    }
}

#[test]
fn an_informational_reply_is_no_verdict_and_what_follows_it_is_no_other_requests() {
    // The answer to the first request comes when the second one is expected.
    const HINTS: &[Scripted] = &[
        ("HTTP/1.1 103 Early Hints\r\n\r\n", false),
        ("HTTP/1.1 422 Unprocessable Entity\r\nContent-Length: 2\r\n\r\n{}", false),
    ];
    let raw = attempts_on(HINTS, "dead(rejected)", &["unknown_result", "rejected"]);
    assert_eq!(raw.connections.load(Ordering::SeqCst), 2);
}
