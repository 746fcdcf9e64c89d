//! What an operator and retention do to a submission.

use jiff::Timestamp;

use super::answers::Answers;
use super::document::{Document, Submission};
use super::state::{RetentionLevel, State};

/// How to offer a submission again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replay {
    /// The payload of the last attempt, byte for byte; otherwise it is mapped by the rules in force.
    pub same_payload: bool,
    /// Also what the destination has accepted.
    pub include_delivered: bool,
    pub at: Timestamp,
}

/// Result of an operator's action on one submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActionOutcome {
    Done,
    /// There is no such submission.
    Unknown,
    /// The destination has accepted it, and those were not asked for.
    Delivered,
    /// It waits to be delivered already.
    Waiting,
    /// An attempt is in flight and has to end first.
    InFlight,
    /// It was discarded, which is final.
    Discarded,
    /// It was erased or purged, which is final.
    Purged,
    /// No attempt was made, so there is no payload to send again.
    NoPayload,
    /// Its row was corrupt, so its feedback may be wrong.
    Corrupt,
}

impl ActionOutcome {
    pub const ALL: [ActionOutcome; 9] = [
        ActionOutcome::Done,
        ActionOutcome::Unknown,
        ActionOutcome::Delivered,
        ActionOutcome::Waiting,
        ActionOutcome::InFlight,
        ActionOutcome::Discarded,
        ActionOutcome::Purged,
        ActionOutcome::NoPayload,
        ActionOutcome::Corrupt,
    ];

    pub fn label(self) -> &'static str {
        match self {
            ActionOutcome::Done => "done",
            ActionOutcome::Unknown => "unknown",
            ActionOutcome::Delivered => "accepted",
            ActionOutcome::Waiting => "waiting",
            ActionOutcome::InFlight => "under_way",
            ActionOutcome::Discarded => "discarded",
            ActionOutcome::Purged => "purged",
            ActionOutcome::NoPayload => "never_offered",
            ActionOutcome::Corrupt => "corrupt",
        }
    }
}

impl Submission {
    /// Makes it due now, with all attempts left. What closed it to answers keeps it closed.
    pub fn replay(&mut self, how: Replay) -> ActionOutcome {
        match self.state {
            _ if self.is_purged() => return ActionOutcome::Purged,
            State::Discarded => return ActionOutcome::Discarded,
            State::Collecting | State::Pending if self.is_in_flight() => {
                return ActionOutcome::InFlight;
            }
            State::Collecting | State::Pending => return ActionOutcome::Waiting,
            _ if self.document.corrupt => return ActionOutcome::Corrupt,
            State::Delivered if !how.include_delivered => return ActionOutcome::Delivered,
            State::Delivered | State::Ignored(_) | State::Dead(_) => {}
        }
        if how.same_payload && self.last_payload().is_none() {
            return ActionOutcome::NoPayload;
        }
        self.start_over(how.at);
        self.retention = RetentionLevel::Full;
        self.document.detail = None;
        self.document.same_payload = how.same_payload;
        let action = if how.same_payload { "replay_same_payload" } else { "replay" };
        self.document.note(how.at, action, None);
        ActionOutcome::Done
    }

    /// Gives it up for good.
    pub fn discard(&mut self, comment: &str, at: Timestamp) -> ActionOutcome {
        match self.state {
            _ if self.is_purged() => return ActionOutcome::Purged,
            State::Discarded => return ActionOutcome::Discarded,
            State::Delivered => return ActionOutcome::Delivered,
            _ if self.is_in_flight() => return ActionOutcome::InFlight,
            State::Collecting | State::Pending | State::Ignored(_) | State::Dead(_) => {}
        }
        self.close(State::Discarded, Some(comment.to_owned()), at);
        self.document.note(at, "discard", Some(comment.to_owned()));
        ActionOutcome::Done
    }

    /// Records that an operator reads the numbers of its caller.
    pub fn reveal(&mut self, at: Timestamp) -> ActionOutcome {
        if self.is_purged() {
            return ActionOutcome::Purged;
        }
        self.document.note(at, Document::REVEAL, None);
        ActionOutcome::Done
    }

    /// Removes everything but its id and its outcome, whatever its state. What waited is discarded,
    /// and an attempt in flight settles nothing any more.
    pub fn erase(&mut self, at: Timestamp) -> ActionOutcome {
        if self.is_purged() {
            return ActionOutcome::Purged;
        }
        if !matches!(self.state, State::Delivered | State::Discarded) {
            self.enter(State::Discarded);
        }
        self.settled_at.get_or_insert(at);
        self.purge(at);
        self.document.note(at, "erase", None);
        ActionOutcome::Done
    }

    /// Whether retention may remove it: it is settled, and not dead, which an operator decides.
    pub fn is_purgeable(&self) -> bool {
        matches!(self.state, State::Delivered | State::Ignored(_) | State::Discarded)
    }

    /// Removes the texts of responses; the store removes the bodies of webhooks.
    pub fn strip(&mut self) {
        self.retention = RetentionLevel::Stripped;
        for attempt in &mut self.document.attempts {
            if let Some(response) = &mut attempt.response {
                response.text = None;
            }
        }
    }

    /// Removes everything but its id, its outcome and its times.
    pub fn purge(&mut self, at: Timestamp) {
        self.fence += u64::from(self.lease_until.take().is_some());
        self.call = None;
        self.due_since = None;
        self.retention = RetentionLevel::Outcome;
        self.purged_at = Some(at);
        self.document = Document::new();
    }

    /// The answers that count; none once it was erased or purged.
    pub fn answers(&self) -> &Answers {
        &self.document.answers
    }
}
