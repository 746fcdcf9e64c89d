use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::ExposeSecret;
use serde_json::Value;

use super::cursor::Cursor;
use super::secret;
use super::section::{Setting, optional_table, section, setting};
use super::spec::Kind;
use crate::domain::{Credentials, Name};
use crate::source::SignedUrl;

section! {
    /// Spans of webhooks and attempts.
    #[derive(Debug, Clone)]
    pub struct Tracing {
        /// The collector of OpenTelemetry that takes them, over HTTP; without it there are none.
        otlp: Option<Otlp> = optional_table(),
    }
}

section! {
    /// A collector, and what it gets.
    #[derive(Debug, Clone)]
    pub struct Otlp {
        /// Its address, such as `http://collector:4318`; spans are posted to /v1/traces below it.
        endpoint: String = setting(Kind::Text, ENDPOINT, endpoint),
        /// Headers of each request, each with a secret, such as `{ authorization: { env: OTLP_TOKEN } }`.
        headers: BTreeMap<Name, Arc<Credentials>> = setting(Kind::Named(&Kind::Secret), "headers", headers).or("{}"),
        /// The part of the submissions whose spans are exported, from 0 to 1; a sender that names a trace decides
        /// about its webhooks.
        sample_ratio: f64 = RATIO.or("1"),
    }
}

const ENDPOINT: &str = "an address such as http://collector:4318";

const RATIO: Setting<f64> = setting(Kind::Number, "a number from 0 to 1", |cursor, expected| {
    // A variable is text.
    let ratio = match cursor.value() {
        Some(Value::String(text)) => text.parse().ok(),
        value => value.and_then(Value::as_f64),
    };
    let ratio = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
    ratio.or_else(|| cursor.fault(format!("expected {expected}")))
});

fn endpoint(cursor: &Cursor<'_>, expected: &str) -> Option<String> {
    let text = cursor.text_if(expected, |text| SignedUrl::public(text).is_ok())?;
    match SignedUrl::public(text) {
        Ok(url) if !url.at("").ends_with("/v1/traces") => Some(url.at("/v1/traces")),
        _ => cursor.fault(format!(
            "expected {expected}: no user, no query, no fragment, and without /v1/traces"
        )),
    }
}

fn headers(cursor: &Cursor<'_>, _: &str) -> Option<BTreeMap<Name, Arc<Credentials>>> {
    let header = |(name, cursor): (Name, Cursor<'_>)| {
        let credentials = secret::credentials(&cursor, 1)?;
        let is_sendable = |b: u8| b == b'\t' || (b' '..=b'~').contains(&b);
        if !credentials.first().expose_secret().bytes().all(is_sendable) {
            return cursor
                .fault("the value of a header has only characters of ASCII, and one line");
        }
        Some((name, Arc::new(credentials)))
    };
    cursor.named().into_iter().map(header).collect()
}
