use super::content::{Accepts, FIELDS_MAX};
use super::signature::SignatureError;

/// Why a webhook was not taken. No message repeats anything that the sender sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// There is a body and it does not say that it is what the source takes.
    #[error("a body must be {0}")]
    UnsupportedType(Accepts),
    #[error("the webhook cannot be read: {0}")]
    Parse(#[from] ParseError),
    #[error("invalid signature: {0}")]
    Signature(#[from] SignatureError),
}

/// Why nothing could be read, though it may have been sent by whom we trust.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
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
    #[error("invalid call id: expected 1 to 64 letters, digits or hyphens")]
    MalformedCall,
    #[error("the question's name is longer than 63 characters or has a dot")]
    MalformedQuestion,
    #[error("{0} is given twice")]
    Repeated(String),
    #[error("{0} is in the query or in a header, which the signature does not cover")]
    Uncovered(String),
    #[error(
        "{0} could begin or end elsewhere in what the sender has signed, and would say something else"
    )]
    Shifted(String),
    #[error("its id is longer than {} bytes", crate::domain::IdempotencyKey::LENGTH_MAX)]
    LongId,
}

impl Rejection {
    /// Every [`label`](Self::label).
    pub const LABELS: [&'static str; 20] = [
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
        "signature_id",
        "signature_mismatch",
        "signature_time",
        "signature_old",
        "signature_future",
    ];

    pub fn label(&self) -> &'static str {
        match self {
            Rejection::UnsupportedType(_) => "unsupported_type",
            Rejection::Parse(ParseError::BrokenForm) => "broken_form",
            Rejection::Parse(ParseError::TooManyFields) => "too_many_fields",
            Rejection::Parse(ParseError::BrokenJson) => "broken_json",
            Rejection::Parse(ParseError::BrokenText) => "broken_text",
            Rejection::Parse(ParseError::NoCall) => "no_call",
            Rejection::Parse(ParseError::MalformedCall) => "malformed_call",
            Rejection::Parse(ParseError::MalformedQuestion) => "malformed_question",
            Rejection::Parse(ParseError::Repeated(_)) => "repeated_field",
            Rejection::Parse(ParseError::Uncovered(_)) => "uncovered_field",
            Rejection::Parse(ParseError::Shifted(_)) => "shifted_field",
            Rejection::Parse(ParseError::LongId) => "long_id",
            Rejection::Signature(SignatureError::Missing) => "signature_missing",
            Rejection::Signature(SignatureError::Duplicate) => "signature_duplicate",
            Rejection::Signature(SignatureError::TooMany) => "signature_too_many",
            Rejection::Signature(SignatureError::Id) => "signature_id",
            Rejection::Signature(SignatureError::Mismatch) => "signature_mismatch",
            Rejection::Signature(SignatureError::Time(_)) => "signature_time",
            Rejection::Signature(SignatureError::Old) => "signature_old",
            Rejection::Signature(SignatureError::Future) => "signature_future",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::signature::TimeFormat;

    #[test]
    fn every_reason_has_a_label_of_its_own() {
        let unreadable = [
            ParseError::BrokenForm,
            ParseError::TooManyFields,
            ParseError::BrokenJson,
            ParseError::BrokenText,
            ParseError::NoCall,
            ParseError::MalformedCall,
            ParseError::MalformedQuestion,
            ParseError::Repeated("Digits".to_owned()),
            ParseError::Uncovered("call_uuid".to_owned()),
            ParseError::Shifted("question".to_owned()),
            ParseError::LongId,
        ];
        let rejections = [
            SignatureError::Missing,
            SignatureError::Duplicate,
            SignatureError::TooMany,
            SignatureError::Id,
            SignatureError::Mismatch,
            SignatureError::Time(TimeFormat::Unix),
            SignatureError::Old,
            SignatureError::Future,
        ];
        let labels: Vec<_> = [Rejection::UnsupportedType(Accepts::Form)]
            .into_iter()
            .chain(unreadable.map(Rejection::from))
            .chain(rejections.map(Rejection::from))
            .map(|refused| refused.label())
            .collect();
        assert_eq!(labels, Rejection::LABELS);
    }
}
