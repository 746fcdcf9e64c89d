use super::definition::{AtMaxRating, ChoiceDefinition, DefinitionError, IssuesDefinition, MetBy};
use super::question::Questions;
use super::words;
use crate::domain::{Issue, Issues, Rating};

/// Which issues go with a rating.
#[derive(Debug)]
pub struct IssueRules {
    pub choices: Vec<Choice>,
    /// Issues sent below 5 if none was chosen.
    pub default: Issues,
    at_max_rating: AtMaxRating,
}

/// What one question says of one issue.
#[derive(Debug)]
pub struct Choice {
    /// The index of the question.
    pub of: usize,
    pub issue: Issue,
    met_by: Met,
    /// The index among the choices as they are written.
    at: usize,
}

#[derive(Debug)]
enum Met {
    /// The places of the answers, in order.
    Answers(Vec<usize>),
    Mentions(Vec<Phrase>),
}

#[derive(Debug)]
struct Phrase {
    written: String,
    /// As [it is looked for](words::phrase).
    spaced: String,
}

/// Most choices of one survey.
const CHOICES_MAX: usize = 256;
/// Most phrases of one choice.
const PHRASES_MAX: usize = 64;

impl IssueRules {
    pub fn compile(
        definition: &IssuesDefinition,
        questions: &Questions,
        faults: &mut Vec<DefinitionError>,
    ) -> Self {
        let of =
            definition.question.as_ref().map(|of| questions.named(of, "issues.question", faults));
        let mut choices: Vec<Choice> = Vec::new();
        if definition.choices.len() > CHOICES_MAX {
            faults.push(DefinitionError::at(
                "issues.choices",
                format!("at most {CHOICES_MAX} choices"),
            ));
        }
        if of.is_none() && definition.choices.iter().any(|choice| choice.question.is_none()) {
            let message = "say which question the choices are answers to";
            faults.push(DefinitionError::at("issues.question", message));
        }
        for (at, choice) in definition.choices.iter().enumerate().take(CHOICES_MAX) {
            let path = format!("issues.choices[{at}]");
            let of = match &choice.question {
                Some(of) => questions.named(of, &format!("{path}.question"), faults),
                None => of.flatten(),
            };
            let Some(of) = of else { continue };
            if let Some(choice) = Choice::compile(at, choice, of, questions, &choices, faults) {
                choices.push(choice);
            }
        }
        let IssuesDefinition { default, at_max_rating, .. } = definition;
        Self { choices, default: default.clone(), at_max_rating: *at_max_rating }
    }

    /// Whether chosen issues are sent at this rating.
    pub fn sends_choices_at(&self, rating: Rating) -> bool {
        rating.requires_issue() || self.at_max_rating == AtMaxRating::Send
    }
}

impl Choice {
    fn compile(
        at: usize,
        definition: &ChoiceDefinition,
        of: usize,
        questions: &Questions,
        earlier: &[Choice],
        faults: &mut Vec<DefinitionError>,
    ) -> Option<Self> {
        let path = format!("issues.choices[{at}]");
        let question = questions.at(of);
        let met_by = match &definition.met_by {
            MetBy::Answer(answer) => {
                let answers = question.domain.named(answer);
                let names_one_of = |choice: &&Choice| {
                    choice.of == of && choice.names_any(&answers, question.domain.is_several())
                };
                let message = if let Some(other) = earlier.iter().find(names_one_of) {
                    format!(
                        "this answer names an issue already, in {}: name each answer once",
                        other.path()
                    )
                } else if question.domain.is_open() {
                    let name = &question.name;
                    format!(
                        "{name} may be any text: say what it mentions, such as keywords: [echo]"
                    )
                } else if answers.is_empty() && !question.domain.is_unreadable() {
                    question.unanswerable()
                } else {
                    let met_by = Met::Answers(answers);
                    return Some(Self { of, issue: definition.issue, met_by, at });
                };
                faults.push(DefinitionError::at(format!("{path}.answer"), message));
                return None;
            }
            MetBy::Mentions(phrases) => phrases,
        };
        let path = format!("{path}.keywords");
        if !(1..=PHRASES_MAX).contains(&met_by.len()) {
            let message = format!("1 to {PHRASES_MAX} phrases, not {}", met_by.len());
            faults.push(DefinitionError::at(path, message));
            return None;
        }
        let mut phrases = Vec::new();
        for (item, text) in met_by.iter().enumerate() {
            match words::phrase(text) {
                Some(spaced) => phrases.push(Phrase { written: text.trim().to_owned(), spaced }),
                None => {
                    let message = "there is no word in it: write one or several";
                    faults.push(DefinitionError::at(format!("{path}[{item}]"), message));
                }
            }
        }
        Some(Self { of, issue: definition.issue, met_by: Met::Mentions(phrases), at })
    }

