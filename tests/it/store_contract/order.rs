//! The order of commits is nobody's business.

use std::collections::BTreeMap;

use jiff::Timestamp;
use postcall::domain::Verdict;
use postcall::store::{Arrival, Lease, SubmissionRow};
use postcall::submission::ChangedAnswerPolicy;
use proptest::prelude::*;

use super::model::{block_on, check};
use super::spoken::{attempt, changing, hook, pairs, score, telling};
use super::{Backend, Ledger};

/// Each to a survey in which another answer counts: see [`ChangedAnswerPolicy::ALL`].
const CALLS: [&str; 3] = ["first", "last", "resend"];

/// However the hooks of some calls are shuffled, repeated and interrupted by reopenings, the same
/// is due at the same time with the same answers, and the same was told beside them. Neither does
/// an attempt in their midst change what they say, where it never arrives.
pub fn the_order_in_which_hooks_are_kept_changes_nothing<B: Backend>() {
    // Some of them within one microsecond, which is finer than a ledger may keep.
    let texts = prop::sample::select(vec!["", "1", "3", "7"]);
    let spoken = (0i32..6, 0..CALLS.len(), 0..2usize, texts, 0..10u8);
    let hooks = prop::collection::vec(spoken, 1..10);
    let shuffled = hooks.prop_flat_map(|hooks| {
        let twice: Vec<usize> = (0..hooks.len()).chain(0..hooks.len()).collect();
        let order = Just(twice).prop_shuffle();
        (Just(hooks), order, prop::collection::vec(any::<bool>(), 20))
    });
    check(24, shuffled, |(hooks, order, reopenings)| {
        let mut in_order: Vec<Arrival> = hooks
            .iter()
            .map(|(tick, call, question, text, beside)| {
                let (second, nanosecond) = (i64::from(tick / 2), 100 + (tick % 2) * 800);
                let answers = [(["score", "problem"][*question], *text)];
                let mut hook = hook(second, CALLS[*call], &answers);
                match beside {
                    0 => hook.report.hung_up = true,
                    1 => hook.report.opted_out = true,
                    2 => hook = telling("campaign", "spring", hook),
                    3 => hook = telling("campaign", "autumn", hook),
                    _ => {}
                }
                let mut hook = changing(ChangedAnswerPolicy::ALL[*call], hook);
                hook.hook.received_at = Timestamp::new(second, nanosecond).unwrap();
                hook
            })
            .collect();
        in_order.sort_by_key(|arrival| arrival.hook.received_at);
        // Ids made later sort later.
        let mut ids: Vec<_> = in_order.iter().map(|arrival| arrival.hook.id).collect();
        ids.sort();
        for (arrival, id) in in_order.iter_mut().zip(ids) {
            arrival.hook.id = id;
        }
        let mixed = order.iter().map(|n| in_order[*n].clone());
        let never = std::iter::repeat(&false);
        let rarely = reopenings.iter().enumerate().map(|(n, yes)| *yes && n % 5 == 0);
        let expected = kept::<B>(in_order.iter().cloned().zip(never.copied()));
        assert_eq!(kept::<B>(mixed.clone().zip(rarely)), expected);
        let tried_in_vain = kept_around_an_attempt_that_never_arrives::<B>(mixed, order[0]);
        for (call, heard) in tried_in_vain {
            assert!(expected[&call].ends_with(&heard), "{heard} is not {}", expected[&call]);
        }
    });
}

/// What each call's submission came to, when the hooks were kept in this order and the ledger was
/// reopened after those that say so.
fn kept<B: Backend>(hooks: impl Iterator<Item = (Arrival, bool)>) -> BTreeMap<String, String> {
    block_on(async {
        let mut ledger = Ledger::<B>::new();
        for (arrival, reopen) in hooks {
            ledger.hear(arrival).await;
            if reopen {
                ledger.reopen();
            }
        }
        let rows = ledger.rows().await;
        let leases = ledger.lease_due(1000).await;
        ledger.check_books().await;
        let of_call = |row: &SubmissionRow| {
            let lease = leases.iter().find(|lease| lease.key == row.key).unwrap();
            format!("{:?} {} {}", row.state, row.due_at, heard(lease))
        };
        rows.iter().map(|row| (row.key.call.to_string(), of_call(row))).collect()
    })
}

/// What each call's submission consists of, when from one hook on everything came while an attempt
/// was under way.
fn kept_around_an_attempt_that_never_arrives<B: Backend>(
    hooks: impl Iterator<Item = Arrival>,
    from: usize,
) -> BTreeMap<String, String> {
    block_on(async {
        let ledger = Ledger::<B>::new();
        let mut leases = Vec::new();
        for (n, arrival) in hooks.enumerate() {
            if n == from {
                leases = ledger.lease_due(1000).await;
                for lease in &leases {
                    ledger.begin_one(lease, 1000).await;
                }
            }
            ledger.hear(arrival).await;
        }
        for lease in &leases {
            ledger.retry_one(lease, attempt(Verdict::Unreachable, None, 1000)).await;
        }
        let leases = ledger.lease_due(2000).await;
        ledger.check_books().await;
        leases.iter().map(|lease| (lease.key.call.to_string(), heard(lease))).collect()
    })
}

/// All that was handed out.
fn heard(lease: &Lease) -> String {
    let answers = &lease.answers;
    let ids: Vec<_> = answers.recorded().map(|said| said.hook).collect();
    let survey = CALLS.iter().position(|call| *call == lease.key.call.as_str()).unwrap();
    let score = score(answers, ChangedAnswerPolicy::ALL[survey]);
    let told: Vec<_> = answers.fields().collect();
    let ended = (answers.hung_up_at(), answers.opted_out_at());
    format!("{ids:?} {:?} {score:?} {told:?} {ended:?}", pairs(answers))
}
