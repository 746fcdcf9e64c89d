use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fastrand::Rng;
use postcall::settings::{Environment, Settings};
use postcall::store::Reader;
use postcall::store::postgres::{Address, PostgresStore, examine};
use tokio_postgres::Config;

use super::cast::Ending;
use super::load_senders::Promise;
use super::{Call, FarSide, LoadSenders, StoreContents, Tally, assert_ended_well, calls};
use crate::postgres;
use crate::process::{Home, Line, Process};

/// A submission that does not end fails a test instead of hanging it.
const PATIENCE: Duration = Duration::from_secs(120);

const LOOK_EVERY: Duration = Duration::from_millis(50);

const DELIVERY: &str = "timeout: 1s, connect_timeout: 1s, lease: 6100ms, probe_interval: 200ms, \
    retry: { initial_backoff: 20ms, max_backoff: 300ms, not_found_max_age: 1s }";

/// Three real processes on one database, those who send to them, and the far side.
pub struct Replicas {
    pub processes: Vec<Process>,
    /// What a sender has no answer to is sent to another one in the end.
    pub senders: Vec<Arc<LoadSenders>>,
    pub calls: BTreeMap<String, Call>,
    pub far_side: FarSide,
    settings: Vec<PathBuf>,
    /// Of the environment of each.
    variables: [Vec<(String, String)>; Replicas::COUNT],
    _home: Home,
}

/// What is different about [`Replicas`].
pub struct ReplicaOptions<'a> {
    /// Of the store of the replica of that name. `FOLDER` is one for files.
    pub store: &'a dyn Fn(&str) -> String,
    /// The rest of the settings of a replica.
    pub rewrite: &'a dyn Fn(usize, String) -> String,
    pub variables: [Vec<(String, String)>; Replicas::COUNT],
    pub webhooks: usize,
    /// Groups of senders; webhooks of one call come to different ones.
    pub groups: usize,
    /// How long a sender waits before it sends again; `None` is for ever.
    pub pause: Option<Duration>,
}

impl Replicas {
    pub const COUNT: usize = 3;
    pub const NAMES: [&str; Self::COUNT] = ["a", "b", "c"];

    pub fn start(options: ReplicaOptions<'_>, chance: &mut Rng) -> Self {
        let far_side = FarSide::start();
        let home = Home::new(&super::settings(far_side.address(), "1s", DELIVERY));
        let sqlite = format!("url: \"sqlite:{}\"", home.store().display());
        let folder = home.store().parent().unwrap().display().to_string();
        let settings = Self::NAMES.iter().enumerate().map(|(n, name)| {
            let store = format!("replica: {name}, {}", (options.store)(name));
            let settings = |text: &str| (options.rewrite)(n, text.replace(&sqlite, &store));
            home.settings_of(name, |text| settings(text).replace("FOLDER", &folder))
        });
        let settings: Vec<PathBuf> = settings.collect();
        let text = std::fs::read_to_string(home.settings()).unwrap();
        let sources = Settings::from_yaml(&text, Environment::default()).unwrap().sources;
        let (calls, webhooks) = calls(&sources, options.webhooks, chance);
        let mut of_group: Vec<Vec<_>> = Vec::new();
        of_group.resize_with(options.groups, Vec::new);
        for (n, webhook) in webhooks.into_iter().enumerate() {
            of_group[n % options.groups].push(webhook);
        }
        let senders = of_group.into_iter().map(|it| LoadSenders::new(it, options.pause));
        let senders = senders.map(Arc::new).collect();
        let variables = options.variables;
        let _home = home;
        let processes = Vec::new();
        let mut replicas = Self { processes, senders, calls, far_side, settings, variables, _home };
        replicas.processes = (0..Self::COUNT).map(|n| replicas.serve(n)).collect();
        replicas
    }

    /// Ends a replica and starts it again.
    pub fn start_again(&mut self, replica: usize, end: impl FnOnce(Process)) {
        end(self.processes.remove(replica));
        let process = self.serve(replica);
        self.processes.insert(replica, process);
    }

    fn serve(&self, replica: usize) -> Process {
        Process::start_with(&self.settings[replica], &self.variables[replica])
    }

