use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::accounts::Account;
use super::signatures::signature;
use super::written::{Place, Table};
use super::{Environment, PublicDoor};
use crate::domain::Name;
use crate::source::{
    Accepts, OnRefusal, Plivo, PlivoHeader, Scheme, SignedUrl, Source, SourceReply,
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
    let table = place.table(&[
        "preset",
        "account",
        "survey",
        "url",
        "body",
        "signature",
        "reply",
        "on_refusal",
    ])?;
    let preset =
        table.need("preset", "a preset: plivo").and_then(|place| place.word(&[("plivo", ())]));
    let account = table
        .need("account", "the name of an account")
        .and_then(|place| account(&place, surroundings.accounts));
    let survey = table
        .need("survey", "the name of a survey")
        .and_then(|place| survey(&place, surroundings.surveys));
    let accepts = table.or("body", Accepts::Form, |place| accepts(&place));
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
        accepts: accepts?,
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

/// What the bodies of hooks may be.
fn accepts(place: &Place<'_>) -> Option<Accepts> {
    const FORMS: &str = "a list of form and json";
    let items = place.list("form and json")?;
    let kinds: Vec<_> =
        items.iter().map(|place| place.word(&[("form", false), ("json", true)])).collect();
    let kinds = kinds.into_iter().collect::<Option<Vec<bool>>>()?;
    match (kinds.contains(&false), kinds.contains(&true)) {
        (true, true) => Some(Accepts::Either),
        (true, false) => Some(Accepts::Form),
        (false, true) => Some(Accepts::Json),
        (false, false) => place.fault(format!("an empty list: expected {FORMS}")),
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
        None if signature.signs_address() => table.fault_at(
            "url",
            "missing: the sender signs the address that it calls, so write it here or as public.url",
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
