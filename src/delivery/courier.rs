use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::in_hand::{Decided, InHand};
use super::parts::{Parts, Terms};
use crate::destination::Client;
use crate::domain::{Attempt, DeadReason, Feedback, HoldCause, Name, Next, Tried, Verdict};
use crate::store::{Begun, Decision, Lease, LeaseRequest, Offer, Settled, StoreError, Ticket};
use crate::survey::{Mapped, Mapping};
use crate::telemetry::logs;

/// How long a ledger that refuses is left alone before it is asked again.
const LEDGER_RETRY: Duration = Duration::from_secs(1);

/// Most submissions of one account, not in the settings any more, that are looked at in one round.
const STRANGERS_MAX: usize = 64;

/// How often accounts that the settings do not have are looked for in the ledger.
const STRANGERS_EVERY: Duration = Duration::from_secs(60);

/// Takes what is due and hands it over.
///
/// One [`tick`](Courier::tick) writes down what was decided, then leases what is due and sets it
/// going; exchanges run beside the ticks and come back as decisions.
pub struct Courier {
    parts: Parts,
    terms: Arc<Terms>,
    client: Rc<Client>,
    in_hand: InHand,
    /// What was leased and could not begin, until the ledger takes it back: nobody would look for
    /// leases that run out while nothing else is due.
    unsent: Vec<Ticket>,
    finished: mpsc::UnboundedReceiver<Decided>,
    report: mpsc::UnboundedSender<Decided>,
    /// Accounts with submissions waiting that the settings do not have.
    strangers: Vec<Name>,
    look_for_strangers_at: Option<Timestamp>,
}

