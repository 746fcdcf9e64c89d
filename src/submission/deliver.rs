//! Claiming a submission for an attempt, and what follows from the attempt.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::answers::{Answers, ChangedAnswerPolicy};
use super::document::{AttemptResponse, Document, Json, Submission};
use super::insight::Insight;
use super::retry::UnknownResult;
use super::state::{DeadReason, IgnoredReason, State, SubmissionId, SubmissionKey};
use crate::account::PauseCause;
use crate::domain::{Attempt, CallUuid, Feedback, Name, SpanContext, Verdict};

/// What maps answers to feedback: the surveys and accounts of the settings. The store calls it inside
/// the transaction that starts the attempt.
pub trait Mapper: Send + Sync {
    /// `payload` is the last payload, if an operator asked to send it again unchanged.
    fn map(&self, key: &SubmissionKey, answers: &Answers, payload: Option<&Json>) -> Mapped;

    /// What happens to a submission whose last attempt may have arrived.
    fn on_unknown_result(&self) -> UnknownResult;
}

/// The result of mapping, and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    pub mapping: Mapping,
    /// The parts of the survey that decided; `None` if no survey was evaluated.
    pub trace: Option<Json>,
    /// What the tallies know of the answers beside their feedback; likewise.
    pub insight: Option<Insight>,
}

/// What the answers about one call come to.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapping {
    Feedback(Feedback),
    /// There is nothing to send.
    Ignore {
        reason: IgnoredReason,
        /// In a rule's own words, or what a test would have become.
        detail: Option<String>,
    },
    /// An operator has to look at it; why, in words that may be logged.
    Dead {
        reason: DeadReason,
        detail: String,
    },
}

impl Mapping {
    /// The settings have no place for it.
    pub fn unmapped(detail: impl Into<String>) -> Self {
        Mapping::Dead { reason: DeadReason::Unmapped, detail: detail.into() }
    }

    /// The mapping of the same answers about `call`: a test is ignored, whatever it maps to, and its
    /// detail says what the answers of a caller would become.
    pub fn about(self, call: &CallUuid) -> Self {
        if !call.is_test() {
            return self;
        }
        let would_be = match self {
            Mapping::Feedback(feedback) => format!("feedback {}", feedback.to_json()),
            Mapping::Ignore { reason, .. } => format!("ignored ({})", reason.label()),
            Mapping::Dead { reason, detail } => format!("dead ({}): {detail}", reason.label()),
        };
        let detail = format!("a test, never delivered; a caller's answers would be {would_be}");
        Mapping::Ignore { reason: IgnoredReason::Test, detail: Some(detail) }
    }
}

/// How long after its last answer a submission that the settings have no place for is not dead, if another
/// process may have newer ones: those by which it was received come to each process by then.
const SETTINGS_DIFFER_FOR: Duration = Duration::from_secs(600);

/// How soon it is claimed again meanwhile.
const PUT_OFF_FOR: Duration = Duration::from_secs(60);

/// How far ahead of a claim the times of a submission may be, as webhooks arrive while it is made.
pub const CLOCK_SLACK: Duration = Duration::from_secs(10);

/// Circumstances of a claim.
#[derive(Debug, Clone, Copy)]
pub struct ClaimContext {
    pub now: Timestamp,
    /// When the lease ends, by the store's clock.
    pub lease_until: Timestamp,
    /// Why the account is paused: this claim finds out whether it may resume.
    pub paused_for: Option<PauseCause>,
    /// How long the account was ever paused.
    pub paused_in_all: Duration,
    /// The most that anything waits for by the settings: no offer ages by more between two attempts,
    /// whatever the wall clock shows.
    pub longest_wait: Duration,
    /// Other processes receive and claim too, perhaps by other settings.
    pub settings_may_differ: bool,
}

/// Result of a claim.
#[derive(Debug, Clone)]
pub enum ClaimOutcome {
    /// An attempt has started.
    Started(Box<Claim>),
    /// There is no attempt: it was settled or put off, in the state it has now.
    Unsent,
}

