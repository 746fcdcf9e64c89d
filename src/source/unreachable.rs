//! Whether a source can take any answer: what its readers look for must be where its signature and its
//! types of body let something be found.

use jiff::Timestamp;
use uuid::Uuid;

use super::extractor::{Condition, Extractor};
use super::form::encode;
use super::parsed_request::ParsedRequest;
use super::path::FieldPath;
use super::read::{Asked, Predicate};
use super::signature::{Scheme, SignatureCoverage, VerifiedWebhook};
use super::{Accepts, Source};
use crate::domain::{Headers, Method, Name, Webhook, WebhookId};

/// What no webhook of a source can bring, so that it never takes what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    pub what: Unreached,
    /// Why, and what would be right.
    pub why: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreached {
    /// The body of any POST.
    Body,
    Call,
    Filter,
    /// To this question; none where the webhook names it.
    Answer(Option<Name>),
}

/// What a request may be, as far as it decides where something can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Get,
    Form { has_query: bool },
    Json { has_query: bool },
}

impl Shape {
    const ALL: [Self; 5] = [
        Self::Get,
        Self::Form { has_query: false },
        Self::Form { has_query: true },
        Self::Json { has_query: false },
        Self::Json { has_query: true },
    ];

    /// A request that has something wherever `path` may begin.
    fn request(self, path: &FieldPath) -> Webhook {
        let field = encode(path.field().map(|name| (name, "1")));
        let form = if field.is_empty() { "a=1".to_owned() } else { field.clone() };
        let (method, kind, body, has_query) = match self {
            Self::Get => (Method::Get, "", String::new(), true),
            Self::Form { has_query } => {
                (Method::Post, "application/x-www-form-urlencoded", form, has_query)
            }
            Self::Json { has_query } => {
                (Method::Post, "application/json", "{}".to_owned(), has_query)
            }
        };
        let mut headers: Headers = [("content-type", kind)].into_iter().collect();
        if let Some(name) = path.header().filter(|name| headers.values(name).next().is_none()) {
            headers.push(name, b"1");
        }
        Webhook {
            id: WebhookId(Uuid::nil()),
            method,
            path: String::new(),
            query: has_query.then_some(field),
            headers,
            body: body.into_bytes(),
            received_at: Timestamp::UNIX_EPOCH,
        }
    }
}

impl Source {
    /// The first of what it needs that no webhook can bring together with the rest.
    pub fn unreachable(&self) -> Option<Unreachable> {
        let anything: FieldPath = "json:$".parse().expect("it is a path");
        let is_taken = |shape: &Shape| self.believed(*shape, &anything).is_some();
        let mut shapes: Vec<Shape> = Shape::ALL.into_iter().filter(is_taken).collect();
        if shapes == [Shape::Get] && matches!(self.signature, Scheme::Plivo(_)) {
            let why = "Plivo's signature is taken on forms alone: write content_types: [form]";
            return Some(Unreachable { what: Unreached::Body, why: why.to_owned() });
        }
        let asked: Vec<(Option<&Name>, &[Extractor])> = match &self.readers.asked {
            // All that comes says that the call is over.
            _ if self.readers.hangup == Predicate::Always => Vec::new(),
            Asked::One { answer, .. } => vec![(None, answer)],
            Asked::Several(several) => {
                several.iter().map(|(name, readers)| (Some(name), &readers[..])).collect()
            }
        };
        let unanswered = |(name, readers): &(Option<&Name>, &[Extractor])| Unreachable {
            what: Unreached::Answer(name.cloned()),
            why: self.why(readers.iter().map(Extractor::path)),
        };
        let answers = |readers: &[Extractor], shape: Shape| {
            readers.iter().any(|reader| self.may_read(reader, shape))
        };
        shapes.retain(|shape| {
            asked.is_empty() || asked.iter().any(|(_, readers)| answers(readers, *shape))
        });
        if shapes.is_empty() {
            return asked.first().map(unanswered);
        }
        let call = &self.readers.call;
        shapes.retain(|shape| call.iter().any(|reader| self.may_name_call(reader, *shape)));
        if shapes.is_empty() {
            let why = self.why(call.iter().map(Extractor::path));
            return Some(Unreachable { what: Unreached::Call, why });
        }
        let filter = &self.readers.filter;
        shapes.retain(|shape| {
            filter.is_empty() || filter.iter().any(|condition| self.may_hold(condition, *shape))
        });
        if shapes.is_empty() {
            let why = self.why(filter.iter().map(Condition::path));
            return Some(Unreachable { what: Unreached::Filter, why });
        }
        let is_dead = |(_, readers): &&(Option<&Name>, &[Extractor])| {
            !shapes.iter().any(|shape| answers(readers, *shape))
        };
        asked.iter().find(is_dead).map(unanswered)
    }

    fn believed(&self, shape: Shape, path: &FieldPath) -> Option<VerifiedWebhook> {
        self.signature.believe(shape.request(path), self.accepts).ok()
    }

    fn may_find(&self, path: &FieldPath, shape: Shape) -> bool {
        let webhook = self.believed(shape, path);
        webhook.is_some_and(|webhook| path.may_find(&ParsedRequest::new(&webhook)))
    }

    fn may_hold(&self, condition: &Condition, shape: Shape) -> bool {
        condition.wanted().is_none() || self.may_find(condition.path(), shape)
    }

    fn may_read(&self, reader: &Extractor, shape: Shape) -> bool {
        self.may_find(reader.path(), shape)
            && reader.condition().is_none_or(|condition| self.may_hold(condition, shape))
    }

    /// A call in a query that nothing covers is refused.
    fn may_name_call(&self, reader: &Extractor, shape: Shape) -> bool {
        let webhook = self.believed(shape, reader.path());
        let coverage = webhook.map(|webhook| webhook.coverage());
        self.may_read(reader, shape)
            && !(reader.is_query() && coverage == Some(SignatureCoverage::Address))
    }

    /// Of places where nothing can be; there is one at least.
    fn why<'p>(&self, paths: impl Iterator<Item = &'p FieldPath>) -> String {
        let paths: Vec<&FieldPath> = paths.collect();
        let places: Vec<&str> = paths.iter().map(|path| path.text()).collect();
        let is_plivo = matches!(self.signature, Scheme::Plivo(_));
        let (body, other) = match self.accepts {
            Accepts::Form => ("form:NAME", "json"),
            _ if is_plivo => ("form:NAME", "json"),
            Accepts::Json => ("json:$.NAME", "form"),
            Accepts::Either => ("json:$.NAME or form:NAME", ""),
        };
        let start = places.first().and_then(|place| place.split(':').next()).unwrap_or_default();
        let why = match start {
            "json" if is_plivo => "Plivo sends forms: read form:NAME or query:NAME".to_owned(),
            "header" => format!("the signature covers no header: read {body}"),
            "query" => format!("the signature does not cover the query: read {body}"),
            _ if start == other => {
                format!("a body is no {other} by content_types: read {body}, or add {other} there")
            }
            _ => format!("what else is read is in webhooks of another kind: read {body} for all"),
        };
        format!("no webhook that could be taken has {}: {why}", places.join(" or "))
    }
}
