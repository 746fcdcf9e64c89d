use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use postcall::settings::{Environment, Settings};
use serde_json::json;

use super::linger;
use super::trouble::Trouble;
use super::wire::Wire;
use crate::invariant_checker::{
    self, Call, FarSide, LoadSenders, StoreContents, Tally, assert_ended_well,
};
use crate::process::{Home, Process};

const WEBHOOKS: usize = 300;
const SENDERS: usize = 6;

/// Fewest and most troubles of one round.
const TROUBLES: std::ops::RangeInclusive<usize> = 4..=9;

/// How long a sender waits before it sends again.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a full disk may go unnoticed: no one may have anything left to write.
const UNNOTICED: Duration = Duration::from_millis(500);

const DELIVERY: &str = "timeout: 1s, connect_timeout: 1s, lease: 6100ms, probe_interval: 200ms, \
    retry: { initial_backoff: 20ms, max_backoff: 300ms, not_found_max_age: 1s }";

/// One life of a store, from its first webhook to the end of its last submission.
pub struct Round {
    home: Home,
    calls: BTreeMap<String, Call>,
    load_senders: Arc<LoadSenders>,
    far_side: FarSide,
    /// Between the senders and the service, and between it and the far side.
    near: Wire,
    far: Wire,
    service: Process,
    tally: Tally,
}

impl Round {
    /// # Panics
    /// Where anything was lost, told wrongly or told more often than can be explained.
    pub fn play(seed: u64) -> Tally {
        let mut chance = Rng::with_seed(seed);
        let far_side = FarSide::start();
        let far = Wire::lay(far_side.address());
        let home = Home::new(&invariant_checker::settings(far.address, "1s", DELIVERY));
        let settings = std::fs::read_to_string(home.settings()).unwrap();
        let sources = Settings::from_yaml(&settings, Environment::default()).unwrap().sources;
        let (calls, webhooks) = invariant_checker::calls(&sources, WEBHOOKS, &mut chance);
        far_side.be_troublesome(json!([]), &calls);
        let service = Process::start_on_a_small_disk(&home.settings());
        let near = Wire::lay(service.public);
        let load_senders = Arc::new(LoadSenders::new(webhooks, Some(PAUSE)));
        let tally = Tally::default();
        let mut round = Self { home, calls, load_senders, far_side, near, far, service, tally };

        let senders = LoadSenders::gather(&round.load_senders, SENDERS);
        round.load_senders.send_to(round.near.address);
        let troubles = chance.usize(TROUBLES);
        for left in (1..=troubles).rev() {
            let fair_share = round.load_senders.unanswered() / (left + 1);
            let more = chance.usize(0..=fair_share.max(1) * 2);
            round.load_senders.wait_a_while_for_answers(more, Duration::from_secs(1));
            let trouble = Trouble::draw(&mut chance, &round.home);
            *round.tally.troubles.entry(trouble.name()).or_default() += 1;
            round = round.befall(trouble);
        }
        round.near.mend();
        round.far.mend();
        round.far_side.be_troublesome(json!([]), &round.calls);
        round.load_senders.wait_until_all_are_answered();
        round.load_senders.dismiss();
        for sender in senders {
            sender.join().unwrap();
        }
        round.end()
    }

    fn befall(self, trouble: Trouble) -> Self {
        match trouble {
            Trouble::Killed => return self.starts_again(Process::kill),
            Trouble::Restarted => {
                return self.starts_again(|service| {
                    service.signal("TERM");
                    let ended = service.ended();
                    assert!(ended.status.success(), "{:?}: {}", ended.status, ended.stdout);
                });
            }
            Trouble::Stopped(time) => {
                self.service.signal("STOP");
                linger(time);
                self.service.signal("CONT");
            }
            Trouble::DiskFull { room, killed } => {
                self.service.leave_room_to(Some(room));
                self.load_senders.wait_a_while_for_refusals(3, UNNOTICED);
                if killed {
                    return self.starts_again(Process::kill);
                }
                self.service.leave_room_to(None);
            }
            Trouble::FarCut(time) => self.cut(&self.far, time),
            Trouble::NearCut(time) => self.cut(&self.near, time),
            Trouble::FarHarmed(fates) => self.far.befall(fates),
            Trouble::NearHarmed(fates) => self.near.befall(fates),
            Trouble::FarOutOfSorts(faults) => self.far_side.be_troublesome(faults, &self.calls),
        }
        self
    }

    fn cut(&self, wire: &Wire, time: Duration) {
        wire.cut();
        linger(time);
        wire.mend();
    }

    fn starts_again(self, end: impl FnOnce(Process)) -> Self {
        // Before the end: what is promised from here on may be in the store.
        let promised = self.load_senders.answered();
        end(self.service);
        StoreContents::read(&self.home.store()).assert_has(&promised);
        let service = Process::start_on_a_small_disk(&self.home.settings());
        self.near.lead_to(service.public);
        Self { service, ..self }
    }

    /// Waits for the end of every submission and holds all of them to what was said.
    fn end(mut self) -> Tally {
        let store = self.home.store();
        StoreContents::wait_until_nothing_waits(&store, &self.service);
        self.service.kill();
        self.far_side.hear_more();
        let (kept, totals) = (StoreContents::read(&store), StoreContents::totals(&store));
        kept.assert_has(&self.load_senders.answered());
        kept.assert_counts(totals);
        assert_eq!(totals.accepted as usize, self.calls.len(), "one submission for each call");
        for (id, call) in &self.calls {
            let (kept, heard) = (&kept.kept[id], self.far_side.heard(id));
            assert_ended_well(id, call, kept, heard);
            self.tally.delivered_again += usize::from(heard.len() > 1);
            self.tally.unknown_results += kept.attempts("unknown_result");
        }
        Tally {
            webhooks: WEBHOOKS,
            calls: self.calls.len(),
            harmed: self.near.harmed() + self.far.harmed(),
            sent_again: self.load_senders.left_unanswered(),
            put_off: self.load_senders.put_off(),
            ended: totals,
            ..self.tally
        }
    }
}
