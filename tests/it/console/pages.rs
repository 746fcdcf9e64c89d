//! What pages show and do.

use std::time::Duration;

use postcall::clock::Clock;
use serde_json::json;

use super::{
    HOST, OWN, TOKEN, VIEWER, browse, id_of, log_in, page, reverse_the_scale, send, with_tokens,
};
use crate::test_env::{Callback, FROM, SETTINGS, TOKEN as PLIVO_TOKEN, TestEnv};
use crate::wire::Reply;

/// Every page of a service with one delivered call.
fn pages(id: &str) -> Vec<String> {
    let of_submission = |page: &str| format!("/console/submissions/{id}{page}");
    vec![
        "/console/".to_owned(),
        "/console/calls/c-1".to_owned(),
        "/console/calls/unknown".to_owned(),
        "/console/submissions".to_owned(),
        "/console/submissions?state=delivered&since=24h".to_owned(),
        of_submission(""),
        of_submission("/replay?include_delivered=true"),
        of_submission("/discard"),
        "/console/calls/c-1/erase".to_owned(),
        "/console/replay?state=delivered&include_delivered=true".to_owned(),
        "/console/setup/quick".to_owned(),
        "/console/audit".to_owned(),
        "/console/insights?by=campaign".to_owned(),
        "/console/insights?days=90&survey=quick".to_owned(),
        "/console/accounts".to_owned(),
        "/console/quarantine".to_owned(),
        "/console/playground".to_owned(),
    ]
}

/// Lengths of what may have any digits: the hash in the name of a file, an id (by which things are found), the digest
/// of a replay.
const HEXADECIMAL: [usize; 3] = [16, 36, 64];

/// Runs of seven digits and more, outside of those.
fn numbers(text: &str) -> Vec<&str> {
    let runs = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    runs.filter(|run| !HEXADECIMAL.contains(&run.len()) && !run.contains('-'))
        .flat_map(|run| run.split(|c: char| !c.is_ascii_digit()))
        .filter(|digits| digits.len() >= 7)
        .collect()
}

#[test]
fn every_page_forbids_what_it_does_not_have_and_has_nothing_inline() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let mut all = pages(&test_env.id_of("c-1"));
    all.push("/console/nowhere".to_owned());
    all.push(format!("/console/submissions/{}", "0".repeat(32)));
    for path in all {
        let reply = page(&test_env, &path, "");
        let csp = reply.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'; ",
            "script-src 'self'; ",
            "style-src 'self'; ",
            "form-action 'self'; ",
            "base-uri 'none'; ",
            "frame-ancestors 'none'; ",
            "require-trusted-types-for 'script'; ",
            "trusted-types postcall",
        ] {
            assert!(csp.contains(part), "{path}: {csp}");
        }
        assert!(!csp.contains("unsafe"), "{csp}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("cross-origin-resource-policy"), Some("same-origin"));
        assert_eq!(reply.header("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        for inline in [" style=", " onclick=", " onload=", " onerror=", "<style", "javascript:"] {
            assert!(!reply.text.contains(inline), "{path} has {inline}");
        }
        let links = ["src=\"http", "href=\"http", "action=\"http", "url=http"];
        assert!(!links.iter().any(|link| reply.text.contains(link)), "{path}");
        assert!(reply.text.len() < 60 * 1024, "{path}: {} bytes", reply.text.len());
    }
}

#[test]
fn files_may_be_kept_for_ever_because_their_names_change_with_them() {
    let test_env = TestEnv::new();
    let overview = page(&test_env, "/console/", "").text;
    let names = overview.split('"').filter(|part| part.starts_with("/console/assets/"));
    let names: Vec<_> = names.collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for name in names {
        let reply = page(&test_env, name, "");
        reply.assert_status(200);
        let kept = "public, max-age=31536000, immutable";
        assert_eq!(reply.header("cache-control"), Some(kept));
    }
    page(&test_env, "/console/assets/console.0000000000000000.css", "").assert_status(404);
}

#[test]
fn a_call_shows_what_became_of_it() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").at("ivr").asked("score").has_pressed("2");
    test_env.caller("c-1").at("ivr").asked("problem").has_pressed("1");
    test_env.until_it_is("c-1", "delivered");
    let found = page(&test_env, "/console/calls?call=c-1", "");
    assert_eq!(found.header("location"), Some("/console/calls/c-1"));
    let text = page(&test_env, "/console/calls/c-1", "").text;
    for part in [
        "Call <code>c-1</code>",
        "quality · main",
        "<bdi>score</bdi>=<bdi>2</bdi>",
        "<bdi>problem</bdi>=<bdi>1</bdi>",
        "webhook <strong>ivr</strong>",
        "attempt 1 <strong>accepted</strong>",
        "Today’s settings would say: feedback <strong>2</strong> <code>ECHO</code>",
        "(unchanged)",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    let none = page(&test_env, "/console/calls/c-2", "");
    assert!(none.text.contains("No submission is about this call"));
    page(&test_env, "/console/calls/c%20d", "").assert_status(404);
}

