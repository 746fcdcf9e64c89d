use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::shape::{Kind, Shape, key};
use super::written::{Place, Table};
use super::{Environment, secret};
use crate::destination::{Destination, Plivo};
use crate::domain::{Account, Issue, Name};
use crate::source::SignedUrl;

/// Where the Feedback API is, unless an account says otherwise.
const PLIVO_API: &str = "https://stats.plivo.com";

pub(super) const SHAPE: Shape = Shape::of(&[
    key("auth_id", Kind::Text, "The account's id at Plivo, MA… or SA….").needed(),
    key(
        "auth_token",
        Kind::Secret,
        "Its auth token, which checks Plivo's signatures and travels with every feedback.",
    )
    .needed(),
    key("api", Kind::Text, "Where the Feedback API is; a prefix may follow the host.")
        .or(PLIVO_API),
    key("insecure", Kind::Flag, "Whether the auth token may travel over http beyond loopback.")
        .or("false"),
    key(
        "spelling",
        Kind::Alike(
            || Issue::ALL.map(Issue::name).to_vec(),
            &key("ISSUE", Kind::Text, "How this API spells it."),
        ),
        "Issues that this API wants spelled otherwise, such as { CALLERID_ISSUE: CALLERID_ISSUES }.",
    )
    .or("{}"),
]);

/// Where the feedback of an account goes.
pub(super) fn destination(
    name: Name,
    place: &Place<'_>,
    environment: &Arc<Environment>,
) -> Option<Destination> {
    let table = place.table()?;
    let auth_id = table.need("auth_id", AUTH_ID).and_then(|place| auth_id(&place));
    let credentials = table
        .need("auth_token", "a secret such as { env: PLIVO_AUTH_TOKEN }")
        .and_then(|place| secret::credentials(&place, 1, environment));
    let api = api(&table);
    let issue_names = table.or("spelling", BTreeMap::new(), |place| issue_names(&place));
    Some(Destination::Plivo(Plivo {
        auth_id: auth_id?,
        account: Arc::new(Account { name, credentials: Arc::new(credentials?) }),
        api: api?,
        issue_names: issue_names?,
    }))
}

const AUTH_ID: &str = "the account's id, MA… or SA…";

/// It becomes the user name of HTTP Basic, which ends at the first colon.
fn auth_id(place: &Place<'_>) -> Option<String> {
    let text = place.text(AUTH_ID)?;
    if text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        Some(text.to_owned())
    } else {
        place.fault("expected at most 64 letters and digits")
    }
}

/// The auth token travels with every request, so it is not sent in the clear by mistake.
fn api(table: &Table<'_>) -> Option<String> {
    let insecure = table.or("insecure", false, |place| place.flag());
    let Some(place) = table.get("api") else {
        return Some(PLIVO_API.to_owned());
    };
    let text = place.text(API)?;
    let Ok(api) = SignedUrl::public(text) else {
        return place.fault(format!(
            "expected {API}: no user, no query, no fragment, and a prefix at most"
        ));
    };
    let api = api.at("");
    if is_in_the_clear(&api) && !insecure? {
        return place.fault(
            "expected https: the auth token would travel in the clear (say insecure: true if it may)",
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

fn issue_names(place: &Place<'_>) -> Option<BTreeMap<Issue, String>> {
    const SPELLED: &str = "an issue as it goes over the wire, such as CALLERID_ISSUES";
    let table = place.table()?;
    let spelled: Vec<_> = Issue::ALL
        .into_iter()
        .filter_map(|issue| {
            let place = table.get(issue.name())?;
            let text = place.text(SPELLED).and_then(|text| {
                let is_lawful =
                    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
                if is_lawful { Some(text) } else { place.fault(format!("expected {SPELLED}")) }
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
