use super::definition::{Fault, RatingDefinition, Rounding, ScaleDefinition};
use super::domain::Domain;
use super::question::Questions;
use crate::domain::Rating;

/// How the answers to one question rate a call: worked out for each, once, so that no answer can
/// turn out unlawful later.
#[derive(Debug)]
pub struct Scale {
    /// Where the question stands.
    of: usize,
    /// Of every answer that the question knows, in their order.
    ratings: Vec<Rating>,
    /// What it is called in the settings.
    path: &'static str,
}

/// No end of a scale lies further from zero: far beyond any survey, and exact in a float.
const END_MAX: i64 = 1_000_000;
/// Most rows of a table.
const ROWS_MAX: usize = 1000;

impl Scale {
    pub fn compile(
        definition: &RatingDefinition,
        questions: &Questions,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let of = questions.named(&definition.of, "rating.of", faults);
        let faults_before = faults.len();
        if let ScaleDefinition::Linear { from: (worst, best), .. } = definition.scale {
            check_ends(worst, best, faults);
        }
        let question = questions.at(of?);
        if question.domain.is_unreadable() || faults.len() > faults_before {
            return None;
        }
        let rated = Rated { name: definition.of.as_str(), domain: &question.domain };
        let ratings = match &definition.scale {
            _ if rated.domain.is_open() || rated.domain.is_several() => {
                let what = if rated.domain.is_open() { "any text" } else { "several at once" };
                let message = format!(
                    "{} may be answered with {what}, which is no place on a scale: rate by a \
                     question with single answers",
                    rated.name
                );
                faults.push(Fault::at("rating.of", message));
                return None;
            }
            ScaleDefinition::Linear { from, round } => rated.linear(*from, *round, faults),
            ScaleDefinition::Table(rows) => rated.table(rows, faults),
            ScaleDefinition::Thumbs { up, down } => rated.thumbs(up, down, faults),
        };
        let ratings: Vec<Rating> = ratings?.into_iter().collect::<Option<_>>()?;
        if definition.monotone && matches!(definition.scale, ScaleDefinition::Table(_)) {
            rated.check_monotone(&ratings, faults);
        }
        let path = match definition.scale {
            ScaleDefinition::Linear { .. } => "rating.scale",
            ScaleDefinition::Table(_) => "rating.table",
            ScaleDefinition::Thumbs { .. } => "rating.thumbs",
        };
        Some(Self { of: of?, ratings, path })
    }

    /// In the definition; as if the default were written there.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// Where the question stands that rates.
    pub fn of(&self) -> usize {
        self.of
    }

    /// `answer` is the place of one that the question knows.
    pub fn rate(&self, answer: usize) -> Rating {
        self.ratings[answer]
    }
}

/// The question that is rated by.
struct Rated<'a> {
    name: &'a str,
    domain: &'a Domain,
}

/// The rating of each answer, none where it has no place.
type Ratings = Vec<Option<Rating>>;

