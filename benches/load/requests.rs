//! The webhooks, signed before any clock starts.

use anyhow::Context;
use jiff::Timestamp;
use postcall::domain::{Method, Webhook, WebhookId};
use postcall::settings::{Environment, Settings};
use postcall::source::{self, Source};
use uuid::Uuid;

use crate::settings::SETTINGS;

/// Whole requests as they go over the wire, each about a call of its own.
pub struct Requests(Vec<Vec<u8>>);

impl Requests {
    pub fn prepare(count: usize) -> anyhow::Result<Self> {
        let settings = Settings::from_yaml(SETTINGS, Environment::default())?;
        let source = settings.sources.get("ivr").context("the source of the settings")?;
        (0..count).map(|number| signed(source, number)).collect::<anyhow::Result<_>>().map(Self)
    }

    pub fn all(&self) -> &[Vec<u8>] {
        &self.0
    }
}

/// With the fields that Plivo sends.
fn signed(source: &Source, number: usize) -> anyhow::Result<Vec<u8>> {
    let call = Uuid::now_v7().to_string();
    let digits = (number % 5 + 1).to_string();
    let body = source::encode([
        ("CallUUID", call.as_str()),
        ("From", "15550100001"),
        ("To", "15550100002"),
        ("CallStatus", "in-progress"),
        ("Direction", "inbound"),
        ("ALegUUID", call.as_str()),
        ("ALegRequestUUID", call.as_str()),
        ("InputType", "dtmf"),
        ("Digits", digits.as_str()),
        ("Speech", ""),
        ("SpeechConfidenceScore", ""),
        ("BillRate", "0.0085"),
    ]);
    let form = ("content-type", "application/x-www-form-urlencoded");
    let webhook = Webhook {
        id: WebhookId(Uuid::nil()),
        method: Method::Post,
        path: format!("/hooks/{}", source.name),
        query: None,
        headers: [form].into_iter().collect(),
        body: body.clone().into_bytes(),
        received_at: Timestamp::UNIX_EPOCH,
    };
    let mut request = format!(
        "POST {} HTTP/1.1\r\nhost: surveys.example.com\r\nuser-agent: Plivo\r\naccept: */*\r\n\
         {}: {}\r\ncontent-length: {}\r\n",
        webhook.path,
        form.0,
        form.1,
        body.len()
    );
    for (name, value) in source.sign(&webhook, &Uuid::now_v7().simple().to_string())? {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    Ok(format!("{request}\r\n{body}").into_bytes())
}
