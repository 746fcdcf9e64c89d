//! Parts of surveys, and answers to them, for tests.

use jiff::Timestamp;
use uuid::Uuid;

use super::{
    ChoiceDefinition, Definition, DefinitionError, DomainDefinition, IssuesDefinition, MetBy,
    NotesDefinition, QuestionDefinition, RatingDefinition, RuleDefinition, Survey,
};
use crate::domain::{Answer, ExtractedAnswer, Issue, Name, WebhookId};
use crate::submission::{Answers, Fact, FieldValue, RecordedAnswer};

const WEBHOOK: WebhookId = WebhookId(Uuid::nil());

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

pub fn keys(answers: &[&str], multiple: bool) -> DomainDefinition {
    DomainDefinition::Keys { answers: strings(answers), multiple }
}

pub fn whole(from: i64, to: i64) -> DomainDefinition {
    DomainDefinition::Number { from, to, decimals: 0 }
}

/// A survey with a score, a problem that may name an echo, and a comment.
pub fn survey() -> Definition {
    let questions = vec![asked("score", &["1-5"]), asked("problem", &["1-3"]), text("comment")];
    Definition {
        fields: vec![name("campaign")],
        rating: Some(RatingDefinition::new(name("score"))),
        issues: IssuesDefinition {
            question: Some(name("problem")),
            choices: vec![choice("", "1", Issue::Echo)],
            ..IssuesDefinition::default()
        },
        ..Definition::new(questions)
    }
}

pub fn choices(choices: &[&str], multiple: bool) -> DomainDefinition {
    DomainDefinition::Choices { choices: strings(choices), multiple }
}

pub fn yes_no(yes: &[&str], no: &[&str]) -> DomainDefinition {
    DomainDefinition::YesNo { yes: strings(yes), no: strings(no) }
}

pub fn question(question: &str, domain: DomainDefinition) -> QuestionDefinition {
    QuestionDefinition::new(name(question), domain)
}

/// A question that is answered with keys.
pub fn asked(of: &str, answers: &[&str]) -> QuestionDefinition {
    question(of, keys(answers, false))
}

/// A question that is answered with any text.
pub fn text(of: &str) -> QuestionDefinition {
    question(of, DomainDefinition::Text { length: 200 })
}

/// An answer that means an issue, to the question that is meant where `of` is empty.
pub fn choice(of: &str, answer: &str, issue: Issue) -> ChoiceDefinition {
    let of = Some(of).filter(|of| !of.is_empty()).map(name);
    ChoiceDefinition { question: of, ..ChoiceDefinition::answer(answer, issue) }
}

pub fn mention(of: &str, phrases: &[&str], issue: Issue) -> ChoiceDefinition {
    let met_by = MetBy::Mentions(strings(phrases));
    ChoiceDefinition { question: Some(name(of)), met_by, issue }
}

pub fn rule(when: &str) -> RuleDefinition {
    RuleDefinition { when: when.to_owned(), ..RuleDefinition::default() }
}

pub fn rated(when: &str, rating: f64) -> RuleDefinition {
    RuleDefinition { rating: Some(rating), ..rule(when) }
}

pub fn ignored(when: &str, why: &str) -> RuleDefinition {
    RuleDefinition { ignore: Some(why.to_owned()), ..rule(when) }
}

pub fn notes(template: &str) -> NotesDefinition {
    NotesDefinition { template: Some(template.to_owned()), ..NotesDefinition::default() }
}

/// Answers one second apart; `?` is a silence.
pub fn answers(said: &[(&str, &str)]) -> Answers {
    let recorded = said.iter().zip(1..).map(|(&(question, answer), at)| {
        let answer = match answer {
            "?" => Answer::Silence,
            text => Answer::Given(text.to_owned()),
        };
        let (question, reader) = (question.to_owned(), "form:Digits".to_owned());
        let extracted = ExtractedAnswer { question, answer, reader };
        RecordedAnswer::new(extracted, second(at), WebhookId(Uuid::from_u128(at as u128)))
    });
    recorded.collect()
}

pub fn with_field(mut answers: Answers, field: &str, value: &str) -> Answers {
    let value = FieldValue { value: value.to_owned(), received_at: second(1), webhook: WEBHOOK };
    answers.set_field(name(field), value);
    answers
}

pub fn hung_up(mut answers: Answers, at: i64) -> Answers {
    answers.hang_up(Fact { received_at: second(at), webhook: WEBHOOK });
    answers
}

pub fn opted_out(mut answers: Answers, at: i64) -> Answers {
    answers.opt_out(Fact { received_at: second(at), webhook: WEBHOOK });
    answers
}

fn second(at: i64) -> Timestamp {
    Timestamp::from_second(at).unwrap()
}

/// The compiled value, or each fault as it is shown.
pub fn result_of<T>(compiled: Option<T>, faults: &[DefinitionError]) -> Result<T, Vec<String>> {
    match compiled {
        Some(compiled) if faults.is_empty() => Ok(compiled),
        _ => Err(faults.iter().map(DefinitionError::to_string).collect()),
    }
}

/// What is wrong with a survey.
pub fn refused(definition: Definition) -> Vec<String> {
    match Survey::compile(definition) {
        Ok(survey) => panic!("{}", survey.proof()),
        Err(faults) => faults.iter().map(DefinitionError::to_string).collect(),
    }
}
