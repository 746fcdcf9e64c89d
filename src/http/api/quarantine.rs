use actix_web::web;
use tracing::Instrument;
use uuid::Uuid;

use super::super::probes::AdminListener;
use super::answer::{Answer, ApiError, Listener};
use super::gate::Visitor;
use super::problems::{BadBody, CommonProblems};
use super::reading::Body;
use crate::admin::{
    AdminError, QuarantineDrop, QuarantineDropped, QuarantineList, QuarantineRetried,
    QuarantineRetry, QuarantinedDetail, QuarantinedView, RejectionList, RejectionView,
};
use crate::domain::Name;
use crate::ingest::{
    Ingest, QUARANTINE_AGE_MAX, QuarantinedWebhook, RejectionRecord, RetryCounts, RetryOptions,
    WaitReason, quarantined_bytes,
};
use crate::telemetry::{Action, QuarantineEvent};

/// The last webhooks that this service rejected, and why.
#[utoipa::path(
    get,
    path = "/api/v1/rejections",
    operation_id = "list_rejections",
    tag = "quarantine",
    responses((status = 200, description = "at most 50, the latest first", body = RejectionList), CommonProblems),
)]
pub(super) async fn rejections(listener: Listener) -> web::Json<RejectionList> {
    web::Json(RejectionList { rejections: rejections_of(&listener.api.ingest) })
}

/// The last rejections, the latest first.
pub(in crate::http) fn rejections_of(ingest: &Ingest) -> Vec<RejectionView> {
    let view = |it: RejectionRecord| {
        let event = ingest.quarantine().event_of(it.id);
        rejection(it, event)
    };
    ingest.rejections().list().into_iter().map(view).collect()
}

/// Webhooks that no known secret verifies.
#[utoipa::path(
    get,
    path = "/api/v1/quarantine",
    operation_id = "list_quarantine",
    tag = "quarantine",
    responses((status = 200, description = "by source, the oldest first", body = QuarantineList), CommonProblems),
)]
pub(super) async fn list(listener: Listener) -> web::Json<QuarantineList> {
    web::Json(QuarantineList { webhooks: quarantined_of(&listener.api.ingest) })
}

/// The quarantined webhooks, by source, the oldest first.
pub(in crate::http) fn quarantined_of(ingest: &Ingest) -> Vec<QuarantinedView> {
    ingest.quarantine().list().iter().map(view).collect()
}

/// One of them with what it says, which anyone may have sent.
#[utoipa::path(
    get,
    path = "/api/v1/quarantine/{id}",
    operation_id = "show_quarantined",
    tag = "quarantine",
    params(("id" = String, Path, format = "uuid", description = "its id")),
    responses((status = 200, description = "the webhook", body = QuarantinedDetail), CommonProblems),
)]
pub(super) async fn show(
    path: web::Path<String>,
    visitor: Visitor,
    listener: Listener,
) -> Answer<QuarantinedDetail> {
    let webhooks = listener.api.ingest.quarantine().list();
    let id = path.parse::<Uuid>().ok();
    let found = webhooks.iter().find(|(kept, _)| Some(kept.webhook.id.0) == id);
    let entry = found.ok_or_else(|| {
        let detail = "no such quarantined webhook: it is received, expired or dropped";
        ApiError::from(AdminError::NotFound(detail.to_owned()))
    })?;
    let webhook = &entry.0.webhook;
    Ok(web::Json(visitor.sees(QuarantinedDetail {
        webhook: view(entry),
        path: webhook.path.clone(),
        query: webhook.query.clone(),
        headers: webhook.headers.iter().map(|(name, _)| name.to_owned()).collect(),
        body: String::from_utf8_lossy(&webhook.body).into_owned(),
    })))
}

/// Verifies quarantined webhooks again, and receives those that a secret verifies.
#[utoipa::path(
    post,
    path = "/api/v1/quarantine/retry",
    operation_id = "retry_quarantine",
    tag = "quarantine",
    request_body = QuarantineRetry,
    responses((status = 200, description = "what became of them", body = QuarantineRetried), CommonProblems, BadBody),
)]
pub(super) async fn retry(
    Body(request): Body<QuarantineRetry>,
    listener: Listener,
) -> Answer<QuarantineRetried> {
    Ok(web::Json(verify_again(&listener, request).await?))
}

