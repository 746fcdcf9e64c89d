use data_encoding::{BASE64, HEXLOWER};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::domain::{Credentials, Method, Webhook};
use crate::source::content::Content;
use crate::source::form::{Form, is_bare, raw_query};
use crate::source::url::SignedUrl;

use super::header;
use super::refusal::Refusal;
use super::secret::{Algorithm, any_verifies, is_tag};
use super::tried::Tried;

/// Twilio: an HMAC over the address that it calls with its query, and the fields of a form. A body
/// that is no form stands in the query by its SHA-256, as `bodySHA256`.
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

/// Why a hook cannot be signed as Twilio signs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "Twilio names a body that is no form in the query: {BODY_HASH}=… is missing or wrong there"
)]
pub struct UnnamedBody;

impl Twilio {
    pub(super) fn verify(
        &self,
        hook: &Webhook,
        form: &Form,
        content: Content,
        url: &SignedUrl,
    ) -> Result<(), Refusal> {
        let claimed = header::required(hook, SIGNATURE)?.trim_ascii();
        let algorithm = algorithm(hook)?;
        let claimed = BASE64.decode(claimed).map_err(|_| Refusal::Mismatch)?;
        covers(hook, form, content).map_err(|_| Refusal::Mismatch)?;
        if !has_its_marks(hook, form) {
            return Err(Refusal::Mismatch);
        }
        let messages = messages(hook, form, url);
        let verified = any_verifies(&self.secrets, |secret| {
            messages
                .iter()
                .any(|message| is_tag(&algorithm.tag(secret.as_bytes(), message), &claimed))
        });
        if verified { Ok(()) } else { Err(Refusal::Mismatch) }
    }

    /// With the first secret.
    pub(super) fn sign(
        &self,
        hook: &Webhook,
        form: &Form,
        content: Content,
        url: &SignedUrl,
    ) -> Result<(String, String), UnnamedBody> {
        covers(hook, form, content)?;
        let secret = self.secrets.first();
        let message = &messages(hook, form, url)[0];
        let tag = Algorithm::Sha1.tag(secret.expose_secret().as_bytes(), message);
        Ok((SIGNATURE.to_owned(), BASE64.encode(&tag)))
    }

    /// Names a body that is no form in the query, as Twilio does before it signs.
    pub(super) fn prepare(hook: &mut Webhook, content: Content) {
        if content == Content::Json {
            let hash = format!("{BODY_HASH}={}", body_hash(hook));
            let query = hook.query.take().filter(|query| !query.is_empty());
            hook.query = Some(query.map_or(hash.clone(), |query| format!("{query}&{hash}")));
        }
    }

    pub(super) fn explain(
        &self,
        hook: &Webhook,
        form: &Form,
        content: Content,
        url: &SignedUrl,
    ) -> Vec<Tried> {
        let claimed = header::only(hook, SIGNATURE)
            .ok()
            .flatten()
            .and_then(|claimed| BASE64.decode(claimed.trim_ascii()).ok());
        let is_covered = covers(hook, form, content).is_ok() && has_its_marks(hook, form);
        let tried = |message: &Vec<u8>| {
            let matches = is_covered
                && algorithm(hook).is_ok_and(|algorithm| {
                    claimed.as_ref().is_some_and(|claimed| {
                        any_verifies(&self.secrets, |secret| {
                            is_tag(&algorithm.tag(secret.as_bytes(), message), claimed)
                        })
                    })
                });
            Tried::new(hook, "twilio", &[SIGNATURE]).over(message, matches)
        };
        messages(hook, form, url).iter().map(tried).collect()
    }
}

/// Not signed, but whichever it names is made with a secret that only Twilio has.
fn algorithm(hook: &Webhook) -> Result<Algorithm, Refusal> {
    let Some(settings) = header::only(hook, SETTINGS)? else { return Ok(Algorithm::Sha1) };
    let named = settings
        .split(|&b| b == b',')
        .filter_map(|part| part.trim_ascii().strip_prefix(b"algorithm="))
        .next();
    match named {
        None | Some(b"HMAC_SHA1") => Ok(Algorithm::Sha1),
        Some(b"HMAC_SHA256") => Ok(Algorithm::Sha256),
        Some(_) => Err(Refusal::Mismatch),
    }
}

/// The fields of a form are signed; any other body is signed by its hash in the query, once. Where
/// that is there, no other body is meant, and none neither.
fn covers(hook: &Webhook, form: &Form, content: Content) -> Result<(), UnnamedBody> {
    let mut named = form.query().filter(|(key, _)| *key == BODY_HASH);
    match (named.next(), named.next()) {
        (None, _) if content != Content::Json => Ok(()),
        (Some((_, hash)), None)
            if is_tag(body_hash(hook).as_bytes(), hash.to_ascii_lowercase().as_bytes()) =>
        {
            Ok(())
        }
        _ => Err(UnnamedBody),
    }
}

/// Whether the query ends where Twilio ended it. Nothing that is signed says so; but every field of
/// Twilio's begins with a letter, and a call's form has, as its first, the account.
fn has_its_marks(hook: &Webhook, form: &Form) -> bool {
    let query = raw_query(hook);
    if is_bare(query, ACCOUNT, b"=") {
        return false;
    }
    let has_account = || form.body().any(|(key, _)| key == ACCOUNT);
    let signed = [query, form.run_together_once().as_bytes()].concat();
    let names_account = signed.windows(ACCOUNT.len()).any(|part| part == ACCOUNT.as_bytes());
    hook.method == Method::Get
        || (form.body().all(|(key, _)| key.starts_with(|c: char| c.is_ascii_alphabetic()))
            && (!names_account || has_account()))
}

