//! Three processes on one PostgreSQL database while everything happens to them: they are killed, stopped for
//! longer than their leases and continued, drained and started again, and Plivo is slow and fails.
//!
//! `POSTCALL_ROUNDS=50 POSTCALL_SEED=1000 cargo test --test it replica_rounds` plays the rounds with the seeds
//! 1000 to 1049; a round that fails says which one was its own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use postcall::settings::{Environment, Settings};
use postcall::store::Reader;
use postcall::store::postgres::{PostgresStore, examine};
use serde_json::json;

use crate::faults::wire::Wire;
use crate::invariant_checker::{
    self, Call, FarSide, LoadSenders, StoreContents, Tally, assert_ended_well, play_rounds,
};
use crate::postgres::{TestDatabase, is_available};
use crate::process::{Home, Process};

/// Of the suite; each takes half a minute.
const ROUNDS: u64 = 3;

/// How many rounds are played at once: each of them mostly waits.
const AT_ONCE: usize = 3;

const REPLICAS: usize = 3;
const WEBHOOKS: usize = 300;

/// Of each replica.
const SENDERS: usize = 2;

/// How long a sender waits before it sends again.
const PAUSE: Duration = Duration::from_millis(50);

/// A submission that does not end fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(120);

const DELIVERY: &str = "timeout: 1s, connect_timeout: 1s, lease: 6100ms, probe_interval: 200ms, \
    retry: { initial_backoff: 20ms, max_backoff: 300ms, not_found_max_age: 1s }";

#[test]
fn rounds_of_replicas_that_end_and_stop_lose_nothing_and_leave_the_counts_balanced() {
    if is_available() {
        play_rounds("replicas", ROUNDS, AT_ONCE, Round::play);
    }
}

/// What happens to a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    Killed,
    /// Of the one that delivers.
    LeaderKilled,
    /// For so many seconds: longer than the leases of claims, and in half of the rounds than that of the lead.
    Stopped(u64),
    Drained,
}

struct Round {
    database: TestDatabase,
    settings: Vec<PathBuf>,
    processes: Vec<Process>,
    /// Before each replica: where it listens changes with each start.
    wires: Vec<Wire>,
    /// Of each replica. What a sender has no answer to is sent to another one in the end.
    senders: Vec<Arc<LoadSenders>>,
    calls: BTreeMap<String, Call>,
    far_side: FarSide,
    /// Which is stopped, and until when.
    stopped: Option<(usize, Instant)>,
    tally: Tally,
    _home: Home,
}

impl Round {
    fn play(seed: u64) -> Tally {
        let mut chance = Rng::with_seed(seed);
        let far_side = FarSide::start();
        let database = TestDatabase::new();
        let home = Home::new(&invariant_checker::settings(far_side.address(), "1s", DELIVERY));
        let sqlite = format!("sqlite:{}\"", home.store().display());
        let settings: Vec<PathBuf> = ["a", "b", "c"]
            .map(|name| {
                let store = format!("{}\", replica: {name}", database.url());
                home.settings_of(name, |settings| settings.replace(&sqlite, &store))
            })
            .to_vec();
        let text = std::fs::read_to_string(home.settings()).unwrap();
        let sources = Settings::from_yaml(&text, Environment::default()).unwrap().sources;
        let (calls, webhooks) = invariant_checker::calls(&sources, WEBHOOKS, &mut chance);
        // So that something is in flight whenever a replica ends.
        let faults = json!([
            { "delay_ms": 400, "every": 3 }, { "status": 503, "every": 11 },
            { "reset": "after", "every": 29 },
        ]);
        far_side.be_troublesome(faults, &calls);
        let mut of_replica: [Vec<_>; REPLICAS] = Default::default();
        // Those of one call come to different replicas.
        for (n, webhook) in webhooks.into_iter().enumerate() {
            of_replica[n % REPLICAS].push(webhook);
        }
        let senders = of_replica.map(|it| Arc::new(LoadSenders::new(it, Some(PAUSE)))).to_vec();
        let processes: Vec<Process> = settings.iter().map(|it| Process::start(it)).collect();
        let wires = processes.iter().map(|it| Wire::lay(it.public)).collect();
        let (stopped, tally) = (None, Tally::default());
        let mut round = Self {
            database,
            settings,
            processes,
            wires,
            senders,
            calls,
            far_side,
            stopped,
            tally,
            _home: home,
        };
        round.run(&mut chance);
        round.end()
    }

    fn run(&mut self, chance: &mut Rng) {
        let threads: Vec<_> =
            self.senders.iter().flat_map(|it| LoadSenders::gather(it, SENDERS)).collect();
        self.send_to_each(0);
        let seconds = chance.choice([7, 16]).unwrap();
        let mut troubles =
            [Trouble::Killed, Trouble::LeaderKilled, Trouble::Stopped(seconds), Trouble::Drained];
        chance.shuffle(&mut troubles);
        for (n, trouble) in troubles.into_iter().enumerate() {
            let left: usize = self.senders.iter().map(|it| it.unanswered()).sum();
            let some = left / (troubles.len() - n + 1) / REPLICAS;
            let at_most = Duration::from_millis(chance.u64(200..2000));
            self.senders[0].wait_a_while_for_answers(some.max(1), at_most);
            self.happen(trouble, chance);
            self.send_to_each(chance.usize(0..REPLICAS));
        }
        self.continue_what_is_stopped();
        self.far_side.be_troublesome(json!([]), &self.calls);
        self.send_to_each(0);
        let began = Instant::now();
        while self.senders.iter().any(|it| it.unanswered() > 0) {
            assert!(began.elapsed() < PATIENCE, "not every webhook is answered");
            let some = self.senders.iter().find(|it| it.unanswered() > 0);
            some.into_iter().for_each(|it| it.wait_a_while_for_answers(usize::MAX / 2, PAUSE));
        }
        self.senders.iter().for_each(|it| it.dismiss());
        for thread in threads {
            thread.join().unwrap();
        }
    }

