//! How a sender proves who it is. Everything here fails closed, and only this room can make a
//! [`VerifiedHook`].

mod header;
mod hmac;
mod plivo;
mod refusal;
mod secret;
mod token;

pub use hmac::{Encoding, Hmac, MalformedHeader};
pub use plivo::{NothingAccepted, Plivo, PlivoHeader, UnknownPlivoHeader};
pub use refusal::Refusal;
pub use token::{Basic, Bearer};

use crate::domain::{Credentials, Hook, Method};

use super::form::{self, Form};
use super::refused::{Refused, Unreadable};
use super::url::SignedUrl;

/// How a source's sender proves who it is.
#[derive(Debug)]
pub enum Scheme {
    /// With the tokens of the source's account.
    Plivo(Plivo),
    Bearer(Bearer),
    Basic(Basic),
    Hmac(Hmac),
    /// Not at all: anybody who knows the address is believed.
    None,
}

/// A hook whose sender is who it should be, with its fields decoded.
#[derive(Debug)]
pub struct VerifiedHook {
    hook: Hook,
    form: Form,
    proof: Proof,
}

/// How much of a hook its sender vouches for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// All of it: it is signed, or it came together with a secret, or nobody asked for more.
    Whole,
    /// The body of a POST, not its query.
    Body,
    /// The address it was sent to; neither body nor query.
    Address,
}

impl Scheme {
    pub(super) fn verify(
        &self,
        hook: Hook,
        url: &SignedUrl,
        tokens: &Credentials,
    ) -> Result<VerifiedHook, Refused> {
        form::check_type(&hook)?;
        let form = Form::split(&hook)?;
        let proof = match self {
            Scheme::Plivo(plivo) => match plivo.verify(&hook, &form, url, tokens)? {
                plivo::Family::V3 => Proof::Whole,
                plivo::Family::V2 => Proof::Address,
            },
            Scheme::Bearer(bearer) => bearer.verify(&hook).map(|()| Proof::Whole)?,
            Scheme::Basic(basic) => basic.verify(&hook).map(|()| Proof::Whole)?,
            Scheme::Hmac(hmac) => hmac.verify(&hook).map(|()| match hook.method {
                Method::Get => Proof::Whole,
                Method::Post => Proof::Body,
            })?,
            Scheme::None => Proof::Whole,
        };
        Ok(VerifiedHook { hook, form, proof })
    }

    pub(super) fn sign(
        &self,
        hook: &Hook,
        url: &SignedUrl,
        tokens: &Credentials,
        nonce: &str,
    ) -> Result<Vec<(String, String)>, Unreadable> {
        Ok(match self {
            Scheme::Plivo(plivo) => {
                plivo.sign(hook, &Form::split(hook)?, url, tokens, nonce).into()
            }
            Scheme::Bearer(bearer) => vec![bearer.sign()],
            Scheme::Basic(basic) => vec![basic.sign()],
            Scheme::Hmac(hmac) => vec![hmac.sign(hook)],
            Scheme::None => Vec::new(),
        })
    }

    /// What it verifies with, beside the account's tokens.
    pub(in crate::source) fn own_secrets(&self) -> Option<&Credentials> {
        match self {
            Scheme::Bearer(bearer) => Some(&bearer.tokens),
            Scheme::Basic(basic) => Some(&basic.passwords),
            Scheme::Hmac(hmac) => Some(hmac.secrets()),
            Scheme::Plivo(_) | Scheme::None => None,
        }
    }

    /// Every label that [`labels`](Self::labels) can give.
    pub const LABELS: [&'static str; 8] =
        ["v3", "ma-v3", "v2", "ma-v2", "bearer", "basic", "hmac", "none"];

    /// What the source accepts: any one of these suffices.
    pub fn labels(&self) -> Vec<&'static str> {
        match self {
            Scheme::Plivo(plivo) => plivo.accepted().map(PlivoHeader::label).collect(),
            Scheme::Bearer(_) => vec!["bearer"],
            Scheme::Basic(_) => vec!["basic"],
            Scheme::Hmac(_) => vec!["hmac"],
            Scheme::None => vec!["none"],
        }
    }

