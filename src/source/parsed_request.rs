use std::borrow::Cow;
use std::cell::OnceCell;

use memchr::{memchr, memchr2_iter};
use serde_json::Value;

use crate::domain::Method;

use super::content::Content;
use super::form::{is_bare, is_escaped, raw_query};
use super::json;
use super::recut::{PRESSED, ReadField};
use super::rejection::ParseError;
use super::signature::{SignatureCoverage, VerifiedWebhook, v3_queries};

/// A verified webhook while it is read: its JSON is parsed once, when something first asks for it, and
/// nothing is given out that no one vouches for.
pub(super) struct ParsedRequest<'a> {
    webhook: &'a VerifiedWebhook,
    /// In place of its own, fields that the body of a POST would have if it were cut otherwise.
    fields: Option<&'a [(&'a str, &'a str)]>,
    json: OnceCell<Result<Option<Value>, ParseError>>,
}

impl<'a> ParsedRequest<'a> {
    pub(super) fn new(webhook: &'a VerifiedWebhook) -> Self {
        Self { webhook, fields: None, json: OnceCell::new() }
    }

    /// As if the body of the POST had these fields.
    pub(super) fn cut(webhook: &'a VerifiedWebhook, fields: &'a [(&'a str, &'a str)]) -> Self {
        Self { webhook, fields: Some(fields), json: OnceCell::new() }
    }

