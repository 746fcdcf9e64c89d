use super::definition::{DefinitionError, RatingDefinition, Rounding, ScaleDefinition};
use super::question::{Question, Questions};
use super::words::listed;
use crate::domain::Rating;

/// How the answers to one question rate a call: worked out for each, once, so that no answer can
/// turn out invalid later.
#[derive(Debug)]
pub struct Scale {
    /// The index of the question.
    pub of: usize,
    /// Of every answer that the question knows, in their order.
    ratings: Vec<Rating>,
    /// What is worth a 1 and what is worth a 5, of a straight line.
    ends: Option<(i64, i64)>,
    /// In the definition; as if the default were written there.
    pub path: &'static str,
}

/// Largest absolute value of an end of a scale: far beyond any survey, and exact in a float.
const END_MAX: i64 = 1_000_000;
/// Most answers that a fault names: a range of a thousand may be wrong as a whole.
const SHOWN: usize = 5;
/// Most rows of a table.
const ROWS_MAX: usize = 1000;

impl Scale {
    pub fn compile(
        definition: &RatingDefinition,
        questions: &Questions,
        faults: &mut Vec<DefinitionError>,
    ) -> Option<Self> {
        let of = questions.named(&definition.question, "rating.question", faults);
        let faults_before = faults.len();
        if let ScaleDefinition::Linear { from: (worst, best), .. } = definition.scale {
            check_ends(worst, best, faults);
        }
        let question = questions.at(of?);
        if question.domain.is_unreadable() || faults.len() > faults_before {
            return None;
        }
        if question.domain.is_open() || question.domain.is_several() {
            let what = if question.domain.is_open() { "any text" } else { "several at once" };
            let message = format!(
                "{} may be answered with {what}, which is no place on a scale: rate by a question \
                 with single answers",
                question.name
            );
            faults.push(DefinitionError::at("rating.question", message));
            return None;
        }
        let (path, ratings) = match &definition.scale {
            ScaleDefinition::Linear { from, round } => {
                ("rating.scale", linear(question, *from, *round, faults))
            }
            ScaleDefinition::Table(rows) => ("rating.table", table(question, rows, faults)?),
            ScaleDefinition::Thumbs { up, down } => {
                ("rating.thumbs", thumbs(question, up, down, faults))
            }
        };
        let ratings: Vec<Rating> = ratings.into_iter().collect::<Option<_>>()?;
        if definition.monotone && matches!(definition.scale, ScaleDefinition::Table(_)) {
            check_monotone(question, &ratings, faults);
        }
        let ends = match definition.scale {
            ScaleDefinition::Linear { from, .. } => Some(from),
            ScaleDefinition::Table(_) | ScaleDefinition::Thumbs { .. } => None,
        };
        Some(Self { of: of?, ratings, ends, path })
    }

    /// `answer` is the place of one that the question knows.
    pub fn rate(&self, answer: usize) -> Rating {
        self.ratings[answer]
    }

    /// Which of 1 and 5 no answer comes to on a straight line, and what to write. `question` is the one
    /// that rates.
    pub fn unreached(&self, question: &Question) -> Option<String> {
        let (worst, best) = self.ends?;
        let numbers: Vec<f64> =
            question.domain.answers().filter_map(|answer| answer.parse().ok()).collect();
        let (least, most) = (
            numbers.iter().copied().reduce(f64::min)?.floor(),
            numbers.iter().copied().reduce(f64::max)?.ceil(),
        );
        let (lowest, highest) = if worst < best { (least, most) } else { (most, least) };
        let name = &question.name;
        let top = self.ratings.iter().all(|rating| rating.requires_issue()).then(|| {
            format!("no answer comes to rating 5: the scale ends at {best}, {name} at {highest}")
        });
        let foot = self.ratings.iter().all(|rating| rating.value() > 1.0).then(|| {
            format!("no answer comes to rating 1: the scale begins at {worst}, {name} at {lowest}")
        });
        let unreached: Vec<String> = top.into_iter().chain(foot).collect();
        (!unreached.is_empty() && lowest != highest).then(|| {
            let unreached = unreached.join("; ");
            format!("{unreached}; if that is not meant, write from: [{lowest}, {highest}]")
        })
    }
}

