use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Mapped, Survey};
use crate::domain::{Feedback, Name};
use crate::submission::{self, Answers, Json, Mapper, Mapping, SubmissionKey, UnknownResult};

/// Mapping by the settings: their surveys and their accounts. Delivery, dry runs and the tools map with
/// it.
#[derive(Debug, Clone, Default)]
pub struct SettingsMapper {
    pub surveys: BTreeMap<Name, Arc<Survey>>,
    pub accounts: BTreeSet<Name>,
    pub on_unknown_result: UnknownResult,
}

impl Mapper for SettingsMapper {
    fn map(
        &self,
        key: &SubmissionKey,
        answers: &Answers,
        payload: Option<&Json>,
    ) -> submission::Mapped {
        let SubmissionKey { account, survey, .. } = key;
        let untraced = |mapping| submission::Mapped { mapping, trace: None };
        let unmapped = |detail: String| untraced(Mapping::unmapped(detail));
        if !self.accounts.contains(account) {
            return unmapped(format!("the settings have no account {account}"));
        }
        if let Some(payload) = payload {
            return match Feedback::from_json(payload.as_str()) {
                Ok(feedback) => untraced(Mapping::Feedback(feedback)),
                Err(error) => unmapped(format!("the last payload cannot be sent again: {error}")),
            };
        }
        match self.surveys.get(survey) {
            Some(survey) => {
                let Mapped { mapping, trace } = survey.map(answers);
                let trace = Json::new(trace.to_json()).expect("a trace is written as JSON");
                submission::Mapped { mapping, trace: Some(trace) }
            }
            None => unmapped(format!("the settings have no survey {survey}")),
        }
    }

    fn on_unknown_result(&self) -> UnknownResult {
        self.on_unknown_result
    }
}
