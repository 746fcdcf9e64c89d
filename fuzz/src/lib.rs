//! What is fuzzed, each target a function of bytes that panics where something does not hold.
//!
//! `cargo fuzz` runs them by `fuzz_targets/`; `tests/it/fuzzed.rs` includes this file and runs them with
//! a stable compiler, over their corpora and bounded mutations of them. So nothing here may need more
//! than the crate's public interface.

use std::sync::LazyLock;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use postcall::domain::{CallUuid, Headers, Method, Name, Webhook, WebhookId};
use postcall::settings::{Environment, Settings};
use postcall::source::{
    FieldPath, Reading, Scheme, Source, SourceReply, VerifiedWebhook, check_plivo_xml, encode,
};
use postcall::submission::{
    Arrival, Document, RetentionLevel, State, Submission, SubmissionId, SubmissionKey,
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const SECRET: &str = "a-secret-of-the-fuzzer";

static SETTINGS: LazyLock<Settings> = LazyLock::new(|| {
    let text = r#"
public: { url: https://surveys.example.com }
accounts:
  main: { auth_id: MAXXXXXXXXXXXXXXXXXX, auth_token: { value: a-secret-of-the-fuzzer } }
sources:
  plivo: { preset: plivo, account: main, survey: quality }
  twilio: { preset: twilio, account: main, survey: quality, signature: { twilio: { secret: { value: a-secret-of-the-fuzzer } } } }
  vonage: { preset: vonage, account: main, survey: quality, signature: { vonage: { secret: { value: a-secret-of-the-fuzzer } } } }
  json: { preset: generic-json, account: main, survey: quality, signature: none }
  led:
    preset: plivo
    account: main
    survey: quality
    signature: none
    replies:
      - when: not answered.score
        xml: '<Response><GetInput action="{{ url }}?question=score"><Speak>How was it?</Speak></GetInput></Response>'
      - when: score < 3
        xml: '<Response><GetInput action="{{ url }}?question=comment&amp;score={{ score }}"><Speak>You said {{ score }} and {{ comment }}.</Speak></GetInput></Response>'
      - xml: '<Response><Speak>Thank you for {{ comment }}.</Speak></Response>'
surveys:
  quality:
    questions: [{ name: score, answers: 1-5 }, { name: comment, text: 200, optional: true }]
    rating: { question: score }
"#;
    Settings::from_yaml(text, Environment::default()).expect("the settings are right")
});

/// Lines: `plivo`, `twilio` or `get`; a query; a form; bytes that say where the same signed text is cut
/// otherwise. Whatever is read of both is the same.
pub fn cuts(data: &[u8]) {
    let [kind, query, body, places] = lines(data);
    let is_twilio = kind == b"twilio";
    let source = source(if is_twilio { "twilio" } else { "plivo" });
    let mut webhook = webhook(Method::Post, query, body);
    if kind == b"get" {
        webhook = Webhook { method: Method::Get, body: Vec::new(), ..webhook };
    }
    let Ok(sent) = source.signed(webhook, "7") else { return };
    let Ok(verified) = source.verify(sent.clone()) else { return };
    let mut other = recut(&verified, is_twilio, &mut places.iter().copied());
    other.headers = sent.headers.clone();
    let Some(said) = decided(source, sent) else { return };
    if let Some(other_said) = decided(source, other) {
        assert_eq!(said, other_said, "a second reading of the same signed bytes");
    }
}

/// A request of which the same may be signed.
fn recut(
    verified: &VerifiedWebhook,
    is_twilio: bool,
    places: &mut impl Iterator<Item = u8>,
) -> Webhook {
    let form = verified.form();
    let mut pairs: Vec<_> = form.body().collect();
    pairs.sort_unstable();
    if is_twilio {
        pairs.dedup();
    }
    let fields: String = pairs.iter().flat_map(|(key, value)| [*key, *value]).collect();
    let mut query: Vec<_> = form.query().collect();
    query.sort_unstable();
    let query: Vec<_> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let query = query.join("&");
    let webhook = verified.webhook();
    if is_twilio {
        let body = encoded(&cut_form(&fields, places));
        return Webhook { body, ..webhook.clone() };
    }
    let between = if query.is_empty() || fields.is_empty() { "" } else { "." };
    let whole = [&*query, between, &*fields].concat();
    let dots: Vec<usize> = whole.match_indices('.').map(|(at, _)| at).collect();
    let place = usize::from(places.next().unwrap_or_default());
    let (query, fields) = match place.checked_sub(1) {
        None => (&*query, &*fields),
        Some(0) => (&*whole, ""),
        Some(1) => ("", &*whole),
        Some(_) if dots.is_empty() => (&*query, &*fields),
        Some(n) => {
            let dot = dots[n % dots.len()];
            (&whole[..dot], &whole[dot + 1..])
        }
    };
    let query = encoded(&cut_query(query, places));
    let query = String::from_utf8(query).expect("what is encoded is ASCII");
    let body = encoded(&cut_form(fields, places));
    let method = match body.is_empty() && places.next().is_some_and(|place| place > 127) {
        true => Method::Get,
        false => Method::Post,
    };
    Webhook { method, query: (!query.is_empty()).then_some(query), body, ..webhook.clone() }
}

/// By pairs of bytes: how far the next field is, and how long its name.
fn cut_form(text: &str, places: &mut impl Iterator<Item = u8>) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let length = boundary(rest, places.next().map_or(rest.len(), usize::from).max(1));
        let (part, behind) = rest.split_at(length);
        let name = boundary(part, places.next().map_or(part.len(), usize::from).max(1));
        match pairs.last_mut() {
            Some((last, value)) if part[..name] < **last => value.push_str(part),
            _ => pairs.push((part[..name].to_owned(), part[name..].to_owned())),
        }
        rest = behind;
    }
    pairs
}

