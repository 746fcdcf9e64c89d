use std::collections::BTreeSet;

use super::model::Model;
use super::sample::Variable;
use super::search::{Assigned, End};
use crate::domain::{Issues, Rating};
use crate::survey::compiled::CompiledSurvey;
use crate::survey::issues::Choice;
use crate::survey::notes::Notes;
use crate::survey::rules::Then;

/// What the compiled survey makes of what is assigned.
pub struct Outcomes<'a> {
    pub book: &'a CompiledSurvey,
    pub variables: &'a [Variable],
}

/// What an end of a walk comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome<'a> {
    /// By a rule, and why.
    Ignored(&'a str),
    /// Nothing rates the call.
    NoRating,
    Rated {
        /// That of the first answer of its class.
        rating: Rating,
        /// Over all answers that are one here.
        from: Rating,
        to: Rating,
        issues: IssueSource<'a>,
    },
    /// It cannot be evaluated.
    Fails,
}

/// Which issues go with a rating.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum IssueSource<'a> {
    /// Those of the rule.
    Rule(&'a Issues),
    /// Those that are chosen, otherwise these.
    Chosen(&'a Issues),
    /// None but those that are chosen.
    ChosenOnly,
    /// Dropped at a rating of 5.
    Dropped,
}

impl<'a> Outcomes<'a> {
    /// What tells the samples of a variable apart beside conditions: whether it rates below 5, and,
    /// where it could be the only issue, whether it chooses one.
    pub fn label(&self, variable: usize, sample: usize) -> u64 {
        let rates = match self.rating(variable, sample) {
            None => 0,
            Some(rating) if rating.requires_issue() => 1,
            Some(_) => 2,
        };
        let choices_matter = self.book.issues.default.is_empty();
        rates << 1 | u64::from(choices_matter && self.chooses(variable, sample))
    }

    /// What tells the samples of a variable apart in the decision table: the rating that follows.
    /// If the question has many ratings, only whether it is below 5.
    pub fn shown_labels(&self) -> impl Fn(usize, usize) -> u64 {
        const RATINGS_MAX: usize = 20;
        let question = self.rating_question();
        let samples = question.map_or(0, |at| self.variables[at].samples.len());
        let rating = |sample| question.and_then(|at| self.rating(at, sample));
        let ratings: BTreeSet<u64> =
            (0..samples).filter_map(rating).map(|rating| rating.value().to_bits()).collect();
        let are_few = ratings.len() <= RATINGS_MAX;
        move |variable, sample| match self.rating(variable, sample) {
            None => 0,
            Some(rating) if are_few => rating.value().to_bits(),
            Some(rating) => 1 + u64::from(rating.requires_issue()),
        }
    }

    /// The question that rates, where one does.
    pub fn rating_question(&self) -> Option<usize> {
        self.book.scale.as_ref().map(|scale| scale.of)
    }

    pub fn rating(&self, variable: usize, sample: usize) -> Option<Rating> {
        let scale = self.book.scale.as_ref().filter(|scale| scale.of == variable)?;
        Some(scale.rate(self.variables[variable].samples[sample].at?))
    }

    fn chooses(&self, variable: usize, sample: usize) -> bool {
        let mut choices = self.book.issues.choices.iter();
        choices.any(|choice| choice.of == variable && self.meets(choice, sample))
    }

    /// Whether a sample of the choice's question meets it.
    pub fn meets(&self, choice: &Choice, sample: usize) -> bool {
        let sample = &self.variables[choice.of].samples[sample];
        choice.is_met(sample.at, || &sample.words)
    }

    /// Of each question and class: whether it chooses an issue if no other would be sent.
    pub fn choosing(&self, model: &Model<'_>) -> Vec<Vec<bool>> {
        let matters = self.book.issues.default.is_empty();
        let questions = (0..self.book.names.questions()).filter(|_| matters);
        questions
            .map(|question| {
                let classes = model.classes[question].iter();
                classes.map(|class| self.chooses(question, class[0])).collect()
            })
            .collect()
    }

    /// The variable that has to be assigned before an end comes to something.
    pub fn needs(&self, end: End) -> Option<usize> {
        match end {
            End::Speaks(rule) if self.is_rated_by_scale(rule) => self.rating_question(),
            _ => None,
        }
    }

    fn is_rated_by_scale(&self, rule: Option<usize>) -> bool {
        match rule.map(|rule| &self.book.rules[rule].then) {
            None => true,
            Some(Then::Ignore(_)) => false,
            Some(Then::Tell { rating, .. }) => rating.is_none(),
        }
    }

    pub fn outcome(&self, model: &Model<'_>, end: End, assigned: &Assigned) -> Outcome<'a> {
        let End::Speaks(rule) = end else { return Outcome::Fails };
        let then = rule.map(|rule| &self.book.rules[rule].then);
        let (own_rating, own_issues) = match then {
            None => (None, None),
            Some(Then::Ignore(why)) => return Outcome::Ignored(why),
            Some(Then::Tell { rating, issues, .. }) => (*rating, issues.as_ref()),
        };
        let rated = match own_rating {
            Some(rating) => Some((rating, rating, rating)),
            None => self.rated_by_scale(model, assigned),
        };
        let Some((rating, from, to)) = rated else { return Outcome::NoRating };
        let otherwise = &self.book.issues.default;
        let issues = match own_issues {
            Some(issues) => IssueSource::Rule(issues),
            None if rating.requires_issue() => IssueSource::Chosen(otherwise),
            None if self.book.issues.sends_choices_at(rating) => IssueSource::ChosenOnly,
            None => IssueSource::Dropped,
        };
        Outcome::Rated { rating, from, to, issues }
    }

    fn rated_by_scale(
        &self,
        model: &Model<'_>,
        assigned: &Assigned,
    ) -> Option<(Rating, Rating, Rating)> {
        let question = self.rating_question()?;
        let class = &model.classes[question][assigned[question]?];
        let ratings = class.iter().map(|sample| self.rating(question, *sample));
        let ratings: Vec<Rating> = ratings.collect::<Option<_>>()?;
        let least = ratings.iter().copied().reduce(|a, b| if b < a { b } else { a })?;
        let most = ratings.iter().copied().reduce(|a, b| if b > a { b } else { a })?;
        Some((*ratings.first()?, least, most))
    }

    /// The notes that go with an end, and the rule whose own they are.
    pub fn notes(&self, end: End) -> Option<(&'a Notes, Option<usize>)> {
        let End::Speaks(rule) = end else { return None };
        match rule.map(|rule| (rule, &self.book.rules[rule].then)) {
            Some((_, Then::Ignore(_))) => None,
            Some((rule, Then::Tell { notes: Some(notes), .. })) => {
                notes.as_ref().map(|notes| (notes, Some(rule)))
            }
            _ => self.book.notes.as_ref().map(|notes| (notes, None)),
        }
    }
}
