use std::collections::BTreeMap;

use utoipa::openapi::{Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::triage::ApiProblem;

/// What any request may be answered instead of what it asked for.
pub(super) struct Refusals;

/// What a request for something by its name may be answered besides.
pub(super) struct NotThere;

/// What a request that a submission does not allow may be answered besides.
pub(super) struct NotNow;

/// What a page of a bulk action may be answered besides.
pub(super) struct TooSoon;

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[
            ("400", "something that was said is not as it has to be"),
            ("401", "the token of the settings is wanted"),
            ("403", "without a token, only this host's own names are answered to"),
            ("404", "the API is off, or there is nothing here"),
            ("405", "another method is wanted"),
            ("413", "more was sent than any request needs"),
            ("415", "what is sent has to be JSON"),
            ("503", "the ledger does not answer now"),
        ])
    }
}

impl IntoResponses for NotThere {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[("404", "there is nothing of that name, or the API is off")])
    }
}

impl IntoResponses for NotNow {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[("409", "the submission is in no state for that")])
    }
}

impl IntoResponses for TooSoon {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        problems(&[("429", "what the page before did is still being worked off: Retry-After")])
    }
}

fn problems(problems: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let problem = |description: &str| {
        let content = Content::new(Some(Ref::from_schema_name(ApiProblem::name())));
        ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", content)
            .build()
            .into()
    };
    problems.iter().map(|(status, about)| ((*status).to_owned(), problem(about))).collect()
}
