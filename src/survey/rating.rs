use std::collections::BTreeMap;

use crate::domain::{Name, Rating};

use super::definition::{Fault, RatingDefinition};
use super::question::Questions;

/// How the answers to one question rate a call: worked out for each, once, so that no answer can
/// turn out unlawful later.
#[derive(Debug)]
pub struct Scale {
    of: Name,
    /// Of every answer that the question knows.
    ratings: BTreeMap<String, Rating>,
}

/// No end of a scale lies further from zero: far beyond any survey, and exact in a float.
const END_MAX: i64 = 1_000_000;

impl Scale {
    pub fn compile(
        definition: &RatingDefinition,
        questions: &Questions,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let RatingDefinition { of, from: (worst, best) } = definition;
        let scale_is_lawful = check_ends(*worst, *best, faults);
        let question = questions.named(of, "rating.of", faults)?;
        if !scale_is_lawful || question.domain.is_unreadable() {
            return None;
        }

        let mut ratings = BTreeMap::new();
        let (mut not_numbers, mut outside) = (Vec::new(), Vec::new());
        for answer in question.domain.answers() {
            match answer.parse::<i64>() {
                Err(_) => not_numbers.push(answer),
                Ok(number) => match rating(number, *worst, *best) {
                    None => outside.push(answer),
                    Some(rating) => {
                        ratings.insert(answer.to_owned(), rating);
                    }
                },
            }
        }
        if !not_numbers.is_empty() {
            let message = format!(
                "{of} may be answered {}, which is no number: rate by a question whose answers all \
                 are",
                listed(&not_numbers)
            );
            faults.push(Fault::at("rating.of", message));
        }
        if !outside.is_empty() {
            let message = format!(
                "{of} may be answered {}, outside {} to {}: widen the scale, or take it from the \
                 answers",
                listed(&outside),
                worst.min(best),
                worst.max(best)
            );
            faults.push(Fault::at("rating.scale.from", message));
        }
        Some(Self { of: of.clone(), ratings })
    }

    /// The question that rates.
    pub fn of(&self) -> &Name {
        &self.of
    }

    /// `answer` is one that the question knows.
    pub fn rate(&self, answer: &str) -> Rating {
        self.ratings[answer]
    }
}

fn check_ends(worst: i64, best: i64, faults: &mut Vec<Fault>) -> bool {
    let message = if worst == best {
        format!("the ends are both {worst}: say what is worth a 1, then what is worth a 5: [1, 5]")
    } else if [worst, best].iter().any(|end| !(-END_MAX..=END_MAX).contains(end)) {
        format!("an end lies beyond {END_MAX}: write the answers that are keyed, such as [0, 10]")
    } else {
        return true;
    };
    faults.push(Fault::at("rating.scale.from", message));
    false
}

/// A straight line from `worst`, which is worth 1, to `best`, which is worth 5, rounded to two
/// decimals. None outside.
fn rating(answer: i64, worst: i64, best: i64) -> Option<Rating> {
    if !(worst.min(best)..=worst.max(best)).contains(&answer) {
        return None;
    }
    let share = (answer - worst) as f64 / (best - worst) as f64;
    let hundredths = (100.0 + 400.0 * share).round();
    Some(Rating::new(hundredths / 100.0).expect("from 1 to 5 within the ends"))
}

/// The first few: a range of a thousand may be wrong as a whole.
fn listed(answers: &[&str]) -> String {
    const SHOWN: usize = 5;
    match answers.len().checked_sub(SHOWN) {
        None | Some(0) => answers.join(", "),
        Some(more) => format!("{} and {more} more", answers[..SHOWN].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::definition::QuestionDefinition;

    fn compile(answers: &[&str], from: (i64, i64)) -> Result<Scale, Vec<String>> {
        let of: Name = "score".parse().unwrap();
        let answers = answers.iter().map(|&answer| answer.to_owned()).collect();
        let mut faults = Vec::new();
        let questions =
            Questions::compile(&[QuestionDefinition { name: of.clone(), answers }], &mut faults);
        let scale = Scale::compile(&RatingDefinition { of, from }, &questions, &mut faults);
        match scale {
            Some(scale) if faults.is_empty() => Ok(scale),
            _ => Err(faults.iter().map(Fault::to_string).collect()),
        }
    }

    #[test]
    fn every_answer_has_its_place_on_the_line() {
        for (answers, from, expected) in [
            ("1-5", (1, 5), &[1.0, 2.0, 3.0, 4.0, 5.0][..]),
            ("1-5", (5, 1), &[5.0, 4.0, 3.0, 2.0, 1.0]),
            ("1-5", (0, 5), &[1.8, 2.6, 3.4, 4.2, 5.0]),
            ("0-10", (0, 10), &[1.0, 1.4, 1.8, 2.2, 2.6, 3.0, 3.4, 3.8, 4.2, 4.6, 5.0]),
            ("1-7", (1, 7), &[1.0, 1.67, 2.33, 3.0, 3.67, 4.33, 5.0]),
            ("1-2", (1, 2), &[1.0, 5.0]),
            ("0-1", (1, 0), &[5.0, 1.0]),
        ] {
            let scale = compile(&[answers], from).unwrap();
            let pieces = [answers.to_owned()];
            let domain = crate::survey::question::Domain::parse(&pieces).unwrap();
            let rated: Vec<_> = domain.answers().map(|a| scale.rate(a).value()).collect();
            assert_eq!(rated, expected, "{answers} on {from:?}");
        }
    }

    #[test]
    fn an_answer_without_a_place_on_the_line_is_named() {
        assert_eq!(
            compile(&["0-100", "*", "#"], (1, 5)).unwrap_err(),
            [
                "rating.of: score may be answered *, #, which is no number: rate by a question \
                 whose answers all are",
                "rating.scale.from: score may be answered 0, 6, 7, 8, 9 and 91 more, outside 1 to \
                 5: widen the scale, or take it from the answers",
            ]
        );
    }

    #[test]
    fn a_scale_has_two_ends_of_some_size() {
        for (from, why) in [((3, 3), "the ends are both 3"), ((0, i64::MAX), "an end lies beyond")]
        {
            let faults = compile(&["1-5"], from).unwrap_err();
            assert!(faults[0].contains(why), "{faults:?}");
            assert_eq!(faults.len(), 1);
        }
    }
}
