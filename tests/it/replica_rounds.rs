//! Three processes on one PostgreSQL database while everything happens to them: they are killed, stopped for
//! longer than their leases and continued, drained and started again, and Plivo is slow and fails. In the
//! rounds with an even seed the clocks of two of them are wrong by minutes.
//!
//! `POSTCALL_ROUNDS=50 POSTCALL_SEED=1000 cargo test --test it replica_rounds` plays the rounds with the seeds
//! 1000 to 1049; a round that fails says which one was its own.

use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;

use crate::clocks_apart;
use crate::faults::wire::Wire;
use crate::invariant_checker::{
    LoadSenders, ReplicaOptions, Replicas, StoreContents, Tally, play_rounds,
};
use crate::postgres::{TestDatabase, is_available};
use crate::process::Process;

/// Of the suite; each takes half a minute.
const ROUNDS: u64 = 3;

/// How many rounds are played at once: each of them mostly waits.
const AT_ONCE: usize = 3;

const WEBHOOKS: usize = 300;

/// Of each replica.
const SENDERS: usize = 2;

/// How long a sender waits before it sends again.
const PAUSE: Duration = Duration::from_millis(50);

/// The database's clock, in microseconds.
const NOW: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

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
    replicas: Replicas,
    /// Before each replica: where it listens changes with each start.
    wires: Vec<Wire>,
    /// Which is stopped, and until when.
    stopped: Option<(usize, Instant)>,
    tally: Tally,
}

impl Round {
    fn play(seed: u64) -> Tally {
        let mut chance = Rng::with_seed(seed);
        let mut tally = Tally::default();
        let database = TestDatabase::new();
        let is_apart = seed.is_multiple_of(2) && clocks_apart::is_available();
        if is_apart {
            tally.troubles.insert("rounds with clocks apart", 1);
        }
        let options = ReplicaOptions {
            store: &|_| format!("url: \"{}\"", database.url()),
            rewrite: &|_, settings| settings,
            variables: if is_apart { clocks_apart::variables() } else { Default::default() },
            webhooks: WEBHOOKS,
            groups: Replicas::COUNT,
            pause: Some(PAUSE),
        };
        let replicas = Replicas::start(options, &mut chance);
        // So that something is in flight whenever a replica ends.
        let faults = json!([
            { "delay_ms": 400, "every": 3 }, { "status": 503, "every": 11 },
            { "reset": "after", "every": 29 },
        ]);
        replicas.far_side.be_troublesome(faults, &replicas.calls);
        let began = database.number(NOW);
        let wires = replicas.processes.iter().map(|it| Wire::lay(it.public)).collect();
        let mut round = Self { database, replicas, wires, stopped: None, tally };
        round.run(&mut chance);
        let Self { replicas, database, tally, .. } = round;
        let tally = replicas.end(&database.config(), tally);
        let strayed = format!(
            "SELECT count(*) FROM webhooks WHERE received_at NOT BETWEEN {began} AND ({NOW})"
        );
        assert_eq!(database.number(&strayed), 0, "webhooks are dated by the database's clock");
        tally
    }

    fn run(&mut self, chance: &mut Rng) {
        let threads: Vec<_> =
            self.replicas.senders.iter().flat_map(|it| LoadSenders::gather(it, SENDERS)).collect();
        self.send_to_each(0);
        let seconds = chance.choice([7, 16]).unwrap();
        let mut troubles =
            [Trouble::Killed, Trouble::LeaderKilled, Trouble::Stopped(seconds), Trouble::Drained];
        chance.shuffle(&mut troubles);
        for (n, trouble) in troubles.into_iter().enumerate() {
            let left = self.replicas.unanswered();
            let some = left / (troubles.len() - n + 1) / Replicas::COUNT;
            let at_most = Duration::from_millis(chance.u64(200..2000));
            self.replicas.senders[0].wait_a_while_for_answers(some.max(1), at_most);
            self.happen(trouble, chance);
            self.send_to_each(chance.usize(0..Replicas::COUNT));
        }
        self.continue_what_is_stopped();
        self.replicas.far_side.be_troublesome(json!([]), &self.replicas.calls);
        self.send_to_each(0);
        self.replicas.wait_until_all_are_answered();
        self.replicas.senders.iter().for_each(|it| it.dismiss());
        for thread in threads {
            thread.join().unwrap();
        }
    }

    /// Each sender has another replica before it, as many further on.
    fn send_to_each(&self, further: usize) {
        for (n, senders) in self.replicas.senders.iter().enumerate() {
            senders.send_to(self.wires[(n + further) % Replicas::COUNT].address);
        }
    }

    fn happen(&mut self, trouble: Trouble, chance: &mut Rng) {
        let any = chance.usize(0..Replicas::COUNT);
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
                self.start_again(any % Replicas::COUNT, |process| {
                    process.signal("TERM");
                    let ended = process.ended();
                    assert!(ended.status.success(), "{:?}: {}", ended.status, ended.stdout);
                });
                "drains"
            }
            Trouble::Stopped(seconds) => {
                self.replicas.processes[any].signal("STOP");
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
        let promised = self.replicas.promised();
        self.replicas.start_again(replica, end);
        StoreContents::read_database(&self.database.config()).assert_has(&promised);
        self.wires[replica].lead_to(self.replicas.processes[replica].public);
    }

    /// The replica that delivers.
    fn leader(&self) -> Option<usize> {
        let leader = "SELECT name FROM leaders JOIN replicas ON slot = replica WHERE until > 0";
        let name: Option<String> = self.database.with(async |client| {
            client.query_opt(leader, &[]).await.unwrap().map(|row| row.get(0))
        });
        Replicas::NAMES.iter().position(|it| name.as_deref() == Some(it))
    }

    fn continue_what_is_stopped(&mut self) {
        if let Some((replica, until)) = self.stopped.take() {
            // It is what happens, and nothing is awaited by it.
            thread::sleep(until.saturating_duration_since(Instant::now()));
            self.replicas.processes[replica].signal("CONT");
        }
    }
}
