use std::sync::Arc;

use actix_web::http::header;
use actix_web::{HttpResponse, web};

use super::api::Api;
use super::console::ConsoleContext;
use crate::telemetry::Metrics;

/// What the admin listener works with.
pub struct AdminListener {
    pub metrics: Arc<Metrics>,
    pub checks: Vec<Check>,
    pub api: Api,
    pub console: Arc<ConsoleContext>,
}

/// One condition of being ready.
pub struct Check {
    pub name: &'static str,
    /// Checks it. Returns what an operator should know although it holds; the error says what an operator
    /// has to do.
    pub holds: Box<dyn Fn() -> Result<Vec<&'static str>, String> + Send + Sync>,
}

/// For Prometheus.
pub(super) async fn metrics(listener: web::Data<AdminListener>) -> HttpResponse {
    match listener.metrics.render() {
        Ok(text) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, Metrics::CONTENT_TYPE))
            .body(text),
        Err(error) => {
            tracing::error!(%error, "the figures could not be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}

/// Liveness: the process answers. It checks no dependency, because a restart would repair none.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Webhooks may come: the store takes writes, and the service is not going down. Whether Plivo can
/// be reached does not matter here.
pub(super) async fn readyz(listener: web::Data<AdminListener>) -> HttpResponse {
    let mut ready = true;
    let mut report = String::new();
    for check in &listener.checks {
        match (check.holds)() {
            Ok(warnings) => {
                report.push_str(&format!("[+]{}\n", check.name));
                for warning in warnings {
                    report.push_str(&format!("[!]{}: {warning}\n", check.name));
                }
            }
            Err(advice) => {
                ready = false;
                let advice = if advice.is_empty() { advice } else { format!(": {advice}") };
                report.push_str(&format!("[-]{}{advice}\n", check.name));
            }
        }
    }
    let mut response = if ready { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8")).body(report)
}
