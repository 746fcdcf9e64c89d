use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::account_state::AccountState;
use super::in_flight::{Decided, Exchanged, InFlight};
use super::maintenance::Maintenance;
use super::options::{Context, DeliveryConfig, MapperInForce};
use super::punctuality::Punctuality;
use super::report;
use super::secrets::{self, Secrets};
use super::trusted_time::TrustedTime;
use crate::clock::Reading;
use crate::destination::Client;
use crate::domain::{Attempt, Name, TraceParent, Verdict};
use crate::store::{ClaimRequest, Claimed, StoreError};
use crate::submission::{CLOCK_SLACK, Claim, Settlement};
use crate::telemetry::{AttemptSpan, Span, logs};

/// How long a store that refuses is left alone before it is asked again.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Most submissions of one account that the settings do not have that are claimed in one round.
const UNCONFIGURED_MAX: usize = 64;

/// How often accounts that the settings do not have are looked for in the store.
const UNCONFIGURED_INTERVAL: Duration = Duration::from_secs(60);

/// How long deliveries wait for that look: what reads the store may be busy with an operator's searches.
const LOOK_MAX: Duration = Duration::from_millis(500);

/// How soon it is tried again where that was too short.
const LOOK_RETRY: Duration = Duration::from_secs(15);

/// How long the dispatcher rests at most: something may have changed that nothing reports.
const REST_MAX: Duration = secrets::LOOK_EVERY;

/// Claims what is due and delivers it.
///
/// [`run_once`](Dispatcher::run_once) records what was decided and claims what is due, as much of it
/// as each account's throttle allows, in one commit; then the exchanges run beside it. A response
/// becomes a decision when it arrives, by the state of its account.
pub struct Dispatcher {
    context: Context,
    config: Arc<DeliveryConfig>,
    mapper: Arc<MapperInForce>,
    client: Rc<Client>,
    in_flight: InFlight,
    exchanged: mpsc::UnboundedReceiver<Exchanged>,
    report: mpsc::UnboundedSender<Exchanged>,
    accounts: BTreeMap<Name, AccountState>,
    secrets: Secrets,
    trusted_time: Rc<TrustedTime>,
    punctuality: Rc<Punctuality>,
    /// Accounts whose settings or secrets changed: if they are paused, they may be probed now.
    to_probe: Vec<Name>,
    /// Accounts with waiting submissions that the settings do not have.
    unconfigured: Vec<Name>,
    look_for_unconfigured_at: Option<Timestamp>,
    /// The last attempt could not begin.
    lacks_sockets: bool,
    /// Another process served the store at the last claim.
    others_serve: bool,
}

impl Dispatcher {
    /// On the thread that is to run it, within a `LocalSet`.
    pub fn new(context: Context) -> Self {
        let config = context.config.borrow().clone();
        let (report, exchanged) = mpsc::unbounded_channel();
        let mapper = Arc::new(MapperInForce(context.config.clone()));
        let trusted_time = Rc::new(TrustedTime::new(&context));
        let mut dispatcher = Self {
            client: client_for(&context, &config),
            context,
            mapper,
            in_flight: InFlight::default(),
            exchanged,
            report,
            accounts: BTreeMap::new(),
            secrets: Secrets::of(&config.destinations),
            trusted_time,
            punctuality: Rc::default(),
            to_probe: config.destinations.keys().cloned().collect(),
            config,
            unconfigured: Vec::new(),
            look_for_unconfigured_at: None,
            lacks_sockets: false,
            others_serve: false,
        };
        dispatcher.add_accounts();
        dispatcher
    }

    /// What is to be done beside it.
    pub fn maintenance(&self) -> Maintenance {
        Maintenance::new(self.context.clone(), self.trusted_time.clone(), self.punctuality.clone())
    }

    /// Runs until `stop` has a value: the time it may take to finish.
    pub async fn run(mut self, mut stop: watch::Receiver<Option<Duration>>) {
        loop {
            let rest = self.run_until_due().await;
            tokio::select! {
                // In this order, so that a simulation can be repeated.
                biased;
                stopped = stop.changed() => {
                    let deadline = stopped.ok().and_then(|()| *stop.borrow()).unwrap_or_default();
                    return self.finish(deadline).await;
                }
                Some(exchanged) = self.exchanged.recv() => self.decide(exchanged),
                () = self.context.store.changed() => {}
                Ok(()) = self.context.config.changed() => {}
                () = tokio::time::sleep(rest) => {}
            }
        }
    }

    /// One round by the clock; returns how long nothing will be due.
    async fn run_until_due(&mut self) -> Duration {
        let now = self.context.clock.now();
        match self.run_once(now).await {
            Ok(next_due_at) => {
                let rest_max = self.context.store.poll_interval().unwrap_or(REST_MAX);
                next_due_at
                    .map_or(rest_max, |at| at.duration_since(now).try_into().unwrap_or_default())
                    .min(rest_max)
            }
            Err(error) => {
                tracing::debug!(error = logs::chain(&error), "the store does not answer");
                STORE_RETRY
            }
        }
    }

