use super::model::Model;
use super::tree::Assigned;

/// Where nothing that is answered makes a difference.
pub const WHATEVER: &str = "whatever is answered";

/// What is assigned in words, such as `score = 3, problem = no answer`.
pub fn witness(model: &Model<'_>, assigned: &Assigned) -> String {
    let told = model.variables.iter().enumerate().filter_map(|(at, variable)| {
        let class = assigned[at]?;
        let sample = &variable.samples[model.classes[at][class][0]];
        Some(format!("{} = {}", variable.name, sample.shown))
    });
    let told: Vec<_> = told.collect();
    if told.is_empty() { WHATEVER.to_owned() } else { told.join(", ") }
}

/// All that is one class, in words, such as `1-3, 5, no answer`.
pub fn described(model: &Model<'_>, variable: usize, class: usize) -> String {
    const PIECES_MAX: usize = 6;
    let samples = &model.variables[variable].samples;
    let members = &model.classes[variable][class];
    let mut pieces: Vec<String> = Vec::new();
    let mut rest = &members[..];
    while let Some(first) = rest.first() {
        let run = run_of_numbers(rest, |at| samples[at].shown.parse().ok());
        let shown = |at: usize| samples[at].shown.clone();
        if run > 2 {
            pieces.push(format!("{}-{}", shown(*first), shown(rest[run - 1])));
            rest = &rest[run..];
        } else {
            pieces.push(shown(*first));
            rest = &rest[1..];
        }
    }
    match pieces.len().checked_sub(PIECES_MAX) {
        None | Some(0) => pieces.join(", "),
        Some(more) => format!("{} and {more} more", pieces[..PIECES_MAX].join(", ")),
    }
}

/// How many of the first are whole numbers that follow each other.
fn run_of_numbers(members: &[usize], number: impl Fn(usize) -> Option<i64>) -> usize {
    let Some(first) = number(members[0]) else { return 1 };
    let follows = |(place, at): (usize, &usize)| number(*at) == Some(first + place as i64);
    members.iter().enumerate().take_while(|(place, at)| follows((*place, at))).count()
}
