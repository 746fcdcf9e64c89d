use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::domain::{Credentials, IdempotencyKey, Method, Webhook};
use crate::source::form::Form;

use super::attempt::SignatureAttempt;
use super::clock_tolerance::ClockTolerance;
use super::error::SignatureError;
use super::secret::{Algorithm, any_verifies, is_tag};
use super::signed_id::SignedId;
use super::time_format::TimeFormat;
use super::token::authorization;

/// Vonage: a JSON Web Token in `Authorization: Bearer`, made with HS256 and the account's signature
/// secret, that names the body by its SHA-256. No other algorithm is looked at, whatever the token
/// asks for.
#[derive(Debug)]
pub struct Vonage {
    pub secrets: Credentials,
    pub window: ClockTolerance,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// Extensions that must be understood; none is.
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iat: i64,
    exp: Option<i64>,
    jti: Option<String>,
    payload_hash: String,
}

impl Vonage {
    /// Returns the token's own id if it has one, and otherwise the token.
    pub(super) fn verify(
        &self,
        webhook: &Webhook,
        form: &Form,
    ) -> Result<SignedId, SignatureError> {
        let token = authorization(webhook, b"Bearer")?;
        let (signed, tag) = split_last(token).ok_or(SignatureError::Mismatch)?;
        let (header, claims) = split_last(signed).ok_or(SignatureError::Mismatch)?;
        let tag = BASE64URL_NOPAD.decode(tag).map_err(|_| SignatureError::Mismatch)?;
        let header: Header = part(header).ok_or(SignatureError::Mismatch)?;
        if header.alg != "HS256" || header.crit.is_some() {
            return Err(SignatureError::Mismatch);
        }
        let verified = any_verifies(&self.secrets, |secret| {
            is_tag(&Algorithm::Sha256.tag(secret.as_bytes(), signed), &tag)
        });
        if !verified {
            return Err(SignatureError::Mismatch);
        }
        let claims: Claims = part(claims).ok_or(SignatureError::Mismatch)?;
        let hash = payload_hash(webhook, form);
        let claimed = claims.payload_hash.to_ascii_lowercase();
        if !is_tag(hash.as_bytes(), claimed.as_bytes()) {
            return Err(SignatureError::Mismatch);
        }
        let time = |second| {
            Timestamp::from_second(second).map_err(|_| SignatureError::Time(TimeFormat::Unix))
        };
        self.window.check(time(claims.iat)?, webhook.received_at)?;
        if claims.exp.map(time).transpose()?.is_some_and(|expires| expires <= webhook.received_at) {
            return Err(SignatureError::Old);
        }
        let own = claims.jti.filter(|id| !id.is_empty() && id.len() <= IdempotencyKey::LENGTH_MAX);
        Ok(own.map_or_else(|| SignedId::of_payload(signed), SignedId::Own))
    }

