//! The bounds of the quarantine: how many webhooks of a source, how many bytes, and for how long.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::{Name, Webhook, WebhookId};

/// Most bytes of all webhooks together: a hundred of each of forty sources, as Plivo sends them.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most bytes of one webhook. Plivo's have less than two KiB without their headers.
const WEBHOOK_BYTES_MAX: usize = 32 * 1024;

/// What is counted of a webhook beside what was sent.
const OVERHEAD_BYTES: usize = 256;

/// How long a webhook is kept: an operator who rotates a secret writes the new one within minutes, and
/// these are personal data of callers that nothing vouches for.
pub const AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// Webhooks that wait for a secret, by source, each source's in the order of arrival.
#[derive(Default)]
pub struct Ring {
    limits: BTreeMap<Name, usize>,
    sources: BTreeMap<Name, VecDeque<Entry>>,
    bytes: usize,
}

/// One of them.
#[derive(Clone)]
pub struct Entry {
    pub webhook: Arc<Webhook>,
    /// The secrets known now do not verify it.
    pub is_tried: bool,
    bytes: usize,
}

/// What became of a webhook that was to be kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Insertion {
    /// It is kept, and these had to make room.
    Kept {
        evicted: Vec<(Name, WebhookId)>,
    },
    TooLarge,
    /// Its source keeps none.
    Off,
}

impl Ring {
    /// Changes the number of webhooks that is kept of each source; returns those that are removed.
    pub fn limit(&mut self, limits: BTreeMap<Name, usize>) -> Vec<(Name, WebhookId)> {
        self.limits = limits;
        let limits = &self.limits;
        let over = self.sources.iter().flat_map(|(source, entries)| {
            let limit = limits.get(source).copied().unwrap_or(0);
            let over = entries.len().saturating_sub(limit);
            entries.iter().take(over).map(|entry| (source.clone(), entry.webhook.id))
        });
        let over: Vec<_> = over.collect();
        over.iter().for_each(|(_, id)| drop(self.remove(*id)));
        over
    }

    /// Keeps a webhook; the oldest of its source, and then those of the source that has the most bytes,
    /// make room. So a source that is flooded takes nothing from the others.
    pub fn insert(&mut self, source: &Name, webhook: Arc<Webhook>) -> Insertion {
        let limit = self.limits.get(source).copied().unwrap_or(0);
        if limit == 0 {
            return Insertion::Off;
        }
        let bytes = size(&webhook);
        if bytes > WEBHOOK_BYTES_MAX {
            return Insertion::TooLarge;
        }
        let mut evicted = Vec::new();
        let entries = self.sources.entry(source.clone()).or_default();
        entries.push_back(Entry { webhook, is_tried: false, bytes });
        self.bytes += bytes;
        if entries.len() > limit {
            evicted.extend(self.pop(source));
        }
        while self.bytes > BYTES_MAX {
            let weight = |(_, entries): &(&Name, &VecDeque<Entry>)| {
                entries.iter().map(|entry| entry.bytes).sum::<usize>()
            };
            let heaviest = self.sources.iter().max_by_key(weight).map(|(source, _)| source.clone());
            evicted.extend(heaviest.and_then(|source| self.pop(&source)));
        }
        Insertion::Kept { evicted }
    }

    /// Removes those that are too old, or from a future that a clock that was put back has left.
    pub fn expire(&mut self, now: Timestamp) -> Vec<(Name, WebhookId)> {
        let is_old =
            |entry: &Entry| now.duration_since(entry.webhook.received_at).unsigned_abs() >= AGE_MAX;
        let old = self.sources.iter().flat_map(|(source, entries)| {
            let old = entries.iter().filter(|entry| is_old(entry));
            old.map(|entry| (source.clone(), entry.webhook.id))
        });
        let old: Vec<_> = old.collect();
        old.iter().for_each(|(_, id)| drop(self.remove(*id)));
        old
    }

    pub fn remove(&mut self, id: WebhookId) -> Option<Name> {
        let (source, at) = self.sources.iter().find_map(|(source, entries)| {
            let at = entries.iter().position(|entry| entry.webhook.id == id)?;
            Some((source.clone(), at))
        })?;
        let entries = self.sources.get_mut(&source)?;
        self.bytes -= entries.remove(at)?.bytes;
        if entries.is_empty() {
            self.sources.remove(&source);
        }
        Some(source)
    }

