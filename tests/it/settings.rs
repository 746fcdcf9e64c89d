//! The settings as an operator meets them: what works as written, and what is said of what does
//! not.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use postcall::destination::{Destination, Plivo};
use postcall::settings::{Environment, Settings, SettingsError, Warnings};
use postcall::source::OnReject;

/// As the issue that asked for them writes them.
pub const AS_WRITTEN: &str = r##"
public:
  listen: 0.0.0.0:8080
  url: https://surveys.example.com        # what senders call; Plivo signs this, not what the container sees
admin:
  listen: 127.0.0.1:9090                  # metrics, probes, operators; never exposed with the public listener
store:
  url: sqlite:postcall.db
accounts:
  main:
    auth_id: MAXXXXXXXXXXXXXXXXXX
    auth_token: { env: PLIVO_AUTH_TOKEN }
sources:
  ivr:
    preset: plivo                          # GetInput and GetDigits action callbacks, GET or POST, signature V3 or Ma-V3
    account: main                          # whose token checks the signature and whose call is rated
    survey: quality
    reply: { xml: "<Response><Speak>Thank you.</Speak></Response>" }
    # url: https://edge.example.com/survey # what this sender calls, where a gateway rewrites paths; the query is added as it came
surveys:
  quality:
    questions:
      - { name: score, answers: 1-5 }
      - { name: problem, answers: 1-3 }
    rating: { question: score, scale: { from: [1, 5] } }
    issues:
      question: problem
      choices:
        - { answer: 1, issue: ECHO }
        - { answer: 2, issue: ONE_WAY_AUDIO }
        - { answer: 3, issue: CALL_DROPPED }
      default: [OTHERS]                  # below 5 Plivo wants an issue
    notes: "IVR survey: {{ score }} of 5"
    complete: { timeout: 120s }              # how long to wait for the other answers of a call
delivery:
  delay: 60s                               # after the last word on a call: feedback on a live call is undocumented
"##;

const TOKEN: &str = "made-up-auth-token";

