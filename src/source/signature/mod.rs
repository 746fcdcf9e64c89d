//! How a sender proves who it is. Everything here fails closed, and only this room can make a
//! [`VerifiedWebhook`].

mod attempt;
mod clock_tolerance;
mod error;
mod header;
mod hmac;
mod plivo;
mod secret;
mod signed_id;
mod signed_payload;
mod standard;
mod telnyx;
mod time_format;
mod token;
mod twilio;
mod vonage;

pub use attempt::SignatureAttempt;
pub use clock_tolerance::ClockTolerance;
pub use error::SignatureError;
pub use header::{HeaderName, MalformedHeader};
pub use hmac::{Encoding, Hmac, HmacRules, SignedTime, TimePlace};
pub(super) use plivo::v3_queries;
pub use plivo::{NothingAccepted, Plivo, PlivoHeader, UnknownPlivoHeader};
pub use secret::Algorithm;
pub(super) use signed_id::SignedId;
pub use signed_payload::{BadSignedPayload, SignedPayload};
pub use standard::{MalformedSecret, Standard};
pub use telnyx::{MalformedKey, PublicKey, Telnyx};
pub use time_format::TimeFormat;
pub use token::{Basic, Bearer};
pub use twilio::{Twilio, UnnamedBody};
pub use vonage::Vonage;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use crate::domain::{Credentials, IdempotencyKey, Method, Webhook};

use super::content::{Accepts, Content};
use super::form::{Form, raw_query};
use super::rejection::{ParseError, Rejection};
use super::url::SignedUrl;

/// How a source's sender proves who it is.
#[derive(Debug)]
pub enum Scheme {
    /// With the tokens of the source's account.
    Plivo(Plivo),
    Bearer(Bearer),
    Basic(Basic),
    Hmac(Hmac),
    Standard(Standard),
    Twilio(Twilio),
    Vonage(Vonage),
    Telnyx(Telnyx),
    /// Not at all: anybody who knows the address is believed.
    None,
}

/// A webhook whose sender is who it should be, with its fields decoded.
#[derive(Debug)]
pub struct VerifiedWebhook {
    webhook: Webhook,
    form: Form,
    content: Content,
    coverage: SignatureCoverage,
    vouches_for_headers: bool,
    keys_expire: bool,
    id: Option<SignedId>,
}

/// A rejected webhook, as it came.
#[derive(Debug)]
pub struct Unverified {
    pub webhook: Box<Webhook>,
    pub rejection: Rejection,
}

/// How much of a webhook its sender vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureCoverage {
    /// Body and query: they are signed, or came together with a secret, or no one asked for more.
    Whole,
    /// Body and query, concatenated as Plivo does: a separator between two fields signs as one within a
    /// field, so an attacker with a captured webhook can move some.
    Concatenated,
    /// Likewise, as Twilio does: the query as it came, and each field of the body once.
    ConcatenatedOnce,
    /// The body of a POST, not its query.
    Body,
    /// The address it was sent to; neither body nor query.
    Address,
}

/// Why a webhook cannot be signed as the source's sender signs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CannotSign {
    #[error("the webhook cannot be read: {0}")]
    ParseError(#[from] ParseError),
    #[error("a body must be {0}")]
    UnsupportedType(Accepts),
    #[error(transparent)]
    UnnamedBody(#[from] UnnamedBody),
    #[error(
        "only Telnyx can sign for Telnyx: what the settings have is its public key; try the source with signature: none, on a listener that no one else reaches"
    )]
    OnlyTelnyx,
}

impl Scheme {
    pub(super) fn verify(
        &self,
        webhook: Webhook,
        accepts: Accepts,
        url: &SignedUrl,
        tokens: &Credentials,
    ) -> Result<VerifiedWebhook, Unverified> {
        let proved = self.open(&webhook, accepts).and_then(|(content, form)| {
            let (coverage, id) = self.prove(&webhook, &form, content, url, tokens)?;
            Ok((content, form, coverage, id))
        });
        match proved {
            Ok((content, form, coverage, id)) => {
                Ok(self.verified(webhook, form, content, coverage, id))
            }
            Err(rejection) => Err(Unverified { webhook: Box::new(webhook), rejection }),
        }
    }

