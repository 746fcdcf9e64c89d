//! `postcall sign` speaks as the sender of each preset does, and the service keeps what it sends.

use std::io::Write;
use std::process::{Output, Stdio};

use crate::process::{self, Home, Process};

/// Each preset and its signature; where none is given, the preset's own suffices.
const SIGNATURES: [(&str, &str); 15] = [
    ("amazon-connect", "{ bearer: { value: a-token-for-amazon } }"),
    ("delighted", "{ hmac: { secret: { value: a-key-of-delighted } } }"),
    ("generic-form", "{ hmac: { header: X-Signature, secret: { value: a-secret-of-ours } } }"),
    ("generic-json", "{ hmac: { header: X-Signature, secret: { value: a-secret-of-ours } } }"),
    ("genesys", "{ basic: { user: postcall, password: { value: a-password-of-ours } } }"),
    ("jambonz", "{ hmac: { secret: { value: a-secret-of-jambonz } } }"),
    ("plivo-phlo", "{ bearer: { value: a-token-for-phlo } }"),
    ("plivo", ""),
    (
        "standard-webhooks",
        "{ standard: { secret: { value: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw } } }",
    ),
    // Only Telnyx has the key that signs.
    ("telnyx", "none"),
    ("twilio", "{ twilio: { secret: { value: a-token-of-twilio } } }"),
    ("typeform", "{ hmac: { secret: { value: a-secret-of-typeform } } }"),
    ("vonage", "{ vonage: { secret: { value: a-secret-of-vonage-with-32-characters } } }"),
    ("yeastar", "{ hmac: { secret: { value: a-secret-of-yeastar } } }"),
    ("zendesk", "{ hmac: { secret: { value: a-secret-of-zendesk } } }"),
];

fn home() -> Home {
    let sources = SIGNATURES.map(|(preset, signature)| {
        let signature = match signature {
            "" => String::new(),
            text => format!(", signature: {text}"),
        };
        format!("  {preset}: {{ preset: {preset}, account: main, survey: quick{signature} }}\n")
    });
    Home::new(&format!(
        "public: {{ listen: \"127.0.0.1:0\", url: https://surveys.example.com }}\n\
         admin: {{ listen: \"127.0.0.1:0\" }}\n\
         accounts: {{ main: {{ auth_id: MASIGNSIGNSIGNSIGN00, auth_token: {{ value: \"a made-up token\" }} }} }}\n\
         surveys:\n  quick:\n    questions: [{{ name: score, answers: 1-5 }}, {{ name: comment, text: 100 }}]\n    \
         rating: {{ question: score }}\nsources:\n{}",
        sources.concat()
    ))
}

fn text(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
    format!("{out}{err}")
}

#[test]
fn sign_speaks_the_language_of_every_preset_and_serve_keeps_it() {
    let presets = std::fs::read_dir("config/presets").unwrap().count();
    assert_eq!(presets, SIGNATURES.len(), "each preset is tried");
    let home = home();
    let service = Process::start(&home.settings());
    let to = format!("http://{}", service.public);
    for (preset, _) in SIGNATURES {
        let call = format!("call-of-{preset}");
        let sign = ["sign", preset, "--call", &call, "--digits", "4", "--to", &to, "--send"];
        let sent = process::run(&sign, &home.settings());
        assert!(sent.status.success(), "{preset}: {}", text(&sent));
        assert!(text(&sent).contains("Postcall-Outcome: created"), "{preset}: {}", text(&sent));

        let explained = explain(&home, &sign[..6]);
        assert!(explained.contains(r#""rating":4"#), "{preset}: {explained}");
    }
}

/// What `explain -` says of what `sign` prints.
fn explain(home: &Home, sign: &[&str]) -> String {
    let signed = process::run(sign, &home.settings());
    assert!(signed.status.success(), "{}", text(&signed));
    let mut explain = process::postcall(&["explain", "-"], &home.settings());
    let explain = explain.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut explain = explain.spawn().unwrap();
    explain.stdin.take().unwrap().write_all(&signed.stdout).unwrap();
    let explained = explain.wait_with_output().unwrap();
    assert!(explained.status.success(), "{}", text(&explained));
    text(&explained)
}

#[test]
fn sign_adds_the_query_to_the_request_of_its_sender() {
    let home = home();
    let sign = ["plivo", "--call", "c-1", "--digits", "4", "--question", "score"];
    let sign = |more: &[&str]| {
        text(&process::run(&[&["sign"][..], &sign, more].concat(), &home.settings()))
    };
    let line = sign(&["--query", "call_uuid=rated"]);
    assert!(line.contains("/hooks/plivo?question=score&call_uuid=rated'"), "{line}");
    assert!(line.contains("InputType=dtmf&Digits=4&Speech=&CallUUID=c-1'"), "{line}");
    let line = sign(&["--query", "question=comment"]);
    assert!(line.contains("/hooks/plivo?question=comment'"), "{line}");
}

#[test]
fn sign_says_what_is_spoken_as_the_sender_does_and_refuses_an_unknown_question() {
    let home = home();
    let spoken =
        ["sign", "plivo", "--call", "c-1", "--question", "comment", "--answer", "all fine"];
    let line = text(&process::run(&spoken, &home.settings()));
    assert!(line.contains("InputType=speech&Digits=&Speech=all+fine"), "{line}");
    let unknown = ["sign", "typeform", "--call", "c-1", "--question", "scroe", "--digits", "4"];
    let refused = process::run(&unknown, &home.settings());
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused).contains("reads no question \"scroe\"; one of score, comment"));
}

#[test]
fn sign_warns_of_a_question_that_the_survey_does_not_have_and_signs() {
    let home = home();
    let sign = |question: &str| {
        let sign = ["sign", "plivo", "--call", "c-1", "--question", question, "--digits", "4"];
        let signed = process::run(&sign, &home.settings());
        assert!(signed.status.success(), "{}", text(&signed));
        assert!(signed.stdout.starts_with(b"curl "), "{}", text(&signed));
        String::from_utf8(signed.stderr).unwrap()
    };
    assert_eq!(
        sign("scroe"),
        "WARNING: survey quick has no question \"scroe\"; did you mean `score`?\n"
    );
    assert_eq!(sign("comment"), "");
}

#[test]
fn sign_send_fails_when_the_webhook_is_rejected() {
    let home = home();
    let service = Process::start(&home.settings());
    let to = format!("http://{}", service.public);
    let sign = ["sign", "plivo", "--form", "Digits=4", "--to", &to, "--send"];
    let sent = process::run(&sign, &home.settings());
    assert_eq!(sent.status.code(), Some(1));
    assert!(text(&sent).starts_with("400 Bad Request\n"), "{}", text(&sent));
}
