use super::content::{Accepts, FIELDS_MAX};
use super::signature::Refusal;

/// Why a hook was not taken. No message repeats anything that the sender sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is a body and it does not say that it is what the source takes.
    #[error("a body must be {0}")]
    UnsupportedType(Accepts),
    #[error("the hook cannot be read: {0}")]
    Unreadable(#[from] Unreadable),
    #[error("the signature is refused: {0}")]
    Signature(#[from] Refusal),
}

/// Why nothing could be read, though it may have been sent by whom we trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error(
        "a percent sign is not followed by two hex digits, the text is not UTF-8, or it is JSON"
    )]
    BrokenForm,
    #[error("there are more than {FIELDS_MAX} fields")]
    TooManyFields,
    #[error("it is no JSON, is nested too deep, or has a key twice in one object")]
    BrokenJson,
    #[error("a text that belongs in it is no Base64 or no UTF-8")]
    BrokenText,
    #[error("it names no call")]
    NoCall,
    #[error("it names a call otherwise than with 1 to 64 letters, digits or hyphens")]
    MalformedCall,
    #[error("the question's name is longer than 63 characters or has a dot")]
    MalformedQuestion,
    #[error("{0} is given twice")]
    Repeated(String),
    #[error("{0} stands in the query or in a header, which the signature does not cover")]
    Uncovered(String),
    #[error(
        "{0} could begin or end elsewhere in what the sender has signed, and would say something else"
    )]
    Shifted(String),
    #[error("its id is longer than {} bytes", crate::domain::IdempotencyKey::LENGTH_MAX)]
    LongId,
}

impl Refused {
    /// Every [`label`](Self::label).
    pub const LABELS: [&'static str; 19] = [
        "unsupported_type",
        "broken_form",
        "too_many_fields",
        "broken_json",
        "broken_text",
        "no_call",
        "malformed_call",
        "malformed_question",
        "repeated_field",
        "uncovered_field",
        "shifted_field",
        "long_id",
        "signature_missing",
        "signature_duplicate",
        "signature_too_many",
        "signature_nonce",
        "signature_mismatch",
        "signature_old",
        "signature_future",
    ];

    pub fn label(&self) -> &'static str {
        match self {
            Refused::UnsupportedType(_) => "unsupported_type",
            Refused::Unreadable(Unreadable::BrokenForm) => "broken_form",
            Refused::Unreadable(Unreadable::TooManyFields) => "too_many_fields",
            Refused::Unreadable(Unreadable::BrokenJson) => "broken_json",
            Refused::Unreadable(Unreadable::BrokenText) => "broken_text",
            Refused::Unreadable(Unreadable::NoCall) => "no_call",
            Refused::Unreadable(Unreadable::MalformedCall) => "malformed_call",
            Refused::Unreadable(Unreadable::MalformedQuestion) => "malformed_question",
            Refused::Unreadable(Unreadable::Repeated(_)) => "repeated_field",
            Refused::Unreadable(Unreadable::Uncovered(_)) => "uncovered_field",
            Refused::Unreadable(Unreadable::Shifted(_)) => "shifted_field",
            Refused::Unreadable(Unreadable::LongId) => "long_id",
            Refused::Signature(Refusal::Missing) => "signature_missing",
            Refused::Signature(Refusal::Duplicate) => "signature_duplicate",
            Refused::Signature(Refusal::TooMany) => "signature_too_many",
            Refused::Signature(Refusal::Nonce) => "signature_nonce",
            Refused::Signature(Refusal::Mismatch) => "signature_mismatch",
            Refused::Signature(Refusal::Old) => "signature_old",
            Refused::Signature(Refusal::Future) => "signature_future",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_label_of_its_own() {
        let unreadable = [
            Unreadable::BrokenForm,
            Unreadable::TooManyFields,
            Unreadable::BrokenJson,
            Unreadable::BrokenText,
            Unreadable::NoCall,
            Unreadable::MalformedCall,
            Unreadable::MalformedQuestion,
            Unreadable::Repeated("Digits".to_owned()),
            Unreadable::Uncovered("call_uuid".to_owned()),
            Unreadable::Shifted("question".to_owned()),
            Unreadable::LongId,
        ];
        let refusals = [
            Refusal::Missing,
            Refusal::Duplicate,
            Refusal::TooMany,
            Refusal::Nonce,
            Refusal::Mismatch,
            Refusal::Old,
            Refusal::Future,
        ];
        let labels: Vec<_> = [Refused::UnsupportedType(Accepts::Form)]
            .into_iter()
            .chain(unreadable.map(Refused::from))
            .chain(refusals.map(Refused::from))
            .map(|refused| refused.label())
            .collect();
        assert_eq!(labels, Refused::LABELS);
    }
}
