use strum::{IntoStaticStr, VariantArray};

/// Whether a submission that fell due was accepted within five minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum DeliveryResult {
    OnTime,
    /// It still waits, was accepted later, or is dead.
    Missed,
}

impl DeliveryResult {
    pub const ALL: [DeliveryResult; DeliveryResult::VARIANTS.len()] =
        *DeliveryResult::VARIANTS.first_chunk().expect("the array has their length");

    pub fn label(self) -> &'static str {
        self.into()
    }
}