#[test]
fn a_call_shows_what_other_settings_would_make_of_it() {
    let mut test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    reverse_the_scale(&mut test_env);
    let text = page(&test_env, "/console/calls/c-1", "").text;
    let today = "Today’s settings would say: feedback <strong>2</strong>";
    assert!(text.contains(today) && text.contains("(rating)"), "{text}");
}

#[test]
fn submissions_are_found_by_the_keys_of_the_api_and_page_by_page() {
    let test_env = TestEnv::new();
    for call in ["c-1", "c-2", "c-3"] {
        test_env.caller(call).has_pressed("4");
        test_env.until_it_is(call, "delivered");
    }
    let list = |query: &str| page(&test_env, &format!("/console/submissions?{query}"), "");
    let all = list("").text;
    assert!(all.contains("3 shown; that is all."), "{all}");
    let first = list("state=delivered&since=24h&limit=2").text;
    assert!(first.contains("2 shown; looked back to"), "{first}");
    assert!(first.contains("/console/calls/c-3") && !first.contains("/console/calls/c-1"));
    let next = first.split("rel=\"next\" href=\"").nth(1).unwrap().split('"').next().unwrap();
    let next = next.replace("&amp;", "&");
    assert!(next.starts_with("/console/submissions?state=delivered&since=24h&limit=2&cursor="));
    let second = page(&test_env, &next, "").text;
    assert!(second.contains("/console/calls/c-1") && !second.contains("/console/calls/c-3"));
    let none = list("state=dead").text;
    assert!(none.contains("No submission is like that."), "{none}");
    for wrong in ["sate=dead", "state=deaf", "since=yesterday", "limit=1000", "call=a%20b"] {
        list(wrong).assert_status(400);
    }
}

#[test]
fn a_replay_shows_its_difference_first_and_is_seen_delivered() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let base = format!("/console/submissions/{}", test_env.id_of("c-1"));
    let refused = page(&test_env, &format!("{base}/replay"), "").text;
    assert!(refused.contains("It cannot be replayed so: Plivo has accepted it."), "{refused}");
    let shown = page(&test_env, &format!("{base}/replay?include_delivered=true"), "").text;
    assert!(shown.contains("unchanged") && shown.contains("<button>Replay</button>"), "{shown}");
    send(&test_env, &format!("{base}/replay"), "", "").assert_status(409);
    let body = format!("payload=remapped&include_delivered=true&shown={}", digest(&shown));
    let replayed = send(&test_env, &format!("{base}/replay"), "", &body);
    replayed.assert_status(303);
    assert_eq!(replayed.header("location"), Some(&*format!("{base}?done=replayed")));
    test_env.until("it is delivered again", || {
        page(&test_env, &base, "").text.contains("attempt 2 <strong>accepted</strong>")
    });
    let text = page(&test_env, &base, "").text;
    assert!(text.contains("operator: <strong>replay</strong>"), "{text}");
}

#[test]
fn a_replay_of_one_sends_nothing_but_what_was_shown() {
    let mut test_env = TestEnv::new();
    test_env.caller("c-1").asked("scoer").has_pressed("3");
    test_env.until_it_is("c-1", "dead(unmapped)");
    let path = format!("/console/submissions/{}/replay", test_env.id_of("c-1"));
    let read = page(&test_env, &path, "").text;
    test_env.operator_rewrites(|settings| {
        settings.replace(
            "quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score }",
            "quick: { questions: [{ name: scoer, answers: 1-5 }], rating: { question: scoer }",
        )
    });
    test_env.reload();
    let body = format!("payload=remapped&shown={}", digest(&read));
    let reply = send(&test_env, &path, "", &body);
    reply.assert_status(409);
    assert!(reply.text.contains("has changed since it was shown"), "{}", reply.text);
    assert_eq!(test_env.store.totals().dead, 1);
    let body = format!("payload=remapped&shown={}", digest(&reply.text));
    send(&test_env, &path, "", &body).assert_status(303);
    test_env.until_it_is("c-1", "delivered");
}

