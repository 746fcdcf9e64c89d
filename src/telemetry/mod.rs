//! Telemetry: metrics for Prometheus, logs, and spans for a collector of OpenTelemetry.
//!
//! This room knows the nouns of `domain` and nothing of who calls it. No label value comes from a
//! request, but for the fields that a survey declares as labels: names are those of the settings,
//! everything else is a closed list. No figure and no
//! log line carries a body, a signature, a token, a phone number or notes.

mod action;
mod by_field;
mod connections;
mod delivery;
mod families;
pub mod logs;
mod metrics;
mod otlp;
mod quarantine;
mod reload;
mod series;
mod spans;
mod state_counts;
mod webhooks;

pub use action::Action;
pub use by_field::FieldLabels;
pub use connections::{CloseReason, ConnectionState, Listener, ListenerMetrics};
pub use delivery::DeliveryResult;
pub use metrics::{LabelSets, Metrics};
pub use otlp::encoded as otlp_request;
pub use quarantine::QuarantineEvent;
pub use reload::ReloadResult;
pub use spans::{AttemptSpan, SPANS_WAITING_MAX, Span, SpanResult, Spans, WebhookSpan};
pub use webhooks::{SourceMetrics, WebhookClass, WebhookOutcome};
