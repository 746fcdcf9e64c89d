use super::Survey;
use super::domain::Domain;
use crate::domain::{Answer, Name};

impl Survey {
    /// Most answers of a question that are counted one by one, as many as from 0 to 100.
    const COUNTED_ANSWERS_MAX: usize = 101;

    /// The fields that its ratings and issues are counted by.
    pub fn labels(&self) -> &[Name] {
        &self.book.labels
    }

    /// The questions whose answers are counted, each with everything that it declares. If several can be
    /// given together, each of them is counted.
    pub fn counted_answers(&self) -> impl Iterator<Item = (&Name, Vec<&str>)> {
        let counted = self
            .book
            .questions
            .iter()
            .map(|question| (&question.name, declared(&question.domain).collect::<Vec<_>>()));
        counted.filter(|(_, answers)| (1..=Self::COUNTED_ANSWERS_MAX).contains(&answers.len()))
    }

    /// What is counted of an answer: those that its question declares, never what was said.
    pub fn counted<'a>(&'a self, question: &str, answer: &'a Answer) -> Vec<&'a str> {
        let Some(question) = self.book.questions.find(question) else { return Vec::new() };
        let Answer::Given(said) = answer else { return Vec::new() };
        let domain = &question.domain;
        if question.is_opt_out(said) || declared(domain).count() > Self::COUNTED_ANSWERS_MAX {
            return Vec::new();
        }
        let Some(at) = domain.find(said).and_then(|known| known.at) else { return Vec::new() };
        let is_told = |place: usize| match domain.is_several() {
            true => (at + 1) & (place + 1) != 0,
            false => place == at,
        };
        let places = domain.answers().enumerate().filter(|(place, _)| is_single(domain, *place));
        places.filter(|(place, _)| is_told(*place)).map(|(_, text)| text).collect()
    }
}

/// The answers of a domain without sets of several.
fn declared(domain: &Domain) -> impl Iterator<Item = &str> {
    let answers = domain.answers().enumerate();
    answers.filter(|(place, _)| is_single(domain, *place)).map(|(_, text)| text)
}

fn is_single(domain: &Domain, place: usize) -> bool {
    !domain.is_several() || (place + 1).is_power_of_two()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::samples::*;
    use crate::survey::{Definition, RatingDefinition};

    fn survey() -> Survey {
        let definition = Definition {
            rating: Some(RatingDefinition::new(name("score"))),
            ..Definition::new(vec![
                asked("score", &["1-5"]),
                question("problems", keys(&["1-3", "#"], true)),
                question("solved", yes_no(&["1"], &["2"])),
                question("percent", whole(0, 100)),
                question("permille", whole(0, 1000)),
                text("comment"),
            ])
        };
        Survey::compile(definition).unwrap()
    }

    #[test]
    fn answers_are_counted_as_declared_and_never_as_said() {
        let survey = survey();
        let declared: Vec<String> = survey
            .counted_answers()
            .map(|(question, answers)| match answers.len() {
                101 => format!("{question}: {} to {}", answers[0], answers[100]),
                _ => format!("{question}: {}", answers.join(" ")),
            })
            .collect();
        insta::assert_snapshot!(declared.join("\n"), @"
        score: 1 2 3 4 5
        problems: 1 2 3 #
        solved: yes no
        percent: 0 to 100
        ");
        for (question, said, counted) in [
            ("score", "4", &["4"][..]),
            ("score", "04", &[]),
            ("score", "9", &[]),
            ("problems", "31", &["1", "3"]),
            ("solved", " Yes. ", &["yes"]),
            ("solved", "2", &["no"]),
            ("percent", "100", &["100"]),
            ("permille", "100", &[]),
            ("comment", "my number is +34600100200", &[]),
            ("other", "1", &[]),
        ] {
            let answer = Answer::Given(said.to_owned());
            assert_eq!(survey.counted(question, &answer), counted, "{question} {said}");
        }
        assert!(survey.counted("score", &Answer::Silence).is_empty());
    }
}
