use serde::{Deserialize, Serialize};

/// Why deliveries of an account are paused. An earlier cause is not replaced by a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// An operator paused it, and only an operator resumes it.
    Operator,
    /// The destination does not take the account's credentials or address.
    AccountRejected,
    /// Most submissions would die of one cause, and an operator should look before they do.
    Rejections,
    /// No connection can be made.
    Unreachable,
}

impl PauseCause {
    pub const ALL: [PauseCause; 4] = [
        PauseCause::Operator,
        PauseCause::AccountRejected,
        PauseCause::Rejections,
        PauseCause::Unreachable,
    ];

    pub fn label(self) -> &'static str {
        match self {
            PauseCause::Operator => "operator",
            PauseCause::AccountRejected => "account_rejected",
            PauseCause::Rejections => "rejections",
            PauseCause::Unreachable => "unreachable",
        }
    }
}
