use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::{Tally, number, say, seed};

/// After how many rounds it is said that they continue.
const SAID_EVERY: u64 = 20;

/// Plays rounds from a seed, several at once: `POSTCALL_ROUNDS` of them, or else `rounds`. Prints their sum.
pub fn play_rounds(name: &str, rounds: u64, at_once: usize, play: impl Fn(u64) -> Tally + Sync) {
    let first = seed();
    let rounds = number("POSTCALL_ROUNDS").unwrap_or(rounds);
    let (begun, tally) = (AtomicU64::new(0), Mutex::new(Tally::default()));
    let play = || {
        loop {
            let round = begun.fetch_add(1, Ordering::Relaxed);
            if round >= rounds {
                return;
            }
            let unfinished = Unfinished { name, seed: first + round };
            let played = play(first + round);
            tally.lock().unwrap().add(&played);
            std::mem::forget(unfinished);
            if round > 0 && round.is_multiple_of(SAID_EVERY) {
                say(&format!("{name}: {round} of {rounds} rounds"));
            }
        }
    };
    // One that fails fails the test, once the others have ended theirs.
    thread::scope(|players| (0..at_once).for_each(|_| drop(players.spawn(play))));
    let (last, tally) = (first + rounds - 1, tally.into_inner().unwrap());
    say(&format!("{name}: {rounds} rounds, seeds {first} to {last}: {tally}"));
}

/// A round that has not ended.
struct Unfinished<'a> {
    name: &'a str,
    seed: u64,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        let Self { name, seed } = self;
        say(&format!("{name}: a round failed; POSTCALL_SEED={seed} POSTCALL_ROUNDS=1 repeats it"));
    }
}