/// By a byte for each mark: whether a field begins behind it.
fn cut_query(text: &str, places: &mut impl Iterator<Item = u8>) -> Vec<(String, String)> {
    let mut parts: Vec<String> = Vec::new();
    for part in text.split('&') {
        match parts.last_mut() {
            Some(last) if !part.contains('=') || places.next().is_some_and(|place| place > 127) => {
                last.push('&');
                last.push_str(part);
            }
            _ => parts.push(part.to_owned()),
        }
    }
    let split = |part: String| match part.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (part, String::new()),
    };
    parts.into_iter().filter(|part| !part.is_empty()).map(split).collect()
}

fn boundary(text: &str, length: usize) -> usize {
    (length.min(text.len())..).find(|at| text.is_char_boundary(*at)).expect("a text has an end")
}

fn encoded(pairs: &[(String, String)]) -> Vec<u8> {
    encode(pairs.iter().map(|(key, value)| (&**key, &**value))).into_bytes()
}

fn decided(source: &Source, webhook: Webhook) -> Option<impl PartialEq + std::fmt::Debug> {
    let reading: Reading = source.read(&source.verify(webhook).ok()?).ok()??;
    let answers: Vec<_> =
        reading.answers.into_iter().map(|read| (read.question, read.answer)).collect();
    Some((reading.call.to_string(), answers, reading.hung_up, reading.opted_out))
}

/// Lines: a JWT's header, its claims, and a body. Signed by no secret it is refused; signed by the right
/// one it is taken only if it names the body.
pub fn jwt(data: &[u8]) {
    let [header, claims, body, token] = lines(data);
    let source = source("vonage");
    let sent = |authorization: &[u8]| {
        let mut webhook = webhook(Method::Post, b"", body);
        webhook.headers = [("content-type", "application/json")].into_iter().collect();
        webhook.headers.push("authorization", authorization);
        source.verify(webhook)
    };
    assert!(sent(token).is_err(), "whoever has no secret signs nothing");
    let encode = |part: &[u8]| BASE64URL_NOPAD.encode(part);
    let signed = format!("{}.{}", encode(header), encode(claims));
    assert!(sent(format!("Bearer {signed}.{}", encode(token)).as_bytes()).is_err());
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key will do");
    mac.update(signed.as_bytes());
    let tag = encode(&mac.finalize().into_bytes());
    if let Ok(verified) = sent(format!("Bearer {signed}.{tag}").as_bytes()) {
        // What is not looked at may be no text.
        let claims = String::from_utf8_lossy(claims);
        let claims: serde_json::Value = serde_json::from_str(&claims).expect("they were read");
        let named = claims["payload_hash"].as_str().expect("it was compared");
        let hash = HEXLOWER.encode(&Sha256::digest(body));
        assert_eq!(named.to_ascii_lowercase(), hash, "the body is another one");
        let _ = source.read(&verified);
    }
}

