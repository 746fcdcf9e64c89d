use std::collections::BTreeMap;

use utoipa::openapi::{Components, Content, Ref, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::admin::ApiProblem;

/// A set of problems that a request may be answered with, by status.
macro_rules! problems {
    ($(#[$about:meta] $set:ident: $($status:literal $name:literal),+;)+) => {$(
        #[$about]
        pub(super) struct $set;

        impl IntoResponses for $set {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                let problem = |name| RefOr::Ref(Ref::from_response_name(name));
                BTreeMap::from([$(($status.to_owned(), problem($name))),+])
            }
        }
    )+};
}

problems! {
    /// Problems of any request.
    CommonProblems: "400" "BadRequest", "401" "Unauthorized", "403" "Forbidden", "404" "NotFound",
        "405" "MethodNotAllowed", "503" "ServiceUnavailable";
    /// Problems of a request with a body besides.
    BadBody: "408" "RequestTimeout", "413" "PayloadTooLarge", "415" "UnsupportedMediaType";
    /// Problems of a request that the state of a submission may not allow besides.
    Conflicts: "409" "Conflict";
    /// Problems of a page of a bulk action besides.
    RateLimited: "429" "TooManyRequests";
}

/// Each by its name in the description.
const PROBLEMS: [(&str, &str); 11] = [
    ("BadRequest", "The query or the body is invalid; the detail says what would be right."),
    ("Unauthorized", "The token of the settings is missing or wrong."),
    (
        "Forbidden",
        "It comes from another page or, where the API has no token, is not for this host's own name; or the \
         token is admin.viewer_token, which only reads.",
    ),
    ("NotFound", "Not found, or the API is off."),
    ("MethodNotAllowed", "The path has other methods: see Allow."),
    ("RequestTimeout", "The body did not arrive in time."),
    ("Conflict", "The state of the submission does not allow this."),
    ("PayloadTooLarge", "The body is too large."),
    ("UnsupportedMediaType", "The body must be application/json."),
    (
        "TooManyRequests",
        "What the previous page replayed is still being delivered: see Retry-After.",
    ),
    ("ServiceUnavailable", "The store does not answer: see Retry-After."),
];

/// Says once what each problem is.
pub(super) fn describe(components: &mut Components) {
    for (name, about) in PROBLEMS {
        let content = Content::new(Some(Ref::from_schema_name(ApiProblem::name())));
        let response =
            ResponseBuilder::new().description(about).content("application/problem+json", content);
        components.responses.insert(name.to_owned(), response.build().into());
    }
}
