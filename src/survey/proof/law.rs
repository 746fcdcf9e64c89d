use std::collections::BTreeSet;

use super::model::Model;
use super::outcome::{Outcome, Outcomes, Told};
use super::tree::{Assigned, End, Stopped, TOO_MANY, Tree, Visit};
use super::witness::{WHATEVER, shortened, witness};
use crate::survey::definition::Fault;
use crate::survey::rules;

/// What was seen on the way through all ends.
pub struct Walked {
    /// The rules that spoke somewhere.
    pub spoke: BTreeSet<usize>,
    pub ends: u64,
}

/// That every end is lawful, and can be worked out.
struct Law<'o, 'm> {
    outcomes: &'o Outcomes<'o>,
    model: &'o Model<'m>,
    spoke: BTreeSet<usize>,
    /// Each kind of fault is told once, with the first answers that show it.
    told: BTreeSet<(Option<usize>, bool)>,
    has_chosen: &'o dyn Fn(&Assigned) -> bool,
    faults: Vec<Fault>,
}

/// None where there is too much to walk through, for which there is a fault.
pub fn check(
    outcomes: &Outcomes<'_>,
    model: &Model<'_>,
    faults: &mut Vec<Fault>,
) -> Option<Walked> {
    let choosing = outcomes.choosing(model);
    let has_chosen = |assigned: &Assigned| has_chosen(&choosing, assigned);
    let mut law = Law {
        outcomes,
        model,
        spoke: BTreeSet::new(),
        told: BTreeSet::new(),
        has_chosen: &has_chosen,
        faults: Vec::new(),
    };
    let tree = Tree::new(model, outcomes.rating_question(), &has_chosen);
    let walked = tree.walk(&mut law);
    faults.append(&mut law.faults);
    match walked {
        Ok(ends) => Some(Walked { spoke: law.spoke, ends }),
        Err(stopped) => {
            let path = match stopped {
                Stopped::TooMany(at) => format!("{}.when", rules::path(at)),
                Stopped::Enough => "rules".to_owned(),
            };
            faults.push(Fault::at(path, TOO_MANY));
            None
        }
    }
}

/// Whether something that is assigned chooses an issue. What is not assigned may be without an
/// answer, which chooses none.
fn has_chosen(choosing: &[Vec<bool>], assigned: &Assigned) -> bool {
    choosing
        .iter()
        .zip(assigned)
        .any(|(choosing, class)| class.is_some_and(|class| choosing[class]))
}

impl Visit for Law<'_, '_> {
    fn wants(&self, end: End) -> Option<usize> {
        self.outcomes.wants(end)
    }

    fn visit(&mut self, end: End, assigned: &Assigned) -> bool {
        match end {
            End::Speaks(rule) => {
                self.spoke.extend(rule);
                self.check_issues(rule, end, assigned);
            }
            End::Stumbles { condition, part } => {
                self.spoke.insert(condition);
                if self.told.insert((Some(condition), true)) {
                    let names = &self.outcomes.book.names;
                    let why = self.model.stumbles(names, condition, part, assigned);
                    let short =
                        shortened(self.model, assigned, end, self.model.looked_at(condition, part));
                    let witness = witness(self.model, &short);
                    let message = format!("cannot be worked out where {witness}: {why}");
                    self.faults
                        .push(Fault::at(format!("{}.when", rules::path(condition)), message));
                }
            }
        }
        true
    }
}

impl Law<'_, '_> {
    fn check_issues(&mut self, rule: Option<usize>, end: End, assigned: &Assigned) {
        let outcome = self.outcomes.outcome(self.model, end, assigned);
        let Outcome::Rated { rating, issues, .. } = outcome else { return };
        let has_one = match issues {
            Told::Rule(issues) => !issues.is_empty(),
            Told::Chosen(otherwise) => !otherwise.is_empty() || (self.has_chosen)(assigned),
            Told::ChosenOnly | Told::Dropped => false,
        };
        if has_one || !rating.wants_an_issue() || !self.told.insert((rule, false)) {
            return;
        }
        let (path, mend) = match (rule, issues) {
            (Some(rule), Told::Rule(_)) => {
                (format!("{}.issues", rules::path(rule)), "name at least one, such as OTHERS")
            }
            _ => ("issues.otherwise".to_owned(), "name at least one, such as [OTHERS]"),
        };
        let rates = self.outcomes.wants(end);
        let short = shortened(self.model, assigned, end, rates.as_slice());
        let witness = self.witness(&short, issues);
        let message = format!(
            "{witness} → rating {rating} with no issue, and below 5 Plivo wants one: {mend}"
        );
        self.faults.push(Fault::at(path, message));
    }

    /// Where nothing was chosen, what could have been is without an answer.
    fn witness(&self, assigned: &Assigned, issues: Told<'_>) -> String {
        let choices = self.outcomes.book.issues.choices().iter();
        let open = choices.filter(|choice| assigned[choice.of].is_none()).map(|choice| choice.of);
        let open: BTreeSet<usize> = match issues {
            Told::Rule(_) => BTreeSet::new(),
            _ => open.collect(),
        };
        let open = open.iter().map(|at| format!("{} = no answer", self.model.variables[*at].name));
        let assigned = assigned.iter().any(Option::is_some).then(|| witness(self.model, assigned));
        let told: Vec<_> = assigned.into_iter().chain(open).collect();
        if told.is_empty() { WHATEVER.to_owned() } else { told.join(", ") }
    }
}
