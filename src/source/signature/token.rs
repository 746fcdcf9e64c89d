use std::fmt;

use data_encoding::BASE64;
use secrecy::ExposeSecret;

use crate::domain::{Credentials, Webhook};

use super::attempt::SignatureAttempt;
use super::error::SignatureError;
use super::header;
use super::secret::{any_verifies, is_same};

const AUTHORIZATION: &str = "Authorization";

/// `Authorization: Bearer …`: who knows a token is believed.
#[derive(Debug)]
pub struct Bearer {
    pub tokens: Credentials,
}

/// `Authorization: Basic …`: who knows a password is believed.
pub struct Basic {
    /// Without a colon: that is where the password begins.
    pub user: String,
    pub passwords: Credentials,
}

impl Bearer {
    pub(super) fn verify(&self, webhook: &Webhook) -> Result<(), SignatureError> {
        let claimed = authorization(webhook, b"Bearer")?;
        let verified = any_verifies(&self.tokens, |token| is_same(token.as_bytes(), claimed));
        if verified { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    pub(super) fn sign(&self) -> (String, String) {
        let token = self.tokens.first();
        (AUTHORIZATION.to_owned(), format!("Bearer {}", token.expose_secret()))
    }
}

impl Basic {
    pub(super) fn verify(&self, webhook: &Webhook) -> Result<(), SignatureError> {
        let claimed = authorization(webhook, b"Basic")?;
        let claimed = BASE64.decode(claimed).map_err(|_| SignatureError::Mismatch)?;
        let verified = any_verifies(&self.passwords, |password| {
            is_same(self.pair(password).as_bytes(), &claimed)
        });
        if verified { Ok(()) } else { Err(SignatureError::Mismatch) }
    }

    pub(super) fn sign(&self) -> (String, String) {
        let pair = self.pair(self.passwords.first().expose_secret());
        (AUTHORIZATION.to_owned(), format!("Basic {}", BASE64.encode(pair.as_bytes())))
    }

    fn pair(&self, password: &str) -> String {
        format!("{}:{password}", self.user)
    }
}

/// There is nothing to compare but the secret itself.
pub(super) fn explain(webhook: &Webhook, scheme: &'static str, matches: bool) -> SignatureAttempt {
    SignatureAttempt { matches, ..SignatureAttempt::new(webhook, scheme, &[AUTHORIZATION]) }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic").finish_non_exhaustive()
    }
}

/// What follows the name of the authentication scheme, which is compared without regard to case
/// (RFC 9110, section 11.1). Another scheme is as good as none.
pub(super) fn authorization<'a>(
    webhook: &'a Webhook,
    scheme: &[u8],
) -> Result<&'a [u8], SignatureError> {
    let value = header::required(webhook, AUTHORIZATION)?;
    let (name, rest) = value.split_at_checked(scheme.len()).ok_or(SignatureError::Missing)?;
    if name.eq_ignore_ascii_case(scheme) && rest.starts_with(b" ") {
        Ok(rest.trim_ascii())
    } else {
        Err(SignatureError::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::sample::{credentials, post, with_header};

    fn with(authorization: &str) -> Webhook {
        with_header(post(None, ""), AUTHORIZATION, authorization)
    }

    #[test]
    fn a_bearer_of_any_listed_token_is_believed() {
        let bearer = Bearer { tokens: credentials(&["new", "old"]) };
        for good in ["Bearer new", "Bearer old", "bearer  old "] {
            assert_eq!(bearer.verify(&with(good)), Ok(()), "{good}");
        }
        for bad in ["Bearer ne", "Bearer neww", "Bearer New", "Bearer ", "Bearer new old"] {
            assert_eq!(bearer.verify(&with(bad)), Err(SignatureError::Mismatch), "{bad}");
        }
        for none in ["", "new", "Bearer", "Bearernew", "Basic new", "Bear"] {
            assert_eq!(bearer.verify(&with(none)), Err(SignatureError::Missing), "{none}");
        }
        assert_eq!(bearer.verify(&post(None, "")), Err(SignatureError::Missing));
    }

    #[test]
    fn a_user_with_any_listed_password_is_believed() {
        let basic = Basic { user: "ivr".into(), passwords: credentials(&["p:1", "p2"]) };
        let verified = |pair: &str| {
            basic.verify(&with(&format!("Basic {}", BASE64.encode(pair.as_bytes())))).is_ok()
        };
        assert!(verified("ivr:p:1") && verified("ivr:p2"));
        for bad in ["ivr:p", "ivr:", "ivr", "IVR:p2", "other:p2", ":p2", ""] {
            assert!(!verified(bad), "{bad}");
        }
        assert_eq!(basic.verify(&with("Basic ???")), Err(SignatureError::Mismatch));
    }

    #[test]
    fn an_empty_secret_lets_nobody_in() {
        let bearer = Bearer { tokens: credentials(&[""]) };
        assert_eq!(bearer.verify(&with("Bearer ")), Err(SignatureError::Mismatch));
    }

    #[test]
    fn two_authorizations_are_none() {
        let bearer = Bearer { tokens: credentials(&["t"]) };
        let twice = with_header(with("Bearer t"), AUTHORIZATION, "Bearer t");
        assert_eq!(bearer.verify(&twice), Err(SignatureError::Duplicate));
    }
}
