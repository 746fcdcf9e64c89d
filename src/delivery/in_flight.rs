use std::collections::BTreeMap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Attempt, CallUuid, Feedback, Name};
use crate::submission::{Claim, Decision, LeaseToken, Settlement};

/// Work of the dispatcher: exchanges that run, and decisions that the store has still to record.
#[derive(Default)]
pub(super) struct InFlight {
    exchanges: BTreeMap<Name, usize>,
    /// Claims whose exchange runs or has a result that is not decided yet; one that panicked is gone.
    leased: Vec<Weak<LeaseToken>>,
    decided: Vec<Decided>,
}

/// An exchange that has ended.
pub(super) struct Exchanged {
    pub claim: Box<Claim>,
    pub attempt: Attempt,
    pub took: Duration,
    /// Whether the exchange began before its claim ended.
    pub has_begun: bool,
    /// Its claim holds until the result is decided, however long the process did not run.
    pub leased: Rc<LeaseToken>,
}

/// A decision, with what is reported once it is recorded.
#[derive(Debug, Clone)]
pub(super) struct Decided {
    pub account: Name,
    pub survey: Name,
    pub call: CallUuid,
    pub sources: Vec<Name>,
    pub settlement: Settlement,
    /// The number of the attempt.
    pub number: u32,
    /// When it fell due.
    pub due_since: Timestamp,
    /// The feedback delivered, and the time since it fell due.
    pub delivered: Option<(Feedback, Duration)>,
    pub fields: BTreeMap<Name, String>,
    /// The destination had accepted feedback of this submission before.
    pub redelivery: bool,
    /// Its account was paused.
    pub probe: bool,
}

impl Decided {
    pub fn new(claim: Claim, attempt: Attempt, decision: Decision) -> Self {
        let (redelivery, probe) = (claim.redelivery, claim.is_probe());
        let latency = attempt.finished_at.duration_since(claim.due_since);
        let delivered = (decision == Decision::Delivered)
            .then(|| (claim.feedback, latency.try_into().unwrap_or_default()));
        Self {
            account: claim.key.account,
            survey: claim.key.survey,
            call: claim.key.call,
            sources: claim.sources,
            fields: claim.fields,
            settlement: Settlement { token: claim.token, attempt, decision },
            number: claim.number,
            due_since: claim.due_since,
            delivered,
            redelivery,
            probe,
        }
    }
}

impl InFlight {
    pub fn of_account(&self, account: &Name) -> usize {
        self.exchanges.get(account).copied().unwrap_or(0)
    }

    pub fn exchanges(&self) -> usize {
        self.exchanges.values().sum()
    }

    /// Begins an exchange; its lease is renewed until the returned token is dropped.
    pub fn began(&mut self, account: &Name, token: LeaseToken) -> Rc<LeaseToken> {
        let leased = Rc::new(token);
        self.leased.push(Rc::downgrade(&leased));
        match self.exchanges.get_mut(account) {
            Some(count) => *count += 1,
            None => {
                self.exchanges.insert(account.clone(), 1);
            }
        }
        leased
    }

    /// Claims whose lease is renewed: their exchange runs, or its settlement is not recorded yet.
    pub fn leased(&mut self) -> Vec<LeaseToken> {
        self.leased.retain(|leased| leased.strong_count() > 0);
        let running = self.leased.iter().filter_map(Weak::upgrade).map(|leased| *leased);
        running.chain(self.decided.iter().map(|decided| decided.settlement.token)).collect()
    }

    /// Ends an exchange; from then on its pending settlement renews the lease.
    pub fn ended(&mut self, account: &Name, leased: Rc<LeaseToken>) {
        drop(leased);
        if let Some(count) = self.exchanges.get_mut(account) {
            *count -= 1;
        }
    }

    pub fn decide(&mut self, decided: Decided) {
        self.decided.push(decided);
    }

    pub fn decided(&self) -> &[Decided] {
        &self.decided
    }

    /// The first `count` decisions, which the store has recorded.
    pub fn take_recorded(&mut self, count: usize) -> Vec<Decided> {
        self.decided.drain(..count).collect()
    }
}
