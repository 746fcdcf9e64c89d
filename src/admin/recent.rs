use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use uuid::Uuid;

use crate::telemetry::Action;

/// Operator actions since the start, for their page; those on a submission are also in its audit entries.
#[derive(Default)]
pub(super) struct RecentActions(Mutex<VecDeque<RecentAction>>);

/// One operator action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecentAction {
    pub at: Timestamp,
    pub action: Action,
    /// How many submissions or accounts it was done to.
    pub times: u32,
    pub subject: ActionSubject,
    /// The reason of a pause, with its long numbers masked. That of a discard is in the audit entry of the
    /// submission alone, and gone with it.
    pub detail: Option<String>,
    /// Of the console, where the action goes by sessions.
    pub session: Option<Uuid>,
}

/// What was acted on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActionSubject {
    /// A submission, by its id.
    Submission(String),
    Account(String),
    /// The submissions of one call. Its id is not kept: it may have been erased.
    Call,
    /// A page of what a search found.
    Search,
    /// The quarantine of a source, or of all.
    Quarantine(Option<String>),
}

/// Actions that are kept.
const MAX: usize = 200;

impl RecentActions {
    pub fn add(&self, action: RecentAction) {
        let mut actions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if actions.len() == MAX {
            actions.pop_front();
        }
        actions.push_back(action);
    }

    /// Whether a session has read the numbers of it at that time or later, as far as that is kept.
    pub fn has_revealed(&self, session: Uuid, subject: &ActionSubject, since: Timestamp) -> bool {
        let actions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        actions.iter().any(|it| {
            it.action == Action::Reveal
                && it.session == Some(session)
                && it.subject == *subject
                && it.at >= since
        })
    }

    /// The latest first.
    pub fn list(&self) -> Vec<RecentAction> {
        let actions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        actions.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_hundred_actions_are_kept_the_latest_first() {
        let recent = RecentActions::default();
        for times in 0..250 {
            let (at, action) = (Timestamp::UNIX_EPOCH, Action::Discard);
            let subject = ActionSubject::Search;
            recent.add(RecentAction { at, action, times, subject, detail: None, session: None });
        }
        let times: Vec<_> = recent.list().iter().map(|it| it.times).collect();
        assert_eq!(times, Vec::from_iter((50..250).rev()));
    }
}
