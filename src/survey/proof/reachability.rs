use std::collections::BTreeSet;

use super::counterexample::{counterexample, end_of};
use super::invariants::Walked;
use super::model::Model;
use super::outcome::{IssueSource, Outcome, Outcomes};
use super::search::{Assigned, End, SearchTree, Stopped, TOO_MANY};
use crate::domain::Advice;
use crate::survey::definition::DefinitionError;
use crate::survey::rules;

/// The first end that is sought, where these variables have these classes.
///
/// # Errors
/// There is more than can be walked through.
pub fn find_given(
    model: &Model<'_>,
    outcomes: &Outcomes<'_>,
    given: Vec<(usize, usize)>,
    sought: &dyn Fn(End, &Assigned) -> bool,
) -> Result<Option<(End, Assigned)>, Stopped> {
    let tree = SearchTree::new(model, outcomes.rating_question(), &|_| false).given(given);
    search(tree, &|end| outcomes.needs(end), sought)
}

/// The first end of a walk that is sought.
///
/// # Errors
/// There is more than can be walked through.
pub fn search(
    tree: SearchTree<'_, '_>,
    needs: &dyn Fn(End) -> Option<usize>,
    sought: &dyn Fn(End, &Assigned) -> bool,
) -> Result<Option<(End, Assigned)>, Stopped> {
    let mut found = None;
    let walked = tree.walk(needs, &mut |end, assigned| {
        found = sought(end, assigned).then(|| (end, assigned.clone()));
        found.is_none()
    });
    match walked {
        Err(stopped @ Stopped::TooMany(_)) => Err(stopped),
        _ => Ok(found),
    }
}

/// Where a condition speaks, whatever follows from it.
fn speaks(model: &Model<'_>, at: usize) -> Result<Option<Assigned>, Stopped> {
    let sought = |end: End, _: &Assigned| end.condition() == Some(at);
    let found = search(SearchTree::new(model, None, &|_| false), &|_| None, &sought)?;
    Ok(found.map(|(_, assigned)| assigned))
}

/// A fault for each of these conditions that speaks nowhere; returns those that nothing which was
/// tried makes speak, though something else may.
pub fn check_silent(
    model: &Model<'_>,
    silent: &[usize],
    path: impl Fn(usize) -> String,
    faults: &mut Vec<DefinitionError>,
) -> Vec<usize> {
    let first_open = (0..model.conditions.len()).find(|at| model.is_open(*at));
    let depends = |at: usize| first_open.is_some_and(|first| first <= at);
    let open: BTreeSet<usize> = silent.iter().copied().filter(|at| depends(*at)).collect();
    let (may_speak, walked) = may_speak(model, open);
    for at in silent.iter().copied().filter(|at| !may_speak.contains(at)) {
        let why = match walked {
            Err(stopped) if depends(at) => Err(stopped),
            _ => never(model, at, &path),
        };
        faults.push(DefinitionError::at(path(at), why.unwrap_or_else(|_| TOO_MANY.to_owned())));
    }
    silent.iter().copied().filter(|at| may_speak.contains(at)).collect()
}

/// Most parts that may hold or not of one walk: it is as deep as there are, and the stack is not.
/// With more, nothing is said to be silent.
const FREE_MAX: usize = 400;

/// Those among some that speak where every part that looks at free text or fields may hold or not.
fn may_speak(
    model: &Model<'_>,
    mut sought: BTreeSet<usize>,
) -> (BTreeSet<usize>, Result<(), Stopped>) {
    let mut found = BTreeSet::new();
    if sought.is_empty() {
        return (found, Ok(()));
    }
    let relaxed = model.relaxed();
    if relaxed.free > FREE_MAX {
        return (sought, Ok(()));
    }
    let walked = SearchTree::new(&relaxed, None, &|_| false).walk(&|_| None, &mut |end, _| {
        found.extend(end.condition().and_then(|at| sought.take(&at)));
        end.condition().is_none() || !sought.is_empty()
    });
    match walked {
        Err(stopped @ Stopped::TooMany(_)) => (found, Err(stopped)),
        _ => (found, Ok(())),
    }
}

