use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::recorder::Event;

/// A write tears at these, in bytes: a disk keeps a sector whole or not at all.
const SECTOR: usize = 512;

/// What files a disk has, by their names.
pub struct Disk(BTreeMap<String, Vec<u8>>);

impl Disk {
    /// What is left once the power is cut after these: all that was synced, and of each sector that
    /// was written since perhaps what was written, and perhaps not.
    pub fn after_a_cut(events: &[Event], chance: &mut fastrand::Rng) -> Self {
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        // A cut may find much written that was not synced, or hardly anything.
        let share = chance.f64();
        let mut synced_until = BTreeMap::new();
        // With the first sync of a log or journal that it has opened SQLite syncs the folder too.
        let mut folder_synced_until = 0;
        let mut known_to_folder = BTreeSet::new();
        for (number, event) in events.iter().enumerate() {
            match event {
                Event::Synced { file } => {
                    synced_until.insert(file.as_str(), number);
                    if known_to_folder.insert(file) && file.contains('-') {
                        folder_synced_until = number;
                    }
                }
                Event::Removed { file, synced } => {
                    known_to_folder.remove(file);
                    if *synced {
                        folder_synced_until = number;
                    }
                }
                Event::Opened { file } => {
                    known_to_folder.remove(file);
                }
                Event::Wrote { .. } | Event::Truncated { .. } => {}
            }
        }
        for (number, event) in events.iter().enumerate() {
            let is_synced = synced_until.get(event.file()).is_some_and(|last| number < *last);
            let mut arrived = || is_synced || chance.f64() < share;
            match event {
                Event::Wrote { file, offset, bytes } => {
                    let kept = files.entry(file.clone()).or_default();
                    let mut from = *offset;
                    while from < offset + bytes.len() {
                        let to = ((from / SECTOR + 1) * SECTOR).min(offset + bytes.len());
                        if arrived() {
                            if kept.len() < to {
                                kept.resize(to, 0);
                            }
                            kept[from..to].copy_from_slice(&bytes[from - offset..to - offset]);
                        }
                        from = to;
                    }
                }
                Event::Truncated { file, length } => {
                    if arrived() {
                        files.entry(file.clone()).or_default().resize(*length, 0);
                    }
                }
                Event::Removed { file, .. } => {
                    if number <= folder_synced_until || arrived() {
                        files.remove(file);
                    }
                }
                Event::Opened { .. } | Event::Synced { .. } => {}
            }
        }
        Self(files)
    }

    pub fn write_to(&self, folder: &Path) {
        for (name, bytes) in &self.0 {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    }
}
