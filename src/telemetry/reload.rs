/// What came of reading the settings again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadResult {
    /// The new ones are in force.
    Applied,
    /// They are at fault, or cannot change while the service runs: the old ones stay.
    Refused,
    /// They say what is in force already.
    Unchanged,
}

impl ReloadResult {
    pub const ALL: [ReloadResult; 3] =
        [ReloadResult::Applied, ReloadResult::Refused, ReloadResult::Unchanged];

    pub fn label(self) -> &'static str {
        match self {
            ReloadResult::Applied => "applied",
            ReloadResult::Refused => "refused",
            ReloadResult::Unchanged => "unchanged",
        }
    }
}
