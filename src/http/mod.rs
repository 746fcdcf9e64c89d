//! The two listeners: the public one receives webhooks; the admin one serves metrics, probes
//! and the operator's API (`api`) and pages (`console`).
//!
//! This room turns requests into webhooks and wishes, and outcomes into answers, and nothing else: it
//! knows no signature, no survey and no SQL. Only here (and in the simulator) is actix known.

mod api;
mod bounds;
mod connections;
mod console;
mod origin;
mod probes;
mod problem;
mod server;
mod span;
mod stream;
mod webhooks;

pub use crate::console::SourceSetup;
pub use api::{
    AdminTokens, Api, BODY_TIMEOUT as API_BODY_TIMEOUT, Gate, description as api_description,
};
pub use bounds::Bounds;
pub use console::{ConsoleConfig, ConsoleContext, PlaygroundConfig, this_program};
pub(crate) use origin::is_loopback;
pub use probes::{AdminListener, Check};
pub use server::{ListenerOptions, serve};
pub use span::RootSpan;
pub use webhooks::{PublicListener, REJECTIONS};

use std::time::Duration;

use actix_web::web::{self, ServiceConfig};

use self::problem::Problem;

/// How long a request's head may take to arrive.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// `POST|GET /hooks/{source}`, and a `/` that says that someone is there.
pub fn public(listener: web::Data<PublicListener>) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config
            .app_data(listener)
            .service(
                web::resource("/hooks/{source}")
                    .route(web::get().to(webhooks::receive))
                    .route(web::post().to(webhooks::receive))
                    .default_service(web::to(|| Problem::method_not_allowed("GET, POST"))),
            )
            .service(
                web::resource("/")
                    .route(web::get().to(actix_web::HttpResponse::Ok))
                    .default_service(web::to(|| Problem::method_not_allowed("GET"))),
            )
            .default_service(web::to(webhooks::at_no_hook));
    }
}

/// `/metrics`, `/livez` and `/readyz`, none of which needs a token, `/api/v1` and `/console`.
pub fn admin(listener: web::Data<AdminListener>) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config
            .app_data(web::Data::from(listener.api.gate.clone()))
            .app_data(listener)
            .route("/metrics", web::get().to(probes::metrics))
            .route("/livez", web::get().to(probes::livez))
            .route("/readyz", web::get().to(probes::readyz))
            .service(api::scope())
            .service(console::scope())
            .default_service(web::to(Problem::not_found));
    }
}
