use std::collections::BTreeSet;

use super::law::Walked;
use super::model::Model;
use super::outcome::{Outcome, Outcomes, Told};
use super::tree::{Assigned, End, Stopped, TOO_MANY, Tree, Visit};
use super::witness::{end_of, witness};
use crate::survey::definition::Fault;
use crate::survey::rules;

/// The first end that is sought.
struct Search<'s> {
    wants: &'s dyn Fn(End) -> Option<usize>,
    sought: &'s dyn Fn(End, &Assigned) -> bool,
    found: Option<(End, Assigned)>,
}

impl Visit for Search<'_> {
    fn wants(&self, end: End) -> Option<usize> {
        (self.wants)(end)
    }

    fn visit(&mut self, end: End, assigned: &Assigned) -> bool {
        if (self.sought)(end, assigned) {
            self.found = Some((end, assigned.clone()));
        }
        self.found.is_none()
    }
}

/// The first end that is sought, through some classes of a variable where they are given.
///
/// # Errors
/// There is more than can be walked through.
pub fn find(
    model: &Model<'_>,
    outcomes: &Outcomes<'_>,
    restricted: Option<(usize, Vec<usize>)>,
    sought: &dyn Fn(End, &Assigned) -> bool,
) -> Result<Option<(End, Assigned)>, Stopped> {
    let nothing_more = |_: &Assigned| false;
    let mut tree = Tree::new(model, outcomes.rating_question(), &nothing_more);
    if let Some((variable, classes)) = restricted {
        tree = tree.restricted_to(variable, classes);
    }
    search(tree, &|end| outcomes.wants(end), sought)
}

/// As [`find`], where these variables have these classes.
///
/// # Errors
/// There is more than can be walked through.
pub fn find_given(
    model: &Model<'_>,
    outcomes: &Outcomes<'_>,
    given: Vec<(usize, usize)>,
    sought: &dyn Fn(End, &Assigned) -> bool,
) -> Result<Option<(End, Assigned)>, Stopped> {
    let nothing_more = |_: &Assigned| false;
    let tree = Tree::new(model, outcomes.rating_question(), &nothing_more).given(given);
    search(tree, &|end| outcomes.wants(end), sought)
}

/// The first end of a walk that is sought.
///
/// # Errors
/// There is more than can be walked through.
pub fn search(
    tree: Tree<'_, '_>,
    wants: &dyn Fn(End) -> Option<usize>,
    sought: &dyn Fn(End, &Assigned) -> bool,
) -> Result<Option<(End, Assigned)>, Stopped> {
    let mut search = Search { wants, sought, found: None };
    match tree.walk(&mut search) {
        Err(Stopped::TooMany(at)) => Err(Stopped::TooMany(at)),
        _ => Ok(search.found),
    }
}

/// Where a condition speaks, whatever follows from it.
fn speaks(model: &Model<'_>, at: usize) -> Result<Option<Assigned>, Stopped> {
    let sought = |end: End, _: &Assigned| match end {
        End::Speaks(spoken) => spoken == Some(at),
        End::Stumbles { condition, .. } => condition == at,
    };
    let found = search(Tree::new(model, None, &|_| false), &|_| None, &sought)?;
    Ok(found.map(|(_, assigned)| assigned))
}

/// What there is to say of a condition in a list that speaks nowhere, or that nothing which was
/// tried makes it speak.
pub enum Silent {
    Never(String),
    NotAsTried,
}

/// Of conditions that spoke nowhere, in their order.
pub fn why_silent(
    model: &Model<'_>,
    silent: &[usize],
    path: impl Fn(usize) -> String,
) -> Vec<Result<Silent, Stopped>> {
    let first_open = (0..model.conditions.len()).find(|at| model.is_open(*at));
    let depends = |at: usize| first_open.is_some_and(|first| first <= at);
    let open: BTreeSet<usize> = silent.iter().copied().filter(|at| depends(*at)).collect();
    let (may_speak, walked) = may_speak(model, open);
    let why = silent.iter().map(|at| {
        if may_speak.contains(at) {
            return Ok(Silent::NotAsTried);
        }
        if depends(*at) {
            walked?;
        }
        never(model, *at, &path)
    });
    why.collect()
}

/// Most parts that may hold or not of one walk: it is as deep as there are, and the stack is not.
/// With more, nothing is said to be silent.
const FREE_MAX: usize = 400;

/// Those among some that speak where every part that looks at free text or fields may hold or not.
fn may_speak(model: &Model<'_>, sought: BTreeSet<usize>) -> (BTreeSet<usize>, Result<(), Stopped>) {
    let mut search = Spoken { sought, found: BTreeSet::new() };
    if search.sought.is_empty() {
        return (search.found, Ok(()));
    }
    let relaxed = model.relaxed();
    if relaxed.free() > FREE_MAX {
        return (search.sought, Ok(()));
    }
    let walked = match Tree::new(&relaxed, None, &|_| false).walk(&mut search) {
        Err(Stopped::TooMany(at)) => Err(Stopped::TooMany(at)),
        _ => Ok(()),
    };
    (search.found, walked)
}

