//! Webhooks and sources for the tests of this room.

use std::sync::Arc;

use jiff::Timestamp;
use secrecy::SecretString;
use uuid::Uuid;

use crate::domain::{Account, Credentials, Headers, Method, Webhook, WebhookId};

use super::content::Accepts;
use super::signature::Scheme;
use super::url::SignedUrl;
use super::{Asked, Extractor, Extractors, Predicate, Source, SourceReply};

pub fn post(query: Option<&str>, body: &str) -> Webhook {
    Webhook {
        id: WebhookId(Uuid::nil()),
        method: Method::Post,
        path: "/hooks/ivr".to_owned(),
        query: query.map(str::to_owned),
        headers: [("content-type", "application/x-www-form-urlencoded")].into_iter().collect(),
        body: body.as_bytes().to_vec(),
        received_at: Timestamp::UNIX_EPOCH,
    }
}

pub fn get(query: Option<&str>) -> Webhook {
    Webhook { method: Method::Get, headers: Headers::default(), ..post(query, "") }
}

/// Gives the webhook one more header line.
pub fn with_header(mut webhook: Webhook, name: &str, value: &str) -> Webhook {
    webhook.headers.push(&name.to_ascii_lowercase(), value.as_bytes());
    webhook
}

pub fn credentials(secrets: &[&str]) -> Credentials {
    Credentials::fixed(secrets.iter().map(|&secret| SecretString::from(secret)).collect())
}

pub fn source(signature: Scheme, url: SignedUrl, token: &str) -> Source {
    let name = |text: &str| text.parse().unwrap();
    Source {
        name: name("ivr"),
        account: Arc::new(Account {
            name: name("main"),
            credentials: Arc::new(credentials(&[token])),
        }),
        survey: name("quality"),
        accepts: Accepts::Form,
        signature,
        readers: plivo(),
        has_ids: false,
        repeats_count: false,
        url,
        reply: SourceReply::default(),
        on_reject: super::OnReject::Status,
        quarantine: 0,
    }
}

/// As the preset of this name reads.
pub fn plivo() -> Extractors {
    Extractors {
        call: readers(&["query:call_uuid", "form:CallUUID"]),
        asked: Asked::One {
            question: readers(&["query:question"]),
            answer: readers(&[
                "form:Digits if form:InputType!=speech",
                "form:Speech if form:InputType=speech",
            ]),
        },
        fields: Vec::new(),
        hangup: Predicate::Any(vec!["form:HangupCause".parse().unwrap()]),
        opt_out: Predicate::never(),
        filter: Vec::new(),
        id: Vec::new(),
    }
}

pub fn readers(texts: &[&str]) -> Vec<Extractor> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// A source that Plivo calls at its public address.
pub fn public_source(signature: Scheme) -> Source {
    let url = SignedUrl::public("https://surveys.example.com").unwrap();
    source(signature, url, "a token of the account")
}

/// The webhook as the source's own sender would send it.
pub fn signed(source: &Source, webhook: Webhook) -> Webhook {
    source.signed(webhook, "05429567804466091622").unwrap()
}
