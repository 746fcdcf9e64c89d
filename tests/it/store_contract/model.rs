//! A ledger beside a small picture of itself in memory: whatever is asked of both, they agree.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;

use postcall::domain::{DeadReason, IgnoredReason, State, Verdict};
use postcall::store::{Begun, Decision, Lease, Outcome, Settled, Ticket};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::backend::{LEASE, PROBE_EVERY, wanted};
use super::spoken::{AFTER, BUSY, DELAY, at, attempt, hook_for, ignored, unmapped};
use super::{Backend, Ledger};

const ACCOUNTS: [&str; 2] = ["main", "other"];
const CALLS: [&str; 3] = ["c-1", "c-2", "c-3"];
const QUESTIONS: [&str; 2] = ["score", "problem"];

/// A step that everything may take part in; which lease is meant is counted from the latest.
#[derive(Debug, Clone)]
enum Step {
    Hear { account: usize, call: usize, question: usize, text: &'static str },
    Wait(i64),
    Lease(usize),
    Begin(usize),
    Settle(usize, End),
    Release(usize),
    Reopen,
}

/// How an attempt ends; where none began, there was nothing to tell or nothing to tell it by.
#[derive(Debug, Clone, Copy)]
enum End {
    Delivered,
    Unreachable,
    Failed,
    Refused,
    Held,
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
        });
    });
}

fn step() -> impl Strategy<Value = Step> {
    let texts = prop::sample::select(vec!["", "1", "2", "7"]);
    let hear = (0..2usize, 0..3usize, 0..2usize, texts)
        .prop_map(|(account, call, question, text)| Step::Hear { account, call, question, text });
    let ends = [End::Delivered, End::Unreachable, End::Failed, End::Refused, End::Held];
    prop_oneof![
        6 => hear,
        4 => prop::sample::select(vec![1, 29, 30, 60, 61, 120]).prop_map(Step::Wait),
        5 => (1..4usize).prop_map(Step::Lease),
        4 => (0..3usize).prop_map(Step::Begin),
        5 => (0..3usize, prop::sample::select(ends.to_vec())).prop_map(|(n, end)| Step::Settle(n, end)),
        1 => (0..3usize).prop_map(Step::Release),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Default)]
struct Model {
    now: i64,
    /// By account and call.
    submissions: BTreeMap<(usize, usize), Submission>,
    kept: usize,
    leases: Vec<(Lease, (usize, usize))>,
    /// When a held account is probed next.
    probe_at: [Option<i64>; 2],
}

