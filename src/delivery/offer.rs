use super::parts::Terms;
use crate::store::Lease;
use crate::submission::{DeadReason, UnknownResult};
use crate::survey::{Mapping, offered};

/// What a leased submission comes to by these terms, and how its survey came to that, as JSON.
pub(super) fn of(lease: &Lease, terms: &Terms) -> (Mapping, Option<String>) {
    // The process may have ended before anybody could decide that.
    if lease.may_have_arrived && terms.options.retry.unknown_result == UnknownResult::Dead {
        let detail = "nobody knows what came of its last attempt, which may have arrived";
        return (
            Mapping::Dead { reason: DeadReason::UnknownResult, detail: detail.to_owned() },
            None,
        );
    }
    let has_account = |account: &_| terms.destinations.contains_key(account);
    let as_was = lease.as_was.as_deref();
    let (mapping, trace) = offered(&lease.key, &lease.answers, as_was, has_account, &terms.surveys);
    (mapping, trace.map(|trace| trace.to_json()))
}
