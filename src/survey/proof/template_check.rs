use std::cell::Cell;

use minijinja::Value;

use super::model::Model;
use super::outcome::{Outcome, Outcomes};
use super::reachability::find_given;
use super::sample::combinations;
use super::search::{Assigned, End};
use crate::domain::Advice;
use crate::survey::definition::DefinitionError;
use crate::survey::names::EvalContext;
use crate::survey::notes::Notes;
use crate::survey::rules;

/// Most answers of one class that notes are tried with, where not all of them can be together.
const MEMBERS_MAX: usize = 200;
/// Most combinations of all that some notes show; where there are more, each answer is tried by
/// itself and then with each other.
const TOGETHER_MAX: u128 = 11_000;
/// Most trials of one survey. What is not tried is guarded when a call is mapped.
const TRIALS_MAX: usize = 12_000;

/// How far notes were tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotesChecked {
    /// There are none.
    Nothing,
    /// With everything that they can ever show.
    Whole,
    Partly,
}

/// Writes every notes with the answers that they look at, where they are written at all, so that a
/// template which fails does so when the settings are loaded.
pub fn check_notes(
    outcomes: &Outcomes<'_>,
    model: &Model<'_>,
    faults: &mut Vec<DefinitionError>,
) -> NotesChecked {
    let budget = Budget { trials: Cell::new(TRIALS_MAX), is_whole: Cell::new(true) };
    let mut tried = NotesChecked::Nothing;
    let own = (0..outcomes.book.rules.iter().len()).map(Some);
    for rule in own.chain([None]) {
        let end = End::Speaks(rule);
        let notes = outcomes.notes(end).filter(|(_, by)| *by == rule);
        let notes = notes.map(|(notes, _)| notes).or(outcomes
            .book
            .notes
            .as_ref()
            .filter(|_| rule.is_none()));
        let Some(notes) = notes else { continue };
        let failed = TemplateCheck { outcomes, model, notes, rule, budget: &budget }.run();
        if let Some(message) = failed {
            let path =
                rule.map_or("notes".to_owned(), |rule| format!("{}.notes", rules::path(rule)));
            faults.push(DefinitionError::at(path, message));
        }
        tried = if budget.is_whole.get() { NotesChecked::Whole } else { NotesChecked::Partly };
    }
    tried
}

/// What is left to be tried with, and whether it was enough so far.
struct Budget {
    trials: Cell<usize>,
    is_whole: Cell<bool>,
}

impl Budget {
    fn spend(&self) -> Option<()> {
        let left = self.trials.get().checked_sub(1);
        match left {
            Some(left) => self.trials.set(left),
            None => self.is_whole.set(false),
        }
        left.map(|_| ())
    }
}

struct TemplateCheck<'t, 'm> {
    outcomes: &'t Outcomes<'t>,
    model: &'t Model<'m>,
    notes: &'t Notes,
    /// Whose own notes they are.
    rule: Option<usize>,
    budget: &'t Budget,
}

impl TemplateCheck<'_, '_> {
    /// What the notes stumble over first.
    fn run(&self) -> Option<Advice> {
        let looks_at: Vec<usize> = self.notes.template().looks_at().iter().copied().collect();
        let variables = &self.model.variables;
        let count = combinations(looks_at.iter().map(|at| &variables[*at]));
        let is_together = count <= TOGETHER_MAX;
        if !is_together || looks_at.iter().any(|at| variables[*at].is_open) {
            self.budget.is_whole.set(false);
        }
        if is_together {
            return self.class_by_class(&looks_at, usize::MAX);
        }
        let pairs = looks_at.iter().enumerate().flat_map(|(place, one)| {
            looks_at[place + 1..].iter().map(move |other| vec![*one, *other])
        });
        let mut each = looks_at.iter().map(|at| vec![*at]).chain(pairs);
        each.find_map(|group| self.class_by_class(&group, MEMBERS_MAX))
    }

    fn class_by_class(&self, group: &[usize], members_max: usize) -> Option<Advice> {
        self.model.each_class(group, |classes| {
            let assigned = self.where_written(classes)?;
            self.model.each_member(classes, members_max, |samples| {
                self.budget.spend()?;
                self.write(&assigned, samples)
            })
        })
    }

    /// Some end at which they are written.
    fn where_written(&self, classes: &[(usize, usize)]) -> Option<Assigned> {
        let is_written = |end: End, assigned: &Assigned| {
            let outcome = self.outcomes.outcome(self.model, end, assigned);
            matches!(outcome, Outcome::Rated { .. })
                && self.outcomes.notes(end).is_some_and(|(_, by)| by == self.rule)
        };
        self.budget.spend()?;
        let found = find_given(self.model, self.outcomes, classes.to_vec(), &is_written);
        if found.is_err() {
            self.budget.is_whole.set(false);
        }
        found.ok().flatten().map(|(_, assigned)| assigned)
    }

    /// Once with no answer to what makes no difference, once with the first.
    fn write(&self, assigned: &Assigned, given: &[(usize, usize)]) -> Option<Advice> {
        let looks_at = self.notes.template().looks_at();
        let is_all_given = given.len() == looks_at.len();
        [false, true].into_iter().skip(usize::from(is_all_given)).find_map(|is_answered| {
            let samples = self.model.variables.iter().enumerate().map(|(at, variable)| {
                let own = given.iter().find(|(variable, _)| *variable == at).map(|(_, it)| *it);
                let class = assigned[at].map(|class| self.model.classes[at][class][0]);
                let missing = if is_answered { 0 } else { variable.missing };
                &variable.samples[own.or(class).unwrap_or(missing)]
            });
            let samples: Vec<_> = samples.collect();
            let values = samples.iter().map(|sample| sample.text.clone()).collect();
            let facts = EvalContext::for_a_template(&self.outcomes.book.names, values);
            let failed = self.notes.write(Value::from(facts)).err()?;
            let values = looks_at
                .iter()
                .map(|at| format!("{} = {}", self.model.variables[*at].name, samples[*at].shown));
            let values: Vec<_> = values.collect();
            let place = if values.is_empty() {
                String::new()
            } else {
                format!(" if {}", values.join(", "))
            };
            let message = format!("cannot be written{place}: {}", failed.details);
            Some(Advice::from(message).at(failed.part))
        })
    }
}
