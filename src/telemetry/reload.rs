use strum::{IntoStaticStr, VariantArray};

/// What came of reading the settings again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum ReloadResult {
    /// The new ones are in force.
    Applied,
    /// They are at fault, or cannot change while the service runs: the old ones stay.
    Rejected,
    /// They say what is in force already.
    Unchanged,
}

impl ReloadResult {
    pub const ALL: [ReloadResult; ReloadResult::VARIANTS.len()] =
        *ReloadResult::VARIANTS.first_chunk().expect("the array has their length");

    pub fn label(self) -> &'static str {
        self.into()
    }
}