    /// In the definition.
    pub fn path(&self) -> String {
        format!("issues.choices[{}]", self.at)
    }

    /// `at` is the place of the answer where it is one of those that the question knows. `spoken` is
    /// what was said, [spaced](words::spaced); it is asked for only where it matters.
    pub fn is_met<'w>(&self, at: Option<usize>, spoken: impl FnOnce() -> &'w str) -> bool {
        match &self.met_by {
            Met::Answers(answers) => at.is_some_and(|at| answers.binary_search(&at).is_ok()),
            Met::Mentions(phrases) => {
                let spoken = spoken();
                phrases.iter().any(|phrase| spoken.contains(&phrase.spaced))
            }
        }
    }

    /// The places of the answers that meet it, in order; none if words do.
    pub fn answers(&self) -> &[usize] {
        match &self.met_by {
            Met::Answers(answers) => answers,
            Met::Mentions(_) => &[],
        }
    }

    /// What is looked for in text, as it was written.
    pub fn phrases(&self) -> impl Iterator<Item = &str> {
        let phrases: &[Phrase] = match &self.met_by {
            Met::Answers(_) => &[],
            Met::Mentions(phrases) => phrases,
        };
        phrases.iter().map(|phrase| phrase.written.as_str())
    }

    /// Where several can be answered together, two answers are the same only if all their sets are.
    fn names_any(&self, answers: &[usize], several: bool) -> bool {
        match &self.met_by {
            Met::Answers(own) if several => own == answers && !own.is_empty(),
            Met::Answers(own) => own.iter().any(|at| answers.contains(at)),
            Met::Mentions(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::samples::{asked, choice, keys, mention, question, result_of, text};

    fn questions(faults: &mut Vec<DefinitionError>) -> Questions {
        let toggles = question("toggles", keys(&["1-3"], true));
        let questions = [asked("problem", &["1-3", "*"]), toggles, text("comment")];
        Questions::compile(&questions, faults)
    }

    fn compile(
        of: Option<&str>,
        choices: Vec<ChoiceDefinition>,
    ) -> Result<IssueRules, Vec<String>> {
        let mut faults = Vec::new();
        let questions = questions(&mut faults);
        let of = of.map(|of| of.parse().unwrap());
        let definition = IssuesDefinition { question: of, choices, ..IssuesDefinition::default() };
        let rules = IssueRules::compile(&definition, &questions, &mut faults);
        result_of(Some(rules), &faults)
    }

    #[test]
    fn a_choice_that_nobody_can_make_is_a_fault() {
        let choices = ["1", "4", "*", "1", "2-3"];
        let choices = choices.map(|answer| choice("", answer, Issue::Echo)).to_vec();
        assert_eq!(
            compile(Some("problem"), choices.clone()).unwrap_err(),
            [
                "issues.choices[1].answer: problem cannot be answered so: choose among 1-3, *",
                "issues.choices[3].answer: this answer names an issue already, in \
                 issues.choices[0]: name each answer once",
            ]
        );
        assert_eq!(
            compile(None, choices).unwrap_err(),
            ["issues.question: say which question the choices are answers to"]
        );
        assert_eq!(
            compile(
                None,
                vec![choice("comment", "1", Issue::Echo), mention("comment", &["!"], Issue::Echo)]
            )
            .unwrap_err(),
            [
                "issues.choices[0].answer: comment may be any text: say what it mentions, such as \
                 keywords: [echo]",
                "issues.choices[1].keywords[0]: there is no word in it: write one or several",
            ]
        );
    }

    #[test]
    fn a_choice_is_met_by_its_answers_or_by_what_is_mentioned() {
        let rules = compile(
            Some("toggles"),
            vec![
                choice("", "1", Issue::Echo),
                choice("", "3", Issue::AudioLag),
                choice("problem", "1", Issue::Echo),
                mention("comment", &["echo", "hear myself"], Issue::Echo),
            ],
        )
        .unwrap();
        let met = |at: Option<usize>, text: &str| -> Vec<usize> {
            let spoken = words::spaced(text);
            let met = rules.choices.iter().filter(|choice| choice.is_met(at, || &spoken));
            met.map(|choice| choice.at).collect()
        };
        // The set of 1 and 3 has index 4, that of 2 index 1.
        assert_eq!(met(Some(4), "13"), [0, 1]);
        assert_eq!(met(None, "I hear myself"), [3]);
        assert!(met(None, "").is_empty());
    }
}