#[test]
fn a_viewer_sees_the_difference_of_a_replay_and_no_form_that_replays() {
    let test_env = with_tokens();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let (operator, viewer) = (log_in(&test_env, TOKEN), log_in(&test_env, VIEWER));
    let id = id_of(&test_env, "c-1", &operator);
    for path in [
        format!("/console/submissions/{id}/replay?include_delivered=true"),
        "/console/replay?state=delivered&include_delivered=true".to_owned(),
    ] {
        assert!(page(&test_env, &path, &operator).text.contains("name=\"shown\""), "{path}");
        let seen = page(&test_env, &path, &viewer).text;
        assert!(seen.contains("unchanged"), "{seen}");
        for part in ["name=\"shown\"", "<button>Replay</button>"] {
            assert!(!seen.contains(part), "{path}: {part} is in {seen}");
        }
    }
}

#[test]
fn a_discard_asks_first_and_needs_a_reason() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("9");
    test_env.until_it_is("c-1", "ignored(invalid_answer)");
    let base = format!("/console/submissions/{}", test_env.id_of("c-1"));
    assert!(page(&test_env, &format!("{base}/discard"), "").text.contains("Discarding is final"));
    send(&test_env, &format!("{base}/discard"), "", "reason=+").assert_status(400);
    send(&test_env, &format!("{base}/discard"), "", "reason=a+test+call").assert_status(303);
    assert_eq!(test_env.store.submission("c-1").unwrap().state, "discarded");
}

#[test]
fn no_page_shows_a_number_until_it_is_revealed_which_is_recorded() {
    let test_env = with_tokens();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let (operator, viewer) = (log_in(&test_env, TOKEN), log_in(&test_env, VIEWER));
    let id = id_of(&test_env, "c-1", &operator);
    let base = format!("/console/submissions/{id}");
    for cookie in [&operator, &viewer] {
        for path in pages(&id) {
            let text = page(&test_env, &path, cookie).text;
            assert_eq!(numbers(&text), [""; 0], "{path}");
        }
        assert!(page(&test_env, &base, cookie).text.contains("From=*********23"));
    }
    send(&test_env, &format!("{base}/reveal"), &viewer, "").assert_status(403);
    let revealed = send(&test_env, &format!("{base}/reveal"), &operator, "");
    revealed.assert_status(200);
    assert!(revealed.text.contains(FROM));
    assert_eq!(numbers(&page(&test_env, &base, &operator).text), [""; 0]);
}

#[test]
fn a_reveal_is_recorded_for_each_session_that_reads() {
    let test_env = with_tokens();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let sessions = [log_in(&test_env, TOKEN), log_in(&test_env, TOKEN)];
    let base = format!("/console/submissions/{}", id_of(&test_env, "c-1", &sessions[0]));
    let recorded = || {
        let text = page(&test_env, &base, &sessions[0]).text;
        text.matches("operator: <strong>reveal</strong>").count()
    };
    for (nth, session) in sessions.iter().enumerate() {
        // A browser that loads the page again sends the form again.
        for _ in 0..3 {
            send(&test_env, &format!("{base}/reveal"), session, "").assert_status(200);
            assert_eq!(recorded(), nth + 1);
        }
    }
}

#[test]
fn a_reveal_without_a_session_is_recorded_each_time() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let reveal = format!("/console/submissions/{}/reveal", test_env.id_of("c-1"));
    for times in 1..=3 {
        send(&test_env, &reveal, "", "").assert_status(200);
        assert_eq!(test_env.store.audit_entries(), times);
    }
}

