use std::future::{Ready, ready};

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::Serialize;

/// A refusal as RFC 9457 writes it: `application/problem+json`.
#[derive(Debug, Serialize)]
pub(super) struct Problem {
    #[serde(rename = "type")]
    kind: &'static str,
    title: &'static str,
    status: u16,
    /// What would be right; never what was sent.
    detail: String,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: detail.into(),
        }
    }

    pub fn response(&self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).expect("it was made from a status");
        HttpResponse::build(status)
            .insert_header((header::CONTENT_TYPE, "application/problem+json"))
            .body(serde_json::to_vec(self).expect("texts can be written as JSON"))
    }

    pub fn not_found() -> Ready<HttpResponse> {
        ready(Self::new(StatusCode::NOT_FOUND, "there is nothing here").response())
    }

    pub fn method_not_allowed(allowed: &'static str) -> Ready<HttpResponse> {
        let detail = format!("use one of {allowed}");
        let mut response = Self::new(StatusCode::METHOD_NOT_ALLOWED, detail).response();
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
        ready(response)
    }
}
