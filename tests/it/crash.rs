//! Killed again and again while hooks come in: what was answered 200 is there and comes to its
//! end, and nothing is told twice but what nobody can know.

mod cast;
mod crowd;
mod far_side;
mod ledger;

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use postcall::settings::{Environment, Settings};

use crate::process::{Home, Process};
use cast::{Call, Ending};
use crowd::Crowd;
use far_side::FarSide;
use ledger::{Kept, Ledger};

const HOOKS: usize = 5000;
const KILLS: usize = 20;
const SENDERS: usize = 8;

const SETTINGS: &str = r#"
public: { listen: "127.0.0.1:0", url: https://surveys.example.com }
private: { listen: "127.0.0.1:0" }
accounts:
  main:
    auth_id: MACRASHCRASHCRASH000
    auth_token: { value: "made-up-token-of-the-crash-test" }
    api: http://FAR_SIDE
sources:
  quick: { preset: plivo, account: main, survey: quick }
  ivr: { preset: plivo, account: main, survey: quality }
surveys:
  quick:
    questions: [{ name: score, answers: 1-5 }]
    rating: { of: score }
    complete: { after: 3s }
  quality:
    questions:
      - { name: score, answers: 1-5 }
      - { name: problem, answers: 1-3 }
    rating: { of: score }
    issues:
      of: problem
      choices:
        - { answer: 1, issue: ECHO }
        - { answer: 2, issue: ONE_WAY_AUDIO }
        - { answer: 3, issue: CALL_DROPPED }
    complete: { after: 3s }
delivery:
  delay: 0s
  retry: { first: 50ms, longest: 400ms, unknown_call: 1s }
logs: { filter: "warn,postcall::app=info,postcall::delivery=info" }
"#;

#[test]
fn what_was_answered_survives_every_kill_and_comes_to_its_end() {
    let seed = match std::env::var("POSTCALL_SEED") {
        Ok(seed) => seed.parse().expect("POSTCALL_SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    say(&format!("crash: POSTCALL_SEED={seed} repeats the calls and the quotas"));
    let mut chance = fastrand::Rng::with_seed(seed);

    let mut far_side = FarSide::start();
    let settings = SETTINGS.replace("FAR_SIDE", &far_side.address().to_string());
    let sources = Settings::from_yaml(&settings, Environment::default()).unwrap().sources;
    let home = Home::new(&settings);
    let (calls, hooks) = cast::calls(&sources, HOOKS, &mut chance);
    far_side.be_troublesome(calls.iter().filter(|(_, call)| call.ending == Ending::UnknownCall));

    let crowd = Arc::new(Crowd::new(hooks));
    let senders = Crowd::gather(&crowd, SENDERS);
    let mut excuses = Excuses::default();
    let mut service = Process::start(&home.settings());
    for kill in 0..KILLS {
        crowd.send_to(service.public);
        let fair_share = crowd.unanswered() / (KILLS - kill + 1);
        crowd.wait_for_answers(chance.usize(1..=fair_share.max(1) * 2));
        service.kill();
        crowd.wait_until_all_noticed();
        let ledger = Ledger::read(&home.ledger());
        ledger.assert_has(&crowd.answered());
        excuses.note(&ledger, &far_side.hear_more());
        service = Process::start(&home.settings());
    }
    crowd.send_to(service.public);
    crowd.wait_until_all_noticed();
    assert_eq!(crowd.unanswered(), 0, "every hook is answered in the end");
    crowd.dismiss();
    for sender in senders {
        sender.join().unwrap();
    }
    while Ledger::totals(&home.ledger()).waiting() > 0 {
        service.next_line();
        service.skip_lines();
    }
    service.kill();

    far_side.hear_more();
    let ledger = Ledger::read(&home.ledger());
    ledger.assert_has(&crowd.answered());
    let totals = Ledger::totals(&home.ledger());
    assert!(totals.balance(), "the books do not balance: {totals:?}");
    assert_eq!(totals.accepted as usize, calls.len(), "one submission for each call");
    for (id, call) in &calls {
        assert_ended_well(id, call, &ledger.kept[id], far_side.heard(id));
    }
    let twice = excuses.assert_cover(&ledger, &far_side);
    say(&format!(
        "crash: {KILLS} kills, {HOOKS} hooks about {} calls, {} sends without an answer, \
         {} calls heard again, {} might have been; {totals:?}",
        calls.len(),
        crowd.left_unanswered(),
        twice,
        excuses.accepted_unsettled.len(),
    ));
}

/// Past the test harness, which keeps what a test that passes prints.
fn say(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

fn assert_ended_well(id: &str, call: &Call, kept: &Kept, heard: &[(u64, Vec<String>)]) {
    let (state, reason, expected) = match &call.ending {
        Ending::Rated { rating, issue } => {
            // The second answer may have come when the first had been told already.
            let in_time = issue.filter(|_| !kept.was_late("problem"));
            let issues = match (in_time, rating) {
                (Some(issue), _) => vec![issue.to_owned()],
                (None, 5) => Vec::new(),
                (None, _) => vec!["OTHERS".to_owned()],
            };
            ("delivered", None, Some((*rating, issues)))
        }
        Ending::Ignored(reason) => ("ignored", Some(*reason), None),
        Ending::UnknownCall => ("dead", Some("unknown_call"), None),
        Ending::Unmapped => ("dead", Some("unmapped"), None),
    };
    assert_eq!((kept.state.as_str(), kept.reason.as_deref()), (state, reason), "{id}: {call:?}");
    assert_eq!(kept.told(), expected, "what the ledger says was told of {id}: {call:?}");
    assert_eq!(heard.is_empty(), expected.is_none(), "{id}: {call:?}");
    for heard in heard {
        assert_eq!(Some(heard), expected.as_ref(), "what was heard of {id}: {call:?}");
    }
}

/// Why a call may be heard more than once, by call.
#[derive(Default)]
struct Excuses {
    /// Kills at which an attempt was under way, whether or not it had arrived.
    under_way: BTreeMap<String, usize>,
    /// Those at which it had been accepted, and the ledger did not know.
    accepted_unsettled: BTreeMap<String, usize>,
}

impl Excuses {
    /// `heard` since the last kill.
    fn note(&mut self, ledger: &Ledger, heard: &[String]) {
        for (id, _) in ledger.kept.iter().filter(|(_, kept)| kept.under_way) {
            *self.under_way.entry(id.clone()).or_default() += 1;
            if heard.contains(id) {
                *self.accepted_unsettled.entry(id.clone()).or_default() += 1;
            }
        }
    }

    /// How many calls were heard more than once; each of them with an excuse.
    fn assert_cover(&self, ledger: &Ledger, far_side: &FarSide) -> usize {
        let count = |of: &BTreeMap<String, usize>, id| of.get(id).copied().unwrap_or(0);
        let (mut twice, mut resets) = (0, 0);
        for (id, kept) in &ledger.kept {
            // What nobody knows the result of was under way at a kill, or its answer was cut off.
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
        assert!(resets <= far_side::RESETS, "{resets} answers cannot have been cut off");
        twice
    }
}