    /// The result of [`verify`](Self::verify) if the signature matched.
    pub(super) fn believe(
        &self,
        webhook: Webhook,
        accepts: Accepts,
    ) -> Result<VerifiedWebhook, Rejection> {
        let (content, form) = self.open(&webhook, accepts)?;
        let coverage = self.covers(webhook.method);
        Ok(self.verified(webhook, form, content, coverage, None))
    }

    fn open(&self, webhook: &Webhook, accepts: Accepts) -> Result<(Content, Form), Rejection> {
        let content = accepts.content(webhook).ok_or(Rejection::UnsupportedType(accepts))?;
        let form = Form::split(webhook, content)?;
        match self {
            // What Plivo would sign of such a body is not known: nothing vouches for it.
            Scheme::Plivo(_) if content == Content::Json => {
                Err(Rejection::UnsupportedType(Accepts::Form))
            }
            _ => Ok((content, form)),
        }
    }

    fn prove(
        &self,
        webhook: &Webhook,
        form: &Form,
        content: Content,
        url: &SignedUrl,
        tokens: &Credentials,
    ) -> Result<(SignatureCoverage, Option<SignedId>), SignatureError> {
        let id = match self {
            Scheme::Plivo(plivo) => {
                let (family, nonce) = plivo.verify(webhook, form, url, tokens)?;
                return Ok((SignatureCoverage::of_plivo(family), nonce));
            }
            Scheme::Bearer(bearer) => bearer.verify(webhook).map(|()| None)?,
            Scheme::Basic(basic) => basic.verify(webhook).map(|()| None)?,
            Scheme::Hmac(hmac) => hmac.verify(webhook)?,
            Scheme::Standard(standard) => standard.verify(webhook).map(SignedId::Own).map(Some)?,
            Scheme::Twilio(twilio) => twilio.verify(webhook, form, content, url).map(|()| None)?,
            Scheme::Vonage(vonage) => Some(vonage.verify(webhook, form)?),
            Scheme::Telnyx(telnyx) => Some(telnyx.verify(webhook)?),
            Scheme::None => None,
        };
        Ok((self.covers(webhook.method), id))
    }

    /// What a signature that holds vouches for: of Plivo's, the preferred one that is accepted.
    fn covers(&self, method: Method) -> SignatureCoverage {
        match (self, method) {
            (Scheme::Plivo(plivo), _) => SignatureCoverage::of_plivo(plivo.preferred().family()),
            (Scheme::Twilio(_), _) => SignatureCoverage::ConcatenatedOnce,
            (
                Scheme::Hmac(_) | Scheme::Standard(_) | Scheme::Vonage(_) | Scheme::Telnyx(_),
                Method::Post,
            ) => SignatureCoverage::Body,
            (
                Scheme::Hmac(_) | Scheme::Standard(_) | Scheme::Vonage(_) | Scheme::Telnyx(_),
                Method::Get,
            )
            | (Scheme::Bearer(_) | Scheme::Basic(_) | Scheme::None, _) => SignatureCoverage::Whole,
        }
    }

    fn verified(
        &self,
        webhook: Webhook,
        form: Form,
        content: Content,
        coverage: SignatureCoverage,
        id: Option<SignedId>,
    ) -> VerifiedWebhook {
        let vouches_for_headers = self.vouches_for_headers();
        let keys_expire = !self.is_signed_for_ever();
        VerifiedWebhook { webhook, form, content, coverage, vouches_for_headers, keys_expire, id }
    }

    /// `nonce` is the sender's id of the webhook, or what makes it unique.
    pub(super) fn sign(
        &self,
        webhook: &Webhook,
        accepts: Accepts,
        url: &SignedUrl,
        tokens: &Credentials,
        nonce: &str,
    ) -> Result<Vec<(String, String)>, CannotSign> {
        let content = accepts.content(webhook).ok_or(CannotSign::UnsupportedType(accepts))?;
        let form = Form::split(webhook, content)?;
        Ok(match self {
            Scheme::Plivo(_) if content == Content::Json => {
                return Err(CannotSign::UnsupportedType(Accepts::Form));
            }
            Scheme::Plivo(plivo) => plivo.sign(webhook, &form, url, tokens, nonce).into(),
            Scheme::Bearer(bearer) => vec![bearer.sign()],
            Scheme::Basic(basic) => vec![basic.sign()],
            Scheme::Hmac(hmac) => hmac.sign(webhook, nonce),
            Scheme::Standard(standard) => standard.sign(webhook, nonce),
            Scheme::Twilio(twilio) => vec![twilio.sign(webhook, &form, content, url)?],
            Scheme::Vonage(vonage) => vec![vonage.sign(webhook, &form, nonce)],
            Scheme::Telnyx(_) => return Err(CannotSign::OnlyTelnyx),
            Scheme::None => Vec::new(),
        })
    }

