use std::collections::BTreeMap;

use crate::domain::{Issue, Issues, Name, Rating};

use super::definition::{AtFive, Fault, IssuesDefinition};
use super::question::Questions;

/// Which issues go with a rating.
#[derive(Debug)]
pub struct IssueRules {
    choices: Option<Choices>,
    /// Never empty.
    otherwise: Issues,
    at_five: AtFive,
}

#[derive(Debug)]
struct Choices {
    of: Name,
    issues: BTreeMap<String, Issue>,
}

impl IssueRules {
    pub fn compile(
        definition: &IssuesDefinition,
        questions: &Questions,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let choices = match &definition.of {
            Some(of) => Choices::compile(of, &definition.choices, questions, faults),
            None => {
                if !definition.choices.is_empty() {
                    let message = "say which question the choices are answers to";
                    faults.push(Fault::at("issues.of", message));
                }
                None
            }
        };
        let IssuesDefinition { otherwise, at_five, .. } = definition;
        if otherwise.is_empty() {
            let message = "below 5 Plivo wants an issue: name at least one, such as OTHERS";
            faults.push(Fault::at("issues.otherwise", message));
            return None;
        }
        Some(Self { choices, otherwise: otherwise.clone(), at_five: *at_five })
    }

    /// Below 5 never empty. `answer` gives the answer to a question where it is one of those that
    /// the question knows.
    pub fn choose<'a>(
        &self,
        rating: Rating,
        answer: impl FnOnce(&Name) -> Option<&'a str>,
    ) -> Issues {
        let chosen = self.choices.as_ref().and_then(|choices| {
            let answer = answer(&choices.of)?;
            choices.issues.get(answer).copied()
        });
        match (rating.wants_an_issue(), self.at_five, chosen) {
            (true, _, Some(issue)) | (false, AtFive::Send, Some(issue)) => Issues::from([issue]),
            (true, _, None) => self.otherwise.clone(),
            (false, AtFive::Drop, Some(_)) | (false, _, None) => Issues::new(),
        }
    }
}

impl Choices {
    fn compile(
        of: &Name,
        choices: &[(String, Issue)],
        questions: &Questions,
        faults: &mut Vec<Fault>,
    ) -> Option<Self> {
        let question = questions.named(of, "issues.of", faults)?;
        let mut issues = BTreeMap::new();
        for (at, (answer, issue)) in choices.iter().enumerate() {
            let message = if issues.insert(answer.clone(), *issue).is_some() {
                "this answer names an issue already: name each answer once".to_owned()
            } else if !question.domain.contains(answer) && !question.domain.is_unreadable() {
                format!("{of} cannot be answered so: choose among {}", question.domain)
            } else {
                continue;
            };
            faults.push(Fault::at(format!("issues.choices[{at}].answer"), message));
        }
        Some(Self { of: of.clone(), issues })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::definition::QuestionDefinition;

    fn definition(
        of: Option<&str>,
        choices: &[(&str, Issue)],
        at_five: AtFive,
    ) -> IssuesDefinition {
        IssuesDefinition {
            of: of.map(|of| of.parse().unwrap()),
            choices: choices.iter().map(|(answer, issue)| ((*answer).to_owned(), *issue)).collect(),
            otherwise: Issues::from([Issue::Others, Issue::AudioLag]),
            at_five,
        }
    }

    fn compile(definition: &IssuesDefinition) -> Result<IssueRules, Vec<String>> {
        let question = QuestionDefinition {
            name: "problem".parse().unwrap(),
            answers: vec!["1-3".to_owned(), "*".to_owned()],
        };
        let mut faults = Vec::new();
        let questions = Questions::compile(&[question], &mut faults);
        let rules = IssueRules::compile(definition, &questions, &mut faults);
        rules
            .filter(|_| faults.is_empty())
            .ok_or_else(|| faults.iter().map(Fault::to_string).collect())
    }

    #[test]
    fn below_five_there_is_always_an_issue_and_at_five_only_a_chosen_one() {
        let echo = &[("1", Issue::Echo)];
        for (at_five, rating, answer, expected) in [
            (AtFive::Send, 4.99, Some("1"), &[Issue::Echo][..]),
            (AtFive::Send, 4.99, Some("2"), &[Issue::AudioLag, Issue::Others]),
            (AtFive::Send, 1.0, None, &[Issue::AudioLag, Issue::Others]),
            (AtFive::Send, 5.0, Some("1"), &[Issue::Echo]),
            (AtFive::Send, 5.0, Some("2"), &[]),
            (AtFive::Send, 5.0, None, &[]),
            (AtFive::Drop, 4.0, Some("1"), &[Issue::Echo]),
            (AtFive::Drop, 5.0, Some("1"), &[]),
        ] {
            let rules = compile(&definition(Some("problem"), echo, at_five)).unwrap();
            let chosen = rules.choose(Rating::new(rating).unwrap(), |_| answer);
            let expected: Issues = expected.iter().copied().collect();
            assert_eq!(chosen, expected, "{at_five:?} {rating} {answer:?}");
        }
    }

    #[test]
    fn a_choice_that_nobody_can_make_is_a_fault() {
        let choices =
            &[("1", Issue::Echo), ("4", Issue::Echo), ("*", Issue::Others), ("1", Issue::AudioLag)];
        assert_eq!(
            compile(&definition(Some("problem"), choices, AtFive::Send)).unwrap_err(),
            [
                "issues.choices[1].answer: problem cannot be answered so: choose among 1-3, *",
                "issues.choices[3].answer: this answer names an issue already: name each answer \
                 once",
            ]
        );
        assert_eq!(
            compile(&definition(None, choices, AtFive::Send)).unwrap_err(),
            ["issues.of: say which question the choices are answers to"]
        );
    }
}
