/// Why a webhook that was answered 200 may be lost all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DurabilityRisk {
    /// The database acknowledges a commit before it is on disk.
    AsynchronousCommit,
    /// A standby may take over that does not have the last commits.
    NoSynchronousStandby,
}

impl DurabilityRisk {
    pub const ALL: [Self; 2] = [Self::AsynchronousCommit, Self::NoSynchronousStandby];

    pub fn label(self) -> &'static str {
        match self {
            DurabilityRisk::AsynchronousCommit => "asynchronous_commit",
            DurabilityRisk::NoSynchronousStandby => "no_synchronous_standby",
        }
    }

    /// What an operator has to know, and to do.
    pub fn advice(self) -> &'static str {
        match self {
            DurabilityRisk::AsynchronousCommit => {
                "the database acknowledges what is not on disk yet, and webhooks that were answered 200 may be \
                 lost when it fails: set synchronous_commit and fsync to on"
            }
            DurabilityRisk::NoSynchronousStandby => {
                "the database waits for no standby, and the last webhooks that were answered 200 may be lost \
                 if a standby takes over: set synchronous_standby_names, and synchronous_commit to on"
            }
        }
    }
}
