//! IN: a hook is verified, read and kept, and only then is its sender thanked.
//!
//! [`Intake::receive`] is the whole way. It knows neither the HTTP server in front of it nor what
//! becomes of a submission afterwards.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::domain::{Name, Webhook};
use crate::source::{OnRefusal, Refused, Source, SourceReply};
use crate::store::{Arrival, Outcome, Store, StoreError};
use crate::submission::{Answers, SubmissionId, SubmissionKey};
use crate::survey::{Replies, Survey};
use crate::telemetry::{Metrics, WebhookOutcome};

/// Label of a hook whose sender's name for it is known to belong to other bytes.
const ID_REUSED: &str = "signature_reused";

/// Takes hooks for every source of the settings.
pub struct Intake {
    desks: RwLock<Desks>,
    store: Arc<dyn Store>,
    metrics: Arc<Metrics>,
}

type Desks = BTreeMap<Name, Arc<Desk>>;

/// One source and the survey that it asks.
pub struct Desk {
    source: Source,
    survey: Arc<Survey>,
    /// What its sender hears by what was answered so far; without them, the source's one reply.
    replies: Option<Arc<Replies>>,
    /// What its sender calls, without a query.
    url: String,
}

/// The hook is on disk, or was none of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// What it was kept with; none where it was skipped.
    pub submission: Option<SubmissionId>,
    pub outcome: WebhookOutcome,
    /// What its sender hears.
    pub reply: SourceReply,
}

/// Why a hook is not on disk.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Somebody puts other words under a hook's name that is known.
    #[error("the signature is refused: something else came by the same id before")]
    IdReused,
    #[error("the hook could not be kept")]
    NotKept(#[source] StoreError),
}

impl Intake {
    /// `surveys` has every survey that a source names: the settings were checked. `replies` are those
    /// of the sources that have some.
    pub fn new(
        sources: Vec<Source>,
        surveys: &BTreeMap<Name, Arc<Survey>>,
        replies: &BTreeMap<Name, Arc<Replies>>,
        store: Arc<dyn Store>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self { desks: RwLock::new(desks(sources, surveys, replies)), store, metrics }
    }

    /// As for [`new`](Self::new), from now on. A hook that is at its desk already is dealt with by
    /// the settings that it was met with.
    pub fn change(
        &self,
        sources: Vec<Source>,
        surveys: &BTreeMap<Name, Arc<Survey>>,
        replies: &BTreeMap<Name, Arc<Replies>>,
    ) {
        let desks = desks(sources, surveys, replies);
        *self.desks.write().unwrap_or_else(PoisonError::into_inner) = desks;
    }

    /// The source that a path names, if the settings have it.
    pub fn desk(&self, source: &str) -> Option<Arc<Desk>> {
        self.desks.read().unwrap_or_else(PoisonError::into_inner).get(source).cloned()
    }

    /// Reads anew whatever hooks are verified with: a token that was rotated in its file must not
    /// shut out the callers whose answers are signed with the new one.
    pub fn read_secrets_anew(&self) {
        let desks = self.desks.read().unwrap_or_else(PoisonError::into_inner).clone();
        for (source, desk) in desks {
            if let Err(error) = desk.source.read_secrets_anew() {
                tracing::warn!(%source, error, "a secret could not be read anew; the known one stays");
            }
        }
    }

