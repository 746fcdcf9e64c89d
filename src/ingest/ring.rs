//! The bounds of the quarantine: how many webhooks of a source, how many bytes, and for how long.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::WaitReason;
use crate::domain::{Name, Webhook, WebhookId};
use crate::store::QuarantinedWebhook;

/// Most bytes of all webhooks together: a hundred of each of forty sources, as Plivo sends them.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most bytes of one webhook. Plivo's have less than two KiB without their headers.
const WEBHOOK_BYTES_MAX: usize = 32 * 1024;

/// What is counted of a webhook, and of each of its headers, beside what was sent.
const OVERHEAD_BYTES: usize = 256;
const HEADER_OVERHEAD_BYTES: usize = 16;

/// How long a webhook is kept: an operator who rotates a secret writes the new one within minutes, and
/// these are personal data of callers that nothing vouches for.
pub const AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// Webhooks that wait for a secret, by source, each source's in the order of arrival, and which of them
/// the copy on disk has.
#[derive(Default)]
pub struct Ring {
    limits: BTreeMap<Name, usize>,
    sources: BTreeMap<Name, Entries>,
    bytes: usize,
    /// Counts the changes of secrets.
    generation: u64,
    /// What the copy has and the ring has not.
    removed: Vec<WebhookId>,
}

/// Those of one source.
#[derive(Default)]
struct Entries {
    queue: VecDeque<Entry>,
    bytes: usize,
}

struct Entry {
    kept: QuarantinedWebhook,
    bytes: usize,
    /// The settings and secrets of this generation do not receive it. The first generation is 1.
    tried: u64,
    reason: WaitReason,
    copied: Copied,
}

/// Whether the copy on disk has a webhook.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Copied {
    No,
    /// A write that failed may have had an effect.
    Unknown,
    Yes,
}

/// A webhook of which only source and id matter any more.
pub type Removed = (Name, WebhookId);

/// What became of a webhook that was to be kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Insertion {
    /// It is kept, and these had to make room.
    Kept {
        evicted: Vec<Removed>,
    },
    TooLarge,
    /// Its source keeps none.
    Off,
}

/// Most of the changes that are taken at once.
#[derive(Debug, Clone, Copy)]
pub struct ChangesMax {
    pub added: usize,
    /// Passed by the last webhook at most.
    pub bytes: usize,
    pub removed: usize,
}

/// Changes that the copy on disk lacks.
#[derive(Debug, Default)]
pub struct UnsavedChanges {
    pub added: Vec<QuarantinedWebhook>,
    pub removed: Vec<WebhookId>,
}

impl Ring {
    /// Changes the number of webhooks that is kept of each source; returns those that are
    /// removed. All are to be verified again.
    pub fn limit(&mut self, limits: BTreeMap<Name, usize>) -> Vec<Removed> {
        self.limits = limits;
        self.generation += 1;
        let mut over: BTreeMap<Name, usize> = BTreeMap::new();
        for (source, entries) in &self.sources {
            let limit = self.limits.get(source).copied().unwrap_or(0);
            over.insert(source.clone(), entries.queue.len().saturating_sub(limit));
        }
        self.remove_where(|source, _| {
            let left = over.get_mut(source).filter(|left| **left > 0);
            left.map(|left| *left -= 1).is_some()
        })
    }

