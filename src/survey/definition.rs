use std::time::Duration;

use super::prompt::Prompt;
use crate::domain::{Advice, Issue, Issues, Name};
use crate::submission::{ChangedAnswerPolicy, IgnoredReason};

/// A survey as an operator wrote it: parsed, not yet checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// What senders tell beside answers, such as the number that called; empty where they do not.
    pub fields: Vec<Name>,
    /// Fields that the metrics of ratings and issues are split by; none.
    pub labels: Vec<Name>,
    /// Fields whose values the tallies distinguish.
    pub insights: Vec<Name>,
    /// In the order in which they are asked; the first is meant where a sender names none.
    pub questions: Vec<QuestionDefinition>,
    /// May be missing where rules rate.
    pub rating: Option<RatingDefinition>,
    pub issues: IssuesDefinition,
    /// The first whose condition holds speaks; the rest are not looked at.
    pub rules: Vec<RuleDefinition>,
    pub notes: NotesDefinition,
    /// Which of multiple answers in the domain counts; the first.
    pub on_changed_answer: ChangedAnswerPolicy,
    pub on_no_rating: NoRatingPolicy,
    pub complete: CompleteDefinition,
    /// How long to wait after the last answer on a call; none.
    pub delay: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuestionDefinition {
    pub name: Name,
    pub domain: DomainDefinition,
    /// A survey is complete without it.
    pub optional: bool,
    /// The condition under which it is asked at all; always.
    pub ask_when: Option<String>,
    /// Answers that mean: do not ask me.
    pub opt_out: Vec<String>,
    /// What a caller hears when it is asked.
    pub prompt: Option<Prompt>,
}

/// Which answers a question knows. Each is written under the key that is its name here.
#[derive(Debug, Clone, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum DomainDefinition {
    /// Each a key or several (`7`, `*`, `10`) or a range of numbers (`1-5`); `multiple`: one answer
    /// may be several of them, one after the other.
    #[strum(serialize = "answers")]
    Keys { answers: Vec<String>, multiple: bool },
    /// From and to, with so many decimals.
    Number { from: i64, to: i64, decimals: u32 },
    /// However they are written: upper or lower case, blanks around, a full stop at the end.
    /// `multiple`: one answer may be several of them, on lines of their own or with commas between.
    Choices { choices: Vec<String>, multiple: bool },
    /// What means yes and what means no beside the words themselves.
    YesNo { yes: Vec<String>, no: Vec<String> },
    /// Anything, cut at so many characters.
    Text { length: usize },
}

#[derive(Debug, Clone, PartialEq)]
pub struct RatingDefinition {
    /// The question whose answer rates the call.
    pub question: Name,
    pub scale: ScaleDefinition,
    /// Whether ratings that go up and down again over the answers are a slip; they are.
    pub monotone: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub enum ScaleDefinition {
    /// What is worth a rating of 1 and what is worth 5; 1 and 5. Where the first is the greater,
    /// the scale is reversed.
    Linear { from: (i64, i64), round: Rounding },
    /// Each an answer, or a range of numbers, and its rating.
    Table(Vec<(String, f64)>),
    /// The answer that is worth a 5 and the one that is worth a 1.
    Thumbs { up: String, down: String },
}

/// To what a rating is rounded; halves go up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rounding {
    #[default]
    Hundredth,
    Half,
    Whole,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuesDefinition {
    /// The question that a choice means which names none.
    pub question: Option<Name>,
    /// All that are met are sent together.
    pub choices: Vec<ChoiceDefinition>,
    /// Issues sent below 5 if none was chosen; `OTHERS` by default. May be empty if every
    /// rating below 5 has an issue without it.
    pub default: Issues,
    pub at_max_rating: AtMaxRating,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChoiceDefinition {
    pub question: Option<Name>,
    pub met_by: MetBy,
    pub issue: Issue,
}

/// What an answer has to be, or to hold, for a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetBy {
    Answer(String),
    /// Any of these, each a word or several; whole words, in upper or lower case.
    Mentions(Vec<String>),
}

/// What becomes of a chosen issue at a rating of 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AtMaxRating {
    #[default]
    Send,
    Drop,
}