    /// Each sender has another replica before it, as many further on.
    fn send_to_each(&self, further: usize) {
        for (n, senders) in self.senders.iter().enumerate() {
            senders.send_to(self.wires[(n + further) % REPLICAS].address);
        }
    }

    fn happen(&mut self, trouble: Trouble, chance: &mut Rng) {
        let any = chance.usize(0..REPLICAS);
        let name = match trouble {
            Trouble::Killed => {
                self.start_again(any, Process::kill);
                "kills"
            }
            Trouble::LeaderKilled => {
                let leader = self.leader();
                self.start_again(leader.unwrap_or(any), Process::kill);
                if leader.is_some() { "kills of the leader" } else { "kills" }
            }
            Trouble::Drained => {
                // One that is stopped would end when it continues.
                let any = if self.stopped.is_some_and(|(n, _)| n == any) { any + 1 } else { any };
                self.start_again(any % REPLICAS, |process| {
                    process.signal("TERM");
                    let ended = process.ended();
                    assert!(ended.status.success(), "{:?}: {}", ended.status, ended.stdout);
                });
                "drains"
            }
            Trouble::Stopped(seconds) => {
                self.processes[any].signal("STOP");
                self.stopped = Some((any, Instant::now() + Duration::from_secs(seconds)));
                if seconds > 15 { "stops beyond the lead" } else { "stops beyond the leases" }
            }
        };
        *self.tally.troubles.entry(name).or_default() += 1;
    }

    fn start_again(&mut self, replica: usize, end: impl FnOnce(Process)) {
        if self.stopped.is_some_and(|(stopped, _)| stopped == replica) {
            self.stopped = None;
        }
        // Before the end: what is promised from here on may be in the store.
        let promised: Vec<_> = self.senders.iter().flat_map(|it| it.answered()).collect();
        end(self.processes.remove(replica));
        StoreContents::read_database(&self.database).assert_has(&promised);
        let process = Process::start(&self.settings[replica]);
        self.wires[replica].lead_to(process.public);
        self.processes.insert(replica, process);
    }

    /// The replica that delivers.
    fn leader(&self) -> Option<usize> {
        let leader = "SELECT name FROM leaders JOIN replicas ON slot = replica WHERE until > 0";
        let name: Option<String> = self.database.with(async |client| {
            client.query_opt(leader, &[]).await.unwrap().map(|row| row.get(0))
        });
        ["a", "b", "c"].iter().position(|it| name.as_deref() == Some(it))
    }

    fn continue_what_is_stopped(&mut self) {
        if let Some((replica, until)) = self.stopped.take() {
            // It is what happens, and nothing is awaited by it.
            thread::sleep(until.saturating_duration_since(Instant::now()));
            self.processes[replica].signal("CONT");
        }
    }

    /// Waits for the end of every submission and compares all of them with what was said.
    fn end(mut self) -> Tally {
        let (mut fewest, mut since) = (i64::MAX, Instant::now());
        loop {
            let waiting = self.database.number("SELECT count(*) FROM due");
            if waiting == 0 {
                break;
            }
            if waiting < fewest {
                (fewest, since) = (waiting, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                let kept = StoreContents::read_database(&self.database).kept;
                let waiting = kept.iter().filter_map(|(call, kept)| kept.waiting(call));
                panic!("nothing ends any more: {:#?}", waiting.collect::<Vec<_>>());
            }
            thread::sleep(PAUSE);
        }
        self.processes.drain(..).for_each(Process::kill);
        self.far_side.hear_more();
        let kept = StoreContents::read_database(&self.database);
        let promised: Vec<_> = self.senders.iter().flat_map(|it| it.answered()).collect();
        kept.assert_has(&promised);
        let address = self.database.address();
        let store = PostgresStore::open_read_only(address.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let totals = runtime.block_on(store.statistics()).unwrap().counts;
        kept.assert_counts(totals);
        assert_eq!(totals.accepted as usize, self.calls.len(), "one submission for each call");
        assert_eq!(examine(&address).unwrap().findings, []);
        for (id, call) in &self.calls {
            let (kept, heard) = (&kept.kept[id], self.far_side.heard(id));
            assert_ended_well(id, call, kept, heard);
            self.tally.delivered_again += usize::from(heard.len() > 1);
            self.tally.unknown_results += kept.attempts("unknown_result");
        }
        let sum = |of: fn(&LoadSenders) -> usize| self.senders.iter().map(|it| of(it)).sum();
        Tally {
            webhooks: WEBHOOKS,
            calls: self.calls.len(),
            sent_again: sum(LoadSenders::left_unanswered),
            put_off: sum(LoadSenders::put_off),
            ended: totals,
            ..self.tally
        }
    }
}
