use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use super::cursor::{Cursor, Table, all};
use super::extractors::{self, Wanted, readers};
use super::located::{self, Located};
use super::section::{words, words_of};
use super::signatures::{self, signature};
use super::spec::{Kind, Spec, key};
use super::{PublicListener, presets, replies};
use crate::destination::Destination;
use crate::domain::{Account, Advice, Name};
use crate::source::{
    Accepts, OnReject, Scheme, SignedUrl, Source, SourceReply, Unreachable, Unreached,
};
use crate::submission::{ChangedAnswerPolicy, CompletionPolicy};
use crate::survey::Survey;

/// What the entries of `sources` refer to.
pub(super) struct RefContext<'a> {
    /// `None` where the listener itself is at fault.
    pub(super) public: Option<&'a PublicListener>,
    /// By name; `None` where the account is written and at fault.
    pub(super) accounts: &'a BTreeMap<Name, Option<Destination>>,
    /// Likewise.
    pub(super) surveys: &'a BTreeMap<Name, Option<Arc<Survey>>>,
}

/// What is not written is the preset's to say, or has the default that is named.
pub(super) const SPEC: Spec = Spec::of(&[
    key(
        "preset",
        Kind::Word(|| presets::names().collect()),
        "What is known of this kind of sender.",
    )
    .needed(),
    key("account", Kind::Name, "Whose calls are rated; its token checks Plivo's signatures.")
        .needed(),
    key("survey", Kind::Name, "What was asked.").needed(),
    key(
        "url",
        Kind::Text,
        "The address that this sender calls, if it is not public.url and the path.",
    ),
    key("content_types", Kind::List(&Kind::Word(|| vec!["form", "json"])), "What a body may be."),
    key("signature", signatures::KIND, "How the sender signs; none lets anybody in."),
    key(
        "extract",
        Kind::Table(&extractors::SPEC),
        "Where its webhooks say what: only what differs from the preset, key by key.",
    ),
    key("reply", Kind::Table(&REPLY), "What the sender hears when its webhook was kept."),
    key(
        "replies",
        replies::LIST,
        "In place of reply: what it hears by what was answered so far; the first that holds.",
    ),
    key(
        "on_reject",
        words_of::<OnReject>(),
        "The response to a rejected webhook: the status, or the reply, so that a live call continues.",
    ),
    key(
        "quarantine",
        Kind::Whole(0, QUARANTINE_MAX),
        "Most webhooks with a signature of another key that are kept for an hour, unread, and verified \
         again when a secret changes; 100 by default, 0 for none.",
    ),
]);

/// Webhooks of a source that are kept while no known secret verifies them: what a sender sends in a
/// few minutes before the new secret is written.
const QUARANTINE_DEFAULT: usize = 100;

/// The total size is bounded besides, so that more would hardly be kept.
const QUARANTINE_MAX: u64 = 10_000;

const REPLY: Spec = Spec::of(&[
    key("xml", Kind::Text, "XML such as \"<Response/>\"."),
    key("json", Kind::Anything, "JSON, written as YAML."),
    key("empty", Kind::True, "Nothing but the status."),
])
.with_one_of(&["xml", "json", "empty"]);

