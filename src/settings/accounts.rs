use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::cursor::{Cursor, Table};
use super::secret;
use super::spec::{Kind, Spec, key};
use crate::destination::{Destination, Plivo};
use crate::domain::{Account, Issue, Name};
use crate::source::SignedUrl;

/// Where the Feedback API is, unless an account says otherwise.
const PLIVO_API: &str = "https://stats.plivo.com";

pub(super) const SPEC: Spec = Spec::of(&[
    key("auth_id", Kind::Text, "The account's id at Plivo, MA… or SA….").needed(),
    key(
        "auth_token",
        Kind::Secret,
        "Its auth token, which checks Plivo's signatures and travels with every feedback.",
    )
    .needed(),
    key("api", Kind::Text, "Where the Feedback API is; a prefix may follow the host.")
        .or(PLIVO_API),
    key("allow_http", Kind::Flag, "Whether the auth token may travel over http beyond loopback.")
        .or("false"),
    key(
        "issue_names",
        Kind::Alike(
            || Issue::ALL.map(Issue::name).to_vec(),
            &key("ISSUE", Kind::Text, "How this API spells it."),
        ),
        "Issues with another name in this API, such as { CALLERID_ISSUE: CALLERID_ISSUES }.",
    )
    .or("{}"),
]);

/// Where the feedback of an account goes.
pub(super) fn destination(name: Name, cursor: &Cursor<'_>) -> Option<Destination> {
    let table = cursor.table()?;
    let auth_id = table.need("auth_id", AUTH_ID).and_then(|cursor| auth_id(&cursor));
    let credentials = table
        .need("auth_token", "a secret such as { env: PLIVO_AUTH_TOKEN }")
        .and_then(|cursor| secret::credentials(&cursor, 1));
    let api = api(&table);
    let issue_names = table.or("issue_names", BTreeMap::new(), |cursor| issue_names(&cursor));
    Some(Destination::Plivo(Plivo {
        auth_id: auth_id?,
        account: Arc::new(Account { name, credentials: Arc::new(credentials?) }),
        api: api?,
        issue_names: issue_names?,
    }))
}

const AUTH_ID: &str = "the account's id, MA… or SA…";

/// It becomes the user name of HTTP Basic, which ends at the first colon.
fn auth_id(cursor: &Cursor<'_>) -> Option<String> {
    let text = cursor.text_if(AUTH_ID, is_of_plivo)?;
    if text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        Some(text.to_owned())
    } else {
        cursor.fault("expected at most 64 letters and digits")
    }
}

/// Whether an Auth ID is as those of Plivo are.
pub(super) fn is_of_plivo(auth_id: &str) -> bool {
    auth_id.starts_with("MA") || auth_id.starts_with("SA")
}

/// The auth token travels with every request, so it is not sent in the clear by mistake.
fn api(table: &Table<'_>) -> Option<String> {
    let insecure = table.or("allow_http", false, |cursor| cursor.flag());
    let Some(cursor) = table.get("api") else {
        return Some(PLIVO_API.to_owned());
    };
    let text = cursor.text_if(API, |text| SignedUrl::public(text).is_ok())?;
    let Ok(api) = SignedUrl::public(text) else {
        return cursor.fault(format!(
            "expected {API}: no user, no query, no fragment, and a prefix at most"
        ));
    };
    let api = api.at("");
    if is_in_the_clear(&api) && !insecure? {
        return cursor.fault(
            "expected https: the auth token would travel in the clear (say allow_http: true if it may)",
        );
    }
    Some(api)
}

const API: &str = "an address such as https://stats.plivo.com";

fn is_in_the_clear(api: &str) -> bool {
    let Some(rest) = api.strip_prefix("http://") else { return false };
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => host,
        _ => authority,
    };
    let is_loopback = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    !is_loopback
}

fn issue_names(cursor: &Cursor<'_>) -> Option<BTreeMap<Issue, String>> {
    const SPELLED: &str = "an issue as it goes over the wire, such as CALLERID_ISSUES";
    let table = cursor.table()?;
    let spelled: Vec<_> = Issue::ALL
        .into_iter()
        .filter_map(|issue| {
            let cursor = table.get(issue.name())?;
            let text = cursor.text(SPELLED).and_then(|text| {
                let is_lawful =
                    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
                if is_lawful { Some(text) } else { cursor.fault(format!("expected {SPELLED}")) }
            });
            Some(text.map(|text| (issue, text.to_owned())))
        })
        .collect();
    spelled.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_may_be_spoken_to_in_the_clear() {
        for open in ["http://stats.plivo.com", "http://localhost.example.com:80", "http://[::2]"] {
            assert!(is_in_the_clear(open), "{open}");
        }
        for kept in [
            "https://stats.plivo.com",
            "http://127.0.0.1:1/prefix",
            "http://[::1]",
            "http://[::1]:80",
            "http://localhost",
        ] {
            assert!(!is_in_the_clear(kept), "{kept}");
        }
    }
}