/// Runs to its end, even if the client hangs up.
pub(in crate::http) async fn verify_again(
    listener: &AdminListener,
    QuarantineRetry { source, current_survey }: QuarantineRetry,
) -> Result<QuarantineRetried, AdminError> {
    let source = source.map(|source| known_source(listener, &source)).transpose()?;
    let noted = source.clone();
    let options = RetryOptions { source, current_survey };
    let ingest = listener.api.ingest.clone();
    let retry = async move {
        // A secret in a file may have changed a moment ago.
        ingest.read_secrets_anew();
        ingest.retry_quarantine(&options).await
    };
    let ended = actix_web::rt::spawn(retry.in_current_span()).await;
    let RetryCounts { accepted, rejected, waiting, source_changed } =
        ended.expect("it is not cancelled");
    let tried = (accepted + rejected + waiting + source_changed) as u64;
    listener.api.admin.note_quarantine(Action::QuarantineRetry, tried, noted.as_ref());
    Ok(QuarantineRetried {
        accepted: accepted as u64,
        rejected: rejected as u64,
        waiting: waiting as u64,
        source_changed: source_changed as u64,
    })
}

/// Drops quarantined webhooks, which is final.
#[utoipa::path(
    post,
    path = "/api/v1/quarantine/drop",
    operation_id = "drop_quarantine",
    tag = "quarantine",
    request_body = QuarantineDrop,
    responses((status = 200, description = "they are gone", body = QuarantineDropped), CommonProblems, BadBody),
)]
pub(super) async fn drop_all(
    Body(request): Body<QuarantineDrop>,
    listener: Listener,
) -> Answer<QuarantineDropped> {
    Ok(web::Json(drop_from(&listener, request, None)?))
}

/// With `newest`, those that came later stay.
pub(in crate::http) fn drop_from(
    listener: &AdminListener,
    QuarantineDrop { id, source }: QuarantineDrop,
    newest: Option<Uuid>,
) -> Result<QuarantineDropped, AdminError> {
    let source = source.map(|source| known_source(listener, &source)).transpose()?;
    let dropped = listener.api.ingest.quarantine().drop_all(|of, webhook| {
        id.is_none_or(|id| id == webhook.0)
            && newest.is_none_or(|newest| webhook.0 <= newest)
            && source.as_ref().is_none_or(|source| source == of)
    });
    tracing::info!(dropped, "quarantined webhooks were dropped");
    listener.api.admin.note_quarantine(Action::QuarantineDrop, dropped as u64, source.as_ref());
    Ok(QuarantineDropped { dropped: dropped as u64 })
}

fn known_source(listener: &AdminListener, source: &str) -> Result<Name, AdminError> {
    let unknown = || AdminError::NotFound(format!("no source {source:?} in the settings"));
    listener.api.ingest.endpoint(source).ok_or_else(unknown)?;
    source.parse().map_err(|_| unknown())
}

fn view((kept, reason): &(QuarantinedWebhook, WaitReason)) -> QuarantinedView {
    let QuarantinedWebhook { source, account, survey, webhook } = kept;
    QuarantinedView {
        id: webhook.id.0,
        source: source.to_string(),
        account: account.to_string(),
        survey: survey.to_string(),
        reason: reason.label().to_owned(),
        received_at: webhook.received_at,
        expires_at: webhook.received_at.saturating_add(QUARANTINE_AGE_MAX).unwrap_or_default(),
        method: webhook.method.name().to_owned(),
        bytes: quarantined_bytes(webhook) as u64,
    }
}

fn rejection(it: RejectionRecord, event: Option<QuarantineEvent>) -> RejectionView {
    let state = |event| match event {
        QuarantineEvent::Added => "quarantined",
        event => event.label(),
    };
    RejectionView {
        id: it.id.0,
        source: it.source.to_string(),
        reason: it.reason.to_owned(),
        at: it.at,
        method: it.method.name().to_owned(),
        url: it.url,
        schemes: it.schemes.into_iter().map(str::to_owned).collect(),
        host: it.host,
        quarantine: event.map(|event| state(event).to_owned()),
    }
}
