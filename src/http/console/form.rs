use std::collections::BTreeMap;
use std::future::ready;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::{StatusCode, header};
use actix_web::{FromRequest, HttpRequest, web};

use super::super::api::BODY_TIMEOUT;
use super::respond::PageError;
use crate::console::Filter;

/// Fields of a form that was sent.
pub(super) struct Form(BTreeMap<String, String>);

/// Most bytes of a form: an action and its reason.
pub(super) const FORM_MAX: usize = 16 * 1024;

/// Most bytes of the forms of a page that takes longer ones.
pub(super) struct Max(pub usize);

impl Form {
    /// The value of a field; empty if it is not there.
    pub fn get(&self, name: &str) -> &str {
        self.0.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Whether a box is checked.
    pub fn is_checked(&self, name: &str) -> bool {
        self.get(name) == "true"
    }
}

impl From<Form> for Filter {
    fn from(form: Form) -> Self {
        Self { pairs: form.0.into_iter().collect() }
    }
}

impl FromRequest for Form {
    type Error = PageError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, PageError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let kind = request.headers().get(header::CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        // A form without fields has no type in some clients, and nothing to read.
        if !kind.is_empty() && !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let detail = "send a form: Content-Type: application/x-www-form-urlencoded";
            return Box::pin(ready(Err(PageError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                detail,
            ))));
        }
        let most = request.app_data::<Max>().map_or(FORM_MAX, |it| it.0);
        let whole = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let whole = tokio::time::timeout(BODY_TIMEOUT, whole).await.map_err(|_| {
                PageError::new(StatusCode::REQUEST_TIMEOUT, "the whole form did not arrive in time")
            })?;
            let whole = whole.map_err(|error| match error.as_response_error().status_code() {
                StatusCode::PAYLOAD_TOO_LARGE => PageError::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    format!("this form has at most {most} bytes"),
                ),
                _ => unreadable(),
            })?;
            let text = std::str::from_utf8(&whole).map_err(|_| unreadable())?;
            Ok(Self(pairs(text)?.into_iter().collect()))
        })
    }
}

/// Pairs of a form or a query, without those that are empty: an untouched field of a form asks for nothing.
pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, PageError> {
    let pairs = web::Query::<Vec<(String, String)>>::from_query(text);
    let mut pairs = pairs.map_err(|_| unreadable())?.into_inner();
    pairs.retain(|(_, value)| !value.is_empty());
    Ok(pairs)
}

fn unreadable() -> PageError {
    PageError::new(StatusCode::BAD_REQUEST, "the form cannot be read")
}
