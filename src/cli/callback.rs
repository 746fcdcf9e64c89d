//! A Plivo callback as Plivo would send it, signed by its source.

use jiff::Timestamp;
use uuid::Uuid;

use crate::domain::{Hook, HookId, Method};
use crate::source::{self, CannotSign, Source};

/// What a caller pressed.
#[derive(Debug, Clone)]
pub(super) struct Callback {
    pub call: String,
    /// As the action URL names it; the survey's first where it names none.
    pub question: Option<String>,
    /// Empty where the caller was silent.
    pub digits: String,
}

/// A request that is ready to be sent.
pub(super) struct Signed {
    pub path: String,
    pub query: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Callback {
    /// # Errors
    /// The source's sender signs nothing of the kind, or only it can sign.
    pub fn sign(&self, source: &Source) -> Result<Signed, CannotSign> {
        let path = format!("/hooks/{}", source.name);
        let query = self.question.as_deref().map(|name| source::encode([("question", name)]));
        let body = source::encode([
            ("CallUUID", self.call.as_str()),
            ("CallStatus", "in-progress"),
            ("Direction", "inbound"),
            ("InputType", "dtmf"),
            ("Digits", self.digits.as_str()),
            ("Speech", ""),
        ]);
        let form = ("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned());
        let hook = Hook {
            id: HookId(Uuid::nil()),
            method: Method::Post,
            path: path.clone(),
            query: query.clone(),
            headers: vec![(form.0.clone(), form.1.clone().into_bytes())],
            body: body.clone().into_bytes(),
            received_at: Timestamp::now(),
        };
        let mut headers = source.sign(&hook, &Uuid::now_v7().simple().to_string())?;
        headers.insert(0, form);
        Ok(Signed { path, query, headers, body })
    }
}

impl Signed {
    /// Where it goes, given the address without the query.
    pub fn url(&self, address: &str) -> String {
        match &self.query {
            None => address.to_owned(),
            Some(query) => format!("{address}?{query}"),
        }
    }
}
