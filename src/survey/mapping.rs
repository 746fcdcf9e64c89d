use super::trace::Trace;
use crate::domain::Feedback;
use crate::submission::{DeadReason, IgnoredReason};

/// What the answers about one call come to, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    pub mapping: Mapping,
    pub trace: Trace,
}

/// What the answers about one call come to.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapping {
    Feedback(Feedback),
    /// There is nothing to tell.
    Ignore {
        reason: IgnoredReason,
        /// In a rule's own words.
        detail: Option<String>,
    },
    /// A person has to look at it; why, in words that may be logged.
    Dead {
        reason: DeadReason,
        detail: String,
    },
}

impl Mapping {
    /// The survey has no place for it.
    pub(super) fn unmapped(detail: impl Into<String>) -> Self {
        Mapping::Dead { reason: DeadReason::Unmapped, detail: detail.into() }
    }
}
