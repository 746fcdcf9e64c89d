//! What no one should send: each gets its answer, nothing of it is stored, and the service goes on.

use std::sync::mpsc;
use std::thread;

use crate::test_env::{Callback, TOKEN, TestEnv};
use crate::wire::{Connection, Reply, exchange, request};

/// The most that a body may have, in bytes.
const BODY_MAX: usize = 64 * 1024;

const GOOD: &str = "CallUUID=c-1&Digits=4";

/// Something bad, and the status that its sender hears from a source that tells it.
struct Bad {
    what: &'static str,
    status: u16,
    send: Box<Send>,
}

/// Sends it to this source.
type Send = dyn Fn(&TestEnv, &str) -> Reply;

fn bad(what: &'static str, status: u16, send: impl Fn(&TestEnv, &str) -> Reply + 'static) -> Bad {
    Bad { what, status, send: Box::new(send) }
}

/// Everything that a source refuses.
fn all_that_is_refused() -> Vec<Bad> {
    let mut all = vec![
        bad("too large, as it says", 413, |test_env, source| {
            let body = format!("{GOOD}&Note={}", "x".repeat(BODY_MAX));
            signed(source, &body).send(test_env)
        }),
        bad("too large, in chunks", 413, |test_env, source| {
            let callback = signed(source, &format!("{GOOD}&Note={}", "x".repeat(BODY_MAX)));
            in_chunks(test_env, &callback)
        }),
        bad("far too large, as it says, and never sent", 413, |test_env, source| {
            let mut connection = Connection::open(test_env.public());
            connection.send(&signed(source, GOOD).head(&[("content-length", "1000000000000")]));
            connection.reply().expect("an answer")
        }),
        bad("far too large, and sent all the same", 413, |test_env, source| {
            let mut connection = Connection::open(test_env.public());
            let callback = signed(source, GOOD);
            connection.send(&callback.head(&[("content-length", "4000000")]));
            connection.send(&vec![b'x'; 4_000_000]);
            connection.reply().expect("an answer")
        }),
        bad("slow", 408, |test_env, source| {
            let mut connection = Connection::open(test_env.public());
            connection.send(&signed(source, GOOD).head(&[("content-length", "21")]));
            connection.send(&GOOD[..10]);
            connection.reply().expect("an answer")
        }),
        bad("half a body, then the end", 400, |test_env, source| {
            let mut connection = Connection::open(test_env.public());
            connection.send(&signed(source, GOOD).head(&[("content-length", "21")]));
            connection.send(&GOOD[..10]);
            connection.finish_sending();
            connection.reply().expect("an answer")
        }),
        bad("a broken form", 400, |test_env, source| {
            signed(source, "CallUUID=c-1&Digits=%zz").send(test_env)
        }),
        bad("a broken query", 400, |test_env, source| {
            let mut callback = signed(source, GOOD);
            callback.target.push_str("?question=%f");
            callback.send(test_env)
        }),
        bad("broken UTF-8", 400, |test_env, source| {
            let mut callback = signed(source, GOOD);
            callback.body.extend(b"&Speech=\xff\xfe");
            callback.send(test_env)
        }),
        bad("broken UTF-8, encoded", 400, |test_env, source| {
            signed(source, "CallUUID=c-1&Digits=%c3%28").send(test_env)
        }),
        bad("JSON where a form belongs", 415, |test_env, source| {
            let mut callback = signed(source, GOOD);
            callback.headers[0].1 = "application/json".to_owned();
            callback.body = br#"{"CallUUID":"c-1","Digits":"4"}"#.to_vec();
            callback.send(test_env)
        }),
        bad("a form that does not say so", 415, |test_env, source| {
            let mut callback = signed(source, GOOD);
            callback.headers.remove(0);
            callback.send(test_env)
        }),
        bad("a body that is encoded", 415, |test_env, source| {
            let mut callback = signed(source, GOOD);
            callback.headers.push(("content-encoding", "gzip".to_owned()));
            callback.body = b"\x1f\x8b\x08\x00".to_vec();
            callback.send(test_env)
        }),
        bad("no call", 400, |test_env, source| signed(source, "Digits=4").send(test_env)),
        bad("ten thousand parameters", 400, |test_env, source| {
            let fields: String = (0..10_000).map(|n| format!("&p{n}=")).collect();
            let body = format!("{GOOD}{}", &fields[..BODY_MAX - GOOD.len()]);
            signed(source, &body).send(test_env)
        }),
        bad("ten thousand parameters in the query", 400, |test_env, source| {
            let mut callback = signed(source, GOOD);
            callback.target.push('?');
            callback.target.push_str(&"a&".repeat(10_000));
            callback.send(test_env)
        }),
        bad("no signature", 401, |test_env, source| {
            let mut callback = signed(source, GOOD);
            callback.headers.retain(|(name, _)| *name != "x-plivo-signature-v3");
            callback.send(test_env)
        }),
        bad("no nonce", 401, |test_env, source| {
            let mut callback = signed(source, GOOD);
            callback.headers.retain(|(name, _)| *name != "x-plivo-signature-v3-nonce");
            callback.send(test_env)
        }),
        bad("no header at all", 415, |test_env, source| {
            exchange(test_env.public(), &request("POST", &format!("/hooks/{source}"), &[], b"a"))
        }),
        bad("another token", 401, |test_env, source| {
            Callback::signed(source, None, GOOD, "not-the-token").send(test_env)
        }),
        bad("another body", 401, |test_env, source| {
            let mut callback = signed(source, GOOD);
            callback.body = GOOD.replace("=4", "=5").into_bytes();
            callback.send(test_env)
        }),
        bad("the signature of another source", 401, |test_env, source| {
            let mut callback = signed("nobody", GOOD);
            callback.target = format!("/hooks/{source}");
            callback.send(test_env)
        }),
        bad("as GET what was signed as POST", 401, |test_env, source| {
            let mut callback = signed(source, GOOD);
            callback.method = "GET";
            callback.target.push_str(&format!("?{GOOD}"));
            callback.body.clear();
            callback.send(test_env)
        }),
    ];
    for header in ["x-plivo-signature-v3", "x-plivo-signature-v3-nonce"] {
        all.push(bad("a signature header twice", 401, move |test_env, source| {
            let mut callback = signed(source, GOOD);
            let twice = callback.headers.iter().find(|(name, _)| *name == header).cloned();
            callback.headers.extend(twice);
            callback.send(test_env)
        }));
    }
    for call in ["a/b", "..", "a.b", "a%2Fb", "../../v1/Account", "a%00", "", "é", "a b"] {
        all.push(bad("a call id that would leave its path", 400, move |test_env, source| {
            signed_as_decoded(source, call).send(test_env)
        }));
    }
    for (query, body) in [
        ("", "CallUUID=c-1&Digits=4&Digits=4"),
        ("", "CallUUID=c-1&Digits=4&Digits=5"),
        ("", "CallUUID=c-1&InputType=speech&Speech=4&Speech=5"),
        ("", "CallUUID=c-1&CallUUID=c-2&Digits=4"),
        ("", "call_uuid=c-1&call_uuid=c-2&Digits=4"),
        ("call_uuid=c-2", "CallUUID=c-1&call_uuid=c-1&Digits=4"),
        ("question=score", "CallUUID=c-1&Digits=4&question=other"),
        ("", "CallUUID=c-1&Digits=4&question=score&question=score"),
        ("Digits=5", "CallUUID=c-1&Digits=4"),
        ("CallUUID=c-2", "CallUUID=c-1&Digits=4"),
    ] {
        all.push(bad("a parameter twice", 400, move |test_env, source| {
            let query = Some(query).filter(|query| !query.is_empty());
            Callback::signed(source, query, body, TOKEN).send(test_env)
        }));
    }
    all
}