    /// Keeps a webhook; the oldest of its source, and then those of the source that has the most bytes,
    /// make room. So a flooded source takes nothing from one that has less than an equal share.
    /// `is_copied` says whether the copy on disk has it.
    pub fn insert(
        &mut self,
        kept: QuarantinedWebhook,
        is_copied: bool,
        reason: WaitReason,
    ) -> Insertion {
        let limit = self.limits.get(&kept.source).copied().unwrap_or(0);
        let bytes = size(&kept.webhook);
        if limit == 0 || bytes > WEBHOOK_BYTES_MAX {
            self.removed.extend(is_copied.then_some(kept.webhook.id));
            return if limit == 0 { Insertion::Off } else { Insertion::TooLarge };
        }
        let mut evicted = Vec::new();
        let source = kept.source.clone();
        let entries = self.sources.entry(source.clone()).or_default();
        let at = |entry: &Entry| entry.kept.webhook.received_at <= kept.webhook.received_at;
        let at = entries.queue.partition_point(at);
        let copied = if is_copied { Copied::Yes } else { Copied::No };
        entries.queue.insert(at, Entry { kept, bytes, tried: 0, reason, copied });
        entries.bytes += bytes;
        self.bytes += bytes;
        if entries.queue.len() > limit {
            evicted.extend(self.pop(source));
        }
        while self.bytes > BYTES_MAX {
            let heaviest = self.sources.iter().max_by_key(|(_, entries)| entries.bytes);
            let heaviest = heaviest.map(|(source, _)| source.clone());
            evicted.extend(heaviest.and_then(|source| self.pop(source)));
        }
        Insertion::Kept { evicted }
    }

    /// Removes the oldest of a source.
    fn pop(&mut self, source: Name) -> Option<Removed> {
        let entries = self.sources.get_mut(&source)?;
        let entry = entries.queue.pop_front()?;
        entries.bytes -= entry.bytes;
        self.bytes -= entry.bytes;
        self.removed.extend(entry.id_in_copy());
        Some((source, entry.id()))
    }

    /// Removes those that are too old, or from a future that a clock that was put back has left; returns
    /// them.
    pub fn expire(&mut self, now: Timestamp) -> Vec<Removed> {
        self.remove_where(|_, webhook| {
            now.duration_since(webhook.received_at).unsigned_abs() >= AGE_MAX
        })
    }

    /// Removes those that are meant, of which each is asked once, the oldest of a source first; returns
    /// them.
    pub fn remove_where(
        &mut self,
        mut is_meant: impl FnMut(&Name, &Webhook) -> bool,
    ) -> Vec<Removed> {
        let mut from = Vec::new();
        for (source, Entries { queue, bytes }) in &mut self.sources {
            queue.retain(|entry| {
                let stays = !is_meant(source, &entry.kept.webhook);
                if !stays {
                    *bytes -= entry.bytes;
                    self.bytes -= entry.bytes;
                    self.removed.extend(entry.id_in_copy());
                    from.push((source.clone(), entry.id()));
                }
                stays
            });
        }
        self.sources.retain(|_, entries| !entries.queue.is_empty());
        from
    }

    pub fn contains(&self, id: WebhookId) -> bool {
        self.iter().any(|entry| entry.id() == id)
    }

    /// All of them, by source, the oldest of each first, and why each is there.
    pub fn list(&self) -> Vec<(QuarantinedWebhook, WaitReason)> {
        self.iter().map(|entry| (entry.kept.clone(), entry.reason)).collect()
    }

    /// A secret has changed: all are to be verified again.
    pub fn start_generation(&mut self) {
        self.generation += 1;
    }

    /// Those that the secrets of this generation were not tried with, and the generation.
    pub fn untried(&self) -> (Vec<QuarantinedWebhook>, u64) {
        let untried = self.iter().filter(|entry| entry.tried < self.generation);
        (untried.map(|entry| entry.kept.clone()).collect(), self.generation)
    }

    /// Notes why these stay, with the settings and secrets of a generation; returns those that had another
    /// reason before.
    pub fn set_reasons(
        &mut self,
        reasons: &BTreeMap<WebhookId, WaitReason>,
        generation: u64,
    ) -> Vec<Removed> {
        let mut changed = Vec::new();
        for entry in self.iter_mut() {
            let Some(reason) = reasons.get(&entry.id()) else { continue };
            if reason.waits_for_a_change() {
                entry.tried = generation;
            }
            if entry.reason != *reason {
                entry.reason = *reason;
                changed.push((entry.kept.source.clone(), entry.id()));
            }
        }
        changed
    }

