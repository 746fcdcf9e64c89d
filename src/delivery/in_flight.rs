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

#[cfg(test)]
mod tests {
    //! All interleavings of exchanges, of which one panics, with rounds of the dispatcher whose store refuses
    //! now and then: the structure belongs to one thread, and tasks interleave where they wait.

    use std::collections::BTreeSet;
    use std::collections::VecDeque;

    use uuid::Uuid;

    use super::*;
    use crate::domain::{AttemptResponse, Verdict};
    use crate::submission::SubmissionId;

    /// What happens next, of these actors: three exchanges, and the dispatcher.
    const ACTORS: usize = 4;
    /// An exchange begins and ends. The last one panics.
    const PANICS: usize = 2;
    const DISPATCHER: usize = 3;
    const STEPS: [usize; ACTORS] = [2, 2, 2, 4];

    /// Every order of so many steps of each actor.
    fn interleavings(left: [usize; ACTORS]) -> Vec<VecDeque<usize>> {
        let can_go_on = (0..ACTORS).filter(|actor| left[*actor] > 0);
        let mut all: Vec<VecDeque<usize>> = Vec::new();
        for actor in can_go_on {
            let mut rest = left;
            rest[actor] -= 1;
            let then = interleavings(rest);
            all.extend(then.into_iter().map(|mut order| {
                order.push_front(actor);
                order
            }));
        }
        if all.is_empty() { vec![VecDeque::new()] } else { all }
    }

    fn token(number: usize) -> LeaseToken {
        LeaseToken { submission: SubmissionId(Uuid::from_u128(number as u128)), fence: 1 }
    }

    fn decided(number: usize, account: &Name) -> Decided {
        let attempt = Attempt {
            verdict: Verdict::Accepted,
            reply: AttemptResponse::default(),
            finished_at: Timestamp::UNIX_EPOCH,
        };
        Decided {
            account: account.clone(),
            survey: account.clone(),
            call: "c-1".parse().unwrap(),
            sources: Vec::new(),
            settlement: Settlement { token: token(number), attempt, decision: Decision::Delivered },
            number: 1,
            due_since: Timestamp::UNIX_EPOCH,
            delivered: None,
            fields: BTreeMap::new(),
            redelivery: false,
            probe: false,
        }
    }

    /// The dispatcher's rounds: settlements are sent to the store, which takes them or not some steps later. What
    /// exchanges have reported waits for the dispatcher meanwhile.
    #[derive(Default)]
    struct Played {
        in_flight: InFlight,
        running: BTreeMap<usize, Rc<LeaseToken>>,
        reported: VecDeque<(usize, Rc<LeaseToken>)>,
        /// Settlements that the store has been asked to record.
        asked: Option<usize>,
        recorded: Vec<usize>,
        /// Exchanges that have panicked.
        gone: BTreeSet<usize>,
    }

    impl Played {
        fn exchange(&mut self, number: usize, account: &Name) {
            let Some(leased) = self.running.remove(&number) else {
                let leased = self.in_flight.began(account, token(number));
                self.running.insert(number, leased);
                return;
            };
            match number {
                PANICS => _ = self.gone.insert(number),
                _ => self.reported.push_back((number, leased)),
            }
        }

        fn dispatch(&mut self, account: &Name, store_takes: bool) {
            if let Some(asked) = self.asked.take() {
                if store_takes {
                    let recorded = self.in_flight.take_recorded(asked);
                    let number = |it: &Decided| it.settlement.token.submission.0.as_u128() as usize;
                    self.recorded.extend(recorded.iter().map(number));
                }
                return;
            }
            while let Some((number, leased)) = self.reported.pop_front() {
                self.in_flight.ended(account, leased);
                self.in_flight.decide(decided(number, account));
            }
            self.asked = Some(self.in_flight.decided().len());
        }

        /// A claim's lease is renewed until its settlement is recorded, and no longer.
        fn holds(&mut self, begun: &BTreeSet<usize>) {
            let leased: Vec<_> = self.in_flight.leased();
            for number in begun {
                let times = leased.iter().filter(|it| **it == token(*number)).count();
                let is_over = self.recorded.contains(number) || self.gone.contains(number);
                assert_eq!(times, usize::from(!is_over), "exchange {number}");
            }
            assert_eq!(leased.len(), begun.len() - self.recorded.len() - self.gone.len());
        }
    }

    #[test]
    fn a_lease_is_renewed_until_its_settlement_is_recorded_in_every_interleaving() {
        let account: Name = "main".parse().unwrap();
        let orders = interleavings(STEPS);
        assert_eq!(orders.len(), 18_900);
        // The store refuses the first time, the second time, or never.
        for (order, refuses) in orders.iter().flat_map(|order| (0..3).map(move |n| (order, n))) {
            let (mut played, mut begun, mut answers) = (Played::default(), BTreeSet::new(), 0);
            for actor in order {
                if *actor == DISPATCHER {
                    let is_answer = played.asked.is_some();
                    played.dispatch(&account, answers != refuses);
                    answers += usize::from(is_answer);
                } else {
                    begun.insert(*actor);
                    played.exchange(*actor, &account);
                }
                played.holds(&begun);
            }
            // Rounds without end, in which the store takes everything.
            for _ in 0..4 {
                played.dispatch(&account, true);
            }
            played.holds(&begun);
            played.recorded.sort_unstable();
            assert_eq!(played.recorded, [0, 1], "each result is recorded once: {order:?}");
            // Where a panic ends the process, as in a release, no place is left for it.
            assert_eq!(played.in_flight.exchanges(), played.gone.len());
        }
    }
}