impl Courier {
    /// On the thread that is to run it, within a `LocalSet`.
    pub fn new(parts: Parts) -> Self {
        let terms = parts.terms.borrow().clone();
        let (report, finished) = mpsc::unbounded_channel();
        Self {
            parts,
            client: client_for(&terms),
            terms,
            in_hand: InHand::default(),
            unsent: Vec::new(),
            finished,
            report,
            strangers: Vec::new(),
            look_for_strangers_at: None,
        }
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
                Some(decided) = self.finished.recv() => self.note(decided),
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
                .map_or(STRANGERS_EVERY, |at| at.duration_since(now).try_into().unwrap_or_default())
                .min(STRANGERS_EVERY),
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
        while let Ok(decided) = self.finished.try_recv() {
            self.note(decided);
        }
        self.settle().await?;
        self.give_back().await?;
        self.heed_new_terms();
        self.meet_strangers(now).await?;
        let wanted = self.wanted();
        if wanted.is_empty() {
            return Ok(None);
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
        Ok(if left_room { Some(now) } else { leased.next_due_at })
    }

    /// Waits until no exchange is under way and everything decided is written down.
    ///
    /// # Errors
    /// What the ledger says.
    pub async fn idle(&mut self) -> Result<(), StoreError> {
        while self.in_hand.in_flight() > 0 {
            let decided = self.finished.recv().await.expect("the courier holds a sender");
            self.note(decided);
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

    /// What is under way ends as it began.
    fn heed_new_terms(&mut self) {
        let terms = self.parts.terms.borrow().clone();
        if !Arc::ptr_eq(&terms, &self.terms) {
            self.client = client_for(&terms);
            self.terms = terms;
            self.look_for_strangers_at = None;
        }
    }

    /// How many more of each account may be taken up.
    fn wanted(&self) -> Vec<(Name, usize)> {
        let known = self.terms.destinations.keys().map(|account| {
            let in_flight = self.in_hand.of_account(account);
            let free = self.terms.options.in_flight.saturating_sub(in_flight);
            (account.clone(), free)
        });
        let strangers = self.strangers.iter().map(|account| (account.clone(), STRANGERS_MAX));
        known.chain(strangers).filter(|(_, free)| *free > 0).collect()
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
            let (mapping, trace) = self.map(&lease);
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

    /// What becomes of it, and how its survey came to that, as JSON.
    fn map(&self, lease: &Lease) -> (Mapping, Option<String>) {
        let (account, survey) = (&lease.key.account, &lease.key.survey);
        if !self.terms.destinations.contains_key(account) {
            return (unmapped(format!("the settings have no account {account}")), None);
        }
        match self.terms.surveys.get(survey) {
            Some(survey) => {
                let Mapped { mapping, trace } = survey.map(&lease.answers);
                (mapping, Some(trace.to_json()))
            }
            None => (unmapped(format!("the settings have no survey {survey}")), None),
        }
    }

    /// One exchange, beside everything else.
    fn send(&mut self, lease: Lease, feedback: Feedback, trace: Option<String>) {
        let destination = self.terms.destinations[&lease.key.account].clone();
        let (client, report, options, clock) = (
            self.client.clone(),
            self.report.clone(),
            self.terms.options.clone(),
            self.parts.clock.clone(),
        );
        let metrics = self.parts.metrics.clone();
        self.in_hand.began(&lease.key.account);
        tokio::task::spawn_local(async move {
            let account = destination.account();
            if lease.probe
                && let Err(error) = account.credentials.read_anew()
            {
                tracing::warn!(account = %account.name, error, "the secret could not be read anew");
            }
            let body = destination.body(&feedback);
            let began_at = clock();
            let (verdict, reply) =
                client.submit(&destination, &lease.key.call, body, began_at).await;
            let finished_at = clock();
            let took: Duration =
                finished_at.duration_since(began_at).try_into().unwrap_or_default();
            metrics.attempt_made(&account.name, verdict, took);

            let attempt = Attempt { verdict, reply, finished_at };
            let tried = Tried { attempts: lease.attempts + 1, age: lease.age + took };
            let next = options.retry.next(tried, verdict, finished_at, fastrand::f64());
            let decision = match next {
                Next::Delivered => Decision::Delivered { attempt },
                Next::RetryAt(at) => Decision::Retry { attempt, at },
                Next::Dead(reason) => Decision::Dead { attempt, reason },
                Next::Hold => Decision::Hold {
                    attempt,
                    cause: HoldCause::Misconfigured,
                    probe_at: finished_at + options.hold_probe,
                    at: finished_at,
                },
            };
            let mut decided = Decided::new(&lease, decision, trace, finished_at);
            if verdict == Verdict::Accepted {
                let latency = finished_at.duration_since(lease.last_answer_at);
                decided.delivered = Some((feedback, latency.try_into().unwrap_or_default()));
            }
            // The courier is gone only when the process ends; the attempt is found at the next
            // start.
            let _ = report.send(decided);
        });
    }

    fn note(&mut self, decided: Decided) {
        if !self.terms.destinations.contains_key(&decided.account) {
            // Its account left the settings while it was under way: it may wait for ever now.
            self.look_for_strangers_at = None;
        }
        self.in_hand.finished(decided);
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
            self.tell(&decided, settled);
        }
        self.parts.metrics.settles_left_waiting(0);
        Ok(())
    }

    /// Figures and logs follow what the ledger has, not what was hoped.
    fn tell(&self, decided: &Decided, settled: Settled) {
        let submission = decided.submission();
        match settled {
            Settled::Done => {}
            Settled::NewerAnswers => {
                return tracing::info!(%submission, "decided on older answers; the newer ones are kept");
            }
            Settled::LeaseLost => {
                return tracing::warn!(%submission, "the lease ran out; nothing was overwritten");
            }
        }
        let account = &decided.account;
        // A survey may have left the settings, and what is no label is none.
        let survey = Some(&decided.survey).filter(|name| self.terms.surveys.contains_key(*name));
        let metrics = &self.parts.metrics;
        match &decided.settlement.decision {
            Decision::Delivered { attempt, .. } => {
                let api_id = attempt.reply.api_id.as_deref();
                if decided.again {
                    tracing::info!(%submission, api_id, "delivered again: another answer counts now");
                    metrics.submission_resent(survey);
                } else {
                    tracing::info!(%submission, api_id, "delivered");
                }
                metrics.account_released(account);
                if let Some((feedback, latency)) = &decided.delivered {
                    metrics.feedback_delivered(&decided.survey, feedback, *latency);
                }
            }
            Decision::Ignored { reason, .. } => {
                tracing::info!(%submission, reason = reason.label(), "ignored");
                metrics.submission_ignored(survey, *reason);
            }
            Decision::Unsent { reason, .. } => {
                // The detail may name a question as its sender wrote it; the ledger has it.
                let reason_label = reason.label();
                tracing::error!(%submission, reason = reason_label, "dead: {}", why_unsent(*reason));
                metrics.submission_died(survey, *reason);
            }
            Decision::Dead { attempt, reason } => {
                let (label, status) = (reason.label(), attempt.reply.status);
                tracing::error!(%submission, reason = label, status, "dead: it cannot be delivered");
                metrics.submission_died(survey, *reason);
            }
            Decision::Retry { attempt, at } => {
                let (verdict, status) = (attempt.verdict.label(), attempt.reply.status);
                tracing::warn!(%submission, verdict, status, next_at = %at, "to be tried again");
            }
            Decision::Hold { attempt, .. } => {
                let status = attempt.reply.status;
                tracing::error!(%submission, %account, status, "the account is held: the destination does not take its credentials or address; mend them, it resumes by itself");
                metrics.account_held(account);
            }
        }
    }
}

fn client_for(terms: &Terms) -> Rc<Client> {
    let places = terms.options.in_flight * terms.destinations.len().max(1);
    Rc::new(Client::new(terms.options.timeouts, places))
}

/// Why a person has to look at what was not sent.
fn why_unsent(reason: DeadReason) -> &'static str {
    match reason {
        DeadReason::Unrated => "nothing rates the call, and the survey wants that seen",
        DeadReason::Incomplete => "the survey is incomplete, and wants that seen",
        DeadReason::Unmapped
        | DeadReason::Refused
        | DeadReason::UnknownCall
        | DeadReason::TooOld
        | DeadReason::UnknownResult => "the settings do not say what it means",
    }
}

fn unmapped(detail: String) -> Mapping {
    Mapping::Dead { reason: DeadReason::Unmapped, detail }
}
