//! Signatures that senders other than Plivo make, computed without our code: each is taken as it is
//! and refused with a byte changed, too late and too early.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use postcall::domain::{Method, Webhook, WebhookId};
use postcall::settings::Settings;
use postcall::source::{Rejection, SignatureError, Source};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::test_env::TestEnv;
use crate::wire::{Reply, exchange, request};

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    id: String,
    /// Who made it, and after which document.
    source: String,
    signature: Value,
    method: String,
    url: String,
    content_type: Option<String>,
    body: String,
    headers: BTreeMap<String, String>,
    /// When it was signed.
    at: String,
    /// Whether that is part of what is signed.
    timed: bool,
    /// What its sender calls it, where that is part of what is signed.
    hook_id: Option<String>,
}

const MISMATCH: Option<Rejection> = Some(Rejection::Signature(SignatureError::Mismatch));

#[test]
fn every_vector_is_taken_as_its_sender_made_it() {
    for vector in vectors() {
        assert!(!vector.source.is_empty(), "{}", vector.id);
        let verified = vector.source_of().verify(vector.webhook());
        let verified = verified.unwrap_or_else(|error| panic!("{}: {error}", vector.id));
        let id = verified.identity().map(|identity| identity.id);
        assert_eq!(id, vector.hook_id, "{}", vector.id);
    }
}

#[test]
fn a_changed_byte_is_refused() {
    for vector in vectors() {
        let source = vector.source_of();
        let refused = |webhook: Webhook| source.verify(webhook).err();
        for at in 0..vector.body.len() {
            let mut webhook = vector.webhook();
            webhook.body[at] ^= 1;
            // A form may also be broken by it.
            assert!(refused(webhook).is_some(), "{} {at}", vector.id);
        }
        let mut longer = vector.webhook();
        match longer.method {
            Method::Get => longer.query.get_or_insert_default().push_str("&Digits=1"),
            Method::Post if vector.is_form() => longer.body.extend(b"&Digits=1"),
            Method::Post => longer.body.push(b' '),
        }
        assert_eq!(refused(longer), MISMATCH, "{}", vector.id);
        for at in 0..vector.headers.len() {
            let mut webhook = vector.webhook();
            let mut headers = webhook.headers.to_vec();
            let (name, value) = &mut headers[at];
            let mut twice = vector.webhook();
            twice.headers.push(name, value);
            let last = value.len() - 1;
            value[last] ^= 1;
            webhook.headers = headers.into_iter().collect();
            assert!(refused(webhook).is_some(), "{} {at}", vector.id);

            let duplicate = Some(Rejection::Signature(SignatureError::Duplicate));
            assert_eq!(refused(twice), duplicate, "{} {at}", vector.id);
        }
    }
}

#[test]
fn an_old_and_a_future_time_are_refused_under_their_own_names() {
    let mut timed = 0;
    for vector in vectors() {
        let source = vector.source_of();
        let arriving = |seconds: i64| {
            let mut webhook = vector.webhook();
            webhook.received_at = vector.signed_at() + SignedDuration::from_secs(seconds);
            source.verify(webhook).err()
        };
        let refused = |refusal| vector.timed.then_some(Rejection::Signature(refusal));
        for inside in [-60, 0, 300] {
            assert_eq!(arriving(inside), None, "{} {inside}", vector.id);
        }
        assert_eq!(arriving(301), refused(SignatureError::Old), "{}", vector.id);
        assert_eq!(arriving(-61), refused(SignatureError::Future), "{}", vector.id);
        timed += usize::from(vector.timed);
    }
    assert!(timed > 5);
}