struct Submission {
    number: usize,
    said: Vec<(usize, &'static str, i64)>,
    late: Vec<(usize, &'static str, i64)>,
    state: State,
    due_at: i64,
    attempts: u32,
    tried: bool,
    reached: bool,
    in_hand: Option<InHand>,
    /// How often it was handed out.
    leased: u32,
}

#[derive(Clone, Copy)]
struct InHand {
    lease: usize,
    until: i64,
    answers: usize,
    begun: bool,
}

impl Model {
    async fn take<B: Backend>(&mut self, ledger: &mut Ledger<B>, step: Step) {
        match step {
            Step::Hear { account, call, question, text } => {
                let answers = [(QUESTIONS[question], text)];
                let arrival = hook_for(ACCOUNTS[account], self.now, CALLS[call], &answers);
                let outcome = ledger.hear(arrival).await.outcome;
                assert_eq!(outcome, self.hear((account, call), question, text));
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
                    let in_hand = self.submissions[&key].in_hand.unwrap();
                    assert_eq!((in_hand.lease, in_hand.answers), (first + n, lease.answers.len()));
                    self.leases.push((lease, key));
                }
            }
            Step::Begin(n) => {
                let Some((number, ticket)) = self.ticket(n) else { return };
                if self.in_hand(number).is_some_and(|in_hand| in_hand.begun) {
                    return;
                }
                let begun = ledger.begin(vec![ticket], at(self.now)).await.unwrap();
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
                if self.in_hand(number).is_some_and(|in_hand| !in_hand.begun) {
                    self.submission(number).in_hand = None;
                }
            }
            Step::Reopen => {
                ledger.reopen();
                self.void(i64::MAX);
            }
        }
    }

    fn hear(&mut self, key: (usize, usize), question: usize, text: &'static str) -> Outcome {
        let said = (question, text, self.now);
        let Some(known) = self.submissions.get_mut(&key) else {
            self.kept += 1;
            let new = Submission::started(self.kept, said);
            self.submissions.insert(key, new);
            return Outcome::New;
        };
        let mut heard = known.said.iter().chain(&known.late);
        if heard.any(|(q, t, _)| (*q, *t) == (question, text)) {
            return Outcome::Repeat;
        }
        let under_way = known.in_hand.is_some_and(|in_hand| in_hand.begun);
        if under_way || known.reached || known.state == State::Delivered {
            known.late.push(said);
            return Outcome::Late;
        }
        known.said.push(said);
        let (state, due_at) = known.due();
        match known.state {
            State::Pending if known.tried => known.due_at = known.due_at.max(due_at),
            State::Pending => known.due_at = due_at,
            before => {
                (known.state, known.due_at) = (state, due_at);
                if !before.is_waiting() {
                    (known.attempts, known.tried) = (0, false);
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
            let probe = self.probe_at[account].is_some();
            let most = match self.probe_at[account] {
                Some(probe_at) => most.min(usize::from(probe_at <= self.now)),
                None => most,
            };
            let mut due: Vec<_> = self
                .submissions
                .iter_mut()
                .filter(|(key, it)| key.0 == account && it.in_hand.is_none())
                .filter(|(_, it)| it.state.is_waiting() && it.due_at <= self.now)
                .collect();
            // To probe they take turns; otherwise the oldest comes first.
            due.sort_by_key(|(_, it)| (if probe { it.leased } else { 0 }, it.due_at, it.number));
            for (key, it) in due.into_iter().take(most) {
                it.state = State::Pending;
                it.leased += 1;
                it.in_hand = Some(InHand {
                    lease: self.leases.len() + leased.len(),
                    until: self.now + LEASE,
                    answers: it.said.len(),
                    begun: false,
                });
                leased.push((*key, it.attempts, probe));
                if probe {
                    self.probe_at[account] = Some(self.now + PROBE_EVERY);
                }
            }
        }
        leased
    }

    fn begin(&mut self, number: usize) -> Begun {
        let Some(in_hand) = self.in_hand(number) else { return Begun::LeaseLost };
        let until = self.now + LEASE;
        let it = self.submission(number);
        if in_hand.answers != it.said.len() {
            it.in_hand = None;
            return Begun::NewerAnswers;
        }
        it.tried = true;
        it.in_hand = Some(InHand { begun: true, until, ..in_hand });
        Begun::Started
    }

    fn decision(&self, end: End, begun: bool) -> Decision {
        let ended = |verdict, status| attempt(verdict, status, self.now);
        match end {
            End::Delivered | End::Held if !begun => ignored(IgnoredReason::NoAnswer),
            _ if !begun => unmapped("unknown"),
            End::Delivered => Decision::Delivered {
                attempt: ended(Verdict::Accepted, Some(201)),
                feedback: "{}".to_owned(),
            },
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
            End::Held => Decision::Hold {
                attempt: ended(Verdict::Misconfigured, Some(401)),
                probe_at: at(self.now + PROBE_EVERY),
            },
        }
    }

    fn settle(&mut self, number: usize, end: End) -> Settled {
        let Some(in_hand) = self.in_hand(number) else { return Settled::LeaseLost };
        let (now, account) = (self.now, self.leases[number].1.0);
        let it = self.submission(number);
        it.in_hand = None;
        if in_hand.answers != it.said.len() {
            return Settled::NewerAnswers;
        }
        if !in_hand.begun {
            it.state = match end {
                End::Delivered | End::Held => State::Ignored(IgnoredReason::NoAnswer),
                _ => State::Dead(DeadReason::Unmapped),
            };
            // It asked nobody: another may probe at once.
            self.probe_at[account] = self.probe_at[account].map(|_| now);
            return Settled::Done;
        }
        it.attempts += u32::from(!matches!(end, End::Held));
        it.reached |= !matches!(end, End::Unreachable | End::Held);
        if !it.reached {
            it.said.append(&mut it.late);
        }
        match end {
            End::Delivered => it.state = State::Delivered,
            End::Refused => it.state = State::Dead(DeadReason::Refused),
            End::Unreachable => it.due_at = now + 10,
            End::Failed => it.due_at = now + 100,
            End::Held => {}
        }
        match end {
            End::Delivered => self.probe_at[account] = None,
            End::Held => self.probe_at[account] = Some(now + PROBE_EVERY),
            _ => {}
        }
        Settled::Done
    }

    fn void(&mut self, until: i64) {
        for it in self.submissions.values_mut() {
            if let Some(in_hand) = it.in_hand.take_if(|in_hand| in_hand.until <= until) {
                it.attempts += u32::from(in_hand.begun);
                it.reached |= in_hand.begun;
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
                let key = (row.key.account.to_string(), row.key.call.to_string());
                (key, (row.state, row.due_at.as_second(), row.attempts))
            })
            .collect();
        let expected = self.submissions.iter().map(|((account, call), it)| {
            let key = (ACCOUNTS[*account].to_owned(), CALLS[*call].to_owned());
            (key, (it.state, it.due_at, it.attempts))
        });
        assert_eq!(found, expected.collect());
        let holds = ledger.figures().await.unwrap().holds;
        let held: Vec<_> = holds.iter().map(|hold| hold.account.as_str()).collect();
        let expected = ACCOUNTS.into_iter().zip(self.probe_at).filter(|(_, at)| at.is_some());
        assert_eq!(held, expected.map(|(account, _)| account).collect::<Vec<_>>());
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

impl Submission {
    fn started(number: usize, said: (usize, &'static str, i64)) -> Self {
        let mut it = Self {
            number,
            said: vec![said],
            late: Vec::new(),
            state: State::Collecting,
            due_at: 0,
            attempts: 0,
            tried: false,
            reached: false,
            in_hand: None,
            leased: 0,
        };
        (it.state, it.due_at) = it.due();
        it
    }

    fn due(&self) -> (State, i64) {
        let answered = |question| {
            self.said.iter().any(|(q, text, _)| *q == question && matches!(*text, "1" | "2"))
        };
        let last = self.said.last().expect("something was said").2;
        if answered(0) && answered(1) {
            (State::Pending, last + DELAY)
        } else {
            (State::Collecting, last + AFTER)
        }
    }
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
