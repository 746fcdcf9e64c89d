//! What the program says of itself, and above all what it does not.

use data_encoding::BASE64;
use serde_json::{Value, json};

use crate::test_env::{AUTH_ID, Callback, FROM, SETTINGS, TO, TOKEN, TestEnv};
use crate::wire::{Connection, exchange, request};

/// Everything that any part of the program has to say.
const EVERYTHING: &str = "trace,actix_server=trace,refinery_core=trace,actix_http::h1::decoder=trace,\
     actix_http::h1::dispatcher=trace";

const SPOKEN: &str = "canary-that-was-spoken";
const NOTE: &str = "canary-in-the-note";
const HEADER: &str = "canary-in-a-header";
const BODY: &str = "canary-in-a-body";
const FORGED_TOKEN: &str = "canary-of-a-forger";
const BEARER: &str = "canary-bearer-token-0123456789";
const PASSWORD: &str = "canary-password-0123456789";
const HMAC: &str = "canary-hmac-secret-0123456789";

#[test]
fn no_secret_number_body_or_note_is_ever_logged() {
    let mut test_env = TestEnv::of(&with_all_schemes(SETTINGS));
    test_env.operator_writes_the_token("the-token-of-yesterday");
    test_env.set(&[("LOGS__FORMAT", "json"), ("LOGS__FILTER", EVERYTHING)]);
    test_env.serve_as_process();

    // Plivo does not let us in, until the token is written again.
    test_env.caller("c-held").signed_with("the-token-of-yesterday").has_pressed("3");
    test_env.until("the account is held", || !test_env.store.pauses().is_empty());
    test_env.operator_writes_the_token(TOKEN);
    test_env.until_it_is("c-held", "delivered");

    // Good, refused and unreadable webhooks, by every scheme.
    let spoken = format!(
        "CallUUID=c-spoken&From={FROM}&To={TO}&InputType=speech&Speech={SPOKEN}&Note={BODY}"
    );
    let mut secrets = Vec::new();
    let mut send = |mut callback: Callback, status| {
        callback.headers.push(("x-canary", HEADER.to_owned()));
        let signature = callback.headers.iter().find(|(name, _)| *name == "x-plivo-signature-v3");
        secrets.extend(signature.map(|(_, signature)| signature.clone()));
        callback.send(&test_env).assert_status(status);
    };
    send(Callback::signed("quick", None, &spoken, TOKEN), 200);
    send(test_env.caller("c-5").callback("5"), 200);
    send(test_env.caller("c-ivr").at("ivr").callback("2"), 200);
    send(test_env.caller("c-ivr").at("ivr").asked("problem").callback("1"), 200);
    send(test_env.caller("c-typo").asked("scoer").callback("1"), 200);
    send(test_env.caller("c-5").signed_with(FORGED_TOKEN).callback("1"), 401);
    send(Callback::signed("quick", None, &format!("From={FROM}&Note={BODY}"), TOKEN), 400);
    send(Callback::signed("quick", None, &format!("CallUUID=%zz&From={FROM}"), TOKEN), 400);
    send(Callback::signed("polite", None, &format!("From={FROM}&Note={BODY}"), "no-token"), 200);
    let basic = BASE64.encode(format!("ivr:{PASSWORD}").as_bytes());
    let query = format!("?From=%2B{FROM}&To={TO}&Note={BODY}&Digits=4&CallUUID");
    for (target, authorization, status) in [
        (format!("/hooks/by-bearer{query}=b-1"), format!("Bearer {BEARER}"), 200),
        (format!("/hooks/by-basic{query}=b-2"), format!("Basic {basic}"), 200),
        (format!("/hooks/by-bearer{query}=b-1"), format!("Bearer {BEARER}x"), 401),
        (format!("/hooks/by-hmac{query}=b-1"), String::new(), 401),
        (format!("/hooks/nobody{query}=b-1"), String::new(), 404),
        (format!("/no/such/path{query}=b-1"), String::new(), 404),
    ] {
        let headers = [("authorization", &*authorization), ("x-canary", HEADER)];
        exchange(test_env.public(), &request("GET", &target, &headers, b"")).assert_status(status);
    }
    test_env.until("all of it is settled", || test_env.store.totals().waiting() == 0);
    for (call, state) in [
        ("c-ivr", "delivered"),
        ("b-2", "delivered"),
        ("c-spoken", "ignored(invalid_answer)"),
        ("c-typo", "dead(unmapped)"),
    ] {
        assert_eq!(test_env.store.submission(call).unwrap().state, state);
    }

    // What is no HTTP at all, or breaks off.
    for no_http in [
        format!("POST /hooks/quick?From={FROM}&To={TO} HTTP/9.9\r\n\r\n{BODY}"),
        format!("{BODY} {FROM}\r\n\r\n"),
        format!("POST /hooks/quick HTTP/1.1\r\ncontent-length: {HEADER}\r\n\r\n"),
        format!("POST /hooks/quick HTTP/1.1\r\nx-canary: {HEADER}\u{1}\r\n\r\n"),
        format!("POST /hooks/quick HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n{BODY}\r\n"),
        format!("POST /hooks/quick?From={FROM} HTTP/1.1\r\ncontent-length: 99\r\n\r\n{BODY}"),
    ] {
        let mut connection = Connection::open(test_env.public());
        connection.send(&no_http);
        connection.finish_sending();
        connection.reply().expect("an answer").assert_status(400);
    }

    // Trouble with Plivo, on the wire and with the disk.
    test_env.plivo.fails(json!([
        {"status": 422, "times": 1}, {"reset": "before", "times": 1}, {"status": 503, "times": 1}
    ]));
    send(test_env.caller("c-dead").at("ivr").callback("2"), 200);
    send(test_env.caller("c-dead").at("ivr").asked("problem").callback("1"), 200);
    test_env.until_it_is("c-dead", "dead(rejected)");
    send(test_env.caller("c-6").callback("5"), 200);
    test_env.until_it_is("c-6", "delivered");
    test_env.store.refuses_writes();
    send(test_env.caller("c-7").callback("5"), 503);
    test_env.store.takes_writes();
    test_env.ask("/metrics").assert_status(200);

    test_env.process().signal("TERM");
    let ended = test_env.until_the_process_ends();
    assert!(ended.status.success(), "{}: {}", ended.status, ended.stderr);
    assert_eq!(ended.stderr, "");
    for line in ended.stdout.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
    for spoken_of in
        ["\"level\":\"TRACE\"", "actix_http::h1", "actix_codec", "dead: it cannot be delivered"]
    {
        assert!(ended.stdout.contains(spoken_of), "nothing is said of {spoken_of}");
    }
    secrets.extend(
        [
            TOKEN,
            "the-token-of-yesterday",
            BEARER,
            PASSWORD,
            HMAC,
            FORGED_TOKEN,
            FROM,
            TO,
            SPOKEN,
            NOTE,
            HEADER,
            BODY,
            "IVR survey:",
        ]
        .map(str::to_owned),
    );
    secrets.push(basic);
    for token in [TOKEN, "the-token-of-yesterday"] {
        secrets.push(BASE64.encode(format!("{AUTH_ID}:{token}").as_bytes()));
    }
    for secret in secrets {
        let told = ended.stdout.lines().find(|line| line.contains(&secret));
        assert_eq!(told, None, "{secret} is in the log");
    }
}

