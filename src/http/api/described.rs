use actix_web::HttpResponse;
use actix_web::http::header;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{accounts, bulk, export, insights, problems, quarantine, submissions};
use crate::admin::ApiProblem;

/// The API as OpenAPI has it, as JSON.
pub fn description() -> String {
    let mut text = Described::openapi().to_pretty_json().expect("a description is JSON");
    text.push('\n');
    text
}

/// This description.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    operation_id = "openapi",
    tag = "description",
    responses((status = 200, description = "this description", body = Object), problems::CommonProblems),
)]
pub(super) async fn serve() -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CONTENT_TYPE, "application/json")).body(description())
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Postcall",
        description = "Operator actions on submissions and accounts. The API is on the admin \
                       listener. A time is written as in RFC 3339; a problem as in RFC 9457.",
    ),
    paths(
        submissions::list,
        submissions::show,
        submissions::replay,
        submissions::discard,
        bulk::replay,
        bulk::discard,
        bulk::erase,
        export::export,
        accounts::list,
        accounts::pause,
        accounts::resume,
        submissions::surveys,
        submissions::totals,
        insights::insights,
        quarantine::rejections,
        quarantine::list,
        quarantine::show,
        quarantine::retry,
        quarantine::drop_all,
        serve,
    ),
    components(schemas(ApiProblem)),
    tags(
        (name = "submissions", description = "Finding submissions, and one at a time"),
        (name = "bulk", description = "Actions on every submission found, page by page. Follow `next_cursor` to continue; stop requesting to stop."),
        (name = "privacy", description = "Forgetting what was said"),
        (name = "accounts", description = "Whether anything is delivered"),
        (name = "insights", description = "What callers say"),
        (name = "quarantine", description = "Webhooks that were rejected, and those that are verified again when a secret changes"),
        (name = "description", description = "What can be asked"),
    ),
    security((), ("token" = [])),
    modifiers(&ToldOnce),
)]
struct Described;

/// The token, and what any request may be answered.
struct ToldOnce;

impl Modify for ToldOnce {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let bearer = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The admin.token of the settings, where they have one. With admin.viewer_token everything is \
                 read with long numbers masked, and nothing is changed.",
            ))
            .build();
        let components = description.components.get_or_insert_default();
        problems::describe(components);
        components.add_security_scheme("token", SecurityScheme::Http(bearer));
    }
}
