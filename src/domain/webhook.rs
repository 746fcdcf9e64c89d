use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

use super::trace::{SpanContext, TraceId};

/// One webhook as it came, before anything of it is trusted.
#[derive(Clone)]
pub struct Webhook {
    pub id: WebhookId,
    pub method: Method,
    /// The path as the client wrote it, never normalised: signatures cover it.
    pub path: String,
    /// The query as the client wrote it, without the `?`.
    pub query: Option<String>,
    pub headers: Headers,
    pub body: Vec<u8>,
    pub received_at: Timestamp,
}

/// The header fields of one webhook in order of arrival, a repeated field once for each value. They
/// share their allocations, because every field of every request is kept and few are looked at.
#[derive(Clone, Default)]
pub struct Headers {
    /// Every name, one after another.
    names: String,
    /// Every value likewise.
    values: Vec<u8>,
    /// Where each field ends in `names` and in `values`.
    ends: Vec<(usize, usize)>,
}

/// The methods a webhook may come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

/// Names one arrival. Ids made later sort later, which settles the order of two webhooks of the same
/// microsecond.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct WebhookId(pub Uuid);

/// What a sender itself calls one of its webhooks, and which bytes it called so. Seen again with the
/// same bytes it is a repeat; with others someone puts another's words under a known name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// At most [`IdempotencyKey::LENGTH_MAX`] bytes.
    pub id: String,
    /// SHA-256 of what was sent.
    pub digest: [u8; 32],
    /// Whether what the sender has signed stops being taken by itself, for its time is signed, or is
    /// not what keeps others out. Else the key has to be known as long as a repeat could count.
    pub expires: bool,
}

impl IdempotencyKey {
    /// Longest id in bytes; those of senders have a few dozen.
    pub const LENGTH_MAX: usize = 256;

    /// That of a webhook without one, by which a store knows that it has received it already. No sender sends it
    /// a second time.
    pub fn of_webhook(webhook: WebhookId) -> Self {
        Self { id: format!("postcall:{}", webhook.0), digest: [0; 32], expires: true }
    }
}

impl WebhookId {
    /// The span of the webhook, within the trace of its sender if that named one.
    pub fn span(self, parent: Option<TraceId>) -> SpanContext {
        let own = SpanContext::of(self.0);
        parent.map_or(own, |trace| own.within(trace))
    }
}

impl Webhook {
    /// Longest body in bytes, counted while reading. Plivo's callbacks are below 2 KiB.
    pub const BODY_MAX: usize = 64 * 1024;
}

impl Method {
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

impl Headers {
    /// Adds a field; `name` is in lower case.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.names.push_str(name);
        self.values.extend_from_slice(value);
        self.ends.push((self.names.len(), self.values.len()));
    }

    /// Every field: its name in lower case, and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut start = (0, 0);
        self.ends.iter().map(move |&end| {
            let field = (&self.names[start.0..end.0], &self.values[start.1..end.1]);
            start = end;
            field
        })
    }

    /// Every value of a field, whatever the case of `name`.
    pub fn values<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The fields as values of their own, to change some and collect them again.
    pub fn to_vec(&self) -> Vec<(String, Vec<u8>)> {
        self.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> FromIterator<(N, V)> for Headers {
    /// Names are in lower case.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let mut headers = Self::default();
        for (name, value) in fields {
            headers.push(name.as_ref(), value.as_ref());
        }
        headers
    }
}

impl fmt::Debug for Webhook {
    /// Says which webhook, never what is in it: bodies and queries carry phone numbers, headers
    /// carry signatures.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook")
            .field("id", &self.id)
            .field("method", &self.method)
            .field("body_bytes", &self.body.len())
            .field("received_at", &self.received_at)
            .finish_non_exhaustive()
    }
}
