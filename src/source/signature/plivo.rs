use std::collections::BTreeSet;

use data_encoding::BASE64;
use secrecy::ExposeSecret;
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::{Credentials, IdempotencyKey, Webhook};
use crate::source::form::{Form, raw_pairs, raw_query};
use crate::source::url::SignedUrl;

use super::attempt::SignatureAttempt;
use super::error::SignatureError;
use super::header;
use super::secret::{any_verifies, hmac_sha256, is_tag};
use super::signed_id::SignedId;

/// Plivo's own signatures: HMAC-SHA256 with an auth token, in Base64.
///
/// V3 covers address, query and form; V2 covers the address alone, and is not tried where a header
/// of the V3 family is present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plivo {
    /// Never empty.
    accepted: BTreeSet<PlivoHeader>,
}

/// The headers that Plivo signs with, the preferred first. The plain ones are made with the token
/// of the account or subaccount that owns the call, the `Ma` ones with the main account's.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownPlivoHeader, parse_err_fn = unknown)]
pub enum PlivoHeader {
    V3,
    MaV3,
    V2,
    MaV2,
}

/// A scheme that accepts no header would refuse every webhook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("name at least one of v3, ma-v3, v2, ma-v2")]
pub struct NothingAccepted;

/// The text names no signature of Plivo's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a signature of Plivo's; one of v3, ma-v3, v2, ma-v2")]
pub struct UnknownPlivoHeader;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V3,
    V2,
}

type Tag = [u8; 32];

/// Longest nonce, in bytes, so that each can be an idempotency key. Plivo's have some twenty digits.
const NONCE_LENGTH_MAX: usize = IdempotencyKey::LENGTH_MAX;

/// Most signatures in one request. Plivo lists one for each token of an account.
const SIGNATURES_MAX: usize = 16;

impl Plivo {
    /// # Errors
    /// At least one is needed.
    pub fn accepting(
        headers: impl IntoIterator<Item = PlivoHeader>,
    ) -> Result<Self, NothingAccepted> {
        let accepted = BTreeSet::from_iter(headers);
        if accepted.is_empty() { Err(NothingAccepted) } else { Ok(Self { accepted }) }
    }

    pub fn accepted(&self) -> impl Iterator<Item = PlivoHeader> + '_ {
        self.accepted.iter().copied()
    }

    pub(super) fn preferred(&self) -> PlivoHeader {
        *self.accepted.first().expect("never empty")
    }

    /// Any token that matches any listed signature suffices. Returns the family, and the nonce of V3.
    pub(super) fn verify(
        &self,
        webhook: &Webhook,
        form: &Form,
        url: &SignedUrl,
        tokens: &Credentials,
    ) -> Result<(Family, Option<SignedId>), SignatureError> {
        let mut signatures = Vec::new();
        for name in PlivoHeader::ALL {
            if let Some(value) = header::only(webhook, name.header())? {
                signatures.push((name, value));
            }
        }
        let v3_nonce = header::only(webhook, Family::V3.nonce_header())?;
        let v2_nonce = header::only(webhook, Family::V2.nonce_header())?;

        let speaks_v3 =
            v3_nonce.is_some() || signatures.iter().any(|(name, _)| name.family() == Family::V3);
        let (family, nonce) =
            if speaks_v3 { (Family::V3, v3_nonce) } else { (Family::V2, v2_nonce) };
        let nonce = nonce.filter(|nonce| !nonce.is_empty()).ok_or(SignatureError::Missing)?;
        if nonce.len() > NONCE_LENGTH_MAX || nonce.contains(&b'.') {
            return Err(SignatureError::Id);
        }
        let listed = signatures
            .into_iter()
            .filter(|(name, _)| name.family() == family && self.accepted.contains(name));
        let claimed = claimed_tags(listed.map(|(_, value)| value))?;
        let verified = family
            .any_message(webhook, form, url, nonce, |message| is_signed(tokens, message, &claimed));
        if !verified {
            return Err(SignatureError::Mismatch);
        }
        let nonce = || SignedId::Nonce(String::from_utf8_lossy(nonce).into_owned());
        Ok((family, (family == Family::V3).then(nonce)))
    }

    /// Signs with the preferred header and the first token.
    pub(super) fn sign(
        &self,
        webhook: &Webhook,
        form: &Form,
        url: &SignedUrl,
        tokens: &Credentials,
        nonce: &str,
    ) -> [(String, String); 2] {
        let name = self.preferred();
        let family = name.family();
        let mut signature = String::new();
        family.any_message(webhook, form, url, nonce.as_bytes(), |likeliest| {
            let tag = hmac_sha256(tokens.first().expose_secret(), likeliest);
            signature = BASE64.encode(&tag);
            true
        });
        [
            (name.header().to_owned(), signature),
            (family.nonce_header().to_owned(), nonce.to_owned()),
        ]
    }

    /// Every text that may have been signed, under each family whose headers are accepted.
    pub(super) fn explain(
        &self,
        webhook: &Webhook,
        form: &Form,
        url: &SignedUrl,
        tokens: &Credentials,
    ) -> Vec<SignatureAttempt> {
        let mut tried = Vec::new();
        for family in [Family::V3, Family::V2] {
            let accepted: Vec<PlivoHeader> =
                self.accepted().filter(|name| name.family() == family).collect();
            let Some(first) = accepted.first() else { continue };
            let mut headers: Vec<&str> = accepted.iter().map(|name| name.header()).collect();
            headers.push(family.nonce_header());
            let value = |name: &str| header::only(webhook, name).ok().flatten();
            let nonce = value(family.nonce_header()).unwrap_or_default();
            let claimed = claimed_tags(accepted.iter().filter_map(|name| value(name.header())));
            let claimed = claimed.unwrap_or_default();
            family.any_message(webhook, form, url, nonce, |message| {
                let matches = is_signed(tokens, message, &claimed);
                let way = SignatureAttempt::new(webhook, first.label(), &headers);
                tried.push(way.over(&message.concat(), matches));
                false
            });
        }
        tried
    }
}

