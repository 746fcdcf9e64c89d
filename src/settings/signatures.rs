//! How a source's sender signs, as an operator writes it.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::shape::{Key, Kind, Shape, key};
use super::written::{Place, Table};
use super::{Environment, secret};
use crate::domain::Credentials;
use crate::source::{
    Algorithm, Basic, Bearer, Encoding, HeaderName, Hmac, HmacRules, Plivo, PlivoHeader, PublicKey,
    Scheme, SignedTime, Signs, Standard, Telnyx, TimeFormat, TimePlace, Twilio, Vonage, Window,
};

/// Fewest characters of a secret that a sender shows or signs with: it is guessed at leisure.
const SECRET_LENGTH_MIN: usize = 16;

const FORMS: &str = "a list of v3, ma-v3, v2, ma-v2, or one of { hmac: … }, { standard: … }, \
                     { twilio: … }, { vonage: … }, { telnyx: … }, { bearer: … }, { basic: … }, or none";

/// Over a preset of the same scheme a source says only what is otherwise, hence few keys are needed.
pub(super) const KIND: Kind = Kind::OneOf(&[
    Kind::List(&Kind::Word(|| PlivoHeader::ALL.map(PlivoHeader::label).to_vec())),
    Kind::Table(&SCHEMES),
    Kind::Word(|| vec!["none"]),
]);

const SCHEMES: Shape = Shape::of(&[
    key("hmac", Kind::Table(&HMAC), "A keyed hash in a header."),
    key("standard", Kind::Table(&STANDARD), "As Standard Webhooks 1.0 signs."),
    key("twilio", Kind::Table(&TWILIO), "As Twilio signs: the address and the form."),
    key("vonage", Kind::Table(&VONAGE), "As Vonage signs: a JWT in the Authorization header."),
    key("telnyx", Kind::Table(&TELNYX), "As Telnyx signs: Ed25519 over the time and the body."),
    key(
        "bearer",
        Kind::Secret,
        "A token in the Authorization header: it vouches for the sender only.",
    ),
    key("basic", Kind::Table(&BASIC), "A user and a password: they vouch for the sender only."),
])
.with_one_of(&["hmac", "standard", "twilio", "vonage", "telnyx", "bearer", "basic"]);

const SECRET: Key = key("secret", Kind::Secret, "What the sender signs with.").needed();
const PAST: Key =
    key("past", Kind::Duration(Duration::ZERO), "How old a signed time may be.").or("5m");
const FUTURE: Key =
    key("future", Kind::Duration(Duration::ZERO), "How far ahead of now a signed time may be.")
        .or("1m");

