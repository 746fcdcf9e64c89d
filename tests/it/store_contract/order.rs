//! The order of commits is nobody's business.

use std::collections::BTreeMap;

use jiff::Timestamp;
use postcall::domain::Changes;
use postcall::store::{Arrival, SubmissionRow};
use proptest::prelude::*;

use super::model::{block_on, check};
use super::spoken::{changing, hook, pairs, score, telling};
use super::{Backend, Ledger};

/// Each to a survey in which another answer counts: see [`Changes::ALL`].
const CALLS: [&str; 3] = ["first", "last", "resend"];

/// However the hooks of some calls are shuffled, repeated and interrupted by reopenings, the same
/// is due at the same time with the same answers, and the same was told beside them.
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
                let mut hook = changing(Changes::ALL[*call], hook);
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
        assert_eq!(kept::<B>(mixed.zip(rarely)), expected);
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
            let ids: Vec<_> = lease.answers.said().map(|said| said.hook).collect();
            let said = pairs(&lease.answers);
            let changes =
                CALLS.iter().zip(Changes::ALL).find(|(call, _)| **call == row.key.call.as_str());
            let score = score(&lease.answers, changes.unwrap().1);
            let told: Vec<_> = lease.answers.fields().collect();
            let ended = (lease.answers.hung_up_at(), lease.answers.opted_out_at());
            let due = (row.state, row.due_at, lease.last_answer_at);
            format!("{due:?} {ids:?} {said:?} {score:?} {told:?} {ended:?}")
        };
        rows.iter().map(|row| (row.key.call.to_string(), of_call(row))).collect()
    })
}
