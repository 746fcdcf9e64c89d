//! Callers, and the callbacks that Plivo makes of what they press.

use std::sync::atomic::{AtomicU64, Ordering};

use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{PUBLIC_URL, TOKEN, TestEnv};
use crate::wire::{self, Reply};

/// Whom the callers call from, and where they called.
pub const FROM: &str = "14155550123";
pub const TO: &str = "14155550199";

const FORM: &str = "application/x-www-form-urlencoded";

/// Someone who is asked how the call was. They answer the one question of `quick`, unless said
/// otherwise.
#[derive(Clone)]
pub struct Caller<'w> {
    test_env: &'w TestEnv,
    call: String,
    source: String,
    question: Option<String>,
    token: String,
}

impl<'w> Caller<'w> {
    pub(super) fn of(test_env: &'w TestEnv, call: &str) -> Self {
        Self {
            test_env,
            call: call.to_owned(),
            source: "quick".to_owned(),
            question: None,
            token: TOKEN.to_owned(),
        }
    }

    /// By which source their answers come in.
    pub fn at(self, source: &str) -> Self {
        Self { source: source.to_owned(), ..self }
    }

    /// Which question their IVR asks them.
    pub fn asked(self, question: &str) -> Self {
        Self { question: Some(question.to_owned()), ..self }
    }

    /// The token that Plivo signs their callbacks with.
    pub fn signed_with(self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self }
    }

    /// What the sender hears.
    pub fn presses(&self, digits: &str) -> Reply {
        self.callback(digits).send(self.test_env)
    }

    /// Presses, and is answered that the webhook is on disk.
    #[track_caller]
    pub fn has_pressed(&self, digits: &str) {
        let reply = self.presses(digits);
        reply.assert_status(200);
        assert!(reply.header("postcall-submission").is_some(), "{:?}", reply.headers);
    }

    #[track_caller]
    pub fn is_silent(&self) {
        self.has_pressed("");
    }

    pub fn callback(&self, digits: &str) -> Callback {
        let query = self.question.as_ref().map(|question| format!("question={question}"));
        let body = format!("CallUUID={}&From={FROM}&To={TO}&Digits={digits}", self.call);
        Callback::signed(&self.source, query.as_deref(), &body, &self.token)
    }
}

/// A POST as Plivo makes it; whatever is said of it can be spoilt before it is sent.
pub struct Callback {
    pub method: &'static str,
    pub target: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

impl Callback {
    /// `body` holds nothing that is encoded, so that it can be signed as it stands.
    pub fn signed(source: &str, query: Option<&str>, body: &str, token: &str) -> Self {
        static NONCES: AtomicU64 = AtomicU64::new(31_627_761_595_286_130);
        let nonce = NONCES.fetch_add(1, Ordering::Relaxed).to_string();
        let address = format!("{PUBLIC_URL}/hooks/{source}");
        let query_part = query.map_or(String::new(), |query| format!("?{query}"));
        let signed = v3_text(&address, query.unwrap_or_default(), body);
        let signature = hmac(token, &format!("{signed}.{nonce}"));
        Self {
            method: "POST",
            target: format!("/hooks/{source}{query_part}"),
            headers: vec![
                ("content-type", FORM.to_owned()),
                ("x-plivo-signature-v3", signature),
                ("x-plivo-signature-v3-nonce", nonce),
            ],
            body: body.as_bytes().to_vec(),
        }
    }

    /// A form whose body is signed with its time, as an HMAC in Base64.
    pub fn with_time(source: &str, body: &str, token: &str, second: i64) -> Self {
        Self {
            method: "POST",
            target: format!("/hooks/{source}"),
            headers: vec![
                ("content-type", FORM.to_owned()),
                ("x-time", second.to_string()),
                ("x-signature", hmac(token, &format!("{second}.{body}"))),
            ],
            body: body.as_bytes().to_vec(),
        }
    }

    pub fn send(&self, test_env: &TestEnv) -> Reply {
        wire::exchange(test_env.public(), &self.bytes())
    }

    pub fn bytes(&self) -> Vec<u8> {
        wire::request(self.method, &self.target, &self.header_refs(), &self.body)
    }

    /// With these headers beside its own and without a length.
    pub fn head(&self, more: &[(&str, &str)]) -> Vec<u8> {
        wire::head(self.method, &self.target, &[&self.header_refs(), more].concat())
    }

    pub fn header_refs(&self) -> Vec<(&str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }
}

/// What Plivo signs of a POST, by its document: written again, so that the service and its tests
/// cannot share a mistake. Nothing in query and body is encoded.
fn v3_text(address: &str, query: &str, body: &str) -> String {
    let pairs = |text: &str, between: &str, joint: &str| {
        let mut sorted: Vec<(&str, &str)> =
            text.split('&').filter_map(|pair| pair.split_once('=')).collect();
        sorted.sort_unstable();
        let joined: Vec<String> =
            sorted.iter().map(|(key, value)| format!("{key}{between}{value}")).collect();
        joined.join(joint)
    };
    match (query, body) {
        ("", "") => address.to_owned(),
        (query, "") => format!("{address}?{}", pairs(query, "=", "&")),
        ("", body) => format!("{address}?{}", pairs(body, "", "")),
        (query, body) => format!("{address}?{}.{}", pairs(query, "=", "&"), pairs(body, "", "")),
    }
}

fn hmac(token: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(token.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    BASE64.encode(&mac.finalize().into_bytes())
}
