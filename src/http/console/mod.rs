//! The console: `/console` on the admin listener.
//!
//! A request is let in by `access`, read, and handed to the admin service that the API uses; what comes of it
//! is rendered by [`console`](crate::console).

mod access;
mod actions;
mod child;
mod context;
mod form;
mod headers;
mod insights;
mod page;
mod playground;
mod respond;
mod views;

use actix_web::dev::HttpServiceFactory;
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::web;

use respond::PageError;

pub use child::this_program;
pub use context::{ConsoleConfig, ConsoleContext, PlaygroundConfig};

pub(super) fn scope() -> impl HttpServiceFactory {
    web::scope("/console")
        .wrap(from_fn(access::let_in))
        .wrap(from_fn(headers::secure))
        .app_data(web::PayloadConfig::new(form::FORM_MAX))
        .service(get("", web::get().to(views::to_overview)))
        .service(get("/", web::get().to(views::overview)))
        .service(get("/assets/{name}", web::get().to(views::asset)))
        .service(both("/login", web::get().to(views::login), web::post().to(actions::login)))
        .service(post("/logout", web::post().to(actions::logout)))
        .service(get("/calls", web::get().to(views::find_call)))
        .service(get("/calls/{call}", web::get().to(views::call)))
        .service(both(
            "/calls/{call}/erase",
            web::get().to(views::erase),
            web::post().to(actions::erase),
        ))
        .service(get("/submissions", web::get().to(views::submissions)))
        .service(get("/submissions/{id}", web::get().to(views::submission)))
        .service(both(
            "/submissions/{id}/replay",
            web::get().to(views::replay),
            web::post().to(actions::replay),
        ))
        .service(both(
            "/submissions/{id}/discard",
            web::get().to(views::discard),
            web::post().to(actions::discard),
        ))
        .service(post("/submissions/{id}/reveal", web::post().to(actions::reveal)))
        .service(both(
            "/replay",
            web::get().to(views::bulk_replay),
            web::post().to(actions::bulk_replay),
        ))
        .service(get("/accounts", web::get().to(views::accounts)))
        .service(post("/accounts/{account}/pause", web::post().to(actions::pause)))
        .service(post("/accounts/{account}/resume", web::post().to(actions::resume)))
        .service(get("/insights", web::get().to(insights::insights)))
        .service(get("/insights.csv", web::get().to(insights::csv)))
        .service(get("/audit", web::get().to(views::audit)))
        .service(get("/setup/{source}", web::get().to(views::setup)))
        .service(
            both("/playground", web::get().to(playground::show), web::post().to(playground::run))
                .app_data(form::Max(playground::FORM_MAX))
                .app_data(web::PayloadConfig::new(playground::FORM_MAX)),
        )
        .service(get("/quarantine", web::get().to(views::quarantine)))
        .service(post("/quarantine/retry", web::post().to(actions::retry_quarantine)))
        .service(post("/quarantine/drop", web::post().to(actions::drop_quarantine)))
        .default_service(web::to(|| async {
            PageError::new(StatusCode::NOT_FOUND, "the console has no such page").answer()
        }))
}

fn get(path: &str, route: actix_web::Route) -> actix_web::Resource {
    resource(path, "GET").route(route)
}

fn post(path: &str, route: actix_web::Route) -> actix_web::Resource {
    resource(path, "POST").route(route)
}

fn both(path: &str, get: actix_web::Route, post: actix_web::Route) -> actix_web::Resource {
    resource(path, "GET, POST").route(get).route(post)
}

fn resource(path: &str, methods: &'static str) -> actix_web::Resource {
    web::resource(path).default_service(web::to(move || async move {
        PageError::method_not_allowed(methods).answer()
    }))
}