/// The rating of each answer, none where it has no place.
type Ratings = Vec<Option<Rating>>;

fn linear(
    question: &Question,
    (worst, best): (i64, i64),
    round: Rounding,
    faults: &mut Vec<DefinitionError>,
) -> Ratings {
    let answers = question.domain.answers();
    let ratings: Ratings = answers.map(|it| on_the_line(it, worst, best, round)).collect();
    let (outside, not_numbers) =
        unrated(question, &ratings).partition::<Vec<_>, _>(|answer| is_number(answer));
    if !not_numbers.is_empty() {
        let message = format!(
            "{} may be answered {}, which is no number: rate by a question whose answers all are, \
             or write a table",
            question.name,
            listed(&not_numbers, SHOWN)
        );
        faults.push(DefinitionError::at("rating.question", message));
    }
    if !outside.is_empty() {
        let message = format!(
            "{} may be answered {}, outside {} to {}: widen the scale, or take it from the answers",
            question.name,
            listed(&outside, SHOWN),
            worst.min(best),
            worst.max(best)
        );
        faults.push(DefinitionError::at("rating.scale.from", message));
    }
    ratings
}

fn table(
    question: &Question,
    rows: &[(String, f64)],
    faults: &mut Vec<DefinitionError>,
) -> Option<Ratings> {
    if !(1..=ROWS_MAX).contains(&rows.len()) {
        let message = format!("a table has 1 to {ROWS_MAX} rows, not {}", rows.len());
        faults.push(DefinitionError::at("rating.table", message));
        return None;
    }
    let faults_before = faults.len();
    let mut ratings: Ratings = vec![None; question.domain.answers().len()];
    // Of each answer, the row that names it.
    let mut rows_of: Vec<Option<usize>> = vec![None; ratings.len()];
    for (row, (answer, rating)) in rows.iter().enumerate() {
        let at = question.domain.named(answer);
        let rating = Rating::written(*rating);
        if let Err(message) = &rating {
            let path = format!("rating.table[{row}].rating");
            faults.push(DefinitionError::at(path, message.as_str()));
        }
        let rating = rating.ok();
        let path = format!("rating.table[{row}].answer");
        if at.is_empty() {
            faults.push(DefinitionError::at(&path, question.unanswerable()));
        }
        let twice = at.iter().find_map(|&at| rows_of[at].map(|earlier| (at, earlier)));
        if let Some((at, earlier)) = twice {
            let message = format!(
                "{} = {} is rated by rating.table[{earlier}] already: name each answer once",
                question.name,
                question.domain.at(at).text
            );
            faults.push(DefinitionError::at(&path, message));
        }
        for at in at {
            if rows_of[at].is_none() {
                (rows_of[at], ratings[at]) = (Some(row), rating);
            }
        }
    }
    // A row that could not be read leaves a gap that is none.
    if faults.len() == faults_before {
        check_whole(question, &ratings, "rating.table", "no row rates: add a row for each", faults);
    }
    Some(ratings)
}

fn thumbs(question: &Question, up: &str, down: &str, faults: &mut Vec<DefinitionError>) -> Ratings {
    let faults_before = faults.len();
    let mut ratings: Ratings = vec![None; question.domain.answers().len()];
    for (key, answer, rating) in [("up", up, 5.0), ("down", down, 1.0)] {
        let message = match question.domain.find(answer).and_then(|known| known.at) {
            None => question.unanswerable(),
            Some(at) if ratings[at].is_some() => {
                "this answer is a thumb up already: up and down differ".to_owned()
            }
            Some(at) => {
                ratings[at] = Rating::new(rating).ok();
                continue;
            }
        };
        faults.push(DefinitionError::at(format!("rating.thumbs.{key}"), message));
    }
    if faults.len() == faults_before {
        let what = "is neither up nor down: write a table";
        check_whole(question, &ratings, "rating.thumbs", what, faults);
    }
    ratings
}

