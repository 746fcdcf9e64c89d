//! Who sends: how a sender signs, how it speaks, and what it hears back.
//!
//! [`Source::verify`] takes a [`Webhook`] as it came and gives a [`VerifiedWebhook`],
//! which nothing but a signature scheme can make; [`Source::read`] takes nothing else. What was
//! refused, and why, is one enum, [`Rejection`], with a label for every reason.
//!
//! This room knows no HTTP server, no store and no survey: a question is a name that the sender
//! gave, and an answer is text.

mod compose;
mod content;
mod extractor;
mod foreign_call;
mod form;
mod json;
mod parsed_request;
mod path;
mod plivo_question;
mod plivo_xml;
mod read;
mod recut;
mod rejection;
mod reply;
#[cfg(test)]
mod sample;
mod signature;
mod unreachable;
mod url;

use std::sync::Arc;

pub use compose::{CannotCompose, ComposedAnswer};
pub use content::Accepts;
pub use extractor::{BadExtractor, Condition, Extractor};
pub use foreign_call::ForeignCall;
pub use form::{Form, encode};
pub use path::{BadPath, FieldPath};
pub use plivo_question::PlivoQuestion;
pub use plivo_xml::check_plivo_xml;
pub use read::{Asked, Extractors, Predicate, ReadAnswer, Reading};
pub use rejection::{ParseError, Rejection};
pub use reply::{BadReply, OnReject, SourceReply};
pub use signature::{
    Algorithm, BadSignedPayload, Basic, Bearer, CannotSign, ClockTolerance, Encoding, HeaderName,
    Hmac, HmacRules, MalformedHeader, MalformedKey, MalformedSecret, NothingAccepted, Plivo,
    PlivoHeader, PublicKey, Scheme, SignatureAttempt, SignatureCoverage, SignatureError,
    SignedPayload, SignedTime, Standard, Telnyx, TimeFormat, TimePlace, Twilio, UnknownPlivoHeader,
    UnnamedBody, Unverified, VerifiedWebhook, Vonage,
};
pub use unreachable::{Unreachable, Unreached};
pub use url::{MalformedUrl, SignedUrl};

use crate::domain::{Account, Credentials, Name, Webhook};

/// One sender, as the settings describe it.
#[derive(Debug)]
pub struct Source {
    /// The last segment of the path it calls.
    pub name: Name,
    /// Whose token checks Plivo's signature, and whose calls are rated.
    pub account: Arc<Account>,
    pub survey: Name,
    pub accepts: Accepts,
    pub signature: Scheme,
    pub readers: Extractors,
    /// Whether [`readers`](Self::readers) find an id in every webhook.
    pub has_ids: bool,
    /// Whether an earlier answer counts again if its webhook comes again. Each webhook is then known by
    /// what makes it unique, which costs the store a look-up and a row for each.
    pub repeats_count: bool,
    /// What the sender calls, as it writes it.
    pub url: SignedUrl,
    pub reply: SourceReply,
    pub on_reject: OnReject,
    /// How many webhooks that no known secret verifies are kept at most.
    pub quarantine: usize,
}

impl Source {
    /// Whether other settings or another secret may verify what was rejected. Only `hmac` has a format of the
    /// signed time in the settings.
    pub fn may_verify_later(&self, rejection: &Rejection) -> bool {
        match rejection {
            Rejection::Signature(SignatureError::Mismatch) => true,
            Rejection::Signature(SignatureError::Time(_)) => {
                matches!(self.signature, Scheme::Hmac(_))
            }
            _ => false,
        }
    }

    /// Checks type, form and signature, in this order; nothing in the form is interpreted.
    ///
    /// # Errors
    /// A body of another type, a form that cannot be decoded, or a signature that does not hold.
    pub fn verify(&self, webhook: Webhook) -> Result<VerifiedWebhook, Rejection> {
        self.verify_or_return(webhook).map_err(|unverified| unverified.rejection)
    }

    /// As [`verify`](Self::verify); what is refused is returned.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify).
    pub fn verify_or_return(&self, webhook: Webhook) -> Result<VerifiedWebhook, Unverified> {
        let verified =
            self.signature.verify(webhook, self.accepts, &self.url, &self.account.credentials)?;
        Ok(if self.repeats_count { verified } else { verified.named_by_sender_only() })
    }

    /// How often a secret that it verifies with has changed since the settings were read.
    pub fn secret_changes(&self) -> u64 {
        let own = self.signature.own_secrets().map_or(0, Credentials::changes);
        self.account.credentials.changes() + own
    }

    /// Most webhooks that are kept of it while no known secret verifies them. A sender that sends the
    /// secret itself has none: the secret would be kept.
    pub fn quarantine_max(&self) -> usize {
        if self.signature.signs_requests() { self.quarantine } else { 0 }
    }

