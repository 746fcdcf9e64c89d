//! What is asked, and what it means.
//!
//! A [`Definition`], as the settings give it, is compiled into a [`Survey`] once, and every fault
//! is told at once with its path. A compiled survey turns the [`Answers`] about one call into
//! [`Feedback`], or says why there is none, and it knows when there is nothing left to wait for.
//!
//! This room knows no sender, no ledger and no clock: the time is that of the answers.

mod definition;
mod issues;
mod notes;
mod question;
mod rating;
mod trace;

use std::time::Duration;

pub use definition::{
    AtFive, Definition, Fault, IssuesDefinition, NotesDefinition, QuestionDefinition,
    RatingDefinition,
};

use crate::domain::{
    Answer, Answers, Changes, Completion, DeadReason, Due, Feedback, IgnoredReason, Name, Standing,
};

use issues::IssueRules;
use notes::Notes;
use question::{Question, Questions};
use rating::Scale;
pub use trace::Trace;

/// The questions of one survey, and the rules that make feedback of their answers.
#[derive(Debug)]
pub struct Survey {
    questions: Questions,
    scale: Scale,
    issues: IssueRules,
    notes: Option<Notes>,
    after: Duration,
    delay: Duration,
}

/// What the answers about one call come to, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Mapped {
    pub mapping: Mapping,
    pub trace: Trace,
}

/// What the answers about one call come to.
#[derive(Debug, Clone, PartialEq)]
pub enum Mapping {
    Feedback(Feedback),
    /// There is nothing to tell.
    Ignore {
        reason: IgnoredReason,
        /// In a rule's own words.
        detail: Option<String>,
    },
    /// A person has to look at it; why, in words that may be logged.
    Dead {
        reason: DeadReason,
        detail: String,
    },
}

impl Survey {
    /// # Errors
    /// Every fault of the definition; never an empty list.
    pub fn compile(definition: Definition) -> Result<Self, Vec<Fault>> {
        let mut faults = Vec::new();
        let questions = Questions::compile(&definition.questions, &mut faults);
        let scale = Scale::compile(&definition.rating, &questions, &mut faults);
        let issues = IssueRules::compile(&definition.issues, &questions, &mut faults);
        let notes = definition.notes.and_then(|notes| {
            Notes::compile(notes, &questions, &definition.rating.of, &mut faults)
        });
        match (scale, issues) {
            (Some(scale), Some(issues)) if faults.is_empty() => Ok(Self {
                questions,
                scale,
                issues,
                notes,
                after: definition.after,
                delay: definition.delay,
            }),
            _ => Err(faults),
        }
    }

    /// The question that is meant where a sender names none.
    pub fn first_question(&self) -> &Name {
        self.questions.first()
    }

    /// The same answers always come to the same.
    pub fn map(&self, answers: &Answers) -> Mapped {
        Mapped { mapping: self.mapping(answers), trace: Trace::default() }
    }

    fn mapping(&self, answers: &Answers) -> Mapping {
        let unknown = answers.said().find(|said| self.questions.find(&said.question).is_none());
        if let Some(said) = unknown {
            return unmapped(format!("the survey has no question {:?}", printable(&said.question)));
        }
        let rating = match self.best(answers, self.scale.of()) {
            None => return ignore(IgnoredReason::NoScore),
            Some((_, Standing::Silence)) => return ignore(IgnoredReason::NoAnswer),
            Some((_, Standing::OutsideDomain)) => {
                return ignore(IgnoredReason::InvalidAnswer);
            }
            Some((score, Standing::InDomain)) => self.scale.rate(score),
        };
        let issues = self.issues.choose(rating, |question| self.in_domain(answers, question));
        let notes = self.notes.as_ref().map_or(Ok(String::new()), |notes| {
            notes.render(|question| self.in_domain(answers, question))
        });
        match notes {
            Ok(notes) => Mapping::Feedback(
                Feedback::new(rating, issues, notes)
                    .expect("below 5 there are the chosen issues or some other"),
            ),
            Err(failed) => unmapped(failed.to_string()),
        }
    }