#[test]
fn what_a_sender_says_is_never_markup() {
    let test_env = TestEnv::new();
    let text = "<img/src=x/onerror=alert(1)>\u{202e}\"'";
    let encoded: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let body =
        format!(r#"{{ "call": "c-1", "answers": {{ "score": "{}" }} }}"#, "<b>".repeat(1000));
    // Plivo signs what is decoded, so that a plain form is signed here and its answer is markup.
    let plain = "CallUUID=c-1&Digits=<img/src=x>";
    Callback::signed("quick", None, plain, PLIVO_TOKEN).send(&test_env).assert_status(200);
    test_env.until_it_is("c-1", "ignored(invalid_answer)");
    for path in pages(&test_env.id_of("c-1")) {
        let page = page(&test_env, &path, "").text;
        assert!(!page.contains("<img") && !page.contains("<b>"), "{path}");
    }
    for query in [format!("call={encoded}"), format!("reason={encoded}"), format!("{encoded}=1")] {
        let reply = page(&test_env, &format!("/console/submissions?{query}"), "");
        reply.assert_status(400);
        assert!(!reply.text.contains("<img") && !reply.text.contains('\u{202e}'));
    }
    // A body that is no form.
    let json = [("content-type", "application/json"), OWN];
    let reply = browse(&test_env, HOST, "POST", "/console/accounts/main/pause", &json, &body);
    reply.assert_status(415);
}

#[test]
fn a_call_with_very_long_webhooks_has_a_page_of_bounded_length() {
    let test_env = TestEnv::new();
    let long = "<".repeat(40_000);
    for digit in 1..=5 {
        let body = format!("CallUUID=c-1&Digits={digit}&Note={long}");
        let query = Some("question=score");
        Callback::signed("ivr", query, &body, PLIVO_TOKEN).send(&test_env).assert_status(200);
    }
    let text = page(&test_env, "/console/calls/c-1", "").text;
    assert!(text.contains("bytes are too many for this page"));
    assert!(text.len() < 600 * 1024, "{} bytes", text.len());
    assert!(text.ends_with("</html>"));

    // However many submissions are about it.
    for source in ["quick", "tenant"] {
        for digit in 1..=3 {
            let body = format!("CallUUID=c-1&Digits={digit}&Note={long}");
            Callback::signed(source, None, &body, PLIVO_TOKEN).send(&test_env).assert_status(200);
        }
    }
    let text = page(&test_env, "/console/calls/c-1", "").text;
    assert_eq!(text.matches("<section class=\"submission\"").count(), 3);
    assert!(text.len() < 600 * 1024, "{} bytes", text.len());
}

#[test]
fn a_problem_is_a_page_with_the_navigation_of_the_others() {
    let test_env = with_tokens();
    let cookie = log_in(&test_env, TOKEN);
    let unknown = "/console/submissions/00000000-0000-5000-8000-000000000000";
    for (path, status, said) in [
        (unknown, 404, "no such submission"),
        ("/console/nowhere", 404, "the console has no such page"),
        ("/console/submissions?limit=no", 400, "limit: expected a whole number"),
        ("/console/logout", 405, "use one of POST"),
    ] {
        let reply = page(&test_env, path, &cookie);
        reply.assert_status(status);
        for part in [said, "aria-label=\"Console\"", "staging", "Log out"] {
            assert!(reply.text.contains(part), "{path}: {part} is not in {}", reply.text);
        }
    }
    let reply = page(&test_env, "/console/logout", &cookie);
    assert_eq!(reply.header("allow"), Some("POST"));
}

#[test]
fn where_no_token_is_set_there_is_no_login() {
    let test_env = TestEnv::new();
    let reply = page(&test_env, "/console/login?next=%2Fconsole%2Faccounts", "");
    reply.assert_status(303);
    assert_eq!(reply.header("location"), Some("/console/accounts"));
}

#[test]
fn a_page_that_has_not_changed_is_not_sent_again() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let first = page(&test_env, "/console/submissions", "");
    let etag = first.header("etag").unwrap();
    let again = [OWN, ("if-none-match", etag)];
    let path = "/console/submissions";
    browse(&test_env, HOST, "GET", path, &again, "").assert_status(304);
    test_env.caller("c-2").has_pressed("4");
    browse(&test_env, HOST, "GET", path, &again, "").assert_status(200);
}

/// A page again, by one who has it.
fn again(test_env: &TestEnv, path: &str, etag: &str) -> Reply {
    browse(test_env, HOST, "GET", path, &[OWN, ("if-none-match", etag)], "")
}

fn etag(reply: &Reply) -> String {
    reply.header("etag").expect("a tag").to_owned()
}

/// A clock that stands still: no page is looked at again because of the time.
fn at_one_moment() -> (TestEnv, Clock) {
    let clock = Clock::manual(Clock::system().now());
    let mut test_env = TestEnv::of(SETTINGS).with_clock(&clock);
    test_env.start();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    (test_env, clock)
}

