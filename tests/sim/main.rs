//! A simulation of the whole service: one process, one thread, time that a history lets pass.
//!
//! The real ingest, surveys, submissions, delivery, operator actions and store, with SQLite on a file
//! system that records and fails. Only the wire is missing: senders and the destination are functions.
//! A seed decides everything that happens in a history; [`history`] has what, and `invariants` what has to
//! hold after it.
//!
//! ```sh
//! cargo test --test sim                                         # some histories
//! POSTCALL_SEED=7 POSTCALL_HISTORIES=1 cargo test --test sim    # one, with all that happened in it
//! ```

mod calls;
mod day;
mod destination;
#[path = "../it/power_cut/disk.rs"]
mod disk;
mod flaws;
mod history;
mod invariants;
mod io_errors;
mod machine;
#[allow(dead_code, reason = "the test of power cuts uses the rest")]
#[path = "../it/power_cut/recorder.rs"]
mod recorder;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};

use history::{History, Limits};

/// That of the service: with glibc's, a sixth of a history is spent there.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Histories that are run, unless `POSTCALL_HISTORIES` says otherwise; `scripts/test` runs 2,000.
const HISTORIES: u64 = 50;

/// The first of their seeds, unless `POSTCALL_SEED` says otherwise.
const FIRST_SEED: u64 = 1;

#[test]
fn histories_lose_nothing_and_all_submissions_settle() {
    let (first, histories) = (number("POSTCALL_SEED"), number("POSTCALL_HISTORIES"));
    let first = first.unwrap_or(FIRST_SEED);
    let seeds = first..first + histories.unwrap_or(HISTORIES);
    say(&format!("histories: POSTCALL_SEED={first} POSTCALL_HISTORIES={}", seeds.end - first));
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let failed: Vec<u64> = std::thread::scope(|scope| {
        let run = || loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return None;
            }
            if fails(seed, &Limits::default()) {
                // The others have found enough to do.
                next.store(seeds.end, Ordering::Relaxed);
                return Some(seed);
            }
        };
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
        threads.into_iter().filter_map(|thread| thread.join().expect("it catches panics")).collect()
    });
    if let Some(seed) = failed.into_iter().min() {
        if number("POSTCALL_SHRINK") != Some(0) {
            show_shrunk(seed);
        }
        panic!("the history of seed {seed} broke a promise; see above");
    }
}

#[test]
fn a_seed_gives_the_same_history_each_time() {
    for seed in 1..=20 {
        let [one, other] = [(); 2].map(|()| History::lines(seed, &Limits::default()));
        assert_eq!(one, other, "seed {seed}");
    }
}

/// Whether the history of a seed breaks a promise.
fn fails(seed: u64, limits: &Limits) -> bool {
    catch_unwind(AssertUnwindSafe(|| History::run(seed, limits))).is_err()
}

/// Prints the shortest history of a seed that still fails: with fewer steps, and without the kinds of
/// trouble that it does not need.
fn show_shrunk(seed: u64) {
    let mut limits = Limits::default();
    for kind in 0..limits.troubles.len() {
        let mut without = limits.clone();
        without.troubles[kind] = false;
        if fails(seed, &without) {
            limits = without;
        }
    }
    let mut step = limits.steps / 2;
    while step > 0 {
        let fewer = Limits { steps: limits.steps - step, ..limits.clone() };
        if fails(seed, &fewer) {
            limits = fewer;
        } else {
            step /= 2;
        }
        step = step.min(limits.steps / 2);
    }
    say(&format!("seed {seed}, shrunk to {limits:?}:"));
    let Err(broken) = catch_unwind(AssertUnwindSafe(|| History::told(seed, &limits))) else {
        return say("it did not fail this time: something depends on more than the seed");
    };
    let words = broken.downcast_ref::<String>().map(String::as_str);
    say(words.or(broken.downcast_ref::<&str>().copied()).unwrap_or("it panicked"));
}

/// A variable of the operator who runs the tests.
fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

/// Past the test harness, which keeps what a test that passes prints.
fn say(line: &str) {
    use std::io::Write;
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
