use crate::source::{Rejection, SignatureError};

/// Why a webhook is in the quarantine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// It is rejected, for a reason as [`Rejection::label`] has it.
    Rejected(&'static str),
    /// A secret verifies it, and its source had another account or survey when it arrived: another scale
    /// would rate it.
    SourceChanged,
    /// A secret verifies it, and the store could not take it yet.
    NotStored,
}

impl WaitReason {
    /// The reason of a webhook until it is verified again.
    pub fn mismatch() -> Self {
        (&Rejection::Signature(SignatureError::Mismatch)).into()
    }

    /// Whether only a change of the settings or of a secret can end it.
    pub fn waits_for_a_change(self) -> bool {
        self != Self::NotStored
    }

    pub fn label(self) -> &'static str {
        match self {
            Self::Rejected(reason) => reason,
            Self::SourceChanged => "source_changed",
            Self::NotStored => "not_stored",
        }
    }
}

impl From<&Rejection> for WaitReason {
    fn from(rejection: &Rejection) -> Self {
        Self::Rejected(rejection.label())
    }
}