    /// Records what was decided and claims what is due; returns when the next will be. While the store
    /// refuses, decisions wait here and nothing is claimed.
    ///
    /// # Errors
    /// What the store says.
    pub async fn run_once(&mut self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.watch_clock().await;
        self.decide_ended();
        self.follow_config();
        self.look_for_unconfigured(now).await;
        if let Err(error) = self.probe_what_changed(now).await {
            return self.settle().await.and(Err(error));
        }
        let wanted = self.wanted(now);
        if wanted.is_empty() {
            self.settle().await?;
            return Ok(self.room_at(now));
        }
        let request = ClaimRequest {
            wanted,
            now,
            latest_due: self.latest_due(now),
            leased: self.in_flight.leased(),
            probe_interval: self.config.options.probe_interval,
            settings_may_differ: self.is_shared(),
            mapper: self.mapper.clone(),
        };
        // The settlements are queued before the claim, and both share a commit.
        let store = self.context.store.clone();
        let asked_at = self.context.clock.unsuspended();
        let (settled, claimed) = tokio::join!(self.settle(), store.claim(request));
        let claimed = match claimed {
            Ok(claimed) => claimed,
            Err(error) => return settled.and(Err(error)),
        };
        let Claimed { claims, settled: unsent, next_due_at, lease, others_serve } = claimed;
        self.others_serve = others_serve;
        if self.is_shared() {
            // Another replica may have it in its settings: the lead that this claim may have taken lapses
            // before the next look.
            self.unconfigured.clear();
        }
        for settled in &unsent {
            report::unsent(settled, &self.config, &self.context.metrics);
        }
        // They may have been mapped by a newer configuration.
        let last_config = self.config.clone();
        self.follow_config();
        for claim in claims {
            self.send(Box::new(claim), &last_config, asked_at + lease);
        }
        settled?;
        // What was settled without an attempt has left its place, which may be wanted at once.
        let next_at = next_due_at.into_iter().chain(self.room_at(now)).min();
        Ok(if unsent.is_empty() { next_at } else { Some(now) })
    }

    /// Waits until no exchange runs and every decision is recorded.
    ///
    /// # Errors
    /// What the store says.
    pub async fn idle(&mut self) -> Result<(), StoreError> {
        while self.in_flight.exchanges() > 0 {
            let exchanged = self.exchanged.recv().await.expect("the dispatcher holds a sender");
            self.decide(exchanged);
            // They share a commit.
            self.decide_ended();
            // On an error they wait for the last try.
            let _ = self.settle().await;
        }
        self.settle().await
    }

    async fn finish(mut self, deadline: Duration) {
        let all_recorded = async {
            while self.idle().await.is_err() {
                tokio::time::sleep(STORE_RETRY).await;
            }
        };
        if tokio::time::timeout(deadline, all_recorded).await.is_ok() {
            tracing::info!("nothing is left in flight");
            return;
        }
        self.decide_ended();
        if let Err(error) = self.settle().await {
            tracing::error!(
                error = logs::chain(&error),
                results = self.in_flight.decided().len(),
                "results could not be recorded; they may be delivered again"
            );
        }
        let open = self.in_flight.exchanges();
        if open > 0 {
            tracing::warn!(open, "stopped with exchanges in flight: they become unknown results");
        }
    }

    /// What is in flight is sent as it began. Paused accounts may have been corrected.
    fn follow_config(&mut self) {
        let config = self.context.config.borrow().clone();
        if Arc::ptr_eq(&config, &self.config) {
            return;
        }
        self.client = client_for(&self.context, &config);
        self.accounts.retain(|account, _| config.destinations.contains_key(account));
        self.accounts.values_mut().for_each(|state| state.throttle.change(&config.options));
        self.secrets = Secrets::of(&config.destinations);
        self.to_probe = config.destinations.keys().cloned().collect();
        self.look_for_unconfigured_at = None;
        self.config = config;
        self.add_accounts();
    }

    /// A state for each account of the settings.
    fn add_accounts(&mut self) {
        let now = self.context.clock.now();
        let config = self.config.clone();
        for account in config.destinations.keys() {
            let limit = self.account(account, now).throttle.limit();
            self.context.metrics.limit_changed(account, limit);
        }
    }

    fn account(&mut self, account: &Name, now: Timestamp) -> &mut AccountState {
        if !self.accounts.contains_key(account) {
            let state = AccountState::new(&self.config.options, now);
            self.accounts.insert(account.clone(), state);
        }
        self.accounts.get_mut(account).expect("it was just added")
    }