impl Default for Plivo {
    /// V3 and Ma-V3.
    fn default() -> Self {
        Self { accepted: BTreeSet::from([PlivoHeader::V3, PlivoHeader::MaV3]) }
    }
}

impl PlivoHeader {
    pub const ALL: [PlivoHeader; PlivoHeader::VARIANTS.len()] =
        *PlivoHeader::VARIANTS.first_chunk().expect("the array has their length");

    pub fn label(self) -> &'static str {
        self.into()
    }

    pub(super) fn family(self) -> Family {
        match self {
            PlivoHeader::V3 | PlivoHeader::MaV3 => Family::V3,
            PlivoHeader::V2 | PlivoHeader::MaV2 => Family::V2,
        }
    }

    fn header(self) -> &'static str {
        match self {
            PlivoHeader::V3 => "X-Plivo-Signature-V3",
            PlivoHeader::MaV3 => "X-Plivo-Signature-Ma-V3",
            PlivoHeader::V2 => "X-Plivo-Signature-V2",
            PlivoHeader::MaV2 => "X-Plivo-Signature-Ma-V2",
        }
    }
}

fn unknown(_: &str) -> UnknownPlivoHeader {
    UnknownPlivoHeader
}

impl Family {
    fn nonce_header(self) -> &'static str {
        match self {
            Family::V3 => "X-Plivo-Signature-V3-Nonce",
            Family::V2 => "X-Plivo-Signature-V2-Nonce",
        }
    }

    /// Whether any text that Plivo may have signed `is_signed`. Each is given in pieces, at least one
    /// of them, and the likeliest first. To accept any of them is safe: each takes the token.
    fn any_message(
        self,
        webhook: &Webhook,
        form: &Form,
        url: &SignedUrl,
        nonce: &[u8],
        mut is_signed: impl FnMut(&[&[u8]]) -> bool,
    ) -> bool {
        let mut at_any_address = |rest: [&[u8]; 6]| {
            url.candidates(&webhook.path).any(|address| {
                let [origin, port, path, added] = address.map(str::as_bytes);
                let [mark, query, dot, fields, last_dot, nonce] = rest;
                is_signed(&[origin, port, path, added, mark, query, dot, fields, last_dot, nonce])
            })
        };
        match self {
            Family::V2 => at_any_address([b"", b"", b"", b"", b"", nonce]),
            // The question mark is there if anything follows it, the first dot only between both.
            Family::V3 => v3_queries(webhook, form).iter().any(|query| {
                let fields = form.concatenated().as_bytes();
                let (mark, dot): (&[u8], &[u8]) = match (query.is_empty(), fields.is_empty()) {
                    (true, true) => (b"", b""),
                    (false, false) => (b"?", b"."),
                    _ => (b"?", b""),
                };
                at_any_address([mark, query, dot, fields, b".", nonce])
            }),
        }
    }
}