impl Rated<'_> {
    fn linear(
        &self,
        (worst, best): (i64, i64),
        round: Rounding,
        faults: &mut Vec<Fault>,
    ) -> Option<Ratings> {
        let (mut not_numbers, mut outside) = (Vec::new(), Vec::new());
        let mut ratings = Vec::new();
        for answer in self.domain.answers() {
            let rating = on_the_line(answer, worst, best, round);
            match rating {
                None if !is_number(answer) => not_numbers.push(answer),
                None => outside.push(answer),
                Some(_) => {}
            }
            ratings.push(rating);
        }
        if !not_numbers.is_empty() {
            let message = format!(
                "{} may be answered {}, which is no number: rate by a question whose answers all \
                 are, or write a table",
                self.name,
                listed(&not_numbers)
            );
            faults.push(Fault::at("rating.of", message));
        }
        if !outside.is_empty() {
            let message = format!(
                "{} may be answered {}, outside {} to {}: widen the scale, or take it from the \
                 answers",
                self.name,
                listed(&outside),
                worst.min(best),
                worst.max(best)
            );
            faults.push(Fault::at("rating.scale.from", message));
        }
        Some(ratings)
    }

    fn table(&self, rows: &[(String, f64)], faults: &mut Vec<Fault>) -> Option<Ratings> {
        if !(1..=ROWS_MAX).contains(&rows.len()) {
            let message = format!("a table has 1 to {ROWS_MAX} rows, not {}", rows.len());
            faults.push(Fault::at("rating.table", message));
            return None;
        }
        let faults_before = faults.len();
        let mut rated: Vec<Option<(usize, Option<Rating>)>> =
            vec![None; self.domain.answers().len()];
        for (row, (answer, rating)) in rows.iter().enumerate() {
            let at = self.domain.named(answer);
            let rating = match Rating::new(*rating) {
                Ok(rating) => Some(rating),
                Err(error) => {
                    let path = format!("rating.table[{row}].rating");
                    faults.push(Fault::at(path, error.to_string()));
                    None
                }
            };
            let path = || format!("rating.table[{row}].answer");
            if at.is_empty() {
                let message =
                    format!("{} cannot be answered so: choose among {}", self.name, self.domain);
                faults.push(Fault::at(path(), message));
            }
            let twice = at.iter().find_map(|&at| rated[at].map(|(earlier, _)| (at, earlier)));
            if let Some((at, earlier)) = twice {
                let message = format!(
                    "{} = {} is rated by rating.table[{earlier}] already: name each answer once",
                    self.name,
                    self.domain.text(at)
                );
                faults.push(Fault::at(path(), message));
            }
            for at in at {
                rated[at] = rated[at].or(Some((row, rating)));
            }
        }
        let gaps: Vec<_> =
            self.domain.answers().zip(&rated).filter(|(_, rated)| rated.is_none()).collect();
        // A row that could not be read leaves a gap that is none.
        if !gaps.is_empty() && faults.len() == faults_before {
            let gaps: Vec<_> = gaps.into_iter().map(|(answer, _)| answer).collect();
            let message = format!(
                "{} may be answered {}, which no row rates: add a row for each",
                self.name,
                listed(&gaps)
            );
            faults.push(Fault::at("rating.table", message));
        }
        Some(rated.into_iter().map(|rated| rated.and_then(|(_, rating)| rating)).collect())
    }

    fn thumbs(&self, up: &str, down: &str, faults: &mut Vec<Fault>) -> Option<Ratings> {
        let faults_before = faults.len();
        let mut ratings: Ratings = vec![None; self.domain.answers().len()];
        for (key, answer, rating) in [("up", up, 5.0), ("down", down, 1.0)] {
            let path = format!("rating.thumbs.{key}");
            match self.domain.find(answer).and_then(|known| known.at) {
                None => {
                    let message = format!(
                        "{} cannot be answered so: choose among {}",
                        self.name, self.domain
                    );
                    faults.push(Fault::at(path, message));
                }
                Some(at) if ratings[at].is_some() => {
                    let message = "this answer is a thumb up already: up and down differ";
                    faults.push(Fault::at(path, message));
                }
                Some(at) => ratings[at] = Rating::new(rating).ok(),
            }
        }
        let gaps: Vec<_> = self.domain.answers().zip(&ratings).collect();
        let gaps: Vec<_> =
            gaps.into_iter().filter(|(_, rating)| rating.is_none()).map(|(gap, _)| gap).collect();
        if !gaps.is_empty() && faults.len() == faults_before {
            let message = format!(
                "{} may be answered {}, which is neither up nor down: write a table",
                self.name,
                listed(&gaps)
            );
            faults.push(Fault::at("rating.thumbs", message));
        }
        Some(ratings)
    }

    /// Over numbers by size, over all else in the order in which it is written.
    fn check_monotone(&self, ratings: &[Rating], faults: &mut Vec<Fault>) {
        let mut rated: Vec<(&str, f64)> =
            self.domain.answers().zip(ratings.iter().map(|rating| rating.value())).collect();
        if rated.iter().all(|(answer, _)| is_number(answer)) {
            let number = |answer: &str| answer.parse::<f64>().unwrap_or_default();
            rated.sort_by(|(a, _), (b, _)| number(a).total_cmp(&number(b)));
        }
        rated.dedup_by_key(|(_, rating)| *rating);
        let turns = |three: &&[(&str, f64)]| (three[0].1 < three[1].1) != (three[1].1 < three[2].1);
        if let Some(turn) = rated.windows(3).find(turns) {
            let told: Vec<_> = turn
                .iter()
                .map(|(answer, rating)| format!("{} = {answer} is worth {rating}", self.name))
                .collect();
            let message = format!(
                "the ratings go up and down: {}; if that is meant, write monotone: false",
                told.join(", ")
            );
            faults.push(Fault::at("rating.table", message));
        }
    }
}