/// What is not given is as it would be without the rule.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RuleDefinition {
    /// An expression of `minijinja` over questions and fields.
    pub when: String,
    /// There is nothing to tell, and why. Nothing else can be given with it.
    pub ignore: Option<String>,
    pub rating: Option<f64>,
    pub issues: Option<Issues>,
    pub notes: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotesDefinition {
    /// In the language of `minijinja`; none. A question or a field is known by its name, with `_`
    /// for `-`; one that was not answered is empty.
    pub template: Option<String>,
    /// Where the notes are cut, in characters; 280.
    pub length: usize,
    /// Whether all but the last two digits of long numbers, such as those of telephones, are masked.
    pub masks_phone_numbers: bool,
}

/// What becomes of a call that has no rating, by why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NoRatingPolicy {
    pub no_answer: OnNoRating,
    pub invalid_answer: OnNoRating,
    pub no_score: OnNoRating,
    pub hang_up: OnNoRating,
    pub opt_out: OnNoRating,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnNoRating {
    #[default]
    Ignore,
    /// It becomes dead, for an operator to look at.
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompleteDefinition {
    /// How long to wait for the other answers of a call; 120 s.
    pub timeout: Duration,
    /// How long to wait for them after the caller hung up; 5 s.
    pub hangup_timeout: Duration,
    /// How long to wait from the first word on, whatever came since; 24 h.
    pub deadline: Duration,
    pub on_incomplete: Incomplete,
}

/// What becomes of feedback while questions are open when the waiting is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Incomplete {
    /// The answers there are, are delivered.
    #[default]
    Send,
    Ignore,
    Dead,
}

/// Something in a definition that is not right, and what would be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {advice}")]
pub struct DefinitionError {
    /// Where, relative to the survey: `issues.choices[2].answer`.
    pub path: String,
    pub advice: Advice,
}

impl Definition {
    /// A survey with the defaults of all that is not given.
    pub fn new(questions: Vec<QuestionDefinition>) -> Self {
        Self {
            fields: Vec::new(),
            labels: Vec::new(),
            insights: Vec::new(),
            questions,
            rating: None,
            issues: IssuesDefinition::default(),
            rules: Vec::new(),
            notes: NotesDefinition::default(),
            on_changed_answer: ChangedAnswerPolicy::KeepFirst,
            on_no_rating: NoRatingPolicy::default(),
            complete: CompleteDefinition::default(),
            delay: Duration::ZERO,
        }
    }
}

impl NoRatingPolicy {
    /// What becomes of a call, by why it has no rating.
    pub fn by_reason(&self) -> [(IgnoredReason, OnNoRating); 5] {
        [
            (IgnoredReason::NoAnswer, self.no_answer),
            (IgnoredReason::InvalidAnswer, self.invalid_answer),
            (IgnoredReason::NoScore, self.no_score),
            (IgnoredReason::HungUp, self.hang_up),
            (IgnoredReason::OptedOut, self.opt_out),
        ]
    }
}

impl QuestionDefinition {
    pub fn new(name: Name, domain: DomainDefinition) -> Self {
        let (optional, ask_when, opt_out, prompt) = (false, None, Vec::new(), None);
        Self { name, domain, optional, ask_when, opt_out, prompt }
    }
}

impl RatingDefinition {
    /// On a scale from 1 to 5.
    pub fn new(of: Name) -> Self {
        Self { question: of, scale: ScaleDefinition::default(), monotone: true }
    }
}

impl Default for ScaleDefinition {
    fn default() -> Self {
        Self::Linear { from: (1, 5), round: Rounding::default() }
    }
}

impl Default for IssuesDefinition {
    fn default() -> Self {
        Self {
            question: None,
            choices: Vec::new(),
            default: Issues::from([Issue::Others]),
            at_max_rating: AtMaxRating::default(),
        }
    }
}

impl ChoiceDefinition {
    /// An answer to the question that is meant where none is named.
    pub fn answer(answer: impl Into<String>, issue: Issue) -> Self {
        Self { question: None, met_by: MetBy::Answer(answer.into()), issue }
    }
}

impl Default for NotesDefinition {
    fn default() -> Self {
        Self { template: None, length: 280, masks_phone_numbers: true }
    }
}

impl Default for CompleteDefinition {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(120),
            hangup_timeout: Duration::from_secs(5),
            deadline: Duration::from_secs(24 * 3600),
            on_incomplete: Incomplete::default(),
        }
    }
}

impl DefinitionError {
    pub(super) fn at(path: impl Into<String>, advice: impl Into<Advice>) -> Self {
        Self { path: path.into(), advice: advice.into() }
    }
}
