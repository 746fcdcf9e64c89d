//! What a person does by hand, over HTTP.

mod doing;
mod finding;
mod insights;
mod letting_in;
mod many;

use postcall::app::api_description;
use serde_json::Value;

#[test]
fn the_api_is_described_as_it_was() {
    let release = env!("CARGO_PKG_VERSION");
    let version = format!("\"version\": \"{release}\"");
    insta::assert_snapshot!(api_description().replace(&version, "\"version\": \"RELEASE\""));
}

#[test]
fn whatever_is_described_can_be_answered_with_a_problem() {
    let described: Value = serde_json::from_str(&api_description()).unwrap();
    for (path, methods) in described["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let problem = &operation["responses"]["400"]["$ref"];
            assert_eq!(problem, "#/components/responses/BadRequest", "{method} {path}");
        }
    }
}
