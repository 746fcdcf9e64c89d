//! A store beside a small model of itself in memory: whatever is asked of both, they agree.
//!
//! The model decides by its own, simpler rules what should happen. Beside it the transitions of the
//! aggregate are made in memory: what the store reads back has to be exactly what they give.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use postcall::account::PauseCause;
use postcall::domain::{Attempt, Name, Verdict};
use postcall::store::{ClaimRequest, PurgeCounts, RetentionCutoffs, TallyFilter, TallyKey};
use postcall::submission::{
    self, ActionOutcome, Answers, Arrival, Cell, ChangedAnswerPolicy, Claim, ClaimContext,
    DeadReason, Decision, IgnoredReason, Json, Mapping, Outcome, Replay, RetentionLevel, Settled,
    Settlement, State, SubmissionId, Tallies, UnknownResult,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::backend::{LEASE, PROBE_INTERVAL, wanted};
use super::spoken::{
    AFTER, BUSY, DELAY, TestMapper, accepted, answer, at, attempt, dead, feedback, ignored,
    webhook_for, with_field, with_policy,
};
use super::{Backend, TestStore};

const ACCOUNTS: [&str; 2] = ["main", "other"];
/// Each to a survey with another policy of changed answers: see [`ChangedAnswerPolicy::ALL`].
const CALLS: [&str; 3] = ["first", "last", "resend"];
const QUESTIONS: [&str; 2] = ["score", "problem"];

/// A step that everything may take part in; which claim is meant is counted from the latest.
#[derive(Debug, Clone)]
enum Step {
    Receive {
        account: usize,
        call: usize,
        things: Vec<Thing>,
    },
    Wait(i64),
    Claim {
        most: usize,
        /// By call.
        maps: [MapsTo; 3],
        on_unknown_result: UnknownResult,
    },
    Settle(usize, End),
    Reopen,
    /// The process is killed; what was answered is still there.
    End,
    Operate(usize, usize, Action),
    Pause(usize),
    Resume(usize),
    ProbeNow(usize),
    /// Removes what was settled so many seconds ago: bodies, and submissions.
    Purge {
        bodies: i64,
        submissions: i64,
    },
}

/// What an operator does to a submission.
#[derive(Debug, Clone, Copy)]
enum Action {
    Replay { same_payload: bool, include_delivered: bool },
    Discard,
    Erase,
}

/// What a webhook may report, each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    Answer { question: usize, text: &'static str },
    Field(&'static str),
    HungUp,
    OptedOut,
}

/// What the mapper of a claim comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MapsTo {
    Feedback,
    Nothing,
    Unmapped,
}

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Delivered,
    Unreachable,
    Failed,
    Unknown,
    Refused,
    RefusedAsMostOthers,
    Paused(PauseCause),
}

pub fn a_store_does_what_the_model_does_and_its_counts_balance<B: Backend>() {
    check(40, prop::collection::vec(step(), 1..60), |steps| {
        block_on(async {
            let mut store = TestStore::<B>::new();
            let mut model = Model::default();
            for step in steps {
                model.take(&mut store, step).await;
                model.compare(&store).await;
            }
            assert_eq!(store.backend.faults(), Vec::<String>::new());
        });
    });
}

fn step() -> impl Strategy<Value = Step> {
    let texts = prop::sample::select(vec!["", "1", "2", "7"]);
    let answers = (0..2usize, texts).prop_map(|(question, text)| Thing::Answer { question, text });
    let things = prop_oneof![
        12 => answers.clone().prop_map(|answer| vec![answer]),
        2 => (answers, prop::sample::select(vec!["a", "b"]))
            .prop_map(|(answer, value)| vec![answer, Thing::Field(value)]),
        1 => prop::sample::select(vec!["a", "b"]).prop_map(|value| vec![Thing::Field(value)]),
        1 => Just(vec![Thing::HungUp]),
        1 => Just(vec![Thing::OptedOut]),
    ];
    let receive = (0..2usize, 0..3usize, things)
        .prop_map(|(account, call, things)| Step::Receive { account, call, things });
    let maps = prop_oneof![
        6 => Just(MapsTo::Feedback),
        1 => Just(MapsTo::Nothing),
        1 => Just(MapsTo::Unmapped),
    ];
    let on_unknown_result =
        prop_oneof![3 => Just(UnknownResult::Retry), 1 => Just(UnknownResult::Dead)];
    let claim = (1..4usize, [maps.clone(), maps.clone(), maps], on_unknown_result)
        .prop_map(|(most, maps, on_unknown_result)| Step::Claim { most, maps, on_unknown_result });
    let mut ends = vec![
        End::Delivered,
        End::Delivered,
        End::Unreachable,
        End::Failed,
        End::Unknown,
        End::Refused,
        End::RefusedAsMostOthers,
    ];
    ends.extend(
        [PauseCause::AccountRejected, PauseCause::Rejections, PauseCause::Unreachable]
            .map(End::Paused),
    );
    let replay =
        |(same_payload, include_delivered)| Action::Replay { same_payload, include_delivered };
    let action = prop_oneof![
        4 => (any::<bool>(), any::<bool>()).prop_map(replay),
        1 => Just(Action::Discard),
        1 => Just(Action::Erase),
    ];
    prop_oneof![
        6 => receive,
        4 => prop::sample::select(vec![1, 29, 30, 60, 61, 120, 3600]).prop_map(Step::Wait),
        6 => claim,
        6 => (0..3usize, prop::sample::select(ends)).prop_map(|(n, end)| Step::Settle(n, end)),
        1 => Just(Step::Reopen),
        1 => Just(Step::End),
        3 => (0..2usize, 0..3usize, action).prop_map(|(account, call, action)| {
            Step::Operate(account, call, action)
        }),
        1 => prop_oneof![
            (0..2usize).prop_map(Step::Pause),
            (0..2usize).prop_map(Step::Resume),
            (0..2usize).prop_map(Step::ProbeNow),
        ],
        1 => (0..2usize, 0..2usize).prop_map(|(bodies, submissions)| Step::Purge {
            bodies: [30, 600][bodies],
            submissions: [600, 7200][submissions],
        }),
    ]
}

