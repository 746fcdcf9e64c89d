//! What is valid in the settings and probably a mistake. `check` shows it; `serve` refuses placeholders,
//! unless nothing but its own host can reach it.

use std::collections::BTreeMap;
use std::sync::Arc;

use secrecy::ExposeSecret;

use super::accounts;
use super::cursor::Cursor;
use super::diagnostic::{Context, Diagnostic};
use super::leading_zeros;
use super::listeners::{AdminListener, PublicListener};
use super::located::Located;
use super::spec::Kind;
use crate::destination::Destination;
use crate::domain::{Credentials, Name};
use crate::source::{ForeignCall, Scheme, SignedUrl, Source};
use crate::survey::{Replies, Survey};

/// Warnings of settings that are valid.
#[derive(Debug, Default)]
pub struct Warnings {
    /// Values that stand for a real one, and cannot work.
    pub placeholders: Vec<Diagnostic>,
    /// Secrets that are not set, each replaced by a placeholder; see
    /// [`Environment::without_secrets`](super::Environment::without_secrets).
    pub missing_secrets: Vec<Diagnostic>,
    pub others: Vec<Diagnostic>,
}

/// Shortest token that is taken for a real one, in characters. Plivo's have 40.
const TOKEN_LENGTH_MIN: usize = 16;

const LEADING_ZERO: &str = "a number that begins with 0: Helm and other tools that read YAML 1.1 take 010 for 8, so that \
                            the pod has another value: write it in quotes";

/// Reserved domains (RFC 2606 and RFC 6761), apart from `localhost`.
const RESERVED_DOMAINS: [&str; 6] =
    ["example.com", "example.net", "example.org", "example", "invalid", "test"];

/// Parts of the settings that warnings are about.
pub(super) struct Checked<'s> {
    pub public: &'s PublicListener,
    pub admin: &'s AdminListener,
    pub accounts: &'s BTreeMap<Name, Destination>,
    pub sources: &'s BTreeMap<Name, Arc<Source>>,
    pub replies: &'s BTreeMap<Name, Arc<Replies>>,
    pub surveys: &'s BTreeMap<Name, Arc<Survey>>,
    /// As it is written.
    pub tree: &'s Located,
}

impl Warnings {
    pub(super) fn of(checked: &Checked<'_>, kind: &'static Kind, context: &Context) -> Self {
        let placeholders = context.empty();
        let others = context.empty();
        checked.note_placeholders(&Cursor::root(checked.tree, kind, &placeholders));
        let root = Cursor::root(checked.tree, kind, &others);
        checked.note_others(&root);
        for path in leading_zeros::paths(checked.tree) {
            root.fault_below::<()>(&path, LEADING_ZERO);
        }
        Self {
            placeholders: placeholders.into_sorted(),
            missing_secrets: Vec::new(),
            others: others.into_sorted(),
        }
    }
}

