use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, ResponseError, web};
use serde::Serialize;
use tracing::Instrument;

use super::super::probes::AdminListener;
use super::super::problem::Problem;
use crate::admin::{AdminApi, AdminError, AdminService};
use crate::telemetry::logs;

/// Seconds until a client may try again after the store failed.
const RETRY_AFTER_SECONDS: u64 = 1;

/// The answer to a request: JSON, or a problem.
pub(super) type Answer<T> = Result<web::Json<T>, ApiError>;

/// Why a request is answered with a problem.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    #[error("the request is invalid")]
    Problem(Problem),
    #[error(transparent)]
    Admin(#[from] AdminError),
}

/// What every handler works with.
pub(super) type Listener = web::Data<AdminListener>;

impl AdminListener {
    pub(super) fn admin(&self) -> &dyn AdminApi {
        &*self.api.admin
    }

    /// Runs an action to its end: the client may have hung up, and what is done is counted and logged
    /// all the same.
    pub(super) async fn act<T: Serialize + 'static>(
        &self,
        action: impl AsyncFnOnce(&AdminService) -> Result<T, AdminError> + 'static,
    ) -> Answer<T> {
        let admin = self.api.admin.clone();
        let action = async move { action(&admin).await };
        let ended = actix_web::rt::spawn(action.in_current_span()).await;
        Ok(web::Json(ended.expect("it is not cancelled and does not panic")?))
    }
}

impl From<Problem> for ApiError {
    fn from(problem: Problem) -> Self {
        ApiError::Problem(problem)
    }
}

impl ResponseError for ApiError {
    fn error_response(&self) -> HttpResponse {
        match self {
            ApiError::Problem(problem) => problem.response(),
            ApiError::Admin(error) => failed(error),
        }
    }
}

fn failed(error: &AdminError) -> HttpResponse {
    // With its causes: that the store is not written helps no one without the disk that is full.
    let detail = logs::chain(error);
    let (status, retry_after) = match error {
        AdminError::Invalid(_) => (StatusCode::BAD_REQUEST, None),
        AdminError::NotFound(_) => (StatusCode::NOT_FOUND, None),
        AdminError::Conflict(_) => (StatusCode::CONFLICT, None),
        AdminError::TooSoon { wait } => (
            StatusCode::TOO_MANY_REQUESTS,
            Some(wait.as_secs() + u64::from(wait.subsec_nanos() > 0)),
        ),
        AdminError::Store(_) | AdminError::Service(_) => {
            tracing::warn!(error = detail, "the store did not answer an operator's request");
            (StatusCode::SERVICE_UNAVAILABLE, Some(RETRY_AFTER_SECONDS))
        }
    };
    let mut response = Problem::new(status, detail).response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