#[test]
fn what_cannot_be_taken_is_answered_with_why_and_leaves_nothing_behind() {
    let test_env = hurried();
    for Bad { what, status, send } in all_that_is_refused() {
        let reply = send(&test_env, "quick");
        assert_problem(&reply, status, what);
        assert!(reply.header("postcall-submission").is_none(), "{what}");
        assert!(test_env.store.is_empty(), "{what}");
    }
    still_serves(&test_env, "quick");
}

#[test]
fn where_a_live_call_must_go_on_a_refusal_sounds_like_thanks_and_promises_nothing() {
    let test_env = hurried();
    for Bad { what, send, .. } in all_that_is_refused() {
        let reply = send(&test_env, "polite");
        assert_eq!(reply.status, 200, "{what}");
        assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
        assert_eq!(reply.text, r#"{"thanks":true}"#, "{what}");
        assert!(reply.headers.iter().all(|(name, _)| !name.starts_with("postcall")), "{what}");
        assert!(test_env.store.is_empty(), "{what}");
    }
    still_serves(&test_env, "polite");
}

#[test]
fn a_source_or_a_method_that_does_not_exist_is_said_whatever_the_source_wants() {
    let test_env = TestEnv::new();
    for path in ["/hooks/nobody", "/hooks/", "/hooks", "/hooks/quick/", "/hooks/quick/x", "/x"] {
        let reply = exchange(test_env.public(), &request("POST", path, &[], b""));
        assert_problem(&reply, 404, path);
    }
    for path in ["/hooks/%71uick", "/hooks/..%2Fquick", "/hooks/QUICK", "//hooks/quick"] {
        let reply = exchange(test_env.public(), &request("POST", path, &[], b""));
        assert_problem(&reply, 404, path);
    }
    let reply = exchange(test_env.public(), &request("POST", "/hook/quick", &[], b""));
    assert!(reply.text.contains("/hooks/NAME, without a slash at the end"), "{}", reply.text);
    for source in ["quick", "polite", "nobody"] {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS"] {
            let path = format!("/hooks/{source}");
            let reply = exchange(test_env.public(), &request(method, &path, &[], b""));
            assert_problem(&reply, 405, method);
            assert_eq!(reply.header("allow"), Some("GET, POST"), "{method}");
        }
    }
    let reply = exchange(test_env.public(), &request("POST", "/", &[], b""));
    assert_problem(&reply, 405, "/");
    assert_eq!(reply.header("allow"), Some("GET"));
    assert!(test_env.store.is_empty());
    assert_eq!(
        test_env.figures().of("webhooks_total{outcome=\"unknown_source\",source=\"unknown\"}"),
        11.0
    );
    still_serves(&test_env, "quick");
}