    /// Takes changes for the copy on disk, one webhook of each source in turn, so that a flooded source
    /// keeps none of another one from it.
    pub fn take_changes(&mut self, max: ChangesMax) -> UnsavedChanges {
        let removed = self.removed.split_off(self.removed.len().saturating_sub(max.removed));
        let mut added = Vec::new();
        let mut bytes = 0;
        let mut queues: Vec<_> = self
            .sources
            .values_mut()
            .map(|entries| entries.queue.iter_mut().filter(|entry| entry.copied != Copied::Yes))
            .collect();
        while !queues.is_empty() {
            queues.retain_mut(|queue| {
                if added.len() >= max.added || bytes >= max.bytes {
                    return false;
                }
                let Some(entry) = queue.next() else { return false };
                entry.copied = Copied::Yes;
                bytes += entry.bytes;
                added.push(entry.kept.clone());
                true
            });
        }
        UnsavedChanges { added, removed }
    }

    /// Notes that changes are not known to be in the copy: they are taken again.
    pub fn put_back(&mut self, added: &BTreeSet<WebhookId>, removed: Vec<WebhookId>) {
        self.removed.extend(removed);
        for entry in self.iter_mut().filter(|entry| added.contains(&entry.id())) {
            entry.copied = Copied::Unknown;
        }
    }

    /// Notes that none is known to be in the copy, or not to be.
    pub fn forget_copy(&mut self) {
        self.iter_mut().for_each(|entry| entry.copied = Copied::Unknown);
    }

    pub fn count_of(&self, source: &Name) -> usize {
        self.sources.get(source).map_or(0, |entries| entries.queue.len())
    }

    /// The sources that have a limit.
    pub fn sources(&self) -> impl Iterator<Item = &Name> {
        self.limits.keys()
    }

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.sources.values().flat_map(|entries| entries.queue.iter())
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.sources.values_mut().flat_map(|entries| entries.queue.iter_mut())
    }
}

impl Entry {
    fn id(&self) -> WebhookId {
        self.kept.webhook.id
    }

    /// Its id if the copy may have it.
    fn id_in_copy(&self) -> Option<WebhookId> {
        (self.copied != Copied::No).then_some(self.id())
    }
}

