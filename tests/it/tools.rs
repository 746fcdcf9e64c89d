//! The tools for those who write surveys: what would become of a webhook, and whether a survey does
//! what its author's cases want.

use std::path::Path;
use std::process::Output;

use serde_json::Value;

use crate::process::{self, Home};

const SETTINGS: &str = r#"
public: { url: https://surveys.example.com }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { value: made-up-auth-token } }
sources:
  ivr: { preset: plivo, account: main, survey: quality }
  open: { preset: plivo, account: main, survey: quality, signature: none }
  polite: { preset: plivo, account: main, survey: quality, on_reject: reply }
surveys:
  quality:
    questions:
      - { name: score, answers: 1-5 }
      - { name: problem, answers: 1-3 }
    rating: { question: score }
    issues:
      question: problem
      choices: [{ answer: 1, issue: ECHO }, { answer: 2, issue: ONE_WAY_AUDIO }, { answer: 3, issue: CALL_DROPPED }]
    notes: "IVR survey: {{ score }} of 5"
delivery: { delay: 60s }
"#;

const REQUEST: &str = "POST /hooks/open?question=score HTTP/1.1\r\n\
                       Host: surveys.example.com\r\n\
                       Content-Type: application/x-www-form-urlencoded\r\n\
                       Content-Length: 21\r\n\r\n\
                       CallUUID=c-1&Digits=4";

const AT: &str = "2026-05-04T10:00:00Z";

/// A folder with settings, and what a tool says there.
struct Operator(Home);

impl Operator {
    fn new() -> Self {
        Self(Home::new(SETTINGS))
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.settings().with_file_name(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn run(&self, arguments: &[&str]) -> Said {
        Said::of(process::run(arguments, &self.0.settings()), self.0.settings().parent().unwrap())
    }

    fn explain(&self, request: &str, arguments: &[&str]) -> Said {
        let file = self.file("webhook.http", request);
        self.run(&[&["explain", "--at", AT, &file], arguments].concat())
    }

    fn test(&self, cases: &str, arguments: &[&str]) -> Said {
        let file = self.file("survey.yaml", cases);
        self.run(&[&["test", &file], arguments].concat())
    }
}

/// What a tool printed, without the folder it ran in.
struct Said {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Said {
    fn of(output: Output, folder: &Path) -> Self {
        let text = |bytes| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(&format!("{}/", folder.display()), "")
        };
        Self {
            code: output.status.code(),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        }
    }

    fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    fn failed(self) -> String {
        assert_eq!((self.code, &*self.stderr), (Some(1), ""));
        self.stdout
    }

    fn unreadable(self) -> String {
        assert_eq!((self.code, &*self.stdout), (Some(2), ""), "{}", self.stderr);
        self.stderr
    }
}

#[test]
fn a_webhook_is_explained_from_its_signature_to_the_request_that_would_leave() {
    let explained = Operator::new().explain(REQUEST, &[]).well();
    insta::assert_snapshot!(explained);
}

#[test]
fn who_has_not_signed_is_told_so_and_explained_all_the_same() {
    let explained = Operator::new().explain(REQUEST, &["--source", "ivr"]).failed();
    insta::assert_snapshot!(explained);
}

#[test]
fn a_signature_is_explained_by_what_it_would_have_to_be_made_over() {
    let signed = REQUEST.replace(
        "Content-Length",
        "X-Plivo-Signature-V3: AAAA\r\nX-Plivo-Signature-V3-Nonce: 12345\r\nContent-Length",
    );
    let signed = signed.replace("Host: surveys", "Host: edge");
    let arguments = ["--source", "ivr", "--explain-signature"];
    let explained = Operator::new().explain(&signed, &arguments).failed();
    assert!(!explained.contains("made-up-auth-token"));
    insta::assert_snapshot!(explained);

    let unsigned = Operator::new().explain(REQUEST, &arguments).failed();
    assert!(unsigned.contains("there is none: it would be made over\n"), "{unsigned}");
}

#[test]
fn several_webhooks_of_one_call_come_to_one_feedback() {
    let problem =
        REQUEST.replace("question=score", "question=problem").replace("Digits=4", "Digits=1");
    let explained = Operator::new().explain(&format!("{REQUEST}\n\n{problem}\n"), &[]).well();
    insta::assert_snapshot!(explained);
}

#[test]
fn an_answer_that_is_given_again_after_another_counts_as_in_the_service() {
    let keep_last =
        SETTINGS.replace("  quality:\n", "  quality:\n    on_changed_answer: keep_last\n");
    let operator = Operator(Home::new(&keep_last));
    let [two, five] = ["2", "5"].map(|it| REQUEST.replace("Digits=4", &format!("Digits={it}")));
    let explained = operator.explain(&format!("{two}\n\n{five}\n\n{two}\n"), &[]).well();
    assert!(explained.contains(r#""rating":2}"#), "{explained}");
    let webhook = |digits: u8| {
        format!("{{ source: ivr, query: question=score, form: \"CallUUID=c-1&Digits={digits}\" }}")
    };
    let [two, five] = [2, 5].map(webhook);
    let cases = format!(
        "cases:\n  - name: back\n    webhooks: [{two}, {five}, {two}]\n    \
         expect: {{ feedback: {{ rating: 2, issues: [OTHERS], notes: 'IVR survey: 2 of 5' }} }}\n"
    );
    operator.test(&cases, &[]).well();
}

#[test]
fn what_is_explained_can_be_read_by_a_script() {
    let said = Operator::new().explain(REQUEST, &["--output", "json"]).well();
    let explained: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(explained["webhooks"][0]["read"]["answers"][0]["answer"], "4");
    assert_eq!(explained["webhooks"][0]["reply"]["status"], 200);
    let [submission] = &explained["submissions"].as_array().unwrap()[..] else { panic!("one") };
    assert_eq!(submission["complete"], false);
    assert_eq!(submission["due_at"], "2026-05-04T10:02:00Z");
    let outcome = &submission["outcome"]["feedback"];
    assert_eq!(outcome["feedback"]["rating"], 4);
    assert_eq!(outcome["request"]["headers"][0][1], "Basic MAXXXXXXXXXXXXXXXXXX:***");
}

#[test]
fn a_bare_body_is_explained_as_it_is_said_to_have_come() {
    let operator = Operator::new();
    let explain = |arguments: &[&str]| operator.explain("CallUUID=c-1&Digits=4\n", arguments);
    let told = explain(&["--source", "open", "--query", "question=problem"]).well();
    assert!(told.contains(r#"problem = "4" (outside the domain)"#), "{told}");
    let json = ["--source", "open", "--header", "Content-Type: application/json"];
    assert!(explain(&json).failed().contains("REJECTED    unsupported_type"));
    assert!(explain(&[]).stderr.contains("--source NAME"));
    assert!(explain(&["--source", "nobody"]).stderr.contains("one of ivr, open, polite"));
    let query =
        ["explain", "--source", "open", "--method", "get", "--query", "CallUUID=c-1&Digits=5"];
    assert!(operator.run(&query).well().contains("GET /hooks/open?CallUUID"));
}

#[test]
fn what_cannot_be_explained_is_told_with_its_line() {
    let operator = Operator::new();
    for (text, arguments, told) in [
        (
            "PUT /hooks/open HTTP/1.1\n\n",
            &[][..],
            "webhook.http, line 1: webhooks come by GET and POST",
        ),
        (REQUEST, &["--query", "a=b"], "webhook.http holds a request to /hooks/open: --method"),
    ] {
        let said = operator.explain(text, arguments).unreadable();
        assert!(said.contains(told), "{said}");
    }
    let missing = operator.run(&["explain", "no/such/file"]).unreadable();
    assert!(missing.starts_with("cannot read no/such/file: "), "{missing}");
    assert_eq!(operator.run(&["explain", "--source"]).code, Some(2));
}

#[test]
fn what_the_settings_come_to_can_be_read_by_a_script() {
    let said = Operator::new().run(&["check", "--output", "json"]).well();
    let checked: Value = serde_json::from_str(&said).unwrap();
    let ivr = &checked["sources"]["ivr"];
    assert_eq!(ivr["url"], "https://surveys.example.com/hooks/ivr");
    assert_eq!(ivr["signed_with"], serde_json::json!(["v3", "ma-v3"]));
    assert_eq!(checked["sources"]["open"]["vouched_for"], false);
    assert_eq!(checked["accounts"]["main"]["api"], "https://stats.plivo.com");
    let survey = &checked["surveys"]["quality"];
    let first = &survey["rows"][0];
    assert_eq!(first["answers"][0], serde_json::json!({ "name": "score", "is": "1" }));
    assert_eq!(first["outcome"]["feedback"]["from"], 1);
    assert_eq!(survey["scale"]["best"], serde_json::json!({ "answers": "5", "rating": 5 }));
    assert_eq!(survey["choices"][0]["issue"], "ECHO");
    assert!(!said.contains("made-up-auth-token"));
}

#[test]
fn whoever_checks_the_settings_is_warned_of_requests_that_count_again() {
    let signature = "{ twilio: { secret: { value: a-made-up-secret } } }";
    let twilio = SETTINGS.replace("signature: none", &format!("signature: {signature}"));
    let last = twilio.replace("    questions:", "    on_changed_answer: keep_last\n    questions:");
    let warning = "a captured request counts again";
    for (settings, warnings) in [(SETTINGS, 0), (&*twilio, 0), (&*last, 1)] {
        let operator = Operator(Home::new(settings));
        let said = operator.run(&["check"]).well();
        assert_eq!(said.matches(warning).count(), warnings, "{said}");
        let said = operator.run(&["check", "--output", "json"]).well();
        let checked: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(checked["sources"]["open"]["replays_count"], warnings > 0);
        assert_eq!(checked["sources"]["ivr"]["replays_count"], false);
    }
    let named = last.replace("signature: {", "extract: { id: form:EventId }, signature: {");
    assert!(!Operator(Home::new(&named)).run(&["check"]).well().contains(warning));
}

#[test]
fn a_survey_is_shown_as_a_table_of_what_it_decides() {
    let rules = r#"
    rules:
      - { when: "campaign == 'test'", ignore: a test call }
      - { when: "score <= 2 and problem == 3", rating: 1, issues: [CALL_DROPPED, BROKEN_AUDIO] }
    fields: [campaign]
    notes:"#;
    let reads = "signature: none, extract: { fields: { campaign: form:Campaign } }";
    let settings = SETTINGS.replace("\n    notes:", rules).replace("signature: none", reads);
    let operator = Operator(Home::new(&settings));
    let said = operator.run(&["check"]).well();
    let (_, table) = said.split_once("\n\n").unwrap();
    insta::assert_snapshot!(table);
    let many = settings.replace("a test call", &"a test call that is told at length ".repeat(4));
    let said = Operator(Home::new(&many)).run(&["check"]).well();
    let (_, lines) = said.split_once("\n\n").unwrap();
    insta::assert_snapshot!(lines);
}

#[test]
fn where_nothing_can_be_chosen_no_choice_is_shown() {
    let (before, _) = SETTINGS.split_once("    issues:").unwrap();
    let said = Operator(Home::new(before)).run(&["check"]).well();
    for row in ["4          rating 4, OTHERS\n", "5          rating 5\n"] {
        assert!(said.contains(row), "{said}");
    }
}

#[test]
fn a_curl_line_is_signed_for_whatever_a_sender_sends() {
    let operator = Operator::new();
    let sign = |arguments: &[&str]| operator.run(&[&["sign"], arguments].concat());
    let form = ["ivr", "--form", "CallUUID=c-1&Digits=4", "--query", "question=score"];
    let line = sign(&form).well();
    assert!(
        line.contains("-X POST 'https://surveys.example.com/hooks/ivr?question=score'"),
        "{line}"
    );
    assert!(line.contains("-H 'x-plivo-signature-v3: "), "{line}");
    assert!(line.ends_with("--data 'CallUUID=c-1&Digits=4'\n"), "{line}");

    let get = ["open", "--method", "get", "--query", "CallUUID=c-1&Digits=4"];
    let whole =
        "curl -sS -i -X GET 'https://surveys.example.com/hooks/open?CallUUID=c-1&Digits=4'\n";
    assert_eq!(sign(&get).well(), whole);
    let header = ["open", "--body", "it's @", "--header", "Content-Type: text/plain"];
    assert!(sign(&header).stderr.contains("a body must be application/x-www-form-urlencoded"));
    let file = format!("@{}", operator.file("form.txt", "CallUUID=c-1&Digits=%27"));
    assert!(sign(&["ivr", "--form", &file]).well().contains("--data 'CallUUID=c-1&Digits=%27'"));

    let of_json = SETTINGS.replace("open: { preset: plivo", "open: { preset: generic-json");
    let of_json = Operator(Home::new(&of_json));
    let said = of_json.run(&["sign", "open", "--call", "c-1", "--digits", "4"]);
    assert!(said.well().contains(r#"--data '{"answers":{"score":4},"call_uuid":"c-1"}'"#));

    assert!(sign(&["ivr", "--form", "@no/such/file"]).unreadable().contains("cannot read no/such"));
    for usage in [
        &["ivr"][..],
        &["ivr", "--digits", "4"],
        &["ivr", "--call", "c-1"],
        &["ivr", "--call", "c-1", "--digits", "4", "--form", "a=b"],
        &["ivr", "--form", "a=b", "--json", "{}"],
    ] {
        assert_eq!(sign(usage).code, Some(2), "{usage:?}");
    }
}

const LED: &str = r#"
cases:
  - name: a caller is led to the second question
    webhooks:
      - { source: open, form: "CallUUID=c-1&Digits=", reply: "<Response><Speak>How was it?</Speak></Response>" }
      - { source: open, form: "CallUUID=c-1&Digits=2", reply: "<Response><Speak>2? What was wrong?</Speak></Response>" }
      - { source: open, form: "CallUUID=c-1&Digits=1", query: question=problem }
    expect: { feedback: { rating: 2, issues: [ECHO] }, reply: "<Response><Speak>Thank you.</Speak></Response>" }
  - name: who is believed hears what the service would say
    webhooks: [{ source: ivr, form: "CallUUID=c-1&Digits=5", verified: true }]
    expect: { feedback: { rating: 5 }, reply: <Response/> }
"#;

#[test]
fn what_callers_hear_is_part_of_a_case() {
    let replies = r#"signature: none, replies: [
      { when: not answered.score, xml: "<Response><Speak>How was it?</Speak></Response>" },
      { when: score < 5 and not answered.problem, xml: "<Response><Speak>{{ score }}? What was wrong?</Speak></Response>" },
      { xml: "<Response><Speak>Thank you.</Speak></Response>" }]"#;
    let operator = Operator(Home::new(&SETTINGS.replace("signature: none", replies)));
    operator.test(LED, &[]).well();
    let failed = operator.test(&LED.replace("Thank you", "Thanks"), &[]).failed();
    assert!(failed.contains("+ reply: <Response><Speak>Thank you.</Speak></Response>"), "{failed}");
}

const CHANGES: &str = r#"
cases:
  - name: who changes an answer
    webhooks:
      - { source: open, form: "CallUUID=c-1&Digits=4" }
      - { source: open, form: "CallUUID=c-1&Digits=2", at: 10s }
    expect: { feedback: { rating: FIRST, issues: [OTHERS] } }
  - name: who changes it after the delivery
    webhooks:
      - { source: open, form: "CallUUID=c-1&Digits=4" }
      - { source: open, form: "CallUUID=c-1&Digits=2", at: 1h }
    expect: { feedback: { rating: LATER, issues: [OTHERS] } }
  - name: who says something else after the delivery
    webhooks:
      - { source: open, form: "CallUUID=c-1&Digits=4" }
      - { source: open, form: "CallUUID=c-1&Digits=9", at: 1h }
    expect: { feedback: { rating: 4, issues: [OTHERS] } }
"#;

#[test]
fn answers_that_change_count_as_the_survey_says() {
    for (changes, first, later) in
        [("keep_first", "4", "4"), ("keep_last", "2", "4"), ("redeliver", "2", "2")]
    {
        let settings = SETTINGS
            .replace("    notes:", &format!("    on_changed_answer: {changes}\n    notes:"));
        let cases = CHANGES.replace("FIRST", first).replace("LATER", later);
        Operator(Home::new(&settings)).test(&cases, &[]).well();
    }
}

const CASES: &str = r#"
cases:
  - name: a caller presses 4
    webhooks:
      - { source: ivr, form: "CallUUID=c-1&Digits=4", query: "question=score" }
    expect:
      feedback: { rating: 4, issues: [OTHERS], notes: "IVR survey: 4 of 5" }
      reply: <Response/>
      call: c-1
      answers: { score: 4 }
  - name: two answers, one of them late
    webhooks:
      - { source: open, form: { CallUUID: c-1, Digits: 5 } }
      - { source: open, form: { CallUUID: c-1, Digits: 2 }, query: question=problem, at: 3m }
    expect: { feedback: { rating: 5 } }
  - name: a second answer in time
    webhooks:
      - { source: open, form: { CallUUID: c-1, Digits: 2 } }
      - { source: open, form: { CallUUID: c-1, Digits: 2 }, query: question=problem, at: 90s }
    expect: { feedback: { rating: 2, issues: [ONE_WAY_AUDIO] } }
  - name: silence is no score
    webhooks: [{ source: ivr, form: "CallUUID=c-1&Digits=" }]
    expect: { ignored: no_answer }
  - name: a typo loses nothing
    webhooks: [{ source: ivr, form: "CallUUID=c-1&Digits=4", query: question=scroe }]
    expect: { dead: unmapped }
  - name: the other question is waited for
    webhooks: [{ source: ivr, form: "CallUUID=c-1&Digits=4" }]
    expect: { collecting: true }
  - name: a forger gets nowhere
    webhooks:
      - { source: ivr, form: "CallUUID=c-1&Digits=1", signed: false, headers: { X-Plivo-Signature-V3: x, X-Plivo-Signature-V3-Nonce: "1" } }
    expect: { rejected: signature_mismatch }
  - name: a forger of a live call does not end it
    webhooks: [{ source: polite, form: "CallUUID=c-1&Digits=1", signed: false, reply: <Response/> }]
    expect: { rejected: signature_missing }
  - name: who cannot be signed for is believed
    webhooks: [{ source: ivr, form: "CallUUID=c-1&Digits=1", verified: true }]
    expect: { feedback: { rating: 1, issues: [OTHERS] } }
  - name: two calls are two
    webhooks:
      - { source: ivr, form: "CallUUID=c-1&Digits=1" }
      - { source: ivr, form: "CallUUID=c-2&Digits=5" }
    expect:
      - { call: c-2, feedback: { rating: 5 } }
      - { call: c-1, feedback: { rating: 1, issues: [OTHERS] } }
"#;

#[test]
fn what_the_helps_show_is_so() {
    let operator = Operator::new();
    let shown = |verb: &str, begin: &str| {
        let help = operator.run(&[verb, "--help"]).well();
        let lines = help.lines().skip_while(|line| line.trim() != begin);
        let lines = lines.take_while(|line| line.is_empty() || line.starts_with("    "));
        lines.map(|line| format!("{}\n", line.get(4..).unwrap_or_default())).collect::<String>()
    };
    operator.test(&shown("test", "cases:"), &[]).well();
    let request = shown("explain", "POST /hooks/ivr?question=score HTTP/1.1");
    assert!(
        operator.explain(&request, &["--source", "open"]).well().contains("call        my-call-1")
    );
}

#[test]
fn cases_that_are_met_pass() {
    let operator = Operator::new();
    insta::assert_snapshot!(operator.test(CASES, &[]).well());
    let said = operator.test(CASES, &["--filter", "forger"]).well();
    assert!(said.ends_with("2 passed, 0 failed\n"), "{said}");
    let said = operator.test(CASES, &["--output", "json"]).well();
    let report: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&report["passed"], &report["failed"]), (&10.into(), &0.into()));
    assert!(operator.test(CASES, &["--filter", "nobody"]).unreadable().contains("no case has"));
}

#[test]
fn cases_beside_the_settings_are_found() {
    let operator = Operator::new();
    let said = operator.run(&["test"]).unreadable();
    assert!(said.starts_with("there is no *.test.yaml in "), "{said}");
    operator.file("quality.test.yaml", CASES);
    operator.file("other.yaml", "not for us");
    assert!(operator.run(&["test"]).well().ends_with("10 passed, 0 failed\n"));
}

#[test]
fn cases_that_are_not_met_show_what_came_instead() {
    let wrong = [
        ("rating: 4, issues: [OTHERS], notes", "rating: 3, issues: [ECHO, OTHERS], notes"),
        ("reply: <Response/>\n", "reply: <Speak/>\n"),
        (
            "call: c-1\n      answers: { score: 4 }",
            "call: c-9\n      answers: { score: 3, problem: 1 }",
        ),
        ("at: 3m", "at: 2m"),
        ("ignored: no_answer", "ignored: invalid_answer"),
        ("dead: unmapped", "feedback: { rating: 4, issues: [OTHERS] }"),
        ("collecting: true", "ignored: no_score"),
        ("expect: { rejected: signature_mismatch }", "expect: { rejected: no_call }"),
        ("call: c-2, ", "call: c-3, "),
    ];
    let cases = wrong.iter().fold(CASES.to_owned(), |cases, (right, wrong)| {
        assert!(cases.contains(right), "{right}");
        cases.replacen(right, wrong, 1)
    });
    insta::assert_snapshot!(Operator::new().test(&cases, &[]).failed());
}

#[test]
fn a_file_of_cases_may_bring_its_settings() {
    let own = SETTINGS.replace('\n', "\n  ").replace("IVR survey", "Own survey");
    let cases = CASES.replace("IVR survey", "Own survey");
    let operator = Operator::new();
    operator.test(&format!("settings: |{own}\n{cases}"), &[]).well();
    let wrong = own.replace("delay: 60s", "delay: 60");
    let said = operator.test(&format!("settings: |{wrong}\n{cases}"), &[]);
    assert_eq!(said.code, Some(78));
    assert!(
        said.stderr.contains("survey.yaml:19: delivery.delay: expected a duration"),
        "{}",
        said.stderr
    );
}

#[test]
fn a_case_has_its_own_time() {
    let webhook = |at: &str, digits: u8| {
        format!(
            "      - {{ source: open, at: {at}, form: \"CallUUID=c-1&Digits={digits}\", query: question=problem }}\n"
        )
    };
    let case = |first: &str, second: &str| {
        let webhooks = [
            format!("      - {{ source: open, at: {first}, form: CallUUID=c-1&Digits=3 }}\n"),
            webhook(second, 1),
        ];
        let webhooks = webhooks.concat();
        let expect = "    expect: { feedback: { rating: 3, issues: [ECHO] } }\n";
        format!("  - name: {first} and {second}\n    webhooks:\n{webhooks}{expect}")
    };
    let cases = [
        case("0s", "119s"),
        case("1d", "1d"),
        case("1999-12-31T23:59:00Z", "2000-01-01T00:00:30Z"),
        case("1999-12-31T23:59:00Z", "90s"),
        case("5m", "2026-05-04T10:06:00Z"),
    ];
    let operator = Operator::new();
    operator.test(&format!("starts: 2026-05-04T10:00:00Z\ncases:\n{}", cases.concat()), &[]).well();
    operator.test(&format!("cases:\n{}", case("0s", "121s")), &[]).failed();
}

#[test]
fn a_file_that_holds_no_cases_is_told_what_would_be_right() {
    let operator = Operator::new();
    let case = |rest: &str| format!("cases:\n  - name: it happens\n    {rest}\n");
    let webhook = |webhook: &str| {
        case(&format!("webhooks: [{{ {webhook} }}]\n    expect: {{ skipped: true }}"))
    };
    let expect = |it: &str| case(&format!("webhooks: [{{ source: ivr }}]\n    expect: {it}"));
    let mut told = String::new();
    for text in [
        "cases: [".to_owned(),
        "settings: 1".to_owned(),
        "cases: []".to_owned(),
        "cases: {}".to_owned(),
        "case: []".to_owned(),
        "cases: [{}]".to_owned(),
        "starts: 10s\ncases: []".to_owned(),
        case("webhooks: []\n    expect: {}"),
        webhook("digits: 4"),
        webhook("form: a=b, json: {}"),
        webhook("form: [a]"),
        webhook("method: PUT"),
        webhook("at: soon"),
        webhook("signed: perhaps"),
        webhook("signed: true, verified: true"),
        webhook("headers: { a: [] }"),
        webhook("form: a=b"),
        webhook("source: nobody"),
        case("webhooks: [{ at: 10s }, { at: 5s }]\n    expect: { skipped: true }"),
        expect("{ ignored: silence }"),
        expect("{ ignored: no_answer, dead: unmapped }"),
        expect("{ feedback: { rating: 6 } }"),
        expect("{ feedback: { issues: [ecko] } }"),
        expect("{ reply: x }"),
        expect("{ rejected: badly }"),
        expect("[{ ignored: no_answer }, { call: c-1 }]"),
    ] {
        let said = operator.test(&text, &[]).unreadable();
        told.push_str(&format!(
            "{}\n    {}\n",
            text.trim_end(),
            said.trim_end().replace('\n', "\n    ")
        ));
    }
    insta::assert_snapshot!(told);
}