pub(super) fn source(name: Name, cursor: &Cursor<'_>, refs: &RefContext<'_>) -> Option<Source> {
    let preset = cursor
        .table()?
        .need("preset", &format!("a preset, one of {}", names()))
        .and_then(|cursor| preset(&cursor));
    // Without its preset a source would lack what the preset says; what it says itself is checked.
    let without = preset.is_none();
    let table =
        presets::under(cursor.located(), preset.unwrap_or(Located::table(located::Table::new())));
    let table = cursor.holding(&table).table()?;

    let account = table
        .need("account", "the name of an account")
        .and_then(|cursor| account(&cursor, refs.accounts));
    let survey = table
        .need("survey", "the name of a survey")
        .and_then(|cursor| survey(&cursor, refs.surveys));
    let accepts = table.or("content_types", Accepts::Form, |cursor| accepts(&cursor));
    let signature = match table.get("signature") {
        None if without => None,
        None => {
            table.fault_at("signature", "missing: this preset leaves it to you: name one such as { bearer: { env: HOOK_TOKEN } }, or none")
        }
        Some(cursor) => signature(&cursor),
    };
    let readers = match (table.get("extract"), &survey) {
        (Some(read), Some((_, Some(survey)))) if !without => {
            readers(&read, cursor.located().get("extract"), &wanted(survey))
        }
        _ => None,
    };
    let url = url(&table, signature.as_ref(), refs.public);
    let preset = table.get("preset").and_then(|cursor| cursor.value()?.as_str());
    let preset = preset.unwrap_or_default();
    // A vendor's preset knows what its vendor sends; those for any sender read an id if there is one.
    let own_id = cursor.located().get("extract").and_then(|own| own.get("id"));
    let requires_id = own_id.is_some() || !preset.starts_with("generic-");
    let repeats_count = survey
        .as_ref()
        .and_then(|(_, survey)| *survey)
        .is_some_and(|survey| survey.changed_answers() != ChangedAnswerPolicy::KeepFirst);
    let reply = table.or("reply", SourceReply::default(), |cursor| reply(&cursor, preset));
    let on_reject = table.or("on_reject", OnReject::default(), |cursor| cursor.one_of());
    let quarantine = table.or("quarantine", QUARANTINE_DEFAULT, |cursor| {
        cursor.whole().and_then(|count| usize::try_from(count).ok())
    });
    let source = Source {
        name,
        account: account?,
        survey: survey?.0,
        accepts: accepts?,
        signature: signature?,
        has_ids: requires_id && readers.as_ref().is_some_and(|readers| !readers.id.is_empty()),
        readers: readers?,
        repeats_count,
        url: url?,
        reply: reply?,
        on_reject: on_reject?,
        quarantine: quarantine?,
    };
    if let Some(Unreachable { what, why }) = source.unreachable() {
        table.cursor().fault_below::<()>(&key_of(&what, &table), why);
    }
    Some(source)
}

/// Where it is written what no webhook brings.
fn key_of(what: &Unreached, table: &Table<'_>) -> String {
    let question = match what {
        Unreached::Body => return "content_types".to_owned(),
        Unreached::Call => return "extract.call".to_owned(),
        Unreached::Filter => return "extract.filter".to_owned(),
        Unreached::Answer(None) => return "extract.answer".to_owned(),
        Unreached::Answer(Some(question)) => question.as_str(),
    };
    let answers = table.get("extract").map(|extract| extract.json()["answers"].clone());
    let answers = answers.as_ref().and_then(|answers| answers.as_array());
    match answers.and_then(|items| items.iter().position(|item| item["question"] == question)) {
        Some(at) => format!("extract.answers[{at}].from"),
        None => "extract.each_question".to_owned(),
    }
}

/// Each field of a survey must be extracted by one of its sources.
pub(super) fn check_fields(
    cursor: &Cursor<'_>,
    surveys: &BTreeMap<Name, Option<Arc<Survey>>>,
    sources: &BTreeMap<Name, Option<Arc<Source>>>,
) {
    // What a source at fault would tell is not known.
    if cursor.has_unknown_in("sources") {
        return;
    }
    let Some(sources) = sources.values().map(Option::as_ref).collect::<Option<Vec<_>>>() else {
        return;
    };
    for (name, cursor) in cursor.named() {
        let Some(Some(survey)) = surveys.get(&name) else { continue };
        let sources: Vec<_> = sources.iter().filter(|source| source.survey == name).collect();
        let extracted: Vec<&Name> = sources
            .iter()
            .flat_map(|source| &source.readers.fields)
            .map(|(name, _)| name)
            .collect();
        for field in survey.fields().iter().filter(|field| !extracted.contains(field)) {
            if !sources.is_empty() {
                let message = format!(
                    "no source of this survey reads {field}: say where, under its extract.fields"
                );
                cursor.fault_below::<()>("fields", message);
            }
        }
    }
}