/// Why a condition never speaks.
///
/// # Errors
/// There is more than can be walked through.
fn never(model: &Model<'_>, at: usize, path: impl Fn(usize) -> String) -> Result<String, Stopped> {
    let alone = model.only(at);
    let holds_alone = match speaks(&alone, 0)? {
        None if model.is_open(at) => speaks(&alone.relaxed(), 0)?.map(|_| None),
        found => found.map(Some),
    };
    Ok(match holds_alone {
        None => "never holds, whatever is answered: remove it, or correct its condition".to_owned(),
        Some(None) => "never applies: an earlier one does wherever it holds".to_owned(),
        Some(Some(assigned)) => {
            // What is not assigned makes no difference to it, and is without an answer.
            let earlier = end_of(model, &assigned).and_then(End::condition);
            let earlier = earlier.map_or("an earlier one".to_owned(), path);
            format!(
                "never applies: wherever it holds, an earlier one does, such as {earlier} if {}",
                counterexample(model, &assigned)
            )
        }
    })
}

/// Returns the rules that nothing which was tried makes speak, though something else may.
pub fn check_rules(
    outcomes: &Outcomes<'_>,
    model: &Model<'_>,
    walked: &Walked,
    faults: &mut Vec<DefinitionError>,
) -> Vec<usize> {
    let silent = (0..outcomes.book.rules.iter().len()).filter(|rule| !walked.spoke.contains(rule));
    let silent: Vec<usize> = silent.collect();
    check_silent(model, &silent, rules::path, faults)
}

pub fn check_choices(
    outcomes: &Outcomes<'_>,
    model: &Model<'_>,
    faults: &mut Vec<DefinitionError>,
) {
    let sends_choices = |end: End, assigned: &Assigned| {
        let outcome = outcomes.outcome(model, end, assigned);
        matches!(
            outcome,
            Outcome::Rated { issues: IssueSource::Chosen(_) | IssueSource::ChosenOnly, .. }
        )
    };
    for choice in &outcomes.book.issues.choices {
        let meets = |class: &Vec<usize>| class.iter().any(|at| outcomes.meets(choice, *at));
        let classes = &model.classes[choice.of];
        let classes: Vec<_> = (0..classes.len()).filter(|at| meets(&classes[*at])).collect();
        if classes.is_empty() {
            // More is mentioned in answer to one question than is tried.
            continue;
        }
        let tree = SearchTree::new(model, outcomes.rating_question(), &|_| false);
        let tree = tree.restricted_to(choice.of, classes);
        let message = match search(tree, &|end| outcomes.needs(end), &sends_choices) {
            Ok(Some(_)) => continue,
            Ok(None) => format!(
                "{} is never sent: wherever this is answered there is no rating, a rule names the \
                 issues, or they are dropped at 5",
                choice.issue
            ),
            Err(_) => TOO_MANY.to_owned(),
        };
        faults.push(DefinitionError::at(choice.path(), message));
    }
}

/// That every question is asked somewhere.
pub fn check_asked(
    outcomes: &Outcomes<'_>,
    rows_left: &mut usize,
    faults: &mut Vec<DefinitionError>,
) {
    for question in outcomes.book.questions.iter() {
        let Some(condition) = &question.ask_when else { continue };
        let path = format!("{}.ask_when", question.path());
        let names = &outcomes.book.names;
        let conditions = [Some(condition)];
        let variables = outcomes.variables;
        let path_of = |_| path.clone();
        let model =
            Model::build(names, variables, &conditions, |_, _| 0, path_of, rows_left, faults);
        let Some(model) = model else { continue };
        let tree = SearchTree::new(&model, None, &|_| false);
        let fails = |end: End, _: &Assigned| matches!(end, End::Fails { .. });
        let message = match (search(tree, &|_| None, &fails), speaks(&model, 0)) {
            (Ok(Some((End::Fails { part, .. }, assigned))), _) => {
                let why = model.fails(names, 0, part, &assigned);
                let counterexample = counterexample(&model, &assigned);
                let message = format!("cannot be evaluated if {counterexample}: {}", why.message);
                Advice::from(message).at(why.part)
            }
            (Err(_), _) | (_, Err(_)) => TOO_MANY.into(),
            (_, Ok(None)) if !model.is_open(0) => {
                format!("never holds, so that {} is never asked", question.name).into()
            }
            _ => continue,
        };
        faults.push(DefinitionError::at(path, message));
    }
}
