use super::parts::Terms;
use crate::domain::{DeadReason, Feedback, UnknownResult};
use crate::store::Lease;
use crate::survey::{Mapped, Mapping};

/// What a leased submission comes to by these terms, and how its survey came to that, as JSON. What
/// a person wants to be offered as it was is not asked of the survey again.
pub(super) fn of(lease: &Lease, terms: &Terms) -> (Mapping, Option<String>) {
    let (account, survey) = (&lease.key.account, &lease.key.survey);
    // The process may have ended before anybody could decide that.
    if lease.may_have_arrived && terms.options.retry.unknown_result == UnknownResult::Dead {
        let detail = "nobody knows what came of its last attempt, which may have arrived";
        return (
            Mapping::Dead { reason: DeadReason::UnknownResult, detail: detail.to_owned() },
            None,
        );
    }
    if !terms.destinations.contains_key(account) {
        return (unmapped(format!("the settings have no account {account}")), None);
    }
    if let Some(as_was) = &lease.as_was {
        return (offered_before(as_was), None);
    }
    match terms.surveys.get(survey) {
        Some(survey) => {
            let Mapped { mapping, trace } = survey.map(&lease.answers);
            (mapping, Some(trace.to_json()))
        }
        None => (unmapped(format!("the settings have no survey {survey}")), None),
    }
}

fn offered_before(as_was: &str) -> Mapping {
    match Feedback::from_json(as_was) {
        Ok(feedback) => Mapping::Feedback(feedback),
        Err(error) => unmapped(format!("what was offered before cannot be offered again: {error}")),
    }
}

fn unmapped(detail: String) -> Mapping {
    Mapping::Dead { reason: DeadReason::Unmapped, detail }
}