/// An attempt that has started: the right, and the duty, to make it and to settle it.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    pub token: LeaseToken,
    pub key: SubmissionKey,
    pub feedback: Feedback,
    /// Of the attempt, from 1.
    pub number: u32,
    /// Earlier attempts that count against the limit.
    pub attempts: u32,
    /// Since the first attempt that could begin, without the time in which the account was paused.
    pub age: Duration,
    /// When it fell due: each attempt moves the time of the next one, and not this.
    pub due_since: Timestamp,
    /// The destination has accepted feedback of this submission before.
    pub redelivery: bool,
    /// Why its account is paused: this attempt finds out whether it may resume.
    pub paused_for: Option<PauseCause>,
    /// How often the account was said to be at fault while it was not paused.
    pub rejections: u32,
    /// The sources of its webhooks, by name; the store knows them.
    pub sources: Vec<Name>,
    /// What its webhooks said beside the answers.
    pub fields: BTreeMap<Name, String>,
    /// The spans of the webhooks with its answers.
    pub webhooks: Vec<SpanContext>,
}

/// Proof of a claim. `fence` grows with each claim of the submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseToken {
    pub submission: SubmissionId,
    pub fence: u64,
}

/// The end of an attempt, and the decision about its submission.
#[derive(Debug, Clone)]
pub struct Settlement {
    pub token: LeaseToken,
    pub attempt: Attempt,
    pub decision: Decision,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decision {
    Delivered,
    /// The attempt counts, and another is due then.
    Retry {
        at: Timestamp,
    },
    /// An operator has to look at it. Where most others would die of the same, the account is paused,
    /// and may be probed then.
    Dead {
        reason: DeadReason,
        pause: Option<(PauseCause, Timestamp)>,
    },
    /// Most of what its source brings would die of the same, while others of its account are accepted:
    /// the attempt does not count, and another is due then.
    SetAside {
        at: Timestamp,
    },
    /// The account is paused and the attempt does not count.
    Pause {
        cause: PauseCause,
        /// When the account may be probed.
        probe_at: Timestamp,
        /// When this submission is due again.
        at: Timestamp,
    },
}

/// Result of a settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    Done,
    /// It was to be dead, but answers arrived during the attempt: it is due with them.
    NewerAnswers,
    /// The lease had expired and another claim may exist, or it was erased: nothing was changed.
    LeaseLost,
}

impl Claim {
    /// Whether it finds out if its account may resume.
    pub fn is_probe(&self) -> bool {
        self.paused_for.is_some()
    }
}

