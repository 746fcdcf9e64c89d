use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::feedback::ShownFeedback;
use super::submission::StateName;
use super::terms::Terms;
use crate::store::Mappable;
use crate::survey::{Mapping, offered};

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
    pub feedback: Option<ShownFeedback>,
}

/// What a submission would come to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum After {
    /// This would be offered.
    Feedback { feedback: ShownFeedback },
    /// It would be ignored, for this reason.
    Ignored { ignored: String, detail: Option<String> },
    /// It would be dead, for this reason.
    Dead { dead: String, detail: Option<String> },
}

impl Difference {
    /// What a replay would make of it: as it was, or by the terms in force.
    pub(super) fn of(known: &Mappable, as_was: bool, terms: &Terms) -> Self {
        let row = &known.row;
        let told = row.feedback.as_deref().or(known.offered.as_deref());
        let before = Before {
            state: row.state.into(),
            reason: row.state.reason().map(str::to_owned),
            feedback: told.and_then(ShownFeedback::read),
        };
        let after = After::of(known, as_was, terms);
        Self {
            id: row.id.to_string(),
            call: row.key.call.to_string(),
            account: row.key.account.to_string(),
            survey: row.key.survey.to_string(),
            changed: after.differs_from(&before),
            before,
            after,
        }
    }
}

impl After {
    /// As the courier comes to it.
    fn of(known: &Mappable, as_was: bool, terms: &Terms) -> Self {
        let as_was = known.offered.as_deref().filter(|_| as_was);
        let has_account = |account: &_| terms.accounts.contains(account);
        let (mapping, _) =
            offered(&known.row.key, &known.answers, as_was, has_account, &terms.surveys);
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

    fn differs_from(&self, before: &Before) -> bool {
        let stood =
            |state, reason: &str| before.state == state && before.reason.as_deref() == Some(reason);
        match self {
            After::Feedback { feedback } => before.feedback.as_ref() != Some(feedback),
            After::Ignored { ignored, .. } => !stood(StateName::Ignored, ignored),
            After::Dead { dead, .. } => !stood(StateName::Dead, dead),
        }
    }
}
