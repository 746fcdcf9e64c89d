//! Spans of webhooks and attempts, at a collector of OpenTelemetry.

mod collector;

use std::net::TcpListener;

use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::Value;

use self::collector::{Collector, attribute, hex};
use crate::test_env::{FROM, SETTINGS, TO, TestEnv};

const SENDER: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDERS_SPAN: &str = "00f067aa0ba902b7";

/// The service exports its spans to the collector, which is also its destination.
fn traced(collector: &Collector, more: &str) -> TestEnv {
    let settings = SETTINGS.replace("@plivo@", collector.address());
    let endpoint = collector.address();
    let tracing = format!("tracing: {{ otlp: {{ endpoint: \"{endpoint}\"{more} }} }}\n");
    let mut test_env = TestEnv::of(&(settings + &tracing));
    test_env.start();
    test_env
}

fn sender() -> (&'static str, String) {
    ("traceparent", format!("00-{SENDER}-{SENDERS_SPAN}-01"))
}

fn spans_named(collector: &Collector, name: &str) -> Vec<Span> {
    collector.spans().into_iter().filter(|span| span.name == name).collect()
}

fn links_of(span: &Span) -> Vec<(String, String)> {
    span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect()
}

fn named(span: &Span) -> (String, String) {
    (hex(&span.trace_id), hex(&span.span_id))
}

#[test]
fn a_webhook_and_its_attempts_are_spans_that_name_each_other() {
    let collector = Collector::start();
    collector.the_destination_answers(&[503]);
    let mut test_env =
        traced(&collector, ", headers: { authorization: { value: \"Bearer of-the-collector\" } }");
    let mut webhook = test_env.caller("c-traced").callback("2");
    webhook.headers.push(sender());
    webhook.send(&test_env).assert_status(200);
    test_env.until_it_is("c-traced", "delivered");
    test_env.until("three spans are exported", || collector.spans().len() == 3);

    let webhooks = spans_named(&collector, "POST /hooks/{source}");
    let [webhook] = webhooks.as_slice() else { panic!("{webhooks:?}") };
    assert_eq!(
        (hex(&webhook.trace_id), hex(&webhook.parent_span_id)),
        (SENDER.into(), SENDERS_SPAN.into())
    );
    assert_eq!(webhook.kind, i32::from(SpanKind::Server));
    assert_eq!(attribute(webhook, "postcall.webhook.outcome"), "created");
    assert_eq!(attribute(webhook, "postcall.source"), "quick");
    assert_eq!(attribute(webhook, "http.response.status_code"), "200");
    assert!(webhook.status.is_none());
    assert!(webhook.end_time_unix_nano > webhook.start_time_unix_nano);

    let attempts = spans_named(&collector, "attempt");
    let [first, second] = attempts.as_slice() else { panic!("{attempts:?}") };
    assert_eq!(links_of(first), [named(webhook)]);
    assert_eq!(links_of(second), [named(webhook), named(first)]);
    assert_ne!(first.trace_id, second.trace_id);
    assert_ne!(hex(&first.trace_id), SENDER);
    let verdict = |span| attribute(span, "postcall.attempt.verdict");
    assert_eq!((verdict(first), verdict(second)), ("throttled".to_owned(), "accepted".to_owned()));
    assert_eq!(first.status.as_ref().unwrap().code, i32::from(StatusCode::Error));
    assert!(second.status.is_none());
    assert_eq!(second.kind, i32::from(SpanKind::Client));
    for span in [webhook, first, second] {
        assert_eq!(attribute(span, "postcall.submission.id"), test_env.id_of("c-traced"));
    }

    let at_destination: Vec<String> = collector
        .requests("/v1/Call/")
        .iter()
        .map(|request| request.header("traceparent").unwrap().to_owned())
        .collect();
    let expected = [first, second].map(named).map(|(trace, span)| format!("00-{trace}-{span}-01"));
    assert_eq!(at_destination, expected);

    let shown = test_env.got(&format!("/submissions/{}", test_env.id_of("c-traced")));
    let trace_ids = |of: &str| -> Vec<Value> {
        shown[of].as_array().unwrap().iter().map(|it| it["trace_id"].clone()).collect()
    };
    assert_eq!(trace_ids("webhooks"), [SENDER]);
    assert_eq!(trace_ids("attempts_made"), [first, second].map(|span| named(span).0));
    let shown = test_env.postcall(&["submissions", "show", "c-traced"]).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("attempt 2") && shown.contains(&named(second).0), "{shown}");

    for request in collector.requests("/v1/traces") {
        assert_eq!(request.header("authorization"), Some("Bearer of-the-collector"));
        assert_eq!(request.header("content-type"), Some("application/x-protobuf"));
        for secret in ["c-traced", FROM, TO, "survey: 2 of 5"] {
            let has = request.body.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!has, "a span has {secret}");
        }
    }
    assert_eq!(test_env.figures().of("spans_total{result=\"exported\"}"), 3.0);
    // What was merged before a restart is still named.
    test_env.restart();
    let shown = test_env.got(&format!("/submissions/{}", test_env.id_of("c-traced")));
    assert_eq!(shown["webhooks"][0]["trace_id"], SENDER);
}

