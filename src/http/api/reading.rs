use std::collections::BTreeMap;

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::web;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::problem::Problem;
use crate::domain::SubmissionId;
use crate::triage::{Exporting, Paging, Sought};

/// What a query asks for, by key.
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

    pub fn sought(&mut self) -> Result<Sought, Problem> {
        self.part(&Sought::KEYS)
    }

    pub fn exporting(&mut self) -> Result<Exporting, Problem> {
        self.part(&Exporting::KEYS)
    }

    pub fn paging(&mut self) -> Result<Paging, Problem> {
        let limit = self.0.remove("limit").map(|limit| limit.parse()).transpose();
        let limit = limit.map_err(|_| unreadable("limit: expected a whole number"))?;
        Ok(Paging { cursor: self.0.remove("cursor"), limit })
    }

    fn part<T: DeserializeOwned>(&mut self, keys: &[&str]) -> Result<T, Problem> {
        let pairs = keys.iter().filter_map(|key| self.0.remove_entry(*key));
        let part: Value = pairs.map(|(key, value)| (key, Value::String(value))).collect();
        serde_json::from_value(part).map_err(|error| unreadable(error.to_string()))
    }
}

/// A body that says nothing asks for what is usual.
pub(super) fn body<T: DeserializeOwned>(body: &web::Bytes) -> Result<T, Problem> {
    let text: &[u8] = if body.trim_ascii().is_empty() { b"{}" } else { body };
    serde_json::from_slice(text).map_err(|error| unreadable(error.to_string()))
}

pub(super) fn id(path: &str) -> Result<SubmissionId, Problem> {
    let none = || Problem::new(StatusCode::NOT_FOUND, "no such submission: its id is a UUID");
    path.parse().map(SubmissionId).map_err(|_| none())
}

fn unreadable(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}
