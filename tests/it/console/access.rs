//! Sessions and origins.

use super::{FORM, HOST, OWN, TOKEN, VIEWER, browse, id_of, log_in, page, send, with_tokens};
use crate::test_env::TestEnv;

#[test]
fn without_a_session_there_is_the_login_and_then_the_page_that_was_asked_for() {
    let test_env = with_tokens();
    for cookie in ["", "postcall_session=forged.forged", "postcall_session="] {
        let reply = page(&test_env, "/console/submissions?state=dead", cookie);
        reply.assert_status(303);
        let login = "/console/login?next=%2Fconsole%2Fsubmissions%3Fstate%3Ddead";
        assert_eq!(reply.header("location"), Some(login));
    }
    let form = page(&test_env, "/console/login?next=%2Fconsole%2Fsubmissions%3Fstate%3Ddead", "");
    assert!(form.text.contains(r#"value="/console/submissions?state=dead""#), "{}", form.text);
    let body = format!("token={TOKEN}&next=%2Fconsole%2Fsubmissions%3Fstate%3Ddead");
    let reply = send(&test_env, "/console/login", "", &body);
    reply.assert_status(303);
    assert_eq!(reply.header("location"), Some("/console/submissions?state=dead"));
}

#[test]
fn a_session_never_holds_the_token_and_its_cookie_is_strict() {
    let test_env = with_tokens();
    let login = |more: &[(&str, &str)]| {
        let headers = [&[FORM], more].concat();
        let reply =
            browse(&test_env, HOST, "POST", "/console/login", &headers, &format!("token={TOKEN}"));
        reply.header("set-cookie").unwrap().to_owned()
    };
    let cookie = login(&[OWN]);
    assert!(!cookie.contains(TOKEN));
    for attribute in ["; Path=/console;", "; HttpOnly", "; SameSite=Strict", "; Max-Age=43200"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    assert!(!cookie.contains("Secure"), "{cookie}");
    assert!(login(&[OWN, ("x-forwarded-proto", "https")]).ends_with("; Secure"));
    assert!(login(&[("origin", "https://localhost:9090")]).ends_with("; Secure"));
}

#[test]
fn a_wrong_token_opens_no_session() {
    let test_env = with_tokens();
    for wrong in ["", "a-token-of-the-operato", "A-token-of-the-operator"] {
        let reply = send(&test_env, "/console/login", "", &format!("token={wrong}"));
        reply.assert_status(403);
        assert_eq!(reply.header("set-cookie"), None);
        assert!(reply.text.contains("neither admin.token nor admin.viewer_token"));
    }
}

#[test]
fn a_rotated_token_ends_the_sessions_that_it_opened() {
    let mut test_env = with_tokens();
    let (operator, viewer) = (log_in(&test_env, TOKEN), log_in(&test_env, VIEWER));
    page(&test_env, "/console/", &operator).assert_status(200);
    test_env.operator_rewrites(|settings| settings.replace(TOKEN, "another-token-of-operators"));
    test_env.reload();
    page(&test_env, "/console/", &operator).assert_status(303);
    page(&test_env, "/console/", &viewer).assert_status(200);
}

#[test]
fn the_api_never_takes_the_cookie_of_a_session() {
    let test_env = with_tokens();
    let cookie = log_in(&test_env, TOKEN);
    for (method, path) in [("GET", "/api/v1/totals"), ("POST", "/api/v1/accounts/main/resume")] {
        let headers = [("cookie", &*cookie), OWN, ("content-type", "application/json")];
        browse(&test_env, HOST, method, path, &headers, "{}").assert_status(401);
    }
}

#[test]
fn a_viewer_reads_and_acts_on_nothing() {
    let test_env = with_tokens();
    test_env.caller("c-1").has_pressed("4");
    let cookie = log_in(&test_env, VIEWER);
    let id = id_of(&test_env, "c-1", &cookie);
    let shown = page(&test_env, &format!("/console/submissions/{id}"), &cookie);
    shown.assert_status(200);
    assert!(!shown.text.contains("Replay…") && !shown.text.contains("Reveal"), "{}", shown.text);
    let call = page(&test_env, "/console/calls/c-1", &cookie);
    assert!(
        !call.text.contains("/console/playground?") && !call.text.contains("/erase"),
        "{}",
        call.text
    );
    page(&test_env, "/console/playground?call=c-1", &cookie).assert_status(403);
    for path in [
        format!("/console/submissions/{id}/reveal"),
        format!("/console/submissions/{id}/replay"),
        "/console/accounts/main/pause".to_owned(),
        "/console/quarantine/drop".to_owned(),
    ] {
        send(&test_env, &path, &cookie, "reason=maintenance").assert_status(403);
    }
    assert!(test_env.store.pauses().is_empty());
    send(&test_env, "/console/logout", &cookie, "").assert_status(303);
}

#[test]
fn only_a_page_of_the_console_acts() {
    let (open, closed) = (TestEnv::new(), with_tokens());
    let cookie = log_in(&closed, TOKEN);
    for test_env in [&open, &closed] {
        let pause = |more: &[(&str, &str)]| {
            let headers = [&[FORM, ("cookie", &*cookie)], more].concat();
            let path = "/console/accounts/main/pause";
            browse(test_env, HOST, "POST", path, &headers, "reason=maintenance")
        };
        for foreign in [
            &[][..],
            &[("sec-fetch-site", "none")],
            &[("sec-fetch-site", "same-site"), ("origin", "http://localhost:3000")],
            &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.test")],
            &[("sec-fetch-site", "same-site"), ("origin", "http://localhost:9090")],
            &[("origin", "http://localhost:3000")],
            &[("origin", "https://evil.test")],
            &[("origin", "null")],
        ] {
            pause(foreign).assert_status(403);
        }
        assert!(test_env.store.pauses().is_empty());
        pause(&[("origin", "http://localhost:9090")]).assert_status(303);
        assert_eq!(test_env.store.pauses().len(), 1);
    }
}

#[test]
fn without_a_token_a_page_that_gives_this_host_another_name_reads_nothing() {
    let test_env = TestEnv::new();
    for path in ["/console/", "/console/submissions", "/console/login", "/console/nowhere"] {
        for host in ["evil.test", "evil.test:9090", "localhost.evil.test"] {
            let reply = browse(&test_env, host, "GET", path, &[OWN], "");
            reply.assert_status(403);
            assert!(reply.text.contains("own names"), "{}", reply.text);
        }
    }
    let forwarded = [("x-forwarded-for", "192.0.2.1")];
    browse(&test_env, HOST, "GET", "/console/", &forwarded, "").assert_status(403);
    browse(&test_env, HOST, "GET", "/console/", &[], "").assert_status(200);
}

#[test]
fn where_others_may_come_there_is_no_console_without_a_token() {
    let admin = r#"admin: { listen: "0.0.0.0:0" }"#;
    let settings = crate::test_env::SETTINGS.replace(r#"admin: { listen: "127.0.0.1:0" }"#, admin);
    let mut test_env = TestEnv::of(&settings);
    test_env.start();
    let reply = browse(&test_env, HOST, "GET", "/console/", &[], "");
    reply.assert_status(404);
    assert!(reply.text.contains("admin.token"));
}

#[test]
fn a_link_of_another_page_comes_again_from_here_with_its_strict_cookie() {
    let test_env = with_tokens();
    let path = "/console/submissions?state=dead&reason=unmapped";
    for elsewhere in [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("referer", "https://grafana.example.com/d/postcall"),
    ] {
        let reply = browse(&test_env, HOST, "GET", path, &[elsewhere], "");
        reply.assert_status(200);
        let again = r#"<meta http-equiv="refresh" content="0; url=/console/submissions?state=dead&amp;reason=unmapped">"#;
        assert!(reply.text.contains(again), "{}", reply.text);
    }
    // It comes once: from here the login is next.
    for here in [OWN, ("referer", "http://localhost:9090/console/")] {
        browse(&test_env, HOST, "GET", path, &[here], "").assert_status(303);
    }
    let cookie = log_in(&test_env, TOKEN);
    let cross = [("cookie", &*cookie), ("sec-fetch-site", "cross-site")];
    browse(&test_env, HOST, "GET", path, &cross, "").assert_status(200);
}

#[test]
fn a_login_opens_no_address_of_another_host() {
    let test_env = with_tokens();
    for next in ["%2F%2Fevil.test%2Fconsole%2F", "https%3A%2F%2Fevil.test", "%2F%5Cevil.test"] {
        let body = format!("token={TOKEN}&next={next}");
        let reply = send(&test_env, "/console/login", "", &body);
        assert_eq!(reply.header("location"), Some("/console/"));
    }
}
