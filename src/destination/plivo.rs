//! Plivo's Call Feedback API: what is posted, and what its answers mean.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::domain::{Account, CallUuid, Feedback, Issue, Rating, Verdict};

/// Plivo, on behalf of one account.
#[derive(Debug, Clone)]
pub struct Plivo {
    pub account: Arc<Account>,
    /// Scheme, host and an optional prefix, without a trailing slash: `https://stats.plivo.com`.
    pub api: String,
    /// Issues whose wire spelling differs from [`Issue::name`]: Plivo's documents disagree on two.
    pub spelling: BTreeMap<Issue, String>,
}

#[derive(Serialize)]
struct Body<'a> {
    rating: Rating,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    issues: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<&'a str>,
}

impl Plivo {
    /// The one form that Plivo's document and all its SDKs agree on; empty keys are left out.
    pub fn body(&self, feedback: &Feedback) -> String {
        let spelled = |issue: Issue| self.spelling.get(&issue).map_or(issue.name(), String::as_str);
        let body = Body {
            rating: feedback.rating(),
            issues: feedback.issues().map(spelled).collect(),
            notes: feedback.notes(),
        };
        serde_json::to_string(&body).expect("numbers and texts can be written as JSON")
    }

    /// A call id holds nothing that could leave its segment of the path.
    pub fn url(&self, call: &CallUuid) -> String {
        format!("{}/v1/Call/{call}/Feedback/", self.api)
    }
}

/// What an answer means. `retry_after` is what the answer asked for, if it did.
pub(super) fn verdict(status: u16, body: &[u8], retry_after: Option<Duration>) -> Verdict {
    match status {
        200..=299 if carries_an_error(body) => Verdict::Refused,
        200..=299 => Verdict::Accepted,
        300..=399 | 401 | 403 | 405 => Verdict::Misconfigured,
        404 => Verdict::UnknownCall,
        408 | 425 | 429 | 500..=599 => Verdict::Busy { retry_after },
        _ => Verdict::Refused,
    }
}

/// Plivo's name for the request, which its support asks for.
pub(super) fn api_id(body: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let id = answer.get("api_id")?.as_str()?;
    Some(id.chars().take(64).collect())
}

/// Plivo's own word for what is wrong: a text, in some answers below another `error`.
pub(super) fn error(body: &[u8]) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(body).ok()?;
    let error = answer.get("error").filter(|error| !error.is_null())?;
    let error = error.get("error").unwrap_or(error);
    let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
    Some(text.chars().take(ERROR_MAX).collect())
}

/// Most characters of an error that are kept by themselves; the reply has the rest.
const ERROR_MAX: usize = 300;

fn carries_an_error(body: &[u8]) -> bool {
    error(body).is_some()
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::domain::{Credentials, Issues};

    fn plivo() -> Plivo {
        Plivo {
            account: Arc::new(Account {
                name: "main".parse().unwrap(),
                auth_id: "MA".to_owned(),
                credentials: Arc::new(Credentials::fixed(vec![SecretString::from("token")])),
            }),
            api: "https://stats.plivo.com".to_owned(),
            spelling: BTreeMap::from([(Issue::CalleridIssue, "CALLERID_ISSUES".to_owned())]),
        }
    }

    fn feedback(rating: f64, issues: &[Issue], notes: &str) -> Feedback {
        let issues: Issues = issues.iter().copied().collect();
        Feedback::new(Rating::new(rating).unwrap(), issues, notes.to_owned()).unwrap()
    }

    #[test]
    fn the_body_has_the_three_keys_of_the_document_and_no_empty_ones() {
        let body = |rating, issues, notes| plivo().body(&feedback(rating, issues, notes));
        assert_eq!(
            body(4.0, &[Issue::Echo, Issue::AudioLag], "IVR survey: 4 of 5"),
            r#"{"rating":4,"issues":["AUDIO_LAG","ECHO"],"notes":"IVR survey: 4 of 5"}"#
        );
        assert_eq!(body(5.0, &[], ""), r#"{"rating":5}"#);
        assert_eq!(body(3.5, &[Issue::Others], ""), r#"{"rating":3.5,"issues":["OTHERS"]}"#);
    }

    #[test]
    fn an_issue_is_spelled_as_the_account_wants_it() {
        assert_eq!(
            plivo().body(&feedback(1.0, &[Issue::CalleridIssue], "")),
            r#"{"rating":1,"issues":["CALLERID_ISSUES"]}"#
        );
    }

    #[test]
    fn the_address_ends_in_a_slash() {
        let call = "b38149eb-b8fe-45d5-85b2-78ee4424788f".parse().unwrap();
        assert_eq!(
            plivo().url(&call),
            "https://stats.plivo.com/v1/Call/b38149eb-b8fe-45d5-85b2-78ee4424788f/Feedback/"
        );
    }

    #[test]
    fn every_answer_has_its_verdict() {
        let asked = Some(Duration::from_secs(7));
        let busy = Verdict::Busy { retry_after: asked };
        let posted = br#"{"message":"Feedback has been posted","api_id":"x","status":"success"}"#;
        for (status, body, expected) in [
            (201, &posted[..], Verdict::Accepted),
            (200, b"", Verdict::Accepted),
            (202, b"not JSON", Verdict::Accepted),
            (200, br#"{"error":null}"#, Verdict::Accepted),
            (200, br#"{"error":"no"}"#, Verdict::Refused),
            (200, br#"{"error":{"error":"no"}}"#, Verdict::Refused),
            (301, b"", Verdict::Misconfigured),
            (307, b"", Verdict::Misconfigured),
            (401, b"", Verdict::Misconfigured),
            (403, b"", Verdict::Misconfigured),
            (405, b"", Verdict::Misconfigured),
            (404, br#"{"error":"Resource cannot be found"}"#, Verdict::UnknownCall),
            (404, br#"{"error":"Please check the Call UUID"}"#, Verdict::UnknownCall),
            (408, b"", busy),
            (425, b"", busy),
            (429, b"", busy),
            (500, b"", busy),
            (502, b"", busy),
            (503, b"", busy),
            (504, b"", busy),
            (599, b"", busy),
            (400, b"", Verdict::Refused),
            (402, b"", Verdict::Refused),
            (409, b"", Verdict::Refused),
            (410, b"", Verdict::Refused),
            (422, b"", Verdict::Refused),
        ] {
            let text = String::from_utf8_lossy(body);
            assert_eq!(verdict(status, body, asked), expected, "{status} {text}");
        }
    }

    #[test]
    fn plivos_word_for_what_is_wrong_is_found() {
        assert_eq!(error(br#"{"api_id":"x","error":"no such call"}"#).unwrap(), "no such call");
        assert_eq!(error(br#"{"error":{"error":"issues missing"}}"#).unwrap(), "issues missing");
        assert_eq!(error(br#"{"error":{"rating":["bad"]}}"#).unwrap(), r#"{"rating":["bad"]}"#);
        for none in [&br#"{"error":null}"#[..], b"{}", b"<html>"] {
            assert_eq!(error(none), None);
        }
    }

    #[test]
    fn plivos_name_for_the_request_is_found() {
        assert_eq!(api_id(br#"{"api_id":"97e1"}"#).as_deref(), Some("97e1"));
        assert_eq!(api_id(b"<html>"), None);
    }
}