/// Account and call.
type Key = (usize, usize);

#[derive(Default)]
struct Model {
    now: i64,
    submissions: BTreeMap<Key, Submission>,
    /// The aggregates, by their own transitions.
    stored: BTreeMap<Key, submission::Submission>,
    received: usize,
    claims: Vec<(Claim, Key)>,
    pauses: [Option<Pause>; 2],
    /// For how long each account was paused before.
    paused: [i64; 2],
    /// Whose turn it is of what is due for each account.
    turns: [usize; 2],
    /// How many claims were asked for.
    claims_asked: usize,
}

#[derive(Clone, Copy)]
struct Pause {
    cause: PauseCause,
    since: i64,
    probe_at: i64,
}

struct Submission {
    number: usize,
    changes: ChangedAnswerPolicy,
    known: Vec<Known>,
    late: Vec<Known>,
    state: State,
    due_at: i64,
    attempts: u32,
    attempts_made: u32,
    /// When it was first tried, and for how long its account had been paused by then.
    tried: Option<(i64, i64)>,
    rejections: u32,
    reached: bool,
    /// The result of its last attempt is unknown.
    is_unknown: bool,
    /// When what came during the attempt is due, where it has to be delivered as well.
    redeliver_at: Option<i64>,
    in_flight: Option<InFlight>,
    /// The claim whose end was recorded last, if there is no later one, and the end.
    recorded: Option<(usize, Attempt)>,
    /// How often it was claimed.
    claimed: u32,
    /// Payloads of the last attempt and of the last delivery.
    offered: Option<String>,
    delivered: Option<String>,
    same_payload: bool,
    actions: Vec<&'static str>,
    purged: bool,
    /// Webhooks that are kept with their bodies.
    bodies: usize,
}

/// A thing, when it first came, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    thing: Thing,
    first: i64,
    again: i64,
}

#[derive(Clone, Copy)]
struct InFlight {
    claim: usize,
    until: i64,
    probe: bool,
}

/// What a claim did to a submission.
struct Taken {
    key: Key,
    /// Whether the mapper was asked, and to send which payload again.
    asked: Option<Option<String>>,
    outcome: TakenOutcome,
}

enum TakenOutcome {
    Started { attempts: u32, age: i64, payload: String, paused_for: Option<PauseCause> },
    Settled(State),
}

impl Model {
    async fn take<B: Backend>(&mut self, store: &mut TestStore<B>, step: Step) {
        match step {
            Step::Receive { account, call, things } => {
                self.receive(store, (account, call), &things).await;
            }
            Step::Wait(seconds) => {
                self.now += seconds;
                store.set_clock(self.now);
            }
            Step::Claim { most, maps, on_unknown_result } => {
                self.claim(store, most, maps, on_unknown_result).await;
            }
            Step::Settle(n, end) => {
                let Some(number) = self.claims.len().checked_sub(1 + n) else { return };
                let (claim, key) = &self.claims[number];
                let (attempt, decision) = self.decision(end);
                let settlement = Settlement { token: claim.token, attempt, decision };
                let expected = self.stored.get_mut(key).unwrap().settle(&settlement);
                let settled = store.settle(vec![settlement]).await.unwrap();
                assert_eq!(settled, [expected]);
                assert_eq!(settled, [self.settle(number, end)]);
            }
            Step::Reopen => {
                store.reopen();
                self.open();
            }
            Step::End => {
                *store = store.after_a_sudden_end();
                store.set_clock(self.now);
                self.open();
            }
            Step::Operate(account, call, action) => {
                let key = (account, call);
                let (ids, now) = (vec![id(key)], at(self.now));
                let done = match action {
                    Action::Replay { same_payload, include_delivered } => {
                        let how = Replay { same_payload, include_delivered, at: now };
                        self.stored.get_mut(&key).map(|it| it.replay(how));
                        store.replay(ids, how).await
                    }
                    Action::Discard => {
                        self.stored.get_mut(&key).map(|it| it.discard("enough", now));
                        store.discard(ids, "enough".to_owned(), now).await
                    }
                    Action::Erase => {
                        self.stored.get_mut(&key).map(|it| it.erase(now));
                        store.erase(ids, now).await
                    }
                };
                assert_eq!(done.unwrap(), [self.operate(key, action)]);
            }
            Step::Pause(account) => {
                store.pause(name(account), "wait".to_owned(), at(self.now)).await.unwrap();
                self.pause(account, PauseCause::Operator, self.now);
            }
            Step::Resume(account) => {
                let resumed = store.resume(name(account), at(self.now)).await.unwrap();
                assert_eq!(resumed, self.pauses[account].is_some());
                self.resume(account);
            }
            Step::Purge { bodies, submissions } => {
                let cutoffs = RetentionCutoffs {
                    bodies: at(self.now - bodies),
                    submissions: at(self.now - submissions),
                    outcomes: at(-1),
                };
                let counts = store.purge(cutoffs).await.unwrap();
                assert_eq!(counts, self.purge(cutoffs));
            }
            Step::ProbeNow(account) => {
                store.probe_now(vec![name(account)], at(self.now)).await.unwrap();
                if let Some(pause) = &mut self.pauses[account] {
                    pause.probe_at = pause.probe_at.min(self.now);
                }
            }
        }
    }

