//! IN: a webhook is verified, read and stored, and only then does its sender get its reply.
//!
//! [`Ingest::receive`] is the whole path. It knows neither the HTTP server in front of it nor what
//! becomes of a submission afterwards.

mod erasure;
mod quarantine;
mod recent_events;
mod rejections;
mod retry;
mod ring;
mod wait_reason;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use jiff::Timestamp;

pub use crate::store::QuarantinedWebhook;
pub use erasure::Erasure;
pub use quarantine::Quarantine;
pub use rejections::{REJECTIONS_MAX, RejectionLog, RejectionRecord};
pub use retry::{RetryCounts, RetryOptions};
pub use ring::{AGE_MAX as QUARANTINE_AGE_MAX, size as quarantined_bytes};
pub use wait_reason::WaitReason;

use crate::clock::Clock;
use crate::domain::{CallUuid, Method, Name, TraceId, TraceParent, Webhook, WebhookId};
use crate::source::{
    OnReject, Rejection, SignatureError, Source, SourceReply, Unverified, VerifiedWebhook,
};
use crate::store::{Receive, ReceiveRequest, StoreError};
use crate::submission::{Answers, CompletionPolicy, Outcome, SubmissionId, SubmissionKey};
use crate::survey::{Replies, Survey};
use crate::sync::{RwLock, RwLockReadGuard};
use crate::telemetry::{Metrics, SourceMetrics, WebhookOutcome};

/// Label of a webhook whose sender's id for it belongs to another payload.
const ID_REUSED: &str = "signature_reused";

/// Receives webhooks for every source of the settings.
pub struct Ingest {
    endpoints: RwLock<Endpoints>,
    surveys: RwLock<BTreeMap<Name, Arc<Survey>>>,
    store: Arc<dyn Receive>,
    metrics: Arc<Metrics>,
    clock: Clock,
    quarantine: Quarantine,
    rejections: RejectionLog,
    /// Locked while the quarantine is verified again: each webhook is received once.
    retrying: tokio::sync::Mutex<()>,
}

type Endpoints = BTreeMap<Name, Arc<Endpoint>>;

/// One source and the survey that it asks.
pub struct Endpoint {
    source: Arc<Source>,
    survey: Arc<Survey>,
    /// Replies by what was answered so far; without them, the source has its one reply.
    replies: Option<Arc<Replies>>,
    /// What its sender calls, without a query.
    url: String,
    metrics: SourceMetrics,
}

/// The result for a webhook that is on disk, or that its source filters out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The submission that it is stored with; none if it is not stored.
    pub submission: Option<SubmissionId>,
    /// The call that it is about; `None` if it was filtered out.
    pub call: Option<CallUuid>,
    pub outcome: WebhookOutcome,
    pub reply: SourceReply,
}

