use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::in_hand::{Decided, Heard, InHand};
use super::lane::Lane;
use super::offer;
use super::parts::{Parts, Terms};
use super::secrets::{self, Secrets};
use super::tell::tell;
use crate::destination::Client;
use crate::domain::{Attempt, Feedback, Name, Verdict};
use crate::store::{Begun, Decision, Lease, LeaseRequest, Offer, StoreError, Ticket};
use crate::survey::Mapping;
use crate::telemetry::logs;

/// How long a ledger that refuses is left alone before it is asked again.
const LEDGER_RETRY: Duration = Duration::from_secs(1);

/// Most submissions of one account, not in the settings any more, that are looked at in one round.
const STRANGERS_MAX: usize = 64;

/// How often accounts that the settings do not have are looked for in the ledger.
const STRANGERS_EVERY: Duration = Duration::from_secs(60);

/// How long the courier rests at most: something may have changed that nobody tells of.
const LOOK_EVERY: Duration = secrets::LOOK_EVERY;

/// Takes what is due and hands it over.
///
/// One [`tick`](Courier::tick) writes down what was decided, then leases what is due, as much of it
/// as each account's pace allows, and sets it going. Exchanges run beside the ticks; what was heard
/// becomes a decision when it comes back, by what the courier knows of the account.
pub struct Courier {
    parts: Parts,
    terms: Arc<Terms>,
    client: Rc<Client>,
    in_hand: InHand,
    /// What was leased and could not begin, until the ledger takes it back: nobody would look for
    /// leases that run out while nothing else is due.
    unsent: Vec<Ticket>,
    heard: mpsc::UnboundedReceiver<Heard>,
    report: mpsc::UnboundedSender<Heard>,
    lanes: BTreeMap<Name, Lane>,
    secrets: Secrets,
    /// Accounts for which there may be something better now, if they are held.
    to_probe: Vec<Name>,
    /// Accounts with submissions waiting that the settings do not have.
    strangers: Vec<Name>,
    look_for_strangers_at: Option<Timestamp>,
}

impl Courier {
    /// On the thread that is to run it, within a `LocalSet`.
    pub fn new(parts: Parts) -> Self {
        let terms = parts.terms.borrow().clone();
        let (report, heard) = mpsc::unbounded_channel();
        let mut courier = Self {
            parts,
            client: client_for(&terms),
            in_hand: InHand::default(),
            unsent: Vec::new(),
            heard,
            report,
            lanes: BTreeMap::new(),
            secrets: Secrets::of(&terms.destinations),
            to_probe: terms.destinations.keys().cloned().collect(),
            terms,
            strangers: Vec::new(),
            look_for_strangers_at: None,
        };
        courier.lay_lanes();
        courier
    }