    /// What was settled longest ago is beyond both cutoffs, and goes as a whole.
    fn purge(&mut self, cutoffs: RetentionCutoffs) -> PurgeCounts {
        let mut counts = PurgeCounts::default();
        for (key, stored) in &mut self.stored {
            let is_before =
                |cutoff| stored.is_purgeable() && stored.settled_at.is_some_and(|at| at < cutoff);
            if stored.is_purged() {
                continue;
            }
            if is_before(cutoffs.submissions) {
                stored.purge(at(self.now));
                let it = self.submissions.get_mut(key).unwrap();
                it.actions = Vec::new();
                it.lose_content();
                counts.submissions += 1;
            } else if is_before(cutoffs.bodies) && stored.retention == RetentionLevel::Full {
                stored.strip();
                self.submissions.get_mut(key).unwrap().bodies = 0;
                counts.bodies += 1;
            }
        }
        counts
    }

    /// A new process knows of no claim.
    fn open(&mut self) {
        self.expire(i64::MAX);
        for stored in self.stored.values_mut() {
            stored.expire();
        }
        self.turns = [0; 2];
    }

    async fn receive<B: Backend>(&mut self, store: &TestStore<B>, key: Key, things: &[Thing]) {
        let mut request = webhook_for(ACCOUNTS[key.0], self.now, CALLS[key.1], &[]);
        for thing in things {
            match *thing {
                Thing::Answer { question, text } => {
                    let answer = webhook_for("main", 0, "c-1", &[(QUESTIONS[question], text)]);
                    request.extraction.answers.extend(answer.extraction.answers);
                }
                Thing::Field(value) => request = with_field("field", value, request),
                Thing::HungUp => request.extraction.hung_up = true,
                Thing::OptedOut => request.extraction.opted_out = true,
            }
        }
        let request = with_policy(ChangedAnswerPolicy::ALL[key.1], request);
        let mut stored = self.stored.remove(&key);
        let arrival = Arrival {
            id: id(key),
            key: &request.key,
            extraction: &request.extraction,
            received_at: at(self.now),
            webhook: request.webhook.id,
            trace: request.trace,
        };
        let receipt = submission::Submission::receive(&mut stored, &arrival, &*request.policy);
        self.stored.insert(key, stored.expect("it exists from now on"));
        let received = store.receive_one(request).await;
        assert_eq!((received.outcome, received.changed), (receipt.outcome, receipt.changed));
        assert_eq!(received.outcome, self.merge(key, things));
        let keeps_webhook = received.outcome.keeps_webhook();
        self.submissions.get_mut(&key).unwrap().bodies += usize::from(keeps_webhook);
        assert_eq!(received.answers, *self.stored[&key].document.all_answers());
    }

    fn merge(&mut self, key: Key, things: &[Thing]) -> Outcome {
        let now = self.now;
        let Some(it) = self.submissions.get_mut(&key) else {
            self.received += 1;
            let changes = ChangedAnswerPolicy::ALL[key.1];
            let new = Submission::started(self.received, changes, things, now);
            self.submissions.insert(key, new);
            return Outcome::Created;
        };
        if it.purged {
            return Outcome::Purged;
        }
        let in_flight = it.in_flight.is_some();
        let ended = matches!(it.state, State::Delivered | State::Discarded);
        let closed = in_flight || it.reached || ended;
        let mut all = it.known.clone();
        if closed {
            merge(&mut all, &it.late);
        }
        let before = it.counting(&all);
        let (mut new, mut again) = (Vec::new(), Vec::new());
        for thing in things.iter().copied() {
            let arrived = Known { thing, first: now, again: now };
            match all.iter_mut().find(|known| known.thing.is_known_by(&thing)) {
                None => {
                    all.push(arrived);
                    new.push(arrived);
                }
                Some(known) if known.thing == thing && known.again < now => {
                    if matches!(thing, Thing::Answer { .. })
                        && it.changes != ChangedAnswerPolicy::KeepFirst
                    {
                        known.again = now;
                        again.push(arrived);
                    }
                }
                Some(_) => {}
            }
        }
        let counts = it.changes != ChangedAnswerPolicy::KeepFirst && it.counting(&all) != before;
        let may_redeliver =
            it.changes == ChangedAnswerPolicy::Redeliver && it.state != State::Discarded;
        let redelivers = closed && counts && may_redeliver;
        if closed && (!redelivers || in_flight) {
            it.late.extend(new.iter().chain(&again));
        } else {
            it.readmit();
            merge(&mut it.known, &new);
            merge(&mut it.known, &again);
        }
        if new.is_empty() && !counts {
            return Outcome::Duplicate;
        }
        if closed && !redelivers {
            return Outcome::Late;
        }
        if in_flight {
            it.redeliver_at = Some(due(&all, now).1);
            return Outcome::Updated;
        }
        (it.reached, it.same_payload) = (false, false);
        let (state, due_at) = due(&it.known, now);
        match it.state {
            State::Pending if it.tried.is_some() => it.due_at = it.due_at.max(due_at),
            State::Pending => it.due_at = due_at,
            before => {
                let state = if before == State::Delivered { State::Pending } else { state };
                (it.state, it.due_at) = (state, due_at);
                if !before.is_waiting() {
                    (it.attempts, it.tried, it.rejections) = (0, None, 0);
                }
            }
        }
        Outcome::Updated
    }