/// Whether any token makes one of the claimed tags of a message, which is given in pieces.
fn is_signed(tokens: &Credentials, message: &[&[u8]], claimed: &[Tag]) -> bool {
    any_verifies(tokens, |token| {
        let tag = hmac_sha256(token, message);
        claimed.iter().any(|claimed| is_tag(&tag, claimed))
    })
}

/// Each value is a list with commas. What is no tag in Base64 can match nothing and spoils nothing.
fn claimed_tags<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Tag>, SignatureError> {
    let mut listed = 0;
    let mut claimed = Vec::new();
    let texts = values.flat_map(|value| value.split(|&b| b == b',')).map(<[u8]>::trim_ascii);
    for text in texts.filter(|text| !text.is_empty()) {
        listed += 1;
        if listed > SIGNATURES_MAX {
            return Err(SignatureError::TooMany);
        }
        claimed.extend(decoded_tag(text));
    }
    if listed == 0 { Err(SignatureError::Missing) } else { Ok(claimed) }
}

fn decoded_tag(text: &[u8]) -> Option<Tag> {
    // One byte more, for the padding.
    let mut decoded = [0; 33];
    if BASE64.decode_len(text.len()).ok()? != decoded.len() {
        return None;
    }
    let length = BASE64.decode_mut(text, &mut decoded).ok()?;
    decoded[..length].try_into().ok()
}

/// Sorted likewise, as `key=value&key=value`: decoded, and as it came where that differs. Plivo's
/// libraries disagree, and what its servers sign is not documented.
pub(in crate::source) fn v3_queries(webhook: &Webhook, form: &Form) -> Vec<Vec<u8>> {
    let decoded = form.query().map(|(key, value)| (key.as_bytes(), value.as_bytes())).collect();
    let mut queries = vec![v3_query(decoded), v3_query(raw_pairs(raw_query(webhook)).collect())];
    queries.dedup();
    queries
}

