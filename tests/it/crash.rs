//! Killed again and again while webhooks come in: what was answered 200 is there and comes to its
//! end, and nothing is told twice but what no one can know.

use std::collections::BTreeMap;
use std::sync::Arc;

use postcall::settings::{Environment, Settings};
use serde_json::json;

use crate::invariant_checker::{self, FarSide, LoadSenders, StoreContents, assert_ended_well, say};
use crate::process::{Home, Process};

const WEBHOOKS: usize = 5000;
const KILLS: usize = 20;
const SENDERS: usize = 8;

/// How often an answer is cut off after the feedback was accepted.
const RESETS: usize = 60;

const DELIVERY: &str =
    "retry: { initial_backoff: 50ms, max_backoff: 400ms, not_found_max_age: 1s }";

#[test]
fn what_was_answered_survives_every_kill_and_comes_to_its_end() {
    let seed = invariant_checker::seed();
    say(&format!("crash: POSTCALL_SEED={seed} repeats the calls and the quotas"));
    let mut chance = fastrand::Rng::with_seed(seed);

    let mut far_side = FarSide::start();
    let settings = invariant_checker::settings(far_side.address(), "3s", DELIVERY);
    let sources = Settings::from_yaml(&settings, Environment::default()).unwrap().sources;
    let home = Home::new(&settings);
    let (calls, webhooks) = invariant_checker::calls(&sources, WEBHOOKS, &mut chance);
    let faults = json!([
        { "status": 503, "every": 11 },
        { "reset": "after", "every": 17, "times": RESETS },
        { "delay_ms": 20, "every": 4 },
    ]);
    far_side.be_troublesome(faults, &calls);

    let load_senders = Arc::new(LoadSenders::new(webhooks, None));
    let senders = LoadSenders::gather(&load_senders, SENDERS);
    let mut excuses = Excuses::default();
    let mut service = Process::start(&home.settings());
    for kill in 0..KILLS {
        load_senders.send_to(service.public);
        let fair_share = load_senders.unanswered() / (KILLS - kill + 1);
        load_senders.wait_for_answers(chance.usize(1..=fair_share.max(1) * 2));
        service.kill();
        load_senders.wait_until_all_noticed();
        let store = StoreContents::read(&home.store());
        store.assert_has(&load_senders.answered());
        excuses.note(&store, &far_side.hear_more());
        service = Process::start(&home.settings());
    }
    load_senders.send_to(service.public);
    load_senders.wait_until_all_noticed();
    assert_eq!(load_senders.unanswered(), 0, "every webhook is answered in the end");
    load_senders.dismiss();
    for sender in senders {
        sender.join().unwrap();
    }
    StoreContents::wait_until_nothing_waits(&home.store(), &service);
    service.kill();

    far_side.hear_more();
    let store = StoreContents::read(&home.store());
    store.assert_has(&load_senders.answered());
    let totals = StoreContents::totals(&home.store());
    store.assert_counts(totals);
    assert_eq!(totals.accepted as usize, calls.len(), "one submission for each call");
    for (id, call) in &calls {
        assert_ended_well(id, call, &store.kept[id], far_side.heard(id));
    }
    let twice = excuses.assert_cover(&store, &far_side);
    say(&format!(
        "crash: {KILLS} kills, {WEBHOOKS} webhooks about {} calls, {} sends without an answer, \
         {} calls delivered again, {} might have been; {totals:?}",
        calls.len(),
        load_senders.left_unanswered(),
        twice,
        excuses.accepted_unsettled.len(),
    ));
}

/// Why a call may be heard more than once, by call.
#[derive(Default)]
struct Excuses {
    /// Kills at which an attempt was under way, whether or not it had arrived.
    under_way: BTreeMap<String, usize>,
    /// Those at which it had been accepted, and the store did not know.
    accepted_unsettled: BTreeMap<String, usize>,
}

impl Excuses {
    /// `heard` since the last kill.
    fn note(&mut self, store: &StoreContents, heard: &[String]) {
        for (id, _) in store.kept.iter().filter(|(_, kept)| kept.under_way) {
            *self.under_way.entry(id.clone()).or_default() += 1;
            if heard.contains(id) {
                *self.accepted_unsettled.entry(id.clone()).or_default() += 1;
            }
        }
    }

    /// How many calls were heard more than once; each of them with an excuse.
    fn assert_cover(&self, store: &StoreContents, far_side: &FarSide) -> usize {
        let count = |of: &BTreeMap<String, usize>, id| of.get(id).copied().unwrap_or(0);
        let (mut twice, mut resets) = (0, 0);
        for (id, kept) in &store.kept {
            // What no one knows the result of was under way at a kill, or its answer was cut off.
            let cut_off = kept.unknown_results() - count(&self.under_way, id);
            let most = 1 + count(&self.accepted_unsettled, id) + cut_off;
            let times = far_side.heard(id).len();
            assert!(
                times <= most,
                "{id} was heard {times} times, and {most} can be explained: {}; killed {} times \
                 while an attempt was under way",
                kept.verdicts,
                count(&self.under_way, id)
            );
            twice += usize::from(times > 1);
            resets += cut_off;
        }
        assert!(resets <= RESETS, "{resets} answers cannot have been cut off");
        twice
    }
}
