use std::fmt;

use secrecy::SecretString;

/// Most of a response that is read, in bytes; a longer one is judged by its status and the connection
/// given up.
pub(super) const REPLY_MAX: usize = 64 * 1024;

/// A request to a destination, which is posted as it is.
#[derive(Debug)]
pub struct Request {
    pub url: String,
    pub authorization: BasicAuth,
    pub content_type: &'static str,
    pub body: String,
    /// The header `traceparent`, if the attempt is a span.
    pub traceparent: Option<String>,
}

/// The name and the password of HTTP Basic authentication.
#[derive(Debug)]
pub struct BasicAuth {
    pub user: String,
    pub password: SecretString,
}

impl fmt::Display for BasicAuth {
    /// The header's value before it is encoded, without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Basic {}:***", self.user)
    }
}
