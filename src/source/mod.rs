//! Who sends: how a sender signs, how it speaks, and what it hears back.
//!
//! [`Source::verify`] takes a [`Webhook`] as it came and gives a [`VerifiedWebhook`],
//! which nothing but a signature scheme can make; [`Source::read`] takes nothing else. What was
//! refused, and why, is one enum, [`Refused`], with a label for every reason.
//!
//! This room knows no HTTP server, no ledger and no survey: a question is a name that the sender
//! gave, and an answer is text.

mod content;
mod form;
mod json;
mod opened;
mod path;
mod plivo_xml;
mod read;
mod reader;
mod recut;
mod refused;
mod reply;
#[cfg(test)]
mod sample;
mod signature;
mod url;

use std::sync::Arc;

pub use content::Accepts;
pub use form::{Form, encode};
pub use path::{BadPath, Path};
pub use plivo_xml::check_plivo_xml;
pub use read::{Asked, ReadAnswer, Readers, Reading, When};
pub use reader::{BadReader, Condition, Reader};
pub use refused::{Refused, Unreadable};
pub use reply::{BadReply, OnRefusal, SourceReply};
pub use signature::{
    Algorithm, BadSigns, Basic, Bearer, CannotSign, Encoding, HeaderName, Hmac, HmacRules,
    MalformedHeader, MalformedKey, MalformedSecret, NothingAccepted, Plivo, PlivoHeader, Proof,
    PublicKey, Refusal, Scheme, SignedTime, Signs, Standard, Telnyx, TimeFormat, TimePlace, Tried,
    Twilio, UnknownPlivoHeader, UnnamedBody, Unverified, VerifiedWebhook, Vonage, Window,
};
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
    pub readers: Readers,
    /// What the sender calls, as it writes it.
    pub url: SignedUrl,
    pub reply: SourceReply,
    pub on_refusal: OnRefusal,
    /// How many webhooks that no known secret verifies are kept at most.
    pub quarantine: usize,
}

impl Source {
    /// Checks type, form and signature, in this order; nothing in the form is interpreted.
    ///
    /// # Errors
    /// A body of another type, a form that cannot be decoded, or a signature that does not hold.
    pub fn verify(&self, hook: Webhook) -> Result<VerifiedWebhook, Refused> {
        self.verify_or_return(hook).map_err(|unverified| unverified.refused)
    }

    /// As [`verify`](Self::verify); what is refused is returned.
    ///
    /// # Errors
    /// As for [`verify`](Self::verify).
    pub fn verify_or_return(&self, hook: Webhook) -> Result<VerifiedWebhook, Unverified> {
        self.signature.verify(hook, self.accepts, &self.url, &self.account.credentials)
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

    /// For a person who wonders why a signature does not match: every text that it may have been
    /// made over, and where it should stand. Empty where nothing is signed.
    ///
    /// # Errors
    /// A hook whose signature is not even looked at.
    pub fn explain_signature(&self, hook: &Webhook) -> Result<Vec<Tried>, Refused> {
        self.signature.explain(hook, self.accepts, &self.url, &self.account.credentials)
    }

    /// Takes the hook for one of the source's own sender, whether or not it is: for the tools that
    /// explain and test a survey, where whoever holds the settings wants to see what would follow.
    /// Nothing that serves may call it; `tests/it/architecture.rs` holds the crate to that.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), but for the signature.
    pub fn believe(&self, hook: Webhook) -> Result<VerifiedWebhook, Refused> {
        self.signature.believe(hook, self.accepts)
    }

    /// Which call the hook is about, and all that it says of it. None where it is none of ours: its
    /// sender hears thanks, and nothing of it is kept.
    ///
    /// # Errors
    /// [`Refused::Unreadable`]: there is no call, or something could be read two ways.
    pub fn read(&self, hook: &VerifiedWebhook) -> Result<Option<Reading>, Refused> {
        Ok(self.readers.read(hook)?)
    }

    /// Whether a captured hook of its sender would be taken as a new one at any time, for nothing that is
    /// signed tells it from another: neither a time nor an id. Harmless where the first answer counts.
    pub fn takes_replays(&self) -> bool {
        self.signature.takes_replays() && self.readers.id.is_empty()
    }

    /// What its sender calls, without a query.
    pub fn address(&self) -> String {
        self.url.at(&format!("/hooks/{}", self.name))
    }

    /// What its sender hears: the XML that was found for its call, where there is any. That was
    /// proved to be well-formed; whatever the proof has not thought of is not sent.
    pub fn reply_with(&self, spoken: Option<String>) -> SourceReply {
        let spoken = spoken.map(SourceReply::xml).and_then(Result::ok);
        spoken.unwrap_or_else(|| self.reply.clone())
    }

    /// Reads the secrets anew that it verifies with; those whose place cannot be read stay as they
    /// are.
    ///
    /// # Errors
    /// What could not be read, without a value.
    pub fn read_secrets_anew(&self) -> Result<(), String> {
        let account = self.account.credentials.read_anew();
        // One that cannot be read must not keep the other from being rotated.
        self.signature.own_secrets().map_or(Ok(()), Credentials::read_anew).and(account)
    }

    /// The headers with which this source's sender would sign `hook` as it arrives; whatever headers
    /// `hook` has but its type do not matter. `nonce` is what the sender calls the hook, or makes it
    /// unlike any other with; where neither is signed it is ignored.
    ///
    /// # Errors
    /// The hook cannot be read, or only the sender itself can sign.
    pub fn sign(&self, hook: &Webhook, nonce: &str) -> Result<Vec<(String, String)>, CannotSign> {
        self.signature.sign(hook, self.accepts, &self.url, &self.account.credentials, nonce)
    }

    /// The hook as the sender would send it: as [`sign`](Self::sign), its query included where that
    /// is part of signing.
    ///
    /// # Errors
    /// As for [`sign`](Self::sign).
    pub fn signed(&self, mut hook: Webhook, nonce: &str) -> Result<Webhook, CannotSign> {
        self.signature.prepare(&mut hook, self.accepts);
        for (name, value) in self.sign(&hook, nonce)? {
            hook.headers.push(&name.to_ascii_lowercase(), value.as_bytes());
        }
        Ok(hook)
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
        let there = Mutex::new(Some(vec![SecretString::from("known")]));
        let read = move || there.lock().unwrap().take().ok_or_else(|| "gone".to_owned());
        Credentials::new(Box::new(read)).unwrap()
    }

    #[test]
    fn a_token_that_is_gone_keeps_no_secret_of_a_source_from_being_read_anew() {
        let times = Arc::new(Mutex::new(0));
        let counted = times.clone();
        let tokens = Credentials::new(Box::new(move || {
            *counted.lock().unwrap() += 1;
            Ok(vec![SecretString::from("t")])
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
