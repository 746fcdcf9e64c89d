//! What a sender sends, as a tool holds it in its hands.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::{Method, Webhook, WebhookId};
use crate::source::{self, CannotSign, Source};

pub(super) const FORM: &str = "application/x-www-form-urlencoded";
pub(super) const JSON: &str = "application/json";

/// A request to a source, signed or not.
#[derive(Clone)]
pub(super) struct Payload {
    pub method: Method,
    pub path: String,
    pub query: Option<String>,
    /// As they are written; names in any case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Payload {
    /// A request to the source of that name, without anything in it.
    pub fn to(source: &str) -> Self {
        Self {
            method: Method::Post,
            path: format!("/hooks/{source}"),
            query: None,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// A request that was composed, its headers as they arrive.
    pub fn of(webhook: Webhook) -> Self {
        let Webhook { method, path, query, headers, body, .. } = webhook;
        let text =
            |(name, value): (&str, &[u8])| (name.to_owned(), String::from_utf8_lossy(value).into());
        let headers = headers.iter().map(text).collect();
        Self { method, path, query, headers, body }
    }

    /// A callback as Plivo makes it when a caller has pressed `digits`, or was silent where they
    /// are empty. Without a question the survey's first is meant.
    pub fn pressed(source: &str, call: &str, question: Option<&str>, digits: &str) -> Self {
        let body = source::encode([
            ("CallUUID", call),
            ("CallStatus", "in-progress"),
            ("Direction", "inbound"),
            ("InputType", "dtmf"),
            ("Digits", digits),
            ("Speech", ""),
        ]);
        let query = question.map(|name| source::encode([("question", name)]));
        Self { query, body: body.into_bytes(), ..Self::to(source) }.with_type()
    }

    /// Says what kind of body it has, where it does not yet: what it looks like.
    pub fn with_type(self) -> Self {
        let kind = if looks_like_json(&self.body) { JSON } else { FORM };
        self.with_type_of(kind)
    }

    /// Says that its body is of this kind, where it does not yet say of which.
    pub fn with_type_of(mut self, kind: &str) -> Self {
        if !self.body.is_empty() && self.header("content-type").is_none() {
            self.headers.insert(0, ("content-type".to_owned(), kind.to_owned()));
        }
        self
    }

    /// As its source's sender would send it at that time, signed. `nonce` is what the sender calls
    /// it, or makes it unlike any other with.
    ///
    /// # Errors
    /// It is nothing that can be signed, or only the sender itself can.
    pub fn signed(self, source: &Source, nonce: &str, at: Timestamp) -> Result<Self, CannotSign> {
        let Webhook { query, headers, .. } =
            source.signed(self.webhook(WebhookId(Uuid::nil()), at), nonce)?;
        let text =
            |(name, value): (&str, &[u8])| (name.to_owned(), String::from_utf8_lossy(value).into());
        let added: Vec<_> = headers.iter().skip(self.headers.len()).map(text).collect();
        Ok(Self { query, headers: [self.headers, added].concat(), ..self })
    }

    /// As it arrives.
    pub fn webhook(&self, id: WebhookId, received_at: Timestamp) -> Webhook {
        Webhook {
            id,
            method: self.method,
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .collect(),
            body: self.body.clone(),
            received_at,
        }
    }

    /// The first of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// Where it goes, given the address without the query.
    pub fn url(&self, address: &str) -> String {
        match &self.query {
            None => address.to_owned(),
            Some(query) => format!("{address}?{query}"),
        }
    }
}

/// A method as an argument.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub(super) enum GivenMethod {
    #[value(name = "GET")]
    Get,
    #[value(name = "POST")]
    Post,
}

impl From<GivenMethod> for Method {
    fn from(given: GivenMethod) -> Self {
        match given {
            GivenMethod::Get => Method::Get,
            GivenMethod::Post => Method::Post,
        }
    }
}

/// A header as an argument.
pub(super) fn header(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once(':').ok_or("write it as 'Name: value'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn looks_like_json(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}
