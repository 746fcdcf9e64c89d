use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};

use super::super::api::failure;
use crate::admin::AdminError;
use crate::console::{Markup, Shell, document, problem};

/// Why a page is not shown. Its answer has it as an extension.
#[derive(Debug, Clone)]
pub(super) struct PageError {
    status: StatusCode,
    detail: String,
    header: Option<(HeaderName, HeaderValue)>,
}

impl PageError {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into(), header: None }
    }

    pub fn method_not_allowed(methods: &'static str) -> Self {
        let header = Some((header::ALLOW, HeaderValue::from_static(methods)));
        let detail = format!("use one of {methods}");
        Self { status: StatusCode::METHOD_NOT_ALLOWED, detail, header }
    }

    /// The page of the problem, for a client of whom nothing is known.
    pub fn answer(&self) -> HttpResponse {
        self.within(Shell {
            title: self.title(),
            environment: None,
            role: None,
            has_session: false,
            tab: None,
            refresh: None,
        })
    }

    /// The page of the problem, with what surrounds the other pages of a client.
    pub fn within(&self, shell: Shell<'_>) -> HttpResponse {
        let text = document(&shell, &problem(shell.title, &self.detail)).into_string();
        let mut response = text_of_html(self.status, text);
        if let Some((name, value)) = &self.header {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        response.extensions_mut().insert(self.clone());
        response
    }

    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }
}

impl From<AdminError> for PageError {
    fn from(error: AdminError) -> Self {
        let (status, detail, retry_after) = failure(&error);
        let header = retry_after.map(|seconds| (header::RETRY_AFTER, HeaderValue::from(seconds)));
        Self { status, detail, header }
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl ResponseError for PageError {
    fn error_response(&self) -> HttpResponse {
        self.answer()
    }
}

pub(super) fn html(status: StatusCode, page: &Markup) -> HttpResponse {
    text_of_html(status, page.0.clone())
}

pub(super) fn text_of_html(status: StatusCode, text: String) -> HttpResponse {
    HttpResponse::build(status)
        .insert_header((header::CONTENT_TYPE, "text/html; charset=utf-8"))
        .body(text)
}

/// To another page, after an action or where one is not let in.
pub(super) fn see_other(path: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, path)).finish()
}
