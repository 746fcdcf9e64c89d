use std::collections::BTreeMap;
use std::sync::Arc;

use super::Survey;
use super::mapping::{Mapped, Mapping};
use super::trace::Trace;
use crate::domain::{Feedback, Name};
use crate::submission::{Answers, SubmissionKey};

/// What a submission comes to by the settings, and how its survey came to that. What a person wants
/// to be offered `as_was`, as JSON, is not asked of the survey again.
///
/// Whoever delivers and whoever shows beforehand what would be delivered ask here.
pub fn offered(
    key: &SubmissionKey,
    answers: &Answers,
    as_was: Option<&str>,
    has_account: impl FnOnce(&Name) -> bool,
    surveys: &BTreeMap<Name, Arc<Survey>>,
) -> (Mapping, Option<Trace>) {
    let SubmissionKey { account, survey, .. } = key;
    if !has_account(account) {
        return (Mapping::unmapped(format!("the settings have no account {account}")), None);
    }
    if let Some(as_was) = as_was {
        return (offered_before(as_was), None);
    }
    match surveys.get(survey) {
        Some(survey) => {
            let Mapped { mapping, trace } = survey.map(answers);
            (mapping, Some(trace))
        }
        None => (Mapping::unmapped(format!("the settings have no survey {survey}")), None),
    }
}

fn offered_before(as_was: &str) -> Mapping {
    match Feedback::from_json(as_was) {
        Ok(feedback) => Mapping::Feedback(feedback),
        Err(error) => {
            Mapping::unmapped(format!("what was offered before cannot be offered again: {error}"))
        }
    }
}
