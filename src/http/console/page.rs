use std::fmt::Debug;
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
    /// With the query, as it was asked for.
    path: String,
    etag: Option<String>,
    /// What the page follows from, if that is known.
    basis: Option<String>,
}

/// What is special about a page.
#[derive(Default)]
pub(super) struct Special {
    pub tab: Option<Tab>,
    /// How often, in seconds, it is asked for again.
    pub refresh: Option<u32>,
    /// It says how long something still takes, so that it changes although nothing happens.
    pub counts_down: bool,
}

/// How long a page may be taken for the same without a look at the store, whose file another program may have
/// changed.
const UNSEEN_MAX: i64 = 60;

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

    /// That the client has the page, if that follows without a query: nothing was committed and no settings
    /// were replaced since it was made. `shows` is what it shows besides the store and the settings.
    ///
    /// A tag has two parts: what the page follows from, and its digest. The same of either is the same page.
    pub fn unchanged(&mut self, shows: impl Debug) -> Option<HttpResponse> {
        // Before anything is read: what changes meanwhile is another basis.
        let (revision, version) =
            (self.listener.console.revision(), self.listener.api.admin.version()?);
        let minute = self.listener.console.clock.now().as_second().div_euclid(UNSEEN_MAX);
        let Visitor { role, session, .. } = self.visitor;
        let basis = format!("{:?}", (revision, version, minute, role, session, &self.path, shows));
        let basis = digest(&basis);
        let is_known = |etag: &&str| etag.split_once('-').is_some_and(|(known, _)| known == basis);
        let known = self.etag.as_deref().filter(is_known).map(not_modified);
        self.basis = Some(basis);
        known
    }

    /// The page, or that it is the one that the client has.
    pub fn answer(&self, title: &str, special: Special, content: &Markup) -> HttpResponse {
        let config = self.listener.console.config();
        let shell = Shell {
            title,
            environment: config.environment.as_deref(),
            role: Some(self.visitor.role),
            has_session: self.visitor.session.is_some(),
            tab: special.tab,
            refresh: special.refresh,
        };
        let text = document(&shell, content).into_string();
        let content = digest(&text);
        let is_same =
            self.etag.as_ref().is_some_and(|known| known.rsplit('-').next() == Some(&content));
        let etag = match self.basis.as_ref().filter(|_| !special.counts_down) {
            Some(basis) => format!("{basis}-{content}"),
            None => content,
        };
        if is_same {
            return not_modified(&etag);
        }
        let mut response = text_of_html(StatusCode::OK, text);
        response.headers_mut().insert(header::ETAG, quoted(&etag));
        response
    }
}

fn digest(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text)[..16])
}

fn not_modified(etag: &str) -> HttpResponse {
    HttpResponse::NotModified().insert_header((header::ETAG, quoted(etag))).finish()
}

fn quoted(etag: &str) -> HeaderValue {
    HeaderValue::try_from(format!("\"{etag}\"")).expect("it is hexadecimal")
}

/// What was done, by its key.
const NOTICES: [(&str, &str); 7] = [
    ("replayed", "It is due again: it is delivered in a moment."),
    ("replayed-all", "That was the last page: what was replayed is due again."),
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
        let etag = etag.and_then(|etag| etag.to_str().ok()?.strip_prefix('"')?.strip_suffix('"'));
        // Whatever else a client may send is no tag of a page.
        let is_tag = |etag: &&str| etag.bytes().all(|it| it.is_ascii_hexdigit() || it == b'-');
        let etag = etag.filter(is_tag).map(str::to_owned);
        let (path, basis) = (request.uri().to_string(), None);
        let query = pairs(request.query_string()).map(|pairs| Filter { pairs });
        ready(query.map(|query| Self { listener, visitor, query, path, etag, basis }))
    }
}
