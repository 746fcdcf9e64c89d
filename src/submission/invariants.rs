//! Invariants of a submission: what holds after every transition, whatever came before.

use jiff::Timestamp;

use super::answers::{Answers, RecordedAnswer};
use super::document::{AttemptRecord, Document, Submission};
use super::state::{DeadReason, RetentionLevel, State, SubmissionId};
use crate::domain::{CallUuid, Name, Verdict};

const CORRUPT: &str = "it was changed on disk, so what is shown may be wrong and is not sent: look at \
                       its webhooks, then discard it";

const LOST: &str = "the store was damaged and a part of this submission is lost; look at its \
                    webhooks, then replay or discard it";

/// What can still be read of a submission.
#[derive(Debug, Clone)]
pub struct Remains {
    /// That of account, survey and call, unless one of them is not what was written.
    pub id: SubmissionId,
    pub account: Name,
    pub survey: Name,
    pub call: Option<CallUuid>,
    pub accepted_at: Timestamp,
    /// Of one that was erased or purged.
    pub purged_at: Option<Timestamp>,
    pub fence: u64,
    pub document: Option<Document>,
}

/// Why a submission is set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetAside {
    /// It is not what was written. Its answers may be wrong, so it is closed for good. One that had
    /// ended stays as it was.
    Corrupt { was: State },
    /// A part of it is lost. It counts what comes, unless something may have reached the destination.
    Lost { closed: bool },
}

impl SetAside {
    /// In words, for the operator who finds the submission dead.
    pub fn detail(self) -> &'static str {
        match self {
            SetAside::Corrupt { .. } => CORRUPT,
            SetAside::Lost { .. } => LOST,
        }
    }
}

impl Submission {
    /// Violation by a submission whose id is not that of its account, survey and call.
    pub const WRONG_ID: &'static str = "does not have the id of its account, survey and call";