#[test]
fn a_time_that_was_moved_is_refused() {
    for vector in vectors().iter().filter(|vector| vector.timed) {
        for value in vector.headers.values().filter(|value| value.starts_with(['1', '2'])) {
            let mut webhook = vector.webhook();
            let mut headers = webhook.headers.to_vec();
            for (_, sent) in &mut headers {
                if sent == value.as_bytes() {
                    let last = sent.len() - 2;
                    sent[last] = if sent[last] == b'0' { b'1' } else { b'0' };
                }
            }
            webhook.headers = headers.into_iter().collect();
            assert_eq!(vector.source_of().verify(webhook).err(), MISMATCH, "{}", vector.id);
        }
    }
}

#[test]
fn a_preset_needs_nothing_but_the_secret_to_take_what_its_sender_made() {
    for (vector, preset, secret) in [
        ("typeform", "typeform", "hmac"),
        ("delighted", "delighted", "hmac"),
        ("zendesk", "zendesk", "hmac"),
        ("yeastar", "yeastar", "hmac"),
        ("jambonz", "jambonz", "hmac"),
        ("standard-webhooks", "standard-webhooks", "standard"),
        ("twilio-gather", "twilio", "twilio"),
        ("twilio-json", "twilio", "twilio"),
        ("vonage", "vonage", "vonage"),
        ("telnyx", "telnyx", "telnyx"),
    ] {
        let vectors = vectors();
        let vector = vectors.iter().find(|known| known.id == vector).unwrap();
        let key = if secret == "telnyx" { "public_key" } else { "secret" };
        let value = &vector.signature[secret][key];
        let signature = serde_json::json!({ secret: { key: value } });
        let source = vector.source_by(preset, "", &signature);
        let verified = source.verify(vector.webhook());
        let verified = verified.unwrap_or_else(|error| panic!("{}: {error}", vector.id));
        assert!(source.read(&verified).is_ok_and(|reading| reading.is_some()), "{}", vector.id);
    }
}

#[test]
fn what_its_sender_made_is_taken_at_the_public_door_and_what_is_old_is_not() {
    let vectors: Vec<Vector> =
        vectors().into_iter().filter(|vector| vector.content_type.is_some()).collect();
    let sources = vectors.iter().map(|vector| vector.written(&vector.id)).collect::<String>();
    let test_env = test_env(&sources);
    for vector in &vectors {
        let webhook = vector.webhook();
        let reply = send(&test_env, &vector.id, &webhook);
        // What has a time was signed on another day.
        let is_old = vector.timed;
        assert_eq!(reply.status == 401, is_old, "{}: {}", vector.id, reply.text);
        let mut changed = vector.webhook();
        changed.body.push(b' ');
        send(&test_env, &vector.id, &changed).assert_status(401);
    }
    let figures = test_env.figures();
    let refused = |id: &str, reason: &str| {
        let labels = format!("reason=\"signature_{reason}\",source=\"{id}\"");
        figures.of(&format!("webhook_rejections_total{{{labels}}}"))
    };
    assert_eq!(refused("telnyx", "old") + refused("telnyx", "future"), 1.0);
    assert_eq!(refused("telnyx", "mismatch"), 1.0);
}

