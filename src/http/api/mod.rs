//! The operator actions over HTTP: `/api/v1` on the admin listener.
//!
//! Each request is let in by the [`Gate`], read, and handed to the [`AdminService`]. The description
//! for clients is generated from these handlers ([`description`]).

mod accounts;
mod answer;
mod bulk;
mod context;
mod described;
mod export;
mod gate;
mod insights;
mod problems;
mod quarantine;
mod reading;
mod submissions;

pub(super) use answer::failure;
pub(super) use bulk::erase_call;
pub use context::Api;
pub use described::description;
pub use gate::{AdminTokens, Gate};
pub(super) use gate::{LoopbackError, Visitor};
pub(super) use quarantine::{drop_from, quarantined_of, rejections_of, verify_again};
pub(super) use reading::id as submission_id;

use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::web;

use super::problem::Problem;
use reading::BODY_MAX;
pub use reading::BODY_TIMEOUT;

pub(super) fn scope() -> impl HttpServiceFactory {
    web::scope("/api/v1")
        .wrap(from_fn(gate::let_in))
        .app_data(web::PayloadConfig::new(BODY_MAX))
        .service(get("/submissions", web::get().to(submissions::list)))
        .service(get("/submissions/{id}", web::get().to(submissions::show)))
        .service(post("/submissions/{id}/replay", web::post().to(submissions::replay)))
        .service(post("/submissions/{id}/discard", web::post().to(submissions::discard)))
        .service(post("/replay", web::post().to(bulk::replay)))
        .service(post("/discard", web::post().to(bulk::discard)))
        .service(post("/erase", web::post().to(bulk::erase)))
        .service(get("/export", web::get().to(export::export)))
        .service(get("/accounts", web::get().to(accounts::list)))
        .service(post("/accounts/{account}/pause", web::post().to(accounts::pause)))
        .service(post("/accounts/{account}/resume", web::post().to(accounts::resume)))
        .service(get("/surveys", web::get().to(submissions::surveys)))
        .service(get("/insights", web::get().to(insights::insights)))
        .service(get("/rejections", web::get().to(quarantine::rejections)))
        .service(get("/quarantine", web::get().to(quarantine::list)))
        .service(post("/quarantine/retry", web::post().to(quarantine::retry)))
        .service(post("/quarantine/drop", web::post().to(quarantine::drop_all)))
        .service(get("/quarantine/{id}", web::get().to(quarantine::show)))
        .service(get("/totals", web::get().to(submissions::totals)))
        .service(get("/openapi.json", web::get().to(described::serve)))
        .default_service(web::to(Problem::not_found))
}

fn get(path: &str, route: actix_web::Route) -> actix_web::Resource {
    let other = web::to(|| Problem::method_not_allowed("GET"));
    web::resource(path).route(route).default_service(other)
}

fn post(path: &str, route: actix_web::Route) -> actix_web::Resource {
    let other = web::to(|| Problem::method_not_allowed("POST"));
    web::resource(path).route(route).default_service(other)
}