    /// Runs until it is told to stop, and how long it may take for that.
    pub async fn run(mut self, mut stop: watch::Receiver<Option<Duration>>) {
        loop {
            let wait = self.wait_until_due().await;
            tokio::select! {
                told = stop.changed() => {
                    let deadline = told.ok().and_then(|()| *stop.borrow()).unwrap_or_default();
                    return self.finish(deadline).await;
                }
                Some(heard) = self.heard.recv() => self.decide(heard),
                () = self.parts.store.kept_more() => {}
                Ok(()) = self.parts.terms.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One tick by the clock; answers how long nothing will be due.
    async fn wait_until_due(&mut self) -> Duration {
        let now = (self.parts.clock)();
        match self.tick(now).await {
            Ok(next_due_at) => next_due_at
                .map_or(LOOK_EVERY, |at| at.duration_since(now).try_into().unwrap_or_default())
                .min(LOOK_EVERY),
            Err(error) => {
                tracing::debug!(error = logs::chain(&error), "the ledger is not to be had");
                LEDGER_RETRY
            }
        }
    }

    /// Writes down what was decided, then takes up what is due and answers when the next will be.
    /// While the ledger refuses, what was decided waits here and nothing is leased.
    ///
    /// # Errors
    /// What the ledger says.
    pub async fn tick(&mut self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        while let Ok(heard) = self.heard.try_recv() {
            self.decide(heard);
        }
        self.settle().await?;
        self.give_back().await?;
        self.heed_new_terms();
        self.meet_strangers(now).await?;
        self.probe_what_may_be_mended(now).await?;
        let wanted = self.wanted(now);
        if wanted.is_empty() {
            return Ok(self.room_at(now));
        }
        let probe_every = self.terms.options.hold_probe;
        let leased = self.parts.store.lease(LeaseRequest { wanted, now, probe_every }).await?;
        // What was kept under new terms in the meantime is mapped by them.
        self.heed_new_terms();
        let taken = leased.leases.len();
        let in_flight = self.in_hand.in_flight();
        if taken > 0 {
            self.take_up(leased.leases, now).await?;
        }
        // Whatever went without an exchange has left its place, which may be wanted at once: no
        // reply will come that would wake the courier.
        let left_room = self.in_hand.in_flight() - in_flight < taken;
        let next_at = leased.next_due_at.into_iter().chain(self.room_at(now)).min();
        Ok(if left_room { Some(now) } else { next_at })
    }

    /// Waits until no exchange is under way and everything decided is written down.
    ///
    /// # Errors
    /// What the ledger says.
    pub async fn idle(&mut self) -> Result<(), StoreError> {
        while self.in_hand.in_flight() > 0 {
            let heard = self.heard.recv().await.expect("the courier holds a sender");
            self.decide(heard);
        }
        self.settle().await
    }

    async fn finish(mut self, deadline: Duration) {
        let all_written = async {
            while self.idle().await.is_err() {
                tokio::time::sleep(LEDGER_RETRY).await;
            }
        };
        if tokio::time::timeout(deadline, all_written).await.is_ok() {
            tracing::info!("nothing is left in flight");
            return;
        }
        if let Err(error) = self.settle().await {
            tracing::error!(
                error = logs::chain(&error),
                results = self.in_hand.decided().len(),
                "results could not be written down; they may be delivered again"
            );
        }
        let open = self.in_hand.in_flight();
        if open > 0 {
            tracing::warn!(open, "stopped with exchanges in flight: they become unknown results");
        }
    }

    /// What is under way is handed over as it began. Held accounts may have been mended by this.
    fn heed_new_terms(&mut self) {
        let terms = self.parts.terms.borrow().clone();
        if Arc::ptr_eq(&terms, &self.terms) {
            return;
        }
        self.client = client_for(&terms);
        self.lanes.retain(|account, _| terms.destinations.contains_key(account));
        self.lanes.values_mut().for_each(|lane| lane.pace.change(&terms.options));
        self.secrets = Secrets::of(&terms.destinations);
        self.to_probe = terms.destinations.keys().cloned().collect();
        self.look_for_strangers_at = None;
        self.terms = terms;
        self.lay_lanes();
    }

    /// One for each account of the settings.
    fn lay_lanes(&mut self) {
        let now = (self.parts.clock)();
        let terms = self.terms.clone();
        for account in terms.destinations.keys() {
            let limit = self.lane(account, now).pace.limit();
            self.parts.metrics.limit_changed(account, limit);
        }
    }

    fn lane(&mut self, account: &Name, now: Timestamp) -> &mut Lane {
        let new = || Lane::new(&self.terms.options, now);
        self.lanes.entry(account.clone()).or_insert_with(new)
    }

    /// How many more of each account may be taken up.
    fn wanted(&self, now: Timestamp) -> Vec<(Name, usize)> {
        let known = self.lanes.iter().map(|(account, lane)| {
            (account.clone(), lane.pace.room(self.in_hand.of_account(account), now))
        });
        let strangers = self.strangers.iter().map(|account| (account.clone(), STRANGERS_MAX));
        known.chain(strangers).filter(|(_, room)| *room > 0).collect()
    }

    /// When the pace of an account will allow what it does not allow now.
    fn room_at(&self, now: Timestamp) -> Option<Timestamp> {
        let of_lane = |(account, lane): (&Name, &Lane)| {
            lane.pace.room_at(self.in_hand.of_account(account), now)
        };
        self.lanes.iter().filter_map(of_lane).min()
    }

    /// Held accounts need not wait for their probe's time where the settings or the secret changed.
    async fn probe_what_may_be_mended(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.to_probe.extend(self.secrets.changed(&self.terms.destinations, now));
        if !self.to_probe.is_empty() {
            self.parts.store.probe_now(self.to_probe.clone(), now).await?;
            self.to_probe.clear();
        }
        Ok(())
    }

    /// Submissions of an account that left the settings would wait for ever, unseen.
    async fn meet_strangers(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.look_for_strangers_at.is_none_or(|at| at <= now) {
            let waiting = self.parts.store.accounts_waiting().await?;
            let is_known = |account: &Name| self.terms.destinations.contains_key(account);
            self.strangers = waiting.into_iter().filter(|account| !is_known(account)).collect();
            self.look_for_strangers_at = Some(now + STRANGERS_EVERY);
        }
        Ok(())
    }

    /// Maps what was leased; what has feedback is begun and sent, the rest is settled at once.
    async fn take_up(&mut self, leases: Vec<Lease>, now: Timestamp) -> Result<(), StoreError> {
        let mut to_send = Vec::new();
        for lease in leases {
            let (mapping, trace) = offer::of(&lease, &self.terms);
            let decision = match mapping {
                Mapping::Feedback(feedback) => {
                    to_send.push((lease, feedback, trace));
                    continue;
                }
                Mapping::Ignore { reason, detail } => Decision::Ignored { reason, detail },
                Mapping::Dead { reason, detail } => Decision::Unsent { reason, detail },
            };
            self.in_hand.decide(Decided::new(&lease, decision, trace, now));
        }
        if !to_send.is_empty() {
            let offer = |(lease, feedback, _): &(Lease, Feedback, _)| Offer {
                ticket: lease.ticket,
                feedback: feedback.to_json(),
            };
            let offers = to_send.iter().map(offer).collect();
            let begun = match self.parts.store.begin(offers, now).await {
                Ok(begun) => begun,
                Err(error) => {
                    self.unsent.extend(to_send.iter().map(|(lease, ..)| lease.ticket));
                    // Where the ledger refuses this too, it is asked again before anything is leased.
                    let _ = self.give_back().await;
                    return Err(error);
                }
            };
            for ((lease, feedback, trace), begun) in to_send.into_iter().zip(begun) {
                match begun {
                    Begun::Started => self.send(lease, feedback, trace),
                    Begun::NewerAnswers => {
                        tracing::debug!(submission = %lease.ticket.submission, "newer answers came in; it waits for them");
                    }
                    Begun::LeaseLost => {
                        tracing::warn!(submission = %lease.ticket.submission, "the lease ran out before the attempt");
                    }
                }
            }
        }
        self.settle().await
    }

    async fn give_back(&mut self) -> Result<(), StoreError> {
        if !self.unsent.is_empty() {
            self.parts.store.release(self.unsent.clone()).await?;
            self.unsent.clear();
        }
        Ok(())
    }

    /// One exchange, beside everything else.
    fn send(&mut self, lease: Lease, feedback: Feedback, trace: Option<String>) {
        let destination = self.terms.destinations[&lease.key.account].clone();
        let (client, report, clock) =
            (self.client.clone(), self.report.clone(), self.parts.clock.clone());
        // Writing down that it begins took its time, which must not be made up for.
        let now = clock();
        self.in_hand.began(&lease.key.account);
        self.lane(&lease.key.account, now).pace.began(now);
        tokio::task::spawn_local(async move {
            let account = destination.account();
            if lease.probe
                && let Err(error) = account.credentials.read_anew()
            {
                tracing::warn!(account = %account.name, error, "the secret could not be read anew");
            }
            let began_at = clock();
            let (verdict, reply) =
                client.submit(&destination, &lease.key.call, &feedback, began_at).await;
            let finished_at = clock();
            let took = finished_at.duration_since(began_at).try_into().unwrap_or_default();
            let attempt = Attempt { verdict, reply, finished_at };
            // The courier is gone only when the process ends; the attempt is found at the next
            // start.
            let _ = report.send(Heard { lease, feedback, trace, attempt, took });
        });
    }

    /// What becomes of a submission after its exchange.
    fn decide(&mut self, heard: Heard) {
        let Heard { lease, feedback, trace, attempt, took } = heard;
        let (account, verdict, at) = (&lease.key.account, attempt.verdict, attempt.finished_at);
        self.parts.metrics.attempt_made(account, verdict, took);
        self.in_hand.ended(account);
        if !self.terms.destinations.contains_key(account) {
            // Its account left the settings while it was under way: it may wait for ever now.
            self.look_for_strangers_at = None;
        }
        let (terms, jitter) = (self.terms.clone(), fastrand::f64());
        let lane = self.lane(account, at);
        let decision = lane.decide(&lease, attempt, took, &terms.options, jitter);
        let limit = lane.pace.limit();
        self.parts.metrics.limit_changed(account, limit);

        let mut decided = Decided::new(&lease, decision, trace, at);
        if verdict == Verdict::Accepted {
            let latency = at.duration_since(lease.last_answer_at);
            decided.delivered = Some((feedback, latency.try_into().unwrap_or_default()));
        }
        self.in_hand.decide(decided);
    }

    /// Writes down what was decided; on an error all of it is kept for the next try.
    async fn settle(&mut self) -> Result<(), StoreError> {
        let decided = self.in_hand.decided();
        if decided.is_empty() {
            return Ok(());
        }
        self.parts.metrics.settles_left_waiting(decided.len());
        let settlements = decided.iter().map(|decided| decided.settlement.clone()).collect();
        let settled = self.parts.store.settle(settlements).await?;
        for (decided, settled) in self.in_hand.take_decided().into_iter().zip(settled) {
            tell(&decided, settled, &self.terms, &self.parts.metrics);
        }
        self.parts.metrics.settles_left_waiting(0);
        Ok(())
    }
}

fn client_for(terms: &Terms) -> Rc<Client> {
    let places = terms.options.in_flight * terms.destinations.len().max(1);
    Rc::new(Client::new(terms.options.timeouts, places))
}
