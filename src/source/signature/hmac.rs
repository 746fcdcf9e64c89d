use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use secrecy::ExposeSecret;

use crate::domain::{Credentials, IdempotencyKey, Method, Webhook};
use crate::source::form::raw_query;

use super::attempt::SignatureAttempt;
use super::clock_tolerance::ClockTolerance;
use super::error::SignatureError;
use super::header::{self, HeaderName};
use super::secret::{Algorithm, any_verifies, is_tag};
use super::signed_id::SignedId;
use super::signed_payload::{BadSignedPayload, Parts, SignedPayload};
use super::time_format::TimeFormat;

/// An HMAC in a header, over the body of a POST as it came, over the query of a GET as it came, and
/// over whatever else the [`HmacRules`] name. The query of a POST is not covered.
#[derive(Debug)]
pub struct Hmac {
    rules: HmacRules,
    secrets: Credentials,
}

/// How a sender makes its HMAC: most senders differ in nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HmacRules {
    pub header: HeaderName,
    /// Where the header is a list such as `t=…,v1=…`: the key of the signatures, of which any will
    /// do.
    pub key: Option<String>,
    pub algorithm: Algorithm,
    pub encoding: Encoding,
    /// The text before the signature, such as `sha256=`; may be empty.
    pub prefix: String,
    pub timestamp: Option<SignedTime>,
    /// Which header names the webhook; none is looked for where it is not signed.
    pub id: Option<HeaderName>,
    pub signed_payload: SignedPayload,
}

/// When a webhook was signed, as its sender says and signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTime {
    pub place: TimePlace,
    pub format: TimeFormat,
    pub window: ClockTolerance,
}

/// Where a sender says when it signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimePlace {
    Header(HeaderName),
    /// Under this key of the list that the signature's own header is.
    Key(String),
}

/// Most signatures in one list: one for each secret that is still valid.
const SIGNATURES_MAX: usize = 16;

/// How the bytes of a signature are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// In either case when it is read, in lower case when it is written.
    Hex,
    /// The standard alphabet, padded.
    Base64,
}

impl HmacRules {
    /// SHA-256 in hexadecimal digits over the body alone.
    pub fn new(header: HeaderName) -> Self {
        Self {
            header,
            key: None,
            algorithm: Algorithm::Sha256,
            encoding: Encoding::Hex,
            prefix: String::new(),
            timestamp: None,
            id: None,
            signed_payload: SignedPayload::body(),
        }
    }

    fn check(&self) -> Result<(), BadSignedPayload> {
        match (self.timestamp.is_some(), self.signed_payload.timestamp()) {
            (true, false) => return Err(BadSignedPayload::UnsignedTimestamp),
            (false, true) => return Err(BadSignedPayload::NoTimestamp),
            _ => {}
        }
        let is_listed =
            self.timestamp.as_ref().is_some_and(|time| matches!(time.place, TimePlace::Key(_)));
        if is_listed && self.key.is_none() {
            return Err(BadSignedPayload::NoList);
        }
        let time_header = match self.timestamp.as_ref().map(|time| &time.place) {
            Some(TimePlace::Key(key)) if Some(key) == self.key.as_ref() => {
                return Err(BadSignedPayload::TimeInPlaceOfSignature);
            }
            Some(TimePlace::Header(header)) if header.is_same(&self.header) => {
                return Err(BadSignedPayload::TimeInPlaceOfSignature);
            }
            Some(TimePlace::Header(header)) => Some(header),
            _ => None,
        };
        if self.id.as_ref().is_some_and(|id| {
            id.is_same(&self.header) || time_header.is_some_and(|header| id.is_same(header))
        }) {
            return Err(BadSignedPayload::IdInPlaceOfAnother);
        }
        match (self.id.is_some(), self.signed_payload.id()) {
            (true, false) => Err(BadSignedPayload::UnsignedId),
            (false, true) => Err(BadSignedPayload::NoId),
            _ => Ok(()),
        }
    }
}

