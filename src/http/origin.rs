//! From where a request comes, by its headers: what keeps the pages of other origins out. Cookies know no
//! ports, so that another port of this host is another origin here.

use std::net::IpAddr;

use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Who made a request, as a browser says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Site {
    /// A page of this origin.
    Own,
    /// No page: a client that is no browser, or an address that was typed.
    None,
    /// A page of another origin.
    Foreign,
}

/// By `Sec-Fetch-Site` or, where a browser does not send it (plain HTTP beyond this host), by `Origin`.
pub(super) fn site(headers: &HeaderMap) -> Site {
    let mut sites = headers.get_all("sec-fetch-site").map(HeaderValue::as_bytes).peekable();
    let is_said = sites.peek().is_some();
    let mut is_own = is_said;
    let mut is_none = true;
    for site in sites {
        is_own &= site == b"same-origin";
        is_none &= site == b"none";
    }
    match only(headers, header::ORIGIN) {
        _ if is_own => Site::Own,
        _ if is_said && !is_none => Site::Foreign,
        None if headers.contains_key(header::ORIGIN) => Site::Foreign,
        None => Site::None,
        Some(origin) if is_of_host(origin, headers) => Site::Own,
        Some(_) => Site::Foreign,
    }
}

/// Whether an origin is that of the host that was asked. Where TLS ends in front, the schemes differ.
fn is_of_host(origin: &[u8], headers: &HeaderMap) -> bool {
    let authority = [&b"https://"[..], b"http://"].iter().find_map(|it| origin.strip_prefix(*it));
    let host = only(headers, header::HOST);
    authority.zip(host).is_some_and(|(authority, host)| authority.eq_ignore_ascii_case(host))
}

/// Whether a proxy passes the request on. One that adds none of these headers is not seen.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        ["forwarded", "via", "x-real-ip"].contains(&name) || name.starts_with("x-forwarded-")
    })
}

/// Whether the request names this host by a name that no name server can give to another.
pub(super) fn names_loopback(headers: &HeaderMap) -> bool {
    let host = only(headers, header::HOST).and_then(|host| std::str::from_utf8(host).ok());
    host.is_some_and(is_loopback)
}

/// Whether it is an address of loopback or `localhost`, with or without a port.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// The one value of a header; none if there are several.
pub(super) fn only(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
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
    fn a_site_is_own_by_its_fetch_metadata_or_by_its_origin() {
        let site_of = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("localhost:9090"));
            for (name, value) in lines {
                headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            site(&headers)
        };
        let (own, other) = ("http://localhost:9090", "http://localhost:3000");
        for (lines, expected) in [
            (&[][..], Site::None),
            (&[("sec-fetch-site", "none")], Site::None),
            (&[("sec-fetch-site", "same-origin"), ("origin", own)], Site::Own),
            (&[("origin", own)], Site::Own),
            (&[("origin", "https://localhost:9090")], Site::Own),
            (&[("origin", other)], Site::Foreign),
            (&[("origin", "null")], Site::Foreign),
            (&[("origin", own), ("origin", other)], Site::Foreign),
            (&[("sec-fetch-site", "none"), ("origin", other)], Site::Foreign),
            (&[("sec-fetch-site", "same-site"), ("origin", own)], Site::Foreign),
            (&[("sec-fetch-site", "cross-site")], Site::Foreign),
            (&[("sec-fetch-site", "")], Site::Foreign),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "none")], Site::Foreign),
        ] {
            assert_eq!(site_of(lines), expected, "{lines:?}");
        }
    }
}
