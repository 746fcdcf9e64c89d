use std::fmt;

use crate::domain::{Method, Webhook};

/// Most fields of one webhook, query and body together. Plivo sends a few dozen.
pub(super) const FIELDS_MAX: usize = 256;

/// What the body of a webhook is. The body of a GET is nothing, whatever it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Nothing,
    Form,
    Json,
}

/// What the bodies of a source's webhooks may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepts {
    Form,
    /// `application/json`, and a vendor's own `application/…+json`.
    Json,
    Either,
}

impl Accepts {
    /// What a body says that it is; none if it does not say so, or is something else. An empty one
    /// needs no type.
    pub(super) fn content(self, webhook: &Webhook) -> Option<Content> {
        if webhook.method == Method::Get || webhook.body.is_empty() {
            return Some(Content::Nothing);
        }
        let mut types = webhook.headers.values("content-type");
        let (Some(only), None) = (types.next(), types.next()) else {
            return None;
        };
        let essence = only.split(|&b| b == b';').next().unwrap_or_default().trim_ascii();
        let essence = essence.to_ascii_lowercase();
        let is_form = essence == b"application/x-www-form-urlencoded";
        let is_json = essence == b"application/json"
            || (essence.starts_with(b"application/") && essence.ends_with(b"+json"));
        match self {
            Accepts::Form | Accepts::Either if is_form => Some(Content::Form),
            Accepts::Json | Accepts::Either if is_json => Some(Content::Json),
            _ => None,
        }
    }
}

impl fmt::Display for Accepts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Accepts::Form => "application/x-www-form-urlencoded",
            Accepts::Json => "application/json",
            Accepts::Either => "application/x-www-form-urlencoded or application/json",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::sample::post;

    #[test]
    fn a_body_must_say_what_it_is() {
        let content = |accepts: Accepts, types: &[&str], body: &str| {
            let mut webhook = post(None, body);
            webhook.headers = types.iter().map(|value| ("content-type", *value)).collect();
            accepts.content(&webhook)
        };
        let form = "application/x-www-form-urlencoded";
        for accepts in [Accepts::Form, Accepts::Either] {
            assert_eq!(content(accepts, &[form], "a=1"), Some(Content::Form));
            let odd = "Application/X-WWW-Form-URLencoded ; charset=UTF-8";
            assert_eq!(content(accepts, &[odd], "a=1"), Some(Content::Form));
        }
        for json in
            ["application/json", "Application/JSON;charset=utf-8", "application/vnd.a.v1+json"]
        {
            for accepts in [Accepts::Json, Accepts::Either] {
                assert_eq!(content(accepts, &[json], "{}"), Some(Content::Json), "{json}");
            }
            assert_eq!(content(Accepts::Form, &[json], "{}"), None, "{json}");
        }
        assert_eq!(content(Accepts::Json, &[form], "a=1"), None);
        for accepts in [Accepts::Form, Accepts::Json, Accepts::Either] {
            assert_eq!(content(accepts, &[], ""), Some(Content::Nothing));
            assert_eq!(content(accepts, &["text/plain"], ""), Some(Content::Nothing));
            for bad in
                [&[][..], &["text/plain"], &["+json"], &["text/x+json"], &[""], &[form, form]]
            {
                assert_eq!(content(accepts, bad, "a=1"), None, "{bad:?}");
            }
        }
    }
}
