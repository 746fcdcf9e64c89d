use std::future::{Ready, ready};
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, FromRequest, HttpMessage, HttpRequest, web};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tracing::Instrument;
use uuid::Uuid;

use super::super::origin::{Site, is_forwarded, names_loopback, only, site};
use super::super::problem::Problem;
use crate::admin::{Mask, Role};
use crate::domain::Credentials;

/// Access control of the admin listener's API and console: tokens, or, if none is configured, loopback only.
pub struct Gate {
    /// No one else can reach the listener.
    is_on_loopback: bool,
    tokens: RwLock<AdminTokens>,
}

/// The tokens of the settings.
#[derive(Clone, Default)]
pub struct AdminTokens {
    /// Of operators.
    pub token: Option<Arc<Credentials>>,
    /// Of those who only read.
    pub viewer_token: Option<Arc<Credentials>>,
}

/// A client that was let in.
#[derive(Debug, Clone, Copy)]
pub(in crate::http) struct Visitor {
    pub role: Role,
    /// By what it was let in, for the log.
    pub by: &'static str,
    /// Of the console, if it needs one.
    pub session: Option<Uuid>,
}

impl Gate {
    pub fn new(is_on_loopback: bool, tokens: AdminTokens) -> Self {
        Self { is_on_loopback, tokens: RwLock::new(tokens) }
    }

    /// Other tokens, or none, from now on.
    pub fn change(&self, tokens: AdminTokens) {
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = tokens;
    }

    /// Whether there is an API at all.
    pub fn is_open(&self) -> bool {
        self.is_on_loopback || self.tokens().token.is_some()
    }

    /// A token that was rotated in its file lets in from now on.
    pub fn read_secrets_anew(&self) {
        let AdminTokens { token, viewer_token } = self.tokens();
        for token in [token, viewer_token].into_iter().flatten() {
            if let Err(error) = token.read_anew() {
                tracing::warn!(
                    error,
                    "the API's token could not be read again; the known one stays"
                );
            }
        }
    }

    pub(in crate::http) fn tokens(&self) -> AdminTokens {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who a client of the API is.
    fn let_in(&self, method: &Method, headers: &HeaderMap) -> Result<Visitor, Problem> {
        let forbidden = |detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, detail));
        let tokens = self.tokens();
        if tokens.token.is_none() {
            return match self.check_loopback(headers) {
                Ok(()) if site(headers) != Site::Foreign => {
                    Ok(Visitor { role: Role::Operator, by: "loopback", session: None })
                }
                Ok(()) => forbidden(LoopbackError::IsNotDirect.detail()),
                Err(LoopbackError::IsOff) => {
                    Err(Problem::new(StatusCode::NOT_FOUND, LoopbackError::IsOff.detail()))
                }
                Err(error) => forbidden(error.detail()),
            };
        }
        let Some(role) = only(headers, header::AUTHORIZATION)
            .and_then(bearer)
            .and_then(|claimed| tokens.role_of(claimed))
        else {
            let detail = "send the admin.token of the settings as Authorization: Bearer TOKEN";
            return Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
        };
        if !method.is_safe() && site(headers) == Site::Foreign {
            return forbidden("a page of another origin may change nothing here");
        }
        if !method.is_safe() && role == Role::Viewer {
            return forbidden("admin.viewer_token only reads: send admin.token to act");
        }
        Ok(Visitor { role, by: "bearer", session: None })
    }

    /// Without a token only this host is let in.
    pub(in crate::http) fn check_loopback(&self, headers: &HeaderMap) -> Result<(), LoopbackError> {
        if !self.is_on_loopback {
            Err(LoopbackError::IsOff)
        } else if !names_loopback(headers) {
            // A page in the browser of an operator could ask by a name of its own.
            Err(LoopbackError::NamesAnother)
        } else if is_forwarded(headers) {
            // A reverse proxy on this host reaches the listener by loopback for any client.
            Err(LoopbackError::IsNotDirect)
        } else {
            Ok(())
        }
    }
}

/// Why a client is not let in without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum LoopbackError {
    IsOff,
    NamesAnother,
    IsNotDirect,
}

impl LoopbackError {
    pub fn detail(self) -> &'static str {
        match self {
            LoopbackError::IsOff => {
                "the API is off: this listener can be reached from other hosts, and the settings have \
                 no admin.token"
            }
            LoopbackError::NamesAnother => {
                "without an admin.token the API answers to this host's own names alone, such as localhost"
            }
            LoopbackError::IsNotDirect => {
                "without an admin.token the API answers neither what a proxy passes on nor a page in a \
                 browser: set admin.token and send it as Authorization: Bearer"
            }
        }
    }
}

impl AdminTokens {
    /// Whose token it is. Every token is compared, by its digest: the time it takes tells neither how far one
    /// fits nor how long it is.
    pub(in crate::http) fn role_of(&self, claimed: &[u8]) -> Option<Role> {
        let claimed = Sha256::digest(claimed);
        let is_same = |token: &SecretString| -> bool {
            Sha256::digest(token.expose_secret()).ct_eq(&claimed).into()
        };
        let any = |tokens: &Option<Arc<Credentials>>| {
            let tokens = tokens.as_ref().map(|it| it.tokens()).unwrap_or_default();
            tokens.iter().fold(false, |found, token| found | is_same(token))
        };
        let (is_viewer, is_operator) = (any(&self.viewer_token), any(&self.token));
        if is_operator { Some(Role::Operator) } else { is_viewer.then_some(Role::Viewer) }
    }
}

impl Visitor {
    /// A view as this client may see it.
    pub fn sees<T: Mask>(self, mut view: T) -> T {
        if self.role == Role::Viewer {
            view.mask();
        }
        view
    }
}

impl Visitor {
    /// Who makes a request that was let in.
    pub fn of(request: &HttpRequest) -> Self {
        let visitor = request.extensions().get::<Visitor>().copied();
        visitor.expect("only who was let in comes to a handler")
    }
}

impl FromRequest for Visitor {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Visitor::of(request)))
    }
}

pub(super) async fn let_in(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let gate = request.app_data::<web::Data<Gate>>().expect("the gate is there");
    match gate.let_in(request.method(), request.headers()) {
        Ok(visitor) => {
            let span = tracing::info_span!("by_hand", by = visitor.by);
            request.extensions_mut().insert(visitor);
            let mut response = next.call(request).instrument(span).await?.map_into_left_body();
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            Ok(response)
        }
        Err(problem) => {
            let mut response = problem.response();
            if response.status() == StatusCode::UNAUTHORIZED {
                let scheme = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            }
            Ok(request.into_response(response).map_into_right_body())
        }
    }
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"Bearer";
    let (name, rest) = value.split_at_checked(SCHEME.len())?;
    (name.eq_ignore_ascii_case(SCHEME) && rest.starts_with(b" ")).then(|| rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_is_read_whatever_the_case_of_its_scheme() {
        assert_eq!(bearer(b"Bearer t"), Some(&b"t"[..]));
        assert_eq!(bearer(b"bearer  t "), Some(&b"t"[..]));
        for none in [&b"Bearer"[..], b"Bearert", b"Basic t", b""] {
            assert_eq!(bearer(none), None);
        }
    }
}
