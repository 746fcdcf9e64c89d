/// What a sender calls, as the sender writes it. Signatures cover the address, so it is put
/// together from texts as they are and never goes through a URL normaliser; and never from what
/// this process sees, which is whatever the last gateway made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedUrl {
    /// `https://` and the host.
    origin: String,
    /// The port with its colon; empty where none is written.
    port: String,
    /// What follows, up to where the query begins; empty or starting with `/`.
    path: String,
    /// Whether the path of each webhook is appended.
    appends_path: bool,
}

/// Why a configured address cannot be what a sender calls. No message repeats the address: it may
/// hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MalformedUrl {
    #[error("an address begins with https:// or http://")]
    Scheme,
    #[error("an address names a host: https://surveys.example.com")]
    Host,
    #[error("a port is a number from 1 to 65535")]
    Port,
    #[error("leave out user and password: a sender does not sign them")]
    Userinfo,
    #[error("leave out the query: that of each webhook is added as it came")]
    Query,
    #[error("leave out the fragment: a sender neither sends nor signs it")]
    Fragment,
    #[error("write the address as the sender sends it: blanks and non-ASCII letters as %XX")]
    Characters,
}

impl SignedUrl {
    /// The public address of the service: the path of each webhook is appended. A slash at the end
    /// is dropped, for every path begins with one.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn public(text: &str) -> Result<Self, MalformedUrl> {
        let mut url = Self::own(text)?;
        url.path.truncate(url.path.trim_end_matches('/').len());
        url.appends_path = true;
        Ok(url)
    }

    /// The whole address of one source, where a gateway rewrites paths: taken as it is.
    ///
    /// # Errors
    /// What is wrong with the address.
    pub fn own(text: &str) -> Result<Self, MalformedUrl> {
        let after_scheme = text
            .strip_prefix("https://")
            .or_else(|| text.strip_prefix("http://"))
            .ok_or(MalformedUrl::Scheme)?;
        if text.contains('#') {
            return Err(MalformedUrl::Fragment);
        }
        if text.contains('?') {
            return Err(MalformedUrl::Query);
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(MalformedUrl::Characters);
        }
        let (authority, path) =
            after_scheme.split_at(after_scheme.find('/').unwrap_or(after_scheme.len()));
        if authority.contains('@') {
            return Err(MalformedUrl::Userinfo);
        }
        // The colons of an IPv6 address stand inside brackets.
        let after_brackets = authority.rfind(']').unwrap_or(0);
        let host_ends = authority[after_brackets..].find(':').map(|at| after_brackets + at);
        let (host, port) = authority.split_at(host_ends.unwrap_or(authority.len()));
        check_host(host)?;
        check_port(port)?;
        let origin = text[..text.len() - path.len() - port.len()].to_owned();
        Ok(Self { origin, port: port.to_owned(), path: path.to_owned(), appends_path: false })
    }

    /// The host, without a port.
    pub fn host(&self) -> &str {
        self.origin.split_once("://").map_or("", |(_, host)| host)
    }

    /// What follows host and port, without a slash at the end; empty if there is nothing.
    pub fn path(&self) -> &str {
        self.path.trim_end_matches('/')
    }

    pub fn has_port(&self) -> bool {
        !self.port.is_empty()
    }

    /// The address of a webhook that comes by `path`, without a query.
    pub fn at(&self, path: &str) -> String {
        self.with_port(&self.port, path).concat()
    }

    /// The addresses that a sender may have signed, in pieces. Whether a port is part of what Plivo
    /// signs is not documented, and Plivo's own libraries disagree.
    pub(super) fn candidates<'a>(&'a self, path: &'a str) -> impl Iterator<Item = [&'a str; 4]> {
        let portless = (!self.port.is_empty()).then(|| self.with_port("", path));
        std::iter::once(self.with_port(&self.port, path)).chain(portless)
    }

    /// With the default port of its scheme, if none is written.
    pub(super) fn with_default_port<'a>(&'a self, path: &'a str) -> Option<[&'a str; 4]> {
        let port = if self.origin.starts_with("https:") { ":443" } else { ":80" };
        self.port.is_empty().then(|| self.with_port(port, path))
    }

    fn with_port<'a>(&'a self, port: &'a str, path: &'a str) -> [&'a str; 4] {
        let path = if self.appends_path { path } else { "" };
        [&self.origin, port, &self.path, path]
    }
}