fn preset(cursor: &Cursor<'_>) -> Option<Located> {
    let text = cursor.text_if("the name of a preset", |text| presets::named(text).is_some())?;
    match presets::named(text) {
        Some(preset) => Some(preset),
        None => {
            let known: Vec<&str> = presets::names().collect();
            cursor.fault(Advice::unknown_name("there is no such preset", text, &known))
        }
    }
}

fn names() -> String {
    presets::names().collect::<Vec<_>>().join(", ")
}

/// What a source of this survey is to find in its webhooks.
fn wanted(survey: &Survey) -> Wanted<'_> {
    Wanted { questions: survey.questions().collect(), fields: survey.fields().iter().collect() }
}

fn account(
    cursor: &Cursor<'_>,
    accounts: &BTreeMap<Name, Option<Destination>>,
) -> Option<Arc<Account>> {
    let name: Name = cursor.parsed("the name of an account")?;
    match accounts.get(&name) {
        Some(account) => Some(account.as_ref()?.account().clone()),
        None => cursor.undefined("accounts", &name, &names_of(accounts)),
    }
}

/// `None` beside the name where the survey is written and at fault.
fn survey<'a>(
    cursor: &Cursor<'_>,
    surveys: &'a BTreeMap<Name, Option<Arc<Survey>>>,
) -> Option<(Name, Option<&'a Survey>)> {
    let name: Name = cursor.parsed("the name of a survey")?;
    match surveys.get(&name) {
        Some(survey) => Some((name, survey.as_deref())),
        None => cursor.undefined("surveys", &name, &names_of(surveys)),
    }
}

/// What the bodies of webhooks may be.
fn accepts(cursor: &Cursor<'_>) -> Option<Accepts> {
    const FORMS: &str = "a list of form and json";
    let items = cursor.list("form and json")?;
    let words = [("form", false), ("json", true)];
    let kinds = all(items.iter().map(|cursor| cursor.word(&words)))?;
    match (kinds.contains(&false), kinds.contains(&true)) {
        (true, true) => Some(Accepts::Either),
        (true, false) => Some(Accepts::Form),
        (false, true) => Some(Accepts::Json),
        (false, false) => cursor.fault(format!("an empty list: expected {FORMS}")),
    }
}

fn names_of<T>(entries: &BTreeMap<Name, T>) -> Vec<&str> {
    entries.keys().map(Name::as_str).collect()
}

/// The source's own, or the public one; where neither is written and nothing is signed with it,
/// the listener itself.
fn url(
    table: &Table<'_>,
    signature: Option<&Scheme>,
    public: Option<&PublicListener>,
) -> Option<SignedUrl> {
    if let Some(cursor) = table.get("url") {
        const EXPECTED: &str = "an address such as https://edge.example.com/survey";
        let text = cursor.text_if(EXPECTED, |text| SignedUrl::own(text).is_ok())?;
        return cursor.check(SignedUrl::own(text));
    }
    let (public, signature) = (public?, signature?);
    match &public.url {
        Some(url) => Some(url.clone()),
        None if table.cursor().has_unknown_in("public") => None,
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

/// A listener that listens everywhere can at least be reached from here.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        bound => bound.ip(),
    };
    // Which port 0 will become is not known yet; an address needs one that is lawful.
    SocketAddr::new(ip, listen.port().max(1))
}

fn reply(cursor: &Cursor<'_>, preset: &str) -> Option<SourceReply> {
    const FORMS: &str = "{ xml: \"…\" }, { json: … } or { empty: true }";
    if !cursor.is_table() {
        return cursor.expected(FORMS);
    }
    let Some((key, cursor)) = cursor.table()?.only() else {
        return cursor.fault(format!("expected one of {FORMS}"));
    };
    match key {
        "xml" => {
            let text = cursor.text("XML such as \"<Response/>\"")?;
            cursor.check(presets::xml(preset, text))
        }
        "json" => Some(SourceReply::json(&cursor.json())),
        "empty" if cursor.flag()? => Some(SourceReply::empty()),
        "empty" => cursor.fault(format!("expected one of {FORMS}")),
        _ => None,
    }
}

words! {
    OnReject { "status" => Status, "reply" => Reply }
}
