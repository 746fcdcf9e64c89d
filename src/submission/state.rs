use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::domain::{CallUuid, Name, SpanContext};

/// What makes a submission one: two tenants that share a survey never touch each other's calls.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SubmissionKey {
    pub account: Name,
    pub survey: Name,
    pub call: CallUuid,
}

/// Follows from the key alone, so every repeat and every replica names the same submission.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubmissionId(pub Uuid);

/// How much of a submission is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetentionLevel {
    /// Its id and its outcome.
    Outcome,
    /// Everything but the bodies of its webhooks and the texts of responses.
    Stripped,
    Full,
}

/// The state of a submission. It is in exactly one, and [`StateCounts`] counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Questions are open; the dispatcher takes it when the time to wait is over.
    Collecting,
    /// Complete, or waited for long enough: due, in delivery, or waiting for its next attempt.
    Pending,
    Delivered,
    Ignored(IgnoredReason),
    /// It needs an operator, who repairs the cause and replays it.
    Dead(DeadReason),
    /// Discarded by an operator.
    Discarded,
}

/// Why there was nothing to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IgnoredReason {
    /// The caller was asked for a rating and gave no answer.
    NoAnswer,
    /// Only answers outside the question's domain.
    InvalidAnswer,
    /// Other questions were answered, the one that rates the call never came.
    NoScore,
    /// The caller hung up before anything was answered.
    HungUp,
    /// The caller opted out.
    OptedOut,
    /// Not every question was answered, and the survey sets `on_incomplete: ignore`.
    Incomplete,
    /// A rule of the survey says so.
    Rule,
    /// It is about no call: its id is that of a test.
    Test,
}

/// Reasons for which a submission needs an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeadReason {
    /// The settings have no survey, account or question for it.
    Unmapped,
    /// The destination refused it for what it says.
    Rejected,
    /// The destination did not know the call for as long as we waited.
    UnknownCall,
    /// It could not be delivered within the longest age.
    TooOld,
    /// Nothing rates the call, and the survey sets `on_no_rating: dead`.
    Unrated,
    /// Not every question was answered, and the survey sets `on_incomplete: dead`.
    Incomplete,
    /// It may have arrived, and the settings say `on_unknown_result: dead`.
    UnknownResult,
    /// What the store holds of it is not what was written.
    Corrupt,
}

/// The text names no state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such state; one of {}", State::LABELS.join(", "))]
pub struct UnknownState;

/// How many submissions there are in each state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StateCounts {
    pub accepted: u64,
    pub collecting: u64,
    pub pending: u64,
    pub delivered: u64,
    pub ignored: u64,
    pub dead: u64,
    pub discarded: u64,
}

impl RetentionLevel {
    pub const ALL: [RetentionLevel; 3] =
        [RetentionLevel::Outcome, RetentionLevel::Stripped, RetentionLevel::Full];
}

impl SubmissionKey {
    /// Chosen once; another value would give every known submission a second name.
    const NAMESPACE: Uuid = Uuid::from_u128(0x6b1f_4c5e_90d7_4b2a_8c53_d1a7_f0e9_2b64);

    pub fn id(&self) -> SubmissionId {
        let key = format!("{}/{}/{}", self.account, self.survey, self.call);
        SubmissionId(Uuid::new_v5(&Self::NAMESPACE, key.as_bytes()))
    }
}

impl SubmissionId {
    /// The span of one of its attempts, which is a trace of its own.
    pub fn attempt_span(self, number: u32) -> SpanContext {
        SpanContext::of(Uuid::new_v5(&self.0, format!("attempt {number}").as_bytes()))
    }
}

impl fmt::Display for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for SubmissionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl State {
    /// In the order of [`State::LABELS`].
    #[cfg(test)]
    pub const ONE_OF_EACH: [State; 6] = [
        State::Collecting,
        State::Pending,
        State::Delivered,
        State::Ignored(IgnoredReason::NoScore),
        State::Dead(DeadReason::Rejected),
        State::Discarded,
    ];

    pub const LABELS: [&'static str; 6] =
        ["collecting", "pending", "delivered", "ignored", "dead", "discarded"];

    pub fn label(self) -> &'static str {
        Self::LABELS[self.index()]
    }

    /// Position of its label in [`State::LABELS`].
    pub fn index(self) -> usize {
        match self {
            State::Collecting => 0,
            State::Pending => 1,
            State::Delivered => 2,
            State::Ignored(_) => 3,
            State::Dead(_) => 4,
            State::Discarded => 5,
        }
    }

    pub fn reason(self) -> Option<&'static str> {
        match self {
            State::Ignored(reason) => Some(reason.label()),
            State::Dead(reason) => Some(reason.label()),
            State::Collecting | State::Pending | State::Delivered | State::Discarded => None,
        }
    }

    /// Every state, with every reason.
    pub fn all() -> impl Iterator<Item = Self> {
        [State::Collecting, State::Pending, State::Delivered, State::Discarded]
            .into_iter()
            .chain(IgnoredReason::ALL.map(State::Ignored))
            .chain(DeadReason::ALL.map(State::Dead))
    }

    /// The state that [`label`](Self::label) and [`reason`](Self::reason) describe.
    pub fn from_labels(label: &str, reason: Option<&str>) -> Result<Self, UnknownState> {
        Self::all()
            .find(|state| state.label() == label && state.reason() == reason)
            .ok_or(UnknownState)
    }

    /// Whether the dispatcher has still to see to it.
    pub fn is_waiting(self) -> bool {
        matches!(self, State::Collecting | State::Pending)
    }

    /// The valid transitions. A new answer re-opens what was ignored or dead before anything
    /// reached the destination; an operator's replay takes any settled state back to pending. An operator
    /// may discard anything but what was delivered, and that is final.
    pub fn may_become(self, next: State) -> bool {
        match (self, next) {
            (State::Collecting, next) => {
                matches!(next, State::Collecting | State::Pending | State::Discarded)
            }
            (State::Discarded, _) => false,
            (State::Pending, next) => next != State::Collecting,
            (State::Delivered, next) => matches!(next, State::Pending),
            (State::Ignored(_) | State::Dead(_), next) => {
                matches!(next, State::Collecting | State::Pending | State::Discarded)
            }
        }
    }
}

