//! Connections that keep a listener busy with next to nothing: each is closed by the service, and
//! callers get through meanwhile.

use std::time::{Duration, Instant};

use crate::test_env::{Callback, TOKEN, TestEnv};
use crate::wire::{Connection, head, request};

/// Longer than any bound of a connection.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long a flood may keep a caller waiting.
const CALLER_PATIENCE: Duration = Duration::from_secs(8);

#[test]
fn a_connection_that_begins_its_next_request_and_never_ends_it_is_closed() {
    let test_env = TestEnv::new();
    let mut connection = idle(&test_env);
    connection.send("G");
    assert!(connection.is_closed_within(PATIENCE), "it is still open");
    closed(&test_env, "public", "head_timeout", 1.0);
}

#[test]
fn a_connection_that_sends_a_refused_body_chunk_by_chunk_is_closed() {
    let test_env = hurried();
    let mut connection = Connection::open(test_env.public());
    let chunked = [("transfer-encoding", "chunked")];
    connection.send(&head("POST", "/hooks/nobody", &chunked));
    connection.send("1\r\nx\r\n");
    let reply = connection.reply().expect("an answer");
    reply.assert_status(404);
    assert_eq!(reply.header("connection"), Some("close"));
    trickles_until_closed(&mut connection, "1\r\nx\r\n");
    closed(&test_env, "public", "body_timeout", 1.0);
}

#[test]
fn a_connection_with_endless_chunk_extensions_is_closed() {
    let test_env = TestEnv::new();
    let mut connection = Connection::open(test_env.public());
    let callback = Callback::signed("quick", None, "CallUUID=c-1&Digits=4", TOKEN);
    connection.send(&callback.head(&[("transfer-encoding", "chunked")]));
    connection.send("1;");
    let extension = vec![b'x'; 1024 * 1024];
    let taken = (0..256).take_while(|_| connection.takes(&extension)).count();
    assert!(taken < 64, "{taken} MiB of a chunk's extension were taken");
    closed(&test_env, "public", "too_large", 1.0);
}

#[test]
fn idle_connections_up_to_the_limit_do_not_keep_a_caller_out() {
    let test_env = TestEnv::new();
    let flood: Vec<Connection> = (0..1024)
        .map(|_| {
            let mut connection = idle(&test_env);
            connection.send("G");
            connection
        })
        .collect();
    assert_caller_gets_through(&test_env);
    drop(flood);
}

#[test]
fn silent_connections_up_to_the_limit_do_not_keep_a_caller_out() {
    let test_env = TestEnv::with(&[("PUBLIC__CONNECTIONS", "64")]);
    let flood: Vec<Connection> = (0..64).map(|_| Connection::open(test_env.public())).collect();
    test_env.until("the flood is connected", || connections(&test_env, "public") >= 60.0);
    assert_caller_gets_through(&test_env);
    drop(flood);
}

#[test]
fn slow_bodies_up_to_the_limit_do_not_keep_a_caller_out() {
    let test_env = TestEnv::with(&[("PUBLIC__CONNECTIONS", "64"), ("PUBLIC__BODY_TIMEOUT", "1h")]);
    let flood: Vec<Connection> = (0..64)
        .map(|n| {
            let source = if n % 2 == 0 { "nobody" } else { "quick" };
            let mut connection = Connection::open(test_env.public());
            let path = format!("/hooks/{source}");
            connection.send(&head("POST", &path, &[("transfer-encoding", "chunked")]));
            connection.send("1\r\nx\r\n");
            connection
        })
        .collect();
    assert_caller_gets_through(&test_env);
    drop(flood);
}

#[test]
fn half_heads_do_not_keep_anybody_from_the_admin_listener() {
    let test_env = TestEnv::new();
    let mut flood: Vec<Connection> = (0..64)
        .map(|_| {
            let mut connection = Connection::open(test_env.private());
            connection.send(&request("GET", "/livez", &[], b""));
            connection.reply().expect("an answer").assert_status(200);
            connection.send("GET /livez HTTP/1.1\r\n");
            connection
        })
        .collect();
    // The 65th is served when one of those is closed.
    let began = Instant::now();
    test_env.ask("/livez").assert_status(200);
    assert!(began.elapsed() < CALLER_PATIENCE);
    for connection in &mut flood {
        assert!(connection.is_closed_within(PATIENCE), "it is still open");
    }
}

