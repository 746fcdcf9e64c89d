use strum::{IntoStaticStr, VariantArray};

/// Operator actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Action {
    Replay,
    ReplaySamePayload,
    Discard,
    Erase,
    Reveal,
    Pause,
    Resume,
    QuarantineRetry,
    QuarantineDrop,
}

impl Action {
    pub const ALL: [Action; Action::VARIANTS.len()] =
        *Action::VARIANTS.first_chunk().expect("the array has their length");

    pub fn label(self) -> &'static str {
        self.into()
    }
}
