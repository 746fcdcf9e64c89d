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

use std::time::Duration;

use self::round::{Round, Tally};
use crate::oracle::{self, say};

/// Of the suite; each takes some seconds.
const ROUNDS: u64 = 3;

#[test]
fn rounds_of_every_trouble_lose_nothing_and_leave_the_books_balanced() {
    let first = oracle::seed();
    let rounds = oracle::number("POSTCALL_ROUNDS").unwrap_or(ROUNDS);
    let mut tally = Tally::default();
    for seed in first..first + rounds {
        let told = Untold(seed);
        tally.add(&Round::play(seed));
        std::mem::forget(told);
    }
    let last = first + rounds - 1;
    say(&format!("faults: {rounds} rounds, seeds {first} to {last}: {tally}"));
}

/// A round that nobody told the end of.
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
    std::thread::sleep(time);
}
