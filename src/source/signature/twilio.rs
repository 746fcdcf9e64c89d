use data_encoding::{BASE64, HEXLOWER};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::domain::{Credentials, Method, Webhook};
use crate::source::content::Content;
use crate::source::form::{Form, is_bare, raw_query};
use crate::source::url::SignedUrl;

use super::attempt::SignatureAttempt;
use super::error::SignatureError;
use super::header;
use super::secret::{Algorithm, any_verifies, is_tag};

/// Twilio: an HMAC over the address that it calls with its query, and the fields of a form. A body
/// that is no form is in the query by its SHA-256, as `bodySHA256`.
#[derive(Debug)]
pub struct Twilio {
    /// Auth tokens, or the secrets of shared keys.
    pub secrets: Credentials,
}

const SIGNATURE: &str = "X-Twilio-Signature";
/// Where a shared key signs: `key=…,algorithm=HMAC_SHA256`.
const SETTINGS: &str = "X-Twilio-Webhooks-Signature-Settings";
const ACCOUNT: &str = "AccountSid";
const BODY_HASH: &str = "bodySHA256";

/// Why a webhook cannot be signed as Twilio signs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "Twilio names a body that is no form in the query: {BODY_HASH}=… is missing or wrong there"
)]
pub struct UnnamedBody;

