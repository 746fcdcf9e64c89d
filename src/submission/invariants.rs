//! Invariants of a submission: what holds after every transition, whatever came before.

use jiff::Timestamp;

use super::answers::{Answers, RecordedAnswer};
use super::document::{AttemptRecord, Document, Submission};
use super::state::{DeadReason, RetentionLevel, State, SubmissionKey};
use crate::domain::Verdict;

impl Submission {
    /// Violation by a submission whose id is not that of its account, survey and call.
    pub const WRONG_ID: &'static str = "does not have the id of its account, survey and call";

    /// Invariants that do not hold, in words that follow "submission X". There are none if only
    /// transitions have changed the submission.
    pub fn violations(&self) -> Vec<&'static str> {
        let (waits, in_flight, is_purged) =
            (self.state.is_waiting(), self.is_in_flight(), self.is_purged());
        let document = &self.document;
        let Document { attempts, attempts_made, attempts_spent, .. } = document;
        let responses = || attempts.iter().filter_map(|attempt| attempt.response.as_ref());
        let is_started = self.last_attempt().is_some_and(|attempt| attempt.response.is_none());
        let in_order = |answers: &Answers| {
            answers.recorded().all(|answer| answer.received_at <= answer.last_at)
                && answers.recorded().is_sorted_by(|a, b| arrival(a) <= arrival(b))
        };
        let is_full = self.retention == RetentionLevel::Full;
        let invariants = [
            (self.key().is_some_and(|key| key.id() != self.id), Self::WRONG_ID),
            (waits && self.settled_at.is_some(), "waits and is settled"),
            (!waits && self.settled_at.is_none(), "is settled and does not say when"),
            (in_flight && self.state != State::Pending, "is in flight and not pending"),
            (in_flight && !is_started, "is in flight without a recorded attempt"),
            (
                attempts.len() - responses().count() > usize::from(in_flight && is_started),
                "has an attempt without a response that is not in flight",
            ),
            (!has_its_attempts(document), "does not have the attempts that it counts"),
            (attempts_spent > attempts_made, "has more attempts spent than made"),
            (u64::from(*attempts_made) > self.fence, "has more attempts than claims"),
            (
                self.first_attempt_at.is_some() && attempts.is_empty(),
                "has the time of a first attempt and no attempt",
            ),
            (
                !is_purged && !self.fits_last_attempt(),
                "is in a state that its last attempt does not lead to",
            ),
            (
                !is_purged && self.state == State::Delivered && document.delivered.is_none(),
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
            (is_purged != self.call.is_none(), "is purged or is not, by its call"),
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

    /// Whether the last attempt can have led to the state.
    fn fits_last_attempt(&self) -> bool {
        let response = self.last_attempt().and_then(|attempt| attempt.response.as_ref());
        let verdict = response.map(|response| response.verdict);
        match self.state {
            State::Delivered => verdict == Some(Verdict::Accepted),
            State::Dead(DeadReason::Refused) => {
                matches!(verdict, Some(Verdict::Refused | Verdict::Misconfigured))
            }
            State::Dead(DeadReason::UnknownCall) => verdict == Some(Verdict::UnknownCall),
            State::Dead(DeadReason::UnknownResult) => verdict == Some(Verdict::UnknownResult),
            State::Dead(DeadReason::TooOld) => matches!(
                verdict,
                Some(Verdict::Busy { .. } | Verdict::Unreachable | Verdict::UnknownResult)
            ),
            State::Dead(DeadReason::Unmapped | DeadReason::Unrated | DeadReason::Incomplete)
            | State::Collecting
            | State::Pending
            | State::Ignored(_)
            | State::Discarded => true,
        }
    }

    /// A submission of which a damaged store has not everything, or not what can be: an operator has
    /// to look at it. `document` is what could be read of it, and counts as far as it keeps the
    /// invariants; `closed` keeps it closed to answers.
    pub fn set_aside(
        key: SubmissionKey,
        accepted_at: Timestamp,
        fence: u64,
        document: Option<Document>,
        closed: bool,
        detail: &str,
    ) -> Self {
        let id = key.id();
        let SubmissionKey { account, survey, call } = key;
        let mut submission = Self {
            id,
            account,
            survey,
            call: Some(call),
            state: State::Dead(DeadReason::Unmapped),
            accepted_at,
            due_at: accepted_at,
            settled_at: Some(accepted_at),
            lease_until: Some(accepted_at),
            fence,
            first_attempt_at: None,
            retention: RetentionLevel::Full,
            purged_at: None,
            document: Document::new(),
        };
        if let Some(document) = document {
            submission.document = document;
        }
        let is_started = |attempt: &AttemptRecord| attempt.response.is_none();
        if submission.last_attempt().is_some_and(is_started) {
            submission.expire();
        }
        submission.lease_until = None;
        submission.document.redeliver_at = None;
        submission.document.same_payload = false;
        if !submission.violations().is_empty() {
            submission.document = Document::new();
        }
        submission.document.reached |= closed;
        submission.document.detail = Some(detail.to_owned());
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
