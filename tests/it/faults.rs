//! Everything that goes wrong at once: wires on both sides that break in every way, a far side that
//! is out of sorts, a process that is killed, stopped and restarted, a disk that is full. Whatever
//! befell, what was answered 200 comes to its end and what was heard is what was said.
//!
//! `POSTCALL_ROUNDS=200 POSTCALL_SEED=1000 cargo test --test it faults::rounds` plays the rounds
//! with the seeds 1000 to 1199; a round that fails says which one was its own.

mod full_disk;
mod round;
mod trouble;
mod wire;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use self::round::{Round, Tally};
use crate::invariant_checker::{self, say};

/// Of the suite; each takes some seconds.
const ROUNDS: u64 = 3;

/// After how many rounds it is told that they go on.
const TOLD_EVERY: u64 = 20;

/// How many rounds are played at once: each of them mostly waits.
const AT_ONCE: usize = 4;

#[test]
fn rounds_of_every_trouble_lose_nothing_and_leave_the_books_balanced() {
    let first = invariant_checker::seed();
    let rounds = invariant_checker::number("POSTCALL_ROUNDS").unwrap_or(ROUNDS);
    let (begun, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let play = || {
        loop {
            let round = begun.fetch_add(1, Ordering::Relaxed);
            if round >= rounds {
                return;
            }
            let told = Untold(first + round);
            let played = Round::play(first + round);
            tally.lock().unwrap().add(&played);
            std::mem::forget(told);
            if round > 0 && round.is_multiple_of(TOLD_EVERY) {
                say(&format!("faults: {round} of {rounds} rounds"));
            }
        }
    };
    // One that fails fails the test, once the others have ended theirs.
    thread::scope(|players| (0..AT_ONCE).for_each(|_| drop(players.spawn(play))));
    let (last, tally) = (first + rounds - 1, tally.into_inner().unwrap());
    say(&format!("faults: {rounds} rounds, seeds {first} to {last}: {tally}"));
}

/// A round that no one told the end of.
struct Untold(u64);

impl Drop for Untold {
    fn drop(&mut self) {
        say(&format!(
            "faults: a round failed; POSTCALL_SEED={} POSTCALL_ROUNDS=1 repeats it",
            self.0
        ));
    }
}

/// How long a trouble lasts. Nothing is awaited by it: it is what happens.
fn linger(time: Duration) {
    thread::sleep(time);
}
