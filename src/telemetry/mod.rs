//! Telemetry: metrics for Prometheus, and logs.
//!
//! This room knows the nouns of `domain` and nothing of who calls it. No label value comes from a
//! request: names are those of the settings, everything else is a closed list. No figure and no
//! log line carries a body, a signature, a token, a phone number or notes.

mod action;
mod connections;
mod families;
pub mod logs;
mod metrics;
mod quarantine;
mod reload;
mod state_counts;
mod webhooks;

pub use action::Action;
pub use connections::{CloseReason, ConnectionState, Listener, ListenerMetrics};
pub use metrics::{LabelSets, Metrics};
pub use quarantine::QuarantineEvent;
pub use reload::ReloadResult;
pub use webhooks::{SourceMetrics, WebhookOutcome};
