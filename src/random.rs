//! Randomness, handed in at construction to everything that needs it: the jitter of waits, and the
//! ids of webhooks. Nothing here is a secret.

use std::sync::{Arc, Mutex, PoisonError};

use fastrand::Rng;
use jiff::Timestamp;
use uuid::{Builder, Uuid};

/// The one source of randomness. Clones draw from the same.
#[derive(Debug, Clone)]
pub struct Random(Arc<Mutex<Rng>>);

impl Random {
    /// Another sequence in each process.
    pub fn system() -> Self {
        Self::of(Rng::new())
    }

    /// The same sequence for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self::of(Rng::with_seed(seed))
    }

    fn of(rng: Rng) -> Self {
        Self(Arc::new(Mutex::new(rng)))
    }

    /// From 0, and below 1.
    pub fn fraction(&self) -> f64 {
        self.draw(|rng| rng.f64())
    }

    /// A UUIDv7 of that time: ids are in the order of their microseconds, and random within one.
    pub fn uuid_v7(&self, at: Timestamp) -> Uuid {
        let mut bytes = [0; 10];
        self.draw(|rng| rng.fill(&mut bytes));
        // RFC 9562, section 6.2, method 3: the 12 bits after the milliseconds are their fraction.
        let in_millisecond = at.as_microsecond().rem_euclid(1000);
        let fraction = u16::try_from(in_millisecond * 4096 / 1000).expect("it has 12 bits");
        bytes[..2].copy_from_slice(&fraction.to_be_bytes());
        let milliseconds = u64::try_from(at.as_millisecond()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(milliseconds, &bytes).into_uuid()
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_sequence() {
        let (one, other) = (Random::seeded(7), Random::seeded(7));
        let draw = |random: &Random| (random.fraction(), random.uuid_v7(Timestamp::UNIX_EPOCH));
        assert_eq!(draw(&one), draw(&other));
        assert_ne!(draw(&one), draw(&Random::seeded(8)));
    }

    #[test]
    fn uuids_are_of_version_7_differ_and_are_in_the_order_of_their_microseconds() {
        let random = Random::seeded(1);
        let at = |microsecond| Timestamp::from_microsecond(microsecond).unwrap();
        let begin = 1_800_000_000_123_000;
        let ids: Vec<Uuid> = (begin..begin + 2500).map(|time| random.uuid_v7(at(time))).collect();
        assert!(ids.is_sorted());
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        let (seconds, nanoseconds) = ids[0].get_timestamp().unwrap().to_unix();
        assert_eq!((seconds, nanoseconds), (1_800_000_000, 123_000_000));
        let of_one: BTreeSet<Uuid> = (0..1000).map(|_| random.uuid_v7(at(begin))).collect();
        assert_eq!(of_one.len(), 1000);
    }
}
