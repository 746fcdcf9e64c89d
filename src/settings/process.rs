use std::time::Duration;

use super::shape::{Kind, Shape, key};
use super::written::Place;
use crate::telemetry::logs::{Filter, Format};

/// How the service stops.
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// How long hooks are still taken after the probes say that the end is near.
    pub announce: Duration,
    /// How long what is in flight may take after that.
    pub deadline: Duration,
}

/// How the service speaks to its operator.
#[derive(Debug, Clone)]
pub struct Logs {
    pub format: Format,
    pub filter: Filter,
}

impl Shutdown {
    pub(super) const SHAPE: Shape = Shape::of(&[
        key(
            "announce",
            Kind::Duration(Duration::ZERO),
            "How long hooks are still taken while the readiness probe says no.",
        ),
        key(
            "deadline",
            Kind::Duration(Duration::ZERO),
            "How long what is in flight may take after that.",
        ),
    ]);

    pub(super) fn at(place: &Place<'_>) -> Option<Self> {
        let table = place.table()?;
        let duration = |key| table.need(key, "a duration").and_then(|place| place.duration());
        let (announce, deadline) = (duration("announce"), duration("deadline"));
        Some(Self { announce: announce?, deadline: deadline? })
    }
}

impl Logs {
    pub(super) const SHAPE: Shape = Shape::of(&[
        key(
            "format",
            Kind::Word(|| vec!["json", "pretty"]),
            "Lines of JSON for a collector, or prose for a person.",
        ),
        key(
            "filter",
            Kind::Text,
            "What is logged: a level, or levels by target such as info,postcall=debug.",
        ),
    ]);

    pub(super) fn at(place: &Place<'_>) -> Option<Self> {
        let table = place.table()?;
        let format = table
            .need("format", FORMAT)
            .and_then(|place| place.word(&[("json", Format::Json), ("pretty", Format::Pretty)]));
        let filter = table
            .need("filter", FILTER)
            .and_then(|place| place.check(place.text(FILTER)?.parse::<Filter>()));
        Some(Self { format: format?, filter: filter? })
    }
}

const FORMAT: &str = "json or pretty";

const FILTER: &str = "directives such as info or info,postcall=debug";
