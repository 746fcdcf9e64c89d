use serde::{Deserialize, Serialize};

use super::Name;

/// The name of a question as a webhook gave it; it may be one that the survey does not have.
pub type Question = String;

/// An answer of a caller, as the text that was produced; never a number. Written as that text, and
/// silence as null.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "Option<String>", into = "Option<String>")]
pub enum Answer {
    /// No answer is an answer: the caller was asked and said nothing.
    Silence,
    Given(String),
}

impl Answer {
    /// As it was given; empty for silence.
    pub fn text(&self) -> &str {
        match self {
            Answer::Silence => "",
            Answer::Given(text) => text,
        }
    }
}

/// Everything one webhook reports of one call; at least one thing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extraction {
    /// Different questions.
    pub answers: Vec<ExtractedAnswer>,
    /// What the sender says beside the answers, by the name that its source gives it.
    pub fields: Vec<(Name, String)>,
    /// The call is over: hardly anything more will be said.
    pub hung_up: bool,
    /// The caller does not want to be asked.
    pub opted_out: bool,
}

/// One answer of an [`Extraction`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractedAnswer {
    pub question: Question,
    pub answer: Answer,
    /// Where in the webhook it was found, such as `form:Digits`.
    pub reader: String,
}

impl From<Option<String>> for Answer {
    fn from(text: Option<String>) -> Self {
        text.map_or(Answer::Silence, Answer::Given)
    }
}

impl From<Answer> for Option<String> {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Silence => None,
            Answer::Given(text) => Some(text),
        }
    }
}