#[test]
fn a_head_that_is_too_large_for_the_admin_listener_is_not_waited_for() {
    let test_env = TestEnv::new();
    let mut connection = Connection::open(test_env.private());
    connection.send(&format!("GET /livez HTTP/1.1\r\nx: {}", "x".repeat(20 * 1024)));
    assert!(connection.is_closed_within(Duration::from_secs(3)), "it is still open");
    closed(&test_env, "admin", "too_large", 1.0);
    let long = "x".repeat(10 * 1024);
    let reply = test_env.api("GET", "/totals", &[("x", &long)], b"");
    reply.assert_status(200);
}

#[test]
fn connections_are_counted_by_what_they_wait_for() {
    let test_env = TestEnv::new();
    let _idle = idle(&test_env);
    let mut half = Connection::open(test_env.public());
    half.send("GET / HTTP/1.1\r\n");
    let mut slow = Connection::open(test_env.public());
    slow.send(&head("POST", "/hooks/quick", &[("content-length", "9")]));
    for state in ["idle", "head", "body"] {
        let series = format!("connections{{listener=\"public\",state=\"{state}\"}}");
        test_env.until(state, || test_env.figures().of(&series) == 1.0);
    }
    let figures = test_env.figures();
    assert_eq!(figures.of("connections_limit{listener=\"public\"}"), 1024.0);
    assert_eq!(figures.of("connections_limit{listener=\"admin\"}"), 64.0);
}

#[test]
fn requests_that_are_no_http_are_counted_and_not_logged() {
    let mut test_env = TestEnv::of(crate::test_env::SETTINGS);
    test_env.set(&[("LOGS__FORMAT", "json")]);
    test_env.serve_as_process();
    for _ in 0..50 {
        let mut connection = Connection::open(test_env.public());
        connection.send("no http\r\n\r\n");
        connection.reply().expect("an answer").assert_status(400);
        assert!(connection.is_closed_within(PATIENCE));
    }
    closed(&test_env, "public", "malformed", 50.0);
    test_env.process().signal("TERM");
    let logged = test_env.until_the_process_ends().stdout;
    assert!(!logged.contains("ERROR"), "{logged}");
}

/// A connection that was served once and is kept open.
fn idle(test_env: &TestEnv) -> Connection {
    let mut connection = Connection::open(test_env.public());
    connection.send(&request("GET", "/", &[], b""));
    connection.reply().expect("an answer").assert_status(200);
    connection
}

/// Where a slow body is not waited for long.
fn hurried() -> TestEnv {
    TestEnv::with(&[("PUBLIC__BODY_TIMEOUT", "500ms")])
}

fn connections(test_env: &TestEnv, listener: &str) -> f64 {
    let figures = test_env.figures();
    ["idle", "head", "body", "responding", "draining"]
        .map(|state| {
            figures.of(&format!("connections{{listener=\"{listener}\",state=\"{state}\"}}"))
        })
        .iter()
        .sum()
}

/// Waits until so many were closed for this reason.
#[track_caller]
fn closed(test_env: &TestEnv, listener: &str, reason: &str, count: f64) {
    let series = format!("connections_closed_total{{listener=\"{listener}\",reason=\"{reason}\"}}");
    test_env.until(&series, || test_env.figures().of(&series) >= count);
    assert_eq!(test_env.figures().of(&series), count);
}

#[track_caller]
fn trickles_until_closed(connection: &mut Connection, piece: &str) {
    let began = Instant::now();
    while !connection.is_closed_within(Duration::from_millis(50)) {
        connection.takes(piece);
        assert!(began.elapsed() < PATIENCE, "it is still open");
    }
}

#[track_caller]
fn assert_caller_gets_through(test_env: &TestEnv) {
    let began = Instant::now();
    test_env.caller("c-1").has_pressed("4");
    assert!(began.elapsed() < CALLER_PATIENCE, "{:?}", began.elapsed());
    test_env.until_it_is("c-1", "delivered");
}