#[test]
fn the_settings_of_the_issue_work_as_written() {
    let settings = load(AS_WRITTEN, &[]).unwrap();
    assert_eq!(settings.public.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(settings.admin.listen.to_string(), "127.0.0.1:9090");
    assert_eq!(settings.store.url.shown(), "postcall.db");
    assert_eq!(settings.delivery.delay, Duration::from_secs(60));

    let account = plivo(&settings, "main");
    assert_eq!(account.auth_id, "MAXXXXXXXXXXXXXXXXXX");
    assert_eq!(account.account.credentials.tokens().len(), 1);
    assert_eq!(account.api, "https://stats.plivo.com");

    let source = &settings.sources["ivr"];
    assert_eq!(source.signature.labels(), ["v3", "ma-v3"]);
    assert_eq!(source.url.at("/hooks/ivr"), "https://surveys.example.com/hooks/ivr");
    assert_eq!(source.reply.body(), b"<Response><Speak>Thank you.</Speak></Response>");
    assert!(settings.surveys.contains_key("quality"));
}

#[test]
fn the_commonest_survey_is_short() {
    let settings = load(&with_survey(QUICK), &[]).unwrap();
    assert!(settings.surveys.contains_key("quality"));
}

const QUICK: &str =
    "quality: { questions: [{ name: score, answers: 1-5 }], rating: { question: score } }";

#[test]
fn without_accounts_and_sources_there_is_nothing_to_do() {
    insta::assert_snapshot!(faults("", &[]), @r"
    accounts: expected at least one account
    sources: expected at least one source
    ");
}

#[test]
fn everything_wrong_is_said_at_once_and_in_order() {
    let text = r"
public: { listen: 8080, url: surveys.example.com }
admin: { listen: 127.0.0.1, listener: 1 }
store: { url: postgres://db, queue: many }
acounts: {}
accounts:
  main: { auth_id: MAX, auth_token: { env: NOBODY_SET_THIS }, api: http://plivo.example.com }
sources:
  IVR: { preset: plivo }
  ivr: { preset: nobodys, account: mian, survey: qualty, reply: { xml: <Response> }, signature: [v4] }
surveys:
  quality: { questions: [{ name: score, answers: 1.5 }], rating: { question: scores } }
delivery: { delay: 60, lease: 10s, max_concurrency: 0, retry: { initial_backoff: 1h } }
logs: { format: xml, filter: '[' }
";
    let told = faults(text, &[("POSTCALL__SHUTDOWN__DEADLINE", "20")]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_fault_names_the_file_and_the_line_that_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postcall.yaml");
    let wrong = AS_WRITTEN
        .replace("answers: 1-3", "answers: 3-1")
        .replace("    rating:", "    # rating:")
        .replace("delay: 60s", "timeout: 58s");
    std::fs::write(&path, wrong).unwrap();
    let environment = [("PLIVO_AUTH_TOKEN", TOKEN), ("POSTCALL__STORE__WRITE_QUEUE", "many")];
    let error = Settings::load(Some(&path), environment.into_iter().collect()).unwrap_err();
    let said = error.to_string().replace(folder.path().to_str().unwrap(), "/etc");
    insta::assert_snapshot!(said, @r"
    store.write_queue: expected a whole number from 1 to 1000000 (set by POSTCALL__STORE__WRITE_QUEUE)
    /etc/postcall.yaml:21: surveys.quality.rating: nothing rates the call: say which question does, or let rules rate
    /etc/postcall.yaml:24: surveys.quality.questions[1].answers: 3-1 runs backwards: write 1-3
    /etc/postcall.yaml:35: delivery.lease: must exceed delivery.timeout by more than 5s
    ");
}

#[test]
fn a_wrong_secret_is_refused_with_the_right_forms() {
    let token = "auth_token: { env: PLIVO_AUTH_TOKEN }";
    let told = told([
        (token, "auth_token: made-up"),
        (token, "auth_token: 12345"),
        (token, "auth_token:"),
        (token, "auth_token: []"),
        (token, "auth_token: {}"),
        (token, "auth_token: { env: PLIVO_AUTH_TOKEN, value: made-up }"),
        (token, "auth_token: { var: PLIVO_AUTH_TOKEN }"),
        (token, "auth_token: { value: 12345 }"),
        (token, "auth_token: { value: }"),
        (token, "auth_token: { value: '  ' }"),
        (token, "auth_token: { env: NOBODY_SET_THIS }"),
        (token, "auth_token: { env: SET_TO_NOTHING }"),
        (token, "auth_token: { file: no/such/file }"),
        (token, "auth_token: [{ env: PLIVO_AUTH_TOKEN }, { env: NOBODY_SET_THIS }, made-up]"),
        (token, "# auth_token"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn no_fault_repeats_what_stands_where_a_secret_belongs() {
    const CANARY: &str = "s3cr3t-canary";
    let places = [
        ("auth_token: { env: PLIVO_AUTH_TOKEN }", "auth_token: "),
        ("reply: {", "signature: { bearer: CANARY }\n    reply: {"),
        ("reply: {", "signature: { basic: { user: ivr, password: CANARY } }\n    reply: {"),
        ("reply: {", "signature: { hmac: { header: X-Sign, secret: CANARY } }\n    reply: {"),
        ("reply: {", "signature: { standard: { secret: CANARY } }\n    reply: {"),
        ("reply: {", "signature: { twilio: { secret: CANARY } }\n    reply: {"),
        ("reply: {", "signature: { vonage: { secret: CANARY } }\n    reply: {"),
    ];
    let wrongs = [
        "CANARY",
        "{ env: CANARY }",
        "{ file: CANARY }",
        "{ file: /CANARY }",
        "{ CANARY }",
        "{ CANARY: }",
        "{ CANARY: CANARY }",
        "{{ CANARY }}",
        "{ value: [CANARY] }",
        "{ value: { CANARY: CANARY } }",
        "{ value: CANARY, env: CANARY }",
        "[CANARY]",
        "[[CANARY]]",
        "[{ env: CANARY }]",
        "[{ value: { value: CANARY } }]",
        "!!int CANARY",
        "!CANARY",
        "*CANARY",
        "{ value: \"CANARY }",
        "{ value: CANARY",
        "\n      CANARY:\n      CANARY:\n",
    ];
    for (from, to) in places {
        for wrong in wrongs {
            let to = if to.contains("CANARY") {
                to.replace("CANARY", wrong)
            } else {
                format!("{to}{wrong}")
            };
            let text = replaced(AS_WRITTEN, from, &to.replace("CANARY", CANARY));
            let error = load(&text, &[]).expect_err(wrong);
            let said = format!("{error} {error:?} {:?}", std::error::Error::source(&error));
            assert!(!said.contains(CANARY), "{wrong}: {said}");
        }
    }
    let in_a_variable = [("POSTCALL__ACCOUNTS__MAIN__AUTH_TOKEN", CANARY)];
    assert!(!faults(AS_WRITTEN, &in_a_variable).contains(CANARY));
}

#[test]
fn no_secret_shows_in_the_settings() {
    let text = replaced(
        AS_WRITTEN,
        "reply: {",
        "signature: { bearer: { value: \"s3cr3t-canary-s3cr3t\" } }\n    reply: {",
    );
    let settings = load(&text, &[]).unwrap();
    let shown = format!("{settings:?}");
    assert!(!shown.contains("s3cr3t") && !shown.contains(TOKEN), "{shown}");
}

#[test]
fn a_secret_in_a_file_ends_before_its_last_newline_and_is_read_anew() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "first").unwrap();
    let form = format!("auth_token: {{ file: {:?} }}", file.path());
    let text = replaced(AS_WRITTEN, "auth_token: { env: PLIVO_AUTH_TOKEN }", &form);
    let credentials = load(&text, &[]).unwrap().accounts["main"].account().credentials.clone();
    let first = || secrecy::ExposeSecret::expose_secret(&credentials.first()).to_owned();
    assert_eq!(first(), "first");

    std::fs::write(file.path(), "second").unwrap();
    credentials.read_anew().unwrap();
    assert_eq!(first(), "second");

    std::fs::write(file.path(), "\n").unwrap();
    let refused = credentials.read_anew().unwrap_err();
    insta::assert_snapshot!(refused, @"accounts.main.auth_token.file: the secret is empty");
    assert_eq!(first(), "second");
}

#[test]
fn a_token_that_no_request_can_bring_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let form = format!("listen: 127.0.0.1:9090\n  token: {{ file: {:?} }}", file.path());
    let text = replaced(AS_WRITTEN, "listen: 127.0.0.1:9090", &form);
    let unlike = "a-token-of-the-desk \n";
    for wrong in
        [unlike, "a-token-of-the-desk\n\n", "\ta-token-of-the-desk", "a-token-of\0the-desk"]
    {
        std::fs::write(file.path(), wrong).unwrap();
        let said = faults(&text, &[]);
        assert!(said.contains("admin.token: no request can bring"), "{wrong:?}: {said}");
    }
    std::fs::write(file.path(), "a-token-of-the-desk\n").unwrap();
    let token = load(&text, &[]).unwrap().admin.token.unwrap();
    std::fs::write(file.path(), unlike).unwrap();
    assert!(token.read_anew().is_err(), "the known one stays");
}

#[test]
fn a_viewer_token_needs_an_operators_token_that_is_another() {
    let with = |keys: &str| {
        let keys = format!("listen: 127.0.0.1:9090\n  {keys}");
        replaced(AS_WRITTEN, "listen: 127.0.0.1:9090", &keys)
    };
    let (one, other) = ("{ value: a-token-of-operators }", "{ value: a-token-of-viewers }");
    let alone = faults(&with(&format!("viewer_token: {one}")), &[]);
    assert!(alone.contains("admin.viewer_token: without admin.token"), "{alone}");
    let same = faults(&with(&format!("token: [{other}, {one}]\n  viewer_token: {one}")), &[]);
    assert!(same.contains("admin.viewer_token: admin.token is the same"), "{same}");
    let both = with(&format!("token: {one}\n  viewer_token: {other}\n  environment: prod-eu"));
    assert_eq!(load(&both, &[]).unwrap().admin.environment.as_deref(), Some("prod-eu"));
    let wrong = faults(&with("environment: the production"), &[]);
    assert!(wrong.contains("admin.environment: expected 1 to 24 letters"), "{wrong}");
}

#[test]
fn a_list_of_secrets_is_for_the_days_of_a_rotation() {
    let form = "auth_token: [{ value: new }, { env: PLIVO_AUTH_TOKEN }]";
    let text = replaced(AS_WRITTEN, "auth_token: { env: PLIVO_AUTH_TOKEN }", form);
    let settings = load(&text, &[]).unwrap();
    assert_eq!(settings.accounts["main"].account().credentials.tokens().len(), 2);
}

#[test]
fn a_wrong_signature_is_refused_with_the_right_forms() {
    let reply = "reply: {";
    let signed = |signature: &str| format!("signature: {signature}\n    reply: {{");
    let cases = [
        "v3",
        "[]",
        "[v3, v4]",
        "[none]",
        "{ bearer: { value: too-short } }",
        "{ bearer: { env: PLIVO_AUTH_TOKEN }, basic: { user: a, password: { env: PLIVO_AUTH_TOKEN } } }",
        "{ basic: { user: 'a:b' } }",
        "{ hmac: { header: 'X Signature', secret: { env: PLIVO_AUTH_TOKEN } } }",
        "{ hmac: { algorithm: md5, encoding: base32, prefix: 1 } }",
        "{ hmac: { header: X-Sign, secret: { env: HOOK_TOKEN }, signed_payload: \"{timestamp}.{body}\" } }",
        "{ hmac: { header: X-Sign, secret: { env: HOOK_TOKEN }, timestamp: { header: X-Time, format: ms } } }",
        "{ hmac: { header: X-Sign, secret: { env: HOOK_TOKEN }, timestamp: { key: t }, signed_payload: \"{timestamp}{body}\" } }",
        "{ hmac: { header: X-Sign, key: 'v 1', secret: { env: HOOK_TOKEN }, timestamp: { key: t, header: X-Time } } }",
        "{ hmac: { header: X-Sign, secret: { env: HOOK_TOKEN }, id: X-Id } }",
        "{ hmac: { header: X-Sign, secret: { env: HOOK_TOKEN }, signed_payload: \"{nonce}{body}\" } }",
        "{ standard: { secret: { env: HOOK_TOKEN }, max_age: 5 } }",
        "{ standard: { secret: { env: HOOK_TOKEN } } }",
        "{ standard: { secret: { env: HOOK_TOKEN }, max_age: 144h } }",
        "{ standard: { secret: { env: HOOK_TOKEN }, max_age: 0s, max_skew: 0s } }",
        "{ hmac: { header: X-Sign, secret: { env: HOOK_TOKEN }, key: v1, timestamp: { key: v1 }, signed_payload: \"{timestamp}.{body}\" } }",
        "{ hmac: { header: X-Sign, secret: { env: HOOK_TOKEN }, timestamp: { header: x-sign }, signed_payload: \"{timestamp}.{body}\" } }",
        "{ hmac: { header: X-Sign, secret: { env: HOOK_TOKEN }, id: X-SIGN, signed_payload: \"{id}.{body}\" } }",
        "{ hmac: { header: X-Sign, secret: { env: HOOK_TOKEN }, id: x-time, timestamp: { header: X-Time }, signed_payload: \"{id}.{timestamp}.{body}\" } }",
        "{ telnyx: { public_key: e7xtHePnoFdgHIjcp8GeuJhxbAcSE9GqTjmLCqQwLqc=, max_skew: 30d } }",
        "{ twilio: {} }",
        "{ vonage: { key: { env: HOOK_TOKEN } } }",
        "{ telnyx: { public_key: AAAA } }",
        "{ telnyx: { public_key: [] } }",
        "{ github: {} }",
        "false",
    ]
    .map(signed);
    let told = told(cases.iter().map(|to| (reply, to.as_str())));
    insta::assert_snapshot!(told);
}

#[test]
fn every_signature_of_the_rules_is_understood() {
    for (signature, labels) in [
        ("[v3, ma-v3]", &["v3", "ma-v3"][..]),
        ("[ma-v2]", &["ma-v2"]),
        ("{ bearer: { env: HOOK_TOKEN } }", &["bearer"]),
        ("{ basic: { user: ivr, password: { env: HOOK_TOKEN } } }", &["basic"]),
        (
            "{ hmac: { header: X-Signature, secret: { env: HOOK_TOKEN }, algorithm: sha256, \
             encoding: hex, prefix: \"sha256=\" } }",
            &["hmac"],
        ),
        (
            "{ hmac: { header: X-Signature, secret: { env: HOOK_TOKEN }, algorithm: sha1, \
             encoding: base64, id: X-Id, timestamp: { header: X-Time, format: iso, max_age: 10m, \
             max_skew: 0s }, signed_payload: \"{id}.{timestamp}.{body}\" } }",
            &["hmac"],
        ),
        (
            "{ hmac: { header: X-Signature, key: v1, secret: { env: HOOK_TOKEN }, \
             timestamp: { key: t }, signed_payload: \"{timestamp}.{body}\" } }",
            &["hmac"],
        ),
        ("{ standard: { secret: { env: HOOK_WHSEC }, max_age: 1h, max_skew: 5m } }", &["standard"]),
        ("{ twilio: { secret: [{ env: HOOK_TOKEN }, { env: HOOK_TOKEN }] } }", &["twilio"]),
        ("{ vonage: { secret: { env: HOOK_TOKEN } } }", &["vonage"]),
        ("{ telnyx: { public_key: e7xtHePnoFdgHIjcp8GeuJhxbAcSE9GqTjmLCqQwLqc= } }", &["telnyx"]),
        ("none", &["none"]),
    ] {
        let to = format!("signature: {signature}\n    reply: {{");
        let text = replaced(AS_WRITTEN, "reply: {", &to);
        let whsec = ("HOOK_WHSEC", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let settings = load(&text, &[whsec]).unwrap();
        assert_eq!(settings.sources["ivr"].signature.labels(), labels);
    }
}

#[test]
fn a_source_whose_captured_requests_count_again_is_known() {
    let hmac = |more: &str| {
        format!("{{ hmac: {{ header: X-Sign, secret: {{ env: HOOK_TOKEN }}, {more} }} }}")
    };
    let whsec = ("HOOK_WHSEC", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    let takes = |changes: &str, signature: &str| {
        let to = format!("signature: {signature}\n    reply: {{");
        let text = replaced(AS_WRITTEN, "reply: {", &to);
        let text = replaced(
            &text,
            "\n    questions:",
            &format!("\n    on_changed_answer: {changes}\n    questions:"),
        );
        load(&text, &[whsec]).unwrap().sources["ivr"].takes_replays()
    };
    let timed = "timestamp: { header: X-Time }, signed_payload: \"{timestamp}.{body}\"";
    let generic = |extract: &str| {
        let read = format!("preset: generic-form\n    extract: {{ {extract} }}");
        let text = replaced(AS_WRITTEN, "preset: plivo", &read);
        let to = format!("signature: {}\n    reply: {{", hmac("encoding: hex"));
        let text = replaced(&text, "reply: {", &to);
        let last = "\n    on_changed_answer: keep_last\n    questions:";
        load(&replaced(&text, "\n    questions:", last), &[]).unwrap().sources["ivr"]
            .takes_replays()
    };
    assert!(generic("call: form:call"), "a sender may leave out event_id");
    assert!(!generic("id: form:event_id"), "its operator says that it is there");
    for (signature, expected) in [
        ("[v3, ma-v3]", false),
        ("{ twilio: { secret: { env: HOOK_TOKEN } } }", true),
        (&*hmac("encoding: hex"), true),
        (&*hmac("id: X-Id, signed_payload: \"{id}.{body}\""), false),
        (&*hmac(timed), false),
        ("{ standard: { secret: { env: HOOK_WHSEC } } }", false),
        ("{ bearer: { env: HOOK_TOKEN } }", false),
    ] {
        for changes in ["keep_last", "redeliver"] {
            assert_eq!(takes(changes, signature), expected, "{changes} {signature}");
        }
    }
}

#[test]
fn a_sender_that_signs_its_address_needs_one() {
    let without = replaced(AS_WRITTEN, "url: https://surveys.example.com", "url:");
    insta::assert_snapshot!(faults(&without, &[]), @"line 14: sources.ivr.url: missing: the sender signs the address that it calls, so write it here or as public.url");

    let own = replaced(&without, "# url: https://edge", "url: https://edge");
    let url = &load(&own, &[]).unwrap().sources["ivr"].url;
    assert_eq!(url.at("/hooks/ivr"), "https://edge.example.com/survey");

    let unsigned = replaced(&without, "reply: {", "signature: none\n    reply: {");
    let url = &load(&unsigned, &[]).unwrap().sources["ivr"].url;
    assert_eq!(url.at("/hooks/ivr"), "http://127.0.0.1:8080/hooks/ivr");
}

#[test]
fn a_wrong_source_is_refused() {
    let reply = "reply: { xml: \"<Response><Speak>Thank you.</Speak></Response>\" }";
    let told = told([
        ("preset: plivo", "preset: nobodys"),
        ("preset: plivo", "preset: twilio"),
        ("preset: plivo", "# no preset"),
        ("account: main", "account: other"),
        ("survey: quality", "survey: other"),
        (reply, "reply: <Response/>"),
        (reply, "reply: { xml: \"<Response>\" }"),
        (reply, "reply: { xml: \"<Response><Say>Thank you.</Say></Response>\" }"),
        (reply, "reply: { xml: \"<Response><GetDigits/></Response>\" }"),
        (reply, "reply: { xml: \"<Response/>\", empty: true }"),
        (reply, "reply: { empty: false }"),
        (reply, "reply: { text: thanks }"),
        (reply, "reply: { json: 1, xml: 2 }"),
        (reply, "on_reject: drop"),
        (reply, "url: https://edge.example.com/survey?a=b"),
        (reply, "secret: { env: X }"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn wrong_replies_are_refused() {
    let reply = "reply: { xml: \"<Response><Speak>Thank you.</Speak></Response>\" }";
    let told = told([
        (reply, "replies: <Response/>"),
        (reply, "replies: []"),
        (reply, "replies: [{ when: score < 5 }, { xml: <Response/> }]"),
        (reply, "replies: [{ when: score < 5, xml: <Response/> }]"),
        (reply, "replies: [{ xml: <Response/> }, { xml: <Response/> }]"),
        (reply, "replies: [{ when: sore < 5, xml: <Response/> }, { xml: \"{{ socre }}\" }]"),
        (reply, "replies: [{ when: score < 5, xml: <Response> }, { xml: <Response/> }]"),
        (
            reply,
            "replies: [{ when: score < 5, xml: '<Response><GetInput action=\"{{ url }}\" numDigits=\"{{ score }}0\"/></Response>' }, { xml: <Response/> }]",
        ),
        (reply, "replies: [{ xml: <Response/>, json: 1 }]"),
        (reply, "reply: { empty: true }\n    replies: [{ xml: <Response/> }]"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_wrong_reading_is_refused_with_what_would_be_right() {
    let read = |read: &str| ("reply: {", format!("extract: {read}\n    reply: {{"));
    let cases = [
        "{ call: CallUUID }",
        "{ call: }",
        "{ call: [] }",
        "{ call: 5 }",
        "{ call: 'json:$.[' }",
        "{ call: 'json:$.a[?@.b = 1]' }",
        "{ answer: [form:Digits, 'form:payload > xml:/a'] }",
        "{ answer: 'form:Digits if InputType' }",
        "{ answer: 'form:Digits if form:a if form:b' }",
        "{ answer: form:Digits, answers: [] }",
        "{ answer: }",
        "{ question: query:question, answers: [] }",
        "{ answers: [{ question: scoer, from: form:q1 }, { from: form:q2 }, { question: score }] }",
        "{ answers: [] }",
        "{ answers: [{ question: score, from: form:a }, { question: score, from: form:b }] }",
        "{ each_question: form:question }",
        "{ each_question: 'json:$.{question' }",
        "{ each_question: 'json:$.[{question}]' }",
        "{ fields: { From: form:From } }",
        "{ fields: { from: From } }",
        "{ fields: { from: form:From } }",
        "{ hangup: maybe }",
        "{ filter: [] }",
        "{ id: 'header:' }",
        "{ cal: form:CallUUID }",
        "form:Digits",
    ]
    .map(read);
    insta::assert_snapshot!(told(cases.iter().map(|(from, to)| (*from, to.as_str()))));
}

const SIGNED: &str = "signature: { hmac: { header: X-Signature, secret: { env: HOOK_TOKEN } } }";
const WITH_TOKEN: &str = "signature: { bearer: { env: HOOK_TOKEN } }";

fn source_with(own: &str) -> String {
    replaced(AS_WRITTEN, "    preset: plivo ", &format!("    {} #", own.replace('\n', "\n    ")))
}

#[test]
fn a_source_that_can_take_no_answer_is_refused_with_what_would_be_right() {
    let json = format!("preset: generic-json\n{SIGNED}");
    let token = format!("preset: generic-json\n{WITH_TOKEN}");
    let mut told = String::new();
    for own in [
        "preset: plivo\nextract: { filter: 'json:$.Event=Answer' }".to_owned(),
        "preset: plivo\ncontent_types: [json]".to_owned(),
        "preset: plivo\nsignature: [v2]\nextract: { call: query:call_uuid }".to_owned(),
        "preset: plivo\nextract: { answer: 'json:$.digits' }".to_owned(),
        "preset: plivo\nextract: { call: header:X-Call }".to_owned(),
        format!("{json}\nextract: {{ call: header:X-Call }}"),
        format!("{json}\nextract: {{ call: query:call_uuid }}"),
        format!("{json}\nextract: {{ call: form:call_uuid }}"),
        format!("{json}\nextract: {{ filter: 'header:X-Event=rated' }}"),
        format!("{json}\ncontent_types: [form]"),
        format!("{token}\nextract: {{ call: form:call_uuid }}"),
        format!(
            "{token}\nextract: {{ each_question: , answers: [{{ question: score, from: 'json:$.a' }}, \
             {{ question: problem, from: form:b }}] }}"
        ),
    ] {
        let faults = faults(&source_with(&own), &[]);
        writeln!(told, "{}\n    {}", own.replace('\n', "\n  "), faults.replace('\n', "\n    "))
            .unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn a_source_that_can_take_an_answer_in_one_way_at_least_is_taken() {
    let json = format!("preset: generic-json\n{SIGNED}");
    let token = format!("preset: generic-json\n{WITH_TOKEN}");
    for own in [
        "preset: plivo\nextract: { filter: 'form:Event!=Hangup' }".to_owned(),
        "preset: plivo\nextract: { filter: 'json:$.Event!=Hangup' }".to_owned(),
        "preset: plivo\nsignature: [v2]".to_owned(),
        "preset: plivo\nextract: { call: query:call_uuid }".to_owned(),
        "preset: plivo\nextract: { answer: query:digits, call: ['json:$.a', form:CallUUID] }"
            .to_owned(),
        format!("{json}\nextract: {{ call: [header:X-Call, 'json:$.call'] }}"),
        format!(
            "{json}\ncontent_types: [form, json]\nextract: {{ each_question: 'form:{{question}}', call: form:call }}"
        ),
        format!(
            "{json}\ncontent_types: [form]\nextract: {{ call: query:call, each_question: 'query:{{question}}' }}"
        ),
        // The query of a GET is what is signed.
        format!("{json}\nextract: {{ call: query:call, hangup: true }}"),
        format!("{json}\nextract: {{ call: form:call, each_question: 'form:{{question}}' }}"),
        format!("{token}\nextract: {{ call: header:X-Call, filter: 'query:event=rated' }}"),
        format!(
            "{token}\nextract: {{ call: 'query:payload > base64', each_question: 'json:$.{{question}}' }}"
        ),
        "preset: twilio\nsignature: { twilio: { secret: { env: HOOK_TOKEN } } }\nextract: { call: query:call_uuid }"
            .to_owned(),
    ] {
        let loaded = load(&source_with(&own), &[]);
        assert!(loaded.is_ok(), "{own}: {}", loaded.unwrap_err());
    }
}

#[test]
fn a_field_that_a_survey_wants_and_no_source_reads_is_a_fault() {
    let wanting =
        replaced(AS_WRITTEN, "    questions:", "    fields: [from, campaign]\n    questions:");
    insta::assert_snapshot!(faults(&wanting, &[]), @"line 22: surveys.quality.fields: no source of this survey reads campaign: say where, under its extract.fields");
    let read = "extract: { fields: { campaign: query:campaign } }\n    reply: {";
    assert!(load(&replaced(&wanting, "reply: {", read), &[]).is_ok());
}

#[test]
fn a_wrong_account_is_refused() {
    let id = "auth_id: MAXXXXXXXXXXXXXXXXXX";
    let with = |line: &str| format!("{id}\n    {line}");
    let lines = [
        "api: stats.plivo.com",
        "api: http://stats.plivo.com",
        "api: https://user:password@stats.plivo.com",
        "api: https://stats.plivo.com/?a",
        "insecure: maybe",
        "issue_names: { CALLER: CALLERID_ISSUES }",
        "issue_names: { CALLERID_ISSUE: callerid issues }",
    ]
    .map(with);
    let wrong_ids = ["auth_id: 12345", "auth_id: 'MA:X'", "auth_id:"].map(str::to_owned);
    let told = told(lines.iter().chain(&wrong_ids).map(|to| (id, to.as_str())));
    insta::assert_snapshot!(told);

    let spelled = with("issue_names: { CALLERID_ISSUE: CALLERID_ISSUES }");
    let loopback = with("api: http://127.0.0.1:4010/prefix/");
    let insecure = with("api: http://plivo:4010\n    allow_http: true");
    for (right, api) in [
        (spelled, "https://stats.plivo.com"),
        (loopback, "http://127.0.0.1:4010/prefix"),
        (insecure, "http://plivo:4010"),
    ] {
        let settings = load(&replaced(AS_WRITTEN, id, &right), &[]).unwrap();
        assert_eq!(plivo(&settings, "main").api, api);
    }
}

#[test]
fn a_wrong_name_is_refused() {
    let told = told([
        ("  main:", "  Main:"),
        ("  ivr:", "  ivr.1:"),
        ("  quality:", "  quality__2:"),
        ("name: problem", "name: the problem"),
        ("name: problem", "name: score"),
        ("question: score", "question: SCORE"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_wrong_answer_is_refused() {
    let answers = "answers: 1-3";
    let answer = "answer: 1,";
    let told = told([
        (answers, "answers: 1.5"),
        (answers, "answers: true"),
        (answers, "answers: null"),
        (answers, "answers: []"),
        (answers, "answers: [1, 2, 3, 2.0, yes, ~, [4]]"),
        (answers, "answers: -1"),
        (answers, "answers: 5-1"),
        (answers, "answers: 1-"),
        (answers, "answers: { from: 1, to: 5 }"),
        (answer, "answer: 1.0,"),
        (answer, "answer: true,"),
        (answer, "answer: ,"),
        (answer, "answer: 1-2,"),
        (answer, "answer: 9,"),
        (answer, "answer: 2,"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn answers_are_digits_ranges_and_quoted_keys() {
    for right in ["answers: 1-9", "answers: \"1-9\"", "answers: [1, 2-3, \"*\", \"#\", 10]"] {
        let text = replaced(AS_WRITTEN, "answers: 1-3", right);
        load(&text, &[]).unwrap_or_else(|error| panic!("{right}: {error}"));
    }
}

#[test]
fn a_wrong_survey_is_refused() {
    let told = told([
        ("rating: { question: score, scale: { from: [1, 5] } }", "# no rating"),
        ("rating: { question: score,", "rating: { question: nobody,"),
        ("from: [1, 5]", "from: [1, 1]"),
        ("from: [1, 5]", "from: [1]"),
        ("from: [1, 5]", "from: [2, 4]"),
        ("question: problem", "question: nobody"),
        ("issue: ECHO", "issue: echo"),
        ("default: [OTHERS]", "default: []"),
        ("default: [OTHERS]", "otherwise: OTHERS"),
        ("default: [OTHERS]", "at_max_rating: keep"),
        ("{{ score }} of 5", "{{ scor }} of 5"),
        ("{{ score }} of 5", "{{ score of 5"),
        ("timeout: 120s", "timeout: 120"),
        ("timeout: 120s", "within: 120s"),
        ("notes:", "notes_length: 0\n    notes:"),
    ]);
    insta::assert_snapshot!(told);
}

/// A scale is not taken for another one because how it rounds is wrong.
#[test]
fn a_wrong_rounding_is_told_alone() {
    let survey = "quality: { questions: [{ name: score, number: [0, 10] }],
    rating: { question: score, scale: { from: [0, 10], round: third } } }";
    insta::assert_snapshot!(faults(&with_survey(survey), &[]), @"line 22: surveys.quality.rating.scale.round: expected one of hundredth, half, whole");
}

#[test]
fn a_wrong_duration_or_number_is_refused() {
    let delay = "delay: 60s";
    let told = told([
        (delay, "delay: 60"),
        (delay, "delay: 60 s"),
        (delay, "delay: 1.5h"),
        (delay, "delay: -1s"),
        (delay, "delay: 4000d"),
        (delay, "timeout: 0s"),
        (delay, "timeout: 55s"),
        (delay, "timeout: 1s"),
        (delay, "max_concurrency: 1001"),
        (delay, "in_flight: few"),
        (delay, "rate: 0"),
        (delay, "rate: 100001"),
        (delay, "retry: { initial_backoff: 11m }"),
        (delay, "retry: 5"),
        ("url: sqlite:postcall.db", "url: sqlite:postcall.db\n  write_queue: 0"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_wrong_door_or_store_is_refused() {
    let url = "url: sqlite:postcall.db";
    let told = told([
        ("listen: 127.0.0.1:9090", "listen: 0.0.0.0:8080"),
        ("listen: 127.0.0.1:9090", "listen: 127.0.0.1:8080"),
        ("listen: 127.0.0.1:9090", "listen: 9090"),
        ("listen: 127.0.0.1:9090", "listen: localhost:9090"),
        ("url: https://surveys.example.com", "url: surveys.example.com"),
        ("url: https://surveys.example.com", "url: https://surveys.example.com/?a=b"),
        ("url: https://surveys.example.com", "url: https://surveys.example.com/hooks/ivr"),
        ("url: https://surveys.example.com", "url: https://surveys.example.com/hooks"),
        ("listen: 0.0.0.0:8080", "listen: 28081"),
        (url, "url: postcall.db"),
        (url, "url: 'sqlite:'"),
        (url, "url: sqlite://postcall.db"),
        (url, "url: 'sqlite::memory:'"),
        (url, "url: sqlite:a.db\n  retention: { bodies: 91d, outcomes: 1d }"),
        (url, "url: sqlite:a.db\n  retention: { bodies: 30, dead: 1d }"),
    ]);
    insta::assert_snapshot!(told);
    let anywhere = AS_WRITTEN.replace("0.0.0.0:8080", "127.0.0.1:0").replace("9090", "0");
    assert!(load(&anywhere, &[]).is_ok());
    for prefix in ["/voice", "/webhooks/", "/a/hooks-of-ours"] {
        let url = format!("url: https://hooks{prefix}");
        let text = replaced(AS_WRITTEN, "url: https://surveys.example.com", &url);
        assert!(load(&text, &[]).is_ok(), "{prefix}");
    }
}

#[test]
fn a_number_is_to_be_quoted_only_where_it_would_do_in_quotes() {
    let told = told([
        ("listen: 0.0.0.0:8080", "listen: 28081"),
        ("auth_id: MAXXXXXXXXXXXXXXXXXX", "auth_id: 12345"),
        ("url: https://surveys.example.com", "url: 5"),
        ("preset: plivo", "preset: 5"),
        ("account: main", "account: -5"),
        ("notes: \"IVR survey: {{ score }} of 5\"", "notes: 5"),
    ]);
    let quotes = told.lines().filter(|line| line.ends_with("quote it")).count();
    assert_eq!(quotes, 1, "{told}");
    assert!(told.contains("found a number: write 0.0.0.0:28081"), "{told}");
}

#[test]
fn an_unknown_key_is_refused_with_those_that_belong_there() {
    let told = told([
        ("public:", "publik: {}\npublic:"),
        ("public:", "public.listen: 0.0.0.0:80\npublic:"),
        ("delay: 60s", "delays: 60s"),
        ("  complete: {", "  complet: {"),
    ]);
    insta::assert_snapshot!(told);
}

#[test]
fn a_variable_overrides_a_scalar_that_is_there() {
    let settings = load(
        AS_WRITTEN,
        &[
            ("POSTCALL__PUBLIC__LISTEN", "127.0.0.1:0"),
            ("POSTCALL__STORE__WRITE_QUEUE", "5"),
            ("POSTCALL__DELIVERY__RETRY__INITIAL_BACKOFF", "200ms"),
            ("POSTCALL__ACCOUNTS__MAIN__AUTH_ID", "00123"),
            ("POSTCALL__ACCOUNTS__MAIN__API", "http://127.0.0.1:4010"),
            ("POSTCALL__SURVEYS__QUALITY__COMPLETE__TIMEOUT", "2s"),
            ("POSTCALL__SOURCES__IVR__ON_REJECT", "reply"),
            ("POSTCALL_CONFIG", "this one is for the command line"),
            ("POSTCALL_PORT", "tcp://10.0.0.1:80"),
        ],
    )
    .unwrap();
    assert_eq!(settings.public.listen.port(), 0);
    assert_eq!(settings.store.write_queue, 5);
    assert_eq!(settings.delivery.retry.initial_backoff, Duration::from_millis(200));
    assert_eq!(plivo(&settings, "main").auth_id, "00123");
    assert_eq!(plivo(&settings, "main").api, "http://127.0.0.1:4010");
    assert_eq!(settings.sources["ivr"].on_reject, OnReject::Reply);
}

#[test]
fn a_variable_reaches_an_entry_whose_name_no_shell_would_take() {
    let text = AS_WRITTEN.replace("  main:", "  main-line:").replace(": main ", ": main-line ");
    let settings = load(&text, &[("POSTCALL__ACCOUNTS__MAIN_LINE__AUTH_ID", "MAY")]).unwrap();
    assert_eq!(plivo(&settings, "main-line").auth_id, "MAY");
}

#[test]
fn a_variable_that_can_override_nothing_is_refused_by_its_name() {
    let told: String = [
        ("POSTCALL__ACCOUNTS__OTHER__AUTH_ID", "MAY"),
        ("POSTCALL__SURVEYS__QUICK__NOTES", "x"),
        ("POSTCALL__SURVEYS__QUALITY__QUESTIONS", "[]"),
        ("POSTCALL__SURVEYS__QUALITY__QUESTIONS__0__NAME", "score"),
        ("POSTCALL__SURVEYS__QUALITY__QUESTIONS[0]__NAME", "score"),
        ("POSTCALL__STORE", "sqlite:other.db"),
        ("POSTCALL__STORE__URL__PATH", "other.db"),
        ("POSTCALL__STORE__PATH", "other.db"),
        ("POSTCALL__STOER__URL", "sqlite:other.db"),
        ("POSTCALL__STORE__WRITE_QUEUE", "many"),
        ("POSTCALL__PUBLIC__TLS__CERTIFICATE", "x"),
        ("POSTCALL__SOURCES__IVR__SIGNATURE", "v3"),
        ("POSTCALL__STORE__", "x"),
        ("POSTCALL__", "x"),
    ]
    .iter()
    .map(|variable| {
        format!("{}={}\n    {}\n", variable.0, variable.1, faults(AS_WRITTEN, &[*variable]))
    })
    .collect();
    insta::assert_snapshot!(told);
}

#[test]
fn a_blank_key_keeps_its_default() {
    let settings = load(&format!("{AS_WRITTEN}  timeout:\nshutdown:\nlogs: {{ filter: }}\n"), &[]);
    let settings = settings.unwrap();
    assert_eq!(settings.delivery.timeout, Duration::from_secs(10));
    assert_eq!(settings.shutdown.deadline, Duration::from_secs(20));
    assert_eq!(settings.logs.filter.to_string(), "info");
}

#[test]
fn a_file_that_is_no_settings_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("postcall.yaml");
    let told = || {
        let error = Settings::load(Some(&path), Environment::default()).unwrap_err();
        let cause =
            std::error::Error::source(&error).map(|it| format!(": {it}")).unwrap_or_default();
        format!("{error}{cause}\n").replace(folder.path().to_str().unwrap(), "FOLDER")
    };
    let mut said = told();
    for text in [
        "public: { listen: 0.0.0.0:80\nstore: {}\n",
        "public:\n\tlisten: 0.0.0.0:80\n",
        "store: {}\nstore: {}\n",
        "just a sentence",
        "- a list",
        "{{ .Values.settings }}",
        "store: {}\n---\nstore: {}\n",
        &"[".repeat(100_000),
        &format!("store:\n {}", "- ".repeat(100_000)),
        &deep(1400),
    ] {
        std::fs::write(&path, text).unwrap();
        said.push_str(&told());
    }
    // As deep as it may be, it is read, and refused for what it says.
    std::fs::write(&path, deep(200)).unwrap();
    assert!(matches!(
        Settings::load(Some(&path), Environment::default()),
        Err(SettingsError::Faults(_))
    ));
    std::fs::write(&path, b"store: \xff").unwrap();
    said.push_str(&told());
    std::fs::write(&path, " ".repeat(2 << 20)).unwrap();
    said.push_str(&told());
    insta::assert_snapshot!(said);
}

#[test]
fn the_hash_knows_every_setting_and_no_secret() {
    let hash = |text: &str| load(text, &[]).unwrap().hash;
    let token = |value: &str| {
        let form = format!("auth_token: {{ value: {value} }}");
        replaced(AS_WRITTEN, "auth_token: { env: PLIVO_AUTH_TOKEN }", &form)
    };
    assert_eq!(hash(AS_WRITTEN), hash(&format!("# a comment\n{AS_WRITTEN}")));
    assert_ne!(hash(AS_WRITTEN), hash(&replaced(AS_WRITTEN, "delay: 60s", "delay: 61s")));
    let (rest, delivery) = AS_WRITTEN.split_once("delivery:").unwrap();
    assert_eq!(hash(AS_WRITTEN), hash(&format!("delivery:{delivery}{rest}")));
    assert_eq!(hash(&token("one")), hash(&token("other")));
    assert_eq!(hash(AS_WRITTEN).len(), 12);
}

#[test]
fn the_demos_settings_load() {
    let demo = include_str!("../../config/demo.yaml");
    let settings = load(demo, &[("POSTCALL__PUBLIC__LISTEN", "127.0.0.1:0")]).unwrap();
    assert_eq!(settings.delivery.delay, Duration::ZERO);
    assert_eq!(
        settings.sources.keys().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["ivr", "quick"]
    );
}

/// The page of defaults, with every line that stands commented as an example taken in.
pub fn base_with_examples() -> String {
    include_str!("../../config/base.yaml").replace("\n  # ", "\n  ")
}

#[test]
fn the_examples_in_the_base_load_and_show_the_true_defaults() {
    let shown = base_with_examples().replace("url: https://edge.example.com/survey", "");
    let url = [("POSTCALL__PUBLIC__URL", "https://surveys.example.com")];
    let shown = load(&shown, &url).unwrap();
    let silent = r##"
accounts: { main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { env: PLIVO_AUTH_TOKEN } } }
sources: { ivr: { preset: plivo, account: main, survey: quality } }
surveys:
  quality:
    questions: [{ name: score, answers: 1-5 }, { name: problem, answers: [1, 2, "#"] }]
    rating: { question: score }
    issues:
      question: problem
      choices: [{ answer: 1, issue: ECHO }, { answer: 2, issue: ONE_WAY_AUDIO }]
"##;
    let silent = load(silent, &url).unwrap();
    // Warnings name lines, which are others.
    let all_but_hash = |mut settings: Settings| {
        settings.hash.clear();
        settings.survey_digests.clear();
        settings.warnings = Warnings::default();
        format!("{settings:#?}")
    };
    assert_eq!(all_but_hash(shown), all_but_hash(silent));
}

#[test]
fn every_known_key_stands_in_the_base() {
    let base = base_with_examples();
    for table in [
        "PUBLIC",
        "ADMIN",
        "STORE",
        "ACCOUNTS__MAIN",
        "SOURCES__IVR",
        "SOURCES__IVR__EXTRACT",
        "SURVEYS__QUALITY",
        "SURVEYS__QUALITY__RATING",
        "SURVEYS__QUALITY__RATING__SCALE",
        "SURVEYS__QUALITY__ISSUES",
        "SURVEYS__QUALITY__ON_NO_RATING",
        "SURVEYS__QUALITY__COMPLETE",
        "DELIVERY",
        "DELIVERY__RETRY",
        "SHUTDOWN",
        "LOGS",
    ] {
        let said = faults(&base, &[(&format!("POSTCALL__{table}__NOBODYS"), "x")]);
        let (_, known) = said.split_once("known here: ").unwrap();
        for key in known.split(" (set by").next().unwrap().split(", ") {
            assert!(base.contains(&format!("{key}:")), "{table} {key}");
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn no_slip_of_the_hand_ends_in_a_panic(
        at in 0..AS_WRITTEN.len(),
        gone in 0..40usize,
        typed in "[a-z0-9 \\n:{}\\[\\]'\"#,.&*!|>~-]{0,8}",
        variable in "[A-Z_.\\[\\]-]{0,12}",
    ) {
        let end = (at + gone).min(AS_WRITTEN.len());
        let text = format!("{}{typed}{}", &AS_WRITTEN[..at], &AS_WRITTEN[end..]);
        if let Err(error) = load(&text, &[]) {
            let _ = postcall::cli::Failure::Settings(error).to_string();
        }
        let _ = load(AS_WRITTEN, &[(&format!("POSTCALL__{variable}"), &typed)]);
        let _ = load(AS_WRITTEN, &[(&format!("POSTCALL__SURVEYS__QUALITY__{variable}"), &typed)]);
    }
}

#[test]
fn every_example_in_the_base_can_be_taken_in() {
    load(&base_with_examples(), &[("POSTCALL__PUBLIC__URL", "https://s.example.com")]).unwrap();
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let given = [
        ("PLIVO_AUTH_TOKEN", TOKEN),
        ("HOOK_TOKEN", "long-enough-for-a-token"),
        ("SET_TO_NOTHING", ""),
    ];
    Settings::from_yaml(text, given.into_iter().chain(variables.iter().copied()).collect())
}

fn faults(text: &str, variables: &[(&str, &str)]) -> String {
    match load(text, variables) {
        Err(error @ SettingsError::Faults(_)) => error.to_string(),
        other => panic!("faults were expected of {text}\n{other:?}"),
    }
}

/// The settings of the issue, wrong in one place, and what is said of it.
fn told<'a>(wrongs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut told = String::new();
    for (right, wrong) in wrongs {
        let faults = faults(&replaced(AS_WRITTEN, right, wrong), &[]);
        writeln!(told, "{wrong}\n    {}", faults.replace('\n', "\n    ")).unwrap();
    }
    told
}

/// A table in a table in a table.
fn deep(levels: usize) -> String {
    (0..levels).map(|depth| format!("{}store:\n", " ".repeat(depth))).collect()
}

fn with_survey(survey: &str) -> String {
    let (before, _) = AS_WRITTEN.split_once("surveys:\n").unwrap();
    format!("{before}surveys:\n  {survey}\n")
}

fn replaced(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from}");
    text.replacen(from, to, 1)
}

fn plivo<'a>(settings: &'a Settings, account: &str) -> &'a Plivo {
    let Destination::Plivo(plivo) = &settings.accounts[account];
    plivo
}