    async fn claim<B: Backend>(
        &mut self,
        store: &TestStore<B>,
        most: usize,
        maps: [MapsTo; 3],
        on_unknown_result: UnknownResult,
    ) {
        self.claims_asked += 1;
        let notes = format!("claim {}", self.claims_asked);
        let mapper = || {
            let mappings = maps.map(|maps| maps.mapping(&notes));
            let by_call = CALLS.into_iter().zip(mappings);
            by_call
                .fold(TestMapper::default(), |mapper, (call, mapping)| mapper.and(call, mapping))
                .traced(&self.claims_asked.to_string())
                .on_unknown_result(on_unknown_result)
        };
        let (shared, mapper) = (Arc::new(mapper()), mapper());
        let accounts = ACCOUNTS.map(|account| (account, most));
        let request = ClaimRequest { mapper: shared.clone(), ..wanted(&accounts, self.now) };
        let claimed = store.claim(request).await.unwrap();

        self.expire(self.now);
        for stored in self.stored.values_mut() {
            if stored.lease_until.is_some_and(|until| until <= at(self.now)) {
                stored.expire();
            }
        }
        let paused_in_all = [0, 1].map(|account| self.paused_in_all(account));
        let paused_for = self.pauses.map(|pause| pause.map(|pause| pause.cause));
        let (taken, next_due_at) = self.take_due(most, maps, on_unknown_result, &notes);
        assert_eq!(claimed.next_due_at, next_due_at.map(at));

        let (mut claims, mut settled) = (claimed.claims.into_iter(), claimed.settled.into_iter());
        let mut asked = shared.take_asked().into_iter();
        for Taken { key, asked: payload, outcome } in taken {
            let it = &self.submissions[&key];
            if let Some(payload) = payload {
                let asked = asked.next().expect("it is mapped");
                assert_eq!((asked.key, asked.payload), (webhook_key(key), payload));
                it.assert_is(&asked.answers);
            }
            let context = ClaimContext {
                now: at(self.now),
                lease_until: at(self.now + LEASE),
                paused_for: paused_for[key.0],
                paused_in_all: Duration::from_secs(paused_in_all[key.0] as u64),
                longest_wait: Duration::MAX,
                settings_may_differ: false,
            };
            self.stored.get_mut(&key).unwrap().claim(&context, &mapper);
            match outcome {
                TakenOutcome::Settled(state) => {
                    let settled = settled.next().expect("it is settled");
                    let found = (settled.id, settled.survey.as_str(), settled.state);
                    assert_eq!(found, (id(key), "quality", state));
                }
                TakenOutcome::Started { attempts, age, payload, paused_for } => {
                    let claim = claims.next().expect("it is claimed");
                    assert_eq!(claim.key, webhook_key(key));
                    assert_eq!((claim.attempts, claim.age.as_secs() as i64), (attempts, age));
                    assert_eq!(claim.feedback.to_json(), payload);
                    assert_eq!(claim.paused_for, paused_for);
                    assert_eq!(claim.redelivery, it.delivered.is_some());
                    assert_eq!(claim.rejections, it.rejections);
                    assert_eq!(it.in_flight.unwrap().claim, self.claims.len());
                    self.claims.push((claim, key));
                }
            }
        }
        assert_eq!((claims.next(), settled.next(), asked.next()), (None, None, None));
    }