/// The default filter: how much is logged does not grow with the traffic.
#[test]
fn webhooks_and_deliveries_that_go_well_are_not_logged_at_info() {
    let mut test_env = TestEnv::of(SETTINGS);
    test_env.set(&[("LOGS__FORMAT", "json")]);
    test_env.serve_as_process();
    test_env.caller("c-1").has_pressed("4");
    test_env.caller("c-1").has_pressed("4");
    test_env.caller("c-2").is_silent();
    test_env.caller("c-3").signed_with(FORGED_TOKEN).presses("4").assert_status(401);
    test_env.until_it_is("c-1", "delivered");
    test_env.until_it_is("c-2", "ignored(no_answer)");
    test_env.process().signal("TERM");
    let ended = test_env.until_the_process_ends();
    let messages = ended.stdout.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["message"].as_str().unwrap().to_owned()
    });
    let while_it_served: Vec<String> =
        messages.skip_while(|message| message != "serving").skip(1).collect();
    let of_its_end = [
        "going down: not ready any more, webhooks are still taken",
        "public listener closed",
        "nothing is left in flight",
        "the store is closed",
    ];
    assert_eq!(while_it_served, of_its_end);
}

fn with_all_schemes(settings: &str) -> String {
    let sources = format!(
        "sources:
  by-bearer: {{ preset: plivo, account: main, survey: quick, signature: {{ bearer: {{ value: {BEARER} }} }} }}
  by-basic: {{ preset: plivo, account: main, survey: quick, signature: {{ basic: {{ user: ivr, password: {{ value: {PASSWORD} }} }} }} }}
  by-hmac: {{ preset: plivo, account: main, survey: quick, signature: {{ hmac: {{ header: X-Signature, secret: {{ value: {HMAC} }}, algorithm: sha256, encoding: hex }} }} }}
"
    );
    settings
        .replace("sources:\n", &sources)
        .replace(
            "IVR survey: {{ score }} of 5",
            &format!("IVR survey: {NOTE} {{{{ score }}}} of 5"),
        )
        .replace("complete: { timeout: 1h }", "complete: { timeout: 10s }")
}
