//! What an examination of a store finds.

/// Most findings of one kind that are given one by one.
pub(super) const FINDINGS_MAX: usize = 20;

/// Result of an examination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Examination {
    /// How many submissions could be read.
    pub submissions: u64,
    /// Empty if the store is sound.
    pub findings: Vec<Finding>,
}

/// One thing that is wrong with a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub kind: FindingKind,
    /// In words, without anything that a caller said.
    pub words: String,
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingKind {
    /// The file: pages, indexes, rows that cannot be read.
    File,
    /// The account, survey or call of a submission, or its id.
    IdMismatch,
    /// A submission that cannot be read, or that no transition leads to.
    Submission,
    /// Webhooks without a submission.
    Orphan,
    /// State counts that a recount does not confirm.
    Counts,
    /// What is kept of an account.
    Account,
}

impl FindingKind {
    pub fn label(self) -> &'static str {
        match self {
            FindingKind::File => "file",
            FindingKind::IdMismatch => "id_mismatch",
            FindingKind::Submission => "submission",
            FindingKind::Orphan => "orphan",
            FindingKind::Counts => "counts",
            FindingKind::Account => "account",
        }
    }
}