    /// What is claimed in its order, and when the next is due.
    fn take_due(
        &mut self,
        wanted: usize,
        maps: [MapsTo; 3],
        on_unknown_result: UnknownResult,
        notes: &str,
    ) -> (Vec<Taken>, Option<i64>) {
        let now = self.now;
        let (mut taken, mut next_due_at) = (Vec::new(), None);
        let mut claims = self.claims.len();
        for account in 0..ACCOUNTS.len() {
            let pause = self.pauses[account];
            let most = match pause {
                None => wanted,
                Some(pause) if pause.cause == PauseCause::Operator => continue,
                Some(pause) => wanted.min(usize::from(pause.probe_at <= now)),
            };
            let before = claims;
            loop {
                let keys = self.select(account, most - (claims - before));
                if keys.is_empty() {
                    break;
                }
                for key in keys {
                    let paused_in_all = self.paused_in_all(account);
                    let it = self.submissions.get_mut(&key).unwrap();
                    it.claimed += 1;
                    let is_dead = it.reached
                        && it.attempts > 0
                        && it.is_unknown
                        && on_unknown_result == UnknownResult::Dead;
                    let again = it.offered.clone().filter(|_| it.same_payload);
                    let state = match maps[key.1] {
                        _ if is_dead => Some(State::Dead(DeadReason::UnknownResult)),
                        _ if again.is_some() => None,
                        MapsTo::Feedback => None,
                        MapsTo::Nothing => Some(State::Ignored(IgnoredReason::NoAnswer)),
                        MapsTo::Unmapped => Some(State::Dead(DeadReason::Unmapped)),
                    };
                    let asked = (!is_dead).then(|| again.clone());
                    if let Some(state) = state {
                        (it.state, it.same_payload) = (state, false);
                        taken.push(Taken { key, asked, outcome: TakenOutcome::Settled(state) });
                        continue;
                    }
                    let payload = again.unwrap_or_else(|| feedback(notes).to_json());
                    let (first, paused_before) = *it.tried.get_or_insert((now, paused_in_all));
                    let age = (now - first - (paused_in_all - paused_before)).max(0);
                    it.state = State::Pending;
                    it.attempts_made += 1;
                    it.offered = Some(payload.clone());
                    it.is_unknown = false;
                    let probe = pause.is_some();
                    it.in_flight = Some(InFlight { claim: claims, until: now + LEASE, probe });
                    it.recorded = None;
                    claims += 1;
                    let outcome = TakenOutcome::Started {
                        attempts: it.attempts,
                        age,
                        payload,
                        paused_for: pause.map(|pause| pause.cause),
                    };
                    taken.push(Taken { key, asked, outcome });
                }
            }
            let is_probed = pause.is_some() && claims > before;
            if let Some(pause) = &mut self.pauses[account]
                && is_probed
            {
                pause.probe_at = now + PROBE_INTERVAL;
            }
            if claims - before < wanted {
                let probe_at = self.pauses[account].map_or(i64::MIN, |pause| pause.probe_at);
                let waiting = self.waiting(account).map(|(_, it)| it.due_at).min();
                let next = waiting.map(|due_at| due_at.max(probe_at));
                next_due_at = next_due_at.into_iter().chain(next).min();
            }
        }
        (taken, next_due_at)
    }

    /// What waits and is not in flight.
    fn waiting(&self, account: usize) -> impl Iterator<Item = (&Key, &Submission)> {
        self.submissions.iter().filter(move |(key, it)| {
            key.0 == account && it.in_flight.is_none() && it.state.is_waiting()
        })
    }

    fn select(&mut self, account: usize, room: usize) -> Vec<Key> {
        let probe = self.pauses[account].is_some();
        let mut due: Vec<_> =
            self.waiting(account).filter(|(_, it)| it.due_at <= self.now).collect();
        // To probe they take turns; otherwise the oldest comes first.
        due.sort_by_key(|(_, it)| (if probe { it.claimed } else { 0 }, it.due_at, it.number));
        let due: Vec<_> = due.into_iter().map(|(key, it)| (*key, it.due_at)).collect();
        match probe {
            true => due.into_iter().take(room).map(|(key, _)| key).collect(),
            false => self.share(account, due, room),
        }
    }

    /// Where there is more than there is room for, what is due for long and for less long take turns.
    fn share(&mut self, account: usize, due: Vec<(Key, i64)>, room: usize) -> Vec<Key> {
        if due.len() <= room {
            return due.into_iter().map(|(key, _)| key).collect();
        }
        let mut ages: [Vec<_>; 3] = Default::default();
        for (key, due_at) in due.into_iter().rev() {
            let age = match self.now - due_at {
                ..60 => 0,
                60..3600 => 1,
                3600.. => 2,
            };
            ages[age].push(key);
        }
        let mut share = Vec::new();
        while share.len() < room {
            share.extend(ages[self.turns[account]].pop());
            self.turns[account] = (self.turns[account] + 1) % 3;
        }
        share
    }

    fn decision(&self, end: End) -> (Attempt, Decision) {
        let ended = |verdict, status| attempt(verdict, status, self.now);
        let retry = |seconds| Decision::Retry { at: at(self.now + seconds) };
        let probe_at = at(self.now + PROBE_INTERVAL);
        let dead = |pause| Decision::Dead { reason: DeadReason::Rejected, pause };
        match end {
            End::Delivered => (accepted(self.now), Decision::Delivered),
            End::Unreachable => (ended(Verdict::Unreachable, None), retry(10)),
            End::Failed => (ended(BUSY, Some(500)), retry(100)),
            End::Unknown => (ended(Verdict::UnknownResult, None), retry(20)),
            End::Refused => (ended(Verdict::Rejected, Some(422)), dead(None)),
            End::RefusedAsMostOthers => {
                let pause = Some((PauseCause::Rejections, probe_at));
                (ended(Verdict::Rejected, Some(422)), dead(pause))
            }
            End::Paused(cause) => {
                let attempt = match cause {
                    PauseCause::Rejections => ended(Verdict::Rejected, Some(422)),
                    PauseCause::Unreachable => ended(Verdict::Unreachable, None),
                    _ => ended(Verdict::AccountRejected, Some(401)),
                };
                (attempt, Decision::Pause { cause, probe_at, at: at(self.now + 5) })
            }
        }
    }