impl Hmac {
    /// # Errors
    /// What is signed and what the headers tell do not go together.
    pub fn new(rules: HmacRules, secrets: Credentials) -> Result<Self, BadSignedPayload> {
        rules.check()?;
        Ok(Self { rules, secrets })
    }

    pub(super) fn secrets(&self) -> &Credentials {
        &self.secrets
    }

    pub(super) fn signs_time(&self) -> bool {
        self.rules.timestamp.is_some()
    }

    pub(super) fn signs_id(&self) -> bool {
        self.rules.id.is_some()
    }

    /// Returns the sender's id of the webhook if it signs one, and otherwise what it signs if that has a
    /// time.
    pub(super) fn verify(&self, webhook: &Webhook) -> Result<Option<SignedId>, SignatureError> {
        let rules = &self.rules;
        let value = header::required(webhook, rules.header.as_str())?;
        let listed = rules.signatures(value)?;
        let timestamp = rules
            .timestamp
            .as_ref()
            .map(|time| Ok((time, time.place.text(webhook, value)?)))
            .transpose()?;
        let id = rules
            .id
            .as_ref()
            .map(|name| Ok(header::required(webhook, name.as_str())?.trim_ascii()))
            .transpose()?;
        if id.is_some_and(|id| {
            id.len() > IdempotencyKey::LENGTH_MAX || !rules.signed_payload.delimits(id)
        }) {
            return Err(SignatureError::Id);
        }
        let claimed: Vec<Vec<u8>> = listed
            .into_iter()
            .filter_map(|text| text.strip_prefix(rules.prefix.as_bytes()))
            .filter_map(|text| rules.encoding.decode(text))
            .collect();
        let message = rules.signed_payload.message(&Parts {
            id: id.unwrap_or_default(),
            timestamp: timestamp.map(|(_, text)| text).unwrap_or_default(),
            body: signed_bytes(webhook),
        });
        let verified = any_verifies(&self.secrets, |secret| {
            let tag = rules.algorithm.tag(secret.as_bytes(), &message);
            claimed.iter().any(|claimed| is_tag(&tag, claimed))
        });
        if !verified {
            return Err(SignatureError::Mismatch);
        }
        if let Some((time, text)) = timestamp {
            let signed_at = time.format.parse(text).ok_or(SignatureError::Time(time.format))?;
            time.window.check(signed_at, webhook.received_at)?;
        }
        let own = id.map(|id| SignedId::Own(String::from_utf8_lossy(id).into_owned()));
        Ok(own.or_else(|| timestamp.map(|_| SignedId::of_payload(&message))))
    }

    /// As of the webhook's arrival; `id` is what the sender calls it, where it signs one.
    pub(super) fn sign(&self, webhook: &Webhook, id: &str) -> Vec<(String, String)> {
        let rules = &self.rules;
        let mut headers = Vec::new();
        let mut listed = Vec::new();
        let timestamp = rules.timestamp.as_ref().map(|time| {
            let text = time.format.write(webhook.received_at);
            match &time.place {
                TimePlace::Header(header) => {
                    headers.push((header.as_str().to_owned(), text.clone()));
                }
                TimePlace::Key(key) => listed.push(format!("{key}={text}")),
            }
            text
        });
        if let Some(header) = &rules.id {
            headers.push((header.as_str().to_owned(), id.to_owned()));
        }
        let message = rules.signed_payload.message(&Parts {
            id: id.as_bytes(),
            timestamp: timestamp.as_deref().unwrap_or_default().as_bytes(),
            body: signed_bytes(webhook),
        });
        let secret = self.secrets.first();
        let tag = rules.algorithm.tag(secret.expose_secret().as_bytes(), &message);
        let signature = format!("{}{}", rules.prefix, rules.encoding.encode(&tag));
        listed.push(match &rules.key {
            Some(key) => format!("{key}={signature}"),
            None => signature,
        });
        headers.push((rules.header.as_str().to_owned(), listed.join(",")));
        headers
    }