#[test]
fn a_known_id_is_a_repeat_with_the_same_bytes_and_refused_with_others() {
    let standard = r#"{ standard: { secret: { value: whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw } } }"#;
    let source = format!(
        "  own: {{ preset: standard-webhooks, account: main, survey: quick, signature: {standard} }}\n"
    );
    let test_env = test_env(&source);
    let text = settings(&source).replace("@plivo@", "https://stats.plivo.com");
    let settings = Settings::from_yaml(&text, Default::default()).unwrap();
    let sender = &settings.sources["own"];
    let says = |score: &str, id: &str| {
        let body = format!(r#"{{"call_uuid":"c-1","answers":{{"score":"{score}"}}}}"#);
        let webhook = Webhook {
            id: WebhookId(Uuid::nil()),
            method: Method::Post,
            path: "/hooks/own".to_owned(),
            query: None,
            headers: [("content-type", "application/json")].into_iter().collect(),
            body: body.into_bytes(),
            received_at: Timestamp::now(),
        };
        send(&test_env, "own", &sender.signed(webhook, id).unwrap())
    };
    let outcome = |reply: Reply| reply.header("postcall-outcome").map(str::to_owned);
    assert_eq!(outcome(says("4", "msg_1")).as_deref(), Some("created"));
    assert_eq!(outcome(says("4", "msg_1")).as_deref(), Some("duplicate"));
    says("5", "msg_1").assert_status(401);
    says("5", "msg_2").assert_status(200);
}

/// A world with these sources, each on one line.
fn test_env(sources: &str) -> TestEnv {
    let mut test_env = TestEnv::of(&settings(sources));
    test_env.start();
    test_env
}

fn settings(sources: &str) -> String {
    format!(
        r#"
public: {{ listen: "127.0.0.1:0" }}
admin: {{ listen: "127.0.0.1:0" }}
store: {{ url: "sqlite:@folder@/store.db" }}
accounts: {{ main: {{ auth_id: MA, auth_token: {{ value: unused }}, api: "@plivo@" }} }}
sources:
{sources}
surveys:
  quick: {{ questions: [{{ name: score, answers: 1-5 }}], rating: {{ question: score }} }}
shutdown: {{ drain_delay: 0s }}
"#
    )
}

fn send(test_env: &TestEnv, source: &str, webhook: &Webhook) -> Reply {
    let target = match &webhook.query {
        None => format!("/hooks/{source}"),
        Some(query) => format!("/hooks/{source}?{query}"),
    };
    let headers: Vec<(&str, &str)> = webhook
        .headers
        .iter()
        .map(|(name, value)| (name, str::from_utf8(value).unwrap()))
        .collect();
    exchange(test_env.public(), &request("POST", &target, &headers, &webhook.body))
}

fn vectors() -> Vec<Vector> {
    let text = include_str!("../fixtures/sender-vectors.json");
    let vectors = serde_json::from_str::<Vectors>(text).unwrap().vectors;
    assert_eq!(vectors.len(), 20);
    vectors
}

impl Vector {
    /// The source of settings that say how its sender signs.
    fn source_of(&self) -> Arc<Source> {
        self.source_by("plivo", "content_types: [form, json],", &self.signature)
    }

    fn source_by(&self, preset: &str, more: &str, signature: &Value) -> Arc<Source> {
        let source = self.written_by("x", preset, more, signature);
        let text = settings(&source).replace("@plivo@", "https://stats.plivo.com");
        let mut settings = Settings::from_yaml(&text, Default::default())
            .unwrap_or_else(|error| panic!("{}: {error}", self.id));
        settings.sources.remove("x").unwrap()
    }

    /// As an entry of `sources`.
    fn written(&self, name: &str) -> String {
        self.written_by(name, "plivo", "content_types: [form, json],", &self.signature)
    }

    fn written_by(&self, name: &str, preset: &str, more: &str, signature: &Value) -> String {
        let url = &self.url[..self.url.find('?').unwrap_or(self.url.len())];
        format!(
            "  {name}: {{ preset: {preset}, account: main, survey: quick, {more} url: \"{url}\", \
             signature: {signature} }}\n"
        )
    }

    fn signed_at(&self) -> Timestamp {
        self.at.parse().unwrap()
    }

    fn is_form(&self) -> bool {
        self.content_type.as_deref() == Some("application/x-www-form-urlencoded")
    }

    fn webhook(&self) -> Webhook {
        let (_, query) = self.url.split_once('?').unzip();
        let headers = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let content_type = self.content_type.as_deref().map(|value| ("content-type", value));
        Webhook {
            id: WebhookId(Uuid::nil()),
            method: if self.method == "GET" { Method::Get } else { Method::Post },
            path: "/hooks/x".to_owned(),
            query: query.map(str::to_owned),
            headers: headers
                .chain(content_type)
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect(),
            body: self.body.clone().into_bytes(),
            received_at: self.signed_at(),
        }
    }
}
