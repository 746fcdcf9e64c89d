use minijinja::Value;

use super::model::Model;
use super::outcome::{Outcome, Outcomes};
use super::reach::find;
use super::tree::{Assigned, End};
use crate::survey::definition::Fault;
use crate::survey::names::Facts;
use crate::survey::notes::Notes;
use crate::survey::rules;

/// Most answers of one class that notes are tried with.
const MEMBERS_MAX: usize = 200;
/// Most trials of one survey. What is not tried is guarded when a call is mapped.
const TRIALS_MAX: usize = 4_000;

/// Writes every notes with each answer that they look at, where they are written at all, so that a
/// template which stumbles does so when the settings are loaded.
pub fn check_notes(outcomes: &Outcomes<'_>, model: &Model<'_>, faults: &mut Vec<Fault>) {
    let mut trials = TRIALS_MAX;
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
        let stumbled = Trial { outcomes, model, notes, rule }.run(&mut trials);
        if let Some(message) = stumbled {
            let path =
                rule.map_or("notes".to_owned(), |rule| format!("{}.notes", rules::path(rule)));
            faults.push(Fault::at(path, message));
        }
    }
}

struct Trial<'t, 'm> {
    outcomes: &'t Outcomes<'t>,
    model: &'t Model<'m>,
    notes: &'t Notes,
    /// Whose own notes they are.
    rule: Option<usize>,
}

impl Trial<'_, '_> {
    /// What the notes stumble over first.
    fn run(&self, trials: &mut usize) -> Option<String> {
        let looks_at = self.notes.template().looks_at();
        if looks_at.is_empty() {
            return self.write(&self.where_written(None)?, None);
        }
        looks_at.iter().find_map(|variable| {
            (0..self.model.classes[*variable].len()).find_map(|class| {
                let assigned = self.where_written(Some((*variable, class)))?;
                let members = &self.model.classes[*variable][class];
                members.iter().take(MEMBERS_MAX).find_map(|sample| {
                    *trials = trials.checked_sub(1)?;
                    self.write(&assigned, Some((*variable, *sample)))
                })
            })
        })
    }

    /// Some end at which they are written.
    fn where_written(&self, with: Option<(usize, usize)>) -> Option<Assigned> {
        let is_written = |end: End, assigned: &Assigned| {
            let outcome = self.outcomes.outcome(self.model, end, assigned);
            matches!(outcome, Outcome::Rated { .. })
                && self.outcomes.notes(end).is_some_and(|(_, by)| by == self.rule)
        };
        let restricted = with.map(|(variable, class)| (variable, vec![class]));
        let found = find(self.model, self.outcomes, restricted, &is_written);
        found.ok().flatten().map(|(_, assigned)| assigned)
    }

    /// Once with no answer to what makes no difference, once with the first.
    fn write(&self, assigned: &Assigned, with: Option<(usize, usize)>) -> Option<String> {
        let looks_at = self.notes.template().looks_at();
        [false, true].into_iter().find_map(|is_answered| {
            let samples = self.model.variables.iter().enumerate().map(|(at, variable)| {
                let own = with.filter(|(variable, _)| *variable == at).map(|(_, sample)| sample);
                let class = assigned[at].map(|class| self.model.classes[at][class][0]);
                let missing = if is_answered { 0 } else { variable.missing };
                &variable.samples[own.or(class).unwrap_or(missing)]
            });
            let samples: Vec<_> = samples.collect();
            let values = samples.iter().map(|sample| sample.text.clone()).collect();
            let facts = Facts::for_a_template(&self.outcomes.book.names, values);
            let stumbled = self.notes.write(Value::from(facts)).err()?;
            let told = looks_at
                .iter()
                .map(|at| format!("{} = {}", self.model.variables[*at].name, samples[*at].shown));
            let told: Vec<_> = told.collect();
            let place =
                if told.is_empty() { String::new() } else { format!(" where {}", told.join(", ")) };
            Some(format!("cannot be written{place}: {}", stumbled.details))
        })
    }
}
