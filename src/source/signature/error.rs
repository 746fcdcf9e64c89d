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
    /// A dot precedes the nonce in what is signed: with another in it, the nonce could begin
    /// within the last field.
    #[error("its nonce has a dot or more than {} bytes", crate::domain::IdempotencyKey::LENGTH_MAX)]
    Nonce,
    #[error("it does not match")]
    Mismatch,
    /// It matches, but may be a captured one.
    #[error("it was made longer ago than the source allows")]
    Old,
    #[error("it was made later than now: this clock or the sender's is wrong")]
    Future,
}