    /// As of the webhook's arrival, with the first secret.
    pub(super) fn sign(&self, webhook: &Webhook, form: &Form, id: &str) -> (String, String) {
        let claims = serde_json::json!({
            "iss": "Vonage",
            "iat": webhook.received_at.as_second(),
            "jti": id,
            "payload_hash": payload_hash(webhook, form),
        });
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let signed =
            format!("{}.{}", encode(r#"{"alg":"HS256","typ":"JWT"}"#), encode(&claims.to_string()));
        let secret = self.secrets.first();
        let tag = Algorithm::Sha256.tag(secret.expose_secret().as_bytes(), signed.as_bytes());
        ("Authorization".to_owned(), format!("Bearer {signed}.{}", BASE64URL_NOPAD.encode(&tag)))
    }

    /// The signed text is the token itself; the payload's hash can be compared.
    pub(super) fn explain(&self, webhook: &Webhook, form: &Form) -> SignatureAttempt {
        let matches = self.verify(webhook, form).map_or_else(SignatureError::is_of_time, |_| true);
        SignatureAttempt::new(webhook, "vonage", &["Authorization"])
            .over(format!("payload_hash={}", payload_hash(webhook, form)).as_bytes(), matches)
    }
}

/// Of the body as it came; of a GET, of its fields as one JSON object in their order.
fn payload_hash(webhook: &Webhook, form: &Form) -> String {
    let digest = match webhook.method {
        Method::Post => Sha256::digest(&webhook.body),
        Method::Get => Sha256::digest(as_json(form.query())),
    };
    HEXLOWER.encode(&digest)
}

fn as_json<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let members: Vec<String> =
        pairs.map(|(key, value)| format!("{}:{}", quoted(key), quoted(value))).collect();
    format!("{{{}}}", members.join(","))
}

/// The text before the last dot, and after it.
fn split_last(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let dot = text.iter().rposition(|&b| b == b'.')?;
    Some((&text[..dot], &text[dot + 1..]))
}

fn part<T: for<'de> Deserialize<'de>>(text: &[u8]) -> Option<T> {
    serde_json::from_slice(&BASE64URL_NOPAD.decode(text).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::content::Content;
    use crate::source::sample::{credentials, get, post, with_header};

    const SECRET: &str = "a signature secret of the account";

    fn token(header: &str, claims: &str) -> String {
        let encode = |text: &str| BASE64URL_NOPAD.encode(text.as_bytes());
        let signed = format!("{}.{}", encode(header), encode(claims));
        let tag = Algorithm::Sha256.tag(SECRET.as_bytes(), signed.as_bytes());
        format!("Bearer {signed}.{}", BASE64URL_NOPAD.encode(&tag))
    }

    fn verify(webhook: Webhook, authorization: &str) -> Result<SignedId, SignatureError> {
        let vonage = Vonage { secrets: credentials(&[SECRET]), window: ClockTolerance::default() };
        let form = Form::split(&webhook, Content::Json).unwrap();
        vonage.verify(&with_header(webhook, "Authorization", authorization), &form)
    }

    /// SHA-256 of `{}`.
    const HASH: &str = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a";

    #[test]
    fn only_one_algorithm_is_looked_at() {
        let claims = format!(r#"{{"iat":0,"jti":"j-1","payload_hash":"{HASH}"}}"#);
        let webhook = || post(None, "{}");
        assert_eq!(
            verify(webhook(), &token(r#"{"alg":"HS256"}"#, &claims)),
            Ok(SignedId::Own("j-1".to_owned()))
        );
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"hs256"}"#,
            r#"{"alg":"HS512"}"#,
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"HS256","crit":["exp"]}"#,
            "{}",
            "",
        ] {
            assert_eq!(
                verify(webhook(), &token(header, &claims)),
                Err(SignatureError::Mismatch),
                "{header}"
            );
        }
        let unsigned = token(r#"{"alg":"none"}"#, &claims);
        let unsigned = &unsigned[..=unsigned.rfind('.').unwrap()];
        assert_eq!(verify(webhook(), unsigned), Err(SignatureError::Mismatch));
    }

    #[test]
    fn a_token_names_its_time_and_its_payload() {
        let hs256 = r#"{"alg":"HS256"}"#;
        let with = |claims: &str| verify(post(None, "{}"), &token(hs256, claims));
        let hash = format!(r#""payload_hash":"{HASH}""#);
        let without_id = with(&format!(r#"{{"iat":0,{hash}}}"#));
        assert!(matches!(without_id, Ok(SignedId::Payload(_))));
        assert_ne!(with(&format!(r#"{{"iat":1,{hash}}}"#)), without_id);
        assert!(with(&format!(r#"{{"iat":0,"exp":1,{hash}}}"#)).is_ok());
        assert_eq!(with(&format!(r#"{{"iat":0,"exp":0,{hash}}}"#)), Err(SignatureError::Old));
        assert_eq!(with(&format!(r#"{{"iat":-301,{hash}}}"#)), Err(SignatureError::Old));
        assert_eq!(with(&format!(r#"{{"iat":61,{hash}}}"#)), Err(SignatureError::Future));
        assert_eq!(
            with(&format!(r#"{{"iat":1763805600000,{hash}}}"#)),
            Err(SignatureError::Time(TimeFormat::Unix))
        );
        for bad in [r#"{"iat":0}"#, &format!("{{{hash}}}"), "{", r#"{"iat":0,"payload_hash":""}"#] {
            assert_eq!(with(bad), Err(SignatureError::Mismatch), "{bad}");
        }
    }

    #[test]
    fn the_payload_of_a_get_is_its_query_as_json() {
        // echo -n '{"uuid":"a b","dtmf":"4"}' | sha256sum
        let hash = "046bc93c2c55d44a47bbd4cc1d164a368f49dcdd054e73627dd8ffe451c19600";
        let claims = format!(r#"{{"iat":0,"payload_hash":"{hash}"}}"#);
        let webhook = get(Some("uuid=a+b&dtmf=4"));
        assert!(verify(webhook, &token(r#"{"alg":"HS256"}"#, &claims)).is_ok());
    }
}
