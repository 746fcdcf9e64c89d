use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tracing::Instrument;

use super::super::problem::Problem;
use crate::domain::Credentials;

/// Who may use the API: whoever brings the token, or, where there is none, whoever is on this host.
pub struct Gate {
    /// No one else can reach the listener.
    is_on_loopback: bool,
    token: RwLock<Option<Arc<Credentials>>>,
}

impl Gate {
    pub fn new(is_on_loopback: bool, token: Option<Arc<Credentials>>) -> Self {
        Self { is_on_loopback, token: RwLock::new(token) }
    }

    /// Another token, or none, from now on.
    pub fn change(&self, token: Option<Arc<Credentials>>) {
        *self.token.write().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// Whether there is an API at all.
    pub fn is_open(&self) -> bool {
        self.is_on_loopback || self.token().is_some()
    }

    /// A token that was rotated in its file lets in from now on.
    pub fn read_secrets_anew(&self) {
        if let Some(token) = self.token()
            && let Err(error) = token.read_anew()
        {
            tracing::warn!(error, "the API's token could not be read again; the known one stays");
        }
    }

    fn token(&self) -> Option<Arc<Credentials>> {
        self.token.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// By what a request is let in, for the log.
    fn let_in(&self, headers: &HeaderMap) -> Result<&'static str, Problem> {
        match self.token() {
            Some(token) if brings(&token, headers) => Ok("bearer"),
            Some(_) => {
                let detail =
                    "the API wants the admin.token of the settings as Authorization: Bearer";
                Err(Problem::new(StatusCode::UNAUTHORIZED, detail))
            }
            None if !self.is_on_loopback => {
                let detail = "the API is off: this listener can be reached from other hosts, and the \
                              settings have no admin.token";
                Err(Problem::new(StatusCode::NOT_FOUND, detail))
            }
            // A page in the browser of an operator could ask by a name of its own.
            None if !calls_loopback(headers) => {
                let detail = "without an admin.token the API answers to this host's own names \
                              alone, such as localhost";
                Err(Problem::new(StatusCode::FORBIDDEN, detail))
            }
            None if !comes_from_here(headers) => {
                let detail = "without an admin.token the API answers neither what a proxy passes on \
                              nor a page in a browser: set admin.token and send it as \
                              Authorization: Bearer";
                Err(Problem::new(StatusCode::FORBIDDEN, detail))
            }
            None => Ok("loopback"),
        }
    }
}

pub(super) async fn let_in(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let gate = request.app_data::<web::Data<Gate>>().expect("the gate is there");
    match gate.let_in(request.headers()) {
        Ok(by) => {
            let span = tracing::info_span!("by_hand", by);
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

/// Two are as good as none. Every token is compared, by its digest: the time it takes tells neither how far
/// one fits nor how long it is.
fn brings(token: &Credentials, headers: &HeaderMap) -> bool {
    let Some(claimed) = only(headers, header::AUTHORIZATION).and_then(bearer) else {
        return false;
    };
    let claimed = Sha256::digest(claimed);
    let is_same = |token: &SecretString| -> bool {
        Sha256::digest(token.expose_secret()).ct_eq(&claimed).into()
    };
    token.tokens().iter().fold(false, |brings, token| brings | is_same(token))
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    const SCHEME: &[u8] = b"Bearer";
    let (name, rest) = value.split_at_checked(SCHEME.len())?;
    (name.eq_ignore_ascii_case(SCHEME) && rest.starts_with(b" ")).then(|| rest.trim_ascii())
}

/// No one passed it on, and no page of another origin asks: a reverse proxy on this host reaches the
/// listener by loopback, whoever calls it. Both say so of themselves, but for a proxy that adds no header.
fn comes_from_here(headers: &HeaderMap) -> bool {
    let is_passed_on = headers.keys().any(|name| {
        let name = name.as_str();
        ["forwarded", "via", "x-real-ip"].contains(&name) || name.starts_with("x-forwarded-")
    });
    let mut sites = headers.get_all("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_own = sites.all(|site| [&b"same-origin"[..], b"none"].contains(&site));
    !is_passed_on && is_own && !headers.contains_key(header::ORIGIN)
}

/// By a name that no name server can give to anybody.
fn calls_loopback(headers: &HeaderMap) -> bool {
    let host = only(headers, header::HOST).and_then(|host| std::str::from_utf8(host).ok());
    host.is_some_and(is_loopback)
}

/// Of an address or `localhost`, with or without a port.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

fn only(headers: &HeaderMap, name: header::HeaderName) -> Option<&[u8]> {
    let mut values = headers.get_all(name);
    match (values.next(), values.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_host_are_its_own() {
        for own in [
            "localhost",
            "LOCALHOST:9090",
            "127.0.0.1",
            "127.0.0.1:9090",
            "127.9.9.9:1",
            "[::1]",
            "[::1]:9090",
            "[::ffff:127.0.0.1]:9090",
        ] {
            assert!(is_loopback(own), "{own}");
        }
        for another in [
            "",
            ":9090",
            "localhost.example.com",
            "127.0.0.1.example.com:9090",
            "127.0.0.1@example.com",
            "example.com:127",
            "10.0.0.1:9090",
            "0.0.0.0:9090",
            "[::]:9090",
        ] {
            assert!(!is_loopback(another), "{another}");
        }
    }

    #[test]
    fn a_bearer_is_read_whatever_the_case_of_its_scheme() {
        assert_eq!(bearer(b"Bearer t"), Some(&b"t"[..]));
        assert_eq!(bearer(b"bearer  t "), Some(&b"t"[..]));
        for none in [&b"Bearer"[..], b"Bearert", b"Basic t", b""] {
            assert_eq!(bearer(none), None);
        }
    }
}