/// The answers that have no place.
fn unrated<'a>(question: &'a Question, ratings: &'a Ratings) -> impl Iterator<Item = &'a str> {
    let answers = question.domain.answers().zip(ratings);
    answers.filter(|(_, rating)| rating.is_none()).map(|(answer, _)| answer)
}

fn check_whole(
    question: &Question,
    ratings: &Ratings,
    path: &str,
    what: &str,
    faults: &mut Vec<DefinitionError>,
) {
    let gaps: Vec<_> = unrated(question, ratings).collect();
    if !gaps.is_empty() {
        let message =
            format!("{} may be answered {}, which {what}", question.name, listed(&gaps, SHOWN));
        faults.push(DefinitionError::at(path, message));
    }
}

/// Over numbers by size, over all else in the order in which it is written.
fn check_monotone(question: &Question, ratings: &[Rating], faults: &mut Vec<DefinitionError>) {
    let mut rated: Vec<(&str, f64)> =
        question.domain.answers().zip(ratings.iter().map(|rating| rating.value())).collect();
    if rated.iter().all(|(answer, _)| is_number(answer)) {
        let number = |answer: &str| answer.parse::<f64>().unwrap_or_default();
        rated.sort_by(|(a, _), (b, _)| number(a).total_cmp(&number(b)));
    }
    rated.dedup_by_key(|(_, rating)| *rating);
    let turns = |three: &&[(&str, f64)]| (three[0].1 < three[1].1) != (three[1].1 < three[2].1);
    if let Some(turn) = rated.windows(3).find(turns) {
        let steps: Vec<_> = turn
            .iter()
            .map(|(answer, rating)| format!("{} = {answer} is worth {rating}", question.name))
            .collect();
        let message = format!(
            "the ratings go up and down: {}; if that is meant, write monotone: false",
            steps.join(", ")
        );
        faults.push(DefinitionError::at("rating.table", message));
    }
}

fn check_ends(worst: i64, best: i64, faults: &mut Vec<DefinitionError>) {
    let message = if worst == best {
        format!("the ends are both {worst}: say what is worth a 1, then what is worth a 5: [1, 5]")
    } else if [worst, best].iter().any(|end| !(-END_MAX..=END_MAX).contains(end)) {
        format!("an end is beyond {END_MAX}: write the answers that are keyed, such as [0, 10]")
    } else {
        return;
    };
    faults.push(DefinitionError::at("rating.scale.from", message));
}

/// A straight line from `worst`, which is worth 1, to `best`, which is worth 5, rounded. None
/// outside. Worked out in whole numbers: in floats a half is now and then a little less.
fn on_the_line(answer: &str, worst: i64, best: i64, round: Rounding) -> Option<Rating> {
    let (answer, worst, best) =
        (in_parts(answer)?, i128::from(worst) * PARTS, i128::from(best) * PARTS);
    if !(worst.min(best)..=worst.max(best)).contains(&answer) {
        return None;
    }
    let steps = match round {
        Rounding::Hundredth => 100,
        Rounding::Half => 2,
        Rounding::Whole => 1,
    };
    let (span, way) = ((best - worst).abs(), (answer - worst).abs());
    let rating = (2 * steps * (span + 4 * way) + span).div_euclid(2 * span);
    Some(Rating::new(rating as f64 / steps as f64).expect("from 1 to 5 within the ends"))
}

/// Most decimals of an answer, more than a number may have, because a choice may look like one.
const DECIMALS_MAX: u32 = 9;
/// As many parts make one.
const PARTS: i128 = 10i128.pow(DECIMALS_MAX);

/// None where it is not written as a number is.
fn in_parts(answer: &str) -> Option<i128> {
    let (whole, part) = answer.split_once('.').unwrap_or((answer, ""));
    let width = DECIMALS_MAX as usize;
    if !is_number(answer) || part.len() > width {
        return None;
    }
    format!("{whole}{part:0<width$}").parse().ok()
}