struct Spoken {
    sought: BTreeSet<usize>,
    found: BTreeSet<usize>,
}

impl Visit for Spoken {
    fn visit(&mut self, end: End, _: &Assigned) -> bool {
        let (End::Speaks(Some(at)) | End::Stumbles { condition: at, .. }) = end else {
            return true;
        };
        if self.sought.remove(&at) {
            self.found.insert(at);
        }
        !self.sought.is_empty()
    }
}

/// # Errors
/// There is more than can be walked through.
fn never(model: &Model<'_>, at: usize, path: impl Fn(usize) -> String) -> Result<Silent, Stopped> {
    let alone = model.only(at);
    let holds_alone = match speaks(&alone, 0)? {
        None if model.is_open(at) => speaks(&alone.relaxed(), 0)?.map(|_| None),
        found => found.map(Some),
    };
    Ok(Silent::Never(match holds_alone {
        None => "never holds, whatever is answered: take it out, or mend its condition".to_owned(),
        Some(None) => "never speaks: an earlier one does wherever it holds".to_owned(),
        Some(Some(assigned)) => {
            // What is not assigned makes no difference to it, and is without an answer.
            let earlier = match end_of(model, &assigned) {
                Some(End::Speaks(Some(earlier))) => path(earlier),
                Some(End::Stumbles { condition, .. }) => path(condition),
                _ => "an earlier one".to_owned(),
            };
            format!(
                "never speaks: wherever it holds, an earlier one does, such as {earlier} where {}",
                witness(model, &assigned)
            )
        }
    }))
}

pub fn check_rules(
    outcomes: &Outcomes<'_>,
    model: &Model<'_>,
    walked: &Walked,
    guarded: &mut Vec<String>,
    faults: &mut Vec<Fault>,
) {
    let silent = (0..outcomes.book.rules.iter().len()).filter(|rule| !walked.spoke.contains(rule));
    let silent: Vec<usize> = silent.collect();
    for (rule, why) in silent.iter().zip(why_silent(model, &silent, rules::path)) {
        let path = rules::path(*rule);
        match why {
            Ok(Silent::Never(message)) => faults.push(Fault::at(path, message)),
            Ok(Silent::NotAsTried) => {
                guarded.push(format!("{path} speaks for no text or field that was tried"));
            }
            Err(_) => faults.push(Fault::at(path, TOO_MANY)),
        }
    }
}

pub fn check_choices(outcomes: &Outcomes<'_>, model: &Model<'_>, faults: &mut Vec<Fault>) {
    let tells_choices = |end: End, assigned: &Assigned| {
        let outcome = outcomes.outcome(model, end, assigned);
        matches!(outcome, Outcome::Rated { issues: Told::Chosen(_) | Told::ChosenOnly, .. })
    };
    for choice in outcomes.book.issues.choices() {
        let meets = |class: &Vec<usize>| class.iter().any(|at| outcomes.meets(choice, *at));
        let classes = &model.classes[choice.of];
        let classes: Vec<_> = (0..classes.len()).filter(|at| meets(&classes[*at])).collect();
        if classes.is_empty() {
            // More is mentioned in answer to one question than is tried.
            continue;
        }
        let message = match find(model, outcomes, Some((choice.of, classes)), &tells_choices) {
            Ok(Some(_)) => continue,
            Ok(None) => format!(
                "{} is never told: wherever this is answered there is no rating, a rule names the \
                 issues, or they are dropped at 5",
                choice.issue
            ),
            Err(_) => TOO_MANY.to_owned(),
        };
        faults.push(Fault::at(choice.path(), message));
    }
}

/// That every question is asked somewhere.
pub fn check_asked(outcomes: &Outcomes<'_>, rows_left: &mut usize, faults: &mut Vec<Fault>) {
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
        let tree = Tree::new(&model, None, &|_| false);
        let stumbles = |end: End, _: &Assigned| matches!(end, End::Stumbles { .. });
        let message = match (search(tree, &|_| None, &stumbles), speaks(&model, 0)) {
            (Ok(Some((End::Stumbles { part, .. }, assigned))), _) => {
                let why = model.stumbles(names, 0, part, &assigned);
                format!("cannot be worked out where {}: {why}", witness(&model, &assigned))
            }
            (Err(_), _) | (_, Err(_)) => TOO_MANY.to_owned(),
            (_, Ok(None)) if !model.is_open(0) => {
                format!("never holds, so that {} is never asked", question.name)
            }
            _ => continue,
        };
        faults.push(Fault::at(path, message));
    }
}
