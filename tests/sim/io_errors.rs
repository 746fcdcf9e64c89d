//! The scripted day, in which each call of the file system fails once, and for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::day::play_day;
use super::history::Failing;
use super::{FIRST_SEED, number, say};

/// How many days are played, unless `POSTCALL_IO_DAYS` says otherwise; 0 is all of them.
const DAYS: usize = 100;

#[test]
fn no_call_of_the_file_system_that_fails_loses_anything() {
    let calls = play_day(None);
    let mut days: Vec<Failing> =
        (0..calls).flat_map(|call| [call..call + 1, call..usize::MAX]).collect();
    let all = days.len();
    let seed = number("POSTCALL_SEED").unwrap_or(FIRST_SEED);
    let most = number("POSTCALL_IO_DAYS").map_or(DAYS, |days| days as usize);
    if (1..all).contains(&most) {
        fastrand::Rng::with_seed(seed).shuffle(&mut days);
        days.truncate(most);
    }
    say(&format!(
        "io errors: the day makes {calls} calls of the file system, of which each fails once and for ever in \
         {all} days; {} of them are played (POSTCALL_SEED={seed} POSTCALL_IO_DAYS={most})",
        days.len()
    ));
    let next = AtomicUsize::new(0);
    let play = || {
        while let Some(failing) = days.get(next.fetch_add(1, Ordering::Relaxed)) {
            let day = || play_day(Some(failing.clone()));
            if catch_unwind(AssertUnwindSafe(day)).is_err() {
                // The others have found enough to do.
                next.store(days.len(), Ordering::Relaxed);
                return Some(failing);
            }
        }
        None
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let broken: Vec<&Failing> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(play)).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("it catches panics")).collect()
    });
    assert!(broken.is_empty(), "the day breaks a promise if these calls fail: {broken:?}");
}