    /// All of them with their sources.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Entry)> {
        self.sources
            .iter()
            .flat_map(|(source, entries)| entries.iter().map(move |entry| (source, entry)))
    }

    /// Notes whether the secrets known now were tried: of one, or of all.
    pub fn set_tried(&mut self, is_meant: impl Fn(&Name, WebhookId) -> bool, is_tried: bool) {
        for (source, entries) in &mut self.sources {
            for entry in entries.iter_mut().filter(|entry| is_meant(source, entry.webhook.id)) {
                entry.is_tried = is_tried;
            }
        }
    }

    pub fn count_of(&self, source: &Name) -> usize {
        self.sources.get(source).map_or(0, VecDeque::len)
    }

    /// The sources that have a limit.
    pub fn sources(&self) -> impl Iterator<Item = &Name> {
        self.limits.keys()
    }

    fn pop(&mut self, source: &Name) -> Option<(Name, WebhookId)> {
        let id = self.sources.get(source)?.front()?.webhook.id;
        self.remove(id).map(|source| (source, id))
    }
}

/// Bytes that are kept of a webhook.
pub fn size(webhook: &Webhook) -> usize {
    let headers = webhook.headers.iter().map(|(name, value)| name.len() + value.len());
    OVERHEAD_BYTES
        + webhook.path.len()
        + webhook.query.as_ref().map_or(0, String::len)
        + webhook.body.len()
        + headers.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Headers, Method};

    fn webhook(id: u128, second: i64, bytes: usize) -> Arc<Webhook> {
        Arc::new(Webhook {
            id: WebhookId(Uuid::from_u128(id)),
            method: Method::Post,
            path: String::new(),
            query: None,
            headers: Headers::default(),
            body: vec![0; bytes],
            received_at: Timestamp::from_second(second).unwrap(),
        })
    }

    fn name(name: &str) -> Name {
        name.parse().unwrap()
    }

    fn ring(limits: &[(&str, usize)]) -> Ring {
        let mut ring = Ring::default();
        ring.limit(limits.iter().map(|(source, limit)| (name(source), *limit)).collect());
        ring
    }

    fn ids(ring: &Ring) -> Vec<u128> {
        ring.iter().map(|(_, entry)| entry.webhook.id.0.as_u128()).collect()
    }

    #[test]
    fn a_full_quarantine_keeps_the_latest_webhooks() {
        let mut ring = ring(&[("ivr", 2), ("off", 0)]);
        for id in 1..=3 {
            ring.insert(&name("ivr"), webhook(id, 0, 10));
        }
        assert_eq!(ids(&ring), [2, 3]);
        assert_eq!(ring.insert(&name("off"), webhook(4, 0, 10)), Insertion::Off);
        assert_eq!(ring.insert(&name("ivr"), webhook(5, 0, 40_000)), Insertion::TooLarge);
        assert_eq!(ids(&ring), [2, 3]);
    }

    #[test]
    fn a_flooded_source_takes_no_room_from_another() {
        let mut ring = ring(&[("ivr", 10_000), ("form", 10_000)]);
        ring.insert(&name("form"), webhook(1, 0, 100));
        for id in 2..2000 {
            ring.insert(&name("ivr"), webhook(id, 0, 30_000));
        }
        assert!(ids(&ring).contains(&1));
        assert!(ring.bytes <= BYTES_MAX && ring.bytes > BYTES_MAX - 40_000);
    }

    #[test]
    fn a_quarantined_webhook_expires_after_an_hour_whichever_way_the_clock_moves() {
        let mut ring = ring(&[("ivr", 10)]);
        for (id, second) in [(1, 0), (2, 1), (3, 9000)] {
            ring.insert(&name("ivr"), webhook(id, second, 10));
        }
        ring.expire(Timestamp::from_second(3600).unwrap());
        assert_eq!(ids(&ring), [2]);
    }

    #[test]
    fn a_lower_limit_and_a_source_that_is_gone_remove_quarantined_webhooks() {
        let mut ring = ring(&[("ivr", 10), ("form", 10)]);
        for id in 1..=3 {
            ring.insert(&name("ivr"), webhook(id, 0, 10));
            ring.insert(&name("form"), webhook(10 + id, 0, 10));
        }
        ring.limit(BTreeMap::from([(name("ivr"), 1)]));
        assert_eq!(ids(&ring), [3]);
    }

    proptest! {
        #[test]
        fn the_quarantine_stays_within_its_bounds(
            inserted in prop::collection::vec((0..3_usize, 0..40_000_usize), 0..600),
        ) {
            let limits = [("a", 100), ("b", 10_000), ("c", 1)];
            let mut ring = ring(&limits);
            for (id, (source, bytes)) in (1_u128..).zip(inserted) {
                ring.insert(&name(limits[source].0), webhook(id, 0, bytes));
                prop_assert!(ring.bytes <= BYTES_MAX);
                prop_assert_eq!(ring.bytes, ring.iter().map(|(_, it)| it.bytes).sum::<usize>());
                for (source, limit) in limits {
                    prop_assert!(ring.count_of(&name(source)) <= limit);
                }
            }
        }
    }
}
