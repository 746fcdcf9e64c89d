//! One history: steps that a seed chooses, then the end of all trouble.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use postcall::admin::{AdminApi, ReplayRequest};
use postcall::clock::Clock;
use postcall::random::Random;
use tempfile::TempDir;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::Instant;

use super::calls::{self, CALLS, Sent};
use super::destination::{Plivo, Received};
use super::machine::{Edition, Environs, Machine, new_folder};
use super::recorder::Recording;
use super::{invariants, say};

/// Kinds of trouble, by their place in [`Limits::troubles`].
const PLIVO: usize = 0;
const KILL: usize = 1;
const POWER_CUT: usize = 2;
const DISK: usize = 3;
const CLOCK: usize = 4;
const OPERATOR: usize = 5;
const SENDERS: usize = 6;
const RELOAD: usize = 7;
const PAUSE: usize = 8;
const CORRUPTION: usize = 9;
const FLOOD: usize = 10;

/// How many there are.
const TROUBLES: usize = 11;

/// Webhooks of a flood: more than are kept of one call.
const FLOODED: usize = 900;

/// What a history may hold; a failing one is shrunk by them.
#[derive(Debug, Clone)]
pub struct Limits {
    pub steps: usize,
    /// Plivo, kill -9, power cut, disk, clock, operator, senders that hang up, reload, a process that
    /// does not run for a while, a row that is changed on disk, a flood of webhooks about one call.
    pub troubles: [bool; TROUBLES],
}

impl Default for Limits {
    fn default() -> Self {
        Self { steps: 60, troubles: [true; TROUBLES] }
    }
}

/// Calls of the file system that fail, counted from the first.
pub type Failing = std::ops::Range<usize>;

/// How long everything may take to settle once all trouble has ended: the deadline of a submission, a
/// lease, and some retries and probes.
const SETTLES_WITHIN: Duration = Duration::from_secs(60);

/// How long a sender waits for its answer that does not hang up.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

pub struct History {
    limits: Limits,
    chance: fastrand::Rng,
    pub(super) environs: Environs,
    /// `None` only while it starts.
    machine: Option<Machine>,
    senders: Vec<JoinHandle<()>>,
    pub(super) record: Rc<RefCell<Record>>,
    pub(super) edition: Edition,
    /// Calls of the file system before the last start, and which fail of all.
    calls_before: usize,
    failing: Failing,
    /// What the clock is off.
    skew: SignedDuration,
}

/// What becomes of the lines that say what happens.
#[derive(Default)]
pub enum Lines {
    #[default]
    Dropped,
    Printed,
    Kept(Vec<String>),
}

/// What is checked once a history is over.
#[derive(Default)]
pub struct Record {
    lines: Lines,
    pub sent: Vec<Sent>,
    /// Events on the disk when something was promised last.
    pub promised_at: usize,
    pub erased: BTreeSet<usize>,
    /// Calls that are old enough for retention.
    pub old: BTreeSet<usize>,
    /// Calls of which something was changed on disk.
    pub corrupted: BTreeSet<usize>,
    /// Calls of which so much was said that nothing more need count, and since when.
    pub full: BTreeMap<usize, Instant>,
    /// Calls that an operator has touched otherwise, so that more than one delivery is no surprise.
    pub replays: [usize; CALLS + 3],
    /// Deliveries whose end was not on disk when the service ended.
    pub forgotten: [usize; CALLS + 3],
    /// Calls with a claim that was on disk when the service ended, and of which Plivo heard nothing: it may
    /// have been delivered for all that the store knows.
    pub unheard: [bool; CALLS + 3],
}

impl Record {
    /// Whether an operator or retention may have removed it.
    pub fn is_removed(&self, call: usize) -> bool {
        self.erased.contains(&call) || self.old.contains(&call)
    }

    fn tell(&mut self, clock: &Clock, what: impl Display) {
        match &mut self.lines {
            Lines::Dropped => {}
            Lines::Printed => say(&format!("{} {what}", clock.now())),
            Lines::Kept(lines) => lines.push(format!("{} {what}", clock.now())),
        }
    }
}

