use std::future::{Ready, ready};

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::super::api::Visitor;
use super::super::probes::AdminListener;
use super::form::pairs;
use super::respond::{PageError, text_of_html};
use crate::admin::Role;
use crate::console::{Filter, Markup, Shell, Tab, document};

/// A request for a page, by a client that was let in.
pub(super) struct PageRequest {
    pub listener: web::Data<AdminListener>,
    pub visitor: Visitor,
    pub query: Filter,
    etag: Option<String>,
}

/// What is special about a page.
#[derive(Default)]
pub(super) struct Special {
    pub tab: Option<Tab>,
    /// How often, in seconds, it is asked for again.
    pub refresh: Option<u32>,
}

impl PageRequest {
    pub fn role(&self) -> Role {
        self.visitor.role
    }

    /// The value of a parameter.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.query.get(key)
    }

    /// Says what was done before this page, by its key in the query.
    pub fn notice(&self) -> Option<&'static str> {
        let done = self.get("done")?;
        NOTICES.iter().find(|(key, _)| *key == done).map(|(_, notice)| *notice)
    }

    /// The page, or that it is the one that the client has.
    pub fn answer(&self, title: &str, special: Special, content: &Markup) -> HttpResponse {
        let config = self.listener.console.config();
        let shell = Shell {
            title,
            environment: config.environment.as_deref(),
            role: Some(self.visitor.role),
            has_session: self.visitor.by == "session",
            tab: special.tab,
            refresh: special.refresh,
        };
        let text = document(&shell, content).into_string();
        let etag = format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(&text)[..16]));
        let mut response = if self.etag.as_deref() == Some(&etag) {
            HttpResponse::NotModified().finish()
        } else {
            text_of_html(StatusCode::OK, text)
        };
        let etag = HeaderValue::try_from(etag).expect("it is hexadecimal");
        response.headers_mut().insert(header::ETAG, etag);
        response
    }
}

/// What was done, by its key.
const NOTICES: [(&str, &str); 8] = [
    ("replayed", "It is due again: it is delivered in a moment."),
    ("replayed-all", "That was the last page: what was replayed is due again."),
    ("erased", "What was said on the call is erased."),
    ("discarded", "It is discarded."),
    ("paused", "The account is paused. What comes in is kept."),
    ("resumed", "The account is not paused any more."),
    ("dropped", "The quarantined webhooks were dropped."),
    ("none", "Nothing was done: it was so already."),
];

impl FromRequest for PageRequest {
    type Error = PageError;
    type Future = Ready<Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut actix_web::dev::Payload) -> Self::Future {
        let listener = request.app_data::<web::Data<AdminListener>>();
        let listener = listener.expect("the listener is there").clone();
        let visitor = Visitor::of(request);
        let etag = request.headers().get(header::IF_NONE_MATCH);
        let etag = etag.and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let query = pairs(request.query_string());
        ready(query.map(|pairs| Self { listener, visitor, query: Filter { pairs }, etag }))
    }
}