    fn settle(&mut self, number: usize, end: End) -> Settled {
        let key = self.claims[number].1;
        let (now, account) = (self.now, key.0);
        let (attempt, decision) = self.decision(end);
        let it = self.submissions.get_mut(&key).expect("what was claimed was received");
        let Some(in_flight) = it.in_flight.take_if(|in_flight| in_flight.claim == number) else {
            let is_reopened = matches!(decision, Decision::Dead { .. })
                && it.state != State::Dead(DeadReason::Rejected);
            return match &it.recorded {
                Some(recorded) if *recorded != (number, attempt) => Settled::LeaseLost,
                Some(_) if is_reopened => Settled::NewerAnswers,
                Some(_) => Settled::Done,
                None => Settled::LeaseLost,
            };
        };
        it.recorded = Some((number, attempt));
        it.attempts += u32::from(!matches!(end, End::Paused(_)));
        it.reached |= match end {
            End::Paused(cause) => cause == PauseCause::Rejections,
            _ => !matches!(end, End::Unreachable),
        };
        it.is_unknown = matches!(end, End::Unknown);
        let redeliver_at = it.redeliver_at.take();
        let is_newer = (!it.reached || redeliver_at.is_some()) && it.readmit();
        if is_newer {
            it.same_payload = false;
        }
        it.reached &= redeliver_at.is_none();
        let not_before = |due_at: i64| redeliver_at.map_or(due_at, |at| at.max(due_at));
        let mut settled = Settled::Done;
        match end {
            End::Delivered => {
                (it.state, it.same_payload) = (State::Delivered, false);
                it.delivered = it.offered.clone();
                if redeliver_at.is_some() {
                    it.start_over(not_before(now));
                }
            }
            End::Refused | End::RefusedAsMostOthers if is_newer => {
                it.start_over(not_before(now));
                settled = Settled::NewerAnswers;
            }
            End::Refused | End::RefusedAsMostOthers => {
                (it.state, it.same_payload) = (State::Dead(DeadReason::Rejected), false);
            }
            End::Unreachable => it.due_at = not_before(now + 10),
            End::Failed => it.due_at = not_before(now + 100),
            End::Unknown => it.due_at = not_before(now + 20),
            End::Paused(cause) => {
                it.due_at = not_before(now + 5);
                it.rejections +=
                    u32::from(cause == PauseCause::AccountRejected && !in_flight.probe);
            }
        }
        let cause = self.pauses[account].map(|pause| pause.cause);
        let has_response = !matches!(end, End::Unreachable | End::Paused(_));
        if cause == Some(PauseCause::Unreachable) && has_response {
            self.resume(account);
        }
        match end {
            End::Delivered if cause != Some(PauseCause::Operator) => self.resume(account),
            End::RefusedAsMostOthers => {
                self.pause(account, PauseCause::Rejections, now + PROBE_INTERVAL);
            }
            End::Paused(cause) => self.pause(account, cause, now + PROBE_INTERVAL),
            _ => {}
        }
        settled
    }

    /// Leases that ended by then are lost, and their attempts may have arrived.
    fn expire(&mut self, until: i64) {
        for it in self.submissions.values_mut() {
            if it.in_flight.take_if(|in_flight| in_flight.until <= until).is_none() {
                continue;
            }
            (it.attempts, it.is_unknown) = (it.attempts + 1, true);
            match it.redeliver_at.take() {
                None => it.reached = true,
                Some(due_at) => {
                    it.readmit();
                    (it.reached, it.same_payload) = (false, false);
                    it.due_at = it.due_at.max(due_at);
                }
            }
        }
    }

    fn operate(&mut self, key: Key, action: Action) -> ActionOutcome {
        let now = self.now;
        let Some(it) = self.submissions.get_mut(&key) else { return ActionOutcome::Unknown };
        if it.purged {
            return ActionOutcome::Purged;
        }
        match action {
            Action::Erase => {
                if it.state != State::Delivered {
                    it.state = State::Discarded;
                }
                (it.in_flight, it.recorded, it.actions) = (None, None, vec!["erase"]);
                it.lose_content();
            }
            _ if it.state == State::Discarded => return ActionOutcome::Discarded,
            _ if it.in_flight.is_some() => return ActionOutcome::InFlight,
            Action::Discard if it.state == State::Delivered => return ActionOutcome::Delivered,
            Action::Discard => {
                (it.state, it.same_payload) = (State::Discarded, false);
                it.actions.push("discard");
            }
            Action::Replay { .. } if it.state.is_waiting() => return ActionOutcome::Waiting,
            Action::Replay { include_delivered: false, .. } if it.state == State::Delivered => {
                return ActionOutcome::Delivered;
            }
            Action::Replay { same_payload: true, .. } if it.offered.is_none() => {
                return ActionOutcome::NoPayload;
            }
            Action::Replay { same_payload, .. } => {
                it.start_over(now);
                it.same_payload = same_payload;
                it.actions.push(if same_payload { "replay_same_payload" } else { "replay" });
            }
        }
        ActionOutcome::Done
    }

