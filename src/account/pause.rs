use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::microsecond as micros;
use serde::{Deserialize, Serialize};

use super::PauseCause;
use crate::domain::Attempt;

/// Whether and why deliveries of an account are paused, and for how long they ever were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// `None` once the account has resumed.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "micros::optional")]
    since: Option<Timestamp>,
    cause: PauseCause,
    /// When a submission may next find out whether the account can resume.
    #[serde(with = "micros::required")]
    probe_at: Timestamp,
    /// HTTP status of the response that paused it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// What the destination said, or the comment of the operator.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    detail: String,
    /// Time paused before `since`, in microseconds: it counts as the age of no submission.
    #[serde(default)]
    paused_us: u64,
}

/// Which claims an account gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimable {
    /// As many as there is room for.
    Freely,
    /// One probe, now or at `at`.
    Probe { at: Timestamp, is_due: bool },
    /// None, until an operator resumes it.
    Never,
}

/// A pause in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PauseReason {
    pub cause: PauseCause,
    pub since: Timestamp,
    /// HTTP status of the response that paused it; `None` where an operator did.
    pub status: Option<u16>,
    /// What the destination said, or the comment of the operator.
    pub detail: String,
}

impl Pause {
    /// Pauses an account that was never paused.
    pub fn new(cause: PauseCause, attempt: &Attempt, probe_at: Timestamp) -> Self {
        Self {
            since: Some(attempt.finished_at),
            cause,
            probe_at,
            status: attempt.reply.status,
            detail: attempt.reply.text.clone(),
            paused_us: 0,
        }
    }

    /// An account that was never paused is paused by an operator.
    pub fn by_operator(comment: &str, at: Timestamp) -> Self {
        let detail = comment.to_owned();
        let cause = PauseCause::Operator;
        Self { since: Some(at), cause, probe_at: at, status: None, detail, paused_us: 0 }
    }

    /// An account of which no one can tell whether it is paused: only an operator can.
    pub fn unreadable(at: Timestamp) -> Self {
        Self::by_operator(
            "whether and why it was paused cannot be read; resume it if it may deliver",
            at,
        )
    }

    /// Pauses it, or notes once more why it is paused. A weaker cause changes nothing of a stronger
    /// one in force; a stronger one takes its place, and the time since when stays.
    pub fn pause(&mut self, cause: PauseCause, attempt: &Attempt, probe_at: Timestamp) {
        if self.since.is_some() && self.cause < cause {
            return;
        }
        let since = self.since.or(Some(attempt.finished_at));
        *self = Self { since, paused_us: self.paused_us, ..Self::new(cause, attempt, probe_at) };
    }

    /// An operator pauses it, or gives another comment.
    pub fn pause_by_operator(&mut self, comment: &str, at: Timestamp) {
        let (since, probe_at) = (self.since.or(Some(at)), self.probe_at);
        let paused_us = self.paused_us;
        *self = Self { since, probe_at, paused_us, ..Self::by_operator(comment, at) };
    }

    /// Resumes it, whatever the cause; returns whether it was paused. The time paused is kept; what
    /// was said is not, since it may repeat what a caller said.
    pub fn resume(&mut self, at: Timestamp) -> bool {
        let Some(since) = self.since.take() else { return false };
        self.paused_us = self.paused_us.saturating_add(between_us(since, at));
        self.detail.clear();
        true
    }

    /// A submission was accepted: the account resumes, unless an operator paused it.
    pub fn accepted(&mut self, at: Timestamp) {
        if self.cause != PauseCause::Operator {
            self.resume(at);
        }
    }

    /// The destination answered: an account that could not reach it resumes.
    pub fn answered(&mut self, at: Timestamp) {
        if self.cause == PauseCause::Unreachable {
            self.resume(at);
        }
    }

    /// Claims that the account gives at `now`. No probe is put off for longer than from one to the
    /// next: a time that is farther ahead was set before the clock moved back.
    pub fn claimable(&self, now: Timestamp, probe_interval: Duration) -> Claimable {
        match self.since {
            None => Claimable::Freely,
            Some(_) if self.cause == PauseCause::Operator => Claimable::Never,
            Some(_) => {
                let at = self.probe_at;
                Claimable::Probe { at, is_due: at <= now || at > now + 2 * probe_interval }
            }
        }
    }

    /// Allows the next probe then.
    pub fn probe_from(&mut self, at: Timestamp) {
        self.probe_at = at;
    }

    /// Allows a probe at once, unless an operator paused the account.
    pub fn probe_now(&mut self, at: Timestamp) {
        if self.cause != PauseCause::Operator {
            self.probe_at = self.probe_at.min(at);
        }
    }

    /// The pause in force.
    pub fn reason(&self) -> Option<PauseReason> {
        let since = self.since?;
        let (cause, status, detail) = (self.cause, self.status, self.detail.clone());
        Some(PauseReason { cause, since, status, detail })
    }

    /// Why it is paused, if it is.
    pub fn cause(&self) -> Option<PauseCause> {
        self.since.map(|_| self.cause)
    }

    /// How long it was ever paused, until `now`.
    pub fn paused_in_all(&self, now: Timestamp) -> Duration {
        let running = self.since.map_or(0, |since| between_us(since, now));
        Duration::from_micros(self.paused_us.saturating_add(running))
    }

    /// Removes the id of a call, which the destination may have repeated.
    pub fn erase_call(&mut self, call: &str) {
        if self.detail.contains(call) {
            self.detail = self.detail.replace(call, "(erased)");
        }
    }
}

/// Zero where the clock went back.
fn between_us(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.as_microsecond().saturating_sub(from.as_microsecond())).unwrap_or(0)
}