    /// The answer that counts for a question, where it is one of those the question knows.
    /// Anything else may be anything, a phone number too, and stays here.
    fn in_domain<'a>(&self, answers: &'a Answers, question: &Name) -> Option<&'a str> {
        match self.best(answers, question) {
            Some((text, Standing::InDomain)) => Some(text),
            _ => None,
        }
    }

    /// The answer that counts for a question as text, and how it counts.
    fn best<'a>(&self, answers: &'a Answers, question: &Name) -> Option<(&'a str, Standing)> {
        let question = question.as_str();
        let (said, standing) =
            answers.best(question, |answer| self.standing(question, answer), self.changes())?;
        match &said.answer {
            Answer::Silence => Some(("", standing)),
            Answer::Given(text) => Some((text, standing)),
        }
    }

    fn is_answered(&self, question: &Question, answers: &Answers) -> bool {
        self.in_domain(answers, &question.name).is_some()
    }
}

impl Completion for Survey {
    /// An answer to a question that the survey does not have is outside every domain.
    fn standing(&self, question: &str, answer: &Answer) -> Standing {
        match (answer, self.questions.find(question)) {
            (Answer::Silence, _) => Standing::Silence,
            (Answer::Given(text), Some(question)) if question.domain.contains(text) => {
                Standing::InDomain
            }
            (Answer::Given(_), _) => Standing::OutsideDomain,
        }
    }

    fn due(&self, answers: &Answers) -> Due {
        let complete = self.questions.iter().all(|question| self.is_answered(question, answers));
        let wait = if complete { self.delay } else { self.after.max(self.delay) };
        let last_new = answers.last_new_at().expect("there is at least one answer");
        let at = last_new.saturating_add(wait).expect("a duration has no calendar units");
        Due { complete, at }
    }

    fn changes(&self) -> Changes {
        Changes::First
    }
}

fn ignore(reason: IgnoredReason) -> Mapping {
    Mapping::Ignore { reason, detail: None }
}

fn unmapped(detail: String) -> Mapping {
    Mapping::Dead { reason: DeadReason::Unmapped, detail }
}