impl Submission {
    /// Whether it may be claimed: it waits, is due, and no attempt is in flight.
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.state.is_waiting() && !self.is_in_flight() && self.due_at <= now
    }

    /// Makes it due no later than that: its due time was reckoned by a clock that was put back since.
    pub fn bring_forward(&mut self, latest: Timestamp) {
        self.due_at = self.due_at.min(latest);
    }

    /// Maps a submission that is due and starts an attempt, or settles it where there is nothing to
    /// send, or puts it off where other settings may know what to send. From the start of an attempt on
    /// answers are late, unless it ends as not received.
    pub fn claim(&mut self, context: &ClaimContext, mapper: &dyn Mapper) -> ClaimOutcome {
        let Some(key) = self.key() else { return ClaimOutcome::Unsent };
        self.fence += 1;
        self.enter(State::Pending);
        let Mapped { mapping, trace, insight } = self.map(&key, mapper);
        if let Mapping::Dead { reason: DeadReason::Unmapped, .. } = mapping
            && let Some(at) = self.put_off_until(context)
        {
            self.due_at = at;
            return ClaimOutcome::Unsent;
        }
        if trace.is_some() {
            self.document.trace = trace;
        }
        let feedback = match &mapping {
            Mapping::Feedback(feedback) => Some(feedback),
            Mapping::Ignore { .. } | Mapping::Dead { .. } => None,
        };
        self.document.insight.update(insight, feedback);
        match mapping {
            Mapping::Feedback(feedback) => {
                ClaimOutcome::Started(Box::new(self.start_attempt(key, feedback, context)))
            }
            Mapping::Ignore { reason, detail } => {
                self.close(State::Ignored(reason), detail, context.now);
                ClaimOutcome::Unsent
            }
            Mapping::Dead { reason, detail } => {
                self.close(State::Dead(reason), Some(detail), context.now);
                ClaimOutcome::Unsent
            }
        }
    }

    /// When it is claimed again, if settings that differ may have a place for it.
    fn put_off_until(&self, context: &ClaimContext) -> Option<Timestamp> {
        let heard_at = self.document.answers.last_heard_at().unwrap_or(self.accepted_at);
        let after = |at: Timestamp, time| at.saturating_add(time).unwrap_or(Timestamp::MAX);
        let end = after(heard_at, SETTINGS_DIFFER_FOR);
        // An answer of the future was received by a clock that was put back since.
        let is_of_now = heard_at <= after(context.now, CLOCK_SLACK) && context.now < end;
        (context.settings_may_differ && is_of_now).then(|| end.min(after(context.now, PUT_OFF_FOR)))
    }

    fn map(&self, key: &SubmissionKey, mapper: &dyn Mapper) -> Mapped {
        // The process may have ended before that could be decided.
        if self.may_have_arrived() && mapper.on_unknown_result() == UnknownResult::Dead {
            let detail =
                "the result of its last attempt is unknown: it may have arrived".to_owned();
            let mapping = Mapping::Dead { reason: DeadReason::UnknownResult, detail };
            return Mapped { mapping, trace: None, insight: None };
        }
        let payload = self.last_payload().filter(|_| self.document.same_payload);
        mapper.map(key, &self.document.answers, payload)
    }

    /// Whether the last attempt of this offer may have arrived and its result is unknown.
    fn may_have_arrived(&self) -> bool {
        let last = self.last_attempt().and_then(|attempt| attempt.response.as_ref());
        self.document.reached
            && self.document.attempts_used > 0
            && last.is_some_and(|response| response.verdict == Verdict::UnknownResult)
    }

    fn start_attempt(
        &mut self,
        key: SubmissionKey,
        feedback: Feedback,
        context: &ClaimContext,
    ) -> Claim {
        let ClaimContext { now, lease_until, paused_for, paused_in_all, longest_wait, .. } =
            *context;
        let paused_us = micros(paused_in_all);
        let due_since = self.due_since.unwrap_or_else(|| {
            // What re-opened it is later than the time at which it is due, if an older answer counts again.
            let was_claimed_before = self.fence > 1;
            let reopened_at = self.document.answers.last_heard_at().filter(|_| was_claimed_before);
            self.due_at.max(reopened_at.unwrap_or(self.due_at)).min(now)
        });
        if self.due_since.is_none() {
            self.due_since = Some(due_since);
        } else if let Some(last) = self.last_attempt()
            && last.could_begin()
        {
            let paused_since = paused_us.saturating_sub(self.document.paused_before_us);
            let waited = micros(between(last.started_at, now)).saturating_sub(paused_since);
            self.document.age_us += waited.min(micros(longest_wait));
        }
        self.document.paused_before_us = paused_us;
        let payload = Json::new(feedback.to_json()).expect("feedback is written as JSON");
        self.document.start_attempt(now, payload);
        self.document.probe = paused_for.is_some();
        self.lease_until = Some(lease_until);
        Claim {
            token: LeaseToken { submission: self.id, fence: self.fence },
            key,
            feedback,
            number: self.document.attempts_made,
            attempts: self.document.attempts_used,
            age: Duration::from_micros(self.document.age_us),
            due_since,
            fields: self.document.answers.field_values(),
            redelivery: self.document.delivered.is_some(),
            paused_for,
            rejections: self.document.rejections,
            sources: Vec::new(),
            webhooks: self.answering_spans(),
        }
    }

    /// The spans of the webhooks that brought an answer.
    fn answering_spans(&self) -> Vec<SpanContext> {
        let mut spans = Vec::new();
        for answer in self.document.answers.recorded() {
            let span = self.document.span_of(answer.webhook);
            if !spans.contains(&span) && spans.len() < Document::SENDER_TRACES_MAX {
                spans.push(span);
            }
        }
        spans
    }

    /// Whether the claim that a token proves still holds.
    pub fn is_leased_by(&self, token: &LeaseToken) -> bool {
        self.is_in_flight() && self.fence == token.fence
    }

    /// What a settlement comes to whose claim has ended: as before if it is recorded, which is asked for again
    /// where the commit had no answer.
    pub fn settled_before(&self, settlement: &Settlement) -> Settled {
        let Settlement { token, attempt, decision } = settlement;
        let response = self.last_attempt().and_then(|attempt| attempt.response.as_ref());
        if self.is_in_flight()
            || self.fence != token.fence
            || response != Some(&AttemptResponse::from(attempt))
        {
            return Settled::LeaseLost;
        }
        let is_reopened =
            matches!(decision, Decision::Dead { .. }) && !matches!(self.state, State::Dead(_));
        if is_reopened { Settled::NewerAnswers } else { Settled::Done }
    }

    /// Records the end of an attempt and what was decided.
    pub fn settle(&mut self, settlement: &Settlement) -> Settled {
        let Settlement { token, attempt, decision } = settlement;
        if !self.is_leased_by(token) {
            return self.settled_before(settlement);
        }
        let at = attempt.finished_at;
        let is_spent = attempt.verdict != Verdict::LocalError
            && !matches!(decision, Decision::Pause { .. } | Decision::SetAside { .. });
        let More { counts: more, redeliver_at } = self.finish_attempt(attempt, is_spent);
        // Answers that have to be delivered too may be due later.
        let not_before = |at: Timestamp| redeliver_at.map_or(at, |due| due.max(at));
        match *decision {
            Decision::Delivered => {
                self.document.delivered = self.last_payload().cloned();
                self.close(State::Delivered, None, at);
                if more {
                    self.start_over(not_before(at));
                }
            }
            Decision::Retry { at } | Decision::SetAside { at } => self.due_at = not_before(at),
            Decision::Dead { .. } if more => {
                // With more answers it is another offer, and as young as they are.
                self.start_over(not_before(at));
                return Settled::NewerAnswers;
            }
            Decision::Dead { reason, .. } => {
                self.close(State::Dead(reason), Some(attempt.reply.text.clone()), at);
            }
            Decision::Pause { cause, at, .. } => {
                self.due_at = not_before(at);
                // A probe finds the account at fault; one that is rejected while others pass may be at
                // fault itself.
                if cause == PauseCause::AccountRejected && !self.document.probe {
                    self.document.rejections += 1;
                }
            }
        }
        Settled::Done
    }

    /// Ends the attempt in flight; one that surely did not arrive leaves the submission open.
    fn finish_attempt(&mut self, attempt: &Attempt, is_spent: bool) -> More {
        let document = &mut self.document;
        self.lease_until = None;
        document.finish_attempt(attempt.into());
        document.attempts_used += u32::from(is_spent);
        document.reached |= attempt.may_have_reached();
        let redeliver_at = document.redeliver_at.take();
        let counts = (!document.reached || redeliver_at.is_some()) && self.readmit_late();
        if counts {
            self.document.reached &= redeliver_at.is_none();
            self.document.same_payload = false;
        }
        More { counts, redeliver_at }
    }

    /// Frees a claim whose lease has expired. The attempt may have arrived: it is recorded as an
    /// unknown result and closes the submission, unless an answer changed meanwhile that has to be
    /// delivered too.
    pub fn expire(&mut self) {
        if self.lease_until.take().is_none() {
            return;
        }
        self.document.finish_attempt(AttemptResponse {
            finished_at: None,
            verdict: Verdict::UnknownResult,
            status: None,
            api_id: None,
            error: None,
            text: Some("lease expired before a response was recorded".to_owned()),
        });
        self.document.attempts_used += 1;
        match self.document.redeliver_at.take() {
            None => self.document.reached = true,
            Some(due_at) => {
                self.readmit_late();
                self.document.reached = false;
                self.document.same_payload = false;
                self.due_at = self.due_at.max(due_at);
            }
        }
    }

    /// Lets what is late count after all; returns whether there was anything, and room for it.
    pub(super) fn readmit_late(&mut self) -> bool {
        if self.document.answers.is_full() {
            return false;
        }
        let late = std::mem::take(&mut self.document.late);
        self.document.answers.merge(&late, ChangedAnswerPolicy::KeepLast);
        !late.is_blank()
    }

    /// Offers it as if it had never been offered.
    pub(super) fn start_over(&mut self, due_at: Timestamp) {
        self.enter(State::Pending);
        self.settled_at = None;
        self.due_at = due_at;
        self.forget_attempts_spent();
    }

    pub(super) fn forget_attempts_spent(&mut self) {
        self.due_since = None;
        self.document.paused_before_us = 0;
        self.document.age_us = 0;
        self.document.attempts_used = 0;
        self.document.rejections = 0;
    }

    pub(super) fn close(&mut self, state: State, detail: Option<String>, at: Timestamp) {
        self.enter(state);
        self.settled_at = Some(at);
        self.lease_until = None;
        self.document.detail = detail;
        self.document.same_payload = false;
    }

    pub(super) fn enter(&mut self, state: State) {
        assert!(
            self.state == state || self.state.may_become(state),
            "{:?} cannot become {state:?}",
            self.state
        );
        self.state = state;
    }
}

/// What became of answers that arrived during an attempt.
struct More {
    /// There were some, and nothing has reached the destination, or they have to be delivered too.
    counts: bool,
    /// When they are due, if they have to be delivered too.
    redeliver_at: Option<Timestamp>,
}

/// Zero where the clock went back.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    to.duration_since(from).try_into().unwrap_or_default()
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