    /// Whether no hook is believed whose answers nobody vouches for. Where not (`none`, `v2`,
    /// `ma-v2`) the service says so aloud at its start and in its metrics.
    pub fn vouches_for_answers(&self) -> bool {
        match self {
            Scheme::Plivo(plivo) => plivo.accepted().all(|name| name.family() == plivo::Family::V3),
            Scheme::Bearer(_) | Scheme::Basic(_) | Scheme::Hmac(_) => true,
            Scheme::None => false,
        }
    }
}

impl VerifiedHook {
    pub fn hook(&self) -> &Hook {
        &self.hook
    }

    pub fn into_hook(self) -> Hook {
        self.hook
    }

    pub fn form(&self) -> &Form {
        &self.form
    }

    pub fn proof(&self) -> Proof {
        self.proof
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::source::encode;
    use crate::source::sample::{credentials, get, post, public_source, signed};

    fn every_scheme() -> Vec<Scheme> {
        let hmac = |encoding, prefix| {
            Scheme::Hmac(Hmac::new("X-Signature", credentials(&["k"]), encoding, prefix).unwrap())
        };
        PlivoHeader::ALL
            .map(|name| Scheme::Plivo(Plivo::accepting([name]).unwrap()))
            .into_iter()
            .chain([
                Scheme::Bearer(Bearer { tokens: credentials(&["t", "old"]) }),
                Scheme::Basic(Basic { user: "ivr".into(), passwords: credentials(&["p"]) }),
                hmac(Encoding::Hex, "sha256="),
                hmac(Encoding::Base64, ""),
                Scheme::None,
            ])
            .collect()
    }

    fn flip(bytes: &mut [u8], at: Index) {
        let at = at.index(bytes.len());
        bytes[at] ^= 1;
    }

    #[test]
    fn every_scheme_has_its_labels_and_the_weak_ones_are_known() {
        let said: Vec<_> =
            every_scheme().iter().map(|s| (s.labels()[0], s.vouches_for_answers())).collect();
        assert!(said.iter().all(|(label, _)| Scheme::LABELS.contains(label)));
        let weak: Vec<_> = said.iter().filter(|(_, strong)| !strong).map(|(l, _)| *l).collect();
        assert_eq!(weak, ["v2", "ma-v2", "none"]);
    }

    #[test]
    fn nothing_of_a_hook_or_a_secret_shows_in_what_is_printed() {
        for scheme in every_scheme() {
            let source = public_source(scheme);
            let hook = signed(&source, post(Some("From=14155550123"), "To=14155550199"));
            let printed = format!("{source:?} {:?}", source.verify(hook).unwrap());
            for secret in ["14155550123", "14155550199", "a token of the account"] {
                assert!(!printed.contains(secret), "{printed}");
            }
        }
    }

    proptest! {
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
            let hook = if by_get {
                get(Some(&line(&fields)))
            } else {
                post(query.as_deref().map(line).as_deref(), &line(&fields))
            };
            for scheme in every_scheme() {
                let source = public_source(scheme);
                let sent = signed(&source, hook.clone());
                let verified = source.verify(sent.clone());
                prop_assert!(verified.is_ok(), "{:?}: {verified:?}", source.signature);

                let proof = verified.unwrap().proof();
                let is_signed = matches!(source.signature, Scheme::Plivo(_) | Scheme::Hmac(_));
                if is_signed && proof != Proof::Address {
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
                for header in hook.headers.len()..sent.headers.len() {
                    let mut changed = sent.clone();
                    flip(&mut changed.headers[header].1, at);
                    prop_assert!(source.verify(changed).is_err(), "{:?}", source.signature);
                }
            }
        }
    }
}