#[test]
fn the_root_of_the_public_door_says_that_somebody_is_there_and_nothing_else() {
    let test_env = TestEnv::new();
    let reply = exchange(test_env.public(), &request("GET", "/", &[], b""));
    reply.assert_status(200);
    assert_eq!(reply.text, "");
    for path in ["/metrics", "/livez", "/readyz"] {
        let reply = exchange(test_env.public(), &request("GET", path, &[], b""));
        assert_problem(&reply, 404, path);
    }
}

#[test]
fn a_webhook_that_arrives_in_pieces_and_is_as_long_as_it_may_be_is_a_webhook() {
    let test_env = TestEnv::new();
    let longest = format!("{GOOD}&Note={}", "x".repeat(BODY_MAX - GOOD.len() - "&Note=".len()));
    let callback = signed("quick", &longest);
    let whole = callback.send(&test_env);
    whole.assert_status(200);
    assert_eq!(whole.header("postcall-outcome"), Some("created"));
    let in_pieces = in_chunks(&test_env, &callback);
    in_pieces.assert_status(200);
    assert_eq!(in_pieces.header("postcall-outcome"), Some("duplicate"));
}

#[test]
fn what_the_store_cannot_keep_is_answered_503_even_by_a_polite_source() {
    let test_env = TestEnv::new();
    test_env.caller("before").has_pressed("4");
    test_env.until_it_is("before", "delivered");

    test_env.store.refuses_writes();
    for source in ["quick", "polite"] {
        let reply = test_env.caller("c-1").at(source).presses("4");
        assert_problem(&reply, 503, source);
        assert_eq!(reply.header("retry-after"), Some("1"), "{source}");
        assert!(reply.header("postcall-submission").is_none(), "{source}");
        let ready = test_env.ask("/readyz");
        ready.assert_status(503);
        assert_eq!(ready.text, "[-]store\n[+]accepting\n");
    }
    test_env.ask("/livez").assert_status(200);
    assert_eq!(test_env.figures().of("store_writable"), 0.0);
    assert_eq!(test_env.store.submission("c-1"), None);
    // A refusal needs no store.
    test_env.caller("c-1").signed_with("not-the-token").presses("4").assert_status(401);

    test_env.store.takes_writes();
    test_env.until("it is ready by itself", || test_env.is_ready());
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let figures = test_env.figures();
    assert_eq!(figures.of("store_writable"), 1.0);
    assert_eq!(figures.of("webhooks_total{outcome=\"unavailable\",source=\"polite\"}"), 1.0);
}