/// A name that came from outside, fit for a log line: short, and nothing that moves a cursor.
fn printable(text: &str) -> String {
    text.chars()
        .take(Name::LENGTH_MAX)
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::{HookId, Issue, Issues, Rating, Reported};

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    fn asked(question: &str, answers: &[&str]) -> QuestionDefinition {
        QuestionDefinition {
            name: name(question),
            answers: answers.iter().map(|&answer| answer.to_owned()).collect(),
        }
    }

    /// The survey that the settings show as their example.
    fn quality() -> Definition {
        let questions = vec![asked("score", &["1-5"]), asked("problem", &["1-3"])];
        Definition {
            issues: IssuesDefinition {
                of: Some(name("problem")),
                choices: vec![
                    ("1".to_owned(), Issue::Echo),
                    ("2".to_owned(), Issue::OneWayAudio),
                    ("3".to_owned(), Issue::CallDropped),
                ],
                ..IssuesDefinition::default()
            },
            notes: Some(NotesDefinition::new("IVR survey: {{ score }} of 5")),
            delay: Duration::from_secs(60),
            ..Definition::new(questions, name("score"))
        }
    }

    /// One second apart; `?` stands for silence.
    fn answers(said: &[(&str, &str)]) -> Answers {
        said.iter()
            .zip(1..)
            .map(|(&(question, answer), at)| {
                let reported = Reported {
                    question: question.to_owned(),
                    answer: match answer {
                        "?" => Answer::Silence,
                        text => Answer::Given(text.to_owned()),
                    },
                    reader: "form:Digits".to_owned(),
                };
                reported
                    .heard(Timestamp::from_second(at).unwrap(), HookId(Uuid::from_u128(at as u128)))
            })
            .collect()
    }

    fn feedback(rating: f64, issues: &[Issue], notes: &str) -> Mapping {
        let issues = issues.iter().copied().collect::<Issues>();
        Mapping::Feedback(
            Feedback::new(Rating::new(rating).unwrap(), issues, notes.to_owned()).unwrap(),
        )
    }

    fn faults(definition: Definition) -> Vec<String> {
        let faults = Survey::compile(definition).unwrap_err();
        faults.iter().map(Fault::to_string).collect()
    }

    #[test]
    fn answers_become_feedback_or_a_reason_why_not() {
        use IgnoredReason::*;
        let survey = Survey::compile(quality()).unwrap();
        for (said, expected) in [
            (
                &[("score", "2"), ("problem", "1")][..],
                feedback(2.0, &[Issue::Echo], "IVR survey: 2 of 5"),
            ),
            (&[("score", "4")], feedback(4.0, &[Issue::Others], "IVR survey: 4 of 5")),
            (
                &[("score", "4"), ("problem", "9")],
                feedback(4.0, &[Issue::Others], "IVR survey: 4 of 5"),
            ),
            (&[("score", "5")], feedback(5.0, &[], "IVR survey: 5 of 5")),
            (
                &[("problem", "3"), ("score", "5")],
                feedback(5.0, &[Issue::CallDropped], "IVR survey: 5 of 5"),
            ),
            (
                &[("score", "?"), ("score", "7"), ("score", "3"), ("score", "5")],
                feedback(3.0, &[Issue::Others], "IVR survey: 3 of 5"),
            ),
            (&[("score", "?")], ignore(NoAnswer)),
            (&[("score", "?"), ("problem", "1")], ignore(NoAnswer)),
            (&[("score", "7"), ("score", "?")], ignore(InvalidAnswer)),
            (&[("score", "04")], ignore(InvalidAnswer)),
            (&[("problem", "1")], ignore(NoScore)),
            (&[], ignore(NoScore)),
        ] {
            assert_eq!(survey.map(&answers(said)).mapping, expected, "{said:?}");
        }
    }

    #[test]
    fn a_question_that_the_survey_does_not_have_is_named_and_mapped_to_nothing() {
        let survey = Survey::compile(quality()).unwrap();
        let unmapped =
            |question: &str| match survey.map(&answers(&[("score", "4"), (question, "1")])).mapping
            {
                Mapping::Dead { detail, .. } => detail,
                other => panic!("{other:?}"),
            };
        assert_eq!(unmapped("scroe"), r#"the survey has no question "scroe""#);
        assert_eq!(unmapped("a\n\u{1b}[2Jé"), r#"the survey has no question "a??[2J?""#);
        assert!(unmapped(&"x".repeat(60_000)).len() < 100);
    }

    #[test]
    fn the_commonest_survey_needs_two_lines() {
        let quick = Definition::new(vec![asked("score", &["1-5"])], name("score"));
        let survey = Survey::compile(quick).unwrap();
        assert_eq!(survey.first_question(), &name("score"));
        assert_eq!(
            survey.map(&answers(&[("score", "1")])).mapping,
            feedback(1.0, &[Issue::Others], "")
        );
    }

    #[test]
    fn only_answers_in_every_domain_end_the_waiting() {
        let due = |after, delay, said: &[(&str, &str)]| {
            let waits = Definition {
                after: Duration::from_secs(after),
                delay: Duration::from_secs(delay),
                ..quality()
            };
            let due = Survey::compile(waits).unwrap().due(&answers(said));
            (due.complete, due.at.as_second())
        };
        for (said, expected) in [
            (&[("score", "4")][..], (false, 121)),
            (&[("score", "4"), ("problem", "?")], (false, 122)),
            (&[("score", "4"), ("problem", "7")], (false, 122)),
            (&[("score", "4"), ("other", "1")], (false, 122)),
            (&[("score", "4"), ("problem", "1")], (true, 62)),
            (&[("problem", "1"), ("score", "9"), ("score", "4")], (true, 63)),
            // A repeat moves nothing, a changed mind does.
            (&[("score", "4"), ("problem", "1"), ("score", "4")], (true, 62)),
            (&[("score", "4"), ("problem", "1"), ("score", "5")], (true, 63)),
        ] {
            assert_eq!(due(120, 60, said), expected, "{said:?}");
        }
        assert_eq!(due(30, 60, &[("score", "4")]), (false, 61));
        assert_eq!(due(u64::MAX, 0, &[("score", "4")]).1, Timestamp::MAX.as_second());
    }

    #[test]
    fn an_answer_to_an_unknown_question_is_outside_every_domain() {
        let survey = Survey::compile(quality()).unwrap();
        let given = Answer::Given("1".to_owned());
        assert_eq!(survey.standing("score", &given), Standing::InDomain);
        assert_eq!(survey.standing("scroe", &given), Standing::OutsideDomain);
        assert_eq!(survey.standing("scroe", &Answer::Silence), Standing::Silence);
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let broken = Definition {
            questions: vec![asked("score", &["0-5"]), asked("score", &["5-1"])],
            rating: RatingDefinition { of: name("score"), from: (1, 5) },
            issues: IssuesDefinition {
                of: Some(name("problem")),
                choices: Vec::new(),
                otherwise: Issues::new(),
                at_five: AtFive::Send,
            },
            notes: Some(NotesDefinition::new("{{ scroe }}")),
            ..quality()
        };
        assert_eq!(
            faults(broken),
            [
                "questions[1].answers: 5-1 runs backwards: write 1-5",
                "questions[1].name: there is another question score: give each its own name",
                "rating.scale.from: score may be answered 0, outside 1 to 5: widen the scale, or \
                 take it from the answers",
                "issues.of: there is no question problem; known: score",
                "issues.otherwise: below 5 Plivo wants an issue: name at least one, such as OTHERS",
                "notes: there is no question scroe; known: {{ score }}",
            ]
        );
    }

    #[test]
    fn a_survey_without_questions_is_none() {
        let empty = Definition { questions: Vec::new(), ..quality() };
        assert_eq!(faults(empty), ["questions: a survey asks 1 to 32 questions, not 0"]);
    }

    fn some_definition() -> impl Strategy<Value = Definition> {
        let piece = prop::sample::select(vec!["1-5", "0-10", "7", "*", "#", "10", "5-1", "x", ""]);
        let pieces = prop::collection::vec(piece, 0..3);
        let question = prop::sample::select(vec!["score", "problem", "other", "a-b", "a_b"]);
        let questions = prop::collection::vec((question.clone(), pieces), 0..4);
        let choice = (
            prop::sample::select(vec!["1", "2", "7", "*"]),
            prop::sample::select(Issue::ALL.to_vec()),
        );
        let notes = prop::sample::select(vec![
            "plain",
            "{{ score }} {{ problem }}",
            "{{ a_b | upper }}",
            "{% for i in score %}{{ i }}{% endfor %}",
            "{{ 100 / (score | int) }}",
            "{{ nope",
        ]);
        (
            questions,
            question.clone(),
            (-1i64..3, 4i64..12),
            (prop::option::of(question), prop::collection::vec(choice, 0..3), any::<bool>()),
            prop::option::of(notes),
        )
            .prop_map(|(questions, rated, from, (of, choices, drops), notes)| Definition {
                rating: RatingDefinition { of: name(rated), from },
                issues: IssuesDefinition {
                    of: of.map(name),
                    choices: choices.into_iter().map(|(a, i)| (a.to_owned(), i)).collect(),
                    at_five: if drops { AtFive::Drop } else { AtFive::Send },
                    ..IssuesDefinition::default()
                },
                notes: notes.map(NotesDefinition::new),
                ..Definition::new(
                    questions.iter().map(|(q, pieces)| asked(q, pieces)).collect(),
                    name(rated),
                )
            })
    }

    proptest! {
        #[test]
        fn what_compiles_maps_anything_to_lawful_feedback_or_a_named_outcome(
            definition in some_definition(),
            said in prop::collection::vec(
                (
                    prop::sample::select(vec!["score", "problem", "other", "a-b"]),
                    prop_oneof!["[0-9*#]{1,2}", Just("?".to_owned()), ".*"],
                ),
                1..8,
            ),
        ) {
            let survey = match Survey::compile(definition) {
                Ok(survey) => survey,
                Err(faults) => {
                    prop_assert!(!faults.is_empty());
                    return Ok(());
                }
            };
            let said: Vec<_> = said.iter().map(|(q, a)| (*q, a.as_str())).collect();
            let answers = answers(&said);
            let due = survey.due(&answers);
            prop_assert!(due.at >= answers.last_new_at().unwrap());
            match survey.map(&answers).mapping {
                Mapping::Feedback(feedback) => {
                    let rating = feedback.rating().value();
                    prop_assert!((1.0..=5.0).contains(&rating));
                    prop_assert!(rating == 5.0 || feedback.issues().next().is_some());
                }
                Mapping::Ignore { .. } => prop_assert!(!due.complete),
                Mapping::Dead { detail, .. } => {
                    prop_assert!(detail.len() < 200 && detail.is_ascii());
                }
            }
        }
    }
}
