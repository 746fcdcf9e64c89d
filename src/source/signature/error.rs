use super::time_format::TimeFormat;

/// Why a signature is refused. Which of several secrets was tried, and how near it came, is
/// no one's business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("a header that the source signs with is missing")]
    Missing,
    #[error("a header that the source signs with is given twice")]
    Duplicate,
    #[error("there are more signatures in one request than any sender makes")]
    TooMany,
    /// It could end elsewhere in what is signed. Before the nonce of V3 that separator is a dot.
    #[error(
        "its id or nonce is empty, not printable, longer than {} bytes, or contains the separator next to \
         it in what is signed",
        crate::domain::IdempotencyKey::LENGTH_MAX
    )]
    Id,
    #[error("it does not match")]
    Mismatch,
    /// It matches, and the settings say how its sender writes a time.
    #[error("its signed time is not {}", .0.described())]
    Time(TimeFormat),
    /// It matches, but may be a captured one.
    #[error("it was made longer ago than the source allows")]
    Old,
    #[error("it was made later than now: this clock or the sender's is wrong")]
    Future,
}

impl SignatureError {
    /// Whether the signature itself matches.
    pub(super) fn is_of_time(self) -> bool {
        matches!(self, SignatureError::Time(_) | SignatureError::Old | SignatureError::Future)
    }
}
