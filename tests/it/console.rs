//! The console: who is let in, what its pages show and what they do.

mod access;
mod injection;
pub mod insights;
mod pages;
mod playground;

use crate::test_env::{SETTINGS, TestEnv};
use crate::wire::{Reply, exchange, request};

pub const TOKEN: &str = "a-token-of-the-operator";
pub const VIEWER: &str = "a-token-of-those-who-read";

/// The host that a browser asks.
pub const HOST: &str = "localhost:9090";

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A service with both tokens, which other hosts can reach.
pub fn with_tokens() -> TestEnv {
    let tokens = format!("token: {{ value: {TOKEN} }}, viewer_token: {{ value: {VIEWER} }}");
    let admin = format!(r#"admin: {{ listen: "0.0.0.0:0", environment: staging, {tokens} }}"#);
    let mut test_env =
        TestEnv::of(&SETTINGS.replace(r#"admin: { listen: "127.0.0.1:0" }"#, &admin));
    test_env.start();
    test_env
}

/// What the admin listener answers to a browser.
pub fn browse(
    test_env: &TestEnv,
    host: &str,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Reply {
    let asked = String::from_utf8(request(method, path, headers, body.as_bytes())).unwrap();
    let asked = asked.replacen("host: any.host", &format!("host: {host}"), 1);
    exchange(test_env.private(), &asked)
}

/// A page, as one reads it who has this cookie.
pub fn page(test_env: &TestEnv, path: &str, cookie: &str) -> Reply {
    browse(test_env, HOST, "GET", path, &[("cookie", cookie), OWN], "")
}

/// A form that a page of the console sends.
pub fn send(test_env: &TestEnv, path: &str, cookie: &str, body: &str) -> Reply {
    browse(test_env, HOST, "POST", path, &[FORM, OWN, ("cookie", cookie)], body)
}

/// The cookie of a new session.
#[track_caller]
pub fn log_in(test_env: &TestEnv, token: &str) -> String {
    let reply = send(test_env, "/console/login", "", &format!("token={token}"));
    reply.assert_status(303);
    let cookie = reply.header("set-cookie").expect("a session");
    cookie.split(';').next().unwrap().to_owned()
}

/// The id of the one submission about a call, as its page has it.
#[track_caller]
pub fn id_of(test_env: &TestEnv, call: &str, cookie: &str) -> String {
    let page = page(test_env, &format!("/console/calls/{call}"), cookie);
    page.assert_status(200);
    let after = page.text.split("id=\"s-").nth(1).expect("a submission");
    after.split('"').next().unwrap().to_owned()
}

/// From now on a pressed 1 is the best answer.
pub fn reverse_the_scale(test_env: &mut TestEnv) {
    test_env.operator_rewrites(|settings| {
        let rating = "rating: { question: score }, complete: { timeout: 0s }";
        let other =
            "rating: { question: score, scale: { from: [5, 1] } }, complete: { timeout: 0s }";
        settings.replace(rating, other)
    });
    test_env.reload();
}
