use std::fmt;

use serde::Serialize;

use super::counterexample::in_words;
use super::outcome::Outcomes;
use crate::domain::{Issue, Rating};
use crate::survey::issues::Choice;
use crate::survey::words::listed;

/// The answers that rate best and worst.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScaleEnds {
    pub question: String,
    pub best: ScaleEnd,
    pub worst: ScaleEnd,
    /// Whether the best of them is the lesser number.
    pub reversed: bool,
}

/// One end of a scale.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScaleEnd {
    /// In words, such as `9, 10`.
    pub answers: String,
    pub rating: Rating,
}

/// What chooses an issue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Chooses {
    pub question: String,
    /// In words, such as `1-3`; empty if words choose it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub answers: String,
    /// The words of which one has to be said.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    pub issue: &'static str,
}

/// Most words of one choice that are shown in a line.
const WORDS_SHOWN: usize = 6;

impl ScaleEnds {
    pub fn of(outcomes: &Outcomes<'_>) -> Option<Self> {
        let question = outcomes.rating_question()?;
        let variable = &outcomes.variables[question];
        let ratings = (0..variable.samples.len())
            .filter_map(|sample| Some((sample, outcomes.rating(question, sample)?)))
            .collect::<Vec<_>>();
        let pick = |better: fn(f64, f64) -> f64| {
            let values = ratings.iter().map(|(_, rating)| rating.value());
            let end = values.reduce(better)?;
            let members = ratings.iter().filter(|(_, rating)| rating.value() == end);
            let members: Vec<usize> = members.map(|(sample, _)| *sample).collect();
            Some((members, Rating::new(end).ok()?))
        };
        let ((best, best_rating), (worst, worst_rating)) = (pick(f64::max)?, pick(f64::min)?);
        let number = |sample: &usize| variable.samples[*sample].shown.parse::<f64>().ok();
        let ends = best.first().and_then(number).zip(worst.first().and_then(number));
        let end = |members: &[usize], rating| {
            let answers = in_words(&variable.samples, members);
            ScaleEnd { answers, rating }
        };
        Some(Self {
            question: variable.name.clone(),
            best: end(&best, best_rating),
            worst: end(&worst, worst_rating),
            reversed: ends.is_some_and(|(best, worst)| best < worst),
        })
    }
}

impl Chooses {
    /// Those of all choices, in their order.
    pub fn all(outcomes: &Outcomes<'_>) -> Vec<Self> {
        let choices = outcomes.book.issues.choices.iter();
        choices.map(|choice| Self::of(choice, outcomes)).collect()
    }

    fn of(choice: &Choice, outcomes: &Outcomes<'_>) -> Self {
        let variable = &outcomes.variables[choice.of];
        let is_several = outcomes.book.questions.at(choice.of).domain.is_several();
        let answers = match choice.answers() {
            [] => String::new(),
            // The set that holds this answer alone comes before all others that hold it.
            [only, ..] if is_several => {
                format!("{}, alone or with others", variable.samples[*only].shown)
            }
            answers => in_words(&variable.samples, answers),
        };
        let words = choice.phrases().map(str::to_owned).collect();
        let issue = Issue::name(choice.issue);
        Self { question: variable.name.clone(), answers, words, issue }
    }
}

impl fmt::Display for ScaleEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { question, best, worst, reversed } = self;
        let on_this_scale = if *reversed { " on this scale" } else { "" };
        write!(
            f,
            "{question} = {} is best{on_this_scale} (rating {}), {} is worst (rating {})",
            best.answers, best.rating, worst.answers, worst.rating
        )
    }
}

impl fmt::Display for Chooses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { question, answers, words, issue } = self;
        if words.is_empty() {
            return write!(f, "{question} = {answers} → {issue}");
        }
        let words: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        write!(f, "{question} mentions {} → {issue}", listed(&words, WORDS_SHOWN))
    }
}
