use std::collections::BTreeMap;

use utoipa::openapi::{Components, Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::triage::ApiProblem;

/// What any request may be answered instead of what it asked for.
pub(super) struct Refusals;

/// What a request with a body may be answered besides.
pub(super) struct BadBody;

/// What a request that a submission does not allow may be answered besides.
pub(super) struct NotNow;

/// What a page of a bulk action may be answered besides.
pub(super) struct TooSoon;

/// Each by its name in the description.
const PROBLEMS: [(&str, &str); 11] = [
    ("Unreadable", "Something that was said is not as it has to be."),
    ("Stranger", "The token of the settings is wanted."),
    ("Elsewhere", "Without a token, only this host's own names are answered to."),
    ("Nowhere", "There is nothing here, or the API is off."),
    ("OtherMethod", "Another method is wanted."),
    ("TooSlow", "The whole body did not arrive in time."),
    ("NotNow", "The submission is in no state for that."),
    ("TooLong", "More was sent than any request needs."),
    ("NotJson", "What is sent has to be JSON."),
    ("TooSoon", "What the page before did is still being worked off: see Retry-After."),
    ("Unavailable", "The ledger does not answer now: see Retry-After."),
];

impl IntoResponses for Refusals {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(&[
            ("400", "Unreadable"),
            ("401", "Stranger"),
            ("403", "Elsewhere"),
            ("404", "Nowhere"),
            ("405", "OtherMethod"),
            ("503", "Unavailable"),
        ])
    }
}

impl IntoResponses for BadBody {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(&[("408", "TooSlow"), ("413", "TooLong"), ("415", "NotJson")])
    }
}

impl IntoResponses for NotNow {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(&[("409", "NotNow")])
    }
}

impl IntoResponses for TooSoon {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(&[("429", "TooSoon")])
    }
}

/// Says once what each problem is.
pub(super) fn describe(components: &mut Components) {
    for (name, about) in PROBLEMS {
        let content = Content::new(Some(Ref::from_schema_name(ApiProblem::name())));
        let response =
            ResponseBuilder::new().description(about).content("application/problem+json", content);
        components.responses.insert(name.to_owned(), response.build().into());
    }
}

fn named(problems: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    let problem = |name: &str| RefOr::Ref(Ref::from_response_name(name));
    problems.iter().map(|(status, name)| ((*status).to_owned(), problem(name))).collect()
}