    /// How many webhooks no one has answered yet.
    pub fn unanswered(&self) -> usize {
        self.senders.iter().map(|it| it.unanswered()).sum()
    }

    /// Sends that were answered with no promise, or not at all.
    pub fn sent_in_vain(&self) -> (usize, usize) {
        let sum = |of: fn(&LoadSenders) -> usize| self.senders.iter().map(|it| of(it)).sum();
        (sum(LoadSenders::put_off), sum(LoadSenders::left_unanswered))
    }

    /// Until every webhook is answered, or one is not that has to be at once.
    pub fn wait_until_all_are_answered(&self) {
        let began = Instant::now();
        while self.unanswered() > 0 && !self.senders.iter().any(|it| it.has_failed()) {
            assert!(began.elapsed() < PATIENCE, "not every webhook is answered");
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Until no webhook waits in the spool of any of them.
    pub fn wait_until_nothing_is_spooled(&self) {
        let began = Instant::now();
        while self.spooled() > 0 {
            assert!(began.elapsed() < PATIENCE, "the spools are not drained");
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Webhooks in all spools.
    pub fn spooled(&self) -> u64 {
        let of = |process: &Process| -> u64 {
            let metrics = Line::open(process.admin).unwrap().get("/metrics").unwrap().body;
            let waiting =
                metrics.lines().find_map(|line| line.strip_prefix("postcall_spool_webhooks "));
            waiting.expect("there is a spool").parse().unwrap()
        };
        self.processes.iter().map(of).sum()
    }

    /// What all senders were promised so far.
    pub fn promised(&self) -> Vec<Promise> {
        self.senders.iter().flat_map(|it| it.answered()).collect()
    }

    /// Waits for the end of every submission and compares all of them with what was said.
    pub fn end(mut self, database: &Config, mut tally: Tally) -> Tally {
        let (mut fewest, mut since) = (i64::MAX, Instant::now());
        let is_unmapped = |id: &String| matches!(self.calls[id].ending, Ending::Unmapped);
        let unmapped = self.calls.keys().filter(|id| is_unmapped(id)).count() as i64;
        loop {
            let waiting = postgres::number(database, "SELECT count(*) FROM due");
            if waiting <= unmapped {
                // What is put off has no end that a test waits for.
                let kept = StoreContents::read_database(database).kept;
                let mut waiting = kept.iter().filter(|(id, kept)| kept.waiting(id).is_some());
                if waiting.all(|(id, kept)| is_unmapped(id) && kept.is_put_off()) {
                    break;
                }
            }
            if waiting < fewest {
                (fewest, since) = (waiting, Instant::now());
            }
            if since.elapsed() > PATIENCE {
                let kept = StoreContents::read_database(database).kept;
                let waiting = kept.iter().filter_map(|(call, kept)| kept.waiting(call));
                panic!("nothing ends any more: {:#?}", waiting.collect::<Vec<_>>());
            }
            thread::sleep(LOOK_EVERY);
        }
        self.processes.drain(..).for_each(Process::kill);
        self.far_side.hear_more();
        let kept = StoreContents::read_database(database);
        let promised = self.promised();
        kept.assert_has(&promised);
        let address = Address::new(database.clone(), postcall::destination::tls(), None);
        let store = PostgresStore::open_read_only(address.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let totals = runtime.block_on(store.statistics()).unwrap().counts;
        kept.assert_counts(totals);
        assert_eq!(totals.accepted as usize, self.calls.len(), "one submission for each call");
        assert_eq!(examine(&address).unwrap().findings, []);
        for (id, call) in &self.calls {
            let (kept, heard) = (&kept.kept[id], self.far_side.heard(id));
            assert_ended_well(id, call, kept, heard);
            tally.delivered_again += usize::from(heard.len() > 1);
            tally.unknown_results += kept.attempts("unknown_result");
        }
        let (put_off, sent_again) = self.sent_in_vain();
        let webhooks = promised.len();
        Tally { webhooks, calls: self.calls.len(), sent_again, put_off, ended: totals, ..tally }
    }
}