/// Why a webhook is not on disk.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error(transparent)]
    Rejection(#[from] Rejection),
    /// The idempotency key is known, for a different payload.
    #[error("invalid signature: something else came by the same id before")]
    IdReused,
    #[error("the webhook could not be kept")]
    NotKept(#[source] StoreError),
}

impl Ingest {
    /// `surveys` has every survey that a source names: the settings were checked. `replies` are those
    /// of the sources that have some.
    pub fn new(
        sources: &BTreeMap<Name, Arc<Source>>,
        surveys: &BTreeMap<Name, Arc<Survey>>,
        replies: &BTreeMap<Name, Arc<Replies>>,
        store: Arc<dyn Receive>,
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        let endpoints = endpoints(sources, surveys, replies, &metrics);
        let quarantine = Quarantine::new(metrics.clone());
        quarantine.limit(limits(&endpoints));
        Self {
            endpoints: RwLock::new(endpoints),
            surveys: RwLock::new(surveys.clone()),
            store,
            metrics,
            clock,
            quarantine,
            rejections: RejectionLog::default(),
            retrying: Default::default(),
        }
    }

    /// Replaces all sources, as for [`new`](Self::new). A webhook that has its endpoint already is
    /// received by the settings that it was met with.
    pub fn change(
        &self,
        sources: &BTreeMap<Name, Arc<Source>>,
        surveys: &BTreeMap<Name, Arc<Survey>>,
        replies: &BTreeMap<Name, Arc<Replies>>,
    ) {
        let endpoints = endpoints(sources, surveys, replies, &self.metrics);
        let limits = limits(&endpoints);
        // What comes in by a new endpoint, and is spooled, finds the policy of its survey.
        *self.surveys.write().unwrap_or_else(PoisonError::into_inner) = surveys.clone();
        *self.endpoints.write().unwrap_or_else(PoisonError::into_inner) = endpoints;
        self.quarantine.limit(limits);
    }

    /// The webhooks that no known secret verifies.
    pub fn quarantine(&self) -> &Quarantine {
        &self.quarantine
    }

    /// The last webhooks that were rejected.
    pub fn rejections(&self) -> &RejectionLog {
        &self.rejections
    }

    fn endpoints(&self) -> RwLockReadGuard<'_, Endpoints> {
        self.endpoints.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The source that a path names, if the settings have it.
    pub fn endpoint(&self, source: &str) -> Option<Arc<Endpoint>> {
        self.endpoints().get(source).cloned()
    }

    /// The policy of a survey of the settings.
    pub fn policy(&self, survey: &Name) -> Option<Arc<dyn CompletionPolicy>> {
        let surveys = self.surveys.read().unwrap_or_else(PoisonError::into_inner);
        Some(surveys.get(survey)?.clone())
    }

    /// Reads again the secrets that webhooks are verified with: a token that was rotated in its file
    /// must not shut out the callers whose answers are signed with the new one.
    pub fn read_secrets_anew(&self) {
        let endpoints = self.endpoints().clone();
        for (source, endpoint) in endpoints {
            if let Err(error) = endpoint.source.read_secrets_anew() {
                tracing::warn!(%source, error, "a secret could not be read again; the known one stays");
            }
        }
    }

    /// Verifies, reads and stores. After it returns a receipt, a power cut can no longer take the
    /// webhook back.
    ///
    /// # Errors
    /// A webhook that is refused leaves nothing behind; one that the store could not keep may have
    /// been written, and is a duplicate when it comes again.
    pub async fn receive(
        &self,
        endpoint: &Endpoint,
        webhook: Webhook,
    ) -> Result<Receipt, IngestError> {
        let verified = match self.verify(&endpoint.source, webhook) {
            Ok(verified) => verified,
            Err(Unverified { webhook, rejection }) => {
                if endpoint.source.may_verify_later(&rejection) {
                    let webhook = endpoint.source.without_credentials(*webhook);
                    self.quarantine.keep(endpoint.quarantined(webhook), (&rejection).into());
                }
                return Err(rejection.into());
            }
        };
        let trace = self.sender_trace(verified.webhook());
        self.receive_verified(endpoint, verified, trace).await
    }

    /// A time that is signed may also be in time by the clock of this machine: a database whose clock is wrong,
    /// which `received_at` is of, must not shut out every caller at once.
    fn verify(&self, source: &Source, webhook: Webhook) -> Result<VerifiedWebhook, Unverified> {
        let received_at = webhook.received_at;
        source.verify_or_return(webhook).or_else(|refused| match refused.rejection {
            Rejection::Signature(SignatureError::Old | SignatureError::Future) => {
                let received_at_own = self.clock.own_wall();
                let webhook = Webhook { received_at: received_at_own, ..*refused.webhook };
                Ok(source.verify_or_return(webhook)?.dated(received_at))
            }
            _ => Err(refused),
        })
    }

    /// Notes a webhook that was rejected, for an operator who wonders why.
    pub fn note_rejection(
        &self,
        endpoint: &Endpoint,
        id: WebhookId,
        reason: &'static str,
        at: Timestamp,
        method: Method,
        host: Option<String>,
    ) {
        let source = &endpoint.source;
        self.rejections.add(RejectionRecord {
            id,
            source: source.name.clone(),
            reason,
            at,
            method,
            url: endpoint.url.clone(),
            schemes: source.signature.labels(),
            host,
        });
    }

    async fn receive_verified(
        &self,
        endpoint: &Endpoint,
        verified: VerifiedWebhook,
        trace: Option<TraceId>,
    ) -> Result<Receipt, IngestError> {
        let source = &endpoint.source;
        let Some(reading) = source.read(&verified)? else {
            return Ok(endpoint.not_stored(WebhookOutcome::Skipped));
        };
        let (id, call) = (verified.webhook().id, reading.call.clone());
        let request = ReceiveRequest {
            webhook: verified.into_webhook(),
            source: source.name.clone(),
            key: SubmissionKey {
                account: source.account.name.clone(),
                survey: source.survey.clone(),
                call: reading.call.clone(),
            },
            idempotency_key: reading.identity.clone(),
            trace,
            extraction: reading.into_report(endpoint.survey.first_question()),
            policy: endpoint.survey.clone(),
        };
        let received = self.store.receive(request).await?;
        let counts = !call.is_test();
        if received.changed && counts {
            self.metrics.answer_changed(&source.survey);
        }
        if matches!(received.outcome, Outcome::Created | Outcome::Updated) && counts {
            self.count_answers(endpoint, id, &received.answers);
        }
        let mut submission = Some(received.submission);
        let outcome = match received.outcome {
            Outcome::Created => WebhookOutcome::Created,
            Outcome::Updated => WebhookOutcome::Updated,
            Outcome::Duplicate => WebhookOutcome::Duplicate,
            Outcome::Late => WebhookOutcome::Late,
            Outcome::Purged => return Ok(endpoint.not_stored(WebhookOutcome::Purged)),
            Outcome::Excess => {
                // It promises nothing, and the call continues by the answers stored.
                submission = None;
                WebhookOutcome::Excess
            }
        };
        let (outcome, reply) = match (received.spooled, outcome) {
            (true, WebhookOutcome::Created | WebhookOutcome::Updated) => {
                (WebhookOutcome::Spooled, endpoint.reply_in_part(&received.answers))
            }
            (true, _) => (outcome, endpoint.reply_in_part(&received.answers)),
            (false, _) => (outcome, endpoint.reply_to(&received.answers)),
        };
        Ok(Receipt { submission, call: Some(call), outcome, reply })
    }
}

impl Ingest {
    /// The trace that a verified webhook is part of; it is looked for only if spans are exported.
    fn sender_trace(&self, webhook: &Webhook) -> Option<TraceId> {
        self.metrics.spans()?;
        let parent = webhook.headers.values(TraceId::HEADER).next()?;
        let parent: TraceParent = std::str::from_utf8(parent).ok()?.parse().ok()?;
        Some(parent.context.trace)
    }

    /// Counts the answers that this webhook was the first to bring.
    fn count_answers(&self, endpoint: &Endpoint, webhook: WebhookId, answers: &Answers) {
        for known in answers.recorded().filter(|known| known.webhook == webhook) {
            for answer in endpoint.survey.counted(&known.question, &known.answer) {
                self.metrics.answer_recorded(&endpoint.source.survey, &known.question, answer);
            }
        }
    }
}

impl From<StoreError> for IngestError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::KeyReused => IngestError::IdReused,
            error => IngestError::NotKept(error),
        }
    }
}

