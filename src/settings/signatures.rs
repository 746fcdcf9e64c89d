//! How a source's sender signs, as an operator writes it.

use std::time::Duration;

use serde_json::Value;

use super::cursor::{Cursor, Table, all};
use super::secret;
use super::section::{words, words_of};
use super::spec::{Key, Kind, Spec, key};
use crate::domain::Credentials;
use crate::source::{
    Algorithm, BadSignedPayload, Basic, Bearer, ClockTolerance, Encoding, HeaderName, Hmac,
    HmacRules, Plivo, PlivoHeader, PublicKey, Scheme, SignedPayload, SignedTime, Standard, Telnyx,
    TimeFormat, TimePlace, Twilio, Vonage,
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

const SCHEMES: Spec = Spec::of(&[
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
    key("max_age", Kind::Duration(Duration::from_secs(1)), "How old a signed time may be.")
        .or("5m");
const FUTURE: Key =
    key("max_skew", Kind::Duration(Duration::ZERO), "How far ahead of now a signed time may be.")
        .or("1m");

pub(super) fn signature(cursor: &Cursor<'_>) -> Option<Scheme> {
    if cursor.is_list() {
        return plivo(cursor).map(Scheme::Plivo);
    }
    match cursor.value() {
        None => {
            let Some((key, cursor)) = cursor.table()?.only() else {
                return cursor.fault(format!("expected {FORMS}"));
            };
            match key {
                "hmac" => hmac(&cursor).map(Scheme::Hmac),
                "standard" => standard(&cursor).map(Scheme::Standard),
                "twilio" => twilio(&cursor).map(Scheme::Twilio),
                "vonage" => vonage(&cursor).map(Scheme::Vonage),
                "telnyx" => telnyx(&cursor).map(Scheme::Telnyx),
                "bearer" => bearer(&cursor).map(Scheme::Bearer),
                "basic" => basic(&cursor).map(Scheme::Basic),
                _ => None,
            }
        }
        Some(Value::String(word)) if word == "none" => Some(Scheme::None),
        Some(Value::String(_)) => cursor.fault(format!("expected {FORMS}")),
        _ => cursor.expected(FORMS),
    }
}

fn plivo(cursor: &Cursor<'_>) -> Option<Plivo> {
    let words = PlivoHeader::ALL.map(|header| (header.label(), header));
    let headers = cursor.list("v3, ma-v3, v2, ma-v2")?;
    cursor.check(Plivo::accepting(all(headers.iter().map(|cursor| cursor.word(&words)))?))
}

fn bearer(cursor: &Cursor<'_>) -> Option<Bearer> {
    Some(Bearer { tokens: credentials(cursor)? })
}

const BASIC: Spec = Spec::of(&[
    key("user", Kind::Text, "The name of the user, without a colon.").needed(),
    key("password", Kind::Secret, "The password.").needed(),
]);

fn basic(cursor: &Cursor<'_>) -> Option<Basic> {
    let table = cursor.table()?;
    let user = table.need("user", "a user name").and_then(|cursor| {
        let user = cursor.text("a user name")?;
        if user.contains(':') {
            return cursor.fault("a user name ends at its first colon: leave it out");
        }
        Some(user.to_owned())
    });
    let passwords = table
        .need("password", "a secret such as { env: HOOK_PASSWORD }")
        .and_then(|cursor| credentials(&cursor));
    Some(Basic { user: user?, passwords: passwords? })
}

const HMAC: Spec = Spec::of(&[
    key("header", Kind::Text, "The header with the signature."),
    key(
        "key",
        Kind::Text,
        "Where the header is a list such as t=…,v1=…: the key of the signature, v1.",
    ),
    SECRET,
    key("algorithm", words_of::<Algorithm>(), "The hash.").or("sha256"),
    key("encoding", words_of::<Encoding>(), "How the header writes it.").or("hex"),
    key("prefix", Kind::MaybeEmptyText, "The text before it in the header, such as \"sha256=\".")
        .or("\"\""),
    key("timestamp", Kind::Table(&TIMESTAMP), "Where the signed time is, if there is one."),
    key("id", Kind::Text, "The header with the signed id of the webhook, if there is one."),
    key("signed_payload", Kind::Text, "What is signed, such as \"{timestamp}.{body}\".")
        .or("\"{body}\""),
]);

const TIMESTAMP: Spec = Spec::of(&[
    key("header", Kind::Text, "The header with the time."),
    key("key", Kind::Text, "Or its key in the list that the header of the signature is."),
    key(
        "format",
        words_of::<TimeFormat>(),
        "How it is written: seconds or milliseconds since 1970, or as in 2026-11-22T10:00:00Z.",
    )
    .or("unix"),
    PAST,
    FUTURE,
])
.with_one_of(&["header", "key"]);

fn hmac(cursor: &Cursor<'_>) -> Option<Hmac> {
    let table = cursor.table()?;
    let header = table.need("header", HEADER).and_then(|cursor| header(&cursor));
    let key = table.or("key", None, |cursor| list_key(&cursor).map(Some));
    let secrets = secrets(&table);
    let algorithm = table.or("algorithm", Algorithm::Sha256, |cursor| cursor.one_of());
    let encoding = table.or("encoding", Encoding::Hex, |cursor| cursor.one_of());
    let prefix = table.or("prefix", "", |cursor| match cursor.value() {
        Some(Value::String(prefix)) => Some(prefix.as_str()),
        _ => cursor.expected("text such as \"sha256=\""),
    });
    let timestamp = table.or("timestamp", None, |cursor| timestamp(&cursor).map(Some));
    let id = table.or("id", None, |cursor| self::header(&cursor).map(Some));
    let signs = table.or("signed_payload", None, |cursor| {
        cursor.parsed::<SignedPayload>("what is signed, such as \"{timestamp}.{body}\"").map(Some)
    });
    let mut rules = HmacRules::new(header?);
    rules.key = key?;
    rules.algorithm = algorithm?;
    rules.encoding = encoding?;
    rules.prefix = prefix?.to_owned();
    rules.timestamp = timestamp?;
    rules.id = id?;
    if let Some(signs) = signs? {
        rules.signed_payload = signs;
    }
    let secrets = secrets?;
    if cursor.has_unknown_below() {
        return None;
    }
    match Hmac::new(rules, secrets) {
        Ok(hmac) => Some(hmac),
        Err(bad) => {
            let key = match bad {
                BadSignedPayload::TimeInPlaceOfSignature => "timestamp",
                BadSignedPayload::IdInPlaceOfAnother => "id",
                _ => "signed_payload",
            };
            table.fault_at(key, bad.to_string())
        }
    }
}

fn timestamp(cursor: &Cursor<'_>) -> Option<SignedTime> {
    let table = cursor.table()?;
    let place = match (table.get("header"), table.get("key")) {
        (Some(cursor), None) => header(&cursor).map(TimePlace::Header),
        (None, Some(cursor)) => list_key(&cursor).map(TimePlace::Key),
        (None, None) if table.is_any_meant(&["header", "key"]) => None,
        _ => table
            .fault_at("header", "expected either header or key, which names the place of the time"),
    };
    let format = table.or("format", TimeFormat::Unix, |cursor| cursor.one_of());
    let window = window(&table);
    Some(SignedTime { place: place?, format: format?, window: window? })
}

/// Of a list such as `t=…,v1=…`.
fn list_key(cursor: &Cursor<'_>) -> Option<String> {
    const KEY: &str = "a key of the list in the header, such as v1";
    let text = cursor.text(KEY)?;
    if text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        Some(text.to_owned())
    } else {
        cursor.fault(format!("expected {KEY}: letters, digits, - and _"))
    }
}

const STANDARD: Spec = Spec::of(&[SECRET, PAST, FUTURE]);

fn standard(cursor: &Cursor<'_>) -> Option<Standard> {
    let table = cursor.table()?;
    let (secrets, window) = (secrets(&table), window(&table));
    match Standard::new(secrets?, window?) {
        Ok(standard) => Some(standard),
        Err(malformed) => table.fault_at("secret", malformed.to_string()),
    }
}

const TWILIO: Spec = Spec::of(&[SECRET]);

fn twilio(cursor: &Cursor<'_>) -> Option<Twilio> {
    let table = cursor.table()?;
    Some(Twilio { secrets: secrets(&table)? })
}

const VONAGE: Spec = Spec::of(&[SECRET, PAST, FUTURE]);

fn vonage(cursor: &Cursor<'_>) -> Option<Vonage> {
    let table = cursor.table()?;
    let (secrets, window) = (secrets(&table), window(&table));
    Some(Vonage { secrets: secrets?, window: window? })
}

const TELNYX: Spec = Spec::of(&[
    key(
        "public_key",
        Kind::OneOf(&[Kind::Text, Kind::List(&Kind::Text)]),
        "The public key of the account, as Telnyx shows it; a list while it is rotated.",
    )
    .needed(),
    PAST,
    FUTURE,
]);

fn telnyx(cursor: &Cursor<'_>) -> Option<Telnyx> {
    const KEY: &str = "the public key of the account, as Telnyx shows it";
    let table = cursor.table()?;
    let keys = table.need("public_key", KEY).and_then(|cursor| {
        all(cursor.some(KEY)?.iter().map(|cursor| cursor.parsed::<PublicKey>(KEY)))
    });
    let window = window(&table);
    let mut keys = keys?.into_iter();
    let first = keys.next().expect("there is one at least");
    Some(Telnyx::new(first, keys.collect(), window?))
}

/// How far a signed time may lie from now.
fn window(table: &Table<'_>) -> Option<ClockTolerance> {
    let default = ClockTolerance::default();
    let past = table.or("max_age", default.max_age, |cursor| cursor.duration());
    let future = table.or("max_skew", default.max_skew, |cursor| cursor.duration());
    let (max_age, max_skew) = (past?, future?);
    if max_age + max_skew > ClockTolerance::LONGEST {
        let longer = if max_age >= max_skew { "max_age" } else { "max_skew" };
        return table.fault_at(
            longer,
            "max_age and max_skew must be at most 6d together: ids of webhooks are remembered for 7d, and \
             a captured one would count again after that",
        );
    }
    Some(ClockTolerance { max_age, max_skew })
}

const HEADER: &str = "the name of a header";

fn header(cursor: &Cursor<'_>) -> Option<HeaderName> {
    cursor.parsed(HEADER)
}

fn secrets(table: &Table<'_>) -> Option<Credentials> {
    table
        .need("secret", "a secret such as { env: HOOK_SECRET }")
        .and_then(|cursor| credentials(&cursor))
}

fn credentials(cursor: &Cursor<'_>) -> Option<Credentials> {
    secret::credentials(cursor, SECRET_LENGTH_MIN)
}

words! {
    Algorithm { "sha256" => Sha256, "sha1" => Sha1 }
    Encoding { "hex" => Hex, "base64" => Base64 }
    TimeFormat { "unix" => Unix, "unix_ms" => UnixMs, "iso" => Iso }
}