pub(super) fn signature(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Scheme> {
    match place.value() {
        Value::Array(_) => plivo(place).map(Scheme::Plivo),
        Value::Object(_) => {
            let table = place.table()?;
            let Some(place) = table.only() else {
                return place.fault(format!("expected {FORMS}"));
            };
            match place.key() {
                "hmac" => hmac(&place, environment).map(Scheme::Hmac),
                "standard" => standard(&place, environment).map(Scheme::Standard),
                "twilio" => twilio(&place, environment).map(Scheme::Twilio),
                "vonage" => vonage(&place, environment).map(Scheme::Vonage),
                "telnyx" => telnyx(&place).map(Scheme::Telnyx),
                "bearer" => bearer(&place, environment).map(Scheme::Bearer),
                "basic" => basic(&place, environment).map(Scheme::Basic),
                _ => None,
            }
        }
        Value::String(word) if word == "none" => Some(Scheme::None),
        Value::String(_) => place.fault(format!("expected {FORMS}")),
        _ => place.expected(FORMS),
    }
}

fn plivo(place: &Place<'_>) -> Option<Plivo> {
    let words = PlivoHeader::ALL.map(|header| (header.label(), header));
    let headers: Vec<_> =
        place.list("v3, ma-v3, v2, ma-v2")?.iter().map(|place| place.word(&words)).collect();
    place.check(Plivo::accepting(headers.into_iter().collect::<Option<Vec<_>>>()?))
}

fn bearer(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Bearer> {
    Some(Bearer { tokens: credentials(place, environment)? })
}

const BASIC: Shape = Shape::of(&[
    key("user", Kind::Text, "The name of the user, without a colon.").needed(),
    key("password", Kind::Secret, "The password.").needed(),
]);

fn basic(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Basic> {
    let table = place.table()?;
    let user = table.need("user", "a user name").and_then(|place| {
        let user = place.text("a user name")?;
        if user.contains(':') {
            return place.fault("a user name ends at its first colon: leave it out");
        }
        Some(user.to_owned())
    });
    let passwords = table
        .need("password", "a secret such as { env: HOOK_PASSWORD }")
        .and_then(|place| credentials(&place, environment));
    Some(Basic { user: user?, passwords: passwords? })
}

const HMAC: Shape = Shape::of(&[
    key("header", Kind::Text, "The header with the signature."),
    key(
        "key",
        Kind::Text,
        "Where the header is a list such as t=…,v1=…: the key of the signature, v1.",
    ),
    SECRET,
    key("algorithm", Kind::Word(|| vec!["sha256", "sha1"]), "The hash.").or("sha256"),
    key("encoding", Kind::Word(|| vec!["hex", "base64"]), "How the header writes it.").or("hex"),
    key(
        "prefix",
        Kind::MaybeEmptyText,
        "What stands before it in the header, such as \"sha256=\".",
    )
    .or("\"\""),
    key("timestamp", Kind::Table(&TIMESTAMP), "Where the signed time is, if there is one."),
    key("id", Kind::Text, "The header with the signed id of the hook, if there is one."),
    key("signs", Kind::Text, "What is signed, such as \"{timestamp}.{body}\".").or("\"{body}\""),
]);

const TIMESTAMP: Shape = Shape::of(&[
    key("header", Kind::Text, "The header with the time."),
    key("key", Kind::Text, "Or its key in the list that the header of the signature is."),
    key(
        "format",
        Kind::Word(|| vec!["unix", "iso"]),
        "How it is written: seconds since 1970, or as in 2026-11-22T10:00:00Z.",
    )
    .or("unix"),
    PAST,
    FUTURE,
])
.with_one_of(&["header", "key"]);

fn hmac(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Hmac> {
    let table = place.table()?;
    let header = table.need("header", HEADER).and_then(|place| header(&place));
    let key = table.or("key", None, |place| list_key(&place).map(Some));
    let secrets = secrets(&table, environment);
    let algorithm = table.or("algorithm", Algorithm::Sha256, |place| {
        place.word(&[("sha256", Algorithm::Sha256), ("sha1", Algorithm::Sha1)])
    });
    let encoding = table.or("encoding", Encoding::Hex, |place| {
        place.word(&[("hex", Encoding::Hex), ("base64", Encoding::Base64)])
    });
    let prefix = table.or("prefix", "", |place| match place.value() {
        Value::String(prefix) => Some(prefix.as_str()),
        _ => place.expected("text such as \"sha256=\""),
    });
    let timestamp = table.or("timestamp", None, |place| timestamp(&place).map(Some));
    let id = table.or("id", None, |place| self::header(&place).map(Some));
    let signs = table.or("signs", None, |place| {
        let text = place.text("what is signed, such as \"{timestamp}.{body}\"")?;
        place.check(text.parse::<Signs>()).map(Some)
    });
    let mut rules = HmacRules::new(header?);
    rules.key = key?;
    rules.algorithm = algorithm?;
    rules.encoding = encoding?;
    rules.prefix = prefix?.to_owned();
    rules.timestamp = timestamp?;
    rules.id = id?;
    if let Some(signs) = signs? {
        rules.signs = signs;
    }
    match Hmac::new(rules, secrets?) {
        Ok(hmac) => Some(hmac),
        Err(bad) => table.fault_at("signs", bad.to_string()),
    }
}

fn timestamp(place: &Place<'_>) -> Option<SignedTime> {
    let table = place.table()?;
    let place = match (table.get("header"), table.get("key")) {
        (Some(place), None) => header(&place).map(TimePlace::Header),
        (None, Some(place)) => list_key(&place).map(TimePlace::Key),
        _ => table.fault_at("header", "expected either header or key: where the time stands"),
    };
    let format = table.or("format", TimeFormat::Unix, |place| {
        place.word(&[("unix", TimeFormat::Unix), ("iso", TimeFormat::Iso)])
    });
    let window = window(&table);
    Some(SignedTime { place: place?, format: format?, window: window? })
}

/// Of a list such as `t=…,v1=…`.
fn list_key(place: &Place<'_>) -> Option<String> {
    const KEY: &str = "a key of the list in the header, such as v1";
    let text = place.text(KEY)?;
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        Some(text.to_owned())
    } else {
        place.fault(format!("expected {KEY}: letters, digits, - and _"))
    }
}

const STANDARD: Shape = Shape::of(&[SECRET, PAST, FUTURE]);

fn standard(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Standard> {
    let table = place.table()?;
    let (secrets, window) = (secrets(&table, environment), window(&table));
    match Standard::new(secrets?, window?) {
        Ok(standard) => Some(standard),
        Err(malformed) => table.fault_at("secret", malformed.to_string()),
    }
}

const TWILIO: Shape = Shape::of(&[SECRET]);

fn twilio(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Twilio> {
    let table = place.table()?;
    Some(Twilio { secrets: secrets(&table, environment)? })
}

const VONAGE: Shape = Shape::of(&[SECRET, PAST, FUTURE]);

fn vonage(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Vonage> {
    let table = place.table()?;
    let (secrets, window) = (secrets(&table, environment), window(&table));
    Some(Vonage { secrets: secrets?, window: window? })
}

const TELNYX: Shape = Shape::of(&[
    key(
        "public_key",
        Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text)]),
        "The public key of the account, as Telnyx shows it; a list while it is rotated.",
    )
    .needed(),
    PAST,
    FUTURE,
]);

fn telnyx(place: &Place<'_>) -> Option<Telnyx> {
    const KEY: &str = "the public key of the account, as Telnyx shows it";
    let table = place.table()?;
    let key = |place: &Place<'_>| {
        let text = place.text(KEY)?;
        place.check(text.parse::<PublicKey>())
    };
    let keys = table.need("public_key", KEY).and_then(|place| match place.value() {
        Value::Array(_) => {
            let items = place.list(KEY)?;
            let keys: Vec<_> = items.iter().map(key).collect();
            let mut keys = keys.into_iter().collect::<Option<Vec<_>>>()?.into_iter();
            match keys.next() {
                Some(first) => Some((first, keys.collect())),
                None => place.fault(format!("an empty list: expected {KEY}")),
            }
        }
        _ => Some((key(&place)?, Vec::new())),
    });
    let window = window(&table);
    let (first, others) = keys?;
    Some(Telnyx::new(first, others, window?))
}

/// How far a signed time may lie from now.
fn window(table: &Table<'_>) -> Option<Window> {
    let default = Window::default();
    let past = table.or("past", default.past, |place| place.duration());
    let future = table.or("future", default.future, |place| place.duration());
    Some(Window { past: past?, future: future? })
}

const HEADER: &str = "the name of a header";

fn header(place: &Place<'_>) -> Option<HeaderName> {
    let name = place.text(HEADER)?;
    place.check(name.parse())
}

fn secrets(table: &Table<'_>, environment: &Arc<Environment>) -> Option<Credentials> {
    table
        .need("secret", "a secret such as { env: HOOK_SECRET }")
        .and_then(|place| credentials(&place, environment))
}

fn credentials(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Credentials> {
    secret::credentials(place, SECRET_LENGTH_MIN, environment)
}
