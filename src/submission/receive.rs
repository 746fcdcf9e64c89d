//! What a webhook does to a submission.

use jiff::Timestamp;

use super::answers::{Answers, ChangedAnswerPolicy, CompletionPolicy, DueTime, Fact, News};
use super::document::{Document, Submission};
use super::state::{RetentionLevel, State, SubmissionId, SubmissionKey};
use crate::domain::{Extraction, TraceId, WebhookId};

/// A verified webhook about one submission.
#[derive(Debug, Clone, Copy)]
pub struct Arrival<'a> {
    /// Of `key`.
    pub id: SubmissionId,
    pub key: &'a SubmissionKey,
    pub extraction: &'a Extraction,
    /// In whole microseconds, as it is stored.
    pub received_at: Timestamp,
    pub webhook: WebhookId,
    /// The trace of its sender, if that named one.
    pub trace: Option<TraceId>,
}

/// Result of receiving a webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub outcome: Outcome,
    /// It brought a second, different answer in the domain of a question.
    pub changed: bool,
    /// The submission is not what it was; a duplicate may still note when an answer last arrived.
    pub modified: bool,
}

/// What a webhook was to its submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It started the submission.
    Created,
    /// It brought something new that counts, at once or as soon as the attempt in flight has ended.
    Updated,
    /// It brought nothing new.
    Duplicate,
    /// The submission is closed: the webhook is kept, without effect.
    Late,
    /// The submission was erased or purged: the webhook is not kept.
    Purged,
    /// As many webhooks are kept of the submission as may be: this one is not, and changes nothing.
    Excess,
}

impl Outcome {
    pub fn label(self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Updated => "updated",
            Outcome::Duplicate => "duplicate",
            Outcome::Late => "late",
            Outcome::Purged => "purged",
            Outcome::Excess => "excess",
        }
    }

    /// Whether the raw webhook is kept.
    pub fn keeps_webhook(self) -> bool {
        matches!(self, Outcome::Created | Outcome::Updated | Outcome::Late)
    }
}

impl Submission {
    /// Merges a webhook into its submission, which it starts where there is none. Any order of the
    /// same webhooks gives the same submission.
    pub fn receive(
        known: &mut Option<Submission>,
        arrival: &Arrival<'_>,
        policy: &dyn CompletionPolicy,
    ) -> Receipt {
        let receipt = match known {
            Some(submission) => submission.merge(arrival, policy),
            None => {
                *known = Some(Self::start(arrival, policy));
                Receipt { outcome: Outcome::Created, changed: false, modified: true }
            }
        };
        if let (Some(trace), Some(submission)) = (arrival.trace, known)
            && receipt.outcome.keeps_webhook()
            && submission.document.sender_traces.len() < Document::SENDER_TRACES_MAX
        {
            submission.document.sender_traces.insert(arrival.webhook, trace);
        }
        receipt
    }

    fn start(arrival: &Arrival<'_>, policy: &dyn CompletionPolicy) -> Self {
        let mut document = Document::new();
        News::merge(&mut document.answers, arrival.extraction, arrival.fact(), policy);
        let due = due(&document.answers, arrival, policy);
        let SubmissionKey { account, survey, call } = arrival.key.clone();
        Self {
            id: arrival.id,
            account,
            survey,
            call: Some(call),
            state: if due.complete { State::Pending } else { State::Collecting },
            accepted_at: arrival.received_at,
            due_at: due.at,
            settled_at: None,
            lease_until: None,
            fence: 0,
            due_since: None,
            retention: RetentionLevel::Full,
            purged_at: None,
            document,
        }
    }