/// Plays a history on this thread, with time that passes as soon as nothing else is to be done.
pub(super) fn play<T>(history: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, history)
}

impl History {
    /// # Panics
    /// A promise was broken.
    pub fn run(seed: u64, limits: &Limits) {
        play(Self::of(seed, limits, Lines::Dropped));
    }

    /// As [`run`](Self::run), and prints what happens.
    pub fn told(seed: u64, limits: &Limits) {
        play(Self::of(seed, limits, Lines::Printed));
    }

    /// As [`run`](Self::run), and returns what happened, a line for each thing.
    pub fn lines(seed: u64, limits: &Limits) -> Vec<String> {
        play(Self::of(seed, limits, Lines::Kept(Vec::new())))
    }

    async fn of(seed: u64, limits: &Limits, lines: Lines) -> Vec<String> {
        let mut history = Self::begin(seed, limits.clone(), lines, Edition::default(), 0..0);
        for _ in 0..limits.steps {
            history.step().await;
        }
        history.end().await
    }

    pub(super) fn begin(
        seed: u64,
        limits: Limits,
        lines: Lines,
        edition: Edition,
        failing: Failing,
    ) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let clock = Clock::of_tokio("2026-11-22T10:00:00Z".parse().unwrap());
        let disk = std::sync::Mutex::new(chance.fork());
        let latency = move || {
            let mut chance = disk.lock().expect("no holder of the lock panics");
            Duration::from_micros(if chance.u8(..20) == 0 {
                chance.u64(..500_000)
            } else {
                chance.u64(..5_000)
            })
        };
        let environs = Environs {
            random: Random::seeded(chance.u64(..)),
            plivo: Plivo::new(chance.u64(..)),
            clock,
            latency: Arc::new(latency),
        };
        let mut history = Self {
            limits,
            chance,
            environs,
            machine: None,
            senders: Vec::new(),
            record: Rc::default(),
            edition,
            calls_before: 0,
            failing: failing.clone(),
            skew: SignedDuration::ZERO,
        };
        history.record.borrow_mut().lines = lines;
        let folder = new_folder();
        let recording = Recording::of(folder.path());
        recording.fail(failing);
        history.start_on(folder, recording);
        history
    }

    pub(super) fn machine(&self) -> &Machine {
        self.machine.as_ref().expect("the service runs")
    }

    pub(super) fn tell(&self, what: impl Display) {
        self.record.borrow_mut().tell(&self.environs.clock, what);
    }

    async fn step(&mut self) {
        let wait = match self.chance.u8(..10) {
            0..5 => self.chance.u64(..50),
            5..9 => self.chance.u64(..1000),
            _ => self.chance.u64(..8000),
        };
        tokio::time::sleep(Duration::from_millis(wait)).await;
        assert!(!self.machine().has_panicked(), "a part of the service has panicked");
        let what = self.chance.u8(..100);
        let kind = match what {
            0..66 => return self.webhook(),
            66..72 => PLIVO,
            72..75 => KILL,
            75..78 => POWER_CUT,
            78..83 => DISK,
            83..87 => CLOCK,
            87..95 => OPERATOR,
            95 | 96 => RELOAD,
            97 => PAUSE,
            98 => [CORRUPTION, FLOOD][usize::from(self.chance.u8(..100) == 0)],
            _ => return self.restart().await,
        };
        // The same draws with and without a kind, so that a history can be shrunk.
        let mut chance = self.chance.fork();
        if !self.limits.troubles[kind] {
            return;
        }
        match kind {
            PLIVO => {
                let trouble = [0, 0, 50, 100][chance.usize(..4)];
                self.tell(format_args!("plivo: {trouble} of 100 requests fail"));
                self.environs.plivo.trouble(trouble);
            }
            KILL => self.crash(None),
            POWER_CUT => {
                let record = self.record.borrow().promised_at;
                let moment = chance.usize(record..=self.machine().recording.len().max(record));
                self.crash(Some((moment, &mut chance)));
            }
            DISK => {
                let recording = &self.machine().recording;
                let from = recording.calls() + chance.usize(..40);
                let calls = [1, 1, 5, 50, usize::MAX - from][chance.usize(..5)];
                self.tell(format_args!("disk: {calls} calls fail from call {from}"));
                recording.fail(from..from + calls);
            }
            CLOCK => {
                let seconds = [-3600, -5, 5, 3600, 500 * 86400, 10 * 365 * 86400];
                let step = SignedDuration::from_secs(seconds[chance.usize(..seconds.len())]);
                let step = if self.skew.is_zero() { step } else { -self.skew };
                self.tell(format_args!("clock: steps by {step:#}"));
                self.skew += step;
                self.environs.clock.step(step);
            }
            OPERATOR => self.operator(&mut chance).await,
            PAUSE => {
                let pause = Duration::from_secs(chance.u64(..30));
                self.tell(format_args!("the process does not run for {pause:?}"));
                tokio::time::advance(pause).await;
            }
            CORRUPTION => self.corrupt(&mut chance),
            FLOOD => self.flood(chance.usize(..CALLS)).await,
            _ => {
                let notes = ["A", "B"][chance.usize(..2)];
                self.reload(Edition { notes, ..self.edition });
            }
        }
    }

    /// A sender sends, and perhaps hangs up before the answer.
    fn webhook(&mut self) {
        let clock = self.environs.clock.clone();
        let id = self.environs.random.uuid_v7(clock.now());
        let sent = Sent::by_chance(&mut self.chance, clock.now(), id);
        let patience = match self.chance.u8(..5) {
            0 if self.limits.troubles[SENDERS] => Duration::from_micros(self.chance.u64(..6000)),
            _ => PATIENCE,
        };
        // A body arrives slowly, and others overtake it.
        let body =
            Duration::from_millis(if self.chance.u8(..4) == 0 { self.chance.u64(..60) } else { 0 });
        self.send(sent, patience, body);
    }

    pub(super) fn send(&mut self, sent: Sent, patience: Duration, body: Duration) {
        let clock = self.environs.clock.clone();
        let Sent { call, question, answer, .. } = &sent;
        let (source, name) = (calls::source(*call), calls::name(*call));
        self.tell(format_args!("{source}: {question} {answer:?} of {name}, waits {patience:?}"));
        let ingest = self.machine().ingest.clone();
        let recording = self.machine().recording.clone();
        let record = self.record.clone();
        let number = record.borrow().sent.len();
        record.borrow_mut().sent.push(sent.clone());
        self.senders.push(tokio::task::spawn_local(async move {
            let endpoint = ingest.endpoint(calls::source(sent.call)).expect("a source");
            let received = async {
                tokio::time::sleep(body).await;
                ingest.receive(&endpoint, sent.webhook()).await
            };
            let Ok(received) = tokio::time::timeout(patience, received).await else { return };
            let mut record = record.borrow_mut();
            let outcome = received.as_ref().map(|receipt| receipt.outcome);
            record.tell(&clock, format_args!("  {}: {outcome:?}", calls::name(sent.call)));
            if let Ok(receipt) = received {
                record.sent[number].acknowledged = Some((Instant::now(), receipt.outcome));
                record.promised_at = recording.len();
            }
        }));
    }

    async fn operator(&mut self, chance: &mut fastrand::Rng) {
        let call = chance.usize(..CALLS);
        let admin = self.machine().admin.clone();
        let account = ["main", "other"][chance.usize(..2)].parse().unwrap();
        let name = calls::name(call).parse().unwrap();
        let what = chance.u8(..10);
        let done = match what {
            0 | 1 => admin.pause(&account, "by the simulation").await.map(|_| "pause"),
            2 | 3 => admin.resume(&account).await.map(|_| "resume"),
            4 => {
                // Not told is not undone.
                self.record.borrow_mut().erased.insert(call);
                admin.erase(&name).await.map(|_| "erase")
            }
            _ => {
                let ids = self.machine().store.of_call(name).await.unwrap_or_default();
                let Some(id) = ids.first() else { return };
                if what < 6 {
                    admin.discard_one(*id, "by the simulation").await.map(|_| "discard")
                } else {
                    self.record.borrow_mut().replays[call] += 1;
                    let options = ReplayRequest {
                        include_delivered: chance.bool(),
                        ..ReplayRequest::default()
                    };
                    admin.replay_one(*id, options).await.map(|_| "replay")
                }
            }
        };
        self.record.borrow_mut().promised_at = self.machine().recording.len();
        self.tell(format_args!("operator: {done:?} of {} or {account}", calls::name(call)));
    }

    /// The service is killed, and a digit of what a caller said changes before it starts again.
    fn corrupt(&mut self, chance: &mut fastrand::Rng) {
        for sender in self.senders.drain(..) {
            sender.abort();
        }
        let folder = self.machine.take().expect("the service runs").crash(None);
        let call = chance.usize(..CALLS);
        let said = |rating: u8| {
            let mut record = self.record.borrow_mut();
            record.sent.iter_mut().any(|it| it.call == call && it.rating() == Some(rating.into()))
        };
        let (said, unsaid): (Vec<u8>, Vec<u8>) = (1..=5).partition(|rating| said(*rating));
        if let (Some(said), Some(unsaid)) = (said.first(), unsaid.first())
            && change_on_disk(folder.path(), &calls::name(call), *said, *unsaid)
        {
            self.tell(format_args!("{}: {said} is {unsaid} on disk", calls::name(call)));
            self.record.borrow_mut().corrupted.insert(call);
        }
        self.start(folder);
    }

    /// A sender repeats itself about one call, with other digits each time.
    async fn flood(&mut self, call: usize) {
        self.tell(format_args!("flood of {}", calls::name(call)));
        self.record.borrow_mut().full.entry(call).or_insert_with(Instant::now);
        let (clock, random) = (self.environs.clock.clone(), self.environs.random.clone());
        let ingest = self.machine().ingest.clone();
        let endpoint = ingest.endpoint(calls::source(call)).expect("a source");
        for n in 0..FLOODED {
            let id = random.uuid_v7(clock.now());
            let sent = Sent::of_new_caller(call, clock.now(), id);
            // What fails is not kept, and no one was told that it is.
            let _ = ingest.receive(&endpoint, sent.webhook_with(&(100 + n).to_string())).await;
        }
    }

    /// The process or the machine ends at once, and the service starts on what the disk has.
    fn crash(&mut self, power_cut: Option<(usize, &mut fastrand::Rng)>) {
        self.tell(if power_cut.is_some() { "power cut" } else { "kill -9" });
        for sender in self.senders.drain(..) {
            sender.abort();
        }
        let folder = self.machine.take().expect("the service runs").crash(power_cut);
        self.start(folder);
    }

    async fn restart(&mut self) {
        self.tell("restart");
        // A disk that fails for ever lets nothing end in order.
        self.machine().recording.fail(0..0);
        let folder = self.machine.take().expect("the service runs").shut_down().await;
        self.start(folder);
    }

    /// As with SIGTERM, and started again; calls of the file system go on failing.
    pub(super) async fn restart_on_this_disk(&mut self) {
        self.tell("restart on this disk");
        self.calls_before = self.calls();
        let folder = self.machine.take().expect("the service runs").shut_down().await;
        self.start(folder);
    }

    /// Calls of the file system so far.
    pub(super) fn calls(&self) -> usize {
        self.calls_before + self.machine().recording.calls()
    }

    pub(super) fn reload(&mut self, edition: Edition) {
        self.edition = edition;
        self.tell(format_args!("reload: {edition:?}"));
        self.machine().reload(edition);
    }

    fn start(&mut self, folder: TempDir) {
        let recording = Recording::of(folder.path());
        let Failing { start, end } = self.failing;
        let from_here = |call: usize| call.saturating_sub(self.calls_before);
        recording.fail(from_here(start)..from_here(end));
        self.start_on(folder, recording);
        let mut record = self.record.borrow_mut();
        let machine = self.machine();
        record.promised_at = machine.recording.len();
        machine.recording.aside(|| {
            invariants::note_forgotten(machine, &self.environs.plivo, &mut record);
        });
    }

    /// A service that cannot open its store ends, and is started again.
    fn start_on(&mut self, mut folder: TempDir, mut recording: Recording) {
        for _ in 0..2 {
            match Machine::start(&self.environs, folder, recording, self.edition) {
                Ok(machine) => return self.machine = Some(machine),
                Err((error, of_it, recorded)) => {
                    self.tell(error);
                    (folder, recording) = (of_it, recorded);
                }
            }
        }
        self.tell("the disk is replaced");
        recording.fail(0..0);
        let started = Machine::start(&self.environs, folder, recording, self.edition);
        self.machine = Some(started.unwrap_or_else(|(error, ..)| panic!("{error}")));
    }

    /// The next webhook is acknowledged, of each source.
    async fn callers_are_taken(&self) {
        let (clock, random) = (&self.environs.clock, &self.environs.random);
        for call in CALLS..CALLS + 3 {
            let sent = Sent::of_new_caller(call, clock.now(), random.uuid_v7(clock.now()));
            let ingest = &self.machine().ingest;
            let endpoint = ingest.endpoint(calls::source(call)).expect("a source");
            let received = ingest.receive(&endpoint, sent.webhook()).await;
            assert!(received.is_ok(), "a caller is not taken: {received:?}");
            let acknowledged = received.ok().map(|receipt| (Instant::now(), receipt.outcome));
            self.record.borrow_mut().sent.push(Sent { acknowledged, ..sent });
        }
    }

    /// All trouble ends. What was acknowledged is there, and everything settles in time.
    pub(super) async fn end(mut self) -> Vec<String> {
        self.tell("all trouble ends");
        self.environs.plivo.trouble(0);
        self.machine().recording.fail(0..0);
        self.environs.clock.step(-self.skew);
        tokio::time::sleep(Duration::from_secs(5)).await;
        if self.machine().store.damage().is_some() {
            self.restart().await;
        }
        for account in ["main", "other"] {
            let resumed = self.machine().admin.resume(&account.parse().unwrap()).await;
            resumed.unwrap_or_else(|error| panic!("the store does not recover: {error:?}"));
        }
        self.callers_are_taken().await;
        tokio::time::sleep(SETTLES_WITHIN).await;
        assert!(!self.machine().has_panicked(), "a part of the service has panicked");
        invariants::all_is_settled(self.machine()).await;
        let requests = self.environs.plivo.requests();
        for (at, request) in requests.iter().enumerate() {
            let Received { call, rating, accepted, told, .. } = request;
            self.tell(format_args!(
                "request {at}: {rating} for {call}, accepted {accepted}, told {told:?}"
            ));
        }
        let record = self.record.take();
        invariants::submissions_are_kept(self.machine(), &record).await;
        let folder = self.machine.take().expect("the service runs").shut_down().await;
        invariants::store_is_sound(folder.path(), &record);
        invariants::acknowledged_webhooks_are_kept(folder.path(), &record);
        invariants::webhooks_of_a_call_are_bounded(folder.path());
        invariants::removed_calls_leave_no_byte(folder.path(), &record);
        invariants::ratings_are_what_callers_said(&requests, &record);
        invariants::nothing_is_delivered_twice(&requests, &record);
        invariants::repeats_are_recognised(&record);
        match record.lines {
            Lines::Kept(lines) => lines,
            Lines::Dropped | Lines::Printed => Vec::new(),
        }
    }
}

/// Changes a digit in the stored document of a call; returns whether it was there.
fn change_on_disk(folder: &Path, call: &str, from: u8, to: u8) -> bool {
    let store = rusqlite::Connection::open(folder.join("postcall.db")).unwrap();
    let change = "UPDATE submissions SET document = replace(document, ?2, ?3)
        WHERE call = ?1 AND document <> replace(document, ?2, ?3)";
    let [from, to] = [from, to].map(|digit| format!("\"{digit}\""));
    store.execute(change, [call, &from, &to]).unwrap() > 0
}
