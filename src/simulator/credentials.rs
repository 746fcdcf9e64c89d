use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use data_encoding::BASE64;
use subtle::ConstantTimeEq;

/// Who may post feedback.
pub enum Credentials {
    /// Any auth id with any token, as long as neither is empty.
    Any,
    /// Exactly this `auth_id:auth_token`.
    Only(String),
}

impl From<Option<(String, String)>> for Credentials {
    fn from(auth: Option<(String, String)>) -> Self {
        auth.map_or(Self::Any, |(id, token)| Self::Only(format!("{id}:{token}")))
    }
}

impl Credentials {
    /// The auth id that the request proves with HTTP Basic.
    pub fn authenticate(&self, headers: &HeaderMap) -> Option<String> {
        let pair = basic_pair(headers.get(AUTHORIZATION)?.to_str().ok()?)?;
        let (id, token) = pair.split_once(':')?;
        let known = match self {
            Self::Any => !id.is_empty() && !token.is_empty(),
            Self::Only(expected) => pair.as_bytes().ct_eq(expected.as_bytes()).into(),
        };
        known.then(|| id.to_owned())
    }
}

fn basic_pair(authorization: &str) -> Option<String> {
    let (scheme, encoded) = authorization.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    String::from_utf8(BASE64.decode(encoded.trim().as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn proven(credentials: &Credentials, authorization: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
        credentials.authenticate(&headers)
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", BASE64.encode(pair.as_bytes()))
    }

    #[test]
    fn without_an_account_any_full_pair_may_post() {
        assert_eq!(proven(&Credentials::Any, &basic("MA1:t:o")), Some("MA1".to_owned()));
        for refused in [basic(":t"), basic("MA1:"), basic("MA1"), basic(""), "Bearer x".to_owned()]
        {
            assert_eq!(proven(&Credentials::Any, &refused), None, "{refused}");
        }
        assert_eq!(Credentials::Any.authenticate(&HeaderMap::new()), None);
    }

    #[test]
    fn with_an_account_only_its_pair_may_post() {
        let only = Credentials::from(Some(("MA1".to_owned(), "token".to_owned())));
        assert_eq!(proven(&only, &basic("MA1:token")), Some("MA1".to_owned()));
        for refused in ["MA1:tokem", "MA2:token", "MA1:token ", "MA1:"] {
            assert_eq!(proven(&only, &basic(refused)), None, "{refused}");
        }
    }

    #[test]
    fn what_is_not_base64_proves_nothing() {
        for refused in ["Basic", "Basic *", "Basic TUEx", "basic /w=="] {
            assert_eq!(proven(&Credentials::Any, refused), None, "{refused}");
        }
    }
}