fn check_host(host: &str) -> Result<(), MalformedUrl> {
    let lawful = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b))
        }
    };
    if lawful { Ok(()) } else { Err(MalformedUrl::Host) }
}

fn check_port(port: &str) -> Result<(), MalformedUrl> {
    let lawful = port.strip_prefix(':').is_none_or(|digits| {
        digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse::<u16>().is_ok_and(|p| p > 0)
    });
    if lawful { Ok(()) } else { Err(MalformedUrl::Port) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_address_and_the_path_are_joined_as_they_are() {
        for (public, path, expected) in [
            ("https://a.example", "/hooks/ivr", "https://a.example/hooks/ivr"),
            ("https://a.example/", "/hooks/ivr", "https://a.example/hooks/ivr"),
            ("https://a.example/in//", "/hooks/ivr", "https://a.example/in/hooks/ivr"),
            ("http://127.0.0.1:8080", "/hooks/%69vr", "http://127.0.0.1:8080/hooks/%69vr"),
            ("https://A.Example/x/../y", "/hooks//ivr", "https://A.Example/x/../y/hooks//ivr"),
            ("http://[::1]:8080", "/hooks/ivr", "http://[::1]:8080/hooks/ivr"),
        ] {
            assert_eq!(SignedUrl::public(public).unwrap().at(path), expected);
        }
    }

    #[test]
    fn a_source_of_its_own_address_keeps_it_to_the_letter() {
        for own in ["https://answer.url", "https://edge.example.com/survey/", "http://h:81/a%20b"] {
            assert_eq!(SignedUrl::own(own).unwrap().at("/hooks/ivr"), own);
        }
    }

    #[test]
    fn a_written_port_may_or_may_not_be_signed() {
        let candidates = |url| -> Vec<String> {
            SignedUrl::own(url).unwrap().candidates("/").map(|pieces| pieces.concat()).collect()
        };
        assert_eq!(candidates("https://h:8443/a"), ["https://h:8443/a", "https://h/a"]);
        assert_eq!(candidates("http://[::1]:81/a"), ["http://[::1]:81/a", "http://[::1]/a"]);
        assert_eq!(candidates("http://[::1]/a"), ["http://[::1]/a"]);
        let default =
            |url| SignedUrl::own(url).unwrap().with_default_port("/").map(|pieces| pieces.concat());
        assert_eq!(default("https://h/a").as_deref(), Some("https://h:443/a"));
        assert_eq!(default("http://h/a").as_deref(), Some("http://h:80/a"));
        assert_eq!(default("https://h:8443/a"), None);
    }

    #[test]
    fn what_no_sender_can_call_is_refused() {
        use MalformedUrl::*;
        for (bad, why) in [
            ("", Scheme),
            ("surveys.example.com", Scheme),
            ("ftp://h", Scheme),
            ("HTTPS://h", Scheme),
            ("https://", Host),
            ("https:///hooks", Host),
            ("https://h!", Host),
            ("https://[::1", Host),
            ("https://[nonsense]", Host),
            ("https://a]b", Host),
            ("https://h:", Port),
            ("https://h:0", Port),
            ("https://h:65536", Port),
            ("https://h:+80", Port),
            ("https://h:80:80", Port),
            ("https://user:secret@h", Userinfo),
            ("https://h/?a=b", Query),
            ("https://h/#rp=5xx", Fragment),
            ("https://h/a b", Characters),
            ("https://h/é", Characters),
        ] {
            assert_eq!(SignedUrl::own(bad), Err(why), "{bad}");
            assert_eq!(SignedUrl::public(bad), Err(why), "{bad}");
        }
    }
}