    fn pause(&mut self, account: usize, cause: PauseCause, probe_at: i64) {
        let since = self.now;
        match &mut self.pauses[account] {
            None => self.pauses[account] = Some(Pause { cause, since, probe_at }),
            Some(pause) if pause.cause < cause => {}
            Some(pause) => (pause.cause, pause.probe_at) = (cause, probe_at),
        }
    }

    fn resume(&mut self, account: usize) {
        if let Some(pause) = self.pauses[account].take() {
            self.paused[account] += self.now - pause.since;
        }
    }

    fn paused_in_all(&self, account: usize) -> i64 {
        self.paused[account] + self.pauses[account].map_or(0, |pause| self.now - pause.since)
    }

    async fn compare<B: Backend>(&self, store: &TestStore<B>) {
        store.check_counts().await;
        let found: BTreeMap<_, _> = store
            .submissions()
            .await
            .into_iter()
            .map(|it| {
                let attempts = (it.document.attempts_used, it.document.attempts_made);
                let is = (it.is_in_flight(), it.is_purged());
                (it.id, (it.state, it.due_at.as_second(), attempts, is))
            })
            .collect();
        let expected = self.submissions.iter().map(|(key, it)| {
            let attempts = (it.attempts, it.attempts_made);
            let is = (it.in_flight.is_some(), it.purged);
            (id(*key), (it.state, it.due_at, attempts, is))
        });
        assert_eq!(found, expected.collect());
        for (key, it) in &self.submissions {
            let found = store.find(id(*key)).await.unwrap().unwrap();
            assert_eq!(found.webhooks.is_empty(), it.purged);
            let bodies = found.webhooks.iter().filter(|it| it.content.is_some()).count();
            assert_eq!(bodies, it.bodies);
            let found = found.submission;
            let actions: Vec<_> = found.document.audit.iter().map(|it| &*it.action).collect();
            assert_eq!(actions, it.actions);
            assert_eq!(found.last_payload().map(Json::as_str), it.offered.as_deref());
            assert_eq!(
                found.document.delivered.as_ref().map(Json::as_str),
                it.delivered.as_deref()
            );
            assert_eq!(found, self.stored[key], "it is read back as it was written");
        }
        let mut recount = Tallies::default();
        self.stored.values().for_each(|it| recount.moved(Vec::new(), it.cells()));
        for field in [None, Some("field".parse().unwrap())] {
            let name = field.as_ref().map(Name::to_string).unwrap_or_default();
            let mut expected: BTreeMap<_, u64> = BTreeMap::new();
            for (cell, n) in recount.iter().filter(|(cell, _)| cell.field == name) {
                let Cell { day, value, state, reason, rating, issues, origin, .. } = cell.clone();
                let [value, issues, origin] = [value, issues, origin].map(Arc::<str>::from);
                let alike = (day, value, (state, reason), rating, issues, origin);
                *expected.entry(alike).or_default() += n.unsigned_abs();
            }
            let days = i64::MIN..i64::MAX;
            let (by, limit) = (TallyKey::ALL, usize::MAX);
            let all = TallyFilter { field, survey: None, account: None, days, by, limit };
            let found = store.tallies(all).await.unwrap().into_iter().map(|it| {
                let state = it.state.label().to_owned();
                let state = (state, it.state.reason().unwrap_or_default().to_owned());
                ((it.day, it.value, state, it.rating, it.issues, it.origin), it.n)
            });
            assert_eq!(found.collect::<BTreeMap<_, _>>(), expected, "tallies are a recount");
        }
        let found: Vec<_> = store
            .pauses()
            .await
            .iter()
            .map(|(account, it)| (account.to_string(), it.cause, it.since.as_second()))
            .collect();
        let expected = ACCOUNTS
            .into_iter()
            .zip(self.pauses)
            .filter_map(|(account, pause)| Some((account.to_owned(), pause?.cause, pause?.since)));
        assert_eq!(found, expected.collect::<Vec<_>>());
    }
}

impl MapsTo {
    fn mapping(self, notes: &str) -> Mapping {
        match self {
            MapsTo::Feedback => Mapping::Feedback(feedback(notes)),
            MapsTo::Nothing => ignored(IgnoredReason::NoAnswer),
            MapsTo::Unmapped => dead(DeadReason::Unmapped, "unknown"),
        }
    }
}

impl Thing {
    /// Whether, where this is known, there is nothing new in the other.
    fn is_known_by(&self, other: &Thing) -> bool {
        self == other || matches!((self, other), (Thing::Field(_), Thing::Field(_)))
    }

    fn in_domain(self) -> Option<(usize, &'static str)> {
        match self {
            Thing::Answer { question, text: text @ ("1" | "2") } => Some((question, text)),
            _ => None,
        }
    }
}