impl Twilio {
    pub(super) fn verify(
        &self,
        webhook: &Webhook,
        form: &Form,
        content: Content,
        url: &SignedUrl,
    ) -> Result<(), SignatureError> {
        let claimed = header::required(webhook, SIGNATURE)?.trim_ascii();
        let algorithm = algorithm(webhook)?;
        let claimed = BASE64.decode(claimed).map_err(|_| SignatureError::Mismatch)?;
        covers(webhook, form, content).map_err(|_| SignatureError::Mismatch)?;
        if !has_its_marks(webhook, form) {
            return Err(SignatureError::Mismatch);
        }
        let messages = messages(webhook, form, url);
        let verified = any_verifies(&self.secrets, |secret| {
            messages
                .iter()
                .any(|message| is_tag(&algorithm.tag(secret.as_bytes(), message), &claimed))
        });
        if verified { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    /// With the first secret.
    pub(super) fn sign(
        &self,
        webhook: &Webhook,
        form: &Form,
        content: Content,
        url: &SignedUrl,
    ) -> Result<(String, String), UnnamedBody> {
        covers(webhook, form, content)?;
        let secret = self.secrets.first();
        let message = &messages(webhook, form, url)[0];
        let tag = Algorithm::Sha1.tag(secret.expose_secret().as_bytes(), message);
        Ok((SIGNATURE.to_owned(), BASE64.encode(&tag)))
    }

    /// Names a body that is no form in the query, as Twilio does before it signs.
    pub(super) fn prepare(webhook: &mut Webhook, content: Content) {
        if content == Content::Json {
            let hash = format!("{BODY_HASH}={}", body_hash(webhook));
            let query = webhook.query.take().filter(|query| !query.is_empty());
            webhook.query = Some(query.map_or(hash.clone(), |query| format!("{query}&{hash}")));
        }
    }

    pub(super) fn explain(
        &self,
        webhook: &Webhook,
        form: &Form,
        content: Content,
        url: &SignedUrl,
    ) -> Vec<SignatureAttempt> {
        let claimed = header::only(webhook, SIGNATURE)
            .ok()
            .flatten()
            .and_then(|claimed| BASE64.decode(claimed.trim_ascii()).ok());
        let is_covered = covers(webhook, form, content).is_ok() && has_its_marks(webhook, form);
        let tried = |message: &Vec<u8>| {
            let matches = is_covered
                && algorithm(webhook).is_ok_and(|algorithm| {
                    claimed.as_ref().is_some_and(|claimed| {
                        any_verifies(&self.secrets, |secret| {
                            is_tag(&algorithm.tag(secret.as_bytes(), message), claimed)
                        })
                    })
                });
            SignatureAttempt::new(webhook, "twilio", &[SIGNATURE]).over(message, matches)
        };
        messages(webhook, form, url).iter().map(tried).collect()
    }
}

/// Not signed, but whichever it names is made with a secret that only Twilio has.
fn algorithm(webhook: &Webhook) -> Result<Algorithm, SignatureError> {
    let Some(settings) = header::only(webhook, SETTINGS)? else { return Ok(Algorithm::Sha1) };
    let named = settings
        .split(|&b| b == b',')
        .filter_map(|part| part.trim_ascii().strip_prefix(b"algorithm="))
        .next();
    match named {
        None | Some(b"HMAC_SHA1") => Ok(Algorithm::Sha1),
        Some(b"HMAC_SHA256") => Ok(Algorithm::Sha256),
        Some(_) => Err(SignatureError::Mismatch),
    }
}

/// The fields of a form are signed; any other body is signed by its hash in the query, once. Where
/// that is there, no other body is meant, and none neither.
fn covers(webhook: &Webhook, form: &Form, content: Content) -> Result<(), UnnamedBody> {
    let mut named = form.query().filter(|(key, _)| *key == BODY_HASH);
    match (named.next(), named.next()) {
        (None, _) if content != Content::Json => Ok(()),
        (Some((_, hash)), None)
            if is_tag(body_hash(webhook).as_bytes(), hash.to_ascii_lowercase().as_bytes()) =>
        {
            Ok(())
        }
        _ => Err(UnnamedBody),
    }
}

/// Whether the query ends where Twilio ended it. Nothing that is signed says so; but every field of
/// Twilio's begins with a letter, and a call's form has, as its first, the account.
fn has_its_marks(webhook: &Webhook, form: &Form) -> bool {
    let query = raw_query(webhook);
    if is_bare(query, ACCOUNT, b"=") {
        return false;
    }
    let has_account = || form.body().any(|(key, _)| key == ACCOUNT);
    let signed = [query, form.concatenated_once().as_bytes()].concat();
    let names_account = signed.windows(ACCOUNT.len()).any(|part| part == ACCOUNT.as_bytes());
    webhook.method == Method::Get
        || (form.body().all(|(key, _)| key.starts_with(|c: char| c.is_ascii_alphabetic()))
            && (!names_account || has_account()))
}

fn body_hash(webhook: &Webhook) -> String {
    HEXLOWER.encode(&Sha256::digest(&webhook.body))
}

/// The texts that Twilio may have signed, the likeliest first; never empty. Whether a port is in
/// them, the default one too, differs from product to product.
fn messages(webhook: &Webhook, form: &Form, url: &SignedUrl) -> Vec<Vec<u8>> {
    let query = raw_query(webhook);
    let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
    let fields = form.concatenated_once();
    url.candidates(&webhook.path)
        .chain(url.with_default_port(&webhook.path))
        .map(|address| [address.concat().as_bytes(), mark, query, fields.as_bytes()].concat())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::sample::{credentials, get, post, with_header};

    fn verify(query: &str, body: &str, signature: &str) -> Result<(), SignatureError> {
        let twilio = Twilio { secrets: credentials(&["12345"]) };
        let url = SignedUrl::own("https://mycompany.com/myapp.php").unwrap();
        let webhook = with_header(post(Some(query), body), SIGNATURE, signature);
        let form = Form::split(&webhook, Content::Form).unwrap();
        twilio.verify(&webhook, &form, Content::Form, &url)
    }

    /// Nothing separates the query and the first field, so the last value of the query could
    /// be made shorter or longer.
    #[test]
    fn the_end_of_the_query_cannot_be_moved() {
        let twilio = Twilio { secrets: credentials(&["12345"]) };
        let url = SignedUrl::own("https://mycompany.com/myapp.php").unwrap();
        let webhook = |query, body| post(Some(query), body);
        let form = |webhook: &Webhook| Form::split(webhook, Content::Form).unwrap();
        let sent = webhook("question=score-2", "AccountSid=AC1&Digits=2");
        let (_, signature) = twilio.sign(&sent, &form(&sent), Content::Form, &url).unwrap();
        let verify = |query, body| {
            let sent = with_header(webhook(query, body), SIGNATURE, &signature);
            twilio.verify(&sent, &form(&sent), Content::Form, &url)
        };
        assert_eq!(verify("question=score-2", "Digits=2&AccountSid=AC1"), Ok(()));
        for (query, body) in [
            ("question=score", "-2=&AccountSid=AC1&Digits=2"),
            ("question=score", "=-2&AccountSid=AC1&Digits=2"),
            ("question=score-2AccountSid", "AC1=&Digits=2"),
            ("question=score-2A", "ccountSidAC1Digits2="),
        ] {
            assert_eq!(verify(query, body), Err(SignatureError::Mismatch), "{query} {body}");
        }
    }

    /// The example of Twilio's page on the security of webhooks.
    #[test]
    fn the_documented_example_verifies_in_any_order_of_its_fields() {
        const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        let body = "To=%2B18005551212&From=%2B14158675309&Digits=1234&Caller=%2B14158675309\
                    &CallSid=CA1234567890ABCDE";
        assert_eq!(verify("foo=1&bar=2", body, SIGNATURE), Ok(()));
        assert_eq!(verify("bar=2&foo=1", body, SIGNATURE), Err(SignatureError::Mismatch));
        assert_eq!(verify("foo=1&bar=2", &body[3..], SIGNATURE), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_body_that_the_query_does_not_name_is_vouched_for_by_nobody() {
        let twilio = Twilio { secrets: credentials(&["12345"]) };
        let url = SignedUrl::own("https://mycompany.com/myapp.php").unwrap();
        let verified = |mut webhook: Webhook, content| {
            let form = Form::split(&webhook, content).unwrap();
            let tag = Algorithm::Sha1.tag(b"12345", &messages(&webhook, &form, &url)[0]);
            webhook = with_header(webhook, SIGNATURE, &BASE64.encode(&tag));
            twilio.verify(&webhook, &form, content, &url)
        };
        let mut named = post(Some("a=1"), "{}");
        Twilio::prepare(&mut named, Content::Json);
        assert_eq!(verified(named.clone(), Content::Json), Ok(()));
        let query = named.query.clone().unwrap();
        for (query, body) in [
            ("a=1", "{}"),
            (&*query, "{ }"),
            (&format!("{query}&{query}"), "{}"),
            ("bodySHA256=", "{}"),
        ] {
            let webhook = post(Some(query), body);
            assert_eq!(
                verified(webhook, Content::Json),
                Err(SignatureError::Mismatch),
                "{query} {body}"
            );
        }
        // Neither can the body that is named be left out, or be called something else.
        for content in [Content::Nothing, Content::Form] {
            let webhook = post(Some(&query), "");
            assert_eq!(verified(webhook, content), Err(SignatureError::Mismatch), "{content:?}");
        }
        assert_eq!(verified(get(Some(&query)), Content::Nothing), Err(SignatureError::Mismatch));
    }

    #[test]
    fn an_algorithm_that_nobody_knows_is_refused() {
        let webhook = |settings| {
            let webhook = with_header(post(None, ""), SIGNATURE, "AAAA");
            algorithm(&with_header(webhook, SETTINGS, settings))
        };
        assert_eq!(webhook("key=k,algorithm=HMAC_SHA256"), Ok(Algorithm::Sha256));
        assert_eq!(webhook("key=k"), Ok(Algorithm::Sha1));
        assert_eq!(webhook("key=k,algorithm=NONE"), Err(SignatureError::Mismatch));
    }
}
