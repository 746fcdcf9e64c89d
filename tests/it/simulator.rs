//! The stand-in of the Feedback API, spoken to as any client would: bytes over TCP.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::num::NonZeroUsize;

use data_encoding::BASE64;
use postcall::simulator::{Options, Simulator};
use serde_json::{Value, json};

use crate::wire::{Connection, Reply, exchange};

const RATING: &str = "Rating has to be a float between 1 -5";
const ISSUES: &str = "Issues have to be an array of one or more than one of the following: AUDIO_LAG, \
                      BROKEN_AUDIO, CALL_DROPPPED, CALLERID_ISSUES, DIGITS_NOT_CAPTURED, ECHO, \
                      HIGH_CONNECT_TIME, LOW_AUDIO_LEVEL, ONE_WAY_AUDIO, OTHERS, ROBOTIC_AUDIO";

#[test]
fn every_request_of_an_sdk_gets_the_answer_that_the_document_promises() {
    let fixture: Value =
        serde_json::from_str(include_str!("../fixtures/sdk-requests.json")).unwrap();
    let far_side = start_for(&sdk_account());
    let requests = fixture["requests"].as_array().unwrap();
    let mut accepted = 0;
    for request in requests {
        let (sdk, case) = (request["sdk"].as_str().unwrap(), request["case"].as_str().unwrap());
        let reply = exchange(far_side.addr(), &as_sent(request));
        match (sdk, case) {
            // What these two put on the wire is not what the document asks for.
            ("plivo-node 4.79.0 (axios 1.21.1)", _) => reply.assert_refused(422, RATING),
            (_, "issues given as string") => reply.assert_refused(422, ISSUES),
            _ => {
                assert_eq!(reply.status, 201, "{sdk}, {case}: {}", reply.body);
                accepted += 1;
            }
        }
    }
    assert_eq!(
        get(far_side.addr(), "/simulator/summary"),
        json!({"requests": 15, "accepted": accepted, "distinct_calls": 2, "refused": {"422": 2}})
    );
    let heard = get(far_side.addr(), "/simulator/feedback");
    let first = &heard["feedback"][0];
    assert_eq!(first["call_uuid"], "b38149eb-b8fe-45d5-85b2-78ee4424788f");
    assert_eq!(first["rating"], 4);
    assert_eq!(first["issues"], json!(["AUDIO_LAG"]));
    assert_eq!(first["notes"], "Call quality was good");
    assert_eq!(first["auth_id"], "MAXXXXXXXXXXXXXXXXXX");
    let unicode = heard["feedback"].as_array().unwrap().iter().map(|heard| &heard["notes"]);
    assert_eq!(unicode.filter(|notes| **notes == "très bien ★").count(), 1);
}

