use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::shape::{Kind, Shape, key};
use super::written::{Place, Table};
use super::{Environment, secret};
use crate::domain::Credentials;
use crate::source::SignedUrl;

/// The door that senders call.
#[derive(Debug, Clone)]
pub struct PublicDoor {
    pub listen: SocketAddr,
    /// What senders call and sign; absent where every source has its own.
    pub url: Option<SignedUrl>,
    /// How many may be connected at once.
    pub connections: usize,
    /// How long the body of a hook may take to arrive.
    pub body_timeout: Duration,
}

/// The door for probes, figures and operators.
#[derive(Debug, Clone)]
pub struct PrivateDoor {
    pub listen: SocketAddr,
    /// What whoever uses the API has to bring; without one there is an API on loopback alone.
    pub token: Option<Arc<Credentials>>,
}

/// Shortest token of the API, in characters: nobody guesses so many.
const TOKEN_LENGTH_MIN: usize = 16;

const LISTEN: &str = "The address and the port to listen on, such as 0.0.0.0:8080 or [::]:8080.";

impl PublicDoor {
    pub(super) const SHAPE: Shape = Shape::of(&[
        key("listen", Kind::Text, LISTEN),
        key(
            "url",
            Kind::Text,
            "What senders call and Plivo signs, such as https://surveys.example.com.",
        ),
        key(
            "connections",
            Kind::Whole(1, 100_000),
            "How many may be connected at once; each may hold 64 KiB of a body.",
        ),
        key(
            "body_timeout",
            Kind::Duration(Duration::from_millis(1)),
            "How long the body of a hook may take to arrive.",
        ),
    ]);

    pub(super) fn at(place: &Place<'_>) -> Option<Self> {
        let table = place.table()?;
        let listen = listen(&table);
        let url = match table.get_filled("url") {
            None => Some(None),
            Some(place) => public_url(&place).map(Some),
        };
        let connections =
            table.need("connections", "a whole number").and_then(|place| place.whole());
        let body_timeout =
            table.need("body_timeout", "a duration").and_then(|place| place.duration());
        Some(Self {
            listen: listen?,
            url: url?,
            connections: connections? as usize,
            body_timeout: body_timeout?,
        })
    }
}

impl PrivateDoor {
    pub(super) const SHAPE: Shape = Shape::of(&[
        key("listen", Kind::Text, LISTEN),
        key(
            "token",
            Kind::Secret,
            "What the API wants as Authorization: Bearer; without it the API is off beyond loopback.",
        ),
    ]);

    pub(super) fn at(
        place: &Place<'_>,
        public: Option<&PublicDoor>,
        environment: &Arc<Environment>,
    ) -> Option<Self> {
        let table = place.table()?;
        let token = match table.get_filled("token") {
            None => Some(None),
            Some(place) => token_of_api(&place, environment).map(Some),
        };
        let listen = listen(&table)?;
        if public.is_some_and(|public| collide(public.listen, listen)) {
            return table.get("listen")?.fault(
                "the public door listens there: the private one must have an address of its own",
            );
        }
        Some(Self { listen, token: token? })
    }
}

fn token_of_api(place: &Place<'_>, environment: &Arc<Environment>) -> Option<Arc<Credentials>> {
    let token = secret::credentials(place, TOKEN_LENGTH_MIN, environment)?;
    place.check(token.tokens().iter().try_for_each(can_be_brought))?;
    Some(Arc::new(token.checked(can_be_brought)))
}

/// Whether a header can carry it as it is: nobody would ever be let in by another.
fn can_be_brought(token: &SecretString) -> Result<(), String> {
    let token = token.expose_secret();
    if token.trim() == token && !token.contains(char::is_control) {
        Ok(())
    } else {
        Err("no request can bring a token that begins or ends with a blank, or has two lines"
            .to_owned())
    }
}

fn public_url(place: &Place<'_>) -> Option<SignedUrl> {
    let text = place.text("an address such as https://surveys.example.com")?;
    place.check(SignedUrl::public(text))
}

fn listen(table: &Table<'_>) -> Option<SocketAddr> {
    const WHAT: &str = "an address and a port such as 0.0.0.0:8080 or [::]:8080";
    let place = table.need("listen", WHAT)?;
    let text = place.text(WHAT)?;
    text.parse().ok().or_else(|| place.fault(format!("expected {WHAT}")))
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