    fn merge(&mut self, arrival: &Arrival<'_>, policy: &dyn CompletionPolicy) -> Receipt {
        if self.is_purged() {
            return Receipt { outcome: Outcome::Purged, changed: false, modified: false };
        }
        let changed_answers = policy.changed_answers();
        let mut closed = self.is_closed();
        let mut known = match closed {
            true => self.document.all_answers().into_owned(),
            false => self.document.answers.clone(),
        };
        let full = known.is_full();
        if full && !closed {
            closed = true;
            known = self.document.all_answers().into_owned();
        }
        let news = News::merge(&mut known, arrival.extraction, arrival.fact(), policy);
        let may_redeliver = closed
            && !full
            && !self.document.corrupt
            && self.state != State::Discarded
            && changed_answers == ChangedAnswerPolicy::Redeliver;
        let redelivers = may_redeliver && news.counts;
        let counts = !closed || redelivers;
        // What is known of a corrupt submission may be wrong, so that nothing is a duplicate of it.
        let mut outcome = match (news.is_any || self.document.corrupt, counts) {
            (false, _) => Outcome::Duplicate,
            (true, false) => Outcome::Late,
            (true, true) => Outcome::Updated,
        };
        let in_flight = self.is_in_flight();
        let is_late = !counts || in_flight;
        let is_unrecorded = outcome.keeps_webhook()
            && (!news.is_first || (is_late && self.document.late.is_full()));
        if is_unrecorded {
            if self.document.unrecorded < Document::UNRECORDED_MAX {
                self.document.unrecorded += 1;
            } else if is_late && self.document.late.is_full() {
                return Receipt { outcome: Outcome::Excess, changed: false, modified: false };
            } else {
                // The answer counts again all the same, which needs no room; its webhook is not kept.
                outcome = Outcome::Excess;
            }
        }
        if outcome.keeps_webhook() {
            // There is a body again, to be removed when it is old.
            self.retention = RetentionLevel::Full;
        }
        let mut modified = outcome.keeps_webhook();

        // While an attempt is in flight nothing is mixed with what it was made of.
        modified |= self.record(&news.new, is_late, changed_answers);
        // A duplicate re-opens nothing, even where it arrived before what is known.
        let is_earlier = !news.earlier.is_blank();
        let moves = !closed && (news.is_any || (is_earlier && self.state.is_waiting()));
        if moves {
            modified |= self.record(&news.earlier, false, changed_answers);
        } else if in_flight || may_redeliver {
            // It counts from its first arrival, should what is late be readmitted.
            modified |= self.record(&news.earlier, true, changed_answers);
        }

        let due = || due(&known, arrival, policy);
        if redelivers && in_flight {
            self.document.redeliver_at = Some(due().at);
        } else if redelivers {
            self.readmit_late();
            self.reschedule(due());
        } else if moves {
            self.reschedule(due());
        }
        Receipt { outcome, changed: news.changed && counts, modified }
    }

    /// Records what is new among what counts or among what is late; returns whether anything was.
    fn record(&mut self, new: &Answers, is_late: bool, policy: ChangedAnswerPolicy) -> bool {
        let to = if is_late { &mut self.document.late } else { &mut self.document.answers };
        if new.is_blank() || (is_late && to.is_full()) {
            return false;
        }
        to.merge(new, policy);
        true
    }

    /// Closed to answers: from the start of the first attempt that may have reached the destination.
    fn is_closed(&self) -> bool {
        self.is_in_flight()
            || self.document.reached
            || self.document.corrupt
            || matches!(self.state, State::Delivered | State::Discarded)
    }

    /// What is new moves the time at which it is due, and re-opens what was settled.
    fn reschedule(&mut self, due: DueTime) {
        let (state, due_at) = match self.state {
            // A retry keeps its wait.
            State::Pending if self.due_since.is_some() => (State::Pending, due.at.max(self.due_at)),
            // The destination knows of what was delivered, so it is not collected once more.
            State::Pending | State::Delivered => (State::Pending, due.at),
            _ if due.complete => (State::Pending, due.at),
            _ => (State::Collecting, due.at),
        };
        if !self.state.is_waiting() {
            self.forget_attempts_spent();
        }
        self.enter(state);
        self.due_at = due_at;
        self.settled_at = None;
        self.document.detail = None;
        self.document.reached = false;
        self.document.same_payload = false;
    }
}

impl Arrival<'_> {
    fn fact(&self) -> Fact {
        Fact { received_at: self.received_at, webhook: self.webhook }
    }
}

/// A value of a field alone says nothing that could be waited for.
fn due(answers: &Answers, arrival: &Arrival<'_>, policy: &dyn CompletionPolicy) -> DueTime {
    match answers.first_at() {
        Some(_) => policy.due(answers),
        None => DueTime { complete: false, at: arrival.received_at },
    }
}