    /// What the sender does to a webhook before it signs it.
    pub(super) fn prepare(&self, webhook: &mut Webhook, accepts: Accepts) {
        if let (Scheme::Twilio(_), Some(content)) = (self, accepts.content(webhook)) {
            Twilio::prepare(webhook, content);
        }
    }

    /// Every way in which the signature of a webhook is looked for.
    pub(super) fn explain(
        &self,
        webhook: &Webhook,
        accepts: Accepts,
        url: &SignedUrl,
        tokens: &Credentials,
    ) -> Result<Vec<SignatureAttempt>, Rejection> {
        let content = accepts.content(webhook).ok_or(Rejection::UnsupportedType(accepts))?;
        let form = Form::split(webhook, content)?;
        Ok(match self {
            Scheme::Plivo(plivo) => plivo.explain(webhook, &form, url, tokens),
            Scheme::Bearer(bearer) => {
                vec![token::explain(webhook, "bearer", bearer.verify(webhook).is_ok())]
            }
            Scheme::Basic(basic) => {
                vec![token::explain(webhook, "basic", basic.verify(webhook).is_ok())]
            }
            Scheme::Hmac(hmac) => vec![hmac.explain(webhook)],
            Scheme::Standard(standard) => vec![standard.explain(webhook)],
            Scheme::Twilio(twilio) => twilio.explain(webhook, &form, content, url),
            Scheme::Vonage(vonage) => vec![vonage.explain(webhook, &form)],
            Scheme::Telnyx(telnyx) => vec![telnyx.explain(webhook)],
            Scheme::None => Vec::new(),
        })
    }

    /// What it verifies with, beside the account's tokens.
    pub(in crate::source) fn own_secrets(&self) -> Option<&Credentials> {
        match self {
            Scheme::Bearer(bearer) => Some(&bearer.tokens),
            Scheme::Basic(basic) => Some(&basic.passwords),
            Scheme::Hmac(hmac) => Some(hmac.secrets()),
            Scheme::Standard(standard) => Some(standard.secrets()),
            Scheme::Twilio(twilio) => Some(&twilio.secrets),
            Scheme::Vonage(vonage) => Some(&vonage.secrets),
            Scheme::Plivo(_) | Scheme::Telnyx(_) | Scheme::None => None,
        }
    }

    /// Every label that [`labels`](Self::labels) can give.
    pub const LABELS: [&'static str; 12] = [
        "v3", "ma-v3", "v2", "ma-v2", "bearer", "basic", "hmac", "standard", "twilio", "vonage",
        "telnyx", "none",
    ];

    /// What the source accepts: any one of these suffices.
    pub fn labels(&self) -> Vec<&'static str> {
        match self {
            Scheme::Plivo(plivo) => plivo.accepted().map(PlivoHeader::label).collect(),
            Scheme::Bearer(_) => vec!["bearer"],
            Scheme::Basic(_) => vec!["basic"],
            Scheme::Hmac(_) => vec!["hmac"],
            Scheme::Standard(_) => vec!["standard"],
            Scheme::Twilio(_) => vec!["twilio"],
            Scheme::Vonage(_) => vec!["vonage"],
            Scheme::Telnyx(_) => vec!["telnyx"],
            Scheme::None => vec!["none"],
        }
    }

    /// Whether the address that is called is part of what is signed, so that it must be known.
    pub fn signs_address(&self) -> bool {
        matches!(self, Scheme::Plivo(_) | Scheme::Twilio(_))
    }

    /// Whether the sender signs a request, so that a request that was refused can be kept without a
    /// secret in it.
    pub fn signs_requests(&self) -> bool {
        !matches!(self, Scheme::Bearer(_) | Scheme::Basic(_) | Scheme::None)
    }

    /// No signature covers a header but its own. If a secret comes with the webhook, its sender
    /// is believed in all.
    fn vouches_for_headers(&self) -> bool {
        matches!(self, Scheme::Bearer(_) | Scheme::Basic(_) | Scheme::None)
    }

    /// Whether a signature, once made, is taken for ever: it covers no time.
    fn is_signed_for_ever(&self) -> bool {
        match self {
            Scheme::Plivo(_) | Scheme::Twilio(_) => true,
            Scheme::Hmac(hmac) => !hmac.signs_time(),
            Scheme::Standard(_) | Scheme::Vonage(_) | Scheme::Telnyx(_) => false,
            // Who has found one of these has the secret, or needs none.
            Scheme::Bearer(_) | Scheme::Basic(_) | Scheme::None => false,
        }
    }

    /// Whether a captured webhook would be taken as a new one at any time: its signature covers neither
    /// a time nor an id.
    pub(in crate::source) fn takes_replays(&self) -> bool {
        self.is_signed_for_ever()
            && match self {
                Scheme::Plivo(_) => false,
                Scheme::Hmac(hmac) => !hmac.signs_id(),
                _ => true,
            }
    }

    /// Whether no webhook is believed whose answers no one vouches for. Where not (`none`, `v2`,
    /// `ma-v2`) the service says so aloud at its start and in its metrics.
    pub fn vouches_for_answers(&self) -> bool {
        match self {
            Scheme::Plivo(plivo) => plivo.accepted().all(|name| name.family() == plivo::Family::V3),
            Scheme::Bearer(_)
            | Scheme::Basic(_)
            | Scheme::Hmac(_)
            | Scheme::Standard(_)
            | Scheme::Twilio(_)
            | Scheme::Vonage(_)
            | Scheme::Telnyx(_) => true,
            Scheme::None => false,
        }
    }
}

