use std::path::PathBuf;
use std::time::Duration;

use super::shape::{Kind, Shape, key};
use super::written::Place;
use crate::delivery::Retention;

/// Where the ledger lies and how many may wait to be written to it.
#[derive(Debug, Clone)]
pub struct Store {
    /// Relative to the working directory.
    pub path: PathBuf,
    /// How many commands may wait for the writer; beyond it the sender is asked to come back.
    pub queue: usize,
    pub retention: Retention,
}

impl Store {
    pub(super) const SHAPE: Shape = Shape::of(&[
        key("url", Kind::Text, "Where it lies: sqlite:PATH, relative to the working directory."),
        key(
            "queue",
            Kind::Whole(1, 1_000_000),
            "How many hooks may wait for the disk before senders are asked to come back.",
        ),
        key(
            "retention",
            Kind::Table(&RETENTION),
            "How long what is settled is kept; what is dead is kept until a person decides.",
        ),
    ]);

    pub(super) fn at(place: &Place<'_>) -> Option<Self> {
        let table = place.table()?;
        let path = table.need("url", "sqlite:PATH").and_then(|place| path(&place));
        let queue = table.need("queue", "a whole number").and_then(|place| place.whole());
        let retention = table.need("retention", "a table").and_then(|place| retention(&place));
        Some(Self { path: path?, queue: queue? as usize, retention: retention? })
    }
}

const RETENTION: Shape = Shape::of(&[
    key(
        "bodies",
        Kind::Duration(Duration::ZERO),
        "Queries and bodies of hooks, and Plivo's replies, counted from when it was settled.",
    ),
    key(
        "submissions",
        Kind::Duration(Duration::ZERO),
        "All of a submission but its id and its outcome; at least as long as `bodies`.",
    ),
    key(
        "tombstones",
        Kind::Duration(Duration::ZERO),
        "That too: a hook of its call starts anew then; at least as long as `submissions`.",
    ),
]);

fn retention(place: &Place<'_>) -> Option<Retention> {
    let table = place.table()?;
    let kept = |key: &str| table.need(key, "a duration").and_then(|place| place.duration());
    let (bodies, submissions, tombstones) =
        (kept("bodies"), kept("submissions"), kept("tombstones"));
    for (key, kept, before, least) in [
        ("submissions", submissions, "bodies", bodies),
        ("tombstones", tombstones, "submissions", submissions),
    ] {
        if let (Some(kept), Some(least)) = (kept, least)
            && kept < least
        {
            let message = format!("must not be shorter than store.retention.{before}");
            table.get(key)?.fault::<()>(message);
        }
    }
    Some(Retention { bodies: bodies?, submissions: submissions?, tombstones: tombstones? })
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
