use std::fmt;
use std::time::Duration;

use crate::domain::{Issue, Issues, Name};

/// A survey as an operator wrote it: well-shaped, not yet checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// In the order in which they are asked; the first is meant where a sender names none.
    pub questions: Vec<QuestionDefinition>,
    pub rating: RatingDefinition,
    pub issues: IssuesDefinition,
    pub notes: Option<NotesDefinition>,
    /// How long to wait for the other answers of a call; 120 s.
    pub after: Duration,
    /// How long to wait after the last word on a call, whatever was said; none.
    pub delay: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionDefinition {
    pub name: Name,
    /// Each a key or several (`7`, `*`, `10`) or a range of numbers (`1-5`).
    pub answers: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RatingDefinition {
    /// The question whose answer rates the call.
    pub of: Name,
    /// What is worth a rating of 1 and what is worth 5; 1 and 5. Where the first is the greater,
    /// the scale is reversed.
    pub from: (i64, i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuesDefinition {
    /// The question whose answer names an issue.
    pub of: Option<Name>,
    pub choices: Vec<(String, Issue)>,
    /// What is told below 5 where no issue was chosen; `OTHERS`.
    pub otherwise: Issues,
    pub at_five: AtFive,
}

/// What becomes of a chosen issue at a rating of 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AtFive {
    #[default]
    Send,
    Drop,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotesDefinition {
    /// In the language of `minijinja`. A question is known by its name, with `_` for `-`; one that
    /// was not answered is empty.
    pub template: String,
    /// Where the notes are cut, in characters; 280.
    pub length: usize,
}

/// Something in a definition that is not right, and what would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, relative to the survey: `issues.choices[2].answer`.
    pub path: String,
    pub message: String,
}

impl Definition {
    /// A survey with the defaults of all that is not given.
    pub fn new(questions: Vec<QuestionDefinition>, rating_of: Name) -> Self {
        Self {
            questions,
            rating: RatingDefinition { of: rating_of, from: (1, 5) },
            issues: IssuesDefinition::default(),
            notes: None,
            after: Duration::from_secs(120),
            delay: Duration::ZERO,
        }
    }
}

impl Default for IssuesDefinition {
    fn default() -> Self {
        Self {
            of: None,
            choices: Vec::new(),
            otherwise: Issues::from([Issue::Others]),
            at_five: AtFive::default(),
        }
    }
}

impl NotesDefinition {
    pub fn new(template: impl Into<String>) -> Self {
        Self { template: template.into(), length: 280 }
    }
}

impl Fault {
    pub(super) fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.message)
    }
}