impl SignatureCoverage {
    /// V3 signs fields without marks between them, V2 no fields at all.
    fn of_plivo(family: plivo::Family) -> Self {
        match family {
            plivo::Family::V3 => SignatureCoverage::Concatenated,
            plivo::Family::V2 => SignatureCoverage::Address,
        }
    }
}

impl VerifiedWebhook {
    pub fn webhook(&self) -> &Webhook {
        &self.webhook
    }

    pub fn into_webhook(self) -> Webhook {
        self.webhook
    }

    /// With another time of arrival than that by which its signature is in time.
    pub fn dated(self, received_at: Timestamp) -> Self {
        Self { webhook: Webhook { received_at, ..self.webhook }, ..self }
    }

    pub fn form(&self) -> &Form {
        &self.form
    }

    pub fn coverage(&self) -> SignatureCoverage {
        self.coverage
    }

    /// What the sender calls this webhook, where its signature covers that.
    pub fn identity(&self) -> Option<IdempotencyKey> {
        match self.id.clone() {
            Some(SignedId::Own(id)) => Some(self.identified_as(id)),
            _ => None,
        }
    }

    /// What tells it from the other webhooks of its sender; unlike [`identity`](Self::identity) also
    /// where its sender does not call it anything.
    pub(super) fn signed_id(&self) -> Option<&SignedId> {
        self.id.as_ref()
    }

    /// With nothing but what the sender itself calls it.
    pub(super) fn named_by_sender_only(self) -> Self {
        Self { id: self.id.filter(|id| matches!(id, SignedId::Own(_))), ..self }
    }

    pub(super) fn vouches_for_headers(&self) -> bool {
        self.vouches_for_headers
    }

    pub(super) fn content(&self) -> Content {
        self.content
    }