/// Bytes that are kept of a webhook.
pub fn size(webhook: &Webhook) -> usize {
    let header = |(name, value): (&str, &[u8])| HEADER_OVERHEAD_BYTES + name.len() + value.len();
    OVERHEAD_BYTES
        + webhook.path.len()
        + webhook.query.as_ref().map_or(0, String::len)
        + webhook.body.len()
        + webhook.headers.iter().map(header).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{Headers, Method};

    const MISMATCH: WaitReason = WaitReason::Rejected("signature_mismatch");

    const MANY: ChangesMax = ChangesMax { added: 64, bytes: 256 * 1024, removed: 256 };

    fn webhook(source: &str, id: u128, second: i64, bytes: usize) -> QuarantinedWebhook {
        let webhook = Arc::new(Webhook {
            id: WebhookId(Uuid::from_u128(id)),
            method: Method::Post,
            path: String::new(),
            query: None,
            headers: Headers::default(),
            body: vec![0; bytes],
            received_at: Timestamp::from_second(second).unwrap(),
        });
        let (account, survey) = (name("main"), name("quick"));
        QuarantinedWebhook { source: name(source), account, survey, webhook }
    }

    fn name(name: &str) -> Name {
        name.parse().unwrap()
    }

    fn ring(limits: &[(&str, usize)]) -> Ring {
        let mut ring = Ring::default();
        ring.limit(limits.iter().map(|(source, limit)| (name(source), *limit)).collect());
        ring
    }

    fn number(id: WebhookId) -> u128 {
        id.0.as_u128()
    }

    fn numbers(webhooks: &[QuarantinedWebhook]) -> Vec<u128> {
        webhooks.iter().map(|it| number(it.webhook.id)).collect()
    }

    fn ids(ring: &Ring) -> Vec<u128> {
        ring.iter().map(|entry| number(entry.id())).collect()
    }

    #[test]
    fn a_full_quarantine_keeps_the_latest_webhooks() {
        let mut ring = ring(&[("ivr", 2), ("off", 0)]);
        for id in 1..=3 {
            ring.insert(webhook("ivr", id, 0, 10), false, MISMATCH);
        }
        assert_eq!(ids(&ring), [2, 3]);
        assert_eq!(ring.insert(webhook("off", 4, 0, 10), false, MISMATCH), Insertion::Off);
        assert_eq!(ring.insert(webhook("ivr", 5, 0, 40_000), false, MISMATCH), Insertion::TooLarge);
        assert_eq!(ids(&ring), [2, 3]);
    }

    #[test]
    fn a_quarantined_webhook_of_the_last_process_makes_room_before_later_ones() {
        let mut ring = ring(&[("ivr", 2)]);
        for (id, second, is_copied) in [(3, 3, false), (1, 1, true), (2, 2, true)] {
            ring.insert(webhook("ivr", id, second, 10), is_copied, MISMATCH);
        }
        assert_eq!(ids(&ring), [2, 3]);
        let UnsavedChanges { added, removed } = ring.take_changes(MANY);
        assert_eq!((numbers(&added), number(removed[0])), (vec![3], 1));
    }

    #[test]
    fn a_flooded_source_takes_no_room_from_another() {
        let mut ring = ring(&[("ivr", 10_000), ("form", 10_000)]);
        ring.insert(webhook("form", 1, 0, 100), false, MISMATCH);
        for id in 2..2000 {
            ring.insert(webhook("ivr", id, 0, 30_000), false, MISMATCH);
        }
        assert!(ids(&ring).contains(&1));
        assert!(ring.bytes <= BYTES_MAX && ring.bytes > BYTES_MAX - 40_000);
    }

    #[test]
    fn a_quarantined_webhook_expires_after_an_hour_whichever_way_the_clock_moves() {
        let mut ring = ring(&[("ivr", 10)]);
        for (id, second) in [(1, 0), (2, 1), (3, 9000)] {
            ring.insert(webhook("ivr", id, second, 10), false, MISMATCH);
        }
        ring.expire(Timestamp::from_second(3600).unwrap());
        assert_eq!(ids(&ring), [2]);
    }

    #[test]
    fn a_lower_limit_and_a_source_that_is_gone_remove_quarantined_webhooks() {
        let mut ring = ring(&[("ivr", 10), ("form", 10)]);
        for id in 1..=3 {
            ring.insert(webhook("ivr", id, 0, 10), false, MISMATCH);
            ring.insert(webhook("form", 10 + id, 0, 10), false, MISMATCH);
        }
        ring.limit(BTreeMap::from([(name("ivr"), 1)]));
        assert_eq!(ids(&ring), [3]);
    }

    #[test]
    fn a_secret_that_changes_while_a_webhook_is_verified_is_tried_with_it() {
        let mut ring = ring(&[("ivr", 10)]);
        ring.insert(webhook("ivr", 1, 0, 10), false, MISMATCH);
        let (untried, generation) = ring.untried();
        assert_eq!(numbers(&untried), [1]);
        let tried = BTreeMap::from([(untried[0].webhook.id, MISMATCH)]);
        ring.start_generation();
        ring.set_reasons(&tried, generation);
        assert_eq!(numbers(&ring.untried().0), [1]);
        ring.set_reasons(&tried, generation + 1);
        assert_eq!(numbers(&ring.untried().0), []);
    }

    #[test]
    fn a_quarantined_webhook_that_the_store_could_not_take_is_verified_again_at_once() {
        let mut ring = ring(&[("ivr", 10)]);
        ring.insert(webhook("ivr", 1, 0, 10), false, MISMATCH);
        let (untried, generation) = ring.untried();
        let id = untried[0].webhook.id;
        for (reason, is_new, is_tried) in [
            (WaitReason::NotStored, true, false),
            (WaitReason::NotStored, false, false),
            (WaitReason::SourceChanged, true, true),
            (WaitReason::SourceChanged, false, true),
        ] {
            let changed = ring.set_reasons(&BTreeMap::from([(id, reason)]), generation);
            assert_eq!(changed.len(), usize::from(is_new), "{reason:?}");
            assert_eq!(ring.untried().0.is_empty(), is_tried, "{reason:?}");
            assert_eq!(ring.list()[0].1, reason);
        }
    }

    #[test]
    fn the_copy_of_the_quarantine_takes_webhooks_of_each_source_in_turn() {
        let mut ring = ring(&[("a", 1000), ("b", 1000), ("c", 1000)]);
        for id in 0..500 {
            ring.insert(webhook("a", id, 0, 10), false, MISMATCH);
        }
        ring.insert(webhook("b", 1000, 0, 10), false, MISMATCH);
        ring.insert(webhook("c", 2000, 0, 10), false, MISMATCH);
        let first = ring.take_changes(MANY).added;
        assert_eq!(first.len(), MANY.added);
        assert_eq!(numbers(&first)[..4], [0, 1000, 2000, 1]);
        let ids: BTreeSet<_> = first.iter().map(|it| it.webhook.id).collect();
        ring.put_back(&ids, Vec::new());
        assert_eq!(
            numbers(&ring.take_changes(MANY).added),
            numbers(&first),
            "they are taken again"
        );
    }

    proptest! {
        #[test]
        fn the_quarantine_stays_within_its_bounds(
            inserted in prop::collection::vec((0..3_usize, 0..40_000_usize), 0..600),
        ) {
            let limits = [("a", 100), ("b", 10_000), ("c", 1)];
            let mut ring = ring(&limits);
            for (id, (source, bytes)) in (1_u128..).zip(inserted) {
                ring.insert(webhook(limits[source].0, id, 0, bytes), false, MISMATCH);
                prop_assert!(ring.bytes <= BYTES_MAX);
                prop_assert_eq!(ring.bytes, ring.iter().map(|it| it.bytes).sum::<usize>());
                for (source, limit) in limits {
                    prop_assert!(ring.count_of(&name(source)) <= limit);
                }
            }
        }

        #[test]
        fn the_copy_of_the_quarantine_becomes_what_is_kept(
            steps in prop::collection::vec((0..3_usize, 0..4_usize), 0..400),
        ) {
            let limits = [("a", 5), ("b", 40), ("c", 1)];
            let mut ring = ring(&limits);
            let mut copy = BTreeSet::new();
            for (id, (source, step)) in (1_u128..).zip(steps) {
                ring.insert(webhook(limits[source].0, id, 0, 10), false, MISMATCH);
                let UnsavedChanges { added, removed } = match step {
                    0 => ring.take_changes(ChangesMax { added: 3, bytes: 700, removed: 2 }),
                    1 => {
                        ring.remove_where(|_, webhook| number(webhook.id) % 7 == id % 7);
                        continue;
                    }
                    _ => continue,
                };
                // The write fails now and then, with or without an effect.
                if id % 2 == 0 {
                    copy.extend(numbers(&added));
                }
                if id % 3 == 0 {
                    let ids = added.iter().map(|it| it.webhook.id).collect();
                    ring.put_back(&ids, removed);
                } else {
                    copy.extend(numbers(&added));
                    copy.retain(|id| !removed.iter().any(|it| number(*it) == *id));
                }
            }
            loop {
                let UnsavedChanges { added, removed } = ring.take_changes(MANY);
                if added.is_empty() && removed.is_empty() {
                    break;
                }
                copy.extend(numbers(&added));
                copy.retain(|id| !removed.iter().any(|it| number(*it) == *id));
            }
            prop_assert_eq!(copy, ids(&ring).into_iter().collect());
        }
    }
}
