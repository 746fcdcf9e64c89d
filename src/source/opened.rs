use std::cell::OnceCell;

use memchr::memchr2_iter;
use serde_json::Value;

use crate::domain::Method;

use super::content::Content;
use super::form::raw_query;
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
    pub(super) fn form(&self, name: &str) -> Option<&'a str> {
        let form = self.hook.form();
        if self.is_get() { value(form.query(), name) } else { value(form.body(), name) }
    }

    /// From the address, which only its author writes. A sender that signs only its body puts there
    /// what others put into the address.
    ///
    /// # Errors
    /// It is in the query, and that is not signed.
    pub(super) fn query(&self, name: &str) -> Result<Option<&'a str>, Unreadable> {
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
    pub(super) fn header(&self, name: &str) -> Result<Option<&'a str>, Unreadable> {
        let mut values = self.hook.hook().headers.values(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(Unreadable::Repeated(name.to_owned())),
            (Some(_), None) if !self.hook.vouches_for_headers() => {
                Err(Unreadable::Uncovered(name.to_owned()))
            }
            (Some(value), None) => match str::from_utf8(value) {
                Ok(text) => Ok(Some(text.trim())),
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
        self.hook.form().all().filter(|(key, _)| *key == name).nth(1).is_some()
    }

    /// Which of these fields, that are read from the query, was run into another: it is not there, but
    /// it would be if the marks were where its sender may have put them.
    pub(super) fn shifted<'n>(&self, mut names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
        if self.hook.proof() != Proof::RunTogether {
            return None;
        }
        let form = self.hook.form();
        let raw = raw_query(self.hook.hook());
        let decoded: Vec<_> =
            form.query().flat_map(|(key, value)| ["&", key, "=", value]).skip(1).collect();
        let decoded = decoded.concat();
        let run_together = |query: &[u8]| [b"?", query, form.run_together()].concat();
        let mut signed = vec![run_together(raw)];
        if decoded.as_bytes() != raw {
            signed.push(run_together(decoded.as_bytes()));
        }
        names.find(|name| {
            form.query().all(|(key, _)| key != *name)
                && signed.iter().any(|text| has_field(text, name))
        })
    }

    pub(super) fn proof(&self) -> Proof {
        self.hook.proof()
    }

    pub(super) fn is_get(&self) -> bool {
        self.hook.hook().method == Method::Get
    }
}

fn value<'a>(mut pairs: impl Iterator<Item = (&'a str, &'a str)>, name: &str) -> Option<&'a str> {
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// Whether a field of this name follows a mark that begins one.
fn has_field(text: &[u8], name: &str) -> bool {
    memchr2_iter(b'?', b'&', text).any(|mark| {
        text[mark + 1..].strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::source::sample::{get, post, public_source, signed};
    use crate::source::signature::{Plivo, Scheme};

    /// The definition: the whole text is searched for each name with its marks.
    fn defined_as_shifted<'n>(hook: &VerifiedWebhook, names: &[&'n str]) -> Option<&'n str> {
        let mut fields: Vec<_> = hook.form().body().collect();
        fields.sort_unstable();
        let fields: String = fields.iter().flat_map(|(key, value)| [*key, *value]).collect();
        let query: Vec<_> =
            hook.form().query().map(|(key, value)| format!("{key}={value}")).collect();
        let raw = hook.hook().query.clone().unwrap_or_default();
        let signed = [format!("?{}{fields}", query.join("&")), format!("?{raw}{fields}")];
        names.iter().copied().filter(|name| hook.form().query().all(|(key, _)| key != *name)).find(
            |name| {
                ["?", "&"].iter().any(|mark| {
                    let begins = format!("{mark}{name}=").into_bytes();
                    let has = |text: &String| {
                        text.as_bytes().windows(begins.len()).any(|part| part == begins)
                    };
                    signed.iter().any(has)
                })
            },
        )
    }

    proptest! {
        #[test]
        fn a_shifted_field_is_found_as_it_is_defined(
            query in prop::option::of("([ab]=|&|[?ab=]|%(26|3[fFdD]|6[12])){0,8}"),
            body in "([ab]=|&|[?ab=]|%(26|3[fFdD]|6[12])){0,12}",
            by_get: bool,
        ) {
            let source = public_source(Scheme::Plivo(Plivo::default()));
            let hook = if by_get { get(query.as_deref()) } else { post(query.as_deref(), &body) };
            let verified = source.verify(signed(&source, hook)).expect("it is signed");
            let names = ["a", "b", "ab", "ba"];
            prop_assert_eq!(
                Opened::new(&verified).shifted(names.into_iter()),
                defined_as_shifted(&verified, &names)
            );
        }
    }
}