/// Lines: a place such as `json:$.a`, and a body that is looked into.
pub fn jsonpath(data: &[u8]) {
    let [place, body, _, _] = lines(data);
    let Ok(place) = str::from_utf8(place) else { return };
    let Ok(path) = place.parse::<FieldPath>() else { return };
    assert_eq!(path.to_string(), place);
    let json = source("json");
    let mut readers = json.readers.clone();
    readers.call = vec![place.parse().expect("a path is a reader")];
    let source = Source {
        name: json.name.clone(),
        account: json.account.clone(),
        survey: json.survey.clone(),
        accepts: json.accepts,
        signature: Scheme::None,
        readers,
        has_ids: json.has_ids,
        repeats_count: json.repeats_count,
        url: json.url.clone(),
        reply: json.reply.clone(),
        on_reject: json.on_reject,
        quarantine: json.quarantine,
    };
    let mut webhook = webhook(Method::Post, b"call_uuid=c-1", body);
    webhook.headers = [("content-type", "application/json")].into_iter().collect();
    let Ok(verified) = source.verify(webhook) else { return };
    let _ = source.read(&verified);
}

/// Lines: an answer, and XML. What is taken for Plivo's XML is well-formed, and whatever is answered, the
/// caller hears XML that Plivo runs.
pub fn xml(data: &[u8]) {
    let [answer, question, xml, _] = lines(data);
    if let Ok(xml) = str::from_utf8(xml)
        && check_plivo_xml(xml).is_ok()
    {
        assert!(SourceReply::xml(xml).is_ok(), "Plivo would drop the call");
    }
    let (Ok(answer), Ok(question)) = (str::from_utf8(answer), str::from_utf8(question)) else {
        return;
    };
    let source = source("led");
    let query = encode([("question", question)]);
    let body = encode([("CallUUID", "c-1"), ("Digits", answer)]);
    let Ok(verified) = source.verify(webhook(Method::Post, query.as_bytes(), body.as_bytes()))
    else {
        return;
    };
    let Ok(Some(reading)) = source.read(&verified) else { return };
    let survey = &SETTINGS.surveys[&source.survey];
    let key = SubmissionKey {
        account: source.account.name.clone(),
        survey: source.survey.clone(),
        call: reading.call.clone(),
    };
    let extraction = reading.into_report(survey.first_question());
    let arrival = Arrival {
        id: key.id(),
        key: &key,
        extraction: &extraction,
        received_at: Timestamp::UNIX_EPOCH,
        webhook: WebhookId(Uuid::nil()),
        trace: None,
    };
    let mut submission = None;
    Submission::receive(&mut submission, &arrival, &**survey);
    let submission = submission.expect("receiving leaves a submission");
    let replies = &SETTINGS.replies[&source.name];
    let reply = replies.answer(&submission.document.all_answers(), &source.address());
    check_plivo_xml(&reply).unwrap_or_else(|error| panic!("{error}: {reply}"));
}

/// A document of the store: what is read is written back as it is, and is examined in peace.
pub fn document(data: &[u8]) {
    let Ok(document) = Document::read(data) else { return };
    let (mut written, mut again) = (Vec::new(), Vec::new());
    document.write(&mut written);
    let read = Document::read(&written).expect("what was written is read");
    assert_eq!(read, document);
    read.write(&mut again);
    assert_eq!(written, again);
    for (state, settled_at) in
        [(State::Pending, None), (State::Delivered, Some(Timestamp::UNIX_EPOCH))]
    {
        let submission = Submission {
            id: SubmissionId(Uuid::nil()),
            account: name("main"),
            survey: name("quality"),
            call: "c-1".parse::<CallUuid>().ok(),
            state,
            accepted_at: Timestamp::UNIX_EPOCH,
            due_at: Timestamp::UNIX_EPOCH,
            settled_at,
            lease_until: None,
            fence: 1,
            due_since: None,
            retention: RetentionLevel::Full,
            purged_at: None,
            document: document.clone(),
        };
        let _ = (submission.violations(), submission.document.all_answers().is_empty());
    }
}

fn source(of: &str) -> &'static Source {
    &SETTINGS.sources[&name(of)]
}

fn name(text: &str) -> Name {
    text.parse().expect("it is a name")
}

fn webhook(method: Method, query: &[u8], body: &[u8]) -> Webhook {
    let query = String::from_utf8_lossy(query).into_owned();
    Webhook {
        id: WebhookId(Uuid::nil()),
        method,
        path: "/hooks/fuzzed".to_owned(),
        query: (!query.is_empty()).then_some(query),
        headers: Headers::from_iter([("content-type", "application/x-www-form-urlencoded")]),
        body: body.to_vec(),
        received_at: Timestamp::UNIX_EPOCH,
    }
}

/// The first lines; the last of them is all that is left.
fn lines(data: &[u8]) -> [&[u8]; 4] {
    let mut parts = data.splitn(4, |&b| b == b'\n');
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}