fn endpoints(
    sources: &BTreeMap<Name, Arc<Source>>,
    surveys: &BTreeMap<Name, Arc<Survey>>,
    replies: &BTreeMap<Name, Arc<Replies>>,
    metrics: &Metrics,
) -> Endpoints {
    let endpoint = |(name, source): (&Name, &Arc<Source>)| {
        let source = source.clone();
        let survey = surveys[&source.survey].clone();
        let replies = replies.get(name).cloned();
        let url = source.address();
        let metrics = metrics.source(name);
        (name.clone(), Arc::new(Endpoint { source, survey, replies, url, metrics }))
    };
    sources.iter().map(endpoint).collect()
}

/// How many webhooks are quarantined of each source.
fn limits(endpoints: &Endpoints) -> BTreeMap<Name, usize> {
    endpoints.iter().map(|(name, it)| (name.clone(), it.source.quarantine_max())).collect()
}

impl IngestError {
    /// Every [`rejection`](Self::rejection).
    pub fn rejections() -> impl Iterator<Item = &'static str> {
        Rejection::LABELS.into_iter().chain([ID_REUSED])
    }

    pub fn outcome(&self) -> WebhookOutcome {
        match self {
            IngestError::Rejection(Rejection::UnsupportedType(_)) => WebhookOutcome::Unsupported,
            IngestError::Rejection(Rejection::Parse(_)) => WebhookOutcome::Malformed,
            IngestError::Rejection(Rejection::Signature(_)) | IngestError::IdReused => {
                WebhookOutcome::Rejected
            }
            IngestError::NotKept(_) => WebhookOutcome::Unavailable,
        }
    }

    /// Why it was refused, as a metric counts it.
    pub fn rejection(&self) -> Option<&'static str> {
        match self {
            IngestError::Rejection(refused) => Some(refused.label()),
            IngestError::IdReused => Some(ID_REUSED),
            IngestError::NotKept(_) => None,
        }
    }
}

impl Endpoint {
    /// A webhook of its source that no known secret verifies.
    fn quarantined(&self, webhook: Webhook) -> QuarantinedWebhook {
        let Source { name, account, survey, .. } = &*self.source;
        QuarantinedWebhook {
            source: name.clone(),
            account: account.name.clone(),
            survey: survey.clone(),
            webhook: Arc::new(webhook),
        }
    }

    /// Whether its source had another account or survey when a webhook arrived.
    fn has_changed_since(&self, quarantined: &QuarantinedWebhook) -> bool {
        let Source { account, survey, .. } = &*self.source;
        (&quarantined.account, &quarantined.survey) != (&account.name, survey)
    }

    /// The name of its source.
    pub fn name(&self) -> &Name {
        &self.source.name
    }

    /// The metrics of its source.
    pub fn metrics(&self) -> &SourceMetrics {
        &self.metrics
    }

    /// The receipt of a webhook of which nothing is stored, and which is no error of its sender's.
    fn not_stored(&self, outcome: WebhookOutcome) -> Receipt {
        Receipt { submission: None, call: None, outcome, reply: self.default_reply() }
    }

    /// The reply to a webhook that is stored, by all that is known of its call.
    fn reply_to(&self, answers: &Answers) -> SourceReply {
        self.reply(|replies| replies.answer(answers, &self.url))
    }

    /// The reply to a webhook that is spooled: the rest of its call may be elsewhere.
    fn reply_in_part(&self, answers: &Answers) -> SourceReply {
        self.reply(|replies| replies.answer_in_part(answers, &self.url))
    }

    /// The reply if nothing of a webhook is stored and its call continues.
    pub fn default_reply(&self) -> SourceReply {
        self.reply(|replies| replies.last(&self.url))
    }

    fn reply(&self, render: impl FnOnce(&Replies) -> String) -> SourceReply {
        self.source.reply_with(self.replies.as_deref().map(render))
    }

    /// Whether a rejected webhook gets the default reply, so that a live call continues.
    pub fn replies_to_rejections(&self) -> bool {
        self.source.on_reject == OnReject::Reply
    }
}