    pub(super) fn explain(&self, webhook: &Webhook) -> SignatureAttempt {
        let rules = &self.rules;
        let time = rules.timestamp.as_ref();
        let time_header = time.and_then(|time| match &time.place {
            TimePlace::Header(header) => Some(header.as_str()),
            TimePlace::Key(_) => None,
        });
        let id = rules.id.as_ref().map(HeaderName::as_str);
        let headers: Vec<&str> =
            [Some(rules.header.as_str()), time_header, id].into_iter().flatten().collect();
        let value = |name: &str| header::only(webhook, name).ok().flatten();
        let own = value(rules.header.as_str()).unwrap_or_default();
        let message = rules.signed_payload.message(&Parts {
            id: id.and_then(value).unwrap_or_default().trim_ascii(),
            timestamp: time.and_then(|time| time.place.text(webhook, own).ok()).unwrap_or_default(),
            body: signed_bytes(webhook),
        });
        let matches = self.verify(webhook).map_or_else(SignatureError::is_of_time, |_| true);
        SignatureAttempt::new(webhook, "hmac", &headers).over(&message, matches)
    }
}

impl HmacRules {
    /// As they stand in the header, each with its prefix.
    fn signatures<'a>(&self, value: &'a [u8]) -> Result<Vec<&'a [u8]>, SignatureError> {
        let Some(key) = &self.key else { return Ok(vec![value.trim_ascii()]) };
        let listed: Vec<_> = listed(value, key).take(SIGNATURES_MAX + 1).collect();
        match listed.len() {
            0 => Err(SignatureError::Missing),
            1..=SIGNATURES_MAX => Ok(listed),
            _ => Err(SignatureError::TooMany),
        }
    }
}

impl TimePlace {
    /// `list` is the header of the signature.
    fn text<'a>(&self, webhook: &'a Webhook, list: &'a [u8]) -> Result<&'a [u8], SignatureError> {
        match self {
            TimePlace::Header(name) => Ok(header::required(webhook, name.as_str())?.trim_ascii()),
            TimePlace::Key(key) => {
                let mut listed = listed(list, key);
                match (listed.next(), listed.next()) {
                    (Some(only), None) => Ok(only),
                    (None, _) => Err(SignatureError::Missing),
                    (Some(_), Some(_)) => Err(SignatureError::Duplicate),
                }
            }
        }
    }
}

/// The values under a key of a list such as `t=…,v1=…`.
fn listed<'a>(list: &'a [u8], key: &str) -> impl Iterator<Item = &'a [u8]> {
    list.split(|&b| b == b',').filter_map(move |item| {
        item.trim_ascii().strip_prefix(key.as_bytes())?.strip_prefix(b"=").map(<[u8]>::trim_ascii)
    })
}

impl Encoding {
    fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Encoding::Hex => HEXLOWER_PERMISSIVE.decode(text),
            Encoding::Base64 => BASE64.decode(text),
        }
        .ok()
    }

    fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => HEXLOWER.encode(bytes),
            Encoding::Base64 => BASE64.encode(bytes),
        }
    }
}