#[test]
fn only_a_verified_webhook_is_a_part_of_its_senders_trace() {
    let collector = Collector::start();
    let test_env = traced(&collector, "");
    let mut forged = test_env.caller("c-forged").signed_with("another-token").callback("2");
    forged.headers.push(sender());
    forged.send(&test_env).assert_status(401);
    test_env.until("its span is exported", || collector.spans().len() == 1);
    let span = &collector.spans()[0];
    assert_ne!(hex(&span.trace_id), SENDER);
    assert!(span.parent_span_id.is_empty());
    assert_eq!(attribute(span, "postcall.webhook.outcome"), "rejected");
    assert!(span.status.is_none(), "it is the fault of who sent it");
}

#[test]
fn the_spans_of_a_submission_are_sampled_together_and_a_sender_decides_about_its_webhooks() {
    let collector = Collector::start();
    let test_env = traced(&collector, ", sample_ratio: 0");
    test_env.caller("c-1").has_pressed("2");
    test_env.until_it_is("c-1", "delivered");
    let mut webhook = test_env.caller("c-2").callback("2");
    webhook.headers.push(sender());
    webhook.send(&test_env).assert_status(200);
    test_env.until_it_is("c-2", "delivered");
    test_env.until("the sender's is exported", || !collector.spans().is_empty());
    let spans = collector.spans();
    assert_eq!(spans.iter().map(|span| hex(&span.trace_id)).collect::<Vec<_>>(), [SENDER]);
    let at_destination = collector.requests("/v1/Call/");
    assert!(at_destination.iter().all(|it| it.header("traceparent").unwrap().ends_with("-00")));
}

#[test]
fn what_waits_for_its_export_leaves_before_the_service_ends() {
    let collector = Collector::start();
    let mut test_env = traced(&collector, "");
    test_env.caller("c-1").has_pressed("2");
    test_env.until_it_is("c-1", "delivered");
    test_env.stop();
    assert_eq!(collector.spans().len(), 2);
}

#[test]
fn a_collector_that_is_away_costs_spans_and_no_webhook() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let tracing = format!("tracing: {{ otlp: {{ endpoint: \"http://{closed}\" }} }}\n");
    let mut test_env = TestEnv::of(&format!("{SETTINGS}{tracing}"));
    test_env.start();
    test_env.caller("c-1").has_pressed("2");
    test_env.until_it_is("c-1", "delivered");
    test_env.until("its spans are counted as lost", || {
        test_env.figures().of("spans_total{result=\"not_exported\"}") >= 2.0
    });
    assert!(test_env.is_ready());
}

#[test]
fn without_a_collector_nothing_is_traced() {
    let collector = Collector::start();
    let mut test_env = TestEnv::of(&SETTINGS.replace("@plivo@", collector.address()));
    test_env.start();
    let mut webhook = test_env.caller("c-1").callback("2");
    webhook.headers.push(sender());
    webhook.send(&test_env).assert_status(200);
    test_env.until_it_is("c-1", "delivered");
    let at_destination = collector.requests("/v1/Call/");
    assert_eq!(at_destination[0].header("traceparent"), None);
    let shown = test_env.postcall(&["submissions", "show", "c-1"]).output().unwrap();
    assert!(!String::from_utf8(shown.stdout).unwrap().contains("traces"));
    assert_eq!(test_env.store.submissions()[0].document.sender_traces.len(), 0);
    for result in ["exported", "queue_full", "not_exported"] {
        assert_eq!(test_env.figures().of(&format!("spans_total{{result=\"{result}\"}}")), 0.0);
    }
}
