use std::future::{Ready, ready};

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde_json::json;

/// A refusal as RFC 9457 writes it: `application/problem+json`.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    /// What would be right; never what was sent.
    detail: String,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    pub fn response(&self) -> HttpResponse {
        let problem = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        HttpResponse::build(self.status)
            .insert_header((header::CONTENT_TYPE, "application/problem+json"))
            .body(problem.to_string())
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