    /// Verifies, reads and keeps. When this answers well, a power cut can no longer take the hook
    /// back.
    ///
    /// # Errors
    /// A hook that is refused leaves nothing behind; one that the ledger could not keep may have
    /// been written, and is a repeat when it comes again.
    pub async fn receive(&self, desk: &Desk, hook: Webhook) -> Result<Receipt, IntakeError> {
        let verified = desk.source.verify(hook)?;
        let Some(reading) = desk.source.read(&verified)? else {
            tracing::debug!(source = %desk.source.name, "a hook was none of ours");
            let outcome = WebhookOutcome::Skipped;
            return Ok(Receipt { submission: None, outcome, reply: desk.reply_unheard() });
        };
        let arrival = Arrival {
            hook: verified.into_hook(),
            source: desk.source.name.clone(),
            key: SubmissionKey {
                account: desk.source.account.name.clone(),
                survey: desk.source.survey.clone(),
                call: reading.call.clone(),
            },
            identity: reading.identity.clone(),
            report: reading.into_report(desk.survey.first_question()),
            completion: desk.survey.clone(),
        };
        let accepted = self.store.accept(arrival).await?;
        if accepted.changed {
            self.metrics.answer_changed(&desk.source.survey);
        }
        let submission = accepted.submission;
        let outcome = match accepted.outcome {
            Outcome::New => WebhookOutcome::New,
            Outcome::Added => WebhookOutcome::Added,
            Outcome::Repeat => WebhookOutcome::Repeat,
            Outcome::Late => WebhookOutcome::Late,
            Outcome::Gone => {
                tracing::info!(%submission, source = %desk.source.name, "its submission is gone by age or by hand; not kept");
                let outcome = WebhookOutcome::Gone;
                return Ok(Receipt { submission: None, outcome, reply: desk.reply_unheard() });
            }
        };
        tracing::info!(%submission, source = %desk.source.name, outcome = outcome.label(), "kept");
        let reply = desk.reply_to(&accepted.answers);
        Ok(Receipt { submission: Some(submission), outcome, reply })
    }
}

impl From<StoreError> for IntakeError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::IdReused => IntakeError::IdReused,
            error => IntakeError::NotKept(error),
        }
    }
}

fn desks(
    sources: Vec<Source>,
    surveys: &BTreeMap<Name, Arc<Survey>>,
    replies: &BTreeMap<Name, Arc<Replies>>,
) -> Desks {
    let desk = |source: Source| {
        let survey = surveys[&source.survey].clone();
        let replies = replies.get(&source.name).cloned();
        let url = source.address();
        (source.name.clone(), Arc::new(Desk { source, survey, replies, url }))
    };
    sources.into_iter().map(desk).collect()
}

impl IntakeError {
    /// Every [`refusal`](Self::refusal).
    pub fn refusals() -> impl Iterator<Item = &'static str> {
        Refused::LABELS.into_iter().chain([ID_REUSED])
    }

    pub fn outcome(&self) -> WebhookOutcome {
        match self {
            IntakeError::Refused(Refused::UnsupportedType(_)) => WebhookOutcome::Unsupported,
            IntakeError::Refused(Refused::Unreadable(_)) => WebhookOutcome::Unreadable,
            IntakeError::Refused(Refused::Signature(_)) | IntakeError::IdReused => {
                WebhookOutcome::Refused
            }
            IntakeError::NotKept(_) => WebhookOutcome::Unavailable,
        }
    }

    /// Why it was refused, as a metric counts it.
    pub fn refusal(&self) -> Option<&'static str> {
        match self {
            IntakeError::Refused(refused) => Some(refused.label()),
            IntakeError::IdReused => Some(ID_REUSED),
            IntakeError::NotKept(_) => None,
        }
    }
}

impl Desk {
    /// What the sender hears when its hook was kept, and this is known of the call.
    fn reply_to(&self, answers: &Answers) -> SourceReply {
        self.reply(|replies| replies.answer(answers, &self.url))
    }

    /// What the sender hears when nothing of its hook was kept and its call shall go on.
    pub fn reply_unheard(&self) -> SourceReply {
        self.reply(|replies| replies.last(&self.url))
    }

    fn reply(&self, speaking: impl FnOnce(&Replies) -> String) -> SourceReply {
        self.source.reply_with(self.replies.as_deref().map(speaking))
    }

    /// Whether it hears something of the kind when its hook was refused, so that a live call goes on.
    pub fn replies_to_refusals(&self) -> bool {
        self.source.on_refusal == OnRefusal::Reply
    }
}