    /// How many more of each account may be claimed.
    fn wanted(&self, now: Timestamp) -> Vec<(Name, usize)> {
        let waits = self.context.spool.as_ref().is_some_and(|spool| spool.delays_claims());
        let at_most = |room: usize| if waits { 0 } else { room };
        let is_shared = self.is_shared();
        let known = self.accounts.iter().filter_map(|(account, state)| {
            let in_flight = self.in_flight.of_account(account);
            // One that left the settings is led no longer than something of it is in flight: another replica may
            // have it.
            let is_configured = self.config.destinations.contains_key(account);
            let room = if is_configured { at_most(state.throttle.room(in_flight, now)) } else { 0 };
            let is_wanted = if is_shared {
                state.is_led(room, in_flight, now, self.others_serve)
            } else {
                room > 0
            };
            is_wanted.then(|| (account.clone(), room))
        });
        let unconfigured =
            self.unconfigured.iter().map(|account| (account.clone(), at_most(UNCONFIGURED_MAX)));
        known.chain(unconfigured.filter(|(_, room)| *room > 0)).collect()
    }

    /// Whether other processes serve the store too.
    fn is_shared(&self) -> bool {
        self.context.store.poll_interval().is_some()
    }

    /// When the throttle of an account will allow what it does not allow now.
    fn room_at(&self, now: Timestamp) -> Option<Timestamp> {
        let of_account = |(account, state): (&Name, &AccountState)| {
            state.throttle.room_at(self.in_flight.of_account(account), now)
        };
        self.accounts.iter().filter_map(of_account).min()
    }

    /// Whether it was set is found out at each round, whatever maintenance does meanwhile.
    async fn watch_clock(&self) {
        if let Err(error) = self.trusted_time.keep_watch().await {
            tracing::debug!(
                error = logs::chain(&error),
                "the recorded time is neither read nor written"
            );
        }
    }

    /// No submission waits for longer than the settings let it: a due time beyond that was reckoned
    /// by a clock that has been put back since.
    fn latest_due(&self, now: Timestamp) -> Timestamp {
        let waits = self.config.mapper.surveys.values().map(|survey| survey.longest_wait());
        let longest = waits.max().unwrap_or_default().max(self.config.options.retry.max_backoff);
        now.checked_add(longest + CLOCK_SLACK).unwrap_or(Timestamp::MAX)
    }

    /// Paused accounts need not wait for their probe's time where settings or secrets changed.
    async fn probe_what_changed(&mut self, now: Timestamp) -> Result<(), StoreError> {
        self.to_probe.extend(self.secrets.changed(&self.config.destinations, now));
        if !self.to_probe.is_empty() {
            self.context.store.probe_now(self.to_probe.clone(), now).await?;
            for account in std::mem::take(&mut self.to_probe) {
                self.account(&account, now).may_succeed();
            }
        }
        Ok(())
    }

    /// Submissions of an account that left the settings would wait for ever, unseen.
    async fn look_for_unconfigured(&mut self, now: Timestamp) {
        // A clock that was put back looks at once.
        let rests = |at| (now..=now + UNCONFIGURED_INTERVAL).contains(&at) && at > now;
        if self.look_for_unconfigured_at.is_some_and(rests) {
            return;
        }
        let look = self.context.store.accounts_waiting();
        match tokio::time::timeout(LOOK_MAX, look).await {
            Ok(Ok(mut waiting)) => {
                // A decision that is not recorded yet leaves its submission waiting, which the store
                // cannot show before.
                for decided in self.in_flight.decided() {
                    if !waiting.contains(&decided.account) {
                        waiting.push(decided.account.clone());
                    }
                }
                waiting.retain(|account| !self.config.destinations.contains_key(account));
                self.unconfigured = waiting;
                self.look_for_unconfigured_at = Some(now + UNCONFIGURED_INTERVAL);
            }
            // The accounts of the settings need not wait for that.
            Ok(Err(error)) => {
                tracing::debug!(error = logs::chain(&error), "waiting accounts cannot be listed");
                self.look_for_unconfigured_at = Some(now + STORE_RETRY);
            }
            Err(_) => {
                tracing::warn!(
                    "accounts that are not in the settings could not be looked for in time: what waits of them is not settled until then"
                );
                self.look_for_unconfigured_at = Some(now + LOOK_RETRY);
            }
        }
    }