#[test]
fn a_page_that_has_not_changed_costs_no_query() {
    let (test_env, clock) = at_one_moment();
    let base = format!("/console/submissions/{}", test_env.id_of("c-1"));
    let toggled = |column: &str, a: &str, b: &str| {
        format!("{column} = CASE {column} WHEN '{a}' THEN '{b}' ELSE '{a}' END")
    };
    let method = format!("UPDATE webhooks SET {}", toggled("method", "POST", "PUT"));
    let changes = [
        ("/console/", "UPDATE state_counts SET delivered = delivered + 1".to_owned()),
        ("/console/insights", "UPDATE tallies SET n = n + 1".to_owned()),
        ("/console/calls/c-1", method.clone()),
        (&base, method),
        (
            "/console/setup/quick",
            format!("UPDATE webhooks SET {}", toggled("source", "quick", "ivr")),
        ),
        (
            "/console/submissions",
            format!("UPDATE submissions SET {}", toggled("call", "c-1", "c-9")),
        ),
        (
            "/console/accounts",
            "INSERT INTO pauses SELECT 'gone-' || count(*), '' FROM pauses".to_owned(),
        ),
    ];
    let sqlite = test_env.store.as_another_program();
    for (path, change) in changes {
        let mut known = String::new();
        // The service may have written something of its own in between, such as the time.
        test_env.until(&format!("{path} costs no query"), || {
            known = etag(&page(&test_env, path, ""));
            sqlite.execute_batch(&change).unwrap();
            again(&test_env, path, &known).status == 304
        });
        assert_ne!(etag(&page(&test_env, path, "")), known, "{path}: a query sees it");
        // What another program has written is not missed for long.
        clock.advance(Duration::from_secs(60));
        again(&test_env, path, &known).assert_status(200);
    }
}

#[test]
fn a_page_that_has_not_changed_is_known_by_its_digest_after_other_commits() {
    let (test_env, _) = at_one_moment();
    let path = "/console/calls/c-1";
    let known = etag(&page(&test_env, path, ""));
    test_env.caller("c-2").has_pressed("4");
    test_env.until_it_is("c-2", "delivered");
    let reply = again(&test_env, path, &known);
    reply.assert_status(304);
    let newer = etag(&reply);
    assert_ne!(newer, known);
    again(&test_env, path, &newer).assert_status(304);
}

#[test]
fn a_page_is_sent_again_after_what_it_shows_has_changed() {
    let (mut test_env, _) = at_one_moment();
    let base = format!("/console/submissions/{}", test_env.id_of("c-1"));
    let paths = ["/console/", "/console/submissions", "/console/insights", "/console/accounts"];
    let all: Vec<&str> = paths.into_iter().chain(["/console/calls/c-1", &base]).collect();
    let tags = |test_env: &TestEnv| -> Vec<String> {
        all.iter().map(|path| etag(&page(test_env, path, ""))).collect()
    };
    let assert_news = |test_env: &TestEnv, known: &[String], of: &[&str]| {
        for path in of {
            let tag = &known[all.iter().position(|it| it == path).unwrap()];
            again(test_env, path, tag).assert_status(200);
        }
    };
    // An operator sees the result of an action at once.
    let known = tags(&test_env);
    send(&test_env, &format!("{base}/reveal"), "", "").assert_status(200);
    assert_news(&test_env, &known, &["/console/calls/c-1", &base]);
    let known = tags(&test_env);
    send(&test_env, "/console/accounts/main/pause", "", "reason=maintenance").assert_status(303);
    assert_news(&test_env, &known, &["/console/", "/console/accounts"]);
    // A rejected webhook is in no store.
    let known = tags(&test_env);
    test_env.caller("c-3").signed_with("another token").presses("4").assert_status(401);
    assert_news(&test_env, &known, &["/console/"]);
    // Other settings make other pages of the same submissions.
    let known = tags(&test_env);
    reverse_the_scale(&mut test_env);
    assert_news(&test_env, &known, &["/console/calls/c-1", &base]);
    // A process that starts knows no page of the one before it.
    let known = tags(&test_env);
    test_env.restart();
    send(&test_env, "/console/accounts/main/resume", "", "").assert_status(303);
    assert_news(&test_env, &known, &["/console/", "/console/accounts"]);
}

#[test]
fn a_page_that_counts_down_is_made_at_each_look() {
    let clock = Clock::manual(Clock::system().now());
    let settings = SETTINGS.replace("{ delay: 0s", "{ delay: 300s");
    let mut test_env = TestEnv::of(&settings).with_clock(&clock);
    test_env.start();
    test_env.caller("c-1").has_pressed("4");
    let base = format!("/console/submissions/{}", test_env.id_of("c-1"));
    for path in ["/console/calls/c-1", &base] {
        let first = page(&test_env, path, "");
        assert!(first.text.contains("(in "), "{}", first.text);
        clock.advance(Duration::from_secs(1));
        again(&test_env, path, &etag(&first)).assert_status(200);
    }
    // So is a search whose time is relative to now.
    let relative = "/console/submissions?since=2m";
    let known = page(&test_env, relative, "");
    assert!(known.text.contains("/console/calls/c-1"), "{}", known.text);
    clock.advance(Duration::from_secs(119));
    again(&test_env, relative, &etag(&known)).assert_status(200);
}

