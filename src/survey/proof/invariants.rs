use std::collections::BTreeSet;

use super::counterexample::{WHATEVER, counterexample, shortened};
use super::model::Model;
use super::outcome::{IssueSource, Outcome, Outcomes};
use super::search::{Assigned, End, SearchTree, Stopped, TOO_MANY};
use crate::domain::{Advice, Rating};
use crate::survey::definition::DefinitionError;
use crate::survey::rules;

/// What was seen on the way through all ends.
pub struct Walked {
    /// The rules that spoke somewhere.
    pub spoke: BTreeSet<usize>,
    pub ends: u64,
}

/// Checks that every end is lawful, and can be worked out. None where there is too much to walk
/// through, for which there is a fault.
pub fn check(
    outcomes: &Outcomes<'_>,
    model: &Model<'_>,
    faults: &mut Vec<DefinitionError>,
) -> Option<Walked> {
    let choosing = outcomes.choosing(model);
    // Whether something that is assigned chooses an issue. What is not assigned may be without an
    // answer, which chooses none.
    let has_chosen = |assigned: &Assigned| {
        let mut classes = choosing.iter().zip(assigned);
        classes.any(|(choosing, class)| class.is_some_and(|class| choosing[class]))
    };
    let mut spoke = BTreeSet::new();
    // Each kind of fault is reported once, with the first answers that show it.
    let mut reported = BTreeSet::new();
    let tree = SearchTree::new(model, outcomes.rating_question(), &has_chosen);
    let walked = tree.walk(&|end| outcomes.needs(end), &mut |end, assigned| {
        spoke.extend(end.condition());
        match end {
            End::Fails { condition, part } if reported.insert((Some(condition), true)) => {
                let why = model.fails(&outcomes.book.names, condition, part, assigned);
                let kept = model.looked_at(condition, part);
                let counterexample = counterexample(model, &shortened(model, assigned, end, kept));
                let message = format!("cannot be evaluated if {counterexample}: {}", why.message);
                let advice = Advice::from(message).at(why.part);
                faults
                    .push(DefinitionError::at(format!("{}.when", rules::path(condition)), advice));
            }
            End::Fails { .. } => {}
            End::Speaks(rule) => {
                let Outcome::Rated { rating, issues, .. } = outcomes.outcome(model, end, assigned)
                else {
                    return true;
                };
                let has_one = match issues {
                    IssueSource::Rule(issues) => !issues.is_empty(),
                    IssueSource::Chosen(otherwise) => !otherwise.is_empty() || has_chosen(assigned),
                    IssueSource::ChosenOnly | IssueSource::Dropped => false,
                };
                if !has_one && rating.requires_issue() && reported.insert((rule, false)) {
                    faults.push(without_an_issue(outcomes, model, end, assigned, (rating, issues)));
                }
            }
        }
        true
    });
    match walked {
        Ok(ends) => Some(Walked { spoke, ends }),
        Err(stopped) => {
            let path = match stopped {
                Stopped::TooMany(at) => format!("{}.when", rules::path(at)),
                Stopped::Enough => "rules".to_owned(),
            };
            faults.push(DefinitionError::at(path, TOO_MANY));
            None
        }
    }
}

fn without_an_issue(
    outcomes: &Outcomes<'_>,
    model: &Model<'_>,
    end: End,
    assigned: &Assigned,
    (rating, issues): (Rating, IssueSource<'_>),
) -> DefinitionError {
    let short = shortened(model, assigned, end, outcomes.needs(end).as_slice());
    let mut shown: Vec<_> = short
        .iter()
        .any(Option::is_some)
        .then(|| counterexample(model, &short))
        .into_iter()
        .collect();
    let (path, remedy) = match (end, issues) {
        (End::Speaks(Some(rule)), IssueSource::Rule(_)) => {
            (format!("{}.issues", rules::path(rule)), "name at least one, such as OTHERS")
        }
        _ => {
            // Nothing was chosen: what could have been is without an answer.
            let choices = outcomes.book.issues.choices.iter().map(|choice| choice.of);
            let open: BTreeSet<usize> = choices.filter(|of| short[*of].is_none()).collect();
            shown
                .extend(open.iter().map(|at| format!("{} = no answer", model.variables[*at].name)));
            ("issues.default".to_owned(), "name at least one, such as [OTHERS]")
        }
    };
    let counterexample = if shown.is_empty() { WHATEVER.to_owned() } else { shown.join(", ") };
    let message = format!(
        "{counterexample} → rating {rating} with no issue, and below 5 Plivo requires one: {remedy}"
    );
    DefinitionError::at(path, message)
}
