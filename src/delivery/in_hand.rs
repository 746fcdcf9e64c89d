use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Attempt, Feedback, Name};
use crate::store::{Decision, Lease, Settlement};
use crate::submission::SubmissionId;

/// Work the courier holds: exchanges under way, and decisions that the ledger has still to write.
#[derive(Default)]
pub(super) struct InHand {
    in_flight: BTreeMap<Name, usize>,
    decided: Vec<Decided>,
}

/// An exchange that has ended.
pub(super) struct Heard {
    pub lease: Lease,
    pub feedback: Feedback,
    pub trace: Option<String>,
    pub attempt: Attempt,
    pub took: Duration,
}

/// A decision that waits for the ledger, with what is told once it is written.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub account: Name,
    pub survey: Name,
    pub settlement: Settlement,
    /// What was handed over, and how long after the caller's last answer.
    pub delivered: Option<(Feedback, Duration)>,
    /// It had been handed over before.
    pub again: bool,
    /// Its account was held.
    pub probe: bool,
}

impl Decided {
    pub fn new(lease: &Lease, decision: Decision, trace: Option<String>, at: Timestamp) -> Self {
        Self {
            account: lease.key.account.clone(),
            survey: lease.key.survey.clone(),
            settlement: Settlement { ticket: lease.ticket, decision, trace, at },
            delivered: None,
            again: lease.again,
            probe: lease.probe,
        }
    }

    pub fn submission(&self) -> SubmissionId {
        self.settlement.ticket.submission
    }
}

impl InHand {
    pub fn of_account(&self, account: &Name) -> usize {
        self.in_flight.get(account).copied().unwrap_or(0)
    }

    pub fn in_flight(&self) -> usize {
        self.in_flight.values().sum()
    }

    pub fn began(&mut self, account: &Name) {
        *self.in_flight.entry(account.clone()).or_default() += 1;
    }

    pub fn ended(&mut self, account: &Name) {
        if let Some(count) = self.in_flight.get_mut(account) {
            *count -= 1;
        }
    }

    pub fn decide(&mut self, decided: Decided) {
        self.decided.push(decided);
    }

    pub fn decided(&self) -> &[Decided] {
        &self.decided
    }

    /// The ledger has them.
    pub fn take_decided(&mut self) -> Vec<Decided> {
        std::mem::take(&mut self.decided)
    }
}