    /// By this key, with all that the signature covers; otherwise an attacker with the webhook could add
    /// to the rest, come first, and have the true one refused. Headers are none of it, for a sender
    /// that tries again signs again.
    pub(super) fn identified_as(&self, id: String) -> IdempotencyKey {
        let query = match self.coverage {
            SignatureCoverage::Body => &[][..],
            SignatureCoverage::Whole
            | SignatureCoverage::Concatenated
            | SignatureCoverage::ConcatenatedOnce
            | SignatureCoverage::Address => raw_query(&self.webhook),
        };
        let body = match self.webhook.method {
            Method::Get => &[][..],
            Method::Post => &self.webhook.body,
        };
        let mut digest = Sha256::new();
        digest.update((query.len() as u64).to_be_bytes());
        digest.update(query);
        digest.update(body);
        IdempotencyKey { id, digest: digest.finalize().into(), expires: self.keys_expire }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::source::encode;
    use crate::source::sample::{credentials, get, post, public_source, signed};

    fn every_scheme() -> Vec<Scheme> {
        let hmac = |rules: HmacRules| Scheme::Hmac(Hmac::new(rules, credentials(&["k"])).unwrap());
        let rules = || HmacRules::new("X-Signature".parse().unwrap());
        let timed = HmacRules {
            timestamp: Some(SignedTime {
                place: TimePlace::Header("X-Time".parse().unwrap()),
                format: TimeFormat::Iso,
                window: ClockTolerance::default(),
            }),
            id: "X-Id".parse().ok(),
            signed_payload: "{id}.{timestamp}.{body}".parse().unwrap(),
            algorithm: Algorithm::Sha1,
            ..rules()
        };
        let listed = HmacRules {
            key: Some("v1".into()),
            timestamp: Some(SignedTime {
                place: TimePlace::Key("t".into()),
                format: TimeFormat::Unix,
                window: ClockTolerance::default(),
            }),
            signed_payload: "{timestamp}.{body}".parse().unwrap(),
            ..rules()
        };
        let whsec = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        PlivoHeader::ALL
            .map(|name| Scheme::Plivo(Plivo::accepting([name]).unwrap()))
            .into_iter()
            .chain([
                Scheme::Bearer(Bearer { tokens: credentials(&["a token", "old"]) }),
                Scheme::Basic(Basic { user: "ivr".into(), passwords: credentials(&["p"]) }),
                hmac(HmacRules { prefix: "sha256=".into(), ..rules() }),
                hmac(HmacRules { encoding: Encoding::Base64, ..rules() }),
                hmac(timed),
                hmac(listed),
                Scheme::Standard(
                    Standard::new(credentials(&[whsec]), ClockTolerance::default()).unwrap(),
                ),
                Scheme::Twilio(Twilio { secrets: credentials(&["a token of Twilio's"]) }),
                Scheme::Vonage(Vonage {
                    secrets: credentials(&["a secret of Vonage's"]),
                    window: ClockTolerance::default(),
                }),
                Scheme::None,
            ])
            .collect()
    }

    fn telnyx() -> Scheme {
        let key = "e7xtHePnoFdgHIjcp8GeuJhxbAcSE9GqTjmLCqQwLqc=".parse().unwrap();
        Scheme::Telnyx(Telnyx::new(key, Vec::new(), ClockTolerance::default()))
    }

    fn flip(bytes: &mut [u8], at: Index) {
        let at = at.index(bytes.len());
        bytes[at] ^= 1;
    }

    #[test]
    fn every_scheme_has_its_labels_and_the_weak_ones_are_known() {
        let said: Vec<_> =
            every_scheme().iter().map(|s| (s.labels()[0], s.vouches_for_answers())).collect();
        let labels: BTreeSet<_> =
            said.iter().map(|(label, _)| *label).chain(telnyx().labels()).collect();
        assert_eq!(labels, BTreeSet::from(Scheme::LABELS));
        let weak: Vec<_> = said.iter().filter(|(_, strong)| !strong).map(|(l, _)| *l).collect();
        assert_eq!(weak, ["v2", "ma-v2", "none"]);
    }

    #[test]
    fn only_telnyx_signs_for_telnyx() {
        let source = public_source(telnyx());
        assert_eq!(source.sign(&post(None, "a=1"), "n"), Err(CannotSign::OnlyTelnyx));
        assert!(telnyx().vouches_for_answers());
    }

    #[test]
    fn an_explanation_says_what_was_signed_and_holds_no_secret() {
        for scheme in every_scheme() {
            let label = scheme.labels()[0];
            let source = public_source(scheme);
            let webhook = signed(&source, post(Some("b=2"), "a=1"));
            let tried = source.explain_signature(&webhook).unwrap();
            assert_eq!(
                tried.iter().filter(|tried| tried.matches).count(),
                usize::from(label != "none"),
                "{label}"
            );
            assert!(tried.iter().all(|tried| tried.scheme == label));
            assert!(tried.iter().flat_map(|tried| &tried.headers).all(|(_, count)| *count == 1));

            let forged = source.explain_signature(&post(Some("b=2"), "a=1")).unwrap();
            assert!(forged.iter().all(|tried| !tried.matches), "{label}");
            for said in [tried, forged] {
                let said = serde_json::to_string(&said).unwrap();
                for secret in ["a token of", "a secret of", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"] {
                    assert!(!said.contains(secret), "{label}");
                }
            }
        }
    }

    #[test]
    fn what_a_sender_calls_its_webhook_goes_with_what_it_said() {
        for scheme in every_scheme() {
            let label = scheme.labels()[0];
            let source = public_source(scheme);
            let identity = |webhook| source.verify(signed(&source, webhook)).unwrap().identity();
            let first = identity(post(None, "a=1"));
            assert_eq!(first, identity(post(None, "a=1")), "{label}");
            let Some(first) = first else { continue };
            let added = Webhook { body: b"a=1".to_vec(), ..get(Some("a=1")) };
            assert_eq!(identity(get(Some("a=1"))), identity(added), "{label}");
            assert_eq!(identity(post(Some("b=1"), "a=1")), Some(first.clone()), "{label}");
            let other = identity(post(None, "a=2")).unwrap();
            assert_eq!(first.id, other.id, "{label}");
            assert_ne!(first.digest, other.digest, "{label}");
        }
    }

    #[test]
    fn nothing_of_a_webhook_or_a_secret_shows_in_what_is_printed() {
        for scheme in every_scheme() {
            let source = public_source(scheme);
            let webhook = signed(&source, post(Some("From=14155550123"), "To=14155550199"));
            let printed = format!("{source:?} {:?}", source.verify(webhook).unwrap());
            for secret in ["14155550123", "14155550199", "a token of the account"] {
                assert!(!printed.contains(secret), "{printed}");
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_stands_where_a_signature_should_is_refused_in_peace(
            values in prop::collection::vec(
                prop_oneof![any::<Vec<u8>>(), "(Bearer |Basic |t=|v1[=,]|[0-9]{1,20}|e30[.]?|[a-zA-Z=,. ]){0,9}".prop_map(String::into_bytes)],
                13,
            ),
            body: Vec<u8>,
            by_get: bool,
        ) {
            let names = [
                "authorization", "x-signature", "x-time", "x-id", "webhook-id", "webhook-timestamp",
                "webhook-signature", "x-twilio-signature", "telnyx-timestamp",
                "telnyx-signature-ed25519", "x-plivo-signature-v3-nonce", "x-plivo-signature-v3",
                "x-plivo-signature-ma-v3",
            ];
            let mut webhook = if by_get { get(None) } else { post(None, "") };
            webhook.headers = webhook.headers.to_vec().into_iter().chain(names.map(str::to_owned).into_iter().zip(values)).collect();
            webhook.body = body;
            for scheme in every_scheme().into_iter().chain([telnyx()]) {
                let is_open = matches!(scheme, Scheme::None);
                let source = public_source(scheme);
                let _ = source.explain_signature(&webhook);
                prop_assert!(is_open || source.verify(webhook.clone()).is_err());
            }
        }

        #[test]
        fn what_a_scheme_signs_it_verifies_and_a_flipped_byte_it_refuses(
            fields in prop::collection::vec(("[a-zA-Z]{1,6}", "\\PC{0,8}"), 1..6),
            query in prop::option::of(prop::collection::vec(("[a-z]{1,4}", "\\PC{0,8}"), 1..4)),
            by_get: bool,
            at: Index,
        ) {
            let line = |pairs: &[(String, String)]| {
                encode(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())))
            };
            let webhook = if by_get {
                get(Some(&line(&fields)))
            } else {
                post(query.as_deref().map(line).as_deref(), &line(&fields))
            };
            for scheme in every_scheme() {
                let source = public_source(scheme);
                let sent = signed(&source, webhook.clone());
                let verified = source.verify(sent.clone());
                prop_assert!(verified.is_ok(), "{:?}: {verified:?}", source.signature);

                let coverage = verified.unwrap().coverage();
                let is_signed = !matches!(
                    source.signature,
                    Scheme::Bearer(_) | Scheme::Basic(_) | Scheme::None
                );
                if is_signed && coverage != SignatureCoverage::Address {
                    let mut changed = sent.clone();
                    if by_get {
                        let mut query = changed.query.take().unwrap().into_bytes();
                        flip(&mut query, at);
                        changed.query = String::from_utf8(query).ok();
                    } else {
                        flip(&mut changed.body, at);
                    }
                    prop_assert!(source.verify(changed).is_err(), "{:?}", source.signature);
                }
                for header in webhook.headers.iter().count()..sent.headers.iter().count() {
                    let mut changed = sent.clone();
                    let mut headers = changed.headers.to_vec();
                    flip(&mut headers[header].1, at);
                    changed.headers = headers.into_iter().collect();
                    prop_assert!(source.verify(changed).is_err(), "{:?}", source.signature);
                }
            }
        }
    }
}
