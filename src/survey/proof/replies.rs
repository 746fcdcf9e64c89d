use std::collections::BTreeSet;

use super::counterexample::{WHATEVER, counterexample};
use super::model::{ALL_ROWS_MAX, Model};
use super::reachability::{check_silent, search};
use super::sample::{Variable, combinations, variables};
use super::search::{Assigned, End, SearchTree, TOO_MANY};
use crate::domain::Advice;
use crate::survey::compiled::CompiledSurvey;
use crate::survey::condition::Condition;
use crate::survey::definition::DefinitionError;
use crate::survey::names::EvalContext;
use crate::survey::reply::{Reply, path, written};

/// Maximum documents tried of one reply.
const DOCUMENTS_MAX: usize = 2_000;
const SOME_URL: &str = "https://surveys.example.com/hooks/survey";

/// Checks that each reply is used for some answers, and is valid XML for all of them. The last one
/// need not be used for any: it is for rejected webhooks, too.
pub fn check(
    book: &CompiledSurvey,
    replies: &[Reply],
    check: &dyn Fn(&str) -> Result<(), String>,
    faults: &mut Vec<DefinitionError>,
) {
    let conditions: Vec<Option<&Condition>> = replies.iter().map(|it| it.when.as_ref()).collect();
    let all: Vec<_> = conditions.iter().copied().flatten().collect();
    let variables = variables(&book.questions, &book.names, &book.issues, &all);
    let when = |at| format!("{}.when", path(at));
    let mut rows_left = ALL_ROWS_MAX;
    let model =
        Model::build(&book.names, &variables, &conditions, |_, _| 0, when, &mut rows_left, faults);
    let Some(model) = model else { return };
    let mut used = BTreeSet::new();
    // The first of each condition.
    let mut failed: Vec<(usize, usize, Assigned)> = Vec::new();
    let walked = SearchTree::new(&model, None, &|_| false).walk(&|_| None, &mut |end, assigned| {
        used.extend(end.condition());
        if let End::Fails { condition, part } = end
            && failed.iter().all(|(known, ..)| *known != condition)
        {
            failed.push((condition, part, assigned.clone()));
        }
        true
    });
    if walked.is_err() {
        faults.push(DefinitionError::at("replies", TOO_MANY));
        return;
    }
    for (condition, part, assigned) in failed {
        let why = model.fails(&book.names, condition, part, &assigned);
        let counterexample = counterexample(&model, &assigned);
        let message = format!("cannot be evaluated if {counterexample}: {}", why.message);
        faults.push(DefinitionError::at(when(condition), Advice::from(message).at(why.part)));
    }
    let silent: Vec<usize> = (0..replies.len() - 1).filter(|at| !used.contains(at)).collect();
    check_silent(&model, &silent, path, faults);
    for (at, reply) in replies.iter().enumerate() {
        let is_last = at + 1 == replies.len();
        let trial = TemplateCheck { book, model: &model, variables: &variables, at, reply, check };
        if let Some(message) = trial.run(is_last) {
            faults.push(DefinitionError::at(format!("{}.xml", path(at)), message));
        }
    }
}

struct TemplateCheck<'t, 'm> {
    book: &'t CompiledSurvey,
    model: &'t Model<'m>,
    variables: &'t [Variable],
    at: usize,
    reply: &'t Reply,
    check: &'t dyn Fn(&str) -> Result<(), String>,
}

impl TemplateCheck<'_, '_> {
    /// What is wrong with the first document that is not taken.
    fn run(&self, is_last: bool) -> Option<Advice> {
        let looks_at: Vec<usize> = self.reply.xml.looks_at().iter().copied().collect();
        let count = combinations(looks_at.iter().map(|at| &self.variables[*at]));
        if count > DOCUMENTS_MAX as u128 {
            let names = looks_at.iter().map(|at| self.variables[*at].name.as_str());
            let message = format!(
                "it shows {} together, which make {count} documents, more than {DOCUMENTS_MAX} to \
                 try: show less of them at once",
                names.collect::<Vec<_>>().join(", ")
            );
            return Some(message.into());
        }
        let of_nothing = is_last.then(|| self.write(&[])).flatten();
        of_nothing.or_else(|| self.class_by_class(&looks_at))
    }

    fn class_by_class(&self, looks_at: &[usize]) -> Option<Advice> {
        self.model.each_class(looks_at, |classes| {
            let is_heard = |end: End, _: &Assigned| end == End::Speaks(Some(self.at));
            let tree = SearchTree::new(self.model, None, &|_| false).given(classes.to_vec());
            match search(tree, &|_| None, &is_heard) {
                Ok(Some(_)) => self.model.each_member(classes, usize::MAX, |it| self.write(it)),
                Ok(None) => None,
                Err(_) => Some(TOO_MANY.into()),
            }
        })
    }

    /// With these samples, and no answer to all else.
    fn write(&self, samples: &[(usize, usize)]) -> Option<Advice> {
        let mut values = vec![None; self.variables.len()];
        for (variable, sample) in samples {
            values[*variable] = self.variables[*variable].samples[*sample].text.clone();
        }
        let facts = EvalContext::for_a_template(&self.book.names, values);
        let (wrong, part) = match written(&self.reply.xml, facts, SOME_URL) {
            Ok(document) => ((self.check)(&document).err()?, None),
            Err(failed) => (failed.details, failed.part),
        };
        let samples_text = samples.iter().map(|(variable, sample)| {
            let variable = &self.variables[*variable];
            format!("{} = {}", variable.name, variable.samples[*sample].shown)
        });
        let samples_text = samples_text.collect::<Vec<_>>().join(", ");
        let place = match (samples_text.as_str(), self.reply.xml.looks_at().is_empty()) {
            ("", true) => WHATEVER.to_owned(),
            ("", false) => "if nothing is answered".to_owned(),
            (samples_text, _) => format!("if {samples_text}"),
        };
        Some(Advice::from(format!("{place}: {wrong}")).at(part))
    }
}
