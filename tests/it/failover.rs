//! Replicas with a spool whose database goes away under load: the primary is lost and its standby takes over,
//! or no one answers for a while.
//!
//! `POSTCALL_ROUNDS=20 POSTCALL_SEED=1000 cargo test --test it failover::rounds` plays as many failovers;
//! `POSTCALL_AWAY_SECONDS=60 cargo test --test it failover::database` keeps the database away for a minute.

use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::json;

use crate::invariant_checker::{self, LoadSenders, ReplicaOptions, Replicas, Tally, play_rounds};
use crate::postgres::{Pair, TestDatabase, is_available, number};

/// Of the suite: one for each way in which a primary is lost.
const ROUNDS: u64 = 3;
const AT_ONCE: usize = 3;

/// How long the database is away in the suite.
const AWAY_SECONDS: u64 = 4;

/// Of each replica.
const SENDERS: usize = 2;

/// Of each sender, between two webhooks.
const REST: Duration = Duration::from_millis(50);

/// Most webhooks that are sent in a second.
const PER_SECOND: usize = 120;

/// A delivery that does not come fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(120);

const LOOK_EVERY: Duration = Duration::from_millis(50);

#[test]
fn rounds_of_failovers_refuse_and_lose_no_webhook() {
    if is_available() {
        play_rounds("failover", ROUNDS, AT_ONCE, fail_over);
    }
}

#[test]
fn database_that_is_away_under_load_refuses_no_webhook() {
    if !is_available() {
        return;
    }
    let seconds = invariant_checker::number("POSTCALL_AWAY_SECONDS").unwrap_or(AWAY_SECONDS);
    let database = TestDatabase::new();
    let webhooks = PER_SECOND * (2 + seconds as usize);
    let load =
        Load::start(&database.url(), webhooks, &mut Rng::with_seed(invariant_checker::seed()));
    load.wait_for_answers(PER_SECOND / 2);
    let began = Instant::now();
    database.be_away(true);
    // It is what happens, and nothing is awaited by it.
    thread::sleep(Duration::from_secs(seconds));
    let times = load.answer_times(began);
    database.be_away(false);
    let away = began.elapsed().as_secs_f32();
    let replicas = load.end();
    let tally = replicas.end(&database.config(), Tally::default());
    invariant_checker::say(&format!("database away for {away:.1} s: {times}{tally}"));
}

/// How the primary is lost.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// It is killed, and its address is taken away.
    Killed,
    /// As before, and when the standby was promoted it comes back and would take writes.
    Returned,
    /// It takes connections and says nothing any more, for ever.
    Hung,
}

fn fail_over(seed: u64) -> Tally {
    let (loss, name) = match seed % 3 {
        0 => (Loss::Killed, "primaries killed"),
        1 => (Loss::Returned, "primaries killed that come back"),
        _ => (Loss::Hung, "primaries that hang"),
    };
    let mut chance = Rng::with_seed(seed);
    let mut pair = Pair::start();
    let mut load = Load::start(&pair.url(), 6 * PER_SECOND, &mut chance);
    load.wait_for_answers(PER_SECOND / 2 + chance.usize(0..PER_SECOND));
    let began = Instant::now();
    if loss == Loss::Hung {
        pair.hang_primary();
    } else {
        pair.kill_primary();
        pair.fence_primary();
    }
    load.wait_for_answers(chance.usize(10..PER_SECOND));
    let spooled = load.wait_until_spooled();
    let times = load.answer_times(began);
    // What was in flight has arrived.
    load.replicas.far_side.hear_more();
    pair.promote_standby();
    let mut tally = Tally::default();
    tally.troubles.insert(name, 1);
    let mut before = None;
    if loss == Loss::Returned {
        let connections = pair.connections_to_primary();
        pair.restart_primary();
        before = Some((connections, contents(&pair)));
    }
    while load.replicas.far_side.hear_more().is_empty() {
        assert!(began.elapsed() < PATIENCE, "nothing is delivered after the failover");
        thread::sleep(LOOK_EVERY);
    }
    let resumed = began.elapsed().as_secs_f32();
    let replicas = load.end();
    invariant_checker::say(&format!(
        "failover: seed {seed}: {spooled} webhooks spooled, {times}, deliveries again after {resumed:.1} s"
    ));
    let tally = replicas.end(&pair.promoted(), tally);
    if let Some((connections, contents_before)) = before {
        let takes_writes = "SELECT count(*) FROM pg_settings
            WHERE name = 'transaction_read_only' AND setting = 'off' AND NOT pg_is_in_recovery()";
        assert_eq!(number(&pair.old(), takes_writes), 1, "the old primary would take writes");
        assert_eq!(contents(&pair), contents_before, "something was written to the old primary");
        assert_eq!(pair.connections_to_primary(), connections, "a replica has reached it");
    }
    tally
}