fn check_ends(worst: i64, best: i64, faults: &mut Vec<Fault>) {
    let message = if worst == best {
        format!("the ends are both {worst}: say what is worth a 1, then what is worth a 5: [1, 5]")
    } else if [worst, best].iter().any(|end| !(-END_MAX..=END_MAX).contains(end)) {
        format!("an end lies beyond {END_MAX}: write the answers that are keyed, such as [0, 10]")
    } else {
        return;
    };
    faults.push(Fault::at("rating.scale.from", message));
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
    use crate::survey::definition::{DomainDefinition, QuestionDefinition};

    fn compile(domain: DomainDefinition, scale: ScaleDefinition) -> Result<Scale, Vec<String>> {
        compile_as(domain, scale, true)
    }

    fn compile_as(
        domain: DomainDefinition,
        scale: ScaleDefinition,
        monotone: bool,
    ) -> Result<Scale, Vec<String>> {
        let of: crate::domain::Name = "score".parse().unwrap();
        let mut faults = Vec::new();
        let question = QuestionDefinition::new(of.clone(), domain);
        let questions = Questions::compile(&[question], &mut faults);
        let definition = RatingDefinition { of, scale, monotone };
        let scale = Scale::compile(&definition, &questions, &mut faults);
        match scale {
            Some(scale) if faults.is_empty() => Ok(scale),
            _ => Err(faults.iter().map(Fault::to_string).collect()),
        }
    }

    fn keys(answers: &[&str]) -> DomainDefinition {
        let answers = answers.iter().map(|&answer| answer.to_owned()).collect();
        DomainDefinition::Keys { answers, several: false }
    }

    fn choices(choices: &[&str]) -> DomainDefinition {
        let choices = choices.iter().map(|&choice| choice.to_owned()).collect();
        DomainDefinition::Choices { choices, several: false }
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
        let domain = DomainDefinition::Number { from: 0, to: 8, decimals: 0 };
        let reversed = ScaleDefinition::Linear { from: (8, 0), round: Rounding::Whole };
        let scale = compile(domain, reversed).unwrap();
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
                "rating.of: score may be answered *, #, which is no number: rate by a question \
                 whose answers all are, or write a table",
                "rating.scale.from: score may be answered 0, 6, 7, 8, 9 and 91 more, outside 1 to \
                 5: widen the scale, or take it from the answers",
            ]
        );
    }

    #[test]
    fn a_scale_has_two_ends_of_some_size() {
        for (from, why) in [((3, 3), "the ends are both 3"), ((0, i64::MAX), "an end lies beyond")]
        {
            let faults = compile(keys(&["1-5"]), linear(from.0, from.1)).unwrap_err();
            assert!(faults[0].contains(why), "{faults:?}");
            assert_eq!(faults.len(), 1);
        }
    }

    #[test]
    fn a_table_rates_each_answer_once() {
        let rows = [("good", 5.0), ("Fair", 3.0), ("bad", 1.0)];
        let scale = compile(choices(&["Good", "Fair", "Bad"]), table(&rows)).unwrap();
        assert_eq!(values(&scale), [5.0, 3.0, 1.0]);
        let nps = [("0-6", 1.0), ("7-8", 3.0), ("9-10", 5.0)];
        let scale = compile(keys(&["0-10"]), table(&nps)).unwrap();
        assert_eq!(values(&scale)[5..], [1.0, 1.0, 3.0, 3.0, 5.0, 5.0]);

        let rows = [("Good", 5.5), ("good.", 5.0), ("Worse", 2.0)];
        assert_eq!(
            compile(choices(&["Good", "Bad"]), table(&rows)).unwrap_err(),
            [
                "rating.table[0].rating: a rating is a number from 1 to 5, not 5.5",
                "rating.table[1].answer: score = Good is rated by rating.table[0] already: name \
                 each answer once",
                "rating.table[2].answer: score cannot be answered so: choose among Good, Bad",
            ]
        );
        assert_eq!(
            compile(choices(&["Good", "Fair", "Bad"]), table(&[("Fair", 3.0)])).unwrap_err(),
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
        let yes_no = || DomainDefinition::YesNo { yes: Vec::new(), no: Vec::new() };
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
        for domain in [
            DomainDefinition::Text { length: 100 },
            DomainDefinition::Keys { answers: vec!["1-5".to_owned()], several: true },
        ] {
            let faults = compile(domain, linear(1, 5)).unwrap_err();
            assert!(faults[0].contains("no place on a scale"), "{faults:?}");
        }
    }
}
