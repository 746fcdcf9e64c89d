use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::views::{FeedbackView, StateName};
use crate::submission::{ActionOutcome, Mapper, Mapping, Replay, Submission, SubmissionKey};

/// What a replay would change about a submission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    #[schema(format = "uuid")]
    pub id: String,
    pub call: String,
    pub account: String,
    pub survey: String,
    pub before: Before,
    pub after: After,
    /// It would come to something else than it did.
    pub changed: bool,
}

/// What a submission has come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Before {
    pub state: StateName,
    /// Why it is ignored or dead.
    pub reason: Option<String>,
    /// What was offered last.
    pub feedback: Option<FeedbackView>,
}

/// What a submission would come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum After {
    /// This would be offered.
    Feedback { feedback: FeedbackView },
    /// It would be ignored, for this reason.
    Ignored { ignored: String, detail: Option<String> },
    /// It would be dead, for this reason.
    Dead { dead: String, detail: Option<String> },
}

impl Difference {
    /// The result of a replay, worked out on a copy of the submission.
    ///
    /// # Errors
    /// Why it cannot be replayed.
    pub(super) fn preview(
        submission: &Submission,
        how: Replay,
        mapper: &dyn Mapper,
    ) -> Result<Self, ActionOutcome> {
        let mut replayed = submission.clone();
        match replayed.replay(how) {
            ActionOutcome::Done => {}
            refused => return Err(refused),
        }
        let key = replayed.key().ok_or(ActionOutcome::Purged)?;
        let payload = replayed.last_payload().filter(|_| replayed.document.same_payload);
        let after = mapper.map(&key, replayed.answers(), payload).mapping;
        Ok(Self::between(submission, &key, after))
    }

    /// What the settings in force now would make of a submission, whatever became of it; none once its answers
    /// are purged.
    pub(super) fn today(
        submission: &Submission,
        at: Timestamp,
        mapper: &dyn Mapper,
    ) -> Option<Self> {
        let how = Replay { same_payload: false, include_delivered: true, at };
        if let Ok(difference) = Self::preview(submission, how, mapper) {
            return Some(difference);
        }
        let key = submission.key()?;
        let after = mapper.map(&key, submission.answers(), None).mapping;
        Some(Self::between(submission, &key, after))
    }

    fn between(submission: &Submission, key: &SubmissionKey, after: Mapping) -> Self {
        Self::to(submission, key, after.into())
    }

    /// What would change about a submission that comes to this.
    pub(super) fn to(submission: &Submission, key: &SubmissionKey, after: After) -> Self {
        let last = submission.document.delivered.as_ref().or(submission.last_payload());
        let before = Before {
            state: submission.state.into(),
            reason: submission.state.reason().map(str::to_owned),
            feedback: last.and_then(FeedbackView::read),
        };
        Self {
            id: submission.id.to_string(),
            call: key.call.to_string(),
            account: key.account.to_string(),
            survey: key.survey.to_string(),
            changed: after.differs_from(&before),
            before,
            after,
        }
    }
}

impl From<Mapping> for After {
    fn from(mapping: Mapping) -> Self {
        match mapping {
            Mapping::Feedback(feedback) => After::Feedback { feedback: (&feedback).into() },
            Mapping::Ignore { reason, detail } => {
                After::Ignored { ignored: reason.label().to_owned(), detail }
            }
            Mapping::Dead { reason, detail } => {
                After::Dead { dead: reason.label().to_owned(), detail: Some(detail) }
            }
        }
    }
}

impl After {
    fn differs_from(&self, before: &Before) -> bool {
        let was =
            |state, reason: &str| before.state == state && before.reason.as_deref() == Some(reason);
        match self {
            After::Feedback { feedback } => before.feedback.as_ref() != Some(feedback),
            After::Ignored { ignored, .. } => !was(StateName::Ignored, ignored),
            After::Dead { dead, .. } => !was(StateName::Dead, dead),
        }
    }
}