#[test]
fn accounts_are_paused_and_resumed_and_the_environment_is_beside_every_title() {
    let mut test_env = with_tokens();
    let cookie = log_in(&test_env, TOKEN);
    send(&test_env, "/console/accounts/unknown/pause", &cookie, "reason=r").assert_status(404);
    send(&test_env, "/console/accounts/main/pause", &cookie, "reason=").assert_status(400);
    send(&test_env, "/console/accounts/main/pause", &cookie, "reason=Plivo+is+down")
        .assert_status(303);
    let text = page(&test_env, "/console/accounts?done=paused", &cookie).text;
    assert!(text.contains("Plivo is down") && text.contains("Resume main"), "{text}");
    assert!(text.contains(r#"<span class="badge">staging</span>"#), "{text}");
    send(&test_env, "/console/accounts/main/resume", &cookie, "").assert_status(303);
    assert!(test_env.store.pauses().is_empty());
    test_env.operator_rewrites(|settings| settings.replace("staging", "production"));
    test_env.reload();
    let text = page(&test_env, "/console/accounts", &cookie).text;
    assert!(text.contains(r#"<span class="badge">production</span>"#), "{text}");
}

#[test]
fn an_account_that_is_paused_by_itself_can_be_paused_by_an_operator() {
    let test_env = TestEnv::new();
    test_env.plivo.fails(json!([{ "status": 401 }]));
    test_env.caller("c-1").has_pressed("4");
    test_env.until("the account is paused", || !test_env.store.pauses().is_empty());
    let text = page(&test_env, "/console/accounts", "").text;
    assert!(text.contains("Resume main") && text.contains("Reason to pause main"), "{text}");
    send(&test_env, "/console/accounts/main/pause", "", "reason=until+Monday").assert_status(303);
    let text = page(&test_env, "/console/accounts", "").text;
    assert!(text.contains("until Monday") && text.contains("Resume main"), "{text}");
    assert!(!text.contains("Reason to pause main"), "{text}");
}

#[test]
fn rejected_webhooks_are_shown_verified_again_and_dropped() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").signed_with("another token").presses("4").assert_status(401);
    let text = page(&test_env, "/console/quarantine", "").text;
    assert!(text.contains("Waiting for a secret") && text.contains("signature"), "{text}");
    let retried = send(&test_env, "/console/quarantine/retry", "", "source=quick");
    let location = retried.header("location").unwrap();
    let text = page(&test_env, location, "").text;
    assert!(text.contains("Verified again: 0 accepted, 0 rejected, 1 still waiting"), "{text}");
    send(&test_env, "/console/quarantine/retry", "", "source=unknown").assert_status(404);
    send(&test_env, "/console/quarantine/drop", "", "").assert_status(400);
    send(&test_env, "/console/quarantine/drop", "", &drop_shown(&text)).assert_status(303);
    let text = page(&test_env, "/console/quarantine?done=dropped", "").text;
    assert!(text.contains("were dropped") && text.contains("None."), "{text}");
    let actions = page(&test_env, "/console/audit", "").text;
    let (drop, retry) = (
        actions.find("<td>quarantine_drop</td>").expect("the drop is listed"),
        actions.find("<td>quarantine_retry</td>").expect("the retry is listed"),
    );
    assert!(drop < retry, "the latest is first: {actions}");
    assert!(actions.contains("source quick"), "{actions}");
}

/// The form that drops what a page of the quarantine has shown.
fn drop_shown(page: &str) -> String {
    let newest = page.split_once("name=\"newest\" value=\"").map(|(_, rest)| rest);
    let newest = newest.map(|rest| rest.split('"').next().unwrap()).unwrap_or_default();
    format!("confirmed=true&newest={newest}")
}

#[test]
fn a_drop_of_the_quarantine_leaves_what_came_after_its_page() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").signed_with("another token").presses("4").assert_status(401);
    let read = page(&test_env, "/console/quarantine", "").text;
    test_env.caller("c-2").signed_with("another token").presses("5").assert_status(401);
    send(&test_env, "/console/quarantine/drop", "", &drop_shown(&read)).assert_status(303);
    let left = browse(&test_env, HOST, "GET", "/api/v1/quarantine", &[], "");
    assert_eq!(left.text.matches("received_at").count(), 1, "{}", left.text);
}

#[test]
fn a_replay_of_many_shows_every_difference_and_takes_its_number() {
    let mut test_env = TestEnv::new();
    for call in ["c-1", "c-2", "c-3"] {
        test_env.caller(call).asked("scoer").has_pressed("3");
        test_env.until_it_is(call, "dead(unmapped)");
    }
    test_env.operator_rewrites(|settings| {
        settings.replace(
            "quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score }",
            "quick: { questions: [{ name: scoer, answers: 1-5 }], rating: { question: scoer }",
        )
    });
    test_env.reload();
    let search = "reason=unmapped&since=24h&limit=2&only_changed=true";
    let first = page(&test_env, &format!("/console/replay?{search}"), "").text;
    for part in [
        "<strong>2</strong> would be replayed",
        "+ feedback",
        "Looked back to",
        "Type <strong>2</strong>",
    ] {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    let shown = digest(&first);
    for wrong in ["", "3", "two"] {
        let fields = format!("{search}&shown={shown}&number={wrong}");
        let reply = send(&test_env, "/console/replay", "", &fields);
        reply.assert_status(409);
        assert!(reply.text.contains("Nothing was replayed: 2 would be now"), "{}", reply.text);
    }
    assert_eq!(test_env.store.totals().dead, 3);
    let replayed =
        send(&test_env, "/console/replay", "", &format!("{search}&shown={shown}&number=2"));
    replayed.assert_status(303);
    let next = replayed.header("location").unwrap();
    test_env.until("the first page is delivered", || test_env.store.totals().delivered == 2);
    let second = page(&test_env, next, "").text;
    assert!(second.contains("2 are due again. This is the next page."), "{second}");
    assert!(second.contains("Type <strong>1</strong>"), "{second}");
    let fields = next.split_once('?').unwrap().1.replace("&replayed=2", "&number=1");
    let fields = format!("{fields}&shown={}", digest(&second));
    test_env.until("the page before is worked off", || {
        send(&test_env, "/console/replay", "", &fields).status == 303
    });
    test_env.until("all are delivered", || test_env.store.totals().delivered == 3);
}

#[test]
fn a_list_says_which_state_is_replayed_where_its_search_does_not() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").is_silent();
    test_env.until_it_is("c-1", "ignored(no_answer)");
    for (search, state, button) in [
        ("", "dead", "Replay what is dead…"),
        ("reason=no_answer", "ignored", "Replay what is ignored…"),
        ("insights=counted", "dead", "Replay what is dead…"),
        ("state=ignored", "ignored", "Replay what is found…"),
    ] {
        let text = page(&test_env, &format!("/console/submissions?{search}"), "").text;
        let (before, _) = text.split_once(button).unwrap_or_else(|| panic!("{search}: {text}"));
        let link = before.rsplit_once("href=\"").unwrap().1.split('"').next().unwrap();
        assert!(link.contains(&format!("state={state}")), "{search}: {link}");
    }
    let text = page(&test_env, "/console/replay?reason=no_answer", "").text;
    assert!(text.contains("<code>state=ignored</code>"), "{text}");
    assert!(text.contains("<strong>1</strong> would be replayed"), "{text}");
}

#[test]
fn a_replay_of_many_replays_no_call_that_was_not_shown() {
    let test_env = TestEnv::new();
    let die = |call: &str| {
        test_env.caller(call).asked("scoer").has_pressed("3");
        test_env.until_it_is(call, "dead(unmapped)");
    };
    die("c-1");
    let search = "reason=unmapped&limit=1";
    let read = page(&test_env, &format!("/console/replay?{search}"), "").text;
    die("c-2");
    let fields = format!("{search}&number=1&shown={}", digest(&read));
    let reply = send(&test_env, "/console/replay", "", &fields);
    reply.assert_status(409);
    assert!(reply.text.contains("has changed since it was shown"), "{}", reply.text);
    assert!(reply.text.contains("c-2"), "{}", reply.text);
    let again = format!("{search}&number=1&shown={}", digest(&reply.text));
    send(&test_env, "/console/replay", "", &again).assert_status(303);
}

/// The digest that a page of a replay sends with its form.
fn digest(page: &str) -> &str {
    let value = page.split_once("name=\"shown\" value=\"").expect("the form has it").1;
    value.split('"').next().unwrap()
}

#[test]
fn a_call_is_erased_by_who_types_its_id() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let path = "/console/calls/c-1/erase";
    assert!(page(&test_env, path, "").text.contains("This is final."));
    for wrong in ["", "confirmation=c-2"] {
        send(&test_env, path, "", wrong).assert_status(409);
    }
    page(&test_env, "/console/calls/c-1", "").text.find("From=").expect("it is there");
    send(&test_env, path, "", "confirmation=c-1").assert_status(303);
    let text = page(&test_env, "/console/calls/c-1", "").text;
    assert!(text.contains("No submission is about this call"), "{text}");
    let actions = page(&test_env, "/console/audit", "").text;
    assert!(actions.contains("<td>erase</td><td>a call</td>"), "{actions}");
    assert!(!actions.contains("c-1"), "{actions}");
}

#[test]
fn an_erasure_says_how_much_it_erased_and_whether_there_was_anything() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    test_env.caller("c-1").signed_with("another token").presses("4").assert_status(401);
    let erased = |call: &str| {
        let path = format!("/console/calls/{call}/erase");
        let reply = send(&test_env, &path, "", &format!("confirmation={call}"));
        reply.assert_status(303);
        page(&test_env, reply.header("location").unwrap(), "").text
    };
    let text = erased("c-1");
    assert!(text.contains("Erased: 1 submission and 1 quarantined webhook."), "{text}");
    for nothing in ["c-1", "c-typo"] {
        let text = erased(nothing);
        assert!(text.contains("Nothing was erased: nothing is stored about the call."), "{text}");
    }
}

