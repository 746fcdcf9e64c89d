//! All that is found, page by page.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;

use jiff::Timestamp;
use postcall::submission::StateCounts;
use serde_json::{Value, json};

use crate::process::Line;
use crate::test_env::{SETTINGS, TestEnv};

/// Dead for a question that the survey does not have.
fn dead(test_env: &TestEnv, calls: &[&str]) {
    for call in calls {
        test_env.caller(call).asked("scoer").has_pressed("3");
        test_env.until_it_is(call, "dead(unmapped)");
    }
}

/// Calls the question of `quick` as the IVR does.
fn with_the_question(settings: &str) -> String {
    settings.replace(
        "quick: { questions: [{ name: score, answers: 1-5 }], rating: { question: score }",
        "quick: { questions: [{ name: scoer, answers: 1-5 }], rating: { question: scoer }",
    )
}

fn at_rate(rate: u32) -> TestEnv {
    let mut test_env = TestEnv::of(&with_rate(rate));
    test_env.start();
    test_env
}

fn with_rate(rate: u32) -> String {
    SETTINGS.replace("delivery: { delay: 0s,", &format!("delivery: {{ delay: 0s, rate: {rate},"))
}

/// The next page as soon as it may be asked for.
fn page(test_env: &TestEnv, path: &str, body: &Value) -> Value {
    let mut page = Value::Null;
    test_env.until("the page before is worked off", || {
        let reply = test_env.post(path, body);
        if reply.status != 429 {
            reply.assert_status(200);
            page = reply.body;
        }
        !page.is_null()
    });
    page
}

