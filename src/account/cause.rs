/// Why the submissions of an account wait. The earlier in this order, the less it gives way to
/// another cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PauseCause {
    /// A person wants it so; only a person ends it.
    Operator,
    /// The destination does not take the account's credentials or address.
    Misconfigured,
    /// Most of what is offered would die of one cause, and a person should look before it does.
    Refusals,
    /// No connection comes about.
    Unreachable,
}

/// The text names no cause of a hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no cause of a hold")]
pub struct UnknownPauseCause;

impl PauseCause {
    pub const ALL: [PauseCause; 4] = [
        PauseCause::Operator,
        PauseCause::Misconfigured,
        PauseCause::Refusals,
        PauseCause::Unreachable,
    ];

    pub fn label(self) -> &'static str {
        match self {
            PauseCause::Operator => "operator",
            PauseCause::Misconfigured => "misconfigured",
            PauseCause::Refusals => "refusals",
            PauseCause::Unreachable => "unreachable",
        }
    }

    /// Whether a submission may find out that the hold can end.
    pub fn is_probed(self) -> bool {
        self != PauseCause::Operator
    }
}

impl std::str::FromStr for PauseCause {
    type Err = UnknownPauseCause;

    fn from_str(text: &str) -> Result<Self, UnknownPauseCause> {
        PauseCause::ALL.into_iter().find(|cause| cause.label() == text).ok_or(UnknownPauseCause)
    }
}
