//! Everything that goes wrong at once: wires on both sides that break in every way, a far side that
//! is out of sorts, a process that is killed, stopped and restarted, a disk that is full. Whatever
//! befell, what was answered 200 comes to its end and what was heard is what was said.
//!
//! `POSTCALL_ROUNDS=200 POSTCALL_SEED=1000 cargo test --test it faults::rounds` plays the rounds
//! with the seeds 1000 to 1199; a round that fails says which one was its own.

mod full_disk;
mod round;
mod trouble;
pub mod wire;

use std::thread;
use std::time::Duration;

use self::round::Round;
use crate::invariant_checker;

/// Of the suite; each takes some seconds.
const ROUNDS: u64 = 3;

/// How many rounds are played at once: each of them mostly waits.
const AT_ONCE: usize = 4;

#[test]
fn rounds_of_every_trouble_lose_nothing_and_leave_the_books_balanced() {
    invariant_checker::play_rounds("faults", ROUNDS, AT_ONCE, Round::play);
}

/// How long a trouble lasts. Nothing is awaited by it: it is what happens.
fn linger(time: Duration) {
    thread::sleep(time);
}
