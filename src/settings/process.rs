use std::time::Duration;

use super::section::{duration, parsed, section, word, words};
use crate::telemetry::logs::{Filter, Format};

section! {
    /// How the service stops.
    #[derive(Debug, Clone)]
    pub struct Shutdown {
        /// How long webhooks are still taken while the readiness probe says no.
        drain_delay: Duration = duration(Duration::ZERO),
        /// How long what is in flight may take after that.
        deadline: Duration = duration(Duration::ZERO),
    }
}

section! {
    /// Settings of the log.
    #[derive(Debug, Clone)]
    pub struct Logs {
        /// JSON lines for a collector, or text; auto is text on a terminal only.
        format: Format = word(),
        /// What is logged: a level, or levels by target such as info,postcall=debug.
        filter: Filter = parsed("directives such as info or info,postcall=debug"),
    }
}

words! {
    Format { "auto" => Auto, "json" => Json, "pretty" => Pretty }
}
