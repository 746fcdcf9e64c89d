use super::Name;

/// The name of a question as a hook gave it; it may be one that the survey does not have.
pub type Question = String;

/// What a caller answered, as the text that was produced; never a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// No answer is an answer: the caller was asked and said nothing.
    Silence,
    Given(String),
}

/// All that one hook reports of one call; at least one thing.
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

/// One answer of a [`Extraction`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractedAnswer {
    pub question: Question,
    pub answer: Answer,
    /// Where in the hook it was found, such as `form:Digits`.
    pub reader: String,
}