impl Submission {
    fn started(number: usize, changes: ChangedAnswerPolicy, things: &[Thing], now: i64) -> Self {
        let known: Vec<_> =
            things.iter().map(|thing| Known { thing: *thing, first: now, again: now }).collect();
        let (state, due_at) = due(&known, now);
        Self {
            number,
            changes,
            known,
            late: Vec::new(),
            state,
            due_at,
            attempts: 0,
            attempts_made: 0,
            tried: None,
            rejections: 0,
            reached: false,
            is_unknown: false,
            redeliver_at: None,
            in_flight: None,
            recorded: None,
            claimed: 0,
            offered: None,
            delivered: None,
            same_payload: false,
            actions: Vec::new(),
            purged: false,
            bodies: 0,
        }
    }

    /// The answer in the domain that counts, of each question.
    fn counting(&self, known: &[Known]) -> [Option<&'static str>; 2] {
        [0, 1].map(|question| {
            let mut counts: Option<(&str, i64)> = None;
            for known in known {
                if let Some((of, text)) = known.thing.in_domain()
                    && of == question
                    && counts.is_none_or(|(_, at)| {
                        self.changes != ChangedAnswerPolicy::KeepFirst && known.again >= at
                    })
                {
                    counts = Some((text, known.again));
                }
            }
            counts.map(|(text, _)| text)
        })
    }

    /// What was late counts after all; returns whether there was any.
    fn readmit(&mut self) -> bool {
        let late = std::mem::take(&mut self.late);
        merge(&mut self.known, &late);
        !late.is_empty()
    }

    fn lose_content(&mut self) {
        (self.purged, self.bodies) = (true, 0);
        (self.attempts, self.attempts_made) = (0, 0);
        (self.offered, self.delivered) = (None, None);
    }

    fn start_over(&mut self, due_at: i64) {
        (self.state, self.due_at) = (State::Pending, due_at);
        (self.attempts, self.tried, self.rejections) = (0, None, 0);
    }

    fn assert_is(&self, answers: &Answers) {
        let recorded: Vec<_> = answers
            .recorded()
            .map(|it| {
                let (first, again) = (it.received_at.as_second(), it.last_at.as_second());
                (it.question.as_str(), it.answer.clone(), first, again)
            })
            .collect();
        let known = self.known.iter().filter_map(|known| match known.thing {
            Thing::Answer { question, text } => {
                Some((QUESTIONS[question], answer(text), known.first, known.again))
            }
            _ => None,
        });
        assert_eq!(recorded, known.collect::<Vec<_>>());
        let known_at = |thing| {
            let known = self.known.iter().find(|known| known.thing == thing);
            known.map(|known| at(known.first))
        };
        assert_eq!(answers.hung_up_at(), known_at(Thing::HungUp));
        assert_eq!(answers.opted_out_at(), known_at(Thing::OptedOut));
        let field = self.known.iter().find_map(|known| match known.thing {
            Thing::Field(value) => Some(value),
            _ => None,
        });
        assert_eq!(answers.field("field"), field);
    }
}

/// What is known already came again.
fn merge(known: &mut Vec<Known>, more: &[Known]) {
    for more in more {
        match known.iter_mut().find(|known| known.thing == more.thing) {
            Some(known) => known.again = known.again.max(more.again),
            None => known.push(*more),
        }
    }
}

fn due(known: &[Known], now: i64) -> (State, i64) {
    let has = |thing| known.iter().any(|known| known.thing == thing);
    let answered = |question| {
        known.iter().any(|known| known.thing.in_domain().is_some_and(|(of, _)| of == question))
    };
    let news = known.iter().filter(|known| !matches!(known.thing, Thing::Field(_)));
    let Some(last) = news.map(|known| known.first).max() else {
        return (State::Collecting, now);
    };
    if has(Thing::OptedOut) || (answered(0) && answered(1)) {
        (State::Pending, last + DELAY)
    } else if has(Thing::HungUp) {
        (State::Collecting, last + DELAY)
    } else {
        (State::Collecting, last + AFTER)
    }
}

fn name(account: usize) -> Name {
    ACCOUNTS[account].parse().unwrap()
}

fn webhook_key((account, call): Key) -> submission::SubmissionKey {
    webhook_for(ACCOUNTS[account], 0, CALLS[call], &[]).key
}

fn id(key: Key) -> SubmissionId {
    webhook_key(key).id()
}

/// Tries many cases from a seed that is printed; `POSTCALL_TEST_SEED` repeats a run.
pub fn check<S: Strategy>(cases: u32, strategy: S, law: impl Fn(S::Value))
where
    S::Value: Debug,
{
    let seed = match std::env::var("POSTCALL_TEST_SEED") {
        Ok(seed) => seed.parse().expect("POSTCALL_TEST_SEED is a whole number"),
        Err(_) => fastrand::u64(..),
    };
    eprintln!("POSTCALL_TEST_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let tried = TestRunner::new_with_rng(config, rng).run(&strategy, |value| {
        law(value);
        Ok(())
    });
    if let Err(error) = tried {
        panic!("{error}");
    }
}

pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}
