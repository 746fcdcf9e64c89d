use std::fmt;

use jiff::Timestamp;
use uuid::Uuid;

/// One webhook as it came, before anything of it is believed.
#[derive(Clone)]
pub struct Webhook {
    pub id: WebhookId,
    pub method: Method,
    /// The path as the client wrote it, never normalised: signatures cover it.
    pub path: String,
    /// The query as the client wrote it, without the `?`.
    pub query: Option<String>,
    /// Header names in lower case, in order of arrival, a repeated header once for each value.
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    pub received_at: Timestamp,
}

/// The methods a hook may come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    Get,
    Post,
}

/// Names one arrival. Ids made later sort later, which settles the order of two hooks of the same
/// microsecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WebhookId(pub Uuid);

/// What a sender itself calls one of its hooks, and which bytes it called so. Seen again with the
/// same bytes it is a repeat; with others somebody puts another's words under a known name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// At most [`IdempotencyKey::LENGTH_MAX`] bytes.
    pub id: String,
    /// SHA-256 of what was sent.
    pub digest: [u8; 32],
}

impl IdempotencyKey {
    /// Longest id in bytes; those of senders have a few dozen.
    pub const LENGTH_MAX: usize = 256;
}

impl Webhook {
    /// Longest body in bytes, counted while reading. Plivo's callbacks are below 2 KiB.
    pub const BODY_MAX: usize = 64 * 1024;

    /// Every value of a header; `name` is given in lower case.
    pub fn header_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_slice())
    }
}

impl fmt::Debug for Webhook {
    /// Says which hook, never what is in it: bodies and queries carry phone numbers, headers
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
