use std::path::PathBuf;

use super::shape::{Kind, Shape, key};
use super::written::Place;

/// Where the ledger lies and how many may wait to be written to it.
#[derive(Debug, Clone)]
pub struct Store {
    /// Relative to the working directory.
    pub path: PathBuf,
    /// How many commands may wait for the writer; beyond it the sender is asked to come back.
    pub queue: usize,
}

impl Store {
    pub(super) const SHAPE: Shape = Shape::of(&[
        key("url", Kind::Text, "Where it lies: sqlite:PATH, relative to the working directory."),
        key(
            "queue",
            Kind::Whole(1, 1_000_000),
            "How many hooks may wait for the disk before senders are asked to come back.",
        ),
    ]);

    pub(super) fn at(place: &Place<'_>) -> Option<Self> {
        let table = place.table()?;
        let path = table.need("url", "sqlite:PATH").and_then(|place| path(&place));
        let queue = table.need("queue", "a whole number").and_then(|place| place.whole());
        Some(Self { path: path?, queue: queue? as usize })
    }
}

fn path(place: &Place<'_>) -> Option<PathBuf> {
    match place.text("sqlite:PATH")?.strip_prefix("sqlite:") {
        None | Some("") => place.fault("expected sqlite:PATH such as sqlite:postcall.db"),
        // Elsewhere `//` starts a host, and dropping slashes until it works ends in the root.
        Some(path) if path.starts_with("//") => {
            place.fault("expected sqlite:PATH without the slashes of an address")
        }
        Some(":memory:") => place.fault("expected the path of a file: memory keeps nothing"),
        Some(path) => Some(path.into()),
    }
}