fn v3_query(mut pairs: Vec<(&[u8], &[u8])>) -> Vec<u8> {
    pairs.sort();
    let pieces = pairs.iter().flat_map(|(key, value)| [b"&", *key, b"=", *value]).skip(1);
    pieces.collect::<Vec<_>>().concat()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::domain::Method;
    use crate::source::content::Content;
    use crate::source::sample::{get, post, public_source, signed, source, with_header};
    use crate::source::signature::Scheme;
    use crate::source::{Rejection, Source, encode};

    #[derive(Deserialize)]
    struct Vectors {
        vectors: Vec<Vector>,
    }

    #[derive(Deserialize)]
    struct Vector {
        id: String,
        method: String,
        url: String,
        form: Vec<(String, String)>,
        body: String,
        headers: std::collections::BTreeMap<String, String>,
        auth_token: String,
        expected_valid: bool,
        signed_string: String,
    }

    fn vectors() -> Vec<Vector> {
        let text = include_str!("../../../tests/fixtures/signature-vectors.json");
        let vectors = serde_json::from_str::<Vectors>(text).unwrap().vectors;
        assert_eq!(vectors.len(), 23);
        vectors
    }

    impl Vector {
        fn source(&self) -> Source {
            self.source_with(&self.auth_token)
        }

        fn source_with(&self, token: &str) -> Source {
            let end = self.url.find(['?', '#']).unwrap_or(self.url.len());
            let all = Plivo::accepting(PlivoHeader::ALL).unwrap();
            source(Scheme::Plivo(all), SignedUrl::own(&self.url[..end]).unwrap(), token)
        }

        /// On a GET the form's pairs are part of the query.
        fn webhook(&self) -> Webhook {
            let without_fragment = self.url.split('#').next().unwrap();
            let query = without_fragment.split_once('?').map(|(_, query)| query);
            let webhook = if self.method == "GET" {
                let pairs = encode(self.form.iter().map(|(k, v)| (k.as_str(), v.as_str())));
                let parts = [query.unwrap_or_default(), &pairs];
                get(Some(
                    &parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("&"),
                ))
            } else {
                post(query, &self.body)
            };
            self.headers
                .iter()
                .fold(webhook, |webhook, (name, value)| with_header(webhook, name, value))
        }
    }

    #[test]
    fn every_vector_of_plivos_own_libraries_comes_out_as_they_say() {
        for vector in vectors() {
            let verified = vector.source().verify(vector.webhook());
            assert_eq!(verified.is_ok(), vector.expected_valid, "{}: {verified:?}", vector.id);
        }
    }

    #[test]
    fn the_likeliest_text_is_the_one_that_plivos_libraries_sign() {
        for vector in vectors().iter().filter(|vector| vector.expected_valid) {
            let (source, webhook) = (vector.source(), vector.webhook());
            let family = if vector.headers.keys().any(|name| name.contains("V3")) {
                Family::V3
            } else {
                Family::V2
            };
            let nonce = &vector.headers[family.nonce_header()];
            let form = Form::split(&webhook, Content::Form).unwrap();
            let mut likeliest = Vec::new();
            family.any_message(&webhook, &form, &source.url, nonce.as_bytes(), |message| {
                likeliest = message.concat();
                true
            });
            assert_eq!(str::from_utf8(&likeliest), Ok(&*vector.signed_string), "{}", vector.id);
        }
    }

    #[test]
    fn a_changed_parameter_nonce_or_token_is_refused() {
        let mismatch = Some(Rejection::Signature(SignatureError::Mismatch));
        for vector in vectors().iter().filter(|vector| vector.expected_valid) {
            let source = vector.source();
            let another = vector.source_with(&format!("{}x", vector.auth_token));
            assert_eq!(another.verify(vector.webhook()).err(), mismatch, "{}", vector.id);

            let mut webhook = vector.webhook();
            let mut headers = webhook.headers.to_vec();
            for (name, value) in &mut headers {
                if name.ends_with("-nonce") {
                    value.push(b'0');
                }
            }
            webhook.headers = headers.into_iter().collect();
            assert_eq!(source.verify(webhook).err(), mismatch, "{}", vector.id);

            if vector.headers.contains_key("X-Plivo-Signature-V2") {
                continue;
            }
            let mut webhook = vector.webhook();
            match webhook.method {
                Method::Post => webhook.body.extend(b"&Digits=1"),
                Method::Get => webhook.query.as_mut().unwrap().push_str("&Digits=1"),
            }
            assert_eq!(source.verify(webhook).err(), mismatch, "{}", vector.id);
            let mut webhook = vector.webhook();
            webhook.query.get_or_insert_default().push_str("&tenant=evil");
            assert_eq!(source.verify(webhook).err(), mismatch, "{}", vector.id);
        }
    }

    #[test]
    fn what_a_sender_signs_raw_or_without_its_port_verifies_too() {
        let url = SignedUrl::own("https://h.example:8443/in").unwrap();
        let source = source(Scheme::Plivo(Plivo::default()), url, "token");
        let sent = |signed: &str, query| {
            let signature = BASE64.encode(&hmac_sha256("token", &[signed.as_bytes()]));
            let webhook = with_header(post(Some(query), "a=1"), "X-Plivo-Signature-V3", &signature);
            source.verify(with_header(webhook, "X-Plivo-Signature-V3-Nonce", "7")).is_ok()
        };
        assert!(sent("https://h.example:8443/in?x=a b.a1.7", "x=a%20b"));
        assert!(sent("https://h.example:8443/in?x=a%20b.a1.7", "x=a%20b"));
        assert!(sent("https://h.example/in?x=a b.a1.7", "x=a%20b"));
        assert!(sent("https://h.example/in?x=a%20b.a1.7", "x=a%20b"));
        assert!(!sent("https://h.example/in?x=a%20b.a1.7", "x=a+b"));
        assert!(!sent("https://h.example:443/in?x=a b.a1.7", "x=a%20b"));
    }

    #[test]
    fn only_the_accepted_headers_are_looked_at() {
        let all = public_source(Scheme::Plivo(Plivo::accepting([PlivoHeader::MaV3]).unwrap()));
        let webhook = signed(&all, post(None, "a=1"));
        let plain = public_source(Scheme::Plivo(Plivo::accepting([PlivoHeader::V3]).unwrap()));
        assert!(all.verify(webhook.clone()).is_ok());
        assert_eq!(plain.verify(webhook).unwrap_err(), SignatureError::Missing.into());
    }

    #[test]
    fn v2_is_not_tried_beside_a_v3_header() {
        let v2 = public_source(Scheme::Plivo(Plivo::accepting([PlivoHeader::V2]).unwrap()));
        let webhook = signed(&v2, post(None, "a=1"));
        let all = public_source(Scheme::Plivo(Plivo::accepting(PlivoHeader::ALL).unwrap()));
        assert!(all.verify(webhook.clone()).is_ok());
        for name in
            ["X-Plivo-Signature-V3", "X-Plivo-Signature-MA-V3", "X-Plivo-Signature-V3-Nonce"]
        {
            let refused = all.verify(with_header(webhook.clone(), name, "AAAA"));
            assert_eq!(refused.unwrap_err(), SignatureError::Missing.into(), "{name}");
        }
    }

    /// A dot precedes the nonce in what is signed, and any other could be that one.
    #[test]
    fn a_nonce_with_a_dot_or_longer_than_its_bound_is_refused() {
        for header in [PlivoHeader::V3, PlivoHeader::V2] {
            let source = public_source(Scheme::Plivo(Plivo::accepting([header]).unwrap()));
            let verified = |nonce: &str| {
                let webhook = source.signed(post(None, "To=sip.example"), nonce).unwrap();
                source.verify(webhook).err()
            };
            assert_eq!(verified(&"7".repeat(NONCE_LENGTH_MAX)), None);
            for nonce in ["example.7", ".", "7.", &"7".repeat(NONCE_LENGTH_MAX + 1)] {
                assert_eq!(verified(nonce), Some(SignatureError::Id.into()), "{nonce}");
            }
        }
    }

    #[test]
    fn each_header_stands_once() {
        let source = public_source(Scheme::Plivo(Plivo::default()));
        let webhook = signed(&source, post(None, "a=1"));
        for (name, value) in webhook.headers.iter() {
            let twice = with_header(webhook.clone(), name, str::from_utf8(value).unwrap());
            assert!(source.verify(twice).is_err(), "{name}");
        }
    }

    #[test]
    fn one_match_among_the_listed_signatures_suffices() {
        let source = public_source(Scheme::Plivo(Plivo::default()));
        let listed = |before: &[&str]| {
            let mut webhook = signed(&source, post(None, "a=1"));
            let mut headers = webhook.headers.to_vec();
            let signature = &mut headers[1].1;
            let right = String::from_utf8(signature.clone()).unwrap();
            *signature = [before, &[&*right]].concat().join(", ").into_bytes();
            webhook.headers = headers.into_iter().collect();
            source.verify(webhook).err()
        };
        assert_eq!(listed(&["", "not base64", "AAAA"]), None);
        assert_eq!(listed(&["AAAA"; 15]), None);
        assert_eq!(listed(&["AAAA"; 16]), Some(SignatureError::TooMany.into()));
    }

    #[test]
    fn without_a_signature_or_a_nonce_there_is_nothing_to_verify() {
        let source = public_source(Scheme::Plivo(Plivo::default()));
        let missing = Some(Rejection::Signature(SignatureError::Missing));
        assert_eq!(source.verify(post(None, "a=1")).err(), missing);
        let whole = signed(&source, post(None, "a=1"));
        for at in [1, 2] {
            let mut headers = whole.headers.to_vec();
            headers[at].1.clear();
            let emptied = Webhook { headers: headers.iter().cloned().collect(), ..whole.clone() };
            assert_eq!(source.verify(emptied).err(), missing);
            headers.remove(at);
            let without = Webhook { headers: headers.into_iter().collect(), ..whole.clone() };
            assert_eq!(source.verify(without).err(), missing);
        }
    }
}