impl Checked<'_> {
    fn note_placeholders(&self, root: &Cursor<'_>) {
        let note = |path: String, message: String| {
            root.fault_below::<()>(&path, message);
        };
        if let Some(url) = &self.public.url {
            if let Some(message) = reserved(url) {
                note("public.url".to_owned(), message);
            }
            if url.has_port() {
                let message = "Plivo does not document whether it signs a port: write the address \
                           without one, or the address of each source under its own url";
                note("public.url".to_owned(), message.to_owned());
            }
        }
        for (name, Destination::Plivo(plivo)) in self.accounts {
            if is_placeholder(&plivo.auth_id) {
                let message = "this is a placeholder: write the Auth ID from Plivo's console";
                note(format!("accounts.{name}.auth_id"), message.to_owned());
            }
            if let Some(message) = too_short(&plivo.account.credentials) {
                note(format!("accounts.{name}.auth_token"), message);
            }
            if let Some(message) = SignedUrl::public(&plivo.api).ok().as_ref().and_then(reserved) {
                note(format!("accounts.{name}.api"), message);
            }
        }
        for (name, source) in self.sources {
            let own_url = written(self.tree, source).is_some_and(|own| own.get("url").is_some());
            if let Some(message) = reserved(&source.url).filter(|_| own_url) {
                note(format!("sources.{name}.url"), message);
            }
            if let Scheme::Telnyx(telnyx) = &source.signature
                && telnyx.has_placeholder()
            {
                let message = "this is a placeholder, which no signature matches: write the public key \
                               from Telnyx's portal";
                note(format!("sources.{name}.signature.telnyx.public_key"), message.to_owned());
            }
        }
    }

    fn note_others(&self, root: &Cursor<'_>) {
        let note = |path: String, message: String| {
            root.fault_below::<()>(&path, message);
        };
        for (name, source) in self.sources {
            let signature = format!("sources.{name}.signature");
            if !source.signature.vouches_for_answers() {
                let message = "anyone who knows the address of this source can send answers to it";
                note(signature.clone(), message.to_owned());
            }
            if source.takes_replays() {
                let message = format!(
                    "a captured request counts again, as often as it is sent: its signature covers \
                 neither a time nor an id that every webhook has, and {} does not keep the first answer. \
                 Name an id that every webhook has under extract.id, or set on_changed_answer: keep_first",
                    source.survey
                );
                note(signature, message);
            }
            let preset =
                written(self.tree, source).and_then(|own| own.get("preset")).map(Located::json);
            let preset = preset.as_ref().and_then(|preset| preset.as_str()).unwrap_or_default();
            if let Some(foreign) = source.readers.foreign_call(preset) {
                note(format!("sources.{name}.extract.call"), foreign_call(&foreign));
            }
        }
        if self.admin.has_no_api() {
            let message = "other hosts can reach this listener and there is no admin.token, so that the \
                           API is off: no operator can search, replay, discard, erase or pause. Set \
                           admin.token, or listen on 127.0.0.1";
            note("admin.listen".to_owned(), message.to_owned());
        }
        for (name, Destination::Plivo(plivo)) in self.accounts {
            if !is_placeholder(&plivo.auth_id)
                && !accounts::is_of_plivo(&plivo.auth_id)
                && SignedUrl::public(&plivo.api).is_ok_and(|api| is_within(api.host(), "plivo.com"))
            {
                let message = "an Auth ID of Plivo's begins with MA or SA: write the one from Plivo's \
                               console";
                note(format!("accounts.{name}.auth_id"), message.to_owned());
            }
        }
        for name in self.accounts.keys() {
            if self.sources.values().all(|source| source.account.name != *name) {
                note(format!("accounts.{name}"), "no source uses this account".to_owned());
            }
        }
        for (name, survey) in self.surveys {
            let path = format!("surveys.{name}");
            let sources: Vec<&Arc<Source>> =
                self.sources.values().filter(|source| source.survey == *name).collect();
            if sources.is_empty() {
                note(path, "no source uses this survey".to_owned());
                continue;
            }
            let replies = sources.iter().filter_map(|source| self.replies.get(&source.name));
            if let Some(message) = survey.unreached_rating() {
                note(format!("{path}.rating.scale.from"), message);
            }
            let unused = survey.unused(replies.map(AsRef::as_ref));
            for at in unused.questions {
                let message = "the answers to this question change nothing: no rating, choice, \
                           condition, notes or reply uses them";
                note(format!("{path}.questions[{at}]"), message.to_owned());
            }
            for at in unused.fields {
                let message = "no condition, notes, reply or label uses this field";
                note(format!("{path}.fields[{at}]"), message.to_owned());
            }
        }
    }
}

/// The table of a source as it is written.
fn written<'t>(tree: &'t Located, source: &Source) -> Option<&'t Located> {
    tree.get("sources")?.get(source.name.as_str())
}

fn foreign_call(ForeignCall { place, vendor, preferred }: &ForeignCall) -> String {
    match &preferred[..] {
        [] => format!(
            "{place} is {vendor}'s id of the call, which Plivo does not know, and the only one that \
             is read: let the sender send Plivo's CallUUID too, and read it, for example with \
             call: query:call_uuid"
        ),
        preferred => {
            let quoted: Vec<String> = preferred.iter().map(|place| format!("{place:?}")).collect();
            format!(
                "if a webhook has no {}, its call is what {place} holds, which is {vendor}'s id and not \
                 known to Plivo: let the sender always send Plivo's CallUUID, and write \
                 call: [{}] to refuse webhooks without it",
                preferred.join(" or "),
                quoted.join(", ")
            )
        }
    }
}

fn is_placeholder(auth_id: &str) -> bool {
    auth_id.to_ascii_uppercase().contains("XXXX")
}

/// Whether it is the domain, or a host of it.
fn is_within(host: &str, domain: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

fn reserved(url: &SignedUrl) -> Option<String> {
    RESERVED_DOMAINS.iter().any(|domain| is_within(url.host(), domain)).then(|| {
        let host = url.host().trim_end_matches('.').to_ascii_lowercase();
        format!("{host} is reserved for examples, and never yours: write the real host")
    })
}

fn too_short(credentials: &Credentials) -> Option<String> {
    let length = |token: &secrecy::SecretString| token.expose_secret().chars().count();
    let shortest = credentials.tokens().iter().map(length).min()?;
    (shortest < TOKEN_LENGTH_MIN).then(|| {
        format!(
            "a token of {shortest} characters is a placeholder: write the Auth Token from Plivo's \
             console, which has at least {TOKEN_LENGTH_MIN}"
        )
    })
}
