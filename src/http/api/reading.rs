use std::collections::BTreeMap;
use std::future::ready;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{Error, FromRequest, HttpRequest, web};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::error::Elapsed;

use super::super::problem::Problem;
use super::answer::ApiError;
use crate::admin::{AdminError, Paging, only_object};
use crate::submission::SubmissionId;

/// A request body: a JSON object.
pub(super) struct Body<T>(pub T);

/// Most bytes of a request: a search and a reason.
pub(super) const BODY_MAX: usize = 16 * 1024;

/// How long a body may take to arrive.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Parameters of a query string, by key.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    /// # Errors
    /// A key that is not known here, or one that is given twice.
    pub fn of(request: &HttpRequest, known: &[&str]) -> Result<Self, Problem> {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(request.query_string())
            .map_err(|_| unreadable("the query cannot be read"))?;
        let mut query = BTreeMap::new();
        for (key, value) in pairs.into_inner() {
            if !known.contains(&key.as_str()) {
                let known = known.join(", ");
                return Err(unreadable(format!("unknown parameter {key:?}; known here: {known}")));
            }
            if query.insert(key.clone(), value).is_some() {
                return Err(unreadable(format!("{key} is given twice")));
            }
        }
        Ok(Self(query))
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    pub fn paging(&mut self) -> Result<Paging, Problem> {
        let limit = self.0.remove("limit").map(|limit| limit.parse()).transpose();
        let limit = limit.map_err(|_| unreadable("limit: expected a whole number"))?;
        Ok(Paging { cursor: self.0.remove("cursor"), limit })
    }

    /// Takes the parameters with these keys.
    pub fn part<T: DeserializeOwned>(&mut self, keys: &[&str]) -> Result<T, Problem> {
        let pairs = keys.iter().filter_map(|key| self.0.remove_entry(*key));
        let part: Value = pairs.map(|(key, value)| (key, Value::String(value))).collect();
        serde_json::from_value(part).map_err(|error| unreadable(error.to_string()))
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // A page of another origin cannot send this without being asked first.
        if !says_json(request.headers()) {
            let problem = Problem::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send JSON, and say so: Content-Type: application/json",
            );
            return Box::pin(ready(Err(problem.into())));
        }
        let whole = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let whole = tokio::time::timeout(BODY_TIMEOUT, whole).await;
            Ok(Body(sent(whole)?))
        })
    }
}

/// Whether one header says so.
fn says_json(headers: &HeaderMap) -> bool {
    let mut said = headers.get_all(header::CONTENT_TYPE);
    let (Some(said), None) = (said.next(), said.next()) else { return false };
    let kind = said.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn sent<T: DeserializeOwned>(
    whole: Result<Result<web::Bytes, Error>, Elapsed>,
) -> Result<T, Problem> {
    let body = match whole {
        Ok(Ok(body)) => body,
        Ok(Err(error))
            if error.as_response_error().status_code() == StatusCode::PAYLOAD_TOO_LARGE =>
        {
            let detail = format!("a body has at most {BODY_MAX} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        Ok(Err(_)) => return Err(unreadable("the body broke off")),
        Err(_) => {
            let detail = "the whole body did not arrive in time";
            return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, detail));
        }
    };
    let mut json = serde_json::Deserializer::from_slice(&body);
    let read = only_object(&mut json).and_then(|read| json.end().map(|()| read));
    read.map_err(|error| unreadable(error.to_string()))
}

/// The submission that a path names.
pub(in crate::http) fn id(path: &str) -> Result<SubmissionId, AdminError> {
    let none = || AdminError::NotFound("no such submission: its id is a UUID".to_owned());
    path.parse().map(SubmissionId).map_err(|_| none())
}

fn unreadable(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
