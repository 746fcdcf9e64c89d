//! What a person does by hand, over HTTP: `/api/v1` on the private door.
//!
//! Each request is let in by the [`Gate`], read, and handed to [`Triage`], which says what there is to
//! say. What is described to clients is generated from these handlers ([`description`]).

mod accounts;
mod context;
mod described;
mod erasing;
mod export;
mod gate;
mod many;
mod one;
mod reading;
mod refusal;
mod told;
mod totals;

pub use context::Api;
pub use described::description;
pub use gate::Gate;

use actix_web::dev::HttpServiceFactory;
use actix_web::middleware::from_fn;
use actix_web::{HttpResponse, web};

use super::problem::Problem;
use reading::BODY_MAX;

pub(super) fn scope() -> impl HttpServiceFactory {
    web::scope("/api/v1")
        .wrap(from_fn(gate::let_in))
        .app_data(web::PayloadConfig::new(BODY_MAX))
        .service(get("/submissions", web::get().to(many::list)))
        .service(get("/submissions/{id}", web::get().to(one::show)))
        .service(post("/submissions/{id}/replay", web::post().to(one::replay)))
        .service(post("/submissions/{id}/discard", web::post().to(one::discard)))
        .service(post("/replay", web::post().to(many::replay)))
        .service(post("/discard", web::post().to(many::discard)))
        .service(post("/erase", web::post().to(erasing::erase)))
        .service(get("/export", web::get().to(export::export)))
        .service(get("/accounts", web::get().to(accounts::list)))
        .service(post("/accounts/{account}/hold", web::post().to(accounts::hold)))
        .service(post("/accounts/{account}/resume", web::post().to(accounts::resume)))
        .service(get("/totals", web::get().to(totals::totals)))
        .service(get("/openapi.json", web::get().to(described::serve)))
        .default_service(web::to(Problem::not_found))
}

fn get(path: &str, route: actix_web::Route) -> actix_web::Resource {
    web::resource(path).route(route).default_service(web::to(only_get))
}

fn post(path: &str, route: actix_web::Route) -> actix_web::Resource {
    web::resource(path).route(route).default_service(web::to(only_post))
}

async fn only_get() -> HttpResponse {
    Problem::method_not_allowed("GET").await
}

async fn only_post() -> HttpResponse {
    Problem::method_not_allowed("POST").await
}
