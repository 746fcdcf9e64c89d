use std::cell::OnceCell;

use serde_json::Value;

use crate::domain::Method;

use super::content::Content;
use super::json;
use super::refused::Unreadable;
use super::signature::{Proof, VerifiedWebhook};

/// A verified hook while it is read: its JSON is parsed once, when something first asks for it, and
/// nothing is given out that nobody vouches for.
pub(super) struct Opened<'a> {
    hook: &'a VerifiedWebhook,
    json: OnceCell<Result<Option<Value>, Unreadable>>,
}

impl<'a> Opened<'a> {
    pub(super) fn new(hook: &'a VerifiedWebhook) -> Self {
        Self { hook, json: OnceCell::new() }
    }

    /// From the body of a POST, from the query of a GET.
    pub(super) fn form(&self, name: &str) -> Option<String> {
        let form = self.hook.form();
        value(if self.is_get() { form.query() } else { form.body() }, name)
    }

    /// From the address, which only its author writes. A sender that signs only its body puts there
    /// what others put into the address.
    ///
    /// # Errors
    /// It is in the query, and that is not signed.
    pub(super) fn query(&self, name: &str) -> Result<Option<String>, Unreadable> {
        let form = self.hook.form();
        let found = value(form.query(), name);
        match self.hook.proof() {
            Proof::Body if found.is_some() => Err(Unreadable::Uncovered(name.to_owned())),
            Proof::Body => Ok(value(form.body(), name)),
            Proof::Whole | Proof::RunTogether | Proof::Address => Ok(found),
        }
    }

    /// # Errors
    /// It is there twice, or it is no text, or the sender signs and signs no headers.
    pub(super) fn header(&self, name: &str) -> Result<Option<String>, Unreadable> {
        let mut values = self.hook.hook().header_values(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(Unreadable::Repeated(name.to_owned())),
            (Some(_), None) if !self.hook.vouches_for_headers() => {
                Err(Unreadable::Uncovered(name.to_owned()))
            }
            (Some(value), None) => match str::from_utf8(value) {
                Ok(text) => Ok(Some(text.trim().to_owned())),
                Err(_) => Err(Unreadable::BrokenText),
            },
        }
    }

    /// The body, where it is JSON.
    ///
    /// # Errors
    /// It says that it is and is not, it is nested too deep, or has a key twice.
    pub(super) fn json(&self) -> Result<Option<&Value>, Unreadable> {
        let parsed = self.json.get_or_init(|| match self.hook.content() {
            Content::Json => json::parse(&self.hook.hook().body).map(Some),
            Content::Nothing | Content::Form => Ok(None),
        });
        parsed.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }

    /// Whether a field of the form or of the query is there twice, wherever.
    pub(super) fn repeats(&self, name: &str) -> bool {
        let form = self.hook.form();
        form.query().iter().chain(form.body()).filter(|(key, _)| key == name).nth(1).is_some()
    }

    /// Which of these fields, that are read from the query, was run into another: it is not there, and
    /// would be if the marks stood where its sender may have put them.
    pub(super) fn shifted<'n>(&self, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
        let signed = self.hook.run_together()?;
        let query = self.hook.form().query();
        names.filter(|name| query.iter().all(|(key, _)| key != name)).find(|name| {
            ["?", "&"].iter().any(|mark| {
                let begins = format!("{mark}{name}=").into_bytes();
                signed.iter().any(|text| text.windows(begins.len()).any(|part| part == begins))
            })
        })
    }

    pub(super) fn proof(&self) -> Proof {
        self.hook.proof()
    }

    pub(super) fn is_get(&self) -> bool {
        self.hook.hook().method == Method::Get
    }
}

fn value(pairs: &[(String, String)], name: &str) -> Option<String> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}