#[test]
fn a_commit_that_wrote_nothing_does_not_make_a_broken_store_look_well() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    test_env.store.refuses_writes();
    test_env.caller("c-2").presses("4").assert_status(503);
    // This one is on disk, and nothing is to be written about it.
    let repeat = test_env.caller("c-1").presses("4");
    repeat.assert_status(200);
    assert_eq!(repeat.header("postcall-outcome"), Some("duplicate"));
    assert!(!test_env.is_ready());
    assert_eq!(test_env.figures().of("store_writable"), 0.0);
}

#[test]
fn who_comes_while_the_queue_is_full_is_told_to_come_back_and_nobody_else() {
    let test_env = TestEnv::with(&[("STORE__WRITE_QUEUE", "1")]);
    let busy = test_env.store.is_written_by_another();
    let (heard, hears) = mpsc::channel();
    thread::scope(|scope| {
        for call in ["c-1", "c-2"] {
            let (test_env, heard) = (&test_env, heard.clone());
            scope.spawn(move || {
                heard.send(test_env.caller(call).at("polite").presses("4")).unwrap()
            });
        }
        let first = hears.recv().unwrap();
        assert_problem(&first, 503, "the queue is full");
        assert_eq!(first.header("retry-after"), Some("1"));
        drop(busy);
        hears.recv().unwrap().assert_status(200);
    });
    assert_eq!(test_env.store.totals().accepted, 1);
}

#[test]
fn a_crowd_that_sends_halves_does_not_keep_others_out() {
    let test_env = TestEnv::new();
    let waiting: Vec<Connection> = (0..50)
        .map(|_| {
            let mut connection = Connection::open(test_env.public());
            connection.send(&signed("quick", GOOD).head(&[("content-length", "21")]));
            connection
        })
        .collect();
    thread::scope(|scope| {
        for n in 0..8 {
            let test_env = &test_env;
            scope.spawn(move || test_env.caller(&format!("c-{n}")).has_pressed("4"));
        }
    });
    drop(waiting);
}

/// Where a slow sender is not waited for long.
fn hurried() -> TestEnv {
    TestEnv::with(&[("PUBLIC__BODY_TIMEOUT", "500ms")])
}

fn signed(source: &str, body: &str) -> Callback {
    Callback::signed(source, None, body, TOKEN)
}

/// Signed over what the call id is once decoded, as Plivo does.
fn signed_as_decoded(source: &str, call: &str) -> Callback {
    let decoded = match call {
        "a%2Fb" => "a/b",
        "a%00" => "a\0",
        plain => plain,
    };
    let mut callback = signed(source, &format!("CallUUID={decoded}&Digits=4"));
    callback.body = format!("CallUUID={}&Digits=4", call.replace(' ', "+")).into_bytes();
    callback
}

fn in_chunks(test_env: &TestEnv, callback: &Callback) -> Reply {
    let mut connection = Connection::open(test_env.public());
    connection.send(&callback.head(&[("transfer-encoding", "chunked")]));
    for chunk in callback.body.chunks(8 * 1024) {
        connection.send(&format!("{:x}\r\n", chunk.len()));
        connection.send(chunk);
        connection.send("\r\n");
    }
    connection.send("0\r\n\r\n");
    connection.reply().expect("an answer")
}

#[track_caller]
fn assert_problem(reply: &Reply, status: u16, what: &str) {
    assert_eq!(reply.status, status, "{what}: {}", reply.text);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"), "{what}");
    assert_eq!(reply.body["status"], status, "{what}");
    assert!(reply.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{what}");
}

#[track_caller]
fn still_serves(test_env: &TestEnv, source: &str) {
    let reply = test_env.caller("good").at(source).presses("4");
    reply.assert_status(200);
    assert_eq!(reply.header("postcall-outcome"), Some("created"));
    test_env.until_it_is("good", "delivered");
    assert_eq!(test_env.store.totals().accepted, 1);
}