#[test]
fn accepted_feedback_is_answered_as_the_document_shows() {
    let far_side = start();
    let reply = rate(&far_side, "c1", r#"{"rating": 5}"#);
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.body["message"], "Feedback has been posted");
    assert_eq!(reply.body["status"], "success");
    let again = rate(&far_side, "c1", r#"{"rating": 5}"#);
    assert_ne!(reply.body["api_id"], again.body["api_id"]);
}

#[test]
fn the_path_is_checked_first_and_its_last_slash_counts() {
    let far_side = start();
    for path in [
        "/v1/Call/c1/Feedback",
        "/v1/Call/c1/Feedback//",
        "/v1/Call//Feedback/",
        "/v1/Call/a/b/Feedback/",
        "/v1/call/c1/feedback/",
        "/v1/v1/Call/c1/Feedback/",
        "/simulator/else",
        "/",
    ] {
        exchange(far_side.addr(), &request("POST", path, "", ""))
            .assert_refused(404, "Resource cannot be found");
    }
    assert_eq!(get(far_side.addr(), "/simulator/summary")["refused"], json!({"404": 8}));
}

#[test]
fn each_check_comes_before_those_behind_it() {
    let far_side = start();
    put_faults(&far_side, json!({"unknown_calls": ["purged"]})).assert_status(204);
    let anybody = authorization("MA1:token");
    let large = "x".repeat(64 * 1024 + 1);
    for (method, call, headers, body, status, text) in [
        ("GET", "purged", "", "", 401, "Authentication failed"),
        ("POST", "purged", "", large.as_str(), 401, "Authentication failed"),
        ("GET", "purged", &anybody, "", 405, "HTTP method not allowed"),
        ("PUT", "c1", &anybody, r#"{"rating": 5}"#, 405, "HTTP method not allowed"),
        ("POST", "purged", &anybody, "", 404, "Please check the Call UUID"),
        ("POST", "a.b", &anybody, "", 404, "Please check the Call UUID"),
        ("POST", "a%2Fb", &anybody, r#"{"rating": 5}"#, 404, "Please check the Call UUID"),
        ("POST", "%FF", &anybody, "", 404, "Please check the Call UUID"),
        ("POST", &"a".repeat(65), &anybody, "", 404, "Please check the Call UUID"),
        ("POST", "c1", &anybody, &large, 413, "The body is larger than 64 KiB"),
        ("POST", "c1", &anybody, r#"{"rating": 6, "issues": "ECHO"}"#, 422, RATING),
        ("POST", "c1", &anybody, r#"{"rating": 4"#, 422, RATING),
        ("POST", "c1", &anybody, "", 422, RATING),
        ("POST", "c1", &anybody, r#"{"rating": 4}"#, 422, ISSUES),
        ("POST", "c1", &anybody, r#"{"rating": 5, "issues": ["NOISE"]}"#, 422, ISSUES),
    ] {
        let path = format!("/v1/Call/{call}/Feedback/");
        exchange(far_side.addr(), &request(method, &path, headers, body))
            .assert_refused(status, text);
    }
    assert_eq!(
        get(far_side.addr(), "/simulator/summary"),
        json!({
            "requests": 15, "accepted": 0, "distinct_calls": 0,
            "refused": {"401": 2, "404": 5, "405": 2, "413": 1, "422": 5},
        })
    );
}

#[test]
fn refusals_say_how_to_do_better() {
    let far_side = start();
    let path = "/v1/Call/c1/Feedback/";
    let refused = exchange(far_side.addr(), &request("POST", path, "", ""));
    assert_eq!(refused.header("www-authenticate"), Some("Basic"));
    let authorization = authorization("MA1:token");
    let refused = exchange(far_side.addr(), &request("DELETE", path, &authorization, ""));
    assert_eq!(refused.header("allow"), Some("POST"));
}

#[test]
fn only_the_one_account_may_post_where_one_is_given() {
    let far_side = start_for("MA1:token");
    rate_as(&far_side, "MA1:token", "c1", r#"{"rating": 5}"#).assert_status(201);
    for pair in ["MA1:other", "MA2:token", "MA1:"] {
        rate_as(&far_side, pair, "c1", r#"{"rating": 5}"#)
            .assert_refused(401, "Authentication failed");
    }
}

#[test]
fn a_refusal_leaves_the_connection_open_for_the_next_request() {
    let far_side = start();
    put_faults(&far_side, json!({"faults": [{"status": 503, "times": 1}]})).assert_status(204);
    let mut connection = Connection::open(far_side.addr());
    for (body, status) in
        [(r#"{"rating": 5}"#, 503), (r#"{"rating": 4}"#, 422), ("", 422), (r#"{"rating": 5}"#, 201)]
    {
        connection.send(&feedback("MA1:token", "c1", body));
        connection.reply().expect("an answer").assert_status(status);
    }
}

#[test]
fn a_fault_answers_in_the_place_of_the_api() {
    let far_side = start();
    put_faults(
        &far_side,
        json!({"faults": [
            {"status": 503, "times": 1, "retry_after": "7"},
            {"status": 500, "times": 1},
            {"status": 200, "times": 1},
            {"status": 204, "times": 1},
        ]}),
    )
    .assert_status(204);

    let busy = rate(&far_side, "c1", r#"{"rating": 5}"#);
    assert_eq!(busy.header("retry-after"), Some("7"));
    busy.assert_refused(503, "Service Unavailable");
    let failed = rate(&far_side, "c1", r#"{"rating": 5}"#);
    assert_eq!(failed.header("retry-after"), None);
    failed.assert_refused(500, "Server error");
    rate(&far_side, "c1", r#"{"rating": 5}"#).assert_refused(200, "OK");
    rate(&far_side, "c1", r#"{"rating": 5}"#).assert_status(204);
    rate(&far_side, "c1", r#"{"rating": 5}"#).assert_status(201);
    assert_eq!(
        get(far_side.addr(), "/simulator/summary"),
        json!({
            "requests": 5, "accepted": 1, "distinct_calls": 1,
            "refused": {"200": 1, "204": 1, "500": 1, "503": 1},
        })
    );
}

#[test]
fn a_reset_closes_the_connection_without_one_byte() {
    let far_side = start();
    put_faults(
        &far_side,
        json!({"faults": [{"reset": "before", "times": 1}, {"reset": "after", "times": 2}]}),
    )
    .assert_status(204);

    let summaries: Vec<_> = [r#"{"rating": 5}"#, r#"{"rating": 5}"#, r#"{"rating": 4}"#]
        .into_iter()
        .map(|body| {
            let mut connection = Connection::open(far_side.addr());
            connection.send(&feedback("MA1:token", "c1", body));
            assert!(connection.reply().is_none());
            get(far_side.addr(), "/simulator/summary")
        })
        .collect();
    let summary = |requests, accepted, refused| {
        let distinct_calls = accepted;
        json!({
            "requests": requests, "accepted": accepted,
            "distinct_calls": distinct_calls, "refused": refused,
        })
    };
    assert_eq!(
        summaries,
        [summary(1, 0, json!({})), summary(2, 1, json!({})), summary(3, 1, json!({"422": 1})),]
    );
    rate(&far_side, "c1", r#"{"rating": 5}"#).assert_status(201);
}

#[test]
fn a_reset_severs_a_connection_that_has_been_answered_before() {
    let far_side = start();
    put_faults(&far_side, json!({"faults": [{"reset": "after", "every": 2}]})).assert_status(204);
    let mut connection = Connection::open(far_side.addr());
    connection.send(&feedback("MA1:token", "c1", r#"{"rating": 5}"#));
    connection.reply().expect("an answer").assert_status(201);
    connection.send(&feedback("MA1:token", "c2", r#"{"rating": 5}"#));
    assert!(connection.reply().is_none());
    assert_eq!(get(far_side.addr(), "/simulator/feedback")["total"], 2);
}

#[test]
fn a_request_that_breaks_off_is_neither_judged_nor_struck() {
    let far_side = start();
    put_faults(&far_side, json!({"faults": [{"status": 503, "times": 1}]})).assert_status(204);
    let whole = feedback("MA1:token", "c1", r#"{"rating": 5}"#);
    let mut connection = Connection::open(far_side.addr());
    connection.send(&whole[..whole.len() - 1]);
    connection.finish_sending();
    connection.reply().expect("an answer").assert_status(400);
    assert_eq!(
        get(far_side.addr(), "/simulator/summary"),
        json!({"requests": 1, "accepted": 0, "distinct_calls": 0, "refused": {}})
    );
    exchange(far_side.addr(), &whole).assert_status(503);
}

#[test]
fn a_delayed_request_is_heard_before_it_is_answered_and_does_not_hold_up_the_end() {
    let far_side = start();
    let plan = json!({"faults": [{"delay_ms": 600_000, "times": 1}, {"delay_ms": 1}]});
    put_faults(&far_side, plan).assert_status(204);
    let mut waiting = Connection::open(far_side.addr());
    waiting.send(&feedback("MA1:token", "late", r#"{"rating": 5}"#));
    while get(far_side.addr(), "/simulator/feedback?call_uuid=late")["total"] == 0 {}
    rate(&far_side, "c1", r#"{"rating": 5}"#).assert_status(201);
    drop(far_side);
    assert!(waiting.reply().is_none());
}

#[test]
fn a_plan_is_replaced_as_a_whole_and_a_wrong_one_changes_nothing() {
    let far_side = start();
    put_faults(&far_side, json!({"faults": [{"status": 503}], "spelling": "error"}))
        .assert_status(204);
    let refused = put_faults(&far_side, json!({"faults": [{"state": 500}]}));
    refused.assert_status(400);
    let told = refused.body["error"].as_str().unwrap();
    assert!(told.contains("unknown field `state`, expected one of `status`"), "{told}");
    put_faults(&far_side, json!({"unknown_calls": ["c".repeat(64 * 1024)]})).assert_status(413);
    rate(&far_side, "c1", r#"{"rating": 5}"#).assert_status(503);

    put_faults(&far_side, json!({"unknown_calls": ["purged"]})).assert_status(204);
    rate(&far_side, "purged", r#"{"rating": 5}"#).assert_refused(404, "Please check the Call UUID");
    rate(&far_side, "c1", r#"{"rating": 1, "issues": ["CALL_DROPPED"]}"#).assert_status(201);
}

#[test]
fn the_spelling_of_the_error_text_can_be_asked_for() {
    let far_side = start();
    let spellings = [
        ("argument", "CALLERID_ISSUE", "CALLERID_ISSUES"),
        ("error", "CALL_DROPPPED", "CALL_DROPPED"),
    ];
    for (spelling, right, wrong) in spellings {
        put_faults(&far_side, json!({"spelling": spelling})).assert_status(204);
        let rated =
            |issue| rate(&far_side, "c1", &json!({"rating": 1, "issues": [issue]}).to_string());
        rated(right).assert_status(201);
        rated(wrong).assert_refused(422, ISSUES);
    }
}

#[test]
fn the_record_is_asked_for_by_call_and_by_page() {
    let far_side = start();
    for call in ["a", "b", "a"] {
        rate(&far_side, call, r#"{"rating": "5.0", "issues": null, "notes": ""}"#)
            .assert_status(201);
    }
    let of_a = get(far_side.addr(), "/simulator/feedback?call_uuid=a");
    assert_eq!(of_a["total"], 2);
    let from_the_second = get(far_side.addr(), "/simulator/feedback?cursor=1");
    assert_eq!(from_the_second["total"], 3);
    assert_eq!(from_the_second["feedback"].as_array().unwrap().len(), 2);
    let heard = &from_the_second["feedback"][0];
    assert_eq!(heard["call_uuid"], "b");
    assert_eq!(heard["rating"], 5);
    assert_eq!(heard["issues"], json!([]));
    assert_eq!(heard["notes"], "");
    assert!(heard["received_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());

    for wrong in ["?cursor=x", "?call=a", "?cursor=1&cursor=2"] {
        let path = format!("/simulator/feedback{wrong}");
        exchange(far_side.addr(), &request("GET", &path, "", "")).assert_status(400);
    }
}

#[test]
fn forgetting_empties_the_record_and_ends_the_faults() {
    let far_side = start();
    rate(&far_side, "c1", r#"{"rating": 5}"#).assert_status(201);
    put_faults(&far_side, json!({"faults": [{"status": 503}]})).assert_status(204);
    exchange(far_side.addr(), &request("DELETE", "/simulator", "", "")).assert_status(204);
    assert_eq!(
        get(far_side.addr(), "/simulator/summary"),
        json!({"requests": 0, "accepted": 0, "distinct_calls": 0, "refused": {}})
    );
    assert_eq!(get(far_side.addr(), "/simulator/feedback"), json!({"total": 0, "feedback": []}));
    rate(&far_side, "c1", r#"{"rating": 5}"#).assert_status(201);
}

#[test]
#[cfg(target_os = "linux")]
fn a_dropped_simulator_gives_its_port_back() {
    // An address of its own, where no other test can take the port in between.
    let first = Simulator::start(([127, 0, 0, 2], 0).into(), Options::default()).unwrap();
    let addr = first.addr();
    rate(&first, "c1", r#"{"rating": 5}"#).assert_status(201);
    drop(first);
    assert!(TcpStream::connect(addr).is_err());
    let second = Simulator::start(
        addr,
        Options { workers: NonZeroUsize::new(2).unwrap(), ..Options::default() },
    )
    .unwrap();
    rate(&second, "c1", r#"{"rating": 5}"#).assert_status(201);
}

fn start() -> Simulator {
    Simulator::start(anywhere(), Options::default()).unwrap()
}

fn start_for(account: &str) -> Simulator {
    let (id, token) = account.split_once(':').unwrap();
    let auth = Some((id.to_owned(), token.to_owned()));
    Simulator::start(anywhere(), Options { auth, ..Options::default() }).unwrap()
}

fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// The account with which the SDKs were recorded.
fn sdk_account() -> String {
    format!("MAXXXXXXXXXXXXXXXXXX:TESTTOKEN{}", "0".repeat(31))
}

/// The bytes of a recorded request. Where it lacks a header or holds a placeholder instead, what
/// the SDK would have sent is filled in.
fn as_sent(request: &Value) -> String {
    let body = request["body"].as_str().unwrap();
    let target = request["request_line"].as_str().unwrap().split(' ').nth(1).unwrap();
    let path = target
        .trim_start_matches("https://stats.plivo.com")
        .replace("{uuid}", "b38149eb-b8fe-45d5-85b2-78ee4424788f");

    let mut headers: Vec<(String, String)> =
        serde_json::from_value(request["headers"].clone()).unwrap();
    headers.retain(|(_, value)| !value.contains('…') && !value.ends_with("(annotation)"));
    for (name, value) in [
        ("Host", "stats.plivo.com".to_owned()),
        ("Content-Type", "application/json".to_owned()),
        ("Authorization", format!("Basic {}", BASE64.encode(sdk_account().as_bytes()))),
        ("Content-Length", body.len().to_string()),
    ] {
        if !headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)) {
            headers.push((name.to_owned(), value));
        }
    }
    let headers: String =
        headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("POST {path} HTTP/1.1\r\n{headers}\r\n{body}")
}

fn rate(far_side: &Simulator, call: &str, body: &str) -> Reply {
    rate_as(far_side, "MA1:token", call, body)
}

fn rate_as(far_side: &Simulator, account: &str, call: &str, body: &str) -> Reply {
    exchange(far_side.addr(), &feedback(account, call, body))
}

fn feedback(account: &str, call: &str, body: &str) -> String {
    request("POST", &format!("/v1/Call/{call}/Feedback/"), &authorization(account), body)
}

fn put_faults(far_side: &Simulator, plan: Value) -> Reply {
    exchange(far_side.addr(), &request("PUT", "/simulator/faults", "", &plan.to_string()))
}

fn get(addr: SocketAddr, path: &str) -> Value {
    let reply = exchange(addr, &request("GET", path, "", ""));
    reply.assert_status(200);
    reply.body
}

/// `headers` are whole lines.
fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{method} {path} HTTP/1.1\r\nhost: far.side\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

fn authorization(account: &str) -> String {
    format!("authorization: Basic {}\r\n", BASE64.encode(account.as_bytes()))
}

impl Reply {
    #[track_caller]
    fn assert_refused(&self, status: u16, text: &str) {
        self.assert_status(status);
        assert_eq!(self.body["error"], text);
        assert!(self.body["api_id"].is_string(), "{}", self.body);
    }
}
