use super::model::{Model, Unjudged};
use super::sample::Sample;
use super::search::{Assigned, End};
use crate::survey::words::listed;

/// Where nothing that is answered makes a difference.
pub const WHATEVER: &str = "whatever is answered";

/// What is assigned in words, such as `score = 3, problem = no answer`.
pub fn counterexample(model: &Model<'_>, assigned: &Assigned) -> String {
    let values = model.variables.iter().enumerate().filter_map(|(at, variable)| {
        let class = assigned[at]?;
        let sample = &variable.samples[model.classes[at][class][0]];
        Some(format!("{} = {}", variable.name, sample.shown))
    });
    let values: Vec<_> = values.collect();
    if values.is_empty() { WHATEVER.to_owned() } else { values.join(", ") }
}

/// Leaves out answers that make no difference: the same condition applies. `kept` stays.
pub fn shortened(model: &Model<'_>, assigned: &Assigned, end: End, kept: &[usize]) -> Assigned {
    let mut short = assigned.clone();
    for at in (0..model.variables.len()).filter(|at| !kept.contains(at)) {
        let shorter: Assigned =
            (0..short.len()).map(|other| short[other].filter(|_| other != at)).collect();
        if end_of(model, &shorter) == Some(end) {
            short = shorter;
        }
    }
    short
}

/// What speaks where all that is not assigned is without an answer.
pub fn end_of(model: &Model<'_>, assigned: &Assigned) -> Option<End> {
    let whole: Assigned =
        (0..assigned.len()).map(|at| assigned[at].or_else(|| missing(model, at))).collect();
    for condition in 0..model.conditions.len() {
        match model.judge(condition, &whole) {
            Ok(true) => return Some(End::Speaks(Some(condition))),
            Ok(false) => {}
            Err(Unjudged::Fails(part)) => return Some(End::Fails { condition, part }),
            Err(Unjudged::Needs(_)) => return None,
        }
    }
    Some(End::Speaks(None))
}

/// The class of a question that was not answered, or of a field that is empty.
fn missing(model: &Model<'_>, at: usize) -> Option<usize> {
    let missing = model.variables.get(at)?.missing;
    model.classes[at].iter().position(|class| class.binary_search(&missing).is_ok())
}

/// All that is one class, in words, such as `1-3, 5, no answer`.
pub fn described(model: &Model<'_>, variable: usize, class: usize) -> String {
    in_words(&model.variables[variable].samples, &model.classes[variable][class])
}

/// Some of the samples of a variable, in words.
pub fn in_words(samples: &[Sample], members: &[usize]) -> String {
    const PIECES_MAX: usize = 6;
    let number = |sample: &Sample| sample.at.and_then(|_| sample.shown.parse::<f64>().ok());
    // That of a number with decimals, or 1.
    let step = match samples.first().and_then(number).zip(samples.get(1).and_then(number)) {
        Some((first, second)) if second > first && second - first < 1.0 => second - first,
        _ => 1.0,
    };
    let mut pieces: Vec<String> = Vec::new();
    let mut rest = members;
    while let Some(first) = rest.first() {
        let run = run_of_numbers(rest, step, |at| number(&samples[at]));
        let shown = |at: usize| samples[at].shown.clone();
        if run > 2 {
            let (from, to) = (shown(*first), shown(rest[run - 1]));
            let between = if from.starts_with('-') { " to " } else { "-" };
            pieces.push(format!("{from}{between}{to}"));
            rest = &rest[run..];
        } else {
            pieces.push(shown(*first));
            rest = &rest[1..];
        }
    }
    listed(&pieces, PIECES_MAX)
}

/// How many of the first are numbers that follow each other.
fn run_of_numbers(members: &[usize], step: f64, number: impl Fn(usize) -> Option<f64>) -> usize {
    let Some(first) = number(members[0]) else { return 1 };
    let follows = |(place, at): (usize, &usize)| {
        number(*at).is_some_and(|number| (number - first - place as f64 * step).abs() < step / 2.0)
    };
    members.iter().enumerate().take_while(|(place, at)| follows((*place, at))).count()
}
