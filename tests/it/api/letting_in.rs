//! Who may use the API.

use serde_json::json;

use crate::test_env::{SETTINGS, TestEnv};
use crate::wire::Reply;

const TOKEN: &str = "a-token-of-the-operator";

const ANOTHER: &str = "another-token-of-the-operator";

const JSON: (&str, &str) = ("content-type", "application/json");

/// The admin listener on every address of the host, where others may come.
fn open_to_others(token: Option<&str>) -> String {
    let token = token.map(|token| format!(", token: {{ value: {token} }}")).unwrap_or_default();
    let door = format!(r#"admin: {{ listen: "0.0.0.0:0"{token} }}"#);
    SETTINGS.replace(r#"admin: { listen: "127.0.0.1:0" }"#, &door)
}

fn running(settings: &str) -> TestEnv {
    let mut test_env = TestEnv::of(settings);
    test_env.start();
    test_env
}

fn bearing(test_env: &TestEnv, token: &str) -> Reply {
    let authorization = format!("Bearer {token}");
    test_env.api("GET", "/totals", &[("authorization", &authorization)], b"")
}

#[track_caller]
fn assert_problem(reply: &Reply, status: u16, said: &str) {
    reply.assert_status(status);
    assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    assert_eq!(reply.body["status"], status);
    let detail = reply.body["detail"].as_str().unwrap();
    assert!(detail.contains(said), "{detail}");
}

#[test]
fn whoever_is_on_this_host_is_let_in_without_a_token() {
    let test_env = TestEnv::new();
    for own in ["localhost", "localhost:9090", "127.0.0.1:1", "[::1]"] {
        test_env.api_by(own, "GET", "/totals", &[], b"").assert_status(200);
    }
}

#[test]
fn a_page_that_calls_itself_this_host_is_not_let_in() {
    let test_env = TestEnv::new();
    for another in ["evil.example.com", "evil.example.com:9090", "127.0.0.1.example.com", ""] {
        let reply = test_env.api_by(another, "GET", "/totals", &[], b"");
        assert_problem(&reply, 403, "this host's own names");
    }
    test_env.ask("/metrics").assert_status(200);
}

#[test]
fn a_page_of_another_origin_can_change_nothing() {
    let test_env = TestEnv::new();
    for simple in [
        &[][..],
        &[("content-type", "text/plain")],
        &[("content-type", "application/x-www-form-urlencoded")],
        &[JSON, ("content-type", "text/plain")],
    ] {
        let reply = test_env.api("POST", "/accounts/main/resume", simple, b"{}");
        assert_problem(&reply, 415, "application/json");
    }
    let said = [("content-type", "Application/JSON; charset=utf-8")];
    test_env.api("POST", "/accounts/main/resume", &said, b"{}").assert_status(200);
}

#[test]
fn what_comes_through_a_proxy_or_from_a_page_is_not_let_in_without_a_token() {
    let test_env = TestEnv::new();
    for (header, value) in [
        ("origin", "http://localhost:9090"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", ""),
        ("forwarded", "for=192.0.2.1"),
        ("x-forwarded-for", "192.0.2.1"),
        ("X-Forwarded-Host", "postcall.example.com"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "192.0.2.1"),
        ("via", "1.1 proxy"),
    ] {
        let reply = test_env.api("GET", "/totals", &[(header, value)], b"");
        assert_problem(&reply, 403, "admin.token");
        let reply = test_env.api("POST", "/accounts/main/pause", &[JSON, (header, value)], b"{}");
        assert_problem(&reply, 403, "admin.token");
    }
    for own in ["same-origin", "none"] {
        test_env.api("GET", "/totals", &[("sec-fetch-site", own)], b"").assert_status(200);
    }
    let both = [("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")];
    assert_problem(&test_env.api("GET", "/totals", &both, b""), 403, "admin.token");
    assert!(test_env.store.pauses().is_empty());
}

#[test]
fn who_brings_the_token_may_come_through_a_proxy() {
    let test_env = running(&open_to_others(Some(TOKEN)));
    let bearer = format!("bearer {TOKEN}");
    let through = [("authorization", &*bearer), ("x-forwarded-for", "192.0.2.1"), ("via", "1.1 p")];
    test_env.api_by("postcall.example.com", "GET", "/totals", &through, b"").assert_status(200);
}

#[test]
fn where_others_may_come_there_is_no_api_without_a_token() {
    let test_env = running(&open_to_others(None));
    assert_problem(&test_env.get("/totals"), 404, "admin.token");
    assert_problem(&bearing(&test_env, TOKEN), 404, "admin.token");
    test_env.ask("/metrics").assert_status(200);
}

#[test]
fn with_a_token_whoever_brings_it_is_let_in_from_anywhere() {
    let test_env = running(&open_to_others(Some(TOKEN)));
    bearing(&test_env, TOKEN).assert_status(200);
    let bearer = format!("bearer {TOKEN}");
    let authorization = ("authorization", bearer.as_str());
    test_env
        .api_by("postcall.example.com", "GET", "/totals", &[authorization], b"")
        .assert_status(200);

    let reply = test_env.get("/totals");
    assert_problem(&reply, 401, "admin.token");
    assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    for wrong in
        ["", "a-token-of-the-operato", "a-token-of-the-operators", "A-token-of-the-operator"]
    {
        assert_problem(&bearing(&test_env, wrong), 401, "admin.token");
    }
    let twice = test_env.api("GET", "/totals", &[authorization, authorization], b"");
    assert_problem(&twice, 401, "admin.token");
    for open in ["/metrics", "/livez", "/readyz"] {
        test_env.ask(open).assert_status(200);
    }
}

#[test]
fn with_a_token_this_host_has_to_bring_it_too() {
    let door = format!("admin: {{ listen: \"127.0.0.1:0\", token: {{ value: {TOKEN} }} }}");
    let test_env = running(&SETTINGS.replace(r#"admin: { listen: "127.0.0.1:0" }"#, &door));
    assert_problem(&test_env.get("/totals"), 401, "admin.token");
    bearing(&test_env, TOKEN).assert_status(200);
}

#[test]
fn another_token_holds_from_the_reload() {
    let mut test_env = running(&open_to_others(Some(TOKEN)));
    test_env.operator_rewrites(|settings| {
        let both = format!("[{{ value: {ANOTHER} }}, {{ value: {TOKEN} }}]");
        settings.replace(&format!("{{ value: {TOKEN} }}"), &both)
    });
    test_env.reload();
    bearing(&test_env, TOKEN).assert_status(200);
    bearing(&test_env, ANOTHER).assert_status(200);
    test_env
        .operator_rewrites(|settings| settings.replace(&format!(", {{ value: {TOKEN} }}]"), "]"));
    test_env.reload();
    assert_problem(&bearing(&test_env, TOKEN), 401, "admin.token");
    bearing(&test_env, ANOTHER).assert_status(200);
}

#[test]
fn what_is_nowhere_is_a_problem_too() {
    let test_env = TestEnv::new();
    assert_problem(&test_env.get("/nowhere"), 404, "nothing here");
    assert_problem(&test_env.api("DELETE", "/totals", &[], b""), 405, "GET");
    assert_problem(&test_env.get("/replay"), 405, "POST");
    assert_problem(&test_env.post("/totals", &json!({})), 405, "GET");
}

#[test]
fn a_request_that_is_too_long_is_refused() {
    let test_env = TestEnv::new();
    let long = format!(r#"{{ "call": "{}" }}"#, "c".repeat(20_000));
    let reply = test_env.api("POST", "/erase", &[JSON], long.as_bytes());
    assert_problem(&reply, 413, "16384");
}

#[test]
fn nothing_of_it_is_kept_on_the_way() {
    let test_env = TestEnv::new();
    assert_eq!(test_env.get("/submissions").header("cache-control"), Some("no-store"));
}