    /// From the body of a POST, from the query of a GET.
    pub(super) fn form(&self, name: &str) -> Option<&'a str> {
        let form = self.webhook.form();
        match self.fields {
            _ if self.is_get() => value(form.query(), name),
            Some(fields) => value(fields.iter().copied(), name),
            None => value(form.body(), name),
        }
    }

    /// From the address, which only its author writes. A sender that signs only its body puts there
    /// what others put into the address.
    ///
    /// # Errors
    /// It is in the query, and that is not signed.
    pub(super) fn query(&self, name: &str) -> Result<Option<&'a str>, ParseError> {
        let form = self.webhook.form();
        let found = value(form.query(), name);
        match self.webhook.coverage() {
            SignatureCoverage::Body if found.is_some() => {
                Err(ParseError::Uncovered(name.to_owned()))
            }
            SignatureCoverage::Body => Ok(value(form.body(), name)),
            SignatureCoverage::Whole
            | SignatureCoverage::Concatenated
            | SignatureCoverage::ConcatenatedOnce
            | SignatureCoverage::Address => Ok(found),
        }
    }

    /// # Errors
    /// It is there twice, or it is no text, or the sender signs and signs no headers.
    pub(super) fn header(&self, name: &str) -> Result<Option<&'a str>, ParseError> {
        let mut values = self.webhook.webhook().headers.values(name);
        match (values.next(), values.next()) {
            (None, _) => Ok(None),
            (Some(_), Some(_)) => Err(ParseError::Repeated(name.to_owned())),
            (Some(_), None) if !self.webhook.vouches_for_headers() => {
                Err(ParseError::Uncovered(name.to_owned()))
            }
            (Some(value), None) => match str::from_utf8(value) {
                Ok(text) => Ok(Some(text.trim())),
                Err(_) => Err(ParseError::BrokenText),
            },
        }
    }

    /// The body, where it is JSON.
    ///
    /// # Errors
    /// It says that it is and is not, it is nested too deep, or has a key twice.
    pub(super) fn json(&self) -> Result<Option<&Value>, ParseError> {
        let parsed = self.json.get_or_init(|| match self.webhook.content() {
            Content::Json => json::parse(&self.webhook.webhook().body).map(Some),
            Content::Nothing | Content::Form => Ok(None),
        });
        parsed.as_ref().map(Option::as_ref).map_err(Clone::clone)
    }

    /// Whether a field of the form or of the query is there twice, wherever.
    pub(super) fn repeats(&self, name: &str) -> bool {
        self.webhook.form().all().filter(|(key, _)| *key == name).nth(1).is_some()
    }

    /// Which of these fields, that are read from the query, was run into another: it is not there, but
    /// it would be if the marks were where its sender may have put them.
    pub(super) fn shifted<'n>(&self, mut names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
        if !self.is_run_together() {
            return None;
        }
        let form = self.webhook.form();
        let fields = form.concatenated().as_bytes();
        let signed: Vec<_> =
            self.signed_queries().iter().map(|query| [b"?", &**query, fields].concat()).collect();
        names.find(|name| {
            form.query().all(|(key, _)| key != *name)
                && signed.iter().any(|text| has_field(text, name))
        })
    }

    /// Which of these, that are read from the query (`true`: of a POST, too), could begin or end elsewhere in what Plivo signs of
    /// it: decoded or not, sorted, and with a mark between two fields that looks like one within a
    /// value.
    pub(super) fn recut_in_query<'n>(
        &self,
        mut names: impl Iterator<Item = (&'n str, bool)>,
    ) -> Option<&'n str> {
        if self.webhook.coverage() != SignatureCoverage::Concatenated {
            return None;
        }
        let mut sorted: Vec<_> = self.webhook.form().query().collect();
        sorted.sort_unstable();
        // No request line holds a space, so what holds one was signed decoded. Behind a dot it may
        // have been in a body, whose POST is refused for what is read from the form.
        let has_space = |text: &str| text.contains(' ');
        let any_space = sorted.iter().any(|(key, value)| has_space(key) || has_space(value));
        names.find_map(|(name, of_post)| {
            let at = sorted.iter().position(|(key, _)| *key == name)?;
            let begins_earlier = sorted[..at]
                .iter()
                .any(|(key, value)| has_field(["?", key, "=", value].concat().as_bytes(), name));
            let value = sorted[at].1;
            let mut behind_marks = value.split('&').skip(1);
            let is_decoded = match of_post {
                true => value.split('.').next().is_some_and(has_space),
                false => any_space,
            };
            let is_recut = begins_earlier
                || behind_marks.any(|part| part.contains('='))
                || (!is_decoded && is_escaped(value));
            is_recut.then_some(name)
        })
    }

    /// Which of these fields, that are read from the body of a POST and decide something, is in the
    /// query without a mark after it, as it would if a body were moved there; or in the body with marks
    /// about it, as it would if a query were; or in the query of a POST, as it would if that were a GET.
    pub(super) fn moved<'n>(&self, fields: &[ReadField<'n>]) -> Option<&'n str> {
        if !self.is_run_together() {
            return None;
        }
        let form = self.webhook.form();
        let queries = match self.webhook.coverage() {
            SignatureCoverage::ConcatenatedOnce => vec![raw_query(self.webhook.webhook()).to_vec()],
            _ => v3_queries(self.webhook.webhook(), form),
        };
        let body = [b"?", form.concatenated().as_bytes()].concat();
        // Plivo puts a dot between query and form.
        let behind_dot = |query: &[u8]| memchr(b'.', query).map_or(query.len(), |dot| dot + 1);
        let is_moved = |ReadField { name, is_call, in_query, .. }: &ReadField<'_>| {
            queries.iter().any(|query| {
                let from = if *is_call { 0 } else { behind_dot(query) };
                let is_of_get = || has_field(&[b"?", &**query].concat(), name);
                // No keys and no name begin with one of these, so it is a word of someone's.
                let marks: &[u8] = if *name == PRESSED { b"= +%,.?!" } else { b"=" };
                is_bare(&query[from..], name, marks) || (!self.is_get() && !in_query && is_of_get())
            }) || has_field(&body, name)
        };
        // Of a GET only the query is read, so the field is in its place.
        let looked_at = |field: &&ReadField<'_>| {
            field.decides && (field.is_call || !self.is_get() || self.form(field.name).is_none())
        };
        fields.iter().filter(looked_at).find(|field| is_moved(field)).map(|field| field.name)
    }

    /// What Plivo or Twilio may have signed of the query, but for the order of its fields.
    fn signed_queries(&self) -> Vec<Cow<'_, [u8]>> {
        let raw = raw_query(self.webhook.webhook());
        let form = self.webhook.form();
        let decoded: String =
            form.query().flat_map(|(key, value)| ["&", key, "=", value]).skip(1).collect();
        let mut queries = vec![Cow::Borrowed(raw)];
        if decoded.as_bytes() != raw {
            queries.push(Cow::Owned(decoded.into_bytes()));
        }
        queries
    }

    fn is_run_together(&self) -> bool {
        matches!(
            self.webhook.coverage(),
            SignatureCoverage::Concatenated | SignatureCoverage::ConcatenatedOnce
        )
    }

    pub(super) fn coverage(&self) -> SignatureCoverage {
        self.webhook.coverage()
    }

    pub(super) fn is_get(&self) -> bool {
        self.webhook.webhook().method == Method::Get
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
    fn defined_as_shifted<'n>(webhook: &VerifiedWebhook, names: &[&'n str]) -> Option<&'n str> {
        let mut fields: Vec<_> = webhook.form().body().collect();
        fields.sort_unstable();
        let fields: String = fields.iter().flat_map(|(key, value)| [*key, *value]).collect();
        let query: Vec<_> =
            webhook.form().query().map(|(key, value)| format!("{key}={value}")).collect();
        let raw = webhook.webhook().query.clone().unwrap_or_default();
        let signed = [format!("?{}{fields}", query.join("&")), format!("?{raw}{fields}")];
        names
            .iter()
            .copied()
            .filter(|name| webhook.form().query().all(|(key, _)| key != *name))
            .find(|name| {
                ["?", "&"].iter().any(|mark| {
                    let begins = format!("{mark}{name}=").into_bytes();
                    let has = |text: &String| {
                        text.as_bytes().windows(begins.len()).any(|part| part == begins)
                    };
                    signed.iter().any(has)
                })
            })
    }

    proptest! {
        #[test]
        fn a_shifted_field_is_found_as_it_is_defined(
            query in prop::option::of("([ab]=|&|[?ab=]|%(26|3[fFdD]|6[12])){0,8}"),
            body in "([ab]=|&|[?ab=]|%(26|3[fFdD]|6[12])){0,12}",
            by_get: bool,
        ) {
            let source = public_source(Scheme::Plivo(Plivo::default()));
            let webhook = if by_get { get(query.as_deref()) } else { post(query.as_deref(), &body) };
            let verified = source.verify(signed(&source, webhook)).expect("it is signed");
            let names = ["a", "b", "ab", "ba"];
            prop_assert_eq!(
                ParsedRequest::new(&verified).shifted(names.into_iter()),
                defined_as_shifted(&verified, &names)
            );
        }
    }
}