    /// Invariants that do not hold, in words that follow "submission X". There are none if only
    /// transitions have changed the submission.
    pub fn violations(&self) -> Vec<&'static str> {
        let (waits, in_flight, is_purged) =
            (self.state.is_waiting(), self.is_in_flight(), self.is_purged());
        let document = &self.document;
        // Its id, or its call, is not that of its key where one of them was changed.
        let is_corrupt = document.corrupt;
        let Document { attempts, attempts_made, attempts_used, .. } = document;
        let responses = || attempts.iter().filter_map(|attempt| attempt.response.as_ref());
        let is_started = self.last_attempt().is_some_and(|attempt| attempt.response.is_none());
        let in_order = |answers: &Answers| {
            answers.recorded().all(|answer| answer.received_at <= answer.last_at)
                && answers.recorded().is_sorted_by(|a, b| arrival(a) <= arrival(b))
        };
        let is_full = self.retention == RetentionLevel::Full;
        let invariants = [
            (!self.has_its_id(), Self::WRONG_ID),
            (waits && self.settled_at.is_some(), "waits and is settled"),
            (!waits && self.settled_at.is_none(), "is settled and does not say when"),
            (in_flight && self.state != State::Pending, "is in flight and not pending"),
            (in_flight && !is_started, "is in flight without a recorded attempt"),
            (
                attempts.len() - responses().count() > usize::from(in_flight && is_started),
                "has an attempt without a response that is not in flight",
            ),
            (!has_its_attempts(document), "does not have the attempts that it counts"),
            (attempts_used > attempts_made, "has more attempts used than made"),
            (u64::from(*attempts_made) > self.fence, "has more attempts than claims"),
            (
                self.due_since.is_some() && attempts.is_empty(),
                "has the due time of an offer that has begun and no attempt",
            ),
            (
                !is_purged && !is_corrupt && !self.fits_last_attempt(),
                "is in a state that its last attempt does not lead to",
            ),
            (
                !is_purged
                    && !is_corrupt
                    && self.state == State::Delivered
                    && document.delivered.is_none(),
                "is delivered without a payload",
            ),
            (
                document.redeliver_at.is_some() && !in_flight,
                "waits for the end of an attempt that is not in flight",
            ),
            (
                document.same_payload && (self.state != State::Pending || attempts.is_empty()),
                "is to be sent unchanged and has nothing to send or does not wait",
            ),
            (
                is_purged != (self.retention == RetentionLevel::Outcome),
                "is purged or is not, by its retention level",
            ),
            (!is_corrupt && is_purged != self.call.is_none(), "is purged or is not, by its call"),
            (
                is_corrupt
                    && !matches!(
                        self.state,
                        State::Dead(DeadReason::Corrupt) | State::Delivered | State::Discarded
                    ),
                "is corrupt and neither dead, delivered nor discarded",
            ),
            (
                self.state == State::Dead(DeadReason::Corrupt) && !is_corrupt,
                "is dead as corrupt and is not",
            ),
            (is_purged && !is_blank(document), "is purged and has content"),
            (!is_full && !self.is_purgeable(), "waits or is dead and was stripped"),
            (
                !is_full && responses().any(|response| response.text.is_some()),
                "is stripped and has texts of responses",
            ),
            (!in_order(&document.answers) || !in_order(&document.late), "has answers out of order"),
            (document.audit.len() > Document::AUDIT_MAX, "has more audit entries than are kept"),
        ];
        let violated = invariants.into_iter().filter(|(is_violated, _)| *is_violated);
        violated.map(|(_, words)| words).collect()
    }

    /// Whether its id is that of its account, survey and call; where it is known to be corrupt, one of
    /// them may be wrong.
    pub fn has_its_id(&self) -> bool {
        self.document.corrupt || self.key().is_none_or(|key| key.id() == self.id)
    }

    /// Whether the last attempt can have led to the state.
    fn fits_last_attempt(&self) -> bool {
        let response = self.last_attempt().and_then(|attempt| attempt.response.as_ref());
        let verdict = response.map(|response| response.verdict);
        match self.state {
            State::Delivered => verdict == Some(Verdict::Accepted),
            State::Dead(DeadReason::Rejected) => {
                matches!(verdict, Some(Verdict::Rejected | Verdict::AccountRejected))
            }
            State::Dead(DeadReason::UnknownCall) => verdict == Some(Verdict::UnknownCall),
            State::Dead(DeadReason::UnknownResult) => verdict == Some(Verdict::UnknownResult),
            State::Dead(DeadReason::TooOld) => matches!(
                verdict,
                Some(Verdict::Throttled { .. } | Verdict::Unreachable | Verdict::UnknownResult)
            ),
            State::Dead(
                DeadReason::Unmapped
                | DeadReason::Unrated
                | DeadReason::Incomplete
                | DeadReason::Corrupt,
            )
            | State::Collecting
            | State::Pending
            | State::Ignored(_)
            | State::Discarded => true,
        }
    }

    /// A submission of which the store has not everything, or not what was written: an operator has to
    /// look at it. What could be read of the document counts as far as it keeps the invariants.
    pub fn set_aside(remains: Remains, why: SetAside) -> Self {
        let Remains { id, account, survey, call, accepted_at, purged_at, fence, document } =
            remains;
        let is_corrupt = matches!(why, SetAside::Corrupt { .. });
        let (state, closed) = match why {
            // It is final: no operator may replay it.
            SetAside::Corrupt { was: was @ (State::Delivered | State::Discarded) } => (was, true),
            SetAside::Corrupt { was: was @ State::Ignored(_) } if purged_at.is_some() => {
                (was, true)
            }
            SetAside::Corrupt { .. } => (State::Dead(DeadReason::Corrupt), true),
            SetAside::Lost { closed } => (State::Dead(DeadReason::Unmapped), closed),
        };
        let made = document.as_ref().map_or(0, |document| document.attempts_made);
        let mut submission = Self {
            id,
            account,
            survey,
            call,
            state,
            accepted_at,
            due_at: accepted_at,
            settled_at: Some(accepted_at),
            lease_until: Some(accepted_at),
            fence: fence.max(made.into()),
            due_since: None,
            retention: RetentionLevel::Full,
            purged_at: None,
            document: document.unwrap_or_else(Document::new),
        };
        let is_started = |attempt: &AttemptRecord| attempt.response.is_none();
        if submission.last_attempt().is_some_and(is_started) {
            submission.expire();
        }
        submission.lease_until = None;
        submission.document.redeliver_at = None;
        submission.document.same_payload = false;
        submission.document.corrupt = is_corrupt;
        if !submission.violations().is_empty() {
            submission.document = Document::new();
            submission.document.corrupt = is_corrupt;
        }
        submission.document.reached |= closed;
        submission.document.detail = Some(why.detail().to_owned());
        if let (true, Some(purged_at)) = (submission.is_purgeable(), purged_at) {
            // Nothing of it is left that could be wrong.
            submission.purge(purged_at);
        }
        submission
    }
}

fn arrival(answer: &RecordedAnswer) -> impl PartialOrd + '_ {
    (answer.received_at, answer.webhook, &answer.question)
}

/// Whether the attempts are the first and the last ones of those that were made.
fn has_its_attempts(document: &Document) -> bool {
    let made = document.attempts_made;
    let last = made.saturating_sub(Document::ATTEMPTS_MAX as u32 - 2).max(2)..=made;
    let expected = (1..=made.min(1)).chain(last);
    document.attempts.iter().map(|attempt| attempt.number).eq(expected)
}

/// Whether there is nothing but what operators did.
fn is_blank(document: &Document) -> bool {
    let mut blank = Document::new();
    blank.audit.clone_from(&document.audit);
    *document == blank
}