/// What a webhook says: the query of a GET, the body of a POST.
pub(super) fn signed_bytes(webhook: &Webhook) -> &[u8] {
    match webhook.method {
        Method::Get => raw_query(webhook),
        Method::Post => &webhook.body,
    }
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::source::sample::{credentials, get, post, with_header};

    const SIGNED: &str = "what do ya want for nothing?";
    /// RFC 4231, test case 2: the key is `Jefe`.
    const HEX: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const BASE64_TEXT: &str = "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=";
    /// RFC 2202, test case 2 of HMAC-SHA-1: likewise.
    const SHA1: &str = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79";

    fn jefe(encoding: Encoding, prefix: &str) -> Hmac {
        let rules = HmacRules { encoding, prefix: prefix.to_owned(), ..rules() };
        Hmac::new(rules, credentials(&["other", "Jefe"])).unwrap()
    }

    fn rules() -> HmacRules {
        HmacRules::new("X-Signature".parse().unwrap())
    }

    fn verify(hmac: &Hmac, signature: &str) -> Result<(), SignatureError> {
        hmac.verify(&with_header(post(None, SIGNED), "X-Signature", signature)).map(|_| ())
    }

    #[test]
    fn the_vectors_of_the_rfcs_verify_in_either_writing() {
        assert_eq!(verify(&jefe(Encoding::Hex, ""), HEX), Ok(()));
        assert_eq!(verify(&jefe(Encoding::Hex, ""), &HEX.to_uppercase()), Ok(()));
        assert_eq!(verify(&jefe(Encoding::Hex, "sha256="), &format!("sha256={HEX}")), Ok(()));
        assert_eq!(verify(&jefe(Encoding::Base64, ""), BASE64_TEXT), Ok(()));
        let sha1 = HmacRules { algorithm: Algorithm::Sha1, ..rules() };
        assert_eq!(verify(&Hmac::new(sha1, credentials(&["Jefe"])).unwrap(), SHA1), Ok(()));
    }

    #[test]
    fn a_get_signs_its_query() {
        let webhook = with_header(get(Some(SIGNED)), "X-Signature", HEX);
        assert_eq!(jefe(Encoding::Hex, "").verify(&webhook), Ok(None));
    }

    #[test]
    fn anything_else_is_refused() {
        let hmac = jefe(Encoding::Hex, "sha256=");
        for bad in ["", "sha256=", HEX, &format!("sha1={HEX}"), &format!("sha256={}", &HEX[2..])] {
            assert_eq!(verify(&hmac, bad), Err(SignatureError::Mismatch), "{bad}");
        }
        assert_eq!(verify(&jefe(Encoding::Base64, ""), HEX), Err(SignatureError::Mismatch));
        assert_eq!(hmac.verify(&post(None, SIGNED)), Err(SignatureError::Missing));
    }

    #[test]
    fn what_is_told_and_what_is_signed_go_together() {
        let timed = |signs: &str| HmacRules {
            timestamp: Some(SignedTime {
                place: TimePlace::Header("X-Time".parse().unwrap()),
                format: TimeFormat::Unix,
                window: ClockTolerance::default(),
            }),
            signed_payload: signs.parse().unwrap(),
            ..rules()
        };
        let named =
            |signs: &str| HmacRules { id: "X-Id".parse().ok(), timestamp: None, ..timed(signs) };
        let refused = |rules| Hmac::new(rules, credentials(&["s"])).err();
        assert_eq!(refused(timed("{timestamp}{body}")), None);
        assert_eq!(refused(timed("{body}")), Some(BadSignedPayload::UnsignedTimestamp));
        assert_eq!(refused(named("{id}.{body}")), None);
        assert_eq!(refused(named("{body}")), Some(BadSignedPayload::UnsignedId));
        let untimed = HmacRules { timestamp: None, ..timed("{timestamp}{body}") };
        assert_eq!(refused(untimed), Some(BadSignedPayload::NoTimestamp));
        let unnamed = HmacRules { id: None, ..named("{id}.{body}") };
        assert_eq!(refused(unnamed), Some(BadSignedPayload::NoId));
    }

    #[test]
    fn each_of_its_headers_stands_once() {
        let rules = HmacRules {
            timestamp: Some(SignedTime {
                place: TimePlace::Header("X-Time".parse().unwrap()),
                format: TimeFormat::Unix,
                window: ClockTolerance::default(),
            }),
            id: "X-Id".parse().ok(),
            signed_payload: "{id}.{timestamp}.{body}".parse().unwrap(),
            ..rules()
        };
        let hmac = Hmac::new(rules, credentials(&["s"])).unwrap();
        let webhook = hmac
            .sign(&post(None, SIGNED), "msg-1")
            .iter()
            .fold(post(None, SIGNED), |webhook, (name, value)| with_header(webhook, name, value));
        assert_eq!(hmac.verify(&webhook), Ok(Some(SignedId::Own("msg-1".to_owned()))));
        for (at, (name, value)) in webhook.headers.iter().enumerate().skip(1) {
            let mut twice = webhook.clone();
            twice.headers.push(name, value);
            assert_eq!(hmac.verify(&twice), Err(SignatureError::Duplicate));
            let mut headers = webhook.headers.to_vec();
            headers.remove(at);
            let without = Webhook { headers: headers.into_iter().collect(), ..webhook.clone() };
            assert_eq!(hmac.verify(&without), Err(SignatureError::Missing));
        }
    }

    #[test]
    fn an_id_with_the_separator_next_to_it_is_refused_under_its_own_name() {
        let signed = |template: &str, id: &str| {
            let rules = HmacRules {
                id: "X-Id".parse().ok(),
                signed_payload: template.parse().unwrap(),
                ..rules()
            };
            let hmac = Hmac::new(rules, credentials(&["s"])).unwrap();
            let headers = hmac.sign(&post(None, SIGNED), id);
            hmac.verify(&headers.iter().fold(post(None, SIGNED), |webhook, (name, value)| {
                with_header(webhook, name, value)
            }))
        };
        let uuid = "1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed";
        assert_eq!(signed("{id}.{body}", uuid), Ok(Some(SignedId::Own(uuid.to_owned()))));
        assert_eq!(
            signed("sent-by=x;id={id};{body}", uuid),
            Ok(Some(SignedId::Own(uuid.to_owned())))
        );
        assert_eq!(signed("{id}-{body}", uuid), Err(SignatureError::Id));
    }

    /// As jambonz's own library signs.
    fn list_of_t_and_v1() -> HmacRules {
        HmacRules {
            key: Some("v1".to_owned()),
            timestamp: Some(SignedTime {
                place: TimePlace::Key("t".to_owned()),
                format: TimeFormat::Unix,
                window: ClockTolerance::default(),
            }),
            signed_payload: "{timestamp}.{body}".parse().unwrap(),
            ..rules()
        }
    }

    #[test]
    fn any_signature_of_a_list_will_do_and_its_time_stands_once() {
        let hmac = Hmac::new(list_of_t_and_v1(), credentials(&["s"])).unwrap();
        let (_, list) = hmac.sign(&post(None, SIGNED), "").remove(0);
        for good in
            [list.clone(), format!("v1=00,{list}"), format!(" {},v0=x", list.replace(",", " , "))]
        {
            assert_eq!(verify(&hmac, &good), Ok(()), "{good}");
        }
        for (bad, why) in [
            (String::new(), SignatureError::Missing),
            (list.replace("v1=", "v2="), SignatureError::Missing),
            (list.replace("t=", "x="), SignatureError::Missing),
            (format!("t=1,{list}"), SignatureError::Duplicate),
            (list.replace("t=0", "t=1"), SignatureError::Mismatch),
            (format!("{list}{}", ",v1=00".repeat(16)), SignatureError::TooMany),
        ] {
            assert_eq!(verify(&hmac, &bad), Err(why), "{bad}");
        }
        let without = HmacRules { key: None, ..list_of_t_and_v1() };
        assert_eq!(Hmac::new(without, credentials(&["s"])).err(), Some(BadSignedPayload::NoList));
    }

    #[test]
    fn a_signed_time_in_another_format_is_no_mismatch() {
        let timed = |format| {
            let place = TimePlace::Header("X-Time".parse().unwrap());
            let rules = HmacRules {
                timestamp: Some(SignedTime { place, format, window: ClockTolerance::default() }),
                signed_payload: "{timestamp}.{body}".parse().unwrap(),
                ..rules()
            };
            Hmac::new(rules, credentials(&["s"])).unwrap()
        };
        let at = Timestamp::from_second(1_763_805_600).unwrap();
        let sent = Webhook { received_at: at, ..post(None, SIGNED) };
        let headers = timed(TimeFormat::UnixMs).sign(&sent, "");
        let webhook =
            headers.iter().fold(sent, |webhook, (name, value)| with_header(webhook, name, value));
        assert!(timed(TimeFormat::UnixMs).verify(&webhook).is_ok());
        let seconds = TimeFormat::Unix.write(at);
        assert_eq!(TimeFormat::UnixMs.parse(seconds.as_bytes()), None, "seconds are not long ago");
        for format in [TimeFormat::Unix, TimeFormat::Iso] {
            let hmac = timed(format);
            assert_eq!(hmac.verify(&webhook), Err(SignatureError::Time(format)));
            assert!(hmac.explain(&webhook).matches, "the signature itself matches");
            let changed = Webhook { body: b"other".to_vec(), ..webhook.clone() };
            assert_eq!(hmac.verify(&changed), Err(SignatureError::Mismatch));
            assert!(!hmac.explain(&changed).matches);
        }
    }

    /// Every way in which the parts of the webhook could be in a message, each piece at any length.
    fn cuts<'m>(template: &str, message: &'m [u8]) -> Vec<Vec<(String, &'m [u8])>> {
        let Some(at) = template.find('{') else {
            return if template.as_bytes() == message { vec![Vec::new()] } else { Vec::new() };
        };
        let Some(message) = message.strip_prefix(&template.as_bytes()[..at]) else {
            return Vec::new();
        };
        let (name, rest) = template[at + 1..].split_once('}').unwrap();
        let ends = (0..=message.len()).flat_map(|end| {
            let others = cuts(rest, &message[end..]).into_iter();
            others.map(move |others| [vec![(name.to_owned(), &message[..end])], others].concat())
        });
        ends.collect()
    }

    proptest! {
        /// An attacker who has captured a webhook may move what is signed from one part into the next.
        #[test]
        fn signed_bytes_have_one_reading(
            template in select(&[
                "{timestamp}{body}", "{body}{timestamp}", "{timestamp}.{body}", "{body}-{timestamp}",
                "{id}.{timestamp}.{body}", "{id}-{body}", "{body}-{id}", "{body}.{id}.{timestamp}",
                "id={id};ts={timestamp};{body}", "{timestamp}{body}:{id}", "{id}:{timestamp}{body}",
                "{body}{timestamp}00{id}", "{id}-1-{body}", "{timestamp}--{id}--{body}",
            ][..]),
            format in select(&[TimeFormat::Unix, TimeFormat::UnixMs, TimeFormat::Iso][..]),
            id in "[a1.:;=t-]{1,4}|[0-9]-1|1-[0-9]|-",
            body in "(0|00|[0-9]{1,3}|-1|00:|:00|\\+00|[a:;=.Z-]){0,3}",
            late in -60..300_i64,
            offset in select(&["Z", "+02:00"][..]),
        ) {
            let now = Timestamp::from_second(1_763_805_600).unwrap();
            let rules = HmacRules {
                timestamp: template.contains("{timestamp}").then(|| SignedTime {
                    place: TimePlace::Header("X-Time".parse().unwrap()),
                    format,
                    window: ClockTolerance::default(),
                }),
                id: template.contains("{id}").then(|| "X-Id".parse().unwrap()),
                signed_payload: template.parse().unwrap(),
                ..rules()
            };
            let hmac = Hmac::new(rules, credentials(&["s"])).unwrap();
            let time = format.write(now - SignedDuration::from_secs(late)).replace('Z', offset);
            let parts = Parts { id: id.as_bytes(), timestamp: time.as_bytes(), body: body.as_bytes() };
            let message = hmac.rules.signed_payload.message(&parts);
            let tag = Encoding::Hex.encode(&Algorithm::Sha256.tag(b"s", &message));
            let accepted = cuts(template, &message).into_iter().filter(|parts| {
                let mut webhook = with_header(post(None, ""), "X-Signature", &tag);
                webhook.received_at = now;
                for (name, value) in parts {
                    match &**name {
                        "body" => webhook.body = value.to_vec(),
                        "id" => webhook.headers.push("x-id", value),
                        _ => webhook.headers.push("x-time", value),
                    }
                }
                hmac.verify(&webhook).is_ok()
            });
            prop_assert!(accepted.count() <= 1, "{template}: {}", String::from_utf8_lossy(&message));
        }
    }
}