#[test]
fn operator_actions_are_listed_with_what_they_were_done_to() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").has_pressed("4");
    test_env.until_it_is("c-1", "delivered");
    let id = test_env.id_of("c-1");
    assert!(page(&test_env, "/console/audit", "").text.contains("None since the start."));
    let reason = "reason=Plivo+asked+from+14155550123";
    send(&test_env, "/console/accounts/main/pause", "", reason).assert_status(303);
    send(&test_env, &format!("/console/submissions/{id}/reveal"), "", "").assert_status(200);
    let text = page(&test_env, "/console/audit", "").text;
    assert!(text.contains("Plivo asked from *********23"), "{text}");
    let (reveal, pause) =
        (text.find("<td>reveal</td>").unwrap(), text.find("<td>pause</td>").unwrap());
    assert!(reveal < pause, "the latest is first: {text}");
    assert!(text.contains(&format!("/console/submissions/{id}")), "{text}");
}

#[test]
fn a_source_is_set_up_by_what_the_settings_say_and_shows_what_arrives() {
    let mut test_env = TestEnv::new();
    let text = page(&test_env, "/console/setup/quick", "").text;
    for part in [
        "<code>https://surveys.example.com/hooks/quick</code>",
        "postcall sign quick --test --digits 4 --send",
        "There is none: question score has no prompt",
        "Nothing yet",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    test_env.operator_rewrites(|settings| {
        let plain = "quick: { questions: [{ name: score, answers: 1-5 }]";
        let spoken = "quick: { questions: [{ name: score, answers: 1-5, prompt: Press a key. }]";
        settings.replace(plain, spoken)
    });
    test_env.reload();
    test_env.caller("c-1").has_pressed("4");
    test_env.caller("c-2").signed_with("another token").presses("4").assert_status(401);
    let text = page(&test_env, "/console/setup/quick", "").text;
    for part in ["&lt;Response&gt;", "Press a key.", "signature_mismatch", "/console/submissions/"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    page(&test_env, "/console/setup/unknown", "").assert_status(404);
}

#[test]
fn an_alert_leads_to_a_page_that_there_is() {
    let test_env = TestEnv::new();
    let rules = include_str!("../../../deploy/prometheus/rules.yml");
    let links = rules.lines().filter_map(|line| line.trim().strip_prefix("console: "));
    let links: Vec<_> = links
        .map(|link| link.trim_matches('\'').replace("{{ $labels.source }}", "quick"))
        .collect();
    assert!(links.len() > 10);
    for link in links {
        page(&test_env, &link, "").assert_status(200);
    }
}

#[test]
fn a_panel_of_the_dashboard_leads_to_a_page_that_there_is() {
    let test_env = TestEnv::new();
    let dashboard = include_str!("../../../deploy/grafana/postcall.json");
    let links = dashboard.split("\"url\": \"${console}").skip(1);
    let links: Vec<_> = links
        .map(|rest| rest.split('"').next().unwrap())
        .map(|link| {
            let link = link.replace("${__from:date:iso}", "2026-11-20T08:00:00.000Z");
            let link = link.replace("${__to:date:iso}", "2026-11-21T08:00:00.000Z");
            let link = link.replace("${__field.labels.state}", "dead");
            let link = link.replace("${__field.labels.source}", "quick");
            link.replace("${__field.labels.survey}", "quick")
                .replace("${__field.labels.reason}", "")
        })
        .collect();
    assert!(links.len() > 7);
    for link in links {
        assert!(!link.contains('$'), "{link}");
        page(&test_env, &link, "").assert_status(200);
    }
}
