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
    Refusals: "400" "Unreadable", "401" "Stranger", "403" "Elsewhere", "404" "Nowhere",
        "405" "OtherMethod", "503" "Unavailable";
    /// Problems of a request with a body besides.
    BadBody: "408" "TooSlow", "413" "TooLong", "415" "NotJson";
    /// Problems of a request that the state of a submission may not allow besides.
    NotNow: "409" "NotNow";
    /// Problems of a page of a bulk action besides.
    TooSoon: "429" "TooSoon";
}

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
    ("Unavailable", "The store does not answer now: see Retry-After."),
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
