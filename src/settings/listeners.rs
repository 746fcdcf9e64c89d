use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::cursor::Cursor;
use super::secret;
use super::section::{Setting, duration, optional, section, setting, whole};
use super::spec::Kind;
use crate::domain::Credentials;
use crate::source::SignedUrl;

section! {
    /// The listener that senders call.
    #[derive(Debug, Clone)]
    pub struct PublicListener {
        /// The address and the port to listen on, such as `0.0.0.0:8080` or `[::]:8080`.
        listen: SocketAddr = LISTEN,
        /// What senders call and Plivo signs, such as `https://surveys.example.com`.
        url: Option<SignedUrl> = optional(
            Kind::Text,
            "an address such as https://surveys.example.com",
            public_url,
        ),
        /// How many may be connected at once; each may hold 64 KiB of a body, and an open file.
        connections: usize = whole(1, 100_000),
        /// How long the body of a webhook may take to arrive.
        body_timeout: Duration = duration(Duration::from_millis(1)),
    }
}

section! {
    /// The listener for probes, figures and operators.
    #[derive(Debug, Clone)]
    pub struct AdminListener {
        /// The address and the port to listen on, such as `0.0.0.0:8080` or `[::]:8080`.
        listen: SocketAddr = LISTEN_ADMIN,
        /// The token that the API requires as Authorization: Bearer; without it the API is off beyond loopback.
        token: Option<Arc<Credentials>> = optional(Kind::Secret, "a secret", token_of_api),
        /// A token that only reads, with long numbers masked: no action, and no number is revealed.
        viewer_token: Option<Arc<Credentials>> = optional(Kind::Secret, "a secret", token_of_api),
        /// What the console shows beside every title, such as `production`.
        environment: Option<String> = optional(Kind::Text, "1 to 24 letters, digits or hyphens", environment),
    }
}

const ADDRESS: &str = "an address and a port such as 0.0.0.0:8080 or [::]:8080";

const LISTEN: Setting<SocketAddr> =
    setting(Kind::Text, ADDRESS, |cursor, _| address(cursor, Ipv4Addr::UNSPECIFIED));

const LISTEN_ADMIN: Setting<SocketAddr> =
    setting(Kind::Text, ADDRESS, |cursor, _| address(cursor, Ipv4Addr::LOCALHOST));

/// `host` is probably meant if nothing but a port is written.
fn address(cursor: &Cursor<'_>, host: Ipv4Addr) -> Option<SocketAddr> {
    let port = cursor.value().and_then(serde_json::Value::as_u64);
    if let Some(port) = port.filter(|port| *port <= u64::from(u16::MAX)) {
        return cursor.fault(format!("expected {ADDRESS}, found a number: write {host}:{port}"));
    }
    let address = cursor.text_if(ADDRESS, |text| text.parse::<SocketAddr>().is_ok())?.parse().ok();
    address.or_else(|| cursor.fault(format!("expected {ADDRESS}")))
}

/// A prefix that a gateway strips may follow the host.
fn public_url(cursor: &Cursor<'_>, expected: &str) -> Option<Option<SignedUrl>> {
    let text = cursor.text_if(expected, |text| SignedUrl::public(text).is_ok())?;
    let url = cursor.check(SignedUrl::public(text))?;
    if format!("{}/", url.path()).contains("/hooks/") {
        return cursor
            .fault("leave out the path from /hooks on: /hooks/NAME is added for each source (if a gateway strips it, write the whole address of each as sources.NAME.url)");
    }
    Some(Some(url))
}

/// Shortest token of the API, in characters: no one guesses so many.
const TOKEN_LENGTH_MIN: usize = 16;

impl AdminListener {
    /// Whether the API is off: other hosts can reach it, and nothing tells who may use it.
    pub fn has_no_api(&self) -> bool {
        !self.listen.ip().is_loopback() && self.token.is_none()
    }

    /// Notes it if both listeners listen at one address.
    pub(super) fn check(&self, public: &PublicListener, cursor: &Cursor<'_>) -> Option<()> {
        if collide(public.listen, self.listen) {
            return cursor.table()?.fault_at(
                "listen",
                "the public listener is bound there: the admin listener must have an address of its own",
            );
        }
        let Some(viewer) = &self.viewer_token else { return Some(()) };
        match &self.token {
            None => cursor.table()?.fault_at(
                "viewer_token",
                "without admin.token there is no operator to tell a viewer from: set admin.token too",
            ),
            Some(token) if has_common(token, viewer) => cursor.table()?.fault_at(
                "viewer_token",
                "admin.token is the same: who only reads needs a token of their own",
            ),
            Some(_) => Some(()),
        }
    }
}

/// Whether one token is of both.
fn has_common(one: &Credentials, other: &Credentials) -> bool {
    let other = other.tokens();
    let is_there = |token: &SecretString| {
        other.iter().any(|other| other.expose_secret() == token.expose_secret())
    };
    one.tokens().iter().any(is_there)
}

fn environment(cursor: &Cursor<'_>, expected: &str) -> Option<Option<String>> {
    let name = cursor.text(expected)?;
    let is_of_a_name = |c: char| c.is_alphanumeric() || c == '-';
    if (1..=ENVIRONMENT_MAX).contains(&name.chars().count()) && name.chars().all(is_of_a_name) {
        Some(Some(name.to_owned()))
    } else {
        cursor.fault(format!("expected {expected}"))
    }
}

/// Longest name of an environment, in characters: it is beside every title.
const ENVIRONMENT_MAX: usize = 24;

fn token_of_api(cursor: &Cursor<'_>, _: &str) -> Option<Option<Arc<Credentials>>> {
    let token = secret::credentials(cursor, TOKEN_LENGTH_MIN)?;
    cursor.check(token.tokens().iter().try_for_each(can_be_brought))?;
    Some(Some(Arc::new(token.checked(can_be_brought))))
}

/// Whether a header can carry it as it is: no one would ever be let in by another.
fn can_be_brought(token: &SecretString) -> Result<(), String> {
    let token = token.expose_secret();
    if token.trim() == token && !token.contains(char::is_control) {
        Ok(())
    } else {
        Err("no request can bring a token that begins or ends with a blank, or has two lines"
            .to_owned())
    }
}

/// Port 0 is whichever is free.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let same_address = one.ip() == other.ip();
    let one_takes_all = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (same_address || one_takes_all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_doors_never_share_an_address() {
        let collide =
            |one: &str, other: &str| collide(one.parse().unwrap(), other.parse().unwrap());
        assert!(collide("127.0.0.1:80", "127.0.0.1:80"));
        assert!(collide("0.0.0.0:80", "127.0.0.1:80"));
        assert!(!collide("127.0.0.1:80", "127.0.0.1:81"));
        assert!(!collide("127.0.0.1:80", "127.0.0.2:80"));
        assert!(!collide("127.0.0.1:0", "127.0.0.1:0"));
    }
}
