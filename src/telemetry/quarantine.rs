use strum::{IntoStaticStr, VariantArray};

/// What happens to a webhook whose signature no known secret verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum QuarantineEvent {
    /// It came into the quarantine, in case a secret changes.
    Added,
    /// It is too large for the quarantine.
    TooLarge,
    /// It made room for a later one.
    Evicted,
    /// It was kept for as long as any is.
    Expired,
    /// A secret that changed verifies it: it is received.
    Accepted,
    /// A secret that changed verifies it, and it is rejected for another cause.
    Rejected,
    /// A secret that changed verifies it, and it stays: its source had another account or survey when it
    /// arrived.
    SourceChanged,
    /// An operator, or a change of the settings, removed it.
    Dropped,
    /// The call that it may be about was erased.
    Erased,
}

impl QuarantineEvent {
    pub const ALL: [QuarantineEvent; QuarantineEvent::VARIANTS.len()] =
        *QuarantineEvent::VARIANTS.first_chunk().expect("the array has their length");

    pub fn label(self) -> &'static str {
        self.into()
    }
}