    /// The webhook without the credentials of anything before the source, such as a proxy: the
    /// quarantine must not store them. Vonage signs in one of these headers.
    pub fn without_credentials(&self, webhook: Webhook) -> Webhook {
        let is_signature =
            |name: &str| name == "authorization" && matches!(self.signature, Scheme::Vonage(_));
        let is_credential =
            |name: &str| ["authorization", "proxy-authorization", "cookie"].contains(&name);
        let kept = webhook.headers.iter();
        let headers = kept.filter(|(name, _)| is_signature(name) || !is_credential(name)).collect();
        Webhook { headers, ..webhook }
    }

    /// Explains a signature that does not match: every text that it may have been
    /// made over, and its place. Empty if nothing is signed.
    ///
    /// # Errors
    /// A webhook whose signature is not even looked at.
    pub fn explain_signature(&self, webhook: &Webhook) -> Result<Vec<SignatureAttempt>, Rejection> {
        self.signature.explain(webhook, self.accepts, &self.url, &self.account.credentials)
    }

    /// Takes the webhook for one of the source's own sender, whether or not it is: for the tools that
    /// explain and test a survey, whose user has the settings and looks at the result.
    /// Nothing that serves may call it; `tests/it/architecture.rs` holds the crate to that.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but for the signature.
    pub fn believe(&self, webhook: Webhook) -> Result<VerifiedWebhook, Rejection> {
        self.signature.believe(webhook, self.accepts)
    }

    /// Which call the webhook is about, and all that it says of it. None where it is none of ours: its
    /// sender hears thanks, and nothing of it is kept.
    ///
    /// # Errors
    /// [`Rejection::Parse`]: there is no call, or something could be read two ways.
    pub fn read(&self, webhook: &VerifiedWebhook) -> Result<Option<Reading>, Rejection> {
        Ok(self.readers.read(webhook)?)
    }

    /// Whether an earlier answer comes back at any time if a captured webhook is sent again, for nothing
    /// that is signed tells it from another: neither a time nor an id.
    pub fn takes_replays(&self) -> bool {
        self.repeats_count && self.signature.takes_replays() && !self.has_ids
    }

    /// What its sender calls, without a query.
    pub fn address(&self) -> String {
        self.url.at(&format!("/hooks/{}", self.name))
    }

    /// The response to its sender: the XML for its call, if there is any. That was
    /// proved to be valid; XML that the proof did not cover is not sent.
    pub fn reply_with(&self, spoken: Option<String>) -> SourceReply {
        let spoken = spoken.map(SourceReply::xml).and_then(Result::ok);
        spoken.unwrap_or_else(|| self.reply.clone())
    }

    /// Reads the secrets again that it verifies with; those whose place cannot be read stay as they
    /// are.
    ///
    /// # Errors
    /// What could not be read, without a value.
    pub fn read_secrets_anew(&self) -> Result<(), String> {
        let account = self.account.credentials.read_anew();
        // One that cannot be read must not keep the other from being rotated.
        self.signature.own_secrets().map_or(Ok(()), Credentials::read_anew).and(account)
    }

    /// The headers with which this source's sender would sign `webhook` as it arrives; whatever headers
    /// `webhook` has but its type do not matter. `nonce` is what the sender calls the webhook, or makes it
    /// unlike any other with; where neither is signed it is ignored.
    ///
    /// # Errors
    /// The webhook cannot be read, or only the sender itself can sign.
    pub fn sign(
        &self,
        webhook: &Webhook,
        nonce: &str,
    ) -> Result<Vec<(String, String)>, CannotSign> {
        self.signature.sign(webhook, self.accepts, &self.url, &self.account.credentials, nonce)
    }

    /// The webhook as the sender would send it: as [`sign`](Self::sign), its query included where that
    /// is part of signing.
    ///
    /// # Errors
    /// As for [`sign`](Self::sign).
    pub fn signed(&self, mut webhook: Webhook, nonce: &str) -> Result<Webhook, CannotSign> {
        self.signature.prepare(&mut webhook, self.accepts);
        for (name, value) in self.sign(&webhook, nonce)? {
            webhook.headers.push(&name.to_ascii_lowercase(), value.as_bytes());
        }
        Ok(webhook)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use secrecy::SecretString;

    use super::*;
    use crate::source::sample::public_source;

    /// The first time they are there.
    fn soon_gone() -> Credentials {
        let there = Mutex::new(Some(SecretString::from("known")));
        let read = move || vec![there.lock().unwrap().take().ok_or_else(|| "gone".to_owned())];
        Credentials::new(Box::new(read)).unwrap()
    }

    #[test]
    fn a_token_that_is_gone_keeps_no_secret_of_a_source_from_being_read_anew() {
        let times = Arc::new(Mutex::new(0));
        let counted = times.clone();
        let tokens = Credentials::new(Box::new(move || {
            *counted.lock().unwrap() += 1;
            vec![Ok(SecretString::from("t"))]
        }));
        let mut source = public_source(Scheme::Bearer(Bearer { tokens: tokens.unwrap() }));
        source.account = Arc::new(Account {
            name: source.account.name.clone(),
            credentials: Arc::new(soon_gone()),
        });
        assert_eq!(source.read_secrets_anew(), Err("gone".to_owned()));
        // When it was made, and now.
        assert_eq!(*times.lock().unwrap(), 2);
    }
}