#[test]
fn what_is_found_is_replayed_page_by_page() {
    let mut test_env = TestEnv::new();
    dead(&test_env, &["c-1", "c-2", "c-3", "c-4", "c-5"]);
    test_env.operator_rewrites(with_the_question);
    test_env.reload();
    let mut replayed = 0;
    let mut body = json!({ "search": { "account": "main" }, "limit": 2 });
    loop {
        let page = page(&test_env, "/replay", &body);
        replayed += page["replayed"].as_u64().unwrap();
        assert!(page["replayed"].as_u64().unwrap() <= 2);
        assert_eq!(page["differences"], json!([]));
        if page["next_cursor"].is_null() {
            break;
        }
        body["cursor"] = page["next_cursor"].clone();
    }
    assert_eq!(replayed, 5);
    test_env.until("all are delivered", || test_env.store.totals().delivered == 5);
    assert_eq!(test_env.figures().of(r#"admin_actions_total{action="replay"}"#), 5.0);
}

#[test]
fn a_page_that_comes_before_the_last_is_worked_off_is_told_when_to_come_again() {
    let test_env = at_rate(1);
    dead(&test_env, &["c-1", "c-2"]);
    test_env.caller("t-1").at("tenant").asked("scoer").has_pressed("3");
    test_env.until_it_is("t-1", "dead(unmapped)");
    let of = |account: &str| json!({ "search": { "account": account } });

    let first = test_env.posted("/replay", &of("main"));
    assert_eq!((&first["replayed"], &first["wait_ms"]), (&2.into(), &2000.into()));
    for too_soon in [of("main"), json!({})] {
        let reply = test_env.post("/replay", &too_soon);
        reply.assert_status(429);
        assert!(["1", "2"].contains(&reply.header("retry-after").unwrap()));
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
    }
    let looked = test_env.post("/replay", &json!({ "dry_run": true }));
    looked.assert_status(200);
    assert_eq!(test_env.posted("/replay", &of("other"))["replayed"], 1);
}

#[test]
fn what_cannot_be_replayed_is_left_out_and_counted() {
    let test_env = TestEnv::new();
    test_env.caller("good").has_pressed("5");
    test_env.until_it_is("good", "delivered");
    dead(&test_env, &["c-1"]);
    for dry_run in [true, false] {
        let delivered = json!({ "search": { "state": "delivered" }, "dry_run": dry_run });
        let page = page(&test_env, "/replay", &delivered);
        assert_eq!((&page["replayed"], &page["skipped"]), (&0.into(), &json!({ "accepted": 1 })));
        let same_payload = json!({ "payload": "last", "dry_run": dry_run });
        let page = self::page(&test_env, "/replay", &same_payload);
        assert_eq!(page["skipped"], json!({ "never_offered": 1 }));
    }
    assert_eq!(test_env.store.submission("c-1").unwrap().state, "dead(unmapped)");
}

#[test]
fn a_replay_by_a_reason_that_only_ignored_ones_have_is_of_those() {
    let test_env = TestEnv::new();
    test_env.caller("c-1").is_silent();
    test_env.until_it_is("c-1", "ignored(no_answer)");
    let replay = json!({ "search": { "reason": "no_answer" } });
    assert_eq!(page(&test_env, "/replay", &replay)["replayed"], 1);
}

#[test]
fn what_was_discarded_or_erased_is_left_out_by_its_own_reason() {
    let test_env = TestEnv::new();
    dead(&test_env, &["c-1", "c-2"]);
    let discard = json!({ "search": { "call": "c-1", "state": "dead" }, "reason": "a test" });
    page(&test_env, "/discard", &discard);
    test_env.posted("/erase", &json!({ "call": "c-2" }));
    let replay = json!({ "search": { "state": "discarded" } });
    let skipped = page(&test_env, "/replay", &replay)["skipped"].clone();
    assert_eq!(skipped, json!({ "discarded": 1, "purged": 1 }));
}

#[test]
fn what_is_found_is_given_up_page_by_page() {
    let test_env = TestEnv::new();
    test_env.caller("good").has_pressed("5");
    test_env.until_it_is("good", "delivered");
    dead(&test_env, &["c-1", "c-2", "c-3"]);
    let mut body = json!({ "search": { "state": "dead", "reason": "unmapped" }, "reason": "typo", "limit": 2 });
    let first = test_env.posted("/discard", &body);
    assert_eq!(first["discarded"], 2);
    assert_eq!(test_env.store.totals().discarded, 2);
    body["cursor"] = first["next_cursor"].clone();
    assert_eq!(page(&test_env, "/discard", &body)["discarded"], 1);
    let delivered = json!({ "search": { "state": "delivered" }, "reason": "typo" });
    let page = page(&test_env, "/discard", &delivered);
    assert_eq!((&page["discarded"], &page["skipped"]), (&0.into(), &json!({ "accepted": 1 })));
    assert_eq!(test_env.store.totals().discarded, 3);
    assert_eq!(test_env.figures().of(r#"admin_actions_total{action="discard"}"#), 3.0);
}

/// How many lie dead because of a mistake in the rules.
const MANY: usize = 10_000;

/// Deliveries a second of the account.
const RATE: u32 = 1000;

/// Deliveries that may be under way at once.
const IN_FLIGHT: u32 = 8;

#[test]
fn ten_thousand_dead_are_replayed_with_new_rules_at_the_accounts_pace() {
    let settings =
        with_rate(RATE).replace("rate:", &format!("max_concurrency: {IN_FLIGHT}, rate:"));
    let mut test_env = TestEnv::of(&settings);
    test_env.serve_as_process();
    many_callers_press(&test_env);
    until_there_are(&test_env, MANY as u64, |totals| totals.dead);
    assert_eq!(test_env.plivo.requests(), 0);
    test_env.operator_rewrites(with_the_question);
    test_env.reload();

    // What would come of it, for each of them; nothing moves.
    let mut shown = BTreeSet::new();
    walk(&test_env, &json!({ "dry_run": true }), |page| {
        for difference in page["differences"].as_array().unwrap() {
            assert_eq!(difference["before"]["reason"], "unmapped");
            let call = difference["call"].as_str().unwrap();
            assert_eq!(difference["after"]["feedback"]["rating"], rating(call), "{difference}");
            assert_eq!(difference["changed"], true);
            assert!(shown.insert(call.to_owned()), "{call} is shown twice");
        }
        true
    });
    assert_eq!(shown.len(), MANY);
    assert_eq!((test_env.store.totals().dead, test_env.plivo.requests()), (MANY as u64, 0));

    // Stopped half-way: what was replayed by then goes out, and no more.
    let mut before = 0;
    walk(&test_env, &json!({}), |page| {
        before += page["replayed"].as_u64().unwrap();
        before < MANY as u64 / 2
    });
    until_there_are(&test_env, before, |totals| totals.delivered);
    assert_eq!(test_env.store.totals().dead, MANY as u64 - before);

    // Begun again, it finds the others alone.
    let mut after = 0;
    walk(&test_env, &json!({}), |page| {
        after += page["replayed"].as_u64().unwrap();
        assert_eq!(page["skipped"], json!({}));
        true
    });
    assert_eq!(before + after, MANY as u64);
    until_there_are(&test_env, MANY as u64, |totals| totals.delivered);

    let heard = test_env.plivo.heard();
    let calls: BTreeSet<&str> = heard.iter().map(|it| it["call_uuid"].as_str().unwrap()).collect();
    assert_eq!((heard.len(), calls.len()), (MANY, MANY));
    for feedback in &heard {
        assert_eq!(feedback["rating"], rating(feedback["call_uuid"].as_str().unwrap()));
    }
    assert_pace(&heard);
}

/// By the last digit of the call.
fn rating(call: &str) -> u64 {
    let number: u64 = call.rsplit('-').next().unwrap().parse().unwrap();
    1 + number % 5
}

/// Over as many lines as a busy IVR has open.
fn many_callers_press(test_env: &TestEnv) {
    let calls = Mutex::new(0..MANY);
    let press = || {
        let mut line = Line::open(test_env.public()).unwrap();
        loop {
            let Some(number) = calls.lock().unwrap().next() else { return };
            let call = format!("c-{number}");
            let digits = rating(&call).to_string();
            let callback = test_env.caller(&call).asked("scoer").callback(&digits);
            assert_eq!(line.exchange(&callback.bytes()).unwrap().status, 200);
        }
    };
    thread::scope(|senders| {
        for _ in 0..32 {
            senders.spawn(press);
        }
    });
}

/// As long as there are more and more, it may take its time.
fn until_there_are(test_env: &TestEnv, wanted: u64, count: fn(&StateCounts) -> u64) {
    let mut there_are = 0;
    while there_are < wanted {
        there_are = wanted.min(there_are + 500);
        test_env.until("there are more", || count(&test_env.store.totals()) >= there_are);
    }
    assert_eq!(count(&test_env.store.totals()), wanted);
}

/// Asks for page after page, until `goes_on` says no or there is none.
fn walk(test_env: &TestEnv, body: &Value, mut goes_on: impl FnMut(&Value) -> bool) {
    let mut body = body.clone();
    loop {
        let page = page(test_env, "/replay", &body);
        if !goes_on(&page) || page["next_cursor"].is_null() {
            return;
        }
        body["cursor"] = page["next_cursor"].clone();
    }
}

/// In no window came more than the account may send in that time, what was on the wire already
/// included.
fn assert_pace(heard: &[Value]) {
    let mut times: Vec<Timestamp> =
        heard.iter().map(|it| it["received_at"].as_str().unwrap().parse().unwrap()).collect();
    times.sort();
    let rate = f64::from(RATE);
    let allowance = rate / 5.0 + f64::from(IN_FLIGHT) + 1.0;
    // The earliest that each may come, were everything before it sent as early as allowed.
    let mut room = allowance;
    let mut last = times[0];
    for (number, time) in times.iter().enumerate() {
        room = (room + time.duration_since(last).as_secs_f64() * rate).min(allowance);
        last = *time;
        room -= 1.0;
        assert!(room >= -1.0, "the {number}th came too soon");
    }
}