fn body_hash(hook: &Webhook) -> String {
    HEXLOWER.encode(&Sha256::digest(&hook.body))
}

/// The texts that Twilio may have signed, the likeliest first; never empty. Whether a port is in
/// them, the default one too, differs from product to product.
fn messages(hook: &Webhook, form: &Form, url: &SignedUrl) -> Vec<Vec<u8>> {
    let query = raw_query(hook);
    let mark: &[u8] = if query.is_empty() { b"" } else { b"?" };
    let fields = form.run_together_once();
    url.candidates(&hook.path)
        .chain(url.with_default_port(&hook.path))
        .map(|address| [address.concat().as_bytes(), mark, query, fields.as_bytes()].concat())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::sample::{credentials, get, post, with_header};

    fn verify(query: &str, body: &str, signature: &str) -> Result<(), Refusal> {
        let twilio = Twilio { secrets: credentials(&["12345"]) };
        let url = SignedUrl::own("https://mycompany.com/myapp.php").unwrap();
        let hook = with_header(post(Some(query), body), SIGNATURE, signature);
        let form = Form::split(&hook, Content::Form).unwrap();
        twilio.verify(&hook, &form, Content::Form, &url)
    }

    /// Nothing stands between the query and the first field, so the last value of the query could
    /// be made shorter or longer.
    #[test]
    fn the_end_of_the_query_cannot_be_moved() {
        let twilio = Twilio { secrets: credentials(&["12345"]) };
        let url = SignedUrl::own("https://mycompany.com/myapp.php").unwrap();
        let hook = |query, body| post(Some(query), body);
        let form = |hook: &Webhook| Form::split(hook, Content::Form).unwrap();
        let sent = hook("question=score-2", "AccountSid=AC1&Digits=2");
        let (_, signature) = twilio.sign(&sent, &form(&sent), Content::Form, &url).unwrap();
        let verify = |query, body| {
            let sent = with_header(hook(query, body), SIGNATURE, &signature);
            twilio.verify(&sent, &form(&sent), Content::Form, &url)
        };
        assert_eq!(verify("question=score-2", "Digits=2&AccountSid=AC1"), Ok(()));
        for (query, body) in [
            ("question=score", "-2=&AccountSid=AC1&Digits=2"),
            ("question=score", "=-2&AccountSid=AC1&Digits=2"),
            ("question=score-2AccountSid", "AC1=&Digits=2"),
            ("question=score-2A", "ccountSidAC1Digits2="),
        ] {
            assert_eq!(verify(query, body), Err(Refusal::Mismatch), "{query} {body}");
        }
    }

    /// The example of Twilio's page on the security of webhooks.
    #[test]
    fn the_documented_example_verifies_in_any_order_of_its_fields() {
        const SIGNATURE: &str = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
        let body = "To=%2B18005551212&From=%2B14158675309&Digits=1234&Caller=%2B14158675309\
                    &CallSid=CA1234567890ABCDE";
        assert_eq!(verify("foo=1&bar=2", body, SIGNATURE), Ok(()));
        assert_eq!(verify("bar=2&foo=1", body, SIGNATURE), Err(Refusal::Mismatch));
        assert_eq!(verify("foo=1&bar=2", &body[3..], SIGNATURE), Err(Refusal::Mismatch));
    }

    #[test]
    fn a_body_that_the_query_does_not_name_is_vouched_for_by_nobody() {
        let twilio = Twilio { secrets: credentials(&["12345"]) };
        let url = SignedUrl::own("https://mycompany.com/myapp.php").unwrap();
        let verified = |mut hook: Webhook, content| {
            let form = Form::split(&hook, content).unwrap();
            let tag = Algorithm::Sha1.tag(b"12345", &messages(&hook, &form, &url)[0]);
            hook = with_header(hook, SIGNATURE, &BASE64.encode(&tag));
            twilio.verify(&hook, &form, content, &url)
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
            let hook = post(Some(query), body);
            assert_eq!(verified(hook, Content::Json), Err(Refusal::Mismatch), "{query} {body}");
        }
        // Neither can the body that is named be left out, or be called something else.
        for content in [Content::Nothing, Content::Form] {
            let hook = post(Some(&query), "");
            assert_eq!(verified(hook, content), Err(Refusal::Mismatch), "{content:?}");
        }
        assert_eq!(verified(get(Some(&query)), Content::Nothing), Err(Refusal::Mismatch));
    }

    #[test]
    fn an_algorithm_that_nobody_knows_is_refused() {
        let hook = |settings| {
            let hook = with_header(post(None, ""), SIGNATURE, "AAAA");
            algorithm(&with_header(hook, SETTINGS, settings))
        };
        assert_eq!(hook("key=k,algorithm=HMAC_SHA256"), Ok(Algorithm::Sha256));
        assert_eq!(hook("key=k"), Ok(Algorithm::Sha1));
        assert_eq!(hook("key=k,algorithm=NONE"), Err(Refusal::Mismatch));
    }
}
