//! Spans as OTLP has them: one request of a collector, in protobuf.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as proto;
use prost::Message;
use proto::span::{Link, SpanKind};
use proto::status::StatusCode;

use super::spans::{AttemptSpan, Span, WebhookSpan};
use crate::domain::{SpanContext, Verdict};

/// The body of a request that exports these spans. `instance` names this process among those that serve.
pub fn encoded(spans: &[Span], instance: &str) -> Vec<u8> {
    let resource = Resource {
        attributes: vec![
            text("service.name", env!("CARGO_PKG_NAME")),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", instance),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: env!("CARGO_PKG_NAME").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = spans.iter().map(span).collect();
    let scoped = proto::ScopeSpans { scope: Some(scope), spans, schema_url: String::new() };
    let resource_spans = proto::ResourceSpans {
        resource: Some(resource),
        scope_spans: vec![scoped],
        schema_url: String::new(),
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

fn span(span: &Span) -> proto::Span {
    match span {
        Span::Webhook(webhook) => of_webhook(webhook),
        Span::Attempt(attempt) => of_attempt(attempt),
    }
}

fn of_webhook(webhook: &WebhookSpan) -> proto::Span {
    let mut attributes = vec![
        text("http.request.method", webhook.method),
        text("http.route", "/hooks/{source}"),
        number("http.response.status_code", webhook.status.into()),
        text("postcall.source", webhook.source.as_str()),
        text("postcall.webhook.id", &webhook.id.0.to_string()),
        text("postcall.webhook.outcome", webhook.outcome.label()),
    ];
    attributes.extend(webhook.submission.map(|id| text("postcall.submission.id", &id.to_string())));
    let parent = webhook.parent.map(|parent| parent.context);
    proto::Span {
        name: format!("{} /hooks/{{source}}", webhook.method),
        kind: SpanKind::Server.into(),
        parent_span_id: parent.map(|it| it.span.bytes().to_vec()).unwrap_or_default(),
        attributes,
        // A rejected webhook is its sender's fault, not ours.
        status: status((webhook.status >= 500).then_some(webhook.outcome.label())),
        ..ended(webhook.id.span(parent.map(|it| it.trace)), webhook.received_at, webhook.took)
    }
}

fn of_attempt(attempt: &AttemptSpan) -> proto::Span {
    let verdict = attempt.verdict.label();
    let mut attributes = vec![
        text("http.request.method", "POST"),
        text("postcall.account", attempt.account.as_str()),
        text("postcall.survey", attempt.survey.as_str()),
        text("postcall.submission.id", &attempt.submission.to_string()),
        number("postcall.attempt.number", attempt.number.into()),
        text("postcall.attempt.verdict", verdict),
        flag("postcall.redelivery", attempt.redelivery),
    ];
    attributes.extend(attempt.status.map(|it| number("http.response.status_code", it.into())));
    let is_accepted = attempt.verdict == Verdict::Accepted;
    let previous = attempt.number.checked_sub(1).filter(|number| *number > 0);
    let previous = previous.map(|number| attempt.submission.attempt_span(number));
    let of_webhooks = attempt.webhooks.iter().map(|it| link(*it, "webhook"));
    proto::Span {
        name: "attempt".to_owned(),
        kind: SpanKind::Client.into(),
        attributes,
        links: of_webhooks.chain(previous.map(|it| link(it, "previous_attempt"))).collect(),
        status: status((!is_accepted).then_some(verdict)),
        ..ended(attempt.submission.attempt_span(attempt.number), attempt.began_at, attempt.took)
    }
}

fn ended(context: SpanContext, began_at: Timestamp, took: std::time::Duration) -> proto::Span {
    let start = u64::try_from(began_at.as_nanosecond()).unwrap_or_default();
    let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
    proto::Span {
        trace_id: context.trace.bytes().to_vec(),
        span_id: context.span.bytes().to_vec(),
        start_time_unix_nano: start,
        end_time_unix_nano: start.saturating_add(took),
        // The lowest flag: it is sampled.
        flags: 1,
        ..proto::Span::default()
    }
}

fn link(to: SpanContext, why: &str) -> Link {
    Link {
        trace_id: to.trace.bytes().to_vec(),
        span_id: to.span.bytes().to_vec(),
        attributes: vec![text("postcall.link", why)],
        ..Link::default()
    }
}

/// Without an error it is not set, which is the exporter's part.
fn status(error: Option<&str>) -> Option<proto::Status> {
    let message = error?.to_owned();
    Some(proto::Status { message, code: StatusCode::Error.into() })
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn flag(key: &str, value: bool) -> KeyValue {
    attribute(key, Value::BoolValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}
