use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::Value;

use super::accounts::Account;
use super::written::{Place, Table};
use super::{Environment, PublicDoor, secret};
use crate::domain::{Credentials, Name};
use crate::source::{
    Basic, Bearer, Encoding, Hmac, OnRefusal, Plivo, PlivoHeader, Scheme, SignedUrl, Source,
    SourceReply,
};
use crate::survey::Survey;

/// What the entries of `sources` refer to.
pub(super) struct Surroundings<'a> {
    /// `None` where the door itself is at fault.
    pub(super) public: Option<&'a PublicDoor>,
    /// By name; `None` where the account is written and at fault.
    pub(super) accounts: &'a BTreeMap<Name, Option<Account>>,
    /// Likewise.
    pub(super) surveys: &'a BTreeMap<Name, Option<Arc<Survey>>>,
    pub(super) environment: &'a Arc<Environment>,
}

pub(super) fn source(
    name: Name,
    place: &Place<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<Source> {
    let table =
        place.table(&["preset", "account", "survey", "url", "signature", "reply", "on_refusal"])?;
    let preset =
        table.need("preset", "a preset: plivo").and_then(|place| place.word(&[("plivo", ())]));
    let account = table
        .need("account", "the name of an account")
        .and_then(|place| account(&place, surroundings.accounts));
    let survey = table
        .need("survey", "the name of a survey")
        .and_then(|place| survey(&place, surroundings.surveys));
    let signature = table.or("signature", Scheme::Plivo(default_signature()), |place| {
        signature(&place, surroundings.environment)
    });
    let url = url(&table, signature.as_ref(), surroundings.public);
    let reply = table.or("reply", SourceReply::default(), |place| reply(&place));
    let on_refusal = table.or("on_refusal", OnRefusal::default(), |place| {
        place.word(&[("status", OnRefusal::Status), ("reply", OnRefusal::Reply)])
    });
    let () = preset?;
    Some(Source {
        name,
        account: account?,
        survey: survey?,
        signature: signature?,
        url: url?,
        reply: reply?,
        on_refusal: on_refusal?,
    })
}

fn account(
    place: &Place<'_>,
    accounts: &BTreeMap<Name, Option<Account>>,
) -> Option<Arc<crate::domain::Account>> {
    let name = place.name("the name of an account")?;
    match accounts.get(&name) {
        Some(account) => Some(account.as_ref()?.account.clone()),
        None => place.fault(no_such("account", accounts.keys())),
    }
}

fn survey(place: &Place<'_>, surveys: &BTreeMap<Name, Option<Arc<Survey>>>) -> Option<Name> {
    let name = place.name("the name of a survey")?;
    if surveys.contains_key(&name) {
        Some(name)
    } else {
        place.fault(no_such("survey", surveys.keys()))
    }
}

fn no_such<'a>(what: &str, known: impl Iterator<Item = &'a Name>) -> String {
    let known: Vec<&str> = known.map(Name::as_str).collect();
    if known.is_empty() {
        format!("there is no such {what}, nor any other")
    } else {
        format!("there is no such {what}: name one of {}", known.join(", "))
    }
}

/// What the plivo preset accepts: every part of the hook is covered by these.
fn default_signature() -> Plivo {
    Plivo::accepting([PlivoHeader::V3, PlivoHeader::MaV3]).expect("two are named")
}

fn signature(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Scheme> {
    const FORMS: &str =
        "a list of v3, ma-v3, v2, ma-v2, or { bearer: … }, { basic: … }, { hmac: … }, or none";
    match place.value() {
        Value::Array(_) => plivo(place).map(Scheme::Plivo),
        Value::Object(_) => {
            let table = place.table(&["bearer", "basic", "hmac"])?;
            let Some(place) = table.only() else {
                return place.fault(format!("expected {FORMS}"));
            };
            match place.key() {
                "bearer" => bearer(&place, environment).map(Scheme::Bearer),
                "basic" => basic(&place, environment).map(Scheme::Basic),
                "hmac" => hmac(&place, environment).map(Scheme::Hmac),
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

/// Fewest characters of a secret that a sender shows or signs with: it is guessed at leisure.
const SECRET_LENGTH_MIN: usize = 16;

fn bearer(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Bearer> {
    Some(Bearer { tokens: credentials(place, environment)? })
}

fn basic(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Basic> {
    let table = place.table(&["user", "password"])?;
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

fn hmac(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Hmac> {
    let table = place.table(&["header", "secret", "algorithm", "encoding", "prefix"])?;
    let header = table.need("header", HEADER).and_then(|place| header(&place));
    let secrets = table
        .need("secret", "a secret such as { env: HOOK_SECRET }")
        .and_then(|place| credentials(&place, environment));
    let algorithm = table.or("algorithm", (), |place| place.word(&[("sha256", ())]));
    let encoding = table.or("encoding", Encoding::Hex, |place| {
        place.word(&[("hex", Encoding::Hex), ("base64", Encoding::Base64)])
    });
    let prefix = table.or("prefix", "", |place| match place.value() {
        Value::String(prefix) => Some(prefix.as_str()),
        _ => place.expected("text such as \"sha256=\""),
    });
    let () = algorithm?;
    Hmac::new(header?, secrets?, encoding?, prefix?).ok()
}

const HEADER: &str = "the name of a header";

/// Looked at before the secret is known, so that a fault in either does not hide the other's.
fn header<'a>(place: &Place<'a>) -> Option<&'a str> {
    let name = place.text(HEADER)?;
    let nobodys = Credentials::fixed(vec![SecretString::default()]);
    place.check(Hmac::new(name, nobodys, Encoding::Hex, "")).map(|_| name)
}

fn credentials(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Credentials> {
    secret::credentials(place, SECRET_LENGTH_MIN, environment)
}

/// The source's own, or the public one; where neither is written and nothing is signed with it,
/// the door itself.
fn url(
    table: &Table<'_>,
    signature: Option<&Scheme>,
    public: Option<&PublicDoor>,
) -> Option<SignedUrl> {
    if let Some(place) = table.get("url") {
        let text = place.text("an address such as https://edge.example.com/survey")?;
        return place.check(SignedUrl::own(text));
    }
    let (public, signature) = (public?, signature?);
    match &public.url {
        Some(url) => Some(url.clone()),
        None if matches!(signature, Scheme::Plivo(_)) => table.fault_at(
            "url",
            "missing: Plivo signs the address that it calls, so write it here or as public.url",
        ),
        None => {
            let here = format!("http://{}", reachable(public.listen));
            Some(SignedUrl::public(&here).expect("a socket's address is an address"))
        }
    }
}

/// A door that listens everywhere can at least be reached from here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        bound => bound.ip(),
    };
    // Which port 0 will become is not known yet; an address needs one that is lawful.
    SocketAddr::new(ip, listen.port().max(1))
}

fn reply(place: &Place<'_>) -> Option<SourceReply> {
    const FORMS: &str = "{ xml: \"…\" }, { json: … } or { empty: true }";
    if !place.value().is_object() {
        return place.expected(FORMS);
    }
    let table = place.table(&["xml", "json", "empty"])?;
    let Some(place) = table.only() else {
        return place.fault(format!("expected one of {FORMS}"));
    };
    match place.key() {
        "xml" => {
            let text = place.text("XML such as \"<Response/>\"")?;
            place.check(SourceReply::xml(text))
        }
        "json" => Some(SourceReply::json(place.value())),
        "empty" if place.flag()? => Some(SourceReply::empty()),
        "empty" => place.fault(format!("expected one of {FORMS}")),
        _ => None,
    }
}
