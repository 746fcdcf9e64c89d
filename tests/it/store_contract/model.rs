//! A ledger beside a small picture of itself in memory: whatever is asked of both, they agree.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;

use postcall::account::PauseCause;
use postcall::domain::{Name, Verdict};
use postcall::store::{Begun, Decision, Done, Lease, Outcome, Replay, Settled, Ticket};
use postcall::submission::{
    Answers, ChangedAnswerPolicy, DeadReason, IgnoredReason, State, SubmissionId,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::backend::{LEASE, PROBE_EVERY, offer, wanted};
use super::spoken::{
    AFTER, BUSY, DELAY, answer, at, attempt, changing, hook_for, ignored, telling, unmapped,
};
use super::{Backend, Ledger};

const ACCOUNTS: [&str; 2] = ["main", "other"];
/// Each to a survey in which another answer counts: see [`ChangedAnswerPolicy::ALL`].
const CALLS: [&str; 3] = ["first", "last", "resend"];
const QUESTIONS: [&str; 2] = ["score", "problem"];

/// A step that everything may take part in; which lease is meant is counted from the latest.
#[derive(Debug, Clone)]
enum Step {
    Hear {
        account: usize,
        call: usize,
        things: Vec<Thing>,
    },
    Wait(i64),
    Lease(usize),
    Begin(usize),
    Settle(usize, End),
    Release(usize),
    Reopen,
    /// The process is killed; what was answered is still there.
    End,
    ByHand(usize, usize, Deed),
    Hold(usize),
    Resume(usize),
    ProbeNow(usize),
}

/// What a person does to a submission.
#[derive(Debug, Clone, Copy)]
enum Deed {
    Replay { as_was: bool, accepted_too: bool },
    Discard,
    Erase,
}

/// What a hook may report, each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Thing {
    RecordedAnswer { question: usize, text: &'static str },
    Field(&'static str),
    HungUp,
    OptedOut,
}

/// How an attempt ends; where none began, there was nothing to tell or nothing to tell it by.
#[derive(Debug, Clone, Copy)]
enum End {
    Delivered,
    Unreachable,
    Failed,
    Refused,
    Held(PauseCause),
}

pub fn a_ledger_does_what_the_model_does_and_its_books_balance<B: Backend>() {
    check(40, prop::collection::vec(step(), 1..60), |steps| {
        block_on(async {
            let mut ledger = Ledger::<B>::new();
            let mut model = Model::default();
            for step in steps {
                model.take(&mut ledger, step).await;
                model.compare(&ledger).await;
            }
            assert_eq!(ledger.backend.faults(), Vec::<String>::new());
        });
    });
}

fn step() -> impl Strategy<Value = Step> {
    let texts = prop::sample::select(vec!["", "1", "2", "7"]);
    let said =
        (0..2usize, texts).prop_map(|(question, text)| Thing::RecordedAnswer { question, text });
    let things = prop_oneof![
        12 => said.clone().prop_map(|said| vec![said]),
        2 => (said, prop::sample::select(vec!["a", "b"]))
            .prop_map(|(said, value)| vec![said, Thing::Field(value)]),
        1 => prop::sample::select(vec!["a", "b"]).prop_map(|value| vec![Thing::Field(value)]),
        1 => Just(vec![Thing::HungUp]),
        1 => Just(vec![Thing::OptedOut]),
    ];
    let hear = (0..2usize, 0..3usize, things).prop_map(|(account, call, things)| Step::Hear {
        account,
        call,
        things,
    });
    let mut ends = vec![End::Delivered, End::Unreachable, End::Failed, End::Refused];
    ends.extend(
        [PauseCause::Misconfigured, PauseCause::Refusals, PauseCause::Unreachable].map(End::Held),
    );
    let replay = |(as_was, accepted_too)| Deed::Replay { as_was, accepted_too };
    let deed = prop_oneof![
        4 => (any::<bool>(), any::<bool>()).prop_map(replay),
        1 => Just(Deed::Discard),
        1 => Just(Deed::Erase),
    ];
    prop_oneof![
        6 => hear,
        4 => prop::sample::select(vec![1, 29, 30, 60, 61, 120, 3600]).prop_map(Step::Wait),
        5 => (1..4usize).prop_map(Step::Lease),
        4 => (0..3usize).prop_map(Step::Begin),
        5 => (0..3usize, prop::sample::select(ends)).prop_map(|(n, end)| Step::Settle(n, end)),
        1 => (0..3usize).prop_map(Step::Release),
        1 => Just(Step::Reopen),
        1 => Just(Step::End),
        3 => (0..2usize, 0..3usize, deed).prop_map(|(account, call, deed)| {
            Step::ByHand(account, call, deed)
        }),
        1 => prop_oneof![
            (0..2usize).prop_map(Step::Hold),
            (0..2usize).prop_map(Step::Resume),
            (0..2usize).prop_map(Step::ProbeNow),
        ],
    ]
}

#[derive(Default)]
struct Model {
    now: i64,
    /// By account and call.
    submissions: BTreeMap<(usize, usize), Submission>,
    kept: usize,
    leases: Vec<(Lease, (usize, usize))>,
    holds: [Option<Held>; 2],
    /// For how long each account was held before.
    held: [i64; 2],
    /// Whose turn it is of what is due for each account.
    turns: [usize; 2],
}

#[derive(Clone, Copy)]
struct Held {
    cause: PauseCause,
    since: i64,
    probe_at: i64,
}

struct Submission {
    number: usize,
    changes: ChangedAnswerPolicy,
    heard: Vec<Heard>,
    late: Vec<Heard>,
    version: u32,
    state: State,
    due_at: i64,
    attempts: u32,
    /// When it was first tried, and for how long its account had been held by then.
    tried: Option<(i64, i64)>,
    rejections: u32,
    reached: bool,
    /// When what was said during the attempt is due, where it has to be sent as well.
    resend_at: Option<i64>,
    in_hand: Option<InHand>,
    /// How often it was handed out.
    leased: u32,
    delivered: bool,
    offered: bool,
    as_was: bool,
    deeds: Vec<&'static str>,
    gone: bool,
}

/// A thing, when it was first heard, and when last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Heard {
    thing: Thing,
    first: i64,
    again: i64,
}

#[derive(Clone, Copy)]
struct InHand {
    lease: usize,
    until: i64,
    version: u32,
    begun: bool,
    probe: bool,
}

impl Model {
    async fn take<B: Backend>(&mut self, ledger: &mut Ledger<B>, step: Step) {
        match step {
            Step::Hear { account, call, things } => {
                let mut arrival = hook_for(ACCOUNTS[account], self.now, CALLS[call], &[]);
                for thing in &things {
                    arrival = match *thing {
                        Thing::RecordedAnswer { question, text } => {
                            let said = hook_for("main", 0, "c-1", &[(QUESTIONS[question], text)]);
                            arrival.report.answers.extend(said.report.answers);
                            arrival
                        }
                        Thing::Field(value) => telling("field", value, arrival),
                        Thing::HungUp => {
                            arrival.report.hung_up = true;
                            arrival
                        }
                        Thing::OptedOut => {
                            arrival.report.opted_out = true;
                            arrival
                        }
                    };
                }
                let outcome =
                    ledger.hear(changing(ChangedAnswerPolicy::ALL[call], arrival)).await.outcome;
                assert_eq!(outcome, self.hear((account, call), &things));
            }
            Step::Wait(seconds) => {
                self.now += seconds;
                ledger.set_clock(self.now);
            }
            Step::Lease(most) => {
                let request = wanted(&ACCOUNTS.map(|account| (account, most)), self.now);
                let leases = ledger.lease(request).await.unwrap().leases;
                let found = leases.iter().map(|lease| {
                    let account = lease.key.account.to_string();
                    (account, lease.key.call.to_string(), lease.attempts, lease.probe)
                });
                let (first, expected) = (self.leases.len(), self.lease(most));
                let names = expected.iter().map(|(key, attempts, probe)| {
                    (ACCOUNTS[key.0].into(), CALLS[key.1].into(), *attempts, *probe)
                });
                assert_eq!(found.collect::<Vec<_>>(), names.collect::<Vec<_>>());
                for (n, (lease, (key, ..))) in leases.into_iter().zip(expected).enumerate() {
                    let it = &self.submissions[&key];
                    assert_eq!(it.in_hand.unwrap().lease, first + n);
                    assert_eq!((lease.again, lease.rejections), (it.delivered, it.rejections));
                    assert_eq!(lease.as_was.as_deref(), it.as_was.then_some("{}"));
                    let age = it.tried.map_or(0, |(first, held_before)| {
                        let held = self.held_in_all(key.0) - held_before;
                        (self.now - first - held).max(0)
                    });
                    assert_eq!(lease.age.as_secs() as i64, age);
                    it.assert_is(&lease.answers);
                    self.leases.push((lease, key));
                }
            }
            Step::Begin(n) => {
                let Some((number, ticket)) = self.ticket(n) else { return };
                if self.in_hand(number).is_some_and(|in_hand| in_hand.begun) {
                    return;
                }
                let begun = ledger.begin(vec![offer(ticket)], at(self.now)).await.unwrap();
                assert_eq!(begun, [self.begin(number)]);
            }
            Step::Settle(n, end) => {
                let Some((number, _)) = self.ticket(n) else { return };
                let begun = self.in_hand(number).is_none_or(|in_hand| in_hand.begun);
                let decision = self.decision(end, begun);
                let settled = ledger.settle_one(&self.leases[number].0, decision, self.now).await;
                assert_eq!(settled, self.settle(number, end));
            }
            Step::Release(n) => {
                let Some((number, ticket)) = self.ticket(n) else { return };
                ledger.release(vec![ticket]).await.unwrap();
                self.give_back(number);
            }
            Step::Reopen => {
                ledger.reopen();
                self.begin_anew();
            }
            Step::End => {
                *ledger = ledger.after_a_sudden_end();
                ledger.set_clock(self.now);
                self.begin_anew();
            }
            Step::ByHand(account, call, deed) => {
                let (ids, now) = (vec![id((account, call))], at(self.now));
                let done = match deed {
                    Deed::Replay { as_was, accepted_too } => {
                        ledger.replay(ids, Replay { as_was, accepted_too, at: now }).await
                    }
                    Deed::Discard => ledger.discard(ids, "enough".to_owned(), now).await,
                    Deed::Erase => ledger.erase(ids, now).await,
                };
                assert_eq!(done.unwrap(), [self.do_by_hand((account, call), deed)]);
            }
            Step::Hold(account) => {
                ledger.hold(name(account), "wait".to_owned(), at(self.now)).await.unwrap();
                self.hold(account, PauseCause::Operator, self.now);
            }
            Step::Resume(account) => {
                let resumed = ledger.resume(name(account), at(self.now)).await.unwrap();
                assert_eq!(resumed, self.holds[account].is_some());
                self.lift(account);
            }
            Step::ProbeNow(account) => {
                ledger.probe_now(vec![name(account)], at(self.now)).await.unwrap();
                if let Some(hold) = &mut self.holds[account] {
                    hold.probe_at = hold.probe_at.min(self.now);
                }
            }
        }
    }

    /// A new process knows nothing of who had what in hand.
    fn begin_anew(&mut self) {
        self.void(i64::MAX);
        self.turns = [0; 2];
    }

    fn do_by_hand(&mut self, key: (usize, usize), deed: Deed) -> Done {
        let now = self.now;
        let Some(it) = self.submissions.get_mut(&key) else { return Done::Unknown };
        let under_way = it.in_hand.is_some_and(|in_hand| in_hand.begun);
        if it.gone {
            return Done::Gone;
        }
        match deed {
            Deed::Erase => {
                if !matches!(it.state, State::Delivered) {
                    it.state = State::Discarded;
                }
                (it.in_hand, it.gone, it.deeds) = (None, true, vec!["erase"]);
                return Done::Done;
            }
            _ if it.state == State::Discarded => return Done::Gone,
            _ if under_way => return Done::UnderWay,
            Deed::Discard if it.state == State::Delivered => return Done::Accepted,
            Deed::Discard => {
                (it.state, it.in_hand) = (State::Discarded, None);
                it.deeds.push("discard");
                return Done::Done;
            }
            Deed::Replay { .. } if it.state.is_waiting() => return Done::Waiting,
            Deed::Replay { accepted_too: false, .. } if it.state == State::Delivered => {
                return Done::Accepted;
            }
            Deed::Replay { as_was: true, .. } if !it.offered => return Done::NeverOffered,
            Deed::Replay { as_was, .. } => {
                it.starts_over(now);
                it.version += 1;
                it.as_was = as_was;
                it.deeds.push(if as_was { "replay_as_was" } else { "replay" });
            }
        }
        Done::Done
    }

    fn hold(&mut self, account: usize, cause: PauseCause, probe_at: i64) {
        let since = self.now;
        match &mut self.holds[account] {
            None => self.holds[account] = Some(Held { cause, since, probe_at }),
            Some(hold) if hold.cause < cause => {}
            Some(hold) => (hold.cause, hold.probe_at) = (cause, probe_at),
        }
    }

    fn lift(&mut self, account: usize) {
        if let Some(hold) = self.holds[account].take() {
            self.held[account] += self.now - hold.since;
        }
    }

    fn held_in_all(&self, account: usize) -> i64 {
        self.held[account] + self.holds[account].map_or(0, |hold| self.now - hold.since)
    }

    fn hear(&mut self, key: (usize, usize), things: &[Thing]) -> Outcome {
        let now = self.now;
        let Some(known) = self.submissions.get_mut(&key) else {
            self.kept += 1;
            let new = Submission::started(self.kept, ChangedAnswerPolicy::ALL[key.1], things, now);
            self.submissions.insert(key, new);
            return Outcome::New;
        };
        if known.gone {
            return Outcome::Gone;
        }
        let under_way = known.in_hand.is_some_and(|in_hand| in_hand.begun);
        let ended = matches!(known.state, State::Delivered | State::Discarded);
        let closed = under_way || known.reached || ended;
        let mut all = known.heard.clone();
        if closed {
            merge(&mut all, &known.late);
        }
        let before = known.counting(&all);
        let (mut new, mut again) = (Vec::new(), Vec::new());
        for thing in things.iter().copied() {
            let heard = Heard { thing, first: now, again: now };
            match all.iter_mut().find(|known| known.thing.is_known_by(&thing)) {
                None => {
                    all.push(heard);
                    new.push(heard);
                }
                Some(known_as) if known_as.thing == thing && known_as.again < now => {
                    if matches!(thing, Thing::RecordedAnswer { .. })
                        && known.changes != ChangedAnswerPolicy::KeepFirst
                    {
                        known_as.again = now;
                        again.push(heard);
                    }
                }
                Some(_) => {}
            }
        }
        let counts =
            known.changes != ChangedAnswerPolicy::KeepFirst && known.counting(&all) != before;
        let may_resend =
            known.changes == ChangedAnswerPolicy::Redeliver && known.state != State::Discarded;
        let resends = closed && counts && may_resend;
        if closed && (!resends || under_way) {
            known.late.extend(new.iter().chain(&again));
        } else {
            known.readmit();
            merge(&mut known.heard, &new);
            merge(&mut known.heard, &again);
        }
        if new.is_empty() && !counts {
            return Outcome::Repeat;
        }
        if closed && !resends {
            return Outcome::Late;
        }
        if under_way {
            known.resend_at = Some(due(&all, now).1);
            return Outcome::Added;
        }
        (known.reached, known.as_was) = (false, false);
        known.version += 1;
        let (state, due_at) = due(&known.heard, now);
        match known.state {
            State::Pending if known.tried.is_some() => known.due_at = known.due_at.max(due_at),
            State::Pending => known.due_at = due_at,
            before => {
                let state = if before == State::Delivered { State::Pending } else { state };
                (known.state, known.due_at) = (state, due_at);
                if !before.is_waiting() {
                    (known.attempts, known.tried, known.rejections) = (0, None, 0);
                }
            }
        }
        Outcome::Added
    }

    /// Key, attempts and whether it is a probe, in the order in which they are handed out.
    fn lease(&mut self, most: usize) -> Vec<((usize, usize), u32, bool)> {
        self.void(self.now);
        let mut leased = Vec::new();
        for account in 0..ACCOUNTS.len() {
            let (most, probe) = match self.holds[account] {
                None => (most, false),
                Some(hold) if hold.cause == PauseCause::Operator => continue,
                Some(hold) => (most.min(usize::from(hold.probe_at <= self.now)), true),
            };
            let mut due: Vec<_> = self
                .submissions
                .iter()
                .filter(|(key, it)| key.0 == account && it.in_hand.is_none())
                .filter(|(_, it)| it.state.is_waiting() && it.due_at <= self.now)
                .collect();
            // To probe they take turns; otherwise the oldest comes first.
            due.sort_by_key(|(_, it)| (if probe { it.leased } else { 0 }, it.due_at, it.number));
            let due: Vec<_> = due.into_iter().map(|(key, it)| (*key, it.due_at)).collect();
            let share = match probe {
                true => due.into_iter().take(most).map(|(key, _)| key).collect(),
                false => self.share(account, due, most),
            };
            for key in share {
                let it = self.submissions.get_mut(&key).unwrap();
                it.state = State::Pending;
                it.leased += 1;
                it.in_hand = Some(InHand {
                    lease: self.leases.len() + leased.len(),
                    until: self.now + LEASE,
                    version: it.version,
                    begun: false,
                    probe,
                });
                leased.push((key, it.attempts, probe));
                if let Some(hold) = &mut self.holds[account] {
                    hold.probe_at = self.now + PROBE_EVERY;
                }
            }
        }
        leased
    }

    /// Where there is more than is wanted, what is due for long and for less long take turns.
    fn share(
        &mut self,
        account: usize,
        due: Vec<((usize, usize), i64)>,
        most: usize,
    ) -> Vec<(usize, usize)> {
        if due.len() <= most {
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
        while share.len() < most {
            share.extend(ages[self.turns[account]].pop());
            self.turns[account] = (self.turns[account] + 1) % 3;
        }
        share
    }

    fn begin(&mut self, number: usize) -> Begun {
        let Some(in_hand) = self.in_hand(number) else { return Begun::LeaseLost };
        let (now, until) = (self.now, self.now + LEASE);
        let held = self.held_in_all(self.leases[number].1.0);
        let it = self.submission(number);
        if in_hand.version != it.version {
            self.give_back(number);
            return Begun::NewerAnswers;
        }
        it.tried.get_or_insert((now, held));
        it.offered = true;
        it.in_hand = Some(InHand { begun: true, until, ..in_hand });
        Begun::Started
    }

    /// Frees a lease of which no attempt began; a probe that asked nobody leaves it to the next.
    fn give_back(&mut self, number: usize) {
        let Some(in_hand) = self.in_hand(number).filter(|in_hand| !in_hand.begun) else { return };
        self.submission(number).in_hand = None;
        if let Some(hold) = &mut self.holds[self.leases[number].1.0]
            && in_hand.probe
        {
            hold.probe_at = hold.since;
        }
    }

    fn decision(&self, end: End, begun: bool) -> Decision {
        let ended = |verdict, status| attempt(verdict, status, self.now);
        match end {
            End::Delivered | End::Held(_) if !begun => ignored(IgnoredReason::NoAnswer),
            _ if !begun => unmapped("unknown"),
            End::Delivered => Decision::Delivered { attempt: ended(Verdict::Accepted, Some(201)) },
            End::Unreachable => Decision::Retry {
                attempt: ended(Verdict::Unreachable, None),
                at: at(self.now + 10),
            },
            End::Failed => {
                Decision::Retry { attempt: ended(BUSY, Some(500)), at: at(self.now + 100) }
            }
            End::Refused => Decision::Dead {
                attempt: ended(Verdict::Refused, Some(422)),
                reason: DeadReason::Refused,
            },
            End::Held(cause) => Decision::Hold {
                attempt: match cause {
                    PauseCause::Refusals => ended(Verdict::Refused, Some(422)),
                    PauseCause::Unreachable => ended(Verdict::Unreachable, None),
                    _ => ended(Verdict::Misconfigured, Some(401)),
                },
                cause,
                probe_at: at(self.now + PROBE_EVERY),
                at: at(self.now + 5),
            },
        }
    }

    fn settle(&mut self, number: usize, end: End) -> Settled {
        let Some(in_hand) = self.in_hand(number) else { return Settled::LeaseLost };
        let (now, account) = (self.now, self.leases[number].1.0);
        let it = self.submission(number);
        if in_hand.version != it.version {
            self.give_back(number);
            return Settled::NewerAnswers;
        }
        it.in_hand = None;
        if !in_hand.begun {
            it.state = match end {
                End::Delivered | End::Held(_) => State::Ignored(IgnoredReason::NoAnswer),
                _ => State::Dead(DeadReason::Unmapped),
            };
            it.as_was = false;
            // It asked nobody: another may probe at once.
            if let Some(hold) = &mut self.holds[account] {
                hold.probe_at = now;
            }
            return Settled::Done;
        }
        it.attempts += u32::from(!matches!(end, End::Held(_)));
        it.reached |= match end {
            End::Held(cause) => cause == PauseCause::Refusals,
            _ => !matches!(end, End::Unreachable),
        };
        let resend_at = it.resend_at.take();
        let is_newer = (!it.reached || resend_at.is_some()) && it.readmit();
        if is_newer {
            it.version += 1;
            it.as_was = false;
        }
        it.reached &= resend_at.is_none();
        let mut settled = Settled::Done;
        match end {
            End::Delivered => {
                (it.state, it.delivered, it.as_was) = (State::Delivered, true, false);
                if let Some(due_at) = resend_at {
                    it.starts_over(now.max(due_at));
                }
            }
            End::Refused if is_newer => {
                it.starts_over(now.max(resend_at.unwrap_or(now)));
                settled = Settled::NewerAnswers;
            }
            End::Refused => {
                (it.state, it.as_was) = (State::Dead(DeadReason::Refused), false);
            }
            End::Unreachable => it.due_at = Some(now + 10).max(resend_at).unwrap(),
            End::Failed => it.due_at = Some(now + 100).max(resend_at).unwrap(),
            End::Held(cause) => {
                it.due_at = Some(now + 5).max(resend_at).unwrap();
                it.rejections += u32::from(cause == PauseCause::Misconfigured && !in_hand.probe);
            }
        }
        let cause = self.holds[account].map(|hold| hold.cause);
        match end {
            End::Delivered if cause != Some(PauseCause::Operator) => self.lift(account),
            End::Failed | End::Refused if cause == Some(PauseCause::Unreachable) => {
                self.lift(account);
            }
            End::Held(cause) => self.hold(account, cause, now + PROBE_EVERY),
            _ => {}
        }
        settled
    }

    fn void(&mut self, until: i64) {
        for it in self.submissions.values_mut() {
            if let Some(in_hand) = it.in_hand.take_if(|in_hand| in_hand.until <= until) {
                it.attempts += u32::from(in_hand.begun);
                it.reached |= in_hand.begun;
                if let Some(due_at) = it.resend_at.take() {
                    it.readmit();
                    (it.reached, it.as_was, it.version) = (false, false, it.version + 1);
                    it.due_at = it.due_at.max(due_at);
                }
            }
        }
    }

    async fn compare<B: Backend>(&self, ledger: &Ledger<B>) {
        ledger.check_books().await;
        let found: BTreeMap<_, _> = ledger
            .rows()
            .await
            .into_iter()
            .map(|row| {
                let is_gone = row.gone_at.is_some();
                (row.id, (row.state, row.due_at.as_second(), row.attempts, is_gone))
            })
            .collect();
        let expected = self
            .submissions
            .iter()
            .map(|(key, it)| (id(*key), (it.state, it.due_at, it.attempts, it.gone)));
        assert_eq!(found, expected.collect());
        for (key, it) in &self.submissions {
            let known = ledger.find(id(*key)).await.unwrap().unwrap();
            let deeds: Vec<_> = known.interventions.iter().map(|deed| &*deed.action).collect();
            assert_eq!(deeds, it.deeds);
            assert_eq!(known.hooks.is_empty(), it.gone);
        }
        let holds = ledger.figures().await.unwrap().holds;
        let held: Vec<_> = holds
            .iter()
            .map(|hold| (hold.account.as_str(), hold.cause, hold.since.as_second()))
            .collect();
        let expected = ACCOUNTS.into_iter().zip(self.holds);
        let expected = expected.filter_map(|(name, hold)| Some((name, hold?.cause, hold?.since)));
        assert_eq!(held, expected.collect::<Vec<_>>());
    }

    /// A lease that was once handed out, and its number.
    fn ticket(&self, from_latest: usize) -> Option<(usize, Ticket)> {
        let number = self.leases.len().checked_sub(1 + from_latest)?;
        Some((number, self.leases[number].0.ticket))
    }

    fn submission(&mut self, lease: usize) -> &mut Submission {
        self.submissions.get_mut(&self.leases[lease].1).expect("what was leased was kept")
    }

    fn in_hand(&self, lease: usize) -> Option<InHand> {
        self.submissions[&self.leases[lease].1].in_hand.filter(|in_hand| in_hand.lease == lease)
    }
}

impl Thing {
    /// Whether, where this is known, there is nothing new in the other.
    fn is_known_by(&self, other: &Thing) -> bool {
        self == other || matches!((self, other), (Thing::Field(_), Thing::Field(_)))
    }

    fn in_domain(self) -> Option<(usize, &'static str)> {
        match self {
            Thing::RecordedAnswer { question, text: text @ ("1" | "2") } => Some((question, text)),
            _ => None,
        }
    }
}

impl Submission {
    fn started(number: usize, changes: ChangedAnswerPolicy, things: &[Thing], now: i64) -> Self {
        let heard: Vec<_> =
            things.iter().map(|thing| Heard { thing: *thing, first: now, again: now }).collect();
        let (state, due_at) = due(&heard, now);
        Self {
            number,
            changes,
            heard,
            late: Vec::new(),
            version: 1,
            state,
            due_at,
            attempts: 0,
            tried: None,
            rejections: 0,
            reached: false,
            resend_at: None,
            in_hand: None,
            leased: 0,
            delivered: false,
            offered: false,
            as_was: false,
            deeds: Vec::new(),
            gone: false,
        }
    }

    /// The answer in the domain that counts, of each question.
    fn counting(&self, heard: &[Heard]) -> [Option<&'static str>; 2] {
        [0, 1].map(|question| {
            let mut counts: Option<(&str, i64)> = None;
            for heard in heard {
                if let Some((of, text)) = heard.thing.in_domain()
                    && of == question
                    && counts.is_none_or(|(_, at)| {
                        self.changes != ChangedAnswerPolicy::KeepFirst && heard.again >= at
                    })
                {
                    counts = Some((text, heard.again));
                }
            }
            counts.map(|(text, _)| text)
        })
    }

    /// What was late counts after all; answers whether there was any.
    fn readmit(&mut self) -> bool {
        let late = std::mem::take(&mut self.late);
        merge(&mut self.heard, &late);
        !late.is_empty()
    }

    fn starts_over(&mut self, due_at: i64) {
        (self.state, self.due_at) = (State::Pending, due_at);
        (self.attempts, self.tried, self.rejections) = (0, None, 0);
    }

    fn assert_is(&self, answers: &Answers) {
        let said: Vec<_> = answers
            .recorded()
            .map(|said| {
                let (first, again) = (said.received_at.as_second(), said.last_at.as_second());
                (said.question.as_str(), said.answer.clone(), first, again)
            })
            .collect();
        let known = self.heard.iter().filter_map(|heard| match heard.thing {
            Thing::RecordedAnswer { question, text } => {
                Some((QUESTIONS[question], answer(text), heard.first, heard.again))
            }
            _ => None,
        });
        assert_eq!(said, known.collect::<Vec<_>>());
        let known_at = |thing| {
            let known = self.heard.iter().find(|heard| heard.thing == thing);
            known.map(|heard| at(heard.first))
        };
        assert_eq!(answers.hung_up_at(), known_at(Thing::HungUp));
        assert_eq!(answers.opted_out_at(), known_at(Thing::OptedOut));
        let field = self.heard.iter().find_map(|heard| match heard.thing {
            Thing::Field(value) => Some(value),
            _ => None,
        });
        assert_eq!(answers.field("field"), field);
    }
}

/// What is known already was said again.
fn merge(heard: &mut Vec<Heard>, more: &[Heard]) {
    for more in more {
        match heard.iter_mut().find(|known| known.thing == more.thing) {
            Some(known) => known.again = known.again.max(more.again),
            None => heard.push(*more),
        }
    }
}

fn due(heard: &[Heard], now: i64) -> (State, i64) {
    let has = |thing| heard.iter().any(|heard| heard.thing == thing);
    let answered = |question| {
        heard.iter().any(|heard| heard.thing.in_domain().is_some_and(|(of, _)| of == question))
    };
    let news = heard.iter().filter(|heard| !matches!(heard.thing, Thing::Field(_)));
    let Some(last) = news.map(|heard| heard.first).max() else {
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

fn id((account, call): (usize, usize)) -> SubmissionId {
    hook_for(ACCOUNTS[account], 0, CALLS[call], &[]).key.id()
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