impl IgnoredReason {
    pub const ALL: [IgnoredReason; 8] = [
        IgnoredReason::NoAnswer,
        IgnoredReason::InvalidAnswer,
        IgnoredReason::NoScore,
        IgnoredReason::HungUp,
        IgnoredReason::OptedOut,
        IgnoredReason::Incomplete,
        IgnoredReason::Rule,
        IgnoredReason::Test,
    ];

    pub fn label(self) -> &'static str {
        match self {
            IgnoredReason::NoAnswer => "no_answer",
            IgnoredReason::InvalidAnswer => "invalid_answer",
            IgnoredReason::NoScore => "no_score",
            IgnoredReason::HungUp => "hang_up",
            IgnoredReason::OptedOut => "opt_out",
            IgnoredReason::Incomplete => "incomplete",
            IgnoredReason::Rule => "rule",
            IgnoredReason::Test => "test",
        }
    }
}

impl DeadReason {
    pub const ALL: [DeadReason; 8] = [
        DeadReason::Unmapped,
        DeadReason::Rejected,
        DeadReason::UnknownCall,
        DeadReason::TooOld,
        DeadReason::Unrated,
        DeadReason::Incomplete,
        DeadReason::UnknownResult,
        DeadReason::Corrupt,
    ];

    pub fn label(self) -> &'static str {
        match self {
            DeadReason::Unmapped => "unmapped",
            DeadReason::Rejected => "rejected",
            DeadReason::UnknownCall => "unknown_call",
            DeadReason::TooOld => "too_old",
            DeadReason::Unrated => "unrated",
            DeadReason::Incomplete => "incomplete",
            DeadReason::UnknownResult => "unknown_result",
            DeadReason::Corrupt => "corrupt",
        }
    }
}

impl StateCounts {
    pub fn of(&self, state: State) -> u64 {
        match state {
            State::Collecting => self.collecting,
            State::Pending => self.pending,
            State::Delivered => self.delivered,
            State::Ignored(_) => self.ignored,
            State::Dead(_) => self.dead,
            State::Discarded => self.discarded,
        }
    }

    pub fn of_mut(&mut self, state: State) -> &mut u64 {
        match state {
            State::Collecting => &mut self.collecting,
            State::Pending => &mut self.pending,
            State::Delivered => &mut self.delivered,
            State::Ignored(_) => &mut self.ignored,
            State::Dead(_) => &mut self.dead,
            State::Discarded => &mut self.discarded,
        }
    }

    /// Everything accepted is in exactly one state.
    pub fn balance(&self) -> bool {
        self.accepted
            == self.collecting
                + self.pending
                + self.delivered
                + self.ignored
                + self.dead
                + self.discarded
    }

    /// How many the dispatcher has still to see to.
    pub fn waiting(&self) -> u64 {
        self.collecting + self.pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(account: &str, call: &str) -> SubmissionKey {
        SubmissionKey {
            account: account.parse().unwrap(),
            survey: "quality".parse().unwrap(),
            call: call.parse().unwrap(),
        }
    }

    #[test]
    fn the_same_call_is_the_same_submission_for_one_account_only() {
        assert_eq!(key("main", "c-1").id(), key("main", "c-1").id());
        assert_ne!(key("main", "c-1").id(), key("other", "c-1").id());
        assert_ne!(key("main", "c-1").id(), key("main", "c-2").id());
    }

    #[test]
    fn an_id_is_the_same_in_every_release() {
        assert_eq!(key("main", "c-1").id().to_string(), "ac3c34e6-2bb4-571f-8e74-2eb6b6b636d5");
    }

    #[test]
    fn only_what_was_not_accepted_can_be_given_up_and_that_is_final() {
        let ignored = State::Ignored(IgnoredReason::Rule);
        let dead = State::Dead(DeadReason::Rejected);
        for waiting_or_not in [State::Collecting, State::Pending, ignored, dead] {
            assert!(waiting_or_not.may_become(State::Discarded), "{waiting_or_not:?}");
        }
        assert!(!State::Delivered.may_become(State::Discarded));
        for next in [State::Collecting, State::Pending, State::Delivered, ignored, dead] {
            assert!(!State::Discarded.may_become(next), "{next:?}");
        }
    }

    #[test]
    fn what_was_settled_can_be_offered_again() {
        let ignored = State::Ignored(IgnoredReason::Rule);
        for settled in [State::Delivered, ignored, State::Dead(DeadReason::TooOld)] {
            assert!(settled.may_become(State::Pending), "{settled:?}");
            assert!(!settled.may_become(ignored), "not without being offered: {settled:?}");
        }
    }

    #[test]
    fn state_counts_balance_if_each_submission_is_counted_once() {
        let mut counts = StateCounts { accepted: 6, ..StateCounts::default() };
        for state in State::ONE_OF_EACH {
            assert!(!counts.balance(), "{counts:?}");
            *counts.of_mut(state) += 1;
        }
        assert!(counts.balance(), "{counts:?}");
    }

    #[test]
    fn every_state_is_found_by_its_labels() {
        for reason in DeadReason::ALL {
            let state = State::Dead(reason);
            assert_eq!(State::from_labels(state.label(), state.reason()), Ok(state));
        }
        assert_eq!(State::from_labels("dead", None), Err(UnknownState));
    }
}
