use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use serde::Serialize;
use tracing::Instrument;

use super::super::problem::Problem;
use crate::telemetry::logs;
use crate::triage::TriageError;

/// What whoever asked is to wait where the ledger does not answer, in seconds.
const RETRY_AFTER_SECONDS: u64 = 1;

/// Whatever a handler comes to.
pub(super) enum Told {
    Json(Vec<u8>),
    Problem(Problem),
    Refused(TriageError),
}

impl Told {
    pub fn well<T: Serialize>(said: &T) -> Self {
        Told::Json(serde_json::to_vec(said).expect("what is said can be written as JSON"))
    }

    pub fn response(self) -> HttpResponse {
        match self {
            Told::Json(body) => HttpResponse::Ok()
                .insert_header((header::CONTENT_TYPE, "application/json"))
                .body(body),
            Told::Problem(problem) => problem.response(),
            Told::Refused(error) => refused(&error),
        }
    }
}

impl From<Problem> for Told {
    fn from(problem: Problem) -> Self {
        Told::Problem(problem)
    }
}

impl From<TriageError> for Told {
    fn from(error: TriageError) -> Self {
        Told::Refused(error)
    }
}

/// Does something to its end: whoever asked for it may have hung up, and what is done is counted and
/// logged all the same.
pub(super) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, TriageError>> + Send + 'static,
) -> Result<T, Told> {
    let ended = tokio::spawn(work.in_current_span()).await;
    Ok(ended.expect("nobody cancels it, and it does not panic")?)
}

/// As it is answered, whether it went well or not.
pub(super) fn answer<T: Serialize>(outcome: Result<T, Told>) -> HttpResponse {
    outcome.map_or_else(|told| told, |said| Told::well(&said)).response()
}

fn refused(error: &TriageError) -> HttpResponse {
    // With its causes: that the ledger is not written is no news without the disk that is full.
    let detail = logs::chain(error);
    let (status, retry_after) = match error {
        TriageError::Unreadable { .. } => (StatusCode::BAD_REQUEST, None),
        TriageError::UnknownSubmission | TriageError::UnknownAccount => {
            (StatusCode::NOT_FOUND, None)
        }
        TriageError::Refused(_) => (StatusCode::CONFLICT, None),
        TriageError::TooSoon { wait } => (
            StatusCode::TOO_MANY_REQUESTS,
            Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
        ),
        TriageError::Store(_) => {
            tracing::warn!(error = detail, "the ledger did not answer what was asked by hand");
            (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_AFTER_SECONDS))
        }
    };
    let mut response = Problem::new(status, detail).response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