/// How many webhooks, keys and attempts the old primary has.
fn contents(pair: &Pair) -> [i64; 3] {
    [
        "SELECT count(*) FROM webhooks",
        "SELECT count(*) FROM idempotency_keys",
        "SELECT coalesce(sum(fence), 0)::bigint FROM submissions",
    ]
    .map(|statement| number(&pair.old(), statement))
}

/// Replicas with a spool under load.
struct Load {
    replicas: Replicas,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn start(url: &str, webhooks: usize, chance: &mut Rng) -> Self {
        let options = ReplicaOptions {
            store: &|name| format!(r#"url: "{url}", spool: {{ path: "FOLDER/spool-{name}.db" }}"#),
            rewrite: &|_, settings| settings,
            variables: Default::default(),
            webhooks,
            groups: Replicas::COUNT,
            // Each is answered 200 at once.
            pause: None,
        };
        let replicas = Replicas::start(options, chance);
        // So that something is in flight whenever the database goes away.
        let slow = json!([{ "delay_ms": 300, "every": 3 }]);
        replicas.far_side.be_troublesome(slow, &replicas.calls);
        let senders = replicas.senders.iter().zip(&replicas.processes);
        let threads = senders.flat_map(|(senders, process)| {
            senders.rest_for(REST);
            let threads = LoadSenders::gather(senders, SENDERS);
            senders.send_to(process.public);
            threads
        });
        let threads = threads.collect();
        Self { replicas, threads }
    }

    fn wait_for_answers(&self, more: usize) {
        self.replicas.senders.iter().for_each(|it| it.wait_for_answers(more / Replicas::COUNT));
    }

    /// Until webhooks wait in spools; returns how many.
    fn wait_until_spooled(&self) -> u64 {
        loop {
            match self.replicas.spooled() {
                0 => self.wait_for_answers(Replicas::COUNT),
                spooled => return spooled,
            }
        }
    }

    /// Of what was asked since then, for people.
    fn answer_times(&self, since: Instant) -> String {
        let promised = self.replicas.promised();
        let mut times: Vec<Duration> =
            promised.iter().filter(|it| it.asked_at >= since).map(|it| it.took).collect();
        times.sort();
        let part = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f32() * 1000.0;
        let (median, most, longest) = (part(50), part(99), part(100));
        format!(
            "{} answers meanwhile, median {median:.1} ms, 99 % {most:.1} ms, longest {longest:.0} ms",
            times.len()
        )
    }

    /// Until everything was answered 200 at its first try, and is in the database.
    fn end(self) -> Replicas {
        let Self { replicas, threads } = self;
        replicas.far_side.be_troublesome(json!([]), &replicas.calls);
        replicas.senders.iter().for_each(|it| it.rest_for(Duration::ZERO));
        replicas.wait_until_all_are_answered();
        assert_eq!(replicas.sent_in_vain(), (0, 0), "refused, unanswered");
        replicas.senders.iter().for_each(|it| it.dismiss());
        threads.into_iter().for_each(|it| it.join().unwrap());
        replicas.wait_until_nothing_is_spooled();
        replicas
    }
}