/// Written as a number is, not `inf` or `1e5`.
fn is_number(answer: &str) -> bool {
    answer.bytes().all(|b| b.is_ascii_digit() || b == b'-' || b == b'.')
        && answer.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::definition::DomainDefinition;
    use crate::survey::samples::{self, choices, name, question, result_of, whole, yes_no};

    fn compile(domain: DomainDefinition, scale: ScaleDefinition) -> Result<Scale, Vec<String>> {
        compile_as(domain, scale, true)
    }

    fn compile_as(
        domain: DomainDefinition,
        scale: ScaleDefinition,
        monotone: bool,
    ) -> Result<Scale, Vec<String>> {
        let mut faults = Vec::new();
        let questions = Questions::compile(&[question("score", domain)], &mut faults);
        let definition = RatingDefinition { question: name("score"), scale, monotone };
        let scale = Scale::compile(&definition, &questions, &mut faults);
        result_of(scale, &faults)
    }

    fn keys(answers: &[&str]) -> DomainDefinition {
        samples::keys(answers, false)
    }

    fn linear(worst: i64, best: i64) -> ScaleDefinition {
        ScaleDefinition::Linear { from: (worst, best), round: Rounding::Hundredth }
    }

    fn table(rows: &[(&str, f64)]) -> ScaleDefinition {
        ScaleDefinition::Table(
            rows.iter().map(|(text, rating)| ((*text).to_owned(), *rating)).collect(),
        )
    }

    fn values(scale: &Scale) -> Vec<f64> {
        scale.ratings.iter().map(|rating| rating.value()).collect()
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
            let scale = compile(keys(&[answers]), linear(from.0, from.1)).unwrap();
            assert_eq!(values(&scale), expected, "{answers} on {from:?}");
        }
    }

    #[test]
    fn a_rating_is_rounded_as_the_scale_says() {
        for (round, expected) in [
            (Rounding::Half, &[1.0, 2.5, 3.5, 5.0][..]),
            (Rounding::Whole, &[1.0, 2.0, 4.0, 5.0]),
            (Rounding::Hundredth, &[1.0, 2.33, 3.67, 5.0]),
        ] {
            let scale = ScaleDefinition::Linear { from: (0, 3), round };
            assert_eq!(values(&compile(keys(&["0-3"]), scale).unwrap()), expected, "{round:?}");
        }
    }

    #[test]
    fn a_half_goes_up_wherever_it_lies() {
        for (answer, best, round, expected) in [
            ("1", 800, Rounding::Hundredth, 1.01),
            ("3", 800, Rounding::Hundredth, 1.02),
            ("0.07", 8, Rounding::Hundredth, 1.04),
            ("0.0625", 1, Rounding::Half, 1.5),
            ("0.125", 1, Rounding::Whole, 2.0),
            ("0.1249", 1, Rounding::Whole, 1.0),
        ] {
            let rating = on_the_line(answer, 0, best, round).unwrap();
            assert_eq!(rating.value(), expected, "{answer} of {best}");
        }
        // On a reversed scale too: the rating goes up, not the answer.
        let reversed = ScaleDefinition::Linear { from: (8, 0), round: Rounding::Whole };
        let scale = compile(whole(0, 8), reversed).unwrap();
        assert_eq!(values(&scale), [5.0, 5.0, 4.0, 4.0, 3.0, 3.0, 2.0, 2.0, 1.0]);
    }

    #[test]
    fn a_number_with_decimals_has_its_place_too() {
        let domain = DomainDefinition::Number { from: 1, to: 5, decimals: 1 };
        let scale = compile(domain, linear(1, 5)).unwrap();
        assert_eq!((scale.ratings.len(), scale.rate(35).value()), (41, 4.5));
    }

    #[test]
    fn an_answer_without_a_place_on_the_line_is_named() {
        assert_eq!(
            compile(keys(&["0-100", "*", "#"]), linear(1, 5)).unwrap_err(),
            [
                "rating.question: score may be answered *, #, which is no number: rate by a question \
                 whose answers all are, or write a table",
                "rating.scale.from: score may be answered 0, 6, 7, 8, 9 and 91 more, outside 1 to \
                 5: widen the scale, or take it from the answers",
            ]
        );
    }

    #[test]
    fn a_scale_has_two_ends_of_some_size() {
        for (from, why) in [((3, 3), "the ends are both 3"), ((0, i64::MAX), "an end is beyond")] {
            let faults = compile(keys(&["1-5"]), linear(from.0, from.1)).unwrap_err();
            assert!(faults[0].contains(why), "{faults:?}");
            assert_eq!(faults.len(), 1);
        }
    }

    #[test]
    fn a_table_rates_each_answer_once() {
        let rows = [("good", 5.0), ("Fair", 3.0), ("bad", 1.0)];
        let scale = compile(choices(&["Good", "Fair", "Bad"], false), table(&rows)).unwrap();
        assert_eq!(values(&scale), [5.0, 3.0, 1.0]);
        let nps = [("0-6", 1.0), ("7-8", 3.0), ("9-10", 5.0)];
        let scale = compile(keys(&["0-10"]), table(&nps)).unwrap();
        assert_eq!(values(&scale)[5..], [1.0, 1.0, 3.0, 3.0, 5.0, 5.0]);

        let rows = [("Good", 5.5), ("good.", 5.0), ("Worse", 2.0)];
        assert_eq!(
            compile(choices(&["Good", "Bad"], false), table(&rows)).unwrap_err(),
            [
                "rating.table[0].rating: a rating is a number from 1 to 5, not 5.5",
                "rating.table[1].answer: score = Good is rated by rating.table[0] already: name \
                 each answer once",
                "rating.table[2].answer: score cannot be answered so: choose among Good, Bad",
            ]
        );
        let thirds = [("1", 1.0), ("2", 2.33), ("3", 3.667)];
        assert_eq!(
            compile(keys(&["1-3"]), table(&thirds)).unwrap_err(),
            ["rating.table[2].rating: a rating has at most two decimals: write 3.67"]
        );
        assert_eq!(
            compile(choices(&["Good", "Fair", "Bad"], false), table(&[("Fair", 3.0)])).unwrap_err(),
            [
                "rating.table: score may be answered Good, Bad, which no row rates: add a row for each"
            ]
        );
    }

    #[test]
    fn ratings_that_go_up_and_down_are_a_slip_unless_they_are_meant() {
        let rows = table(&[("1", 1.0), ("2", 4.0), ("3", 2.0), ("4", 5.0)]);
        assert_eq!(
            compile(keys(&["1-4"]), rows.clone()).unwrap_err(),
            ["rating.table: the ratings go up and down: score = 1 is worth 1, score = 2 is \
                 worth 4, score = 3 is worth 2; if that is meant, write monotone: false"]
        );
        assert!(compile_as(keys(&["1-4"]), rows, false).is_ok());
        let flat = table(&[("1-2", 5.0), ("3", 3.0), ("4", 3.0)]);
        assert!(compile(keys(&["4", "3", "1-2"]), flat).is_ok());
    }

    #[test]
    fn a_thumb_is_up_or_down() {
        let thumbs = |up: &str, down: &str| ScaleDefinition::Thumbs {
            up: up.to_owned(),
            down: down.to_owned(),
        };
        let yes_no = || yes_no(&[], &[]);
        assert_eq!(values(&compile(yes_no(), thumbs("Yes", "no")).unwrap()), [5.0, 1.0]);
        for (domain, thumbs, why) in [
            (
                yes_no(),
                thumbs("yes", "yes"),
                "rating.thumbs.down: this answer is a thumb up already",
            ),
            (yes_no(), thumbs("1", "no"), "rating.thumbs.up: score cannot be answered so"),
            (keys(&["1-3"]), thumbs("1", "2"), "rating.thumbs: score may be answered 3"),
        ] {
            let faults = compile(domain, thumbs).unwrap_err();
            assert!(faults[0].starts_with(why), "{faults:?}");
        }
    }

    #[test]
    fn what_has_no_order_cannot_rate() {
        for domain in [DomainDefinition::Text { length: 100 }, samples::keys(&["1-5"], true)] {
            let faults = compile(domain, linear(1, 5)).unwrap_err();
            assert!(faults[0].contains("no place on a scale"), "{faults:?}");
        }
    }
}