    /// One exchange, beside everything else. It does not begin once the claim's lease has ended: another
    /// process may have delivered a newer answer meanwhile.
    fn send(&mut self, claim: Box<Claim>, last_config: &DeliveryConfig, lease_end: Duration) {
        let account = claim.key.account.clone();
        let destination = [&*self.config, last_config]
            .into_iter()
            .find_map(|config| config.destinations.get(&account))
            .cloned();
        let Some(destination) = destination else {
            // Its lease expires, and by then it is mapped by settings without that account.
            tracing::warn!(%account, "the account left the settings before its attempt was sent");
            return;
        };
        let (client, report, clock) =
            (self.client.clone(), self.report.clone(), self.context.clock.clone());
        let metrics = self.context.metrics.clone();
        // The commit took its time, which must not be made up for.
        let now = clock.now();
        let leased = self.in_flight.began(&account, claim.token);
        self.account(&account, now).throttle.began(now);
        tokio::task::spawn_local(async move {
            let account = destination.account();
            if claim.is_probe()
                && let Err(error) = account.credentials.read_anew()
            {
                tracing::warn!(account = %account.name, error, "the secret could not be read again");
            }
            let Reading { wall: began_at, monotonic: began } = clock.read();
            let has_begun = clock.unsuspended() < lease_end;
            let attempt = if has_begun {
                let submission = claim.token.submission;
                let span = metrics.spans().map(|spans| TraceParent {
                    context: submission.attempt_span(claim.number),
                    is_sampled: spans.samples(submission),
                });
                let exchange =
                    client.submit(&destination, &claim.key.call, &claim.feedback, span, began_at);
                let (verdict, reply) = exchange.await;
                Attempt { verdict, reply, finished_at: clock.now() }
            } else {
                Attempt::not_begun("its claim had ended: the process did not run", began_at)
            };
            let took = clock.monotonic() - began;
            if has_begun {
                metrics.span_ended(|| Span::Attempt(span_of(&claim, &attempt, began_at, took)));
            }
            // The dispatcher is gone only when the process ends; the attempt is found at the next
            // start.
            let _ = report.send(Exchanged { claim, attempt, took, has_begun, leased });
        });
    }

    /// Decides what becomes of a submission after its exchange.
    fn decide(&mut self, exchanged: Exchanged) {
        let Exchanged { claim, attempt, took, has_begun, leased } = exchanged;
        let account = claim.key.account.clone();
        self.context.metrics.attempt_made(&account, attempt.verdict, took);
        self.in_flight.ended(&account, leased);
        if has_begun {
            self.log_local_error(attempt.verdict);
        } else {
            tracing::warn!(%account, "a claim had ended before it was sent, and is given back");
        }
        if !self.config.destinations.contains_key(&account) {
            // Its account left the settings while it was in flight: it may wait for ever now.
            self.look_for_unconfigured_at = None;
        }
        let (config, jitter) = (self.config.clone(), self.context.random.fraction());
        let state = self.account(&account, attempt.finished_at);
        let decision = state.decide(&claim, &attempt, took, &config.options, jitter);
        let limit = state.throttle.limit();
        self.context.metrics.limit_changed(&account, limit);
        self.in_flight.decide(Decided::new(*claim, attempt, decision));
    }

    /// Says once that no attempt can begin, until one does.
    fn log_local_error(&mut self, verdict: Verdict) {
        let is_local = verdict == Verdict::LocalError;
        if is_local && !self.lacks_sockets {
            tracing::error!(
                "no socket can be opened for deliveries, the process has no open file left: raise its limit or lower public.connections; deliveries continue when a file is free"
            );
        }
        self.lacks_sockets = is_local;
    }

    /// Decides on all exchanges that have ended.
    fn decide_ended(&mut self) {
        while let Ok(exchanged) = self.exchanged.try_recv() {
            self.decide(exchanged);
        }
    }

    /// Records what was decided; on an error all of it is kept for the next try.
    async fn settle(&mut self) -> Result<(), StoreError> {
        let decided = self.in_flight.decided();
        if decided.is_empty() {
            return Ok(());
        }
        self.context.metrics.settles_left_waiting(decided.len());
        let settlements: Vec<Settlement> =
            decided.iter().map(|decided| decided.settlement.clone()).collect();
        let settled = self.context.store.settle(settlements).await?;
        let recorded = self.in_flight.take_recorded(settled.len());
        for (decided, settled) in recorded.iter().zip(settled) {
            let metrics = &self.context.metrics;
            report::decided(decided, settled, &self.config, &self.punctuality, metrics);
        }
        self.context.metrics.settles_left_waiting(0);
        Ok(())
    }
}

fn span_of(claim: &Claim, attempt: &Attempt, began_at: Timestamp, took: Duration) -> AttemptSpan {
    AttemptSpan {
        submission: claim.token.submission,
        number: claim.number,
        account: claim.key.account.clone(),
        survey: claim.key.survey.clone(),
        verdict: attempt.verdict,
        status: attempt.reply.status,
        redelivery: claim.redelivery,
        webhooks: claim.webhooks.clone(),
        began_at,
        took,
    }
}

fn client_for(context: &Context, config: &DeliveryConfig) -> Rc<Client> {
    let places = config.options.max_concurrency * config.destinations.len().max(1);
    Rc::new((context.client)(config.options.timeouts, places))
}
