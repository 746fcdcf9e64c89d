//! Plivo's Call Feedback API: the request, and what the responses mean.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::request::REPLY_MAX;
use super::{BasicAuth, Request};
use crate::domain::{Account, AttemptResponse, CallUuid, Feedback, Issue, Rating, Verdict};

/// Plivo, on behalf of one account or subaccount.
#[derive(Debug, Clone)]
pub struct Plivo {
    pub account: Arc<Account>,
    /// The user name of every request: `MA…`, or `SA…` for a subaccount.
    pub auth_id: String,
    /// Scheme, host and an optional prefix, without a trailing slash: `https://stats.plivo.com`.
    pub api: String,
    /// Issues whose name in this account's API differs from [`Issue::name`]: Plivo's documents disagree
    /// on two.
    pub issue_names: BTreeMap<Issue, String>,
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
    pub(super) fn request(&self, call: &CallUuid, feedback: &Feedback) -> Request {
        Request {
            // A call id has no character that could leave its segment of the path.
            url: format!("{}/v1/Call/{call}/Feedback/", self.api),
            authorization: BasicAuth {
                user: self.auth_id.clone(),
                password: self.account.credentials.first(),
            },
            content_type: "application/json",
            body: self.body(feedback),
            traceparent: None,
        }
    }

    /// The one form that Plivo's document and all its SDKs agree on; empty keys are left out.
    fn body(&self, feedback: &Feedback) -> String {
        let name = |issue: Issue| self.issue_names.get(&issue).map_or(issue.name(), String::as_str);
        let body = Body {
            rating: feedback.rating(),
            issues: feedback.issues().map(name).collect(),
            notes: feedback.notes(),
        };
        serde_json::to_string(&body).expect("numbers and texts can be written as JSON")
    }
}

/// What a response means, and what it says.
pub(super) fn classify(
    status: u16,
    retry_after: Option<Duration>,
    body: &[u8],
) -> (Verdict, AttemptResponse) {
    let response = serde_json::from_slice::<Value>(body);
    // Nothing else tells that a chunked body was cut off, and its end may have the error.
    let is_cut_off = response.as_ref().is_err_and(serde_json::Error::is_eof)
        && !body.is_empty()
        && body.len() <= REPLY_MAX;
    let response = response.unwrap_or_default();
    let reply = AttemptResponse {
        status: Some(status),
        request_id: api_id(&response),
        error: error(&response),
        ..AttemptResponse::of_text(&String::from_utf8_lossy(body))
    };
    let verdict = match status {
        200..=299 if is_cut_off => Verdict::UnknownResult,
        200..=299 if reply.error.is_some() => Verdict::Rejected,
        200..=299 => Verdict::Accepted,
        300..=399 | 401 | 403 | 405 => Verdict::AccountRejected,
        404 => Verdict::UnknownCall,
        408 | 425 | 429 | 500..=599 => Verdict::Throttled { retry_after },
        _ => Verdict::Rejected,
    };
    (verdict, reply)
}

/// Plivo's name for the request, which its support asks for.
fn api_id(response: &Value) -> Option<String> {
    Some(response.get("api_id")?.as_str()?.chars().take(API_ID_MAX).collect())
}

/// Plivo's message about what is wrong: a text, in some responses below another `error`.
fn error(response: &Value) -> Option<String> {
    let error = response.get("error").filter(|error| !error.is_null())?;
    let error = error.get("error").unwrap_or(error);
    let text = error.as_str().map_or_else(|| error.to_string(), str::to_owned);
    Some(text.chars().take(ERROR_MAX).collect())
}

/// Most characters of an `api_id` that are kept.
const API_ID_MAX: usize = 64;

/// Most characters of an error that are kept by themselves; the reply has the rest.
const ERROR_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::domain::{Credentials, Issues};

    fn plivo() -> Plivo {
        Plivo {
            account: Arc::new(Account {
                name: "main".parse().unwrap(),
                credentials: Arc::new(Credentials::fixed(vec![SecretString::from("token")])),
            }),
            auth_id: "MA".to_owned(),
            api: "https://stats.plivo.com".to_owned(),
            issue_names: BTreeMap::from([(Issue::CalleridIssue, "CALLERID_ISSUES".to_owned())]),
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
    fn the_address_of_a_request_ends_in_a_slash() {
        let call = "b38149eb-b8fe-45d5-85b2-78ee4424788f".parse().unwrap();
        assert_eq!(
            plivo().request(&call, &feedback(5.0, &[], "")).url,
            "https://stats.plivo.com/v1/Call/b38149eb-b8fe-45d5-85b2-78ee4424788f/Feedback/"
        );
    }

    #[test]
    fn every_answer_has_its_verdict() {
        let asked = Some(Duration::from_secs(7));
        let busy = Verdict::Throttled { retry_after: asked };
        let posted = br#"{"message":"Feedback has been posted","api_id":"x","status":"success"}"#;
        for (status, body, expected) in [
            (201, &posted[..], Verdict::Accepted),
            (200, b"", Verdict::Accepted),
            (202, b"not JSON", Verdict::Accepted),
            (201, br#"{"api_id":"x","er"#, Verdict::UnknownResult),
            (201, br#"{"api_id":"x"};"#, Verdict::Accepted),
            (422, br#"{"api_id":"x","er"#, Verdict::Rejected),
            (200, br#"{"error":null}"#, Verdict::Accepted),
            (200, br#"{"error":"no"}"#, Verdict::Rejected),
            (200, br#"{"error":{"error":"no"}}"#, Verdict::Rejected),
            (301, b"", Verdict::AccountRejected),
            (307, b"", Verdict::AccountRejected),
            (401, b"", Verdict::AccountRejected),
            (403, b"", Verdict::AccountRejected),
            (405, b"", Verdict::AccountRejected),
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
            (400, b"", Verdict::Rejected),
            (402, b"", Verdict::Rejected),
            (409, b"", Verdict::Rejected),
            (410, b"", Verdict::Rejected),
            (422, b"", Verdict::Rejected),
        ] {
            let text = String::from_utf8_lossy(body);
            assert_eq!(classify(status, asked, body).0, expected, "{status} {text}");
        }
    }

    #[test]
    fn plivos_word_for_what_is_wrong_is_found() {
        let error = |body: &[u8]| classify(400, None, body).1.error;
        assert_eq!(error(br#"{"api_id":"x","error":"no such call"}"#).unwrap(), "no such call");
        assert_eq!(error(br#"{"error":{"error":"issues missing"}}"#).unwrap(), "issues missing");
        assert_eq!(error(br#"{"error":{"rating":["bad"]}}"#).unwrap(), r#"{"rating":["bad"]}"#);
        for none in [&br#"{"error":null}"#[..], b"{}", b"<html>"] {
            assert_eq!(error(none), None);
        }
    }

    #[test]
    fn plivos_name_for_the_request_is_found() {
        let api_id = |body: &[u8]| classify(201, None, body).1.request_id;
        assert_eq!(api_id(br#"{"api_id":"97e1"}"#).as_deref(), Some("97e1"));
        assert_eq!(api_id(b"<html>"), None);
    }
}
